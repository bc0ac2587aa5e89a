"""Exposure from natural rank swaps within pages, by the conditional likelihood (S7.2, S8.2).

Sources: Agarwal et al. (2019), intervention harvesting and the AllPairs estimator, which stands beside; for the
likelihood see `eventlib.exposure.likelihood`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from eventlib.exposure.curve import (
    LEAST_CLUSTERS,
    LEVEL,
    MAX_LOG_SE,
    Exposure,
    count_places,
    curve_frame,
    doubts,
    known_positions,
    nothing_shown,
    used_places,
    without_errors,
)
from eventlib.exposure.graph import joined_places, weakest_tie
from eventlib.exposure.likelihood import clustered_covariance, conditional_fit
from eventlib.exposure.pairs import all_pairs
from eventlib.exposure.swaps import KEY, Bools, Floats, People, Swaps, harvest_swaps, one_engine

__all__ = ["estimate_exposure"]


def estimate_exposure(
    rows: pd.DataFrame,
    *,
    engine: str | None = None,
    key: Sequence[str] = KEY,
    max_log_se: float = MAX_LOG_SE,
    level: float = LEVEL,
) -> Exposure:
    """Estimate the exposure of each slot and rank of one engine, normalised to rank 1 = 1.

    Parameters
    ----------
    rows
        As `shown_citations` returns them. Errors are clustered by `person` or `person_id`, by row without either.
    engine
        The engine to estimate; may be left out where the rows hold only one.
    key
        Columns within which interest is taken as constant.
    max_log_se
        A used position (at least 1 % of the shows) with a larger error of log exposure makes the curve
        unusable for ranking (S8.2).
    level
        Of the intervals.

    Returns
    -------
    Exposure
        Never an exception for lack of data: `connected`, `usable` and `reasons` say what it is good for.
    """
    name, rows = one_engine(rows, engine, "estimate_exposure")
    swaps = harvest_swaps(rows, key)
    if not len(rows):
        return nothing_shown(name, "harvested", "no citation was shown", level)
    return _estimate(name, swaps, People.of(rows), max_log_se, level)


def _estimate(name: str, swaps: Swaps, people: People, max_log_se: float, level: float) -> Exposure:
    kept, informing = swaps.informing()
    shows, clicks = informing.cells()
    joined = joined_places(shows, clicks)
    log_exposure, covariance, pairs = _fit(informing, people[kept], joined)
    clusters = len(np.unique(people.cluster[kept][informing.clicked > 0]))
    if clusters < LEAST_CLUSTERS:
        covariance = without_errors(covariance)
    counts = count_places(swaps, people, clicks.sum(axis=0).astype(np.int64)).assign(all_pairs=pairs)
    frame = curve_frame(counts, log_exposure, covariance, level=level, limit=max_log_se, clusters=clusters)
    reasons, connected = doubts(
        frame, max_log_se, "no clicked swaps connect these positions to rank 1", clusters
    )
    if connected and clusters >= LEAST_CLUSTERS and reasons:
        tie = weakest_tie(informing, people[kept], joined, used_places(frame["shows"]), max_log_se)
        reasons[-1] += f"; {tie}" if tie else ""
    return Exposure(
        engine=name,
        frame=frame,
        covariance=covariance,
        connected=connected,
        usable=not reasons,
        reasons=tuple(reasons),
        keys=int((clicks.sum(axis=1) > 0).sum()),
        level=level,
        positions=known_positions(frame),
        clusters=clusters,
    )


def _fit(informing: Swaps, people: People, joined: Bools) -> tuple[Floats, Floats, Floats]:
    """Return log exposure, its covariance and AllPairs' exposure of every position, NaN where not joined."""
    width = len(joined)
    log_exposure, pairs = np.full((2, width), np.nan)
    covariance = np.full((width, width), np.nan)
    at, part = informing.at(joined)
    left, part = part.informing()
    shows, clicks = part.cells()
    log_exposure[joined], information = conditional_fit(shows, clicks)
    covariance[np.ix_(joined, joined)] = clustered_covariance(
        part, people.cluster[at][left], log_exposure[joined], information
    )
    pairs[joined] = all_pairs(shows, clicks)
    return log_exposure, covariance, pairs
