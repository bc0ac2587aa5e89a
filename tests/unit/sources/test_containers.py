"""Files that hold several records: each comes out once, in order, with its line; what is damaged stays, refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlib.model import MAX_LINE_BYTES
from eventlib.sources.containers import Unpack, document_records, is_table, table_records
from eventlib.sources.files import chunks, holds_several

PAYLOADS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def blocks(data: bytes, size: int):
    return iter([data[at : at + size] for at in range(0, len(data), size)])


def documents(data: bytes, size: int = 1 << 20) -> list[bytes]:
    return [line for line, _ in document_records(blocks(data, size))]


@given(st.lists(PAYLOADS, max_size=6), st.sampled_from([None, 1, 4]), st.integers(1, 64))
def test_members_of_an_array_come_out_whatever_blocks_it_is_read_in(members, indent, size):
    data = json.dumps(members, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert [orjson.loads(line) for line in documents(data, size)] == members


@given(st.lists(PAYLOADS, min_size=1, max_size=4), st.integers(1, 64))
def test_objects_over_several_lines_are_one_record_each(members, size):
    data = "\n".join(json.dumps(member, indent=2) for member in members).encode()
    assert [orjson.loads(line) for line in documents(data, size)] == members


def test_arrays_one_after_another_and_the_lines_of_their_members():
    data = b'[{"a": 1},\n {"a": 2}]\n[\n{"a": 3}\n]\n'
    found = list(document_records(blocks(data, 7)))
    assert found == [(b'{"a": 1}', 1), (b'{"a": 2}', 2), (b'{"a": 3}', 4)]


def test_a_damaged_member_costs_itself():
    data = b'[{"a": 1}, {"b": nope}, {"a": 2}]'
    assert documents(data) == [b'{"a": 1}', b'{"b": nope}', b'{"a": 2}']


def test_an_array_that_breaks_off_leaves_what_there_was_of_its_last_member():
    assert documents(b'[{"a": 1}, {"a": 2, "b": "unf') == [b'{"a": 1}', b'{"a": 2, "b": "unf']


def test_odd_bytes_stay_in_their_member():
    assert documents(b'[{"a": "\xff"}, {"a": 2}]') == [b'{"a": "\xff"}', b'{"a": 2}']


def test_a_member_nested_beyond_reading_is_passed_on():
    deep = b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    found = documents(b'[{"a": 1}, ' + deep + b',\n{"a": 2}]')
    assert found[0] == b'{"a": 1}'
    assert found[-1] == b'{"a": 2}'
    assert b"".join(found[1:-1]) == deep


def test_an_object_over_several_lines_may_hold_a_batch_longer_than_an_event():
    batch = {"batch": [{"text": "x" * 1000}] * 3_000, "sentAt": "now"}
    whole = orjson.dumps(batch, option=orjson.OPT_INDENT_2)
    for size in (len(whole) // 2 + 7, 1 << 18, 8 << 20):
        (found,) = list(document_records(blocks(whole, size)))
        assert orjson.loads(found[0]) == batch


def test_a_batch_that_breaks_off_costs_itself_and_leaves_its_members():
    whole = orjson.dumps({"batch": [{"text": "x" * 1000}] * 3_000}, option=orjson.OPT_INDENT_2)
    found = documents(whole[:-4], 1 << 18)
    assert sum(line == b'{       "text": "' + b"x" * 1000 + b'"     }' for line in found) > 2_990


def rows(text: str, name: str = "log.csv", size: int = 1 << 20) -> list[tuple[bytes, int]]:
    return list(table_records(blocks(text.encode("utf-8", "surrogateescape"), size), name))


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=12)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6), st.integers(1, 40))
def test_rows_of_a_table_come_out_by_the_names_of_their_columns(table, size):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *table])
    found = [orjson.loads(line) for line, _ in rows(text.getvalue(), size=size)]
    assert found == [{name: cell for name, cell in zip("abc", row, strict=True) if cell} for row in table]


def test_a_row_knows_the_line_where_it_began():
    assert [number for _, number in rows('a,b\n1,"x\ny"\n2,z\n')] == [2, 4]


def test_a_row_of_another_length_is_refused_not_lost():
    assert rows("a,b\n1\n1,2\n") == [(b'["1"]', 2), (b'{"a":"1","b":"2"}', 3)]


def test_a_quote_that_is_never_closed_costs_its_own_row():
    many = "\n".join(f"{number},x{'y' * 100}" for number in range(20_000))
    found = rows(f'a,b\n1,"open\n{many}\n')
    assert len(many) > MAX_LINE_BYTES
    assert len(found) == 20_001
    assert orjson.loads(found[-1][0])["a"] == "19999"


@pytest.mark.parametrize("odd", ["1,a\rb", f"1,{'y' * MAX_LINE_BYTES}", '1,"a\nb"c\rd'])
def test_a_row_that_cannot_be_read_is_passed_on_as_it_is(odd):
    found = rows(f"a,b\n{odd}\n2,z\n")
    assert found[0] == (odd.replace("\n", " ").encode(), 2)
    assert orjson.loads(found[1][0]) == {"a": "2", "b": "z"}


def test_a_cell_may_be_as_long_as_an_event():
    (row,) = rows(f"a,b\n1,{'y' * 500_000}\n")
    assert len(orjson.loads(row[0])["b"]) == 500_000


@pytest.mark.parametrize("first", [b"a,b\rc,d\r", b"a" * (MAX_LINE_BYTES + 1), b"a," * MAX_LINE_BYTES])
def test_a_first_line_that_cannot_be_read_names_no_columns(first):
    assert not is_table("log.csv", first)


def test_cells_between_tabs_are_not_quoted():
    assert rows('a\tb\n"x\ty"\n', "log.tsv") == [(b'{"a":"\\"x","b":"y\\""}', 2)]


def _parts(line: bytes) -> list[bytes] | None:
    try:
        batch = orjson.loads(line).get("batch")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return [orjson.dumps(member) for member in batch] if isinstance(batch, list) else None


UNPACK = Unpack(b'"batch"', _parts)


def read(path: Path, unpack: Unpack | None = UNPACK, size: int = 1 << 20) -> list[tuple[int, int, bytes]]:
    """Return line number, offset and text of each record."""
    found = []
    for chunk in chunks(path, 0, size, unpack):
        offset = chunk.offset
        lines = chunk.data.split(b"\n")
        for nth, line in enumerate(lines if lines[-1] else lines[:-1]):
            found.append((chunk.numbers[nth] if chunk.numbers else chunk.first_line + nth, offset, line))
            offset += len(line) + 1
    return found


LINES = st.lists(
    st.one_of(
        st.just(b'{"a":1}'),
        st.just(b""),
        st.just(b'{"batch": broken'),
        st.lists(st.just({"m": 1}), max_size=3).map(lambda batch: orjson.dumps({"batch": batch})),
    ),
    max_size=8,
)


@given(LINES, st.sampled_from([8, 16, 1 << 20]), st.booleans())
def test_batches_among_lines_are_taken_apart_in_place(tmp_path_factory, lines, size, archived):
    path = tmp_path_factory.mktemp("batches") / ("log.json.gz" if archived else "log.json")
    data = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data) if archived else data)
    wanted, offset = [], 0
    for number, line in enumerate(lines, 1):
        for part in UNPACK.of(line):
            wanted.append((number, offset, part))
            offset += len(part) + 1
    assert read(path, size=size) == wanted


def test_what_does_not_unpack_reads_a_batch_as_a_line(tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(b'{"batch":[{"m":1}]}\n')
    assert read(path, None) == [(1, 0, b'{"batch":[{"m":1}]}')]


def test_a_batch_may_be_longer_than_an_event(tmp_path):
    path = tmp_path / "log.json"
    member = {"text": "x" * 1000}
    path.write_bytes(orjson.dumps({"batch": [member] * 2_000}) + b"\n")
    assert path.stat().st_size > MAX_LINE_BYTES
    assert [line for _, _, line in read(path, size=1 << 16)] == [orjson.dumps(member)] * 2_000


@pytest.mark.parametrize("cut", [40, 60, 200])
def test_the_rest_of_an_array_in_a_broken_archive_is_marked(tmp_path, cut):
    path = tmp_path / "log.json.gz"
    members = [{"number": number, "text": f"{number * 7919:x}" * 9} for number in range(400)]
    data = gzip.compress(json.dumps(members, indent=1).encode())
    path.write_bytes(data[:-cut])
    found = list(chunks(path, 0))
    assert found[-1].truncated
    assert not any(chunk.truncated for chunk in found[:-1])
    whole = [orjson.loads(line) for chunk in found[:-1] for line in chunk.data.splitlines()]
    assert whole == members[: len(whole)]
    assert len(whole) > 300


@pytest.mark.parametrize(
    ("name", "data", "several"),
    [
        ("a.json", b'[\n{"a": 1}\n]', True),
        ("a.json", b'{"a": 1}\n', False),
        ("a.json", b'\xef\xbb\xbf[{"a": 1}]', True),
        ("a.json", b"", False),
        ("a.csv", b"event,time\nx,1\n", True),
        ("a.csv", b'1,"2"\n', False),
        ("a.tsv", b"shop\tweb\t2026-10-03 08:15:30\n", False),
    ],
)
def test_whether_lines_are_records_is_told_by_the_beginning(tmp_path, name, data, several):
    path = tmp_path / name
    path.write_bytes(data)
    assert holds_several(path) == several
