"""Parquet logs whose values no JSON has: each row is still a line that is judged."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import eventlib as el
from eventlib.api import ReadLog
from eventlib.errors import BadCallError
from eventlib.sources.files import chunks
from tests.factory import event, line

TEXTS = [pa.string(), pa.large_string()]
BROKEN = b'b\xff"\n'


def unchecked(values: list[bytes], kind: pa.DataType) -> pa.Array:
    """Texts that nobody has checked, as other writers leave them."""
    held = pa.array(values, pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
    return pa.Array.from_buffers(kind, len(values), held.buffers())


def read(path: Path, table: pa.Table) -> ReadLog:
    pq.write_table(table, path / "log.parquet")
    return el.read(path / "log.parquet")


@pytest.mark.parametrize("kind", TEXTS)
def test_lines_that_are_not_utf8_are_refused_one_by_one(tmp_path: Path, kind: pa.DataType):
    texts = unchecked([line(event(0)), b'{"a": "\xff"}', line(event(1))], kind)
    found = read(tmp_path, pa.table({"line": texts}))
    assert found.quarantine[["line", "code"]].to_numpy().tolist() == [[2, "broken_utf8"]]
    assert found.ledger.rows_out == 2


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_that_is_not_utf8_makes_its_row_a_refused_line(tmp_path: Path, kind: pa.DataType):
    table = pa.Table.from_pylist([event(0), event(1)])
    column = table.column_names.index("event_name")
    found = read(tmp_path, table.set_column(column, "event_name", unchecked([b"page_view", BROKEN], kind)))
    assert found.quarantine[["line", "code"]].to_numpy().tolist() == [[2, "broken_utf8"]]
    assert found.events["event_name"].tolist() == ["page_view"]


def test_texts_that_are_not_utf8_are_found_wherever_they_stand(tmp_path: Path):
    texts = unchecked([b"{}", BROKEN], pa.string())
    columns = {
        "struct": pa.StructArray.from_arrays([texts], ["member"]),
        "list": pa.ListArray.from_arrays(pa.array([0, 1, 2]), texts),
        "properties": texts,
    }
    for name, column in columns.items():
        pq.write_table(pa.table({name: column, "other": [1, 2]}), tmp_path / f"{name}.parquet")
        (chunk,) = chunks(tmp_path / f"{name}.parquet", 0)
        fine, broken = chunk.data.splitlines()
        assert b"{}" in fine
        assert b'b\xff\\"\\n' in broken


def test_a_time_that_no_calendar_has_makes_its_row_a_refused_line(tmp_path: Path):
    table = pa.Table.from_pylist([event(0), event(1)])
    times = pa.array([int(dt.datetime(2026, 10, 1, tzinfo=dt.UTC).timestamp() * 1e6), 2**62])
    column = table.column_names.index("occurred_at")
    found = read(tmp_path, table.set_column(column, "occurred_at", times.cast(pa.timestamp("us", tz="UTC"))))
    assert found.quarantine[["line", "json_path"]].to_numpy().tolist() == [[2, "$.occurred_at"]]
    assert found.ledger.rows_out == 1


@pytest.mark.parametrize("damaged", [slice(4, 30), slice(60, 400), slice(-100, -8)])
def test_a_damaged_file_is_told_by_name(tmp_path: Path, damaged: slice):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_pylist([event(number) for number in range(30)]), path)
    content = bytearray(path.read_bytes())
    content[damaged] = bytes(byte ^ 0x5A for byte in content[damaged])
    path.write_bytes(content)
    with pytest.raises(BadCallError, match=r"log\.parquet is (damaged|no Parquet file)"):
        el.read(path)


@pytest.mark.parametrize("depth", [254, 300, 980, 1000, 1023])
def test_a_text_that_is_nested_too_deep_makes_its_row_a_refused_line(tmp_path: Path, depth: int):
    rows = [{**event(number), "properties": "{}"} for number in range(3)]
    rows[1]["properties"] = '{"a":' * depth + "1" + "}" * depth
    found = read(tmp_path, pa.Table.from_pylist(rows))
    assert found.quarantine[["line", "code"]].to_numpy().tolist()[1] == [2, "too_deep"]
    assert found.quarantine["line"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('{"purposes": {"analytics": false,\n"analytics": true}}', "duplicate_key"),
        (b'{"purposes": {"analytics": false}, "purposes": {"analytics": true}}', "duplicate_key"),
        ('{"notice_version": 9007199254740993}', "integer_too_large"),
    ],
)
def test_what_would_be_lost_of_a_text_refuses_its_row(tmp_path: Path, said: str | bytes, code: str):
    found = read(
        tmp_path, pa.Table.from_pylist([{**event(0), "consent": said}, {**event(1), "consent": None}])
    )
    assert found.quarantine[["line", "code"]].to_numpy().tolist() == [[1, code]]
    assert found.ledger.rows_out == 1


def test_a_row_is_refused_for_its_odd_bytes_whatever_its_texts_are(tmp_path: Path):
    table = pa.Table.from_pylist([{**event(0), "consent": '{"gpc": true, "gpc": false}'}])
    column = table.column_names.index("event_name")
    odd = table.set_column(column, "event_name", unchecked([BROKEN], pa.string()))
    assert read(tmp_path, odd).quarantine["code"].tolist() == ["broken_utf8"]


def test_null_in_a_text_says_nothing(tmp_path: Path):
    assert read(tmp_path, pa.Table.from_pylist([{**event(0), "consent": " null"}])).ledger.rows_out == 1
