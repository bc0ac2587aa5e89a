"""People and devices, AI-referred and others, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from eventlib import journeys
from eventlib.journeys.compared_times import _Curve
from eventlib.journeys.waiting import waits
from eventlib.small_cells import SMALL_CELL
from tests.unit.journeys.streams import Row, everyone, stream, streams

VIEW, LATER, BUY = ("phone", "view", 0), ("laptop", "view", 90), ("phone", "buy", 10)
ELSEWHERE = ("laptop", "buy", 100)
COMPARISONS: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "funnel": lambda events: journeys.compare_funnels(events, ["a", "b"], draws=20),
    "open funnel": lambda events: journeys.compare_funnels(
        events, ["a", "b"], kind="open", base="all", draws=20
    ),
    "transitions": lambda events: journeys.compare_transitions(events, draws=20),
    "visits": lambda events: journeys.compare_transitions(events, paths="visit", draws=20),
    "steps": lambda events: journeys.compare_steps(events, 4, draws=20),
    "times": lambda events: journeys.compare_times(events, "c", days=(0.01, 0.05, 0.1), draws=20),
}


def row(frame: pd.DataFrame, number: int) -> dict[str, Any]:
    """One row by name."""
    return {str(name): value for name, value in frame.to_dict("records")[number].items()}


def merged() -> pd.DataFrame:
    """40 people with one device, who view and of whom 20 buy; 20 with two, who view on both and buy on the phone."""
    return stream(
        everyone(20, VIEW, prefix="l")
        + everyone(20, VIEW, BUY, prefix="b")
        + everyone(20, VIEW, BUY, LATER, prefix="t")
    )


def test_merging_counts_a_buyer_with_two_devices_once():
    found = journeys.compare_funnels(merged(), ["view", "buy"])
    bought = found[found["arrival"] == "all"].set_index("step").loc["buy"]
    assert (bought["people"], bought["devices"]) == (40, 40)
    assert bought["people_share"] == pytest.approx(40 / 60)
    assert bought["devices_share"] == pytest.approx(40 / 80)
    assert bought["difference"] == pytest.approx(1 / 6)
    assert 0 < bought["lower"] < 1 / 6 < bought["upper"] < 0.3


def test_what_one_buys_on_another_device_is_a_device_that_never_viewed():
    events = stream(everyone(30, VIEW, ELSEWHERE) + everyone(30, VIEW, BUY, prefix="q"))
    found = journeys.compare_funnels(events, ["view", "buy"])
    opened = journeys.compare_funnels(events, ["view", "buy"], kind="open")
    assert (row(found, 1)["people"], row(found, 1)["devices"], row(opened, 1)["devices"]) == (60, 30, 60)


def test_the_difference_is_drawn_together():
    found = row(journeys.compare_funnels(merged(), ["view", "buy"]), 1)
    apart = (
        sum((found[f"{side}_upper"] - found[f"{side}_lower"]) ** 2 for side in ("people", "devices")) ** 0.5
    )
    assert found["upper"] - found["lower"] < 0.75 * apart
    pd.testing.assert_frame_equal(
        journeys.compare_funnels(merged(), ["view", "buy"]),
        journeys.compare_funnels(merged(), ["view", "buy"]),
    )


def test_the_interval_of_the_difference_covers_what_it_says():
    rng = np.random.default_rng(3)
    truth, held = 0.4 - 0.4 / 1.5, []
    for _ in range(120):
        rows: list[Row] = []
        for n in range(100):
            steps = [VIEW] + [BUY] * bool(rng.random() < 0.4) + [LATER] * bool(rng.random() < 0.5)
            rows += [(f"p{n}", f"p{n}-{device}", name, minutes) for device, name, minutes in steps]
        found = row(journeys.compare_funnels(stream(rows), ["view", "buy"], draws=60), 1)
        held.append(found["lower"] <= truth <= found["upper"])
    assert 0.82 < np.mean(held) < 0.97


@given(events=streams(devices=1))
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", COMPARISONS)
def test_with_one_device_each_merging_changes_nothing(events, name):
    found = COMPARISONS[name](events)
    shown = found.dropna(subset=["people"])
    assert shown["people"].tolist() == shown["devices"].tolist()
    assert (shown[["difference", "lower", "upper"]] == 0).all(axis=None)
    for bound in ("share", "lower", "upper"):
        assert shown[f"people_{bound}"].tolist() == shown[f"devices_{bound}"].tolist()


@given(events=streams(devices=3))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", COMPARISONS)
def test_no_count_and_no_difference_is_of_fewer_than_ten(events, name):
    found = COMPARISONS[name](events)
    for side in ("people", "devices"):
        counts = found[side].dropna().astype(int)
        assert not counts.between(1, SMALL_CELL - 1).any()
    assert found.loc[found["devices"].isna(), ["devices_share", "difference", "lower"]].isna().all(axis=None)


def reach_by_hand(events: pd.DataFrame, by: str, steps: str) -> list[dict[str, int]]:
    """Return by step how many people, or devices, of each person reached it in order."""
    found: list[dict[str, int]] = [{} for _ in steps]
    for (person, _), rows in events.groupby(["person_id", by]):
        at = 0
        for name in rows["event_name"]:
            if at < len(steps) and name == steps[at]:
                found[at][str(person)] = found[at].get(str(person), 0) + 1
                at += 1
    return found


@given(events=streams(devices=3))
@settings(max_examples=60, deadline=None)
def test_devices_are_told_where_merging_changed_them_for_nobody_or_for_ten(events):
    sides = [reach_by_hand(events, by, "ab") for by in ("person_id", "anonymous_id")]
    changed = [
        sum(one.get(p, 0) != other.get(p, 0) for p in {*one, *other})
        for one, other in zip(*sides, strict=True)
    ]
    found = COMPARISONS["funnel"](events)
    for step in range(2):  # the first rows are those of all
        told = row(found, step)
        if not pd.isna(told["people"]):
            assert told["people"] == sum(sides[0][step].values())
            few = any(0 < number < SMALL_CELL for number in (changed[0], changed[step]))
            assert pd.isna(told["devices"]) == few
            assert few or told["devices"] == sum(sides[1][step].values())


def test_what_merging_changed_for_few_is_not_told():
    rows = everyone(40, VIEW, BUY) + everyone(9, VIEW, BUY, LATER, ("laptop", "buy", 95), prefix="t")
    found = journeys.compare_funnels(stream(rows), ["view", "buy"])
    assert found.loc[:1, "people"].tolist() == [49, 49]
    assert found["devices"].isna().all()
    by_arrival = journeys.funnel_by_arrival(stream(rows), ["view", "buy"])
    assert by_arrival.loc[by_arrival["counted_by"] == "devices", "people"].isna().all()
    assert set(journeys.time_to_convert_by_unit(stream(rows), "buy")["counted_by"]) == {"people"}
    enough = journeys.compare_funnels(
        stream(rows + everyone(1, VIEW, BUY, LATER, ("laptop", "buy", 95), prefix="u")), ["view", "buy"]
    )
    assert enough.loc[:1, "devices"].tolist() == [60, 60]


def test_many_devices_of_few_people_are_few():
    rows = [(f"p{n % 9}", f"d{n}", name, minutes) for n in range(90) for _, name, minutes in (VIEW, BUY)]
    events = stream(rows)
    assert journeys.funnel(events, ["view", "buy"], "anonymous_id")["people"].isna().all()
    assert journeys.transitions(events, by="anonymous_id").empty
    assert journeys.step_matrix(events, by="anonymous_id").empty
    assert journeys.time_to_convert(events, "buy", by="anonymous_id").empty
    assert journeys.compare_transitions(events, paths="session").empty


def test_a_step_that_few_were_lost_on_the_way_to_is_not_shown_and_the_next_is_counted_from_the_last():
    rows = everyone(30, ("d", "a", 0), ("d", "b", 1), ("d", "c", 2)) + everyone(
        4, ("d", "a", 0), ("d", "b", 1), prefix="q"
    )
    rows += everyone(6, ("d", "a", 0), prefix="r")
    found = journeys.funnel(stream(rows), ["a", "b", "c"])
    assert found["people"].tolist() == [40, pd.NA, 30]
    assert found["from_previous"].isna().tolist() == [False, True, True], "30 of 34 would tell of the 34"


def test_a_step_at_which_few_journeys_ended_is_not_shown_as_over():
    long = everyone(30, *[("d", name, i) for i, name in enumerate("abab")])
    short = everyone(3, ("d", "a", 0), ("d", "b", 1), prefix="q") + everyone(12, ("d", "a", 0), prefix="r")
    matrix = journeys.step_matrix(stream(long + short), 4).set_index("event_name")
    over = matrix.query("event_name == '(end)'").to_numpy(dtype=float)[0]
    assert over[1] == pytest.approx(12 / 45)
    assert np.isnan(over).tolist() == [False, False, True, True], "three more than at step 2"
    compared = journeys.compare_steps(stream(long + short), 4)
    assert compared.loc[compared["step"] == 3, "event_name"].tolist() == [], (
        "one alone would be had from the rest"
    )


def test_ai_referred_visitors_less_others():
    bought = everyone(20, VIEW, BUY, prefix="b")
    ai = stream(bought + everyone(20, VIEW, prefix="l"), engine="chatgpt")
    other = stream(everyone(15, VIEW, BUY, prefix="c") + everyone(45, VIEW, prefix="m"))
    found = row(journeys.compare_arrivals(pd.concat([ai, other]), ["view", "buy"]), 1)
    assert [found[name] for name in ("ai", "other", "ai_share", "other_share")] == [20, 15, 0.5, 0.25]
    assert found["difference"] == 0.25
    assert 0.05 < found["lower"] < 0.25 < found["upper"] < 0.45
    moves = journeys.compare_transitions(pd.concat([ai, other]), between="arrivals", paths="session")
    told = moves[(moves["source"] == "view") & (moves["target"] == "buy")]
    assert told[["ai", "other"]].to_numpy().tolist() == [[20, 15]]


def test_a_weighted_curve_is_the_plain_one_where_all_weigh_the_same():
    events = stream(
        [
            (f"p{n}", f"p{n}", name, at)
            for n in range(60)
            for name, at in (("view", n), ("buy", 3 * n))
            if name == "view" or n % 2
        ]
    )
    curve = journeys.time_to_convert(events, "buy")
    each = waits(events, "buy", "person_id")
    people = pd.Index(each["person"])
    weighted = _Curve(each, people, [float(day) for day in curve["days"]]).share(np.ones(len(people)))
    assert weighted == pytest.approx(curve["share"].to_numpy(), abs=1e-12)
    twice = _Curve(each, people, [0.05]).share(np.full(len(people), 2.0))
    assert twice == pytest.approx(_Curve(each, people, [0.05]).share(np.ones(len(people))), abs=1e-12)


def test_time_to_convert_of_people_and_of_devices():
    found = journeys.compare_times(merged(), "buy", days=(0.005, 0.02))
    assert found["people"].isna().tolist()[0], "nobody had bought after seven minutes"
    later = row(found, 1)
    assert (later["people"], later["devices"]) == (40, 40)
    assert later["people_share"] == pytest.approx(40 / 60)
    assert later["devices_share"] > 0.5, "the laptops came at the end of the log, and are not at risk"
    curves = journeys.time_to_convert_by_unit(merged(), "buy")
    assert curves.groupby("counted_by").size().to_dict() == {"devices": 1, "people": 1}


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_next_to_nothing(rows):
    events = stream(everyone(1, VIEW)).head(rows)
    assert journeys.compare_funnels(events, ["view", "buy"])["people"].isna().all()
    assert journeys.compare_arrivals(events, ["view"])["ai"].isna().all()
    assert journeys.compare_times(events, "buy")["people"].isna().all()
    assert journeys.time_to_convert_by_unit(events).empty
    between: Literal["units", "arrivals"]
    for between in ("units", "arrivals"):
        assert journeys.compare_transitions(events, between=between).empty
        assert journeys.compare_steps(events, between=between).empty
