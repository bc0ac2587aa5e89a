"""A corpus of hostile lines by a seed (S1.1): each with the codes that it may end as, where its kind tells."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from eventlib.model import MAX_LINE_BYTES, PURPOSES
from tests.factory import at, consent, event, line, link, login

KEPT = "kept"
"""The line is an event; what the stages make of it is another question."""


@dataclass(frozen=True)
class Hostile:
    """One line without its line end, and what it may be called."""

    raw: bytes
    kind: str
    codes: frozenset[str]


def _event(chance: random.Random, **fields: Any) -> dict[str, Any]:
    """An event; every sixth device refuses all use."""
    device, seconds = chance.randrange(60), chance.randrange(100_000)
    refused: dict[str, Any] = dict.fromkeys(PURPOSES, False)
    said = consent(**refused) if device < 10 else consent()
    return {**event(seconds, anonymous_id=f"a-{device}", consent=said), **fields}


def _text(chance: random.Random, **fields: Any) -> bytes:
    return orjson.dumps(_event(chance, **fields))


def _with_text(chance: random.Random, inside: bytes) -> bytes:
    """A valid event but for what stands inside its title."""
    properties = {"observation": "owned", "page_view_id": "v", "content_id": "c", "title": "TITLE"}
    return _text(chance, properties=properties).replace(b"TITLE", inside)


def _odd_but_valid(chance: random.Random) -> bytes:
    odd = chance.choice(
        [
            "\u0000",
            "a\u0000b",
            "\u2028",
            "😀" * 9,
            "'; DROP TABLE wide; --",
            "=cmd|' /C'!A0",
            "\ufeff",
            "\\",
            '"',
            "e\u0301",
            "x" * 1024,
        ]
    )
    properties = {
        "observation": "owned",
        "page_view_id": odd,
        "content_id": odd,
        "word_count": chance.choice([0, 1.0, 1e7]),
    }
    sequence = chance.choice([None, 0, 1.0, -0.0, 1e3, 2**53 - 1, 9.0e15])
    fields: dict[str, Any] = {
        "event_id": odd,
        "anonymous_id": odd,
        "source": odd[:256],
        "sequence": sequence,
        "properties": properties,
    }
    return _text(chance, **fields)


def _odd_times(chance: random.Random) -> bytes:
    times = [
        "1970-01-01T00:00:00Z",
        "2999-12-31T23:59:59.999999999-23:59",
        "2099-01-01T00:00:00Z",
        at(0),
        None,
    ]
    return _text(
        chance,
        occurred_at=chance.choice(times[:-1]),
        sent_at=chance.choice(times),
        received_at=chance.choice(times[:-1]),
    )


def _twice(chance: random.Random) -> bytes:
    raw = _text(chance)
    return chance.choice(
        [raw[:-1] + b',"source":"web"}', raw.replace(b'"observation"', b'"content_id":1,"observation"')]
    )


def _large(chance: random.Random) -> bytes:
    digits = chance.choice([b"9007199254740992", b"-9007199254740992", b"18446744073709551616", b"9" * 400])
    return _text(chance, sequence=17).replace(b'"sequence":17', b'"sequence":' + digits)


def _not_finite(chance: random.Random) -> bytes:
    value = chance.choice([b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
    return _text(chance, sequence=17).replace(b'"sequence":17', b'"sequence":' + value)


def _deep(chance: random.Random) -> bytes:
    depth = chance.choice([300, 1_100, 10_000])
    opened, closed = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = opened * depth + b"1" + closed * (depth if chance.random() < 0.7 else depth - 1)
    return chance.choice(
        [inner, _text(chance, sequence=17).replace(b'"sequence":17', b'"sequence":' + inner)]
    )


def _cut(chance: random.Random) -> bytes:
    raw = _text(chance)
    return raw[: chance.randrange(1, len(raw) - 1)]


def _flipped(chance: random.Random) -> bytes:
    raw = bytearray(_text(chance))
    for _ in range(chance.randrange(1, 4)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw).replace(b"\n", b" ")


def _random(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 200)).replace(b"\n", b"")


def _nul(chance: random.Random) -> bytes:
    raw = _text(chance)
    place = chance.randrange(len(raw))
    return raw[:place] + b"\0" + raw[place:]


def _mistyped(chance: random.Random) -> bytes:
    names = [
        "event_id",
        "event_name",
        "schema_version",
        "occurred_at",
        "received_at",
        "source",
        "properties",
        "consent",
        "context",
    ]
    return _text(
        chance, **{chance.choice(names): chance.choice([1, True, [], "x", [{}], 1.5, {"a": {"b": []}}])}
    )


def _other_events(chance: random.Random) -> bytes:
    user = chance.randrange(20)
    seconds = chance.randrange(100_000)
    made = [
        login(seconds, user_id=f"u-{user}", anonymous_id=f"b-{user}"),
        link([("user_id", f"u-{user}"), ("email", f"{user}@b.org")], seconds),
        event(seconds, schema_version="1-0-7"),
    ]
    return line(chance.choice(made)).rstrip(b"\n")


_JSON = {"broken_json", "broken_utf8"}
KINDS: dict[str, tuple[int, Callable[[random.Random], bytes], set[str] | None]] = {
    "valid": (12, _text, {KEPT}),
    "other events": (3, _other_events, {KEPT}),
    "odd but valid": (4, _odd_but_valid, {KEPT}),
    "odd times": (2, _odd_times, {KEPT}),
    "carriage return": (2, lambda c: _text(c) + b"\r", {KEPT}),
    "spaces around": (1, lambda c: b" \t" + _text(c) + b"  ", {KEPT}),
    "blank": (2, lambda c: c.choice([b"", b" ", b"\t\r", b"\x0b\x0c"]), {"blank_line"}),
    "broken utf-8": (
        3,
        lambda c: _with_text(
            c, c.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf"])
        ),
        {"broken_utf8"},
    ),
    "latin-1": (2, lambda c: _with_text(c, "Café".encode("latin-1")), {"broken_utf8"}),
    "utf-16": (2, lambda c: _text(c).decode().encode(c.choice(["utf-16-le", "utf-16-be", "utf-16"])), _JSON),
    "byte order mark": (1, lambda c: b"\xef\xbb\xbf" + _text(c), {KEPT}),
    "broken json": (4, _cut, {"broken_json"}),
    "single quotes": (1, lambda c: _text(c).replace(b'"', b"'"), {"broken_json"}),
    "control character": (1, lambda c: _with_text(c, c.choice([b"\0", b"\x1f", b"\t"])), {"broken_json"}),
    "nul": (2, _nul, {"broken_json"}),
    "not finite": (3, _not_finite, {"not_finite"}),
    "lone surrogate": (
        2,
        lambda c: _with_text(c, c.choice([b"\\ud800", b"\\udfff", b"\\ud800x", b"\\udc00\\ud800"])),
        {"lone_surrogate"},
    ),
    "deep": (2, _deep, {"too_deep", "broken_json", "not_an_object"}),
    "no object": (
        2,
        lambda c: c.choice([b"[1]", b"1", b'"x"', b"true", b"null", b"[]", b"-0.0"]),
        {"not_an_object"},
    ),
    "duplicate key": (2, _twice, {"duplicate_key"}),
    "big integer": (2, _large, {"integer_too_large", "not_finite"}),
    "mistyped": (3, _mistyped, None),
    "flipped bytes": (4, _flipped, None),
    "random bytes": (2, _random, None),
}


def hostile_lines(count: int, seed: int) -> list[Hostile]:
    """Return lines of every kind, exact copies of earlier ones among them, and a few that are too long."""
    chance = random.Random(seed)
    kinds, weights = list(KINDS), [weight for weight, _, _ in KINDS.values()]
    every = frozenset({KEPT})
    made: list[Hostile] = []
    for number in range(count):
        if number % 2_000 == 1_999:
            raw = b'{"a":"' + b"x" * chance.choice([MAX_LINE_BYTES, 3 * MAX_LINE_BYTES]) + b'"}'
            made.append(Hostile(raw, "too long", frozenset({"line_too_long"})))
        elif made and chance.random() < 0.2 and made[-1].kind == "valid":
            made.append(made[-1])
        else:
            kind = chance.choices(kinds, weights)[0]
            _, make, codes = KINDS[kind]
            made.append(
                Hostile(make(chance).replace(b"\n", b""), kind, frozenset(codes) if codes else every - every)
            )
    return made
