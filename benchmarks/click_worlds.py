"""Logs of lists with clicks drawn from three click models whose parameters are known.

Nothing of `eventlib.ranking.clicks` is used here: a model must not be judged by its own code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["WORLDS", "World", "browsing", "draw_clicks", "draw_world", "position"]

Floats = NDArray[np.float64]
WORLDS: Final = ("PBM", "UBM", "SDBN")


@dataclass(frozen=True, slots=True)
class World:
    """A log and what it was drawn from.

    Attributes
    ----------
    shows
        `session, item, rank, clicked`, list by list; items are texts.
    attraction, satisfaction
        Per item, by name.
    """

    kind: str
    shows: pd.DataFrame
    attraction: pd.Series
    satisfaction: pd.Series


def position(rank: NDArray[np.int64]) -> Floats:
    """Exposure by rank in the PBM world."""
    return np.asarray(rank**-0.7, dtype=np.float64)


def browsing(rank: NDArray[np.int64], above: NDArray[np.int64]) -> Floats:
    """Exposure by rank and by the rank of the last click above (0: none) in the UBM world; 1 at the top."""
    fresh = np.where(above == 0, rank**-0.5, 0.85 * (rank - above) ** -0.6)
    found: Floats = fresh * (1 - 0.02 * (rank - 1))
    return found


def draw_clicks(
    kind: str, attraction: Floats, satisfaction: Floats, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw the clicks of lists, all of one length; attraction and satisfaction have shape (lists, length)."""
    lists, length = attraction.shape
    clicked = np.zeros((lists, length), dtype=np.bool_)
    above, reads = np.zeros(lists, dtype=np.int64), np.ones(lists, dtype=np.bool_)
    for k in range(length):
        rank = np.full(lists, k + 1)
        exposure = {"PBM": position(rank), "UBM": browsing(rank, above), "SDBN": reads.astype(np.float64)}[
            kind
        ]
        clicked[:, k] = rng.random(lists) < exposure * attraction[:, k]
        above = np.where(clicked[:, k], k + 1, above)
        reads &= ~(clicked[:, k] & (rng.random(lists) < satisfaction[:, k]))
    return clicked


def draw_world(
    kind: str, sessions: int, seed: int, *, queries: int = 50, documents: int = 15, length: int = 10
) -> World:
    """Draw a log: queries by a Zipf law, documents in an order that follows attraction with noise."""
    rng = np.random.default_rng(seed)
    attraction = rng.beta(1.5, 4.0, (queries, documents))
    satisfaction = rng.beta(2.0, 2.0, (queries, documents))
    share = 1 / np.arange(1, queries + 1)
    query = rng.choice(queries, sessions, p=share / share.sum())
    noise = rng.normal(0, 0.15, (sessions, documents))
    shown = np.argsort(-(attraction[query] + noise), axis=1)[:, :length]
    at = query[:, None], shown
    clicked = draw_clicks(kind, attraction[at], satisfaction[at], rng)
    names = np.array([f"query-{q:05d}/document-{d:02d}" for q in range(queries) for d in range(documents)])
    frame = pd.DataFrame(
        {
            "session": pd.Series([f"s{i:08d}" for i in range(sessions)], dtype="str").repeat(length).array,
            "item": pd.Series(names, dtype="str").take((query[:, None] * documents + shown).ravel()).array,
            "rank": np.tile(np.arange(1, length + 1), sessions),
            "clicked": clicked.ravel(),
        }
    )
    index = pd.Index(names)
    return World(kind, frame, pd.Series(attraction.ravel(), index), pd.Series(satisfaction.ravel(), index))
