from __future__ import annotations

from typing import Any

import orjson
import pandas as pd

from eventlib.quality import of_many, over_tracking
from tests.factory import event, link, login, prepared


def events(*properties: dict[str, Any], name: str = "page_view", gap_ms: int = 60_000) -> pd.DataFrame:
    times = pd.date_range("2026-10-01", periods=len(properties), freq=f"{gap_ms}ms", tz="UTC")
    texts = [orjson.dumps(item).decode() for item in properties]
    frame = pd.DataFrame({"event_name": name, "properties": texts, "event_time": times})
    return frame.assign(anonymous_id="a-1", user_id=None, channel="client")


def test_a_burst_is_the_same_again_at_once():
    again = [{"page_view_id": "v-1"}] * 4
    assert over_tracking(events(*again, gap_ms=100))["burst_events"].tolist() == [3]
    assert over_tracking(events(*again, gap_ms=5000))["burst_events"].tolist() == [0]
    assert over_tracking(events(*again, gap_ms=5000), burst_ms=5000)["burst_events"].tolist() == [3]
    different = [{"page_view_id": f"v-{n}"} for n in range(4)]
    assert over_tracking(events(*different, gap_ms=100))["burst_events"].tolist() == [0]


def beat(view: str, active_ms: int, depth: float | None) -> dict[str, Any]:
    return {"page_view_id": view, "active_ms": active_ms, "max_scroll_pct": depth}


def test_a_beat_is_idle_where_neither_time_nor_depth_grows_within_its_view():
    beats = [
        beat("v-1", 15_000, 10),
        beat("v-2", 15_000, 10),
        beat("v-1", 30_000, 10),
        beat("v-1", 30_000, 40),
        beat("v-1", 30_000, 40),
        beat("v-1", 15_000, 20),
        beat("v-2", 15_000, None),
    ]
    row = over_tracking(events(*beats, name="page_engage")).iloc[0]
    assert row[["idle_beats", "burst_events", "adds_nothing"]].tolist() == [3, 0, 3]
    sizes = [len(orjson.dumps(item)) for item in beats]
    assert row["nothing_bytes"] == sum(sizes[4:])
    assert row["bytes"] == sum(sizes)
    assert over_tracking(events(*beats, name="page_engage"), heartbeats=())["idle_beats"].tolist() == [0]


def test_what_is_both_counts_once_and_unused_events_are_told():
    log = pd.concat(
        [
            events(*[beat("v-1", 15_000, 10)] * 3, name="page_engage", gap_ms=100),
            events({"word": "x"}, name="banner_hover"),
        ],
        ignore_index=True,
    )
    found = over_tracking(log).set_index("event_name")
    assert list(found.loc["page_engage", ["burst_events", "idle_beats", "adds_nothing"]]) == [2, 2, 2]
    assert found["is_used"].to_dict() == {"page_engage": True, "banner_hover": False}
    assert found["events_share"].tolist() == [0.75, 0.25]
    assert over_tracking(log.iloc[:0]).empty


def test_a_report_tells_only_of_events_that_ten_people_had(tmp_path):
    log = [event(n, anonymous_id=f"a-{n}") for n in range(30)]
    log += [login(90 + n, anonymous_id=f"a-{n}", user_id=f"u-{n}") for n in range(12)]
    log += [link([("user_id", "u-1"), ("email", "ann@site.org")], 200)]
    found = prepared(tmp_path, log).events
    assert sorted(over_tracking(found)["event_name"]) == ["identity_link", "page_view", "user_login"]
    (shown,) = of_many(found, over_tracking(found))
    assert shown["event_name"].tolist() == ["page_view"], (
        "the next smallest goes with the one that is too small"
    )
