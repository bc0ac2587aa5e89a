"""The user browsing model: how far the last click lies above decides who still looks (S8.1).

`P(click | clicks above) = exposure(rank, distance) * relevance(item)`, the distance being that to the last click
above; without one it is the rank itself, as if the list's head had been clicked. Given the clicks above, shows are
independent, so that shows and clicks per item, rank and distance are all that the likelihood needs.

Source: Dupret and Piwowarski, A user browsing model to predict search engine click data from past observations,
SIGIR 2008; marginal probabilities as in Chuklin, Markov and de Rijke, Click Models for Web Search, 2015, chapter 3.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
import pandas as pd

from eventlib.ranking.clicks.cell_model import CellModel
from eventlib.ranking.clicks.em import count, inside
from eventlib.ranking.clicks.model import ListModel
from eventlib.ranking.clicks.sessions import Bools, Floats, Ints, Lists, dense_codes, last_click, read_lists

__all__ = ["UserBrowsingModel"]

_LEAST_EXPOSURE: Final = 1e-6


def _place(rank: Ints, above: Ints) -> Ints:
    """Number (rank, rank of the last click above): 0 for (1, none), and so on along a triangle."""
    return rank * (rank - 1) // 2 + (rank - above) - 1


class UserBrowsingModel(CellModel, ListModel):
    """User browsing model, fitted by expectation-maximisation on (item, rank, distance) cells.

    Only the product of exposure and relevance is identified. The exposure of rank 1 is set to 1, so that relevance
    is the click probability at the top; another exposure may then exceed 1 (where rank 1 was never clicked, the
    largest is 1).

    Parameters
    ----------
    max_iter
        EM steps at most.
    tol
        Stop when the mean log-likelihood per show (with the prior's) rises by less than this.
    prior_shows
        Examined shows at the mean relevance added to every item: 0 is maximum likelihood, more shrinks thin items.
    prior_place_shows
        Shows added to every rank and distance whose exposure is fitted, half of them examined (before exposures are scaled):
        keeps those that were hardly shown off 0 and 1, where one unforeseen click costs everything.

    Attributes
    ----------
    exposure_ : dict
        Exposure per (rank, distance); a distance equal to the rank means that nothing was clicked above.
    mean_exposure_ : float
        Over the shows of the fit: what a (rank, distance) that was not in it gets.
    relevance_ : dict
        Probability of a click at the top, per item, in (0, 1).
    mean_relevance_ : float
        Clicks over examined shows of all items: what an item that was not in the fit gets.
    log_likelihood_path_ : ndarray of float64, shape (n_iter_,)
        What is maximised, per show, before each step.
    n_iter_ : int
        EM steps taken.

    Examples
    --------
    >>> shows = pd.DataFrame(
    ...     {"session": [1, 1, 2, 2, 3, 3], "item": list("ababba"), "rank": [1, 2] * 3, "clicked": [1, 0, 1, 1, 0, 1]}
    ... )
    >>> model = UserBrowsingModel().fit(shows)
    >>> sorted(model.exposure_), round(float(model.predict_conditional(shows)[0]), 2)
    ([(1, 1), (2, 1), (2, 2)], 1.0)
    >>> model.fit(shows[["session", "item"]])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    eventlib.errors.BadCallError: UserBrowsingModel.fit needs the columns clicked, rank, which ...
    """

    def fit(self, shows: pd.DataFrame) -> Self:
        """Fit on one row per show: `session, item, rank, clicked`.

        Raises
        ------
        BadCallError
            The frame is not as `ClickModel` says, or a setting is out of range.
        """
        self._check_settings()
        lists = read_lists(self._stage("fit"), shows, clicks=True)
        place, self._places = dense_codes(_place(lists.rank, last_click(lists)))
        cells = count(lists.item, place, lists.clicked, len(lists.items), len(self._places))
        self._maximise(lists.items, cells)
        self.exposure_ = dict(zip(self._keys(), self._exposure.tolist(), strict=True))
        return self

    def _choose_reference(self, theta: Floats) -> int:
        """Rank 1, whatever the noise of thin cells; without a click there the largest exposure."""
        top = self._places[0] == 0 and theta[0] > _LEAST_EXPOSURE
        return 0 if top else int(theta.argmax())

    def _keys(self) -> list[tuple[int, int]]:
        rank = np.floor((1 + np.sqrt(1 + 8 * self._places)) / 2).astype(np.int64)
        return list(zip(rank.tolist(), (self._places - rank * (rank - 1) // 2 + 1).tolist(), strict=True))

    def _exposure_of(self, rank: Ints, above: Ints) -> Floats:
        place = _place(rank, above)
        at = np.minimum(np.searchsorted(self._places, place), len(self._places) - 1)
        return np.where(self._places[at] == place, self._exposure[at], self.mean_exposure_)

    def _attraction(self, lists: Lists) -> Floats:
        return self._of_items(lists.items, lists.item, self._relevance, self.mean_relevance_)

    def _conditional(self, lists: Lists) -> Floats:
        return self._exposure_of(lists.rank, last_click(lists)) * self._attraction(lists)

    def _marginal(self, lists: Lists) -> Floats:
        """Walk down lists of one length together, with the chance of each rank being the last clicked so far."""
        attraction, found = self._attraction(lists), np.empty(len(lists.rank))
        for rows in lists.blocks():
            rank = lists.rank[rows]
            ranks_above = np.concatenate([np.zeros((len(rows), 1), dtype=np.int64), rank], axis=1)
            last = np.zeros(ranks_above.shape)
            last[:, 0] = 1.0
            for k in range(rows.shape[1]):
                exposure = self._exposure_of(rank[:, k, None], ranks_above[:, : k + 1])
                clicked = last[:, : k + 1] * inside(exposure * attraction[rows[:, k], None])
                last[:, : k + 1] -= clicked
                last[:, k + 1] = clicked.sum(axis=1)
                found[rows[:, k]] = last[:, k + 1]
        return found

    def _draw(self, lists: Lists, rng: np.random.Generator) -> Bools:
        attraction, chance = self._attraction(lists), rng.random(len(lists.rank))
        drawn = np.empty(len(lists.rank), dtype=np.bool_)
        for rows in lists.blocks():
            last = np.zeros(len(rows), dtype=np.int64)
            for row in rows.T:
                rank = lists.rank[row]
                drawn[row] = chance[row] < self._exposure_of(rank, last) * attraction[row]
                last = np.where(drawn[row], rank, last)
        return drawn
