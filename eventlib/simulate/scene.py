"""What one batch of people shares, and the blocks of events that come of their visits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from eventlib.simulate.content import Content
    from eventlib.simulate.parameters import Ints, WorldParameters
    from eventlib.simulate.people import People, Visits

__all__ = ["MS", "UTM", "Block", "Scene", "Views", "before", "cast_views", "rows"]

MS: Final = 1000
"""µs in a millisecond."""

UTM: Final = {"chatgpt": "chatgpt.com", "perplexity": "perplexity", "copilot": "copilot.com"}
"""The utm_source that engines put on their links; the others put none."""


@dataclass(frozen=True)
class Scene:
    """One batch: its random stream, content, people and their visits, and a tag that keeps ids apart."""

    rng: np.random.Generator
    content: Content
    people: People
    visits: Visits
    tag: str
    parameters: WorldParameters

    def salt(self) -> int:
        """Draw the offset of a series of labels."""
        return int(self.rng.integers(1 << 31))


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
    """Page views; axis v."""

    ids: list[str]
    visit: Ints
    page: Ints
    start: Ints  # µs
    dwell: Ints  # ms
    engine: list[str | None]  # what sent the visitor, None for browsing
    evidence: list[str | None]
    answer: list[str | None]
    citation: list[str | None]
    referrer: list[str | None]
    content_ids: list[str]
    versions: list[str]
    words: Ints
    urls: list[str | None]


def _url(base: str, engine: str | None, evidence: str | None) -> str:
    if evidence == "utm_source" and engine:
        return f"{base}?utm_source={UTM[engine]}"
    return f"{base}#:~:text=in%20winter" if evidence == "text_fragment" else base


def cast_views(content: Content, page: Ints, start: Ints, **columns: Any) -> Views:
    """Return page views with what the page itself tells: its id, version, words and address."""
    version = content.version(page, start)
    words = np.array(
        [[f["word_count"] for f in content.features], [f["word_count"] for f in content.edited_features]]
    )
    pages = page.tolist()
    arrivals = zip(pages, columns["engine"], columns["evidence"], strict=True)
    return Views(
        page=page,
        start=start,
        content_ids=[content.ids[c] for c in pages],
        versions=[str(v) for v in version.tolist()],
        words=words[version - 1, page],
        urls=[_url(content.urls[c], engine, evidence) for c, engine, evidence in arrivals],
        **columns,
    )


def rows(**columns: list[Any]) -> list[dict[str, Any]]:
    """Return one dict per row; a None is an absent property.

    >>> rows(answer_id=["an-1", "an-2"], reason=["too long", None])
    [{'answer_id': 'an-1', 'reason': 'too long'}, {'answer_id': 'an-2'}]
    """
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
    starts = np.maximum.accumulate(np.where(first, np.arange(len(group)), 0))
    return np.asarray(total - total[starts], dtype=np.int64)
