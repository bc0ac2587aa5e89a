"""Expectation-maximisation on (item, place) cells: the likelihood that PBM and UBM share.

A click needs a look and an interest, `P(click) = exposure(place) * relevance(item)`. In a position-based model a
place is a rank; in a user browsing model it is a rank with its distance from the last click. Either way the log
likelihood is `sum(clicks * log(t * g) + (shows - clicks) * log(1 - t * g))` over cells.

Source: Chuklin, Markov and de Rijke, Click Models for Web Search, 2015, chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from eventlib.ranking.clicks.sessions import Bools, Floats, Ints, total

__all__ = ["TINY", "Cells", "Fit", "count", "expectation_maximisation", "inside"]

TINY: Final = 1e-12
_DENSE_PER_ROW: Final = 4
_DENSE: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Cells:
    """Shows and clicks per (item, place), one entry per cell, sorted by item."""

    item: Ints
    place: Ints
    shows: Floats
    clicks: Floats
    items: int
    places: int

    def by_item(self, values: Floats) -> Floats:
        """Sum over the cells of each item."""
        return total(self.item, values, self.items)

    def by_place(self, values: Floats) -> Floats:
        """Sum over the cells of each place."""
        return total(self.place, values, self.places)

    def matrix(self, values: Floats) -> csr_array:
        """Return values as a sparse matrix, items by places; cells are sorted, so nothing is copied."""
        ends = np.cumsum(np.bincount(self.item, minlength=self.items))
        pointers = np.concatenate([[0], ends]).astype(np.int32 if len(values) < 2**31 else np.int64)
        return csr_array((values, self.place.astype(pointers.dtype), pointers), (self.items, self.places))

    def chosen(self, keep: Bools) -> Cells:
        """Return some of the cells."""
        return Cells(
            self.item[keep], self.place[keep], self.shows[keep], self.clicks[keep], self.items, self.places
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """Exposure per place, relevance per item, and what was maximised, before each step, in nats per show."""

    theta: Floats
    gamma: Floats
    path: Floats


def inside(values: Floats) -> Floats:
    """Keep probabilities off 0 and 1, so that their logarithms are finite."""
    return np.clip(values, TINY, 1 - TINY)


def count(item: Ints, place: Ints, clicked: Bools, items: int, places: int) -> Cells:
    """Count shows and clicks per cell; cells come sorted by item and place.

    >>> cells = count(np.array([1, 0, 1]), np.array([0, 0, 0]), np.array([True, False, False]), 2, 1)
    >>> cells.item.tolist(), cells.shows.tolist(), cells.clicks.tolist()
    ([0, 1], [1.0, 2.0], [0.0, 1.0])
    """
    key = item * places + place
    if items * places <= max(_DENSE, _DENSE_PER_ROW * len(key)):
        shows = np.bincount(key, minlength=items * places)
        clicks = np.bincount(key[clicked], minlength=items * places)
        cell = np.flatnonzero(shows)
        shows, clicks = shows[cell], clicks[cell]
    else:
        cell, where, shows = np.unique(key, return_inverse=True, return_counts=True)
        clicks = np.bincount(where[clicked], minlength=len(cell))
    return Cells(
        cell // places, cell % places, shows.astype(np.float64), clicks.astype(np.float64), items, places
    )


class _Skipped:
    """Unclicked shows, as a matrix whose weights each step replaces."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells.chosen(cells.shows > cells.clicks)
        self.shows = self.cells.shows - self.cells.clicks
        self.weights = self.cells.matrix(self.shows.copy())

    def weigh(self, theta: Floats, gamma: Floats) -> float:
        """Weigh each show by one over its chance of no click; return their log likelihood."""
        chance = gamma[self.cells.item]
        chance *= theta[self.cells.place]
        np.subtract(1, chance, out=chance)
        np.maximum(chance, TINY, out=chance)
        np.divide(self.shows, chance, out=self.weights.data)
        # no dot product: BLAS would start threads for it, which cost more than they save
        return float(np.multiply(self.shows, np.log(chance, out=chance), out=chance).sum())


def _log_weighted(weight: Floats, probability: Floats) -> float:
    """Return the sum of weight * log(probability); what has no weight adds nothing, whatever its probability."""
    return float(np.multiply(weight, np.log(np.maximum(probability, TINY))).sum())


def _log_refused(weight: float, probability: Floats) -> float:
    """Return what a prior's unclicked shows add; the logarithms are not asked for where there are none."""
    return weight * float(np.log(np.maximum(1 - probability, TINY)).sum()) if weight else 0.0


def expectation_maximisation(
    cells: Cells,
    theta: Floats,
    gamma: Floats,
    *,
    fit_exposure: bool,
    prior_shows: float,
    prior_mean: float,
    prior_place_shows: float = 0.0,
    max_iter: int,
    tol: float,
) -> Fit:
    """Fit relevance, and exposure unless it is known, from a start.

    Each step (1) asks what an unclicked show was worth: `g * (1 - t) / (1 - t * g)` of an interest and
    `t * (1 - g) / (1 - t * g)` of a look; (2) divides interests and looks by shows. What it maximises, the
    likelihood with the prior's shows, never falls.

    Parameters
    ----------
    theta, gamma
        Where exposure per place and relevance per item start, float64 in (0, 1].
    prior_shows, prior_mean
        Examined shows added to every item, and the share of them that were clicked: a Beta prior.
    prior_place_shows
        Shows added to every place whose exposure is fitted, half of them examined: a Beta prior too.
    max_iter, tol
        Steps at most; stop when the mean log likelihood per show rises by less than `tol`.
    """
    clicked, shown = cells.by_item(cells.clicks), cells.by_item(cells.shows)
    place_clicked, place_shown = cells.by_place(cells.clicks), cells.by_place(cells.shows)
    skipped, shows = _Skipped(cells), float(cells.shows.sum())
    liked, looked = prior_shows * prior_mean, prior_place_shows / 2 if fit_exposure else 0.0
    path: list[float] = []
    for _ in range(max_iter):
        missed = skipped.weigh(theta, gamma)
        hits = _log_weighted(clicked + liked, gamma) + _log_weighted(place_clicked + looked, theta)
        path.append(hits + missed + _log_refused(prior_shows - liked, gamma) + _log_refused(looked, theta))
        interest = clicked + liked + gamma * (skipped.weights @ (1 - theta))
        if fit_exposure:
            looks = place_clicked + looked + theta * (skipped.weights.T @ (1 - gamma))
            theta = np.maximum(looks / (place_shown + 2 * looked), TINY)
        gamma = np.clip(interest / (shown + prior_shows), TINY, 1)
        if len(path) > 1 and path[-1] - path[-2] < tol * shows:
            break
    return Fit(theta, inside(gamma), np.array(path) / shows)
