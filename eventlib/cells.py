"""What may be shown of small groups, and intervals of shares whose observations come in clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "SMALL_CELL",
    "clustered_share",
    "distinct_clusters",
    "hide_small_cells",
    "merge_small_bands",
    "small_cells",
]

Floats: TypeAlias = NDArray[np.float64]


def small_cells(
    people: NDArray[Any], group: NDArray[Any] | None = None, k: int = SMALL_CELL, *, nobody: bool = False
) -> NDArray[np.bool_]:
    """Tell which cells may not be shown: fewer than k people, and the next smallest of the same group with them.

    Parameters
    ----------
    people
        Distinct people per cell.
    group
        Which total each cell adds to; one for all if None.
    k
        Fewest people of a cell that is shown.
    nobody
        A cell of no people is shown: it is about nobody.

    Examples
    --------
    >>> small_cells(np.array([4, 12, 30, 0])).tolist(), small_cells(np.array([4, 12, 30, 0]), nobody=True).tolist()
    ([True, True, False, True], [True, True, False, False])
    """
    count: Floats = np.asarray(people, dtype=np.float64)
    about_nobody = (count == 0) & nobody
    small: NDArray[np.bool_] = (count < k) & ~about_nobody
    group = np.zeros(len(count)) if group is None else group
    for part in np.unique(group[small]):
        rest = np.flatnonzero((group == part) & ~small & ~about_nobody)
        if len(rest):
            small[rest[np.argmin(count[rest])]] = True
    return small


def distinct_clusters(cell: NDArray[np.int64], cluster: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    """Return how many distinct clusters have rows of each cell.

    >>> distinct_clusters(np.array([0, 0, 2]), np.array([5, 5, 1]), 3).tolist()
    [1, 0, 1]
    """
    width = int(cluster.max(initial=0)) + 1
    pairs = pd.unique(cell * width + cluster)
    return np.bincount(pairs // width, minlength=cells).astype(np.int64)


def merge_small_bands(
    band: NDArray[np.int64], unit: NDArray[Any], bands: Sequence[tuple[int, int | None]], k: int = SMALL_CELL
) -> list[tuple[str, NDArray[np.bool_]]]:
    """Merge neighbouring bands of a count until k people stand behind each; the highest first, into lower ones.

    Parameters
    ----------
    band
        Per row, the number of its band; below 0 in none.
    unit
        Per row, whose it is.
    bands
        First and last value of each band, None for no end.

    Returns
    -------
    list
        Name of each band that is left, and its rows; none if there are fewer than k people.

    Examples
    --------
    >>> rows = merge_small_bands(np.array([0] * 12 + [1] * 8 + [2] * 3), np.arange(23), [(1, 1), (2, 3), (4, None)])
    >>> [(name, int(mine.sum())) for name, mine in rows]
    [('1', 12), ('2 or more', 11)]
    """
    found: list[tuple[int, int]] = []
    last = len(bands) - 1
    for first in range(last, -1, -1):
        if len(set(unit[(band >= first) & (band <= last)])) >= k:
            found.insert(0, (first, last))
            last = first - 1
    if found:  # what is left below is fewer than k people: they go with the lowest
        found[0] = (0, found[0][1])
    names = [_band_name(bands[first][0], bands[end][1]) for first, end in found]
    return [(name, (band >= first) & (band <= end)) for name, (first, end) in zip(names, found, strict=True)]


def _band_name(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} or more"
    return str(low) if low == high else f"{low} to {high}"


def hide_small_cells(
    frame: pd.DataFrame,
    base: str,
    within: Sequence[str] = (),
    k: int = SMALL_CELL,
    *,
    nobody: bool = False,
) -> tuple[pd.DataFrame, int]:
    """Leave out cells with fewer than k people, and the next smallest of the same group with them.

    One hidden cell could be had back from its group's total; two cannot (S7.10).

    Parameters
    ----------
    frame
        One row per cell.
    base
        The column that counts distinct people.
    within
        The columns whose totals are shown elsewhere; none for one total over all cells.
    k, nobody
        As in `small_cells`.

    Returns
    -------
    shown, hidden
        The frame without the small cells, and how many rows were left out.

    Examples
    --------
    >>> import pandas as pd
    >>> cells = pd.DataFrame({"page": ["a", "b", "c"], "people": [4, 12, 30]})
    >>> hide_small_cells(cells, "people")[0]["page"].tolist()
    ['c']
    """
    if frame.empty:
        return frame, 0
    group = frame.groupby(list(within), sort=False, dropna=False).ngroup().to_numpy() if within else None
    small = small_cells(frame[base].to_numpy(dtype=np.float64), group, k, nobody=nobody)
    return frame[~small].reset_index(drop=True), int(small.sum())


def clustered_share(
    share: Floats, variance: Floats, clusters: int, level: float = 0.90
) -> tuple[Floats, Floats]:
    """Return the bounds of shares in [0, 1] whose sampling variance came from clusters.

    Wilson's interval at the effective sample size share * (1 - share) / variance, with Student's quantile for
    few clusters: it stays inside [0, 1] and has a width even where nothing, or everything, was seen.

    Examples
    --------
    >>> lower, upper = clustered_share(np.array([0.0, 0.5]), np.array([0.0, 0.0025]), clusters=1_000)
    >>> [[float(round(x, 3)) for x in bound] for bound in (lower, upper)]
    [[0.0, 0.419], [0.003, 0.581]]
    """
    if clusters < 2:
        return np.full(len(share), np.nan), np.full(len(share), np.nan)
    spread = share * (1 - share)
    degenerate = (variance <= 0) | (spread <= 0)
    size = np.where(degenerate, clusters, spread / np.where(degenerate, 1.0, variance))
    z2 = stdtrit(clusters - 1, 0.5 + level / 2) ** 2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = np.sqrt(z2 * (spread / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
