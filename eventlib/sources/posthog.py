"""PostHog: rows of its event exports, and what its libraries post to it, alone, as arrays or in batches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID

import orjson

from eventlib.model import Violation
from eventlib.sources.base import Event, Repairs, Skipped, mapping
from eventlib.sources.containers import Unpack, batch_of
from eventlib.sources.decode import decode
from eventlib.sources.reading import UnreadableError, read_boolean, read_channel, read_time
from eventlib.sources.tracker import TrackerAdapter

__all__ = ["PostHogAdapter"]

_NOBODY: Final = frozenset({"", "$posthog_cookieless"})
"""Ids that everybody has."""

_MADE_UP: Final = re.compile(r"[0-9a-f]+(-[0-9a-f]+){4}", re.IGNORECASE | re.ASCII)
"""Ids that PostHog's libraries make for people whom they do not know: UUIDs, and what older ones took for such."""

_ID_PLACES: Final = ("$device_id", "$user_id", "$anon_distinct_id", "distinct_id", "$distinct_id")
_LINKS: Final = ("$create_alias", "$merge_dangerously")
_OF_CAPTURE_V1: Final = ("session_id", "window_id")
_ARRIVALS: Final = ("received_at", "created_at", "_inserted_at")
_MARKS: Final = ("uuid", "api_key", "team_id", "_inserted_at", "token")
_OWN_MARKS: Final = ("$lib", "$process_person_profile", "$is_identified")
_WITH_TIME: Final = 7  # the version of UUIDs that begin with their time in milliseconds
_LONGEST_WAIT: Final = 30 * 86_400_000  # of an event to be sent, in milliseconds
_CATEGORY: Final = "posthog_capturing"
_CHOICES: Final = ("$opt_in", "$opt_out")


def _parts(line: bytes) -> list[bytes] | None:
    """Take a batch apart: each event gets what the batch says once for all of them."""
    found = batch_of(line)
    if found is None:
        return None
    record, batch = found
    shared = {name: value for name, value in record.items() if name != "batch"}
    if (
        "created_at" in shared
    ):  # of a batch it is the library's time of making it, of an event that of its arrival
        shared.setdefault("sent_at", shared.pop("created_at"))
    return [orjson.dumps({**shared, **member} if isinstance(member, dict) else member) for member in batch]


class _Who(NamedTuple):
    """Whom an event is about: the ids by their roles."""

    distinct: str | None
    device: str | None
    user: str | None


class PostHogAdapter(TrackerAdapter):
    """PostHog's events."""

    name: ClassVar[str] = "posthog"
    unpack: ClassVar[Unpack | None] = Unpack(b'"batch"', _parts)

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record looks like PostHog's, and not like that of others who have events of a distinct_id."""
        properties = mapping(record.get("properties"))
        marked = any(record.get(name) is not None for name in _MARKS)
        marked = marked or any(properties.get(name) is not None for name in _OWN_MARKS)
        return marked and isinstance(record.get("event"), str) and super().recognises(record)

    def decode(self, raw: bytes) -> Event | Violation:
        """Decode a line, and its properties where they are a JSON text, as in warehouses and Parquet files."""
        record = decode(raw)
        if isinstance(record, Violation):
            return record
        held = record.get("properties")
        if isinstance(held, str):
            held = decode(held.encode())
            if isinstance(held, Violation):
                return Violation(held.code, "$.properties", held.message)
            record["properties"] = held
        elif held is not None and not isinstance(held, dict):
            return Violation("not_an_object", "$.properties", "the properties of an event are an object")
        return record

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped:
        """Say whose the event is, when it was, and what was said of consent."""
        properties = record["properties"] = mapping(record.get("properties"))
        _of_options(record, properties)
        name = record.get("event")
        scope = name if isinstance(name, str) and name in self.table.events else "(other events)"
        who = self._who(record, properties, scope, repairs)
        record["anonymous_id"], record["user_id"] = who.device, who.user
        record["channel"] = _side(properties)
        record["$said"] = _said(name, properties.get("$cookieless_mode"))
        if name == "$identify" and who.user is None:
            record["event"] = "$set"
            repairs.add(scope, "distinct_id", "names no user: read as `$set`, which only sets properties")
        elif name in _LINKS:
            identifiers = _identifiers(name, properties.pop("alias", None), who)
            properties.pop(
                "identifiers", None
            )  # what joins people is what PostHog says, and nothing beside it
            properties |= {"identifiers": identifiers} if identifiers else {}
        _timed(record, properties, repairs)
        _tidied(name, record, properties, repairs)
        return record

    def _who(self, record: Event, properties: Event, scope: str, repairs: Repairs) -> _Who:
        """Return the ids by their roles, and take them out of their places.

        A device is named by the distinct_id that it has while nobody is known on it: after a `reset()` that is another than
        its $device_id, so that what a stranger does after a logout is not the last user's.
        """
        machine, stated, earlier, inner, older = [
            _id(properties.pop(place)) if place in properties else None for place in _ID_PLACES
        ]
        distinct = _id(record.pop("distinct_id", None)) or inner or older
        of_user = distinct is not None and _is_users(distinct, record, properties)
        user = stated or (distinct if of_user else None)
        met = earlier if of_user or distinct == stated else distinct  # as somebody whom nobody knows
        device = met or machine
        if user is not None and user in (machine, earlier, device):
            user, device = None, user
            repairs.add(scope, "user_id", "the device's own id: names no user")
        elif user not in (None, distinct) and properties.get("$is_identified") is False:
            user = None
            repairs.add(scope, "user_id", "said to be nobody who is known: not taken")
        if any(each not in (device, user, None) for each in (distinct, machine, earlier)):
            repairs.add(scope, "distinct_id", "an id beside the device's and the user's: not kept")
        return _Who(distinct, device, user)


def _id(value: object) -> str | None:
    """Read an id; what stands for everybody is none."""
    if type(value) is not str:
        if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        value = str(value)
    return None if value.strip() in _NOBODY else value


def _is_users(distinct: str, record: Event, properties: Event) -> bool:
    """Tell whether a distinct_id is said to be a user's, and not that of a device."""
    name, identified = record.get("event"), properties.get("$is_identified")
    if name == "$identify" or identified is not None:
        return bool(name == "$identify" or identified is True)
    if _MADE_UP.fullmatch(distinct) or distinct.startswith("$"):
        return False
    if name in _LINKS:
        return bool(name == "$merge_dangerously")
    return _on_server(properties) and properties.get("$process_person_profile") is not False


def _on_server(properties: Event) -> bool:
    return _side(properties) == "server"


def _side(properties: Event) -> str | None:
    """Return which side reported an event, by its library or its word for it; None where neither is told."""
    library = properties.get("$lib")
    if properties.get("$is_server") is True:
        return "server"
    return str(read_channel(library)[0]) if isinstance(library, str) else None


def _identifiers(name: object, alias: object, who: _Who) -> list[Event] | None:
    """Return the ids that an alias joins; two users only where a merge is asked for whatever it costs."""
    other = _id(alias)
    if other is None or who.distinct is None or other == who.distinct:
        return None
    ids = (who.distinct, other)
    if name == "$merge_dangerously":
        users = [each for each in ids if not _MADE_UP.fullmatch(each)] or list(ids)
    else:
        given = [each for each in reversed(ids) if not _MADE_UP.fullmatch(each)]
        users = [who.user] if who.user else given[:1]
    devices = [each for each in ids if each not in users]
    named = [*(("user_id", each) for each in users), *(("anonymous_id", each) for each in devices)]
    return [{"namespace": space, "value": value} for space, value in named]


def _said(name: object, cookieless: object) -> Event | None:
    """Return what is said of capturing, as a category whose meaning is the policy's to state; damage stays damage."""
    if cookieless is not None:
        try:
            if read_boolean(cookieless)[0]:
                return {_CATEGORY: False}
        except UnreadableError:
            return {_CATEGORY: "unreadable"}
    return {_CATEGORY: name == "$opt_in"} if name in _CHOICES else None


def _of_options(record: Event, properties: Event) -> None:
    """Put what the newer way of capturing says beside the properties where the others have it."""
    options = record.get("options")
    if not isinstance(options, dict):
        return
    del record["options"]
    moved = {name: record.pop(name, None) for name in _OF_CAPTURE_V1}
    if "disable_skew_correction" in options:
        moved["ignore_sent_at"] = options.pop("disable_skew_correction")
    for name, value in {**options, **moved}.items():
        if value is not None:
            properties.setdefault(f"${name}", value)


def _timed(record: Event, properties: Event, repairs: Repairs) -> None:
    """Say when the event was, where that is told by how long it waited to be sent; `_inserted_at` only if nothing better is."""
    if record.get("created_at") is None and record.get("received_at") is None:
        record["created_at"] = record.get("_inserted_at")
    if properties.get("$ignore_sent_at") is True and record.pop("sent_at", None) is not None:
        repairs.add("(all)", "sent_at", "its sender asks that the event's time be left alone: not used")
    wait = _wait(record.get("offset"))
    if record.get("timestamp") is not None or wait is None:
        return
    del record["offset"]
    base = next((value for name in ("sent_at", *_ARRIVALS) if (value := record.get(name)) is not None), None)
    moment = _milliseconds(base)
    began = None if moment is None else _moment(moment - wait)
    if began is not None:
        record["timestamp"] = began
        repairs.add("(all)", "timestamp", "counted back from its sending by `offset`")
    elif (own := _time_within(record.get("uuid"))) is not None:
        record["timestamp"], record["sent_at"] = (_moment(at) for at in (own, own + wait))
        repairs.add("(all)", "timestamp", "the time within the event's UUID, and `offset` later its sending")


def _wait(value: object) -> float | None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return value if numeric and 0 <= value <= _LONGEST_WAIT else None  # type: ignore[operator,return-value]  # numeric says it


def _milliseconds(value: object) -> float | None:
    try:
        text = read_time(value)[0]
        return None if text is None else datetime.fromisoformat(text).timestamp() * 1_000
    except (UnreadableError, ValueError, OverflowError):
        return None


def _moment(milliseconds: float) -> Any:
    """Return a moment as text, None of one that no calendar has."""
    try:
        return read_time(milliseconds, "ms")[0]
    except UnreadableError:
        return None


def _time_within(value: object) -> int | None:
    """Return the milliseconds since 1970 with which a UUID of version 7 begins."""
    try:
        made = UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return made.int >> 80 if made is not None and made.version == _WITH_TIME else None


def _tidied(name: object, record: Event, properties: Event, repairs: Repairs) -> None:
    """Take out what means nothing, and the text that somebody copied."""
    if properties.get("$referrer") == "$direct":
        del properties["$referrer"]
    for column in ("elements", "elements_chain", "site_url", "ip"):
        if record.get(column) == "":
            del record[column]
    if name == "$copy_autocapture" and isinstance(text := properties.pop("$selected_content", None), str):
        properties["copied_chars"] = len(text)
        repairs.add("$copy_autocapture", "$selected_content", "its length is kept, the text is not")
    if name == "$pageleave" and properties.get("$prev_pageview_duration") is not None:
        repairs.add("$pageleave", "$prev_pageview_duration", "hidden time included: an upper bound")
