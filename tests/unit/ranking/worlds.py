"""A small world of answers with known relevance and exposure, in the columns that `el.properties` returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from eventlib.ranking import Options, Ranking, Tables, train_ranking

START = 1_785_542_400_000_000  # 2026-08-01, µs
HOUR = 3_600_000_000
EXPOSURE = np.array([1.0, 0.6, 0.4, 0.3])
PLACES = len(EXPOSURE)
TOPICS = ("heat_pumps", "solar_panels", "wall_insulation")
ABOUT = (
    "cost", "mending", "lifetime", "in winter", "grants", "for tenants", "noise", "law", "tested", "old ones", "buying",
    "myths",
)  # fmt: skip
"""What each prompt asks of its topic, once it speaks."""


@dataclass(frozen=True)
class World:
    """The log of a world and the truth about it; `relevance` is prompts by contents, NaN where never cited."""

    tables: Tables
    relevance: np.ndarray


def _common(times, people, name):
    n = len(times)
    return {
        "event_id": [f"{name}-{i}" for i in range(n)],
        "event_time": pd.to_datetime(times, unit="us", utc=True),
        "person_id": people,
        "anonymous_id": people,
        "agent": pd.array([None] * n, dtype="string"),
        "allow_training": True,
        "allow_analytics": True,
        "observation": "owned",
    }


def simulate(
    answers: int = 7000, contents: int = 36, prompts: int = 12, kappa: float = 0.3, noise: float = 0.8,
    trust: float = 0.0, people: int = 700, seed: int = 1, days: int = 60, spread: float = 0.9,
) -> World:  # fmt: skip
    """Draw answers of four citations each: placed by a score that correlates kappa with relevance, plus noise.

    `trust` is the chance of clicking what is seen at rank 1 but not relevant; it falls as 1/rank.
    """
    rng = np.random.default_rng(seed)
    topic = np.arange(contents) % len(TOPICS)
    quality = rng.normal(size=contents)
    pools = [np.flatnonzero(topic == p % len(TOPICS))[:10] for p in range(prompts)]
    width = min(len(pool) for pool in pools)
    pool = np.stack([p[:width] for p in pools])
    logit = -0.6 + spread * (0.8 * quality[pool] + 0.6 * rng.normal(size=pool.shape))
    gamma = 1 / (1 + np.exp(-logit))
    standard = (logit - logit.mean(1, keepdims=True)) / logit.std(1, keepdims=True)
    usual = kappa * standard + np.sqrt(1 - kappa**2) * rng.normal(size=pool.shape)
    prompt = rng.integers(0, prompts, answers)
    chosen = np.argsort(rng.random((answers, width)), axis=1)[:, :PLACES]
    place = np.take_along_axis(usual[prompt], chosen, 1) + noise * rng.normal(size=chosen.shape)
    chosen = np.take_along_axis(chosen, np.argsort(-place, axis=1), 1)
    page, g = pool[prompt[:, None], chosen], gamma[prompt[:, None], chosen]
    attract = g + (1 - g) * trust / np.arange(1, PLACES + 1)
    clicked = rng.random(chosen.shape) < EXPOSURE * attract
    times = np.sort(rng.integers(0, days * 24 * HOUR, answers)) + START
    person = np.array([f"p-{i:06d}" for i in rng.integers(0, people, answers)], dtype=object)
    truth = np.full((prompts, contents), np.nan)
    np.put_along_axis(truth, pool, gamma, axis=1)
    return World(_tables(times, person, prompt, page, clicked, quality, topic, rng), truth)


def _tables(times, person, prompt, page, clicked, quality, topic, rng) -> Tables:
    n = len(times)
    ids = np.array([f"an-{i}" for i in range(n)], dtype=object)
    a, k = np.divmod(np.arange(n * PLACES), PLACES)
    citation = [f"ci-{i}-{j}" for i, j in zip(a, k, strict=True)]
    shown = {
        "citation_id": citation, "answer_id": ids[a], "content_id": [f"c-{c:03d}" for c in page.ravel()],
        "content_version": "1", "engine": "site_assistant", "position": k + 1, "slot": "inline",
    }  # fmt: skip
    shows = pd.DataFrame(_common(times[a] + 1_000 * (k + 1), person[a], "show") | shown)
    hit = np.flatnonzero(clicked.ravel())
    clicks = pd.DataFrame(
        _common(times[a[hit]] + 9_000_000, person[a[hit]], "click")
        | {"citation_id": [citation[i] for i in hit], "answer_id": ids[a[hit]]}
    )
    asked = {
        "answer_id": ids, "prompt_id": [f"pr-{q:02d}" for q in prompt], "engine": "site_assistant",
        "prompt_text": [f"question {q:02d}?" for q in prompt],
    }  # fmt: skip
    answers = pd.DataFrame(_common(times, person, "answer") | asked)
    return Tables(shows, clicks, answers, _publishes(quality, topic, rng), edits())


def _publishes(quality, topic, rng) -> pd.DataFrame:
    n = len(quality)
    stated = {
        "content_id": [f"c-{c:03d}" for c in range(n)], "content_version": "1", "topic": [TOPICS[t] for t in topic],
        "content_type": "article", "word_count": 800 + 10 * np.arange(n), "heading_count": 4, "list_count": 1,
        "table_count": 0, "statistic_count": rng.poisson(np.exp(1.5 + 0.5 * quality)), "quotation_count": 1,
        "source_count": rng.poisson(np.exp(1.5 + 0.4 * quality)), "reading_ease": 55 + 8 * quality,
    }  # fmt: skip
    return pd.DataFrame(
        _common(np.full(n, START - HOUR), pd.array([None] * n, dtype="string"), "publish") | stated
    )


def edits(rows: list[dict[str, object]] | None = None) -> pd.DataFrame:
    """Return a content_edit frame: rows state content_id, from_version, to_version, time (µs) and features."""
    columns = [
        "content_id", "from_version", "to_version", "topic", "content_type", "word_count", "heading_count",
        "list_count", "table_count", "statistic_count", "quotation_count", "source_count", "reading_ease",
    ]  # fmt: skip
    frame = pd.DataFrame(rows or [], columns=["time", *columns])
    common = pd.DataFrame(
        _common(frame["time"].to_numpy(np.int64), pd.array([None] * len(frame), dtype="string"), "edit")
    )
    return pd.concat([common, frame[columns]], axis=1)


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
