"""Reading: the events of one page view, from landing to exit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eventlib.simulate.people import scramble
from eventlib.simulate.scene import MS, UTM, Block, Scene, Views, before, rows

if TYPE_CHECKING:
    from eventlib.simulate.parameters import Ints

__all__ = ["view_blocks"]

_EXITS: Final = ("navigate", "close", "hide", "timeout")
_SATISFIED_MS: Final = 30_000


def _scroll(active_ms: Ints, words: Ints) -> list[float]:
    """Return the scroll depth reached, %: skimming takes about 60 ms a word."""
    depth: list[float] = np.round(100 * (1 - np.exp(-active_ms / (60.0 * words))), 1).tolist()
    return depth


def _at(name: str, views: Views, index: Ints, offset_ms: Ints, properties: dict[str, list[Any]]) -> Block:
    """Return events of the views at `index`, so many milliseconds of reading after their start."""
    where = index.tolist()
    common = {
        "observation": ["owned"] * len(where),
        "page_view_id": [views.ids[i] for i in where],
        "content_id": [views.content_ids[i] for i in where],
    }
    time = views.start[index] + offset_ms * MS
    urls, referrers = [views.urls[i] for i in where], [views.referrer[i] for i in where]
    return Block(name, views.visit[index], time, rows(**common, **properties), urls, referrers)


def _landed(views: Views) -> Block:
    told = [i for i, evidence in enumerate(views.evidence) if evidence is not None]
    engines, evidence = [views.engine[i] for i in told], [views.evidence[i] for i in told]
    depth = [(int(views.page[i]) * 37 + i * 11) % 90 for i in told]
    properties: dict[str, list[Any]] = {
        "content_version": [views.versions[i] for i in told],
        "citation_id": [views.citation[i] for i in told],
        "answer_id": [views.answer[i] for i in told],
        "engine": engines,
        "evidence": evidence,
        "utm_source": [
            UTM[e] if how == "utm_source" and e else None for e, how in zip(engines, evidence, strict=True)
        ],
        "landing_pct": [
            d if how == "text_fragment" else None for d, how in zip(depth, evidence, strict=True)
        ],
    }
    index = np.array(told, dtype=np.int64)
    return _at("referral_land", views, index, np.zeros_like(index), properties)


def _opened(scene: Scene, views: Views) -> Block:
    index = np.arange(len(views.ids))
    properties: dict[str, list[Any]] = {
        "content_version": views.versions,
        "citation_id": views.citation,
        "answer_id": views.answer,
        "title": [scene.content.titles[c] for c in views.page.tolist()],
        "word_count": views.words.tolist(),
    }
    return _at("page_view", views, index, np.full(len(index), 30), properties)


def _beats(scene: Scene, views: Views) -> Block:
    """Beat every `heartbeat_ms` of active time; a few broken trackers repeat one beat over and over."""
    p = scene.parameters
    count = np.minimum(views.dwell // p.heartbeat_ms, p.heartbeats_max)
    noisy = (scene.rng.random(len(count)) < p.burst_share) & (count > 0)
    index = np.repeat(np.arange(len(count)), count + 20 * noisy)
    ordinal = 1 + before(np.ones(len(index), dtype=np.int64), index)
    beat = np.minimum(ordinal, count[index])
    active = beat * p.heartbeat_ms
    properties: dict[str, list[Any]] = {
        "active_ms": active.tolist(),
        "max_scroll_pct": _scroll(active, views.words[index]),
        "beat": beat.tolist(),
    }
    return _at("page_engage", views, index, active + 40 * (ordinal - beat), properties)


def _exits(scene: Scene, views: Views) -> Block:
    """Report the exit, unless it is missing: by chance, or more often after long (or short) readings."""
    p = scene.parameters
    share = min(max(p.exit_missing_share, 1e-9), 1 - 1e-9)
    logit = np.log(share / (1 - share)) + p.exit_missing_slope * np.log(views.dwell / 32_000)
    index = np.flatnonzero(scene.rng.random(len(views.dwell)) >= 1 / (1 + np.exp(-logit)))
    active = views.dwell[index]
    reason = scene.rng.choice(len(_EXITS), len(index), p=[0.5, 0.3, 0.15, 0.05])
    properties: dict[str, list[Any]] = {
        "active_ms": active.tolist(),
        "max_scroll_pct": _scroll(active, views.words[index]),
        "reason": [_EXITS[r] for r in reason.tolist()],
    }
    return _at("page_exit", views, index, active + 60, properties)


def _copies(scene: Scene, views: Views) -> Block:
    index = np.flatnonzero(
        scene.rng.random(len(views.dwell)) < np.where(views.dwell > _SATISFIED_MS, 0.07, 0.01)
    )
    properties: dict[str, list[Any]] = {
        "copied_chars": scene.rng.integers(20, 600, len(index)).tolist(),
        "passage_hash": [label + label[::-1] for label in scramble(index, scene.salt())],
    }
    return _at("passage_copy", views, index, views.dwell[index] // 2, properties)


def _conversions(scene: Scene, views: Views) -> list[Block]:
    """Report each conversion from the server, and from the client too unless blocked (S1.8)."""
    rng = scene.rng
    index = np.flatnonzero(rng.random(len(views.dwell)) < np.where(views.dwell > _SATISFIED_MS, 0.035, 0.004))
    order = (rng.random(len(index)) < 0.4).tolist()
    worth = np.round(np.exp(rng.normal(3.4, 0.6, len(index))), 2).tolist()
    properties: dict[str, list[Any]] = {
        "conversion_id": [f"cv{views.ids[i][2:]}" for i in index.tolist()],
        "conversion_type": ["order" if o else "newsletter_signup" for o in order],
        "value": [w if o else None for w, o in zip(worth, order, strict=True)],
        "currency": ["EUR" if o else None for o in order],
    }
    told = np.flatnonzero(rng.random(len(index)) >= scene.parameters.lost_client_share)
    shown = {name: [values[i] for i in told.tolist()] for name, values in properties.items()}
    offset = views.dwell[index] - 200
    server = _at("conversion_complete", views, index, offset + 150, properties)
    told_block = _at("conversion_complete", views, index[told], offset[told], shown)
    return [told_block, replace(server, server=True)]


def view_blocks(scene: Scene, views: Views) -> list[Block]:
    """Return all events of these page views."""
    return [
        _landed(views),
        _opened(scene, views),
        _beats(scene, views),
        _exits(scene, views),
        _copies(scene, views),
        *_conversions(scene, views),
    ]
