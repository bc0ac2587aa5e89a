"""The same figures of two sides, and their difference with an interval that draws people, not devices or moves.

What one person did stands in one row on both sides, so that a draw of people is the same draw for either: where both sides
count the same people in two ways, the difference is known far better than either figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import ndtri

from eventlib.cells import clustered_share, small_cells
from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DRAWS", "Side", "around", "columns_of", "compare", "few_people", "tally", "without_second"]

DRAWS: Final = 400
_Z90: Final = float(ndtri(0.95))


@dataclass(frozen=True, slots=True)
class Side:
    """What is counted on one side.

    Attributes
    ----------
    cells
        Person by cell: how many of what is counted are theirs.
    base
        Person by total: what shares are of.
    """

    cells: sparse.csr_matrix
    base: sparse.csr_matrix


def tally(
    person: npt.NDArray[np.int64], column: npt.NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_matrix:
    """Return how often each person stands with each column."""
    return sparse.csr_matrix((np.ones(len(person)), (person, column)), shape=shape)


def people_in(counts: sparse.csr_matrix) -> npt.NDArray[np.int64]:
    """Return how many people stand behind each column."""
    return np.asarray((counts > 0).sum(axis=0), dtype=np.int64).ravel()


def few_people(first: sparse.csr_matrix, second: sparse.csr_matrix) -> npt.NDArray[np.bool_]:
    """Tell where the two differ for somebody, but for fewer than ten people."""
    differ = np.asarray((first != second).sum(axis=0), dtype=np.int64).ravel()
    return np.asarray((differ > 0) & (differ < SMALL_CELL), dtype=np.bool_)


def columns_of(names: tuple[str, str]) -> list[str]:
    """Return the columns of a comparison."""
    sides = [f"{name}{what}" for name in names for what in ("", "_share", "_lower", "_upper")]
    return [*sides, "difference", "lower", "upper"]


def without_second(frame: pd.DataFrame, rows: npt.NDArray[np.bool_], names: tuple[str, str]) -> None:
    """Empty the second side and the difference of some rows, in place."""
    frame.loc[rows, columns_of(names)[4:]] = np.nan


def compare(
    sides: tuple[Side, Side],
    base: npt.NDArray[np.int64],
    names: tuple[str, str],
    *,
    group: npt.NDArray[np.int64] | None = None,
    hidden: npt.NDArray[np.bool_] | None = None,
    same_people: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Return both sides' counts and shares, and the difference of the shares.

    Parameters
    ----------
    sides
        Of the same people and cells, in the same order.
    base
        Which total each cell is a share of.
    names
        What the sides are called.
    group
        Cells that add up to a total which is shown; None if none do.
    hidden
        Cells that may not be shown for another reason.
    same_people
        Both sides count the same people, in two ways: then the second is not told, nor the difference, where they differ
        for under ten people.
    draws, seed
        Of the bootstrap.

    Returns
    -------
    frame
        One row per cell: `columns_of(names)`.
    small
        Which rows may not be shown: under ten people on one side, or the next smallest beside such a one.
    """
    total = [np.asarray(side.cells.sum(axis=0)).ravel() for side in sides]
    shares = [_shares(count, side.base, base) for count, side in zip(total, sides, strict=True)]
    drawn = _draw(sides, base, draws, seed)
    frame = pd.DataFrame(index=range(len(base)))
    for index, name in enumerate(names):
        frame[name] = pd.array(total[index].astype(np.int64), dtype="Int64")
        frame[f"{name}_share"] = shares[index]
        clusters = people_in(sides[index].base)
        frame[f"{name}_lower"], frame[f"{name}_upper"] = _bounds(shares[index], drawn[index], clusters, base)
    frame["difference"] = shares[0] - shares[1]
    frame["lower"], frame["upper"] = around(shares[0] - shares[1], drawn[0] - drawn[1])
    counts = [people_in(side.cells) for side in sides]
    small = _small(counts, group, hidden)
    if same_people:
        few = few_people(sides[0].cells, sides[1].cells) | few_people(sides[0].base, sides[1].base)[base]
        without_second(frame, _beside(few & ~small, np.minimum(*counts), group) & ~small, names)
    return frame, small


def _shares(
    counts: npt.NDArray[Any], base: sparse.csr_matrix, column: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    total = np.asarray(base.sum(axis=0)).ravel()[column]
    share: npt.NDArray[np.float64] = np.full(len(column), np.nan)
    np.divide(counts, total, out=share, where=total > 0)
    return share


def _draw(
    sides: tuple[Side, Side], base: npt.NDArray[np.int64], draws: int, seed: int
) -> list[npt.NDArray[np.float64]]:
    """Return draws by cell of each side's share; one draw of people for both."""
    rng = np.random.default_rng(seed)
    people = sides[0].cells.shape[0]
    chance = np.full(people, 1 / max(people, 1))
    drawn = [np.full((draws, len(base)), np.nan) for _ in range(2)]
    for draw in range(draws if people else 0):
        weight = rng.multinomial(people, chance)
        for side, shares in zip(sides, drawn, strict=True):
            total = (side.base.T @ weight)[base]
            np.divide(side.cells.T @ weight, total, out=shares[draw], where=total > 0)
    return drawn


def _bounds(
    share: npt.NDArray[np.float64],
    drawn: npt.NDArray[np.float64],
    clusters: npt.NDArray[np.int64],
    base: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return 90 % bounds of shares from the variance of their draws, total by total."""
    lower, upper = np.full(len(share), np.nan), np.full(len(share), np.nan)
    for column, people in enumerate(clusters):
        mine = base == column
        if mine.any() and people > 1:
            variance = np.nan_to_num(np.nanvar(drawn[:, mine], axis=0))
            lower[mine], upper[mine] = clustered_share(share[mine], variance, int(people))
    return lower, upper


def around(
    found: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return 90 % bounds from the spread of draws: their percentiles hold the truth too seldom (S8.5)."""
    known = ~np.isnan(drawn).all(axis=0)
    spread = np.full(len(found), np.nan)
    spread[known] = _Z90 * np.nanstd(drawn[:, known], axis=0)
    return found - spread, found + spread


def _small(
    counts: list[npt.NDArray[np.int64]],
    group: npt.NDArray[np.int64] | None,
    hidden: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.bool_]:
    """Tell which cells may not be shown on either side; a side on which nobody is tells of nobody."""
    small = np.logical_or(*[(count > 0) & (count < SMALL_CELL) for count in counts])
    return _beside(small if hidden is None else small | hidden, np.maximum(*counts), group)


def _beside(
    hidden: npt.NDArray[np.bool_], people: npt.NDArray[np.int64], group: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.bool_]:
    """Add the next smallest cell of each total with a hidden one, from which that would follow."""
    if group is None or not len(hidden):
        return hidden
    told = np.where(hidden, 0, np.maximum(people, SMALL_CELL))
    return np.asarray(small_cells(told, group), dtype=np.bool_)
