"""Logs of a site's own answers whose relevance, exposure and click model are known, as training reads them.

Pages are cited in an order that partly follows their relevance; the order moves from answer to answer by a known
noise, people differ in how much they click, and clicks follow one of three models. What any other order would earn is
computed from the truth on fresh answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from eventlib.ranking import Tables

__all__ = [
    "EXPOSURE",
    "HOUR",
    "KINDS",
    "PLACES",
    "POOL",
    "START",
    "TOPICS",
    "World",
    "draw_world",
    "no_edits",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

START: Final = 1_785_542_400_000_000  # 2026-08-01, µs
HOUR: Final = 3_600_000_000
EXPOSURE: Final = np.array([1.0, 0.6, 0.4, 0.3])
PLACES: Final = len(EXPOSURE)
TOPICS: Final = ("heat_pumps", "solar_panels", "wall_insulation")
KINDS: Final = ("position", "trust", "browsing")
"""Click models: position-based; position-based with trust in what stands high; user browsing (UBM)."""

POOL: Final = 10
FRESH: Final = 20_000
"""Answers on which the truth about an order is computed."""


@dataclass(frozen=True, slots=True)
class World:
    """A log and the truth about it.

    Attributes
    ----------
    tables
        What training reads.
    pool : ndarray of int64, shape (prompts, POOL)
        Contents that each prompt may cite.
    relevance : ndarray of float64, shape (prompts, contents)
        Of a person of average mood; NaN where never cited.
    typical : ndarray of float64, shape (contents,)
        Mean log odds of a click over the prompts that there could be.
    between : float
        Their standard deviation from prompt to prompt.
    """

    tables: Tables
    kind: str
    pool: Ints
    logit: Floats
    usual: Floats
    noise: float
    trust: float
    mood: float
    contents: int
    randomised: float
    typical: Floats
    between: float

    @property
    def relevance(self) -> Floats:
        """Probability of a click once examined, by prompt and content."""
        found = np.full((len(self.pool), self.contents), np.nan)
        np.put_along_axis(found, self.pool, expit(self.logit), axis=1)
        return found

    def answers(self, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Draw prompts (n) and what they cite in order (n, PLACES), as slots of the pool."""
        prompt = rng.integers(0, len(self.pool), n)
        cited = np.argsort(rng.random((n, POOL)), axis=1)[:, :PLACES]
        drawn = np.take_along_axis(self.usual[prompt], cited, 1) + self.noise * rng.normal(size=cited.shape)
        return prompt, np.take_along_axis(cited, np.argsort(-drawn, axis=1), 1)

    def shuffled(self, cited: Ints, rng: np.random.Generator) -> tuple[Ints, NDArray[np.bool_]]:
        """Put a share of the answers, `randomised`, in an order drawn at random; return also which they are."""
        drawn = rng.random(len(cited)) < self.randomised
        return np.where(drawn[:, None], rng.permuted(cited, axis=1), cited), drawn

    def chances(self, prompt: Ints, cited: Ints, mood: Floats) -> Floats:
        """Return the relevance of each citation for its reader, the same shape as `cited`."""
        found: Floats = expit(self.logit[prompt[:, None], cited] + mood[:, None])
        return found

    def values(self, scores: dict[str, Floats], ranks: Ints, seed: int) -> dict[str, float]:
        """Return true clicks per answer at some ranks under each order of the citations that stand there.

        Parameters
        ----------
        scores
            Policy → score by prompt and pool slot, shape (prompts, POOL); `logging` leaves the order as it was shown.
        ranks
            From 1; citations at others are left out, as if nobody had been asked about them.
        """
        rng = np.random.default_rng(seed)
        prompt, cited = self.answers(FRESH, rng)
        cited, _ = self.shuffled(cited, rng)
        mood = self.mood * rng.normal(size=FRESH)
        there = np.sort(ranks) - 1
        kept = cited[:, there]
        found = {"logging": self._expected(prompt, cited, cited, mood, there)}
        for name, score in scores.items():
            order = np.argsort(-score[prompt[:, None], kept], axis=1, kind="stable")
            moved = cited.copy()
            moved[:, there] = np.take_along_axis(kept, order, 1)
            found[name] = self._expected(prompt, cited, moved, mood, there)
        return found

    def _expected(self, prompt: Ints, cited: Ints, shown: Ints, mood: Floats, there: Ints) -> float:
        """Return expected clicks per answer at `there`."""
        g = self.chances(prompt, shown, mood)
        return float(click_rates(self.kind, g, self.trust)[:, there].sum(axis=1).mean())


def browsing(rank: int, above: int) -> float:
    """Return exposure of a rank in the browsing world, `above` the rank of the last click, 0 for none."""
    return float(EXPOSURE[rank - 1]) if above == 0 else 0.85 * (rank - above) ** -0.6


def attraction(kind: str, g: Floats, trust: float) -> Floats:
    """Return the chance of a click once examined: trust adds to what stands high, falling as 1/rank."""
    if kind != "trust":
        return g
    found: Floats = g + (1 - g) * trust / np.arange(1, PLACES + 1)
    return found


def click_rates(kind: str, g: Floats, trust: float) -> Floats:
    """Return the probability of a click at each place, shape (answers, PLACES)."""
    a = attraction(kind, g, trust)
    if kind != "browsing":
        return np.asarray(EXPOSURE * a)
    last = np.zeros((len(a), PLACES + 1))  # chance that the last click so far was at this rank, 0 for none
    last[:, 0] = 1.0
    rates = np.empty_like(a)
    for k in range(PLACES):
        seen = np.array([browsing(k + 1, above) for above in range(k + 1)])
        hit = last[:, : k + 1] * seen * a[:, k : k + 1]
        rates[:, k] = hit.sum(axis=1)
        last[:, : k + 1] -= hit
        last[:, k + 1] = rates[:, k]
    return rates


def draw_clicks(kind: str, g: Floats, trust: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw clicks, the same shape as `g` (answers, PLACES)."""
    a = attraction(kind, g, trust)
    if kind != "browsing":
        return np.asarray(rng.random(a.shape) < EXPOSURE * a)
    table = np.array(
        [[browsing(k + 1, j) if j <= k else 0.0 for j in range(PLACES + 1)] for k in range(PLACES)]
    )
    clicked, above = np.zeros(a.shape, dtype=np.bool_), np.zeros(len(a), dtype=np.int64)
    for k in range(PLACES):
        clicked[:, k] = rng.random(len(a)) < table[k, above] * a[:, k]
        above = np.where(clicked[:, k], k + 1, above)
    return clicked


def draw_world(
    seed: int, *, kind: str = "position", answers: int = 7000, contents: int = 36, prompts: int = 12,
    kappa: float = 0.3, noise: float = 0.8, trust: float = 0.0, people: int = 700, mood: float = 0.0, days: int = 60,
    spread: float = 0.9, randomised: float = 0.0, jump: float = 0.0, log: int | None = None,
) -> World:  # fmt: skip
    """Draw answers of four citations each.

    Parameters
    ----------
    kappa
        Correlation of a page's usual place with its relevance.
    noise
        What moves places from answer to answer, against a spread of usual places of 1.
    trust
        In the `trust` world: chance of clicking what is seen at rank 1 but not relevant; falls as 1/rank.
    mood
        Standard deviation between people of the log odds of a click.
    spread
        Of relevance, on the scale of log odds.
    randomised
        Share of answers whose places are drawn at random, with their `propensity` logged.
    jump
        What is added to the log odds of a click on every tenth page, its usual places left as they are.
    log
        Seed of the log alone; None goes on with that of the world.
    """
    rng = np.random.default_rng(seed)
    topic = np.arange(contents) % len(TOPICS)
    quality = rng.normal(size=contents)
    pool = np.stack(
        [_pool(np.flatnonzero(topic == p % len(TOPICS)), p // len(TOPICS)) for p in range(prompts)]
    )
    typical, between = -0.6 + spread * 0.8 * quality, spread * 0.6
    logit = typical[pool] + between * rng.normal(size=pool.shape)
    standard = (logit - logit.mean(1, keepdims=True)) / logit.std(1, keepdims=True)
    usual = kappa * standard + np.sqrt(1 - kappa**2) * rng.normal(size=pool.shape)
    jumped = jump * (np.arange(contents) % 10 == 0)
    logit, typical = logit + jumped[pool], typical + jumped
    bare = World(
        no_tables(), kind, pool, logit, usual, noise, trust, mood, contents, randomised, typical, between
    )
    logged = rng if log is None else np.random.default_rng(log)
    prompt, cited = bare.answers(answers, logged)
    cited, drawn = bare.shuffled(cited, logged) if randomised else (cited, np.zeros(answers, dtype=np.bool_))
    reader = logged.integers(0, people, answers)
    moods = mood * logged.normal(size=people)
    clicked = draw_clicks(kind, bare.chances(prompt, cited, moods[reader]), trust, logged)
    times = np.sort(logged.integers(0, days * 24 * HOUR, answers)) + START
    person = np.array([f"p-{i:06d}" for i in reader], dtype=object)
    page = pool[prompt[:, None], cited]
    tables = _tables(times, person, prompt, page, clicked, drawn, _publishes(quality, topic, rng))
    return replace(bare, tables=tables)


def _pool(pages: Ints, turn: int) -> Ints:
    """Return what a topic's prompt may cite: the next pages of the topic, so that all are cited somewhere."""
    return pages[(turn * POOL + np.arange(POOL)) % len(pages)]


def no_tables() -> Tables:
    """Return tables without a row: a world before its log."""
    none = pd.DataFrame()
    return Tables(none, none, none, none, none)


def _common(times: Ints, people: object, name: str) -> dict[str, object]:
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


def _tables(
    times: Ints, person: NDArray[np.object_], prompt: Ints, page: Ints, clicked: NDArray[np.bool_], drawn: NDArray[np.bool_],
    publishes: pd.DataFrame,
) -> Tables:  # fmt: skip
    n = len(times)
    ids = np.array([f"an-{i}" for i in range(n)], dtype=object)
    a, k = np.divmod(np.arange(n * PLACES), PLACES)
    citation = [f"ci-{i}-{j}" for i, j in zip(a, k, strict=True)]
    shown = {
        "citation_id": citation, "answer_id": ids[a], "content_id": [f"c-{c:03d}" for c in page.ravel()],
        "content_version": "1", "engine": "site_assistant", "position": k + 1, "slot": "inline",
        "propensity": np.where(drawn[a], 1 / PLACES, np.nan),
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
    return Tables(shows, clicks, answers, publishes, no_edits())


def _publishes(quality: Floats, topic: Ints, rng: np.random.Generator) -> pd.DataFrame:
    n = len(quality)
    stated = {
        "content_id": [f"c-{c:03d}" for c in range(n)], "content_version": "1", "topic": [TOPICS[t] for t in topic],
        "content_type": "article", "word_count": 800 + 10 * np.arange(n), "heading_count": 4, "list_count": 1,
        "table_count": 0, "statistic_count": rng.poisson(np.exp(1.5 + 0.5 * quality)), "quotation_count": 1,
        "source_count": rng.poisson(np.exp(1.5 + 0.4 * quality)), "reading_ease": 55 + 8 * quality,
    }  # fmt: skip
    times = np.full(n, START - HOUR)
    return pd.DataFrame(_common(times, pd.array([None] * n, dtype="string"), "publish") | stated)


def no_edits(rows: list[dict[str, object]] | None = None) -> pd.DataFrame:
    """Return a `content_edit` frame; rows, if any, state content_id, from_version, to_version, time (µs) and features."""
    columns = [
        "content_id", "from_version", "to_version", "topic", "content_type", "word_count", "heading_count",
        "list_count", "table_count", "statistic_count", "quotation_count", "source_count", "reading_ease",
    ]  # fmt: skip
    frame = pd.DataFrame(rows or [], columns=["time", *columns])
    none = pd.array([None] * len(frame), dtype="string")
    common = pd.DataFrame(_common(frame["time"].to_numpy(np.int64), none, "edit"))
    return pd.concat([common, frame[columns]], axis=1)
