"""Pages, prompts and edits: what is there to be cited, how good it truly is, and what edits truly do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eventlib.simulate.parameters import (
    DAY,
    ENGINES,
    ENGINES_THIRD_PARTY,
    Bools,
    Floats,
    Ints,
    WorldParameters,
    WorldSize,
    generator,
)

__all__ = ["FEATURES", "SITE", "Content", "build_content"]

SITE: Final = "https://www.example.org"
NEVER: Final = np.iinfo(np.int64).max
POOL: Final = 12
"""Pages that can be retrieved for a prompt."""

TOPICS: Final = (
    "heat_pumps",
    "solar_panels",
    "insulation_boards",
    "charging_stations",
    "home_batteries",
    "smart_thermostats",
    "rainwater_tanks",
    "green_loans",
)
_KINDS: Final = ("article", "guide", "reference", "product", "news")
_ASKS: Final = (
    "how do {} work in winter",
    "what do {} cost",
    "are {} worth it",
    "which {} are best for an old house",
    "how long do {} last",
    "what support is there for {}",
    "what goes wrong with {}",
    "how are {} installed",
)
_TITLES: Final = (
    "{}: the complete guide",
    "{} compared",
    "What {} cost",
    "{} in old houses",
    "{}: common mistakes",
    "How {} work",
    "Choosing {}",
    "{} in winter",
    "Living with {}: five owners tell",
    "The law on {}",
    "{}: what the tests say",
    "Looking after {}",
    "{} for tenants",
    "A short history of {}",
    "{}: questions and answers",
)
_CHANGES: Final = ("add_statistics", "add_quotations", "cite_sources", "simplify", "restructure", "refresh")
FEATURES: Final = (
    "word_count",
    "heading_count",
    "list_count",
    "table_count",
    "statistic_count",
    "quotation_count",
    "source_count",
    "reading_ease",
)


@dataclass(frozen=True)
class Content:
    """The whole truth about pages, prompts and edits; page axis n, prompt axis q, pool axis 12."""

    ids: list[str]
    urls: list[str]
    titles: list[str]
    kinds: list[str]
    topics: list[str]
    topic: Ints  # (n,)
    quality: Floats  # (n,) standardised
    dwell_log_s: Floats  # (n,) log median dwell, s
    features: list[dict[str, Any]]  # per page, version 1
    edited_features: list[dict[str, Any]]  # per page, the newest version
    drift: Floats  # (n, weeks) log odds of being cited
    edit_at: Ints  # (n,) µs, NEVER if unedited
    edit_seen: Ints  # (n, engines) µs from which an engine knows the new version
    edit_change: list[str]  # (n,) change type, "" if unedited
    edit_null: Bools  # (n,)
    lift: Floats  # (n, 3): cite, click, satisfy, as they enter the model
    prompt_ids: list[str]
    prompt_texts: list[str]
    prompt_topic: Ints  # (q,)
    prompt_weight: Floats  # (q,) share of questions
    pool: Ints  # (q, 12) page indexes
    cite: Floats  # (q, 12) log odds
    click: Floats  # (q, 12) logit of a click once seen
    usual: Floats  # (q, 12) usual position score, correlated kappa with click
    retrieval: Floats  # (q, 12) retrieval score
    engine_cite: Floats  # (engines, n) what third-party engines think of a page
    rivals: list[tuple[str, str, int]]  # content_id, url, topic of other sites' pages
    rival_cite: Floats  # (rivals,)

    def version(self, page: Ints, time: Ints) -> Ints:
        """Return the content version in force, 1 or 2."""
        return 1 + (time >= self.edit_at[page]).astype(np.int64)

    def lifted(self, page: Ints, time: Ints, stage: int, engine: int = -1) -> Floats:
        """Return an edit's effect on a stage (0 cite, 1 click, 2 satisfy), 0 before it is known."""
        return np.asarray(self.lift[page, stage] * (time >= self.edit_seen[page, engine]))

    def dwell_ms(
        self, rng: np.random.Generator, page: Ints, time: Ints, person: Floats, p: WorldParameters
    ) -> Ints:
        """Draw how long readings last, ms: log-normal around the page's median, up to twenty minutes."""
        median = self.dwell_log_s[page] + self.lifted(page, time, 2) + person
        seconds = np.exp(median + p.dwell_sd * rng.normal(size=len(page)))
        return np.asarray(np.clip(seconds * 1000, 400, 1_200_000), dtype=np.int64)

    def drifted(self, page: Ints, time: Ints, start: int) -> Floats:
        """Return the page's weekly drift at a time."""
        week = np.clip((time - start) // (7 * DAY), 0, self.drift.shape[1] - 1)
        return self.drift[page, week]


def _count(rng: np.random.Generator, base: float, slope: float, quality: Floats) -> Ints:
    return rng.poisson(np.exp(base + slope * quality)).astype(np.int64)


def _features(rng: np.random.Generator, quality: Floats) -> list[dict[str, Any]]:
    """Draw features that tell of quality: better pages show figures, quotations, sources and read easily."""
    n = len(quality)
    words = np.exp(rng.normal(6.9, 0.35, n)).astype(np.int64)
    columns = (
        words,
        3 + rng.poisson(words / 250),
        rng.poisson(2, n),
        rng.poisson(0.8, n),
        _count(rng, 1.6, 0.55, quality),
        _count(rng, 0.7, 0.5, quality),
        _count(rng, 1.8, 0.45, quality),
        np.round(np.clip(55 + 9 * quality + rng.normal(0, 5, n), 5, 95), 1),
    )
    return [dict(zip(FEATURES, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]


_MOVED: Final[dict[str, dict[str, float]]] = {
    "add_statistics": {"statistic_count": 6, "word_count": 60},
    "add_quotations": {"quotation_count": 4, "word_count": 90},
    "cite_sources": {"source_count": 6, "word_count": 30},
    "simplify": {"reading_ease": 10.0, "word_count": -80},
    "restructure": {"heading_count": 4, "list_count": 2},
    "refresh": {"word_count": 40},
}


def _edited(features: dict[str, Any], change: str) -> dict[str, Any]:
    moved = {name: features[name] + by for name, by in _MOVED.get(change, {}).items()}
    return {**features, **moved, "word_count": max(80, moved.get("word_count", features["word_count"]))}


def _edits(rng: np.random.Generator, n: int, p: WorldParameters) -> dict[str, Any]:
    """Choose the edited pages, when each is edited, when each engine notices, and what it does."""
    edited, null = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    chosen = rng.permutation(n)[: round(p.edited_share * n)]
    edited[chosen] = True
    null[chosen[: round(p.null_edit_share * len(chosen))]] = True
    day = rng.integers(int(p.days * 0.47), int(p.days * 0.62), n)
    at = np.where(edited, p.start_us + day * DAY + rng.integers(9, 16, n) * (DAY // 24), NEVER)
    lag = np.zeros((n, len(ENGINES)))
    lag[:, : len(ENGINES_THIRD_PARTY)] = rng.uniform(0.3, 4, (n, len(ENGINES_THIRD_PARTY)))
    seen = np.where(edited[:, None], at[:, None] + (lag * DAY).astype(np.int64) * edited[:, None], NEVER)
    size = rng.uniform(0.6, 1.4, (n, 1)) * np.array([p.lift_cite, p.lift_click, p.lift_satisfy])
    change = rng.integers(0, len(_CHANGES), n)
    return {
        "edit_at": at,
        "edit_seen": seen,
        "edit_null": null,
        "lift": np.where((edited & ~null)[:, None], size, 0.0),
        "edit_change": [_CHANGES[c] if e else "" for c, e in zip(change, edited, strict=True)],
    }


def _prompts(
    rng: np.random.Generator, n_prompts: int, topic: Ints, quality: Floats, p: WorldParameters
) -> dict[str, Any]:
    """Draw prompts with their pools: who is retrieved, cited, clicked and placed how (kappa, S7.11)."""
    topics = int(topic.max()) + 1
    prompt_topic = np.arange(n_prompts) % topics
    same = topic[None, :] == prompt_topic[:, None]
    chosen = np.where(same, 3.0, 0.0) + rng.gumbel(size=same.shape)
    pool = np.argsort(-chosen, axis=1, kind="stable")[:, :POOL]
    near = np.take_along_axis(same, pool, axis=1)
    match = np.where(near, 0.5, -0.5) + rng.normal(0, 0.7, pool.shape)
    relevance = 0.8 * quality[pool] + match
    usual = (relevance - relevance.mean(axis=1, keepdims=True)) / relevance.std(axis=1, keepdims=True)
    names = [TOPICS[t % len(TOPICS)].replace("_", " ") for t in prompt_topic]
    weight = 1 / (1 + rng.permutation(n_prompts)) ** 0.6
    return {
        "prompt_ids": [f"pr-{i:03d}" for i in range(n_prompts)],
        "prompt_texts": [_ASKS[i // topics % len(_ASKS)].format(name) + "?" for i, name in enumerate(names)],
        "prompt_topic": prompt_topic,
        "prompt_weight": weight / weight.sum(),
        "pool": pool,
        "cite": 0.6 * relevance + rng.normal(0, 0.3, pool.shape),
        "click": -0.4 + 0.9 * relevance + rng.normal(0, 0.1, pool.shape),
        "usual": p.kappa * usual + np.sqrt(1 - p.kappa**2) * rng.normal(size=pool.shape),
        "retrieval": relevance + rng.normal(0, 0.6, pool.shape),
    }


def _rivals(rng: np.random.Generator, topics: int) -> tuple[list[tuple[str, str, int]], Floats]:
    sites = ("rival.example", "handbook.example", "forum.example")
    named = [
        (f"x-{i * topics + t:03d}", f"https://www.{site}/{TOPICS[t % len(TOPICS)]}", t)
        for i, site in enumerate(sites)
        for t in range(topics)
    ]
    return named, rng.normal(0.2, 0.6, len(named))


def build_content(size: WorldSize, parameters: WorldParameters, seed: int) -> Content:
    """Draw the content of a world: the same for the same size, parameters and seed."""
    rng = generator(seed, 0)
    n, topics = size.pages, min(parameters.topics, max(1, size.pages // 4))
    topic = np.arange(n) % topics
    quality = rng.permutation((np.argsort(np.argsort(rng.normal(size=n))) + 0.5) / n)
    quality = np.sqrt(12) * (quality - 0.5)  # uniform ranks, mean 0 and sd 1: no world is all luck
    features = _features(rng, quality)
    edits = _edits(rng, n, parameters)
    words = np.array([f["word_count"] for f in features], dtype=np.float64)
    names = [TOPICS[t % len(TOPICS)] + ("" if t < len(TOPICS) else f"_{t}") for t in topic]
    rivals, rival_cite = _rivals(rng, topics)
    weeks = -(-parameters.days // 7)
    return Content(
        ids=[f"c-{i:03d}" for i in range(n)],
        urls=[f"{SITE}/{name}/c-{i:03d}" for i, name in enumerate(names)],
        titles=[
            _TITLES[i // topics % len(_TITLES)].format(name.replace("_", " ")).capitalize()
            for i, name in enumerate(names)
        ],
        kinds=[_KINDS[k] for k in rng.choice(len(_KINDS), n, p=[0.45, 0.25, 0.15, 0.1, 0.05])],
        topics=names,
        topic=topic,
        quality=quality,
        dwell_log_s=np.log(32) + 0.2 * quality + 0.3 * rng.normal(size=n) + 0.25 * np.log(words / 1000),
        features=features,
        edited_features=[_edited(f, c) for f, c in zip(features, edits["edit_change"], strict=True)],
        drift=np.cumsum(rng.normal(0, parameters.page_drift_sd, (n, weeks)), axis=1),
        engine_cite=0.6 * quality + rng.normal(0, 0.5, (len(ENGINES), n)),
        rivals=rivals,
        rival_cite=rival_cite,
        **edits,
        **_prompts(rng, size.prompts, topic, quality, parameters),
    )
