"""The canonical event: its columns, types and vocabulary, in one place (DESIGN sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

__all__ = [
    "EVENT_COLUMNS",
    "EVENT_NAMES",
    "GEO_EVENT_NAMES",
    "IDENTITY_EVENT_NAMES",
    "JURISDICTIONS",
    "MAX_LINE_BYTES",
    "MAX_SAFE_INTEGER",
    "PURPOSES",
    "QUARANTINE_COLUMNS",
    "Violation",
    "quarantine_columns",
]

MAX_LINE_BYTES: Final = 1 << 20
"""A longer line is refused before it is parsed (S1.1)."""

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""Integers beyond lose digits in most readers of JSON."""

PURPOSES: Final = ("analytics", "identity", "training", "personalization", "advertising")
"""What an event may be used for, in the order of `consent_rule`."""

JURISDICTIONS: Final = ("EEA", "UK", "CH", "US", "OTHER")
"""Consent jurisdictions; `US-xx` names a state."""

GEO_EVENT_NAMES: Final = (
    "answer_generate",
    "answer_view",
    "answer_rate",
    "answer_refine",
    "citation_show",
    "citation_click",
    "referral_land",
    "page_view",
    "page_engage",
    "page_exit",
    "passage_copy",
    "conversion_complete",
    "content_publish",
    "content_edit",
    "agent_fetch",
)

IDENTITY_EVENT_NAMES: Final = ("user_login", "user_logout", "identity_link", "consent_update")

EVENT_NAMES: Final = GEO_EVENT_NAMES + IDENTITY_EVENT_NAMES


@dataclass(frozen=True, slots=True)
class Violation:
    """Why one line or event was refused: `message` names keys and limits, never a value (S1.2)."""

    code: str
    json_path: str
    message: str
    errors: int = 1


_TIME = pa.timestamp("us", tz="UTC")

EVENT_COLUMNS: Final = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("original_event_id", pa.string()),
        pa.field("event_name", pa.string()),
        pa.field("schema_version", pa.string()),
        pa.field("source", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("occurred_at", _TIME),
        pa.field("sent_at", _TIME),
        pa.field("received_at", _TIME),
        pa.field("sequence", pa.int64()),
        pa.field("event_time", _TIME),
        pa.field("clock_method", pa.string()),
        pa.field("clock_offset_ms", pa.int64()),
        pa.field("is_late", pa.bool_()),
        pa.field("anonymous_id", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("person_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("session_index", pa.int64()),
        pa.field("ai_engine", pa.string()),
        pa.field("agent", pa.string()),
        pa.field("url", pa.string()),
        pa.field("referrer", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("jurisdiction", pa.string()),
        pa.field("allow_analytics", pa.bool_()),
        pa.field("allow_identity", pa.bool_()),
        pa.field("allow_training", pa.bool_()),
        pa.field("allow_personalization", pa.bool_()),
        pa.field("allow_advertising", pa.bool_()),
        pa.field("consent_rule", pa.string()),
        pa.field("properties", pa.string()),
    ]
)
"""`events.parquet`, in total order: the prepared dataset's one row per kept event."""

QUARANTINE_COLUMNS: Final = pa.schema(
    [
        pa.field("source_file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("byte_offset", pa.int64()),
        pa.field("byte_length", pa.int64()),
        pa.field("digest", pa.string()),
        pa.field("event_id", pa.string()),
        pa.field("event_name", pa.string()),
        pa.field("schema_version", pa.string()),
        pa.field("code", pa.string()),
        pa.field("json_path", pa.string()),
        pa.field("message", pa.string()),
        pa.field("errors", pa.int64()),
    ]
)
"""`quarantine.parquet`: where a refused line stands and why it was refused, never what it says."""


def quarantine_columns(*, keep_raw: bool) -> pa.Schema:
    """Return `QUARANTINE_COLUMNS`, and `raw` where the text of refused lines is kept."""
    return QUARANTINE_COLUMNS.append(pa.field("raw", pa.string())) if keep_raw else QUARANTINE_COLUMNS
