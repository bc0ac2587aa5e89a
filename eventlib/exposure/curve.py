"""The examination curve of an engine, however it was found, and when it may be relied on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import t as student

from eventlib.exposure.swaps import Bools, Floats, Ints, People, Swaps
from eventlib.small_cells import SMALL_CELL

__all__ = [
    "CURVE",
    "MAX_LOG_SE",
    "Exposure",
    "count_places",
    "curve_frame",
    "name_places",
    "nothing_shown",
    "used_places",
]

MAX_LOG_SE: Final = 0.10
LEVEL: Final = 0.90
LEAST_CLUSTERS: Final = SMALL_CELL
"""People below whom the spread between people, and with it every error, is not known."""
_NO_SPREAD: Final = 1e-6  # where everything shown was clicked, an error of 0 is no knowledge
_USED_SHARE: Final = 0.01  # a rank below one percent of the shows does not decide whether a curve is usable
CURVE: Final = {
    "slot": "object",
    "rank": "int64",
    "exposure": "float64",
    "log_se": "float64",
    "lower": "float64",
    "upper": "float64",
    "all_pairs": "float64",
    "clicks": "int64",
    "shows": "int64",
    "swap_clicks": "int64",
    "people": "int64",
    "status": "object",
}
"""Columns of `Exposure.frame` and their dtypes."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """The examination curve of one engine, and whether it can be relied on.

    Attributes
    ----------
    frame
        One row per slot and rank: `slot, rank, exposure` (rank 1 of the main slot = 1), `log_se`, `lower`,
        `upper` (interval of `level`), `all_pairs` (comparison, NaN where nothing was harvested), `clicks, shows`
        (all), `swap_clicks` (those that inform), `people` (who saw it there), `status` (reference | estimated |
        given | imprecise | not connected | not randomised | not given).
    covariance
        Of log exposure, in the order of `frame`; NaN where a position or its error is unknown.
    connected
        Every used position has an exposure: a score may be built on it.
    usable
        Also, no used position's `log_se` is over the limit (S8.2): a ranker may be trained on it.
    reasons
        In words, why not; and what has to be assumed, where the curve is given without errors.
    keys
        Of a harvested curve: how many inform.
    clusters
        People (or answers, or rows) whose clicks inform; 0 where the curve is given.
    positions
        (slot, rank) → exposure, where it is known.
    method
        `harvested`, `randomised` or `given`.
    beside
        The curve that was not chosen, for comparison (`agreement`).
    """

    engine: str
    frame: pd.DataFrame
    covariance: Floats
    connected: bool
    usable: bool
    reasons: tuple[str, ...] = ()
    keys: int = 0
    level: float = LEVEL
    positions: dict[tuple[str, int], float] = field(default_factory=dict)
    method: str = "harvested"
    beside: Exposure | None = None
    clusters: int = 0

    def at(self, slots: Sequence[str], ranks: Sequence[int]) -> Floats:
        """Return the exposure of each (slot, rank); NaN where it is unknown.

        >>> Exposure("x", pd.DataFrame(), np.empty((0, 0)), True, True, positions={("inline", 1): 1.0}).at(
        ...     ["inline", "inline"], [1, 2]
        ... )
        array([ 1., nan])
        """
        pairs = zip(slots, ranks, strict=True)
        return np.array(
            [self.positions.get((slot, int(rank)), np.nan) for slot, rank in pairs], dtype=np.float64
        )


def nothing_shown(engine: str, method: str, reason: str, level: float) -> Exposure:
    """Return a curve without places."""
    empty = pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in CURVE.items()})
    return Exposure(
        engine, empty, np.empty((0, 0)), connected=False, usable=False, reasons=(reason,), level=level, method=method
    )  # fmt: skip


def count_places(swaps: Swaps, people: People, informing: Ints) -> pd.DataFrame:
    """Return `slot, rank, clicks, shows, swap_clicks, people` of each position.

    Parameters
    ----------
    swaps, people
        Of all rows.
    informing
        Clicks that inform, per position.
    """
    width = len(swaps.positions)
    saw = csr_array((np.ones(len(swaps.position)), (people.counted, swaps.position)))
    return swaps.positions.assign(
        clicks=np.bincount(swaps.position, swaps.clicked, width).astype(np.int64),
        shows=np.bincount(swaps.position, minlength=width),
        swap_clicks=informing,
        people=np.bincount(saw.indices, minlength=width),
    )


def curve_frame(
    counts: pd.DataFrame,
    log_exposure: Floats,
    covariance: Floats,
    *,
    level: float,
    limit: float,
    clusters: float = np.inf,
    known: str = "estimated",
    unknown: str = "not connected",
) -> pd.DataFrame:
    """Return the columns `CURVE` of each position.

    Parameters
    ----------
    clusters
        People whose clicks inform: intervals are by Student's t with one degree of freedom less.
    known, unknown
        What the status of positions with an exposure and without one is called.
    """
    error = np.sqrt(np.diag(covariance))
    half = student.ppf(0.5 + level / 2, clusters - 1) * error
    missing = np.isnan(log_exposure)
    reference = np.arange(len(error)) == 0
    status = np.select(
        [missing, reference, error > limit], [unknown, "reference", "imprecise"], default=known
    ).astype(object)
    columns = {
        "exposure": np.exp(log_exposure),
        "log_se": error,
        "lower": np.exp(log_exposure - half),
        "upper": np.exp(log_exposure + half),
        "status": status,
    }
    frame = counts.assign(**columns)
    return (frame if "all_pairs" in frame else frame.assign(all_pairs=np.nan))[list(CURVE)]


def known_positions(frame: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Return (slot, rank) → exposure of the positions that have one."""
    known = frame[frame["exposure"].notna()]
    return dict(zip(zip(known["slot"], known["rank"], strict=True), known["exposure"], strict=True))


def used_places(shows: Iterable[int]) -> Bools:
    """Tell which positions have at least one percent of the shows; all, if nothing was shown.

    >>> used_places([900, 99, 1]).tolist()
    [True, True, False]
    """
    counts = np.array(list(shows), dtype=np.float64)
    used: Bools = counts >= _USED_SHARE * counts.sum()
    return used


def name_places(frame: pd.DataFrame) -> str:
    """Name positions in a sentence; of six or more, how many, the first and the last."""
    named = [f"{slot} {rank}" for slot, rank in zip(frame["slot"], frame["rank"], strict=True)]
    return ", ".join(named) if len(named) < 6 else f"{len(named)} of them from {named[0]} to {named[-1]}"


def without_errors(covariance: Floats) -> Floats:
    """Return a covariance that is unknown but for the reference's, which is 0."""
    unknown = np.full_like(covariance, np.nan)
    unknown[0, 0] = 0.0
    return unknown


def doubts(
    frame: pd.DataFrame, limit: float, missing: str, clusters: float = np.inf
) -> tuple[list[str], bool]:
    """Return why a curve may not be used, and whether every used position has an exposure.

    Parameters
    ----------
    clusters
        People whose clicks inform; infinite where errors are given.
    missing
        What to say before the names of used positions without one.
    """
    used = frame[used_places(frame["shows"])]
    reasons = []
    if frame["rank"].iloc[0] != 1 or len(used) < 2:
        reasons.append("there is only one position, or none of rank 1, to compare with")
    apart = used[used["exposure"].isna()]
    if len(apart):
        reasons.append(f"{missing}: {name_places(apart)}")
    connected = not reasons
    if clusters < LEAST_CLUSTERS and connected:
        reasons.append("the clicks that inform are of fewer than ten people, too few to tell errors from")
    if np.isfinite(clusters) and (used["log_se"].iloc[1:] < _NO_SPREAD).any():
        reasons.append("the clicks that inform do not vary, so that their errors cannot be told")
    worst = used["log_se"].max()
    if worst > limit:
        reasons.append(f"the error of log exposure reaches {worst:.2f}, over {limit:.2f}")
    return reasons, connected
