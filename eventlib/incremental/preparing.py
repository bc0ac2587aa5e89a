"""`prepare --onto`: new logs added to a prepared dataset (S3.6)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from eventlib.engine import MEMORY, SPARK, connect
from eventlib.errors import BadCallError
from eventlib.incremental.base import open_base, refuse_known, relearned
from eventlib.incremental.merging import WrittenEvents
from eventlib.incremental.run import add_rows
from eventlib.options import Logs, Means, Options, Progress, microseconds, settings
from eventlib.prepared import Prepared, telling_damage
from eventlib.pseudonyms import Pseudonymiser
from eventlib.publish import enough_space, workplace
from eventlib.refusals import check_written, refuse_rejected, refuse_withheld
from eventlib.restatement import as_json, compare, explained, published
from eventlib.rows import plan_rows, read_plan
from eventlib.sources.files import find_logs, least_space
from eventlib.stamping import publish_version, stamp, state_stamp
from eventlib.state import write_state

__all__ = ["prepare_onto"]


def prepare_onto(
    logs: Logs, out: Path, options: Options, onto: Path, means: Means, progress: Progress
) -> Prepared:
    """Add logs to a prepared dataset (S3.6)."""
    started = datetime.now(UTC)
    if options.registry is not None:
        raise BadCallError("--onto takes the person ids of its dataset; --registry cannot be given beside it")
    if options.engine == SPARK or options.partitioned:
        raise BadCallError(
            "--onto runs on this machine and writes one events.parquet: not with --engine spark or --partitioned"
        )
    base = open_base(onto, settings(options, means))
    refuse_known(base, find_logs(logs))
    with (
        enough_space(out, least_space(logs)),
        workplace(out) as work,
        telling_damage(base.folder),
        ThreadPoolExecutor(1) as beside,
        WrittenEvents(base.folder / "events.parquet", beside) as events,  # read while new lines are judged
    ):
        plan = plan_rows(
            logs,
            source=options.source,
            schemas=options.schemas,
            key=means.key,
            keep_raw=options.keep_raw,
            timing=means.timing,
            signals=means.policy.signals,
            work=work,
        )
        plan = replace(plan, learned=relearned(base, plan.learned))
        log = read_plan(plan, lambda done, of, lines: progress("read", done, of, lines))
        refuse_rejected(log, options.max_rejected)
        progress("add", 1, 6, log.entry.rows_in)
        made = work / "version"
        made.mkdir()
        with connect(spill=work / "spill", memory_limit=MEMORY) as connection:
            added = add_rows(
                connection,
                base,
                events,
                log,
                made,
                policy=means.policy,
                pseudonym=Pseudonymiser(means.key, plain=options.plain_identifiers),
                schemas=options.schemas,
                engine_name=options.engine,
                as_of=microseconds(options.as_of),
                timing=means.timing,
                work=work,
                beside=beside,
            )
            refuse_withheld(added.ledger, means.policy, log)
            whole = base.with_log(log)
            write_state(
                connection,
                made / "state",
                state_stamp(whole, options, means, added.flow.as_of, added.flow.latest),
            )
            why, before = explained(connection, base.stamp["latest"]), published(connection, base.folder)
            check_written(added.written.result(), added.ledger)
            moved = compare(why, before, published(connection, made))
        run = stamp(whole, options, means.policy, added.flow, started)
        run |= {"row_digest": added.row_digest, "withheld": added.withheld, "duplicates": added.duplicates}
        built_on = base.prepared.run["run_id"]
        run["onto"] = {"run_id": built_on, "recomputed": added.affected}
        (made / "restatement.json").write_bytes(as_json(moved, built_on, run["run_id"]))
        return publish_version(made, out, added.ledger, run)
