"""The file of page texts: read from JSON lines or Parquet, refused by line and column, never quoted."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlib.errors import BadCallError
from eventlib.signals import export_signals
from eventlib.signals.page_texts import read_page_texts
from tests.unit.ranking.worlds import trained, world
from tests.unit.signals.datasets import prepared

ROWS = [
    {"content_id": "c1", "content_version": "1", "text": "Old words.", "title": "x"},
    {"content_id": "c1", "content_version": "2", "text": "New words."},
]


def write(path, rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def test_texts_are_read_alike_from_both_forms(tmp_path):
    lines = read_page_texts(write(tmp_path / "t.jsonl", [ROWS[0], "\n", ROWS[1], ROWS[1]]))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    table = read_page_texts(tmp_path / "t.parquet")
    assert lines.found == table.found
    assert lines.of("c1", "2") == "New words."
    assert lines.of("c1", "3") is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{\n", r"t\.jsonl, line 2 is not JSON"),
        ("[1]\n", "line 2 is no JSON object"),
        ({"content_id": "c1", "text": "secret"}, "line 2: content_version is missing"),
        ({"content_id": "c1", "content_version": 2, "text": "secret"}, "line 2: content_version is no text"),
        ({"content_id": "c1", "content_version": "2", "text": "  "}, "line 2: text is empty"),
        ({"content_id": "c1", "content_version": "1", "text": "secret"}, "line 2: another text"),
    ],
)
def test_a_bad_line_is_named_and_not_quoted(tmp_path, row, said):
    with pytest.raises(BadCallError, match=said) as caught:
        read_page_texts(write(tmp_path / "t.jsonl", [ROWS[0], row]))
    assert "secret" not in str(caught.value)


def test_a_bad_table_names_its_columns_and_rows(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"content_id": ["c1"], "body": ["x"]}), path)
    with pytest.raises(BadCallError, match=r"content_version, text, which the frame does not have"):
        read_page_texts(path)
    pq.write_table(
        pa.table({"content_id": ["c1"], "content_version": ["1"], "text": pa.array([None], pa.string())}),
        path,
    )
    with pytest.raises(BadCallError, match=r"row 1: text is no text"):
        read_page_texts(path)
    path.write_bytes(b"no table")
    with pytest.raises(BadCallError, match="cannot be read as Parquet"):
        read_page_texts(path)


@pytest.mark.parametrize(("name", "said"), [("t.csv", "neither"), ("t.jsonl", "there is no file")])
def test_there_must_be_a_file_of_a_known_kind(tmp_path, name, said):
    with pytest.raises(BadCallError, match=said):
        read_page_texts(tmp_path / name)


def test_a_bad_file_stops_the_export_before_anything_is_written(tmp_path):
    write(tmp_path / "t.jsonl", ["{\n"])
    with pytest.raises(BadCallError, match="line 1 is not JSON"):
        export_signals(trained(), world().tables, prepared(tmp_path), texts="t.jsonl")
    assert not (tmp_path / "signals").exists()
