"""PostHog: whose an event is, when it was, what it means, and that nobody else's log is taken for one of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

import eventlib as el
from eventlib.model import Violation
from eventlib.sources import Repairs, adapter, detect
from tests.factory import consent
from tests.unit.sources.mutation import accounted, grants, mutated

DEVICE = "0199a0c1-7a3e-7c11-9d52-2f6a8e0b4c11"
AFTER_RESET = "0199a0c1-7a3e-7c11-9d52-2f6a8e0b4c12"
VIEW = "0199a0c1-7a3e-7c11-9d52-2f6a8e0b4c13"
URL = "https://www.example.org/guide?utm_source=chatgpt.com"


def sent(event: str = "upgrade", distinct: str | None = DEVICE, **properties: Any) -> dict[str, Any]:
    """What posthog-js posts; properties by their names without the dollar."""
    own = {f"${name}": value for name, value in properties.items()}
    base = {
        "token": "phc_1",
        "$lib": "web",
        "$device_id": DEVICE,
        "$is_identified": False,
        "$current_url": URL,
    }
    return {
        "uuid": VIEW,
        "event": event,
        "properties": {**base, "distinct_id": distinct, **own},
        "timestamp": "2026-10-01T12:00:00.000Z",
        "sent_at": "2026-10-01T12:00:01.000Z",
    }


def exported(**fields: Any) -> dict[str, Any]:
    """A row of a batch export as JSON lines."""
    return {
        "uuid": VIEW,
        "event": "$pageview",
        "distinct_id": DEVICE,
        "person_id": "0199a0c1-0000-0000-0000-000000000001",
        "properties": {"$lib": "web", "$device_id": DEVICE, "$is_identified": False, "$current_url": URL,
                       "$ip": "203.0.113.7", "$sent_at": "2026-10-01T11:00:00Z", "$pageview_id": "pv-1", "title": "Guide"},
        "person_properties": {"email": "a.person@example.org"},
        "elements_chain": "",
        "timestamp": "2026-10-01T12:00:00.000000+00:00",
        "created_at": "2026-10-01T12:00:02.000000+00:00",
        "_inserted_at": "2026-10-01T12:05:00.000000+00:00",
        **fields,
    }  # fmt: skip


def captured(event: str, distinct: str, **properties: Any) -> dict[str, Any]:
    """What a server's library posts."""
    return {"event": event, "uuid": VIEW, "distinct_id": distinct, "timestamp": "2026-10-01T12:00:00+00:00",
            "properties": {"$lib": "posthog-python", **properties}}  # fmt: skip


def read(record: dict[str, Any]) -> tuple[dict[str, Any], Repairs]:
    repairs = Repairs()
    posthog = adapter("posthog")
    decoded = posthog.decode(orjson.dumps(record))
    assert isinstance(decoded, dict)
    found = posthog.adapt(decoded, b"", {}, repairs)
    assert isinstance(found, dict)
    return found, repairs


def ids(record: dict[str, Any]) -> tuple[str | None, str | None]:
    found, _ = read(record)
    return found["anonymous_id"], found["user_id"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (sent(), (DEVICE, None)),
        (sent(distinct="u-1", is_identified=True, user_id="u-1"), (DEVICE, "u-1")),
        (sent(distinct="u-1", is_identified=True), (DEVICE, "u-1")),  # told at the start, without a login
        (sent("$identify", "u-1", is_identified=True, user_id="u-1", anon_distinct_id=DEVICE), (DEVICE, "u-1")),
        (sent(distinct=AFTER_RESET), (AFTER_RESET, None)),  # whoever comes after a logout
        (sent("$identify", "u-2", is_identified=True, user_id="u-2", anon_distinct_id=AFTER_RESET), (AFTER_RESET, "u-2")),
        (sent(is_identified=True, user_id=DEVICE), (DEVICE, None)),  # identify(get_distinct_id())
        (sent(process_person_profile=True), (DEVICE, None)),  # unknown people have profiles too
        (sent(user_id="u-1"), (DEVICE, None)),  # contradicts itself
        (sent(distinct="$posthog_cookieless", device_id=None, cookieless_mode=True), (None, None)),
        (captured("paid", "u-1"), (None, "u-1")),
        (captured("paid", DEVICE), (DEVICE, None)),  # a browser's id, handed on
        (captured("paid", "x-1", **{"$process_person_profile": False}), ("x-1", None)),
        (captured("paid", "u-1", **{"$device_id": DEVICE}), (DEVICE, "u-1")),
        (captured("paid", "17b845b08de74-033c497ed2753c-35667c03-1fa400-17b845b08dfd55"),
         ("17b845b08de74-033c497ed2753c-35667c03-1fa400-17b845b08dfd55", None)),
        (captured("$groupidentify", "$company_7"), ("$company_7", None)),
    ],
)  # fmt: skip
def test_a_distinct_id_is_a_devices_or_a_users_and_never_both(
    record: dict[str, Any], expected: tuple[str | None, str | None]
):
    assert ids(record) == expected


def test_no_id_is_left_in_the_properties():
    record = sent("$identify", "u-1", is_identified=True, user_id="u-1", anon_distinct_id=DEVICE)
    found, _ = read({**record, "$set": {"email": "a.person@example.org"}, "$set_once": {"name": "A"}})
    assert found["event_name"] == "user_login"
    assert found["properties"] == {"$lib": "web", "$is_identified": True}


def test_an_identify_that_names_no_user_only_sets_properties():
    found, repairs = read(sent("$identify", is_identified=True, user_id=DEVICE, anon_distinct_id=DEVICE))
    assert (found["event_name"], found["user_id"]) == ("$set", None)
    assert repairs.counts["$identify", "user_id", "the device's own id: names no user"] == 1


def linked(record: dict[str, Any]) -> list[tuple[str, str]]:
    found, _ = read(record)
    assert found["event_name"] == "identity_link"
    return [(each["namespace"], each["value"]) for each in found["properties"]["identifiers"]]


def test_an_alias_joins_a_device_and_a_user():
    record = sent("$create_alias")
    record["properties"]["alias"] = "u-1"
    assert linked(record) == [("user_id", "u-1"), ("anonymous_id", DEVICE)]


def test_an_alias_never_makes_one_person_of_two_users_and_a_merge_does():
    assert linked(captured("$create_alias", "u-1", alias="u-2")) == [
        ("user_id", "u-2"),
        ("anonymous_id", "u-1"),
    ]
    assert linked(captured("$merge_dangerously", "u-1", alias="u-2")) == [
        ("user_id", "u-1"),
        ("user_id", "u-2"),
    ]


@pytest.mark.parametrize("alias", [None, "", "$posthog_cookieless", "u-1", {"a": 1}])
def test_an_alias_that_names_nobody_else_links_nothing(alias: object):
    found, _ = read(captured("$create_alias", "u-1", alias=alias))
    assert found["event_name"] == "$create_alias"
    assert "identifiers" not in found["properties"]


def test_an_exported_view():
    found, repairs = read(exported())
    assert found == {
        "event_id": VIEW, "event_name": "page_view", "schema_version": "1-0-0", "source": "posthog", "channel": "client",
        "occurred_at": "2026-10-01T12:00:00.000000+00:00", "received_at": "2026-10-01T12:00:02.000000+00:00",
        "anonymous_id": DEVICE, "user_id": None, "consent": None, "context": {"url": URL},
        "properties": {"observation": "owned", "page_view_id": "pv-1", "content_id": "www.example.org/guide",
                       "title": "Guide", "$lib": "web", "$is_identified": False, "$sent_at": "2026-10-01T11:00:00Z"},
    }  # fmt: skip
    assert (
        repairs.counts["(other events)", "person_properties", "says who or where somebody is: not kept"] == 0
    )
    assert repairs.counts["$pageview", "person_properties", "says who or where somebody is: not kept"] == 1


def test_the_end_of_a_view():
    record = sent("$pageleave", prev_pageview_id="pv-1", prev_pageview_duration=12.3456,
                  prev_pageview_max_scroll_percentage=0.855, referrer="$direct")  # fmt: skip
    found, repairs = read(record)
    assert found["event_name"] == "page_exit"
    assert found["context"] == {"url": URL}
    assert {name: found["properties"][name] for name in ("page_view_id", "active_ms", "max_scroll_pct")} == {
        "page_view_id": "pv-1", "active_ms": 12346, "max_scroll_pct": 85.5,
    }  # fmt: skip
    assert (
        repairs.counts["$pageleave", "$prev_pageview_duration", "hidden time included: an upper bound"] == 1
    )


def test_a_tab_left_open_for_two_days_is_no_page_exit_and_no_refusal():
    found, _ = read(sent("$pageleave", prev_pageview_id="pv-1", prev_pageview_duration=200_000))
    assert found["event_name"] == "$pageleave"
    assert found["properties"]["$prev_pageview_duration"] == 200_000


def test_of_a_copied_passage_only_its_length_is_kept():
    found, _ = read(sent("$copy_autocapture", pageview_id="pv-1", selected_content="twelve chars"))
    assert (found["event_name"], found["properties"]["copied_chars"]) == ("passage_copy", 12)
    assert b"twelve" not in orjson.dumps(found)


def test_time_is_counted_back_from_the_sending():
    record = sent()
    del record["timestamp"]
    found, _ = read({**record, "offset": 250})
    assert found["occurred_at"] == "2026-10-01T12:00:00.750000Z"
    found, _ = read({**exported(), "timestamp": None, "offset": 250})
    assert found["occurred_at"] == "2026-10-01T12:00:01.750000Z"


def test_without_a_time_of_sending_the_uuid_tells_the_time():
    record = {**sent(), "offset": 250}
    del record["timestamp"], record["sent_at"]
    found, _ = read(record)
    assert found["occurred_at"] == "2025-10-01T17:10:58.366000Z"
    assert found["sent_at"] == "2025-10-01T17:10:58.616000Z"


def test_a_clock_that_is_not_to_be_corrected_is_not():
    found, _ = read(sent(ignore_sent_at=True))
    assert "sent_at" not in found


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (sent("$opt_in"), {"categories": {"posthog_capturing": True}}),
        (sent("$opt_out"), {"categories": {"posthog_capturing": False}}),
        (sent(), None),
        (sent(cookieless_mode=True), {"categories": {"posthog_capturing": False}}),
        (sent("$opt_in", cookieless_mode=True), {"categories": {"posthog_capturing": False}}),
        (sent("$opt_in", cookieless_mode=[1]), {"categories": {"posthog_capturing": "unreadable"}}),
        ({**sent(), "$said": {"posthog_capturing": True}}, None),
    ],
)
def test_what_is_said_of_capturing(record: dict[str, Any], said: object):
    assert read(record)[0]["consent"] == said


def test_properties_that_are_no_object_are_refused():
    posthog = adapter("posthog")
    for held, code in (
        (5, "not_an_object"),
        ("[1]", "not_an_object"),
        ('{"a": 1, "a": 2}', "duplicate_key"),
        ("{", "broken_json"),
    ):
        found = posthog.decode(orjson.dumps({**exported(), "properties": held}))
        assert isinstance(found, Violation)
        assert (found.code, found.json_path) == (code, "$.properties")


def test_every_form_of_the_same_events_is_read(tmp_path: Path):
    rows = [exported(uuid=f"0199a0c1-7a3e-7c11-9d52-2f6a8e0b4{number:03}") for number in range(3)]
    texts = [{**row, "properties": orjson.dumps(row["properties"]).decode()} for row in rows]
    (tmp_path / "a.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (tmp_path / "b.json").write_bytes(orjson.dumps(rows))
    (tmp_path / "c.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in texts))
    moments = ("timestamp", "created_at", "_inserted_at")
    table = pa.Table.from_pylist([
        {**row, **{name: dt.datetime.fromisoformat(row[name]) for name in moments},
         "person_properties": orjson.dumps(row["person_properties"]).decode()}
        for row in texts
    ])  # fmt: skip
    pq.write_table(table, tmp_path / "d.parquet")
    column = table.column_names.index("properties")
    binary = table.set_column(column, "properties", table["properties"].cast(pa.binary()))
    pq.write_table(binary, tmp_path / "e.parquet")
    pq.write_table(
        pa.table({"uuid": table["uuid"], "event": table["event"], "distinct_id": table["distinct_id"],
                  "properties": table["properties"], "timestamp": table["timestamp"].cast(pa.timestamp("ns")),
                  "created_at": table["created_at"].cast(pa.timestamp("ms"))}),
        tmp_path / "f.parquet",
    )  # fmt: skip
    found = [el.read(path) for path in sorted(tmp_path.iterdir())]
    wanted = found[0].events[
        ["event_id", "event_name", "anonymous_id", "occurred_at", "received_at", "properties"]
    ]
    assert len(wanted) == 3
    assert set(wanted["event_name"]) == {"page_view"}
    for log in found[1:]:
        assert log.quarantine.empty
        assert log.events[wanted.columns].equals(wanted)


def test_batches_of_each_kind_are_taken_apart(tmp_path: Path):
    events = [captured("paid", "u-1"), {**captured("paid", "u-2"), "uuid": AFTER_RESET}]
    newer = [
        {
            **captured("paid", "u-3"),
            "uuid": DEVICE,
            "session_id": "s-1",
            "options": {"process_person_profile": False},
        }
    ]
    lines = [
        {"api_key": "phc_1", "batch": events, "sent_at": "2026-10-01T12:00:05Z"},
        {"created_at": "2026-10-01T12:00:06Z", "batch": newer},
        [sent(), {**sent(), "uuid": "0199a0c1-7a3e-7c11-9d52-2f6a8e0b4c99"}],
        {"api_key": "phc_1", **captured("paid", "u-4"), "uuid": "0199a0c1-7a3e-7c11-9d52-2f6a8e0b4c98"},
    ]
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    log = el.read(path)
    assert log.quarantine.empty
    assert len(log.events) == 6
    third = log.events.set_index("event_id").loc[DEVICE]
    assert third["anonymous_id"] == "u-3"
    assert log.events["user_id"].isna().tolist().count(False) == 3
    assert str(third["sent_at"]) == "2026-10-01 12:00:06+00:00"
    assert orjson.loads(str(third["properties"]))["$session_id"] == "s-1"


SEGMENT = {"type": "track", "event": "x", "messageId": "m", "anonymousId": "a", "originalTimestamp": "2026-10-01T12:00:00Z",
           "properties": {"distinct_id": "d"}}  # fmt: skip
MIXPANEL = {
    "event": "x",
    "properties": {"distinct_id": "d", "time": 1790000000, "token": "t", "$device_id": "d"},
}
NATIVE = {"event_id": "e", "event_name": "page_view", "schema_version": "1-0-0", "occurred_at": "2026-10-01T12:00:00Z",
          "received_at": "2026-10-01T12:00:00Z", "source": "web", "anonymous_id": "a", "consent": consent(), "properties": {}}  # fmt: skip


@pytest.mark.parametrize(
    ("records", "name"),
    [
        ([sent()], "posthog"),
        ([exported()], "posthog"),
        ([{"api_key": "k", "batch": [{**captured("x", "u"), "type": "identify"}], "sent_at": "2026-10-01T12:00:05Z"}], "posthog"),
        ([{"batch": [SEGMENT], "sentAt": "2026-10-01T12:00:05Z"}], "segment"),
        ([SEGMENT], "segment"),
        ([MIXPANEL], "native"),
        ([NATIVE], "native"),
    ],
)  # fmt: skip
def test_no_log_is_taken_for_anothers(records: list[Any], name: str):
    assert detect([orjson.dumps(record) for record in records])[0] == name


RECORDS: list[dict[str, Any]] = [
    exported(),
    {**exported(), "properties": orjson.dumps(exported()["properties"]).decode()},
    {**sent("$opt_in", cookieless_mode=False), "offset": 3},
    sent("$identify", "u-1", is_identified=True, user_id="u-1", anon_distinct_id=DEVICE),
    sent(
        "$pageleave",
        prev_pageview_id="p",
        prev_pageview_duration=1.5,
        prev_pageview_max_scroll_percentage=0.5,
    ),
    captured("$create_alias", "u-1", alias="u-2"),
    {"api_key": "k", "batch": [sent(), captured("x", "u")], "sent_at": "2026-10-01T12:00:05Z"},
    {
        **captured("x", "u"),
        "options": {"cookieless_mode": True, "disable_skew_correction": True},
        "session_id": "s",
    },
]


@given(mutated(RECORDS))
def test_whatever_a_record_holds_it_is_an_event_or_refused(record: Any):
    accounted("posthog", [orjson.dumps(record)])


@given(mutated([sent(cookieless_mode=True), sent(), captured("x", "u")]))
def test_no_damage_grants_anything(record: Any):
    opted = isinstance(record, dict) and record.get("event") == "$opt_in"
    assert opted or not isinstance(record, dict) or not grants("posthog", record)


def test_half_a_record_is_refused():
    line = orjson.dumps(exported())
    assert accounted("posthog", [line[:cut] for cut in range(1, len(line), 7)])[0] == 0


@pytest.mark.parametrize(
    "times",
    [
        {"created_at": "0001-01-01T00:00:00.100Z"},
        {"created_at": -6.2e13},
        {"created_at": None, "uuid": "ffffffff-ffff-7fff-8fff-ffffffffffff"},
    ],
)
def test_a_time_that_no_calendar_has_is_left_to_the_verdict(times: dict[str, Any]) -> None:
    found, _ = read({**exported(), "timestamp": None, "offset": 5_000_000_00, **times})
    assert found["event_name"] == "page_view"


def test_the_person_of_a_hook_is_not_kept() -> None:
    person = {"id": "p", "distinct_ids": [DEVICE, "a.person@example.org"], "properties": {"name": "A Person"}}
    found, _ = read({**exported(), "person": person})
    inside, _ = read(sent(person=None) | {"properties": {**sent()["properties"], "person": person}})
    assert b"Person" not in orjson.dumps(found).title()
    assert "person" not in inside["properties"]


def test_the_name_of_a_device_and_a_recorded_screen_are_not_kept() -> None:
    told = {"$device_name": "Ada's phone", "$device_type": "Mobile", "$snapshot_data": [{"type": 3}]}
    found, _ = read(sent() | {"properties": {**sent()["properties"], **told}})
    assert found["properties"]["$device_type"] == "Mobile"
    assert not found["properties"].keys() & {"$device_name", "$snapshot_data"}
