"""A table turns a tracker's records into events: places, meanings, what is left, what is not kept; own mappings likewise."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventlib as el
from eventlib.errors import BadCallError
from eventlib.model import Violation
from eventlib.schema import registry
from eventlib.sources import ADAPTERS, Repairs, Skipped, adapter, detect, known_adapter
from eventlib.sources.meanings import content_of
from eventlib.sources.reading import UnreadableError, read_time
from eventlib.sources.segment import RudderStackAdapter
from eventlib.sources.tracker import TrackerAdapter
from eventlib.sources.vocabulary import same_name, wanted

SHOP = """
source: shop
title: Our shop
event_name: what
properties: details
channel: server
content_id: details.article
personal: [customer.name]
implied: [format]
fields:
  event_id: id
  occurred_at: {from: at, as: seconds since 1970}
  anonymous_id: visitor
  user_id: customer.number
  context.url: page
  consent.purposes: allowed
events:
  read: page_view
  bought:
    event_name: conversion_complete
    properties: {conversion_id: receipt, value: sum, conversion_type: {is: purchase}}
  stayed:
    event_name: page_engage
    properties: {page_view_id: view, active_ms: {from: seconds_active, as: seconds}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> TrackerAdapter:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    made = adapter(str(path))
    assert isinstance(made, TrackerAdapter)
    return made


def record(what="read", **more):
    return {"id": "e-1", "what": what, "at": 1_790_000_000, "visitor": "v-1", "format": 3, **more}


def adapted(kind, given):
    repairs = Repairs()
    event = kind.adapt(orjson.loads(orjson.dumps(given)), b"", {}, repairs)
    assert not isinstance(event, Skipped)
    return event, {(scope, name): (text, count) for (scope, name, text), count in repairs.counts.items()}


def test_what_has_a_place_goes_there_and_the_rest_keeps_its_name(shop):
    given_ = record(
        page="https://shop.example/a/?x=1",
        details={"article": 7, "shelf": "left"},
        customer={"name": "A", "number": 12},
    )
    event, repairs = adapted(shop, given_)
    assert event == {
        "event_id": "e-1",
        "event_name": "page_view",
        "schema_version": "1-0-0",
        "occurred_at": "2026-09-21T14:13:20.000000Z",
        "received_at": "2026-09-21T14:13:20.000000Z",
        "source": "shop",
        "channel": "server",
        "anonymous_id": "v-1",
        "user_id": "12",
        "consent": None,
        "context": {"url": "https://shop.example/a/?x=1"},
        "properties": {
            "observation": "owned",
            "page_view_id": "e-1",
            "content_id": "7",
            "article": 7,
            "shelf": "left",
        },
    }
    assert repairs["read", "customer.name"] == ("says who or where somebody is: not kept", 1)
    assert repairs["read", "customer.number"] == ("number read as text", 1)
    assert repairs["read", "event_name"] == ("read as page_view", 1)


def test_a_content_that_is_called_by_its_address_tells_on_nobody(shop):
    event, _ = adapted(shop, record(page="https://shop.example/u/ann%40mail.example/orders"))
    assert event["properties"]["content_id"] == "shop.example/u/[masked]/orders"


def test_ids_that_are_made_bear_the_source_of_a_format_of_ones_own(tmp_path):
    given_ = {name: value for name, value in record().items() if name != "id"}
    (tmp_path / "shop.json").write_bytes(orjson.dumps(given_) + b"\n")
    (tmp_path / "shop.yaml").write_text(SHOP)
    log = el.read(tmp_path / "shop.json", source=str(tmp_path / "shop.yaml"))
    assert log.events["event_id"].str.fullmatch("shop-[0-9a-f]{32}").tolist() == [True]


def test_a_page_without_a_named_content_is_called_by_its_address(shop):
    event, repairs = adapted(shop, record(page="https://u:p@Shop.example/a/?x=1#y"))
    assert event["properties"]["content_id"] == "shop.example/a"
    assert ("read", "content_id") in repairs


def test_units_and_texts_become_what_the_vocabulary_takes(shop):
    event, _ = adapted(shop, record("stayed", details={"view": "p-1", "seconds_active": "12.5"}))
    assert event["event_name"] == "page_engage"
    assert (event["properties"]["active_ms"], event["properties"]["page_view_id"]) == (12_500, "p-1")
    bought, _ = adapted(shop, record("bought", details={"receipt": 5, "sum": "9.5"}))
    assert (bought["properties"]["conversion_id"], bought["properties"]["value"]) == ("5", 9.5)


def test_an_event_that_lacks_what_the_vocabulary_asks_keeps_its_name_and_all_it_has(shop):
    event, repairs = adapted(shop, record("stayed", details={"seconds_active": 3}))
    assert (event["event_name"], event["properties"]) == ("stayed", {"seconds_active": 3})
    assert repairs["stayed", "event_name"][0] == "lacks page_view_id of page_engage: kept under its own name"


def test_what_a_mapping_supposes_holds_for_every_record(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP + "defaults: {details: {article: c-1}, customer: {number: 7}}\n")
    kind = adapter(str(path))
    for _ in range(2):
        event, _repairs = adapted(kind, record())
        assert (event["user_id"], event["properties"]["content_id"]) == ("7", "c-1")


def test_a_conversion_without_an_id_takes_the_events(shop):
    event, repairs = adapted(shop, record("bought"))
    assert event["properties"]["conversion_id"] == "e-1"
    assert ("bought", "conversion_id") in repairs


@pytest.mark.parametrize("name", ["Citation Clicked", "citation-click", "citationClick", "citation_click"])
def test_a_name_of_the_vocabulary_is_known_however_it_is_spelled(shop, name):
    event, _ = adapted(
        shop, record(name, details={"citation_id": "c", "answer_id": "a", "position": "2", "mood": "good"})
    )
    assert event["event_name"] == "citation_click"
    assert event["properties"]["position"] == 2
    assert event["properties"]["mood"] == "good"


def test_a_value_that_means_something_else_is_kept_beside_the_vocabularys(shop):
    event, _ = adapted(
        shop, record("citation_click", details={"citation_id": "c", "answer_id": "a", "position": "top"})
    )
    assert "position" not in event["properties"]
    assert event["properties"]["shop_position"] == "top"
    assert registry().judge(event, unplanned=True, own=True) is None


def test_other_names_pass_and_are_not_told_in_repairs(shop):
    event, repairs = adapted(shop, record("Jane Doe looked", details={"x": 1}))
    assert event["event_name"] == "Jane Doe looked"
    assert not any("Jane" in part for key in repairs for part in key)


def test_members_of_the_same_name_do_not_overwrite_each_other(shop):
    event, _ = adapted(shop, record("other", shelf="top", details={"shelf": "left"}))
    assert event["properties"] == {"shelf": "left", "shop_shelf": "top"}


def test_a_name_under_which_a_taken_one_would_stand_is_not_overwritten_either(shop):
    outside = {"shelf": "top", "shop_shelf": "far", "shop_shop_shelf": "off"}
    event, repairs = adapted(
        shop, record("other", **outside, details={"shelf": "left", "shop_shelf": "right"})
    )
    assert sorted(event["properties"].values()) == ["far", "left", "off", "right", "top"]
    assert event["properties"] | {"shelf": "left", "shop_shelf": "right"} == event["properties"]
    assert repairs["(other events)", "properties"] == ("a name was taken: kept with shop_ before it", 2)


def test_records_read_together_are_what_they_are_alone(shop):
    records = [
        record(page="https://shop.example/a"),
        record("ada@shop.example bought"),
        record("stayed", details={"view": "p-1", "seconds_active": 3}),
        record("other", details={"e-mail": "a@b.example"}),
    ]
    alone, together = Repairs(), Repairs()
    each = [shop.adapt(orjson.loads(orjson.dumps(one)), b"", {}, alone) for one in records]
    assert shop.adapt_each([(one, b"") for one in records], {}, together) == each
    assert together.counts == alone.counts
    assert [type(one) for one in each] == [dict, Violation, dict, dict]


def test_a_name_of_a_property_that_is_an_address_is_not_kept(shop):
    votes = {"ann@mail.example": 1, "bo%40mail.example": 2, "cy (at) mail.example": 3, "@type": "x"}
    event, repairs = adapted(shop, record("other", details={"votes": votes}))
    assert event["properties"] == {"votes": {"@type": "x"}}
    assert repairs["(other events)", "(names)"] == ("says who or where somebody is: not kept", 3)


def test_what_says_who_somebody_is_is_not_kept_at_any_depth(shop):
    inside = {"e-mail": "a@b.example", "IP_Address": "192.0.2.1", "kept": 1}
    event, repairs = adapted(
        shop, record("other", details={"list": [inside], "deep": {"deeper": {**inside}}})
    )
    assert event["properties"] == {"list": [{"kept": 1}], "deep": {"deeper": {"kept": 1}}}
    assert repairs["(other events)", "ipaddress"][1] == 2


@pytest.mark.parametrize(
    "wrap", [lambda told: [[told]], lambda told: {"a": [[{"b": told}]]}, lambda told: _inside(told, 120)]
)
def test_lists_in_lists_and_great_depth_hide_nobody(shop, wrap):
    told = {
        "E-Mail": "a@b.example",
        "userId": "u-12",
        "user_email": "a@b.example",
        "anonymousId": "v-1",
        "kept": 1,
    }
    event, _ = adapted(shop, record(details={"wrapped": wrap(told)}))
    found = event["properties"]["wrapped"]
    while isinstance(found, list | dict) and "kept" not in found:
        found = found[0] if isinstance(found, list) else next(iter(found.values()))
    assert found == {"kept": 1}


def _inside(told, depth):
    for _ in range(depth):
        told = {"a": told}
    return told


def test_a_name_that_is_an_address_is_refused_and_told_nowhere(shop):
    found = shop.adapt(record("ada@shop.example bought"), b"", {}, Repairs())
    assert isinstance(found, Violation)
    assert (found.code, "shop.example" in found.message) == ("personal_name", False)
    assert not isinstance(shop.adapt(record("@wishlist opened"), b"", {}, Repairs()), Violation)


@pytest.mark.parametrize(("number", "text"), [(12, "12"), (12.0, "12"), (1.5, "1.5"), (1e300, "1e+300")])
def test_one_number_is_one_person_however_its_column_holds_it(shop, number, text):
    assert adapted(shop, record(customer={"number": number}))[0]["user_id"] == text


def test_an_e_mail_address_in_a_text_is_masked_wherever_it_stands(shop):
    said = {
        "note": "ask ann@mail.example, order 4711",
        "list": ["bo@mail.example", {"deep": "x ann@mail.example"}],
        "sdk": "@acme/sdk 2.0",
        "link": "https://shop.example/a?of=ann%2540mail.example&page=2#40%",
    }
    event, repairs = adapted(shop, record("other", details=said))
    assert event["properties"] == {
        "note": "ask [e-mail], order 4711", "list": ["[e-mail]", {"deep": "x [e-mail]"}], "sdk": "@acme/sdk 2.0",
        "link": "https://shop.example/a?of=[e-mail]&page=2#40%",
    }  # fmt: skip
    assert repairs["(other events)", "(texts)"] == ("an e-mail address in it: masked", 4)


def test_identifiers_that_become_pseudonyms_are_not_masked():
    alias = {
        "type": "alias",
        "messageId": "m",
        "userId": "ann@mail.example",
        "previousId": "a-1",
        "timestamp": "2026-10-03T08:15:30Z",
    }
    event, _ = adapted(adapter("segment"), alias)
    assert event["user_id"] == "ann@mail.example"
    assert {one["value"] for one in event["properties"]["identifiers"]} == {"ann@mail.example", "a-1"}


def test_what_no_event_joins_is_not_kept_under_the_name_of_identifiers():
    said = {
        "email": "ann@mail.example",
        "phone": "+44 20 7946 0000",
        "ip": "192.0.2.9",
        "note": "of ann@mail.example",
    }
    for name, held in (("other", said), ("identity_link", said), ("identity_link", [said])):
        row = {
            "type": "track", "event": name, "messageId": "m", "timestamp": "2026-10-03T08:15:30Z",
            "properties": {"identifiers": held, "order": {"identifiers": [said]}},
        }  # fmt: skip
        event, _ = adapted(adapter("segment"), row)
        kept = {"note": "of [e-mail]"}
        assert event["properties"] == {
            "identifiers": [kept] if isinstance(held, list) else kept,
            "order": {"identifiers": [kept]},
        }


@pytest.mark.parametrize("as_text", [False, True])
def test_ids_that_a_mapping_joins_are_not_masked_wherever_they_stand(tmp_path: Path, as_text: bool):
    (tmp_path / "mine.yaml").write_text(
        "extends: segment\nsource: mine\n"
        "events: {Linked: {event_name: identity_link, properties: {identifiers: known.ids}}}\n"
    )
    ids = [{"namespace": "email", "value": "ann@mail.example"}, {"namespace": "user_id", "value": "u-1"}]
    row = {
        "type": "track", "event": "Linked", "messageId": "m", "timestamp": "2026-10-03T08:15:30Z",
        "properties": {"known": {"ids": orjson.dumps(ids).decode() if as_text else ids}},
    }  # fmt: skip
    event, _ = adapted(adapter(str(tmp_path / "mine.yaml")), row)
    assert event["properties"] == {"identifiers": ids}


def test_an_extension_takes_all_of_the_tracker_it_extends(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(
        "extends: segment\nsource: ours\ncontent_id: properties.article_id | article_id\n"
        "events: {Article Read: page_view}\n"
    )
    kind = adapter(str(path))
    line = orjson.dumps(
        {"batch": [{"type": "track", "event": "Article Read", "messageId": "m", "anonymousId": "a",
                    "timestamp": "2026-10-03T08:15:30Z", "properties": {"article_id": "c-7"}}]}
    )  # fmt: skip
    log = tmp_path / "log.json"
    log.write_bytes(line + b"\n")
    read = el.read(log, source=str(path))
    (event,) = read.events.to_dict("records")
    assert (event["event_name"], event["source"]) == ("page_view", "ours")
    assert orjson.loads(event["properties"])["content_id"] == "c-7"
    assert isinstance(kind, TrackerAdapter)
    assert {"page", "Order Completed", "Article Read"} <= set(kind.table.events)


def test_an_extension_reads_consent_as_its_tracker_does_and_keeps_back_what_it_does(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text("extends: rudderstack\nsource: ours\npersonal: [nickname]\n")
    kind = adapter(str(path))
    assert type(kind) is RudderStackAdapter
    given_ = {"type": "track", "event": "x", "messageId": "m", "anonymousId": "a", "request_ip": "192.0.2.1", "nickname": "Bo",
              "context": {"consentManagement": {"deniedConsentIds": ["c"]}}, "timestamp": "2026-10-03T08:15:30Z"}  # fmt: skip
    event, repairs = adapted(kind, given_)
    assert event["consent"] == {"categories": {"c": False}}
    assert "Bo" not in str(event)
    assert "192.0.2.1" not in str(event)
    assert ("(other events)", "nickname") in repairs


BAD = {
    "a format's own name": SHOP.replace("source: shop", "source: ga4"),
    "no mapping": "[]",
    "broken": "a: [",
    "no source": SHOP.replace("source: shop", ""),
    "no fields": "source: shop\nevent_name: what\n",
    "unknown member": SHOP + "colour: red\n",
    "unknown field": SHOP.replace("anonymous_id: visitor", "visitor: visitor"),
    "unknown reader": SHOP.replace("seconds since 1970", "fortnights"),
    "unknown event": SHOP.replace("read: page_view", "read: page_read"),
    "no path": SHOP.replace("event_id: id", "event_id: [id]"),
    "empty part": SHOP.replace("event_id: id", "event_id: a..b"),
    "extends nothing known": "extends: nothing\nsource: x\n",
    "twice": SHOP + "source: other\n",
    "twice within": SHOP.replace("event_id: id", "event_id: id\n  event_id: other"),
    "channel": SHOP.replace("channel: server", "channel: sideways"),
    "unknown member of a field": SHOP.replace("event_id: id", "event_id: {from: id, ass: text}"),
    "unknown member of an event": SHOP.replace("read: page_view", "read: {event_name: page_view, props: {}}"),
    "unknown property": SHOP.replace(
        "read: page_view", "read: {event_name: page_view, properties: {titel: t}}"
    ),
    "property that no vocabulary takes": SHOP.replace(
        "read: page_view", "read: {event_name: page_view, properties: {title: {is: 2026-01-01}}}"
    ),
    "reader is a list": SHOP.replace("event_id: id", "event_id: {from: id, as: [text]}"),
    "keep": SHOP.replace("event_id: id", "event_id: {from: id, keep: perhaps}"),
    "recognise": SHOP + "recognise: {al: [id]}\n",
    "recognise a text": SHOP + "recognise: {none: id}\n",
    "traps": SHOP + "traps: 5\n",
    "defaults": SHOP + "defaults: {5: 6}\n",
    "defaults without end": SHOP + "defaults: &a {a: *a}\n",
    "defaults of many": SHOP
    + "defaults:\n  a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(f"  {b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")),
    "events are a list": SHOP.split("events:", maxsplit=1)[0] + "events: [read]\n",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_mapping_that_cannot_be_used_is_told(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BadCallError, match=r"bad\.yaml|source mapping"):
        adapter(str(path))


def test_a_mapping_that_was_changed_is_read_again(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    before = known_adapter(str(path))
    assert known_adapter(str(path)) is before
    path.write_text(SHOP.replace("visitor", "guest_number"))
    after = known_adapter(str(path))
    assert isinstance(after, TrackerAdapter)
    (field,) = [f for f in after.table.fields if f.target == "anonymous_id"]
    assert field.alternatives == (("guest_number",),)


def test_a_mapping_that_is_not_there_is_told():
    with pytest.raises(BadCallError, match=r"nowhere\.yaml cannot be used"):
        adapter("nowhere.yaml")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_any_value_at_any_place_ends_in_a_verdict(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "shop.yaml"
    path.write_text(SHOP)
    whole = record(
        data.draw(st.sampled_from(["read", "bought", "stayed", "x"])), page="https://a.example/", customer={"number": "1"},
        details={"view": "v", "seconds_active": 2, "receipt": "r", "sum": 1}, allowed={"analytics": True},
    )  # fmt: skip
    for name in data.draw(st.lists(st.sampled_from(sorted(whole)), max_size=3)):
        whole[name] = data.draw(ANYTHING)
    event = adapter(str(path)).adapt(whole, b"", {}, Repairs())
    assert isinstance(event, dict)
    violation = registry().judge(event, unplanned=True, own=True)
    assert violation is None or violation.code.startswith("schema_")


@pytest.mark.parametrize(
    ("value", "unit", "wanted_time"),
    [
        ("2026-10-03T08:15:30Z", "", "2026-10-03T08:15:30Z"),
        ("2026-10-03 08:15:30.5 UTC", "", "2026-10-03T08:15:30.5Z"),
        ("2026-10-03T08:15:30+0200", "", "2026-10-03T08:15:30+02:00"),
        ("2026-10-03T08:15:30,123456789+02", "", "2026-10-03T08:15:30.123456789+02:00"),
        (1_790_000_000, "", "2026-09-21T14:13:20.000000Z"),
        (1_790_000_000_123, "", "2026-09-21T14:13:20.123000Z"),
        (1_790_000_000_123_456, "", "2026-09-21T14:13:20.123456Z"),
        ("1790000000123", "ms", "2026-09-21T14:13:20.123000Z"),
    ],
)
def test_times_in_the_forms_that_trackers_write(value, unit, wanted_time):
    assert read_time(value, unit)[0] == wanted_time


@pytest.mark.parametrize(
    "value", [True, [], {}, "soon", "1790000000", float("nan"), float("inf"), 1e30, -(10**30)]
)
def test_what_is_no_time_is_left_to_the_verdict(value):
    with pytest.raises(UnreadableError):
        read_time(value)


def test_addresses_that_name_no_content():
    assert content_of(None) is None
    assert content_of("http://[broken") is None
    assert content_of("/only/a/path/") == "/only/a/path"


def test_every_table_states_what_its_format_is_and_uses_names_of_the_vocabulary():
    for name in ADAPTERS:
        kind = known_adapter(name)
        assert kind.about.title
        for meaning in kind.table.events.values() if isinstance(kind, TrackerAdapter) else ():
            known = wanted(meaning.event_name)
            assert known is not None
            assert {*meaning.properties, *meaning.literals} <= set(known.readers)


def test_no_two_names_of_the_vocabulary_are_spelled_alike():
    assert same_name("page viewed") == "page_view"
    assert same_name("x" * 100) is None


def test_a_log_of_two_formats_asks_which_it_is():
    lines = [
        b'{"event_name": "page_view", "occurred_at": "2026-10-03T08:15:30Z"}',
        b'{"type": "track", "messageId": "m", "anonymousId": "a"}',
    ]
    with pytest.raises(BadCallError, match=r"looks like native because .* and like segment because"):
        detect(lines)


def test_the_shipped_tables_are_plain_yaml_without_surprises():
    folder = Path(el.__file__).parent / "sources" / "tables"
    for path in folder.glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert content["source"] == path.stem
        assert content["seen"]
