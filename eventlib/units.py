"""Lengths of time in microseconds, in which the column world counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Final

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "end_of_day"]

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def end_of_day(day: date) -> int:
    """Return the last moment of a day, in microseconds since 1970 UTC.

    >>> end_of_day(date(1970, 1, 1)) == DAY - 1
    True
    """
    return int(datetime.combine(day, time(), UTC).timestamp()) * SECOND + DAY - 1
