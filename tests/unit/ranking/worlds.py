"""A small world of answers with known relevance and exposure, in the columns that `el.properties` returns."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from benchmarks.ranking_worlds import EXPOSURE, HOUR, PLACES, START, TOPICS, World, draw_world, no_edits
from eventlib.ranking import Options, Ranking, Tables, train_ranking

__all__ = [
    "ABOUT", "EXPOSURE", "HOUR", "PLACES", "START", "TOPICS", "World", "edits", "simulate", "speaking", "spoken",
    "trained", "trained_by_text", "world",
]  # fmt: skip

ABOUT = (
    "cost", "mending", "lifetime", "in winter", "grants", "for tenants", "noise", "law", "tested", "old ones", "buying",
    "myths",
)  # fmt: skip
"""What each prompt asks of its topic, once it speaks."""

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


def speaking(tables: Tables) -> Tables:
    """Return tables in which prompts say what they are about: prompt 7 asks of topic 7 mod 3."""
    number = tables.answers["prompt_id"].str[-2:].astype(int)
    texts = [f"{TOPICS[q % len(TOPICS)].replace('_', ' ')} {ABOUT[q % len(ABOUT)]}" for q in number]
    return replace(tables, answers=tables.answers.assign(prompt_text=texts))


@cache
def spoken() -> Tables:
    """Return the tables of the shared world, speaking."""
    return speaking(world().tables)


@cache
def trained_by_text() -> Ranking:
    """Return their ranking, trained once."""
    return train_ranking(spoken(), Options(seed=3))
