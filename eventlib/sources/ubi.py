"""User Behavior Insights (UBI) as it is found in the wild: OpenSearch bulk files of queries and events.

A search result page is read as an answer whose results are its citations, so that impressions, clicks and
conversions feed the same exposure and ranking models. What the format leaves open or gets wrong is repaired,
and every repair is counted: ordinals from 0 in one application and from 1 in the next, times as text with and
without a colon in their offset or as milliseconds, empty strings and nulls where nothing is known.

Source: the UBI specification's query and event schemas, and the sample data of public UBI demonstrations.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import orjson

from eventlib.sources.base import About, Adapter, Event, Repairs, Skipped, mapping
from eventlib.sources.decode import text_of
from eventlib.sources.personal import forget

__all__ = ["UbiAdapter"]

_BULK_ACTIONS: Final = frozenset({"index", "create"})
_RANKED: Final = frozenset({"impression", "click", "item_click"})
_BARE_OFFSET: Final = re.compile(r"([+-][0-9]{2})([0-9]{2})$", re.ASCII)
_VERSION: Final = "1-0-0"
_ORDINAL: Final = "event_attributes.position.ordinal"
_IN_CONTEXT: Final = ("page_id", "browser")
_FROM_ZERO: Final = "counted from 0, read as from 1"


def _text(record: Mapping[str, Any], name: str, scope: str, repairs: Repairs) -> str | None:
    value = record.get(name)
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, str):
        repairs.add(scope, name, "empty text read as absent")
    elif name in record and value is None:
        repairs.add(scope, name, "null read as absent")
    elif value is not None:
        repairs.add(scope, name, f"{type(value).__name__} read as text")
        return str(value)
    return None


def _time(value: object, scope: str, repairs: Repairs) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 32_503_680_000_000:
        repairs.add(scope, "timestamp", "milliseconds since 1970 read as a time")
        return (
            datetime.fromtimestamp(value / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
    if isinstance(value, str) and _BARE_OFFSET.search(value) and "T" in value:
        repairs.add(scope, "timestamp", "colon put into the offset")
        return _BARE_OFFSET.sub(r"\1:\2", value)
    return value


def _bulk_id(previous: bytes) -> str | None:
    """Return the `_id` of the bulk action before a document: the record's own id in its index."""
    try:
        action = orjson.loads(text_of(previous))
    except orjson.JSONDecodeError:
        return None
    for name in _BULK_ACTIONS:
        identifier = mapping(mapping(action).get(name)).get("_id")
        if isinstance(identifier, str) and identifier:
            return identifier
    return None


def _is_bulk_action(record: Mapping[str, Any]) -> bool:
    if len(record) != 1:
        return False
    ((name, value),) = record.items()
    return name in _BULK_ACTIONS and isinstance(value, dict) and all(key.startswith("_") for key in value)


def _ordinal(record: Mapping[str, Any]) -> object:
    return mapping(mapping(record.get("event_attributes")).get("position")).get("ordinal")


def _evidence(lowest: int, seen: int) -> tuple[str, str, str]:
    """Return field, finding and evidence of how an application counts its results."""
    if lowest == 0:
        return _ORDINAL, _FROM_ZERO, f"an ordinal 0 among {seen} ranked events"
    return _ORDINAL, "counted from 1, left as it is", f"no ordinal 0 among {seen} ranked events"


def _application(record: Mapping[str, Any]) -> str:
    value = record.get("application")
    return value if isinstance(value, str) and value else "unnamed"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class _Ranked:
    """The properties that an impression and a click share, positions counted from 1."""

    def __init__(self, record: Event, scope: str, learned: Mapping[str, Any], repairs: Repairs) -> None:
        thing = mapping(mapping(record.get("event_attributes")).get("object"))
        self.query_id = _text(record, "query_id", scope, repairs)
        self.content_id = _text(thing, "object_id", scope, repairs)
        ordinal = _ordinal(record)
        if learned.get("zero_based", {}).get(scope) and _is_count(ordinal):
            repairs.add(scope, _ORDINAL, _FROM_ZERO)
            ordinal = int(ordinal) + 1  # type: ignore[call-overload]  # _is_count has just looked
        self.position = ordinal

    def properties(self, scope: str) -> Event:
        citation = f"{self.query_id}:{self.content_id}" if self.query_id and self.content_id else None
        return {
            "observation": "owned",
            "citation_id": citation,
            "answer_id": self.query_id,
            "content_id": self.content_id,
            "position": self.position,
            "slot": "inline",
            "engine": f"search:{scope}",
        }


def _ranked(record: Event, scope: str, learned: Mapping[str, Any], repairs: Repairs) -> Event:
    return _Ranked(record, scope, learned, repairs).properties(scope)


def _conversion(record: Event, scope: str, learned: Mapping[str, Any], repairs: Repairs) -> Event:
    ranked = _Ranked(record, scope, learned, repairs)
    thing = mapping(mapping(record.get("event_attributes")).get("object"))
    transaction = _text(thing, "transaction_id", scope, repairs)
    return {
        "observation": "owned",
        "conversion_id": transaction or f"{ranked.query_id}:{ranked.content_id}:{record.get('timestamp')}",
        "conversion_type": str(record["action_name"]),
        "content_id": ranked.content_id,
    }


def _page_exit(record: Event, scope: str, learned: Mapping[str, Any], repairs: Repairs) -> Event:  # noqa: ARG001  # one signature for all builders
    attributes = mapping(record.get("event_attributes"))
    seconds = attributes.get("dwell_time")
    page, session = (
        _text(attributes, "page_id", scope, repairs),
        _text(attributes, "session_id", scope, repairs),
    )
    return {
        "observation": "owned",
        "page_view_id": f"{session}:{page}" if page and session else None,
        "active_ms": round(seconds * 1000)
        if isinstance(seconds, int | float) and 0 <= seconds < 1e9
        else None,
    }


_Builder = Callable[[Event, str, Mapping[str, Any], Repairs], Event]
_EVENTS: Final[Mapping[str, tuple[str, _Builder]]] = {
    "impression": ("citation_show", _ranked),
    "click": ("citation_click", _ranked),
    "item_click": ("citation_click", _ranked),
    "add_to_cart": ("conversion_complete", _conversion),
    "purchase": ("conversion_complete", _conversion),
    "page_exit": ("page_exit", _page_exit),
}
"""action_name → canonical event and the function that builds its properties; other names are kept as they are."""


class UbiAdapter(Adapter):
    """UBI queries and events, in OpenSearch's bulk form or as plain lines."""

    name: ClassVar[str] = "ubi"
    about = About(
        "User Behavior Insights (OpenSearch)",
        "the query and event schemas of 2024 to 2026, bulk files and plain lines",
        (
            ("the bulk action's `_id`", "`event_id`", "else a digest of the event"),
            (
                "`timestamp`",
                "`occurred_at`, `received_at`",
                "text with or without a colon in its offset, or milliseconds",
            ),
            ("`client_id`, `user_id`", "`anonymous_id`, `user_id`", ""),
            (
                "a query",
                "`answer_generate`",
                "`query_id` is the answer, `user_query` the prompt, `query_response_hit_ids` the candidates",
            ),
            ("a query without text", "`ubi_query`", "as of a page that lists all there is"),
            (
                "`action_name`: impression, click, item_click",
                "`citation_show`, `citation_click`",
                "`event_attributes.position.ordinal` counted from 1",
            ),
            (
                "`action_name`: add_to_cart, purchase",
                "`conversion_complete`",
                "`transaction_id` where there is one",
            ),
            ("`action_name`: page_exit", "`page_exit`", "`dwell_time` in seconds"),
            ("other `action_name`", "`event_name`", "with `event_attributes` as properties"),
        ),
        (
            "applications count positions from 0 or from 1; a log in which none is 0 cannot tell",
            "there is no arrival time: the record's own stands for it",
        ),
    )
    unplanned: ClassVar[bool] = True
    needs_first_pass: ClassVar[bool] = True
    derived: ClassVar[Mapping[str, frozenset[str]]] = {
        "*": frozenset({"observation", "query_id", "message_type", "message", "application"}),
        "answer_generate": frozenset({"answer_id", "prompt_id", "engine", "surface"}),
        "citation_show": frozenset({"citation_id", "answer_id", "slot", "engine"}),
        "citation_click": frozenset({"citation_id", "answer_id", "slot", "engine"}),
        "conversion_complete": frozenset({"conversion_id", "conversion_type"}),
        "page_exit": frozenset({"page_view_id"}),
    }

    @classmethod
    def sniff(cls, records: Sequence[Mapping[str, Any]]) -> str | None:
        """Look for action_name or query_id beside client_id, or a bulk action on a ubi_ index."""
        hits = sum(
            ("client_id" in record and ("action_name" in record or "query_id" in record))
            or (_is_bulk_action(record) and "ubi_" in str(record))
            for record in records
        )
        return (
            f"{hits} of {len(records)} records have client_id with action_name or query_id" if hits else None
        )

    def learn(self, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Find out from which number each application counts its results: the specification leaves it open."""
        lowest: dict[str, int] = {}
        seen: Counter[str] = Counter()
        for record in records:
            ordinal = _ordinal(record)
            action = record.get("action_name")
            if isinstance(action, str) and action in _RANKED and _is_count(ordinal):
                scope = _application(record)
                seen[scope] += 1
                lowest[scope] = min(lowest.get(scope, 1), max(0, int(ordinal)))  # type: ignore[call-overload]  # _is_count has just looked
        return {
            "zero_based": {scope: low == 0 for scope, low in lowest.items()},
            "evidence": {scope: _evidence(low, seen[scope]) for scope, low in lowest.items()},
        }

    def adapt(
        self, record: Event, previous: bytes, learned: Mapping[str, Any], repairs: Repairs
    ) -> Event | Skipped:
        """Map a query to `answer_generate`, a ranked event to `citation_*`; other names stay."""
        if _is_bulk_action(record):
            return Skipped("bulk_action")
        scope = _application(record)
        attributes = mapping(record.get("event_attributes"))
        if record.get("event_attributes", attributes) is None:
            repairs.add(scope, "event_attributes", "null read as an empty object")
        event_name, properties = self._content(record, scope, learned, repairs)
        forget(properties, scope, repairs)
        when = _time(record.get("timestamp"), scope, repairs)
        return {
            "event_id": _bulk_id(previous),
            "event_name": event_name,
            "schema_version": _VERSION,
            "occurred_at": when,
            "received_at": when,  # UBI has no arrival time (S1.9)
            "source": self.name,
            "channel": "client",
            "anonymous_id": _text(record, "client_id", scope, repairs),
            "user_id": _text(record, "user_id", scope, repairs),
            "consent": None,
            "context": {
                "url": _text(attributes, "page_id", scope, repairs),
                "referrer": None,
                "user_agent": _text(attributes, "browser", scope, repairs),
            },
            "properties": {key: value for key, value in properties.items() if value is not None},
        }

    @staticmethod
    def _content(
        record: Event, scope: str, learned: Mapping[str, Any], repairs: Repairs
    ) -> tuple[object, Event]:
        action = record.get("action_name")
        if action is None and "query_id" in record:
            return _query(record, scope, repairs)
        if isinstance(action, str) and action in _EVENTS:
            event_name, build = _EVENTS[action]
            return event_name, build(record, scope, learned, repairs)
        attributes = mapping(record.get("event_attributes"))
        kept = {name: value for name, value in attributes.items() if name not in _IN_CONTEXT}
        kept |= {name: record.get(name) for name in ("query_id", "message_type", "message", "application")}
        return action, kept


def _query(record: Event, scope: str, repairs: Repairs) -> tuple[str, Event]:
    """Return a query as an answer; one that asks for nothing, as of a page that lists all there is, has no prompt."""
    text = _text(record, "user_query", scope, repairs)
    hits = record.get("query_response_hit_ids")
    candidates = [
        {"content_id": str(hit), "retrieval_rank": rank}
        for rank, hit in enumerate(hits if isinstance(hits, list) else [], 1)
    ]
    if text is None:
        repairs.add(scope, "user_query", "no text: kept as ubi_query")
        named = {"query_id": _text(record, "query_id", scope, repairs), "application": scope}
        return "ubi_query", {**named, "candidates": candidates or None}
    return "answer_generate", {
        "observation": "owned",
        "answer_id": _text(record, "query_id", scope, repairs),
        "prompt_id": " ".join(text.casefold().split()),
        "prompt_text": text,
        "engine": f"search:{scope}",
        "surface": "site_search",
        "candidates": candidates or None,
    }
