"""The ranker: relevance by squared loss on clipped clicks over exposure, in cells of content and prompt cluster (S8.3).

    minimise  sum over shows  e * (min(c / e, clip) - f(x))**2

with `c` the click, `e` the exposure of the place. The weight `e` makes up for the variance of `c / e`, which grows
as 1/e, and leaves the minimiser where it is when the position model holds: at the relevance. Since `x` is constant
within a cell, sums per cell and person fold are sufficient; trees see distinct contents, not repeated shows.

Source: Joachims, Swaminathan and Schnabel, Unbiased learning-to-rank with biased feedback, WSDM 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL, distinct_clusters
from eventlib.exposure import People
from eventlib.ranking.features import (
    CONTENT_FEATURES,
    HISTORY_FEATURES,
    LEVELS,
    Contents,
    code_cells,
    history,
)
from eventlib.ranking.learners import Regressor, fit_regressor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CLIP", "FOLDS", "FittedRanker", "TrainingData", "examined_clicks", "fit_ranker", "training_data"]

FOLDS: Final = 5
"""Person folds: a row's history and its calibration come from the other four."""

CLIP: Final = 10.0
"""Largest click over exposure; where it acts, the label of a place seen by fewer than one in ten is too small."""

LOWEST: Final = 1e-4
"""Smallest relevance a ranker returns: consumers divide by it and take logarithms."""

_HISTORIES: Final = tuple(feature.name for feature in HISTORY_FEATURES)
_MONOTONE: Final = [0] * len(CONTENT_FEATURES) + [1] * len(HISTORY_FEATURES)
"""More clicks before never speak against a content."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Shows before the cut as codes, one entry per show, and the features of their cells.

    Attributes
    ----------
    cells : DataFrame
        `CELL`, one row per cell.
    levels : ndarray of intp, shape (3, cells)
        Code of each cell's key at each of `LEVELS`.
    crowded : ndarray of bool, shape (3, cells)
        Whether the cell's key at each of `LEVELS` may be told: ten people or more saw it, and what it leaves of the wider
        key is not of fewer either.
    features : ndarray of float64, shape (cells, len(CONTENT_FEATURES))
        What is known of the content.
    cell, person, place : ndarray of intp, shape (shows,)
        Codes of each show.
    counted : ndarray of int64, shape (shows,)
        Code of who is counted for small cells: as `person`, but all answers with neither person nor device are one.
    clicked : ndarray of float64, shape (shows,)
    """

    cells: pd.DataFrame
    levels: NDArray[np.intp]
    crowded: NDArray[np.bool_]
    features: NDArray[np.float64]
    cell: NDArray[np.intp]
    person: NDArray[np.intp]
    place: NDArray[np.intp]
    clicked: NDArray[np.float64]
    counted: NDArray[np.int64]

    @property
    def fold(self) -> NDArray[np.intp]:
        """Fold of each show's person."""
        return self.person % FOLDS

    def fold_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum values of shows per cell and fold, shape (cells, FOLDS)."""
        n = len(self.cells)
        sums = np.bincount(self.cell * FOLDS + self.fold, values, n * FOLDS).astype(np.float64)
        return sums.reshape(n, FOLDS)


def _crowded(
    keys: NDArray[np.intp], wider: NDArray[np.intp], cell: NDArray[np.intp], person: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Tell of each cell whether its key may be told: ten people saw it, and no few are left of the wider key without it.

    Where the keys of a wider one that are not told were seen by one to nine people, what they clicked is the wider
    key's less that of all others; the next smallest is not told either (S7.10).
    """
    key = keys[cell]
    people = distinct_clusters(key, person, int(keys.max(initial=-1)) + 1)
    parent = np.zeros(len(people), dtype=np.intp)
    parent[keys] = wider
    enough = people >= SMALL_CELL
    hidden = ~enough[key]
    left = distinct_clusters(parent[key[hidden]], person[hidden], int(wider.max(initial=-1)) + 1)
    short = (left > 0) & (left < SMALL_CELL)
    order = np.lexsort((people, parent))
    rest = order[enough[order] & short[parent[order]]]
    enough[rest[np.unique(parent[rest], return_index=True)[1]]] = False
    told: NDArray[np.bool_] = enough[keys]
    return told


def _crowded_levels(
    levels: Sequence[NDArray[np.intp]], cell: NDArray[np.intp], person: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Tell it at each of `LEVELS`, shape (3, cells); a key of one that is not told is not told either."""
    wider, above = np.zeros_like(levels[0]), np.ones(len(levels[0]), dtype=np.bool_)
    told = []
    for keys in levels:
        above = above & _crowded(keys, wider, cell, person)
        told.append(above)
        wider = keys
    return np.stack(told)


@dataclass(frozen=True, slots=True)
class FittedRanker:
    """A fitted regressor with its calibration and the histories that it serves with.

    Attributes
    ----------
    regressor : Regressor
        Takes float32, shape (rows, len(FEATURES)).
    intercept, slope : float
        Calibrated relevance = intercept + slope * the regressor's output, cut to [1e-4, 1].
    histories : DataFrame
        `content_id, prompt_cluster, prompt_id` and the three histories. A key that may not be told has that of the
        wider key: signals go out, and would tell what the few clicked (S7.10).
    mean_relevance : float
        Clicks over examined shows of all: the history of an unknown content.
    clipped : int
        Clicks whose weight the clip cut.
    cross_fitted : ndarray of float64, shape (cells, FOLDS)
        Calibrated relevance of each training cell for each fold, learned from the people of the other folds; NaN where
        a fold saw nothing of the cell, and everywhere if the calibration was given.
    """

    regressor: Regressor
    intercept: float
    slope: float
    histories: pd.DataFrame
    mean_relevance: float
    clipped: int
    cross_fitted: NDArray[np.float64]

    def design(self, cells: pd.DataFrame, contents: Contents) -> NDArray[np.float32]:
        """Return the model's input for cells, shape (cells, len(FEATURES)), float32 without NaN."""
        known = np.full(len(cells), self.mean_relevance)
        columns = [contents.matrix(cells)]
        for name, keys in zip(_HISTORIES, LEVELS, strict=True):
            of_key = self.histories.drop_duplicates(list(keys)).set_index(list(keys))[name]
            wanted = pd.MultiIndex.from_frame(cells[list(keys)]) if len(keys) > 1 else cells[keys[0]]
            found = of_key.reindex(wanted).to_numpy(np.float64)
            known = np.where(np.isnan(found), known, found)
            columns.append(known)
        return np.column_stack(columns).astype(np.float32)

    def predict(self, design: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return calibrated relevance, the probability of a click once examined, shape (rows,)."""
        return _relevance(self.regressor.predict(design), self.intercept, self.slope)


def _relevance(raw: NDArray[np.float64], intercept: float, slope: float) -> NDArray[np.float64]:
    """Calibrate what the trees say, and keep it a probability."""
    relevance: NDArray[np.float64] = np.clip(intercept + slope * raw, LOWEST, 1.0)
    return relevance


def training_data(shows: pd.DataFrame, contents: Contents, places: list[str]) -> TrainingData:
    """Turn shows before the cut, with a `prompt_cluster` and a `place` column, into codes.

    Parameters
    ----------
    shows
        Impressions of one engine at `places` only.
    contents
        Contents as known at the cut.
    places
        All places, in the order of their codes.
    """
    cells, cell = code_cells(shows, sort=True)
    people = pd.factorize(shows["person"])[0]
    # folds by code would follow the order in which people came; a fixed shuffle keeps them alike
    people = np.random.default_rng(0).permutation(people.max(initial=-1) + 1)[people]
    codings = [np.asarray(cells.groupby(list(keys), sort=True).ngroup(), dtype=np.intp) for keys in LEVELS]
    counted = People.of(shows).counted
    return TrainingData(
        cells=cells,
        levels=np.stack(codings),
        crowded=_crowded_levels(codings, cell, counted.astype(np.intp)),
        features=contents.matrix(cells),
        cell=cell,
        person=people,
        place=pd.Index(places).get_indexer(pd.Index(shows["place"])),
        clicked=shows["clicked"].to_numpy(np.float64),
        counted=counted,
    )


def _calibrate(
    raw: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]
) -> tuple[float, float]:
    """Weighted least squares of the label on out-of-fold predictions; constant predictions keep their slope."""
    mean_raw, mean_y = np.average(raw, weights=w), np.average(y, weights=w)
    spread = float(np.average((raw - mean_raw) ** 2, weights=w))
    if spread < 1e-12:
        return float(mean_y - mean_raw), 1.0
    slope = float(np.average((raw - mean_raw) * (y - mean_y), weights=w)) / spread
    slope = max(slope, 0.0)  # a ranker is not turned round by noise
    return float(mean_y - slope * mean_raw), slope


def fit_ranker(
    data: TrainingData,
    exposure: NDArray[np.float64],
    *,
    seed: int = 0,
    weights: NDArray[np.float64] | None = None,
    clip: float = CLIP,
    scale: NDArray[np.float64] | None = None,
    calibration: tuple[float, float] | None = None,
    learner: str = "hist",
) -> FittedRanker:
    """Fit the ranker: histories from the other folds, trees, then calibration on out-of-fold predictions.

    Parameters
    ----------
    data
        Shows before the cut.
    exposure
        Per place, shape (places,). All ones give the naive ranker, which takes clicks as they are.
    seed
        Of the trees.
    weights
        One weight per show, such as bootstrap counts of its person; None for ones.
    clip
        Largest label.
    scale
        Exposure to calibrate on where it is not `exposure`: the naive ranker's output then is a relevance too.
    calibration
        Intercept and slope to take instead of fitting them.
    learner
        "hist" (scikit-learn) or "lightgbm" (the extra of that name).

    Raises
    ------
    BadCallError
        Another learner, or one that is not installed.
    """
    ones = np.ones(len(data.cell)) if weights is None else weights
    sums_e, sums_c = examined_clicks(data, exposure, ones, clip)
    rest_c, rest_e = sums_c.sum(1, keepdims=True) - sums_c, sums_e.sum(1, keepdims=True) - sums_e
    others = history(rest_c, rest_e, data.levels)
    rows = np.flatnonzero(sums_e.ravel() > 0)
    cell, fold = np.divmod(rows, FOLDS)
    x = np.column_stack([data.features[cell], others[cell, fold]]).astype(np.float32)
    w = sums_e.ravel()[rows]
    y = sums_c.ravel()[rows] / w
    regressor = fit_regressor(learner, seed, x, y, w, _MONOTONE)
    cross_fitted = np.full(sums_e.size, np.nan)
    if calibration is None:
        sums = (sums_e, sums_c) if scale is None else examined_clicks(data, scale, ones, clip)
        examined, clicks = (part.ravel()[rows] for part in sums)
        raw = _out_of_fold(learner, seed, x, y, w, fold)
        calibration = _calibrate(raw, clicks / examined, examined)
        cross_fitted[rows] = _relevance(raw, *calibration)
    total_c, total_e = sums_c.sum(1, keepdims=True), sums_e.sum(1, keepdims=True)
    overall = float(total_c.sum() / max(total_e.sum(), 1e-9))
    full = _told(history(total_c, total_e, data.levels)[:, 0], data.crowded, overall)
    served = data.cells[list(LEVELS[-1])].assign(**dict(zip(_HISTORIES, full.T, strict=True)))
    return FittedRanker(
        regressor=regressor,
        intercept=calibration[0],
        slope=calibration[1],
        histories=served.drop_duplicates(ignore_index=True),
        mean_relevance=overall,
        clipped=int((data.clicked > clip * exposure[data.place]).sum()),
        cross_fitted=cross_fitted.reshape(sums_e.shape),
    )


def _told(full: NDArray[np.float64], crowded: NDArray[np.bool_], overall: float) -> NDArray[np.float64]:
    """Give cells whose key may not be told the history of the wider key."""
    wider = np.full(len(full), overall)
    told = []
    for own, enough in zip(full.T, crowded, strict=True):
        wider = np.where(enough, own, wider)
        told.append(wider)
    return np.stack(told, axis=1)


def examined_clicks(
    data: TrainingData, exposure: NDArray[np.float64], weights: NDArray[np.float64], clip: float = CLIP
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum examined shows and (clipped) clicks per cell and fold, each of shape (cells, FOLDS): weight, weight * label."""
    e = exposure[data.place]
    return data.fold_sums(e * weights), data.fold_sums(np.minimum(data.clicked, clip * e) * weights)


def _out_of_fold(
    learner: str,
    seed: int,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    fold: NDArray[np.intp],
) -> NDArray[np.float64]:
    raw = np.zeros(len(y))
    for k in np.unique(fold):
        held = fold == k
        if held.all():
            raw[held] = y.mean()
        else:
            rest = fit_regressor(learner, seed, x[~held], y[~held], w[~held], _MONOTONE)
            raw[held] = rest.predict(x[held])
    return raw
