"""`prepare`: rows, then columns, then one atomic publication (DESIGN sections 1 and 5)."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa

from eventlib.consent import Policy, default_policy, load_policy
from eventlib.engine import SPARK, Frame, connect, engine
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.flow import Flow
from eventlib.identity import Identities
from eventlib.ledger import Ledger
from eventlib.narrow import encode
from eventlib.prepared import Prepared, load
from eventlib.pseudonyms import Pseudonymiser, load_key
from eventlib.publish import enough_space, publish, workplace
from eventlib.rows import Log, Plan, plan_rows, read_plan
from eventlib.schema import registry as schema_registry
from eventlib.sources.files import find_logs, is_archive
from eventlib.state import key_check, new_state, outcome, schemas_digest, segments, write_state
from eventlib.timing import LENGTHS, Duration, Timing
from eventlib.writing import (
    read_registry,
    row_digest,
    write_events,
    write_quarantine,
    write_sessions,
    write_table,
)

__all__ = [
    "Means",
    "Options",
    "Progress",
    "check_refused",
    "check_written",
    "prepare_log",
    "prepare_to",
    "run_id",
    "run_stages",
]

_MEMORY: Final = "1GB"
_LIBRARIES: Final = ("duckdb", "jsonschema-rs", "narwhals", "numpy", "orjson", "pandas", "pyarrow", "scipy")

Logs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Progress = Callable[[str, int, int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a log is prepared; `eventlib prepare --help` explains each."""

    source: str = "auto"
    policy: str | os.PathLike[str] = "default"
    as_of: datetime | None = None
    registry: Path | None = None
    key: Path | None = None
    engine: str = "duckdb"
    schemas: Path | None = None
    plain_identifiers: bool = False
    keep_raw: bool = False
    max_rejected: float = 0.5
    clock: str = "device"
    late: Duration = "1h"
    too_late: Duration = "3d"
    ahead: Duration = "23h"
    session_gap: Duration = "30min"
    session_age: Duration = "24h"
    onto: Path | None = None
    master: str | None = None
    partitioned: bool = False

    def timing(self) -> Timing:
        """Read the policies and limits of S3 and S5.

        Raises
        ------
        BadCallError
            If the policy is unknown or a duration cannot be read.
        """
        return Timing.of(self.clock, **{name: getattr(self, name) for name in LENGTHS})


@dataclass(frozen=True, slots=True)
class Means:
    """What the options name, opened."""

    policy: Policy
    key: bytes
    registry: Mapping[str, str] | None
    timing: Timing


def _quiet(_stage: str, _done: int, _of: int, _lines: int) -> None:
    """Report no progress."""


def prepare_to(logs: Logs, out: Path, options: Options, progress: Progress = _quiet) -> Prepared:
    """Prepare logs into `out/versions/<run_id>/` and point `out/current` at it.

    Parameters
    ----------
    logs
        Paths, folders or patterns.
    out
        Where the dataset goes; an earlier version there stays until this one is whole.
    options
        How.
    progress
        Called with (stage, done, of, lines so far): bytes of the files while reading, stages after that.

    Raises
    ------
    BadCallError
        If an argument cannot be used.
    DataRefusedError
        If more records are rejected than `max_rejected`, or nearly everything is withheld (S2.4); then nothing is
        published.
    """
    means = _open(options)  # before reading, which takes long
    if options.onto is not None:
        return _prepare_onto(logs, out, options, options.onto, means, progress)
    with enough_space(out, _least_space(logs)), workplace(out) as work:
        plan = plan_rows(
            logs, source=options.source, schemas=options.schemas, key=means.key, keep_raw=options.keep_raw,
            timing=means.timing, work=work,
        )  # fmt: skip
        log = _read(plan, options, progress)
        return _prepare(log, out, options, means, work, progress)


def _read(plan: Plan, options: Options, progress: Progress) -> Log:
    if options.engine == SPARK:
        from eventlib.spark.preparing import read_on  # noqa: PLC0415  # an optional engine

        return read_on(plan, options)
    return read_plan(plan, lambda done, of, lines: progress("read", done, of, lines))


def prepare_log(
    log: Log, out: Path, options: Options, work: Path, note: Mapping[str, str] = MappingProxyType({})
) -> Prepared:
    """Prepare a log that was read; `work` is a folder on the file system of `out` that its owner removes.

    `note` goes into `run.json`.
    """
    if options.onto is not None:
        raise BadCallError("onto takes the paths of new logs, not what el.read returned")
    means = _open(options)
    if log.timing.tightest(means.timing) != log.timing:
        raise BadCallError(
            "too_late and ahead may not be under 3d and 23h for a log that was read before: its events have no digests "
            "for the quarantine. Pass the paths instead of what el.read returned."
        )
    return _prepare(log, out, options, means, work, _quiet, note)


def run_id(started: datetime) -> str:
    """Return the name of a run, by when it began."""
    return f"{started:%Y%m%dT%H%M%S%f}Z"


def _least_space(logs: Logs) -> int:
    """Return what the canonical frame takes on disk while preparing, in bytes: about an eighth of the log as text."""
    return sum(path.stat().st_size * (6 if is_archive(path) else 1) for path in find_logs(logs)) // 8


def _open(options: Options) -> Means:
    if not 0 <= options.max_rejected <= 1:
        raise BadCallError(f"max_rejected is a share from 0 to 1, not {options.max_rejected}")
    if options.master is not None and options.engine != SPARK:
        raise BadCallError("a master is Spark's: it goes with the engine spark")
    if options.engine == SPARK:
        from eventlib.spark.session import refuse_master  # noqa: PLC0415  # an optional engine

        refuse_master(options.master)
    else:
        engine(options.engine)
    return Means(
        load_policy(options.policy),
        load_key(options.key)[0],
        read_registry(options.registry) if options.registry else None,
        options.timing(),
    )


def _prepare(
    log: Log,
    out: Path,
    options: Options,
    means: Means,
    work: Path,
    progress: Progress,
    note: Mapping[str, str] = MappingProxyType({}),
) -> Prepared:
    started = datetime.now(UTC)
    _refuse_rejected(log, options.max_rejected)
    made = work / "version"
    made.mkdir()
    if options.engine == SPARK:
        from eventlib.spark.preparing import prepare_on  # noqa: PLC0415  # an optional engine

        flow, found = prepare_on(log, options, means, made, progress)
        stamp = _stamp(log, options, means.policy, flow.as_of, started) | found | {**note}
        return _publish(made, out, flow.ledger, stamp)
    with connect(spill=work / "spill", memory_limit=_MEMORY) as connection:
        flow = _run(log, options, means, connection, made, progress)
        outcome(connection, flow.gone)
        found = {"row_digest": row_digest(connection), "withheld": segments(connection)}
        write_state(connection, made / "state", _state_stamp(log, options, means, flow.as_of, flow.latest))
    stamp = _stamp(log, options, means.policy, flow.as_of, started) | found | {**note}
    return _publish(made, out, flow.ledger, stamp)


def _publish(made: Path, out: Path, ledger: Ledger, stamp: Mapping[str, Any]) -> Prepared:
    (made / "ledger.json").write_bytes(orjson.dumps(ledger.to_list(), option=orjson.OPT_INDENT_2))
    (made / "run.json").write_bytes(orjson.dumps(stamp, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    publish(made, out / "versions" / stamp["run_id"], out / "current")
    return load(out)


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000_000)


def _state_stamp(log: Log, options: Options, means: Means, as_of: int, latest: int) -> dict[str, Any]:
    """Return what the next run is held to."""
    return {
        "settings": _settings(options, means),
        "as_of": as_of,
        "latest": latest,
        "files": [entry["file"] for entry in log.inputs],
        "inputs": log.inputs,
        "learned": log.learned,
    }


def _prepare_onto(
    logs: Logs, out: Path, options: Options, onto: Path, means: Means, progress: Progress
) -> Prepared:
    """Add logs to a prepared dataset (S3.6)."""
    from eventlib.incremental import add_rows, moved_numbers, open_base, refuse_known, relearned  # noqa: PLC0415  # only where there is a base
    from eventlib.restatement import as_json  # noqa: PLC0415  # as above

    started = datetime.now(UTC)
    if options.registry is not None:
        raise BadCallError("--onto takes the person ids of its dataset; --registry cannot be given beside it")
    if options.engine == SPARK or options.partitioned:
        raise BadCallError(
            "--onto runs on this machine and writes one events.parquet: not with --engine spark or --partitioned"
        )
    base = open_base(onto, _settings(options, means))
    refuse_known(base, find_logs(logs))
    with enough_space(out, _least_space(logs)), workplace(out) as work:
        plan = plan_rows(
            logs,
            source=options.source,
            schemas=options.schemas,
            key=means.key,
            keep_raw=options.keep_raw,
            timing=means.timing,
            work=work,
        )
        plan = replace(plan, learned=relearned(base, plan.learned))
        log = read_plan(plan, lambda done, of, lines: progress("read", done, of, lines))
        _refuse_rejected(log, options.max_rejected)
        progress("add", 1, 6, log.entry.rows_in)
        made = work / "version"
        made.mkdir()
        with connect(spill=work / "spill", memory_limit=_MEMORY) as connection:
            added = add_rows(
                connection,
                base,
                log,
                made,
                policy=means.policy,
                pseudonym=Pseudonymiser(means.key, plain=options.plain_identifiers),
                schemas=options.schemas,
                engine_name=options.engine,
                as_of=_microseconds(options.as_of),
                timing=means.timing,
                work=work,
            )
            _refuse_withheld(added.ledger, means.policy, log)
            whole = base.with_log(log)
            moved = moved_numbers(connection, base, made)
            write_state(
                connection,
                made / "state",
                _state_stamp(whole, options, means, added.flow.as_of, added.flow.latest),
            )
        stamp = _stamp(whole, options, means.policy, added.flow.as_of, started)
        stamp |= {"row_digest": added.row_digest, "withheld": added.withheld}
        before = base.prepared.run["run_id"]
        stamp["onto"] = {"run_id": before, "recomputed": added.affected}
        (made / "restatement.json").write_bytes(as_json(moved, before, stamp["run_id"]))
        return _publish(made, out, added.ledger, stamp)


def _run(
    log: Log,
    options: Options,
    means: Means,
    connection: duckdb.DuckDBPyConnection,
    made: Path,
    progress: Progress,
) -> Flow:
    pseudonym = Pseudonymiser(means.key, plain=options.plain_identifiers)
    progress("encode", 0, 6, log.entry.rows_in)
    facts = new_state(made) / "facts" / "0000.parquet"
    flow = Flow(
        encode(connection, log.folder, pseudonym, means.policy.impersonal_names, facts),
        engine(options.engine, connection),
        means.policy,
        pseudonym,
        log.entry,
        _microseconds(options.as_of),
        means.timing,
    )
    numbered, late, people = run_stages(flow, means, log, made, progress)
    rows = write_events(
        connection,
        flow.result(numbered, people),
        flow.narrow.identifiers,
        made,
        registry=schema_registry(options.schemas),
        pseudonym=pseudonym,
        partitioned=options.partitioned,
    )
    check_written(rows, flow)
    write_sessions(connection, made)
    files = [entry["file"] for entry in log.inputs]
    check_refused(write_quarantine(connection, log.quarantine, late, files, made), flow, log)
    progress("publish", 5, 6, log.entry.rows_in)
    return flow


def run_stages(
    flow: Flow, means: Means, log: Log, made: Path, progress: Progress
) -> tuple[Frame, pa.Table, Identities]:
    """Run the stages and write who is who; return the kept events, what came too late, and the people."""
    progress("clock and consent", 1, 6, log.entry.rows_in)
    consented = flow.consent(flow.clock())
    _refuse_withheld(flow.ledger, means.policy, log)
    progress("order and sessions", 2, 6, log.entry.rows_in)
    ordered, late = flow.order(consented)
    numbered = flow.sessions(ordered)
    progress("identity", 3, 6, log.entry.rows_in)
    people = flow.identify(numbered, means.registry)
    for name, table in (
        ("people", people.people),
        ("registry", people.registry),
        ("refused_merges", people.refused),
    ):
        write_table(table, made, name)
    progress("write", 4, 6, log.entry.rows_in)
    return numbered, late, people


def check_written(rows: int, flow: Flow) -> None:
    """Hold the written events to the ledger."""
    if rows != flow.ledger.rows_out:
        raise RuntimeError(f"{rows} rows were written, but the ledger says {flow.ledger.rows_out}")


def check_refused(refused: int, flow: Flow, log: Log) -> None:
    """Hold the quarantine to the ledger."""
    expected = len(log.quarantine) + sum(flow.ledger.removed("lateness").values())
    if refused != expected:
        raise RuntimeError(f"{refused} quarantine rows were written, but the ledger says {expected}")


def _refuse_rejected(log: Log, most: float) -> None:
    ledger = Ledger([log.entry])
    rejected = ledger.rejected
    if (ledger.rejected_share or 0) > most:
        codes = ", ".join(f"{code} {count:,}" for code, count in Counter(rejected).most_common(5))
        raise DataRefusedError(
            f"{sum(rejected.values()):,} of {ledger.rows_in - ledger.skipped:,} records were rejected, over the share of "
            f"{most:.0%} that --max-rejected allows. Most common: {codes}. See each with `eventlib validate LOG…`, or raise --max-rejected."
        )


def _refuse_withheld(ledger: Ledger, policy: Policy, log: Log) -> None:
    """Refuse a log that says nothing of consent, which would else look like an empty one (S2.4)."""
    consent = next(entry for entry in ledger if entry.stage == "consent")
    withheld = sum(consent.removed.values())
    if not consent.rows_in or withheld / consent.rows_in <= policy.max_withheld:
        return
    rules = ", ".join(
        f"{rule} {count:,}" for rule, count in sorted(consent.removed.items(), key=lambda item: -item[1])
    )
    source = next((entry["source"] for entry in log.inputs if entry["source"] != "native"), "SOURCE")
    raise DataRefusedError(
        f"{withheld:,} of {consent.rows_in:,} events may not be used for any purpose ({rules}), over the share of "
        f"{policy.max_withheld:.0%} from which a log without consent is suspected. If this log carries none of its own, copy "
        f"{default_policy()}, state in the copy on which basis the log is used, and pass it with --policy:\n"
        f"sources:\n  {source}: {{jurisdiction: …, purposes: [analytics], basis: …, owner: …, expires: YYYY-MM-DD}}"
    )


_FREE: Final = frozenset(
    {"source", "policy", "as_of", "registry", "key", "engine", "schemas", "max_rejected", "onto", "master"}
)
"""Options that may differ between a dataset and what is added to it, or are compared by their content."""


def _settings(options: Options, means: Means) -> dict[str, Any]:
    """Return what two runs must share for one to build on the other."""
    named = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        **{name: value for name, value in named.items() if name not in _FREE},
        **means.timing.written(),
        "key": key_check(means.key),
        "policy": means.policy.digest,
        "schemas": schemas_digest(options.schemas),
    }


def _stamp(log: Log, options: Options, policy: Policy, as_of: int, started: datetime) -> dict[str, Any]:
    """Return the run stamp (`run.json`)."""
    schemas = schema_registry(options.schemas)
    parameters: Mapping[str, Any] = {
        "source": options.source,
        "as_of": datetime.fromtimestamp(as_of / 1_000_000, UTC).isoformat(),
        "as_of_is_latest": options.as_of is None,
        "schemas": os.fspath(options.schemas) if options.schemas else None,
        "engine": options.engine,
        "registry": os.fspath(options.registry) if options.registry else None,
        "plain_identifiers": options.plain_identifiers,
        "keep_raw": options.keep_raw,
        "max_rejected": options.max_rejected,
        "partitioned": options.partitioned or options.engine == SPARK,
        **options.timing().written(),
    }
    return {
        "run_id": run_id(started),
        "status": "complete",
        "started_at": started.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
        "inputs": sorted(log.inputs, key=lambda entry: str(entry["file"])),
        "repairs": log.repairs,
        "passed_over": log.passed_over,
        "parameters": parameters,
        "policy": {"file": policy.name, "version": policy.version, "sha256": policy.digest},
        "schema_versions": schemas.versions(),
        "superseded": schemas.superseded(),
        "judged_by": log.judged_by,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "code_version": version("eventlib"),
        "seed": None,
    }
