"""S3.1 to S3.5 and S5 once more, in plain loops, for tests to hold the stages against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
NONE: Final = 2**62


@dataclass(frozen=True)
class Row:
    """One event as the stages see it, times in microseconds; `sequence` is NONE where there is none."""

    row: int
    occurred: int
    sent: int | None
    received: int
    sequence: int = NONE
    device: int | None = 1
    source: int = 1
    channel: int = 1
    event: int = 0
    fingerprint: int = 0
    copy: int = 0
    true: int | None = None

    @property
    def left(self) -> int:
        """When it was sent, or received where that is not known."""
        return self.received if self.sent is None else self.sent

    @property
    def delay(self) -> int:
        """The whole way from device to collector, wrong clock included."""
        return self.received - self.left

    @property
    def ties(self) -> tuple[int, int, int]:
        """What breaks every tie."""
        return self.event, self.fingerprint, self.copy


@dataclass(frozen=True)
class Timed:
    """What the clock gives an event."""

    time: int
    offset: int
    stretch: int
    method: str


def by_arrival(row: Row) -> Any:
    """Order of arrival."""
    return row.received, row.left, row.occurred, row.ties


def by_clock(row: Row) -> Any:
    """Order by the device's own clock."""
    return row.occurred, row.sequence, row.received, row.left, row.ties


def by_count(row: Row) -> Any:
    """Order by the device's own counter."""
    return row.sequence, row.occurred, row.received, row.left, row.ties


def streams(rows: Iterable[Row]) -> list[list[Row]]:
    """Group what one clock may have stamped."""
    found = defaultdict(list)
    for row in rows:
        if row.device is not None:
            found[row.device, row.source, row.channel, row.sent is None].append(row)
    return list(found.values())


def split(rows: Sequence[Row], cut: Callable[[Row, Row], bool]) -> list[list[Row]]:
    """Cut a sequence between neighbours."""
    parts = [[rows[0]]] if rows else []
    for before, after in pairwise(rows):
        if cut(before, after):
            parts.append([])
        parts[-1].append(after)
    return parts


def jumped(before: Row, after: Row) -> bool:
    """Tell whether the delay moved by over a minute."""
    return abs(after.delay - before.delay) > MINUTE


def fell(before: Row, after: Row) -> bool:
    """Tell whether the counter fell although the clock moved on."""
    return after.sequence < before.sequence and after.occurred - before.occurred > SECOND


def raised_over_level(arrived: Sequence[Row]) -> list[bool]:
    """Tell which arrivals stand over the level of their clock by more than a jump."""
    delays = [row.delay for row in arrived]
    return [delay - max(min(delays[: i + 1]), min(delays[i:])) > MINUTE for i, delay in enumerate(delays)]


def suspected(arrived: Sequence[Row]) -> tuple[dict[int, str], dict[int, int]]:
    """Return the rows that may be late, with why they are suspect, and on which level each row is to be laid."""
    raised = raised_over_level(arrived)
    levels = split([row for row, above in zip(arrived, raised, strict=True) if not above], jumped)
    on = {row.row: number for number, part in enumerate(levels) for row in part}
    suspects: dict[int, str] = {}
    if len(levels) > 1 and levels[-1][0].delay - levels[-2][-1].delay > MINUTE:
        suspects = {row.row: "open" for row in levels[-1]}
        on.update({row: len(levels) - 2 for row in suspects})
    for place in [i for i, above in enumerate(raised) if above]:
        lower = next(arrived[i] for i in range(place, -1, -1) if not raised[i])
        upper = next(arrived[i] for i in range(place, len(arrived)) if not raised[i])
        suspects[arrived[place].row] = "open" if jumped(lower, upper) else "closed"
        on[arrived[place].row] = on[lower.row]
    return suspects, on


def evidence(rows: Sequence[Row], suspects: dict[int, str], on: dict[int, int]) -> tuple[set[int], set[int]]:
    """Return the rows at which a counter falls on their level, and those that a later counted one overtook."""
    against, proof = set(), set()
    laid = defaultdict(list)
    for row in sorted(rows, key=by_clock):
        if row.row in on and row.sequence != NONE and -MINUTE <= row.left - row.occurred <= 72 * HOUR:
            laid[on[row.row]].append(row)
    for before, after in (pair for part in laid.values() for pair in pairwise(part)):
        if fell(before, after):
            against |= {before.row, after.row}
        overtook = after.sequence > before.sequence and after.received < before.received
        if overtook and after.row not in suspects:
            proof.add(before.row)
    return against, proof


def late_in_the_pipeline(rows: Sequence[Row]) -> set[int]:
    """Find the rows of a stream whose delay rose for the pipeline's sake."""
    arrived = sorted(rows, key=by_arrival)
    suspects, on = suspected(arrived)
    against, proof = evidence(rows, suspects, on)
    late = set()
    for run in split(arrived, jumped):
        mine = [row for row in run if row.row in suspects]
        ids = {row.row for row in mine}
        if not mine or ids & against:
            continue
        taken = max(r.left for r in mine) - min(r.left for r in mine)
        let_go = max(r.received for r in mine) - min(r.received for r in mine)
        closed = {suspects[row] for row in ids} == {"closed"}
        if ids & proof or (closed and (taken == 0 or 2 * let_go <= taken)):
            late |= ids
    return late


def stretches(rows: Sequence[Row]) -> list[list[Row]]:
    """Cut a stream into its stretches, in order."""
    late = late_in_the_pipeline(rows)
    clock: dict[int, int] = {}
    number, before = 0, None
    for row in sorted(rows, key=by_arrival):
        if row.row not in late:
            number += before is not None and jumped(before, row)
            before = row
        clock[row.row] = number
    found = []
    for part in range(number + 1):
        mine = sorted((row for row in rows if clock[row.row] == part), key=by_clock)
        life, lives, counted = 0, [], None
        for row in mine:
            if row.sequence != NONE:
                life += counted is not None and fell(counted, row)
                counted = row
            lives.append(life)
        found += [[row for row, n in zip(mine, lives, strict=True) if n == k] for k in range(life + 1)]
    return found


def lifts(stretch: Sequence[Row]) -> dict[int, int]:
    """Say how far the running maximum along the counter stands above each event."""
    top, above = -(2**62), {}
    for row in sorted((row for row in stretch if row.sequence != NONE), key=by_count):
        top = max(top, row.occurred)
        above[row.row] = top - row.occurred
    return above if max(above.values(), default=0) <= SECOND else {}


def by_tracker(row: Row, policy: str) -> tuple[int, bool]:
    """Return the time as the tracker's pipeline gives it, and whether the record's own time stands."""
    if policy == "snowplow":
        if row.true is not None:
            return row.true, False
        early = row.sent is not None and row.occurred < row.sent
        return (row.received - (row.left - row.occurred) if early else row.received), False
    if row.sent is None or (policy == "amplitude" and abs(row.delay) < MINUTE):
        time, own = row.occurred, True
    else:
        time, own = row.received - (row.sent - row.occurred), False
    if policy == "posthog" and time - row.received > 23 * HOUR:
        return row.received, False
    return time, own


def clock(rows: Sequence[Row], policy: str = "device") -> dict[int, Timed]:
    """Correct the times (S3.1, S3.3)."""
    found = {row.row: Timed(row.occurred, 0, 0, "source") for row in rows if row.device is None}
    for stream in streams(rows):
        for number, stretch in enumerate(stretches(stream)):
            lifted = lifts(stretch)
            offset = min(row.delay for row in stretch)
            method = "source" if stretch[0].sent is None else "device"
            for row in stretch:
                time = row.occurred + offset + lifted.get(row.row, 0)
                found[row.row] = Timed(time, offset, number, method)
    if policy != "device":
        for row in rows:
            time, own = by_tracker(row, policy)
            method = "source" if own else policy
            found[row.row] = replace(found[row.row], time=time, offset=time - row.occurred, method=method)
    return found


def lateness(
    rows: Iterable[Row], timed: dict[int, Timed], *, late: int, too_late: int, ahead: int
) -> tuple[dict[int, bool], dict[int, str]]:
    """Judge lateness (S3.2): the rows that stay with `is_late`, and those that go with why."""
    stay, go = {}, {}
    for row in rows:
        delays = (row.left - row.occurred, row.received - row.left) if row.sent is not None else (0, 0)
        if max(delays) > too_late:
            go[row.row] = "too_late"
        elif timed[row.row].time - row.received > ahead:
            go[row.row] = "future_time"
        else:
            stay[row.row] = max(delays) > late
    return stay, go


def duplicates(rows: Sequence[Row]) -> tuple[set[int], set[int]]:
    """Return the copies that go, and the events that need another id (S3.4); copies equal in all but `row` are alike."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.source, row.event].append(row)
    gone, renamed = set(), set()
    for group in groups.values():
        ordered = sorted(group, key=attrgetter("received", "copy", "row"))
        first: dict[int, Row] = {}
        for row in ordered:
            if row.fingerprint in first:
                gone.add(row.row)
            first.setdefault(row.fingerprint, row)
        kept = sorted(first.values(), key=attrgetter("received", "copy", "fingerprint"))
        renamed |= {row.row for row in kept[1:]}
    return gone, renamed


def total_order(rows: Iterable[Row], timed: dict[int, Timed], renamed: set[int]) -> list[int]:
    """Sort by (event_time, source, device, ordinal, event) (S3.5), nulls last; of clashing events the renamed ones later."""

    def key(row: Row) -> Any:
        device = (row.device is None, row.device or 0)
        return (
            timed[row.row].time,
            row.source,
            device,
            timed[row.row].stretch,
            row.sequence,
            row.event,
            row.row in renamed,
            row.copy,
            row.fingerprint,
        )

    return [row.row for row in sorted(rows, key=key)]


def sessions(rows: Iterable[Row], timed: dict[int, Timed], *, gap: int, age: int) -> dict[int, int]:
    """Number each device's sessions (S5); 0 is none."""
    found = {row.row: 0 for row in rows if row.device is None}
    devices = defaultdict(list)
    for row in rows:
        if row.device is not None:
            devices[row.device].append(row)
    for mine in devices.values():
        number, start, before = 0, 0, None
        for row in sorted(mine, key=lambda row: timed[row.row].time):
            time = timed[row.row].time
            if before is None or time - before > gap or time - start > age:
                number, start = number + 1, time
            found[row.row], before = number, time
    return found
