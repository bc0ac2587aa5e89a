"""Files as chunks of whole lines, broken archives included."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from eventlib.errors import BadCallError
from eventlib.model import MAX_LINE_BYTES
from eventlib.sources import files
from eventlib.sources.files import Chunk, chunks, count_newlines, range_chunks
from eventlib.sources.finding import find_logs

LINES = b"".join(b'{"n":%d}\n' % number for number in range(1000))


@pytest.mark.parametrize("size", [10, 100, 4096, 1 << 20])
def test_chunks_join_to_the_file_and_know_where_they_stand(tmp_path: Path, size: int):
    path = tmp_path / "log.ndjson"
    path.write_bytes(LINES + b'{"last":1}')
    found = list(chunks(path, 0, size))
    assert b"".join(chunk.data for chunk in found) == LINES + b'{"last":1}'
    for chunk in found:
        assert (LINES + b'{"last":1}')[chunk.offset :].startswith(chunk.data)
        assert chunk.first_line == LINES[: chunk.offset].count(b"\n") + 1
    assert [chunk.previous for chunk in found[1:]] == [
        c.data.rstrip(b"\n").rsplit(b"\n", 1)[-1] for c in found[:-1]
    ]


@pytest.mark.parametrize("name", ["log.ndjson.gz", "log.ndjson.zst"])
def test_truncated_archive_ends_in_one_truncated_line(tmp_path: Path, name: str):
    whole = gzip.compress(LINES) if name.endswith("gz") else zstandard.compress(LINES)
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    found = list(chunks(tmp_path / name, 0, 256))
    assert [chunk.truncated for chunk in found] == [False] * (len(found) - 1) + [True]
    assert LINES.startswith(b"".join(chunk.data for chunk in found))


def test_all_that_can_be_read_before_a_fault_is_read(tmp_path: Path):
    packed = gzip.compress(LINES)
    faults = {
        "trailing": packed + b"x",
        "checksum": packed[:-8] + b"\0" * 8,
        "padded": packed + b"\0" * 512,
        "two": packed + gzip.compress(LINES),
    }
    read: dict[str, bytes] = {}
    for name, content in faults.items():
        path = tmp_path / f"{name}.ndjson.gz"
        path.write_bytes(content)
        read[name] = b"".join(chunk.data for chunk in chunks(path, 0, 1 << 20))
    assert read == {"trailing": LINES, "checksum": LINES, "padded": LINES, "two": LINES * 2}


def test_endless_line_is_cut_but_what_follows_keeps_its_place(tmp_path: Path):
    long = b"x" * (3 * MAX_LINE_BYTES)
    path = tmp_path / "log.ndjson"
    path.write_bytes(b'{"a":1}\n' + long + b'\n{"b":2}\n')
    found = list(chunks(path, 0, 1 << 16))
    assert max(len(chunk.data) for chunk in found) <= MAX_LINE_BYTES + (1 << 17)
    assert found[-1].data.endswith(b'{"b":2}\n')
    last = found[-1]
    assert last.offset + last.data.index(b'{"b"') == len(b'{"a":1}\n') + len(long) + 1


def test_find_logs_names_each_file_once_and_refuses_the_unknown(tmp_path: Path):
    for name in ("b.ndjson", "a.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    found = find_logs([tmp_path, tmp_path / "b.ndjson", str(tmp_path / "*.ndjson")])
    assert [path.name for path in found] == ["a.jsonl.gz", "b.ndjson"]
    with pytest.raises(BadCallError, match=r"notes\.txt is not a log file"):
        find_logs(tmp_path / "notes.txt")


def _lines(found: Iterable[Chunk]) -> list[tuple[int, int, bytes]]:
    """Number, offset and bytes of each line."""
    placed = []
    for chunk in found:
        lines = chunk.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        offset = chunk.offset
        for number, line in enumerate(lines, chunk.first_line):
            placed.append((number, offset, line))
            offset += len(line) + 1
    return placed


@given(
    lines=st.lists(
        st.tuples(st.sampled_from([0, 1, 5, 20, 90, 300]), st.sampled_from(["\n", "\n", "\n", ""]))
    ),
    size=st.sampled_from([8, 64, 128]),
    blocks=st.integers(1, 4),
)
def test_ranges_of_a_file_hold_the_lines_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, str]], size: int, blocks: int
):
    content = "".join("x" * length + end for length, end in lines).encode()
    path = tmp_path_factory.mktemp("ranges") / "log.ndjson"
    path.write_bytes(content)
    found: list[tuple[int, int, bytes]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "MAX_LINE_BYTES", 50)  # lines over it are cut where blocks meet
        for start in range(0, len(content), size * blocks):
            stop = min(start + size * blocks, len(content))
            newlines = count_newlines(path, 0, start)
            found += _lines(range_chunks(path, 0, start, stop, newlines, size))
        assert found == _lines(chunks(path, 0, size))


@given(
    lines=st.lists(
        st.tuples(st.sampled_from([0, 1, 5, 20, 90, 300]), st.sampled_from(["\n", "\n", "\n", ""]))
    ),
    size=st.sampled_from([8, 64, 128]),
)
def test_a_chunk_is_the_same_in_another_process(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, str]], size: int
):
    path = tmp_path_factory.mktemp("travel") / "log.ndjson"
    path.write_bytes("".join("x" * length + end for length, end in lines).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            files, "MAX_LINE_BYTES", 50
        )  # what is cut from a line stands nowhere: such chunks travel whole
        for chunk in chunks(path, 0, size):
            assert pickle.loads(pickle.dumps(chunk)) == replace(chunk, path=None)


def test_a_chunk_of_a_log_that_is_gone_is_empty(tmp_path: Path):
    path = tmp_path / "log.ndjson"
    path.write_bytes(LINES)
    waiting = [pickle.dumps(chunk) for chunk in chunks(path, 0, 64)]
    assert b"".join(pickle.loads(each).data for each in waiting) == LINES
    path.unlink()
    assert pickle.loads(waiting[-1]).data == b""  # that it changed is told of the whole log


def test_a_range_knows_the_line_before_it(tmp_path: Path):
    path = tmp_path / "log.ndjson"
    path.write_bytes(LINES)
    chunk = next(range_chunks(path, 0, 64, 128, LINES[:64].count(b"\n"), 64))
    assert chunk.previous == LINES[: chunk.offset].splitlines()[-1]
