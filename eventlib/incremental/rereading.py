"""Events that must be written but whose content the base does not hold: read again from their raw log by pointer (S1.5)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from eventlib.border import BORDER_COLUMNS
from eventlib.engine import parquet
from eventlib.errors import DataRefusedError
from eventlib.judging import Task, judge_chunk
from eventlib.sources import unpack_of
from eventlib.sources.files import chunks

__all__ = ["read_again"]

_FOUND = """
CREATE OR REPLACE TEMP TABLE reread AS
SELECT w.row, p.* EXCLUDE (row, file, event_id),
       w.file, CASE WHEN minted_id THEN p.event_id || '-' || n.number ELSE p.event_id END AS event_id
FROM {pieces} p JOIN wanted w ON w.file = p.file AND w.line = p.line AND w.byte_offset = p.byte_offset
JOIN all_fact f ON f.row = w.row
LEFT JOIN (SELECT unnest(range(1, (SELECT coalesce(max(held), 0) + 1 FROM minted))) AS number) n
  ON minted_id AND keyed('event_id:'::BLOB || encode(p.event_id || '-' || n.number)) = f.event_digest
WHERE f.fingerprint_digest = keyed('fingerprint:'::BLOB || p.fingerprint)
  AND (minted_id OR f.event_digest = keyed('event_id:'::BLOB || encode(p.event_id)))
"""


def read_again(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    sources: Mapping[str, str],
    task: Task,
    learned: Mapping[str, Mapping[str, object]],
) -> int:
    """Leave the table `reread`: the canonical rows of what the table `wanted` points at.

    Parameters
    ----------
    connection
        Holds `wanted` (`row, file, line, byte_offset`), `all_fact, minted` and the function `keyed`.
    files
        What the numbers in `wanted.file` stand for.
    sources
        Format of each file.
    task
        How lines are judged; its folder is where they go.
    learned
        What each format's adapter knows of the whole log.

    Raises
    ------
    DataRefusedError
        If a file moved or changed.
    """
    rows = connection.execute("SELECT file, line FROM wanted").fetchall()
    lines: dict[int, set[int]] = defaultdict(set)
    for file, line in rows:
        lines[file].add(line)
    number = 0
    for file, wanted in sorted(lines.items()):
        name = files[file]
        if not Path(name).is_file():
            raise _gone(name, len(wanted), "has moved")
        mine = replace(task, source=sources[name], learned=learned.get(sources[name], {}))
        for chunk in chunks(Path(name), file, unpack=unpack_of(sources[name])):
            if any(map(chunk.holds, wanted)):
                judge_chunk(chunk, number, mine)
                number += 1
    _find(connection, Path(task.folder))
    found = Counter(file for (file,) in connection.execute("SELECT file FROM reread").fetchall())
    for file, count in Counter(file for file, _ in rows).items():
        if found[file] < count:
            raise _gone(files[file], count - found[file], "has changed")
    return len(rows)


def _find(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    pieces = sorted(folder.glob("piece-*.parquet"))
    if pieces:
        connection.execute(_FOUND.format(pieces=parquet(*pieces)))
        return
    schema = pa.schema([*BORDER_COLUMNS, ("row", pa.int64()), ("digest", pa.string())])
    connection.register("nothing", schema.empty_table())
    connection.execute("CREATE OR REPLACE TEMP TABLE reread AS SELECT * FROM nothing")


def _gone(name: str, events: int, what: str) -> DataRefusedError:
    return DataRefusedError(
        f"{events:,} events of {name} may be used again and must be read again, but the file {what}. "
        "Bring it back, or prepare all logs anew."
    )
