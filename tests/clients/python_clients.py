"""The trackers for Python, each telling the story to a collector in its own calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import rudderstack.analytics.client
import segment.analytics.client
from posthog import Posthog
from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events.event import Event
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.screen_view import ScreenView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

from tests.clients.collector import Collector
from tests.clients.story import SPOKEN, Call, calls, story

_SOON: Final = 0.05
"""Seconds for which a client waits for more of a batch."""

_BATCH: Final = 25


def tell_segment(collector: Collector, *, gzip: bool = True) -> None:
    """Send the story with Segment's client."""
    _tell_spec(segment.analytics.client.Client, collector, gzip=gzip)


def tell_rudderstack(collector: Collector, *, gzip: bool = True) -> None:
    """Send the story with RudderStack's client."""
    _tell_spec(rudderstack.analytics.client.Client, collector, gzip=gzip)


def _tell_spec(kind: Callable[..., Any], collector: Collector, *, gzip: bool) -> None:
    client = kind("key", host=collector.url, gzip=gzip, upload_size=_BATCH, upload_interval=_SOON)
    for told in story():
        _send_spec(client, told)
    client.flush()
    client.join()


def _send_spec(client: Any, told: Call) -> None:
    who = {"user_id": told["user"], "anonymous_id": told["anonymous"]}
    said, name = told["properties"], told["name"]
    match told["call"]:
        case "identify":
            client.identify(**who, traits=said)
        case "page" | "screen":
            getattr(client, told["call"])(**who, category="Docs", name=name, properties=said)
        case "track":
            client.track(**who, event=name, properties=said)
        case "group":
            client.group(**who, group_id=name, traits=said)
        case "alias":
            client.alias(previous_id=told["anonymous"], user_id=told["user"])


def tell_posthog(collector: Collector, *, gzip: bool = True) -> None:
    """Send the story with PostHog's client."""
    client = Posthog("phc_key", host=collector.url, gzip=gzip, flush_at=_BATCH, flush_interval=_SOON)
    for told in story():
        _send_posthog(client, told)
    client.shutdown()


def _send_posthog(client: Posthog, told: Call) -> None:
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


def tell_snowplow(
    collector: Collector, *, method: Literal["get", "post"] = "post", encoded: bool = True
) -> None:
    """Send what of the story Snowplow's tracker has calls for."""
    logging.getLogger("snowplow_tracker.emitters").setLevel(logging.WARNING)  # it tells of each request
    size = _BATCH if method == "post" else 1
    emitter = Emitter("127.0.0.1", protocol="http", port=collector.port, method=method, batch_size=size)
    tracker = Tracker("story", emitter, app_id="library", encode_base64=encoded)
    for told in calls(story(), *SPOKEN):
        tracker.track(_snowplow_event(told))
    tracker.flush()


def _snowplow_event(told: Call) -> Event:
    who = Subject().set_user_id(told["user"]).set_domain_user_id(told["anonymous"])
    said, name = told["properties"], told["name"]
    if told["call"] == "page":
        shelf = SelfDescribingJson("iglu:org.example/shelf/jsonschema/1-0-0", {"label": f"Größe {name}"})
        return PageView(said["url"], said["title"], said["referrer"], event_subject=who, context=[shelf])
    if told["call"] == "screen":
        return ScreenView(id_=f"{name} id", name=name, event_subject=who)
    if name == "Row Scrolled":
        return StructuredEvent("rows", "scroll", label=said["note"], value=said["row"], event_subject=who)
    schema = f"iglu:org.example/{name.lower().replace(' ', '_')}/jsonschema/1-0-0"
    return SelfDescribing(SelfDescribingJson(schema, said), event_subject=who)


CLIENTS: Final[Mapping[str, Callable[[Collector], None]]] = {
    "segment": tell_segment,
    "rudderstack": tell_rudderstack,
    "posthog": tell_posthog,
    "snowplow": tell_snowplow,
}
"""By source, who tells the story."""
