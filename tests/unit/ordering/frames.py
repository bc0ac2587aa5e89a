"""Rows of the reference as frames of the engines, and what the stages make of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import pyarrow as pa
from hypothesis import strategies as st

from eventlib.engine import Engine, Frame, engine
from eventlib.ordering import ORDER, correct_clock, remove_duplicates, remove_late
from eventlib.sessions import number_sessions
from eventlib.timing import CLOCK_METHODS, Timing
from tests.unit.ordering.reference import HOUR, MINUTE, NONE, SECOND, Row

ENGINES: Final = ("duckdb", "polars", "pandas")
START: Final = 1_790_000_000 * SECOND


@cache
def shared(name: str) -> Engine:
    """An engine for many small frames."""
    return engine(name)


def table(rows: Sequence[Row]) -> pa.Table:
    """The narrow frame, as `eventlib.narrow` gives it."""
    copies = [sum((r.source, r.event) == (row.source, row.event) for r in rows) for row in rows]
    columns: dict[str, list[Any]] = {
        "row": [row.row for row in rows],
        "device": [row.device for row in rows],
        "source_key": [row.source for row in rows],
        "channel_key": [row.channel for row in rows],
        "occurred": [row.occurred for row in rows],
        "sent": [row.sent for row in rows],
        "received": [row.received for row in rows],
        "true_time": [row.true for row in rows],
        "sequence": [row.sequence for row in rows],
        "event_key": [row.event for row in rows],
        "fingerprint_key": [row.fingerprint for row in rows],
        "copy_key": [row.copy for row in rows],
        "copies": copies,
    }
    return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})


def by_row(found: pa.Table, *columns: str) -> dict[int, tuple[Any, ...]]:
    """Columns of a result by row."""
    rows = found["row"].to_pylist()
    assert len(set(rows)) == len(rows)
    return dict(zip(rows, zip(*(found[name].to_pylist() for name in columns), strict=True), strict=True))


def clocked(rows: Sequence[Row], where: str = "polars", policy: str = "device") -> dict[int, tuple[Any, ...]]:
    """`(event_time, clock_offset, stretch, clock_method)` by row."""
    at = shared(where)
    found = at.collect(correct_clock(at, at.frame(table(rows)), policy))
    at.forget()
    times = by_row(found, "event_time", "clock_offset", "stretch", "clock_method")
    return {
        row: (time, offset, stretch, CLOCK_METHODS[code])
        for row, (time, offset, stretch, code) in times.items()
    }


def times(rows: Sequence[Row], where: str = "polars", policy: str = "device") -> list[int]:
    """`event_time` in the order of `rows`."""
    found = clocked(rows, where, policy)
    return [found[row.row][0] for row in rows]


def flow(rows: Sequence[Row], where: str, timing: Timing) -> dict[str, Any]:
    """Run clock, lateness, duplicates, order and sessions, as the flow does without consent."""
    at = shared(where)
    timed = at.checkpoint(correct_clock(at, at.frame(table(rows)), timing.clock))
    stay, go = remove_late(at, timed, late=timing.late, too_late=timing.too_late, ahead=timing.ahead)
    kept, gone = remove_duplicates(at, stay)
    numbered: Frame = number_sessions(at, kept, gap=timing.session_gap, age=timing.session_age)
    found = at.collect(numbered.sort(*ORDER, nulls_last=True))
    late, copies = at.collect(go), at.collect(gone.select("row"))
    at.forget()
    return {
        "order": found["row"].to_pylist(),
        "rows": by_row(found, "event_time", "clock_offset", "clock_method", "is_late", "renamed", "session"),
        "late": by_row(late, "removed_by"),
        "duplicates": set(copies["row"].to_pylist()),
    }


_PAUSES: Final = (5 * SECOND, 90 * SECOND, 29 * MINUTE, 3 * HOUR, 30 * HOUR)
_STEPS: Final = (0, SECOND // 2, SECOND, 10 * SECOND, 30 * MINUTE, 30 * MINUTE + 1)
_SLIPS: Final = (0, 0, 0, -SECOND // 2, -SECOND, -30 * SECOND, 70 * 365 * 24 * HOUR)


def _log(draw: Any, device: int) -> list[Row]:
    """Draw a device's log: visits, batches, a clock that may be set, a counter that may start anew, a late pipeline."""

    def one_of(*values: int) -> int:
        return int(draw(st.sampled_from(values)))

    rows: list[Row] = []
    true, clock, count = START + one_of(0, HOUR), 0, 1
    counts, steady = draw(st.booleans()), draw(st.booleans())
    for _ in range(draw(st.integers(1, 6))):
        true += one_of(*_PAUSES)
        clock = clock if steady else one_of(clock, clock, clock, 0, 20 * SECOND, -2 * HOUR, 26 * HOUR)
        count = one_of(count, count, count, count, 1)
        backwards = one_of(0, 0, 0, 1)
        batch = []
        for n in range(draw(st.integers(1, 4))):
            true += SECOND // 2 if backwards else one_of(*_STEPS)
            slip = 0 if backwards else one_of(*_SLIPS)
            sequence = (count + 10 - 2 * n * backwards) if counts and one_of(1, 1, 1, 1, 0) else NONE
            batch.append((true + clock + slip, sequence))
            count += 1
        sent = true + one_of(0, 0, 5 * SECOND, 4 * HOUR, 73 * HOUR)
        left = None if one_of(1, 1, 1, 1, 1, 1, 0) == 0 else sent + clock
        received = sent + one_of(SECOND, SECOND, SECOND, 2 * HOUR, 7 * HOUR, 80 * HOUR)
        channel = one_of(1, 1, 1, 1, 2)
        rows += [
            Row(0, occurred, left, received, number, device, channel=channel) for occurred, number in batch
        ]
    return rows


@st.composite
def logs(draw: Any, devices: int = 3) -> list[Row]:
    """Logs of a few devices, some rows without one; some ids clash, some events are sent again."""
    drawn = [row for device in range(1, draw(st.integers(1, devices)) + 1) for row in _log(draw, device)]
    made: list[Row] = []
    for row in drawn:
        event = len(made) if draw(st.integers(0, 9)) else draw(st.integers(0, len(made)))
        device = row.device if draw(st.integers(0, 12)) else None
        true = draw(st.sampled_from([None, None, row.occurred - HOUR]))
        fingerprint = len(made) if event != len(made) else 0
        made.append(
            Row(
                len(made), row.occurred, row.sent, row.received, row.sequence, device, row.source, row.channel, event,
                fingerprint, 0, true,
            )
        )  # fmt: skip
        if draw(st.integers(0, 9)) == 0:
            later = draw(st.sampled_from([0, 40 * SECOND, 2 * HOUR]))
            again = made[-1]
            sent = again.sent if again.sent is None or draw(st.booleans()) else again.sent + later
            made.append(
                Row(
                    len(made), again.occurred, sent, again.received + later, again.sequence, again.device, again.source,
                    again.channel, again.event, again.fingerprint, int(sent != again.sent), again.true,
                )
            )  # fmt: skip
    return made
