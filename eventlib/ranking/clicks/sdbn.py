"""The simplified dynamic Bayesian network: people read from the top until a click satisfies them (S8.1).

Everything is examined down to the click that satisfies: `P(click | examined) = relevance(item)` (attraction), and a
click ends the reading with probability `satisfaction(item)`. After a click the next show is examined with `1 -
satisfaction`; after `k` shows without a further click that chance is updated by Bayes.

Chapelle and Zhang count: attraction is clicks over shows down to the last click of each list (all of the list
without one), satisfaction is last clicks over clicks. That takes nobody to have read on after the last click. Who
did and clicked no more is counted as satisfied, and their unclicked shows are lost, so that both counts are too
high, however large the log. `max_iter` steps of expectation-maximisation from there give the maximum of
the likelihood, in which a list with last click `l` has the tail `s + (1 - s) * prod(1 - a)` over the shows below.

Source: Chapelle and Zhang, A dynamic Bayesian network click model for web search ranking, WWW 2009 (here with
continuation 1); Chuklin, Markov and de Rijke, Click Models for Web Search, 2015, chapters 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy.special import xlog1py, xlogy

from eventlib.ranking.clicks.em import TINY, Cells, inside
from eventlib.ranking.clicks.intervals import cut_off, profile_interval
from eventlib.ranking.clicks.model import ListModel, require_fit, require_settings
from eventlib.ranking.clicks.sessions import Bools, Floats, Ints, Lists, read_lists, total

__all__ = ["SimplifiedDBN"]


@dataclass(frozen=True, slots=True)
class _Counts:
    """What lists say, as counts per item and the tails below last clicks.

    Attributes
    ----------
    read, clicks, last
        Per item: shows down to the last click, clicks, and last clicks of a list.
    ender
        Item of each last click, one entry per list with a click.
    tail_item, tail
        Item of each show below a last click, and the entry of `ender` that it is below.
    """

    read: Floats
    clicks: Floats
    last: Floats
    ender: Ints
    tail_item: Ints
    tail: Ints


def _count(lists: Lists) -> _Counts:
    rows, number = np.arange(len(lists.rank)), lists.number()
    last = np.maximum.reduceat(np.where(lists.clicked, rows, -1), lists.start)
    below = (rows > last[number]) & (last[number] >= 0)
    ends = np.flatnonzero(last >= 0)
    entry = np.zeros(len(last), dtype=np.int64)
    entry[ends] = np.arange(len(ends))
    size, ender = len(lists.items), lists.item[last[ends]]

    def per_item(item: Ints) -> Floats:
        return np.bincount(item, minlength=size).astype(np.float64)

    return _Counts(
        read=per_item(lists.item[~below]), clicks=per_item(lists.item[lists.clicked]), last=per_item(ender),
        ender=ender, tail_item=lists.item[below], tail=entry[number[below]],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Step:
    """Expected counts under the present parameters, and the log likelihood of these."""

    read_on: Floats
    read_below: Floats
    satisfied: Floats
    log_likelihood: float


def _expect(counts: _Counts, attraction: Floats, satisfaction: Floats) -> _Step:
    """Ask who read on after their last click: `(1 - s) * prod(1 - a) / (s + (1 - s) * prod(1 - a))`."""
    size, lists = len(attraction), len(counts.ender)
    ignored = total(counts.tail, np.log1p(-attraction)[counts.tail_item], lists)
    unsatisfied = (1 - satisfaction[counts.ender]) * np.exp(ignored)
    ended = satisfaction[counts.ender] + unsatisfied
    read_on = unsatisfied / ended
    likelihood = (
        xlogy(counts.clicks, attraction)
        + xlog1py(counts.read - counts.clicks, -attraction)
        + xlog1py(counts.clicks - counts.last, -satisfaction)
    ).sum() + np.log(ended).sum()
    return _Step(
        read_on,
        total(counts.tail_item, read_on[counts.tail], size),
        total(counts.ender, 1 - read_on, size),
        float(likelihood),
    )


class SimplifiedDBN(ListModel):
    """Simplified dynamic Bayesian network, by counting or by maximum likelihood.

    Parameters
    ----------
    max_iter
        EM steps at most, from the counts on: 0 leaves the counts of Chapelle and Zhang.
    tol
        Stop when the mean log-likelihood per show rises by less than this.
    prior_shows
        Shows at the mean attraction, and clicks at the mean satisfaction, added to every item.

    Attributes
    ----------
    relevance_ : dict
        Attraction: probability of a click once examined, per item, in (0, 1).
    satisfaction_ : dict
        Probability that a click ends the reading, per item, in (0, 1); the mean for an item without a click.
    mean_relevance_, mean_satisfaction_ : float
        Of all examined shows and of all clicks: what an item that was not in the fit gets.
    log_likelihood_path_ : ndarray of float64, shape (n_iter_,)
        Per show, before each step; without the prior's.
    n_iter_ : int
        EM steps taken.

    Examples
    --------
    >>> shows = pd.DataFrame(
    ...     {"session": [1, 1, 2, 2, 3, 3], "item": list("ababba"), "rank": [1, 2] * 3, "clicked": [1, 0, 0, 1, 0, 0]}
    ... )
    >>> model = SimplifiedDBN(max_iter=0).fit(shows)
    >>> {item: round(value, 2) for item, value in model.relevance_.items()}
    {'a': 0.33, 'b': 0.5}
    >>> model.fit(shows.assign(rank=0))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    eventlib.errors.BadCallError: SimplifiedDBN.fit: shows['rank'] has 6 values that are no rank, such as 0; ...
    """

    def __init__(self, *, max_iter: int = 100, tol: float = 1e-10, prior_shows: float = 0.0) -> None:
        self.max_iter = max_iter
        self.tol = tol
        self.prior_shows = prior_shows

    def fit(self, shows: pd.DataFrame) -> Self:
        """Fit on one row per show: `session, item, rank, clicked`.

        Raises
        ------
        BadCallError
            The frame is not as `ClickModel` says, or a setting is out of range.
        """
        require_settings(self, self.max_iter, self.tol, self.prior_shows, least=0)
        lists = read_lists(self._stage("fit"), shows, clicks=True)
        self._items, self._counts = lists.items, _count(lists)
        self._estimate(self._counts, len(lists.rank))
        self.relevance_ = dict(zip(self._items.tolist(), self._relevance.tolist(), strict=True))
        self.satisfaction_ = dict(zip(self._items.tolist(), self._satisfaction.tolist(), strict=True))
        return self

    def relevance(self, interval: float = 0.9) -> pd.DataFrame:
        """Return attraction and satisfaction per item, each with an interval from its (profile) likelihood.

        The cut-off is widened by the share of the information that is missing, since nobody sees who read on after
        their last click. What items of one list owe each other is left out.

        Returns
        -------
        DataFrame
            `item, relevance, lower, upper, satisfaction, satisfaction_lower, satisfaction_upper, shows, clicks`,
            one row per item in the fit; `shows` are those down to the last click.

        Raises
        ------
        BadCallError
            The model is not fitted, or `interval` is not between 0 and 1.
        """
        require_fit(self)
        counts, drop = self._counts, cut_off(interval)
        step = _expect(counts, self._relevance, self._satisfaction)
        lost = step.read_on * (1 - step.read_on)
        missed = total(counts.tail_item, lost[counts.tail], len(self._items)) * self._relevance**2
        unsure = total(counts.ender, lost, len(self._items))
        below, satisfied = (step.read_below, step.satisfied) if self.max_iter else (0.0, counts.last)
        lower, upper = self._interval(
            counts.read + below, counts.clicks, self._relevance, self.mean_relevance_, missed, drop
        )
        least, most = self._interval(
            counts.clicks, satisfied, self._satisfaction, self.mean_satisfaction_, unsure, drop
        )
        return pd.DataFrame(
            {
                "item": self._items,
                "relevance": self._relevance,
                "lower": lower,
                "upper": upper,
                "satisfaction": self._satisfaction,
                "satisfaction_lower": least,
                "satisfaction_upper": most,
                "shows": counts.read.astype(np.int64),
                "clicks": counts.clicks.astype(np.int64),
            }
        )

    def _estimate(self, counts: _Counts, shows: int) -> None:
        """Count, then ask again and again who read on after their last click."""
        self._divide(counts, counts.read, counts.last)
        path: list[float] = []
        for _ in range(self.max_iter):
            step = _expect(counts, self._relevance, self._satisfaction)
            path.append(step.log_likelihood / shows)
            self._divide(counts, counts.read + step.read_below, step.satisfied)
            if len(path) > 1 and path[-1] - path[-2] < self.tol:
                break
        self.log_likelihood_path_, self.n_iter_ = np.array(path), len(path)

    def _divide(self, counts: _Counts, read: Floats, satisfied: Floats) -> None:
        """Divide clicks by what was read and satisfied clicks by clicks, each with its prior."""
        clicks = float(counts.clicks.sum())
        self.mean_relevance_ = clicks / max(float(read.sum()), TINY)
        self.mean_satisfaction_ = float(satisfied.sum()) / clicks if clicks else 0.5
        self._relevance = self._shrink(counts.clicks, read, self.mean_relevance_)
        self._satisfaction = self._shrink(satisfied, counts.clicks, self.mean_satisfaction_)

    def _shrink(self, hits: Floats, tries: Floats, mean: float) -> Floats:
        added = tries + self.prior_shows
        return inside(np.where(added > 0, (hits + self.prior_shows * mean) / np.maximum(added, TINY), mean))

    def _interval(
        self, tries: Floats, hits: Floats, value: Floats, mean: float, missing: Floats, drop: float
    ) -> tuple[Floats, Floats]:
        """Return the likelihood interval of a share of expected counts.

        `missing` is the information that the counts have too much, times `(value * (1 - value))**2`.
        """
        rows = np.arange(len(tries))
        cells = Cells(rows, np.zeros_like(rows), tries, hits, len(rows), 1)
        # information of complete counts, and what is missing of it (Louis 1982), times (value * (1 - value))**2
        whole = hits * (1 - value) ** 2 + np.maximum(tries - hits, 0) * value**2
        ratio = np.where(whole > missing, whole / np.maximum(whole - missing, TINY), np.inf)
        wide = np.where(whole > 0, ratio, 1.0)
        liked = self.prior_shows * mean
        lower, upper = profile_interval(
            cells, np.ones(1), value, drop * wide, (liked, self.prior_shows - liked)
        )
        return np.minimum(lower, value), np.maximum(upper, value)

    def _parameters(self, lists: Lists) -> tuple[Floats, Floats]:
        """Return attraction and satisfaction of each sorted show."""
        return (
            self._of_items(lists.items, lists.item, self._relevance, self.mean_relevance_),
            self._of_items(lists.items, lists.item, self._satisfaction, self.mean_satisfaction_),
        )

    def _marginal(self, lists: Lists) -> Floats:
        attraction, satisfaction = self._parameters(lists)
        found = np.empty(len(attraction))
        for rows in lists.blocks():
            left = np.cumprod(1 - attraction[rows] * satisfaction[rows], axis=1)
            found[rows[:, 0]] = attraction[rows[:, 0]]
            found[rows[:, 1:]] = left[:, :-1] * attraction[rows[:, 1:]]
        return found

    def _conditional(self, lists: Lists) -> Floats:
        return self._walk(lists, lists.clicked)[0]

    def _draw(self, lists: Lists, rng: np.random.Generator) -> Bools:
        return self._walk(lists, rng.random(len(lists.rank)))[1]

    def _walk(self, lists: Lists, given: Floats | Bools) -> tuple[Floats, Bools]:
        """Walk down lists of one length together; `given` are clicks, or chances to draw them by."""
        attraction, satisfaction = self._parameters(lists)
        found, clicked = np.empty(len(attraction)), np.empty(len(attraction), dtype=np.bool_)
        for rows in lists.blocks():
            examined = np.ones(len(rows))
            for row in rows.T:
                p = inside(examined * attraction[row])
                found[row] = p
                clicked[row] = given[row] if given.dtype.kind == "b" else given[row] < p
                on = examined * (1 - attraction[row]) / (1 - p)
                examined = np.where(clicked[row], 1 - satisfaction[row], on)
        return found, clicked
