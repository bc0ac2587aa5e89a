"""Categories: the envelope's own, Segment's and Snowplow's."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlib.consent.decoders import (
    Categories,
    InvalidSignalError,
    decode_categories,
    decode_segment,
    decode_snowplow,
)
from tests.unit.consent.decoders.test_properties import EXAMPLES, SEEDS, survives

SENT: dict[str, Any] = {
    "eventType": "allow_selected",
    "basisForProcessing": "consent",
    "consentUrl": "https://example.org/privacy",
    "consentVersion": "1.0",
    "consentScopes": ["analytics", "functional"],
    "domainsApplied": ["https://example.org"],
    "gdprApplies": True,
}
SNAKE = {
    "event_type": "allow_selected",
    "basis_for_processing": "consent",
    "consent_url": "https://example.org/privacy",
    "consent_version": "1.0",
    "consent_scopes": ["analytics", "functional"],
    "domains_applied": ["https://example.org"],
    "gdpr_applies": True,
}
SCOPES = {"analytics": True, "functional": True}
NAMES = st.sampled_from(["analytics", "advertising", "C0001", "é", "functional"])


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({}, Categories()),
        ({"a": None, "*": None}, Categories()),
        ({"a": True, "b": False}, Categories(frozenset("a"), frozenset("b"))),
        ({"a": True, "*": False}, Categories(frozenset("a"), others_refused=True)),
    ],
)
def test_categories_are_granted_refused_or_not_spoken_of(value: object, wanted: Categories):
    assert decode_categories(value) == wanted


@pytest.mark.parametrize(
    "value",
    [None, [], "analytics", {"a": 1}, {"a": "true"}, {"a": [True]}, {"": True}, {1: True}, {"*": True}, {"a" * 1025: True},
     {f"c{n}": True for n in range(257)}],
)  # fmt: skip
def test_anything_else_is_invalid(value: object):
    with pytest.raises(InvalidSignalError):
        decode_categories(value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"categoryPreferences": {"Advertising": True, "Analytics": False}}, {"Advertising": True, "Analytics": False}),
        ({"categoryPreference": {"C0001": True}}, {"C0001": True}),
        ({"categoryPreferences": {"C0001": True}, "version": 2}, {"C0001": True}),
        ({"categoryPreferences": {}}, {}),
        ({}, {}),
    ],
)  # fmt: skip
def test_segment(value: object, wanted: dict[str, bool]):
    assert decode_segment(value).plain() == wanted


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"categorypreferences": {"a": True}},
        {"categoryPreferences": None},
        {"categoryPreferences": ["a"]},
        {"categoryPreferences": {"a": None}},
        {"categoryPreferences": {"a": "true"}},
        {"categoryPreferences": {"a": 1}},
        {"categoryPreferences": {"*": True}},
        {"categoryPreferences": {"a": True}, "categoryPreference": {"a": False}},
    ],
)
def test_segment_preferences_of_another_form_are_invalid(value: object):
    with pytest.raises(InvalidSignalError):
        decode_segment(value)


@pytest.mark.parametrize(
    ("event_type", "basis", "wanted"),
    [
        ("allow_all", "consent", SCOPES),
        ("allow_selected", "consent", {**SCOPES, "*": False}),
        ("allow_selected", "legitimate_interests", {"*": False}),
        ("allow_all", "contract", {}),
        ("pending", "consent", {}),
        ("implicit_consent", "consent", {}),
        ("deny_all", "consent", {"analytics": False, "functional": False, "*": False}),
        ("withdrawn", "consent", {"analytics": False, "functional": False, "*": False}),
        ("expired", "consent", {"analytics": False, "functional": False, "*": False}),
    ],
)
def test_snowplow_event_types(event_type: str, basis: str, wanted: dict[str, bool]):
    found = decode_snowplow({**SENT, "eventType": event_type, "basisForProcessing": basis})
    assert found.categories.plain() == wanted
    assert (found.notice_version, found.domains, found.gdpr_applies) == (
        "1.0",
        ("https://example.org",),
        True,
    )


def test_snowplow_as_a_warehouse_has_it():
    assert decode_snowplow(SNAKE) == decode_snowplow(SENT)
    assert (
        decode_snowplow({name: SNAKE[name] for name in SNAKE if name != "gdpr_applies"}).gdpr_applies is None
    )


@pytest.mark.parametrize(
    "change",
    [{"eventType": "accept"}, {"eventType": None}, {"eventType": ["allow_all"]}, {"basisForProcessing": "hope"}, {"consentScopes": []},
     {"consentScopes": "analytics"}, {"consentScopes": [1]}, {"consentScopes": ["*"]}, {"domainsApplied": []}, {"domainsApplied": None},
     {"gdprApplies": "yes"}, {"consentVersion": 1}, {"consentUrl": None}, {"event_type": "allow_all"}, {"scopes": ["a"]}, {1: 2}],
)  # fmt: skip
def test_snowplow_of_another_form_is_invalid(change: dict[Any, object]):
    with pytest.raises(InvalidSignalError):
        decode_snowplow({**SENT, **change})


@pytest.mark.parametrize("name", sorted(set(SENT) - {"gdprApplies"}))
def test_snowplow_without_a_field_is_invalid(name: str):
    with pytest.raises(InvalidSignalError):
        decode_snowplow({key: value for key, value in SENT.items() if key != name})


@EXAMPLES
@given(st.dictionaries(NAMES, st.booleans()), st.booleans())
def test_what_is_written_is_what_is_read(said: dict[str, bool], others: bool):
    read = decode_categories({**said, "*": False} if others else said)
    assert read.granted == {name for name, state in said.items() if state}
    assert decode_categories(read.plain()) == read
    if not others:
        assert decode_segment({"categoryPreferences": said}) == read


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@EXAMPLES
@given(_JSON, SEEDS)
def test_damage_never_grants(value: object, seed: int):
    """Any value in the place of any field: it is refused, or grants no more than the whole did."""
    random = Random(seed)
    for decode in (decode_categories, decode_segment, decode_snowplow):
        survives(decode, value)  # type: ignore[arg-type]  # any value is the point
    whole = {**SENT, "eventType": random.choice(["allow_all", "allow_selected", "deny_all", "pending"])}
    changed = {**whole, random.choice(sorted(set(SENT) - {"consentScopes", "eventType"})): value}
    try:
        damaged = decode_snowplow(changed)
    except InvalidSignalError:
        return
    assert damaged.categories.granted <= decode_snowplow(whole).categories.granted
