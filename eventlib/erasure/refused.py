"""Quarantined lines that name somebody who was erased: they stay counted, and tell nothing any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eventlib.arrow import read_parquet, table_of, write_parquet
from eventlib.judging import UNTOLD, names_erased
from eventlib.replaying import still_there
from eventlib.sources.decode import decode, text_of
from eventlib.tombstones import Tombstones

__all__ = ["blank_refused"]


def _raw(rows: Sequence[tuple[int, dict[str, Any]]], path: Path, key: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the text of a file's quarantined lines, as far as it was kept or is still there."""
    asked = []
    for index, row in rows:
        if row.get("raw") is not None:
            yield index, row["raw"].encode()
        else:
            asked.append({**row, "index": index})
    for row, chunk in still_there(path, asked, 0, key) if asked else ():
        yield row["index"], chunk.data


def blank_refused(version: Path, tombstones: Tombstones) -> tuple[int, int, frozenset[str]]:
    """Take all that would lead to somebody erased out of a version's quarantine.

    Returns
    -------
    tuple of int, int and frozenset of str
        How many lines name somebody erased, and how many could not be looked at, their log having moved or changed: these
        name nobody here, and the log's lines are judged again whenever they are read. Of the former the digests, by which
        earlier versions that hold the same lines are told.
    """
    file = version / "quarantine.parquet"
    table = read_parquet(file)
    rows: list[dict[str, Any]] = table.to_pylist()
    by_file: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for index, row in enumerate(rows):
        if row["digest"] is not None:
            by_file.setdefault(row["source_file"], []).append((index, row))
    found = seen = 0
    digests: set[str] = set()
    for name, asked in by_file.items():
        for index, raw in _raw(asked, Path(name), tombstones.key):
            seen += 1
            if names_erased(tombstones, raw, decode(text_of(raw.rstrip(b"\n")))):
                found += 1
                digests.add(rows[index]["digest"])
                rows[index] |= UNTOLD
    if found:
        write_parquet(file, table_of(rows, table.schema).to_batches(), table.schema)
    return found, sum(map(len, by_file.values())) - seen, frozenset(digests)
