from __future__ import annotations

from typing import Any

import orjson
import pandas as pd

from eventlib.schema.payload import days_covered, names_read, near_unique, payload_frame, to_stop


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


def test_the_properties_that_analyses_join_on_are_read():
    assert {"page_view_id", "content_id", "citation_id", "active_ms"} <= names_read()


def test_a_large_log_is_sampled_and_scaled():
    rows = [{"content_id": f"c-{n % 7}"} for n in range(100)]
    whole, part = payload_frame(events(*rows)), payload_frame(events(*rows), sample=10)
    assert part["events"].tolist() == whole["events"].tolist()
    assert part["bytes"].tolist() == whole["bytes"].tolist()


def stop_reasons(frame: pd.DataFrame, **options: Any) -> dict[str, tuple[str, str]]:
    found = to_stop(frame, **options)
    return {row["property"]: (row["advice"], row["reason"]) for row in found.to_dict("records")}


def test_what_says_nothing_could_stop_and_what_somebody_planned_is_asked_about():
    rows = [
        {
            "observation": "owned",
            "page_view_id": "v-1",
            "content_id": "c-1",
            "passage_hash": f"t-{n}",
            "dead": None,
            "fixed": "x",
            "secret_token": f"s-{n}",
            "ip": f"10.0.0.{n}",
        }
        for n in range(30)
    ]
    assert stop_reasons(payload_frame(events(*rows, name="passage_copy"))) == {
        "dead": ("stop", "always null"),
        "fixed": ("stop", "always the same value"),
        "secret_token": ("stop", "in no schema and read by no analysis"),
        "ip": ("stop", "in no schema and read by no analysis; personal data, stop it first"),
        "passage_hash": ("ask", "planned, but read by no analysis"),
    }


def test_what_a_schema_requires_and_what_joins_events_is_no_candidate():
    rows = [
        {"observation": "owned", "conversion_id": f"o-{n}", "conversion_type": "order"} for n in range(30)
    ]
    frame = payload_frame(events(*rows, name="conversion_complete"))
    assert set(frame["property"]) == {"observation", "conversion_id", "conversion_type"}
    assert stop_reasons(frame) == {}, "the type is constant, yet required"
    unplanned = payload_frame(events(*[{"basket_id": None, "colour": None}] * 30, name="basket_open"))
    assert set(stop_reasons(unplanned)) == {"colour"}


def test_what_an_adapter_makes_is_no_trackers_cost():
    frame = payload_frame(
        events(*[{"slot": "inline", "surface": "search", "shade": "red"}] * 30, name="ware_show")
    )
    assert set(stop_reasons(frame)) == {"slot", "surface", "shade"} - names_read() | {
        "slot",
        "surface",
        "shade",
    }
    made = {"ware_show": frozenset({"slot", "surface"})}
    assert set(stop_reasons(frame, derived=made)) == {"shade"}


def test_bytes_saved_are_by_month_at_the_logs_rate_and_surest_first():
    rows = [{"shade": "red", "gone": None, "passage_hash": f"t-{n}"} for n in range(30)]
    found = to_stop(payload_frame(events(*rows, name="passage_copy")), days=10)
    assert found["property"].tolist() == ["shade", "gone", "passage_hash"]
    shade, gone = (30 * len(text) for text in ('"shade":"red",', '"gone":null,'))
    assert found["bytes"].tolist()[:2] == [shade, gone]
    assert found["bytes_month"].tolist()[:2] == [3 * shade, 3 * gone]
    assert found["bytes_share"].sum() == 1


def test_texts_that_hardly_repeat_are_a_cost_of_their_own():
    long = "0123456789abcdef0123456789abcdef"
    rows = [
        {"page_view_id": f"{n:03d}{long}", "note": f"n-{n:03d}", "size_px": n, "topic": "a"}
        for n in range(100)
    ]
    found = near_unique(payload_frame(events(*rows)), days=30).set_index("property")
    assert list(found.index) == ["page_view_id", "note"], "numbers and what repeats are no such cost"
    assert found["role"].tolist() == ["join key", "text"]
    assert found["mean_bytes"].tolist()[0] == 37
    whole = 100 * (len("page_view_id") + 4 + 37)
    assert found["bytes"].tolist()[0] == whole
    assert found["could_save"].tolist()[0] == round(whole * (1 - 24 / 37))
    assert found["could_save"].tolist()[1] == found["bytes_month"].tolist()[1]
    assert near_unique(payload_frame(events(*rows[:99]))).empty, "under 100 values say nothing"


def test_a_log_covers_a_day_at_least():
    assert days_covered(pd.Series(pd.to_datetime(["2026-10-01T00:00Z", "2026-10-03T12:00Z"]))) == 2.5
    assert days_covered(pd.Series(pd.to_datetime(["2026-10-01T00:00Z"]))) == 1
    assert days_covered(pd.Series(pd.to_datetime([]))) == 1
