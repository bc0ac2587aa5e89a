"""Bits behind base64url text, read strictly: nothing is assumed where a string ends early."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from eventlib.consent.decoders.errors import InvalidSignalError

__all__ = ["MAX_ID", "BitReader", "ids_of", "split_segments"]

MAX_ID: Final = 65_535
"""The largest vendor or section id: 16 bits."""

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _fibonacci_numbers(largest: int) -> tuple[int, ...]:
    numbers = [1, 2]
    while (following := numbers[-1] + numbers[-2]) <= largest:
        numbers.append(following)
    return tuple(numbers)


_FIBONACCI: Final = _fibonacci_numbers(MAX_ID)
_CODE_BITS: Final = len(_FIBONACCI) + 1  # the longest code word, that of MAX_ID


def ids_of(mask: int) -> tuple[int, ...]:
    """Return the ids in a bit mask, ascending.

    Parameters
    ----------
    mask
        Bit n stands for id n.

    Examples
    --------
    >>> ids_of(0b1011_0)
    (1, 2, 4)
    """
    return tuple(number for number, bit in enumerate(bin(mask)[:1:-1]) if bit == "1")


def _mirrored(value: int, width: int) -> int:
    """Return the mask of a bit field, whose first bit is that of id 1."""
    return int(format(value, f"0{width}b")[::-1], 2) << 1


@lru_cache(4096)
def _ids(value: int, width: int) -> frozenset[int]:
    """Return the ids in a short bit field; people choose few of all there might be."""
    return frozenset(ids_of(_mirrored(value, width)))


def _span(first: int, last: int, maximum: int) -> int:
    """Return the mask of a run of ids."""
    if not 1 <= first <= last <= maximum:
        raise InvalidSignalError("a range of ids is empty, runs backwards or passes the largest id")
    return (1 << (last + 1)) - (1 << first)


def split_segments(text: object, separator: str, most: int) -> list[str]:
    """Split a signal into at most `most` segments.

    Raises
    ------
    InvalidSignalError
        If it is no text, or has more.
    """
    if not isinstance(text, str):
        raise InvalidSignalError("not a text")
    segments = text.split(separator, most)
    if len(segments) > most:
        raise InvalidSignalError("there are more segments than the standard knows")
    return segments


class BitReader:
    """Reads fields one after the other, most significant bit first.

    Every method raises `InvalidSignalError` where the text ends within the field. Sets of ids are bit masks, in which
    bit n stands for id n, so that a run of 65,535 ids costs 8 KiB and not a set of as many numbers.

    Parameters
    ----------
    text
        Characters of the URL-safe alphabet of RFC 4648, section 5, without `=`.

    Raises
    ------
    InvalidSignalError
        If the text is empty or has another character.

    Examples
    --------
    >>> reader = BitReader("DBABM")  # the first header of the GPP specification's examples
    >>> reader.integer(6), reader.integer(6), ids_of(reader.fibonacci_range())
    (3, 1, (2,))
    >>> reader.finish()
    >>> BitReader("DB=")
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: a segment is empty or not base64url
    """

    __slots__ = ("_data", "_length", "_position")

    def __init__(self, text: str) -> None:
        if not _BASE64URL.fullmatch(text):
            raise InvalidSignalError("a segment is empty or not base64url")
        self._data = base64.urlsafe_b64decode(text + "A" * (-len(text) % 4))
        self._length = 6 * len(text)
        self._position = 0

    def integer(self, width: int) -> int:
        """Read an unsigned integer of `width` bits."""
        end = self._position + width
        if end > self._length:
            raise InvalidSignalError("the text ends within a field")
        stop = (end + 7) // 8
        value = int.from_bytes(self._data[self._position // 8 : stop], "big") >> (8 * stop - end)
        self._position = end
        return value & ((1 << width) - 1)

    def integers(self, *widths: int) -> list[int]:
        """Read unsigned integers of several widths, which costs less than one by one."""
        value, found = self.integer(sum(widths)), []
        for width in reversed(widths):
            found.append(value & ((1 << width) - 1))
            value >>= width
        return found[::-1]

    def flag(self) -> bool:
        """Read one bit."""
        return self.integer(1) == 1

    def letters(self) -> str:
        """Read a two-letter code; each letter is six bits, A is 0."""
        first, second = self.integers(6, 6)
        if max(first, second) >= len(_ALPHABET):
            raise InvalidSignalError("a language or country has a character that is no letter")
        return _ALPHABET[first] + _ALPHABET[second]

    def moment(self) -> datetime:
        """Read a time in UTC: 36 bits, tenths of a second since 1970."""
        return _EPOCH + timedelta(milliseconds=100 * self.integer(36))

    def mask(self, width: int) -> int:
        """Read a bit field, whose first bit is that of id 1, as a mask."""
        return _mirrored(self.integer(width), width) if width else 0

    def ids(self, width: int) -> frozenset[int]:
        """Read a short bit field, such as that of the purposes, as a set of ids from 1."""
        return _ids(self.integer(width), width) if width else frozenset()

    def range(self, maximum: int = MAX_ID) -> int:
        """Read a `Range (Int)` as a mask.

        Entries need not ascend (GPP, Data Types), but an id listed twice is damage: no encoder writes it.

        Raises
        ------
        InvalidSignalError
            If an entry starts at 0, ends before it starts, passes `maximum`, or overlaps another.
        """
        mask = 0
        for _ in range(self.integer(12)):
            grouped = self.flag()
            first = self.integer(16)
            span = _span(first, self.integer(16) if grouped else first, maximum)
            if mask & span:
                raise InvalidSignalError("an id is listed twice")
            mask |= span
        return mask

    def fibonacci(self) -> int:
        """Read a Fibonacci-coded integer, from 1 (GPP, About Fibonacci Encoding).

        Raises
        ------
        InvalidSignalError
            If its code word is longer than that of 65,535.
        """
        ahead = min(_CODE_BITS, self._length - self._position)
        code = format(self.integer(ahead), f"0{ahead}b")
        end = code.find("11")
        if end < 0:
            raise InvalidSignalError("a Fibonacci-coded number does not end")
        self._position -= ahead - (end + 2)
        return sum(number for number, bit in zip(_FIBONACCI, code[: end + 1], strict=False) if bit == "1")

    def fibonacci_range(self, maximum: int = MAX_ID) -> int:
        """Read a `Range (Fibonacci)` as a mask; offsets of at least 1 make it ascend.

        Raises
        ------
        InvalidSignalError
            If an id passes `maximum`.
        """
        mask = last = 0
        for _ in range(self.integer(12)):
            grouped = self.flag()
            first = last + self.fibonacci()
            last = first + self.fibonacci() if grouped else first
            mask |= _span(first, last, maximum)
        return mask

    def finish(self) -> None:
        """Check that only padding is left.

        Padding is zeros up to a whole character (GPP, Creating a GPP String), or up to a whole byte and then a whole
        character (RFC 4648; @iabgpp/cmpapi), or up to 24 bits (@iabtcf/core); nothing else and no more.

        Raises
        ------
        InvalidSignalError
            If there are characters too many, or a padding bit is 1.
        """
        used = self._position
        whole_bytes = -(-used // 8) * 8
        lengths = {-(-used // 6) * 6, -(-whole_bytes // 6) * 6, -(-used // 24) * 24}
        if self._length not in lengths:
            raise InvalidSignalError("a segment is longer than its fields")
        if self.integer(self._length - used):
            raise InvalidSignalError("a segment has something else than zeros after its fields")
