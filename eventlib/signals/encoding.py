"""How the bundle's files are written: JSON with sorted keys, JSON lines, moments in UTC; the same bytes each time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["as_json", "as_lines", "finite", "read_lines", "stamp"]


def as_json(value: Any) -> bytes:
    """Return a value as indented JSON with sorted keys, and a newline."""
    return (
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)
        + b"\n"
    )


def as_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return one JSON object per line, keys in the order given."""
    return b"".join(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for row in rows)


def read_lines(path: Path) -> list[Any]:
    """Return what stands in each line of a file of JSON lines.

    Raises
    ------
    orjson.JSONDecodeError
        A line is not JSON.
    """
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def stamp(moment: dt.datetime) -> str:
    """Return a moment in UTC with microseconds.

    >>> stamp(dt.datetime(2026, 11, 1, 4, tzinfo=dt.timezone(dt.timedelta(hours=1))))
    '2026-11-01T03:00:00.000000+00:00'
    """
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def finite(value: Any) -> Any:
    """Return the value, None for a number that JSON does not know."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
