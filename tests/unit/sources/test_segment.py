"""Segment's and RudderStack's raw events: ids, clocks, consent, batches, and what an alias says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventlib as el
from eventlib.schema import registry
from eventlib.sources import Repairs, adapter, detect
from eventlib.sources.segment import SegmentAdapter
from tests.factory import KEY, lenient_policy
from tests.unit.sources.test_tracker import ANYTHING

PAGE: dict[str, Any] = {
    "type": "page", "messageId": "m-1", "anonymousId": "a-1", "userId": None, "name": "Guide",
    "originalTimestamp": "2026-10-03T08:15:30.123Z", "timestamp": "2026-10-03T08:15:29.900Z",
    "sentAt": "2026-10-03T08:15:31Z", "receivedAt": "2026-10-03T08:15:31.420Z",
    "properties": {"title": "A guide", "depth": 2}, "integrations": {"All": True}, "version": 2, "writeKey": "k",
    "context": {
        "page": {"url": "https://shop.example/guide", "referrer": "https://chatgpt.com/", "path": "/guide"},
        "library": {"name": "analytics.js", "version": "2.1"}, "userAgent": "Firefox", "ip": "192.0.2.7",
        "consent": {"categoryPreferences": {"Analytics": True, "Advertising": False}},
    },
}  # fmt: skip


def adapted(record, source="segment"):
    event = adapter(source).adapt(orjson.loads(orjson.dumps(record)), b"", {}, Repairs())
    assert isinstance(event, dict)
    assert registry().judge(event, unplanned=True, own=True) is None
    return event


def test_a_page_call():
    event = adapted(PAGE)
    assert event["event_name"] == "page_view"
    assert (event["event_id"], event["anonymous_id"], event["user_id"], event["channel"]) == (
        "m-1",
        "a-1",
        None,
        "client",
    )
    assert event["occurred_at"] == PAGE["originalTimestamp"]
    assert (event["sent_at"], event["received_at"]) == (PAGE["sentAt"], PAGE["receivedAt"])
    assert event["context"]["referrer"] == "https://chatgpt.com/"
    assert event["consent"] == {"categories": {"Analytics": True, "Advertising": False}}
    kept = event["properties"]
    assert (kept["content_id"], kept["title"], kept["depth"]) == ("shop.example/guide", "A guide", 2)
    assert kept["timestamp"] == PAGE["timestamp"]
    assert kept["context"]["page"] == {"path": "/guide"}
    assert kept["integrations"] == {"All": True}
    assert "192.0.2.7" not in orjson.dumps(event).decode()


def test_an_order_is_a_conversion_and_keeps_what_it_says_beside():
    event = adapted(
        {"type": "track", "event": "Order Completed", "messageId": "m", "userId": "u", "timestamp": "2026-10-03T08:15:30Z",
         "properties": {"order_id": "o-9", "total": "27.50", "currency": "USD", "products": [{"sku": "s"}], "value": 1}}
    )  # fmt: skip
    assert event["event_name"] == "conversion_complete"
    assert {name: event["properties"][name] for name in ("conversion_id", "value", "currency", "conversion_type")} == {
        "conversion_id": "o-9", "value": 27.5, "currency": "USD", "conversion_type": "order",
    }  # fmt: skip
    assert event["properties"]["products"] == [{"sku": "s"}]
    assert event["properties"]["segment_value"] == 1


def test_an_alias_links_both_ids_and_keeps_neither_as_it_is():
    event = adapted(
        {
            "type": "alias",
            "messageId": "m",
            "userId": "u-2",
            "previousId": "u-1",
            "timestamp": "2026-10-03T08:15:30Z",
        }
    )
    assert event["event_name"] == "identity_link"
    assert {(one["namespace"], one["value"]) for one in event["properties"]["identifiers"]} == {
        ("user_id", "u-2"), ("user_id", "u-1"), ("anonymous_id", "u-1"),
    }  # fmt: skip
    assert set(event["properties"]) == {"identifiers"}


@pytest.mark.parametrize("name", ["identify", "group", "screen"])
def test_calls_without_a_meaning_keep_their_name(name):
    event = adapted({"type": name, "messageId": "m", "userId": "u", "timestamp": "2026-10-03T08:15:30Z",
                     "traits": {"plan": "pro", "email": "a@b.example", "name": "Ann"}})  # fmt: skip
    assert event["event_name"] == name
    assert event["properties"] == {"traits": {"plan": "pro"}}


@pytest.mark.parametrize(
    "consent",
    [
        {"categoryPreferences": {"Analytics": "yes"}},
        {"categoryPreferences": [1]},
        {"other": 1},
        {"categoryPreferences": {"*": True}},
        "denied",
        False,
        ["Analytics"],
    ],
)
def test_a_damaged_consent_object_stays_damage(tmp_path, consent):
    event = adapted({**PAGE, "context": {**PAGE["context"], "consent": consent}})
    assert event["consent"] == {"categories": {"unreadable": "unreadable"}}
    log = tmp_path / "log.json"
    log.write_bytes(orjson.dumps({**PAGE, "context": {**PAGE["context"], "consent": consent}}))
    (row,) = el.read(log).events.to_dict("records")
    assert row["undecoded_signal"]


def test_rudderstack_says_by_lists_what_is_allowed():
    consent = {"allowedConsentIds": ["a", "b"], "deniedConsentIds": ["b", "c"], "provider": "custom"}
    event = adapted({**PAGE, "rudderId": "r", "context": {"consent": consent}}, "rudderstack")
    assert event["consent"]["categories"] == {"a": True, "b": False, "c": False}
    assert event["source"] == "rudderstack"
    damaged = adapted({**PAGE, "context": {"consent": {"allowedConsentIds": "all"}}}, "rudderstack")
    assert damaged["consent"]["categories"] == {"unreadable": "unreadable"}


@pytest.mark.parametrize(
    ("context", "categories"),
    [
        (
            {"consentManagement": {"allowedConsentIds": ["a"], "deniedConsentIds": ["b"]}},
            {"a": True, "b": False},
        ),
        (
            {"consent": {"allowedConsentIds": ["a", "b"]}, "consentManagement": {"deniedConsentIds": ["a"]}},
            {"a": False, "b": True},
        ),
        (
            {"consent": {"deniedConsentIds": ["a"]}, "consentManagement": {"allowedConsentIds": ["a"]}},
            {"a": False},
        ),
        ({"consentManagement": {"allowedConsentIds": {"a": True}}}, {"unreadable": "unreadable"}),
        ({"consentManagement": "none"}, {"unreadable": "unreadable"}),
    ],
)
def test_newer_sdks_of_rudderstack_say_it_in_another_place(context, categories):
    assert detect([orjson.dumps({**PAGE, "context": context})])[0] == (
        "rudderstack" if "consentManagement" in context else "segment"
    )
    assert adapted({**PAGE, "context": context}, "rudderstack")["consent"] == {"categories": categories}


@pytest.mark.parametrize(("context", "consent"), [("gone", True), (["x"], True), ([], False), (None, False)])
def test_a_damaged_context_may_have_held_a_refusal(context, consent):
    event = adapted({**PAGE, "context": context})
    assert event["consent"] == ({"categories": {"unreadable": "unreadable"}} if consent else None)


@pytest.mark.parametrize("context", [None, [], {}, {"consent": None}, {"locale": "de"}])
def test_a_refusal_of_a_batch_holds_for_members_that_say_nothing(context):
    unpack = SegmentAdapter.unpack
    assert unpack is not None
    refused = {"consent": {"categoryPreferences": {"Analytics": False}}}
    batch = {"context": refused, "batch": [{**PAGE, "context": context}]}
    (member,) = unpack.of(orjson.dumps(batch))
    assert adapted(orjson.loads(member))["consent"] == {"categories": {"Analytics": False}}


def test_the_two_are_told_apart():
    assert detect([orjson.dumps(PAGE)])[0] == "segment"
    assert detect([orjson.dumps({**PAGE, "rudderId": "r"})])[0] == "rudderstack"


def test_a_batch_says_once_what_holds_for_all(tmp_path):
    members = [{**PAGE, "messageId": f"m-{nth}"} for nth in range(3)]
    for member in members:
        del member["sentAt"]
        member["context"] = {"page": PAGE["context"]["page"]}
    batch = {
        "batch": members,
        "sentAt": "2026-10-03T08:15:40Z",
        "context": {"library": {"name": "analytics-python"}},
    }
    log = tmp_path / "log.json"
    log.write_bytes(orjson.dumps(batch) + b"\n" + orjson.dumps(PAGE) + b"\n")
    read = el.read(log)
    assert read.ledger.to_list()[0]["rows_in"] == read.ledger.to_list()[0]["rows_out"] == 4
    assert read.events["line"].tolist() == [1, 1, 1, 2]
    assert read.events["channel"].tolist() == ["server"] * 3 + ["client"]
    assert read.events["sent_at"].dt.second.tolist() == [40, 40, 40, 31]


@pytest.mark.parametrize(
    "line",
    [
        b'{"batch": []}',
        b'{"batch": [1, null]}',
        b'{"batch": [{"type": "track"}',
        b'{"batch": {"type": "page"}}',
        b'["batch"]',
    ],
)
def test_an_odd_batch_is_refused_and_counted(tmp_path, line):
    log = tmp_path / "log.json"
    log.write_bytes(orjson.dumps(PAGE) + b"\n" + line + b"\n")
    read = el.read(log)
    (entry,) = read.ledger.to_list()
    assert (entry["rows_out"], sum(entry["removed"].values())) == (1, entry["rows_in"] - 1)
    assert entry["rows_in"] > 1
    assert set(read.quarantine["line"]) == {2}


def test_a_refused_member_is_found_again_by_a_replay(tmp_path):
    key = tmp_path / "key"
    key.write_text(KEY)
    bad = {**PAGE, "messageId": "m-2", "originalTimestamp": "soon"}
    log = tmp_path / "log.json"
    log.write_bytes(orjson.dumps({"batch": [PAGE, bad, {**PAGE, "messageId": "m-3"}]}) + b"\n")
    policy = lenient_policy(tmp_path)
    done = el.prepare(log, out=tmp_path / "out", key=key, policy=policy)
    assert sum(done.ledger.removed("read").values()) == 1
    again = el.replay(tmp_path / "out", out=tmp_path / "out", key=key, policy=policy)
    assert again.ledger.removed("read") == done.ledger.removed(
        "read"
    )  # found where it stood, and refused again


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_any_value_at_any_place_ends_in_a_verdict(data):
    whole = orjson.loads(orjson.dumps(PAGE))
    for place in data.draw(
        st.lists(st.sampled_from([*PAGE, "context.page", "context.consent", "traits"]), max_size=3)
    ):
        outer, _, inner = place.partition(".")
        if inner and isinstance(whole.get(outer), dict):
            whole[outer][inner] = data.draw(ANYTHING)
        else:
            whole[outer] = data.draw(ANYTHING)
    whole["type"] = data.draw(st.sampled_from(["page", "alias", "identify", "track"]))
    event = SegmentAdapter().adapt(whole, b"", {}, Repairs())
    assert isinstance(event, dict)
    registry().judge(event, unplanned=True, own=True)


@pytest.mark.parametrize("source", ["segment", "rudderstack"])
def test_who_and_where_somebody_is_is_not_kept(source: str):
    who = {
        "id": "u-77", "name": "Ada", "avatar": "https://shop.example/ada.png", "address": {"city": "Ulm", "zip": "89073"},
        "dob": "1815-12-10", "plan": "pro",
    }  # fmt: skip
    context = {
        "traits": who, "externalId": [{"id": "e-5", "type": "other"}], "device": {"name": "Ada's phone", "model": "X"},
        "location": {"city": "Ulm", "country": "DE", "latitude": 48.4}, "device_id": "d-1", "Other Tool": {"clientId": "GA1.1.29"},
    }  # fmt: skip
    record = {**PAGE, "traits": who, "context": {**PAGE["context"], **context}}
    record |= {"rudderId": "r-9"} if source == "rudderstack" else {}
    kept = adapted(record, source)["properties"]
    assert kept["traits"] == kept["context"]["traits"] == {"plan": "pro"}
    assert (kept["context"]["device"], kept["context"]["location"]) == ({"model": "X"}, {"country": "DE"})
    assert not kept["context"].keys() & {"externalId", "device_id"}
    assert kept["context"]["Other Tool"] == {}
    assert "rudderId" not in kept


@pytest.mark.parametrize("library", ["com.rudderstack.android.sdk.core", "RudderLabs JavaScript SDK"])
def test_a_library_of_rudderstack_tells_its_records(library: str):
    record = {**PAGE, "context": {**PAGE["context"], "library": {"name": library}}}
    found, reason = detect([orjson.dumps(record)])
    assert found == "rudderstack"
    assert reason.endswith("or a library of RudderStack's")
    assert detect([orjson.dumps(PAGE)])[0] == "segment"
