"""Snowplow: enriched events as tab-separated lines, as JSON or as tables, and what its trackers send to a collector."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import compress
from typing import Any, ClassVar, Final

import orjson

from eventlib.model import Violation
from eventlib.sources.base import Event, Repairs, Skipped
from eventlib.sources.containers import Unpack
from eventlib.sources.decode import decode, decode_text, decode_value, lossless, text_of
from eventlib.sources.reading import READERS, Reader, UnreadableError, read_time
from eventlib.sources.self_describing import LONGEST, Entity, column_of, described
from eventlib.sources.snowplow_consent import CONSENT_EVENTS, SAID, Signals, preferences
from eventlib.sources.snowplow_contexts import gathered
from eventlib.sources.snowplow_fields import (
    BOOLEANS,
    COLUMNS,
    DIMENSIONS,
    INTEGERS,
    KINDS,
    NUMBERS,
    PARAMETERS,
    TIMES,
)
from eventlib.sources.tables import Table
from eventlib.sources.tracker import TrackerAdapter

__all__ = ["SnowplowAdapter"]

_WRAPPED: Final = ("contexts", "derived_contexts", "unstruct_event")
_JSON: Final = frozenset({*_WRAPPED, *map(str.upper, _WRAPPED), "co", "ue_pr"})
_ENCODED: Final = ("cx", "ue_px")
_TEXTS: Final = _JSON | {*_ENCODED}
_SENT_AS_TEXT: Final = ("co", "ue_pr", *_ENCODED)
_EVENTS: Final = ("unstruct_event", "ue_pr", "ue_px")
_SPLIT: Final = ("contexts_", "unstruct_event_", "CONTEXTS_", "UNSTRUCT_EVENT_")
_ALL: Final = "(all)"

_WITHOUT_ZONE: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,9})?)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # a Z is written after it
_USUAL: Final = 13  # digits of milliseconds, from 2001 to 2286
_SIZE: Final = re.compile(r"(\d{1,6})x(\d{1,6})", re.ASCII)


def _whole(text: str) -> Any:
    if len(text) < 16 and text.isascii() and text.isdigit():  # what a double holds
        return int(text)
    return _number(text, READERS["integer"])


def _number(text: str, reader: Reader = READERS["number"]) -> Any:
    try:
        return reader(text)[0]
    except UnreadableError:
        return text  # it stays as it is, under its own name


def _truth(text: str) -> Any:
    return _TRUTHS.get(text.casefold(), text)


def _moment(text: str) -> str:
    if len(text) in {19, 23} and text[10] == " ":
        return f"{text[:10]}T{text[11:]}Z"
    found = _WITHOUT_ZONE.fullmatch(text)
    return f"{found[1]}T{found[2]}Z" if found else text


_TRUTHS: Final = {"1": True, "true": True, "t": True, "0": False, "false": False, "f": False}
_TYPED: Final[Mapping[str, Callable[[str], Any]]] = (
    dict.fromkeys(INTEGERS, _whole)
    | dict.fromkeys(NUMBERS, _number)
    | dict.fromkeys(BOOLEANS, _truth)
    | dict.fromkeys(TIMES, _moment)
)
_PAGE, _REFERRER = (
    (whole, tuple(f"{part}_url{name}" for name in ("scheme", "host", "port", "path", "query", "fragment")))
    for whole, part in (("page_url", "page"), ("page_referrer", "refr"))
)


def _parts(line: bytes) -> list[bytes] | None:
    """Take what one request brought apart into its events."""
    record = lossless(text_of(line))
    schema, held = (record.get("schema"), record.get("data")) if isinstance(record, dict) else (None, None)
    if (
        not isinstance(schema, str)
        or "/payload_data/" not in schema
        or not isinstance(held, list)
        or not held
    ):
        return None
    return [orjson.dumps(member) for member in held]


class _Columns(dict[str, Any]):
    """A record whose names and types are those of columns already."""


def _of_columns(raw: bytes, implied: Iterable[str]) -> Event | Violation:
    """Read an enriched event: columns between tabs, without a header; of those that are implied nothing is read."""
    text = decode_text(raw)
    if isinstance(text, Violation):
        return text
    cells = text.split("\t")
    if len(cells) != len(COLUMNS):
        return Violation(
            "wrong_column_count", "$", f"{len(cells)} columns, where an enriched event has {len(COLUMNS)}"
        )
    found = _Columns(zip(compress(COLUMNS, cells), filter(None, cells), strict=True))
    for name in implied:
        found.pop(name, None)
    for name in found.keys() & _TYPED.keys():
        found[name] = _TYPED[name](found[name])
    return found


def _read_encoded(text: str, place: str) -> Any:
    """Read JSON that was sent in Base64, of either alphabet, padded or not."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return decode_value(b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode(), place)
    except UnicodeDecodeError:
        return Violation("broken_utf8", f"$.{place}", "not UTF-8")
    except (binascii.Error, ValueError):
        return Violation("broken_base64", f"$.{place}", "not Base64")


def _with_json_read(record: Event, names: Iterable[str]) -> Event | Violation:
    """Read the JSON in fields of a record: one whose events or contexts cannot be read may lack a refusal, and is refused."""
    for name in names:
        value = record.get(name)
        if type(value) is not str or not value:
            continue
        if name in _JSON:
            read = decode_value(value, name)
        elif name in _ENCODED:
            read = _read_encoded(value, name)
        elif value.startswith(("{", "[")):
            read = decode_value(value, "contexts or unstruct_event")
        else:
            continue
        if isinstance(read, Violation):
            return read
        record[name] = read
    return record


def _with_json(record: Event) -> list[str]:
    """Return the names of fields that may hold JSON as text."""
    return [name for name in record if name in _TEXTS or name.startswith(_SPLIT)]


def _is_payload(record: Mapping[str, Any]) -> bool:
    return "e" in record and "event" not in record


def _of_payload(record: Event) -> Event:
    """Name what a tracker sent as columns are named."""
    flat: Event = {}
    if record.get("tnuid") and "nuid" in record:
        # the collector's own cookie holds before what a tracker was told
        record["network_userid"] = record.pop("tnuid")
    for name, value in record.items():
        if value is None or value == "":
            continue
        column, read = _SENT.get(name, (name, None))
        if read and type(value) in {str, int}:
            value = read(value)  # noqa: PLW2901  # from here on it is a column's
        flat[name if column in flat else column] = value
    for name, columns in DIMENSIONS.items():
        size = _SIZE.fullmatch(held) if type(held := flat.get(name)) is str else None
        if size and not any(column in flat for column in columns):
            del flat[name]
            flat |= dict(zip(columns, map(int, size.groups()), strict=True))
    return flat


def _of_milliseconds(value: str | int) -> Any:
    text = str(value)
    if len(text) == _USUAL and text.isascii() and text.isdigit():
        return f"{(_EPOCH + timedelta(milliseconds=int(text))).isoformat(timespec='milliseconds')}Z"
    try:
        return read_time(value, "ms")[0]
    except UnreadableError:
        return value  # the verdict says what is wrong with it


def _sent(column: str) -> Callable[[Any], Any] | None:
    if column in TIMES:
        return _of_milliseconds
    read = _TYPED.get(column)
    return (lambda value: read(value) if type(value) is str else value) if read else None


_SENT: Final = {
    **{name: (column, _sent(column)) for name, column in PARAMETERS.items()},
    "e": ("event", lambda kind: KINDS.get(kind, kind)),
}
"""Which column a parameter is, and how it is read: numbers are sent as text, times as milliseconds."""


def _flat(record: Event) -> Event:
    """Return a record by the names of an enriched event's columns, without what is absent."""
    if _is_payload(record):
        return _of_payload(record)
    if "COLLECTOR_TSTAMP" in record:  # as some warehouses write the names of columns
        record = {name.lower(): value for name, value in record.items()}
    flat: Event = {}
    for name, value in record.items():
        if type(value) is str:
            if value:
                flat[name] = _TYPED[name](value) if name in _TYPED else value
        elif value is not None:
            flat[name] = value
    return flat


def _address(flat: Event, whole: str, names: Sequence[str]) -> None:
    """Keep an address whole, and its parts only where it cannot be put together."""
    if whole not in flat:
        pieces = [flat.get(name) for name in names]
        if pieces[1] is None or not all(piece is None or type(piece) in {str, int} for piece in pieces):
            return
        marks = ("", "://", ":", "", "?", "#")
        told = [pieces[0] or "https", pieces[1], None if pieces[2] in {80, 443} else pieces[2], *pieces[3:]]
        flat[whole] = "".join(
            f"{mark}{piece}" for mark, piece in zip(marks, told, strict=True) if piece is not None
        )
    for name in names:
        flat.pop(name, None)


def _scrolled(flat: Mapping[str, Any]) -> float | None:
    """Return how far down a page the lower edge of its window came since the ping before, in percent."""
    sizes = [flat.get(name) for name in ("pp_yoffset_max", "br_viewheight", "doc_height")]
    offset, window, page = (size if type(size) is int and size >= 0 else None for size in sizes)
    if offset is None or window is None or not page:
        return None
    return round(min(100 * (offset + window) / page, 100.0), 2)


class SnowplowAdapter(TrackerAdapter):
    """Snowplow's enriched events, and the payloads of its trackers."""

    name: ClassVar[str] = "snowplow"
    unpack: ClassVar[Unpack | None] = Unpack(b"payload_data", _parts)
    holds_addresses: ClassVar[bool] = True
    derived: ClassVar[Mapping[str, frozenset[str]]] = {
        "*": TrackerAdapter.derived["*"] | {*COLUMNS, "contexts"},
        "page_ping": frozenset({"max_scroll_pct"}),
        "consent_update": frozenset({"purposes"}),
    }

    def __init__(self, table: Table | None = None) -> None:
        super().__init__(table)
        self._implied = frozenset(route[0] for route in self.table.implied if len(route) == 1)

    def decode(self, raw: bytes) -> Event | Violation:
        """Return the record of a line of JSON or of columns, the JSON within it read."""
        if b"\t" in raw and not raw.startswith(b"{"):
            record = _of_columns(raw, self._implied)
            return record if isinstance(record, Violation) else _with_json_read(record, _WRAPPED)
        record = decode(raw)
        if isinstance(record, Violation):
            return record
        return _with_json_read(record, _SENT_AS_TEXT if _is_payload(record) else _with_json(record))

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record has the columns, or the parameters that become them."""
        return super().recognises(_flat(dict(record)))

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped:
        """Name fields as columns, unwrap events and contexts, and read what is said of consent."""
        columns = type(record) is _Columns
        flat = dict(record) if columns else _flat(record)
        whole = columns or _is_payload(record)  # neither has a column for each schema
        if SAID in flat:
            flat[f"snowplow_{SAID}"] = flat.pop(SAID)
        said = Signals()
        split = (
            ()
            if whole
            else tuple(name for name in flat if len(name) <= LONGEST and name.startswith(_SPLIT[:2]))
        )
        contexts = gathered(flat, split, said, repairs)
        if contexts:
            flat["contexts"] = contexts
        entity = _unwrapped(flat, split, repairs)
        name = self._named(flat, entity)
        _address(flat, *_PAGE)
        _address(flat, *_REFERRER)
        if name == "page_ping" and (scrolled := _scrolled(flat)) is not None:
            flat.setdefault("max_scroll_pct", scrolled)
        if name in CONSENT_EVENTS or (entity and entity.schema.name in CONSENT_EVENTS):
            preferences(flat, entity, said, repairs)
        if held := said.plain():
            flat[SAID] = held
        return flat

    def _named(self, flat: Event, entity: Entity | None) -> Any:
        """Name an event: by its schema, a structured one by its action, which is what its sender calls it."""
        kind, name = flat.pop("event", None), flat.get("event_name")
        if entity:
            name = name if isinstance(name, str) else entity.schema.name
            if name == "snowplow_ecommerce_action" and _kind_of(entity) == "transaction":
                name = "transaction"
        elif kind == "struct" and isinstance(action := flat.get("se_action"), str):
            name = f"struct_{action}" if action in self.table.events else action
        else:
            name = kind if name is None else name
        if not entity and kind != "unstruct":  # what all such events have
            flat.pop("event_vendor", None)
            flat.pop("event_version", None)
        flat["event_name"] = name
        return name


def _kind_of(entity: Entity) -> Any:
    return entity.data.get("type") if isinstance(entity.data, dict) else None


def _unwrapped(flat: Event, split: Iterable[str], repairs: Repairs) -> Entity | None:
    """Take the event that describes itself out of its wrapping; its data stays, as `unstruct_event`."""
    entity = next(_events(flat, split, repairs), None)
    if entity:
        flat["unstruct_event"] = entity.data
        flat.setdefault("event_vendor", entity.schema.vendor)
        if "-" in entity.schema.version:
            flat.setdefault("event_version", entity.schema.version)
    return entity


def _events(flat: Event, split: Iterable[str], repairs: Repairs) -> Iterator[Entity]:
    for place in _EVENTS:
        value = flat.get(place)
        if value is None:
            continue
        found = described(value.get("data")) if type(value) is dict else None
        if found:
            del flat[place]
            yield found
        else:
            repairs.add(_ALL, place, "does not name its schema: kept as it is")
    for place in split:
        schema, value = column_of(place), flat.get(place)
        if schema and _holds_something(value):
            del flat[place]
            # one event is one entity, also where a table has it in a list, as it has contexts
            yield Entity(schema, value[0] if type(value) is list and len(value) == 1 else value)


def _holds_something(value: Any) -> bool:
    """Tell an event from what a table has in the columns of all others."""
    return any(inside is not None for inside in value.values()) if isinstance(value, dict) else bool(value)
