"""Reading: the events of one page view, from landing to exit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eventlib.simulate.content import Content
from eventlib.simulate.parameters import Ints, WorldParameters
from eventlib.simulate.people import scramble

__all__ = ["MS", "UTM", "Block", "Views", "before", "rows", "view_blocks"]

MS: Final = 1000
"""µs in a millisecond."""


@dataclass(frozen=True)
class Block:
    """Events of one name: visit and true time of each, its properties, and the page it was on."""

    name: str
    visit: Ints
    time: Ints  # µs
    properties: list[dict[str, Any]]
    url: list[str | None]
    referrer: list[str | None]
    server: bool = False


@dataclass(frozen=True)
class Views:
    """Page views of all kinds; axis v."""

    visit: Ints
    page: Ints
    start: Ints  # µs
    dwell: Ints  # ms
    engine: list[str | None]  # what sent the visitor, None for browsing
    evidence: list[str | None]
    answer: list[str | None]
    citation: list[str | None]
    referrer: list[str | None]


def rows(**columns: list[Any]) -> list[dict[str, Any]]:
    """Return one dict per row; a None is an absent property."""
    names = tuple(columns)
    made = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if any(None in column for column in columns.values()):
        return [{name: value for name, value in row.items() if value is not None} for row in made]
    return made


def before(values: Ints, group: Ints) -> Ints:
    """Return the sum of what precedes each value inside its group; groups stand together.

    >>> before(np.array([5, 7, 1, 2]), np.array([0, 0, 3, 3])).tolist()
    [0, 5, 0, 1]
    """
    total = np.cumsum(values) - values
    first = np.append(True, group[1:] != group[:-1])[: len(group)]
    starts = total[first]
    return total - np.repeat(starts, np.diff(np.append(np.flatnonzero(first), len(group))))


UTM: Final = {"chatgpt": "chatgpt.com", "perplexity": "perplexity", "copilot": "copilot.com"}
_EXITS: Final = ("navigate", "close", "hide", "timeout")


def _scroll(active_ms: Ints, words: Ints) -> list[float]:
    """Return the scroll depth reached, %: reading takes about 60 ms a word to skim."""
    depth: list[float] = np.round(100 * (1 - np.exp(-active_ms / (60.0 * words))), 1).tolist()
    return depth


def _landed(content: Content, views: Views, view_ids: list[str], urls: list[str | None], p: WorldParameters) -> Block:
    told = [i for i, e in enumerate(views.evidence) if e is not None]
    page, time = views.page[told], views.start[told]
    marked = [views.engine[i] if views.evidence[i] == "utm_source" else None for i in told]
    fragment = [views.evidence[i] == "text_fragment" for i in told]
    depth = ((page * 37 + np.array(told, dtype=np.int64) * 11) % 90).tolist()
    properties = rows(
        observation=["owned"] * len(told), page_view_id=[view_ids[i] for i in told],
        content_id=[content.ids[c] for c in page], content_version=[str(v) for v in content.version(page, time)],
        citation_id=[views.citation[i] for i in told], answer_id=[views.answer[i] for i in told],
        engine=[views.engine[i] for i in told], evidence=[views.evidence[i] for i in told],
        utm_source=[UTM[m] if m else None for m in marked],
        landing_pct=[d if f else None for d, f in zip(depth, fragment, strict=True)],
    )  # fmt: skip
    return _at("referral_land", views, np.array(told, dtype=np.int64), time, properties, urls)


def _urls(content: Content, views: Views) -> list[str | None]:
    urls: list[str | None] = []
    for page, engine, evidence in zip(views.page.tolist(), views.engine, views.evidence, strict=True):
        url = content.urls[page]
        if evidence == "utm_source" and engine:
            url += f"?utm_source={UTM[engine]}"
        elif evidence == "text_fragment":
            url += "#:~:text=in%20winter"
        urls.append(url)
    return urls


def _at(name: str, views: Views, index: Ints, time: Ints, properties: list[dict[str, Any]], urls: list[str | None], *, server: bool = False) -> Block:
    where = index.tolist()
    return Block(name, views.visit[index], time, properties, [urls[i] for i in where], [views.referrer[i] for i in where], server)


def _opened(content: Content, views: Views, view_ids: list[str], urls: list[str | None], words: Ints) -> Block:
    n = len(view_ids)
    properties = rows(
        observation=["owned"] * n, page_view_id=view_ids, content_id=[content.ids[c] for c in views.page],
        content_version=[str(v) for v in content.version(views.page, views.start)], citation_id=views.citation,
        answer_id=views.answer, title=[content.titles[c] for c in views.page], word_count=words.tolist(),
    )  # fmt: skip
    return _at("page_view", views, np.arange(n), views.start + 30 * MS, properties, urls)


def _beats(
    rng: np.random.Generator, content: Content, views: Views, view_ids: list[str], urls: list[str | None], words: Ints, p: WorldParameters
) -> Block:
    """Beat every `heartbeat_ms` of active time; a few broken trackers repeat one beat over and over."""
    count = np.minimum(views.dwell // p.heartbeat_ms, p.heartbeats_max)
    noisy = (rng.random(len(count)) < p.burst_share) & (count > 0)
    index = np.repeat(np.arange(len(count)), count + 20 * noisy)
    beat = 1 + before(np.ones(len(index), dtype=np.int64), index)
    repeated = np.maximum(beat - count[index], 0)
    beat = np.minimum(beat, count[index])
    active = beat * p.heartbeat_ms
    properties = rows(
        observation=["owned"] * len(index), page_view_id=[view_ids[i] for i in index],
        content_id=[content.ids[c] for c in views.page[index]], active_ms=active.tolist(),
        max_scroll_pct=_scroll(active, words[index]), beat=beat.tolist(),
    )  # fmt: skip
    return _at("page_engage", views, index, views.start[index] + (active + 40 * repeated) * MS, properties, urls)


def _exits(
    rng: np.random.Generator, content: Content, views: Views, view_ids: list[str], urls: list[str | None], words: Ints, p: WorldParameters
) -> Block:
    """Report the exit, unless it is missing: by chance, or more often after long (or short) readings."""
    share = min(max(p.exit_missing_share, 1e-9), 1 - 1e-9)
    logit = np.log(share / (1 - share)) + p.exit_missing_slope * np.log(views.dwell / 32_000)
    index = np.flatnonzero(rng.random(len(views.dwell)) >= 1 / (1 + np.exp(-logit)))
    active = views.dwell[index]
    reason = rng.choice(len(_EXITS), len(index), p=[0.5, 0.3, 0.15, 0.05])
    properties = rows(
        observation=["owned"] * len(index), page_view_id=[view_ids[i] for i in index],
        content_id=[content.ids[c] for c in views.page[index]], active_ms=active.tolist(),
        max_scroll_pct=_scroll(active, words[index]), reason=[_EXITS[r] for r in reason],
    )  # fmt: skip
    return _at("page_exit", views, index, views.start[index] + (active + 60) * MS, properties, urls)


def _copies(rng: np.random.Generator, content: Content, views: Views, view_ids: list[str], urls: list[str | None]) -> Block:
    index = np.flatnonzero(rng.random(len(views.dwell)) < np.where(views.dwell > 30_000, 0.07, 0.01))
    digest = scramble(index, int(rng.integers(1 << 31)))
    properties = rows(
        observation=["owned"] * len(index), page_view_id=[view_ids[i] for i in index],
        content_id=[content.ids[c] for c in views.page[index]], copied_chars=rng.integers(20, 600, len(index)).tolist(),
        passage_hash=[d + d[::-1] for d in digest],
    )  # fmt: skip
    return _at("passage_copy", views, index, views.start[index] + views.dwell[index] // 2 * MS, properties, urls)


def _conversions(
    rng: np.random.Generator, content: Content, views: Views, view_ids: list[str], urls: list[str | None], tag: str, p: WorldParameters
) -> list[Block]:
    """Report each conversion from the server, and from the client too unless its tracker is blocked (S1.8)."""
    index = np.flatnonzero(rng.random(len(views.dwell)) < np.where(views.dwell > 30_000, 0.035, 0.004))
    order = rng.random(len(index)) < 0.4
    worth = np.round(np.exp(rng.normal(3.4, 0.6, len(index))), 2).tolist()
    properties = rows(
        observation=["owned"] * len(index), conversion_id=[f"cv-{tag}-{i}" for i in index],
        conversion_type=["order" if o else "newsletter_signup" for o in order], page_view_id=[view_ids[i] for i in index],
        content_id=[content.ids[c] for c in views.page[index]],
        value=[w if o else None for w, o in zip(worth, order, strict=True)], currency=["EUR" if o else None for o in order],
    )  # fmt: skip
    time = views.start[index] + (views.dwell[index] - 200) * MS
    told = np.flatnonzero(rng.random(len(index)) >= p.lost_client_share)
    both = [properties[i] for i in told]
    return [
        _at("conversion_complete", views, index[told], time[told], both, urls),
        _at("conversion_complete", views, index, time + 150 * MS, properties, urls, server=True),
    ]


def view_blocks(
    rng: np.random.Generator, content: Content, views: Views, view_ids: list[str], tag: str, p: WorldParameters
) -> list[Block]:
    """Return all events of these page views."""
    newest = content.version(views.page, views.start) > 1
    words = np.array(
        [(content.edited_features if e else content.features)[c]["word_count"] for c, e in zip(views.page, newest, strict=True)],
        dtype=np.int64,
    )
    urls = _urls(content, views)
    return [
        _landed(content, views, view_ids, urls, p),
        _opened(content, views, view_ids, urls, words),
        _beats(rng, content, views, view_ids, urls, words, p),
        _exits(rng, content, views, view_ids, urls, words, p),
        _copies(rng, content, views, view_ids, urls),
        *_conversions(rng, content, views, view_ids, urls, tag, p),
    ]
