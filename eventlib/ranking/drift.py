"""Whether features and scores of later shows are distributed as those that were learned from: stability (S8.7).

    PSI = sum over bins  (q - p) * log(q / p),

with `p` the shares of shows before the cut and `q` those held out. PSI of few rows is never 0: to first order it is
`sum (q - p)**2 / p`, a weighted sum of chi-squares under no drift; its mean is the sum of the variances of `q - p`
over `p`, and a chi-square of the same mean and variance stands for it. Covariances are between people, since shows of
one person resemble each other; were shows independent, the mean would be (bins - 1) * (1 / n + 1 / m).

Sources: Siddiqi, Credit risk scorecards, 2006 (limits of .1 and .25); Yurdakul and Naranjo, Statistical properties of
the population stability index, Journal of Risk Model Validation, 2020 (chi-square); Rao and Scott, The analysis of
categorical data from complex sample surveys, JASA 1981 (mean and variance corrected for clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from eventlib.cells import SMALL_CELL
from eventlib.ranking.explain import group_names
from eventlib.ranking.features import code_cells

if TYPE_CHECKING:
    from eventlib.ranking.pipeline import Judged, Ranking

__all__ = ["ALARM_AT", "LOOK_AT", "SCORE", "Shift", "drift", "stability"]

Floats: TypeAlias = NDArray[np.float64]

LOOK_AT: Final = 0.1
ALARM_AT: Final = 0.25
SURE: Final = 0.99
"""Quantile of chance that a shift has to be over, since some twenty features are compared."""

SCORE: Final = "signal"
"""The row of `drift` about the champion's scores."""

_BINS: Final = 10
_SMOOTHING: Final = 0.5  # shows added to each bin of either side (Jeffreys)
_COLUMNS: Final = ("feature", "group", "before", "after", "psi", "expected", "chance", "state", "reads")


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a distribution moved: the index, its mean by chance alone, and what chance seldom exceeds."""

    psi: float
    expected: float
    chance: float

    @property
    def state(self) -> str:
        """`alarm` over .25, `look` over .1, if over chance too; else `fine`."""
        if self.psi <= max(LOOK_AT, self.chance):
            return "fine"
        return "alarm" if self.psi > ALARM_AT else "look"


def stability(
    before: Floats, after: Floats, who_before: NDArray[np.intp], who_after: NDArray[np.intp]
) -> Shift:
    """Compare two samples by the population stability index.

    Parameters
    ----------
    before, after
        Values, one per show; bins are tenths of `before`, or its values where it has no more than ten.
    who_before, who_after
        Codes of the person behind each.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y, one_each = rng.normal(size=500), rng.normal(size=500), np.arange(500)
    >>> shift, moved = stability(x, y, one_each, one_each), stability(x, y + 1, one_each, one_each)
    >>> shift.state, f"{shift.expected:.3f}", moved.state
    ('fine', '0.036', 'alarm')
    """
    edges = _edges(before)
    counts = [
        _by_person(values, edges, people) for values, people in ((before, who_before), (after, who_after))
    ]
    seen = sum(part.sum(axis=0) for part in counts) > 0
    (p, cov_p), (q, cov_q) = (_shares(part[:, seen]) for part in counts)
    psi = float(((q - p) * np.log(q / p)).sum())
    relative = (cov_p + cov_q) / np.sqrt(np.outer(p, p))
    expected, square = float(np.trace(relative)), float((relative**2).sum())
    chance = square / expected * float(chi2.ppf(SURE, expected**2 / square)) if square > 0 else 0.0
    return Shift(psi, expected, chance)


def _edges(values: Floats) -> Floats:
    """Return upper ends of bins; what is below or above all of a few values has bins of its own."""
    distinct = np.unique(values)
    if len(distinct) > _BINS:
        return np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    return np.concatenate(
        [[np.nextafter(distinct[0], -np.inf)], distinct[:-1] + np.diff(distinct) / 2, distinct[-1:]]
    )


def _by_person(values: Floats, edges: Floats, people: NDArray[np.intp]) -> Floats:
    """Count values in bins, shape (people, bins)."""
    who = np.unique(people, return_inverse=True)[1]
    width = len(edges) + 1
    cell = who * width + np.searchsorted(edges, values, side="left")
    return (
        np.bincount(cell, minlength=(int(who.max(initial=-1)) + 1) * width)
        .reshape(-1, width)
        .astype(np.float64)
    )


def _shares(counts: Floats) -> tuple[Floats, Floats]:
    """Return the smoothed share of each bin, and their covariance between people."""
    people, bins = counts.shape
    of_person, total = counts.sum(axis=1, keepdims=True), counts.sum()
    share = (counts.sum(axis=0) + _SMOOTHING) / (total + _SMOOTHING * bins)
    residual = counts - share * of_person
    return share, residual.T @ residual / total**2 * people / max(people - 1, 1)


def drift(ranking: Ranking) -> pd.DataFrame:
    """Compare the model's inputs and the champion's scores of held-out shows with those of shows before the cut.

    Contents are as known at the cut and histories end there on both sides, so that what moves is which contents are
    shown, and for which prompts.

    Returns
    -------
    DataFrame
        `feature` (`signal` for the scores), `group`, mean `before` and `after`, `psi`, the value `expected` from
        sampling alone and what `chance` exceeds once in a hundred, `state` (fine | look | alarm), and `reads` in
        words; largest first. Empty where nothing was trained or either side has fewer than ten people (S7.10).
    """
    judged = ranking.judged
    if judged is None or _few(judged.train.person) or _few(judged.held.person):
        return pd.DataFrame(columns=list(_COLUMNS))
    sides = [_inputs(judged, judged.train.cells, judged.train.cell), _held_inputs(judged)]
    who = (judged.train.person, judged.held.person)
    names = {**group_names(), SCORE: "scores"}
    rows = []
    for column, (name, group) in enumerate(names.items()):
        before, after = (side[:, column] for side in sides)
        shift = stability(before, after, *who)
        means = (float(before.mean()), float(after.mean()))
        rows.append(
            (name, group, *means, shift.psi, shift.expected, shift.chance, shift.state, _reads(shift, *means))
        )
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.sort_values("psi", ascending=False, kind="stable", ignore_index=True)


def _few(people: NDArray[np.intp]) -> bool:
    return len(np.unique(people)) < SMALL_CELL


def _inputs(judged: Judged, cells: pd.DataFrame, where: NDArray[np.intp]) -> Floats:
    """Return the features and the signal of each show, shape (shows, features + 1); cells are scored once."""
    design = judged.ranker.design(cells, judged.contents)
    return np.column_stack([design, judged.ranker.predict(design)]).astype(np.float64)[where]


def _held_inputs(judged: Judged) -> Floats:
    return _inputs(judged, *code_cells(judged.held.frame))


def _reads(shift: Shift, before: float, after: float) -> str:
    was, became = (f"{mean:,.0f}" if abs(mean) >= 100 else f"{mean:.3g}" for mean in (before, after))
    means = f"mean {was} before the cut, {became} after"
    if shift.state != "fine":
        return f"{means}: more than chance"
    if shift.psi > LOOK_AT:
        return f"{means}; chance alone makes up to {shift.chance:.2f} of so few"
    return means
