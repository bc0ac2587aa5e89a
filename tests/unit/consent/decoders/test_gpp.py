"""GPP strings: the standard's examples, the Canadian and US sections, and what is refused."""

from __future__ import annotations

import pytest

from eventlib.consent.decoders import (
    InvalidSignalError,
    Restriction,
    UsOptOuts,
    decode_gpp,
    decode_tcf,
    ids_of,
)
from eventlib.consent.decoders.tcf_ca import decode_tcf_ca
from eventlib.consent.decoders.us import decode_us_section
from eventlib.consent.decoders.us_tables import CORE, GPC, NAMES
from tests.unit.consent.decoders.strings import (
    Groups,
    Tc,
    fibonacci_range,
    field_of,
    gpp,
    header,
    letters,
    members,
    number,
    text_of,
    us,
)

TCF = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"


def test_the_examples_of_the_specification():
    assert decode_gpp(f"DBABM~{TCF}").tcf == decode_tcf(TCF)
    both = decode_gpp(f"DBACNY~{TCF}~1YNN")
    assert (both.section_ids, both.us_privacy and both.us_privacy.opt_outs.sale) == ((2, 6), False)
    assert decode_gpp(f"DBACNYA~{TCF}~1YNN") == both


def test_the_third_example_puts_a_string_of_the_eu_in_the_canadian_section():
    with pytest.raises(InvalidSignalError, match="tcfcav1: not of version 1"):
        decode_gpp(f"DBABjw~{TCF}~1YNN")


def test_sections_that_are_not_known_are_kept_by_id():
    assert decode_gpp(gpp({4: "any.thing-_", 6: "1---", 99: "x"})).undecoded == (4, 99)
    assert decode_gpp("DBAA").section_ids == ()
    for content in ("", "a b", "a\n", "é"):
        with pytest.raises(InvalidSignalError, match="web-safe"):
            decode_gpp(gpp({99: content}))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "~",
        "DBABM",
        "DBABM~",
        f"DBABM~{TCF}~1YNN",
        f"DBACNY~{TCF}",
        f"~DBABM~{TCF}",
        f"DBABM~{TCF}~",
        f"DCABM~{TCF}",
        f"CBABM~{TCF}",
        f"DBABMAAAA~{TCF}",
        header([3]) + "~x",
        TCF,
    ],
)
def test_a_header_that_is_damaged_or_does_not_fit_is_invalid(text: object):
    with pytest.raises(InvalidSignalError):
        decode_gpp(text)


def _values(section_id: int, version: int, **said: int | tuple[int, ...]) -> list[int]:
    flat: list[int] = []
    for name, count in CORE[section_id, version]:
        value = said.get(name, 1 if name == "MspaCoveredTransaction" else (0,) * (count or 0) if count else 0)
        flat.extend(value if isinstance(value, tuple) else [value])
    return flat


@pytest.mark.parametrize(("section_id", "version"), sorted(CORE))
def test_every_us_section_says_the_same_in_the_common_form(section_id: int, version: int):
    values = _values(section_id, version, SaleOptOut=1, SaleOptOutNotice=1)
    section = decode_us_section(section_id, us(version, values))
    assert section.opt_outs == UsOptOuts(sale=True, notice=True)
    assert section.name == NAMES[section_id]
    assert section.opt_outs.opted_out


@pytest.mark.parametrize(("section_id", "version"), sorted(CORE))
def test_a_value_of_3_is_invalid_wherever_it_stands(section_id: int, version: int):
    values = _values(section_id, version)
    for at in range(len(values)):
        with pytest.raises(InvalidSignalError, match="does not define"):
            decode_us_section(section_id, us(version, [*values[:at], 3, *values[at + 1 :]]))


@pytest.mark.parametrize(("section_id", "version"), sorted(CORE))
def test_a_core_that_is_longer_or_says_nothing_of_the_mspa_is_invalid(section_id: int, version: int):
    values = _values(section_id, version)
    assert decode_us_section(section_id, us(version, values, 24))
    for longer in (
        us(version, values, 24) + "A",
        us(version, [*values, *[0] * 12]),
        us(version, [*values, 1]),
    ):
        with pytest.raises(InvalidSignalError, match=r"after its fields|longer than its fields"):
            decode_us_section(section_id, longer)
    with pytest.raises(InvalidSignalError, match="MspaCoveredTransaction"):
        decode_us_section(section_id, us(version, _values(section_id, version, MspaCoveredTransaction=0)))


@pytest.mark.parametrize("section_id", sorted(NAMES))
def test_versions_and_subsections_that_are_not_known_are_invalid(section_id: int):
    core = us(1, _values(section_id, 1))
    known = {version for number, version in CORE if number == section_id}
    for version in set(range(64)) - known:
        with pytest.raises(InvalidSignalError, match="version"):
            decode_us_section(section_id, us(version, _values(section_id, 1)))
    if section_id in GPC:
        assert decode_us_section(section_id, f"{core}.{text_of('011', 8)}").opt_outs.gpc is True
        assert decode_us_section(section_id, f"{core}.{text_of('010', 6)}").opt_outs.gpc is False
        for other in (text_of("001", 8), text_of("111", 8), "", "YAA"):
            with pytest.raises(InvalidSignalError):
                decode_us_section(section_id, f"{core}.{other}")
    with pytest.raises(InvalidSignalError):
        decode_us_section(section_id, f"{core}.YA.YA")


def test_notices_and_children_in_the_common_form():
    def said(**fields: int | tuple[int, ...]) -> UsOptOuts:
        return decode_us_section(7, us(2, _values(7, 2, **fields))).opt_outs

    assert said() == UsOptOuts()
    assert said(SaleOptOut=2, SaleOptOutNotice=1) == UsOptOuts(sale=False, notice=True)
    assert said(SaleOptOut=2, SaleOptOutNotice=2) == UsOptOuts(sale=False, notice=False)
    assert said(SaleOptOut=2) == UsOptOuts(sale=False, notice=False)
    assert said(SaleOptOut=2, SaleOptOutNotice=1, SharingNotice=2).notice is False
    assert said(SharingOptOut=1, TargetedAdvertisingOptOut=2, TargetedAdvertisingOptOutNotice=1) == UsOptOuts(
        sharing=True, targeted_advertising=False, notice=True
    )
    assert said(KnownChildSensitiveDataConsents=(0, 2, 0)) == UsOptOuts(known_child=True, child_consent=True)
    assert said(KnownChildSensitiveDataConsents=(2, 1, 0)) == UsOptOuts(known_child=True, child_consent=False)


def test_the_header_of_the_2025_sections_is_refused():
    """It is told apart by its first six bits, which are the section's own id."""
    for section_id in (24, 25, 26, 27):
        standard = text_of(number(section_id, 6) + number(1, 6) + fibonacci_range([(1, 1)]), 6)
        with pytest.raises(InvalidSignalError, match="version"):
            decode_us_section(section_id, f"{standard}.{us(1, _values(section_id, 1))}")


def _canadian(express: str, implied: str, restrictions: str = number(0, 12), version: int = 1) -> str:
    made = number(version, 6) + number(17_000_000_000, 36) * 2 + number(31, 12) + number(1, 12) + number(1, 6)
    made += letters("FR") + number(7, 12) + number(2, 6) + "0" + field_of([2], 12) + field_of([3, 8], 24)
    return made + field_of([5], 24) + express + implied + restrictions


def _standard(groups: Groups) -> str:
    return "1" + fibonacci_range(groups)


def _reference(groups: Groups, maximum: int) -> str:
    return number(maximum, 16) + "1" + fibonacci_range(groups)


def test_canadian_vendors_are_read_in_the_standards_form_and_in_the_references():
    first, second = [(2, 2), (90, 700)], [(4, 6)]
    restrictions = number(1, 12) + number(2, 6) + number(1, 2)
    standard = _canadian(_standard(first), _standard(second), restrictions + _standard(second))
    reference = _canadian(_reference(first, 700), _reference(second, 6), restrictions + _reference(second, 6))
    read = decode_tcf_ca(text_of(standard, 8))
    assert read == decode_tcf_ca(text_of(reference, 8))
    assert set(ids_of(read.vendor_express_consents)) == members(first)
    assert set(ids_of(read.vendor_implied_consents)) == members(second)
    assert read.publisher_restrictions == (Restriction(2, 1, 0b111_0000),)
    assert read.purpose_express_consents == {3, 8}
    assert read.purpose_implied_consents == {5}


def test_canadian_vendors_that_fit_both_forms_must_agree():
    def bits(ids: list[int], maximum: int) -> str:
        return number(maximum, 16) + "0" + field_of(ids, maximum)

    with pytest.raises(InvalidSignalError, match="two ways"):
        decode_tcf_ca(text_of(_canadian(bits([*range(1, 21)], 20), bits([19], 19)), 8))
    assert decode_tcf_ca(text_of(_canadian(bits([], 0), bits([], 0)), 8)).vendor_express_consents == 0


def test_canadian_strings_that_are_damaged_are_invalid():
    plain = _canadian(_standard([(2, 9)]), _standard([]))
    disclosed = text_of("001" + _standard([(1, 4)]), 8)
    assert decode_tcf_ca(f"{text_of(plain, 8)}.{disclosed}").disclosed_vendors == 0b1_1110
    for text in (
        text_of(_canadian(_standard([]), _standard([]), version=2), 8),
        f"{text_of(plain, 8)}.{disclosed}.{disclosed}",
        f"{text_of(plain, 8)}.{text_of('010' + _standard([(1, 4)]), 8)}",
        f"{text_of(plain, 8)}.",
        text_of(_canadian(_reference([(2, 9)], 8), _reference([], 1)), 8),
    ):
        with pytest.raises(InvalidSignalError):
            decode_tcf_ca(text)


def test_the_same_section_is_read_inside_and_alone():
    text = Tc().text()
    assert decode_gpp(gpp({2: text, 8: us(1, _values(8, 1))})).tcf == decode_tcf(text)
