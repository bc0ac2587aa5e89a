"""A format as a table: which of a record's members are which of the canonical event's, and what its events mean.

The tables of the trackers that are known lie in `tables/`, one small YAML file each; whoever has a format of their own
writes such a file, from nothing or as an extension of one of these, and names it as the source.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.constructor import ConstructorError

from eventlib.errors import BadCallError
from eventlib.model import EVENT_NAMES
from eventlib.sources.reading import READERS, Reader, Route, UnreadableError, routes
from eventlib.sources.vocabulary import Wanted, wanted

__all__ = ["MEMBERS", "TARGETS", "Field", "Meaning", "Table", "read_table", "shipped_table"]

_TIMES: Final = ("occurred_at", "sent_at", "received_at", "true_at", "consent.updated_at")
_TEXTS: Final = ("event_id", "anonymous_id", "user_id", "context.url", "context.referrer", "context.user_agent",
                 "consent.tcf", "consent.gpp", "consent.us_privacy", "consent.notice_version")  # fmt: skip
_OTHERS: Final = {
    "sequence": "integer", "channel": "channel", "consent.jurisdiction": "any", "consent.gpc": "boolean",
    "consent.known_child": "boolean", "consent.gpp_sid": "any", "consent.google": "any", "consent.categories": "any",
    "consent.purposes": "any", "consent": "any",
}  # fmt: skip
TARGETS: Final[Mapping[str, str]] = dict.fromkeys(_TIMES, "time") | dict.fromkeys(_TEXTS, "text") | _OTHERS
"""Members of the canonical event that a field may become, and how it is read where the table does not say."""

MEMBERS: Final = frozenset({
    "source", "title", "extends", "seen", "channel", "recognise", "event_name", "fields", "properties", "implied", "personal", "automatic",
    "page_view_id", "content_id", "events", "traps", "documents", "defaults",
})  # fmt: skip


_OF_FIELD: Final = frozenset({"from", "as", "note", "keep"})
_OF_EVENT: Final = frozenset({"event_name", "properties"})
_OF_PROPERTY: Final = frozenset({"from", "as", "is"})
_OF_SIGNS: Final = frozenset({"all", "any", "none", "values"})
_SIDES: Final = ("client", "server")
_MOST: Final = 1_000  # values that are put into every record
_LONGEST: Final = 120  # of what an error repeats of a file


class _Loader(yaml.SafeLoader):
    """Reads YAML of which nothing is passed over: of a name that stands twice only one value would count."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # the library's
        """Return a mapping none of whose names stands twice."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value)) if isinstance(key, yaml.ScalarNode) else ("", "")
            if name in seen and name != ("", ""):
                raise ConstructorError(None, None, f"{name[1]!r} stands there twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True, slots=True)
class Field:
    """One member of the canonical event, and where a record has it: the first alternative that is there."""

    target: str
    alternatives: tuple[Route, ...]
    how: str
    note: str = ""
    keep: bool = False

    @property
    def reader(self) -> Reader:
        """How its value is read."""
        return READERS[self.how]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an event of a tracker is in our vocabulary.

    Attributes
    ----------
    event_name
        The canonical event.
    properties
        By canonical property, where the event has it.
    literals
        By canonical property, what holds for every event of the name.
    readers
        By canonical property, how it is read where its schema does not say enough, as for a unit.
    """

    event_name: str
    properties: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    literals: Mapping[str, Any] = field(default_factory=dict)
    readers: Mapping[str, Reader] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A format as its YAML file states it; `docs/sources.md` says what each member is."""

    source: str
    title: str
    root: str
    seen: str
    channel: str | None
    recognise: Mapping[str, Any]
    event_name: tuple[Route, ...]
    fields: tuple[Field, ...]
    properties: tuple[Route, ...]
    implied: tuple[Route, ...]
    personal: tuple[Route, ...]
    automatic: frozenset[str]
    page_view_id: tuple[Route, ...]
    content_id: tuple[Route, ...]
    events: Mapping[str, Meaning]
    traps: tuple[str, ...]
    documents: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)  # members of a record that lacks them


_JOINED: Final = ("personal", "implied", "automatic")


def _bad(where: str, why: str) -> BadCallError:
    return BadCallError(f"the source mapping {where} cannot be used: {why}")


@cache
def shipped_table(name: str) -> Table:
    """Return the table of a tracker that is known."""
    return _made(_shipped(name), name)


def _shipped(name: str) -> dict[str, Any]:
    text = (files("eventlib.sources") / "tables" / f"{name}.yaml").read_text(encoding="utf-8")
    return _extended(yaml.safe_load(text), name)


def read_table(path: Path) -> Table:
    """Return the table of a file.

    Raises
    ------
    BadCallError
        If it cannot be read, or states what no table has.
    """
    where = str(path)
    try:
        if path.stat().st_size > 1 << 20:
            raise _bad(where, "it is over 1 MiB")
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a safe one
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise _bad(where, str(error).splitlines()[0]) from error
    if not isinstance(content, dict):
        raise _bad(where, "it is no mapping of names to values")
    return _made(_extended(content, where), where)


def _known(stated: Mapping[Any, Any], members: Iterable[str], what: str) -> None:
    """Refuse a member that nobody would read: it was meant to say something."""
    for name in stated:
        if name not in members:
            raise BadCallError.unknown(f"member of {what}", _told(name), sorted(members))


def _plain(value: object, what: str, where: str) -> None:
    """Refuse what no record could hold; references may make little text endless."""
    waiting = [value]
    for count in itertools.count():
        if not waiting:
            return
        held = waiting.pop()
        named = isinstance(held, dict) and not all(isinstance(name, str) for name in held)
        if count > _MOST or named or not isinstance(held, dict | list | str | int | float | None):
            raise _bad(
                where, f"{what} holds what no record could: names that are no texts, times, or too much"
            )
        if isinstance(held, dict | list):
            waiting += held.values() if isinstance(held, dict) else held


def _told(value: object) -> str:
    """Return what an error repeats of a value; lists that hold each other may be endless."""
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else str(value)[:_LONGEST]


def _extended(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Put a table onto the one that it extends; maps are joined, all else is replaced."""
    unknown = sorted(map(str, set(content) - MEMBERS))
    if unknown:
        raise BadCallError.unknown("member of a source mapping", unknown[0], sorted(MEMBERS))
    base, known = content.get("extends"), _names_of_tables()
    if base is None:
        own = content.get("source")
        if own in {*known, "native", "ubi", "auto"} and where != own:
            raise _bad(where, f"{own} is a format of its own; extend it, or call yours by another name")
        return {**content, "root": own if where == own else ""}
    if base not in known:
        raise BadCallError.unknown(f"source to extend in {where}", _told(base), known)
    below = _shipped(base)
    return {
        **below,
        **{name: _onto(name, below.get(name), value) for name, value in content.items()},
        "root": base,
    }


def _names_of_tables() -> list[str]:
    return sorted(p.name.removesuffix(".yaml") for p in (files("eventlib.sources") / "tables").iterdir())


def _onto(name: str, below: Any, value: Any) -> Any:
    """Put a member onto the one of the table below: what is not kept there is not kept here either."""
    if isinstance(value, dict) and isinstance(below, dict):
        return {**below, **value}
    if name in _JOINED and below is not None:
        stated = [[told] if isinstance(told, str) else told for told in (below, value)]
        return [*stated[0], *stated[1]] if all(isinstance(told, list) for told in stated) else value
    return value


def _made(content: Mapping[str, Any], where: str) -> Table:
    source, own = content.get("source"), _several(content.get("properties", ()), where)
    if not isinstance(source, str) or not source:
        raise _bad(where, "it names no source, such as `source: shop`")
    if content.get("channel") not in (None, *_SIDES):
        raise BadCallError.unknown(f"channel in {where}", _told(content["channel"]), _SIDES)
    defaults = _map(content, "defaults", where)
    _plain(defaults, "defaults", where)
    if "event_name" not in content or not content.get("fields"):
        raise _bad(where, "it states no event_name or no fields")
    return Table(
        source=source,
        title=str(content.get("title", source)),
        root=str(content["root"]),
        seen=str(content.get("seen", "")),
        channel=content.get("channel"),
        recognise=_signs(content, where),
        event_name=_routes(content["event_name"], where),
        fields=tuple(_field(where, target, told) for target, told in _map(content, "fields", where).items()),
        properties=own,
        implied=_several(content.get("implied", ()), where),
        personal=_several(content.get("personal", ()), where),
        automatic=frozenset(".".join(route) for route in _several(content.get("automatic", ()), where)),
        page_view_id=_left(_several(content.get("page_view_id", ()), where), own),
        content_id=_left(_several(content.get("content_id", ()), where), own),
        events={
            str(name): _meaning(where, str(name), told, own)
            for name, told in _map(content, "events", where).items()
        },
        traps=_texts(content, "traps", where),
        documents=_texts(content, "documents", where),
        defaults=defaults,
    )


def _map(content: Mapping[str, Any], name: str, where: str) -> Mapping[Any, Any]:
    value = content.get(name) or {}
    if not isinstance(value, dict):
        raise _bad(where, f"{name} is no mapping of names to values")
    return value


def _texts(content: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    """Return a list of texts."""
    value = content.get(name) or ()
    if (
        isinstance(value, str)
        or not isinstance(value, Iterable)
        or any(isinstance(x, list | dict) for x in value)
    ):
        raise _bad(where, f"{name} is no list of texts")
    return tuple(map(str, value))


def _signs(content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return what the format is recognised by."""
    stated = _map(content, "recognise", where)
    _known(stated, _OF_SIGNS, f"recognise in {where}")
    places = {name: _texts(stated, name, where) for name in ("all", "any", "none") if name in stated}
    values = {
        name: list(_texts(held, name, where)) for held in [_map(stated, "values", where)] for name in held
    }
    return {**places, "values": values} if values else places


def _routes(text: object, where: str) -> tuple[Route, ...]:
    if not isinstance(text, str) or not all(all(route) for route in routes(text)):
        raise _bad(where, f"{_told(text)!r} is no path, such as `context.page.url | url`")
    return routes(text)


def _several(texts: object, where: str) -> tuple[Route, ...]:
    listed = [texts] if isinstance(texts, str) else texts
    if not isinstance(listed, list | tuple):
        raise _bad(where, f"{_told(texts)!r} is no path and no list of paths")
    return tuple(route for text in listed for route in _routes(text, where))


def _left(places: tuple[Route, ...], own: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return places in what is left of a record, in which the members of the tracker's own properties stand on top."""
    return tuple(
        next(
            (
                place[len(outer) :]
                for outer in own
                if len(place) > len(outer) and place[: len(outer)] == outer
            ),
            place,
        )
        for place in places
    )


def _field(where: str, target: object, told: object) -> Field:
    if target not in TARGETS:
        raise BadCallError.unknown(f"field in {where}", str(target), sorted(TARGETS))
    stated = told if isinstance(told, dict) else {"from": told}
    _known(stated, _OF_FIELD, f"{target} in {where}")
    if not isinstance(stated.get("keep", False), bool):
        raise _bad(where, f"keep of {target} is neither true nor false")
    how = stated.get("as", TARGETS[str(target)])
    _reader(how, target, where)
    return Field(
        str(target),
        _routes(stated.get("from"), where),
        str(how),
        str(stated.get("note", "")),
        stated.get("keep") is True,
    )


def _reader(how: object, target: object, where: str) -> Reader:
    if not isinstance(how, str) or how not in READERS:
        raise BadCallError.unknown(f"reader of {target} in {where}", _told(how), sorted(READERS))
    return READERS[how]


def _literal(value: object, target: str, asked: Wanted | None, where: str) -> Any:
    """Return what holds for every event of a name, if the vocabulary takes it."""
    _plain(value, target, where)
    try:
        return asked.readers[target](value)[0] if asked else value
    except UnreadableError:
        raise _bad(where, f"{_told(value)!r} is not what {target} takes") from None


def _meaning(where: str, name: str, told: object, own: tuple[Route, ...]) -> Meaning:
    stated = told if isinstance(told, dict) else {"event_name": told}
    _known(stated, _OF_EVENT, f"event {name!r} in {where}")
    event_name = stated.get("event_name")
    if event_name not in EVENT_NAMES:
        raise BadCallError.unknown(f"event name for {name!r} in {where}", _told(event_name), EVENT_NAMES)
    asked = wanted(str(event_name))
    properties: dict[str, tuple[Route, ...]] = {}
    literals: dict[str, Any] = {}
    readers: dict[str, Reader] = {}
    for target, place in _map(stated, "properties", where).items():
        if asked and target not in asked.readers:
            raise BadCallError.unknown(f"property of {event_name} in {where}", _told(target), asked.readers)
        _known(place if isinstance(place, dict) else {}, _OF_PROPERTY, f"{target} of {event_name} in {where}")
        if isinstance(place, dict) and "is" in place:
            literals[str(target)] = _literal(place["is"], str(target), asked, where)
            continue
        at = place if isinstance(place, dict) else {"from": place}
        properties[str(target)] = _left(_routes(at.get("from"), where), own)
        if "as" in at:
            readers[str(target)] = _reader(at["as"], target, where)
    return Meaning(str(event_name), properties, literals, readers)
