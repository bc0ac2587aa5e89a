"""The reader reads what the standards' own examples say, and nothing beyond the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlib.consent.decoders.bits import MAX_ID, BitReader, ids_of
from eventlib.consent.decoders.errors import InvalidSignalError
from tests.unit.consent.decoders.strings import fibonacci, fibonacci_range, int_range, number, text_of


def reader(bits: str) -> BitReader:
    return BitReader(text_of(bits, 6))


@pytest.mark.parametrize(
    ("code", "value"),
    [("11", 1), ("011", 2), ("0011", 3), ("1011", 4), ("00011", 5), ("10011", 6), ("01011", 7)],
)
def test_fibonacci_numbers_of_the_specification(code: str, value: int):
    assert reader(code).fibonacci() == value
    assert fibonacci(value) == code


def test_ranges_of_the_specification():
    """GPP, Data Types: both examples stand for 3 and 5 to 8."""
    integers = "000000000010" + "0" + "0000000000000011" + "1" + "0000000000000101" + "0000000000001000"
    assert ids_of(reader(integers).range()) == (3, 5, 6, 7, 8)
    assert ids_of(reader("000000000010" + "0" + "0011" + "1" + "011" + "0011").fibonacci_range()) == (
        3,
        5,
        6,
        7,
        8,
    )


def test_a_range_of_integers_may_be_unsorted_but_not_name_an_id_twice():
    assert ids_of(reader(int_range([(9, 9), (2, 3)])).range()) == (2, 3, 9)
    with pytest.raises(InvalidSignalError, match="twice"):
        reader(int_range([(2, 9), (9, 12)])).range()


@pytest.mark.parametrize("groups", [[(0, 0)], [(0, 4)], [(5, 4)], [(3, 11)], [(11, 11)]])
def test_a_range_out_of_bounds_is_invalid(groups: list[tuple[int, int]]):
    with pytest.raises(InvalidSignalError, match="range of ids"):
        reader(int_range(groups)).range(10)


def test_a_number_that_does_not_end_or_is_too_large_is_invalid():
    with pytest.raises(InvalidSignalError, match="does not end"):
        reader("01" * 40).fibonacci()
    assert reader(fibonacci(MAX_ID)).fibonacci() == MAX_ID
    with pytest.raises(InvalidSignalError):
        reader(number(1, 12) + "0" + fibonacci(MAX_ID + 1)).fibonacci_range()
    with pytest.raises(InvalidSignalError):
        reader(fibonacci_range([(60_000, 70_000)])).fibonacci_range()


@pytest.mark.parametrize(
    "text", ["", "A=", "A B", "A+", "A/", " A", "A\n", "Ä", "A.", "\N{FULLWIDTH LATIN CAPITAL LETTER A}"]
)
def test_other_characters_are_invalid(text: str):
    with pytest.raises(InvalidSignalError, match="base64url"):
        BitReader(text)


@given(st.text("01", min_size=1, max_size=300))
def test_bits_are_read_in_order(bits: str):
    made = reader(bits)
    assert "".join(str(made.integer(1)) for _ in bits) == bits
    assert reader(bits).integer(len(bits)) == int(bits, 2)
    assert ids_of(reader(bits).mask(len(bits))) == tuple(at for at, bit in enumerate(bits, 1) if bit == "1")


@given(st.integers(1, 100), st.integers(0, 6))
def test_padding_is_what_an_encoder_adds_and_zero(width: int, more: int):
    text = text_of("1" * width, 6) + "A" * more
    made = BitReader(text)
    made.integer(width)
    if text in {text_of("1" * width, multiple) for multiple in (6, 8, 24)}:
        made.finish()
    else:
        with pytest.raises(InvalidSignalError, match="longer than its fields"):
            made.finish()


@given(st.integers(1, 100), st.data())
def test_a_one_in_the_padding_is_invalid(width: int, data: st.DataObject):
    padded = -(-width // 24) * 24
    at = data.draw(st.integers(width, padded)) if padded > width else width
    if at >= padded:
        return
    made = reader("1" * width + "0" * (at - width) + "1" + "0" * (padded - at - 1))
    made.integer(width)
    with pytest.raises(InvalidSignalError):
        made.finish()
