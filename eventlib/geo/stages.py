"""What an average page would have got: observed and expected counts of each stage (S7.4, S7.5).

Three stages lead from an answer to a satisfied reader: cited among the candidates, clicked once shown,
satisfied once visited. Each stage gives rows with a content, a cluster (person, or prompt and day), what
happened and what was to be expected of an average page; everything above works on these rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline
from scipy.special import expit

from eventlib.columns import analysable, microseconds, persons, prompt_days, texts
from eventlib.exposure import Exposure, conditional_fit, estimate_exposure, harvest_swaps
from eventlib.geo.candidates import listed_contents
from eventlib.geo.decay import age_weights

if TYPE_CHECKING:
    from eventlib.exposure import Swaps

__all__ = ["STAGES", "Stage", "candidate_rows", "cite_stage", "click_stage", "satisfy_stage"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

STAGES: Final = ("cite", "click", "satisfy")
_ALL_CITED: Final = 0.95
_ROUNDS: Final = 30
_RESOLVED: Final = 6
_AT_ONCE: Final = 4_000_000
_MANY: Final = 48  # candidates from which an answer is solved along a curve: pair by pair takes their square
_REACH: Final = 8.0  # how far from its own level an answer's may lie with one candidate replaced, logit
_NODES: Final = 129
_GENERAL_PRECISION: Final = 1.0  # of a content's strength over contents, logit
_SPECIAL_PRECISION: Final = 4.0  # of what a content has for one prompt beyond that
# Against simulated choices of many kinds (benchmarks/geo_coverage.py): sd of the log of the expectation for one prompt
# that no data remove, and what not knowing the competitors' strengths adds to the variance of the counts.
_CITE_ERROR: Final = 0.085
_CITE_INFLATION: Final = 1.2


@dataclass(frozen=True, slots=True)
class Stage:
    """Rows of one stage of one engine.

    Attributes
    ----------
    content, cluster, time_us, answer
        Of each row: the content, who counts as one in a resample, when, and in which answer ("" for visits).
    version, prompt
        Of each row: the content's version and the prompt, "" where unknown; None where no row has one.
    observed, expected
        0/1 and the chance of an average page, float64 per row; they sum to the same.
    base
        The overall chance that `expected` is a multiple of: theta * base is a chance, below 1.
    weight
        Of each row, where it is not 1: it is in `observed` and `expected` already.
    swaps, log_exposure
        Of the click stage: what a bootstrap replicate refits the exposure on, and where it starts from.
    model_error
        Error of the expectation for one prompt, sd of its log: what no amount of data removes. Prompts err apart.
    inflation
        Factor on the variance of the counts for what was fitted to make the expectation and is not refitted in
        the bootstrap.
    """

    name: str
    content: NDArray[np.object_]
    cluster: NDArray[np.object_]
    time_us: Ints
    answer: NDArray[np.object_]
    observed: Floats
    expected: Floats
    base: float
    swaps: Swaps | None = None
    log_exposure: Floats | None = None
    model_error: float = 0.0
    inflation: float = 1.0
    version: NDArray[np.object_] | None = None
    prompt: NDArray[np.object_] | None = None
    weight: Floats | None = None

    def faded(self, end_us: int, half_life_days: float) -> Stage:
        """Return the stage with old rows weighing less (`eventlib.geo.decay`)."""
        if np.isinf(half_life_days):
            return self
        weight = age_weights(self.time_us, end_us, half_life_days)
        expected = weight * self.expected
        observed = weight * self.observed
        expected *= observed.sum() / max(float(expected.sum()), 1e-12)
        return replace(self, observed=observed, expected=expected, weight=weight)

    def within(self, start_us: int, end_us: int) -> Stage:
        """Return the stage's rows of [start, end); what was expected of them stays as it was."""
        kept = (self.time_us >= start_us) & (self.time_us < end_us)
        swaps = self.swaps
        if swaps is not None:
            swaps = replace(
                swaps, key=swaps.key[kept], position=swaps.position[kept], clicked=swaps.clicked[kept]
            )
        part: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[kept] for name in _PER_ROW
        }
        return replace(self, swaps=swaps, **part)


_PER_ROW: Final = (
    "content", "cluster", "time_us", "answer", "observed", "expected", "version", "prompt", "weight",
)  # fmt: skip


def candidate_rows(answers: pd.DataFrame, shows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per answer and candidate.

    Returns
    -------
    pandas.DataFrame
        `engine, observation, answer_id, prompt_id, cluster` (the person for owned answers, prompt and day for
        probes), `time_us, content_id, content_version` (as the engine last showed it, "" if never told),
        `cited`.
    """
    kept = analysable(answers).drop_duplicates("answer_id") if len(answers) else answers
    listed = listed_contents(kept)
    if not any(listed):
        return pd.DataFrame(columns=list(_CANDIDATES))
    size = np.array([len(item) for item in listed])
    time_us = microseconds(kept)
    prompt_day = prompt_days(kept)
    owned = texts(kept, "observation") == "owned"
    rows = pd.DataFrame(
        {
            "engine": np.repeat(texts(kept, "engine", "unknown"), size),
            "observation": np.repeat(texts(kept, "observation"), size),
            "answer_id": np.repeat(texts(kept, "answer_id"), size),
            "prompt_id": np.repeat(texts(kept, "prompt_id"), size),
            "cluster": np.repeat(np.where(owned, persons(kept), prompt_day), size),
            "time_us": np.repeat(time_us, size),
            "content_id": np.array([one for item in listed for one in item], dtype=object),
        }
    ).drop_duplicates(["answer_id", "content_id"])
    seen = analysable(shows)
    cited = pd.MultiIndex.from_arrays([texts(seen, "answer_id"), texts(seen, "content_id")])
    rows["cited"] = pd.MultiIndex.from_frame(rows[["answer_id", "content_id"]]).isin(cited)
    return rows.assign(content_version=_versions_at(rows, seen))[list(_CANDIDATES)]


_CANDIDATES: Final = (
    "engine", "observation", "answer_id", "prompt_id", "cluster", "time_us", "content_id", "content_version", "cited",
)  # fmt: skip


def _versions_at(rows: pd.DataFrame, shows: pd.DataFrame) -> NDArray[np.object_]:
    """Return the version that each candidate had: the one its engine showed last, else the first that follows."""
    known = pd.DataFrame({name: texts(shows, name) for name in ("engine", "content_id", "content_version")})
    known["time_us"] = microseconds(shows)
    known = known[known["content_version"] != ""].sort_values("time_us", kind="stable")
    if not len(known):
        return np.full(len(rows), "", dtype=object)
    wanted = rows[["engine", "content_id", "time_us"]].assign(row=np.arange(len(rows)))
    wanted = wanted.sort_values("time_us", kind="stable")
    by = ["engine", "content_id"]
    sides = [
        pd.merge_asof(wanted, known, on="time_us", by=by, direction=side)["content_version"].astype(object)
        for side in ("backward", "forward")
    ]
    version = sides[0].fillna(sides[1]).fillna("").to_numpy(dtype=object)
    ordered = np.empty(len(rows), dtype=object)
    ordered[wanted["row"].to_numpy()] = version
    return ordered


def cite_stage(rows: pd.DataFrame) -> tuple[Stage | None, str]:
    """Return the cite stage of one engine's candidates, or None and why not.

    The expectation is counterfactual (S7.5): the chance that an average page, in this page's place, would
    have been cited in the same answer against the same competitors, when as many are cited as were. Chances
    come from a logistic model with a level per answer and one strength per content, drawn towards 0.
    """
    if not len(rows):
        return None, "no candidates are listed"
    answer, _ = pd.factorize(rows["answer_id"])
    content, _ = pd.factorize(rows["content_id"])
    cited = rows["cited"].to_numpy(dtype=np.float64)
    share = np.bincount(answer, cited) / np.bincount(answer)
    if not cited.any() or np.mean(share >= 1) > _ALL_CITED:
        return None, "everything that was retrieved was shown" if cited.any() else "no candidate was cited"
    pair = rows.groupby(["prompt_id", "content_id"], sort=False, dropna=False).ngroup().to_numpy()
    expected = _average_chance(
        answer.astype(np.int64), content.astype(np.int64), pair.astype(np.int64), cited
    )
    expected *= cited.sum() / expected.sum()
    return _stage(
        "cite", rows, "cluster", cited, expected, base=float(expected.mean()), model_error=_CITE_ERROR,
        inflation=_CITE_INFLATION,
    ), ""  # fmt: skip


def _stage(
    name: str,
    rows: pd.DataFrame,
    cluster: str,
    observed: Floats,
    expected: Floats,
    *,
    base: float,
    **more: Any,
) -> Stage:
    return Stage(
        name,
        rows["content_id"].to_numpy(dtype=object),
        rows[cluster].to_numpy(dtype=object),
        rows["time_us"].to_numpy(dtype=np.int64),
        texts(rows, "answer_id"),
        observed,
        expected,
        base,
        version=texts(rows, "content_version"),
        prompt=texts(rows, "prompt_id"),
        **more,
    )


def _average_chance(answer: Ints, content: Ints, pair: Ints, cited: Floats) -> Floats:
    """Return the chance of an average page in each candidate's place.

    The logit of a candidate's chance is its content's strength, and what it has for this prompt beyond that,
    less a level per answer at which the chances sum to the citations that the answer gave.
    """
    total = np.bincount(answer, cited).astype(np.float64)
    level, strength = np.zeros(len(total)), np.zeros(len(answer))
    general, special = np.zeros(content.max() + 1), np.zeros(pair.max() + 1)
    for _ in range(_ROUNDS):
        level = _solve_levels(strength, answer, total, level)
        general += _ascent(content, strength - level[answer], cited, general, _GENERAL_PRECISION)
        general -= np.average(general, weights=np.bincount(content))
        strength = general[content] + special[pair]
        special += _ascent(pair, strength - level[answer], cited, special, _SPECIAL_PRECISION)
        strength = general[content] + special[pair]
    return _instead(answer, strength, total, level)


def _ascent(code: Ints, log_odds: Floats, cited: Floats, effect: Floats, precision: float) -> Floats:
    """Return one Newton step of each code's effect, drawn towards 0 by a precision."""
    chance, size = expit(log_odds), len(effect)
    slope = np.bincount(code, chance * (1 - chance), size) + precision
    step: Floats = (np.bincount(code, cited - chance, size) - precision * effect) / slope
    return np.clip(step, -1, 1)


def _instead(answer: Ints, strength: Floats, total: Floats, level: Floats) -> Floats:
    """Return each candidate's chance if its strength were 0, each answer's level solved anew for each of them."""
    order = np.argsort(answer, kind="stable")
    size = np.bincount(answer)
    first = np.cumsum(size) - size
    target = np.clip(total, 0.02, size - 0.02)
    found = np.empty(len(answer))
    few = np.flatnonzero(size < _MANY)
    if len(few):
        short = size[answer[order]] < _MANY
        found[short] = _among_few(strength[order][short], size[few], target[few], level[few])
    for one in np.flatnonzero(size >= _MANY):
        mine = slice(first[one], first[one] + size[one])
        found[mine] = _among_many(strength[order[mine]], float(target[one]), float(level[one]))
    chance = np.empty(len(answer))
    chance[order] = found
    return chance


def _among_few(strength: Floats, size: Ints, target: Floats, level: Floats) -> Floats:
    """Solve for every candidate of short answers, which follow each other in `strength`."""
    answer = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(answer)) - np.repeat(np.cumsum(size) - size, size)
    table = np.full((len(size), size.max()), -np.inf)  # an absent candidate has no chance
    table[answer, place] = strength
    found = np.empty_like(table)
    rows = max(_AT_ONCE // table.shape[1] ** 2, 1)
    for start in range(0, len(table), rows):
        part = slice(start, start + rows)
        found[part] = _chance_instead(table[part], target[part], level[part])
    chance: Floats = found[answer, place]
    return chance


def _among_many(strength: Floats, target: float, level: float) -> Floats:
    """Solve for every candidate of one long answer.

    The sum of all chances is one smooth function of the level; with a candidate replaced it differs by two
    terms only, so that the sum is computed along a grid once, not for each candidate.
    """
    nodes = level + np.linspace(-_REACH, _REACH, _NODES)
    parts = expit(strength[:, None] - nodes)
    every = CubicHermiteSpline(nodes, parts.sum(axis=0), -(parts * (1 - parts)).sum(axis=0))
    falls, own = every.derivative(), np.full(len(strength), level)
    for _ in range(_RESOLVED):
        gone, average = expit(strength - own), expit(-own)
        slope = -falls(own) - gone * (1 - gone) + average * (1 - average)
        miss = every(own) - gone + average - target
        own = np.clip(own + np.clip(miss / np.maximum(slope, 1e-6), -2, 2), nodes[0], nodes[-1])
    chance: Floats = expit(-own)
    return chance


def _chance_instead(table: Floats, target: Floats, level: Floats) -> Floats:
    """Solve for answers by candidates: [a, i] is the level of answer a with candidate i at strength 0."""
    others = np.where(np.eye(table.shape[1], dtype=bool), -np.inf, table[:, None, :])
    own = np.repeat(level[:, None], table.shape[1], axis=1)
    for _ in range(_RESOLVED):
        chance, average = expit(others - own[:, :, None]), expit(-own)
        slope = (chance * (1 - chance)).sum(axis=2) + average * (1 - average)
        miss = chance.sum(axis=2) + average - target[:, None]
        own = own + np.clip(miss / np.maximum(slope, 1e-6), -2, 2)
    instead: Floats = expit(-own)
    return instead


def _solve_levels(strength: Floats, answer: Ints, total: Floats, level: Floats) -> Floats:
    """Find each answer's level at which its chances sum to the citations it gave."""
    size = np.bincount(answer)
    target = np.clip(total, 0.02, size - 0.02)  # all or none cited has no finite level
    for _ in range(12):
        chance = expit(strength - level[answer])
        miss = np.bincount(answer, chance) - target
        slope = np.bincount(answer, chance * (1 - chance))
        level = level + np.clip(miss / np.maximum(slope, 1e-6), -2, 2)
    return level


def click_stage(rows: pd.DataFrame) -> tuple[Stage | None, Exposure]:
    """Return the click stage of one engine's shown citations, and the exposure it rests on.

    Expected clicks are exposure times one rate for all: what an average page gets in the same positions. None
    where swaps do not connect the positions, or nothing was clicked.
    """
    exposure = estimate_exposure(rows)
    if not exposure.connected:
        return None, exposure
    known = ~np.isnan(exposure.at(rows["slot"].tolist(), rows["rank"].tolist()))
    rows = rows[known]
    swaps = harvest_swaps(rows)
    log_exposure, _ = conditional_fit(*swaps.informing()[1].matrices())
    weight = np.exp(log_exposure)[swaps.position]
    base = float(swaps.clicked.sum() / weight.sum())
    more = {"swaps": swaps, "log_exposure": log_exposure}
    return _stage("click", rows, "person_id", swaps.clicked, weight * base, base=base, **more), exposure


def satisfy_stage(visits: pd.DataFrame) -> tuple[Stage | None, str]:
    """Return the satisfy stage of one engine's visits: each is expected to satisfy as the average does."""
    satisfied = visits["satisfied"].to_numpy(dtype=np.float64)
    if not satisfied.any():
        return None, "no visit was tracked" if not len(visits) else "no visit satisfied"
    base = float(satisfied.mean())
    return _stage("satisfy", visits, "person_id", satisfied, np.full(len(visits), base), base=base), ""
