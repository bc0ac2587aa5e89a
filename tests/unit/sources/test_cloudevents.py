"""CloudEvents: ids unique over sources, types that name our events, data that are canonical, and ours read back."""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given

import eventlib as el
from eventlib.model import Violation
from eventlib.signals.changes import ROSE, _event
from eventlib.sources import Repairs, Skipped, adapter, detect
from tests.factory import consent
from tests.unit.sources.mutation import accounted, grants, mutated

CLICK = {
    "observation": "owned",
    "citation_id": "ci-1",
    "answer_id": "an-1",
    "position": 2,
    "engine": "chatgpt",
}


def cloud(**fields: Any) -> dict[str, Any]:
    """A CloudEvent of a click."""
    return {
        "specversion": "1.0",
        "id": "A234-1",
        "source": "/shop/web",
        "type": "com.example.citation.click",
        "time": "2026-10-01T12:00:00Z",
        "recordedtime": "2026-10-01T12:00:02Z",
        "datacontenttype": "application/json",
        "data": {**CLICK, "anonymous_id": "a-1", "consent": consent()},
        **fields,
    }


def read(record: dict[str, Any]) -> tuple[dict[str, Any], Repairs]:
    repairs = Repairs()
    kind = adapter("cloudevents")
    decoded = kind.decode(orjson.dumps(record))
    assert isinstance(decoded, dict)
    found = kind.adapt(decoded, b"", {}, repairs)
    assert isinstance(found, dict)
    return found, repairs


def test_a_click():
    found, repairs = read(cloud())
    assert found == {
        "event_id": "86e31c713f5783a8:A234-1", "event_name": "citation_click", "schema_version": "1-0-0",
        "source": "cloudevents", "channel": None, "occurred_at": "2026-10-01T12:00:00Z",
        "received_at": "2026-10-01T12:00:02Z", "anonymous_id": "a-1", "user_id": None, "consent": consent(),
        "properties": {**CLICK, "source": "/shop/web", "type": "com.example.citation.click"},
    }  # fmt: skip
    assert dict(repairs.counts) == {
        ("citation_click", "type", "read by its last parts; whole it stays a property"): 1
    }


def test_an_id_is_unique_with_its_source_only():
    same, other, long = (
        read(cloud(**fields))[0]["event_id"] for fields in ({}, {"source": "/shop/app"}, {"id": "x" * 5000})
    )
    assert same == read(cloud(time="2026-10-02T12:00:00Z"))[0]["event_id"]
    assert same.endswith(":A234-1")
    assert other.endswith(":A234-1")
    assert same != other
    assert len(long) == 16 + 1 + 64


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("citation_click", "citation_click"),
        ("Citation Clicked", "citation_click"),
        ("com.example.citation_clicked.v1", "citation_click"),
        ("com.example/citation:click", "citation_click"),
        ("com.example.order.placed", "com.example.order.placed"),
        ("citation.click.com.example", "citation.click.com.example"),
        ("v1", "v1"),
    ],
)
def test_a_type_is_an_event_of_ours_or_the_name_whole(kind: str, name: str):
    assert read(cloud(type=kind))[0]["event_name"] == name


def test_data_may_hold_a_canonical_event():
    data = {
        "user_id": "u-1",
        "context": {"url": "https://x.org/", "request": "r-1"},
        "properties": CLICK,
        "plan": "pro",
    }
    found, _ = read(cloud(data=data, subject="u-1", authtype="app_user", authid="u-9"))
    assert (found["user_id"], found["context"]) == ("u-1", {"url": "https://x.org/"})
    assert found["properties"] == {
        **CLICK, "content_id": "x.org", "plan": "pro", "context": {"request": "r-1"}, "authtype": "app_user", "source": "/shop/web",
        "type": "com.example.citation.click",
    }  # fmt: skip


def test_extensions_that_name_people():
    found, repairs = read(
        cloud(data=CLICK, authtype="app_user", authid="u-9", partitionkey="u-9", authclaims="{}")
    )
    assert found["user_id"] == "u-9"
    assert not {"authid", "authclaims", "partitionkey"} & set(found["properties"])
    assert repairs.counts["(other events)", "partitionkey", "says who or where somebody is: not kept"] == 1
    assert read(cloud(data=CLICK, authtype="service_account", authid="robot"))[0]["user_id"] is None


def test_a_sequence_is_a_number_only_where_it_is_said_to_be():
    assert read(cloud(sequence="0012", sequencetype="Integer"))[0]["sequence"] == 12
    for fields in ({"sequence": "0012"}, {"sequence": "-5", "sequencetype": "Integer"}):
        found, _ = read(cloud(**fields))
        assert "sequence" not in found
        assert found["properties"]["sequence"] == fields["sequence"]


def test_binary_data_are_read_where_they_are_json():
    packed = b64encode(orjson.dumps(cloud()["data"])).decode()
    plain = {name: value for name, value in cloud().items() if name != "data"}
    assert read({**plain, "data_base64": packed})[0] == read(cloud())[0]
    found, repairs = read({**plain, "data_base64": packed, "datacontenttype": "application/protobuf"})
    assert "data_base64" not in found["properties"]
    assert repairs.counts["(all)", "data_base64", "binary data: not kept"] == 1


@pytest.mark.parametrize(
    ("fields", "code", "place"),
    [
        ({"specversion": "0.3"}, "unknown_version", "$.specversion"),
        ({"data_base64": "%%%"}, "broken_json", "$.data_base64"),
        ({"data_base64": 5}, "broken_json", "$.data_base64"),
        ({"data_base64": b64encode(b'{"a": 1, "a": 2}').decode()}, "duplicate_key", "$.data_base64"),
        ({"data_base64": b64encode(b"[1]").decode()}, "not_an_object", "$.data_base64"),
    ],
)
def test_what_cannot_be_read_is_refused(fields: dict[str, Any], code: str, place: str):
    found = adapter("cloudevents").decode(orjson.dumps(cloud(**fields)))
    assert isinstance(found, Violation)
    assert (found.code, found.json_path) == (code, place)


def test_data_that_were_written_as_a_text_are_read():
    assert read(cloud(data=orjson.dumps(cloud()["data"]).decode()))[0] == read(cloud())[0]
    found = adapter("cloudevents").decode(orjson.dumps(cloud(data='{"a": 1')))
    assert isinstance(found, Violation)
    assert (found.code, found.json_path) == ("broken_json", "$.data")


@pytest.mark.parametrize("data", ["just a text", [1, 2], 7, None, {}])
def test_data_that_are_no_object_stay_as_they_are(data: object):
    found, _ = read(cloud(data=data, anonymousid="a-1"))
    assert found["properties"].get("data") == (data or None)
    assert found["event_name"] == "cloudevents_citation_click"


@pytest.mark.parametrize(
    "said", [True, "yes", {"analytics": True}, {"purposes": {"analytics": "perhaps"}}, []]
)
def test_consent_that_is_not_ours_is_refused(said: object):
    record = cloud(data={**CLICK, "anonymous_id": "a-1", "consent": said})
    assert accounted("cloudevents", [orjson.dumps(record)]) == (0, 1, 0)


def test_an_event_without_any_time_is_refused():
    record = {name: value for name, value in cloud().items() if "time" not in name}
    assert accounted("cloudevents", [orjson.dumps(record)]) == (0, 1, 0)


def test_arrays_are_read_in_every_way_that_they_are_written(tmp_path: Path):
    events = [cloud(id=f"{number}") for number in range(4)]
    ways = {
        "document.json": orjson.dumps(events, option=orjson.OPT_INDENT_2),
        "one.json": orjson.dumps(events),
        "lines.jsonl": b"".join(orjson.dumps(event) + b"\n" for event in events),
        "arrays.jsonl": orjson.dumps(events[:2]) + b"\n" + orjson.dumps(events[2:]) + b"\n",
        "mixed.jsonl": orjson.dumps(events[0]) + b"\n" + orjson.dumps(events[1:]) + b"\n",
    }
    for name, content in ways.items():
        (tmp_path / name).write_bytes(content)
        log = el.read(tmp_path / name)
        assert log.quarantine.empty, name
        assert sorted(log.events["event_id"].str.partition(":")[2]) == ["0", "1", "2", "3"], name


def test_what_eventlib_tells_of_signals_is_counted_and_no_event(tmp_path: Path):
    moved = {"content_id": "c-1", "prompt_cluster": "p", "engine": "chatgpt", "moved_by": 0.1}
    told = _event(ROSE, moved, "0" * 64, dt.datetime(2026, 10, 1, tzinfo=dt.UTC))
    assert adapter("cloudevents").adapt(dict(told), b"", {}, Repairs()) == Skipped("feedback_event")
    (tmp_path / "log.jsonl").write_bytes(orjson.dumps(told) + b"\n" + orjson.dumps(cloud()) + b"\n")
    log = el.read(tmp_path / "log.jsonl")
    assert (len(log.events), len(log.quarantine)) == (1, 0)
    assert log.ledger.removed() == {"feedback_event": 1}


@pytest.mark.parametrize(
    "fields", [{"specversion": "0.3"}, {"specversion": 1.0}, {"id": 5}, {"source": None}, {"type": {}}]
)
def test_what_is_no_cloudevent_is_not_taken_for_one(fields: dict[str, Any]):
    assert detect([orjson.dumps(cloud())])[0] == "cloudevents"
    assert detect([orjson.dumps(cloud(**fields))])[0] == "native"


RECORDS = [
    cloud(),
    cloud(
        sequence="1", sequencetype="Integer", authtype="app_user", authid="u", subject="s", partitionkey="p"
    ),
    cloud(data={"properties": CLICK, "context": {"url": "https://x.org/"}, "user_id": "u-1"}),
    {**cloud(), "data": None, "data_base64": b64encode(orjson.dumps(CLICK)).decode(), "anonymousid": "a"},
]


@given(mutated(RECORDS))
def test_whatever_a_record_holds_it_is_an_event_refused_or_counted(record: Any):
    accounted("cloudevents", [orjson.dumps(record), orjson.dumps([record])])


@given(mutated([cloud(data={**CLICK, "consent": {"purposes": {"analytics": False}, "gpc": False}})]))
def test_no_damage_grants_anything(record: Any):
    data = record.get("data") if isinstance(record, dict) else None
    if b"true" not in orjson.dumps(data):
        assert not isinstance(record, dict) or not grants("cloudevents", record)


def test_half_a_record_is_refused():
    line = orjson.dumps(cloud())
    assert accounted("cloudevents", [line[:cut] for cut in range(1, len(line), 7)])[0] == 0
