"""Whose journeys are counted, and what one is."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings

from eventlib import journeys
from eventlib.errors import BadCallError
from eventlib.journeys.moves import edges_of, journey_steps
from tests.unit.journeys.streams import everyone, stream, streams


def visits(*rows: tuple[str, float]) -> list[str]:
    """The visits of one person with these (device, minutes)."""
    return journeys.person_visits(stream([("p", device, "page_view", at) for device, at in rows])).tolist()


def test_a_visit_goes_on_where_a_person_turns_to_another_device():
    assert visits(("phone", 0), ("laptop", 20)) == ["phone/0", "phone/0"]


def test_a_pause_of_exactly_30_minutes_is_the_same_visit():
    assert visits(("phone", 0), ("laptop", 30)) == ["phone/0", "phone/0"]
    assert visits(("phone", 0), ("laptop", 30.01)) == ["phone/0", "laptop/0"]


def test_what_cut_a_device_s_sessions_stands_unless_another_device_joins_them():
    assert visits(("phone", 0), ("phone", 40)) == ["phone/0", "phone/1"]
    assert visits(("phone", 0), ("laptop", 20), ("phone", 40)) == ["phone/0"] * 3
    events = stream([("p", "phone", "page_view", 0.0), ("p", "phone", "page_view", 10.0)])
    events["session_id"] = ["s1", "s2"]  # cut for its age
    assert journeys.person_visits(events).tolist() == ["s1", "s2"]


def test_who_still_reads_has_not_gone():
    rows = [
        ("p", "phone", "page_view", 0.0),
        ("p", "phone", "page_engage", 25.0),
        ("p", "laptop", "page_view", 50.0),
    ]
    assert journeys.human_events(stream(rows))["visit_id"].tolist() == ["phone/0"] * 2


@given(events=streams(devices=1))
@settings(max_examples=30, deadline=None)
def test_with_one_device_each_a_visit_is_a_session(events):
    assert journeys.person_visits(events).tolist() == events["session_id"].tolist()


@given(events=streams(devices=3))
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("by", ["person_id", "anonymous_id"])
@pytest.mark.parametrize("paths", ["session", "visit", "stream"])
def test_every_step_is_followed_by_one_move(events, by, paths):
    steps = journey_steps(events, by, paths=paths, collapse_repeats=False)
    assert edges_of(steps)["moves"].sum() == len(events)
    ends = edges_of(steps).query("target == '(end)'")["moves"].sum()
    assert ends == steps["path"].nunique()
    begun = edges_of(journey_steps(events, by, paths=paths, start=True))
    incoming, outgoing = (begun.groupby(side)["moves"].sum() for side in ("target", "source"))
    assert incoming.drop("(end)").sort_index().to_dict() == outgoing.drop("(start)").sort_index().to_dict()


def test_a_person_s_stream_joins_what_devices_end():
    events = stream(everyone(20, ("phone", "page_view", 0), ("laptop", "form_submit", 600)))
    people = journeys.transitions(events, paths="stream").set_index(["source", "target"])["moves"]
    devices = journeys.transitions(events, paths="stream", by="anonymous_id").set_index(["source", "target"])
    assert people.to_dict() == {("page_view", "form_submit"): 20, ("form_submit", "(end)"): 20}
    assert devices["moves"].to_dict() == {("page_view", "(end)"): 20, ("form_submit", "(end)"): 20}
    assert devices["devices"].tolist() == devices["people"].tolist() == [20, 20]


def test_a_name_that_is_none_is_refused_with_the_nearest():
    events = stream(everyone(1, ("phone", "page_view", 0)))
    with pytest.raises(BadCallError, match=r"unknown unit to count by 'person'. Did you mean 'person_id'"):
        journeys.funnel(events, ["page_view"], "person")
    with pytest.raises(BadCallError, match="Did you mean 'stream'"):
        journeys.transitions(events, paths="streams")  # type: ignore[arg-type]  # what a caller may write
    with pytest.raises(BadCallError, match="Did you mean 'closed'"):
        journeys.funnel(events, ["page_view"], kind="close")  # type: ignore[arg-type]  # as above
    with pytest.raises(BadCallError, match="Did you mean 'units'"):
        journeys.compare_steps(events, between="unit")  # type: ignore[arg-type]  # as above


def test_a_step_that_comes_again_needs_another_event():
    twice = everyone(10, ("d", "page_view", 0), ("d", "page_view", 5))
    once = everyone(20, ("d", "page_view", 0), prefix="q")
    assert journeys.funnel(stream(twice + once), ["page_view", "page_view"])["people"].tolist() == [30, 10]


def test_at_one_time_the_order_of_the_stream_decides():
    events = stream(
        everyone(12, ("d", "a", 0), ("d", "b", 0)) + everyone(11, ("d", "b", 0), ("d", "a", 0), prefix="q")
    )
    assert journeys.funnel(events, ["a", "b"])["people"].tolist() == [23, 12]
    assert journeys.funnel(events, ["a", "b"], kind="open", base="all")["people"].tolist() == [23, 23]


def test_shares_of_all_count_who_never_came_to_the_first_step():
    events = stream(everyone(20, ("d", "a", 0)) + everyone(20, ("d", "b", 0), prefix="q"))
    assert journeys.funnel(events, ["a"], base="all")["share"].tolist() == [0.5]
    assert pd.isna(journeys.funnel(events, ["c"], base="all")["people"].iloc[0])
