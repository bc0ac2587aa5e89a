"""Checks of a click model and a ranker on held-out people: calibration and perplexity (S8.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.ranking.evaluation import Z90

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = [
    "Calibration",
    "Perplexity",
    "calibration",
    "calibration_bins",
    "perplexity",
]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How held-out clicks follow exposure * relevance: `slope` 1 and `total` 0 are perfect."""

    slope: float
    slope_sd: float
    total: float
    total_sd: float


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Held-out perplexity of the click model and of click rates by rank alone; `gain` in nats per show, paired."""

    model: float
    rank_only: float
    gain: float
    gain_sd: float


def _by_person(person: NDArray[np.intp], *columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum each column over the shows of each person, shape (people, columns)."""
    return np.stack([np.bincount(person, column) for column in columns], axis=1)


def _slope_total(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted regression slope of clicks on predictions, and clicks over predictions - 1, from sums (…, 7)."""
    w, wp, wc, wpp, wpc, p, c = np.moveaxis(sums, -1, 0)
    spread = wpp - wp**2 / w
    return (wpc - wp * wc / w) / np.maximum(spread, 1e-12), c / p - 1


def calibration(
    predicted: NDArray[np.float64],
    clicked: NDArray[np.float64],
    person: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> Calibration:
    """Regress clicks on predicted probabilities, weighted by one over their variance.

    Parameters
    ----------
    predicted, clicked, person
        One entry per show.
    weights
        Bootstrap counts, shape (replicates, people); they give the standard deviations.
    """
    w = 1 / (predicted * (1 - predicted))
    sums = _by_person(
        person, w, w * predicted, w * clicked, w * predicted**2, w * predicted * clicked, predicted, clicked
    )
    slope, total = _slope_total(sums.sum(axis=0))
    slopes, totals = _slope_total(weights @ sums)
    return Calibration(float(slope), float(slopes.std(ddof=1)), float(total), float(totals.std(ddof=1)))


def calibration_bins(
    predicted: NDArray[np.float64],
    clicked: NDArray[np.float64],
    person: NDArray[np.intp],
    weights: NDArray[np.float64],
    bins: int = 8,
) -> pd.DataFrame:
    """Compare predicted and observed click rates in bins of equal numbers of shows.

    Returns
    -------
    DataFrame
        `predicted, observed, lower, upper, shows`; 90 % intervals; bins under ten people left out (S7.10).
    """
    columns = ["predicted", "observed", "lower", "upper", "shows"]
    if not len(predicted):
        return pd.DataFrame(columns=columns)
    edges = np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1])
    part = np.searchsorted(edges, predicted, side="right")
    rows = []
    for k in np.unique(part):
        inside = part == k
        if len(np.unique(person[inside])) < SMALL_CELL:
            continue
        sums = _by_person(person, inside * clicked, inside.astype(np.float64))
        drawn = weights @ sums
        sd = float((drawn[:, 0] / np.maximum(drawn[:, 1], 1)).std(ddof=1))
        rate = float(clicked[inside].mean())
        row = (predicted[inside].mean(), rate, rate - Z90 * sd, rate + Z90 * sd, int(inside.sum()))
        rows.append(dict(zip(columns, row, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def perplexity(
    model: NDArray[np.float64],
    rank_only: NDArray[np.float64],
    clicked: NDArray[np.float64],
    person: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> Perplexity:
    """Compare two predictions of held-out clicks, show by show, with errors by person.

    In a position-based model clicks of one answer are independent, so conditional perplexity is perplexity.
    """

    def gains(p: NDArray[np.float64]) -> NDArray[np.float64]:
        p = np.clip(p, 1e-6, 1 - 1e-6)
        return np.where(clicked > 0, np.log(p), np.log1p(-p))

    ours, theirs = gains(model), gains(rank_only)
    sums = _by_person(person, ours - theirs, np.ones_like(ours))
    drawn = weights @ sums
    sd = float((drawn[:, 0] / drawn[:, 1]).std(ddof=1))
    return Perplexity(
        float(np.exp(-ours.mean())), float(np.exp(-theirs.mean())), float((ours - theirs).mean()), sd
    )
