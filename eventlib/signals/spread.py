"""How far signals are from what they speak of, beyond what other people would have changed (S9).

Refits on resampled people show sampling error. They do not show what shrinkage and trees take from a content that is
unlike its like, nor how much a new prompt differs from those seen. Held-out clicks do: of a cell (content and prompt) with
`c` clicks on `e` examined shows after the cut,

    E (c / e - s)**2 = noise(e) + refits + s * (1 - s) * (own + thin * (k / (k + n))**2)

with `s` the signal, `n` the examined shows before the cut behind its history and `k` the shows that a history is shrunk
by. `own` and `thin` are shares of the variance s * (1 - s) that a relevance could have at most around `s`: intraclass
correlations, as a beta-binomial has them, so that an interval of a Beta stays inside [0, 1]. They are found twice:
for prompts with a history, and for prompts that are new, by rankers that learned without them.

Both are integrated over a grid of their roots with a flat prior, by the Gaussian pseudo-likelihood of the residuals:
where few cells were held out the prior stays, which is wide, and an estimate never falls to zero by chance.
Exposure's error is common to all cells, so one factor is taken out of the clicks, and out of refits, first.

Source: Carroll and Ruppert, Transformation and Weighting in Regression, 1988, chapter 3 (pseudo-likelihood of variances).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import beta, t

from eventlib.ranking.evaluation import Z90
from eventlib.ranking.features import LEVELS, PRIOR_EXPOSURE, code_cells
from eventlib.ranking.judge import DEBIASED
from eventlib.ranking.training import LOWEST, fit_ranker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from eventlib.ranking.pipeline import Judged, Options
    from eventlib.ranking.training import FittedRanker

__all__ = [
    "FEW_CELLS",
    "HeldCells",
    "Share",
    "Spread",
    "bounds",
    "find_spread",
    "held_cells",
    "people_behind",
]

FEW_CELLS: Final = 40
"""Held-out cells below which intervals are mostly as wide as the prior."""

PROMPT_GROUPS: Final = 10
"""Prompts are left out a tenth at a time to see how new ones are scored."""

LARGEST: Final = 0.5
"""Of s * (1 - s): the largest variance that a Beta still bounds sensibly (s = .5: the uniform has a third)."""

LEAST_FREEDOM: Final = 4.0
"""Degrees of freedom at least: the prior alone has fewer, but its mean is wide as it is."""

_TAIL: Final = 0.05
_OWN: Final = np.linspace(0, 0.75, 31)
_THIN: Final = np.linspace(0, 1.5, 31)
"""Roots of both shares. A thin history may be far off: the grid goes beyond 1, since `k / (k + n)` is small for most."""


@dataclass(frozen=True, slots=True)
class HeldCells:
    """Cells of content and prompt that were shown after the cut.

    Attributes
    ----------
    cells : DataFrame
        `CELL`, one row per cell.
    examined, rate : ndarray of float64, shape (cells,)
        Sum of exposures, and clicks over it.
    exposure : ndarray of float64, shape (cells,)
        Mean exposure of an examined show: the sum of squared exposures over the sum.
    repeats : float
        How much larger the variance of a cell's clicks is than if each show were of another person.
    """

    cells: pd.DataFrame
    examined: NDArray[np.float64]
    rate: NDArray[np.float64]
    exposure: NDArray[np.float64]
    repeats: float

    def of(self, rows: NDArray[np.bool_]) -> HeldCells:
        """Return some of the cells, shape (cells,)."""
        parts = (self.examined[rows], self.rate[rows], self.exposure[rows])
        return HeldCells(self.cells[rows], *parts, self.repeats)

    def noise(self, relevance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variance of each cell's rate around its relevance."""
        clicks = relevance * (1 - relevance * self.exposure)
        return self.repeats * clicks / self.examined


@dataclass(frozen=True, slots=True)
class Share:
    """Spread around the signal as shares of `s * (1 - s)`.

    Attributes
    ----------
    own, thin : float
        Of any row, and of one whose history is all shrinkage.
    widening : float
        What a variance is multiplied by since the shares are estimates: the squared ratio of the 95th percentile of
        Student's t, with degrees of freedom after Satterthwaite, to the normal one.
    cells : int
        Held-out cells that it was found on.
    """

    own: float
    thin: float
    widening: float
    cells: int

    def variance(
        self, signal: NDArray[np.float64], sampling: NDArray[np.float64], examined: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the whole variance of signals with some of sampling, and `examined` shows behind their histories."""
        share = self.own + self.thin * _shrunk(examined)
        found: NDArray[np.float64] = self.widening * (sampling + signal * (1 - signal) * share)
        return found


@dataclass(frozen=True, slots=True)
class Spread:
    """Spread of rows of single prompts, and of rows of a cluster around a new prompt's relevance."""

    prompt: Share
    cluster: Share


def _shrunk(examined: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared weight of the wider history."""
    weight: NDArray[np.float64] = (PRIOR_EXPOSURE / (PRIOR_EXPOSURE + examined)) ** 2
    return weight


def bounds(
    signal: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 5th and 95th percentile of the Beta with these means and variances, around the signal.

    Parameters
    ----------
    signal, variance
        Shape (rows,); a variance above `LARGEST * s * (1 - s)` is taken for that.
    """
    mean = np.clip(signal, LOWEST, 1 - LOWEST)
    most = mean * (1 - mean)
    shows = most / np.clip(variance, 1e-12, LARGEST * most) - 1
    lower, upper = (beta.ppf(tail, mean * shows, (1 - mean) * shows) for tail in (_TAIL, 1 - _TAIL))
    # a skewed one may have its mean outside
    return np.clip(lower, LOWEST, signal), np.clip(upper, signal, 1.0)


def people_behind(judged: Judged, keys: Sequence[str], kept: NDArray[np.bool_] | None = None) -> pd.DataFrame:
    """Return `people`, their effective number and the exposure `e` behind each key, from the shows before the cut.

    `told` says which keys may be told of: ten people or more are behind them, and as many behind what is left of the wider
    key (S7.10).

    Parameters
    ----------
    keys
        One of `LEVELS`.
    kept
        Which shows count, shape (shows,); all if None.
    """
    data = judged.train
    shows = data.cells.iloc[data.cell][list(keys)].reset_index(drop=True)
    told = data.crowded[len(keys) - 1][data.cell]
    shows = shows.assign(person=data.counted, e=judged.theta[data.place], told=told)
    shows = shows if kept is None else shows[kept]
    by_person = shows.groupby([*keys, "told", "person"], sort=True)["e"].sum().reset_index()
    by_person["square"] = by_person["e"] ** 2
    sums = by_person.groupby([*keys, "told"], sort=True).agg(
        people=("e", "size"), e=("e", "sum"), square=("square", "sum")
    )
    return sums.assign(n_effective=sums["e"] ** 2 / sums["square"]).reset_index()


def _history_behind(
    judged: Judged, level: int, cells: pd.DataFrame, kept: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the examined shows behind each cell's key at a level; none where the key may not be told of."""
    keys = list(LEVELS[level])
    people = people_behind(judged, keys, kept)
    told = people[people["told"]].set_index(keys)["e"]
    found: NDArray[np.float64] = told.reindex(pd.MultiIndex.from_frame(cells[keys])).to_numpy(np.float64)
    return np.nan_to_num(found)


def held_cells(judged: Judged) -> HeldCells:
    """Sum the held-out shows of each cell of content and prompt, over exposures as they were before the cut."""
    held = judged.held
    cells, cell = code_cells(held.frame, sort=True)
    e = judged.theta[held.place]
    examined, squared, clicks = (
        np.bincount(cell, values, len(cells)).astype(np.float64) for values in (e, e**2, held.clicked)
    )
    rate = clicks / examined
    repeats = _repeats(held.clicked - e * rate[cell], cell, held.person)
    return HeldCells(cells, examined, rate, squared / examined, repeats)


def _repeats(residual: NDArray[np.float64], cell: NDArray[np.intp], person: NDArray[np.intp]) -> float:
    """Return the variance of sums per person and cell over that of single shows."""
    pair = np.unique(cell * (person.max(initial=0) + 1) + person, return_inverse=True)[1]
    alone = float((residual**2).sum())
    return float((np.bincount(pair, residual) ** 2).sum()) / alone if alone > 0 else 1.0


def find_spread(
    judged: Judged, options: Options, held: HeldCells, refits: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> Spread:
    """Find how far held-out clicks are from the champion's signals, of known prompts and of new ones.

    Parameters
    ----------
    judged, options
        What was trained, and how.
    held
        Its held-out cells.
    refits
        What refits on resampled people say of them, shape (refits, cells): as they are, and as of a new prompt.
    """
    prompt_history = _history_behind(judged, 2, held.cells)
    known = prompt_history > 0
    signal = judged.ranker.predict(judged.ranker.design(held.cells, judged.contents))
    new_signal, new_history = _as_new(judged, options, held.cells)
    scored = np.isfinite(new_signal)
    return Spread(
        prompt=find_share(held.of(known), signal[known], refits[0][:, known], prompt_history[known]),
        cluster=find_share(held.of(scored), new_signal[scored], refits[1][:, scored], new_history[scored]),
    )


def _as_new(
    judged: Judged, options: Options, cells: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what rankers that learned nothing of each cell's prompt say of it, and the history that they had.

    NaN and 0 where nothing else was there to learn from.
    """
    asked = judged.train.cells[["prompt_cluster", "prompt_id"]]
    prompts = pd.MultiIndex.from_frame(asked.drop_duplicates().sort_values(["prompt_cluster", "prompt_id"]))
    group_of_show = (prompts.get_indexer(pd.MultiIndex.from_frame(asked)) % PROMPT_GROUPS)[judged.train.cell]
    codes = prompts.get_indexer(pd.MultiIndex.from_frame(cells[["prompt_cluster", "prompt_id"]]))
    group = np.where(codes >= 0, codes % PROMPT_GROUPS, PROMPT_GROUPS)  # the last: new after the cut
    new = cells.assign(prompt_id="")
    signal, examined = np.full(len(cells), np.nan), np.zeros(len(cells))
    for number in np.unique(group):
        rows, kept = group == number, group_of_show != number
        if not kept.any():
            continue
        ranker = judged.ranker if kept.all() else _without(judged, options, kept)
        signal[rows] = ranker.predict(ranker.design(new[rows], judged.contents))
        examined[rows] = _history_behind(judged, 1, new[rows], kept)
    return signal, examined


def _without(judged: Judged, options: Options, kept: NDArray[np.bool_]) -> FittedRanker:
    """Train the champion on some of the shows, calibrated as it is."""
    exposure = judged.theta if judged.champion == DEBIASED else np.ones_like(judged.theta)
    return fit_ranker(
        judged.train, exposure, seed=options.seed, weights=kept.astype(np.float64),
        calibration=(judged.ranker.intercept, judged.ranker.slope), learner=options.learner,
    )  # fmt: skip


def find_share(
    held: HeldCells, signal: NDArray[np.float64], refits: NDArray[np.float64], history: NDArray[np.float64]
) -> Share:
    """Integrate both shares over the grid, by the pseudo-likelihood of the residuals of cells.

    Parameters
    ----------
    held
        Cells with clicks that nothing was learned from.
    signal, history
        What is said of each, and the examined shows behind that, shape (cells,).
    refits
        What refits say of each, shape (refits, cells).
    """
    s, e = signal, held.examined
    if len(s) == 0:
        return Share(float((_OWN**2).mean()), float((_THIN**2).mean()), 1.0, 0)
    clicks, expected = float((e * held.rate).sum()), float((e * s).sum())
    factor = clicks / expected if clicks > 0 else 1.0
    own_refits = refits / np.maximum(refits @ e, LOWEST)[:, None] * expected
    known = held.noise(s) / factor + own_refits.var(axis=0, ddof=1)
    squares = (held.rate / factor - s) ** 2
    most = s * (1 - s)
    thin = most[:, None] * _shrunk(history)[:, None] * _THIN**2
    likelihood = np.empty((len(_OWN), len(_THIN)))
    for i, own in enumerate(_OWN**2):
        variance = (known + own * most)[:, None] + thin
        likelihood[i] = -0.5 * (np.log(variance) + squares[:, None] / variance).sum(axis=0)
    weight = np.exp(likelihood - likelihood.max())
    weight /= weight.sum()
    total = (own_refits.var(axis=0, ddof=1) + thin.T).mean(axis=1) + (_OWN**2 * most.mean())[:, None]
    return Share(
        own=float(weight.sum(axis=1) @ _OWN**2),
        thin=float(weight.sum(axis=0) @ _THIN**2),
        widening=_widening(total, weight),
        cells=len(s),
    )


def _widening(total: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Return the factor for a mean variance over a grid with weights that add up to 1."""
    mean = float((weight * total).sum())
    freedom = 2 * mean**2 / max(float((weight * (total - mean) ** 2).sum()), 1e-12)
    return float(t.ppf(1 - _TAIL, max(freedom, LEAST_FREEDOM)) / Z90) ** 2
