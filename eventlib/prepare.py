"""The column world composed: clock → suppression → consent → duplicates → order → sessions → identity (S0)."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import duckdb
import narwhals as nw
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.consent import RULES, Policy, decide, load_policy, subjects
from eventlib.engine import Engine, Frame, connect, engine
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.evidence import Link, read_pairs
from eventlib.graph import Node
from eventlib.identity import merge_people
from eventlib.ledger import Entry, Ledger
from eventlib.model import PURPOSES
from eventlib.narrow import Narrow, encode
from eventlib.ordering import correct_clock, remove_duplicates, remove_late
from eventlib.prepared import Prepared, load
from eventlib.pseudonyms import Pseudonymiser, load_key
from eventlib.publish import publish, workplace
from eventlib.rows import Log, read_rows
from eventlib.schema import registry as schema_registry
from eventlib.sessions import number_sessions
from eventlib.stage import count_rows
from eventlib.writing import read_registry, write_events, write_quarantine, write_sessions, write_table

__all__ = ["Options", "prepare_to"]

_MEMORY: Final = "2GB"
_LIBRARIES: Final = ("duckdb", "jsonschema-rs", "narwhals", "numpy", "orjson", "pandas", "pyarrow", "scipy")


@dataclass(frozen=True, slots=True)
class Options:
    """How a log is prepared; see `eventlib prepare --help`."""

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


Say = Callable[[str], None]


def prepare_to(logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], out: Path, options: Options, say: Say | None = None) -> Prepared:
    """Prepare logs into `out/versions/<run_id>/` and point `out/current` at it.

    Raises
    ------
    BadCallError
        If an argument cannot be used.
    DataRefusedError
        If more lines are rejected than `max_rejected`, or nearly everything is withheld (S2.4). Nothing is published.
    """
    if not 0 <= options.max_rejected <= 1:
        raise BadCallError(f"max_rejected is a share from 0 to 1, not {options.max_rejected}")
    say = say or (lambda _: None)
    policy = load_policy(options.policy)
    key, created = load_key(options.key)
    if created:
        say(f"A key for pseudonyms was created in {created}; keep it: without it, the next run's ids are others.")
    started = datetime.now(UTC)
    with workplace(out) as work:
        log = read_rows(logs, source=options.source, schemas=options.schemas, key=key, keep_raw=options.keep_raw, work=work)
        _refuse_rejected(log, options.max_rejected)
        connection = connect(spill=work / "spill", memory_limit=_MEMORY)
        made = work / "version"
        made.mkdir()
        with connection:
            run = _Run(log, options, policy, Pseudonymiser(key, plain=options.plain_identifiers), connection, made)
            run.execute()
        stamp = run.stamp(started)
        (made / "ledger.json").write_bytes(orjson.dumps(run.ledger.to_list(), option=orjson.OPT_INDENT_2))
        (made / "run.json").write_bytes(orjson.dumps(stamp, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        publish(made, out / "versions" / stamp["run_id"], out / "current")
    return load(out)


def _refuse_rejected(log: Log, most: float) -> None:
    skipped = {"blank_line", "bulk_action"}
    records = log.entry.rows_in - sum(count for code, count in log.entry.removed.items() if code in skipped)
    rejected = records - log.entry.rows_out
    if records and rejected / records > most:
        codes = Counter({code: count for code, count in log.entry.removed.items() if code not in skipped}).most_common(5)
        raise DataRefusedError(
            f"{rejected:,} of {records:,} records were rejected, over the share of {most:.0%} that --max-rejected allows. "
            f"Most common: {', '.join(f'{code} {count:,}' for code, count in codes)}. "
            "See each with: eventlib validate LOG…, or raise --max-rejected."
        )


def _links(narrow: Narrow, rows: Mapping[int, int]) -> list[Link]:
    """Explicit links of the events in `rows` (row to time)."""
    pairs = zip(narrow.links["row"].to_pylist(), narrow.links["links"].to_pylist(), strict=True)
    return [Link(tuple(Node(*item) for item in orjson.loads(text)), rows[row]) for row, text in pairs if row in rows]


class _Run:
    """One run of the column world over a log that was read."""

    def __init__(
        self, log: Log, options: Options, policy: Policy, pseudonym: Pseudonymiser, connection: duckdb.DuckDBPyConnection, made: Path
    ) -> None:
        self.log, self.options, self.policy, self.pseudonym = log, options, policy, pseudonym
        self.connection, self.made = connection, made
        self.engine: Engine = engine(options.engine, connection)
        self.ledger = Ledger([log.entry])
        self.narrow = encode(connection, log.folder)
        self.as_of = self._as_of()
        codes, namespaces, values = (self.narrow.identifiers[name].to_pylist() for name in ("code", "namespace", "value"))
        self.identifiers = dict(zip(codes, zip(namespaces, values, strict=True), strict=True))

    def _as_of(self) -> int:
        """Default to the latest arrival in the log: the same log then gives the same dataset on any day."""
        if self.options.as_of is not None:
            return round(self.options.as_of.timestamp() * 1_000_000)
        return int(pc.max(self.narrow.events["received"]).as_py() or 0)

    def execute(self) -> None:
        timed = self.engine.checkpoint(correct_clock(self.engine, self.engine.frame(self.narrow.events)))
        consented = self._consent(timed)
        kept, late = self._order(consented)
        numbered = self.engine.checkpoint(number_sessions(self.engine, kept))
        people = self._identify(numbered)
        result = self._result(numbered, people)
        registry = schema_registry(self.options.schemas)
        rows = write_events(self.connection, result, self.narrow.identifiers, self.made, registry=registry, pseudonym=self.pseudonym)
        assert rows == self.ledger.rows_out, f"{rows} rows were written, the ledger says {self.ledger.rows_out}"
        write_sessions(self.connection, self.made)
        write_quarantine(self.connection, self.log.quarantine, late, [entry["file"] for entry in self.log.inputs], self.made)

    def _consent(self, timed: Frame) -> Frame:
        """Decide, and withhold what no purpose allows; of what is withheld only a count remains (S2.4)."""
        links = self.engine.collect(timed.select("row", "event_time").join(self._link_rows(), on="row", how="inner"))
        when = dict(zip(links["row"].to_pylist(), links["event_time"].to_pylist(), strict=True))
        found = subjects(read_pairs(self.engine, timed), self.identifiers, _links(self.narrow, when))
        placed = timed.join(self.engine.frame(found.of_pair), on=["anonymous", "user"], how="left")
        placed = self.engine.checkpoint(placed.with_columns(subject=nw.col("subject").fill_null(0)))
        decided = decide(
            self.engine,
            placed,
            self.engine.frame(found.members),
            policy=self.policy,
            as_of=self.as_of,
            names=self.narrow.names,
            sources=self.narrow.sources,
            jurisdictions=self.narrow.jurisdictions,
            notices=self.narrow.notices,
        )
        some = nw.max_horizontal(*(nw.col(f"verdict_{purpose}") for purpose in PURPOSES)) >= 16
        withheld = decided.filter(~some)
        counts = count_rows(withheld, by="verdict_analytics")
        removed = {f"C{int(rule):02d}_{RULES[int(rule)]}": count for rule, count in counts.items()}
        self._enter("consent", removed)
        self._refuse_withheld(removed)
        kept = decided.filter(some).with_columns(allow_identity=nw.when(nw.col("verdict_identity") >= 16).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64)))
        return self.engine.checkpoint(kept)

    def _link_rows(self) -> Frame:
        return self.engine.frame(self.narrow.links.select(["row"]))

    def _enter(self, stage: str, removed: Mapping[str, int]) -> None:
        rows = self.ledger.rows_out
        self.ledger.add(Entry(stage, rows, rows - sum(removed.values()), removed))

    def _refuse_withheld(self, removed: Mapping[str, int]) -> None:
        last = list(self.ledger)[-1]
        withheld = sum(removed.values())
        if not last.rows_in or withheld / last.rows_in <= self.policy.max_withheld:
            return
        rules = ", ".join(f"{rule} {count:,}" for rule, count in sorted(removed.items(), key=lambda item: -item[1]))
        sources = ", ".join(sorted({entry["source"] for entry in self.log.inputs} - {"native"})) or "…"
        raise DataRefusedError(
            f"{withheld:,} of {last.rows_in:,} events may not be used for any purpose, over the share of {self.policy.max_withheld:.0%} "
            f"at which a log without consent is suspected. By rule: {rules}. If the log carries no consent of its own, state in a policy's "
            f"`sources:` section on which basis it is used (such as `{sources}: {{jurisdiction, purposes, basis, owner, expires}}`), "
            "and pass it with --policy."
        )

    def _order(self, consented: Frame) -> tuple[Frame, pa.Table]:
        """Set aside what is late, remove duplicates; the rows left are in the ledger."""
        on_time, late = remove_late(self.engine, consented)
        single, duplicates = remove_duplicates(self.engine, on_time)
        refused = self.engine.collect(late.select("row", "removed_by"))
        self._enter("lateness", Counter(refused["removed_by"].to_pylist()))
        self._enter("duplicates", {"duplicate": int(count_rows(duplicates)[""])})
        return single, refused

    def _identify(self, numbered: Frame) -> pa.Table:
        allowed = numbered.filter(nw.col("allow_identity") == 1).select("row", "event_time")
        links = self.engine.collect(allowed.join(self._link_rows(), on="row", how="inner"))
        when = dict(zip(links["row"].to_pylist(), links["event_time"].to_pylist(), strict=True))
        earlier = read_registry(self.options.registry) if self.options.registry else None
        found = merge_people(
            self.engine, numbered, self.identifiers, _links(self.narrow, when), self.pseudonym, registry=earlier
        )
        for name, table in (("people", found.people), ("registry", found.registry), ("refused_merges", found.refused)):
            write_table(table, self.made, name)
        self._enter("sessions", {})
        self._enter("identity", {})
        return found.of_row

    def _result(self, numbered: Frame, people: pa.Table) -> pa.Table:
        wanted = [
            "row", "event_time", "clock_offset", "stretch", "clock_corrected", "is_late", "renamed", "anonymous", "user", "device", "session",
            "source_key", "sequence", "event_key", "copy_key", "fingerprint_key", *(f"verdict_{purpose}" for purpose in PURPOSES),
        ]  # fmt: skip
        table = self.engine.collect(numbered.select(wanted))
        return table.join(people, keys="row", join_type="left outer")

    def stamp(self, started: datetime) -> dict[str, Any]:
        """Return the run stamp (`run.json`)."""
        ended = datetime.now(UTC)
        options = self.options
        return {
            "run_id": f"{started:%Y%m%dT%H%M%S%f}Z",
            "status": "complete",
            "started_at": started.isoformat(),
            "ended_at": ended.isoformat(),
            "inputs": self.log.inputs,
            "repairs": self.log.repairs,
            "parameters": {
                "source": options.source,
                "as_of": datetime.fromtimestamp(self.as_of / 1_000_000, UTC).isoformat(),
                "engine": options.engine,
                "registry": os.fspath(options.registry) if options.registry else None,
                "plain_identifiers": options.plain_identifiers,
                "keep_raw": options.keep_raw,
                "max_rejected": options.max_rejected,
            },
            "policy": {"file": self.policy.name, "version": self.policy.version, "sha256": self.policy.digest},
            "schema_versions": schema_registry(options.schemas).versions(),
            "libraries": {name: version(name) for name in _LIBRARIES},
            "python": platform.python_version(),
            "code_version": version("eventlib"),
        }
