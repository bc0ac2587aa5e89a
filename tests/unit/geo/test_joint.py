"""S7.9: edited pages that compete in the same answers are judged as one; pages are counted exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.geo_edit_worlds import T0, WEEK, Edit, Spec, draw_world, joint_ratio, stages
from benchmarks.geo_edits import frames_of, verdicts_of
from eventlib.errors import BadCallError
from eventlib.geo.edit_dates import edit_calendar
from eventlib.geo.experiments import judge_edits
from eventlib.geo.joint import placebo_groups
from eventlib.geo.page_counts import Window, page_counts, rivalry
from eventlib.geo.stages import Stage

SPEC = Spec(pages=120, weeks=18, per_week=25.0)
TOPICS = 12


@pytest.fixture(scope="module")
def world():
    return draw_world(np.random.default_rng(11), SPEC)


@pytest.fixture(scope="module")
def pair(world):
    """Two pages of one topic, both lifted, and one of another topic that was edited to no effect."""
    edits = [Edit(3, 9.0, ratio=1.6), Edit(3 + TOPICS, 9.4, ratio=1.6), Edit(5, 10.0)]
    verdicts, placebos = verdicts_of(SPEC, edits, stages(world, edits)[:1])
    return verdicts.set_index("edit_id"), placebos, joint_ratio(world, edits[:2])


def test_a_pair_that_competes_has_one_verdict(pair):
    verdicts, placebos, truth = pair
    joint = verdicts.loc["e000+e001"]
    assert (joint["edits"], joint["state"], joint["content_id"]) == (2, "better", "c003 + c015")
    assert abs(np.log(joint["change"] / truth)) < 2.5 * joint["error"]
    assert joint["placebos"] >= 40
    assert (placebos["edit_id"] == "e000+e001").sum() == joint["placebos"]


def test_its_members_are_not_claimed_alone(pair):
    verdicts, _, _ = pair
    members = verdicts.loc[["e000", "e001"]]
    assert members["state"].tolist() == ["judged jointly"] * 2
    assert members["joint_id"].tolist() == ["e000+e001"] * 2
    assert members[["p", "q"]].isna().all(axis=None)
    assert members["change"].notna().all()
    assert "competes with c015" in members["reason"].iloc[0]
    assert "not by this edit alone" in members["sentence"].iloc[0]


def test_who_does_not_compete_stands_alone(pair):
    verdicts, _, _ = pair
    assert verdicts["joint_id"].isna().tolist() == [False, False, False, True]
    assert verdicts.loc["e002", "state"] == "no difference shown"


def test_edits_at_times_that_do_not_overlap_are_no_group(world):
    edits = [Edit(3, 7.0), Edit(3 + TOPICS, 9.0)]
    calendar = edit_calendar(frames_of(edits), "e", T0 + SPEC.weeks * WEEK, T0)
    week = {
        "after_to": [10, 16],
        "before_from": [0, 10],
        "before_to": [3, 13],
        "edited_us": [7, 13],
        "after_from": [8, 14],
    }
    calendar = calendar.assign(**{name: [T0 + at * WEEK for at in weeks] for name, weeks in week.items()})
    calendar = calendar.assign(weeks_before=3, weeks_after=2)
    verdicts, _ = judge_edits(calendar, stages(world)[:1], "e")
    assert verdicts["edits"].tolist() == [1, 1]


def stage(content: list[str], answer: list[str], time_us: list[int], cluster: list[str]) -> Stage:
    size = len(content)
    columns = (np.array(column, dtype=object) for column in (content, cluster))
    names, people = columns
    return Stage(
        "cite", names, people, np.array(time_us, dtype=np.int64), np.array(answer, dtype=object),
        np.arange(size, dtype=np.float64), np.ones(size), 0.5,
    )  # fmt: skip


def calendar_of(**dates: int) -> pd.DataFrame:
    return pd.DataFrame([dates])


@pytest.fixture
def counted():
    rows = stage(
        ["a", "b", "a", "c", "a"], ["1", "1", "2", "2", "3"], [0, 5, 10, 15, 20], ["p", "p", "q", "q", "p"]
    )
    dates = calendar_of(before_from=0, before_to=10, edited_us=10, after_from=10, after_to=20)
    return page_counts(rows, rivalry([rows], 0.05), dates)


def test_counts_by_hand(counted):
    observed, expected = counted.within(Window(0, 10))
    assert (observed.tolist(), expected.tolist()) == ([0.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    observed, expected = counted.within(Window(10, 20))
    assert (observed.tolist(), expected.tolist()) == ([2.0, 0.0, 3.0], [1.0, 0.0, 1.0])


def test_people_are_counted_once_a_window(counted):
    assert counted.people(Window(0, 21)).tolist() == [2, 1, 1]
    assert counted.people(Window(10, 21)).tolist() == [2, 0, 1]
    assert counted.people(Window(1, 10)).tolist() == [0, 1, 0]


def test_what_pages_share_by_hand(counted):
    # a was expected in answers 1, 2 and 3; b competed in 1 of the three, a in all that b and c had
    assert counted.near(0).tolist() == [1.0, 1.0, 1.0]
    assert counted.near(1).round(3).tolist() == [0.333, 1.0, 0.0]


def test_placebo_groups_compete(counted):
    free = np.array([True, True, True])
    assert placebo_groups(counted, free, 2).tolist() == [[0, 1], [1, 0], [2, 0]]
    assert placebo_groups(counted, free, 4).shape == (0, 4)


def test_a_way_of_observing_that_does_not_exist_is_named():
    with pytest.raises(BadCallError, match="unknown observation 'panel'"):
        judge_edits(pd.DataFrame(), [], "e", observation="panel")


def test_a_calendar_without_a_column_is_refused():
    calendar = edit_calendar(frames_of([Edit(3, 9.0)]), "e", T0 + SPEC.weeks * WEEK, T0)
    with pytest.raises(BadCallError, match="judge_edits needs the columns before_to"):
        judge_edits(calendar.drop(columns="before_to"), [], "e")
    assert judge_edits(calendar, [], "e")[0].empty
