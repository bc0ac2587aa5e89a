"""Intervals of relevance from each item's profile likelihood, wider where exposure was estimated too.

With exposures known an item's likelihood has one parameter, and its interval holds the relevances whose log
likelihood is within `z**2 / 2` of the maximum (Wilks). On the log scale the model is additive, `log p = log t +
log g`, so that the observed information of a cell is `w = (shows - clicks) * p / (1 - p)**2` for item and place
alike. Eliminating the places (a Schur complement) gives the variance of `log g` with exposures estimated; its ratio
to the variance with exposures known widens the cut-off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.sparse import block_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import xlog1py, xlogy
from scipy.stats import norm

from eventlib.errors import BadCallError
from eventlib.ranking.clicks.em import TINY, Cells
from eventlib.ranking.clicks.sessions import Bools, Floats

__all__ = ["cut_off", "profile_interval", "widening"]

_HALVINGS: Final = 40
_BLOCK: Final = 2_000_000


def cut_off(interval: float) -> float:
    """Return how far below its maximum the log likelihood may fall.

    Raises
    ------
    BadCallError
        `interval` is not between 0 and 1.

    Examples
    --------
    >>> round(cut_off(0.9), 3)
    1.353
    """
    if not 0 < interval < 1:
        raise BadCallError(f"interval must lie between 0 and 1, got {interval}; .9 is the usual choice")
    return float(norm.ppf(0.5 + interval / 2)) ** 2 / 2


def _connected(cells: Cells, reference: int) -> tuple[Bools, Bools]:
    """Tell which items and places clicks join to the reference place, through items seen at two places."""
    graph = cells.matrix(np.ones(len(cells.item)))
    _, label = connected_components(block_array([[None, graph], [graph.T, None]]), directed=False)
    joined = label == label[cells.items + reference]
    return joined[: cells.items], joined[cells.items :]


def widening(cells: Cells, theta: Floats, gamma: Floats, reference: int) -> Floats:
    """Return per item how many times the variance of log relevance is what it would be with exposures known.

    Parameters
    ----------
    theta, gamma
        The fitted parameters; `reference` is the place whose exposure is 1 by definition.

    Returns
    -------
    ndarray of float64, shape (items,)
        At least 1; infinite where nothing joins the item to the reference, so that the log does not say.
    """
    # a place without a click says nothing of relevance: its exposure is fitted as 0
    used = cells.chosen(cells.by_place(cells.clicks)[cells.place] > 0)
    p = np.clip(theta[used.place] * gamma[used.item], TINY, 1 - 1e-9)
    w = used.matrix((used.shows - used.clicks) * p / (1 - p) ** 2)
    items, places = _connected(used, reference)
    places[reference] = False
    free = np.flatnonzero(places)
    per_item = np.asarray(w.sum(axis=1))
    share = w[:, free].multiply(1 / np.maximum(per_item, TINY)[:, None]).tocsr()
    information = np.diag(np.asarray(w.sum(axis=0))[free]) - (w[:, free].T @ share).toarray()
    ridge = 1e-9 * max(float(np.trace(information)), 1.0) * np.eye(len(free))
    covariance = np.linalg.inv(information + ridge)
    extra = _quadratic(share, covariance)
    return np.where(items, 1 + np.maximum(extra, 0) * per_item, np.inf)


def _quadratic(rows: csr_array, matrix: Floats) -> Floats:
    """Return `row @ matrix @ row` of each row, in blocks: as a whole it would be items by places, dense."""
    found = np.zeros(rows.shape[0])
    size = max(_BLOCK // max(rows.shape[1], 1), 1)
    for first in range(0, len(found), size):
        block = rows[first : first + size]
        found[first : first + size] = np.asarray((block.multiply(block @ matrix)).sum(axis=1)).ravel()
    return found


def profile_interval(
    cells: Cells, theta: Floats, gamma: Floats, drop: Floats, prior: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Return the lower and upper relevance at which each item's log likelihood has fallen by `drop`.

    Parameters
    ----------
    drop
        Per item, nats; infinite gives the widest interval there can be.
    prior
        Clicked and unclicked shows that the prior adds to each item.
    """
    clicked = cells.by_item(cells.clicks) + prior[0]
    skipped = cells.shows - cells.clicks
    exposure = theta[cells.place]

    def likelihood(g: Floats) -> Floats:
        missed = skipped * np.log(np.maximum(1 - exposure * g[cells.item], TINY))
        found: Floats = (
            xlogy(clicked, g) + cells.by_item(missed) + xlog1py(prior[1], -np.minimum(g, 1 - TINY))
        )
        return found

    # at this relevance the item would be clicked for certain where it is seen most
    most = np.full(cells.items, 1.0 if sum(prior) else 1 / TINY)
    np.minimum.at(most, cells.item, 1 / np.maximum(exposure, TINY))
    level = likelihood(gamma) - drop
    lower = _edge(likelihood, level, gamma, np.zeros(cells.items))
    return lower, _edge(likelihood, level, gamma, most)


def _edge(likelihood: Callable[[Floats], Floats], level: Floats, within: Floats, end: Floats) -> Floats:
    """Halve the way between what holds and an end, for all items at once; the end itself where it holds."""
    holds_at_end = likelihood(end) >= level
    out = end
    for _ in range(_HALVINGS):
        middle = (out + within) / 2
        holds = likelihood(middle) >= level
        within, out = np.where(holds, middle, within), np.where(holds, out, middle)
    return np.where(holds_at_end, end, within)
