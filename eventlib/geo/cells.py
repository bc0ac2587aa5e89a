"""What may be shown of small groups, and intervals of shares whose observations come in clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["SMALL_CELL", "clustered_share", "hide_small_cells"]

Floats: TypeAlias = NDArray[np.float64]

SMALL_CELL: Final = 10
"""Distinct people (probes: prompt-days) below which nothing is shown (S7.10)."""


def hide_small_cells(
    frame: pd.DataFrame, base: str, within: Sequence[str] = (), k: int = SMALL_CELL
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
    count = frame[base].to_numpy(dtype=np.float64)
    small = count < k
    group = (
        frame.groupby(list(within), sort=False, dropna=False).ngroup().to_numpy()
        if within
        else np.zeros(len(frame))
    )
    for part in np.unique(group[small]):
        rest = np.flatnonzero((group == part) & ~small)
        if len(rest):
            small[rest[np.argmin(count[rest])]] = True
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
