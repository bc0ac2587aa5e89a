"""How times are corrected and judged: the policies and limits of S3 and S5, read in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self

from eventlib.errors import BadCallError
from eventlib.units import DAY, HOUR, MINUTE, SECOND

__all__ = ["CLOCKS", "CLOCK_METHODS", "LENGTHS", "Duration", "Timing", "read_duration"]

Duration = str | timedelta
"""A length of time: a `timedelta`, or a number with a unit, such as `30min` or `3d`."""

LENGTHS: Final = ("late", "too_late", "ahead", "session_gap", "session_age")
"""Parameters that are durations."""

CLOCKS: Final = ("device", "snowplow", "segment", "posthog", "amplitude")
"""Clock policies (S3.1), the default first."""

CLOCK_METHODS: Final = ("source", *CLOCKS)
"""What `clock_method` says, by the code that stages carry: `source` where the record's own time stands."""

_UNITS: Final = {
    "us": 1, "ms": 1_000, "s": SECOND, "sec": SECOND, "m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY,
}  # fmt: skip
_WRITTEN: Final = re.compile(r"([0-9]{1,12})(\.[0-9]{1,6})? ?([a-z]{1,3})", re.ASCII)
_LONGEST: Final = 100 * 365 * DAY


def read_duration(name: str, given: Duration) -> int:
    """Return a length of time in microseconds.

    Parameters
    ----------
    name
        What it is for, in the caller's words; only errors use it.
    given
        A `timedelta`, or a number with one of the units ms, s, min, h, d, w.

    Raises
    ------
    BadCallError
        If it is no length of time, is negative, or is over a hundred years.

    Examples
    --------
    >>> read_duration("--late", "30min")
    1800000000
    >>> read_duration("--late", "half an hour")
    Traceback (most recent call last):
    ...
    eventlib.errors.BadCallError: --late takes a duration such as 30min, 24h or 3d, not 'half an hour'
    """
    if isinstance(given, timedelta):
        micros = given // timedelta(microseconds=1)
    else:
        match = _WRITTEN.fullmatch(given) if isinstance(given, str) else None
        if match is None or match[3] not in _UNITS:
            raise BadCallError(f"{name} takes a duration such as 30min, 24h or 3d, not {given!r}")
        unit = _UNITS[match[3]]
        micros = int(match[1]) * unit + (
            int(match[2][1:]) * unit // 10 ** len(match[2][1:]) if match[2] else 0
        )
    if not 0 <= micros <= _LONGEST:
        raise BadCallError(f"{name} takes a duration from 0 to a hundred years, not {given!r}")
    return micros


@dataclass(frozen=True, slots=True)
class Timing:
    """The parameters of clock, lateness and sessions; lengths of time in microseconds.

    Attributes
    ----------
    clock : str
        The clock policy (S3.1), one of `CLOCKS`.
    late, too_late : int
        Delay of device or pipeline over which an event is late, and over which it is refused (S3.2).
    ahead : int
        How far ahead of its arrival an event may be (S3.2).
    session_gap, session_age : int
        The longest pause within a session, and its greatest age (S5).
    """

    clock: str = "device"
    late: int = HOUR
    too_late: int = 3 * DAY
    ahead: int = 23 * HOUR
    session_gap: int = 30 * MINUTE
    session_age: int = DAY

    def __post_init__(self) -> None:
        """Refuse a policy that there is none of."""
        if self.clock not in CLOCKS:
            raise BadCallError.unknown("clock policy", self.clock, CLOCKS)

    @classmethod
    def of(cls, clock: str = "device", **lengths: Duration) -> Self:
        """Read what a caller gave; the names of durations are the attributes'.

        Raises
        ------
        BadCallError
            If the policy is unknown or a duration cannot be read.
        """
        return cls(clock, **{name: read_duration(name, given) for name, given in lengths.items()})

    def tightest(self, other: Timing) -> Timing:
        """Return the lesser of each limit over which an event is refused, of two sets of limits."""
        return replace(self, too_late=min(self.too_late, other.too_late), ahead=min(self.ahead, other.ahead))

    def written(self) -> dict[str, str]:
        """Return the parameters as `run.json` has them; `of` reads them again."""
        return {"clock": self.clock, **{name: _write(getattr(self, name)) for name in LENGTHS}}


def _write(micros: int) -> str:
    """Write a length of time in the largest unit that it is a whole number of."""
    unit = next(name for name in ("d", "h", "min", "s", "ms", "us") if micros % _UNITS[name] == 0)
    return f"{micros // _UNITS[unit]}{unit}"
