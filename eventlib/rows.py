"""The row world: lines → source adapter → schema verdict → columns, on all cores.

Every input line ends as exactly one of: an event, a quarantine record, a counted skip (S1.1).
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from eventlib.arguments import refuse_name
from eventlib.arrow import read_parquet
from eventlib.border import BORDER_COLUMNS
from eventlib.consent import load_policy
from eventlib.consent.signals import Signals
from eventlib.errors import BadCallError
from eventlib.geo.verification import NO_RANGES, AgentRanges
from eventlib.judging import Piece, Task, judge_chunk
from eventlib.ledger import Entry
from eventlib.model import QUARANTINE_COLUMNS, quarantine_columns
from eventlib.schema import registry
from eventlib.sources import detect, known_adapter, records_of, unpack_of
from eventlib.sources.containers import LONGEST_BATCH
from eventlib.sources.files import Chunk, chunks
from eventlib.sources.finding import digest_file, find_logs, is_archive, passed_over, unchanging
from eventlib.timing import Timing
from eventlib.tombstones import NONE, Tombstones

__all__ = ["Log", "Plan", "gather_pieces", "learn", "named_by_caller", "plan_rows", "read_rows"]

_PARALLEL_FROM_BYTES: Final = 32 << 20  # starting workers costs as much as reading this
_SNIFFED_LINES: Final = 200

Progress = Callable[[int, int, int], None]


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
        Per file: `file, sha256, rows, events, removed, source, reason`.
    repairs : list of dict
        Per repair: `source, scope, field, repair, rows`, with the evidence where one was needed.
    passed_over : list of str
        What lay in a folder of logs but is no log, and was not read.
    judged_by : list of dict
        Which events were judged by another version than they state: `event_name, schema_version, judged_by, rows`.
    learned : dict
        By source, what its adapter had to know of the whole log.
    timing : Timing
        The tightest limits that the log was read for: only events beyond them have a digest, for the quarantine.
    signals : Signals
        What consent signals were taken to mean.
    agent_ranges : AgentRanges
        By what agents were verified.
    unplanned : str
        What became of event names without a schema.
    """

    folder: Path
    quarantine: pa.Table
    entry: Entry
    inputs: list[dict[str, Any]]
    repairs: list[dict[str, Any]]
    passed_over: list[str]
    judged_by: list[dict[str, Any]] = field(default_factory=list)
    learned: dict[str, dict[str, Any]] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    signals: Signals = field(default_factory=Signals)
    agent_ranges: AgentRanges = NO_RANGES
    unplanned: str = "auto"

    def event_names(self) -> list[str]:
        """Return the names of all events, and of refused lines where they look like names."""
        pieces = [
            read_parquet(p, columns=["event_name"]) for p in sorted(self.folder.glob("piece-*.parquet"))
        ]
        tables = [self.quarantine.select(["event_name"]), *pieces]
        return sorted({name for table in tables for name in table["event_name"].unique().to_pylist() if name})

    def events(self) -> pa.Table:
        """Return the canonical frame in memory."""
        pieces = sorted(self.folder.glob("piece-*.parquet"))
        return pa.concat_tables(
            [read_parquet(p, schema=BORDER_COLUMNS) for p in pieces] or [BORDER_COLUMNS.empty_table()]
        )


def _first_lines(path: Path) -> list[bytes]:
    first = next(chunks(path, 0, size=1 << 18, longest=LONGEST_BATCH), None)
    return first.data.split(b"\n", _SNIFFED_LINES)[:_SNIFFED_LINES] if first else []


def _records(paths: Iterable[Path], name: str) -> Iterator[dict[str, Any]]:
    kind = known_adapter(name)
    for path in paths:
        for chunk in chunks(path, 0, unpack=kind.unpack):
            yield from records_of(kind, chunk.data.split(b"\n"))


def _run(tasks: Iterator[tuple[Chunk, int, Task]], *, parallel: bool) -> Iterator[Piece]:
    workers = min(os.cpu_count() or 1, 8)
    if not parallel or workers == 1:
        for chunk, number, task in tasks:
            yield judge_chunk(chunk, number, task)
        return
    from joblib import Parallel, delayed  # noqa: PLC0415  # half a second that small logs need not wait for

    jobs = (delayed(judge_chunk)(chunk, number, task) for chunk, number, task in tasks)
    # loky starts workers without running the caller's script again; it keeps only a few chunks under way
    yield from Parallel(n_jobs=workers, return_as="generator", pre_dispatch=workers + 1, batch_size=1)(jobs)


def _named(refused: pa.Table, path: Path) -> pa.Table:
    """Say of refused lines which file they stand in; workers know its number only."""
    names = pa.array([os.fspath(path)] * len(refused), pa.string())
    return refused.set_column(0, QUARANTINE_COLUMNS.field("source_file"), names)


def _codes(refused: pa.Table) -> dict[str, int]:
    return {item["values"]: item["counts"] for item in refused["code"].value_counts().to_pylist()}


def _sources(paths: Sequence[Path], source: str) -> list[tuple[str, str]]:
    if source != "auto":
        known_adapter(
            source
        )  # one that there is not, or that cannot be used, is told before anything is read
        return [(source, named_by_caller(source))] * len(paths)
    found = []
    for path in paths:
        try:
            found.append(detect(_first_lines(path)))
        except BadCallError as error:
            raise BadCallError(f"{path}: {error}") from None
    return found


def named_by_caller(source: str) -> str:
    """Return why a file is read as what a caller named; of a mapping file also what it said."""
    path = Path(source)
    return "named by the caller" + (f", SHA-256 {digest_file(path)}" if path.is_file() else "")


def learn(paths: Sequence[Path], names: Sequence[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Return, by format, what its adapter must know of all its files; `names` as in `Plan`."""
    learned: dict[str, dict[str, Any]] = {}
    for name in {name for name, _ in names}:
        kind = known_adapter(name)
        mine = [path for path, (source, _) in zip(paths, names, strict=True) if source == name]
        learned[name] = kind.learn(_records(mine, name)) if kind.needs_first_pass else {}
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


def _judged_by_rows(counts: Counter[tuple[str, str, str]]) -> list[dict[str, Any]]:
    return [
        {"event_name": name, "schema_version": stated, "judged_by": by, "rows": rows}
        for (name, stated, by), rows in sorted(counts.items())
    ]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which files are read, as what, and where their events go.

    Attributes
    ----------
    paths : list of Path
        The files, sorted by path.
    names : list of (str, str)
        Of each its format, and why.
    learned : dict
        What each format's adapter knows of the whole log.
    folder : Path
        Where the pieces go.
    passed_over : list of str
        What lies beside logs and is not read.
    timing : Timing
        The limits over which events may be refused for their times.
    signals : Signals
        What consent signals mean.
    tombstones : Tombstones
        Who was erased: of refused lines that name them, nothing is told.
    agent_ranges : AgentRanges
        From where operators say that their agents fetch.
    unplanned : str
        What becomes of event names without a schema: `allow`, `quarantine`, or `auto`: as the format has it.
    """

    paths: list[Path]
    names: list[tuple[str, str]]
    learned: dict[str, dict[str, Any]]
    folder: Path
    passed_over: list[str]
    schemas: Path | None
    key: bytes
    keep_raw: bool
    timing: Timing = field(default_factory=Timing)
    signals: Signals = field(default_factory=Signals)
    tombstones: Tombstones = NONE
    agent_ranges: AgentRanges = NO_RANGES
    unplanned: str = "auto"

    def task(self, file: int) -> Task:
        """Return what the worker that reads a file must know."""
        name = self.names[file][0]
        schemas = os.fspath(self.schemas.resolve()) if self.schemas else None
        return Task(
            name, self.learned[name], schemas, self.key, self.keep_raw, os.fspath(self.folder.resolve()),
            too_late=self.timing.too_late, ahead=self.timing.ahead, signals=self.signals, tombstones=self.tombstones.for_reading(),
            agent_ranges=self.agent_ranges, unplanned=self.unplanned,
        )  # fmt: skip

    def tasks(self) -> Iterator[tuple[Chunk, int, Task]]:
        """Cut all files into chunks, numbered from 0."""
        number = 0
        for file, path in enumerate(self.paths):
            for chunk in chunks(path, file, unpack=unpack_of(self.names[file][0])):
                yield chunk, number, self.task(file)
                number += 1

    def is_large(self) -> bool:
        """Tell whether worker processes would be worth starting."""
        sizes = [(is_archive(path), path.stat().st_size) for path in self.paths]
        return sum(size for _, size in sizes) > _PARALLEL_FROM_BYTES or any(
            packed and size * 8 > _PARALLEL_FROM_BYTES for packed, size in sizes
        )


def plan_rows(
    logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    source: str = "auto",
    schemas: Path | None = None,
    key: bytes = b"",
    keep_raw: bool = False,
    timing: Timing | None = None,
    signals: Signals | None = None,
    tombstones: Tombstones = NONE,
    agent_ranges: AgentRanges = NO_RANGES,
    unplanned: str = "auto",
    work: Path | None = None,
) -> Plan:
    """Find the files and tell their formats; parameters as `read_rows`."""
    registry(schemas)  # a schema that cannot be used is told before anything is read, and checked once
    paths = find_logs(logs)
    for path in paths:
        refuse_name(path)  # before anything is read: the dataset names each of its files
    names = _sources(paths, source)
    return Plan(
        paths,
        names,
        learn(paths, names),
        Path(tempfile.mkdtemp(prefix="rows-", dir=work)),
        [os.fsencode(path).decode("utf-8", "replace") for path in passed_over(logs)],
        schemas,
        key,
        keep_raw,
        Timing().tightest(timing or Timing()),
        load_policy().signals if signals is None else signals,
        tombstones,
        agent_ranges,
        unplanned,
    )


def gather_pieces(
    plan: Plan,
    pieces: Iterable[Piece],
    digests: Iterable[str],
    progress: Progress | None = None,
) -> Log:
    """Add up what was found in the pieces of a log, given in the order of their numbers, and name its files."""
    per_file: list[Counter[str]] = [Counter() for _ in plan.paths]
    read, total = [0] * len(plan.paths), sum(path.stat().st_size for path in plan.paths) if progress else 0
    quarantine = [quarantine_columns(keep_raw=plan.keep_raw).empty_table()]
    removed: list[Counter[str]] = [Counter() for _ in plan.paths]
    repairs: dict[str, Counter[tuple[str, str, str]]] = {}
    judged_by: Counter[tuple[str, str, str]] = Counter()
    for piece in pieces:
        per_file[piece.file].update(lines=piece.lines, events=piece.events)
        judged_by.update(piece.judged_by)
        quarantine.append(_named(piece.quarantine, plan.paths[piece.file]))
        removed[piece.file].update(piece.skipped)
        removed[piece.file].update(_codes(piece.quarantine))
        repairs.setdefault(plan.names[piece.file][0], Counter()).update(piece.repairs)
        if progress:
            read[piece.file] = max(read[piece.file], piece.position)
            progress(sum(read), total, sum(count["lines"] for count in per_file))
    lines, events = (sum(count[what] for count in per_file) for what in ("lines", "events"))
    files = zip(plan.paths, digests, per_file, removed, plan.names, strict=True)
    return Log(
        folder=plan.folder,
        quarantine=pa.concat_tables(quarantine),
        entry=Entry("read", lines, events, dict(sum(removed, Counter()))),
        inputs=[
            {
                "file": os.fspath(path),
                "sha256": digest,
                "rows": count["lines"],
                "events": count["events"],
                "removed": dict(sorted(gone.items())),
                "source": name,
                "reason": reason,
            }
            for path, digest, count, gone, (name, reason) in files
        ],
        repairs=_repair_rows(repairs, plan.learned),
        passed_over=plan.passed_over,
        judged_by=_judged_by_rows(judged_by),
        learned=plan.learned,
        timing=plan.timing,
        signals=plan.signals,
        agent_ranges=plan.agent_ranges,
        unplanned=plan.unplanned,
    )


def read_rows(
    logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    source: str = "auto",
    schemas: Path | None = None,
    key: bytes = b"",
    keep_raw: bool = False,
    timing: Timing | None = None,
    signals: Signals | None = None,
    tombstones: Tombstones = NONE,
    agent_ranges: AgentRanges = NO_RANGES,
    unplanned: str = "auto",
    work: Path | None = None,
    progress: Progress | None = None,
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
    timing
        Limits over which events will be refused for their times (S3.2), where they are tighter than the usual ones.
    signals
        What consent signals mean in our purposes; as the shipped policy has it by default.
    tombstones
        Who was erased.
    agent_ranges
        From where operators say that their agents fetch.
    unplanned
        What becomes of event names without a schema, as in `Plan`.
    work
        Folder for the pieces; a temporary one by default.
    progress
        Called with (bytes read, bytes in all, lines judged); bytes as the files have them, compressed or not.

    Raises
    ------
    BadCallError
        If a path names nothing, or no single format fits a file.
    """
    plan = plan_rows(
        logs,
        source=source,
        schemas=schemas,
        key=key,
        keep_raw=keep_raw,
        timing=timing,
        signals=signals,
        tombstones=tombstones,
        agent_ranges=agent_ranges,
        unplanned=unplanned,
        work=work,
    )
    return read_plan(plan, progress)


def read_plan(plan: Plan, progress: Progress | None = None) -> Log:
    """Read what was planned, on all cores of this machine."""
    with unchanging(plan.paths), ThreadPoolExecutor(1) as beside:
        digests = beside.map(digest_file, plan.paths)  # begins at once, while workers start
        pieces = _run(plan.tasks(), parallel=plan.is_large())
        return gather_pieces(plan, pieces, digests, progress)
