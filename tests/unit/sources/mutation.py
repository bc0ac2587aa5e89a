"""Records of foreign formats with any JSON value at any place, and what must become of each."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
from hypothesis import strategies as st

from eventlib.border import to_table
from eventlib.judging import Task, _Reader
from eventlib.sources import Repairs, known_adapter
from eventlib.sources.files import Chunk

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", " ", "true", "2026-13-45T99:99:99Z", "9" * 400, "\x00", "$direct", "1e999"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=5,
)
"""Any JSON value, with texts that are nearly something."""


def places(value: Any) -> Iterator[tuple[str, ...]]:
    """Every place of a record, from the outermost."""
    for name, inside in value.items() if isinstance(value, dict) else ():
        yield (name,)
        yield from ((name, *rest) for rest in places(inside))


@st.composite
def mutated(draw: st.DrawFn, records: list[dict[str, Any]]) -> Any:
    """A record with up to three of its places replaced, or taken out; now and then something else altogether."""
    record: Any = copy.deepcopy(draw(st.sampled_from(records)))
    for _ in range(draw(st.integers(0, 3))):
        *outer, name = draw(st.sampled_from(sorted(places(record)) or [("event",)]))
        held = record
        for step in outer:
            held = held[step]
        if draw(st.integers(0, 3)):
            held[name] = draw(JSON)
        else:
            del held[name]
            break
    return record if draw(st.integers(0, 19)) else draw(JSON)


def accounted(source: str, lines: list[bytes]) -> tuple[int, int, int]:
    """Read lines, and return how many became events, were refused and were passed over; every one must be one of these."""
    kind = known_adapter(source)
    parts = [part for line in lines for part in (kind.unpack.of(line) if kind.unpack else [line])]
    chunk = Chunk(0, b"".join(part + b"\n" for part in parts), 1, 0)
    reader = _Reader(Task(source, {}, None, b"k" * 32, keep_raw=False, folder=""), chunk)
    rows = reader.read(chunk)
    assert to_table(rows).num_rows == len(rows)
    skipped = sum(reader.piece.skipped.values())
    assert len(rows) + len(reader.refused) + skipped == len(parts)
    return len(rows), len(reader.refused), skipped


def grants(source: str, record: dict[str, Any]) -> bool:
    """Tell whether the consent object of what a record becomes has anything that grants."""
    kind = known_adapter(source)
    decoded = kind.decode(orjson.dumps(record))
    event = kind.adapt(decoded, b"", {}, Repairs()) if isinstance(decoded, dict) else {}
    said = event.get("consent") if isinstance(event, dict) else None
    return b"true" in orjson.dumps(said)
