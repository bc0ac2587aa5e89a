"""Snowplow's forms of the same events, small: what a tracker sends, an enriched line of columns, JSON of an SDK, a table's row."""

from __future__ import annotations

import base64
import json
from typing import Any

from eventlib.sources.snowplow_fields import COLUMNS

SNOWPLOW = "iglu:com.snowplowanalytics.snowplow"
ID = "9cf47bd6-e823-4035-91b3-5648e9c2a784"

PREFERENCES = {
    "eventType": "allow_selected",
    "basisForProcessing": "consent",
    "consentUrl": "https://shop.example/privacy",
    "consentVersion": "2026-05",
    "consentScopes": ["analytics"],
    "domainsApplied": ["https://shop.example"],
}


def described(schema: str, data: Any) -> dict[str, Any]:
    """Self-describing JSON."""
    return {"schema": schema, "data": data}


def contexts(*members: dict[str, Any]) -> dict[str, Any]:
    """Contexts as they are sent."""
    return described(f"{SNOWPLOW}/contexts/jsonschema/1-0-1", list(members))


def unstruct(schema: str, data: Any) -> dict[str, Any]:
    """An event that describes itself, as it is sent."""
    return described(f"{SNOWPLOW}/unstruct_event/jsonschema/1-0-0", described(schema, data))


def encoded(value: Any) -> str:
    """JSON as the JavaScript tracker sends it: Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


PAGE = described(f"{SNOWPLOW}/web_page/jsonschema/1-0-0", {"id": "pv-1"})
SESSION = described(
    f"{SNOWPLOW}/client_session/jsonschema/1-0-2",
    {
        "userId": "d-1",
        "sessionId": "s-1",
        "sessionIndex": 3,
        "previousSessionId": None,
        "storageMechanism": "COOKIE_1",
    },
)


def payload(**fields: Any) -> dict[str, Any]:
    """A page view as the Python tracker 1.1 sent it to a collector; every value is a text."""
    sent = {
        "e": "pv", "url": "https://shop.example/guide?utm_source=chatgpt.com", "page": "Guide", "refr": "https://chatgpt.com/",
        "cx": encoded(contexts(PAGE)), "ttm": "1790000000000", "p": "web", "uid": "u-1", "duid": "d-1", "sid": "s-1", "vid": "3",
        "res": "1920x1080", "vp": "800x600", "tz": "Europe/London", "lang": "en", "ip": "198.51.100.7", "ua": "UA/1",
        "tnuid": "n-1", "eid": ID, "dtm": "1790000000379", "tv": "py-1.1.0", "tna": "ns", "aid": "shop", "stm": "1790000000900",
    }  # fmt: skip
    return {name: value for name, value in {**sent, **fields}.items() if value is not None}


def post(*members: Any) -> dict[str, Any]:
    """What one request brings."""
    return described(f"{SNOWPLOW}/payload_data/jsonschema/1-0-4", list(members))


def enriched(**fields: Any) -> dict[str, Any]:
    """The same page view enriched, as values of its columns."""
    columns = {
        "app_id": "shop", "platform": "web", "etl_tstamp": "2026-09-21 14:13:25.000", "collector_tstamp": "2026-09-21 14:13:21.500",
        "dvce_created_tstamp": "2026-09-21 14:13:20.379", "event": "page_view", "event_id": ID, "name_tracker": "ns",
        "v_tracker": "py-1.1.0", "v_collector": "ssc-3.2.0", "v_etl": "enrich-6.10.0", "user_id": "u-1",
        "user_ipaddress": "198.51.100.7", "domain_userid": "d-1", "domain_sessionidx": "3", "network_userid": "n-1",
        "page_url": "https://shop.example/guide?utm_source=chatgpt.com", "page_title": "Guide",
        "page_referrer": "https://chatgpt.com/", "page_urlscheme": "https", "page_urlhost": "shop.example", "page_urlport": "443",
        "page_urlpath": "/guide", "page_urlquery": "utm_source=chatgpt.com", "refr_urlscheme": "https",
        "refr_urlhost": "chatgpt.com", "refr_urlport": "443", "refr_urlpath": "/", "contexts": contexts(PAGE),
        "useragent": "UA/1", "br_lang": "en", "br_viewwidth": "800", "br_viewheight": "600", "os_timezone": "Europe/London",
        "dvce_screenwidth": "1920", "dvce_screenheight": "1080", "dvce_sent_tstamp": "2026-09-21 14:13:20.900",
        "domain_sessionid": "s-1", "derived_tstamp": "2026-09-21 14:13:20.979", "event_vendor": "com.snowplowanalytics.snowplow",
        "event_name": "page_view", "event_format": "jsonschema", "event_version": "1-0-0",
        "true_tstamp": "2026-09-21 14:13:20.000",
    }  # fmt: skip
    return {name: value for name, value in {**columns, **fields}.items() if value is not None}


def of_its_own(schema: str, data: Any, **fields: Any) -> dict[str, Any]:
    """An enriched event that describes itself."""
    vendor, name, _, version = schema.removeprefix("iglu:").split("/")
    return enriched(
        event="unstruct", event_vendor=vendor, event_name=name, event_version=version,
        unstruct_event=unstruct(schema, data), **fields,
    )  # fmt: skip


def tsv(columns: dict[str, Any]) -> bytes:
    """An enriched event as its line."""
    cells = (columns.get(name, "") for name in COLUMNS)
    return "\t".join(
        cell if isinstance(cell, str) else json.dumps(cell, separators=(",", ":")) for cell in cells
    ).encode()
