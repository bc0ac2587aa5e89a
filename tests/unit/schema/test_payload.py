from __future__ import annotations

from typing import Any

import orjson
import pandas as pd

from eventlib.schema.payload import names_read, over_tracking, payload_frame, to_stop


def events(*properties: dict[str, Any], name: str = "page_view", gap_ms: int = 60_000) -> pd.DataFrame:
    times = pd.date_range("2026-10-01", periods=len(properties), freq=f"{gap_ms}ms", tz="UTC")
    texts = [orjson.dumps(item).decode() for item in properties]
    frame = pd.DataFrame({"event_name": name, "properties": texts, "event_time": times})
    return frame.assign(anonymous_id="a-1", user_id=None, channel="client")


def test_a_property_costs_its_bytes_as_json():
    row = payload_frame(events({"content_id": "c-1"}, {"content_id": "c-2"})).iloc[0]
    assert row["bytes"] == 2 * len('"content_id":"c-1",')
    assert (row["null_share"], row["top_share"], row["distinct_share"]) == (0, 0.5, 1)
    assert row["is_read"]


def test_what_says_nothing_could_be_stopped():
    rows = [
        {"content_id": f"c-{n}", "dead": None, "fixed": "x", "secret": f"s-{n}", "observation": "owned"}
        for n in range(30)
    ]
    stop = to_stop(payload_frame(events(*rows))).set_index("property")["reason"].to_dict()
    assert stop == {
        "dead": "always null",
        "fixed": "always the same value",
        "secret": "near-unique and read by no analysis",
    }


def test_the_properties_that_analyses_join_on_are_read():
    assert {"page_view_id", "content_id", "citation_id", "active_ms"} <= names_read()


def test_a_burst_is_the_same_again_at_once():
    again = [{"page_view_id": "v-1"}] * 4
    assert over_tracking(events(*again, gap_ms=100))["burst_events"].tolist() == [3]
    assert over_tracking(events(*again, gap_ms=5000))["burst_events"].tolist() == [0]
    different = [{"page_view_id": f"v-{n}"} for n in range(4)]
    assert over_tracking(events(*different, gap_ms=100))["burst_events"].tolist() == [0]


def test_a_large_log_is_sampled_and_scaled():
    rows = [{"content_id": f"c-{n % 7}"} for n in range(100)]
    whole, part = payload_frame(events(*rows)), payload_frame(events(*rows), sample=10)
    assert part["events"].tolist() == whole["events"].tolist()
    assert part["bytes"].tolist() == whole["bytes"].tolist()
