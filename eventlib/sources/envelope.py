"""What of a record has a place of its own in the canonical event, and what is left: its properties."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, Final

from eventlib.sources.base import Event, Repairs
from eventlib.sources.personal import NOT_KEPT, forget
from eventlib.sources.reading import Places, Route, UnreadableError, found, take
from eventlib.sources.tables import Table
from eventlib.sources.vocabulary import joins

__all__ = ["TAKEN", "Envelope", "free_name"]

TAKEN: Final = "a name was taken: kept with {}_ before it"
_VERSION: Final = "1-0-0"


class Envelope:
    """The places of a format's records.

    Parameters
    ----------
    table
        The format.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.plan = [
            (*_split(field.target), field.alternatives, field.reader, field.keep) for field in table.fields
        ]
        self.personal = frozenset(table.personal)
        self.unkept = Places([*table.implied, *table.personal])

    def event(self, record: Event, scope: str, repairs: Repairs) -> Event:  # noqa: C901  # calls for its parts would cost as much as they do
        """Take out of a record what has a place of its own in the canonical event."""
        event: Event = {
            "event_id": None, "schema_version": _VERSION, "occurred_at": None, "source": self.table.source,
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

    def left(self, record: Event, scope: str, repairs: Repairs, links: Iterable[Route] = ()) -> Event:
        """Return what has no place as properties: the tracker's own properties, and all else under its name.

        Parameters
        ----------
        record
            What is left of a record.
        scope
            Of repairs.
        repairs
            Where they are counted.
        links
            Where the event has ids that it joins: they become pseudonyms (S2.9), and masked they would join strangers.
        """
        for route in self.unkept.of(record):
            if route in self.personal and found(record, route) is not None:
                repairs.add(scope, ".".join(route), NOT_KEPT)
            take(record, route)
        aside = self._aside(record, links) if links else ()
        forget(record, scope, repairs)
        for holder, name, ids in aside:
            holder[name] = ids
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

    def _aside(self, record: Event, links: Iterable[Route]) -> list[tuple[Event, str, Any]]:
        """Take out the ids that an event joins, as far as they can be read; return where each stood."""
        taken: list[tuple[Event, str, Any]] = []
        for outer in ((), *self.table.properties):
            for *inner, name in links:
                at = (*outer, *inner)
                holder = found(record, at) if at else record
                if type(holder) is dict and name in holder and joins(holder[name]):
                    taken.append((holder, name, holder.pop(name)))
        return taken

    def _join(self, properties: Event, more: Event, scope: str, repairs: Repairs) -> None:
        """Keep values under their own names, but for those that are taken."""
        taken = properties.keys() & more.keys() if properties else ()
        for name in sorted(taken):
            repairs.add(scope, "properties", TAKEN.format(self.table.source))
            more[free_name(name, self.table.source, properties, more)] = more.pop(name)
        properties.update(more)


def free_name(name: str, source: str, *taken: Container[str]) -> str:
    """Return a name for a property whose own is taken: the format's name is put before it, until nothing is called so."""
    free = f"{source}_{name}"
    while any(free in names for names in taken):
        free = f"{source}_{free}"
    return free


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


def _put(event: Event, group: str, name: str, value: Any) -> None:
    """Put a value into one of the event's objects; into one that is none nothing goes: the verdict says what is wrong with it."""
    held = event.get(group)
    if value is None:
        return
    if held is None:
        event[group] = {name: value}
    elif type(held) is dict:
        held[name] = value
