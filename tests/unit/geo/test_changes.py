"""What changed in the last days of a log, page by page."""

from __future__ import annotations

import numpy as np
import pytest

from eventlib.geo.changes import CHANGES, score_changes
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


@pytest.mark.parametrize(("days", "why"), [(84, "no longer than 84 days"), (0, "no longer than 0 days")])
def test_a_log_too_short_says_so(days, why):
    table, reason = score_changes(_observed(moved=0, rows=500), days)
    assert table.empty
    assert why in reason


def test_too_few_people_on_one_side_say_so():
    table, reason = score_changes(_observed(moved=0, rows=2_000), 1, replicates=20, draws=100)
    assert table.empty
    assert reason.startswith("since: ")
