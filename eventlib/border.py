"""The border between rows and columns: the canonical frame, and how one validated event becomes a row of it.

Everything that a column stage needs of an event is taken out here, once; the stages never look into JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.consent.signals import Read, Said, SignalReader, least, refusals, stated
from eventlib.geo.traffic import classify_agent, classify_engine
from eventlib.geo.verification import NO_RANGES, AgentRanges, decided, without_address
from eventlib.model import EVENT_COLUMNS, PURPOSES

__all__ = ["BORDER_COLUMNS", "CONSENT_FLAGS", "FLAGS", "border_row", "fingerprint", "to_table"]

_TIME: Final = EVENT_COLUMNS.field("occurred_at").type
_NOT_IN_FINGERPRINT: Final = ("sent_at", "received_at", "consent")
_TIMES: Final = ("occurred_at", "sent_at", "received_at", "true_at", "consent_updated_at")

_ENVELOPE: Final = (
    "event_id", "event_name", "schema_version", "source", "channel", "occurred_at", "sent_at", "received_at", "sequence",
    "anonymous_id", "user_id",
)  # fmt: skip
_CONTEXT: Final = ("ai_engine", "agent", "url", "referrer", "user_agent")

CONSENT_FLAGS: Final = ("has_consent", "gpc", "us_opt_out", "us_notice", "known_child", "undecoded_signal")
"""What a consent object says beside its purposes: `us_opt_out` of sale, sharing or targeted advertising; `us_notice` that notice
was given and nothing opted out of; `known_child` that there is no valid opt-in for a child."""

BORDER_COLUMNS: Final = pa.schema(
    [
        *(EVENT_COLUMNS.field(name) for name in _ENVELOPE),
        pa.field("true_at", _TIME),  # vouched for by the producer (S3.1)
        pa.field("links", pa.string()),  # JSON list of [namespace, value], of identity_link
        *(EVENT_COLUMNS.field(name) for name in _CONTEXT),
        pa.field("observation", pa.string()),
        EVENT_COLUMNS.field("jurisdiction"),
        # 1 granted, 0 refused, null not said
        *(pa.field(f"said_{purpose}", pa.int8()) for purpose in PURPOSES),
        *(pa.field(name, pa.bool_()) for name in CONSENT_FLAGS),
        pa.field("notice_version", pa.string()),
        pa.field("consent_updated_at", _TIME),
        pa.field("minted_id", pa.bool_()),  # the record had no id of its own (S1.9)
        pa.field("fingerprint", pa.binary()),
        EVENT_COLUMNS.field("properties"),
        pa.field("file", pa.int64()),  # where its line stands, for what is refused only after the border
        pa.field("line", pa.int64()),
        pa.field("byte_offset", pa.int64()),
        pa.field("byte_length", pa.int64()),
    ]
)
"""The canonical frame, one row per validated event, before any stage of the column world."""

FLAGS: Final = tuple(field.name for field in BORDER_COLUMNS if pa.types.is_boolean(field.type))
"""Columns that are false where nothing is known."""


def fingerprint(event: Mapping[str, Any], properties: bytes | None = None) -> bytes:
    """Return SHA-256 over the sorted-key JSON of an event without sent_at, received_at and consent (S3.4).

    Nor does it hold the address from which an agent fetched: ids are made of it. Whoever has the sorted-key JSON of its
    properties already passes it, without the address, so that it is not written twice.
    """
    content = {**event}
    for name in _NOT_IN_FINGERPRINT:
        content.pop(name, None)
    if properties is not None:
        content["properties"] = orjson.Fragment(properties)
    elif isinstance(content.get("properties"), dict):
        content["properties"] = without_address(content["properties"])
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def _said(read: Read, event: Mapping[str, Any]) -> Said:
    """Add what a consent_update says in its properties; a refusal in either counts, and no grant beside a damaged signal."""
    if event["event_name"] != "consent_update":
        return read.said
    told = stated(event["properties"].get("purposes"))
    return least([read.said, refusals(told) if read.damaged else told])


def _links(event: Mapping[str, Any]) -> str | None:
    if event["event_name"] != "identity_link":
        return None
    identifiers = event["properties"].get("identifiers") or ()
    return orjson.dumps([[item["namespace"], item["value"]] for item in identifiers]).decode()


def border_row(
    event: Mapping[str, Any],
    where: tuple[int, int, int, int],
    signals: SignalReader,
    ranges: AgentRanges = NO_RANGES,
    *,
    minted_id: bool,
) -> tuple[Any, ...]:
    """Return one validated event as a row of `BORDER_COLUMNS`, times still as text; `where` is file, line, offset, length."""
    get = event.get
    sent = event["properties"]
    context = get("context") or {}
    consent = get("consent")
    known = consent or {}
    said = known.get
    read = signals.read(known)
    observation, engine = sent.get("observation"), sent.get("engine")
    url, referrer, user_agent = context.get("url"), context.get("referrer"), context.get("user_agent")
    properties = decided(event["event_name"], sent, user_agent, ranges)
    written = orjson.dumps(properties, option=orjson.OPT_SORT_KEYS)
    # as it was sent: other ranges on another day do not make it another event
    same = written if properties is sent else orjson.dumps(without_address(sent), option=orjson.OPT_SORT_KEYS)
    return (
        event["event_id"],
        event["event_name"],
        event["schema_version"],
        event["source"],
        get("channel"),
        event["occurred_at"],
        get("sent_at"),
        event["received_at"],
        get("sequence"),
        get("anonymous_id"),
        get("user_id"),
        get("true_at"),
        _links(event),
        classify_engine(referrer, url, engine if isinstance(engine, str) else None)[0],
        classify_agent(user_agent)[0],
        url,
        referrer,
        user_agent,
        observation if isinstance(observation, str) else None,  # unplanned events may hold anything there
        said("jurisdiction"),
        *_said(read, event),
        bool(consent),  # an empty object is no signal
        read.gpc,
        read.us_opt_out,
        read.us_notice,
        read.known_child,
        read.damaged,
        said("notice_version"),
        said("updated_at"),
        minted_id,
        fingerprint(event, same),
        written.decode(),
        *where,
    )


def _parse_times(texts: Sequence[str | None]) -> pa.Array:
    """Parse RFC 3339 texts, cutting what is finer than a microsecond (S1.3)."""
    column = pa.array(texts, pa.string())
    try:
        return pc.cast(column, _TIME)
    except pa.ArrowInvalid:
        return pc.cast(pc.replace_substring_regex(column, r"(\.[0-9]{6})[0-9]+", r"\1"), _TIME)


def to_table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return rows as a table of `BORDER_COLUMNS`."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(BORDER_COLUMNS)
    arrays = [
        _parse_times(column) if field.name in _TIMES else pa.array(column, field.type)
        for field, column in zip(BORDER_COLUMNS, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=BORDER_COLUMNS)
