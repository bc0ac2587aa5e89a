"""CloudEvents 1.0: structured events in JSON, alone, one a line, or as arrays."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, ClassVar, Final

from eventlib.model import EVENT_NAMES, Violation
from eventlib.sources.base import Event, Repairs, Skipped
from eventlib.sources.containers import Unpack
from eventlib.sources.decode import decode
from eventlib.sources.tracker import TrackerAdapter
from eventlib.sources.vocabulary import same_name

__all__ = ["CloudEventsAdapter"]

_VERSION: Final = "1.0"
_OURS: Final = "eventlib."
"""How the types begin of what eventlib itself tells about contents."""

_JSON: Final = re.compile(r"[^/;\s]+/([^/;\s]+\+)?json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_OF_VERSION: Final = re.compile(r"v?\d+(_\d+)*", re.IGNORECASE | re.ASCII)
_INTEGER: Final = re.compile(r"\d{1,10}", re.ASCII)
_LONGEST_ID: Final = 1_000
_REMEMBERED: Final = 4_096


class CloudEventsAdapter(TrackerAdapter):
    """CloudEvents whose data are events of a site."""

    name: ClassVar[str] = "cloudevents"
    unpack: ClassVar[Unpack | None] = Unpack()

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record has what every CloudEvent must have, each of it a text."""
        return super().recognises(record) and all(
            isinstance(record.get(name), str) for name in ("id", "source", "type")
        )

    def decode(self, raw: bytes) -> Event | Violation:
        """Decode a line, and its data where they are JSON as base64 or as a text."""
        record = decode(raw)
        if isinstance(record, Violation):
            return record
        if record.get("specversion", _VERSION) != _VERSION:
            return Violation("unknown_version", "$.specversion", "only version 1.0 of CloudEvents is read")
        packed, written = record.get("data_base64"), record.get("data")
        text = written if isinstance(written, str) and written.lstrip()[:1] == "{" else None
        if (text is None and packed is None) or not _is_json(record.get("datacontenttype")):
            return record
        data = _unpacked(packed) if text is None else _decoded(text.encode(), "$.data")
        if isinstance(data, Violation):
            return data
        record.pop("data_base64", None)
        return {**record, "data": data}

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped:
        """Name the event and its id, and take out of it what is not kept."""
        kind = record.get("type")
        if isinstance(kind, str) and kind.startswith(_OURS):
            return Skipped("feedback_event")
        record.pop(
            "type_meaning", None
        )  # no attribute has such a name: it is the table's word for what a type means
        meaning = _meaning(kind) if isinstance(kind, str) else None
        if meaning is not None and meaning != kind:
            record["type_meaning"] = meaning
            repairs.add(meaning, "type", "read by its last parts; whole it stays a property")
        if isinstance(record.get("id"), str) and isinstance(record.get("source"), str):
            record["id"] = _unique(record["source"], record["id"])
        _counted(record)
        _whose(record, repairs)
        if record.pop("data_base64", None) is not None:
            repairs.add("(all)", "data_base64", "binary data: not kept")
        if _is_json(record.get("datacontenttype")):
            record.pop("datacontenttype", None)
        return record


def _is_json(media_type: object) -> bool:
    """Tell whether data of this type are JSON; none said means that they are."""
    return media_type is None or (isinstance(media_type, str) and _JSON.fullmatch(media_type) is not None)


def _unpacked(packed: object) -> Event | Violation:
    place = "$.data_base64"
    try:
        raw = b64decode(packed, validate=True) if isinstance(packed, str) else None
    except ValueError:
        raw = None
    if raw is None:
        return Violation("broken_json", place, "not base64")
    return _decoded(raw, place)


def _decoded(raw: bytes, place: str) -> Event | Violation:
    """Read data that stand in a text: what they say of consent would be lost in it, and of people kept as it is."""
    data = decode(raw.strip())
    return Violation(data.code, place, data.message) if isinstance(data, Violation) else data


@lru_cache(_REMEMBERED)
def _meaning(kind: str) -> str | None:
    """Return the event of ours that a type names by its last part or its last two.

    Examples
    --------
    >>> _meaning("com.example.citation.click"), _meaning("com.example.citation_clicked.v1"), _meaning("com.example.order.placed")
    ('citation_click', 'citation_click', None)
    """
    parts = [part for part in re.split(r"[./:]", kind) if part]
    while parts and _OF_VERSION.fullmatch(parts[-1]):
        parts.pop()
    for last in ("_".join(parts[-2:]), "".join(parts[-1:])):
        if last in EVENT_NAMES or same_name(last):
            return last if last in EVENT_NAMES else same_name(last)
    return None


@lru_cache(_REMEMBERED)
def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _unique(source: str, number: str) -> str:
    """Return an id that is unique over all sources: an id may be another event's elsewhere."""
    if not number:
        return number  # the verdict says that it is empty
    within = number if len(number) <= _LONGEST_ID else sha256(number.encode()).hexdigest()
    return f"{_digest(source)[:16]}:{within}"


def _counted(record: Event) -> None:
    """Take the counter of a source where it is a number; any other sequence stays a text that sorts."""
    told = record.get("sequence")
    record.pop("sequence_number", None)
    if record.get("sequencetype") == "Integer" and isinstance(told, str) and _INTEGER.fullmatch(told):
        record["sequence_number"] = int(told)
        del record["sequence"], record["sequencetype"]


def _whose(record: Event, repairs: Repairs) -> None:
    """Take the account from the extension that names it, and a subject that repeats an id out."""
    if record.get("authtype") == "app_user" and record.get("userid") is None:
        record["userid"] = record.pop("authid", None)
    data = record.get("data")
    held = data if isinstance(data, dict) else {}
    named = [held.get("anonymous_id"), held.get("user_id"), record.get("anonymousid"), record.get("userid")]
    subject = record.get("subject")
    if isinstance(subject, str) and subject in [each for each in named if isinstance(each, str)]:
        del record["subject"]
        repairs.add("(all)", "subject", "repeats an id: not kept")
