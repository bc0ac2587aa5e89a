"""What is told of how a log was read."""

from __future__ import annotations

import orjson

import eventlib as el
from eventlib.quality import rejections
from eventlib.quality.readings import readings
from tests.factory import KEY, event, lenient_policy, prepared
from tests.unit.sources.test_segment import PAGE


def test_a_native_log_that_needed_nothing_is_passed_over(tmp_path):
    assert readings(prepared(tmp_path, [event()]).run) == {}


def test_each_thing_that_was_done_is_told_by_its_kind(tmp_path):
    order = {"type": "track", "event": "Order Completed", "messageId": "m-2", "anonymousId": "a-1", "properties": {"total": "9.5"},
             "timestamp": "2026-10-03T08:15:30Z"}  # fmt: skip
    other = {**order, "event": "Menu opened", "messageId": "m-3"}
    log = tmp_path / "segment.json"
    log.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in (PAGE, order, other)))
    (tmp_path / "key").write_text(KEY)
    files, mapped, done = readings(
        el.prepare(log, key=tmp_path / "key", policy=lenient_policy(tmp_path)).run
    ).values()
    assert files[["file", "format", "records", "events"]].to_dict("records") == [
        {"file": "segment.json", "format": "segment", "records": 3, "events": 3}
    ]
    assert files["because"][0].startswith("looks like segment because 3 of 3 records")
    found = {(row.what, row.event, row.field): row.rows for row in done.itertuples()}
    assert dict(zip(mapped["event"], mapped["how"], strict=True)) == {
        "page": "read as page_view",
        "Order Completed": "read as conversion_complete",
    }
    assert found["guessed", "page", "content_id"] == 1
    assert found["guessed", "Order Completed", "conversion_id"] == 1
    assert found["not kept", "page", "context.ip"] == 1
    assert found["left as it is", "(other events)", "event_name"] == 1
    assert found["mended", "Order Completed", "total"] == 1
    assert done["what"].tolist() == sorted(
        done["what"], key=["guessed", "not kept", "left as it is", "mended"].index
    )


def test_a_record_of_many_lines_stands_no_further_on_than_there_are_records(tmp_path):
    bad = [{**PAGE, "messageId": f"m-{nth}", "originalTimestamp": "soon"} for nth in range(12)]
    log = tmp_path / "segment.json"
    log.write_bytes(orjson.dumps([PAGE, *bad], option=orjson.OPT_INDENT_2))
    (tmp_path / "key").write_text(KEY)
    done = el.prepare(log, key=tmp_path / "key", policy=lenient_policy(tmp_path), max_rejected=1.0)
    told = rejections(done.quarantine, done.run["inputs"])
    assert told["rows"].sum() == 12
    spread = told["spread"].str.extract(r"and (\d+) %")[0].dropna()
    assert (spread.astype(int) <= 100).all()
