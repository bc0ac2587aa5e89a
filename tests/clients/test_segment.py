"""Segment's Python client: what it sends is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from segment.analytics.client import Client

import eventlib as el
from tests.clients.collector import Collector, collecting
from tests.clients.python_clients import tell_segment
from tests.clients.reading import SEGMENT, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, calls, story
from tests.factory import lenient_policy

CATEGORIES = {"categories": {"analytics": ["Analytics"], "advertising": ["Advertising"]}}


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gzip"])
def collector(request) -> Iterator[Collector]:
    with collecting() as running:
        tell_segment(running, gzip=request.param)
        yield running


def test_nothing_that_was_sent_is_lost(collector: Collector, tmp_path: Path):
    assert len(collector.requests) > 5, "it sent batches"
    assert len(collector.sent) == len(story())
    log = read_whole(collector, tmp_path, SEGMENT)
    assert set(log.events["channel"]) == {"server"}
    assert log.events["sent_at"].notna().all()


def test_events_are_what_they_mean(collector: Collector, tmp_path: Path):
    log = read_whole(collector, tmp_path, SEGMENT)
    told = story()
    assert names(log, ["identity_link", "page_view", "citation_click", "conversion_complete"]) == {
        "identity_link": PEOPLE,
        "page_view": PEOPLE,
        "citation_click": PEOPLE,
        "conversion_complete": PEOPLE,
    }
    assert names(log, ["identify", "screen", "group", "Row Scrolled", "Filter Applied"]) == {
        "identify": PEOPLE,
        "screen": len(calls(told, "screen")),
        "group": PEOPLE,
        "Row Scrolled": PEOPLE * SCROLLS,
        "Filter Applied": PEOPLE,
    }
    assert set(log.events["user_id"].dropna()) == {call["user"] for call in told}


def test_consent_that_is_sent_along_is_consent(tmp_path: Path):
    said = [{"Analytics": True, "Advertising": False}, {"Analytics": "perhaps"}, {"Analytics": False}]
    with collecting() as running:
        client = Client("key", host=running.url, upload_interval=0.05)
        for preferences in said:
            client.track(
                anonymous_id="a-1", event="Seen", context={"consent": {"categoryPreferences": preferences}}
            )
        client.flush()
        client.join()
    policy = lenient_policy(tmp_path, signals=CATEGORIES)
    log = el.read(running.write(tmp_path / "log.ndjson"), policy=policy)
    rows = log.log.events().to_pylist()
    found = [(row["said_analytics"], row["said_advertising"], row["undecoded_signal"]) for row in rows]
    assert found == [(1, 0, False), (None, None, True), (0, None, False)]
