"""Intervals that several analyses share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["wilson"]


def wilson(
    successes: Any, trials: Any, level: float = 0.90
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return Wilson's score interval of a share (Wilson, JASA 22, 1927), element by element.

    Parameters
    ----------
    successes, trials
        Counts of independent units, such as people; NaN where there are no trials.
    level
        Coverage aimed at.

    Returns
    -------
    tuple
        Lower and upper bounds.

    Examples
    --------
    >>> low, high = wilson([5], [10])
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.269, 0.731)
    """
    n = np.asarray(trials, dtype=np.float64)
    n = np.where(n > 0, n, np.nan)
    share = np.asarray(successes, dtype=np.float64) / n
    z = float(ndtri(0.5 + level / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
