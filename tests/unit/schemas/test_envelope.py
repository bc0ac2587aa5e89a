"""The envelope: times, identifiers and consent (S1.3, DESIGN section 4)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlib.resources import schemas_dir
from eventlib.schema import Registry
from tests.unit.schemas.test_schemas import errors_of_both, read

ENVELOPE = read(schemas_dir() / "envelope" / "1-0-1.json")
CLICK, FETCH = ENVELOPE["examples"]
TIME = {"$ref": "#/$defs/date_time", "$defs": ENVELOPE["$defs"]}
PROBE = {**FETCH, "event_name": "citation_show", "source": "probe"}


def valid(event: dict[str, Any]) -> bool:
    python, rust = errors_of_both(ENVELOPE, event)
    assert bool(python) == bool(rust)
    return not rust


def without(event: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in names}


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-03T08:15:30Z",
        "2026-10-03T08:15:30.123456789+05:30",
        "2024-02-29T00:00:00-00:00",
        "1970-01-01T00:00:00Z",
    ],
)
def test_times_with_t_and_zone_are_taken(text):
    assert errors_of_both(TIME, text) == (0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-03T08:15:60Z",  # leap second
        "2026-10-03T08:15:30",  # no zone
        "2026-10-03 08:15:30Z",
        "2026-10-03t08:15:30z",
        "2026-10-03T08:15:30.1234567890Z",  # ten digits
        "2026-02-30T00:00:00Z",
        "2026-10-03T24:00:00Z",
        "2026-10-03T08:15:30+24:00",
        "2026-10-03T08:15:30Z\n",
        "٢٠٢٦-10-03T08:15:30Z",
        "1969-12-31T23:59:59Z",
        "",
        1_790_000_000,
    ],
)
def test_other_times_are_refused_by_both_validators(text):
    assert all(errors_of_both(TIME, text))


@given(
    st.text(alphabet="0123456789-:.TZ+ \n60", max_size=32) | st.datetimes().map(lambda t: t.isoformat() + "Z")
)
def test_both_validators_agree_on_any_time(text):
    python, rust = errors_of_both(TIME, text)
    assert bool(python) == bool(rust)


@pytest.mark.parametrize(
    "name",
    [
        "event_id",
        "event_name",
        "schema_version",
        "occurred_at",
        "received_at",
        "source",
        "properties",
        "consent",
    ],
)
def test_required_fields_of_an_event_about_a_person(name):
    assert not valid(without(CLICK, name))


def test_someone_must_be_named_by_device_or_account():
    assert not valid({**CLICK, "anonymous_id": None})
    assert not valid(without(CLICK, "anonymous_id", "user_id"))
    assert valid({**CLICK, "anonymous_id": None, "user_id": "u-1"})


@pytest.mark.parametrize(
    "consent", [None, {}, {"jurisdiction": None, "purposes": None}, {"purposes": {}}, {"gpc": True}]
)
def test_consent_may_say_nothing(consent):
    assert valid({**CLICK, "consent": consent})


@pytest.mark.parametrize(
    "consent",
    [
        {"purposes": {"analytics": "true"}},
        {"purpose": {}},
        {"purposes": {"marketing": True}},
        {"jurisdiction": "US_CA"},
        "1YNN",
        [],
    ],
)
def test_consent_that_is_mistyped_is_seen(consent):
    assert not valid({**CLICK, "consent": consent})


def test_impersonal_events_need_neither_identifier_nor_consent():
    assert valid(FETCH)
    for observation in ("probe", "platform_report"):
        assert valid({**PROBE, "properties": {"observation": observation}})
    assert not valid({**PROBE, "properties": {"observation": "owned"}})
    assert not valid({**PROBE, "properties": {}})
    assert not valid({**FETCH, "event_name": "page_view", "properties": {"observation": "probe"}})


def test_unknown_keys_are_seen_wherever_they_stand():
    assert not valid({**CLICK, "anonymousId": "a-1"})
    assert not valid({**CLICK, "context": {"ip": "192.0.2.1"}})
    assert valid({**CLICK, "context": None})


def test_core_composes_envelope_and_properties():
    registry = Registry()
    assert registry.judge(CLICK) is None
    wrong = registry.judge({**CLICK, "properties": {**CLICK["properties"], "position": 0}})
    assert wrong is not None
    assert (wrong.code, wrong.json_path) == ("schema_minimum", "$.properties.position")
