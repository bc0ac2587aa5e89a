"""Signs that a ranker feeds on its own past, each with its limits in the open (S8.7, decision 0058).

What is shown is clicked, and what was clicked is shown. Limits of concentration are those of Pareto's law: to look at
where it is over 80 to 20 (a fifth of the contents has four fifths of the exposure), alarm over 90 to 10. A show is worth what its
place was looked at. Figures that rest on fewer than ten people, or that leave fewer than ten, are not told (S7.10).

Sources: Singh and Joachims, Fairness of exposure in rankings, KDD 2018; Gini, 1912; Gastwirth, The estimation of the
Lorenz curve and Gini index, 1972; Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and
Spearman correlations, Psychometrika 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from eventlib.cells import SMALL_CELL
from eventlib.exposure import harvest_swaps, placed_at_random
from eventlib.ranking.drift import ALARM_AT, LOOK_AT, SCORE, drift
from eventlib.ranking.evaluation import Z90

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlib.ranking.pipeline import Judged, Ranking

__all__ = ["GUARD_COLUMNS", "Guard", "gini", "loop_guards", "reordered", "spearman"]

Floats: TypeAlias = NDArray[np.float64]

GUARD_COLUMNS: Final = ("guard", "value", "state", "limits", "reads")
_PARETO: Final = (np.log(0.8) / np.log(0.2), np.log(0.9) / np.log(0.1))
"""Exponents of Pareto's law at 80 to 20 and 90 to 10: the top share `s` of contents has `s ** exponent`."""
_GINI: Final = tuple((1 - b) / (1 + b) for b in _PARETO)
_CORRELATION: Final = (0.5, 0.8)
_NEVER: Final = (0.2, 0.5)
_SWAPS: Final = (0.5, 0.1)
_EXPLORED: Final = (0.05, 0.01)


@dataclass(frozen=True, slots=True)
class Guard:
    """One sign: `value` (NaN where it cannot be told), limits to look at and to be alarmed, and what it says.

    `low` turns the limits round: what falls below them is bad. `judged_by` is compared with them instead of the
    value where the value is uncertain.
    """

    guard: str
    value: float
    limits: tuple[float, float]
    reads: str
    low: bool = False
    judged_by: float | None = None

    @property
    def state(self) -> str:
        """`fine`, `look` or `alarm`; `not asked` where there is no value."""
        value = self.value if self.judged_by is None else self.judged_by
        if np.isnan(value):
            return "not asked"
        look, alarm = ((value < limit if self.low else value > limit) for limit in self.limits)
        return "alarm" if alarm else "look" if look else "fine"

    @property
    def row(self) -> tuple[str, float, str, str, str]:
        """The guard as a row of `GUARD_COLUMNS`."""
        side = "under" if self.low else "over"
        look, alarm = (f"{limit:.2f}".lstrip("0") for limit in self.limits)
        return self.guard, self.value, self.state, f"look {side} {look}, alarm {side} {alarm}", self.reads


_HIDDEN: Final = "fewer than ten people are behind it or left by it"


def _told(value: float, inside: pd.Series[Any], outside: pd.Series[Any]) -> float:
    """Return the value if neither of the two parts is about fewer than ten people; nobody is fine."""
    sizes = (inside.nunique(), outside.nunique())
    return value if all(n == 0 or n >= SMALL_CELL for n in sizes) else float("nan")


def _hidden_or(value: float, reads: str) -> str:
    return _HIDDEN if np.isnan(value) else reads


def loop_guards(ranking: Ranking) -> pd.DataFrame:
    """Return signs that a ranker feeds on its own past, from the shows before the cut; drift compares with those after.

    Returns
    -------
    DataFrame
        `guard, value, state, limits, reads`; `state` is fine, look, alarm, or "not asked" where the log has nothing to say or
        too few people. Empty where nothing was trained.
    """
    rows = [] if ranking.judged is None else [guard.row for guard in _guards(ranking, ranking.judged)]
    return pd.DataFrame(rows, columns=list(GUARD_COLUMNS))


def _guards(ranking: Ranking, judged: Judged) -> Iterator[Guard]:
    shows = ranking.impressions.of(ranking.engine)
    shows = shows[shows["time_us"] < ranking.cut]
    yield from _concentration(judged)
    yield _never_shown(judged, shows)
    yield from _correlations(judged)
    yield from _swaps(judged)
    yield _exploration(shows)
    yield from _drifts(ranking)


def gini(values: Floats) -> float:
    """Return the Gini index of what contents have: 0 is equal, near 1 is all on one.

    >>> gini(np.array([1.0, 1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    n, total = len(values), values.sum()
    if not total > 0:
        return float("nan")
    return float(2 * (np.arange(1, n + 1) * np.sort(values)).sum() / (n * total) - (n + 1) / n)


def _content_exposure(judged: Judged) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Return the exposure of each content, least first, and the content of each show."""
    data = judged.train
    content = pd.Series(data.cells["content_id"].to_numpy(object)[data.cell])
    return pd.Series(judged.theta[data.place]).groupby(content).sum().sort_values(kind="stable"), content


def _concentration(judged: Judged) -> Iterator[Guard]:
    seen, content = _content_exposure(judged)
    people = pd.Series(judged.train.person)
    whole = _told(gini(seen.to_numpy(np.float64)), people, people.head(0))
    yield Guard(
        "Gini of exposure over contents", whole, _GINI, _hidden_or(whole, "0 is equal, 1 is all on one")
    )
    top = max(1, round(0.01 * len(seen)))
    among = content.isin(seen.index[-top:])
    share = _told(float(seen.iloc[-top:].sum() / seen.sum()), people[among], people[~among])
    limits = tuple(float((top / len(seen)) ** b) for b in _PARETO)
    reads = _hidden_or(share, f"{top} of {len(seen)} contents")
    yield Guard("share of exposure on the top 1 % of contents", share, (limits[0], limits[1]), reads)


def _never_shown(judged: Judged, shows: pd.DataFrame) -> Guard:
    known = judged.contents.latest()["content_id"]
    value = float((~known.isin(shows["content_id"])).mean()) if len(known) else float("nan")
    reads = (
        f"of {len(known):,} known contents; nothing can be learned about them"
        if len(known)
        else "no content is known"
    )
    return Guard("known contents never shown", value, _NEVER, reads)


def _correlations(judged: Judged) -> Iterator[Guard]:
    """Correlate what the ranker says of contents with how much they were seen; the lower bound decides."""
    seen, content = _content_exposure(judged)
    data, ranker = judged.train, judged.ranker
    scores = ranker.predict(ranker.design(data.cells, judged.contents))[data.cell]
    exposure = judged.theta[data.place]
    sums = pd.DataFrame({"score": scores * exposure, "e": exposure}).groupby(content).sum()
    history = ranker.histories.groupby("content_id")["content_history"].first()
    for name, values in (("signal", sums["score"] / sums["e"]), ("history", history)):
        value, lower = spearman(seen, values.reindex(seen.index))
        reads = "the same for all, or too few contents" if np.isnan(value) else (
            f"at least {lower:.2f} with 95 % certainty; near 1, what is shown is what stays shown"
        )  # fmt: skip
        yield Guard(
            f"rank correlation of {name} with past exposure", value, _CORRELATION, reads, judged_by=lower
        )


def spearman(x: pd.Series[Any], y: pd.Series[Any]) -> tuple[float, float]:
    """Return Spearman's correlation and its lower bound of 95 %, NaN of under ten values or where either is constant."""
    if len(x) < SMALL_CELL or x.nunique() < 2 or y.nunique() < 2:
        return float("nan"), float("nan")
    r = float(spearmanr(x, y).statistic)
    error = np.sqrt((1 + r**2 / 2) / (len(x) - 3))
    return r, float(np.tanh(np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9)) - Z90 * error))


def _swaps(judged: Judged) -> Iterator[Guard]:
    swaps = harvest_swaps(judged.learned)
    kept = swaps.informing()[0]
    people = judged.learned["person"]
    share = _told(float(kept.mean()), people[kept], people[~kept])
    words = "of shows are of a content, version, prompt and month seen at two places or more"
    yield Guard("swap rate", share, _SWAPS, _hidden_or(share, words), low=True)
    clicked = swaps.clicked > 0
    total = float(swaps.clicked.sum())
    informs = _told(float(swaps.clicked[kept].sum()) / total, people[kept & clicked], people[~kept & clicked])
    words = f"of {total:,.0f} clicks tell places apart; a quarter of them doubles the error of exposure"
    yield Guard("clicks that inform exposure", informs, _SWAPS, _hidden_or(informs, words), low=True)


def _exploration(shows: pd.DataFrame) -> Guard:
    """Return the share of shows with a logged chance, else of answers in another order than usual."""
    name = "exploration share"
    chance = (
        shows["propensity"].to_numpy(np.float64) if "propensity" in shows else np.full(len(shows), np.nan)
    )
    if np.isfinite(chance).any():
        drawn = placed_at_random(shows)
        value = _told(float(drawn.mean()), shows.loc[drawn, "person"], shows.loc[~drawn, "person"])
        words = "of shows have a logged propensity under 1: they were placed by chance"
        return Guard(name, value, _EXPLORED, _hidden_or(value, words), low=True)
    answers = reordered(shows)
    if answers.empty:
        return Guard(
            name,
            float("nan"),
            _EXPLORED,
            "no propensity is logged, and no two citations came twice",
            low=True,
        )
    other = answers["other"]
    value = _told(float(other.mean()), answers.loc[other, "person"], answers.loc[~other, "person"])
    words = (
        f"no propensity is logged; of {len(answers):,} answers have neighbours the other way round than mostly for the "
        "prompt, by chance or not"
    )
    return Guard(name, value, _EXPLORED, _hidden_or(value, words), low=True)


def reordered(shows: pd.DataFrame) -> pd.DataFrame:
    """Tell which answers have an order other than the most common one for their prompt.

    Answers to a prompt need not cite the same contents, so orders are compared by neighbours: an answer differs if two
    citations next to each other stand the other way round than they mostly do next to each other for the prompt.

    Parameters
    ----------
    shows
        Impressions of one engine.

    Returns
    -------
    DataFrame
        `person, other`, one row per answer with two neighbours that were neighbours in another answer too.
    """
    part = shows.sort_values(["answer_id", "slot", "rank"], kind="stable", ignore_index=True)
    content = pd.Series(pd.factorize(part["content_id"], sort=True)[0])
    after = content.shift(-1, fill_value=-1)
    same = (part["answer_id"] == part["answer_id"].shift(-1)) & (part["slot"] == part["slot"].shift(-1))
    pairs = part.assign(
        low=np.minimum(content, after), high=np.maximum(content, after), forward=content < after
    )[same & (content != after)]
    forward = pairs.groupby(["prompt_id", "low", "high"], sort=False)["forward"]
    other = pairs["forward"] == (forward.transform("mean") < 0.5)
    compared = pairs.assign(other=other)[forward.transform("size") > 1]
    answers = compared.groupby("answer_id", sort=True).agg(person=("person", "first"), other=("other", "any"))
    return answers.reset_index(drop=True)


def _drifts(ranking: Ranking) -> Iterator[Guard]:
    table = drift(ranking)
    limits = (LOOK_AT, ALARM_AT)
    scores, features = table[table["feature"] == SCORE], table[table["feature"] != SCORE]
    for name, part in (("drift of scores (PSI)", scores), ("largest drift of a feature (PSI)", features)):
        if part.empty:
            yield Guard(name, float("nan"), limits, "fewer than ten people before or after the cut")
            continue
        # what chance explains is fine however large; the table of drift shows it
        moved = part[part["state"] != "fine"]
        first = (moved if len(moved) else part).iloc[0]
        judged_by = float(first["psi"]) if len(moved) else 0.0
        others = f"; {len(moved)} of {len(part)} moved" if len(part) > 1 else ""
        feature = "" if name.startswith("drift of scores") else f"{first['feature'].replace('_', ' ')}: "
        yield Guard(
            name, float(first["psi"]), limits, f"{feature}{first['reads']}{others}", judged_by=judged_by
        )
