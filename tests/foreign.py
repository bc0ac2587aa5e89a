"""Native events as other trackers would have logged them: for tests of parity, and for benchmarks of speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

__all__ = ["FORMATS", "foreign_log"]

Event = dict[str, Any]


def _title(name: str) -> str:
    """Return a name as people write it who name events in the past: `Citation Clicked`."""
    thing, action = name.split("_")
    past = {"show": "shown", "land": "landed", "copy": "copied"}.get(
        action, action + ("d" if action.endswith("e") else "ed")
    )
    return f"{thing} {past}".title()


def segment(event: Event) -> Event:
    """Return a native event as Segment keeps it."""
    context, consent = event.get("context") or {}, (event.get("consent") or {}).get("purposes")
    properties = dict(event["properties"])
    made = {
        "type": "track",
        "event": _title(event["event_name"]),
        "messageId": event["event_id"],
        "anonymousId": event.get("anonymous_id"),
        "userId": event.get("user_id"),
        "originalTimestamp": event["occurred_at"],
        "sentAt": event.get("sent_at"),
        "receivedAt": event["received_at"],
        "channel": event.get("channel"),
        "context": {
            "page": {"url": context.get("url"), "referrer": context.get("referrer")},
            "userAgent": context.get("user_agent"),
            "library": {"name": "analytics.js", "version": "2.1.0"},
        },
        "integrations": {"All": True},
        "properties": properties,
    }
    if event["event_name"] == "page_view":
        made |= {"type": "page", "event": None, "name": properties.get("title")}
    if consent:
        made["context"]["consent"] = {
            "categoryPreferences": {k: v for k, v in consent.items() if v is not None}
        }
    return made


def rudderstack(event: Event) -> Event:
    """Return a native event as RudderStack keeps it."""
    made = {**segment(event), "rudderId": "r-" + event["event_id"], "request_ip": "192.0.2.1"}
    consent = made["context"].pop("consent", None)
    if consent:
        said = consent["categoryPreferences"]
        made["context"]["consentManagement"] = None
        made["context"]["consent"] = {
            "allowedConsentIds": [name for name, granted in said.items() if granted],
            "deniedConsentIds": [name for name, granted in said.items() if not granted],
        }
    return made


FORMATS: Mapping[str, Callable[[Event], Event]] = {"segment": segment, "rudderstack": rudderstack}
"""Formats by name, each with how it writes a native event."""


def foreign_log(events: Iterable[Event], source: str) -> bytes:
    """Return native events as a log of another format."""
    return b"".join(orjson.dumps(FORMATS[source](event)) + b"\n" for event in events)
