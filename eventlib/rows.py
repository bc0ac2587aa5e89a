"""The row world: lines → source adapter → schema verdict → columns, on all cores.

Every input line ends as exactly one of: an event, a quarantine record, a counted skip (S1.1).
"""

from __future__ import annotations

import hmac
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eventlib.border import BORDER_COLUMNS, border_row, fingerprint, to_table
from eventlib.ledger import Entry
from eventlib.model import QUARANTINE_COLUMNS, Violation
from eventlib.schema import registry
from eventlib.sources import Adapter, Repairs, Skipped, adapter, detect
from eventlib.sources.decode import decode
from eventlib.sources.files import Chunk, chunks, digest_file, find_logs
from eventlib.stage import DAY, HOUR

__all__ = ["SKIPPED", "Log", "read_rows"]

SKIPPED: Final = frozenset({"blank_line", "bulk_action"})
"""What a line without an event is counted under; such a line is no rejected record."""

_PARALLEL_FROM_BYTES: Final = 4 << 20
_SNIFFED_LINES: Final = 200
_SAFE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9_.:~-]{1,128}", re.ASCII)
_SAFE_VERSION: Final = re.compile(r"[0-9-]{1,24}", re.ASCII)

QuarantineRow = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Task:
    """What a worker must know; plain picklable values only."""

    source: str
    learned: Mapping[str, Any]
    schemas: str | None
    key: bytes
    keep_raw: bool
    folder: str


@dataclass(slots=True)
class _Piece:
    """What a worker found in one chunk; the events themselves are in a file."""

    lines: int = 0
    events: int = 0
    quarantine: list[QuarantineRow] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    repairs: Counter[tuple[str, str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Log:
    """A log read and judged: the canonical frame in pieces on disk, the quarantine, the accounting.

    Attributes
    ----------
    folder : Path
        Holds `piece-*.parquet`, columns `eventlib.border.BORDER_COLUMNS`, one row per event.
    quarantine : pyarrow.Table
        Columns `eventlib.model.QUARANTINE_COLUMNS` (and `raw` where it was asked for).
    entry : Entry
        The ledger's first stage: lines in, events out, and what was removed.
    inputs : list of dict
        Per file: `file, sha256, rows, source, reason`.
    repairs : list of dict
        Per repair: `source, scope, field, repair, rows`, with the evidence where one was needed.
    """

    folder: Path
    quarantine: pa.Table
    entry: Entry
    inputs: list[dict[str, Any]]
    repairs: list[dict[str, Any]]

    def events(self) -> pa.Table:
        """Return the canonical frame in memory."""
        pieces = sorted(self.folder.glob("piece-*.parquet"))
        return pa.concat_tables(
            [pq.read_table(p, schema=BORDER_COLUMNS) for p in pieces] or [BORDER_COLUMNS.empty_table()]
        )


@cache
def _adapter(name: str) -> Adapter:
    return adapter(name)


def _safe(value: object, pattern: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


class _Reader:
    """Reads the lines of one chunk."""

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.adapter = _adapter(task.source)
        self.registry = registry(Path(task.schemas) if task.schemas else None)
        self.piece = _Piece()
        self.repairs = Repairs(self.piece.repairs)

    def refuse(self, raw: bytes, why: Violation, where: tuple[int, int, int], event: object = None) -> None:
        """Quarantine a line: where it stands and why, its names only where they cannot be data."""
        named = event if isinstance(event, dict) else {}
        file, line, offset = where
        row: QuarantineRow = {
            "source_file": str(file),
            "line": line,
            "byte_offset": offset,
            "byte_length": len(raw),
            "digest": hmac.digest(self.task.key, raw, "sha256").hex(),
            "event_id": _safe(named.get("event_id"), _SAFE_ID),
            "event_name": _safe(named.get("event_name"), _SAFE_NAME),
            "schema_version": _safe(named.get("schema_version"), _SAFE_VERSION),
            "code": why.code,
            "json_path": why.json_path,
            "message": why.message,
            "errors": why.errors,
        }
        if self.task.keep_raw:
            row["raw"] = raw.decode("utf-8", "replace")
        self.piece.quarantine.append(row)

    def judge(
        self, raw: bytes, previous: bytes, where: tuple[int, int, int, int]
    ) -> tuple[tuple[Any, ...] | Skipped | Violation, object]:
        """Decode, adapt and validate one line."""
        record = decode(raw)
        if isinstance(record, Violation):
            return record, None
        event = self.adapter.adapt(record, previous, self.task.learned, self.repairs)
        if isinstance(event, Skipped):
            return event, None
        minted = event.get("event_id") is None and self.adapter.name != "native"
        if minted:
            event["event_id"] = f"{self.adapter.name}-{fingerprint(event)[:16].hex()}"
        try:
            violation = self.registry.judge(event, unplanned=self.adapter.unplanned)
            return violation or border_row(event, where, minted_id=minted), event
        except (RecursionError, orjson.JSONEncodeError) as error:
            if not isinstance(error, RecursionError) and "recursion" not in str(error).lower():
                raise
            return Violation("too_deep", "$", "nested deeper than can be read"), event

    def read(self, chunk: Chunk) -> list[tuple[Any, ...]]:
        """Judge every line of the chunk; return the rows of the valid ones."""
        rows: list[tuple[Any, ...]] = []
        lines = chunk.data.split(b"\n")
        if lines and not lines[-1] and not chunk.truncated:
            lines.pop()  # what follows the last newline is no line
        offset, previous = chunk.offset, chunk.previous
        for number, line in enumerate(lines, chunk.first_line):
            raw = line.strip()
            if offset == 0:
                raw = raw.removeprefix(b"\xef\xbb\xbf")  # a byte order mark opens some files
            where = (chunk.file, number, offset)
            if chunk.truncated and number == chunk.first_line + len(lines) - 1:
                self.refuse(
                    line, Violation("truncated_archive", "$", "the archive ends within this line"), where
                )
            elif not raw:
                self.piece.skipped["blank_line"] += 1
            else:
                found, event = self.judge(raw, previous, (*where, len(line)))
                if isinstance(found, tuple):
                    rows.append(found)
                elif isinstance(found, Skipped):
                    self.piece.skipped[found.code] += 1
                else:
                    self.refuse(line, found, where, event)
            offset += len(line) + 1
            previous = line
        self.piece.lines += len(lines)
        return rows


def _read_chunk(chunk: Chunk, number: int, task: _Task) -> _Piece:
    """Read one chunk and leave its events in a file; runs in a worker process."""
    reader = _Reader(task)
    rows = reader.read(chunk)
    table = _table(rows, chunk)
    first = number << 32  # rows are told apart across pieces without knowing how many the others hold
    table = table.append_column("row", pa.array(range(first, first + len(table)), pa.int64()))
    table = table.append_column("digest", _digests(table, chunk, task.key))
    reader.piece.events = len(table)
    if len(table):
        pq.write_table(
            table,
            Path(task.folder) / f"piece-{number:06d}.parquet",
            compression="lz4",
            use_dictionary=_REPEATED,
        )
    return reader.piece


_REPEATED: Final = [
    "event_name",
    "schema_version",
    "source",
    "channel",
    "ai_engine",
    "agent",
    "user_agent",
    "observation",
    "jurisdiction",
    "notice_version",
]


def _digests(table: pa.Table, chunk: Chunk, key: bytes) -> pa.Array:
    """Digest the lines that may still be refused for their times (S3.2), while their bytes are at hand."""
    occurred, sent, received = (
        pc.cast(table[name], pa.int64()) for name in ("occurred_at", "sent_at", "received_at")
    )
    delays = [
        (sent, occurred, 3 * DAY),
        (received, sent, 3 * DAY),
        (occurred, sent, 23 * HOUR),
        (occurred, received, 23 * HOUR),
    ]
    doubtful = pa.array([False] * len(table), pa.bool_())
    for later, earlier, limit in delays:
        doubtful = pc.or_(
            doubtful, pc.fill_null(pc.greater(pc.subtract(later, earlier), limit), fill_value=False)
        )
    digests: list[str | None] = [None] * len(table)
    for index in pc.indices_nonzero(doubtful).to_pylist():
        start = table["byte_offset"][index].as_py() - chunk.offset
        line = chunk.data[start : start + table["byte_length"][index].as_py()]
        digests[index] = hmac.digest(key, line, "sha256").hex()
    return pa.array(digests, pa.string())


def _table(rows: list[tuple[Any, ...]], chunk: Chunk) -> pa.Table:
    try:
        return to_table(rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise RuntimeError(
            f"a value of file {chunk.file} passed its schema but has no column type: {error}"
        ) from error


def _first_records(path: Path) -> list[dict[str, Any]]:
    first = next(chunks(path, 0, size=1 << 18), None)
    lines = first.data.split(b"\n", _SNIFFED_LINES)[:_SNIFFED_LINES] if first else []
    return [record for line in lines if isinstance(record := decode(line.strip()), dict)]


def _records(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        for chunk in chunks(path, 0):
            for line in chunk.data.split(b"\n"):
                if isinstance(record := decode(line.strip()), dict):
                    yield record


def _run(tasks: Iterator[tuple[Chunk, int, _Task]], *, parallel: bool) -> Iterator[_Piece]:
    workers = min(os.cpu_count() or 1, 8)
    if not parallel or workers == 1:
        for chunk, number, task in tasks:
            yield _read_chunk(chunk, number, task)
        return
    from joblib import Parallel, delayed  # noqa: PLC0415  # half a second that small logs need not wait for

    jobs = (delayed(_read_chunk)(chunk, number, task) for chunk, number, task in tasks)
    # loky starts workers without running the caller's script again; it keeps only a few chunks under way
    yield from Parallel(n_jobs=workers, return_as="generator", pre_dispatch=workers + 1, batch_size=1)(jobs)


def _quarantine_table(rows: Sequence[QuarantineRow], paths: Sequence[Path], *, keep_raw: bool) -> pa.Table:
    schema = QUARANTINE_COLUMNS.append(pa.field("raw", pa.string())) if keep_raw else QUARANTINE_COLUMNS
    named = [{**row, "source_file": os.fspath(paths[int(row["source_file"])])} for row in rows]
    # column by column: Table.from_pylist would load pandas, a second that most runs need not wait for
    return pa.Table.from_arrays(
        [pa.array([row.get(f.name) for row in named], f.type) for f in schema], schema=schema
    )


def _sources(paths: Sequence[Path], source: str) -> list[tuple[str, str]]:
    if source != "auto":
        return [(adapter(source).name, "named by the caller")] * len(paths)
    return [detect(_first_records(path)) for path in paths]


def _learn(paths: Sequence[Path], names: Sequence[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    learned: dict[str, dict[str, Any]] = {}
    for name in {name for name, _ in names}:
        kind = _adapter(name)
        mine = [path for path, (source, _) in zip(paths, names, strict=True) if source == name]
        learned[name] = kind.learn(_records(mine)) if kind.needs_first_pass else {}
    return learned


def _repair_rows(
    repairs: Mapping[str, Counter[tuple[str, str, str]]], learned: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """List every repair with its rows, and what was found to need none, each with the evidence."""
    rows = [
        {"source": source, "scope": scope, "field": name, "repair": repair, "rows": count, "evidence": None}
        for source, counts in sorted(repairs.items())
        for (scope, name, repair), count in sorted(counts.items())
    ]
    for source, known in sorted(learned.items()):
        for scope, (name, finding, evidence) in sorted(known.get("evidence", {}).items()):
            counted = repairs.get(source, Counter())[scope, name, finding]
            rows = [
                row
                for row in rows
                if (row["source"], row["scope"], row["field"], row["repair"])
                != (source, scope, name, finding)
            ]
            rows.append(
                {
                    "source": source,
                    "scope": scope,
                    "field": name,
                    "repair": finding,
                    "rows": counted,
                    "evidence": evidence,
                }
            )
    return rows


def read_rows(
    logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    source: str = "auto",
    schemas: Path | None = None,
    key: bytes = b"",
    keep_raw: bool = False,
    work: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Log:
    """Read logs up to the border (S1).

    Parameters
    ----------
    logs
        Paths, folders or patterns.
    source
        Name of the format, or `auto`: told from each file's first records.
    schemas
        Folder of schemas; the shipped ones by default.
    key
        Key of the digests in the quarantine.
    keep_raw
        Keep the refused lines' text.
    work
        Folder for the pieces; a temporary one by default.
    progress
        Called with (bytes read, bytes in all), of the decompressed stream where that is known.

    Raises
    ------
    BadCallError
        If a path names nothing, or no single format fits a file.
    """
    paths = find_logs(logs)
    names = _sources(paths, source)
    learned = _learn(paths, names)
    folder = Path(tempfile.mkdtemp(prefix="rows-", dir=work))
    per_file: list[Counter[str]] = [Counter() for _ in paths]
    order: list[int] = []

    def tasks() -> Iterator[tuple[Chunk, int, _Task]]:
        for file, path in enumerate(paths):
            name = names[file][0]
            task = _Task(
                name, learned[name], os.fspath(schemas) if schemas else None, key, keep_raw, os.fspath(folder)
            )
            for chunk in chunks(path, file):
                order.append(file)
                yield chunk, len(order) - 1, task

    total = sum(path.stat().st_size for path in paths)
    parallel = total > _PARALLEL_FROM_BYTES or any(
        p.suffix in {".gz", ".zst", ".parquet"} and p.stat().st_size * 8 > _PARALLEL_FROM_BYTES for p in paths
    )
    quarantine: list[QuarantineRow] = []
    removed: Counter[str] = Counter()
    repairs: dict[str, Counter[tuple[str, str, str]]] = {}
    for number, piece in enumerate(_run(tasks(), parallel=parallel)):
        file = order[number]
        per_file[file].update(lines=piece.lines, events=piece.events)
        quarantine += piece.quarantine
        removed.update(piece.skipped)
        removed.update(row["code"] for row in piece.quarantine)
        repairs.setdefault(names[file][0], Counter()).update(piece.repairs)
        if progress:
            progress(sum(count["lines"] for count in per_file), sum(count["events"] for count in per_file))
    lines, events = (sum(count[what] for count in per_file) for what in ("lines", "events"))
    return Log(
        folder=folder,
        quarantine=_quarantine_table(quarantine, paths, keep_raw=keep_raw),
        entry=Entry("read", lines, events, dict(removed)),
        inputs=[
            {
                "file": os.fspath(path),
                "sha256": digest_file(path),
                "rows": count["lines"],
                "source": name,
                "reason": reason,
            }
            for path, count, (name, reason) in zip(paths, per_file, names, strict=True)
        ],
        repairs=_repair_rows(repairs, learned),
    )
