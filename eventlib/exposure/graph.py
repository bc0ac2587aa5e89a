"""Which positions are tied to each other by clicked swaps, and by how many clicks (S8.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from eventlib.cells import hide_small_cells
from eventlib.exposure.curve import name_places
from eventlib.exposure.swaps import KEY, Bools, Floats, Ints, People, Swaps, harvest_swaps, one_engine
from eventlib.small_cells import SMALL_CELL

__all__ = ["joined_places", "rank_graph", "weakest_tie"]

_GRAPH: Final = (
    "slot", "rank", "slot_b", "rank_b", "keys", "clicks", "clicked_here_share", "people", "component",
)  # fmt: skip


def rank_graph(rows: pd.DataFrame, *, engine: str | None = None, key: Sequence[str] = KEY) -> pd.DataFrame:
    """Tell which positions are tied by clicked swaps: one row per pair of positions that a key was shown at.

    Parameters
    ----------
    rows, engine, key
        As `estimate_exposure` takes them.

    Returns
    -------
    pandas.DataFrame
        `slot, rank, slot_b, rank_b, keys` (shown at both), `clicks` (of these keys at either), `clicked_here_share`
        (of the clicks, at the first), `people` (who clicked), `component` (positions of one number have finite
        exposures relative to each other: 1 that of the reference, 0 where the two are of different ones). Pairs
        with fewer than ten people are left out with the next smallest, and the share is NaN where fewer than ten
        clicked on one of the sides (S7.10).
    """
    _, rows = one_engine(rows, engine, "rank_graph")
    swaps = harvest_swaps(rows, key)
    if not len(rows):
        return pd.DataFrame(columns=list(_GRAPH))
    kept, informing = swaps.informing()
    people = People.of(rows)[kept]
    shows, clicks = informing.cells()
    part = _components(shows, clicks)
    both = _ones(shows).T @ _ones(shows)
    pairs = [(p, q) for p, q in zip(*np.triu_indices(len(part), 1), strict=True) if both[p, q]]
    sides = _Sides(informing, people)
    found = [_pair(swaps.positions, sides, int(p), int(q), int(both[p, q]), part) for p, q in pairs]
    frame = pd.DataFrame(found, columns=list(_GRAPH))
    return hide_small_cells(frame, "people")[0]


class _Sides:
    """Who clicked at one position on keys that were also shown at another."""

    def __init__(self, swaps: Swaps, people: People) -> None:
        shows = swaps.cells()[0]
        self._shown = [shows[:, [q]].toarray().ravel() > 0 for q in range(shows.shape[1])]
        clicked = swaps.clicked > 0
        at = [np.flatnonzero(clicked & (swaps.position == p)) for p in range(shows.shape[1])]
        self._key = [swaps.key[rows] for rows in at]
        self._people = [people.counted[rows] for rows in at]

    def clicked(self, p: int, q: int) -> Ints:
        """Return the people of the clicks at p on keys also shown at q, one entry per click."""
        people: Ints = self._people[p][self._shown[q][self._key[p]]]
        return people


def _pair(
    positions: pd.DataFrame, sides: _Sides, p: int, q: int, keys: int, part: Ints
) -> tuple[object, ...]:
    here, there = sides.clicked(p, q), sides.clicked(q, p)
    clicks = len(here) + len(there)
    least = min(len(np.unique(here)), len(np.unique(there)))
    share = len(here) / clicks if least >= SMALL_CELL else np.nan
    a, b = positions.iloc[p], positions.iloc[q]
    people = len(np.unique(np.concatenate([here, there])))
    component = part[p] if part[p] == part[q] else 0
    return a["slot"], a["rank"], b["slot"], b["rank"], keys, clicks, share, people, component


def _ones(cells: csr_array) -> csr_array:
    """Return 1 where a matrix is not 0."""
    return csr_array((cells > 0).astype(np.float64))


def _wins(shows: csr_array, clicks: csr_array) -> Floats:
    """Return the clicks at p on keys also shown at q, shape (p, q)."""
    wins: Floats = (clicks.T @ _ones(shows)).toarray()
    np.fill_diagonal(wins, 0.0)
    return wins


def _components(shows: csr_array, clicks: csr_array) -> Ints:
    """Number the parts of the graph of positions, 1 that of the reference."""
    _, part = connected_components(_wins(shows, clicks) > 0, directed=True, connection="strong")
    return np.asarray(pd.factorize(part)[0] + 1, dtype=np.int64)  # in the order of their first position


def joined_places(shows: csr_array, clicks: csr_array) -> Bools:
    """Tell which positions the reference reaches by swaps, and is reached from.

    The maximum is finite exactly within a strongly connected part of the graph "clicked here, also shown
    there": a position that never won a click against the others has no finite log exposure.

    Parameters
    ----------
    shows, clicks
        Of informing keys, keys by positions.
    """
    joined: Bools = _components(shows, clicks) == 1
    return joined


def weakest_tie(swaps: Swaps, people: People, joined: Bools, used: Bools, limit: float) -> str:
    """Say which used positions hang on the others by so few clicks that these alone are too imprecise.

    A tie of a clicks at one position and b at the other, on keys shown at both, knows their log ratio to about
    `sqrt(1 / a + 1 / b)`. Among all chains from the reference the one with the best ties is taken (the minimum
    spanning tree), and in it the worst tie that a used position hangs on; "" if its error is within the limit.

    Parameters
    ----------
    swaps, people
        Rows of informing keys.
    joined, used
        Per position.
    limit
        Of the error of log exposure.
    """
    wins = _wins(*swaps.cells())
    wins[~joined] = 0.0
    with np.errstate(divide="ignore"):
        cost = np.where((wins > 0) & (wins.T > 0), 1 / wins + 1 / wins.T, 0.0)
    tree = minimum_spanning_tree(csr_array(np.triu(cost))).toarray()
    for p, q in sorted(zip(*np.nonzero(tree), strict=True), key=lambda edge: -tree[edge]):
        if tree[p, q] <= limit**2:
            break
        cut = tree.copy()
        cut[p, q] = 0.0
        _, part = connected_components(cut, directed=False)
        beyond = (part == part[p if part[p] != part[0] else q]) & joined & used
        if beyond.any():
            return _hangs(swaps, people, int(p), int(q), beyond)
    return ""


def _hangs(swaps: Swaps, people: People, p: int, q: int, beyond: Bools) -> str:
    sides = _Sides(swaps, people)
    here, there = sides.clicked(p, q), sides.clicked(q, p)
    few = min(len(np.unique(side)) for side in (here, there)) < SMALL_CELL
    tie = swaps.positions.iloc[[p, q]]
    by = "the clicks of fewer than ten people" if few else f"{len(here):,} and {len(there):,} clicks"
    verb = "hangs" if beyond.sum() == 1 else "hang"
    return f"{name_places(swaps.positions[beyond])} {verb} on the rest by {by} at {name_places(tie)}"
