"""Batches in one line, and what the table of a format says of damage."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from eventlib.model import MAX_LINE_BYTES
from eventlib.rows import read_rows
from eventlib.sources import adapter
from eventlib.sources.base import Repairs
from eventlib.sources.containers import Unpack
from eventlib.sources.files import chunks
from eventlib.sources.reading import READERS, UnreadableError
from eventlib.sources.vocabulary import wanted


def test_a_line_that_is_an_array_is_its_members():
    assert Unpack().of(b'[{"a": 1},5]') == [b'{"a":1}', b"5"]


@pytest.mark.parametrize(
    "line", [b"[]", b'[{"a": 1, "a": 2}]', b"[9007199254740993]", b"[NaN]", b"[1", b'{"a": 1}']
)
def test_a_damaged_array_stays_one_line_for_the_verdict(line: bytes):
    assert Unpack().of(line) == [line]


def test_lines_keep_their_numbers_where_arrays_stand_among_them(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a":1}\n[{"a":2},{"a":3}]\n{"a":4}\n')
    (chunk,) = chunks(path, 0, unpack=Unpack())
    assert chunk.data == b'{"a":1}\n{"a":2}\n{"a":3}\n{"a":4}\n'
    assert chunk.numbers == (1, 2, 2, 3)


def test_a_consent_field_that_cannot_be_read_is_there_for_the_verdict(tmp_path: Path):
    path = tmp_path / "shop.yaml"
    path.write_text("extends: segment\nsource: shop\nfields: {consent.gpc: context.gpc}\n", encoding="utf-8")
    record = {"type": "track", "event": "x", "anonymousId": "a", "context": {"gpc": "perhaps"}}
    found = adapter(str(path)).adapt(record, b"", {}, Repairs())
    assert isinstance(found, dict)
    assert found["consent"] == {"gpc": "perhaps"}


def test_a_share_becomes_percent():
    assert READERS["share of 1"](0.855) == (85.5, "")
    for value in (1.2, -0.1, "much", None, True):
        with pytest.raises(UnreadableError):
            READERS["share of 1"](value)


def test_what_is_over_the_vocabularys_most_is_not_read():
    described = wanted("page_exit")
    assert described is not None
    assert described.readers["active_ms"](86_400_000) == (86_400_000, "")
    with pytest.raises(UnreadableError):
        described.readers["active_ms"](86_400_001)


def test_segments_batch_with_a_key_twice_is_refused_whole():
    line = b'{"batch": [{"type": "track", "a": 1, "a": 2}]}'
    unpack = adapter("segment").unpack
    assert unpack is not None
    assert unpack.of(line) == [line]
    assert len(unpack.of(orjson.dumps({"batch": [{"type": "track"}]}))) == 1


def test_a_file_of_one_batch_longer_than_an_event_is_known(tmp_path: Path):
    member = {
        "type": "track",
        "event": "x",
        "messageId": "m",
        "anonymousId": "a",
        "properties": {"text": "x" * 1000},
    }
    path = tmp_path / "log.json"
    for indent in (None, orjson.OPT_INDENT_2):
        path.write_bytes(orjson.dumps({"batch": [member] * 2_000}, option=indent))
        assert path.stat().st_size > MAX_LINE_BYTES
        entry = read_rows(path).inputs[0]
        assert (entry["source"], entry["rows"]) == ("segment", 2_000)
