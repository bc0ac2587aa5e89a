"""Consent signals in our purposes: what the policy's mapping makes of them, and that damage never grants."""

from __future__ import annotations

import pickle
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

import eventlib as el
from eventlib.consent import load_policy
from eventlib.consent.signals import SignalReader, Signals
from eventlib.errors import BadCallError
from eventlib.model import PURPOSES
from tests.factory import KEY, event, lenient_policy, prepared, write_log
from tests.unit.consent.decoders.strings import Tc, gpp, random_tc

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
        # a refusal in any of several holds
        ({"tcf": TC, "purposes": {"analytics": False}}, REFUSED),
        ({"tcf": TC, "google": {"analytics_storage": "denied"}}, REFUSED),
    ],
)  # fmt: skip
def test_signals_are_read_by_the_policy(
    reader: SignalReader, consent: dict[str, Any], wanted: tuple[int | None, ...]
):
    assert reader.read(consent) == (wanted, False, False, False)
    assert reader.read(consent) == (wanted, False, False, False), "as it is remembered"


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


@pytest.mark.parametrize(
    "damaged",
    [{"tcf": TC[:20]}, {"tcf": ""}, {"tcf": TC + "A"}, {"gpp": "DBAB"}, {"us_privacy": "1yyn"}, {"google": {"ad": "granted"}}],
)  # fmt: skip
def test_beside_a_damaged_signal_nothing_is_granted_and_refusals_hold(
    reader: SignalReader, damaged: dict[str, Any]
):
    stated = {"purposes": dict.fromkeys(PURPOSES, True) | {"training": False}, **damaged}
    assert reader.read(stated) == (said(training=0), False, False, True)


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


def test_a_policy_without_a_mapping_takes_no_grant_and_every_us_opt_out():
    reader = SignalReader(Signals.of({}))
    assert reader.read({"tcf": TC, "google": "G111"}) == (said(), False, False, False)
    assert Signals().us_opt_out == {"advertising", "personalization"}
    assert pickle.loads(pickle.dumps(MAPPING)) == MAPPING  # our own: it travels to workers


def test_from_the_string_to_the_verdict(tmp_path: Path):
    signals = {"tcf": {"analytics": [1, 8], "advertising": [1, 7]}, "us_opt_out": ["advertising"]}
    policy = lenient_policy(tmp_path, signals=signals)
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
