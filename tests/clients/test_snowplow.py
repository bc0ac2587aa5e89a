"""Snowplow's Python tracker, in posts of several events and in one request per event: what it sends is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.collector import Collector, collecting
from tests.clients.python_clients import tell_snowplow
from tests.clients.reading import SNOWPLOW, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, SPOKEN, calls, story


@pytest.fixture(scope="module", params=[("post", True), ("post", False), ("get", True)], ids=str)
def collector(request) -> Iterator[Collector]:
    method, encoded = request.param
    with collecting() as running:
        tell_snowplow(running, method=method, encoded=encoded)
        yield running


def test_nothing_that_was_sent_is_lost(collector: Collector, tmp_path: Path):
    assert len(collector.sent) == len(calls(story(), *SPOKEN))
    log = read_whole(collector, tmp_path, SNOWPLOW)
    wanted = ["page_view", "citation_click", "screen_view", "order_completed", "filter_applied"]
    assert names(log, [*wanted, "scroll"]) == {**dict.fromkeys(wanted, PEOPLE), "scroll": PEOPLE * SCROLLS}
    assert set(log.events["user_id"]) == {call["user"] for call in story()}
    assert set(log.events["anonymous_id"]) == {call["anonymous"] for call in story()}
