"""S1.1: ten thousand hostile lines, whole and in broken archives: each ends as exactly one thing, and nothing stops the run."""

from __future__ import annotations

import gzip
import random
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

import eventlib as el
from eventlib.consent.signals import Signals
from eventlib.ordering.lateness import LATE_CODES
from eventlib.prepared import Prepared
from eventlib.replaying import rejudge
from tests.factory import KEY, lenient_policy
from tests.hostile import KEPT, Hostile, hostile_lines

COUNT = 10_000


def _readable(path: Path, packed: bytes) -> bytes:
    """What can be read of a truncated archive, by its own library, byte by byte."""
    reader: Any = (
        zlib.decompressobj(31) if path.name.endswith(".gz") else zstandard.ZstdDecompressor().decompressobj()
    )
    return b"".join(reader.decompress(packed[place : place + 1]) for place in range(len(packed)))


def _archives(folder: Path, corpus: list[Hostile], chance: random.Random) -> int:
    """Write archives cut at many lengths; return how many lines they hold, the broken last one of each included."""
    lines = 0
    for number in range(24):
        content = b"\n".join(item.raw for item in corpus[number * 20 : number * 20 + 20]) + b"\n"
        name = f"cut-{number:02d}.{['ndjson.gz', 'jsonl.zst'][number % 2]}"
        whole = gzip.compress(content) if number % 2 == 0 else zstandard.compress(content)
        length = (
            [1, 2, 9, 17, len(whole) - 1, len(whole) - 4, len(whole) - 8][number // 2]
            if number < 14
            else chance.randrange(10, len(whole))
        )
        path = folder / name
        path.write_bytes(whole[:length])
        lines += _readable(path, whole[:length]).count(b"\n") + 1
    return lines


@pytest.fixture(scope="module")
def corpus() -> list[Hostile]:
    return hostile_lines(COUNT, seed=3)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, corpus: list[Hostile]) -> tuple[Prepared, int]:
    """The corpus in four files, a third of it packed, and truncated archives beside; prepared."""
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "logs"
    folder.mkdir()
    quarter = COUNT // 4
    for number in range(4):
        content = b"\n".join(item.raw for item in corpus[number * quarter : (number + 1) * quarter]) + b"\n"
        name, data = [
            ("ndjson", content),
            ("jsonl", content),
            ("ndjson.gz", gzip.compress(content)),
            ("ndjson.zst", zstandard.compress(content)),
        ][number]
        (folder / f"part-{number}.{name}").write_bytes(data)
    (folder / "utf-16.ndjson").write_bytes("\n".join(["{}"] * 9).encode("utf-16"))
    (folder / "empty.ndjson").write_bytes(b"")
    (folder / "empty.ndjson.gz").write_bytes(b"")
    lines = (
        COUNT + 9 + _archives(folder, [item for item in corpus if len(item.raw) < 50_000], random.Random(4))
    )
    key = root / "key"
    key.write_text(KEY)
    return el.prepare(folder, policy=lenient_policy(root), key=key, max_rejected=1.0), lines


def test_every_line_is_kept_quarantined_withheld_a_duplicate_or_blank(found: tuple[Prepared, int]):
    prepared, lines = found
    ledger = prepared.ledger
    assert ledger.rows_in == lines
    assert [entry.rows_in for entry in ledger][1:] == [entry.rows_out for entry in ledger][:-1]
    withheld = sum(ledger.removed("consent").values())
    duplicates = ledger.removed()["duplicate"]
    blanks = ledger.removed()["blank_line"]
    assert lines == len(prepared.events) + len(prepared.quarantine) + withheld + duplicates + blanks
    assert min(len(prepared.events), withheld, duplicates, blanks) > 100
    assert {"too_late", "future_time", "truncated_archive"} <= set(prepared.quarantine["code"])


def test_each_line_has_the_code_of_its_kind(found: tuple[Prepared, int], corpus: list[Hostile]):
    rows: Any = found[0].quarantine.to_dict("records")
    refused = {(Path(row["source_file"]).name.split(".")[0], row["line"]): row["code"] for row in rows}
    flow = {"too_late": KEPT, "future_time": KEPT}
    wrong = []
    for number, item in enumerate(corpus):
        place = (f"part-{number // (COUNT // 4)}", number % (COUNT // 4) + 1)
        code = refused.get(place, "blank_line" if not item.raw.strip() else KEPT)
        if item.codes and flow.get(code, code) not in item.codes:
            wrong.append((item.kind, code, item.raw[:200]))
    assert not wrong[:5]


def test_quarantine_points_at_each_line(found: tuple[Prepared, int], corpus: list[Hostile]):
    content = b"\n".join(item.raw for item in corpus[: COUNT // 4]) + b"\n"
    rows: Any = found[0].quarantine.to_dict("records")
    mine = [row for row in rows if Path(row["source_file"]).name == "part-0.ndjson"]
    assert len(mine) > 500
    for row in mine:
        if row["code"] != "line_too_long":
            end = row["byte_offset"] + row["byte_length"]
            assert content[row["byte_offset"] : end] == corpus[row["line"] - 1].raw


def test_replay_finds_every_line_again_and_refuses_it_again(found: tuple[Prepared, int], tmp_path: Path):
    table = pq.read_table(found[0].folder / "quarantine.parquet")
    judged = rejudge(
        table, found[0].run["inputs"], schemas=None, key=bytes.fromhex(KEY), work=tmp_path, signals=Signals()
    )
    before = {
        code: count for code, count in Counter(table["code"].to_pylist()).items() if code not in LATE_CODES
    }
    assert dict(judged.entry.removed) == before
    assert judged.entry.rows_out == 0
    assert sorted(judged.quarantine.to_pylist(), key=str) == sorted(
        (row for row in table.to_pylist() if row["code"] not in LATE_CODES), key=str
    )
