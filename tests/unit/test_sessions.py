"""S5: gaps and ages, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.factory import event, prepared

MINUTE = 60


def indexes(tmp_path: Path, times: Sequence[float]) -> list[int]:
    return [
        int(n)
        for n in prepared(tmp_path, [event(seconds) for seconds in times]).events["session_index"].tolist()
    ]


def test_exactly_thirty_minutes_stays(tmp_path: Path):
    assert indexes(tmp_path, [0, 30 * MINUTE]) == [1, 1]
    assert indexes(tmp_path, [0, 30 * MINUTE + 0.001]) == [1, 2]


def test_over_a_day_begins_anew_and_again(tmp_path: Path):
    every = 20 * MINUTE
    times = [n * every for n in range(150)]  # 49 h 40 min without a gap
    found = indexes(tmp_path, times)
    # a session holds what is at most 24 h after its first event: 73 events
    assert [found.count(n) for n in (1, 2, 3)] == [73, 73, 4]


def test_sessions_are_per_device_and_numbered_in_time(tmp_path: Path):
    events = [event(0), event(3600), event(1, anonymous_id="a-2")]
    found = prepared(tmp_path, events)
    assert dict(zip(found.events["event_id"], found.events["session_index"], strict=True)) == {
        events[0]["event_id"]: 1,
        events[2]["event_id"]: 1,
        events[1]["event_id"]: 2,
    }
    assert found.sessions["events"].tolist() == [1, 1, 1]
    assert found.events["session_id"].nunique() == 3


def test_impersonal_event_has_no_session(tmp_path: Path):
    impersonal = event(
        name="agent_fetch",
        anonymous_id=None,
        consent=None,
        properties={"observation": "owned", "content_id": "c-1"},
    )
    found = prepared(tmp_path, [impersonal])
    assert found.events["session_id"].isna().all()
    assert len(found.sessions) == 0


def test_session_row_says_where_it_landed_and_who_sent_it(tmp_path: Path):
    landing = {"observation": "owned", "page_view_id": "v", "content_id": "c-9", "engine": "chatgpt"}
    found = prepared(tmp_path, [event(0, name="referral_land", properties=landing), event(5)]).sessions
    assert (found["engine"].tolist(), found["landing_content_id"].tolist()) == (["chatgpt"], ["c-9"])
