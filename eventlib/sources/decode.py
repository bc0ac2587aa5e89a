"""One line of JSON, or the reason why it is none (S1.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from eventlib.model import MAX_LINE_BYTES, MAX_SAFE_INTEGER, Violation

__all__ = ["TOO_DEEP", "decode", "decode_text", "decode_value", "decode_wide", "lossless", "text_of"]

_AROUND: Final = b" \n\r\v\f"
_NOT_FINITE: Final = re.compile(rb"[:\[,]\s*-?(?:NaN|Infinity)\b")

TOO_DEEP: Final = Violation("too_deep", "$", "nested deeper than can be read")
_TOO_LARGE: Final = Violation(
    "integer_too_large", "$", "an integer beyond ±(2^53 - 1) loses digits in most readers"
)


class _DuplicateKeyError(ValueError):
    pass


class _IntegerTooLargeError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _is_safe(text: str) -> bool:
    return len(text) <= 17 and abs(int(text)) <= MAX_SAFE_INTEGER


def _safe_int(text: str) -> int:
    if not _is_safe(text):
        raise _IntegerTooLargeError
    return int(text)


def _int_or_text(text: str) -> int | str:
    return int(text) if _is_safe(text) else text


def _why_broken(raw: bytes, error: orjson.JSONDecodeError) -> Violation:
    said = str(error)
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return Violation("broken_utf8", "$", f"not UTF-8 from byte {broken.start} of the line")
    if "depth limit" in said or "recursion" in said.lower():
        return TOO_DEEP
    if "surrogate" in said:
        return Violation("lone_surrogate", "$", f"half a surrogate pair at character {error.pos}")
    if _NOT_FINITE.search(raw) or "infinity" in said:
        return Violation(
            "not_finite", "$", "NaN and Infinity are not JSON, nor are numbers too large for a double"
        )
    return Violation("broken_json", "$", f"not JSON from character {error.pos} of the line")


def _slowly(raw: bytes, parse_int: Callable[[str], Any]) -> Any:
    """Read what orjson has read, and look for what it accepts silently; a `Violation` where there is such a thing."""
    try:
        return json.loads(raw, object_pairs_hook=_unique, parse_int=parse_int)
    except _DuplicateKeyError:
        return Violation("duplicate_key", "$", "an object has the same key twice")
    except _IntegerTooLargeError:
        return _TOO_LARGE
    except RecursionError:
        return TOO_DEEP


def _slow_check(raw: bytes) -> Violation | None:
    """Look for what orjson accepts silently: a key twice, an integer that became a float."""
    found = _slowly(raw, _safe_int)
    return found if isinstance(found, Violation) else None


def text_of(line: bytes) -> bytes:
    r"""Return what a line holds: a byte order mark opens some files, and stands in the middle where such files were joined.

    Tabs at its ends stay, as they are empty columns; a line of nothing else holds nothing.

    Examples
    --------
    >>> text_of(b"\xef\xbb\xbf{} \r"), text_of(b"a\tb\t\t\r"), text_of(b"\t \r")
    (b'{}', b'a\tb\t\t', b'')
    """
    text = line.strip(_AROUND).removeprefix(b"\xef\xbb\xbf")
    return b"" if text.isspace() else text


def decode(raw: bytes) -> dict[str, Any] | Violation:
    r"""Decode one line.

    Returns
    -------
    dict or Violation
        The object, or why the line is refused: `line_too_long`, `broken_utf8`, `broken_json`, `not_finite`,
        `lone_surrogate`, `too_deep`, `not_an_object`, `duplicate_key`, `integer_too_large`.

    Examples
    --------
    >>> decode(b'{"a": 1, "a": 2}').code
    'duplicate_key'
    """
    if len(raw) > MAX_LINE_BYTES:
        return Violation("line_too_long", "$", f"over {MAX_LINE_BYTES} bytes")
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _why_broken(raw, error)
    if type(record) is not dict:
        return Violation("not_an_object", "$", "an event is a JSON object")
    try:
        # byte for byte the same when written again: then no key was there twice and no number changed
        same = orjson.dumps(record, option=orjson.OPT_STRICT_INTEGER) == raw
    except TypeError as error:
        if "Integer" in str(error):
            return _TOO_LARGE
        return TOO_DEEP
    return record if same else _slow_check(raw) or record


def decode_wide(raw: bytes) -> dict[str, Any] | Violation:
    r"""Decode one line of a format that has numbers of 64 bits: those that JSON readers would cut stand as texts.

    Examples
    --------
    >>> decode_wide(b'{"a": 1, "b": -5164663614086310235}')
    {'a': 1, 'b': '-5164663614086310235'}
    """
    found = decode(raw)
    if not isinstance(found, Violation) or found.code != "integer_too_large":
        return found
    record: dict[str, Any] | Violation = _slowly(raw, _int_or_text)
    return record


def decode_value(text: str, place: str, how: Callable[[bytes], dict[str, Any] | Violation] = decode) -> Any:
    """Return the JSON that stands as text in a field, read as strictly as a line; a `Violation` where it is none."""
    found = how(b'{"data":' + text.encode() + b"}")
    if isinstance(found, Violation):
        return Violation(found.code, f"$.{place}", "this field's text is not what JSON may be")
    return found["data"] if len(found) == 1 else Violation("broken_json", f"$.{place}", "not JSON")


def decode_text(raw: bytes) -> str | Violation:
    """Return the text of a line that is no JSON, or why it is refused: `line_too_long`, `broken_utf8`."""
    if len(raw) > MAX_LINE_BYTES:
        return Violation("line_too_long", "$", f"over {MAX_LINE_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as broken:
        return Violation("broken_utf8", "$", f"not UTF-8 from byte {broken.start} of the line")


def lossless(raw: bytes) -> Any:
    r"""Return the JSON value of a line that holds several records; None where it is damaged, or reading it would lose something.

    Examples
    --------
    >>> lossless(b'[{"a": 1}]'), lossless(b'[{"a": 1, "a": 2}]'), lossless(b'[{"a": 1')
    ([{'a': 1}], None, None)
    """
    try:
        value = orjson.loads(raw)
        same = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == raw
    except (orjson.JSONDecodeError, TypeError):
        return None
    return value if same or _slow_check(raw) is None else None
