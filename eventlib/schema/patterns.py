"""The subset of regular expressions that a schema may use: ASCII, linear in time, the same in Python and Rust (S1.3)."""

from __future__ import annotations

import re
import string
from typing import Final

__all__ = ["matches_end", "why_not_portable"]

_MAX_LENGTH: Final = 1_000
_MAX_REPEAT: Final = 1_000
_META: Final = frozenset(r"\.^$|?*+()[]{}")
_ESCAPED: Final = _META | frozenset("-/ntr")
_PRINTABLE: Final = frozenset(chr(code) for code in range(0x20, 0x7F))
_RANGE_ENDS: Final = frozenset(string.ascii_letters + string.digits)
_REPEAT: Final = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")
_HINTS: Final = {
    "d": "write [0-9]: \\d is any Unicode digit in Python",
    "w": "write [A-Za-z0-9_]: \\w is any Unicode letter in Python",
    "s": "write [ \\t\\n]: \\s differs between engines",
    "b": "\\b differs between engines",
}


class _UnportableError(Exception):
    """Says what engines would read differently, or not in linear time."""


class _Parser:
    """Reads a pattern once; numbered nowhere, since nothing is kept of it."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.has_end = text, 0, False

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        self.at += 1
        return self.text[self.at - 1 : self.at]

    def alternatives(self, *, inside: bool) -> None:
        while True:
            self.sequence()
            if self.peek() != "|":
                break
            self.take()
        if inside and self.take() != ")":
            raise _UnportableError("a group is not closed")

    def sequence(self) -> None:
        first = True
        while (char := self.peek()) and char not in "|)":
            self.piece(first=first)
            first = False

    def piece(self, *, first: bool) -> None:
        char = self.take()
        if char in "^$":
            if char == "^" and not first:
                raise _UnportableError("^ stands at the beginning only")
            if char == "$" and self.peek() not in {"", "|", ")"}:
                raise _UnportableError("$ stands at the end only")
            self.has_end = self.has_end or char == "$"
            return
        if char == "(":
            self.group()
        elif char == "[":
            self.char_class()
        elif char == "\\":
            self.escape()
        elif char == ".":
            raise _UnportableError("engines disagree on which line ends . matches; write [^\\n]")
        elif char in _META:
            raise _UnportableError(f"{char} must be written \\{char} where it stands for itself")
        elif char not in _PRINTABLE:
            raise _UnportableError("only printable ASCII characters")
        self.repeat()

    def group(self) -> None:
        if self.peek() == "?":
            if self.text[self.at : self.at + 2] != "?:":
                raise _UnportableError(
                    "groups are ( … ) or (?: … ); lookaround, names and flags are not portable"
                )
            self.at += 2
        self.alternatives(inside=True)

    def escape(self) -> str:
        char = self.take()
        if char not in _ESCAPED:
            hint = _HINTS.get(char.lower(), "only punctuation, \\n, \\r and \\t may be escaped")
            raise _UnportableError(f"\\{char} is not portable: {hint}" if char in _PRINTABLE else hint)
        return char

    def char_class(self) -> None:
        if self.peek() == "^":
            self.take()
        members = 0
        while (char := self.take()) != "]":
            self.member(char, first=members == 0)
            members += 1
        if not members:
            raise _UnportableError("an empty class")

    def member(self, char: str, *, first: bool) -> None:
        if char == "":
            raise _UnportableError("a class is not closed")
        if char == "\\":
            self.escape()
        elif char == "[" or char not in _PRINTABLE:
            raise _UnportableError("inside a class, [ and characters beyond ASCII are escaped or left out")
        elif char in "&~" and self.peek() == char:
            raise _UnportableError(f"{char}{char} is a set operation in some engines")
        elif char == "-" and not first and self.peek() != "]":
            raise _UnportableError("- inside a class stands first, last, or as \\-")
        elif char in _RANGE_ENDS and self.peek() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
            self.take()
            end = self.take()
            if end not in _RANGE_ENDS or end < char:
                raise _UnportableError("a range goes from a letter or digit to a later one")

    def repeat(self) -> None:
        char = self.peek()
        if char == "{":
            match = _REPEAT.match(self.text, self.at)
            if match is None:
                raise _UnportableError("repetitions are {n}, {n,} or {n,m}")
            low, high = int(match[1]), int(match[3] or match[1])
            if not low <= high <= _MAX_REPEAT:
                raise _UnportableError(f"repetitions rise, up to {_MAX_REPEAT}")
            self.at = match.end()
        elif char and char in "?*+":
            self.take()
        else:
            return
        if self.peek() and self.peek() in "?*+{":
            raise _UnportableError("lazy, possessive and doubled repetitions are not portable")


def why_not_portable(pattern: str) -> str | None:
    r"""Return why engines may disagree on a pattern, or None where Python's and Rust's give the same answer.

    Without backreferences and lookaround Rust's engine is linear in the length of the text. What `$` means before a
    final line end differs between the two; `lint` asks for a second pattern there.

    Examples
    --------
    >>> why_not_portable("^[a-z][a-z0-9_]*$")
    >>> why_not_portable(r"^\d+$")
    '\\d is not portable: write [0-9]: \\d is any Unicode digit in Python'
    """
    if len(pattern) > _MAX_LENGTH:
        return f"longer than {_MAX_LENGTH} characters"
    parser = _Parser(pattern)
    try:
        parser.alternatives(inside=False)
    except _UnportableError as error:
        return str(error)
    except RecursionError:
        return "nested too deep"
    return "a ) closes nothing" if parser.peek() else None


def matches_end(pattern: str) -> bool:
    """Return whether a portable pattern uses $, which in Python matches before a final line end too."""
    parser = _Parser(pattern)
    parser.alternatives(inside=False)
    return parser.has_end
