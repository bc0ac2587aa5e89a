"""What all click models do alike: predict, be scored, give relevances with intervals, draw clicks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError
from eventlib.ranking.clicks.em import inside
from eventlib.ranking.clicks.sessions import Bools, Floats, Ints, Lists, look_up, read_lists, read_ranks

__all__ = ["ClickModel", "ListModel", "log_likelihood", "require_fit", "require_settings"]


def log_likelihood(probability: Floats, clicked: Bools) -> Floats:
    """Return the log likelihood of each show, in nats."""
    return np.log(np.where(clicked, probability, 1 - probability))


def require_fit(model: object) -> None:
    """Refuse a model that was not fitted."""
    if not hasattr(model, "relevance_"):
        raise BadCallError(f"{type(model).__name__} is not fitted yet; call fit(shows) first")


def require_settings(model: object, max_iter: int, tol: float, prior_shows: float, *, least: int = 1) -> None:
    """Refuse settings that no fit can be made with."""
    name = type(model).__name__
    if max_iter < least:
        raise BadCallError(f"{name}: max_iter must be at least {least}, got {max_iter}")
    if np.isnan(tol):
        raise BadCallError(f"{name}: tol must be a number, got {tol}")
    if not 0 <= prior_shows < np.inf:
        raise BadCallError(f"{name}: prior_shows must be 0 or more, and finite, got {prior_shows}")


class ClickModel(ABC):
    """A model of which shows of a list are clicked.

    Frames have one row per show: `session` (a list that was shown once), `item`, `rank` (from 1; gaps are allowed),
    `clicked`. Rows may come in any order. All methods raise `BadCallError` for a missing column, nulls, a rank that
    is no whole number from 1, two shows at one rank of a session, or no rows.

    Nothing here knows people: who shows a relevance to others hides those of fewer than ten (`eventlib.cells`).
    """

    relevance_: dict[Any, float]
    mean_relevance_: float
    _items: pd.Index
    _relevance: Floats

    @abstractmethod
    def fit(self, shows: pd.DataFrame) -> Self:
        """Fit on shows."""

    @abstractmethod
    def relevance(self, interval: float = 0.9) -> pd.DataFrame:
        """Return the relevance of each item, with an interval."""

    @abstractmethod
    def sample(self, shows: pd.DataFrame, seed: int = 0) -> Bools:
        """Draw clicks for lists as the fitted model would see them clicked.

        Parameters
        ----------
        shows
            `session, item, rank`.
        seed
            Of numpy's default generator.

        Returns
        -------
        ndarray of bool, shape (rows of shows,)
            In the order of the rows.
        """

    @abstractmethod
    def _predict(self, shows: pd.DataFrame, *, conditional: bool) -> Floats:
        """Return click probabilities in the order of the rows."""

    @abstractmethod
    def _gains(self, shows: pd.DataFrame, *, conditional: bool) -> Floats:
        """Return log likelihoods in the order of the rows."""

    def predict_proba(self, shows: pd.DataFrame) -> Floats:
        """Return the probability that each show is clicked, before any click of its list is known.

        Returns
        -------
        ndarray of float64, shape (rows of shows,)
            In (0, 1), in the order of the rows.
        """
        return self._predict(shows, conditional=False)

    def predict_conditional(self, shows: pd.DataFrame) -> Floats:
        """Return the probability that each show is clicked, given what was clicked above it in its list.

        Returns
        -------
        ndarray of float64, shape (rows of shows,)
            In (0, 1), in the order of the rows.
        """
        return self._predict(shows, conditional=True)

    def score(self, shows: pd.DataFrame) -> float:
        """Return the mean log likelihood per show, in nats; higher is better.

        A list's likelihood is the product of its shows' conditional probabilities.
        """
        return float(self._gains(shows, conditional=True).mean())

    def perplexity(self, shows: pd.DataFrame, *, conditional: bool = False) -> pd.DataFrame:
        """Return perplexity per rank, `2 ** -(mean log2 likelihood)`: 1 is certain, 2 is a coin.

        Parameters
        ----------
        conditional
            Whether the clicks above in the same list are given.

        Returns
        -------
        DataFrame
            `rank` (int64), `shows` (int64), `perplexity` (float64), in the order of ranks.
        """
        gain = self._gains(shows, conditional=conditional)
        gains = pd.DataFrame({"rank": read_ranks(self._stage("perplexity"), shows), "gain": gain})
        found = gains.groupby("rank", sort=True)["gain"].agg(shows="size", gain="mean").reset_index()
        found["perplexity"] = np.exp(-found["gain"])
        return found[["rank", "shows", "perplexity"]]

    def mean_perplexity(self, shows: pd.DataFrame, *, conditional: bool = False) -> float:
        """Return the mean over ranks of `perplexity`, each rank counting once (Chuklin et al. 2015, chapter 5)."""
        return float(self.perplexity(shows, conditional=conditional)["perplexity"].mean())

    def _stage(self, method: str) -> str:
        return f"{type(self).__name__}.{method}"

    def _of_items(self, items: pd.Index, item: Ints, values: Floats, otherwise: float) -> Floats:
        """Return each show's value of its item; items that were not in the fit get `otherwise`."""
        at = look_up(self._items, items)
        return np.where(at >= 0, values[at], otherwise)[item]


class ListModel(ClickModel):
    """A model in which a click depends on those above it: lists are walked from the top."""

    @abstractmethod
    def _marginal(self, lists: Lists) -> Floats:
        """Return the click probability of each sorted show, before any click of its list is known."""

    @abstractmethod
    def _conditional(self, lists: Lists) -> Floats:
        """Return the click probability of each sorted show, given the clicks above it."""

    @abstractmethod
    def _draw(self, lists: Lists, rng: np.random.Generator) -> Bools:
        """Draw the clicks of sorted shows."""

    def sample(self, shows: pd.DataFrame, seed: int = 0) -> Bools:
        """Draw clicks for lists (`session, item, rank`) as the fitted model would see them clicked."""
        require_fit(self)
        lists = read_lists(self._stage("sample"), shows, clicks=False)
        return lists.as_given(self._draw(lists, np.random.default_rng(seed)).astype(np.float64)) > 0

    def _predict(self, shows: pd.DataFrame, *, conditional: bool) -> Floats:
        require_fit(self)
        stage = self._stage("predict_conditional" if conditional else "predict_proba")
        lists = read_lists(stage, shows, clicks=conditional)
        return lists.as_given(inside(self._conditional(lists) if conditional else self._marginal(lists)))

    def _gains(self, shows: pd.DataFrame, *, conditional: bool) -> Floats:
        require_fit(self)
        lists = read_lists(self._stage("score"), shows, clicks=True)
        predicted = self._conditional(lists) if conditional else self._marginal(lists)
        return lists.as_given(log_likelihood(inside(predicted), lists.clicked))
