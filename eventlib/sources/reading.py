"""Values out of a tracker's record: where they stand, and how they become what the canonical event takes.

A value is taken out of its record, so that what is left afterwards is what had no place. One that cannot be read stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

__all__ = [
    "READERS",
    "Places",
    "Reader",
    "Route",
    "UnreadableError",
    "exact",
    "found",
    "read_time",
    "routes",
    "take",
]

Route = tuple[str, ...]
"""Names of members, from the outermost."""

Reader = Callable[[Any], tuple[Any, str]]
"""Returns the value as the canonical event has it, and what was repaired, "" where nothing was; raises `UnreadableError`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})([.,]\d{1,9})?\d*\s*(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,9})?", re.ASCII)
_UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
_LARGEST: Final = {"s": 1e11, "ms": 1e14, "us": 1e17}


class UnreadableError(ValueError):
    """A value that is not what its place takes."""


def routes(text: str) -> tuple[Route, ...]:
    """Read alternatives of places.

    Examples
    --------
    >>> routes("context.page.url | url")
    (('context', 'page', 'url'), ('url',))
    """
    return tuple(tuple(part.strip().split(".")) for part in text.split("|"))


def found(record: Mapping[str, Any], route: Route) -> Any:
    """Return the value at a route, None where there is none."""
    value: Any = record.get(route[0])
    for name in route[1:]:
        if type(value) is not dict:
            return None
        value = value.get(name)
    return value


def take(record: dict[str, Any], route: Route) -> None:
    """Take the value at a route out, and the objects that it leaves empty."""
    if len(route) > 1 and type(inside := record.get(route[0])) is dict:
        if len(route) > 2:  # most routes have two names: they are not worth another call
            take(inside, route[1:])
        else:
            inside.pop(route[1], None)
        if inside:
            return
    record.pop(route[0], None)


class Places:
    """Places of a record that are looked for together: all those of one object at once.

    Parameters
    ----------
    every
        Their routes.
    """

    def __init__(self, every: Iterable[Route]) -> None:
        inside: dict[Route, list[str]] = {}
        for *outer, name in every:
            inside.setdefault(tuple(outer), []).append(name)
        self.groups = [(outer, frozenset(names), tuple(names)) for outer, names in inside.items()]

    def of(self, record: dict[str, Any]) -> list[Route]:
        """Return which of the places a record has."""
        there: list[Route] = []
        for outer, known, names in self.groups:
            held = found(record, outer) if outer else record
            if type(held) is dict and not known.isdisjoint(held):
                there += [(*outer, name) for name in names if name in held]
        return there


def read_text(value: Any) -> tuple[Any, str]:
    """Read an identifier or a text; empty ones are absent."""
    if type(value) is str:
        return (None, "empty text read as absent") if not value or value.isspace() else (value, "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError
    return str(exact(value)), "number read as text"


def exact(value: float) -> float:
    """Return a whole number as such: columns with gaps hold 12 as 12.0.

    Examples
    --------
    >>> exact(12.0), exact(12), exact(1.5), exact(1e300)
    (12, 12, 1.5, 1e+300)
    """
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def read_time(value: Any, unit: str = "") -> tuple[Any, str]:
    """Read a moment: RFC 3339 and its relatives, or a number since 1970 in a unit (by its size, where none is stated).

    Examples
    --------
    >>> read_time("2026-10-03 08:15:30.123")
    ('2026-10-03T08:15:30.123Z', 'time without a zone read as UTC')
    >>> read_time(1790000000123)[0], read_time("1790000000123", "ms")[0]
    ('2026-09-21T14:13:20.123000Z', '2026-09-21T14:13:20.123000Z')
    """
    if isinstance(value, str):
        if value[10:11] == "T" and value[-1] == "Z" and not unit:
            return value, ""
        match = _TEXT_TIME.fullmatch(value.strip())
        if match:
            return _of_text(*match.groups())
        if not value.strip():
            return None, "empty text read as absent"
        if not unit or not _NUMBER.fullmatch(value.strip()):
            raise UnreadableError
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError
    return _of_number(value, unit), "" if unit else "number read as a time by its size"


def _of_text(day: str, time: str, fraction: str | None, zone: str | None) -> tuple[str, str]:
    repair = "" if zone else "time without a zone read as UTC"
    offset = "Z" if zone in {None, "Z", "z", "UTC", "GMT"} else _offset(str(zone))
    return f"{day}T{time}{(fraction or '').replace(',', '.')}{offset}", repair


def _offset(zone: str) -> str:
    digits = zone[1:].replace(":", "")
    return f"{zone[0]}{digits[:2]}:{digits[2:] or '00'}"


def _of_number(value: float, unit: str) -> str:
    units = [unit] if unit else [name for name, most in _LARGEST.items() if abs(value) < most]
    try:
        micros = round(value * 1_000_000 / _UNITS[units[0]]) if units[0] != "us" else round(value)
        second, rest = divmod(micros, 1_000_000)
        return f"{_second(second)}.{rest:06d}Z"
    except (OverflowError, IndexError, ValueError):
        raise UnreadableError from None


@lru_cache(8192)
def _second(number: int) -> str:
    return (_EPOCH + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def read_number(value: Any) -> tuple[Any, str]:
    """Read a number, also one written as text with a decimal point."""
    if isinstance(value, bool):
        raise UnreadableError
    if isinstance(value, int | float):
        return value, ""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value), "text read as a number"
    raise UnreadableError


def read_integer(value: Any) -> tuple[Any, str]:
    """Read a whole number of 0 or more; fractions are rounded."""
    number, repair = read_number(value)
    if number < 0 or number >= 2**53:
        raise UnreadableError
    return (number, repair) if isinstance(number, int) else (round(number), repair)


def read_boolean(value: Any) -> tuple[Any, str]:
    """Read yes or no."""
    if isinstance(value, bool):
        return value, ""
    said = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        str(value).casefold()
    )
    if said is None:
        raise UnreadableError
    return said, "text or number read as yes or no"


def read_as_it_is(value: Any) -> tuple[Any, str]:
    """Take a value as it is."""
    return value, ""


_ON_SERVERS: Final = re.compile(
    r"server|sources|http|srv|cloud|posthog-(python|node|php|ruby|go|java|dotnet|elixir)\b"
    r"|(@segment/)?(analytics|rudder-analytics)-(?!ios|android|kotlin|swift|react-native|flutter|js|next)[a-z]+"
)


def read_channel(value: Any) -> tuple[Any, str]:
    """Read which side reported an event, from its own word for it or from the library that sent it.

    Examples
    --------
    >>> read_channel("web")[0], read_channel("analytics-python")[0], read_channel("analytics.js")[0]
    ('client', 'server', 'client')
    >>> read_channel("@segment/analytics-node")[0], read_channel("@segment/analytics-next")[0]
    ('server', 'client')
    """
    if not isinstance(value, str):
        raise UnreadableError
    return _side(value[:256]), ""


@lru_cache(1024)
def _side(told: str) -> str:
    return "server" if _ON_SERVERS.match(told.casefold()) else "client"


def _scaled(factor: float) -> Reader:
    def read(value: Any) -> tuple[Any, str]:
        number, repair = read_number(value)
        return read_integer(number * factor)[0], repair

    return read


def read_share(value: Any) -> tuple[Any, str]:
    """Read a share of 1 as percent."""
    number, repair = read_number(value)
    if not 0 <= number <= 1:
        raise UnreadableError
    return round(number * 100, 6), repair


READERS: Final[Mapping[str, Reader]] = {
    "text": read_text,
    "time": read_time,
    "seconds since 1970": lambda value: read_time(value, "s"),
    "milliseconds since 1970": lambda value: read_time(value, "ms"),
    "microseconds since 1970": lambda value: read_time(value, "us"),
    "number": read_number,
    "integer": read_integer,
    "seconds": _scaled(1_000),
    "milliseconds": read_integer,
    "share of 1": read_share,
    "boolean": read_boolean,
    "channel": read_channel,
    "any": read_as_it_is,
}
"""Readers by the name that a table gives them; `seconds` become milliseconds, a `share of 1` percent."""


def first_of(record: Mapping[str, Any], alternatives: Iterable[Route]) -> tuple[Route, Any] | None:
    """Return the first alternative that holds a value, with it."""
    for route in alternatives:
        value = found(record, route)
        if value is not None:
            return route, value
    return None
