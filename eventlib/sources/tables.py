"""A format as a table: which of a record's members are which of the canonical event's, and what its events mean.

The tables of the trackers that are known lie in `tables/`, one small YAML file each; whoever has a format of their own
writes such a file, from nothing or as an extension of one of these, and names it as the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from eventlib.errors import BadCallError
from eventlib.model import EVENT_NAMES
from eventlib.sources.reading import READERS, Reader, Route, routes

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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise _bad(where, str(error).splitlines()[0]) from error
    if not isinstance(content, dict):
        raise _bad(where, "it is no mapping of names to values")
    return _made(_extended(content, where), where)


def _extended(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Put a table onto the one that it extends; maps are joined, all else is replaced."""
    unknown = sorted(map(str, set(content) - MEMBERS))
    if unknown:
        raise BadCallError.unknown("member of a source mapping", unknown[0], sorted(MEMBERS))
    base = content.get("extends")
    if base is None:
        return {**content, "root": content.get("source")}
    known = sorted(p.name.removesuffix(".yaml") for p in (files("eventlib.sources") / "tables").iterdir())
    if base not in known:
        raise BadCallError.unknown(f"source to extend in {where}", str(base), known)
    below = _shipped(base)
    joined = {
        name: {**below[name], **value}
        if isinstance(value, dict) and isinstance(below.get(name), dict)
        else value
        for name, value in content.items()
    }
    return {**below, **joined, "root": below["root"]}


def _made(content: Mapping[str, Any], where: str) -> Table:
    source, own = content.get("source"), _several(content.get("properties", ()), where)
    if not isinstance(source, str) or not source:
        raise _bad(where, "it names no source, such as `source: shop`")
    if "event_name" not in content or not content.get("fields"):
        raise _bad(where, "it states no event_name or no fields")
    return Table(
        source=source,
        title=str(content.get("title", source)),
        root=str(content["root"]),
        seen=str(content.get("seen", "")),
        channel=content.get("channel"),
        recognise=_map(content, "recognise", where),
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
        traps=tuple(map(str, content.get("traps") or ())),
        documents=tuple(map(str, content.get("documents") or ())),
        defaults=_map(content, "defaults", where),
    )


def _map(content: Mapping[str, Any], name: str, where: str) -> Mapping[Any, Any]:
    value = content.get(name) or {}
    if not isinstance(value, dict):
        raise _bad(where, f"{name} is no mapping of names to values")
    return value


def _routes(text: object, where: str) -> tuple[Route, ...]:
    if not isinstance(text, str) or not all(all(route) for route in routes(text)):
        raise _bad(where, f"{text!r} is no path, such as `context.page.url | url`")
    return routes(text)


def _several(texts: object, where: str) -> tuple[Route, ...]:
    listed = [texts] if isinstance(texts, str) else texts
    if not isinstance(listed, Iterable):
        raise _bad(where, f"{texts!r} is no path and no list of paths")
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
    how = stated.get("as", TARGETS[str(target)])
    if how not in READERS:
        raise BadCallError.unknown(f"reader of {target} in {where}", str(how), sorted(READERS))
    return Field(
        str(target),
        _routes(stated.get("from"), where),
        str(how),
        str(stated.get("note", "")),
        stated.get("keep") is True,
    )


def _meaning(where: str, name: str, told: object, own: tuple[Route, ...]) -> Meaning:
    stated = told if isinstance(told, dict) else {"event_name": told}
    event_name = stated.get("event_name")
    if event_name not in EVENT_NAMES:
        raise BadCallError.unknown(f"event name for {name!r} in {where}", str(event_name), EVENT_NAMES)
    properties: dict[str, tuple[Route, ...]] = {}
    literals: dict[str, Any] = {}
    readers: dict[str, Reader] = {}
    for target, place in _map(stated, "properties", where).items():
        if isinstance(place, dict) and "is" in place:
            literals[str(target)] = place["is"]
            continue
        at = place if isinstance(place, dict) else {"from": place}
        properties[str(target)] = _left(_routes(at.get("from"), where), own)
        if "as" in at:
            if at["as"] not in READERS:
                raise BadCallError.unknown(f"reader of {target} in {where}", str(at["as"]), sorted(READERS))
            readers[str(target)] = READERS[at["as"]]
    return Meaning(str(event_name), properties, literals, readers)
