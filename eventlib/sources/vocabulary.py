"""What the canonical events ask of their properties, as the shipped schemas state it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from eventlib.model import EVENT_NAMES
from eventlib.resources import schemas_dir
from eventlib.sources.decode import lossless
from eventlib.sources.reading import READERS, Reader, UnreadableError

__all__ = ["LINK", "LINKED", "Wanted", "joins", "letters", "same_name", "wanted"]

LINK: Final = "identity_link"
LINKED: Final = "identifiers"
"""The event that joins ids, and its property that holds them."""

_OF_TYPE: Final = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The properties of one canonical event.

    Attributes
    ----------
    required
        Names of those without which the event is none.
    readers
        How a value of each becomes what its schema takes.
    """

    required: frozenset[str]
    readers: Mapping[str, Reader]


@cache
def wanted(event_name: str) -> Wanted | None:
    """Return what a canonical event takes, by its newest shipped schema; None of a name that has none."""
    if event_name not in EVENT_NAMES:
        return None
    paths = (schemas_dir() / "events" / event_name).glob("*.json")
    newest = max(paths, key=lambda path: [int(part) for part in path.stem.split("-")])
    schema = json.loads(newest.read_text(encoding="utf-8"))
    readers = {name: _reader(described) for name, described in schema["properties"].items()}
    return Wanted(frozenset(schema.get("required", ())), readers)


def joins(value: object) -> bool:
    """Tell whether a value is ids that an `identity_link` joins, each with its namespace and nothing else.

    Examples
    --------
    >>> joins([{"namespace": "email", "value": "a@example.org"}]), joins(["a@example.org"]), joins({"email": "a@example.org"})
    (True, False, False)
    """
    asked = wanted(LINK)
    try:
        ids = asked.readers[LINKED](value)[0] if asked else ()
    except UnreadableError:
        return False
    return all(type(one) is dict and one.keys() == {"namespace", "value"} for one in ids)


def _holder(kind: type) -> Reader:
    """Return a reader of lists or of objects, also of those that a tracker can hold only as text."""

    def read(value: Any) -> tuple[Any, str]:
        if type(value) is kind:
            return value, ""
        held = lossless(value.encode(errors="replace")) if isinstance(value, str) else None
        if type(held) is not kind:
            raise UnreadableError
        return held, "text read as JSON"

    return read


def _reader(described: Mapping[str, Any]) -> Reader:
    choices, longest = described.get("enum"), described.get("maxLength", 0)
    least, most = described.get("minimum", -math.inf), described.get("maximum", math.inf)
    bounded = described.get("type") in {"integer", "number"}
    plain = longest and not choices and described.get("type") == "string"
    kind = str(described.get("type"))
    read = (
        _holder({"array": list, "object": dict}[kind])
        if kind in {"array", "object"}
        else READERS[_OF_TYPE.get(kind, "any")]
    )

    def checked(value: Any) -> tuple[Any, str]:
        if (
            type(value) is str
            and plain
            and 0 < len(value) <= longest
            and value.isprintable()
            and value[0] != " "
        ):
            return value, ""
        made, repair = read(value)
        if type(made) is str:
            good = (not choices or made in choices) and (not longest or len(made) <= longest)
        else:
            good = not choices and (not bounded or least <= made <= most)
        if not good:
            raise UnreadableError
        return made, repair

    return checked


@cache
def _spellings() -> dict[str, str]:
    """Return canonical names by the ways in which trackers spell them: in the past, in capitals, in one word."""
    spelled: dict[str, str] = {}
    for name in EVENT_NAMES:
        thing, action = name.split("_")
        past = {"show": "shown", "land": "landed", "copy": "copied"}.get(
            action, action + ("d" if action.endswith("e") else "ed")
        )
        spelled |= {thing + action: name, thing + past: name}
    return spelled


def letters(name: str) -> str:
    """Return a name in small letters without marks, as it is compared with others.

    Examples
    --------
    >>> letters("User_IP-Address"), letters("userIpAddress")
    ('useripaddress', 'useripaddress')
    """
    return "".join(filter(str.isalnum, name.casefold()))


@cache
def same_name(name: str) -> str | None:
    """Return the canonical event that a tracker's name spells in its own way.

    Examples
    --------
    >>> same_name("Citation Clicked"), same_name("answer-generate"), same_name("Order Completed")
    ('citation_click', 'answer_generate', None)
    """
    return _spellings().get(letters(name)) if len(name) < 64 else None
