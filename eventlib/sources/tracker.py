"""A tracker's record as a canonical event, by the table of its format.

What the table names goes to its canonical place. What is left stays in `properties` under its own name, so that nothing is
lost; an event that has a meaning in the GEO vocabulary becomes that event, if it has what the vocabulary asks for, and keeps
its own name otherwise. What was mapped, guessed and left is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from eventlib.masking import mask_text
from eventlib.model import Violation
from eventlib.sources.base import About, Adapter, Event, Names, Repairs, Skipped
from eventlib.sources.envelope import Envelope
from eventlib.sources.meanings import VIEWED, Meanings
from eventlib.sources.reading import first_of, found, take
from eventlib.sources.tables import Table, shipped_table

__all__ = ["Finished", "TrackerAdapter"]

_OTHER_EVENTS: Final = "(other events)"
"""Scope of repairs to events that the table does not name: their names may be anything, and are not told before consent."""


@dataclass(slots=True)
class _Going:
    """A record on its way to becoming an event."""

    record: Event
    name: Any
    scope: str
    event: Event = field(default_factory=dict)
    properties: Event = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """A canonical event that the table has no part in."""

    event: Event


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
    derived: ClassVar[Mapping[str, frozenset[str]]] = {"*": frozenset({"observation", VIEWED, "content_id"})}

    def __init__(self, table: Table | None = None) -> None:
        self.table = table or shipped_table(self.name)
        self.source = self.table.source
        self.about = About(self.table.title, self.table.seen, traps=self.table.traps)
        self.envelope, self.meanings = Envelope(self.table), Meanings(self.table)
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

    def opened(
        self, record: Event, repairs: Repairs
    ) -> Event | Skipped | Violation | Finished:  # for those who override it
        """Return a record in the form that the table speaks of."""
        return record

    def adapt(
        self, record: Event, previous: bytes, learned: Mapping[str, Any], repairs: Repairs
    ) -> Event | Skipped | Violation:  # the interface's
        """Turn one record into a canonical event; one that has what only other formats have is none of this."""
        return self.adapt_each([(record, previous)], learned, repairs)[0]

    def adapt_each(
        self, lines: Sequence[tuple[Event, bytes]], learned: Mapping[str, Any], repairs: Repairs
    ) -> list[Event | Skipped | Violation]:  # the interface's
        """Turn records into canonical events; all of them take a step before any takes the next."""
        begun = [self._begun(record, repairs) for record, _ in lines]
        going = [one for one in begun if isinstance(one, _Going)]
        for one in going:
            one.event = self.envelope.event(one.record, one.scope, repairs)
        for one in going:
            links = self.meanings.links(one.name)
            one.properties = self.envelope.left(one.record, one.scope, repairs, links)
        for one in going:
            meant = self.meanings.of(one.name, one.scope, one.properties, one.event, repairs)
            one.event["event_name"], one.event["properties"] = meant
        return [one.event if isinstance(one, _Going) else one for one in begun]

    def of_another(self, record: Event) -> Violation | None:
        """Return why a record is none of this format: it has what only others have; None where it has not."""
        if self.elsewhere.isdisjoint(record):
            return None
        other = min(self.elsewhere & record.keys())
        return Violation(
            "not_this_format", f"$.{other}", f"no record of {self.source} has a member of this name"
        )

    def _begun(self, record: Event, repairs: Repairs) -> _Going | Event | Skipped | Violation:
        """Open a record and take its name out."""
        opened = self.of_another(record) or self.opened(record, repairs)
        if isinstance(opened, Skipped | Violation):
            return opened
        if isinstance(opened, Finished):
            return opened.event
        if self.table.defaults:  # what is taken out of one is there for the next
            opened = {**deepcopy(self.table.defaults), **opened}
        named = first_of(opened, self.table.event_name)
        name = named[1] if named else None
        if isinstance(name, str) and "@" in name and mask_text(name) != name:
            return Violation(
                "personal_name", "$.event_name", "the event's name holds what says who somebody is"
            )
        if named:
            take(opened, named[0])
        scope = name if isinstance(name, str) and name in self.table.events else _OTHER_EVENTS
        return _Going(opened, name, scope)


def _at(record: Mapping[str, Any], place: str) -> Any:
    value = found(record, tuple(place.split(".")))
    return value if isinstance(value, str | int | float | bool) else None


def _there(record: Mapping[str, Any], place: str) -> bool:
    return found(record, tuple(place.split("."))) is not None
