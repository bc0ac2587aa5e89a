"""The trackers for Node: what they send is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.collector import Collector, collecting
from tests.clients.node_clients import tell
from tests.clients.reading import RUDDERSTACK, SEGMENT, Tracker, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, story


@pytest.fixture(scope="module", params=[SEGMENT, RUDDERSTACK], ids=lambda tracker: tracker.source)
def told(request) -> Iterator[tuple[Tracker, Collector]]:
    with collecting() as running:
        tell(request.param.source, running, story())
        yield request.param, running


def test_nothing_that_was_sent_is_lost(told: tuple[Tracker, Collector], tmp_path: Path):
    tracker, collector = told
    assert len(collector.requests) > 5, "it sent batches"
    assert len(collector.sent) == len(story())
    log = read_whole(collector, tmp_path, tracker, source=tracker.source)
    assert set(log.events["channel"]) == {"server"}
    wanted = [
        "identity_link",
        "page_view",
        "citation_click",
        "conversion_complete",
        "identify",
        "group",
        "screen",
    ]
    assert names(log, wanted) == dict.fromkeys(wanted, PEOPLE)
    assert names(log, ["Row Scrolled"]) == {"Row Scrolled": PEOPLE * SCROLLS}
