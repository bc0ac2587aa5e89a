"""Lengths of time in microseconds, in which the column world counts."""

from __future__ import annotations

from typing import Final

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND"]

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
