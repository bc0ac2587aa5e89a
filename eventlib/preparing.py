"""`prepare`: rows, then columns, then one atomic publication (DESIGN sections 1 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

import duckdb

from eventlib.consent_counts import count_consent, embedded_facts
from eventlib.engine import MEMORY, SPARK, chosen_engine, connect, engine
from eventlib.errors import BadCallError
from eventlib.flow import Flow
from eventlib.narrow import encode
from eventlib.options import (
    Logs,
    Means,
    Options,
    Progress,
    microseconds,
    open_means,
    quiet,
    recheck_tombstones,
)
from eventlib.prepared import Prepared
from eventlib.pseudonyms import Pseudonymiser
from eventlib.publish import alone, enough_space, workplace
from eventlib.refusals import check_refused, check_written, refuse_rejected
from eventlib.rows import Log, Plan, plan_rows, read_plan
from eventlib.schema import registry as schema_registry
from eventlib.sources.finding import least_space
from eventlib.staging import run_stages
from eventlib.stamping import publish_version, stamp, state_stamp
from eventlib.state import new_state, outcome, retries, statements_of, write_state
from eventlib.writing import place_kept, row_digest, write_events, write_quarantine, write_sessions

__all__ = ["prepare_log", "prepare_to"]


def prepare_to(logs: Logs, out: Path, options: Options, progress: Progress = quiet) -> Prepared:
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
    means = open_means(
        options, out, *([options.onto] if options.onto else [])
    )  # before reading, which takes long
    if options.onto is not None:
        from eventlib.incremental.preparing import prepare_onto  # noqa: PLC0415  # only where there is a base

        return prepare_onto(logs, out, options, options.onto, means, progress)
    with enough_space(out, least_space(logs)), workplace(out) as work:
        # the stages need it; now other processes have the work. No executor: its end waits for what an interrupt may have locked
        Thread(target=import_module, args=("scipy.sparse.csgraph",), daemon=True).start()
        plan = plan_rows(
            logs, source=options.source, schemas=options.schemas, key=means.key, keep_raw=options.keep_raw,
            timing=means.timing, signals=means.policy.signals, tombstones=means.tombstones,
            agent_ranges=means.agent_ranges, unplanned=options.unplanned, work=work,
        )  # fmt: skip
        log = _read(plan, options, progress)
        return _prepare(log, out, options, means, work, progress)


def _read(plan: Plan, options: Options, progress: Progress) -> Log:
    if options.engine == SPARK:
        from eventlib.spark.preparing import read_on  # noqa: PLC0415  # an optional engine

        return read_on(plan, options)
    return read_plan(plan, lambda done, of, lines: progress("read", done, of, lines))


def prepare_log(
    log: Log,
    out: Path,
    options: Options,
    work: Path,
    note: Mapping[str, str] = MappingProxyType({}),
    *folders: Path,
) -> Prepared:
    """Prepare a log that was read; `work` is a folder on the file system of `out` that its owner removes.

    `note` goes into `run.json`; the tombstones of the datasets in `folders` hold too, and what was stated by hand for the first.
    """
    if options.onto is not None:
        raise BadCallError("onto takes the paths of new logs, not what el.read returned")
    means = open_means(options, out, *folders)
    if folders and options.manual_links is None:
        means = replace(means, statements=statements_of(folders[0]))
    if log.timing.tightest(means.timing) != log.timing:
        raise BadCallError(
            "too_late and ahead may not be under 3d and 23h for a log that was read before: its events have no digests "
            "for the quarantine. Pass the paths instead of what el.read returned."
        )
    if log.signals != means.policy.signals:
        raise BadCallError(
            "the log was read with another policy's meaning of consent signals: pass the same policy to el.read, or the "
            "paths instead of what it returned"
        )
    if options.agent_ranges is not None and log.agent_ranges.digest != means.agent_ranges.digest:
        raise BadCallError(
            "agents are verified while a log is read: pass the same agent_ranges to el.read, or the paths instead of what it "
            "returned"
        )
    return _prepare(log, out, options, means, work, quiet, note)


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
    refuse_rejected(log, options.max_rejected)
    made = work / "version"
    made.mkdir()
    if options.engine == SPARK:
        from eventlib.spark.preparing import prepare_on  # noqa: PLC0415  # an optional engine

        flow, found = prepare_on(log, options, means, made, progress)
    else:
        flow, found = _prepare_here(log, options, means, made, work, progress)
    run = stamp(log, options, means.policy, flow, started) | found | {**note}
    with alone(out):
        recheck_tombstones(options, means)
        return publish_version(made, out, flow.ledger, run)


def _prepare_here(
    log: Log, options: Options, means: Means, made: Path, work: Path, progress: Progress
) -> tuple[Flow, dict[str, Any]]:
    """Prepare on this machine, state included; return what the flow knows and what the stamp shall say besides."""
    with connect(spill=work / "spill", memory_limit=MEMORY) as connection:
        flow = _run(log, options, means, connection, made, progress)
        outcome(connection, flow.gone)
        found = {
            "row_digest": row_digest(connection),
            **count_consent(embedded_facts(connection, means.policy), means.policy, flow.as_of),
            "duplicates": retries(connection),
        }
        told = state_stamp(log, options, means, flow)
        write_state(connection, made / "state", told, flow.narrow.tombstones)
    return flow, found


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
    where = engine(chosen_engine(options.engine, log.entry.rows_out), connection)
    flow = Flow(
        encode(
            connection, log.folder, pseudonym, means.policy.impersonal_names, where, facts, means.tombstones
        ),
        where,
        means.policy,
        pseudonym,
        log.entry,
        microseconds(options.as_of),
        means.timing,
        means.statements,
    )
    numbered, late, people = run_stages(flow, means, log, made, progress)
    where.give(connection, flow.kept(numbered, people), "kept_unplaced")
    place_kept(connection)
    where.forget()
    rows = write_events(
        connection,
        flow.narrow.identifiers,
        made,
        registry=schema_registry(options.schemas),
        pseudonym=pseudonym,
        partitioned=options.partitioned,
    )
    check_written(rows, flow.ledger)
    write_sessions(connection, made)
    files = [entry["file"] for entry in log.inputs]
    check_refused(write_quarantine(connection, log.quarantine, late, files, made), flow, log)
    progress("publish", 5, 6, log.entry.rows_in)
    return flow
