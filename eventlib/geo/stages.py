"""What an average page would have got: observed and expected counts of each stage (S7.4, S7.5).

Three stages lead from an answer to a satisfied reader: cited among the candidates, clicked once shown,
satisfied once visited. Each stage gives rows with a content, a cluster (person, or prompt and day), what
happened and what was to be expected of an average page; everything above works on these rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from eventlib.columns import analysable, microseconds, persons, texts
from eventlib.exposure import Exposure, conditional_fit, estimate_exposure, harvest_swaps

if TYPE_CHECKING:
    from eventlib.exposure import Swaps

__all__ = ["STAGES", "Stage", "candidate_rows", "cite_stage", "click_stage", "satisfy_stage"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

STAGES: Final = ("cite", "click", "satisfy")
_DAY_US: Final = 86_400_000_000
_ALL_CITED: Final = 0.95
_ROUNDS: Final = 8
_CITE_ERROR: Final = 0.04  # of the logistic stand-in for how engines choose, against simulated choices


@dataclass(frozen=True, slots=True)
class Stage:
    """Rows of one stage of one engine.

    Attributes
    ----------
    content, cluster, time_us, answer
        Of each row: the content, who counts as one in a resample, when, and in which answer ("" for visits).
    observed, expected
        0/1 and the chance of an average page, float64 per row; they sum to the same.
    base
        The overall chance that `expected` is a multiple of: theta * base is a chance, below 1.
    swaps, log_exposure
        Of the click stage: what a bootstrap replicate refits the exposure on, and where it starts from.
    model_error
        Error of the expectation itself, sd of its log: what no amount of data removes.
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


def candidate_rows(answers: pd.DataFrame, shows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per answer and candidate: `engine, observation, answer_id, content_id, cluster, cited`.

    The cluster is the person for owned answers, prompt and day for probes.
    """
    kept = analysable(answers).drop_duplicates("answer_id") if len(answers) else answers
    columns = ["engine", "observation", "answer_id", "cluster", "time_us", "content_id", "cited"]
    if "candidates" not in kept or not kept["candidates"].notna().any():
        return pd.DataFrame(columns=columns)
    listed = [item if isinstance(item, list | np.ndarray) else [] for item in kept["candidates"]]
    size = np.array([len(item) for item in listed])
    time_us = microseconds(kept)
    day = time_us // _DAY_US
    prompt_day = np.array(
        [f"{p}@{d}" for p, d in zip(texts(kept, "prompt_id"), day, strict=True)], dtype=object
    )
    owned = texts(kept, "observation") == "owned"
    rows = pd.DataFrame(
        {
            "engine": np.repeat(texts(kept, "engine", "unknown"), size),
            "observation": np.repeat(texts(kept, "observation"), size),
            "answer_id": np.repeat(texts(kept, "answer_id"), size),
            "cluster": np.repeat(np.where(owned, persons(kept), prompt_day), size),
            "time_us": np.repeat(time_us, size),
            "content_id": np.array([one["content_id"] for item in listed for one in item], dtype=object),
        }
    ).drop_duplicates(["answer_id", "content_id"])
    seen = analysable(shows)
    cited = pd.MultiIndex.from_arrays([texts(seen, "answer_id"), texts(seen, "content_id")])
    return rows.assign(cited=pd.MultiIndex.from_frame(rows[["answer_id", "content_id"]]).isin(cited))


def cite_stage(rows: pd.DataFrame) -> tuple[Stage | None, str]:
    """Return the cite stage of one engine's candidates, or None and why not.

    The expectation is counterfactual (S7.5): the chance that an average page, in this page's place, would
    have been cited in the same answer against the same competitors, when as many are cited as were. Chances
    come from a logistic model with a level per answer and one strength per content, drawn towards 0.
    """
    if not len(rows):
        return None, "no candidates are listed"
    answer, _ = pd.factorize(rows["answer_id"])
    content, names = pd.factorize(rows["content_id"])
    cited = rows["cited"].to_numpy(dtype=np.float64)
    share = np.bincount(answer, cited) / np.bincount(answer)
    if not cited.any() or np.mean(share >= 1) > _ALL_CITED:
        return None, "everything that was retrieved was shown" if cited.any() else "no candidate was cited"
    expected = _average_chance(answer.astype(np.int64), content.astype(np.int64), cited, len(names))
    expected *= cited.sum() / expected.sum()
    return _stage(
        "cite", rows, "cluster", cited, expected, base=float(expected.mean()), model_error=_CITE_ERROR
    ), ""


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
        **more,
    )


def _average_chance(answer: Ints, content: Ints, cited: Floats, contents: int) -> Floats:
    total = np.bincount(answer, cited).astype(np.float64)
    strength = np.zeros(contents)
    level = np.zeros(len(total))
    for _ in range(_ROUNDS):
        level = _solve_levels(strength[content], answer, total, level)
        chance = expit(strength[content] - level[answer])
        slope = np.bincount(content, chance * (1 - chance), contents) + 1.0  # the 1 draws towards 0
        strength += np.clip((np.bincount(content, cited - chance, contents) - strength) / slope, -1, 1)
        strength -= np.average(strength, weights=np.bincount(content, minlength=contents))
    # with an average page instead of this one the answer's level moves a little, by one Newton step
    chance, average = expit(strength[content] - level[answer]), expit(-level[answer])
    spread = (
        np.bincount(answer, chance * (1 - chance))[answer] - chance * (1 - chance) + average * (1 - average)
    )
    instead: Floats = expit(-(level[answer] + (average - chance) / np.maximum(spread, 1e-6)))
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
    log_exposure, _ = conditional_fit(*swaps.matrices())
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
