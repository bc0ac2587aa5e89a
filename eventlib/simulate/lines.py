"""Lines of the log beside their truth; some of them off-plan, some broken, each fault named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

if TYPE_CHECKING:
    from eventlib.simulate.parameters import Ints, WorldParameters

__all__ = ["BREAKS", "Labels", "Lines", "break_lines", "pack", "stamp"]

Labels = Callable[[int], list[str]]
"""Gives the next n event ids."""

LONG_LINE_CHARS: Final = 1_100_000
"""Over the 1 MiB that a line may have (S1.1)."""

_UNKNOWN: Final = ("video_play", "Page Viewed", "pageView", "scroll_50", "button_click_1234", "form_submit")


@dataclass(frozen=True)
class Lines:
    """Lines of the log and what is true of each."""

    raw: list[bytes]
    ids: list[str]
    received: Ints  # µs
    true_time: Ints  # µs
    person: list[str]
    fault: list[str]

    def __len__(self) -> int:
        return len(self.raw)

    def head(self, n: int) -> Lines:
        """Return the first n lines."""
        return Lines(*(column[:n] for column in self._columns()))

    def _columns(self) -> tuple[Any, ...]:
        return self.raw, self.ids, self.received, self.true_time, self.person, self.fault

    @classmethod
    def of(cls, parts: list[Lines]) -> Lines:
        """Concatenate."""
        return cls(
            [line for part in parts for line in part.raw],
            [name for part in parts for name in part.ids],
            np.concatenate([part.received for part in parts]),
            np.concatenate([part.true_time for part in parts]),
            [person for part in parts for person in part.person],
            [fault for part in parts for fault in part.fault],
        )

    def sorted(self) -> Lines:
        """Return the lines in the order of arrival."""
        order = np.argsort(self.received, kind="stable")
        where = order.tolist()
        return Lines(
            [self.raw[i] for i in where],
            [self.ids[i] for i in where],
            self.received[order],
            self.true_time[order],
            [self.person[i] for i in where],
            [self.fault[i] for i in where],
        )


def stamp(times: Ints) -> list[str]:
    """Return RFC 3339 texts with milliseconds.

    >>> stamp(np.array([1_785_715_200_123_000]))
    ['2026-08-03T00:00:00.123Z']
    """
    texts: list[str] = np.datetime_as_string((times // 1000).astype("M8[ms]"), timezone="UTC").tolist()
    return texts


def _off_plan(rng: np.random.Generator) -> tuple[dict[str, str], str]:
    """Draw a name that no schema knows, or a version that is not known (yet)."""
    draw = rng.random()
    if draw < 0.6:
        return {"event_name": _UNKNOWN[int(rng.integers(len(_UNKNOWN)))]}, "unknown_event"
    if draw < 0.8:
        return {"schema_version": "2-0-0"}, "unknown_version"
    return {"schema_version": "1-0-1"}, "newer_addition"


def pack(
    rng: np.random.Generator,
    events: list[dict[str, Any]],
    received: Ints,
    true_time: Ints,
    p: WorldParameters,
    *,
    person: list[str],
    fault: list[str],
) -> Lines:
    """Write events as lines; some go off-plan on the way."""
    named = list(fault)
    for i in np.flatnonzero(rng.random(len(events)) < p.off_plan_share).tolist():
        changes, named[i] = _off_plan(rng)
        events[i] = {**events[i], **changes}
    ids = [event["event_id"] for event in events]
    # orjson gives each text a block of several kilobytes: the copy takes as much as it needs
    raw = [bytes(memoryview(orjson.dumps(event))) for event in events]
    return Lines(raw, ids, received, true_time, person, named)


def _without(name: str) -> Callable[[bytes], bytes]:
    def remove(line: bytes) -> bytes:
        return orjson.dumps({key: value for key, value in orjson.loads(line).items() if key != name})

    return remove


def _with(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda line: orjson.dumps({**orjson.loads(line), **changes})


def _in_properties(text: bytes) -> Callable[[bytes], bytes]:
    """Put raw text first into `properties`, which every event has."""
    return lambda line: line.replace(b'"properties":{', b'"properties":{' + text + b",", 1)


def _leap(line: bytes) -> bytes:
    event = orjson.loads(line)
    return orjson.dumps({**event, "occurred_at": event["occurred_at"][:17] + "60Z"})


def _unobserved(line: bytes) -> bytes:
    event = orjson.loads(line)
    return orjson.dumps({**event, "properties": {**event["properties"], "observation": "guessed"}})


BREAKS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "broken_truncated": lambda line: line[: len(line) * 2 // 3],
    "broken_nan": _in_properties(b'"ratio":NaN'),
    "broken_type": _with(sequence="seventeen"),
    "broken_missing_id": _without("event_id"),
    "broken_missing_time": _without("occurred_at"),
    "broken_unknown_key": _with(anonymousId="a-1"),
    "broken_observation": _unobserved,
    "broken_leap_second": _leap,
    "broken_duplicate_key": lambda line: line.replace(b"{", b'{"source":"twice",', 1),
    "broken_big_integer": _with(sequence=2**60),
    "broken_utf8": lambda line: line.replace(b'"source":"', b'"source":"\xff\xfe', 1),
    "broken_surrogate": _in_properties(b'"note":"\\ud800"'),
    "broken_not_object": lambda line: b"[" + line + b"]",
    "broken_nesting": _in_properties(b'"deep":' + b"[" * 10_000 + b"]" * 10_000),
    "blank": lambda _: b"",
}
"""Named ways to break a line: each is refused by S1.1 or S1.2, but for the blank line, which is counted."""

_WEIGHTS: Final = np.array([0.02 if name == "broken_nesting" else 1.0 for name in BREAKS])


def break_lines(rng: np.random.Generator, lines: Lines, p: WorldParameters) -> Lines:
    """Break some lines, and one in each large chunk by its sheer length."""
    raw, fault, names = list(lines.raw), list(lines.fault), list(BREAKS)
    chosen = np.flatnonzero(rng.random(len(raw)) < p.broken_share).tolist()
    kinds = rng.choice(len(names), len(chosen), p=_WEIGHTS / _WEIGHTS.sum()).tolist()
    for i, kind in zip(chosen, kinds, strict=True):
        raw[i] = BREAKS[names[kind]](raw[i])
        fault[i] = names[kind]
    if len(raw) >= 10_000 and p.broken_share > 0:
        at = int(rng.integers(len(raw)))
        long = {
            "event_id": lines.ids[at],
            "event_name": "page_view",
            "properties": {"title": "x" * LONG_LINE_CHARS},
        }
        raw[at], fault[at] = orjson.dumps(long), "broken_too_long"
    return Lines(raw, lines.ids, lines.received, lines.true_time, lines.person, fault)
