"""A small world as property frames: answers that cite, people who click by position and read, edits that lift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from eventlib.geo import EVENTS_READ

if TYPE_CHECKING:
    from numpy.typing import NDArray

START = pd.Timestamp("2026-06-01", tz="UTC")
EXAMINED = np.arange(1, 6) ** -0.7
DAYS = 126


@dataclass
class SmallWorld:
    """Frames by event name, and what is true of each page."""

    frames: dict[str, pd.DataFrame]
    quality: NDArray[np.float64]
    satisfy: pd.Series


def small_world(
    seed: int = 0, answers: int = 900, people: int = 200, pages: int = 60, edited: int = 0, lift: float = 0.0
) -> SmallWorld:
    rng = np.random.default_rng(seed)
    quality = rng.permutation(np.linspace(-1.6, 1.6, pages))
    prompts = 40
    pool = np.argsort(
        rng.random((prompts, pages)) + 0.6 * (np.arange(pages) % 8 == np.arange(prompts)[:, None] % 8), axis=1
    )
    pool = pool[:, -8:]
    when = np.sort(rng.random(answers)) * DAYS
    prompt, person = rng.integers(0, prompts, answers), rng.integers(0, people, answers)
    content = pool[prompt]
    lifted = (content < edited) & (when[:, None] >= DAYS / 2)
    strength = 0.5 * quality[content] + lift * lifted
    won = np.argsort(-(strength + rng.gumbel(size=strength.shape)), axis=1)[:, :5]
    place = 0.6 * quality[np.take_along_axis(content, won, 1)] + 0.8 * rng.normal(size=won.shape)
    won = np.take_along_axis(won, np.argsort(-place, axis=1), 1)
    shown = np.take_along_axis(content, won, 1)
    interest = expit(-0.4 + 0.7 * quality[shown])
    clicked = rng.random(shown.shape) < EXAMINED * interest
    time = START + pd.to_timedelta(when, unit="D")
    base = pd.DataFrame(
        {
            "event_time": time,
            "person_id": [f"p-{i}" for i in person],
            "answer_id": [f"a{i}" for i in range(answers)],
        }
    )
    base = base.assign(
        engine="site_assistant", observation="owned", agent=None, allow_analytics=True, model="m-1"
    )
    candidates = pd.Series([[{"content_id": f"c-{c:02d}"} for c in row] for row in content])
    generated = base.assign(prompt_id=[f"q{i}" for i in prompt], sentence_count=6, candidates=candidates)
    shows = base.loc[np.repeat(np.arange(answers), 5)].reset_index(drop=True)
    shows = shows.assign(
        citation_id=[f"k{i}" for i in range(len(shows))], content_id=[f"c-{c:02d}" for c in shown.ravel()],
        content_version=np.where(np.take_along_axis(lifted, won, 1).ravel(), "2", "1"),
        position=np.tile(np.arange(1, 6), answers), slot="inline", words_attributed=10.0, sentence_index=0,
    )  # fmt: skip
    clicks = shows[clicked.ravel()].drop(columns=["content_version"]).reset_index(drop=True)
    clicks["page_view_id"] = [f"v{i}" for i in range(len(clicks))]
    frames = {name: base.iloc[:0].copy() for name in EVENTS_READ}
    frames |= {"answer_generate": generated, "citation_show": shows, "citation_click": clicks}
    read, satisfy = _reading(rng, clicks, quality)
    edits = [f"c-{c:02d}" for c in range(edited)]
    frames["content_edit"] = pd.DataFrame(
        {
            "edit_id": [f"e-{name}" for name in edits], "content_id": edits, "from_version": "1", "to_version": "2",
            "change_type": "refresh", "arm": None, "event_time": START + pd.Timedelta(days=DAYS / 2),
        }
    )  # fmt: skip
    return SmallWorld(frames | read, quality, satisfy)


def _reading(
    rng: np.random.Generator, clicks: pd.DataFrame, quality: NDArray[np.float64]
) -> tuple[dict[str, pd.DataFrame], pd.Series]:
    """Read log-normally; a beat every 15 s, a fifth of exits lost."""
    page = clicks["content_id"].str[2:].astype(int).to_numpy()
    median = 32_000 * np.exp(0.4 * quality[page])
    active = median * np.exp(0.8 * rng.normal(size=len(clicks)))
    keep = [
        "event_time",
        "person_id",
        "page_view_id",
        "content_id",
        "agent",
        "allow_analytics",
        "observation",
    ]
    views = clicks[keep].assign(word_count=1000)
    beats = np.minimum(active // 15_000, 12).astype(int)
    engages = views.loc[np.repeat(np.arange(len(views)), beats)].reset_index(drop=True)
    order = engages.groupby("page_view_id").cumcount() + 1
    engages = engages.assign(beat=order, active_ms=order * 15_000)
    exits = views.assign(active_ms=active.astype(int))[rng.random(len(views)) > 0.2].reset_index(drop=True)
    chance = pd.Series(1 - ndtr((np.log(30_000) - np.log(32_000) - 0.4 * quality) / 0.8))
    chance.index = pd.Index([f"c-{c:02d}" for c in range(len(quality))])
    return {"page_view": views, "page_engage": engages, "page_exit": exits}, chance
