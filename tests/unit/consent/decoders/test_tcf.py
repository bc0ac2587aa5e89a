"""TC strings: the standard's example, every field, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from eventlib.consent.decoders import InvalidSignalError, Restriction, decode_tcf, ids_of
from tests.unit.consent.decoders.strings import Tc, number, publisher, text_of, vendors

EXAMPLE = "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA"
DISCLOSED = text_of("001" + vendors([(1, 9)], 9, ranged=False))
ALLOWED = text_of("010" + vendors([(4, 4)], 9, ranged=True))
PUBLISHER = publisher([1], [2], 3, [2])


def test_the_example_of_the_standard():
    read = decode_tcf(EXAMPLE)
    assert read.created == read.last_updated == datetime(2025, 6, 3, tzinfo=UTC)
    assert (read.cmp_id, read.consent_language, read.publisher_country) == (880, "EN", "DE")
    assert not read.purpose_consents
    assert ids_of(read.vendor_consents) == (1, 2, 3, 4)
    assert ids_of(read.disclosed_vendors or 0) == (1, 2, 3, 4, 5, 100, 404)
    assert read.publisher_tc is not None


def test_every_field_is_read():
    read = decode_tcf(Tc().text())
    assert read.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (read.cmp_id, read.cmp_version, read.consent_screen, read.vendor_list_version) == (31, 2, 1, 126)
    assert (read.consent_language, read.publisher_country, read.policy_version) == ("EN", "DE", 4)
    assert read.special_feature_opt_ins == {1}
    assert read.purpose_consents == {1, 3, 8}
    assert read.purpose_legitimate_interests == {2, 9}
    assert ids_of(read.vendor_consents) == (2, 3, 4, 5, 9)
    assert ids_of(read.vendor_legitimate_interests) == tuple(range(3, 701))
    assert read.publisher_restrictions == (Restriction(2, 0, 1 << 7 | (1 << 91) - (1 << 12)),)
    assert (read.disclosed_vendors, read.allowed_vendors, read.publisher_tc) == (None, None, None)


def test_segments_come_in_any_order():
    read = decode_tcf(".".join([Tc().text(), PUBLISHER, ALLOWED, DISCLOSED]))
    assert ids_of(read.disclosed_vendors or 0) == tuple(range(1, 10))
    assert ids_of(read.allowed_vendors or 0) == (4,)
    assert read.publisher_tc is not None
    assert read.publisher_tc.purpose_consents == {1}
    assert read.publisher_tc.custom_purpose_consents == {2}


@pytest.mark.parametrize("multiple", [6, 8, 24])
def test_all_paddings_of_encoders_are_read(multiple: int):
    assert decode_tcf(Tc().text(multiple)) == decode_tcf(Tc().text())


def test_from_policy_4_on_there_is_no_legitimate_interest_for_purposes_3_to_6():
    assert decode_tcf(Tc(policy=3, interests=range(1, 8)).text()).purpose_legitimate_interests == set(
        range(1, 8)
    )
    assert decode_tcf(Tc(policy=4, interests=range(1, 8)).text()).purpose_legitimate_interests == {1, 2, 7}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"version": 1}, "version 2"),
        ({"version": 3}, "version 2"),
        ({"updated": 16_999_999_999}, "before it was created"),
        ({"service": False}, "global scope"),
        ({"language": "E["}, "no letter"),
        ({"country": "`A"}, "no letter"),
        ({"restrictions": [(0, 0, [(1, 1)])]}, "of no purpose"),
        ({"restrictions": [(25, 0, [(1, 1)])]}, "of no purpose"),
        ({"restrictions": [(2, 3, [(1, 1)])]}, "of no purpose or type"),
        ({"restrictions": [(2, 1, [(0, 4)])]}, "range of ids"),
        ({"restrictions": [(2, 1, [(1, 4)]), (2, 1, [(4, 5)])]}, "names a vendor twice"),
        ({"vendor_consents": vendors([(2, 12)], 11, ranged=True)}, "range of ids"),
        ({"vendor_interests": vendors([(5, 2)], 11, ranged=True)}, "range of ids"),
        ({"vendor_interests": vendors([(2, 5), (4, 4)], 11, ranged=True)}, "listed twice"),
        ({"vendor_consents": vendors([(1, 1)], 0, ranged=True)}, "range of ids"),
    ],
)
def test_impossible_values_are_invalid(field: dict[str, Any], message: str):
    with pytest.raises(InvalidSignalError, match=message):
        decode_tcf(Tc(**field).text())


@pytest.mark.parametrize(
    "tail",
    [
        "",
        DISCLOSED + "." + DISCLOSED,
        PUBLISHER + "." + PUBLISHER,
        Tc().text(),
        text_of("000" + vendors([], 0, ranged=False)),
        text_of(number(4, 3) + vendors([], 0, ranged=False)),
        DISCLOSED + "A",
        DISCLOSED[:-4],
        DISCLOSED + ".",
        f"{DISCLOSED}.{ALLOWED}.{PUBLISHER}.{DISCLOSED}",
    ],
)
def test_segments_that_are_unknown_doubled_or_damaged_are_invalid(tail: str):
    with pytest.raises(InvalidSignalError):
        decode_tcf(f"{Tc().text()}.{tail}")


@pytest.mark.parametrize("value", [None, 7, b"C", ["C"], "", ".", "C", "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA"])
def test_what_is_no_tc_string_of_version_2_is_invalid(value: object):
    with pytest.raises(InvalidSignalError):
        decode_tcf(value)
