"""Click models on sufficient statistics: the position-based model (S8.1).

A person clicks what they examine and find attractive, `P(click) = exposure(place) * relevance(item)`; a place is
where something stands (slot and rank), an item is what was shown for what (content for a prompt cluster). Shows
and clicks of one (item, place) cell are all that the likelihood needs.

Source: Craswell et al., An experimental comparison of click position-bias models, WSDM 2008; the EM steps as in
Chuklin, Markov and de Rijke, Click Models for Web Search, 2015, chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["PositionBasedModel", "count_cells"]

_CELL: Final = ("item", "place", "shows", "clicks")
_TINY: Final = 1e-12


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


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells as integer codes; all arrays have one entry per cell."""

    item: NDArray[np.intp]
    place: NDArray[np.intp]
    shows: NDArray[np.float64]
    clicks: NDArray[np.float64]


class PositionBasedModel:
    """Position-based click model, fitted by expectation-maximisation.

    Parameters
    ----------
    exposure
        Exposure per place. Given, it stays fixed and only relevance is fitted (S8.2); None fits both, with the
        largest exposure set to 1, since only the product is identified.
    max_iter
        EM steps at most.
    tol
        Stop when the mean log-likelihood per show rises by less than this.
    prior_shows
        Examined shows at the mean relevance added to every item: 0 is maximum likelihood, more shrinks thin items.

    Attributes
    ----------
    exposure_ : dict
        Exposure per place, in (0, 1].
    relevance_ : dict
        Probability of a click once examined, per item, in (0, 1).
    mean_relevance_ : float
        Clicks over examined shows of all items: what an unknown item gets.
    n_iter_ : int
        EM steps taken.
    """

    def __init__(
        self,
        exposure: Mapping[Any, float] | None = None,
        *,
        max_iter: int = 500,
        tol: float = 1e-10,
        prior_shows: float = 0.0,
    ) -> None:
        self.exposure = exposure
        self.max_iter = max_iter
        self.tol = tol
        self.prior_shows = prior_shows

    def fit(self, cells: pd.DataFrame) -> Self:
        """Fit on cells as `count_cells` returns them: one row per (item, place) with `shows` and `clicks`.

        Raises
        ------
        BadCallError
            A column is missing, there is no cell, or a place has no exposure although exposures were given.
        """
        data, items, places = self._encode(cells)
        fixed = None if self.exposure is None else self._fixed(places)
        start = np.full(len(items), 0.5)
        theta = np.full(len(places), 0.5) if fixed is None else fixed
        theta, gamma = self._iterate(data, theta, start, fit_exposure=fixed is None)
        if fixed is None:
            scale = theta.max()
            theta, gamma = theta / scale, np.clip(gamma * scale, _TINY, 1 - _TINY)
        self.exposure_ = dict(zip(places, theta.tolist(), strict=True))
        self.relevance_ = dict(zip(items, gamma.tolist(), strict=True))
        self.mean_relevance_ = float(data.clicks.sum() / max((data.shows * theta[data.place]).sum(), _TINY))
        return self

    def predict_proba(self, items: ArrayLike, places: ArrayLike) -> NDArray[np.float64]:
        """Return the click probability of each (item, place); an unknown item has the mean relevance.

        Raises
        ------
        BadCallError
            A place was not in the fit.
        """
        place_list = list(np.asarray(places, dtype=object))
        unknown = {place for place in set(place_list) if place not in self.exposure_}
        if unknown:
            raise BadCallError.unknown("place", str(min(unknown, key=str)), map(str, self.exposure_))
        theta = np.array([self.exposure_[place] for place in place_list], dtype=np.float64)
        gamma = np.array(
            [self.relevance_.get(item, self.mean_relevance_) for item in np.asarray(items, dtype=object)],
            dtype=np.float64,
        )
        return np.clip(theta * gamma, _TINY, 1 - _TINY)

    def score(self, cells: pd.DataFrame) -> float:
        """Return the mean log-likelihood per show, in nats; higher is better."""
        gains = self._log_likelihood(cells)
        return float(gains.sum() / cells["shows"].sum())

    def perplexity(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Return perplexity per place, `2 ** -(mean log2 likelihood)`: 1 is certain, 2 is a coin.

        In a position-based model clicks of one list are independent, so conditional perplexity is the same.

        Returns
        -------
        DataFrame
            `place, shows, perplexity`, in the order of places.
        """
        by_place = pd.DataFrame(
            {"place": cells["place"], "shows": cells["shows"], "gain": self._log_likelihood(cells)}
        )
        sums = by_place.groupby("place", sort=True, observed=True)[["shows", "gain"]].sum().reset_index()
        sums["perplexity"] = np.exp(-sums["gain"] / sums["shows"])
        return sums[["place", "shows", "perplexity"]]

    def _log_likelihood(self, cells: pd.DataFrame) -> NDArray[np.float64]:
        p = self.predict_proba(cells["item"], cells["place"])
        shows, clicks = cells["shows"].to_numpy(np.float64), cells["clicks"].to_numpy(np.float64)
        gains: NDArray[np.float64] = clicks * np.log(p) + (shows - clicks) * np.log1p(-p)
        return gains

    def _encode(self, cells: pd.DataFrame) -> tuple[_Cells, list[Any], list[Any]]:
        missing = set(_CELL) - set(cells.columns)
        if missing:
            raise BadCallError.missing_columns("PositionBasedModel.fit", missing, cells.columns)
        if cells.empty:
            raise BadCallError("PositionBasedModel.fit: there is no cell to fit on; give at least one show")
        item, items = pd.factorize(cells["item"], sort=True)
        place, places = pd.factorize(cells["place"], sort=True)
        data = _Cells(item, place, cells["shows"].to_numpy(np.float64), cells["clicks"].to_numpy(np.float64))
        return data, list(items), list(places)

    def _fixed(self, places: list[Any]) -> NDArray[np.float64]:
        assert self.exposure is not None
        for place in places:
            if place not in self.exposure:
                raise BadCallError.unknown("place in exposure", str(place), map(str, self.exposure))
        return np.array([self.exposure[place] for place in places], dtype=np.float64)

    def _iterate(
        self, data: _Cells, theta: NDArray[np.float64], gamma: NDArray[np.float64], *, fit_exposure: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """EM: (1) what unclicked shows were worth, (2) new relevance, (3) new exposure, until it stands still."""
        unclicked = data.shows - data.clicks
        shown_item = np.bincount(data.item, data.shows)
        shown_place = np.bincount(data.place, data.shows)
        examined = max(float((data.shows * theta[data.place]).sum()), _TINY)
        prior = min(float(data.clicks.sum()) / examined, 1.0) * self.prior_shows
        last, total = -np.inf, data.shows.sum()
        for step in range(1, self.max_iter + 1):
            t, g = theta[data.place], gamma[data.item]
            skipped = np.maximum(1 - t * g, _TINY)
            attractive = data.clicks + unclicked * g * (1 - t) / skipped
            gamma = (np.bincount(data.item, attractive) + prior) / (shown_item + self.prior_shows)
            if fit_exposure:
                seen = data.clicks + unclicked * t * (1 - g) / skipped
                theta = np.bincount(data.place, seen) / shown_place
            p = np.clip(t * g, _TINY, 1 - _TINY)
            mean = float((data.clicks * np.log(p) + unclicked * np.log1p(-p)).sum() / total)
            self.n_iter_ = step
            if mean - last < self.tol:
                break
            last = mean
        return theta, np.clip(gamma, _TINY, 1 - _TINY)
