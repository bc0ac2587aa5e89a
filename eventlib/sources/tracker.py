"""A tracker's record as a canonical event, by the table of its format.

What the table names goes to its canonical place. What is left stays in `properties` under its own name, so that nothing is
lost; an event that has a meaning in the GEO vocabulary becomes that event, if it has what the vocabulary asks for, and keeps
its own name otherwise. What was mapped, guessed and left is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from eventlib.masking import mask_emails, mask_text
from eventlib.model import Violation
from eventlib.sources.base import About, Adapter, Event, Names, Repairs, Skipped
from eventlib.sources.reading import Places, Reader, Route, UnreadableError, first_of, found, take
from eventlib.sources.tables import Meaning, Table, shipped_table
from eventlib.sources.vocabulary import Wanted, same_name, wanted

__all__ = ["TrackerAdapter", "content_of"]

_VERSION: Final = "1-0-0"
_VIEWED: Final = "page_view_id"
_OTHER_EVENTS: Final = "(other events)"
"""Scope of repairs to events that the table does not name: their names may be anything, and are not told before consent."""

_HARMLESS: Final[set[str]] = set()
"""Names that were looked at and say nothing of the kind, as far as there is room to remember them."""
_NOT_KEPT: Final = "says who or where somebody is: not kept"
_LONGEST_URL: Final = 8192
_REMEMBERED: Final = 4096
_IDENTIFIERS: Final = frozenset({"identifiers"})
"""What becomes pseudonyms (S2.9): masked, it would link nobody."""
_PERSONAL: Final = frozenset({
    "ip", "ipaddress", "useripaddress", "remoteip", "clientip", "remoteaddr", "requestip", "email", "emailaddress", "phone",
    "phonenumber", "mobilephone", "firstname", "lastname", "fullname", "birthday", "dateofbirth", "street", "streetaddress",
    "advertisingid", "idfa", "idfv", "gaid", "androidid", "appleidfa", "appleidfv", "androididfa", "openidfa", "appsetid",
    "ssn", "taxid", "iban", "creditcard", "cardnumber", "userid", "anonymousid", "distinctid", "useremail", "customeremail",
    "contactemail", "billingemail", "shippingemail", "emailhash", "emailsha256", "hashedemail", "userphone", "customerphone",
    "userip", "ipaddr", "ipv4", "ipv6", "xforwardedfor", "lastknownip", "givenname", "familyname", "surname",
})  # fmt: skip
"""Names, in small letters without marks, under which trackers keep what must not be saved as it is."""


def content_of(url: str | None) -> str | None:
    """Return what a page is called where no tracker names its content: host and path of its address.

    Examples
    --------
    >>> content_of("https://www.example.org/guide/geo/?utm_source=chatgpt.com#top")
    'www.example.org/guide/geo'
    """
    return _content_of(url) if isinstance(url, str) and len(url) <= _LONGEST_URL else None


@lru_cache(2048)
def _content_of(url: str) -> str | None:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2].casefold()
    return (host + parts.path.rstrip("/"))[:1024] or None


@dataclass(frozen=True, slots=True)
class _Plan:
    """How events of one name become canonical ones: properties that stand elsewhere, and those under their own names."""

    meaning: Meaning
    asked: Wanted
    named: tuple[tuple[str, tuple[Route, ...], Reader], ...]
    own: frozenset[str]

    @classmethod
    def of(cls, meaning: Meaning, asked: Wanted) -> _Plan:
        named = tuple(
            (target, (*routes, (target,)), _read_as(meaning.readers.get(target), asked.readers[target]))
            for target, routes in meaning.properties.items()
        )
        return cls(meaning, asked, named, frozenset(asked.readers) - set(meaning.properties))


def _read_as(unit: Reader | None, schemas: Reader) -> Reader:
    """Return a reader that reads a unit first, where there is one, and then as the schema has it."""
    if unit is None:
        return schemas

    def read(value: Any) -> tuple[Any, str]:
        made, repair = unit(value)
        return schemas(made)[0], repair

    return read


class TrackerAdapter(Adapter):
    """A format that a table describes; trackers with oddities of their own override `opened`.

    Parameters
    ----------
    table
        The table, if it is another than the tracker's own.
    """

    name: ClassVar[str] = ""
    unplanned: ClassVar[bool] = True
    keeps_own: ClassVar[bool] = True
    derived: ClassVar[Mapping[str, frozenset[str]]] = {"*": frozenset({"observation", _VIEWED, "content_id"})}

    def __init__(self, table: Table | None = None) -> None:
        self.table = table or shipped_table(self.name)
        self.source = self.table.source
        self.about = About(self.table.title, self.table.seen, traps=self.table.traps)
        self.plan = [
            (*_split(field.target), field.alternatives, field.reader, field.keep)
            for field in self.table.fields
        ]
        self.implied, self.personal = Places(self.table.implied), Places(self.table.personal)
        self.plans: dict[str, _Plan | None] = {}
        self.elsewhere = {place for place in self.table.recognise.get("none", ()) if "." not in place}

    def made(self, event_name: str) -> Names:
        """Return what the adapter makes, and what the tracker sends of itself."""
        return super().made(event_name) | Names(self.table.automatic)

    def sniff(self, records: Sequence[Mapping[str, Any]]) -> str | None:  # type: ignore[override]  # of a table, not of a class
        """Look for what the table says that the format is recognised by."""
        hits = sum(self.recognises(record) for record in records)
        stated, values = self.table.recognise, self.table.recognise.get("values", {})
        places = dict.fromkeys([*stated.get("all", ()), *values])
        told = ", ".join(f"{at} ({', '.join(map(str, values[at]))})" if at in values else at for at in places)
        told += f", and {' or '.join(stated['any'])}" if stated.get("any") else ""
        return f"{hits} of {len(records)} records have {told}" if hits else None

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record looks like one of this format."""
        stated = self.table.recognise
        return (
            bool(stated)
            and all(_there(record, place) for place in stated.get("all", ()))
            and (not stated.get("any") or any(_there(record, place) for place in stated["any"]))
            and not any(_there(record, place) for place in stated.get("none", ()))
            and all(_at(record, place) in values for place, values in stated.get("values", {}).items())
        )

    def opened(self, record: Event, repairs: Repairs) -> Event | Skipped:  # for those who override it
        """Return a record in the form that the table speaks of."""
        return record

    def adapt(
        self, record: Event, previous: bytes, learned: Mapping[str, Any], repairs: Repairs
    ) -> Event | Skipped | Violation:  # the interface's
        """Turn one record into a canonical event; one that has what only other formats have is none of this."""
        if not self.elsewhere.isdisjoint(record):
            other = min(self.elsewhere & record.keys())
            return Violation(
                "not_this_format", f"$.{other}", f"no record of {self.source} has a member of this name"
            )
        opened = self.opened(record, repairs)
        if isinstance(opened, Skipped):
            return opened
        if self.table.defaults:
            opened = {
                **deepcopy(self.table.defaults),
                **opened,
            }  # what is taken out of one is there for the next
        named = first_of(opened, self.table.event_name)
        name = named[1] if named else None
        if isinstance(name, str) and "@" in name and mask_text(name) != name:
            return Violation(
                "personal_name", "$.event_name", "the event's name holds what says who somebody is"
            )
        if named:
            take(opened, named[0])
        scope = name if isinstance(name, str) and name in self.table.events else _OTHER_EVENTS
        event = self._envelope(opened, scope, repairs)
        properties = self._left(opened, scope, repairs)
        event["event_name"], event["properties"] = self._meant(name, scope, properties, event, repairs)
        return event

    def _envelope(self, record: Event, scope: str, repairs: Repairs) -> Event:  # noqa: C901  # calls for its parts would cost as much as they do
        """Take out of a record what has a place of its own in the canonical event."""
        event: Event = {
            "event_id": None, "schema_version": _VERSION, "occurred_at": None, "source": self.source,
            "channel": self.table.channel, "anonymous_id": None, "user_id": None, "consent": None,
        }  # fmt: skip
        for group, target, alternatives, reader, keep in self.plan:
            for route in alternatives:
                value = record.get(route[0])
                for part in route[1:]:
                    value = value.get(part) if type(value) is dict else None
                if value is not None:
                    break
            else:
                continue
            try:
                read, repair = reader(value)
            except UnreadableError:
                if group == "context":
                    continue
                read, repair = value, ""  # the verdict says what is wrong with it
            if not keep:
                take(record, route)
            if repair:
                repairs.add(scope, ".".join(route), repair)
            if group:
                _put(event, group, target, read)
            elif read is not None:
                event[target] = read
        _complete(event, repairs)
        return event

    def _left(self, record: Event, scope: str, repairs: Repairs) -> Event:
        """Return what has no place as properties: the tracker's own properties, and all else under its name."""
        for route in self.implied.of(record):
            take(record, route)
        for route in self.personal.of(record):
            if found(record, route) is not None:
                repairs.add(scope, ".".join(route), _NOT_KEPT)
            take(record, route)
        _forget(record, scope, repairs)
        properties: Event = {}
        for route in self.table.properties:
            held = found(record, route)
            if type(held) is dict:
                take(record, route)
                self._join(properties, held, scope, repairs)
        told = {
            name: value
            for name, value in record.items()
            if value is not None and (value or type(value) not in {dict, list})
        }
        self._join(properties, told, scope, repairs)
        return properties

    def _join(self, properties: Event, more: Event, scope: str, repairs: Repairs) -> None:
        """Keep values under their own names, but for those that are taken."""
        taken = properties.keys() & more.keys() if properties else ()
        for name in taken:
            self._add(properties, name, more.pop(name), scope, repairs)
        properties.update(more)

    def _add(
        self, taken: Event, name: str, value: Any, scope: str, repairs: Repairs, onto: Event | None = None
    ) -> None:
        """Keep a value under its own name, or, where that is taken, under the format's name before it."""
        if onto is None and name not in taken:
            taken[name] = value
            return
        free = name
        while free in taken:
            free = f"{self.source}_{free}"
        if free != name:
            repairs.add(scope, "properties", f"a name was taken: kept with {self.source}_ before it")
        (taken if onto is None else onto)[free] = value

    def _meant(
        self, name: Any, scope: str, properties: Event, event: Event, repairs: Repairs
    ) -> tuple[Any, Event]:
        """Return the canonical event that a tracker's is, or its own name."""
        if not isinstance(name, str):
            return name, properties
        plan = self._plan(name)
        if plan is None:
            repairs.add(scope, "event_name", "no meaning in the vocabulary: kept under its own name")
            return name, properties
        event_name, asked = plan.meaning.event_name, plan.asked
        made, taken = self._elsewhere(plan, scope, properties, repairs)
        named = asked.readers.keys() & properties.keys()
        kept = self._own(plan, named, made, scope, properties, repairs)
        self._guessed(made, asked, scope, properties, event, repairs)
        if not asked.required <= made.keys():
            missing = ", ".join(sorted(asked.required - made.keys()))
            repairs.add(scope, "event_name", f"lacks {missing} of {event_name}: kept under its own name")
            return f"{self.source}_{name}" if wanted(name) else name, properties
        for route in taken:
            take(properties, route)
        if event_name != name:
            repairs.add(scope, "event_name", f"read as {event_name}")
        for target in named - kept if len(named) > len(kept) else ():
            held = properties.pop(
                target, None
            )  # it means something else here, or is not what the vocabulary takes
            if held is None:
                continue
            self._add({**properties, **made, target: None}, target, held, scope, repairs, onto=properties)
        properties.update(made)
        return event_name, properties

    def _plan(self, name: str) -> _Plan | None:
        """Return how events of a name are read, made once for each of the first few thousand names."""
        if name in self.plans:
            return self.plans[name]
        meaning = self.table.events.get(name) or _spelled(name)
        asked = wanted(meaning.event_name) if meaning else None
        made = None if meaning is None or asked is None else _Plan.of(meaning, asked)
        if len(self.plans) < _REMEMBERED:
            self.plans[name] = made
        return made

    @staticmethod
    def _elsewhere(plan: _Plan, scope: str, properties: Event, repairs: Repairs) -> tuple[Event, list[Route]]:
        """Return the canonical properties that have another name or place in the tracker's event, and where they were read."""
        made: Event = {}
        taken: list[Route] = []
        for target, alternatives, reader in plan.named:
            at = first_of(properties, alternatives)
            if at is None:
                continue
            try:
                value, repair = reader(at[1])
            except UnreadableError:
                repairs.add(scope, ".".join(at[0]), f"not what {target} takes: left as it is")
                continue
            if value is not None:
                made[target] = value
                taken.append(at[0])
            if repair:
                repairs.add(scope, ".".join(at[0]), repair)
        for name, value in plan.meaning.literals.items():
            made.setdefault(name, value)
        return made, taken

    @staticmethod
    def _own(
        plan: _Plan, named: set[str], made: Event, scope: str, properties: Event, repairs: Repairs
    ) -> set[str]:
        """Add the canonical properties that the tracker's event has under their own names; return which these are."""
        kept: set[str] = set()
        readers = plan.asked.readers
        for name in named:
            if name in made or name not in plan.own or properties[name] is None:
                continue
            try:
                value, repair = readers[name](properties[name])
            except UnreadableError:
                repairs.add(scope, name, f"not what {name} takes: left as it is")
                continue
            if value is not None:
                made[name] = value
                kept.add(name)
            if repair:
                repairs.add(scope, name, repair)
        return kept

    def _guessed(
        self, made: Event, asked: Wanted, scope: str, properties: Event, event: Event, repairs: Repairs
    ) -> None:
        """Fill what no tracker but ours sends: what was observed, and what the page and the view are called."""
        if "observation" in asked.readers:
            made.setdefault("observation", "owned")
        if "conversion_id" in asked.required and "conversion_id" not in made and event.get("event_id"):
            made["conversion_id"] = event["event_id"]
            repairs.add(scope, "conversion_id", "the event's own id stands for it")
        if _VIEWED in asked.readers and _VIEWED not in made:
            at = first_of(properties, self.table.page_view_id)
            own = (
                event.get("event_id")
                if _VIEWED in asked.required and "active_ms" not in asked.required
                else None
            )
            if value := at[1] if at and isinstance(at[1], str) else own:
                made[_VIEWED] = value
        if "content_id" in asked.readers and "content_id" not in made:
            at = first_of(properties, self.table.content_id)
            if at and isinstance(at[1], str | int):
                made["content_id"] = str(at[1])
            elif content := content_of((event.get("context") or {}).get("url")):
                made["content_id"] = content
                repairs.add(scope, "content_id", "host and path of the page's address stand for it")


def _forget(record: Event, scope: str, repairs: Repairs) -> None:
    """Take out what says who somebody is or where they live, however deep: it would be saved as it is (S2.9)."""
    waiting: list[Any] = [record]
    while waiting:
        held = waiting.pop()
        if type(held) is dict:
            if not _HARMLESS.issuperset(held):
                for name in [name for name in held if _is_personal(name)]:
                    if held.pop(name) is not None:
                        repairs.add(scope, _plain(name), _NOT_KEPT)
            places: Iterable[Any] = held.keys() - _IDENTIFIERS if "identifiers" in held else held
        else:
            places = range(len(held))
        for place in places:
            value = held[place]
            kind = type(value)
            if kind is dict or kind is list:
                waiting.append(value)
            elif kind is str and "@" in value and (masked := mask_emails(value)) != value:
                held[place] = masked
                repairs.add(scope, "(texts)", "an e-mail address in it: masked")


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _is_personal(name: str) -> bool:
    if name in _HARMLESS:
        return False
    found_so = len(name) < 64 and _plain(name) in _PERSONAL
    if not found_so and len(_HARMLESS) < _REMEMBERED and len(name) < 64:
        _HARMLESS.add(name)
    return found_so


def _complete(event: Event, repairs: Repairs) -> None:
    """Let a time that is known stand for one that is not (S1.9)."""
    if event.get("received_at") is None:
        event["received_at"] = event.get("sent_at") or event["occurred_at"]
        said = "no arrival time: that of sending, or the record's own, stands for it"
        repairs.add("(all)", "received_at", said)
    if event["occurred_at"] is None:
        event["occurred_at"] = event["received_at"]
        repairs.add("(all)", "occurred_at", "no time of its own: the arrival stands for it")


def _split(target: str) -> tuple[str, str]:
    group, _, name = target.rpartition(".")
    return group, name


def _spelled(name: str) -> Meaning | None:
    canonical = same_name(name)
    return Meaning(canonical) if canonical else None


def _put(event: Event, group: str, name: str, value: Any) -> None:
    """Put a value into one of the event's objects; into one that is none nothing goes: the verdict says what is wrong with it."""
    held = event.get(group)
    if value is None:
        return
    if held is None:
        event[group] = {name: value}
    elif type(held) is dict:
        held[name] = value


def _at(record: Mapping[str, Any], place: str) -> Any:
    value = found(record, tuple(place.split(".")))
    return value if isinstance(value, str | int | float | bool) else None


def _there(record: Mapping[str, Any], place: str) -> bool:
    return found(record, tuple(place.split("."))) is not None
