"""Exposure from answers whose citations were placed at random, with logged propensities (S8.2).

With q(c, p) the probability that content c of an answer stands at position p, the clicks at p weighted by 1 / q have
the expectation e(p) * (interest of all contents that could stand there), whatever those contents are. If the same
contents could stand at p and at the reference, the ratio of the two sums is the exposure of p.

Sources: Horvitz and Thompson (1952), weights by inverse probability; Joachims, Swaminathan and Schnabel (2017),
exposure from random swaps.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from eventlib.errors import BadCallError
from eventlib.exposure.curve import (
    LEAST_CLUSTERS,
    LEVEL,
    MAX_LOG_SE,
    Exposure,
    count_places,
    curve_frame,
    doubts,
    known_positions,
    name_places,
    nothing_shown,
    without_errors,
)
from eventlib.exposure.likelihood import meat
from eventlib.exposure.swaps import Bools, Floats, Ints, People, Swaps, code_places, one_engine

__all__ = ["estimate_randomised", "placed_at_random"]

_NEEDED: Final = {"answer_id", "slot", "rank", "clicked", "propensity"}
_ADDS_UP: Final = 0.05
"""How far the weights of a position may add up to something else than its answers' shows, beyond what chance does."""
_CHANCE: Final = 3.0  # standard errors


def placed_at_random(rows: pd.DataFrame) -> Bools:
    """Tell which shows could have stood elsewhere: their propensity is known and below 1.

    Raises
    ------
    BadCallError
        A propensity is no probability.
    """
    if "propensity" not in rows:
        return np.zeros(len(rows), dtype=bool)
    propensity = rows["propensity"].to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isnan(propensity) & ~((propensity > 0) & (propensity <= 1))
    if wrong.any():
        raise BadCallError(
            f"propensity is outside (0, 1] in {int(wrong.sum()):,} of {len(rows):,} rows; it is the probability that "
            "the content stands where it was shown, null where nothing was random"
        )
    return np.asarray(propensity < 1, dtype=bool)


def estimate_randomised(
    rows: pd.DataFrame, *, engine: str | None = None, max_log_se: float = MAX_LOG_SE, level: float = LEVEL
) -> Exposure:
    """Estimate exposure by click rates weighted by one over the propensity, from the shows placed at random.

    A position is compared with the reference over the answers that have a random show at both, so that long answers
    are not compared with short ones. Errors are by the delta method, clustered by person.

    Parameters
    ----------
    rows
        As `shown_citations` returns them, with `propensity`: NaN or 1 where nothing was random.
    engine, max_log_se, level
        As for `estimate_exposure`.

    Returns
    -------
    Exposure
        `method` is "randomised". Never an exception for lack of data; refused in `reasons` where nothing was random,
        where a used position never was, and where the weights of a position do not add up to the shows of its
        answers, as those of true propensities do.

    Raises
    ------
    BadCallError
        A column is missing, or a propensity is no probability.
    """
    if missing := _NEEDED - set(rows.columns):
        raise BadCallError.missing_columns("estimate_randomised", missing, rows.columns)
    name, rows = one_engine(rows, engine, "estimate_randomised")
    random = placed_at_random(rows)
    if not random.any():
        return nothing_shown(name, "randomised", _nothing_random(rows), level)
    return _estimate(name, rows, random, max_log_se, level)


def _nothing_random(rows: pd.DataFrame) -> str:
    if not len(rows):
        return "no citation was shown"
    if rows["propensity"].isna().all():
        return "no propensity was logged"
    return "every logged propensity is 1: nothing was placed at random"


def _estimate(name: str, rows: pd.DataFrame, random: Bools, max_log_se: float, level: float) -> Exposure:
    positions, position = code_places(rows)
    clicked, people = rows["clicked"].to_numpy(dtype=np.float64), People.of(rows)
    slice_ = _Slice.of(rows[random], position[random], people.cluster[random], len(positions))
    log_exposure, covariance, odd = slice_.ratios()
    clusters = len(np.unique(people.cluster[random & (clicked > 0)]))
    if clusters < LEAST_CLUSTERS:
        covariance = without_errors(covariance)
    informing = np.bincount(position[random], clicked[random], len(positions)).astype(np.int64)
    counts = count_places(Swaps(positions, position, position, clicked), people, informing)
    frame = curve_frame(
        counts,
        log_exposure,
        covariance,
        level=level,
        limit=max_log_se,
        clusters=clusters,
        unknown="not randomised",
    )
    reasons, connected = doubts(
        frame,
        max_log_se,
        "these positions were never randomised together with rank 1, or never clicked",
        clusters,
    )
    if odd.any():
        connected = False
        reasons.append(
            f"the propensities cannot be true, since one over them does not add up to the shows: {name_places(positions[odd])}"
        )
    return Exposure(
        engine=name,
        frame=frame,
        covariance=covariance,
        connected=connected,
        usable=not reasons,
        reasons=tuple(reasons),
        level=level,
        positions=known_positions(frame),
        method="randomised",
        clusters=clusters,
    )


class _Slice:
    """Answers with random shows: weights and weighted clicks, answers by positions, sparse."""

    def __init__(self, weights: csr_array, clicks: csr_array, shows: Floats, cluster: Ints) -> None:
        self.weights, self.clicks, self.shows, self.cluster = weights, clicks, shows, cluster
        self._has = (weights > 0).tocsc()

    @classmethod
    def of(cls, rows: pd.DataFrame, position: Ints, cluster: Ints, width: int) -> _Slice:
        """Sum the rows of each answer."""
        answer, _ = pd.factorize(rows["answer_id"])
        weight = 1 / rows["propensity"].to_numpy(dtype=np.float64)
        clicked = rows["clicked"].to_numpy(dtype=np.float64)
        shape, at = (int(answer.max()) + 1, width), (answer, position)
        of_answer = np.empty(shape[0], dtype=np.int64)
        of_answer[answer] = np.unique(cluster, return_inverse=True)[1]
        return cls(
            csr_array((weight, at), shape), csr_array((weight * clicked, at), shape),
            np.bincount(answer).astype(np.float64), of_answer,
        )  # fmt: skip

    def _column(self, matrix: csr_array, place: int) -> Floats:
        values: Floats = matrix[:, [place]].toarray().ravel()
        return values

    def _by_cluster(self, values: Floats) -> Floats:
        return np.bincount(self.cluster, values, int(self.cluster.max()) + 1).astype(np.float64)

    def adds_up(self, place: int, both: Bools) -> bool:
        """Tell whether one over the propensities at a position sums to the random shows of the answers with it."""
        excess = np.where(both, self._column(self.weights, place) - self.shows, 0.0)
        chance = float(np.sqrt((self._by_cluster(excess) ** 2).sum()))
        every = float(self.shows[both].sum())
        return bool(abs(excess.sum()) <= max(_ADDS_UP * every, _CHANCE * chance))

    def ratios(self) -> tuple[Floats, Floats, Bools]:
        """Return log exposures, their covariance, and which positions' propensities cannot be true."""
        width = self.weights.shape[1]
        log_exposure, odd = np.full(width, np.nan), np.zeros(width, dtype=bool)
        influence = np.full((int(self.cluster.max()) + 1, width), np.nan)
        log_exposure[0], influence[:, 0] = 0.0, 0.0
        top, has = self._column(self.clicks, 0), self._has.toarray()
        for place in range(1, width):
            both = has[:, place] & has[:, 0]
            odd[place] = both.any() and not (self.adds_up(place, both) and self.adds_up(0, both))
            here, there = np.where(both, self._column(self.clicks, place), 0.0), np.where(both, top, 0.0)
            if odd[place] or not (here.any() and there.any()):
                continue
            log_exposure[place] = np.log(here.sum() / there.sum())
            influence[:, place] = self._by_cluster(here / here.sum() - there / there.sum())
        return log_exposure, meat(influence), odd
