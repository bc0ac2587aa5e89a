"""Google Analytics 4: rows of its BigQuery export, nested lists of keys and values unwrapped.

The export has no event id. Teams make one of the client, the event's time and name, its session, its place in the batch
(`batch_page_id`, `batch_ordering_id`, `batch_event_index`) and its parameters; so does this module, and of nothing that
differs between the streamed and the daily copy of a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeGuard

import orjson

from eventlib.model import MAX_SAFE_INTEGER, Violation
from eventlib.sources.base import Event, Repairs, Skipped
from eventlib.sources.decode import decode_value, decode_wide
from eventlib.sources.envelope import free_name
from eventlib.sources.reading import UnreadableError, exact, read_time
from eventlib.sources.tracker import TrackerAdapter

__all__ = ["Ga4Adapter"]

_ALL: Final = "(all)"
_NOT_SET: Final = "(not set)"
_VALUES: Final = frozenset({"string_value", "int_value", "float_value", "double_value"})
_WHOLE: Final = frozenset({
    "event_timestamp", "event_previous_timestamp", "event_bundle_sequence_id", "event_server_timestamp_offset",
    "batch_event_index", "batch_ordering_id", "batch_page_id", "int_value", "quantity", "total_item_quantity", "unique_items",
    "time_zone_offset_seconds",
})  # fmt: skip
"""Members that are whole numbers, which `bq extract` writes as text."""

_LATER: Final = frozenset({
    "traffic_source", "session_traffic_source_last_click", "user_ltv", "user_first_touch_timestamp", "is_active_user",
    "event_value_in_usd",
})  # fmt: skip
"""What Google works out after the event, and has in one copy of a row and not in another."""

_EVENT: Final = (
    "event_timestamp", "event_name", "batch_page_id", "batch_ordering_id", "batch_event_index", "event_bundle_sequence_id",
)  # fmt: skip
_CONSENT: Final = {
    "analytics_storage": "analytics_storage",
    "ads_storage": "ad_storage",
    "ad_user_data": "ad_user_data",
    "ad_personalization": "ad_personalization",
}
_TRANSIENT: Final = "uses_transient_token"
_FLAT: Final = {f"privacy_info{mark}{name}": name for name in (*_CONSENT, _TRANSIENT) for mark in "._"}
_STATES: Final = {"Yes": "granted", "No": "denied", "Unset": None, None: None}
_DAMAGED: Final = "unreadable"
_DEEPEST: Final = 8
_REMEMBERED: Final = 1024
_VIEW: Final = "page_view_id"
_ID: Final = "minted_event_id"
_MADE: Final = frozenset({_VIEW, "consent_mode", _ID, "uploaded_at"})
_LISTS: Final = ("event_params", "user_properties")
_RECORDS: Final = frozenset({
    *_LISTS, "items", "privacy_info", "user_ltv", "device", "geo", "app_info", "traffic_source", "collected_traffic_source",
    "session_traffic_source_last_click", "event_dimensions", "ecommerce", "publisher",
})  # fmt: skip
"""Columns that hold columns: tables of text have them as JSON, or their members in columns of their own."""

_NESTED: Final = _RECORDS - {*_LISTS, "items", "privacy_info"}
_SET_AT: Final = "set_timestamp_micros"
_SCALARS: Final = frozenset({str, int})
_READ_AS_ABSENT: Final = "(not set) read as absent"
_NAMED: Final = frozenset(
    {"string_value", "transaction_id", "country", "region", "item_id", "item_name", "currency"}
)
_COLUMNS: Final = frozenset({
    "batch_page_id", "batch_ordering_id", "batch_event_index", "event_previous_timestamp", "event_bundle_sequence_id",
    "event_server_timestamp_offset", "stream_id", "platform", "device", "geo", "app_info", "event_dimensions",
    "collected_traffic_source", "is_active_user", "uses_transient_token", "ga_session_id", "ga_session_number",
})  # fmt: skip
"""What every row of the export has, whatever the site sends."""


class Ga4Adapter(TrackerAdapter):
    """Rows of the BigQuery export."""

    name: ClassVar[str] = "ga4"
    derived: ClassVar[Mapping[str, frozenset[str]]] = {"*": TrackerAdapter.derived["*"] | _COLUMNS}

    def decode(self, raw: bytes) -> Event | Violation:
        """Decode a line, and what a table of text has of columns that hold columns."""
        record = decode_wide(raw)
        return record if isinstance(record, Violation) else _nested(record)

    def adapt_each(
        self, lines: Sequence[tuple[Event, bytes]], learned: Mapping[str, Any], repairs: Repairs
    ) -> list[Event | Skipped | Violation]:  # the interface's
        """Turn rows into canonical events; the id that is made here is told last: it is no conversion's own."""
        found = super().adapt_each(lines, learned, repairs)
        for event in found:
            if isinstance(event, dict):
                event["event_id"] = event["properties"].pop(_ID, None)
        return found

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped:
        """Unwrap a row's lists, read its consent, and make the ids that it lacks."""
        if _absent(record.get("user_pseudo_id")) and _absent(record.get("user_id")):
            return Skipped("no_visitor")
        for name in _LATER & record.keys():
            if record.pop(name) is not None:
                repairs.add(_ALL, name, "worked out after the event, and not in every copy of it: not kept")
        said = _consent(_privacy(record))
        lists = [(name, _unwrapped(record.pop(name), name, repairs)) for name in _LISTS if name in record]
        row = _plain(_unforged(record), repairs)
        row.update(said)
        row.update(pair for pair in lists if pair[1])
        if items := _members(row.get("items")):
            row["items"] = [_of_item(item, repairs) for item in items]
        _uploaded(row, repairs)
        _minted(row, repairs)
        return row


def _nested(record: Event) -> Event | Violation:
    """Return a row whose columns are nested as in the export: JSON in texts is read, and `geo.city` put into `geo`."""
    for name in _RECORDS & record.keys():
        value = record[name]
        if type(value) is not str or value.lstrip()[:1] not in {"{", "["}:
            continue
        read = decode_value(value, name, decode_wide)
        if isinstance(read, Violation):
            return read
        # the console writes the column's name into the text again
        record[name] = read[name] if type(read) is dict and list(read) == [name] else read
    for name in [name for name in record if "." in name and name.partition(".")[0] in _NESTED]:
        outer, *between, last = name.split(".")
        held = record.setdefault(outer, {})
        for part in between:
            held = held.setdefault(part, {}) if type(held) is dict else None
        if type(held) is dict and last not in held:
            held[last] = record.pop(name)
    return record


def _unforged(record: Event) -> Event:
    """Return a row whose own members cannot pass for what is made here."""
    if record.keys().isdisjoint(_MADE):
        return record
    return {_free(name, record) if name in _MADE else name: value for name, value in record.items()}


def _free(name: str, taken: Event) -> str:
    return free_name(name, Ga4Adapter.name, taken)


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and (not value.strip() or value == _NOT_SET))


def _plain(held: Event, repairs: Repairs, depth: int = 0) -> Event:
    """Return an object without what says nothing, its whole numbers as such."""
    made: Event = {}
    for name, value in held.items():
        if value is None:
            continue
        kind = type(value)
        if kind is str:
            if value == _NOT_SET:
                repairs.add(_ALL, name if name in _NAMED else "(other members)", _READ_AS_ABSENT)
            else:
                made[name] = _whole(value) if name in _WHOLE else value
        elif kind is dict and depth < _DEEPEST:
            made[name] = _plain(value, repairs, depth + 1)
        else:
            made[name] = exact(value) if kind is float and name in _WHOLE else value
    return made


def _whole(text: str) -> int | str:
    """Read a whole number; what is none stays as it is, for the verdict or as a property."""
    if len(text) > 17 or not text.isascii():
        return text
    number = int(text) if text.isdecimal() or (text[:1] == "-" and text[1:].isdecimal()) else None
    return text if number is None or abs(number) > MAX_SAFE_INTEGER else number


def _members(value: object) -> list[Any]:
    """Return a list, also one as Parquet has it where its writer named the levels."""
    if isinstance(value, dict) and list(value) == ["list"] and isinstance(value["list"], list):
        return [item.get("element", item) if isinstance(item, dict) else item for item in value["list"]]
    return value if isinstance(value, list) else []


def _unwrapped(value: object, name: str, repairs: Repairs) -> Any:
    """Return keys and values as members; those that cannot be read stay beside them."""
    pairs = _members(value)
    if not pairs and (not value or isinstance(value, dict)):
        return value or {}
    made: Event = {}
    unread = []
    for item in pairs:
        if type(item) is dict and type(held := item.get("value")) is dict and len(held) == 1:
            ((kind, found),) = held.items()  # as most are
            key = item.get("key")
            if (
                type(key) is str
                and key
                and key not in made
                and kind in _VALUES
                and found is not None
                and found != _NOT_SET
            ):
                made[key] = _whole(found) if type(found) is str and kind == "int_value" else found
                continue
        if not _took(made, item, repairs):
            unread.append(item)
    if unread or not pairs:
        repairs.add(_ALL, name, "not keys and values: kept as it is")
        left = f"unread_{name}"
        made[_free(left, made) if left in made else left] = unread or value
    return made


def _took(made: Event, item: Any, repairs: Repairs) -> bool:
    """Add a key and its value to others; False where it is no such pair, or its key was there."""
    if type(item) is not dict:
        return False
    key, held = item.get("key"), item.get("value")
    if type(key) is not str or not key or key in made or not (type(held) is dict or held is None):
        return False
    for kind, value in held.items() if held else ():
        if value is None or kind not in _VALUES:
            continue
        if kind == "int_value" and type(value) is str:
            made[key] = _whole(value)
        elif value == _NOT_SET:
            repairs.add(_ALL, "(parameters)", _READ_AS_ABSENT)
        else:
            made[key] = value
        return True
    return held is None or all(kind == _SET_AT or value is None for kind, value in held.items())


def _of_item(item: Any, repairs: Repairs) -> Any:
    if not isinstance(item, dict):
        return item
    params = _unwrapped(item.pop("item_params", None), "item_params", repairs)
    return _plain(item, repairs) | ({"item_params": params} if params else {})


def _privacy(record: Event) -> object:
    """Take out what a row says of consent, in one member or, where its columns were flattened, in several."""
    whole = record.pop("privacy_info", None)
    if record.keys().isdisjoint(_FLAT):
        return whole
    names = _FLAT.keys() & record.keys()
    split = {_FLAT[name]: record.pop(name) for name in names}
    return split if whole is None and len(split) == len(names) else [whole, split]  # said twice: damage


def _consent(info: object) -> Event:
    """Read `privacy_info` as consent mode; what it cannot mean stays visible as damage."""
    if info is None:
        return {}
    if not isinstance(info, dict):
        return {"consent_mode": dict.fromkeys(("analytics_storage", "ad_storage"), _DAMAGED)}
    kept: Event = {}
    spoken: dict[str, str] = {}
    for name, state in info.items():
        if name == _TRANSIENT:
            kept[_TRANSIENT] = state
        elif said := _state(state) if name in _CONSENT or state is None else _DAMAGED:
            spoken[_CONSENT.get(name, "unknown")] = said
    if spoken:
        kept["consent_mode"] = spoken
    return kept


def _state(value: object) -> str | None:
    return _STATES.get(value, _DAMAGED) if value is None or isinstance(value, str) else _DAMAGED


def _uploaded(record: Event, repairs: Repairs) -> None:
    """Work out when a row was uploaded; its time is that of collection on the device."""
    offset, when = record.get("event_server_timestamp_offset"), record.get("event_timestamp")
    if not _count(offset) or not _count(when):
        return
    if offset < 0:
        repairs.add(_ALL, "event_server_timestamp_offset", "uploaded before it was collected: not used")
        return
    try:
        record["uploaded_at"] = read_time(when + offset, "us")[0]
    except UnreadableError:
        return
    del record["event_server_timestamp_offset"]


def _count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _minted(row: Event, repairs: Repairs) -> None:
    """Make the ids of the event and of the page view that it belongs to."""
    params = held if isinstance(held := row.get("event_params"), dict) else {}
    if _ID in params:
        params[_free(_ID, params)] = params.pop(_ID)
    get = row.get
    client = [get("stream_id"), get("user_pseudo_id"), get("user_id")]
    row[_ID] = _digest([*client, *map(get, _EVENT), params])
    if _VIEW in params:
        return
    told = get("batch_page_id"), params.get("ga_session_id"), params.get("page_location")
    page, session, address = map(_scalar, told)
    if address is None or (page is None and session is None):
        if get("event_name") == "page_view":
            row[_VIEW] = row[_ID]
        return
    if page is None:
        repairs.add(_ALL, _VIEW, "session and address stand for it: later views of the page are the same one")
    row[_VIEW] = _view_id(*map(_scalar, client), page, session if page is None else None, address)


def _scalar(value: Any) -> object:
    """Return a text or a number, None of all else; 0.0 and -0.0 are remembered as one, and so are one number."""
    kind = type(value)
    return exact(value) if kind is float else value if kind in _SCALARS else None


@lru_cache(_REMEMBERED, typed=True)
def _view_id(*parts: object) -> str | None:
    """Name a page view, as many of its events in turn ask for it."""
    return _digest([*parts])


def _digest(parts: list[Any]) -> str | None:
    """Return an id made of parts; None where they are nested deeper than can be written, which the verdict tells."""
    try:
        written = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return None
    return "ga4-" + hashlib.sha256(written).hexdigest()[:32]
