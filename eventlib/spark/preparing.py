"""`prepare` on Spark: rows by the workers, stages on Spark's frames, events written by the workers; the driver merges people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.engine import connect
from eventlib.flow import Flow
from eventlib.options import Means, Options, Progress, microseconds
from eventlib.pseudonyms import Pseudonymiser
from eventlib.refusals import check_refused, check_written
from eventlib.rows import Log, Plan
from eventlib.spark.engine import SparkEngine
from eventlib.spark.narrow import encode_on, read_pieces
from eventlib.spark.rows import read_rows_on
from eventlib.spark.session import failures_told, open_session, quiet
from eventlib.spark.writing import row_digest_on, write_events_on
from eventlib.staging import run_stages
from eventlib.writing import write_quarantine, write_sessions

__all__ = ["prepare_on", "read_on"]


def read_on(plan: Plan, options: Options) -> Log:
    """Read logs on the workers of the session that the options name."""
    with failures_told():
        return read_rows_on(open_session(options.master), plan)


def prepare_on(
    log: Log, options: Options, means: Means, made: Path, progress: Progress
) -> tuple[Flow, dict[str, Any]]:
    """Take a log that was read through the stages and write the dataset's tables.

    Parameters
    ----------
    log
        Its pieces are in a folder that every worker sees.
    options, means
        How.
    made
        Where the tables go; every worker must see it.
    progress
        As `eventlib.preparing.prepare_to` takes it.

    Returns
    -------
    tuple of Flow and dict
        The flow with its ledger, and what else `run.json` says of the result.
    """
    with failures_told():
        return _prepare(SparkEngine(open_session(options.master)), log, options, means, made, progress)


def _prepare(
    engine: SparkEngine, log: Log, options: Options, means: Means, made: Path, progress: Progress
) -> tuple[Flow, dict[str, Any]]:
    pseudonym = Pseudonymiser(means.key, plain=options.plain_identifiers)
    progress("encode", 0, 6, log.entry.rows_in)
    pieces = read_pieces(engine.session, log.folder)
    wide, narrow = encode_on(engine, pieces, pseudonym, means.policy.impersonal_names, means.tombstones)
    flow = Flow(narrow, engine, means.policy, pseudonym, log.entry, microseconds(options.as_of), means.timing)
    numbered, late, people = run_stages(flow, means, log, made, progress)
    kept = engine.hold(nw.to_native(flow.kept(numbered, people)))
    rows = write_events_on(engine.session, wide, kept, made, schemas=options.schemas, pseudonym=pseudonym)
    check_written(rows, flow.ledger)
    with connect() as connection:
        write_sessions(connection, made)
        connection.register("wide", _placed(wide, late))
        files = [entry["file"] for entry in log.inputs]
        check_refused(write_quarantine(connection, log.quarantine, late, files, made), flow, log)
    progress("publish", 5, 6, log.entry.rows_in)
    found = {
        "row_digest": row_digest_on(engine.session, wide, kept),
        "withheld": _segments(engine, flow),
        "spark": {"version": engine.session.version, "master": engine.session.sparkContext.master},
    }
    return flow, found


def _placed(wide: Any, late: pa.Table) -> pa.Table:
    """Return where the lines stand that were refused for their times."""
    columns = (
        "row",
        "file",
        "line",
        "byte_offset",
        "byte_length",
        "digest",
        "event_id",
        "event_name",
        "schema_version",
    )
    with quiet():
        rows = wide.sparkSession.createDataFrame(late.select(["row"]))
    return wide.join(rows, "row").select(*columns).toArrow()


def _segments(engine: SparkEngine, flow: Flow) -> list[dict[str, Any]]:
    """Count what was withheld by jurisdiction and rule (S2.7), never fewer than ten subjects (S7.10)."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # an optional engine

    gone = pa.concat_tables(flow.gone)
    withheld = gone.filter(pc.is_valid(gone["subject"])).select(["row", "removed_by", "subject"])
    with quiet():
        removed = engine.session.createDataFrame(withheld)
    places = nw.to_native(flow.narrow.events).select("row", "jurisdiction_key")
    counted = removed.join(places, "row").groupBy("jurisdiction_key", "removed_by")
    rows = counted.agg(f.count("*").alias("events"), f.countDistinct("subject").alias("subjects")).collect()
    said = sorted(
        (flow.narrow.jurisdictions.get(row["jurisdiction_key"], "unknown"), row["removed_by"], row["events"])
        for row in rows
        if row["subjects"] >= 10
    )
    return [{"jurisdiction": place, "rule": rule, "events": events} for place, rule, events in said]
