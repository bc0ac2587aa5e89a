"""Checks of a click model and a ranker on held-out people: calibration, trend by place, perplexity (S8.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import norm

from eventlib.geo.cells import SMALL_CELL
from eventlib.ranking.evaluation import Z90, Z95

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventlib.exposure import Swaps

__all__ = [
    "Calibration",
    "Perplexity",
    "Trend",
    "calibration",
    "calibration_bins",
    "perplexity",
    "trend",
]

TRUST_TREND: Final = 0.3
"""A click model with trust bias .2 at rank 1 (falling as 1/rank) shows about this trend where it is called none."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How held-out clicks follow exposure * relevance: `slope` 1 and `total` 0 are perfect."""

    slope: float
    slope_sd: float
    total: float
    total_sd: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Interaction of log exposure and log relevance left in held-out clicks; 0 if the position model holds."""

    estimate: float
    sd: float
    power: float

    @property
    def found(self) -> bool:
        """The 95 % interval leaves 0 out."""
        return abs(self.estimate) > Z95 * self.sd


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


def trend(
    swaps: Swaps, log_exposure: NDArray[np.float64], relevance: NDArray[np.float64], person: NDArray[np.intp]
) -> Trend:
    """Look for clicks that exposure * relevance does not explain, by place and attractiveness together.

    Within each key (one content version, prompt and month) the odds of a click at one place or another should not
    depend on how attractive the key is. They are fitted with `exposure ** (1 + b * z)`, z the key's log relevance
    as known from other people, centred; the key's own attractiveness cancels, as in the exposure itself. Comparing
    between keys would not do: what stands higher is better than its score says, which looks like a trend (-.4 in
    worlds without one). Where people click what stands on top because it stands there, the odds of unattractive
    keys are steeper, and b is negative.

    Parameters
    ----------
    swaps
        Held-out shows by key and place.
    log_exposure
        Log exposure of each place of `swaps`, fitted on them.
    relevance, person
        Per show: the champion's relevance, and codes of people for the error.

    Returns
    -------
    Trend
        `power` is the chance of finding a trend of .3, such as a trust bias of .2 at rank 1 makes.
    """
    shows, clicks = swaps.matrices()
    z = np.bincount(swaps.key, np.log(relevance)) / np.maximum(np.bincount(swaps.key), 1)
    informs = (shows > 0).sum(axis=1) > 1
    totals = np.where(informs, clicks.sum(axis=1), 0.0)
    z = z - (z * totals).sum() / max(totals.sum(), 1.0)
    width = len(log_exposure)
    # one column per place but the reference, then the trend: shape (keys, places, places)
    x = np.zeros((*shows.shape, width))
    x[:, np.arange(1, width), np.arange(width - 1)] = 1.0
    x[:, :, -1] = z[:, None] * log_exposure
    beta = np.append(log_exposure[1:], 0.0)
    information = np.eye(width)
    for _ in range(50):
        weight = shows * np.exp(x @ beta)
        share = weight / weight.sum(axis=1, keepdims=True)
        mean = np.einsum("kp,kpj->kj", share, x)
        observed = np.einsum("kp,kpj->j", clicks * informs[:, None], x)
        second = np.einsum("k,kp,kpi,kpj->ij", totals, share, x, x, optimize=True)
        information = second - (mean * totals[:, None]).T @ mean + 1e-9 * np.eye(width)
        step = np.linalg.solve(information, observed - totals @ mean)
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    clicked = np.flatnonzero((swaps.clicked > 0) & informs[swaps.key])
    scores = x[swaps.key[clicked], swaps.position[clicked]] - mean[swaps.key[clicked]]
    by_person = _by_person(person[clicked], *scores.T)
    bread = np.linalg.inv(information)
    sd = float(np.sqrt((bread @ (by_person.T @ by_person) @ bread)[-1, -1]))
    power = float(norm.cdf(TRUST_TREND / sd - Z95)) if sd > 0 else 0.0
    return Trend(float(beta[-1]), sd, power)


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
