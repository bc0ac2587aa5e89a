"""S3 and S5 "for any": against the reference, and what may not change."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from eventlib.timing import CLOCK_METHODS, CLOCKS, Timing
from tests.unit.ordering import reference
from tests.unit.ordering.frames import ENGINES, START, clocked, flow, logs
from tests.unit.ordering.reference import HOUR, MINUTE, NONE, SECOND, Row

_QUICK = [Phase.explicit, Phase.reuse, Phase.generate]  # shrinking a log of a few devices takes minutes
_POLARS = settings(max_examples=40, deadline=None, phases=_QUICK)
_ALL = settings(max_examples=4, deadline=None, phases=_QUICK)

timings = st.builds(
    Timing,
    clock=st.sampled_from(CLOCKS),
    late=st.sampled_from([HOUR, 5 * MINUTE]),
    too_late=st.sampled_from([72 * HOUR, 90 * MINUTE]),
    ahead=st.sampled_from([23 * HOUR, HOUR]),
    session_gap=st.sampled_from([30 * MINUTE, 10 * SECOND]),
    session_age=st.sampled_from([24 * HOUR, HOUR]),
)


def expected(rows: list[Row], timing: Timing) -> dict[str, Any]:
    """What the stages must give, by the plain loops."""
    timed = reference.clock(rows, timing.clock)
    limits = {"late": timing.late, "too_late": timing.too_late, "ahead": timing.ahead}
    stay, go = reference.lateness(rows, timed, **limits)
    left = [row for row in rows if row.row in stay]
    gone, renamed = reference.duplicates(left)
    kept = [row for row in left if row.row not in gone]
    session = reference.sessions(kept, timed, gap=timing.session_gap, age=timing.session_age)
    return {
        "order": reference.total_order(kept, timed, renamed),
        "rows": {
            row.row: (
                timed[row.row].time,
                timed[row.row].offset,
                timed[row.row].method,
                int(stay[row.row]),
                int(row.row in renamed),
                session[row.row],
            )
            for row in kept
        },
        "late": {row: (code,) for row, code in go.items()},
        "duplicates": gone,
    }


def named(found: dict[str, Any]) -> dict[str, Any]:
    """Write methods by name."""
    rows = {row: (*value[:2], CLOCK_METHODS[value[2]], *value[3:]) for row, value in found["rows"].items()}
    return {**found, "rows": rows}


def distinct(rows: list[Row]) -> list[Row]:
    """Leave out rows that nothing but their number tells from another: which copy stays is nobody's business."""
    return list({replace(row, row=0): row for row in reversed(rows)}.values())[::-1]


def contents(rows: list[Row], found: dict[str, Any]) -> Any:
    """The result by what the rows hold, whatever their numbers: in order, and what was taken out."""
    content = {row.row: replace(row, row=0) for row in rows}
    kept = [(content[row], found["rows"][row]) for row in found["order"]]
    return kept, Counter((content[row], code) for row, code in found["late"].items())


@_POLARS
@given(rows=logs(), timing=timings)
def test_stages_do_what_the_rules_say(rows: list[Row], timing: Timing):
    rows = distinct(rows)
    assert named(flow(rows, "polars", timing)) == expected(rows, timing)


@_ALL
@given(rows=logs(), timing=timings)
def test_engines_agree(rows: list[Row], timing: Timing):
    found = [flow(distinct(rows), name, timing) for name in ENGINES]
    assert found[0] == found[1] == found[2]


@_POLARS
@given(rows=logs(), timing=timings, seed=st.randoms(use_true_random=False))
def test_order_of_lines_changes_nothing(rows: list[Row], timing: Timing, seed: Any):
    shuffled = rows.copy()
    seed.shuffle(shuffled)
    shuffled = [replace(row, row=number) for number, row in enumerate(shuffled)]
    one, other = flow(rows, "polars", timing), flow(shuffled, "polars", timing)
    assert contents(rows, one) == contents(shuffled, other)
    assert len(one["duplicates"]) == len(other["duplicates"])


@_POLARS
@given(rows=logs(), timing=timings, again=st.lists(st.integers(0, 20), max_size=6))
def test_lines_twice_change_nothing_but_the_count_of_duplicates(
    rows: list[Row], timing: Timing, again: list[int]
):
    twice = rows + [replace(rows[n % len(rows)], row=len(rows) + k) for k, n in enumerate(again)]
    one, other = flow(rows, "polars", timing), flow(twice, "polars", timing)
    assert contents(rows, one)[0] == contents(twice, other)[0]
    assert set(contents(rows, one)[1]) == set(contents(twice, other)[1])
    taken = len(one["late"]) + len(one["duplicates"]) + len(again)
    assert len(other["late"]) + len(other["duplicates"]) == taken


@_POLARS
@given(rows=logs(), timing=timings, device=st.integers(1, 3))
def test_devices_alone_get_what_they_get_among_others(rows: list[Row], timing: Timing, device: int):
    # ids that clash are told apart across devices; what is recomputed alone is closed under them
    rows = [row if row.event == row.row else replace(row, event=row.row, fingerprint=0) for row in rows]
    alone = [row for row in rows if row.device == device]
    if not alone:
        return
    whole, part = flow(rows, "polars", timing), flow(alone, "polars", timing)
    mine = {row.row for row in alone}
    assert [row for row in whole["order"] if row in mine] == part["order"]
    assert {row: value for row, value in whole["rows"].items() if row in mine} == part["rows"]
    assert {row: value for row, value in whole["late"].items() if row in mine} == part["late"]


@_POLARS
@given(rows=logs(), hours=st.sampled_from([-30, -1, 1, 7]), device=st.integers(1, 3))
def test_clock_that_is_always_wrong_changes_no_time(rows: list[Row], hours: int, device: int):
    rows = [row for row in rows if row.sent is not None]
    wrong = [
        replace(row, occurred=row.occurred + hours * HOUR, sent=(row.sent or 0) + hours * HOUR)
        if row.device == device
        else row
        for row in rows
    ]
    one, other = clocked(rows), clocked(wrong)
    assert {row: found[0] for row, found in one.items()} == {row: found[0] for row, found in other.items()}


@_POLARS
@given(rows=logs(devices=2), place=st.integers(0, 50), counted=st.booleans(), broken=st.booleans())
def test_far_future_event_moves_no_other(rows: list[Row], place: int, counted: bool, broken: bool):
    beside = rows[place % len(rows)]
    if beside.device is None:
        return
    far = START + 73 * 365 * 24 * HOUR
    # either one event's own time is in 2099, or the clock was set to 2099 while it was sent
    sent = far if broken else beside.sent
    sequence = beside.sequence if counted else NONE
    odd = replace(
        beside, row=len(rows), occurred=far, sent=sent, sequence=sequence, event=10_000, fingerprint=0
    )
    one, other = clocked(rows), clocked([*rows, odd])
    moved = {row for row in one if one[row][0] != other[row][0]}
    strangers = {row.row for row in rows if row.device != beside.device or row.channel != beside.channel}
    assert not moved & strangers
    if not broken:
        # the smallest delay of its own stretch, which it may share with others, can be its own
        beyond = {row for row in moved if other[row][2] != other[odd.row][2]}
        assert all(abs(one[row][0] - other[row][0]) <= SECOND for row in beyond)


@pytest.mark.parametrize("where", ENGINES)
def test_restart_and_the_year_2099_move_nobody_else(where: str):
    def said(n: int, second: float, **fields: Any) -> Row:
        at = START + round(second * SECOND)
        return Row(n, at, at, at + SECOND, event=n, **fields)

    rows = [said(n, 10 * n, sequence=n + 1) for n in range(6)]
    others = [said(6 + n, 10 * n, sequence=n + 1, device=2) for n in range(4)]
    anew = [said(10 + n, 100 + 10 * n, sequence=n) for n in range(4)]
    far = replace(said(14, 25, sequence=4), occurred=START + 73 * 365 * 24 * HOUR)
    plain = clocked([*rows, *others], where)
    found = clocked([*rows, *others, *anew, far], where)
    assert all(found[row.row][0] == plain[row.row][0] == row.occurred + SECOND for row in rows + others)
    assert [found[row.row][0] for row in anew] == [row.occurred + SECOND for row in anew]
    assert len({found[row.row][2] for row in rows}) == 1
    assert found[14][2] != found[0][2] != found[10][2]


@_POLARS
@given(rows=logs())
def test_along_a_stretch_times_rise_with_the_counter(rows: list[Row]):
    found = clocked(rows)
    for stream in reference.streams(rows):
        for number in {found[row.row][2] for row in stream}:
            mine = [row for row in stream if found[row.row][2] == number]
            counted = sorted((row for row in mine if row.sequence != NONE), key=reference.by_count)
            rising = reference.lifts(mine)
            times = [found[row.row][0] for row in counted]
            if rising:
                assert times == sorted(times)
            for row in mine:
                assert found[row.row][0] >= row.occurred + found[row.row][1]
