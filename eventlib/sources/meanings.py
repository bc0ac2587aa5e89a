"""What a tracker's event is in the GEO vocabulary, if it has what that asks for; its own name and properties otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from eventlib.masking import mask_values
from eventlib.sources.base import Event, Repairs
from eventlib.sources.envelope import TAKEN, free_name
from eventlib.sources.reading import Reader, Route, UnreadableError, first_of, take
from eventlib.sources.tables import Meaning, Table
from eventlib.sources.vocabulary import LINK, LINKED, Wanted, same_name, wanted

__all__ = ["VIEWED", "Meanings", "content_of"]

VIEWED: Final = "page_view_id"
_LONGEST_URL: Final = 8192
_REMEMBERED: Final = 4096


def content_of(url: str | None) -> str | None:
    """Return what a page is called where no tracker names its content: host and path of its address, whoever it is about.

    Examples
    --------
    >>> content_of("https://www.example.org/guide/geo/?utm_source=chatgpt.com#top")
    'www.example.org/guide/geo'
    >>> content_of("https://www.example.org/u/ann%40mail.example/orders")
    'www.example.org/u/[masked]/orders'
    """
    return _content_of(url) if isinstance(url, str) and len(url) <= _LONGEST_URL else None


@lru_cache(2048)
def _content_of(url: str) -> str | None:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2].casefold()
    return (host + mask_values(parts.path).rstrip("/"))[:1024] or None


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


class Meanings:
    """The meanings of a format's events.

    Parameters
    ----------
    table
        The format.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.plans: dict[str, _Plan | None] = {}

    def of(
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
            return f"{self.table.source}_{name}" if wanted(name) else name, properties
        for route in taken:
            take(properties, route)
        if event_name != name:
            repairs.add(scope, "event_name", f"read as {event_name}")
        for target in sorted(named - kept) if len(named) > len(kept) else ():
            # it means something else here, or is not what the vocabulary takes
            if (held := properties.pop(target, None)) is not None:
                source = self.table.source
                repairs.add(scope, "properties", TAKEN.format(source))
                properties[free_name(target, source, properties, made)] = held
        properties.update(made)
        return event_name, properties

    def links(self, name: Any) -> tuple[Route, ...]:
        """Return where events of a name have ids that they join; nowhere, unless that is what they mean."""
        plan = self._plan(name) if isinstance(name, str) else None
        if plan is None or plan.meaning.event_name != LINK:
            return ()
        return (*plan.meaning.properties.get(LINKED, ()), (LINKED,))

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
        if VIEWED in asked.readers and VIEWED not in made:
            at = first_of(properties, self.table.page_view_id)
            own = (
                event.get("event_id")
                if VIEWED in asked.required and "active_ms" not in asked.required
                else None
            )
            if value := at[1] if at and isinstance(at[1], str) else own:
                made[VIEWED] = value
        if "content_id" in asked.readers and "content_id" not in made:
            at = first_of(properties, self.table.content_id)
            if at and isinstance(at[1], str | int):
                made["content_id"] = str(at[1])
            elif content := content_of((event.get("context") or {}).get("url")):
                made["content_id"] = content
                repairs.add(scope, "content_id", "host and path of the page's address stand for it")


def _spelled(name: str) -> Meaning | None:
    canonical = same_name(name)
    return Meaning(canonical) if canonical else None
