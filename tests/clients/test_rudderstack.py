"""RudderStack's Python client: what it sends is what is read, once it is said whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventlib as el
from tests.clients.collector import Collector, collecting
from tests.clients.python_clients import tell_rudderstack
from tests.clients.reading import RUDDERSTACK, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, story


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        tell_rudderstack(running)
        yield running


def test_nothing_that_was_sent_is_lost(collector: Collector, tmp_path: Path):
    assert len(collector.requests) > 5, "it sent batches"
    assert len(collector.sent) == len(story())
    log = read_whole(collector, tmp_path, RUDDERSTACK, source="rudderstack")
    assert set(log.events["channel"]) == {"server"}
    wanted = ["identity_link", "page_view", "citation_click", "conversion_complete", "identify", "group"]
    assert names(log, wanted) == dict.fromkeys(wanted, PEOPLE)
    assert names(log, ["Row Scrolled"]) == {"Row Scrolled": PEOPLE * SCROLLS}


def test_its_records_alone_look_like_segments(collector: Collector, tmp_path: Path):
    """The client names its library as Segment's does and sends no field of RudderStack's own: nothing tells them apart."""
    log = el.read(collector.write(tmp_path / "collected.ndjson"))
    assert {found["source"] for found in log.log.inputs} == {"segment"}
    assert len(log.events) == len(story())
