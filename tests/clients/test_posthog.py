"""PostHog's Python client: what it sends is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from posthog import Posthog

from tests.clients.collector import Collector, collecting
from tests.clients.reading import POSTHOG, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, Call, story


def send(client: Posthog, told: Call) -> None:
    """Make one call of the story."""
    user, said, name = told["user"], told["properties"], told["name"]
    match told["call"]:
        case "identify":
            client.set(distinct_id=user, properties=said)
        case "page":
            seen = {"$current_url": said["url"], "$referrer": said["referrer"], "title": said["title"]}
            client.capture("$pageview", distinct_id=user, properties=seen)
        case "screen":
            client.capture("$screen", distinct_id=user, properties={"$screen_name": name, **said})
        case "track":
            client.capture(name, distinct_id=user, properties=said)
        case "group":
            client.group_identify("company", name, properties=said, distinct_id=user)
        case "alias":
            client.alias(told["anonymous"], user)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gzip"])
def collector(request) -> Iterator[Collector]:
    with collecting() as running:
        client = Posthog("phc_key", host=running.url, gzip=request.param, flush_at=25, flush_interval=0.05)
        for told in story():
            send(client, told)
        client.shutdown()
        yield running


def test_nothing_that_was_sent_is_lost(collector: Collector, tmp_path: Path):
    assert len(collector.requests) > 2, "it sent batches"
    assert len(collector.sent) == len(story())
    log = read_whole(collector, tmp_path, POSTHOG)
    assert set(log.events["channel"]) == {"server"}
    wanted = ["identity_link", "page_view", "citation_click", "Order Completed", "$screen", "$groupidentify"]
    assert names(log, wanted) == dict.fromkeys(wanted, PEOPLE)
    assert names(log, ["Row Scrolled"]) == {"Row Scrolled": PEOPLE * SCROLLS}
