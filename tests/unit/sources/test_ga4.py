"""Rows of GA4's BigQuery export: unwrapped, consented, told apart, and never lost without a count."""

from __future__ import annotations

import copy
import csv
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventlib as el
from eventlib.api import ReadLog
from eventlib.consent.decoders import InvalidSignalError, decode_google
from eventlib.model import Violation
from eventlib.sources import Repairs, Skipped, detect
from eventlib.sources.ga4 import Ga4Adapter, _view_id

TIME = 1_791_000_000_000_000
PAGE = "https://www.example.org/guide?utm_source=chatgpt.com"


def param(key: str, value: object) -> dict[str, Any]:
    """A parameter as `bq extract` writes it: whole numbers as text, nulls left out."""
    if isinstance(value, int):
        return {"key": key, "value": {"int_value": str(value)}}
    return {"key": key, "value": {"string_value" if isinstance(value, str) else "double_value": value}}


def row(
    name: str = "page_view", batch: int = 1, params: dict[str, object] | None = None, **columns: object
) -> dict[str, Any]:
    """A row of a web stream whose client granted analytics and refused advertising."""
    told = {
        "page_location": PAGE,
        "page_referrer": "https://chatgpt.com/",
        "ga_session_id": 1_790_999_990,
        **(params or {}),
    }
    made = {
        "event_date": "20261003", "event_timestamp": str(TIME), "event_name": name,
        "event_params": [param(key, value) for key, value in told.items() if value is not None],
        "event_bundle_sequence_id": "3", "user_pseudo_id": "123.456",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "No", "uses_transient_token": "No"},
        "user_properties": [], "stream_id": "77", "platform": "WEB", "geo": {"country": "Germany", "city": "Berlin"}, "items": [],
        "batch_event_index": str(batch), "batch_page_id": "1790999999123", "batch_ordering_id": "1",
    }  # fmt: skip
    return {**made, **columns}


def adapt(record: dict[str, Any]) -> tuple[dict[str, Any], Repairs]:
    repairs = Repairs()
    found = Ga4Adapter().adapt(copy.deepcopy(record), b"", {}, repairs)
    assert isinstance(found, dict)
    return found, repairs


def read(folder: Path, *rows: object) -> ReadLog:
    path = folder / "events.ndjson"
    path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in rows))
    return el.read(path)


def test_a_page_view_is_unwrapped():
    event, _ = adapt(row(params={"page_title": "Guide", "engagement_time_msec": 90}))
    assert (event["event_name"], event["occurred_at"]) == ("page_view", "2026-10-03T04:00:00.000000Z")
    assert event["anonymous_id"] == "123.456"
    assert event["context"] == {"url": PAGE, "referrer": "https://chatgpt.com/"}
    properties = event["properties"]
    assert properties["content_id"] == "www.example.org/guide"
    assert properties["title"] == "Guide"
    assert properties["ga_session_id"] == 1_790_999_990
    assert properties["engagement_time_msec"] == 90, "it is that of the page before: no active_ms"
    assert properties["geo"] == {"country": "Germany"}


def test_events_of_one_view_share_its_id():
    view, engaged, scrolled = (
        adapt(row(name, number, {"engagement_time_msec": 12_000, "percent_scrolled": 90}))[0]
        for number, name in enumerate(["page_view", "user_engagement", "scroll"])
    )
    assert engaged["event_name"] == scrolled["event_name"] == "page_engage"
    assert engaged["properties"]["active_ms"] == 12_000
    assert scrolled["properties"]["max_scroll_pct"] == 90
    assert len({event["properties"]["page_view_id"] for event in (view, engaged, scrolled)}) == 1
    assert len({event["event_id"] for event in (view, engaged, scrolled)}) == 3
    other, _ = adapt(row(batch_page_id="1790999999999"))
    assert other["properties"]["page_view_id"] != view["properties"]["page_view_id"]


def test_before_batches_session_and_address_stand_for_a_view():
    old = row(batch_page_id=None, batch_ordering_id=None, batch_event_index=None)
    event, repairs = adapt(old)
    assert (
        event["properties"]["page_view_id"]
        == adapt({**old, "event_timestamp": str(TIME + 1)})[0]["properties"]["page_view_id"]
    )
    assert any(
        name == "page_view_id" and "session and address" in repair for _, name, repair in repairs.counts
    )


def test_scroll_without_time_keeps_its_name():
    assert adapt(row("scroll", params={"percent_scrolled": 90}))[0]["event_name"] == "scroll"
    assert (
        adapt(row("view_search_results", params={"search_term": "pumps"}))[0]["event_name"]
        == "view_search_results"
    )


def test_a_purchase_is_a_conversion_only_with_its_id():
    sold = row(
        "purchase",
        params={"value": 49.5, "currency": "EUR"},
        ecommerce={"transaction_id": "T-1", "unique_items": "2"},
    )
    event, _ = adapt(sold)
    assert event["event_name"] == "conversion_complete"
    assert {name: event["properties"][name] for name in ("conversion_id", "conversion_type", "value", "currency")} == {
        "conversion_id": "T-1", "conversion_type": "order", "value": 49.5, "currency": "EUR",
    }  # fmt: skip
    assert event["properties"]["ecommerce"] == {"unique_items": 2}
    unset, repairs = adapt({**sold, "ecommerce": {"transaction_id": "(not set)"}})
    assert unset["event_name"] == "purchase"
    assert repairs.counts["(all)", "transaction_id", "(not set) read as absent"] == 1
    assert adapt(row("sign_up", params={"method": "mail"}))[0]["event_name"] == "sign_up"
    assert adapt(row("generate_lead", params={"lead_id": "L-1"}))[0]["properties"]["conversion_id"] == "L-1"


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (
            {"analytics_storage": "Yes", "ads_storage": "No"},
            {"analytics_storage": "granted", "ad_storage": "denied"},
        ),
        ({"analytics_storage": "No", "ads_storage": "Unset"}, {"analytics_storage": "denied"}),
        ({"analytics_storage": "Unset", "ads_storage": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_consent_mode_is_read(info: object, said: object):
    event, _ = adapt(row(privacy_info=info))
    assert (event["consent"] or {}).get("google") == said
    if said:
        decode_google(said)


@pytest.mark.parametrize(
    "state", ["yes", "YES", "", "(not set)", "granted", True, 1, ["Yes"], {"Yes": "Yes"}]
)
def test_what_consent_mode_cannot_mean_is_damage(state: object):
    for info in (
        {"analytics_storage": state, "ads_storage": "Yes"},
        {"unheard_of": state, "analytics_storage": "Yes"},
        state,
    ):
        event, _ = adapt(row(privacy_info=info))
        with pytest.raises(InvalidSignalError):
            decode_google(event["consent"]["google"])


@pytest.mark.parametrize("mark", [".", "_"])
def test_consent_in_columns_that_were_flattened_is_read(mark: str):
    flat = {f"privacy_info{mark}analytics_storage": "No", f"privacy_info{mark}uses_transient_token": "No"}
    plain = row()
    del plain["privacy_info"]
    event, _ = adapt({**plain, **flat})
    assert event["consent"] == {"google": {"analytics_storage": "denied"}}
    assert not any(name.startswith("privacy_info") for name in event["properties"])
    twice, _ = adapt({**row(), **flat})
    assert set(twice["consent"]["google"].values()) == {"unreadable"}


@pytest.mark.parametrize("marks", ["._", "_."])
def test_consent_in_columns_that_say_it_twice_is_damage(marks: str):
    said = {
        f"privacy_info{mark}analytics_storage": state
        for mark, state in zip(marks, ("Yes", "No"), strict=True)
    }
    record = {**row(), **said}
    del record["privacy_info"]
    assert set(adapt(record)[0]["consent"]["google"].values()) == {"unreadable"}


def test_a_row_cannot_bring_its_own_consent():
    event, _ = adapt(
        row(privacy_info=None, consent_mode={"analytics_storage": "granted"}, minted_event_id="e-1")
    )
    assert event["consent"] is None
    assert event["event_id"].startswith("ga4-")
    assert adapt(row(params={"minted_event_id": "e-1"}))[0]["event_id"].startswith("ga4-")


def test_the_streamed_and_the_daily_copy_are_one_event(tmp_path: Path):
    streamed = row(params={"value": 3}, event_value_in_usd=None)
    daily = {
        **streamed, "event_params": streamed["event_params"][::-1], "is_active_user": True, "event_value_in_usd": 3.2,
        "traffic_source": {"source": "google"}, "user_ltv": {"revenue": 9.5, "currency": "USD"},
        "user_first_touch_timestamp": "1790000000000000", "session_traffic_source_last_click": {"manual_campaign": {"source": "x"}},
    }  # fmt: skip
    log = read(tmp_path, streamed, daily, row(params={"value": 3}, batch=2))
    events = log.events
    assert events["event_id"].nunique() == 2
    assert events["fingerprint"].iloc[0] == events["fingerprint"].iloc[1]
    assert events["fingerprint"].iloc[0] != events["fingerprint"].iloc[2]
    assert el.order(log.events).entry.removed == {"duplicate": 1}


def test_parquet_gives_the_same_events_as_json(tmp_path: Path):
    rows = [row(params={"value": 2.5, "engagement_time_msec": 7}), row("scroll", 2)]
    typed = copy.deepcopy(rows)
    for each in typed:
        for name in (
            "event_timestamp",
            "event_bundle_sequence_id",
            "batch_event_index",
            "batch_page_id",
            "batch_ordering_id",
        ):
            each[name] = int(each[name])
        for pair in each["event_params"]:
            if "int_value" in pair["value"]:
                pair["value"]["int_value"] = int(pair["value"]["int_value"])
    pq.write_table(pa.Table.from_pylist(typed), tmp_path / "events.parquet")
    columns = ["event_id", "event_name", "fingerprint", "properties", "url"]
    from_parquet = el.read(tmp_path / "events.parquet").events[columns]
    assert from_parquet.to_numpy().tolist() == read(tmp_path, *rows).events[columns].to_numpy().tolist()


def test_levels_that_parquet_names_are_read():
    named = row()
    named["event_params"] = {"list": [{"element": pair} for pair in named["event_params"]]}
    assert adapt(named)[0] == adapt(row())[0]


def test_pings_of_people_who_refused_are_counted(tmp_path: Path):
    ping = row(user_pseudo_id=None, privacy_info={"analytics_storage": "No"})
    log = read(tmp_path, row(), ping, {**ping, "user_pseudo_id": ""}, {**ping, "user_id": "u-1"})
    assert log.ledger.removed("read") == {"no_visitor": 2}
    assert log.ledger.rejected_share == 0
    assert log.events["user_id"].tolist()[1] == "u-1"


def test_when_it_was_uploaded_is_when_it_was_received():
    event, _ = adapt(row(event_server_timestamp_offset="1200000"))
    assert event["sent_at"] == event["received_at"] == "2026-10-03T04:00:01.200000Z"
    odd, repairs = adapt(row(event_server_timestamp_offset="-5"))
    assert odd["received_at"] == odd["occurred_at"]
    assert odd["properties"]["event_server_timestamp_offset"] == -5
    assert any("before it was collected" in repair for _, _, repair in repairs.counts)


def test_what_names_somebody_is_not_kept():
    told = row(
        params={"client_id": "123.456", "gclid": "g", "email": "a@example.org"},
        device={"category": "mobile", "advertising_id": "idfa", "vendor_id": "v"},
        user_properties=[
            {"key": "user_id", "value": {"string_value": "u"}},
            {"key": "plan", "value": {"string_value": "pro"}},
        ],
    )
    properties = adapt(told)[0]["properties"]
    assert not {"client_id", "gclid", "email"} & set(properties)
    assert properties["device"] == {"category": "mobile"}
    assert properties["user_properties"] == {"plan": "pro"}


def test_parameters_that_cannot_be_read_stay():
    odd = row()
    odd["event_params"] += [{"key": 5}, {"key": "ga_session_id", "value": {"int_value": "1"}}, "x"]
    assert adapt(odd)[0]["properties"]["unread_event_params"] == odd["event_params"][-3:]
    assert "items" not in adapt(row(items="(not set)"))[0]["properties"]
    assert adapt(row(items={"a": 1}))[0]["properties"]["items"] == {"a": 1}
    other = {"key": "k", "value": {"json_value": 1}}
    assert adapt({**row(), "event_params": [other]})[0]["properties"]["unread_event_params"] == [other]
    assert adapt(row(event_params="x"))[0]["properties"]["unread_event_params"] == "x"
    assert adapt(row(items="x"))[0]["properties"]["items"] == "x"


def test_it_is_recognised_alone():
    lines = [orjson.dumps(row()), orjson.dumps(row(user_pseudo_id=None))]
    assert detect(lines)[0] == "ga4"
    other = {
        "event_name": "page_view",
        "event_timestamp": "2026-10-03T08:15:30Z",
        "event_id": "e",
        "occurred_at": "2026-10-03T08:15:30Z",
    }
    assert detect([orjson.dumps(other)])[0] == "native"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["Yes", "No", "(not set)", "1791000000000000", "page_view", "9" * 400]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(["key", "value", "list", "x"]), inside, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value may be put into a record, the record itself aside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [at] if at else []
    for name, held in inside:
        found += places(held, (*at, name))
    return found


SCREEN = -5_164_663_614_086_310_235


def test_numbers_of_64_bits_are_the_same_from_text_json_and_parquet(tmp_path: Path):
    told = {**row("screen_view"), "event_params": [param("firebase_screen_id", SCREEN), param("level", 7)]}
    typed = copy.deepcopy(told) | {"event_timestamp": TIME}
    for each, number in zip(typed["event_params"], (SCREEN, 7), strict=True):
        each["value"] = {"int_value": number}
    pq.write_table(pa.Table.from_pylist([typed]), tmp_path / "events.parquet")
    logs = [read(tmp_path, told), read(tmp_path, typed), el.read(tmp_path / "events.parquet")]
    assert [len(log.quarantine) for log in logs] == [0, 0, 0]
    assert len({log.events["event_id"][0] for log in logs}) == 1
    kept = [orjson.loads(log.events["properties"][0]) for log in logs]
    assert [(each["firebase_screen_id"], each["level"]) for each in kept] == [(str(SCREEN), 7)] * 3


def test_a_table_of_text_holds_its_nested_columns_as_json(tmp_path: Path):
    told = row(params={"page_title": "Guide"}, device={"category": "mobile", "advertising_id": "ad-1"})
    path = tmp_path / "events.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(told)
        wrapped = {name: {name: value} if name == "event_params" else value for name, value in told.items()}
        for each in (told, wrapped):
            writer.writerow(
                value if isinstance(value, str) else orjson.dumps(value).decode() for value in each.values()
            )
    plain, flat = read(tmp_path, told).events, el.read(path).events
    assert list(flat["event_id"]) == [plain["event_id"][0]] * 2
    assert list(flat["properties"]) == [plain["properties"][0]] * 2
    assert (list(flat["said_analytics"]), flat["event_name"][0]) == ([1, 1], "page_view")


def test_members_in_columns_of_their_own_are_put_together():
    told = {name: value for name, value in row().items() if name != "geo"}
    flat = orjson.dumps(
        {**told, "geo.city": "Ulm", "geo.country": "Germany", "device.web_info.browser": "Firefox"}
    )
    record = Ga4Adapter().decode(flat)
    assert isinstance(record, dict)
    event, _ = adapt(record)
    assert event["properties"]["geo"] == {"country": "Germany"}
    assert event["properties"]["device"] == {"web_info": {"browser": "Firefox"}}


@pytest.mark.parametrize("text", ['{"analytics_storage": "Yes"', '{"a": 1, "a": 2}', "[NaN]"])
def test_a_text_that_only_begins_as_json_is_refused(text: str):
    found = Ga4Adapter().decode(orjson.dumps(row(privacy_info=text)))
    assert isinstance(found, Violation)
    assert found.json_path == "$.privacy_info"


WHOLE = row(
    "purchase",
    params={"value": 49.5},
    user_id="u",
    ecommerce={"transaction_id": "T-1"},
    device={"category": "mobile"},
    event_server_timestamp_offset="9",
    items=[{"item_id": "i", "item_params": [param("size", "L")]}],
    user_properties=[param("plan", "pro")],
    collected_traffic_source={"gclid": "g"},
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(places(WHOLE)), JSON), min_size=8, max_size=24))
def test_any_value_at_any_place_ends_as_one_thing(tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]):
    rows = []
    for at, value in changes:
        changed = copy.deepcopy(WHOLE)
        holder: Any = changed
        for name in at[:-1]:
            holder = holder[name]
        holder[at[-1]] = value
        rows.append(changed)
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in rows))
    log = el.read(path, source="ga4")
    skipped = sum(log.ledger.removed("read").values()) - len(log.quarantine)
    assert log.ledger.rows_in == len(rows) == len(log.events) + len(log.quarantine) + skipped
    granted = log.events[log.events["said_analytics"] == 1]
    for line in granted["line"]:
        assert rows[line - 1]["privacy_info"]["analytics_storage"] == "Yes"


@given(raw=st.binary(max_size=200) | st.integers(0, 900).map(lambda cut: orjson.dumps(WHOLE)[:cut]))
def test_half_a_record_is_refused_or_read(raw: bytes):
    record = Ga4Adapter().decode(raw)
    if isinstance(record, dict):
        assert isinstance(Ga4Adapter().adapt(record, b"", {}, Repairs()), dict | Skipped)


def _is_written(value: object) -> bool:
    try:
        return bool(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return False


@pytest.mark.parametrize("depth", range(246, 258))
def test_a_row_nested_too_deep_takes_no_other_with_it(tmp_path: Path, depth: int):
    inside: Any = 1
    for _ in range(depth):
        inside = [inside]
    rows = [
        row(batch=1),
        row(batch=2, event_params=inside),
        row(batch=3, event_params=[{"key": inside}]),
        row(batch=4),
    ]
    (tmp_path / "ga4.json").write_bytes(
        b"".join(orjson.dumps(one) + b"\n" for one in rows if _is_written(one))
    )
    found = el.read(tmp_path / "ga4.json", source="ga4")
    assert set(found.quarantine["code"]) <= {"too_deep"}
    assert found.ledger.rows_out >= 2


def test_what_is_no_number_and_no_text_stands_for_no_page():
    none: tuple[object, ...] = ({}, [])
    told = [adapt(row("scroll", params={"page_location": held}))[0]["properties"] for held in none]
    assert not any("page_view_id" in properties for properties in told)
    views = [
        adapt(row(params={"page_location": {"a": time}}, event_timestamp=str(time)))[0]
        for time in (TIME, TIME + 1)
    ]
    assert len({view["properties"]["page_view_id"] for view in views}) == 2


def test_whole_numbers_make_one_id_however_they_are_written():
    told = [adapt(row(batch_page_id=held, batch_ordering_id=held))[0] for held in (12, 12.0, "12")]
    assert len({event["event_id"] for event in told}) == 1
    assert len({event["properties"]["page_view_id"] for event in told}) == 1


@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0)])
def test_the_id_of_a_view_does_not_depend_on_which_zero_came_first(zeros: tuple[float, float]):
    _view_id.cache_clear()
    rows = [row("scroll", params={"ga_session_id": zero}, batch_page_id=None) for zero in (*zeros, 0)]
    assert len({adapt(one)[0]["properties"]["page_view_id"] for one in rows}) == 1


def test_what_is_left_over_never_overwrites():
    event, _ = adapt(row(
        params={"minted_event_id": "a", "ga4_minted_event_id": "b", "unread_event_params": "c"},
        minted_event_id="d", page_view_id="e", ga4_page_view_id="f",
    ))  # fmt: skip
    assert set("abcdef") <= set(map(str, event["properties"].values()))
    cut = row(params={"unread_event_params": "c"})
    cut["event_params"].append({"key": ""})
    assert adapt(cut)[0]["properties"]["unread_event_params"] == "c"


def test_a_mapping_may_take_the_id_that_is_made_here(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(
        "extends: ga4\nsource: mine\nevents: {page_view: {event_name: page_view, properties: {title: minted_event_id}}}\n"
    )
    (tmp_path / "ga4.json").write_bytes(orjson.dumps(row()) + b"\n")
    found = el.read(tmp_path / "ga4.json", source=str(tmp_path / "mine.yaml"))
    assert found.ledger.rows_out == 1
    assert found.events["event_id"].notna().all()
