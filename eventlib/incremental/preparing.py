"""`prepare --onto`: new logs added to a prepared dataset (S3.6)."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventlib.engine import MEMORY, SPARK, connect
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.incremental.base import Base, open_base, refuse_known, relearned
from eventlib.incremental.merging import WrittenEvents
from eventlib.incremental.run import add_rows
from eventlib.ledger import Ledger
from eventlib.options import Logs, Means, Options, Progress, recheck_tombstones, settings
from eventlib.prepared import Prepared, telling_damage
from eventlib.publish import alone, enough_space, workplace
from eventlib.refusals import check_written, refuse_rejected, refuse_withheld
from eventlib.restatement import as_json, compare, explained, published
from eventlib.rows import Log, named_by_caller, plan_rows, read_plan
from eventlib.sources.finding import find_logs, least_space
from eventlib.stamping import publish_version, stamp, state_stamp
from eventlib.state import write_state

__all__ = ["Made", "add_log", "erasures_of", "prepare_onto"]


def prepare_onto(
    logs: Logs, out: Path, options: Options, onto: Path, means: Means, progress: Progress
) -> Prepared:
    """Add logs to a prepared dataset (S3.6)."""
    if options.registry is not None:
        raise BadCallError("--onto takes the person ids of its dataset; --registry cannot be given beside it")
    if options.engine == SPARK or options.partitioned:
        raise BadCallError(
            "--onto runs on this machine and writes one events.parquet: not with --engine spark or --partitioned"
        )
    base = open_base(onto, settings(options, means))
    if options.manual_links is None:
        means = replace(means, statements=base.statements())
    _refuse_unverified(base, means)
    _refuse_other_mapping(base, options.source)
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
            tombstones=means.tombstones,
            agent_ranges=means.agent_ranges,
            unplanned=options.unplanned,
            work=work,
        )
        plan = replace(plan, learned=relearned(base, plan.learned))
        log = read_plan(plan, lambda done, of, lines: progress("read", done, of, lines))
        refuse_rejected(log, options.max_rejected)
        progress("add", 1, 6, log.entry.rows_in)
        made = add_log(base, events, log, options, means, work, beside)
        refuse_withheld(made.ledger, means.policy, log)
        with alone(out):
            recheck_tombstones(options, means)
            _recheck_base(base, onto, out)
            return publish_version(made.folder, out, made.ledger, made.run | {"erasures": erasures_of(base)})


def _refuse_other_mapping(base: Base, source: str) -> None:
    """Refuse a mapping file that says something else by now: the logs of before would have to be read again."""
    path = Path(source)
    for entry in base.stamp["inputs"] if path.is_file() else ():
        if Path(entry["source"]).resolve() == path.resolve() and entry["reason"] != named_by_caller(source):
            raise BadCallError(
                f"{source} has changed since {entry['file']} was read by it: bring it back as it was, or prepare all logs anew"
            )


def _refuse_unverified(base: Base, means: Means) -> None:
    """Refuse to add agents that nobody verifies to those that were: newer ranges may be given, none may not."""
    held = base.prepared.run.get("agent_ranges")
    if held and means.agent_ranges.digest is None:
        files = ", ".join(each["file"] for each in held["files"])
        raise BadCallError(
            f"the agents of {base.folder} were verified by {files}: pass these files, or newer ones, with --agent-ranges"
        )


def _recheck_base(base: Base, onto: Path, out: Path) -> None:
    """Refuse to publish beside a version that came meanwhile: what that one holds would be lost."""
    if onto.resolve() == out.resolve() and (out / "current").resolve() != base.folder.resolve():
        raise DataRefusedError(
            f"another run published in {out} while this one was under way; nothing was published: run it again"
        )


@dataclass(frozen=True, slots=True)
class Made:
    """A version that is made and not yet published.

    Attributes
    ----------
    folder : Path
        All its files but ledger and stamp.
    ledger : Ledger
        Its accounting.
    run : dict
        Its stamp.
    """

    folder: Path
    ledger: Ledger
    run: dict[str, Any]


def add_log(
    base: Base,
    events: WrittenEvents,
    log: Log,
    options: Options,
    means: Means,
    work: Path,
    beside: Executor,
    *,
    restated: bool = True,
) -> Made:
    """Make the version that a base and a log that was read give together; the log may be empty.

    What moved is written beside it, unless it is to be told nowhere (`restated`).
    """
    started = datetime.now(UTC)
    made = work / "version"
    made.mkdir()
    with connect(spill=work / "spill", memory_limit=MEMORY) as connection:
        added = add_rows(
            connection, base, events, log, made, means=means, options=options, work=work, beside=beside
        )
        whole = base.with_log(log)
        told = state_stamp(whole, options, means, added.flow)
        if restated:
            why, before = explained(connection, base.stamp["latest"]), published(connection, base.folder)
        write_state(connection, made / "state", told, added.flow.narrow.tombstones)
        check_written(added.written.result(), added.ledger)
        moved = compare(why, before, published(connection, made)) if restated else []
    run = stamp(whole, options, means.policy, added.flow, started)
    if log.agent_ranges.digest is None:  # an erasure reads no log: agents stay as they were verified
        run["agent_ranges"] = base.prepared.run.get("agent_ranges")
        run["parameters"]["agent_ranges"] = base.prepared.run["parameters"].get("agent_ranges")
    run |= {"row_digest": added.row_digest, **added.consent, "duplicates": added.duplicates}
    built_on = base.prepared.run["run_id"]
    run["onto"] = {"run_id": built_on, "recomputed": added.affected}
    if restated:
        (made / "restatement.json").write_bytes(as_json(moved, built_on, run["run_id"]))
    return Made(made, added.ledger, run)


def erasures_of(base: Base) -> list[dict[str, Any]]:
    """Return what is told of the erasures that a dataset has been through."""
    return list(base.prepared.run.get("erasures", []))
