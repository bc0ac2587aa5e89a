"""Policies and limits as parameters: of a run, of the stages, and exactly at the limit."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

import eventlib as el
from eventlib.errors import BadCallError
from tests.factory import START, at, event, prepared


def frame(*events: dict[str, object]) -> pd.DataFrame:
    """Events as a caller's frame."""
    made = pd.DataFrame(list(events)).drop(columns=["consent", "properties"])
    for name in ("occurred_at", "sent_at", "received_at", "true_at"):
        if name in made:
            made[name] = pd.to_datetime(made[name], format="ISO8601")
    return made


def test_run_by_another_policy_and_limits(tmp_path: Path):
    events = [
        event(0, true_at=at(-60)),
        event(100, sent_at=at(100), received_at=at(100)),
        event(200, sent_at=at(230.001), received_at=at(230.001)),
        event(300, sent_at=at(390.001), received_at=at(390.001)),
    ]
    options = {"clock": "snowplow", "late": "30s", "too_late": timedelta(seconds=90), "session_gap": "160s"}
    found = prepared(tmp_path, events, **options)
    assert [(time - START).total_seconds() for time in found.events["event_time"].tolist()] == [-60, 100, 200]
    assert found.events["clock_method"].tolist() == ["snowplow"] * 3
    assert found.events["is_late"].tolist() == [False, False, True]
    assert found.events["session_index"].tolist() == [1, 1, 1]
    assert found.quarantine["code"].tolist() == ["too_late"]
    assert len(found.quarantine["digest"].tolist()[0]) == 64
    kept = found.run["parameters"]
    assert [kept[name] for name in ("clock", "late", "too_late", "ahead", "session_gap", "session_age")] == [
        "snowplow", "30s", "90s", "23h", "160s", "1d",
    ]  # fmt: skip


def test_stages_take_the_same_parameters():
    rows = frame(
        event(0, sent_at=at(30), received_at=at(30)),
        event(100, sent_at=at(130.001), received_at=at(130.001)),
        event(200, sent_at=at(260.001), received_at=at(260.001)),
    )
    result = el.order(rows, clock="segment", late="30s", too_late="1min")
    assert result.events["is_late"].tolist() == [False, True]
    assert result.events["clock_method"].tolist() == ["segment"] * 2
    assert result.removed["removed_by"].tolist() == ["too_late"]
    assert el.sessionize(rows, gap="100s").events["session_index"].tolist() == [1, 1, 1]
    assert el.sessionize(rows, gap="99s").events["session_index"].tolist() == [1, 2, 3]
    assert el.sessionize(rows, age="100s").events["session_index"].tolist() == [1, 1, 2]


def test_sessions_of_a_dataset_can_be_numbered_again():
    rows = frame(*(event(n * 1700, sequence=n) for n in range(6)))
    once = el.sessionize(el.order(rows).events)
    twice = el.sessionize(once.events)
    assert once.events["session_index"].tolist() == twice.events["session_index"].tolist() == [1] * 6
    moved = once.events.assign(
        event_time=once.events["event_time"] + pd.to_timedelta([0, 9, 9, 9, 9, 9], "h")
    )
    assert el.sessionize(moved).events["session_index"].tolist() == [1, 2, 2, 2, 2, 2]


def test_wrong_parameters_are_named(tmp_path: Path):
    rows = frame(event(0))
    with pytest.raises(BadCallError, match=r"clock policy.*'devise'"):
        el.order(rows, clock="devise")
    with pytest.raises(BadCallError, match=r"late takes a duration"):
        el.order(rows, late="soon")
    with pytest.raises(BadCallError, match=r"session_gap takes a duration"):
        prepared(tmp_path, [event(0)], session_gap="30")


def test_events_of_no_source_are_events():
    rows = frame(event(0), event(1, source=None, anonymous_id="a-2"))
    ordered = el.order(rows)
    assert (len(ordered.events), len(ordered.removed)) == (2, 0)
    assert len(el.sessionize(rows).events) == 2


def test_clashing_ids_have_one_order():
    rows = frame(*(event(0, event_id="same", url=f"https://site.org/{n}") for n in range(5)))
    found = [el.order(rows.sample(frac=1, random_state=seed)).events["url"].tolist() for seed in range(6)]
    assert found == [found[0]] * 6
