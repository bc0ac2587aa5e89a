"""A small world of answers with known relevance and exposure, in the columns that `el.properties` returns."""

from __future__ import annotations

from functools import cache
from typing import Any

from benchmarks.ranking_worlds import EXPOSURE, HOUR, PLACES, START, TOPICS, World, draw_world, no_edits
from eventlib.ranking import Options, Ranking, train_ranking

__all__ = ["EXPOSURE", "HOUR", "PLACES", "START", "TOPICS", "World", "edits", "simulate", "trained", "world"]

edits = no_edits


def simulate(seed: int = 1, trust: float = 0.0, **parameters: Any) -> World:
    """Draw a world; with `trust` people click what stands high because it stands there."""
    return draw_world(seed, kind="trust" if trust else "position", trust=trust, **parameters)


@cache
def world() -> World:
    """Return the world that most tests share."""
    return simulate()


@cache
def trained() -> Ranking:
    """Return its ranking, trained once."""
    return train_ranking(world().tables, Options(seed=3))
