"""One chunk of a log: each of its lines judged, and the rows of the valid ones left in a file; a worker's task."""

from __future__ import annotations

import gc
import hmac
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eventlib.arrow import table_of
from eventlib.border import border_row, fingerprint, to_table
from eventlib.consent.signals import Signals, signal_reader
from eventlib.geo.verification import ADDRESS, NO_RANGES, AgentRanges, told_of
from eventlib.mentions import Mentions
from eventlib.model import QUARANTINE_COLUMNS, Violation, quarantine_columns
from eventlib.schema import Registry, registry
from eventlib.sources import Repairs, Skipped, known_adapter
from eventlib.sources.base import Event
from eventlib.sources.decode import TOO_DEEP, text_of
from eventlib.sources.files import Chunk
from eventlib.tombstones import NONE, Tombstones
from eventlib.units import DAY, HOUR, SECOND

__all__ = [
    "UNTOLD",
    "Piece",
    "QuarantineRow",
    "Task",
    "judge_chunk",
    "judge_chunks",
]

_SAFE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9_.:~-]{1,128}", re.ASCII)
_SAFE_VERSION: Final = re.compile(r"[0-9-]{1,24}", re.ASCII)

QuarantineRow = dict[str, Any]

_TOGETHER: Final = 64
"""Lines that take the steps of reading together; few enough that the next step finds their events in the processor's cache."""

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


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker must know of the log; plain picklable values only."""

    source: str
    learned: Mapping[str, Any]
    schemas: str | None
    key: bytes
    keep_raw: bool
    folder: str
    too_late: int = 3 * DAY  # limits over which an event may be refused for its times, in microseconds
    ahead: int = 23 * HOUR
    signals: Signals = field(default_factory=Signals)
    tombstones: Tombstones = NONE
    agent_ranges: AgentRanges = NO_RANGES
    unplanned: str = "auto"


@dataclass(slots=True)
class Piece:
    """What a worker found in one chunk; the events themselves are in a file."""

    file: int
    position: int = 0
    lines: int = 0
    events: int = 0
    quarantine: pa.Table = field(default_factory=QUARANTINE_COLUMNS.empty_table)
    skipped: Counter[str] = field(default_factory=Counter)
    repairs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    judged_by: Counter[tuple[str, str, str]] = field(default_factory=Counter)


def _safe(value: object, pattern: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _has_address(raw: bytes, event: Mapping[str, Any]) -> bool:
    """Tell whether a line has an address, also where its name is written in escapes or in other letters."""
    properties = event.get("properties")
    escaped = isinstance(properties, dict) and ADDRESS in properties
    return escaped or ADDRESS.encode() in raw.lower()


UNTOLD: Final = dict.fromkeys(("digest", "event_id", "raw"))
"""What a quarantine row does not tell of a line that names somebody who was erased (S2.8)."""


class _Line(NamedTuple):
    """One line of a chunk."""

    whole: bytes
    text: bytes
    previous: bytes
    where: tuple[int, int, int, int]
    """File, number, offset and length."""


_Found = tuple[Any, ...] | Skipped | Violation


class _Reader:
    """Reads the lines of one chunk."""

    def __init__(self, task: Task, chunk: Chunk) -> None:
        self.task = task
        self.adapter = known_adapter(task.source)
        self.unplanned = {"allow": True, "quarantine": False}.get(task.unplanned, self.adapter.unplanned)
        self.registry = registry(Path(task.schemas) if task.schemas else None, checked=True)
        self.signals = signal_reader(task.signals)
        self.mentions = Mentions(task.tombstones)
        self.piece = Piece(chunk.file, chunk.position)
        self.refused: list[QuarantineRow] = []
        self.repairs = Repairs()

    def refuse(self, line: _Line, why: Violation, event: object = None) -> None:
        """Quarantine a line: where it stands and why, its names only where they cannot be data."""
        named = event if isinstance(event, dict) else {}
        raw, (file, number, offset, length) = line.whole, line.where
        erased = self.mentions.erased(raw)
        row: QuarantineRow = {
            "source_file": str(file),
            "line": number,
            "byte_offset": offset,
            "byte_length": length,
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
            # no text is kept that holds an address; where the line stands is told all the same
            hidden = self.adapter.holds_addresses or _has_address(raw, named)
            row["raw"] = None if hidden else raw.decode("utf-8", "replace")
        self.refused.append({**row, **UNTOLD} if erased else row)

    def judge(self, lines: Sequence[_Line]) -> list[tuple[_Found, object]]:
        """Decode, adapt and validate lines; return for each its row, or why it has none, and its event.

        All take a step before any takes the next: the code and the tables of all steps at once are more than a processor keeps
        at hand.
        """
        records = [self.adapter.decode(line.text) for line in lines]
        read = [
            (record, line.previous)
            for record, line in zip(records, lines, strict=True)
            if not isinstance(record, Violation)
        ]
        adapted = iter(self.adapter.adapt_each(read, self.task.learned, self.repairs))
        events: list[Any] = [record if isinstance(record, Violation) else next(adapted) for record in records]
        verdicts = [self.verdict(event) if isinstance(event, dict) else (event, False) for event in events]
        rows = [
            verdict or self.row(event, line.where, minted_id=minted)
            for line, event, (verdict, minted) in zip(lines, events, verdicts, strict=True)
        ]
        return list(zip(rows, events, strict=True))

    def verdict(self, event: Event) -> tuple[Violation | None, bool]:
        """Return why an event is refused, None where it is valid, and whether it had to be given an id."""
        minted = event.get("event_id") is None and self.adapter.name != "native"
        try:
            if minted:
                event["event_id"] = f"{event['source']}-{fingerprint(event)[:16].hex()}"
            refused = self.registry.judge(event, unplanned=self.unplanned, own=self.adapter.keeps_own)
        except (RecursionError, orjson.JSONEncodeError) as error:
            refused = _too_deep(error)
        return refused, minted

    def row(
        self, event: Mapping[str, Any], where: tuple[int, int, int, int], *, minted_id: bool
    ) -> tuple[Any, ...] | Violation:
        """Return a valid event as a row, and count the address that does not go with it."""
        if ADDRESS in event["properties"]:
            self.repairs.add("properties", ADDRESS, told_of(event["properties"][ADDRESS]))
        try:
            return border_row(event, where, self.signals, self.task.agent_ranges, minted_id=minted_id)
        except (RecursionError, orjson.JSONEncodeError) as error:
            return _too_deep(error)

    def quarantine(self) -> pa.Table:
        """Return what was refused: a table takes a fifth of the rows' memory, and a log may be refused by the million."""
        return table_of(self.refused, quarantine_columns(keep_raw=self.task.keep_raw))

    def read(self, chunk: Chunk) -> list[tuple[Any, ...]]:
        """Judge every line of the chunk; return the rows of the valid ones."""
        rows: list[tuple[Any, ...]] = []
        whole = chunk.data.split(b"\n")
        if not whole[-1] and not chunk.truncated:
            whole.pop()  # what follows the last newline is no line
        self.piece.lines += len(whole)
        lines = _lines(chunk, whole)
        complete = islice(lines, len(whole) - chunk.truncated)
        while batch := list(islice(complete, _TOGETHER)):
            told = [line for line in batch if line.text]
            if len(told) < len(batch):
                self.piece.skipped["blank_line"] += len(batch) - len(told)
            for line, (found, event) in zip(told, self.judge(told), strict=True):
                if isinstance(found, tuple):
                    rows.append(found)
                elif isinstance(found, Skipped):
                    self.piece.skipped[found.code] += 1
                else:
                    self.refuse(line, found, event)
        for cut in lines:
            self.refuse(cut, Violation("truncated_archive", "$", "the archive ends within this line"))
        self.piece.repairs.update(self.repairs.counts)
        self.repairs.made.clear()
        return rows


def _lines(chunk: Chunk, whole: Sequence[bytes]) -> Iterator[_Line]:
    """Return the lines of a chunk, each with what must be known of it."""
    offset, previous = chunk.offset, chunk.previous
    for number, line in zip(chunk.numbers or count(chunk.first_line), whole, strict=False):
        length = len(line)
        yield _Line(line, text_of(line), previous, (chunk.file, number, offset, length))
        offset += length + 1
        previous = line


def _too_deep(error: Exception) -> Violation:
    if not isinstance(error, RecursionError) and "recursion" not in str(error).lower():
        raise error
    return TOO_DEEP


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no cycles meanwhile: records have none, and their objects would be walked through again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def judge_chunk(chunk: Chunk, number: int, task: Task) -> Piece:
    """Read one chunk and leave its events in a file; runs in a worker process."""
    return judge_chunks([chunk], number, task)


def judge_chunks(chunks: Sequence[Chunk], number: int, task: Task) -> Piece:
    """Read chunks of one file, at least one, in the order of their lines, and leave their events in one piece."""
    reader = _Reader(task, chunks[0])
    tables = []
    for chunk in chunks:
        with _uncollected():
            rows_of_chunk = reader.read(chunk)
        found = _table(rows_of_chunk, chunk)
        tables.append(found.append_column("digest", _digests(found, chunk, task)))
    table = pa.concat_tables(tables)
    first = number << 32  # rows are told apart across pieces without knowing how many the others hold
    rows = pa.array(range(first, first + len(table)), pa.int64())
    table = table.add_column(table.num_columns - 1, "row", rows)
    reader.piece.events = len(table)
    reader.piece.quarantine = reader.quarantine()
    reader.piece.judged_by = _judged_by(table, reader.registry)
    if len(table):
        pq.write_table(
            table,
            Path(task.folder) / f"piece-{number:06d}.parquet",
            compression="lz4",
            use_dictionary=_REPEATED,
        )
    return reader.piece


def _judged_by(table: pa.Table, known: Registry) -> Counter[tuple[str, str, str]]:
    """Count the events of a stated version that another one judged (S1.4)."""
    stated = table.group_by(["event_name", "schema_version"]).aggregate([([], "count_all")]).to_pylist()
    found: Counter[tuple[str, str, str]] = Counter()
    for row in stated:
        by = known.judged_by(row["event_name"], row["schema_version"])
        if by is not None and by != row["schema_version"]:
            found[row["event_name"], row["schema_version"], by] = row["count_all"]
    return found


def _digests(table: pa.Table, chunk: Chunk, task: Task) -> pa.Array:
    """Digest the lines that may still be refused for their times (S3.2), while their bytes are at hand."""
    occurred, sent, received, true = (
        pc.cast(table[name], pa.int64()) for name in ("occurred_at", "sent_at", "received_at", "true_at")
    )
    ahead = task.ahead - SECOND  # a running maximum may lift an event by as much
    delays = [
        (sent, occurred, task.too_late),
        (received, sent, task.too_late),
        (occurred, sent, ahead),
        (occurred, received, ahead),
        (true, received, ahead),
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
        digests[index] = hmac.digest(task.key, line, "sha256").hex()
    return pa.array(digests, pa.string())


def _table(rows: list[tuple[Any, ...]], chunk: Chunk) -> pa.Table:
    try:
        return to_table(rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise RuntimeError(
            f"a value of file {chunk.file} passed its schema but has no column type: {error}"
        ) from error
