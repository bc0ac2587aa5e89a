"""Native events as other trackers would have logged them: for tests of parity, and for benchmarks of speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from eventlib.sources.snowplow_fields import COLUMNS

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


def posthog(event: Event) -> Event:
    """Return a native event as a row of PostHog's export."""
    context, user = event.get("context") or {}, event.get("user_id")
    properties = {
        "$lib": "web", "$current_url": context.get("url"), "$referrer": context.get("referrer") or "$direct",
        "$raw_user_agent": context.get("user_agent"), "$device_id": event.get("anonymous_id"), "$is_identified": user is not None,
        "$session_id": "s", "$ip": "192.0.2.1", **event["properties"],
    }  # fmt: skip
    name = event["event_name"]
    if name == "page_view":
        name, properties["$pageview_id"] = "$pageview", properties.pop("page_view_id")
    return {
        "uuid": event["event_id"],
        "event": name,
        "distinct_id": user or event.get("anonymous_id") or "server",
        "properties": properties,
        "timestamp": event["occurred_at"],
        "created_at": event["received_at"],
        "team_id": 1,
    }


_CLOCKS = {
    "dvce_created_tstamp": "occurred_at",
    "dvce_sent_tstamp": "sent_at",
    "collector_tstamp": "received_at",
}


def snowplow(event: Event) -> bytes:
    """Return a native event as an enriched line of Snowplow's, a self-describing event."""
    context, name = event.get("context") or {}, event["event_name"]
    cells: dict[str, Any] = {
        "app_id": "site", "platform": "web", "event": "unstruct", "event_id": event["event_id"], "v_tracker": "js-4.0.0",
        "v_collector": "ssc-3.0.0", "v_etl": "enrich-6.0.0", "user_id": event.get("user_id"), "user_ipaddress": "192.0.2.1",
        "domain_userid": event.get("anonymous_id"), "page_url": context.get("url"), "page_referrer": context.get("referrer"),
        "useragent": context.get("user_agent"), "event_vendor": "org.example", "event_name": name, "event_format": "jsonschema",
        "event_version": "1-0-0",
    }  # fmt: skip
    for column, member in _CLOCKS.items():
        cells[column] = (event.get(member) or "").replace("T", " ").removesuffix("Z")
    schema = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
    own = {"schema": f"iglu:org.example/{name}/jsonschema/1-0-0", "data": event["properties"]}
    cells["unstruct_event"] = orjson.dumps({"schema": schema, "data": own}).decode()
    return "\t".join(str(cells.get(column) or "") for column in COLUMNS).encode()


def _param(name: str, value: Any) -> Event:
    kind = {str: "string_value", int: "int_value", float: "double_value"}.get(type(value))
    text = value if kind else orjson.dumps(value).decode()
    return {"key": name, "value": {kind or "string_value": text}}


def ga4(event: Event) -> Event:
    """Return a native event as a row of GA4's export; what is no text or number is a parameter as text."""
    context = event.get("context") or {}
    moment = datetime.fromisoformat(event["occurred_at"])
    pages = {
        "page_location": context.get("url"),
        "page_referrer": context.get("referrer"),
        "ga_session_id": 7,
    }
    consent = (event.get("consent") or {}).get("purposes")
    return {
        "event_date": moment.strftime("%Y%m%d"),
        "event_timestamp": str(round(moment.timestamp() * 1_000_000)),
        "event_name": event["event_name"],
        "event_params": [_param(k, v) for k, v in {**event["properties"], **pages}.items() if v is not None],
        "user_pseudo_id": event.get("anonymous_id"),
        "user_id": event.get("user_id"),
        "privacy_info": {
            "analytics_storage": {True: "Yes", False: "No", None: "Unset"}[(consent or {}).get("analytics")],
            "ads_storage": "Unset",
            "uses_transient_token": "No",
        },
        "device": {"category": "desktop", "operating_system": "Linux"},
        "stream_id": "1",
        "platform": "WEB",
        "items": [],
        "batch_page_id": "1",
        "batch_event_index": str(event.get("sequence") or 0),
        "batch_ordering_id": "1",
    }


def cloudevents(event: Event) -> Event:
    """Return a native event as a CloudEvent."""
    data = {
        name: event[name]
        for name in ("anonymous_id", "user_id", "consent", "context", "properties")
        if event.get(name)
    }
    return {
        "specversion": "1.0",
        "id": event["event_id"],
        "source": "/" + event["source"],
        "type": "org.example." + event["event_name"].replace("_", "."),
        "time": event["occurred_at"],
        "recordedtime": event["received_at"],
        "datacontenttype": "application/json",
        "data": data,
    }


FORMATS: Mapping[str, Callable[[Event], Event | bytes]] = {
    "segment": segment, "rudderstack": rudderstack, "posthog": posthog, "snowplow": snowplow, "ga4": ga4,
    "cloudevents": cloudevents,
}  # fmt: skip
"""Formats by name, each with how it writes a native event."""


def foreign_log(events: Iterable[Event], source: str) -> bytes:
    """Return native events as a log of another format."""
    made = (FORMATS[source](event) for event in events)
    return b"".join((one if isinstance(one, bytes) else orjson.dumps(one)) + b"\n" for one in made)
