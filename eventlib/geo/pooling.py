"""What edits of one kind did together (S7.8): many small changes may show what none of them shows alone.

The pooled change is the mean of the log changes, each weighted by its precision. From 20 edited pages on its error
comes from how the pages differ (DerSimonian and Laird, 1986; Hartung and Knapp, 2001) and from the controls that
they have in common; below that it is ranked among pooled changes of as many unedited pages at the same dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from eventlib.errors import BadCallError
from eventlib.geo.power import POWER_AT, critical, placebo_p

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["FEWEST_POOLED", "benjamini_hochberg", "pool_by_type", "pooled_effect"]

Floats: TypeAlias = NDArray[np.float64]

FEWEST_POOLED: Final = 20  # edited pages, for an error from how they differ
_DRAWS: Final = 999
_COLUMNS: Final = (
    "change_type", "engine", "observation", "outcome", "pages", "state", "reason", "method",
    *(f"power_{100 * ratio - 100:.0f}" for ratio in POWER_AT), "change", "lower", "upper", "p", "q",
)  # fmt: skip
_NEEDED: Final = ("edit_id", "change_type", "engine", "observation", "outcome", "change", "error", "p")


def benjamini_hochberg(p: Floats) -> Floats:
    """Return q-values; NaN stays NaN and takes no part.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    q, known = np.full(len(p), np.nan), ~np.isnan(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q


def pooled_effect(change: Floats, error: Floats, common: float = 0.0) -> tuple[float, float]:
    """Return the mean of log changes over a population of pages, and its error; pages are the clusters.

    Parameters
    ----------
    change, error
        Log changes and their modelled errors, at least two.
    common
        Variance of what all of them have in common, such as the mean of the same controls.

    Examples
    --------
    >>> mean, error = pooled_effect(np.array([0.1, 0.3]), np.array([0.1, 0.1]))
    >>> round(mean, 3), round(error, 3)
    (0.2, 0.1)
    """
    fixed = 1 / error**2
    spread = fixed @ (change - np.average(change, weights=fixed)) ** 2 - (len(change) - 1)
    between = max(float(spread / (fixed.sum() - (fixed @ fixed) / fixed.sum())), 0.0)
    weight = 1 / (1 / fixed + between)
    mean = float(np.average(change, weights=weight))
    variance = weight @ (change - mean) ** 2 / weight.sum() / (len(change) - 1)
    return mean, float(np.sqrt(variance + common))


def pool_by_type(
    verdicts: pd.DataFrame,
    placebos: pd.DataFrame,
    *,
    false_discoveries: float = 0.10,
    level: float = 0.90,
    seed: int = 0,
) -> pd.DataFrame:
    """Pool the changes of each kind of edit, for each engine, way of observing and outcome.

    Edits that were judged jointly enter as one, or not at all where they are of several kinds.

    Parameters
    ----------
    verdicts, placebos
        As `judge_edits` or `judge_all` return them.
    seed
        Of the draws of unedited pages.

    Returns
    -------
    pandas.DataFrame
        `change_type, engine, observation, outcome, pages` (edits, joint groups as one), `state` (better |
        worse | no difference shown | not testable), `reason, method` (how its error is known), `power_25,
        power_50, power_100` (if all of them changed by as much), `change, lower, upper, p, q`; q-values are
        over kinds, for each engine and outcome.

    Raises
    ------
    BadCallError
        If a column is missing.
    """
    if missing := set(_NEEDED) - set(verdicts.columns):
        raise BadCallError.missing_columns("pool_by_type", missing, verdicts.columns)
    rng, rows = np.random.default_rng(seed), []
    keys = ["engine", "observation", "outcome"]
    chances = dict(iter(placebos.groupby(keys))) if len(placebos) else {}
    judged = verdicts[verdicts["p"].notna()]
    if "edits" in judged:  # groups of several kinds are of none
        judged = judged[~(judged["edits"].gt(1) & judged["change_type"].eq("several"))]
    for key, part in judged.groupby([*keys, "change_type"], dropna=False):
        *where, kind = key
        chance = chances.get(tuple(where), placebos.iloc[:0])
        named = dict(zip(keys, where, strict=True)) | {"change_type": kind, "pages": len(part)}
        rows.append(named | _pooled(part, chance, level, rng))
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    q = np.full(len(frame), np.nan)
    for _, family in frame.groupby(keys):
        q[family.index] = benjamini_hochberg(family["p"].to_numpy(dtype=np.float64))
    found = np.where(frame["change"] > 1, "better", "worse")
    return frame.assign(q=q, state=np.where(q <= false_discoveries, found, frame["state"]))


def _pooled(
    part: pd.DataFrame, placebos: pd.DataFrame, level: float, rng: np.random.Generator
) -> dict[Hashable, object]:
    if len(part) < 2:
        return {"state": "not testable", "reason": "one edit of this kind: its own verdict says all"}
    change = np.log(part["change"].to_numpy(dtype=np.float64))
    error = part["error"].to_numpy(dtype=np.float64)
    chance = _Chance.of(part, placebos)
    if chance is None:
        return {"state": "not testable", "reason": "too few unedited pages for as many edits"}
    drawn = chance.draw(error, rng)
    told: dict[Hashable, object] = {"state": "no difference shown", "reason": ""}
    for ratio in POWER_AT:
        statistics = np.abs(np.log(ratio) + drawn)
        told[f"power_{100 * ratio - 100:.0f}"] = float(np.mean(statistics > critical(drawn)))
    if len(part) >= FEWEST_POOLED:
        mean, spread = pooled_effect(change, error, chance.common(error))
        freedom = len(part) - 1
        half = float(student.ppf(0.5 + level / 2, freedom)) * spread
        p = float(2 * student.sf(abs(mean) / spread, freedom))
        told["method"] = "how the pages differ"
    else:
        mean = float(np.average(change, weights=1 / error**2))
        half = float(np.quantile(np.abs(drawn), level, method="higher"))
        p, told["method"] = placebo_p(mean, drawn), "as many unedited pages"
    ratio, lower, upper = np.exp([mean, mean - half, mean + half])
    return told | {"change": float(ratio), "lower": float(lower), "upper": float(upper), "p": p}


@dataclass(frozen=True, slots=True)
class _Chance:
    """The statistics of unedited pages, [edit, page]; NaN where a page was not compared at an edit's dates."""

    table: Floats

    @classmethod
    def of(cls, part: pd.DataFrame, placebos: pd.DataFrame) -> _Chance | None:
        """Return them for these edits, or None if there are not twice as many pages as edits."""
        wide = placebos[placebos["edit_id"].isin(part["edit_id"])].pivot_table(
            index="edit_id", columns="content_id", values="statistic", aggfunc="first"
        )
        wide = wide.reindex(part["edit_id"])
        known = wide.notna().sum(axis=1)
        return (
            cls(wide.to_numpy(dtype=np.float64))
            if len(wide.columns) and known.min() >= 2 * len(part)
            else None
        )

    def draw(self, error: Floats, rng: np.random.Generator) -> Floats:
        """Draw pooled log changes of as many unedited pages, each less the mean of those not drawn.

        Edits share their controls: what these did by themselves moves all changes at once, and so it does here.
        """
        drawn = np.empty(_DRAWS)
        weight = (1 / error) / (1 / error**2).sum()
        rest, count = np.nansum(self.table, axis=1), (~np.isnan(self.table)).sum(axis=1)
        for i in range(_DRAWS):
            pages = self._pick(rng)
            chosen = self.table[np.arange(len(pages)), pages]
            block = self.table[:, pages]
            others = (rest - np.nansum(block, axis=1)) / (count - (~np.isnan(block)).sum(axis=1))
            drawn[i] = weight @ (chosen - others)
        return drawn

    def _pick(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Choose a page for each edit, no page twice, each compared at that edit's dates."""
        order, taken = rng.permutation(self.table.shape[1]), np.empty(0, dtype=np.int64)
        first = order[: len(self.table)]
        if not np.isnan(self.table[np.arange(len(first)), first]).any():
            return first  # what the search below would find, without the search
        for statistics in self.table:
            free = order[~np.isin(order, taken)]
            taken = np.append(taken, free[np.argmax(~np.isnan(statistics[free]))])
        return taken

    def common(self, error: Floats) -> float:
        """Return the variance of the controls' mean, as all edits share it."""
        pages = (~np.isnan(self.table)).sum(axis=1)
        return float(np.mean(error**2 * np.nanmean(self.table**2, axis=1) / pages))
