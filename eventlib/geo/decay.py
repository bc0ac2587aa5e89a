"""How fast old evidence fades: weights by age, and the half-life that foretells best (S7.6).

A page's theta may drift. Rows are weighted by 2 ** (-age / half-life), and the score is then about the
weighted mean of theta over time. The half-life is the one under which the counts of the past say most about
those that follow; if none says clearly more than weighting all alike, nothing fades.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventlib.geo.stages import Stage

__all__ = ["HALF_LIVES", "age_weights", "choose_half_life", "evidence_end"]

Floats: TypeAlias = NDArray[np.float64]

HALF_LIVES: Final = (14.0, 28.0, 56.0, 112.0, float("inf"))
"""Days."""
_DAY_US: Final = 86_400_000_000
_SPLITS: Final = (0.55, 0.7, 0.85)
_AHEAD: Final = 0.15  # of the rows are foretold from each split
_SURE: Final = 1.64  # standard errors by which a half-life must foretell better than none


def evidence_end(stages: Sequence[Stage]) -> int:
    """Return when the evidence of an engine ends, microseconds since 1970: when the tenth last of all clusters was last seen.

    Not the time of the last row: of one device, or one collector, with a wrong clock all else would be years old
    and weigh nothing, and the last days of the log would be empty. Fewer than ten people do not make a date.
    0 without any row; the last row where there are fewer than ten clusters.
    """
    seen = pd.concat(
        [pd.Series(stage.time_us, index=stage.cluster) for stage in stages] or [pd.Series(dtype="int64")]
    )
    last = np.sort(seen.groupby(level=0).max().to_numpy(dtype=np.int64))
    if not len(last):
        return 0
    return int(last[-SMALL_CELL] if len(last) >= SMALL_CELL else last[-1])


def age_weights(time_us: NDArray[np.int64], end_us: int, half_life_days: float) -> Floats:
    """Return 2 ** (-age / half-life) per row; all 1 for a half-life without end.

    >>> age_weights(np.array([0, 14 * 86_400_000_000]), 14 * 86_400_000_000, 14.0).tolist()
    [0.5, 1.0]
    """
    if np.isinf(half_life_days):
        return np.ones(len(time_us))
    weight: Floats = np.exp2(-np.maximum(end_us - time_us, 0) / (half_life_days * _DAY_US))
    return weight


def choose_half_life(stages: Sequence[Stage]) -> float:
    """Return the half-life, days, under which past counts foretell the next ones best; inf for none.

    Parameters
    ----------
    stages
        Of one engine. Each split of time foretells the following 15 % of rows from all before.
    """
    gains = [_gains(stage) for stage in stages if len(stage.time_us)]
    if not gains:
        return float("inf")
    cluster = np.concatenate([names for names, _ in gains])
    gain = np.concatenate([values for _, values in gains])
    code, _ = pd.factorize(cluster)
    best, chosen = 0.0, float("inf")
    for column, half_life in enumerate(HALF_LIVES[:-1]):
        by_cluster = np.bincount(code, gain[:, column])
        total, error = float(by_cluster.sum()), float(np.sqrt(by_cluster @ by_cluster))
        if total > max(best, _SURE * error):
            best, chosen = total, half_life
    return chosen


def _gains(stage: Stage) -> tuple[NDArray[np.object_], Floats]:
    """Return, per row foretold, its cluster and how much more likely each half-life made it than none."""
    cell, _ = pd.factorize(stage.content)
    order = np.argsort(stage.time_us, kind="stable")
    names, values = [], []
    for split in _SPLITS:
        first, last = int(split * len(order)), int((split + _AHEAD) * len(order))
        past, ahead = order[:first], order[first:last]
        if not len(past) or not len(ahead):
            continue
        at = int(stage.time_us[past[-1]])
        likely = np.stack([_likelihood(stage, cell, past, ahead, at, h) for h in HALF_LIVES], axis=1)
        names.append(stage.cluster[ahead])
        values.append(likely[:, :-1] - likely[:, -1:])
    if not names:
        return np.empty(0, dtype=object), np.empty((0, len(HALF_LIVES) - 1))
    return np.concatenate(names), np.concatenate(values)


def _likelihood(
    stage: Stage,
    cell: NDArray[np.intp],
    past: NDArray[np.intp],
    ahead: NDArray[np.intp],
    at: int,
    days: float,
) -> Floats:
    weight, size = age_weights(stage.time_us[past], at, days), int(cell.max()) + 1
    observed, expected = (
        np.bincount(cell[past], weight * part[past], size).astype(np.float64)
        for part in (stage.observed, stage.expected)
    )
    expected *= observed.sum() / max(expected.sum(), 1e-12)
    prior = _prior(observed, expected)
    theta = (observed + prior) / (expected + prior)
    hoped = stage.expected[ahead] * (stage.observed[ahead].sum() / max(stage.expected[ahead].sum(), 1e-12))
    chance = np.clip(theta[cell[ahead]] * hoped, 1e-6, 1 - 1e-6)
    likely: Floats = np.where(stage.observed[ahead] > 0, np.log(chance), np.log1p(-chance))
    return likely


def _prior(observed: Floats, expected: Floats) -> float:
    """Return the expected counts that an average page weighs, by moments: 1 over the variance of theta."""
    known = expected > 0
    total = max(float(expected.sum()), 1e-12)
    excess = float(((observed[known] - expected[known]) ** 2 / expected[known]).sum()) - int(known.sum())
    return 1 / max(excess / total, 1e-3)
