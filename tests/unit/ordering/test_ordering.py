"""S3: clocks, lateness, duplicates, total order, as examples on `el.prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import eventlib as el
from eventlib.errors import BadCallError
from tests.factory import START, at, event, prepared

DAY = 86_400


def seconds(frame: pd.DataFrame, name: str = "event_time") -> list[float]:
    return [(value - START).total_seconds() for value in frame[name].tolist()]


def test_skewed_clock_is_corrected_by_the_smallest_delay_of_its_stretch(tmp_path: Path):
    found = prepared(tmp_path, [event(0, skew=600, delay=0.4), event(60, skew=600, delay=2.0)]).events
    assert seconds(found) == [0.4, 60.4]
    assert found["clock_offset_ms"].tolist() == [-599_600, -599_600]
    assert found["clock_method"].tolist() == ["device", "device"]


def test_clock_that_is_set_begins_a_stretch(tmp_path: Path):
    found = prepared(
        tmp_path, [event(0, skew=600), event(10, skew=600), event(20, skew=0), event(30, skew=0)]
    ).events
    assert seconds(found) == [0.5, 10.5, 20.5, 30.5]
    assert found["clock_offset_ms"].tolist() == [-599_500, -599_500, 500, 500]


def test_event_without_sent_time_keeps_its_own(tmp_path: Path):
    found = prepared(tmp_path, [event(0, skew=600, sent_at=None)]).events
    assert seconds(found) == [600.0]
    assert found["clock_method"].tolist() == ["source"]


def test_offline_queue_keeps_the_times_between_its_events(tmp_path: Path):
    queued = [event(n, sent_at=at(1000), received_at=at(1000.5)) for n in (0, 7, 30)]
    assert seconds(prepared(tmp_path, queued).events) == [0.5, 7.5, 30.5]


@pytest.mark.parametrize(
    ("times", "kept", "code"),
    [
        ({"occurred_at": at(0), "sent_at": at(3 * DAY), "received_at": at(3 * DAY)}, True, None),
        (
            {"occurred_at": at(0), "sent_at": at(3 * DAY + 1), "received_at": at(3 * DAY + 1)},
            False,
            "too_late",
        ),
        ({"occurred_at": at(0), "sent_at": at(0), "received_at": at(3 * DAY + 1)}, False, "too_late"),
        ({"occurred_at": at(DAY), "sent_at": None, "received_at": at(0)}, False, "future_time"),
        ({"occurred_at": at(22 * 3600), "sent_at": None, "received_at": at(0)}, True, None),
    ],
)
def test_lateness(tmp_path: Path, times: dict[str, Any], kept: bool, code: str | None):
    found = prepared(tmp_path, [event(**times)])
    assert len(found.events) == kept
    assert found.quarantine["code"].tolist() == ([] if code is None else [code])
    if code is not None:
        row = found.quarantine.iloc[0]
        assert (row["line"], row["byte_offset"], row["event_name"]) == (1, 0, "page_view")
        assert len(row["digest"]) == 64


def test_over_an_hour_is_late(tmp_path: Path):
    events = [event(0, sent_at=at(gap), received_at=at(gap)) for gap in (3600, 3601)]
    found = prepared(tmp_path, events).events
    assert dict(zip(found["event_id"], found["is_late"], strict=True)) == {
        events[0]["event_id"]: False,
        events[1]["event_id"]: True,
    }


def test_retry_is_a_duplicate_and_the_earliest_received_stays(tmp_path: Path):
    first = event(0)
    retry = {**first, "sent_at": at(30), "received_at": at(31)}
    found = prepared(tmp_path, [retry, first])
    assert found.events["received_at"].tolist() == [pd.Timestamp(at(0.5))]
    assert found.ledger.removed("duplicates") == {"duplicate": 1}


def test_same_id_with_other_content_is_another_event(tmp_path: Path):
    first = event(0)
    other = {**first, "received_at": at(9), "properties": {**first["properties"], "title": "other"}}
    found = prepared(tmp_path, [other, first]).events
    assert found["received_at"].tolist() == [pd.Timestamp(at(0.5)), pd.Timestamp(at(9))]
    assert found["original_event_id"].tolist()[1] == first["event_id"]
    renamed = found["event_id"].tolist()[1]
    assert renamed.startswith(f"{first['event_id']}~")
    assert len(renamed) == len(first["event_id"]) + 17


def test_same_id_from_another_source_is_no_duplicate(tmp_path: Path):
    first = event(0)
    assert len(prepared(tmp_path, [first, {**first, "source": "app"}]).events) == 2


def test_same_content_under_two_ids_is_two_events(tmp_path: Path):
    first = event(0)
    assert len(prepared(tmp_path, [first, {**first, "event_id": "other"}]).events) == 2


def test_total_order_breaks_ties_by_source_device_and_sequence(tmp_path: Path):
    def tied(source: str, device: str | None, sequence: int | None, event_id: str) -> dict[str, Any]:
        return event(
            0,
            source=source,
            anonymous_id=device,
            user_id="u" if device is None else None,
            sequence=sequence,
            event_id=event_id,
        )

    wanted = [
        tied("app", "a-2", 1, "5"),
        tied("web", "a-1", 1, "9"),
        tied("web", "a-1", 2, "1"),
        tied("web", "a-1", None, "0"),
        tied("web", "a-2", None, "4"),
        tied("web", None, None, "3"),
    ]
    found = prepared(tmp_path, wanted[::-1]).events
    assert found["event_id"].tolist() == ["5", "9", "1", "0", "4", "3"]


@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_order_alone_on_a_callers_frame(engine: str):
    first = event(0)
    rows = [{**first, "sent_at": at(5), "received_at": at(6)}, first, event(-10)]
    frame = pd.DataFrame(rows).drop(columns=["consent", "properties"])
    for name in ("occurred_at", "sent_at", "received_at"):
        frame[name] = pd.to_datetime(frame[name])
    given: Any = frame
    if engine == "polars":
        pl = pytest.importorskip("polars")
        given = pl.from_pandas(frame)
    if engine == "duckdb":
        duckdb = pytest.importorskip("duckdb")
        given = duckdb.sql("FROM frame")
    result = el.order(given)
    rows_out = result.events
    if engine != "pandas":
        rows_out = (rows_out.to_arrow_table() if engine == "duckdb" else rows_out.to_arrow()).to_pandas()
    assert rows_out["event_id"].tolist() == [rows[2]["event_id"], first["event_id"]]
    assert result.entry.to_dict() == {
        "stage": "order",
        "rows_in": 3,
        "rows_out": 2,
        "removed": {"duplicate": 1},
    }


def test_missing_column_is_named():
    with pytest.raises(BadCallError, match=r"order needs the columns received_at"):
        el.order(
            pd.DataFrame(
                {
                    "event_id": ["1"],
                    "event_name": ["x"],
                    "source": ["w"],
                    "occurred_at": [pd.Timestamp(0, tz="UTC")],
                }
            )
        )
