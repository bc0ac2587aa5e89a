"""The position-based model: who looks depends on the place alone (S8.1).

A person clicks what they examine and find attractive, `P(click) = exposure(place) * relevance(item)`; a place is
where something stands (slot and rank), an item is what was shown for what (content for a prompt cluster). Shows
and clicks of one (item, place) cell are all that the likelihood needs.

Source: Craswell et al., An experimental comparison of click position-bias models, WSDM 2008; the EM steps as in
Chuklin, Markov and de Rijke, Click Models for Web Search, 2015, chapter 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from eventlib.errors import BadCallError
from eventlib.ranking.clicks.cell_model import CellModel
from eventlib.ranking.clicks.em import Cells, count, inside
from eventlib.ranking.clicks.model import log_likelihood, require_fit
from eventlib.ranking.clicks.sessions import (
    Bools,
    Floats,
    Ints,
    as_given,
    dense_codes,
    encode,
    look_up,
    need,
    need_frame,
    read_clicks,
    read_lists,
)

__all__ = ["PositionBasedModel", "count_cells"]

_CELL: Final = {"item", "place", "shows", "clicks"}


def count_cells(
    shows: pd.DataFrame, item: str = "item", place: str = "place", clicked: str = "clicked"
) -> pd.DataFrame:
    """Count shows and clicks per (item, place): the sufficient statistics of a position-based model.

    Examples
    --------
    >>> shown = pd.DataFrame({"item": ["a", "a", "b"], "place": [1, 1, 2], "clicked": [True, False, False]})
    >>> count_cells(shown).to_dict("records")[0]
    {'item': 'a', 'place': 1, 'shows': 2, 'clicks': 1}
    """
    grouped = shows.groupby([item, place], sort=True, observed=True)[clicked]
    cells = grouped.agg(shows="size", clicks="sum").reset_index()
    return cells.rename(columns={item: "item", place: "place"})


class PositionBasedModel(CellModel):
    """Position-based click model, fitted by expectation-maximisation on (item, place) cells.

    Frames have one row per show, with `session, item, rank, clicked`, or `item, place, clicked` where a place is
    more than a rank (slot and rank); or one row per cell, as `count_cells` returns them.

    Parameters
    ----------
    exposure
        Exposure per place. Given, it stays fixed and only relevance is fitted (S8.2); None fits both, with the
        largest exposure set to 1, since only the product is identified.
    max_iter
        EM steps at most.
    tol
        Stop when the mean log-likelihood per show (with the prior's) rises by less than this.
    prior_shows
        Examined shows at the mean relevance added to every item: 0 is maximum likelihood, more shrinks thin items.
    prior_place_shows
        Shows added to every place whose exposure is fitted, half of them examined (before exposures are scaled):
        keeps places that were hardly shown off 0 and 1, where one unforeseen click costs everything.

    Attributes
    ----------
    exposure_ : dict
        Exposure per place, in (0, 1] unless it was given.
    mean_exposure_ : float
        Over the shows of the fit: what a show at a place that was not in it gets.
    relevance_ : dict
        Probability of a click once examined, per item, in (0, 1).
    mean_relevance_ : float
        Clicks over examined shows of all items: what an unknown item gets.
    log_likelihood_path_ : ndarray of float64, shape (n_iter_,)
        What is maximised, per show, before each step.
    n_iter_ : int
        EM steps taken.

    Examples
    --------
    >>> shows = pd.DataFrame({"item": list("abab"), "place": [1, 2, 2, 1], "clicked": [1, 0, 1, 0]})
    >>> model = PositionBasedModel({1: 1.0, 2: 0.5}).fit(shows)
    >>> model.predict_proba(pd.DataFrame({"item": ["a", "new"], "place": [2, 1]})).round(2).tolist()
    [0.5, 0.67]
    >>> PositionBasedModel({1: 1.0}).fit(shows)
    Traceback (most recent call last):
    eventlib.errors.BadCallError: unknown place in exposure '2'. Available: 1.
    """

    def __init__(
        self,
        exposure: Mapping[Any, float] | None = None,
        *,
        max_iter: int = 500,
        tol: float = 1e-10,
        prior_shows: float = 0.0,
        prior_place_shows: float = 0.0,
    ) -> None:
        super().__init__(
            max_iter=max_iter, tol=tol, prior_shows=prior_shows, prior_place_shows=prior_place_shows
        )
        self.exposure = exposure

    def fit(self, shows: pd.DataFrame) -> Self:
        """Fit on one row per show, or on cells as `count_cells` returns them.

        Raises
        ------
        BadCallError
            A column is missing or has what it cannot have, there is no row, a place has no exposure although
            exposures were given, or a setting is out of range.
        """
        self._check_settings()
        stage = self._stage("fit")
        need_frame(stage, shows)
        if _are_cells(shows):
            cells, items, places = _read_cells(stage, shows)
        else:
            read = _read_shows(stage, shows, clicks=True)
            items, places = read.items, read.places
            cells = count(read.item, read.place, read.clicked, len(items), len(places))
        fixed = None if self.exposure is None else self._fixed(self.exposure, places)
        self._places = places
        self._maximise(items, cells, fixed)
        self.exposure_ = dict(zip(places.tolist(), self._exposure.tolist(), strict=True))
        return self

    def predict_proba(self, shows: pd.DataFrame | ArrayLike, places: ArrayLike | None = None) -> Floats:
        """Return the click probability of each show, or of each (item, place); unknown items have the mean relevance.

        Parameters
        ----------
        shows
            A frame as for `fit`, where a place that was not in the fit has the mean exposure; or items.
        places
            With items: their places.

        Raises
        ------
        BadCallError
            `places` holds one that was not in the fit, or a frame is not as for `fit`.
        """
        if isinstance(shows, pd.DataFrame):
            return super().predict_proba(shows)
        require_fit(self)
        item, items = pd.factorize(np.asarray(shows, dtype=object))
        place, distinct = pd.factorize(np.asarray([] if places is None else places, dtype=object))
        if len(item) != len(place):
            raise BadCallError(
                f"predict_proba: {len(item):,} items and {len(place):,} places; give one place per item"
            )
        unknown = [name for name in distinct if name not in self.exposure_]
        if unknown:
            raise BadCallError.unknown("place", str(min(unknown, key=str)), map(str, self.exposure_))
        read = _Read(item, _index(items), place, _index(distinct), np.zeros(len(item), dtype=np.bool_))
        return inside(self._product(read))

    def score(self, shows: pd.DataFrame) -> float:
        """Return the mean log-likelihood per show, in nats; higher is better. `shows` may be cells."""
        weighed = self._weigh(shows)
        return float(weighed["gain"].sum() / weighed["shows"].sum())

    def perplexity(self, shows: pd.DataFrame, *, conditional: bool = False) -> pd.DataFrame:
        """Return perplexity per place, `2 ** -(mean log2 likelihood)`: 1 is certain, 2 is a coin.

        In a position-based model clicks of one list are independent, so conditional perplexity is the same.

        Parameters
        ----------
        shows
            As for `fit`; cells too.

        Returns
        -------
        DataFrame
            `place, shows, perplexity`, in the order of places; `rank` instead of `place` for shows with ranks.
        """
        weighed = self._weigh(shows)
        name = str(weighed.columns[0])
        sums = weighed.groupby(name, sort=True, observed=True).sum().reset_index()
        sums["perplexity"] = np.exp(-sums["gain"] / sums["shows"])
        return sums[[name, "shows", "perplexity"]]

    def sample(self, shows: pd.DataFrame, seed: int = 0) -> Bools:
        """Draw clicks for shows (`session, item, rank` or `item, place`) as the fitted model would see them clicked."""
        p = self.predict_proba(shows)
        drawn: Bools = np.random.default_rng(seed).random(len(p)) < p
        return drawn

    def _fixed(self, exposure: Mapping[Any, float], places: pd.Index) -> Floats:
        for place in places:
            if place not in exposure:
                raise BadCallError.unknown("place in exposure", str(place), map(str, exposure))
            if not 0 <= exposure[place] < np.inf:
                raise BadCallError(
                    f"exposure of place {place!r} must be 0 or more, and finite, got {exposure[place]}"
                )
        return np.array([exposure[place] for place in places], dtype=np.float64)

    def _product(self, read: _Read) -> Floats:
        at = look_up(self._places, read.places)
        exposure = np.where(at >= 0, self._exposure[at], self.mean_exposure_)[read.place]
        return exposure * self._of_items(read.items, read.item, self._relevance, self.mean_relevance_)

    def _weigh(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return place (or rank), shows and log likelihood of each cell or show."""
        require_fit(self)
        need_frame(self._stage("score"), frame)
        if _are_cells(frame):
            p = self.predict_proba(frame["item"], frame["place"])
            shows, clicks = frame["shows"].to_numpy(np.float64), frame["clicks"].to_numpy(np.float64)
            gain = clicks * np.log(p) + (shows - clicks) * np.log1p(-p)
            return pd.DataFrame({"place": frame["place"], "shows": frame["shows"], "gain": gain})
        name = "place" if "place" in frame.columns else "rank"
        gain = self._gains(frame, conditional=False)
        return pd.DataFrame({name: frame[name], "shows": 1, "gain": gain})

    def _predict(self, shows: pd.DataFrame, *, conditional: bool) -> Floats:
        require_fit(self)
        read = _read_shows(self._stage("predict_proba"), shows, clicks=False)
        return as_given(inside(self._product(read)), read.order)

    def _gains(self, shows: pd.DataFrame, *, conditional: bool) -> Floats:
        require_fit(self)
        read = _read_shows(self._stage("score"), shows, clicks=True)
        return as_given(log_likelihood(inside(self._product(read)), read.clicked), read.order)


@dataclass(frozen=True, slots=True)
class _Read:
    """Shows as codes of items and places; `order` is where sorted rows came from."""

    item: Ints
    items: pd.Index
    place: Ints
    places: pd.Index
    clicked: Bools
    order: Ints | None = None


def _are_cells(frame: pd.DataFrame) -> bool:
    """Tell cells from shows: they have counts instead of a click."""
    return "clicked" not in frame.columns and bool({"shows", "clicks"} & set(frame.columns))


def _index(values: Any) -> pd.Index:
    found: pd.Index = pd.Index(values, tupleize_cols=False)
    return found


def _read_shows(stage: str, shows: pd.DataFrame, *, clicks: bool) -> _Read:
    """Read shows with places, or with ranks of sessions that are checked as such."""
    if "place" not in shows.columns:
        lists = read_lists(stage, shows, clicks=clicks)
        place, ranks = dense_codes(lists.rank)
        return _Read(lists.item, lists.items, place, pd.Index(ranks), lists.clicked, lists.order)
    need(stage, shows, {"item", "place"} | ({"clicked"} if clicks else set()))
    clicked = read_clicks(stage, shows) if clicks else np.zeros(len(shows), dtype=np.bool_)
    return _Read(*encode(stage, shows["item"]), *encode(stage, shows["place"]), clicked)


def _read_cells(stage: str, cells: pd.DataFrame) -> tuple[Cells, pd.Index, pd.Index]:
    missing = _CELL - set(cells.columns)
    if missing:
        raise BadCallError.missing_columns(stage, missing, map(str, cells.columns))
    if cells.empty:
        raise BadCallError(f"{stage}: there is no cell to fit on; give at least one show")
    item, items = encode(stage, cells["item"])
    place, places = encode(stage, cells["place"])
    shows, clicks = cells["shows"].to_numpy(np.float64), cells["clicks"].to_numpy(np.float64)
    wrong = ~((shows > 0) & (shows < np.inf) & (clicks >= 0) & (clicks <= shows))
    if wrong.any():
        raise BadCallError(
            f"{stage}: {int(wrong.sum()):,} cells have no shows, or clicks that are not between 0 and their shows, "
            f"such as {clicks[wrong][0]:g} clicks of {shows[wrong][0]:g} shows"
        )
    order = np.argsort(item, kind="stable")
    found = Cells(item[order], place[order], shows[order], clicks[order], len(items), len(places))
    return found, items, places
