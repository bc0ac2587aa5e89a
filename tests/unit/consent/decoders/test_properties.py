"""What is encoded is what is read, for any field values; EVENTLIB_EXAMPLES=10000 is the full number."""

from __future__ import annotations

import os
from itertools import product
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlib.consent.decoders import (
    GOOGLE_TYPES,
    InvalidSignalError,
    decode_google,
    decode_gpp,
    decode_tcf,
    decode_us_privacy,
    ids_of,
)
from eventlib.consent.decoders.us_tables import CORE, GPC
from tests.unit.consent.decoders.strings import ALPHABET, gpp, random_tc, text_of, us

EXAMPLES = settings(
    max_examples=int(os.environ.get("EVENTLIB_EXAMPLES", "500")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SEEDS = st.integers(0, 2**63)


def mangled(random: Random, text: str) -> str:
    """Change, drop, double or add a few characters."""
    for _ in range(random.choice([1, 1, 2, 5])):
        at, length = random.randrange(len(text) + 1), random.choice([0, 1, 1, 4])
        text = (
            text[:at]
            + "".join(random.choices(ALPHABET + ".~=", k=random.choice([0, 1, 1, 3])))
            + text[at + length :]
        )
    return text


def survives(decode: Any, text: str) -> None:
    try:
        decode(text)
    except InvalidSignalError:
        return


@EXAMPLES
@given(SEEDS)
def test_tc_strings(seed: int):
    random = Random(seed)
    tc, said = random_tc(random)
    text = tc.text(random.choice([6, 8, 24]))
    read = decode_tcf(text)
    assert {name: set(ids_of(getattr(read, name))) for name in said} == said
    assert read.purpose_consents == tc.consents
    assert read.purpose_legitimate_interests == tc.interests
    assert read.special_feature_opt_ins == tc.features
    assert (read.consent_language, read.cmp_id, read.policy_version) == (tc.language, tc.cmp_id, tc.policy)
    assert {(entry.purpose, entry.kind) for entry in read.publisher_restrictions} == {
        (purpose, kind) for purpose, kind, _ in tc.restrictions
    }
    survives(decode_tcf, mangled(random, text))


@EXAMPLES
@given(SEEDS)
def test_gpp_strings(seed: int):
    random = Random(seed)
    chosen = random.sample(sorted(CORE), random.choice([1, 2, 5]))
    sections, said = {}, {}
    for section_id, version in chosen:
        fields = {
            name: random.randrange(1 if name == "MspaCoveredTransaction" else 0, 3)
            if count is None
            else tuple(random.randrange(3) for _ in range(count))
            for name, count in CORE[section_id, version]
        }
        flat = [
            value for entry in fields.values() for value in (entry if isinstance(entry, tuple) else (entry,))
        ]
        gpc = random.choice([None, True, False]) if section_id in GPC else None
        tail = "" if gpc is None else "." + text_of(f"01{gpc:d}", 8)
        sections[section_id] = us(version, flat, random.choice([6, 8])) + tail
        said[section_id] = (version, fields, gpc)
    sections[random.randrange(28, 3_000)] = "x"
    text = gpp(sections)
    read = decode_gpp(text)
    assert {section.section_id: (section.version, section.fields, section.gpc) for section in read.us} == said
    for section in read.us:
        sale = {0: None, 1: True, 2: False}[section.fields["SaleOptOut"]]  # type: ignore[index]
        assert section.opt_outs.sale is sale
        assert section.opt_outs.notice is not True or section.fields["SaleOptOutNotice"] != 2
    survives(decode_gpp, mangled(random, text))


@EXAMPLES
@given(SEEDS)
def test_google_consent_mode(seed: int):
    random = Random(seed)
    said = {
        name: random.choice(["granted", "denied", None]) for name in GOOGLE_TYPES if random.random() < 0.7
    }
    read = decode_google(said)
    assert read.granted == {name for name, state in said.items() if state == "granted"}
    assert read.refused == {name for name, state in said.items() if state == "denied"}
    survives(decode_google, mangled(random, random.choice(["G111", "13r3r3r3r5l1", "11p1q1l1t5"])))


@EXAMPLES
@given(st.text(ALPHABET + ".~=+ é", max_size=200))
def test_any_text(text: str):
    for decode, start in product(
        (decode_tcf, decode_gpp, decode_us_privacy, decode_google), ("", "C", "DBABM~", "1", "G1")
    ):
        survives(decode, start + text)


@EXAMPLES
@given(
    st.one_of(
        st.none(), st.integers(), st.binary(), st.lists(st.text()), st.dictionaries(st.text(), st.text())
    )
)
def test_any_other_value(value: object):
    for decode in (decode_tcf, decode_gpp, decode_us_privacy, decode_google):
        survives(decode, value)  # type: ignore[arg-type]
