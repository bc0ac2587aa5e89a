"""`prepare` on Spark: rows by the workers, stages on Spark's frames, events written by the workers; the driver merges people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.consent_counts import Facts, count_consent
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
from eventlib.tombstones import ERASED
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
    flow = Flow(
        narrow, engine, means.policy, pseudonym, log.entry, microseconds(options.as_of), means.timing, means.statements
    )  # fmt: skip
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
        **count_consent(_facts(engine, flow), means.policy, flow.as_of),
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


def _facts(engine: SparkEngine, flow: Flow) -> Facts:
    """Return the narrow frame and what was withheld of it as `eventlib.consent_counts` asks for them."""
    gone = pa.concat_tables(flow.gone)
    with quiet():
        withheld = engine.session.createDataFrame(
            gone.filter(pc.is_valid(gone["subject"])).select(["row", "removed_by", "subject"])
        )
        erased = engine.session.createDataFrame(
            gone.filter(pc.equal(gone["removed_by"], ERASED)).select(["row"])
        )
    narrow, policy = flow.narrow, flow.policy
    there = nw.to_native(narrow.events).join(erased, "row", "left_anti")
    relations: dict[str, Any] = {"fact": there, "withheld": withheld}

    def rows(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in engine.session.sql(query, **_used(query, relations)).collect()]

    def keep(name: str, query: str) -> None:
        relations[name] = engine.hold(engine.session.sql(query, **_used(query, relations)))

    def codes(names: Mapping[int, str], of: Collection[str]) -> str:
        return ", ".join(str(code) for code, name in names.items() if name in of) or "NULL"

    assumed = {s for s, place in policy.source_jurisdictions.items() if place in policy.opt_out}
    columns = {
        "jurisdiction": "jurisdiction_key",
        "source": "source_key",
        "notice": "notice_key",
        "nobody": f"""anonymous = 0 AND user = 0 AND coalesce(name_key IN ({codes(narrow.names, policy.impersonal_always)})
                      OR (name_key IN ({codes(narrow.names, policy.impersonal_unless_owned)}) AND observed IN (2, 3)), false)""",
        "opt_out": f"""coalesce(jurisdiction_key IN ({codes(narrow.jurisdictions, policy.opt_out)}), false)
                       OR (jurisdiction_key = 0 AND coalesce(source_key IN ({codes(narrow.sources, assumed)}), false))""",
    }
    names = {"jurisdiction": narrow.jurisdictions, "source": narrow.sources, "notice": narrow.notices}
    return Facts(rows, keep, columns, names)


def _used(query: str, relations: Mapping[str, Any]) -> dict[str, Any]:
    return {name: frame for name, frame in relations.items() if f"{{{name}}}" in query}
