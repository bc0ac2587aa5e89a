"""What an event in memory would be as a line of a log, or why it can be none (S1.1)."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

import orjson

from eventlib.model import MAX_LINE_BYTES, MAX_SAFE_INTEGER, Violation

__all__ = ["as_read"]

_MAX_DEPTH: Final = 254  # what orjson writes
_AS_IT_IS: Final = (
    orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
)


def _number_fault(value: object) -> tuple[str, str] | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "not_finite", "NaN and Infinity are not JSON"
    if isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
        return "integer_too_large", "an integer beyond ±(2^53 - 1) loses digits in most readers"
    return None


def _fault(value: object) -> tuple[str, str] | None:
    """Return code and message for one value that no line can hold."""
    if value is None or isinstance(value, bool | dict | list | tuple):
        return None
    if isinstance(value, int | float):
        return _number_fault(value)
    if not isinstance(value, str):
        return "not_json", f"JSON has no form for a value of type {type(value).__name__}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "lone_surrogate", "half a surrogate pair"
    return None


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value


def _first_fault(value: object) -> tuple[str, str] | None:
    """Walk what orjson refused or changed; a cycle ends at the depth limit."""
    path = [iter([value])]
    while path:
        item = next(path[-1], path)
        if item is path:
            path.pop()
            continue
        if isinstance(item, dict) and not all(isinstance(key, str) for key in item):
            return "not_json", "the keys of an object are texts"
        keys = item if isinstance(item, dict) else ()
        found = _fault(item) or next(filter(None, map(_fault, keys)), None)
        if found:
            return found
        if isinstance(item, dict | list | tuple):
            if len(path) > _MAX_DEPTH:
                return "too_deep", "nested deeper than can be read"
            path.append(_children(item))
    return None


def _why(event: Mapping[Any, Any], names: Container[str]) -> Violation | None:
    found = _first_fault(dict.fromkeys(event))
    if found:
        return Violation(found[0], "$", found[1])
    for key, value in event.items():
        found = _first_fault(value)
        if found:
            return Violation(found[0], f"$.{key}" if key in names else "$", found[1])
    return None


def as_read(event: Mapping[Any, Any], names: Container[str] = ()) -> dict[str, Any] | Violation:
    """Return the event as a reader of its line would get it.

    Parameters
    ----------
    event
        Any mapping, of whatever values.
    names
        Top-level keys that a path may name; others may be data.

    Returns
    -------
    dict or Violation
        Plain JSON types, or why there is no such line: `not_json`, `not_finite`, `lone_surrogate`,
        `integer_too_large`, `too_deep`, `line_too_long`. Nothing is raised, whatever the mapping holds.

    Examples
    --------
    >>> as_read({"position": (1, 2)})
    {'position': [1, 2]}
    >>> as_read({"score": float("nan")}, {"score"})
    Violation(code='not_finite', json_path='$.score', message='NaN and Infinity are not JSON', errors=1)
    """
    try:
        raw = orjson.dumps(event if type(event) is dict else dict(event), option=_AS_IT_IS)
        if len(raw) > MAX_LINE_BYTES:
            return Violation("line_too_long", "$", f"over {MAX_LINE_BYTES} bytes")
        read: dict[str, Any] = orjson.loads(raw)
        # orjson writes NaN as null and knows types that JSON does not: then what is read is not what was given
        return read if read == event else _why(event, names) or read
    except Exception:  # noqa: BLE001  # an ingestion point must get a verdict whatever a caller's objects raise
        return _why_raised(event, names)


def _why_raised(event: Mapping[Any, Any], names: Container[str]) -> Violation:
    try:
        found = _why(event, names)
    except Exception:  # noqa: BLE001  # as above
        found = None
    return found or Violation("not_json", "$", "cannot be written as JSON")
