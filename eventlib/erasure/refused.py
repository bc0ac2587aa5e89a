"""Quarantined lines that name somebody who was erased: they stay counted, and tell nothing any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eventlib.arrow import read_parquet, table_of, write_parquet
from eventlib.judging import UNTOLD
from eventlib.mentions import Mentions
from eventlib.ordering.lateness import LATE_CODES
from eventlib.replaying import still_there
from eventlib.tombstones import Tombstones

__all__ = ["blank_refused"]


def _raw(
    rows: Sequence[tuple[int, dict[str, Any]]], path: Path, key: bytes, source: str
) -> Iterator[tuple[int, bytes]]:
    """Yield the text of a file's quarantined lines, as far as it was kept or is still there."""
    asked = []
    for index, row in rows:
        if row.get("raw") is not None:
            yield index, row["raw"].encode()
        else:
            asked.append({**row, "index": index})
    for row, chunk in still_there(path, asked, 0, key, source) if asked else ():
        yield row["index"], chunk.data


def blank_refused(
    version: Path, tombstones: Tombstones, sources: Mapping[str, str]
) -> tuple[int, int, frozenset[str]]:
    """Take all that would lead to somebody erased out of a version's quarantine.

    Events refused for their times are no matter of this: whose they are is known, and they have gone with the others.

    Parameters
    ----------
    version
        Folder of the version.
    tombstones
        Who was erased.
    sources
        Format of each file.

    Returns
    -------
    tuple of int, int and frozenset of str
        How many lines name somebody erased; how many could not be looked at, their log having moved or changed, and tell
        nothing any more either; the digests of both, by which earlier versions that hold the same lines are told.
    """
    file = version / "quarantine.parquet"
    table = read_parquet(file)
    rows: list[dict[str, Any]] = table.to_pylist()
    by_file: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for index, row in enumerate(rows):
        if row["digest"] is not None and row["code"] not in LATE_CODES:
            by_file.setdefault(row["source_file"], []).append((index, row))
    theirs: set[int] = set()
    mentions = Mentions(tombstones)
    unseen = {index for asked in by_file.values() for index, _ in asked}
    for name, asked in by_file.items():
        for index, raw in _raw(asked, Path(name), tombstones.key, sources.get(name, "native")):
            unseen.discard(index)
            if mentions.erased(raw.removesuffix(b"\n")):
                theirs.add(index)
    digests = frozenset(rows[index]["digest"] for index in theirs | unseen)
    for index in theirs | unseen:
        rows[index] |= UNTOLD
    if digests:
        write_parquet(file, table_of(rows, table.schema).to_batches(), table.schema)
    return len(theirs), len(unseen), digests
