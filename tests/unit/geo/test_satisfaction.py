"""S7.3: active time against a threshold, missing exits, and the bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from eventlib.geo import EVENTS_READ
from eventlib.geo.satisfaction import (
    engine_visits,
    heartbeat_ms,
    kaplan_meier_at,
    satisfaction_bounds,
    threshold_ms,
)
from tests.unit.geo.small_world import START, small_world

if TYPE_CHECKING:
    from collections.abc import Sequence


def frames(
    beats: Sequence[tuple[str, int, int]] = (),
    exits: Sequence[tuple[str, int]] = (),
    views: Sequence[str] = ("v1", "v2", "v3"),
) -> dict[str, pd.DataFrame]:
    seen: dict[str, Any] = {"event_time": START, "observation": "owned", "person_id": "p1", "content_id": "c"}
    empty = pd.DataFrame(
        {"page_view_id": [], "active_ms": [], "beat": [], "content_id": [], "event_time": []}
    )
    made = {name: empty.copy() for name in EVENTS_READ}
    made["referral_land"] = pd.DataFrame({"page_view_id": ["v1", "v2", "v3"], "engine": "chatgpt"}).assign(
        **seen
    )
    made["page_view"] = pd.DataFrame({"page_view_id": list(views), "word_count": 1000}).assign(**seen)
    if beats:
        columns = ["page_view_id", "beat", "active_ms"]
        made["page_engage"] = pd.DataFrame(beats, columns=columns).assign(**seen)
    if exits:
        made["page_exit"] = pd.DataFrame(exits, columns=["page_view_id", "active_ms"]).assign(**seen)
    return made


def test_a_beat_or_an_exit_at_the_threshold_satisfies():
    visits = engine_visits(
        frames(beats=[("v1", 1, 15_000), ("v1", 2, 30_000)], exits=[("v2", 30_000), ("v3", 29_999)])
    )
    assert visits["satisfied"].tolist() == [True, True, False]
    assert visits["tau_ms"].tolist() == [30_000] * 3


def test_a_missing_exit_ends_within_a_heartbeat_of_the_last_beat():
    visits = engine_visits(frames(beats=[("v1", 1, 15_000)]))
    assert visits["satisfied"].tolist() == [False, False, False]
    assert visits["exit_ms"].isna().all()


def test_a_visit_of_which_nothing_was_seen_is_not_observed():
    visits = engine_visits(frames(views=("v1",), exits=[("v2", 50_000)]))
    assert visits["page_view_id"].tolist() == ["v1", "v2"]


def test_a_parameter_overrides_the_threshold():
    visits = engine_visits(frames(exits=[("v1", 12_000)]), tau_ms=10_000)
    assert visits["satisfied"].tolist() == [True, False, False]


def test_clicks_that_open_a_page_view_are_visits_too():
    made = frames()
    made["citation_click"] = made["referral_land"].iloc[:1].assign(page_view_id="v9", engine="site_assistant")
    made["page_exit"] = made["page_view"].iloc[:1].assign(page_view_id="v9", active_ms=40_000)
    visits = engine_visits(made).set_index("page_view_id")
    assert (visits["engine"]["v9"], bool(visits["satisfied"]["v9"])) == ("site_assistant", True)


@pytest.mark.parametrize(
    ("words", "kind", "seconds"),
    [
        (1000, "article", 30),
        (1000, "reference", 15),
        (3000, "guide", 90),
        (100, "news", 15),
        (20_000, "guide", 120),
    ],
)
def test_thresholds_by_length_and_type(words, kind, seconds):
    assert threshold_ms(np.array([float(words)]), np.array([kind], dtype=object)).tolist() == [1000 * seconds]


def test_the_heartbeat_is_read_from_the_beats():
    assert heartbeat_ms(pd.DataFrame({"active_ms": [10_000, 20_000, 30_100], "beat": [1, 2, 3]})) == 10_000
    assert heartbeat_ms(pd.DataFrame({"active_ms": [], "beat": []})) == 15_000


def test_kaplan_meier_without_censoring_is_the_share():
    time = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert kaplan_meier_at(time, np.ones(5, dtype=bool), 3.0) == pytest.approx(3 / 5)
    assert np.isnan(kaplan_meier_at(np.empty(0), np.empty(0, dtype=bool), 1.0))


def test_the_truth_lies_between_the_bounds():
    world = small_world(seed=3, answers=2_000)
    visits = engine_visits(world.frames)
    row = satisfaction_bounds(visits).iloc[0]
    truth = world.satisfy[visits["content_id"]].mean()
    assert row["lower"] <= truth <= row["upper"]
    assert row["satisfied"] <= row["kaplan_meier"]
    assert row["missing_exits"] == pytest.approx(0.2, abs=0.03)


def test_engines_of_few_people_are_left_out():
    assert satisfaction_bounds(engine_visits(frames(exits=[("v1", 60_000)]))).empty
