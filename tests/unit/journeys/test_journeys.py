from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from eventlib import journeys
from eventlib.intervals import wilson

START = pd.Timestamp("2026-10-01", tz="UTC")


def log(*rows: tuple[str, str, float], engine: str | None = None) -> pd.DataFrame:
    """Events of (person, name, minutes); a person's device is its own and its session the day's."""
    frame = pd.DataFrame(rows, columns=["person_id", "event_name", "minutes"])
    frame["anonymous_id"] = "a-" + frame["person_id"]
    frame["session_id"] = "s-" + frame["person_id"]
    frame["event_time"] = START + pd.to_timedelta(frame["minutes"], unit="min")
    frame["ai_engine"] = pd.Series([engine] * len(frame), dtype="object")
    frame["agent"] = pd.Series([None] * len(frame), dtype="object")
    frame["allow_analytics"] = True
    return frame.sort_values(["event_time", "person_id"], kind="stable", ignore_index=True)


def people(number: int, *steps: str, prefix: str = "p", engine: str | None = None) -> pd.DataFrame:
    """So many people who take the same steps, a minute apart."""
    rows = [(f"{prefix}-{n}", step, float(i)) for n in range(number) for i, step in enumerate(steps)]
    return log(*rows, engine=engine)


def test_wilson_is_the_published_interval():
    low, high = wilson([0, 10, 3], [10, 10, 0])
    assert low[0] == 0
    assert high[0] == pytest.approx(0.2129, abs=1e-4)  # z²/(n + z²), z = 1.6449
    assert high[1] == 1
    assert math.isnan(low[2])


def test_a_funnel_counts_people_once_and_in_order():
    done = people(20, "page_view", "page_view", "conversion_complete")
    wrong_way = people(10, "conversion_complete", "page_view", prefix="w")
    frame = journeys.funnel(pd.concat([done, wrong_way]), ["page_view", "conversion_complete"])
    assert frame["people"].tolist() == [30, 20]
    assert frame["share"].tolist() == [1.0, pytest.approx(2 / 3)]
    assert frame["lower"].iloc[1] < 2 / 3 < frame["upper"].iloc[1]
    assert frame["lower"].iloc[0] == frame["upper"].iloc[0] == 1, "the first step is all of itself"


def test_a_step_of_under_ten_people_is_not_shown():
    events = pd.concat([people(20, "page_view"), people(9, "page_view", "conversion_complete", prefix="c")])
    frame = journeys.funnel(events, ["page_view", "conversion_complete"])
    assert pd.isna(frame["people"].iloc[1])
    assert pd.isna(frame["share"].iloc[1])


def test_arrival_is_by_person_and_the_site_assistant_is_no_arrival():
    events = pd.concat(
        [
            people(12, "page_view", prefix="ai", engine="chatgpt"),
            people(12, "page_view", "conversion_complete", prefix="buys", engine="chatgpt"),
            people(12, "page_view", "conversion_complete", prefix="own", engine="site_assistant"),
        ]
    )
    frame = journeys.funnel_by_arrival(events, ["page_view", "conversion_complete"])
    counted = frame.set_index(["counted_by", "arrival", "step"])["people"]
    assert counted["people", "AI answer", "page_view"] == 24
    assert counted["people", "other", "conversion_complete"] == 12
    assert journeys.last_share(frame, "AI answer")[0] == 0.5
    assert journeys.last_share(frame, "other")[0] == 1


def test_transitions_skip_repeats_and_end_each_session():
    frame = journeys.transitions(people(15, "page_view", "page_view", "page_exit"))
    moves = frame.set_index(["source", "target"])
    assert sorted(moves.index) == [("page_exit", "(end)"), ("page_view", "page_exit")]
    assert list(moves.loc[("page_view", "page_exit"), ["moves", "people", "share"]]) == [15, 15, 1.0]


def test_the_bootstrap_draws_people_and_repeats_itself():
    # one person makes half of all moves: an interval that counted moves would be far too narrow
    busy = log(*[("busy", name, float(i)) for i, name in enumerate(["page_view", "passage_copy"] * 30)])
    calm = people(30, "page_view", "page_exit")
    rest = people(15, "page_view", "user_logout", prefix="r")  # left out with the one person's move
    events = pd.concat([busy, calm, rest])
    frame = journeys.transitions(events)
    edge = frame[(frame["source"] == "page_view") & (frame["target"] == "page_exit")].iloc[0]
    assert edge["share"] == pytest.approx(0.4)
    low, high = wilson([30], [75])
    assert edge["upper"] - edge["lower"] > 2 * (high - low)[0]
    pd.testing.assert_frame_equal(frame, journeys.transitions(events))


def test_the_step_matrix_adds_up_down_each_column():
    matrix = journeys.step_matrix(people(15, "page_view", "page_exit"), steps=3).set_index("event_name")
    assert matrix[1].to_dict() == {"page_exit": 0, "page_view": 1, "(end)": 0}
    assert matrix[3].to_dict() == {"page_exit": 0, "page_view": 0, "(end)": 1}


def test_time_to_convert_is_kaplan_and_meiers():
    converted = [
        (f"c-{n}", name, at)
        for n in range(20)
        for name, at in (("page_view", 0.0), ("conversion_complete", 1440.0))
    ]
    waiting = [(f"w-{n}", "page_view", 0.0) for n in range(20)]
    last = [("z", "page_view", 2880.0)]
    curve = journeys.time_to_convert(log(*converted, *waiting, *last))
    assert curve["days"].tolist() == [1.0]
    assert curve["share"].tolist() == [pytest.approx(0.5)]
    assert curve["at_risk"].tolist() == [40], "who came on the last day is not at risk after a day"
    assert 0.3 < curve["lower"][0] < 0.5 < curve["upper"][0] < 0.7


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_next_to_nothing_give_empty_frames(rows):
    events = people(1, "page_view").head(rows)
    assert journeys.transitions(events).empty
    assert journeys.time_to_convert(events).empty
    assert journeys.funnel(events, ["page_view"])["people"].isna().all()
    assert journeys.human_events(events).shape[0] == rows


def test_agents_heartbeats_and_what_is_not_allowed_are_no_steps():
    events = people(1, "page_view", "page_engage", "page_exit", "page_view")
    events.loc[2, "allow_analytics"] = False
    events.loc[3, "agent"] = "GPTBot"
    assert journeys.human_events(events)["event_name"].tolist() == ["page_view"]


def test_people_by_number_of_identifiers():
    sizes = journeys.group_sizes(identified(15 * [1] + 12 * [2] + 8 * [3] + 2 * [7])).set_index("identifiers")
    assert sizes["people"].to_dict() == {"1": 15, "2": 12, "3 or more": 10}
    assert sizes["share"].sum() == pytest.approx(1)
    assert journeys.group_sizes(identified([1] * 9)).empty


def identified(sizes: list[int]) -> pd.DataFrame:
    """People with so many identifiers each: a device, the rest accounts."""
    rows = [
        (f"p-{n}", "anonymous_id" if i == 0 else "user_id", f"{n}-{i}")
        for n, size in enumerate(sizes)
        for i in range(size)
    ]
    return pd.DataFrame(rows, columns=["person_id", "namespace", "identifier"])


def test_rules_that_concern_few_stand_together():
    rows = [
        (rule, f"{rule}-{n}", f"{rule}-u{n}", 2)
        for rule, size in (("a", 20), ("b", 7), ("c", 3))
        for n in range(size)
    ]
    refused = pd.DataFrame(rows, columns=["rule", "left_identifier", "right_identifier", "events"])
    assert journeys.refusals(refused)[["rule", "pairs"]].to_numpy().tolist() == [
        ["a", 20],
        ["rare rules together", 10],
    ]
    assert journeys.refusals(refused[refused["rule"] == "c"]).empty


def test_a_hidden_arrival_hides_the_other():
    few = log(*[(f"c-{n}", "page_view", float(n)) for n in range(5)], engine="chatgpt")
    compared = journeys.funnel_by_arrival(pd.concat([few, people(30, "page_view")]), ["page_view"])
    assert compared["people"].isna().all()
    assert journeys.last_share(compared, "other") == (None, None, None)


def test_a_small_cell_of_the_step_matrix_takes_the_next_smallest_with_it():
    parts = [people(30, "page_view"), people(20, "user_login"), people(4, "passage_copy")]
    units = [
        part.assign(**{c: part[c] + f"-{i}" for c in ("anonymous_id", "person_id", "session_id")})
        for i, part in enumerate(parts)
    ]
    matrix = journeys.step_matrix(pd.concat(units), steps=1).set_index("event_name")
    assert matrix[1].to_dict() == {"page_view": pytest.approx(30 / 54)}


def test_no_step_of_the_curve_is_one_person():
    rows = [(f"c-{n}", "page_view", 0.0) for n in range(25)]
    rows += [(f"c-{n}", "conversion_complete", 10.0 * (n + 1)) for n in range(25)]
    curve = journeys.time_to_convert(log(*rows))
    assert curve["share"].tolist() == pytest.approx([10 / 25, 20 / 25])


def test_an_interval_covers_what_it_says():
    rng = np.random.default_rng(5)
    hits = rng.binomial(40, 0.3, size=4000)
    low, high = wilson(hits, np.full(4000, 40))
    assert 0.87 < ((low <= 0.3) & (high >= 0.3)).mean() < 0.93
