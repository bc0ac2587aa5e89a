"""What is looked for is found wherever it may hide, and nothing else is."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from eventlib.erasure.search import Needles, Search, files_in

ID = "u-" + "0123456789abcdef" * 2
NEEDLES = Needles(
    frozenset({"ann@site.org", "one two|3", "42"}), frozenset({ID, "p-000017"}), frozenset({77})
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.html", f"<td>{ID}</td>".encode()),
        ("page.html", b"<td>ann&#64;site.org</td>"),
        ("data.json", b'{"who": "ann\\u0040site.org"}'),
        ("note.ipynb", json.dumps({"cells": [{"text": "p-000017"}]}).encode()),
        ("list.csv", b"https://site.org/?who=one%20two%7C3\n"),
        ("blob.bin", b"\x00\xff" + ID.encode() + b"\xff"),
        ("log.ndjson.gz", gzip.compress(b'{"id": "ann@site.org"}', mtime=0)),
        ("log.ndjson.zst", zstandard.compress(ID.encode())),
        ("two.ndjson.gz", gzip.compress(b"nothing ", mtime=0) + gzip.compress(ID.encode(), mtime=0)),
        ("export.csv", b"Ann@Site.org;1\n"),
        ("turkish.csv", "ANN@S\u0130TE.ORG;1\n".encode()),
        ("old.csv", "ann@site.org".encode("utf-16")),
        ("packed", gzip.compress(ID.encode(), mtime=0)),
        ("packed.bz2", bz2.compress(ID.encode())),
        ("packed.xz", lzma.compress(ID.encode())),
        (f"{ID}.json", b"{}"),
        ("far.txt", b"x" * ((8 << 20) - 10) + b" " + ID.encode()),
    ],
)  # fmt: skip
def test_found_in_files(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert Search(NEEDLES).holds(file)
    others = Needles(frozenset({"bob@site.org"}), frozenset({"u-" + "f" * 32}), frozenset({1}))
    assert not Search(others).holds(file)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x", ID]),
        pa.array(["x", "42"]),
        pa.array([f"in {ID}, somewhere"], pa.large_string()),
        pa.array([ID.encode()]),
        pa.array([{"a": {"b": ID}}]),
        pa.array([[None, ID]]),
        pa.array([[{"a": ID}]]),
        pa.array([ID]).dictionary_encode(),
        pa.array([[("key", ID)]], pa.map_(pa.string(), pa.string())),
        pa.array([5, 77]),
        pa.array(['{"who":"ann\\u0040site.org"}']),
    ],
    ids=str,
)
def test_found_in_columns(tmp_path: Path, column: pa.Array) -> None:
    file = tmp_path / "table.parquet"
    pq.write_table(pa.table({"column": column}), file, compression="zstd")
    assert Search(NEEDLES).holds(file)


@pytest.mark.parametrize(
    "text",
    [
        "ann@site.organ",
        "joann@site.org",
        f"{ID}0",
        "p-0000171",
        "id 42",
        "one two|34",
        ID.replace("u-", "a-"),
    ],
)
def test_what_only_looks_like_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "table.parquet"
    pq.write_table(pa.table({"text": [text], "number": [42]}), file)
    (tmp_path / "text.txt").write_text(text)
    assert not any(Search(NEEDLES).holds(each) for each in files_in([tmp_path]))


def test_files_that_are_not_what_they_are_called(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.gz", "a.zst"):
        (tmp_path / name).write_bytes(b"no such thing, but " + ID.encode())
        assert Search(NEEDLES).holds(tmp_path / name)
        (tmp_path / name).write_bytes(b"nothing at all")
        assert not Search(NEEDLES).holds(tmp_path / name)


def test_found_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nothing.txt", "nothing")
        archive.writestr("sheet.xml", f"<c>{ID}</c>")
    assert Search(NEEDLES).holds(tmp_path / "book.xlsx")
    assert not Search(Needles(frozenset({"nobody@site.org"}))).holds(tmp_path / "book.xlsx")
    (tmp_path / "book.xlsx").write_bytes(b"PK no archive")
    assert not Search(NEEDLES).holds(tmp_path / "book.xlsx")


def test_each_file_once_and_no_way_out(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "a").write_text("a")
    (outside / "b").write_text("b")
    (inside / "way-out").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    assert list(files_in([inside, inside / "a", inside])) == [inside / "a"]
    (inside / "given").symlink_to(outside / "b")
    assert list(files_in([inside / "given"])) == [outside / "b"]


def test_nothing_is_looked_at_twice_while_it_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    in_text = Needles.in_text

    def spy(needles: Needles, text: str) -> bool:
        looked.append(len(text))
        return in_text(needles, text)

    monkeypatch.setattr(Needles, "in_text", spy)
    search, one, other = Search(NEEDLES), tmp_path / "one.html", tmp_path / "other.html"
    library = "let figure;" * 10_000
    one.write_text(f"nothing\n{library}\n")
    assert [search.holds(one), search.holds(one)] == [False, False]
    other.write_text(f"{library}\n{ID}")
    assert search.holds(other), "beside a long line that was seen before"
    one.write_text(f"now\n{library}{ID}")
    assert search.holds(one), "in a long line that was not"
    assert [size for size in looked if size > 1000] == [len(library), len(library) + len(ID)]
