"""S1.1: what a line can be instead of an event."""

from __future__ import annotations

import pytest

from eventlib.model import Violation
from eventlib.sources.decode import decode

HOSTILE = {
    b'{"a": "\xff"}': "broken_utf8",
    b'{"a": ': "broken_json",
    b'{"a": NaN}': "not_finite",
    b'{"a": -Infinity}': "not_finite",
    b'{"a": 1e999}': "not_finite",
    b'{"a": "\\ud800"}': "lone_surrogate",
    b"[" * 10_000 + b"]" * 10_000: "too_deep",
    b'{"a": ' * 300 + b"1" + b"}" * 300: "too_deep",
    b"[1]": "not_an_object",
    b"17": "not_an_object",
    b'{"a": 1, "a": 2}': "duplicate_key",
    b'{"a": {"b": 1, "b": 1}}': "duplicate_key",
    b'{"a":9007199254740992}': "integer_too_large",
    b'{"a":18446744073709551616}': "integer_too_large",
    b'{"a": -9007199254740992}': "integer_too_large",
    b'{"a": "' + b"x" * (1 << 20) + b'"}': "line_too_long",
}


@pytest.mark.parametrize(
    ("raw", "code"), HOSTILE.items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_hostile_line_has_its_code(raw: bytes, code: str):
    found = decode(raw)
    assert isinstance(found, Violation)
    assert found.code == code


@pytest.mark.parametrize(
    "raw",
    [b'{"a":1}', b'{ "a" : 1.0 }', b'{"a":9007199254740991}', b'{"a":"\\u00e9\\ud83d\\ude00"}', b'{"a":1e5}'],
)
def test_plain_line_is_its_object(raw: bytes):
    assert "a" in decode(raw)  # type: ignore[operator]  # a dict, or the test fails


def test_message_never_quotes_the_line():
    for raw in HOSTILE:
        found = decode(b'{"secret@site.org": ' + raw)
        assert isinstance(found, Violation)
        assert "secret" not in found.message
