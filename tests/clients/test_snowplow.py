"""Snowplow's Python tracker, in posts of several events and in one request per event: what it sends is what is read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.screen_view import ScreenView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

from tests.clients.collector import Collector, collecting
from tests.clients.reading import SNOWPLOW, names, read_whole
from tests.clients.story import PEOPLE, SCROLLS, SPOKEN, Call, calls, story


def _event(told: Call) -> PageView | ScreenView | SelfDescribing | StructuredEvent:
    subject = Subject().set_user_id(told["user"]).set_domain_user_id(told["anonymous"])
    said, name = told["properties"], told["name"]
    shelf = SelfDescribingJson("iglu:org.example/shelf/jsonschema/1-0-0", {"label": f"Größe {told['user']}"})
    if told["call"] == "page":
        return PageView(
            said["url"],
            page_title=said["title"],
            referrer=said["referrer"],
            event_subject=subject,
            context=[shelf],
        )
    if told["call"] == "screen":
        return ScreenView(id_=f"{name} id", name=name, event_subject=subject)
    if name == "Row Scrolled":
        return StructuredEvent("rows", "scroll", label=said["note"], value=said["row"], event_subject=subject)
    schema = f"iglu:org.example/{name.lower().replace(' ', '_')}/jsonschema/1-0-0"
    return SelfDescribing(SelfDescribingJson(schema, said), event_subject=subject)


@pytest.fixture(scope="module", params=[("post", True), ("post", False), ("get", True)], ids=str)
def collector(request) -> Iterator[Collector]:
    logging.getLogger("snowplow_tracker.emitters").setLevel(logging.WARNING)  # it tells of each request
    method, encoded = request.param
    with collecting() as running:
        emitter = Emitter(
            "127.0.0.1",
            protocol="http",
            port=running.port,
            method=method,
            batch_size=25 if method == "post" else 1,
        )
        tracker = Tracker("story", emitter, app_id="library", encode_base64=encoded)
        for told in calls(story(), *SPOKEN):
            tracker.track(_event(told))
        tracker.flush()
        yield running


def test_nothing_that_was_sent_is_lost(collector: Collector, tmp_path: Path):
    assert len(collector.sent) == len(calls(story(), *SPOKEN))
    log = read_whole(collector, tmp_path, SNOWPLOW)
    wanted = ["page_view", "citation_click", "screen_view", "order_completed", "filter_applied"]
    assert names(log, [*wanted, "scroll"]) == {**dict.fromkeys(wanted, PEOPLE), "scroll": PEOPLE * SCROLLS}
    assert set(log.events["user_id"]) == {call["user"] for call in story()}
    assert set(log.events["anonymous_id"]) == {call["anonymous"] for call in story()}
