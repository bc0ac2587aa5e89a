"""Google consent mode: types, gcs and gcd."""

from __future__ import annotations

from itertools import product

import pytest

from eventlib.consent.decoders import GoogleConsent, InvalidSignalError, decode_google

ALL = frozenset({"ad_storage", "analytics_storage", "ad_user_data", "ad_personalization"})


def test_types_are_granted_denied_or_not_spoken_of():
    said = {"ad_storage": "denied", "analytics_storage": "granted", "security_storage": None}
    assert decode_google(said) == GoogleConsent(frozenset({"analytics_storage"}), frozenset({"ad_storage"}))
    assert decode_google({}) == GoogleConsent()


@pytest.mark.parametrize(
    "value",
    [
        {"ad_storage": "Granted"},
        {"ad_storage": True},
        {"ad_storage": 1},
        {"ad_storage": ["granted"]},
        {"storage": "granted"},
        {"wait_for_update": 500},
        {1: "granted"},
        None,
        7,
        "",
        "granted",
    ],
)
def test_anything_else_is_invalid(value: object):
    with pytest.raises(InvalidSignalError):
        decode_google(value)


def test_gcs():
    for ad, analytics in product("01-", repeat=2):
        read = decode_google(f"G1{ad}{analytics}")
        assert ("ad_storage" in read.granted, "ad_storage" in read.refused) == (ad == "1", ad == "0")
        assert ("analytics_storage" in read.granted) == (analytics == "1")
    for text in ("G100 ", "g111", "G011", "G112", "G11", "G1111"):
        with pytest.raises(InvalidSignalError):
            decode_google(text)


@pytest.mark.parametrize(
    ("text", "granted", "refused"),
    [
        ("11l1l1l1l5", set(), set()),
        ("13l3l3l3l1l1", set(), set()),
        ("11p1p1p1p5", set(), ALL),
        ("11q1m1u1p5", set(), ALL),
        ("13r3r3r3r5l1", ALL, set()),
        ("11t1v1n1r5", ALL, set()),
        ("11p1r1l1t5", {"analytics_storage", "ad_personalization"}, {"ad_storage"}),
    ],
)
def test_gcd(text: str, granted: set[str], refused: set[str]):
    assert decode_google(text) == GoogleConsent(frozenset(granted), frozenset(refused))


@pytest.mark.parametrize("letter", sorted(set("abcdefghijklmnopqrstuvwxyzLR") - set("lmnpqrtuv")))
def test_a_letter_that_is_not_documented_is_invalid(letter: str):
    for text in (f"11{letter}1l1l1l5", f"11l1l1l1{letter}5", f"13l3l3l3l1{letter}1"):
        with pytest.raises(InvalidSignalError):
            decode_google(text)


@pytest.mark.parametrize(
    "text", ["13r3r3r3r5r1", "11r1r1r5", "21r1r1r1r5", "11r1r1r1r", "11r1r1r1r5l", "11r1r1r1r5l1l1"]
)
def test_another_form_is_invalid(text: str):
    with pytest.raises(InvalidSignalError):
        decode_google(text)
