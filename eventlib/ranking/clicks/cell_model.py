"""Models whose likelihood is that of (item, place) cells: fitting, scale and intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError
from eventlib.ranking.clicks.em import TINY, Cells, Fit, expectation_maximisation, inside
from eventlib.ranking.clicks.intervals import cut_off, profile_interval, widening
from eventlib.ranking.clicks.model import ClickModel, require_fit, require_settings
from eventlib.ranking.clicks.sessions import Floats

__all__ = ["CellModel"]


class CellModel(ClickModel):
    """`P(click) = exposure(place) * relevance(item)`, by expectation-maximisation; what a place is, a subclass says."""

    mean_exposure_: float
    log_likelihood_path_: Floats
    n_iter_: int
    _exposure: Floats

    def __init__(
        self,
        *,
        max_iter: int = 500,
        tol: float = 1e-10,
        prior_shows: float = 0.0,
        prior_place_shows: float = 0.0,
    ) -> None:
        self.max_iter = max_iter
        self.tol = tol
        self.prior_shows = prior_shows
        self.prior_place_shows = prior_place_shows

    def relevance(self, interval: float = 0.9) -> pd.DataFrame:
        """Return relevance per item with an interval from its profile likelihood.

        Where exposures were fitted too, the cut-off is widened by what that adds to the variance
        (`intervals.widening`); an item that nothing joins to the place of exposure 1 has the interval from 0 to 1.
        Exposures that were given are taken for the truth: their errors are not in the interval. With `prior_shows`
        the prior counts as data.

        Returns
        -------
        DataFrame
            `item, relevance, lower, upper, shows, clicks`, one row per item in the fit.

        Raises
        ------
        BadCallError
            The model is not fitted, or `interval` is not between 0 and 1.
        """
        require_fit(self)
        cells, theta, gamma = self._cells, self._fit.theta, self._fit.gamma
        drop = np.full(cells.items, cut_off(interval))
        if self._reference is not None:
            drop *= widening(cells, theta, gamma, self._reference)
        liked = self.prior_shows * self._prior_mean
        lower, upper = profile_interval(cells, theta, gamma, drop, (liked, self.prior_shows - liked))
        return pd.DataFrame(
            {
                "item": self._items,
                "relevance": self._relevance,
                "lower": np.minimum(lower / self._scale, self._relevance),
                "upper": np.minimum(upper / self._scale, 1.0),
                "shows": cells.by_item(cells.shows).astype(np.int64),
                "clicks": cells.by_item(cells.clicks).astype(np.int64),
            }
        )

    def _check_settings(self) -> None:
        require_settings(self, self.max_iter, self.tol, self.prior_shows)
        if not 0 <= self.prior_place_shows < np.inf:
            name = type(self).__name__
            raise BadCallError(
                f"{name}: prior_place_shows must be 0 or more, and finite, got {self.prior_place_shows}"
            )

    def _choose_reference(self, theta: Floats) -> int:
        """Return the place whose exposure is 1 by definition."""
        return int(theta.argmax())

    def _maximise(self, items: pd.Index, cells: Cells, fixed: Floats | None = None) -> None:
        """Run EM from one half everywhere, or with the exposures that are given, and scale what it finds."""
        # EM asks for exposures of 1 at most; given ones may be relative to a place that is not the highest
        self._scale = 1.0 if fixed is None else max(float(fixed.max()), 1.0)
        theta = np.full(cells.places, 0.5) if fixed is None else fixed / self._scale
        clicks = float(cells.clicks.sum())
        self._prior_mean = min(clicks / max(float(cells.shows @ theta[cells.place]), TINY), 1.0)
        self._fit = expectation_maximisation(
            cells, theta, np.full(cells.items, 0.5), fit_exposure=fixed is None, prior_shows=self.prior_shows,
            prior_mean=self._prior_mean, prior_place_shows=self.prior_place_shows, max_iter=self.max_iter, tol=self.tol,
        )  # fmt: skip
        self._reference = None if fixed is not None else self._choose_reference(self._fit.theta)
        if self._reference is not None:
            self._scale = 1 / float(self._fit.theta[self._reference])
        self._items, self._cells = items, cells
        self._describe(self._fit, clicks)

    def _describe(self, fit: Fit, clicks: float) -> None:
        """Set what is told of the fit, on the scale of the reference."""
        self._exposure, self._relevance = fit.theta * self._scale, inside(fit.gamma / self._scale)
        examined = float(self._cells.shows @ self._exposure[self._cells.place])
        self.mean_exposure_ = examined / float(self._cells.shows.sum())
        self.mean_relevance_ = min(clicks / max(examined, TINY), 1.0)
        self.relevance_ = dict(zip(self._items.tolist(), self._relevance.tolist(), strict=True))
        self.log_likelihood_path_, self.n_iter_ = fit.path, len(fit.path)
