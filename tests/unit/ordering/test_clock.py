"""S3.1: what each tracker documents, as tables; and a late pipeline told from a clock that was set."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from eventlib.errors import BadCallError
from eventlib.timing import CLOCKS
from tests.unit.ordering.frames import ENGINES, START, clocked, times
from tests.unit.ordering.reference import HOUR, MINUTE, SECOND, Row

MS: Final = 1_000
DAY: Final = 24 * HOUR


def at(offset: int) -> int:
    """A time after START, in microseconds."""
    return START + offset


Line = tuple[int, int | None, int, int | None]
# occurred, sent, received, true time → derived, method; offsets in microseconds after START
SNOWPLOW: Final[list[tuple[Line, int, str]]] = [
    # no time of sending: the collector's time
    ((0, None, 5 * HOUR, None), 5 * HOUR, "snowplow"),
    # created before sent: the collector's time less the time that the event waited on the device
    ((0, 1 * MS, 30 * MS, None), 29 * MS, "snowplow"),
    ((0, 3 * HOUR, 3 * HOUR + 200 * MS, None), 200 * MS, "snowplow"),
    ((2 * DAY, 2 * DAY + MINUTE, HOUR, None), HOUR - MINUTE, "snowplow"),
    # created with or after sending: the collector's time
    ((0, 0, 30 * MS, None), 30 * MS, "snowplow"),
    ((5 * SECOND, 0, 30 * MS, None), 30 * MS, "snowplow"),
    # a true time overrules all of them, wherever it lies
    ((0, 3 * HOUR, 4 * HOUR, -9 * DAY), -9 * DAY, "snowplow"),
    ((0, None, 4 * HOUR, 7 * MS), 7 * MS, "snowplow"),
    ((5 * SECOND, 0, 30 * MS, 0), 0, "snowplow"),
]
SEGMENT: Final[list[tuple[Line, int, str]]] = [
    ((0, 1 * MS, 30 * MS, None), 29 * MS, "segment"),
    ((0, 3 * HOUR, 3 * HOUR + 200 * MS, None), 200 * MS, "segment"),
    # fast and slow clocks
    ((2 * DAY, 2 * DAY + MINUTE, HOUR, None), HOUR - MINUTE, "segment"),
    ((-2 * DAY, -2 * DAY + MINUTE, HOUR, None), HOUR - MINUTE, "segment"),
    # sent before it occurred: nothing guards the formula, and the event lands after its arrival
    ((5 * SECOND, 0, 30 * MS, None), 5 * SECOND + 30 * MS, "segment"),
    ((30 * HOUR, 0, 30 * MS, None), 30 * HOUR + 30 * MS, "segment"),
    # no time of sending: the record's own time; nobody vouches here
    ((0, None, 5 * HOUR, None), 0, "source"),
    ((0, 1 * MS, 30 * MS, 9 * DAY), 29 * MS, "segment"),
]
POSTHOG: Final[list[tuple[Line, int, str]]] = [
    ((0, 1 * MS, 30 * MS, None), 29 * MS, "posthog"),
    ((2 * DAY, 2 * DAY + MINUTE, HOUR, None), HOUR - MINUTE, "posthog"),
    ((5 * SECOND, 0, 30 * MS, None), 5 * SECOND + 30 * MS, "posthog"),
    ((0, None, 5 * HOUR, None), 0, "source"),
    # up to 23 h ahead of the arrival it stands, over that the arrival takes its place
    ((23 * HOUR, 0, 30 * MS, None), 23 * HOUR + 30 * MS, "posthog"),
    ((23 * HOUR + 1 * MS, 0, 30 * MS, None), 30 * MS, "posthog"),
    ((23 * HOUR, None, 0, None), 23 * HOUR, "source"),
    ((23 * HOUR + 1 * MS, None, 0, None), 0, "posthog"),
    # a clock that is a day ahead is skew, not the future
    ((DAY, DAY + SECOND, 2 * SECOND, None), SECOND, "posthog"),
]
AMPLITUDE: Final[list[tuple[Line, int, str]]] = [
    # less than a minute between upload and arrival: the event's own time
    ((0, 0, 59_999 * MS, None), 0, "source"),
    ((0, 59_999 * MS, 0, None), 0, "source"),
    ((7 * HOUR, 9 * HOUR, 9 * HOUR + SECOND, None), 7 * HOUR, "source"),
    # a minute or more: shifted by the difference, either way
    ((0, 0, MINUTE, None), MINUTE, "amplitude"),
    ((0, MINUTE, 0, None), -MINUTE, "amplitude"),
    ((2 * DAY, 2 * DAY + MINUTE, HOUR, None), HOUR - MINUTE, "amplitude"),
    ((5 * SECOND, 0, HOUR, None), HOUR + 5 * SECOND, "amplitude"),
    ((0, None, 5 * HOUR, None), 0, "source"),
]
TABLES: Final[dict[str, list[tuple[Line, int, str]]]] = {
    "snowplow": SNOWPLOW,
    "segment": SEGMENT,
    "posthog": POSTHOG,
    "amplitude": AMPLITUDE,
}


@pytest.mark.parametrize("where", ENGINES)
@pytest.mark.parametrize("policy", TABLES)
def test_published_behaviour(policy: str, where: str):
    lines = TABLES[policy]
    rows = [
        Row(
            n, at(occurred), None if sent is None else at(sent), at(received), device=n % 2 or None, event=n,
            true=None if true is None else at(true),
        )
        for n, ((occurred, sent, received, true), _, _) in enumerate(lines)
    ]  # fmt: skip
    found = clocked(rows, where, policy)
    for row, (line, derived, method) in zip(rows, lines, strict=True):
        time, offset, _, named = found[row.row]
        assert (time - START, named) == (derived, method), line
        assert offset == time - row.occurred, line


def test_unknown_policy_is_named():
    with pytest.raises(BadCallError, match=r"clock policy.*'atomic'"):
        clocked([Row(0, START, START, START)], policy="atomic")


def batch(
    first: int, true: int, *, delay: int = SECOND, clock: int = 0, events: int = 2, counted: bool = True
) -> list[Row]:
    """Events a second apart from `true` on, sent with the last of them."""
    sent = at(true + (events - 1) * SECOND)
    return [
        Row(
            first + n, at(true + n * SECOND) + clock, sent + clock, sent + delay,
            **({"sequence": first + n} if counted else {}), event=first + n,
        )
        for n in range(events)
    ]  # fmt: skip


def true_times(*batches: list[Row], clocks: dict[int, int] | None = None) -> list[int]:
    """When the events happened, a second of transport added, as the offset does."""
    wrong = clocks or {}
    return [row.occurred - wrong.get(n, 0) + SECOND for n, rows in enumerate(batches) for row in rows]


def flat(*batches: list[Row]) -> list[Row]:
    """All rows."""
    return [row for rows in batches for row in rows]


@pytest.mark.parametrize("where", ENGINES)
@pytest.mark.parametrize("counted", [True, False])
def test_batch_held_up_in_the_pipeline_keeps_its_time(where: str, counted: bool):
    sent = [
        batch(0, 0, counted=counted),
        batch(2, MINUTE, delay=5 * HOUR, counted=counted),
        batch(4, 2 * MINUTE, counted=counted),
        batch(6, DAY, counted=counted),
    ]
    assert times(flat(*sent), where) == true_times(*sent)


@pytest.mark.parametrize("where", ENGINES)
def test_outage_that_ends_for_all_batches_at_once(where: str):
    held = [batch(2 + 2 * n, n * HOUR, delay=6 * HOUR - n * HOUR) for n in range(1, 5)]
    sent = [batch(0, 0), *held, batch(20, 7 * HOUR)]
    assert times(flat(*sent), where) == true_times(*sent)


@pytest.mark.parametrize("where", ENGINES)
def test_last_batch_that_a_later_one_overtook(where: str):
    sent = [batch(0, 0), batch(2, MINUTE, delay=5 * HOUR), batch(4, 2 * MINUTE)]
    assert times(flat(*sent), where) == true_times(*sent)
    # without a counter nothing shows it: it may as well be a clock that was set back
    bare = [replace(row, sequence=2**62) for row in flat(*sent)]
    assert times(bare, where)[2] == bare[2].received - SECOND


@pytest.mark.parametrize("where", ENGINES)
@pytest.mark.parametrize("step", [-5 * HOUR, -2 * MINUTE, 2 * MINUTE, 5 * HOUR])
@pytest.mark.parametrize("counted", [True, False])
def test_clock_that_was_set_begins_a_stretch(where: str, step: int, counted: bool):
    sent = [batch(2 * n, n * MINUTE, clock=step * (n >= 2), counted=counted) for n in range(4)]
    wrong = {2: step, 3: step}
    assert times(flat(*sent), where) == true_times(*sent, clocks=wrong)
    assert len({found[2] for found in clocked(flat(*sent), where).values()}) == 2


@pytest.mark.parametrize("counted", [True, False])
def test_clock_that_was_set_back_and_forth_again(counted: bool):
    sent = [batch(2 * n, n * MINUTE, clock=-3 * HOUR * (2 <= n < 4), counted=counted) for n in range(6)]
    assert times(flat(*sent)) == true_times(*sent, clocks={2: -3 * HOUR, 3: -3 * HOUR})


def test_counter_tells_one_batch_under_a_clock_set_back_from_a_late_one():
    # while the clock was three hours back, one batch was sent; its numbers follow those that it seems to precede
    sent = [batch(2 * n, n * MINUTE, clock=-3 * HOUR * (n == 2)) for n in range(4)]
    assert times(flat(*sent)) == true_times(*sent, clocks={2: -3 * HOUR})


def test_clock_set_and_pipeline_late_on_one_device():
    sent = [
        batch(0, 0),
        batch(2, MINUTE, delay=4 * HOUR),
        batch(4, 2 * MINUTE),
        batch(6, DAY, clock=HOUR),
        batch(8, DAY + MINUTE, clock=HOUR, delay=2 * HOUR),
        batch(10, DAY + 2 * MINUTE, clock=HOUR),
        batch(12, 2 * DAY, clock=HOUR),
    ]
    assert times(flat(*sent)) == true_times(*sent, clocks=dict.fromkeys((3, 4, 5, 6), HOUR))


def test_jump_of_exactly_a_minute_is_none():
    sent = [batch(0, 0), batch(2, DAY, clock=-MINUTE), batch(4, 2 * DAY, clock=-2 * MINUTE - 1)]
    found = clocked(flat(*sent))
    assert found[0][2] == found[2][2] != found[4][2]


def test_small_falls_of_the_clock_are_smoothed_by_the_counter():
    # three events within a second, the clock slewed back by 0.4 s between them
    rows = [
        Row(n, at(occurred), at(10 * SECOND), at(11 * SECOND), sequence=n, event=n)
        for n, occurred in enumerate([0, 900 * MS, 500 * MS, 950 * MS])
    ]
    assert times(rows) == [at(us + SECOND) for us in (0, 900 * MS, 900 * MS, 950 * MS)]


def test_counter_that_runs_backwards_orders_nothing():
    rows = [
        Row(n, at(n * SECOND // 2), at(20 * SECOND), at(21 * SECOND), sequence=90 - n, event=n)
        for n in range(9)
    ]
    assert times(rows) == [row.occurred + SECOND for row in rows]


def test_times_past_what_floats_hold_stay_exact():
    # pandas takes running maxima through floats, which hold microseconds up to the year 2255
    far = START + 700 * 365 * DAY + 1
    rows = [
        Row(n, far + us, far + MINUTE, far + MINUTE + 1, sequence=n, event=n)
        for n, us in enumerate([0, 900_001, 900_000, SECOND])
    ]
    wanted = [far + us + 1 for us in (0, 900_001, 900_001, SECOND)]
    assert [times(rows, name) for name in ENGINES] == [wanted] * len(ENGINES)


def test_every_policy_is_tabled():
    assert set(CLOCKS) == {"device", *TABLES}


@pytest.mark.parametrize("broken", [73 * 365 * DAY, -20 * 365 * DAY])
def test_broken_time_in_a_late_batch_does_not_decide_about_the_rest(broken: int):
    late = batch(2, MINUTE, delay=5 * HOUR)
    sent = [batch(0, 0), late, batch(4, 2 * MINUTE)]
    odd = replace(late[0], row=9, event=9, occurred=late[0].occurred + broken)
    assert times([*flat(*sent), odd])[:-1] == true_times(*sent)
