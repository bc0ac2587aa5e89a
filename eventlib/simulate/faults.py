"""Faults of single lines: off-plan events, and lines that no reader can take; each is named in the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import orjson

from eventlib.simulate.parameters import WorldParameters
from eventlib.simulate.transport import Lines

__all__ = ["BREAKS", "LONG_LINE_CHARS", "break_lines", "go_off_plan"]

LONG_LINE_CHARS: Final = 1_100_000
"""Over the 1 MiB that a line may have (S1.1)."""

_UNKNOWN: Final = ("video_play", "Page Viewed", "pageView", "scroll_50", "button_click_1234", "form_submit")


def _without(name: str) -> Callable[[bytes], bytes]:
    def remove(line: bytes) -> bytes:
        event = orjson.loads(line)
        event.pop(name, None)
        return orjson.dumps(event)

    return remove


def _with(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda line: orjson.dumps({**orjson.loads(line), **changes})


def _in_properties(text: bytes) -> Callable[[bytes], bytes]:
    """Put raw text first into `properties`, which every event has."""
    return lambda line: line.replace(b'"properties":{', b'"properties":{' + text + b",", 1)


def _leap(line: bytes) -> bytes:
    event = orjson.loads(line)
    return orjson.dumps({**event, "occurred_at": event["occurred_at"][:17] + "60Z"})


BREAKS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "broken_truncated": lambda line: line[: len(line) * 2 // 3],
    "broken_nan": _in_properties(b'"ratio":NaN'),
    "broken_type": _with(sequence="seventeen"),
    "broken_missing_id": _without("event_id"),
    "broken_missing_time": _without("occurred_at"),
    "broken_unknown_key": _with(anonymousId="a-1"),
    "broken_observation": lambda line: line.replace(b'"observation":"', b'"observation":"un', 1).replace(b'"method":"', b'"method":1,"_":"', 1),
    "broken_leap_second": _leap,
    "broken_duplicate_key": lambda line: line.replace(b"{", b'{"source":"twice",', 1),
    "broken_big_integer": _with(sequence=2**60),
    "broken_utf8": lambda line: line.replace(b'"source":"', b'"source":"\xff\xfe', 1),
    "broken_surrogate": _in_properties(b'"note":"\\ud800"'),
    "broken_not_object": lambda line: b"[" + line + b"]",
    "broken_nesting": _in_properties(b'"deep":' + b"[" * 10_000 + b"]" * 10_000),
    "blank": lambda _: b"",
}
"""Named ways to break a line; each result is refused by a rule of S1.1 or S1.2, but for the blank line, which is counted."""

_WEIGHTS: Final = np.array([0.02 if name == "broken_nesting" else 1.0 for name in BREAKS])


def go_off_plan(rng: np.random.Generator, lines: Lines, p: WorldParameters) -> None:
    """Give some events a name that no schema knows, or a version that is not known (yet)."""
    for i in np.flatnonzero(rng.random(len(lines)) < p.off_plan_share).tolist():
        draw = rng.random()
        if draw < 0.6:
            changes, fault = {"event_name": _UNKNOWN[int(rng.integers(len(_UNKNOWN)))]}, "unknown_event"
        elif draw < 0.8:
            changes, fault = {"schema_version": "2-0-0"}, "unknown_version"
        else:
            changes, fault = {"schema_version": "1-0-1"}, "newer_addition"
        lines.events[i] = {**lines.events[i], **changes}
        lines.fault[i] = fault


def break_lines(rng: np.random.Generator, raw: list[bytes], fault: list[str], p: WorldParameters) -> None:
    """Break some lines in place, and one in each large chunk by its sheer length."""
    names = list(BREAKS)
    chosen = np.flatnonzero(rng.random(len(raw)) < p.broken_share)
    for i, kind in zip(chosen.tolist(), rng.choice(len(names), len(chosen), p=_WEIGHTS / _WEIGHTS.sum()), strict=True):
        raw[i] = BREAKS[names[kind]](raw[i])
        fault[i] = names[kind]
    if len(raw) >= 10_000 and p.broken_share > 0:
        at = int(rng.integers(len(raw)))
        raw[at] = orjson.dumps({"event_id": "too-long", "event_name": "page_view", "properties": {"title": "x" * LONG_LINE_CHARS}})
        fault[at] = "broken_too_long"
