"""Clicks simulated on judged documents: a weak ranker's lists, read by people whose attention falls with rank.

The documents, their features and their relevance of 0 to 4 are those of LightGBM's lambdarank example. A click is a look
times an interest: a document at rank k is looked at with probability k**-eta, and what is looked at is clicked with
probability .1 + .9 * (2**relevance - 1) / 15. The list of a query is the order of a linear model that was shown the
relevance of two queries, plus noise that is drawn anew at each refresh of the ranker, so that ranks swap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score

__all__ = ["LENGTH", "Judged", "Log", "Setting", "draw_log", "ndcg", "read_judged"]

FEATURES: Final = 301
LENGTH: Final = 10
"""Documents of a list; the others of a query are not shown."""
NOISE: Final = 0.1
REFRESHES: Final = 10
LEARNED_QUERIES: Final = 2
"""One percent of them, which the ranker that filled the lists has seen judged."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged documents.

    Attributes
    ----------
    features : ndarray of float32, shape (documents, 301)
    relevance : ndarray of float64, shape (documents,)
        0 to 4.
    starts : ndarray of int64, shape (queries + 1,)
        Where each query's documents start, and where the last ones end.
    """

    features: NDArray[np.float32]
    relevance: Floats
    starts: Ints

    @property
    def gains(self) -> Floats:
        """2**relevance - 1."""
        return np.exp2(self.relevance) - 1

    @property
    def attraction(self) -> Floats:
        """Probability of a click on what is looked at."""
        return NOISE + (1 - NOISE) * self.gains / 15

    @property
    def sizes(self) -> Ints:
        """Documents per query."""
        return np.diff(self.starts)

    def queries(self) -> Ints:
        """Query of each document."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


def read_judged(folder: Path, part: str) -> Judged:
    """Read `rank.<part>` and `rank.<part>.query` of LightGBM's example."""
    found, relevance = load_svmlight_file(folder / f"rank.{part}", n_features=FEATURES, dtype=np.float32)
    sizes = np.loadtxt(folder / f"rank.{part}.query", dtype=np.int64)
    return Judged(found.toarray(), relevance.astype(np.float64), np.concatenate([[0], np.cumsum(sizes)]))


@dataclass(frozen=True, slots=True)
class Setting:
    """What a log is like: how fast attention falls, how much lists are shuffled (1: as much as scores differ), its size."""

    eta: float = 1.0
    swaps: float = 0.5
    clicks: int = 50_000

    @property
    def exposure(self) -> Floats:
        """Probability of a look per rank, shape (LENGTH,)."""
        return np.arange(1, LENGTH + 1, dtype=np.float64) ** -self.eta


@dataclass(frozen=True, slots=True)
class Log:
    """Lists that were shown, and what was clicked.

    Attributes
    ----------
    documents : ndarray of int64, shape (lists, LENGTH)
        Rows of `Judged`; -1 below the end of a short list. List i is of query i // REFRESHES.
    shown : ndarray of int64, shape (sessions,)
        The list of each session.
    clicked : ndarray of bool, shape (sessions, LENGTH)
    """

    documents: Ints
    shown: Ints
    clicked: NDArray[np.bool_]

    def shows(self) -> pd.DataFrame:
        """Return one row per document shown: what `estimate_exposure` and the labels are made of."""
        page = self.documents[self.shown]
        session, rank = np.nonzero(page >= 0)
        return pd.DataFrame(
            {
                "person": session,
                "prompt_id": self.shown[session] // REFRESHES,
                "content_id": page[session, rank],
                "content_version": 1,
                "month": 1,
                "slot": "inline",
                "rank": rank + 1,
                "clicked": self.clicked[session, rank],
            }
        )

    def patterns(self) -> tuple[Ints, NDArray[np.bool_], Ints]:
        """Return the clicked sessions that differ: list, clicks, and how many sessions were like it."""
        any_click = self.clicked.any(axis=1)
        code = self.clicked[any_click] @ (1 << np.arange(LENGTH)) + (self.shown[any_click] << LENGTH)
        _, first, count = np.unique(code, return_index=True, return_counts=True)
        return self.shown[any_click][first], self.clicked[any_click][first], count


def _lists(judged: Judged, swaps: float, rng: np.random.Generator) -> Ints:
    """Order each query's documents at each refresh, shape (queries * REFRESHES, LENGTH)."""
    seen = np.isin(judged.queries(), rng.choice(len(judged.sizes), LEARNED_QUERIES, replace=False))
    scores = Ridge().fit(judged.features[seen], judged.relevance[seen]).predict(judged.features)
    lists = np.full((len(judged.sizes), REFRESHES, LENGTH), -1)
    for query, (start, end) in enumerate(zip(judged.starts[:-1], judged.starts[1:], strict=True)):
        own = scores[start:end]
        spread = own.std() or 1.0
        noisy = own / spread + swaps * rng.normal(size=(REFRESHES, end - start))
        order = np.argsort(-noisy, axis=1)[:, :LENGTH]
        lists[query, :, : order.shape[1]] = start + order
    return lists.reshape(-1, LENGTH)


def draw_log(judged: Judged, setting: Setting, seed: int) -> Log:
    """Draw a log of about `setting.clicks` clicks."""
    rng = np.random.default_rng(seed)
    lists = _lists(judged, setting.swaps, rng)
    chance = np.where(lists >= 0, judged.attraction[lists], 0) * setting.exposure
    sessions = round(setting.clicks / chance.sum(axis=1).mean())
    shown = rng.integers(0, len(lists), sessions)
    return Log(lists, shown, rng.random((sessions, LENGTH)) < chance[shown])


def ndcg(judged: Judged, scores: Floats, k: int = 3) -> Floats:
    """Return NDCG@k of each query: gains 2**relevance - 1, discounts 1 / log2(1 + rank), ties averaged.

    Every query of the test part has something relevant, so that nothing is divided by 0.
    """
    parts = [slice(start, end) for start, end in zip(judged.starts[:-1], judged.starts[1:], strict=True)]
    return np.array([ndcg_score([judged.gains[part]], [scores[part]], k=k) for part in parts])
