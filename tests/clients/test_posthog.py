"""PostHog's Python client: what it sends is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.collector import Collector, collecting
from tests.clients.python_clients import tell_posthog
from tests.clients.reading import POSTHOG, links, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, story


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gzip"])
def collector(request) -> Iterator[Collector]:
    with collecting() as running:
        tell_posthog(running, gzip=request.param)
        yield running


def test_nothing_that_was_sent_is_lost(collector: Collector, tmp_path: Path):
    assert len(collector.requests) > 2, "it sent batches"
    assert len(collector.sent) == len(story())
    log = read_whole(collector, tmp_path, POSTHOG)
    assert set(log.events["channel"]) == {"server"}
    wanted = ["identity_link", "page_view", "citation_click", "Order Completed", "$screen", "$groupidentify"]
    assert names(log, wanted) == dict.fromkeys(wanted, PEOPLE)
    assert names(log, ["Row Scrolled"]) == {"Row Scrolled": PEOPLE * SCROLLS}
    assert links(log) == {
        frozenset({("user_id", call["user"]), ("anonymous_id", call["anonymous"])}) for call in story()
    }
