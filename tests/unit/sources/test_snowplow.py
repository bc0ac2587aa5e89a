"""Snowplow in all its forms: columns between tabs, JSON of SDKs, the atomic table, and what trackers send."""

from __future__ import annotations

import copy
import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventlib as el
from eventlib.api import ReadLog
from eventlib.consent.signals import Signals, signal_reader
from eventlib.judging import Task, _Reader
from eventlib.model import Violation
from eventlib.sources import Repairs, detect, known_adapter
from eventlib.sources.files import Chunk
from eventlib.sources.snowplow_fields import COLUMNS
from tests.factory import event as native_event
from tests.factory import line as native_line
from tests.unit.sources.mutation import accounted
from tests.unit.sources.snowplow_records import (
    ID,
    PAGE,
    PREFERENCES,
    SESSION,
    SNOWPLOW,
    contexts,
    described,
    encoded,
    enriched,
    of_its_own,
    payload,
    post,
    tsv,
    unstruct,
)

BUTTON = "iglu:com.acme/button_press/jsonschema/1-0-2"
SAID = f"{SNOWPLOW}/consent_preferences/jsonschema/1-0-0"
POLICY = Signals(
    categories=(("analytics", frozenset({"analytics"})), ("advertising", frozenset({"advertisement"})))
)


def became(record: dict[str, Any] | bytes, repairs: Repairs | None = None) -> dict[str, Any]:
    """The canonical event of a record, or of a line."""
    kind = known_adapter("snowplow")
    found = kind.decode(record if isinstance(record, bytes) else orjson.dumps(record))
    assert not isinstance(found, Violation), found
    made = kind.adapt(found, b"", {}, repairs or Repairs())
    assert isinstance(made, dict)
    return made


def refusal(raw: bytes) -> tuple[str, str]:
    found = known_adapter("snowplow").decode(raw)
    assert isinstance(found, Violation)
    return found.code, found.json_path


def read(path: Path, content: bytes, name: str = "log.ndjson") -> ReadLog:
    (path / name).write_bytes(content)
    return el.read(path / name)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        cells = (row.get(name, "") for name in COLUMNS)
        writer.writerow([cell if isinstance(cell, str) else json.dumps(cell) for cell in cells])
    return text.getvalue().encode()


def as_sdk(columns: dict[str, Any]) -> dict[str, Any]:
    """What the analytics SDKs make of an enriched event."""
    flat = {name: value for name, value in columns.items() if name not in {"contexts", "unstruct_event"}}
    flat |= {name: f"{value.replace(' ', 'T')}Z" for name, value in flat.items() if name.endswith("_tstamp")}
    for member in columns["contexts"]["data"]:
        vendor, name, _, version = member["schema"].removeprefix("iglu:").split("/")
        flat.setdefault(f"contexts_{vendor.replace('.', '_')}_{name}_{version[0]}", []).append(member["data"])
    if own := columns.get("unstruct_event", {}).get("data"):
        vendor, name, _, version = own["schema"].removeprefix("iglu:").split("/")
        flat[f"unstruct_event_{vendor.replace('.', '_')}_{name}_{version[0]}"] = own["data"]
    return flat


def test_a_page_view_that_was_sent_is_a_page_view():
    assert became(payload()) == {
        "event_id": ID,
        "event_name": "page_view",
        "schema_version": "1-0-0",
        "source": "snowplow",
        "channel": "client",
        "occurred_at": "2026-09-21T14:13:20.379Z",
        "sent_at": "2026-09-21T14:13:20.900Z",
        "received_at": "2026-09-21T14:13:20.900Z",
        "true_at": "2026-09-21T14:13:20.000Z",
        "anonymous_id": "d-1",
        "user_id": "u-1",
        "consent": None,
        "context": {
            "url": "https://shop.example/guide?utm_source=chatgpt.com",
            "referrer": "https://chatgpt.com/",
            "user_agent": "UA/1",
        },
        "properties": {
            "observation": "owned",
            "page_view_id": "pv-1",
            "content_id": "shop.example/guide",
            "title": "Guide",
            "app_id": "shop",
            "platform": "web",
            "domain_sessionid": "s-1",
            "domain_sessionidx": 3,
            "dvce_screenwidth": 1920,
            "dvce_screenheight": 1080,
            "br_viewwidth": 800,
            "br_viewheight": 600,
            "os_timezone": "Europe/London",
            "br_lang": "en",
            "v_tracker": "py-1.1.0",
            "name_tracker": "ns",
        },
    }


FORMS = [
    pytest.param(enriched(contexts=contexts(PAGE, SESSION)), payload(cx=encoded(contexts(PAGE, SESSION))), id="page view"),
    pytest.param(
        of_its_own(BUTTON, {"label": "ü", "page_title": "other"}),
        payload(e="ue", ue_px=encoded(unstruct(BUTTON, {"label": "ü", "page_title": "other"}))),
        id="own event",
    ),
    pytest.param(
        enriched(event="struct", event_name="event", event_vendor="com.google.analytics", se_category="shop",
                 se_action="add-to-basket", se_value="2.5"),
        payload(e="se", se_ca="shop", se_ac="add-to-basket", se_va="2.5"),
        id="structured",
    ),
    pytest.param(
        enriched(event="transaction", event_name="transaction", tr_orderid="o-1", tr_total="49.90", tr_currency="EUR"),
        payload(e="tr", tr_id="o-1", tr_tt="49.90", tr_cu="EUR"),
        id="transaction",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "sent"), FORMS)
def test_every_form_of_an_event_becomes_the_same_event(columns: dict[str, Any], sent: dict[str, Any]):
    from_columns = became(tsv(columns))
    assert from_columns["received_at"] == "2026-09-21T14:13:21.500Z"
    assert became(as_sdk(columns)) == from_columns | {
        "properties": {
            name: value for name, value in from_columns["properties"].items()
            if name != "event_version" or "unstruct_event" not in columns or name in columns
        }
    }  # fmt: skip
    assert became(sent) | {"received_at": from_columns["received_at"]} == from_columns


def test_an_order_is_a_conversion_and_an_action_names_a_structured_event():
    columns = enriched(
        event="transaction", event_name="transaction", tr_orderid="o-1", tr_total="49.90", tr_currency="EUR"
    )
    order = became(tsv(columns))
    wanted = {"conversion_id": "o-1", "conversion_type": "order", "value": 49.9, "currency": "EUR"}
    assert order["event_name"] == "conversion_complete"
    assert {name: order["properties"][name] for name in wanted} == wanted
    assert became(payload(e="se", se_ca="shop", se_ac="add-to-basket"))["event_name"] == "add-to-basket"
    assert became(payload(e="se", se_ca="shop", se_ac="page_view"))["event_name"] == "struct_page_view"


def test_an_ecommerce_action_of_a_transaction_is_a_conversion():
    vendor = "iglu:com.snowplowanalytics.snowplow.ecommerce"
    bought = {
        "transaction_id": "o-2",
        "revenue": 12,
        "currency": "EUR",
        "payment_method": "card",
        "total_quantity": 1,
    }
    record = of_its_own(
        f"{vendor}/snowplow_ecommerce_action/jsonschema/1-0-2", {"type": "transaction"},
        contexts=contexts(PAGE, described(f"{vendor}/transaction/jsonschema/1-0-0", bought)),
    )  # fmt: skip
    made = became(tsv(record))
    assert (made["event_name"], made["properties"]["conversion_id"], made["properties"]["value"]) == (
        "conversion_complete", "o-2", 12,
    )  # fmt: skip
    shown = of_its_own(f"{vendor}/snowplow_ecommerce_action/jsonschema/1-0-2", {"type": "product_view"})
    assert became(tsv(shown))["event_name"] == "snowplow_ecommerce_action"


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ({"pp_yoffset_max": "1200", "doc_height": "3000", "br_viewheight": "600"}, 60.0),
        ({"pp_yoffset_max": "9000", "doc_height": "3000", "br_viewheight": "600"}, 100.0),
        ({"pp_yoffset_max": "1200", "doc_height": "0", "br_viewheight": "600"}, None),
        ({"pp_yoffset_max": "-5", "doc_height": "3000", "br_viewheight": "600"}, None),
        ({"pp_yoffset_max": "1200", "doc_height": "3000", "br_viewheight": None}, None),
    ],
)
def test_a_ping_tells_how_far_it_scrolled_and_no_active_time(
    sizes: dict[str, str | None], wanted: float | None
):
    made = became(tsv(enriched(event="page_ping", event_name="page_ping", **sizes)))
    assert made["event_name"] == "page_ping"
    assert made["properties"].get("max_scroll_pct") == wanted
    assert made["properties"]["page_view_id"] == "pv-1"
    assert "active_ms" not in made["properties"]


def test_a_ping_that_states_its_active_time_is_engagement():
    sdk = as_sdk(enriched(event="page_ping", event_name="page_ping", pp_yoffset_max="0", doc_height="1200"))
    made = became(sdk | {"active_ms": 15000})
    assert made["event_name"] == "page_engage"
    assert (made["properties"]["active_ms"], made["properties"]["max_scroll_pct"]) == (15000, 50.0)


def test_who_somebody_is_is_kept_once_and_addresses_are_not():
    held = described(
        f"{SNOWPLOW}/mobile_context/jsonschema/1-0-3",
        {"osType": "ios", "appleIdfa": "idfa-1", "androidIdfa": None},
    )
    repairs = Repairs()
    made = became(
        tsv(enriched(domain_userid=None, contexts=contexts(PAGE, SESSION, held), refr_domain_userid="x-1")),
        repairs,
    )
    assert made["anonymous_id"] == "d-1"
    assert made["properties"]["contexts"] == {
        "client_session": {"sessionId": "s-1", "sessionIndex": 3, "storageMechanism": "COOKIE_1"},
        "mobile_context": {"osType": "ios"},
    }
    assert not any(word in orjson.dumps(made).decode() for word in ("n-1", "x-1", "198.51.100.7", "idfa-1"))
    assert {name for _, name, what in repairs.counts if "not kept" in what} >= {
        "network_userid",
        "user_ipaddress",
        "refr_domain_userid",
    }
    assert became(tsv(enriched(domain_userid=None)))["anonymous_id"] == "n-1"


def test_contexts_keep_their_names_and_those_of_two_vendors_apart():
    members = [
        described(f"iglu:{vendor}/user/jsonschema/1-0-0", {"n": n})
        for n, vendor in enumerate(["com.acme", "com.acme", "org.other"])
    ]
    place = described(f"{SNOWPLOW}/geolocation_context/jsonschema/1-1-0", {"latitude": 1.5, "altitude": 2.5})
    basis = described(f"{SNOWPLOW}/gdpr/jsonschema/1-0-0", {"basisForProcessing": "consent"})
    made = became(tsv(enriched(contexts=contexts(*members), derived_contexts=contexts(place, basis))))
    assert made["properties"]["contexts"] == {
        "user": [{"n": 0}, {"n": 1}],
        "org_other_user": {"n": 2},
        "geolocation_context": {"altitude": 2.5},
        "gdpr": {"basisForProcessing": "consent"},
    }


def test_what_does_not_name_its_schema_is_kept_and_counted():
    repairs = Repairs()
    made = became(tsv(enriched(contexts=contexts(PAGE, {"data": 1}, described("nonsense", 2)))), repairs)
    assert made["properties"]["snowplow_contexts"] == [{"data": 1}, {"schema": "nonsense", "data": 2}]
    assert made["properties"]["page_view_id"] == "pv-1"
    assert ("(all)", "contexts", "does not name its schema: kept as it is") in repairs.counts


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"a\tb", ("wrong_column_count", "$")),
        (tsv(enriched()) + b"\t", ("wrong_column_count", "$")),
        (tsv(enriched()).replace(b"Guide", b"G\xff"), ("broken_utf8", "$")),
        (b"\t" * 130 + b"x" * (1 << 20), ("line_too_long", "$")),
        (tsv(enriched(contexts='{"schema": ')), ("broken_json", "$.contexts")),
        (tsv(enriched(contexts='1,"x":2')), ("broken_json", "$.contexts")),
        (tsv(enriched(unstruct_event='{"a":1,"a":2}')), ("duplicate_key", "$.unstruct_event")),
        (tsv(enriched(derived_contexts="[" * 5000)), ("too_deep", "$.derived_contexts")),
        (orjson.dumps(payload(cx="%%%")), ("broken_base64", "$.cx")),
        (orjson.dumps(payload(cx=payload()["cx"][:40])), ("broken_json", "$.cx")),
        (orjson.dumps(payload(ue_px="gIGC")), ("broken_utf8", "$.ue_px")),
        (orjson.dumps(payload(co="[NaN]")), ("not_finite", "$.co")),
        (orjson.dumps({"contexts_com_acme_user_1": "[1,", **enriched()}), ("broken_json", "$.contexts or unstruct_event")),
        (b"plain text", ("broken_json", "$")),
        (b"[1]", ("not_an_object", "$")),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_a_code(raw: bytes, wanted: tuple[str, str]):
    assert refusal(raw) == wanted


def test_base64_is_read_in_both_alphabets_with_and_without_padding():
    wanted = {"text": "a?b>c~"}
    for text in ("eyJ0ZXh0IjoiYT9iPmN-In0", "eyJ0ZXh0IjoiYT9iPmN+In0="):
        assert became(payload(ue_px=text, e="ue"))["properties"]["ue_px"] == wanted


def said(made: dict[str, Any]) -> dict[str, int | None]:
    """What an event's consent object and its purposes say, by the policy."""
    told = signal_reader(POLICY).read(made["consent"] or {})
    return dict(zip(("analytics", "identity", "training", "personalization", "advertising"), told.said, strict=True)) | {
        "damaged": told.damaged
    }  # fmt: skip


def test_preferences_are_a_consent_update_of_their_scopes():
    made = became(tsv(of_its_own(SAID, PREFERENCES)))
    assert made["event_name"] == "consent_update"
    assert made["consent"] == {"categories": {"analytics": True, "*": False}, "notice_version": "2026-05"}
    assert made["properties"]["purposes"] == {}
    assert said(made) | {"analytics": 1, "advertising": 0, "damaged": False} == said(made)
    assert (
        became(payload(e="ue", ue_pr=json.dumps(unstruct(SAID, PREFERENCES))))["consent"] == made["consent"]
    )
    assert became(as_sdk(of_its_own(SAID, PREFERENCES)))["consent"] == made["consent"]


@pytest.mark.parametrize(
    "damage",
    [
        {"eventType": "accept_all"}, {"eventType": None}, {"consentScopes": "analytics"}, {"basisForProcessing": "because"},
        {"domainsApplied": []}, {"purposes": {"analytics": True}}, {"gdprApplies": "yes"},
    ],
)  # fmt: skip
def test_damaged_preferences_are_damage_and_grant_nothing(damage: dict[str, Any]):
    made = became(tsv(of_its_own(SAID, PREFERENCES | damage)))
    assert said(made)["damaged"]
    assert said(made)["analytics"] is None
    assert made["properties"]["purposes"] == {}


def test_preferences_of_an_unknown_version_or_without_data_are_damage():
    for record in (
        of_its_own(SAID.replace("1-0-0", "2-0-0"), PREFERENCES),
        enriched(event="unstruct", event_name="consent_preferences"),
        of_its_own(SAID, PREFERENCES) | {"unstruct_event": {"data": 1}},
    ):
        assert said(became(tsv(record)))["damaged"], record["event_name"]


@pytest.mark.parametrize(
    ("url", "domains", "granted"),
    [
        ("https://shop.example/a", ["shop.example"], True),
        ("https://www.shop.example/a", ["https://shop.example/"], True),
        ("https://eu.shop.example/a", ["https://www.shop.example"], True),
        ("https://notshop.example/a", ["https://shop.example"], False),
        ("https://example/a", ["https://shop.example"], False),
        (None, ["https://shop.example"], False),
        ("https://[broken/a", ["https://shop.example"], False),
        ("https://shop.example/a", ["https://[broken"], False),
    ],
)
def test_a_grant_holds_for_the_domains_that_it_names(url: str | None, domains: list[str], granted: bool):
    parts = dict.fromkeys(("page_urlscheme", "page_urlhost", "page_urlport", "page_urlpath", "page_urlquery"))
    made = became(tsv(of_its_own(SAID, PREFERENCES | {"domainsApplied": domains}, page_url=url, **parts)))
    assert (said(made)["analytics"] == 1) is granted
    assert said(made)["advertising"] == 0


def test_a_withdrawal_refuses_everything_and_a_grant_of_documents_grants_nothing():
    withdrawn = became(tsv(of_its_own(f"{SNOWPLOW}/consent_withdrawn/jsonschema/1-0-0", {"all": False})))
    assert withdrawn["event_name"] == "consent_update"
    assert set(withdrawn["properties"]["purposes"].values()) == {False}
    granted = became(
        tsv(of_its_own(f"{SNOWPLOW}/consent_granted/jsonschema/1-0-0", {"expiry": "2027-01-01T00:00:00Z"}))
    )
    assert (granted["event_name"], granted["consent"]) == ("consent_granted", None)


def test_consent_events_of_other_vendors_are_theirs():
    made = became(tsv(of_its_own("iglu:com.acme/consent_preferences/jsonschema/1-0-0", {"a": 1})))
    assert made["consent"] is None


def sent_with(kind: str, name: str, value: Any) -> dict[str, Any] | None:
    member = described(f"iglu:org.ietf/{kind}/jsonschema/1-0-0", {"name": name, "value": value})
    made = became(tsv(enriched(derived_contexts=contexts(member))))
    assert "contexts" not in made["properties"]
    consent: dict[str, Any] | None = made["consent"]
    return consent


def test_headers_and_cookies_are_read_for_consent_and_not_kept():
    assert sent_with("http_header", "Sec-GPC", "1") == {"gpc": True}
    assert sent_with("http_header", "sec-gpc", "yes?") == {"gpc": True}
    assert sent_with("http_header", "Sec-GPC", "0") is None
    assert sent_with("http_header", "X-Forwarded-For", "198.51.100.7") is None
    assert sent_with("http_cookie", "usprivacy", "1YNN") == {"us_privacy": "1YNN"}
    assert sent_with("http_cookie", "euconsent-v2", "CPXX") == {"tcf": "CPXX"}
    assert signal_reader(POLICY).read(sent_with("http_cookie", "euconsent-v2", 7) or {}).damaged


@pytest.mark.parametrize(
    "data",
    [
        "Sec-GPC: 1",
        ["Sec-GPC", "1"],
        {"header": "Sec-GPC"},
        {"name": 5, "value": "1"},
        {"name": "Sec-GPC", "value": "1", "Value": "0"},
    ],
)
def test_a_header_that_cannot_be_read_may_have_been_a_refusal(data: Any):
    header = described("iglu:org.ietf/http_header/jsonschema/1-0-0", data)
    made = became(tsv(enriched(derived_contexts=contexts(header))))
    assert signal_reader(POLICY).read(made["consent"]).damaged
    assert "Sec-GPC" not in orjson.dumps(made).decode()


def test_what_is_read_beside_the_fields_cannot_be_sent():
    sdk = as_sdk(enriched()) | {"$said": {"categories": {"analytics": True}, "device": "d-9"}}
    made = became(sdk)
    assert made["consent"] is None
    assert made["properties"]["snowplow_$said"] == {"categories": {"analytics": True}, "device": "d-9"}


def test_an_address_in_parts_is_put_together():
    row = enriched(page_url=None, page_referrer=None, page_urlport="8080", page_urlfragment="top")
    made = became(tsv(row))
    assert made["context"]["url"] == "https://shop.example:8080/guide?utm_source=chatgpt.com#top"
    assert made["context"]["referrer"] == "https://chatgpt.com/"
    assert not any(name.startswith(("page_url", "refr_url")) for name in made["properties"])


def test_lines_of_columns_are_read_from_a_file(tmp_path: Path):
    rows = [
        enriched(event_id="e-1"),
        enriched(event_id="e-2", app_id=None, true_tstamp=None),  # empty columns at both ends of the line
        enriched(event_id="e-3", true_tstamp=None, event_fingerprint=None, event_version=None),
    ]
    found = read(tmp_path, b"\n".join([*map(tsv, rows), b"\t \t", b"a\tb", b""]), "log.tsv")
    assert found.log.inputs[0]["source"] == "snowplow"
    assert found.events["event_id"].tolist() == ["e-1", "e-2", "e-3"]
    assert found.quarantine[["line", "code"]].to_numpy().tolist() == [[5, "wrong_column_count"]]
    assert found.log.entry.removed == {"blank_line": 1, "wrong_column_count": 1}


def test_requests_are_taken_apart_in_a_file(tmp_path: Path):
    batch = post(payload(eid="e-1"), payload(eid="e-2", e="pp", pp_may="300"), 7, {"no": "event"})
    found = read(tmp_path, b"\n".join(map(orjson.dumps, [batch, payload(eid="e-3"), post()])))
    assert found.log.inputs[0]["source"] == "snowplow"
    assert found.events["event_id"].tolist() == ["e-1", "e-2", "e-3"]
    assert set(found.events["occurred_at"].astype(str)) == {"2026-09-21 14:13:20.379000+00:00"}
    assert found.quarantine["line"].tolist() == [1, 1, 3]


def test_a_table_with_a_header_is_read(tmp_path: Path):
    found = read(
        tmp_path,
        as_csv([enriched(event_id="e-1"), of_its_own(BUTTON, {"label": 'a, "b"'}, event_id="e-2")]),
        "atomic.csv",
    )
    assert found.log.inputs[0]["source"] == "snowplow"
    assert found.events["event_name"].tolist() == ["page_view", "button_press"]
    assert json.loads(found.events["properties"][1])["label"] == 'a, "b"'


def test_a_warehouse_table_is_read(tmp_path: Path):
    moment = dt.datetime(2026, 9, 21, 14, 13, 20, 379000)  # noqa: DTZ001  # columns state no zone
    times = {
        "dvce_created_tstamp": moment,
        "dvce_sent_tstamp": moment,
        "collector_tstamp": moment,
        "true_tstamp": moment,
    }
    shared = {name: value for name, value in enriched(contexts=None).items() if not name.endswith("_tstamp")}
    page = "contexts_com_snowplowanalytics_snowplow_web_page_1"
    button, click = (
        "unstruct_event_com_acme_button_press_1",
        "unstruct_event_com_snowplowanalytics_snowplow_link_click_1_0_1",
    )
    rows = [
        {**shared, **times, page: [{"id": "pv-1"}], button: None, click: None},
        {**shared, **times, "event_id": "e-2", "event": "unstruct", "event_name": "button_press", "event_vendor": "com.acme",
         page: [{"id": "pv-1"}], button: {"label": "x", "none": None}, click: {"target_url": None}},
        {**shared, **times, "event_id": "e-3", "event": "unstruct", "event_name": "link_click",
         page: [{"id": "pv-1"}], button: {"label": None, "none": None}, click: {"target_url": "https://x.example"}},
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    for kind in (pa.timestamp("us"), pa.timestamp("ms", tz="UTC"), pa.timestamp("ns")):
        for name in times:
            table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
        pq.write_table(table, tmp_path / "atomic.parquet")
        found = el.read(tmp_path / "atomic.parquet")
        assert found.log.inputs[0]["source"] == "snowplow"
        assert found.events["event_name"].tolist() == ["page_view", "button_press", "link_click"]
        assert set(found.events["occurred_at"].astype(str)) == {"2026-09-21 14:13:20.379000+00:00"}
        kept = [json.loads(text) for text in found.events["properties"]]
        assert [one.get("page_view_id") for one in kept] == ["pv-1"] * 3
        assert (kept[1]["label"], kept[2]["target_url"]) == ("x", "https://x.example")


def test_capital_columns_are_the_same_columns():
    upper = {name.upper(): value for name, value in as_sdk(enriched()).items()}
    upper["CONTEXTS_COM_SNOWPLOWANALYTICS_SNOWPLOW_WEB_PAGE_1"] = '[{"id": "pv-1"}]'
    assert became(upper) == became(as_sdk(enriched()))


def test_a_record_of_another_format_is_not_taken_for_it():
    others = [
        native_event(0),
        {
            "type": "page",
            "messageId": "m",
            "anonymousId": "a",
            "event": "page_view",
            "platform": "web",
            "v_tracker": "x",
        },
        {"event": "page_view", "properties": {}, "distinct_id": "d", "platform": "web", "v_tracker": "x"},
        {"event_name": "page_view", "platform": "WEB", "event_timestamp": 1, "event_params": []},
        {"e": "pv", "p": "web"},
        {"event": "something", "platform": "web", "v_tracker": "x"},
    ]
    assert known_adapter("snowplow").sniff(others) is None
    for record in (payload(), enriched(), as_sdk(enriched())):
        name, reason = detect([orjson.dumps(record)])
        assert name == "snowplow"
    assert reason.startswith("looks like snowplow because 1 of 1 records have event (page_view, ")
    assert detect([tsv(enriched())])[0] == "snowplow"
    assert detect([native_line(native_event(0))])[0] == "native"


@pytest.mark.parametrize("line", [tsv(enriched(event_id="x" * 2000)), orjson.dumps(payload(eid="x" * 2000))])
def test_the_text_of_a_refused_line_is_not_kept_for_the_address_in_it(line: bytes):
    reader = _Reader(
        Task("snowplow", {}, None, b"k" * 32, keep_raw=True, folder=""), Chunk(0, line + b"\n", 1, 0)
    )
    reader.read(Chunk(0, line + b"\n", 1, 0))
    assert [(row["json_path"], row["raw"]) for row in reader.refused] == [("$.event_id", None)]


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "",
            " ",
            "1",
            "-1",
            "800x600",
            "{",
            "[]",
            "iglu:a/b/jsonschema/1-0-0",
            "consent_preferences",
            "9" * 400,
        ]
    ),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=5,
)
COOKIE = described("iglu:org.ietf/http_cookie/jsonschema/1-0-0", {"name": "usprivacy", "value": "1YNN"})
RECORDS = [
    payload(),
    payload(e="ue", ue_pr=json.dumps(unstruct(BUTTON, {"label": "x"}))),
    as_sdk(enriched(contexts=contexts(PAGE, SESSION))),
    as_sdk(of_its_own(SAID, PREFERENCES)),
    enriched(contexts=contexts(PAGE, SESSION), derived_contexts=contexts(COOKIE)),
    of_its_own(SAID, PREFERENCES),
    enriched(event="page_ping", event_name="page_ping", pp_yoffset_max="3", doc_height="9"),
]  # fmt: skip


def _places(value: Any) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [
        place for name, inside in pairs for place in [(name,), *((name, *rest) for rest in _places(inside))]
    ]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A record with up to three of its places replaced by any JSON value."""
    record: Any = copy.deepcopy(draw(st.sampled_from(RECORDS)))
    for _ in range(draw(st.integers(0, 3))):
        *outer, name = draw(st.sampled_from(_places(record)))
        held = record
        for step in outer:
            held = held[step]
        held[name] = draw(JSON_VALUES)
    return record


@settings(max_examples=300)
@given(mutated())
def test_any_record_is_an_event_or_refused(record: Any):
    raw = orjson.dumps(record)
    accounted("snowplow", [raw, raw[: len(raw) // 2]])
    if isinstance(record, dict) and set(record) <= set(COLUMNS):
        accounted("snowplow", [tsv(record).replace(b"\n", b" ")])


@settings(max_examples=300)
@given(st.sampled_from(_places(PREFERENCES)), JSON_VALUES)
def test_no_damage_to_preferences_adds_a_grant(place: tuple[Any, ...], value: Any):
    data = copy.deepcopy(PREFERENCES)
    *outer, name = place
    held: Any = data
    for step in outer:
        held = held[step]
    held[name] = value
    for purpose, told in said(became(as_sdk(of_its_own(SAID, data)))).items():
        assert told != 1 or purpose in {"analytics", "damaged"}


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_accounted_for(noise: bytes, at: int):
    whole = tsv(enriched())
    accounted(
        "snowplow",
        [(whole[:at] + noise + whole[at:]).replace(b"\n", b" "), noise.replace(b"\n", b"\t"), whole[:at]],
    )


def test_nesting_that_cannot_be_written_again_is_refused():
    ends = []
    for depth in range(244, 258):
        deep = orjson.loads(b'{"a":' * depth + b"1" + b"}" * depth)
        sdk = {name: value for name, value in as_sdk(enriched()).items() if name != "event_id"}
        text = json.dumps(
            contexts(described("iglu:com.acme/user/jsonschema/1-0-0", deep)), separators=(",", ":")
        )
        line = json.dumps(sdk | {"contexts_com_acme_user_1": [deep]}).encode()
        ends.append(accounted("snowplow", [line, tsv(enriched(event_id=None, contexts=text))]))
    assert (ends[0], ends[-1]) == ((2, 0, 0), (0, 2, 0))


def test_where_somebody_is_and_the_ids_of_others_are_not_kept():
    told = {
        "geo_city": "Ulm", "geo_latitude": "48.4", "geo_longitude": "9.98", "geo_zipcode": "89073", "geo_country": "DE",
        "mkt_clickid": "Cj0-1", "mkt_network": "Google",
    }  # fmt: skip
    cookies = described("iglu:com.google.analytics/cookies/jsonschema/1-0-0", {"_ga": "GA1.2.3.4"})
    newer = described("iglu:com.google.ga4/cookies/jsonschema/1-0-0", {"_ga": "GA1.2.3.4"})
    buyer = described(
        "iglu:com.snowplowanalytics.snowplow.ecommerce/user/jsonschema/1-0-0",
        {"id": "u-77", "is_guest": False},
    )
    kept = became(tsv(enriched(**told, contexts=contexts(cookies, newer, buyer))))["properties"]
    assert (kept["geo_country"], kept["mkt_network"]) == ("DE", "Google")
    assert kept["contexts"] == {"user": {"is_guest": False}}
    assert not kept.keys() & {"geo_city", "geo_latitude", "geo_longitude", "geo_zipcode", "mkt_clickid"}


def test_a_column_may_hold_its_event_and_its_contexts_in_a_list():
    column = "com_snowplowanalytics_snowplow"
    record = {
        **{name: value for name, value in enriched(event="unstruct", event_name="consent_preferences").items() if value},
        f"unstruct_event_{column}_consent_preferences_1_0_0": [PREFERENCES],
        f"contexts_{column}_web_page_1_0_0": [[{"id": "v-1"}]],
    }  # fmt: skip
    made = became(json.dumps(record).encode())
    assert made["event_name"] == "consent_update"
    assert made["consent"]["categories"] == {"analytics": True, "*": False}
    assert made["properties"]["page_view_id"] == "v-1"
