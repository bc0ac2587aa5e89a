"""UBI as it is found in the wild: each repair is made and counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

import eventlib as el
from eventlib.sources import Repairs, Skipped
from eventlib.sources.ubi import UbiAdapter

ACTION = orjson.dumps({"index": {"_index": "ubi_events", "_id": "id-7"}})


def show(ordinal: int, application: str = "shop", **fields: object) -> dict[str, object]:
    return {
        "application": application,
        "action_name": "impression",
        "query_id": "q-1",
        "client_id": "a-1",
        "user_id": "",
        "timestamp": "2025-01-24T07:31:30.699+0000",
        "event_attributes": {"object": {"object_id": "p-9"}, "position": {"ordinal": ordinal}},
        **fields,
    }


def adapt(
    record: Mapping[str, object], learned: dict[str, object] | None = None
) -> tuple[dict[str, object], Repairs]:
    repairs = Repairs()
    found = UbiAdapter().adapt(dict(record), ACTION, learned or {}, repairs)
    assert isinstance(found, dict)
    return found, repairs


def test_each_application_counts_from_where_it_counts():
    records = [show(0, "zero"), show(3, "zero"), show(1, "one"), show(2, "one")]
    learned = UbiAdapter().learn(records)
    assert learned["zero_based"] == {"zero": True, "one": False}
    assert [adapt(record, learned)[0]["properties"]["position"] for record in records] == [1, 4, 1, 2]  # type: ignore[index]
    assert learned["evidence"]["zero"][2] == "an ordinal 0 among 2 ranked events"


def test_repairs_are_counted():
    found, repairs = adapt(show(1))
    assert found["occurred_at"] == "2025-01-24T07:31:30.699+00:00"
    assert found["user_id"] is None
    assert found["event_id"] == "id-7"
    assert dict(repairs.counts) == {
        ("shop", "user_id", "empty text read as absent"): 1,
        ("shop", "timestamp", "colon put into the offset"): 1,
    }


def test_milliseconds_become_a_time():
    found, repairs = adapt(show(1, timestamp=1717527762025, user_id="u"))
    assert found["occurred_at"] == "2024-06-04T19:02:42.025Z"
    assert list(repairs.counts) == [("shop", "timestamp", "milliseconds since 1970 read as a time")]


def test_query_becomes_an_answer_whose_results_are_its_candidates():
    query = {
        "application": "shop",
        "query_id": "q-1",
        "client_id": "a-1",
        "user_query": " Red  Shoes ",
        "timestamp": "2025-01-01T00:00:00Z",
        "query_response_hit_ids": ["x", "y"],
    }
    found, _ = adapt(query)
    assert found["event_name"] == "answer_generate"
    assert found["properties"] == {
        "observation": "owned",
        "answer_id": "q-1",
        "prompt_id": "red shoes",
        "prompt_text": " Red  Shoes ",
        "engine": "search:shop",
        "surface": "site_search",
        "candidates": [{"content_id": "x", "retrieval_rank": 1}, {"content_id": "y", "retrieval_rank": 2}],
    }


def test_unknown_action_keeps_its_name_and_content():
    found, repairs = adapt(
        {**show(1), "action_name": "brand_filter", "event_attributes": None, "message": "AOC", "user_id": "u"}
    )
    assert found["event_name"] == "brand_filter"
    assert found["properties"] == {"query_id": "q-1", "message": "AOC", "application": "shop"}
    assert repairs.counts["shop", "event_attributes", "null read as an empty object"] == 1


@pytest.mark.parametrize("value", [True, 0, [], [1], {"a": 1}, 1.5])
@pytest.mark.parametrize("field", ["observation", "engine", "message"])
def test_unplanned_content_of_any_type_is_an_event(tmp_path: Path, field: str, value: object):
    record = {
        **show(1),
        "action_name": "whatever",
        "event_attributes": {field: value},
        "timestamp": "2026-10-01T12:00:00Z",
    }
    (tmp_path / "log.ndjson").write_bytes(orjson.dumps(record))
    read = el.read(tmp_path / "log.ndjson", source="ubi")
    assert read.ledger.rows_out == 1


def test_bulk_action_is_no_event():
    assert UbiAdapter().adapt(orjson.loads(ACTION), b"", {}, Repairs()) == Skipped("bulk_action")


def test_a_document_that_only_resembles_an_action_is_not_skipped():
    found = UbiAdapter().adapt({"index": {"colour": "red"}}, b"", {}, Repairs())
    assert not isinstance(found, Skipped)


@pytest.mark.parametrize("lines_apart", [False, True])
def test_a_byte_order_mark_hides_no_record_from_what_is_learnt(tmp_path: Path, lines_apart: bool):
    shown = [show(ordinal, timestamp=f"2026-10-01T12:00:0{ordinal}Z") for ordinal in (0, 1)]
    lines = [line for record in shown for line in (ACTION, orjson.dumps(record))]
    mark = b"\xef\xbb\xbf"
    content = (b"\n" + mark * lines_apart).join(lines if lines_apart else lines[1:])
    (tmp_path / "log.ndjson").write_bytes(mark + content)
    read = el.read(tmp_path / "log.ndjson")
    assert read.log.inputs[0]["source"] == "ubi"
    assert [orjson.loads(text)["position"] for text in read.events["properties"]] == [1, 2]
    assert read.events["event_id"].tolist()[-1] == "id-7"


def test_what_says_who_somebody_is_is_not_kept():
    attributes = {
        "ip": "192.0.2.7", "browser": "Firefox", "page_id": "/list", "session_id": "s-1", "dwell_time": 4.5,
        "position": {"ordinal": 1}, "object": {"email": "ada@shop.example"},
    }  # fmt: skip
    event, repairs = adapt(
        show(1, action_name="hover", event_attributes=attributes, message="to ada@shop.example")
    )
    assert event["context"] == {"url": "/list", "referrer": None, "user_agent": "Firefox"}
    kept = event["properties"]
    assert isinstance(kept, dict)
    assert not kept.keys() & {"ip", "browser", "page_id"}
    assert (kept["session_id"], kept["object"], kept["message"]) == ("s-1", {}, "to [e-mail]")
    assert any(field == "ip" for _, field, _ in repairs.counts)


def test_a_query_without_text_is_an_event_and_no_answer():
    record = {
        "application": "shop",
        "query_id": "q-1",
        "client_id": "a-1",
        "user_query": " ",
        "query_response_hit_ids": ["p-1", "p-2"],
        "timestamp": 1790000000000,
    }
    event, _ = adapt(record)
    hits = [{"content_id": "p-1", "retrieval_rank": 1}, {"content_id": "p-2", "retrieval_rank": 2}]
    assert (event["event_name"], event["properties"]) == (
        "ubi_query",
        {"query_id": "q-1", "application": "shop", "candidates": hits},
    )
