"""What changed in the last days of a log, page by page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eventlib.errors import BadCallError
from eventlib.geo.changes import CHANGES, score_changes
from eventlib.geo.engagement import score_engine
from eventlib.geo.observed import Observed
from eventlib.geo.stages import Stage

DAY = 86_400_000_000


def _observed(moved: int, seed: int = 0, rows: int = 30_000, pages: int = 30) -> Observed:
    """Visits of 84 days; the first pages satisfy twice as often in the last 28."""
    rng = np.random.default_rng(seed)
    time_us = np.sort(rng.integers(0, 84 * DAY, rows))
    page = rng.integers(0, pages, rows)
    chance = np.where((page < moved) & (time_us >= 56 * DAY), 0.6, 0.3)
    happened = (rng.random(rows) < chance).astype(float)
    base = float(happened.mean())
    names = np.array([f"c-{i:02d}" for i in page], dtype=object)
    stage = Stage(
        "satisfy", names, rng.integers(0, 3_000, rows).astype(object), time_us, np.full(rows, "", dtype=object),
        happened, np.full(rows, base), base,
    )  # fmt: skip
    return Observed("e", "owned", (stage,))


def test_pages_that_moved_are_told_and_others_are_not():
    table, reason = score_changes(_observed(moved=3), 28, replicates=40, draws=400)
    assert reason == ""
    assert table.columns.tolist() == list(CHANGES)
    rose = table[table["word"] == "rose"]
    assert set(rose["content_id"]) == {"c-00", "c-01", "c-02"}
    assert (rose["lower"] > 1.2).all()


def test_where_nothing_moved_nothing_is_told():
    told = 0
    for seed in range(10):
        table, _ = score_changes(_observed(moved=0, seed=seed, rows=12_000), 28, replicates=30, draws=400)
        told += int(table["word"].ne("as before, as far as can be told").sum())
    assert told <= 2  # of 300 pages


def test_the_change_is_since_over_before():
    table, _ = score_changes(_observed(moved=3), 28, replicates=40, draws=400)
    assert (table["since"] / table["before"]).to_numpy() == pytest.approx(table["change"].to_numpy())
    assert (table["lower"] < table["change"]).all()
    assert (table["change"] < table["upper"]).all()


@pytest.mark.parametrize("days", [84, 10**12])
def test_a_log_too_short_says_so(days):
    table, reason = score_changes(_observed(moved=0, rows=500), days)
    assert table.empty
    assert reason == f"the log is no longer than {days} days"


@pytest.mark.parametrize("days", [0, -28])
def test_days_that_are_none_are_refused(days):
    with pytest.raises(BadCallError, match=f"days is {days}; .* give 1 or more"):
        score_changes(_observed(moved=0, rows=500), days)


def test_one_event_of_a_wrong_clock_does_not_empty_the_last_days():
    seen = _observed(moved=3)
    stage = seen.stages[0]
    late = replace(stage, time_us=np.append(stage.time_us[:-1], 4_000 * DAY))
    assert replace(seen, stages=(late,)).end_us == pytest.approx(seen.end_us, abs=DAY)
    table, reason = score_changes(replace(seen, stages=(late,)), 28, replicates=40, draws=400)
    assert reason == ""
    assert set(table.loc[table["word"] == "rose", "content_id"]) == {"c-00", "c-01", "c-02"}


def test_one_event_of_a_wrong_clock_does_not_age_all_others():
    stage = _observed(moved=0, rows=8_000).stages[0]
    late = replace(stage, time_us=np.append(stage.time_us[:-1], 4_000 * DAY))
    faded = score_engine("e", [late], half_life_days=14, replicates=20, draws=200)
    assert faded.frame["expected_satisfy"].sum() > 500  # a half-life of 14 days keeps about a quarter of 84
    assert faded.frame["enough"].all()


def test_a_stage_that_ends_before_the_last_days_is_left_out_of_both_sides():
    seen = _observed(moved=0, rows=12_000)
    read = seen.stages[0]
    ended = replace(read.within(0, 50 * DAY), name="click")
    table, reason = score_changes(replace(seen, stages=(ended, read)), 28, replicates=20, draws=200)
    assert reason == "without click, not seen on both sides"
    assert len(table) == 30
    table, reason = score_changes(replace(seen, stages=(ended, ended)), 28, replicates=20, draws=200)
    assert len(table) == 30  # the log is then shorter, and so are its last days
    alone = replace(read, observed=np.where(read.time_us < 50 * DAY, read.observed, 0.0))
    assert score_changes(replace(seen, stages=(alone,)), 28)[1] == "no stage was seen on both sides"


def test_too_few_people_on_one_side_say_so():
    table, reason = score_changes(_observed(moved=0, rows=2_000), 1, replicates=20, draws=100)
    assert table.empty
    assert reason.startswith("since: ")
