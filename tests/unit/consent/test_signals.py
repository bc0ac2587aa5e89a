"""Consent signals in our purposes: what the policy's mapping makes of them, and that damage never grants."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

import eventlib as el
from eventlib.consent import load_policy, signals
from eventlib.consent.decoders import TcString, decode_tcf
from eventlib.consent.signals import Read, SignalReader, Signals
from eventlib.errors import BadCallError
from eventlib.model import PURPOSES
from tests.factory import KEY, event, lenient_policy, prepared, write_log
from tests.unit.consent.decoders.strings import Tc, gpp, publisher, random_tc, text_of, us, vendors

MAPPING: Final = load_policy().signals
TC: Final = Tc(consents=(1, 8)).text()
"""Grants measuring, and nothing of training (10), personalization (5, 6) and advertising (2, 3, 4, 7)."""


@pytest.fixture
def reader() -> SignalReader:
    return SignalReader(MAPPING)


def said(**purposes: int | None) -> tuple[int | None, ...]:
    return tuple(purposes.get(purpose) for purpose in PURPOSES)


REFUSED: Final = said(analytics=0, training=0, personalization=0, advertising=0)
MEASURED: Final = {**dict(zip(PURPOSES, REFUSED, strict=True)), "analytics": 1}


@pytest.mark.parametrize(
    ("consent", "wanted"),
    [
        ({}, said()),
        ({"purposes": {"analytics": True, "training": False}}, said(analytics=1, training=0)),
        ({"tcf": TC}, said(**MEASURED)),
        ({"tcf": Tc(consents=()).text()}, REFUSED),
        ({"tcf": Tc(consents=range(1, 25)).text()}, said(analytics=1, training=1, personalization=1, advertising=1)),
        ({"gpp": gpp({2: TC})}, said(**MEASURED)),
        ({"gpp": gpp({2: TC}), "gpp_sid": [2]}, said(**MEASURED)),
        ({"gpp": gpp({2: TC}), "gpp_sid": [7]}, said(**{**MEASURED, "analytics": None})),
        ({"google": {"analytics_storage": "granted"}}, said(analytics=1)),
        ({"google": {"analytics_storage": "granted", "ad_storage": "denied"}}, said(analytics=1, advertising=0)),
        ({"google": {"ad_storage": "granted"}}, said()),
        ({"google": "G101"}, said(analytics=1, advertising=0)),
        ({"google": {}}, said()),
        ({"categories": {"analytics": True, "advertising": False}}, said(analytics=1, advertising=0)),
        ({"categories": {"analytics": True, "*": False}}, said(analytics=1, personalization=0, advertising=0)),
        ({"categories": {"analytics": None, "Analytics": True}}, said()),
        ({"categories": {}}, said()),
        # a refusal in any of several holds
        ({"tcf": TC, "purposes": {"analytics": False}}, REFUSED),
        ({"tcf": TC, "google": {"analytics_storage": "denied"}}, REFUSED),
    ],
)  # fmt: skip
def test_signals_are_read_by_the_policy(
    reader: SignalReader, consent: dict[str, Any], wanted: tuple[int | None, ...]
):
    assert reader.read(consent) == Read(wanted, us_notice=False)
    assert reader.read(consent) == Read(wanted, us_notice=False), "as it is remembered"


@pytest.mark.parametrize(
    ("consent", "gpc", "us_opt_out"),
    [
        ({"gpc": True}, True, False),
        ({"us_privacy": "1YYN"}, False, True),
        ({"us_privacy": "1YNN"}, False, False),
        ({"us_privacy": "1---"}, False, False),
        ({"gpp": gpp({6: "1YYN"})}, False, True),
        ({"gpp": "DBABLA~BVVqAAAAAqA.YA"}, True, False),
    ],
)
def test_opt_outs_are_found_in_every_us_signal(
    reader: SignalReader, consent: dict[str, Any], gpc: bool, us_opt_out: bool
):
    found = reader.read(consent)
    assert (found.gpc, found.us_opt_out, found.damaged) == (gpc, us_opt_out, False)


def usnat(**fields: int) -> str:
    """Return a national section: notices, choices, sensitive data, children, the rest."""
    values = [fields.get(name, 0) for name in ("sharing_notice", "sale_notice")] + [0] * 4
    values += [fields.get("sale", 0), 0, 0] + [0] * 12
    return us(1, [*values, fields.get("teen", 0), fields.get("child", 0), 0, 1, 0, 0])


USCA_NO_NOTICE: Final = us(1, [2, 0, 0, 0, 0, *[0] * 9, 0, 0, 0, 1, 0, 0])


@pytest.mark.parametrize(
    ("consent", "notice"),
    [
        ({"us_privacy": "1YNN"}, True),
        ({"us_privacy": "1NNN"}, False),
        ({"us_privacy": "1---"}, False),
        ({"us_privacy": "1YYN"}, False),
        ({"us_privacy": "1YNN", "gpc": True}, False),
        ({"us_privacy": "1YNN", "tcf": "CP"}, False),
        ({"gpp": gpp({6: "1YNN"})}, True),
        ({"gpp": gpp({7: usnat(sale_notice=1, sale=2)})}, True),
        ({"gpp": gpp({7: usnat(sale_notice=1, sale=1)})}, False),
        ({"gpp": gpp({7: usnat(sale_notice=2)})}, False),
        ({"gpp": gpp({7: usnat(sale_notice=1, sharing_notice=2)})}, False),
        ({"gpp": gpp({7: usnat(sale=2)})}, False),
        ({"gpp": gpp({7: usnat(sale_notice=1, sale=2)}), "gpp_sid": [7]}, True),
        ({"gpp": gpp({7: usnat(sale_notice=1, sale=2)}), "gpp_sid": [8]}, False),
        ({"gpp": gpp({7: usnat(sale_notice=1, sale=2), 8: USCA_NO_NOTICE}), "gpp_sid": [7]}, False),
        ({"gpp": gpp({7: usnat(sale_notice=1, sale=2), 99: "x"})}, False),
        ({"gpp": gpp({7: usnat(sale_notice=1, sale=2)}) + "AAAAA"}, False),
    ],
)
def test_notice_counts_where_one_was_given_and_nothing_speaks_against_it(
    reader: SignalReader, consent: dict[str, Any], notice: bool
):
    assert reader.read(consent).us_notice is notice


def test_a_section_that_is_not_known_clears_no_opt_out(reader: SignalReader):
    found = reader.read({"gpp": gpp({7: usnat(sale_notice=1, sale=1), 99: "x"})})
    assert found.us_opt_out
    assert not found.damaged


@pytest.mark.parametrize(
    ("consent", "child"),
    [
        ({"gpp": gpp({7: usnat(child=0)})}, False),
        ({"gpp": gpp({7: usnat(child=1)})}, True),
        ({"gpp": gpp({7: usnat(child=2)})}, False),
        ({"gpp": gpp({7: usnat(child=2, teen=1)})}, True),
        ({"gpp": gpp({7: usnat(child=1)}), "gpp_sid": [8]}, True),
        ({"known_child": "no_consent"}, True),
        ({"known_child": "consent"}, False),
        ({"known_child": "consent", "gpp": gpp({7: usnat(teen=1)})}, True),
    ],
)
def test_a_known_child_is_told_where_an_opt_in_is_lacking(
    reader: SignalReader, consent: dict[str, Any], child: bool
):
    assert reader.read(consent).known_child is child


VENDOR: Final = Tc(consents=(1, 8), vendor_consents=vendors([(7, 7)], 12, ranged=False), restrictions=())


def _with(**fields: Any) -> Tc:
    return replace(VENDOR, **fields)


@pytest.mark.parametrize(
    ("text", "analytics"),
    [
        (VENDOR.text(), 1),
        (_with(restrictions=[(8, 0, [(7, 7)])]).text(), None),
        (_with(restrictions=[(8, 1, [(7, 7)])]).text(), 1),
        (_with(restrictions=[(8, 2, [(5, 9)])]).text(), None),
        (_with(restrictions=[(8, 0, [(6, 6)]), (2, 0, [(7, 7)])]).text(), 1),
        (_with(vendor_consents=vendors([(8, 8)], 12, ranged=False)).text(), 0),
        (_with(vendor_consents=vendors([(1, 6)], 6, ranged=True)).text(), 0),
        (VENDOR.text() + "." + text_of("001" + vendors([(7, 7)], 9, ranged=False)), 1),
        (VENDOR.text() + "." + text_of("001" + vendors([(8, 8)], 9, ranged=False)), None),
        (_with(consents=(1,), restrictions=[(8, 0, [(7, 7)])]).text(), 0),
    ],
)
def test_a_vendor_named_by_the_policy_needs_its_consent_and_no_restriction(text: str, analytics: int | None):
    by_purpose = Signals.of({"tcf": {"analytics": [1, 8]}, "tcf_vendor": 7})
    assert SignalReader(by_purpose).read({"tcf": text}).said == said(analytics=analytics)


@pytest.mark.parametrize(
    ("segment", "analytics"),
    [
        ("", 0),
        ("." + publisher((1, 8), ()), 1),
        ("." + publisher((1,), (8,)), 0),
        ("." + publisher((), ()), 0),
    ],
)
def test_the_publisher_segment_must_grant_where_the_policy_asks_for_it(segment: str, analytics: int):
    mapping = {"tcf": {"analytics": [1, 8]}}
    own = SignalReader(Signals.of({**mapping, "tcf_publisher": True}))
    assert own.read({"tcf": TC + segment}).said == said(analytics=analytics)
    assert SignalReader(Signals.of(mapping)).read({"tcf": TC + segment}).said == said(analytics=1)


@pytest.mark.parametrize(
    "damaged",
    [{"tcf": TC[:20]}, {"tcf": ""}, {"tcf": TC + "A"}, {"gpp": "DBAB"}, {"us_privacy": "1yyn"}, {"google": {"ad": "granted"}},
     {"categories": {"analytics": "yes"}}, {"categories": {"*": True}}],
)  # fmt: skip
def test_beside_a_damaged_signal_nothing_is_granted_and_refusals_hold(
    reader: SignalReader, damaged: dict[str, Any]
):
    stated = {"purposes": dict.fromkeys(PURPOSES, True) | {"training": False}, **damaged}
    assert reader.read(stated) == Read(said(training=0), us_notice=False, damaged=True)


def test_no_cut_and_no_flipped_character_grants_more(reader: SignalReader):
    random = Random(5)
    for _ in range(30):
        text = random_tc(random)[0].text()
        whole = reader.read({"tcf": text}).said
        for end in range(len(text)):
            cut = reader.read({"tcf": text[:end]})
            assert all(one != 1 or other == 1 for one, other in zip(cut.said, whole, strict=True))
        at = random.randrange(len(text))
        assert reader.read({"tcf": text[:at] + "." + text[at + 1 :]}).damaged


def test_what_was_decoded_is_remembered_however_long_and_the_eldest_forgotten(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(signals, "_REMEMBERED", 2)
    decoded: list[str] = []

    def counted(text: str) -> TcString:
        decoded.append(text)
        return decode_tcf(text)

    monkeypatch.setattr(signals, "decode_tcf", counted)
    reader = SignalReader(MAPPING)
    long = "CP" + "A" * 60_000
    for text in (long, TC, long, TC, long):
        assert reader.read({"tcf": text}).damaged is (text == long)
    assert decoded == [long, TC]
    for number in range(20):
        reader.read({"tcf": f"damaged {number}"})
        reader.read({"tcf": TC})
    assert decoded.count(TC) == 1, "asked for all the time"
    reader.read({"tcf": long})
    assert decoded.count(long) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"gpp": "DBABTA~1YNN", "gpp_sid": [6]}, {"gpp": "DBABTA~1YNN", "gpp_sid": [7]}),
        ({"tcf": "1YNN"}, {"us_privacy": "1YNN"}),
        ({"google": '{"ad_storage":"denied"}'}, {"google": {"ad_storage": "denied"}}),
        ({"google": {"ad_storage": "denied"}}, {"categories": {"ad_storage": "denied"}}),
    ],
)
def test_signals_that_look_alike_are_told_apart(
    reader: SignalReader, one: dict[str, Any], other: dict[str, Any]
):
    fresh = SignalReader(MAPPING).read(other)
    assert reader.read(one) != fresh
    assert reader.read(other) == fresh


def test_a_policy_without_a_mapping_takes_no_grant_and_every_us_opt_out():
    reader = SignalReader(Signals.of({}))
    assert reader.read({"tcf": TC, "google": "G111"}) == Read(said(), us_notice=False)
    assert Signals().us_opt_out == {"advertising", "personalization"}
    assert pickle.loads(pickle.dumps(MAPPING)) == MAPPING  # our own: it travels to workers


def test_from_the_string_to_the_verdict(tmp_path: Path):
    mapping = {"tcf": {"analytics": [1, 8], "advertising": [1, 7]}, "us_opt_out": ["advertising"]}
    policy = lenient_policy(tmp_path, signals=mapping)
    said_at = {"jurisdiction": "EEA", "updated_at": "2026-10-01T11:59:00Z"}
    events = [
        event(0, anonymous_id="a-1", consent={**said_at, "tcf": TC}),
        event(1, anonymous_id="a-2", consent={**said_at, "tcf": TC[:20]}),
        event(2, anonymous_id="a-3", consent={"jurisdiction": "US-CA", "notice_version": "1", "us_privacy": "1YYN"}),
        event(3, anonymous_id="a-4", consent={"jurisdiction": "US-CA", "notice_version": "1", "us_privacy": "1YNN"}),
    ]  # fmt: skip
    found = prepared(tmp_path, events, policy=policy)
    assert found.events["consent_rule"].tolist() == [
        "C10 C14 C14 C14 C06",
        "C12 C12 C12 C12 C05",
        "C12 C12 C12 C12 C12",
    ]
    assert found.ledger.removed() == {"C04_invalid_signal": 1}


def test_a_withdrawal_by_string_reaches_back_and_spreads(tmp_path: Path):
    policy = lenient_policy(tmp_path, signals={"tcf": {"analytics": [1, 8]}})

    def with_string(seconds: int, consents: tuple[int, ...]) -> dict[str, Any]:
        string = Tc(consents=consents).text()
        return event(seconds, consent={"jurisdiction": "EEA", "tcf": string})

    granted = prepared(tmp_path, [with_string(0, (1, 8)), with_string(60, (1, 8))], policy=policy)
    assert granted.events["allow_analytics"].tolist() == [True, True]
    taken_back = prepared(tmp_path, [with_string(0, (1, 8)), with_string(60, (1,))], policy=policy)
    assert taken_back.ledger.removed() == {"C07_withdrawn_since": 1, "C06_denied_then": 1}


def test_what_was_read_by_another_mapping_is_not_prepared(tmp_path: Path):
    (tmp_path / "key").write_text(KEY)
    policy = lenient_policy(tmp_path, signals={"tcf": {"analytics": [1]}})
    log = write_log(tmp_path / "log.ndjson", [event(consent={"jurisdiction": "EEA", "tcf": TC})])
    by_default = el.read(log, key=tmp_path / "key")
    with pytest.raises(BadCallError, match="another policy's meaning of consent signals"):
        el.prepare(by_default, key=tmp_path / "key", policy=policy)
    same = el.read(log, key=tmp_path / "key", policy=policy)
    assert len(el.prepare(same, key=tmp_path / "key", policy=policy).events) == 1
