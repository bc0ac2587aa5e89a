"""`prepare --onto`: a new day's log added to a prepared dataset, with the bytes that preparing all of it would give (S3.6).

The row world reads the new logs alone. Earlier rows that they can change are taken from the state and go through the
stages together with the new ones; what the stages decide within a device, a component or an event id is the same as in the
whole. All other rows keep what was decided.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from eventlib.arrow import write_parquet
from eventlib.consent_counts import count_consent, embedded_facts
from eventlib.engine import chosen_engine, engine, parquet
from eventlib.evidence import rows_naming
from eventlib.flow import Flow
from eventlib.incremental.affected import find_affected
from eventlib.incremental.base import Base
from eventlib.incremental.merging import WrittenEvents, merged_events
from eventlib.incremental.places import place_changed
from eventlib.incremental.rereading import read_again
from eventlib.incremental.tables import Tables
from eventlib.judging import Task
from eventlib.ledger import Entry, Ledger
from eventlib.model import EVENT_COLUMNS
from eventlib.narrow import (
    Before,
    Narrow,
    carry_over,
    code_facts,
    define_keyed,
    erased_rows,
    plain_names,
    state_facts,
    view_pieces,
)
from eventlib.options import Means, Options, microseconds
from eventlib.pseudonyms import Pseudonymiser
from eventlib.restatement import view_rows
from eventlib.rows import Log
from eventlib.schema import Registry
from eventlib.schema import registry as schema_registry
from eventlib.state import KEPT, OUTCOME, new_state, retries, share_facts
from eventlib.tombstones import ERASED, NONE, Tombstones
from eventlib.writing import digest_rows, events_in_order, marked_names

__all__ = ["Added", "add_rows"]


@dataclass(frozen=True, slots=True)
class Added:
    """What a run that builds on another leaves to be stamped.

    Attributes
    ----------
    ledger : Ledger
        Of all logs.
    flow : Flow
        The stages, as run on the affected rows.
    row_digest : str
        Of all written events.
    consent : dict
        What `eventlib.consent_counts` tells of all logs.
    duplicates : list of dict
        Removed copies by producer and time after the first.
    affected : int
        How many earlier rows were decided anew.
    written : Future of int
        The rows of `events.parquet`, once it is whole: it is written while the rest is told.
    """

    ledger: Ledger
    flow: Flow
    row_digest: str
    consent: dict[str, Any]
    duplicates: list[dict[str, Any]]
    affected: int
    written: Future[int]


class _Run:
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        base: Base,
        events: WrittenEvents,
        log: Log,
        made: Path,
        pseudonym: Pseudonymiser,
    ) -> None:
        self.connection, self.base, self.events = connection, base, events
        self.log, self.made, self.pseudonym = log, made, pseudonym
        self.files = [*base.stamp["files"], *(entry["file"] for entry in log.inputs)]

    def run(self, query: str) -> None:
        self.connection.execute(query)

    def count(self, query: str) -> int:
        return int(self.connection.execute(query).fetchall()[0][0] or 0)

    def open_state(self) -> None:
        """View the state of earlier runs."""
        state = self.base.state
        self.run(f"CREATE TEMP VIEW base_fact AS SELECT * FROM {parquet(*self.base.facts)}")
        for name in ("outcome", "copies", "links", "identifiers"):
            self.run(f"CREATE TEMP VIEW base_{name} AS SELECT * FROM {parquet(state / f'{name}.parquet')}")
        self.run("CREATE TEMP VIEW base_link AS SELECT * FROM base_links")

    def read_new(self, names: frozenset[str]) -> dict[str, str]:
        """Turn the new rows into facts, numbered after the earlier ones."""
        pieces = (self.count("SELECT max(row) FROM base_fact") >> 32) + 1
        before = Before(self.base.state, pieces << 32, len(self.base.stamp["files"]))
        folder = new_state(self.made)
        number = len(share_facts(self.base.state, folder))
        file = folder / "facts" / f"{number:04d}.parquet"
        define_keyed(self.connection, self.pseudonym.key)
        view_pieces(self.connection, self.log.folder, before)
        plain = state_facts(self.connection, self.pseudonym, names, file, before)
        self.run(f"CREATE TEMP VIEW new_fact AS SELECT * FROM {parquet(file)}")
        self.run(
            "CREATE TEMP VIEW all_fact AS SELECT * FROM base_fact UNION ALL BY NAME SELECT * FROM new_fact"
        )
        self.run("CREATE TEMP TABLE new_link AS SELECT * FROM fact_link")
        self.run("CREATE TEMP VIEW all_link AS SELECT * FROM base_link UNION ALL SELECT * FROM new_link")
        self.run(
            """CREATE TEMP TABLE all_identifier AS
               SELECT code, namespace, NULL::VARCHAR AS value, digest, node FROM base_identifiers ANTI JOIN identifier USING (code)
               UNION ALL SELECT code, namespace, value, digest, node FROM identifier"""
        )
        return plain

    def find_erased(self, tombstones: Tombstones) -> None:
        """Leave `erased_row`: earlier rows of somebody who was erased, and of the device that they were sent from."""
        known = self.connection.execute("SELECT code, namespace, node FROM base_identifiers").fetchall()
        codes = [code for code, namespace, node in known if tombstones.holds(namespace, node)]
        alone = erased_rows(self.connection, tombstones, "base_fact", "base_identifiers")
        rows = pa.concat_tables([alone, self._naming(tombstones)])
        self.connection.register("erased_code", pa.table({"code": pa.array(codes, pa.int64())}))
        self.connection.register("erased_alone", rows)
        self.run(
            """CREATE TEMP TABLE erased_row AS SELECT row, anonymous, user FROM base_fact
               WHERE anonymous IN (SELECT code FROM erased_code) OR user IN (SELECT code FROM erased_code)
                  OR row IN (SELECT row FROM erased_alone)"""
        )

    def _naming(self, tombstones: Tombstones) -> pa.Table:
        """Return `row` of the earlier events whose links name somebody who was erased."""
        links = self.connection.execute("SELECT row, links FROM base_link").fetchall() if tombstones else []
        rows = rows_naming(links, lambda node: tombstones.holds(*node))
        return pa.table({"row": pa.array(rows, pa.int64())})

    def take_affected(self) -> int:
        """Make the affected earlier rows and the new ones what the stages see; return how many there are.

        `undone` is what became of the affected rows before.
        """
        self.run("CREATE TEMP TABLE undone AS SELECT * FROM base_outcome SEMI JOIN affected USING (row)")
        self.run(
            """CREATE TEMP TABLE subset AS SELECT * FROM base_fact SEMI JOIN affected USING (row)
               UNION ALL BY NAME SELECT * FROM new_fact"""
        )
        self.run(
            """CREATE OR REPLACE TEMP TABLE identifier AS
               SELECT row_number() OVER (ORDER BY digest) AS code, code AS state_code, namespace, value, digest, node
               FROM all_identifier WHERE code IN (SELECT anonymous FROM subset UNION SELECT user FROM subset)"""
        )
        self.run(
            """CREATE OR REPLACE TEMP VIEW fact AS
               SELECT s.* REPLACE (coalesce(a.code, 0) AS anonymous, coalesce(u.code, 0) AS user) FROM subset s
               LEFT JOIN identifier a ON a.state_code = nullif(s.anonymous, 0)
               LEFT JOIN identifier u ON u.state_code = nullif(s.user, 0)"""
        )
        self.connection.unregister("fact_link")
        self.run(
            """CREATE TEMP VIEW fact_link AS
               SELECT * FROM base_link SEMI JOIN affected USING (row) UNION ALL SELECT * FROM new_link"""
        )
        return self.count("SELECT count(*) FROM subset")

    def with_erased(self, narrow: Narrow) -> Narrow:
        """Return the narrow frame with what was erased before: nothing in such a row tells it any more."""
        before = self.connection.sql(
            f"SELECT row FROM undone WHERE removed_by = '{ERASED}'"  # our own name
        ).to_arrow_table()
        return replace(narrow, erased=pa.concat_tables([narrow.erased, before]))

    def find_wanted(self, kept: pa.Table, late: pa.Table, marked: list[str]) -> None:
        """Leave `base_wide`, what the base holds of the affected rows, and `wanted`, the pointers of what it does not."""
        self.connection.register("deciding", kept)
        self.connection.register("late", late)
        found = self.connection.execute(
            "SELECT row, place FROM undone WHERE place IS NOT NULL ORDER BY place"
        ).fetchnumpy()
        self.leaving = np.asarray(found["place"], np.int64) - 1
        held = self.events.take(self.leaving).append_column("row", pa.array(found["row"], pa.int64()))
        self.connection.register("base_wide", held)
        self.connection.register("marked", pa.table({"name": pa.array(marked, pa.string())}))
        lost = "b.event_name IN (SELECT name FROM marked)"
        if self.pseudonym.plain:
            lost = f"({lost} OR f.user > 0)"
        self.run(
            f"""CREATE TEMP TABLE wanted AS SELECT row, f.file, f.line, f.byte_offset FROM (
                  SELECT row FROM deciding d LEFT JOIN base_wide b USING (row) JOIN fact f USING (row)
                  WHERE b.row IS NULL OR (d.renamed = 1 AND b.original_event_id IS NULL)
                     OR (d.verdict_identity >= 16 AND NOT b.allow_identity AND {lost})
                  UNION ALL SELECT row FROM late l LEFT JOIN undone o USING (row)
                  WHERE o.row IS NULL OR o.removed_by IS DISTINCT FROM l.removed_by)
                JOIN base_fact f USING (row)"""
        )

    def read_wanted(self, schemas: Path | None, work: Path) -> None:
        """Leave the table `reread`."""
        inputs = [*self.base.stamp["inputs"], *self.log.inputs]
        folder = work / "reread"
        folder.mkdir()
        task = Task(
            "", {}, str(schemas) if schemas else None, self.pseudonym.key, keep_raw=False, folder=str(folder),
            too_late=self.log.timing.too_late, ahead=self.log.timing.ahead, signals=self.log.signals,
            agent_ranges=self.log.agent_ranges, unplanned=self.log.unplanned,
        )  # fmt: skip
        sources = {entry["file"]: entry["source"] for entry in inputs}
        read_again(self.connection, self.files, sources, task, self.log.learned)

    def view_wide(self) -> None:
        """Let `wide_again` be the new rows and those read again, and `writable` these and what the base holds of the others."""
        read = f"row, event_id, fingerprint, anonymous_id, user_id, file, line, byte_offset, byte_length, digest, {_COLUMNS}"
        self.run(
            f"CREATE TEMP VIEW wide_again AS SELECT {read} FROM wide UNION ALL BY NAME SELECT {read} FROM reread"
        )
        device, user = ("anonymous_id", "user_id") if self.pseudonym.plain else ("NULL", "NULL")
        named = f"{device}::VARCHAR AS written_anonymous, {user}::VARCHAR AS written_user"
        self.run(
            f"""CREATE TEMP VIEW writable AS
                SELECT row, event_id, fingerprint, {_COLUMNS}, NULL::VARCHAR AS suffix, {named}, false AS written
                FROM wide_again
                UNION ALL BY NAME
                SELECT row, coalesce(original_event_id, event_id) AS event_id, NULL::BLOB AS fingerprint, {_COLUMNS},
                       CASE WHEN original_event_id IS NOT NULL THEN event_id[-16:] END AS suffix, {named}, true AS written
                FROM base_wide SEMI JOIN deciding USING (row) ANTI JOIN reread USING (row)"""
        )

    def place(self, result: pa.Table) -> int:
        """Place the changed rows among the others, and say what became of all; return how many are kept."""
        self.connection.register("result", result)
        self.run(
            "CREATE TEMP TABLE changed AS SELECT *, (verdict_identity >= 16)::INT AS allow_identity FROM result"
        )
        self.run(
            """CREATE TEMP TABLE unchanged AS SELECT row, place, event_time, stretch, renamed
               FROM base_outcome ANTI JOIN affected USING (row) WHERE place IS NOT NULL"""
        )
        return place_changed(self.connection)

    def tell_outcome(self, gone: list[pa.Table]) -> None:
        """Leave the views `decided`, what became of the rows that were decided anew, and `fate` and `outcome`, of all."""
        self.connection.register("gone", pa.concat_tables(gone))
        columns = ", ".join(f"o.{name}" for name in OUTCOME if name != "place")
        self.run(
            f"CREATE TEMP VIEW decided AS {KEPT} UNION ALL BY NAME SELECT row, removed_by, subject, event_time FROM gone"
        )
        self.run(
            """CREATE TEMP VIEW fate AS SELECT row, removed_by, subject FROM base_outcome ANTI JOIN affected USING (row)
               UNION ALL SELECT row, removed_by, subject FROM decided"""
        )
        self.run(
            f"""CREATE TEMP VIEW outcome AS
                SELECT {columns}, m.place FROM base_outcome o ANTI JOIN affected USING (row) LEFT JOIN moved m USING (row)
                UNION ALL BY NAME FROM decided"""
        )

    def write_events(self, registry: Registry, beside: Executor) -> Future[int]:
        """Begin to write `events.parquet`, to end with its rows; leaves the changed ones in `changed_event`."""
        identifiers = self.connection.sql(
            "SELECT code, value, digest FROM identifier ORDER BY code"
        ).to_arrow_table()
        changed = events_in_order(
            self.connection, identifiers, registry=registry, pseudonym=self.pseudonym
        ).to_arrow_table()
        order = self.connection.execute("SELECT row, place, before FROM kept ORDER BY place").fetchnumpy()
        placed = [pa.array(order[name], pa.int64()) for name in ("row", "place")]
        self.connection.register(
            "changed_event", changed.append_column("row", placed[0]).append_column("place", placed[1])
        )
        removed = np.zeros(self.events.rows, bool)
        removed[self.leaving] = True
        batches = merged_events(
            self.events, removed, changed.cast(EVENT_COLUMNS), np.asarray(order["before"], np.int64)
        )
        return beside.submit(write_parquet, self.made / "events.parquet", batches, EVENT_COLUMNS)

    def view_moved(self) -> None:
        """Leave what `eventlib.restatement.compare` asks for."""
        facts = "(SELECT * FROM subset SEMI JOIN affected USING (row))"
        known = "row, event_name, event_time, person_id, session_id, allow_identity"
        view_rows(self.connection, "before_row", facts, "undone", f"(SELECT {known} FROM base_wide)")
        view_rows(self.connection, "after_row", "subset", "decided", f"(SELECT {known} FROM changed_event)")

    def row_digest(self) -> str:
        """Return the digest of all written rows, from that of the base and of those that changed."""
        before = digest_rows(
            self.connection,
            "(SELECT * FROM undone WHERE place IS NOT NULL) JOIN subset f USING (row)",
        )
        after = digest_rows(self.connection, "kept JOIN fact f USING (row)")
        return f"{(int(self.base.prepared.run['row_digest'], 16) - before + after) % 2**64:016x}"

    def ledger(self, flow: Flow) -> Ledger:
        """Return the accounting of all logs: the base's, less what was decided anew, and what that gave."""
        again = Counter(
            dict(
                self.connection.execute(
                    "SELECT removed_by, count(*) FROM undone WHERE removed_by IS NOT NULL GROUP BY ALL"
                ).fetchall()
            )
        )
        held = {entry.stage: Counter(entry.removed) for entry in self.base.prepared.ledger}
        read, new = next(iter(self.base.prepared.ledger)), self.log.entry
        ledger = Ledger(
            [
                Entry(
                    "read",
                    read.rows_in + new.rows_in,
                    read.rows_out + new.rows_out,
                    Counter(read.removed) + Counter(new.removed),
                )
            ]
        )
        for entry in list(flow.ledger)[1:]:
            stays = {code: count - again[code] for code, count in held.get(entry.stage, Counter()).items()}
            removed = Counter(stays) + Counter(entry.removed)
            ledger.add(Entry(entry.stage, ledger.rows_out, ledger.rows_out - removed.total(), removed))
        return ledger


_COLUMNS: Final = (
    "event_name, schema_version, source, channel, occurred_at, sent_at, received_at, sequence, ai_engine, agent, url, "
    "referrer, user_agent, jurisdiction, properties"
)


def add_rows(
    connection: duckdb.DuckDBPyConnection,
    base: Base,
    events: WrittenEvents,
    log: Log,
    made: Path,
    *,
    means: Means,
    options: Options,
    work: Path,
    beside: Executor,
) -> Added:
    """Add the rows of new logs to a dataset, and write every table of the result but its stamp and ledger.

    Parameters
    ----------
    connection
        A fresh connection.
    base
        What to build on.
    events
        Its events.
    log
        The new logs, read with what the base's adapters knew.
    made
        Where the new version is made.
    means, options
        How; as the base was prepared.
    work
        Folder for what is read again.
    beside
        Where the events are written meanwhile.
    """
    registry, policy = schema_registry(options.schemas), means.policy
    pseudonym = Pseudonymiser(means.key, plain=options.plain_identifiers)
    run = _Run(connection, base, events, log, made, pseudonym)
    run.open_state()
    plain = run.read_new(policy.impersonal_names)
    tombstones = carry_over(connection, means.tombstones)
    run.find_erased(tombstones)
    latest = max(base.stamp["latest"], run.count("SELECT max(received) FROM new_fact"))
    as_of = microseconds(options.as_of)
    moment = latest if as_of is None else as_of
    stated = (
        base.statements().in_force(base.stamp["as_of"], NONE),
        means.statements.in_force(moment, tombstones),
    )
    find_affected(connection, policy, (base.stamp["as_of"], moment), base.stamp["latest"], stated)
    rows = run.take_affected()
    where = engine(chosen_engine(options.engine, rows), connection)
    narrow = run.with_erased(code_facts(connection, plain, where, tombstones))
    entry = Entry("read", rows, rows)
    flow = Flow(narrow, where, policy, pseudonym, entry, moment, means.timing, means.statements)
    flow.latest = latest
    ordered, late = flow.order(flow.consent(flow.clock()))
    numbered = flow.sessions(ordered)
    run.find_wanted(
        flow.collect(numbered, "row", "renamed", "verdict_identity"), late, marked_names(registry)
    )
    run.read_wanted(options.schemas, work)
    tables = Tables(connection, base, made, run.files, pseudonym)
    if pseudonym.plain:
        flow.pseudonym = tables.written(plain | plain_names(connection, pseudonym, "reread"))
    people = flow.identify(numbered, base.registry())
    run.view_wide()
    kept = run.place(flow.result(numbered, people))
    run.tell_outcome(flow.gone)
    ledger = run.ledger(flow)
    if kept != ledger.rows_out:
        raise RuntimeError(f"{kept} rows were placed, but the ledger says {ledger.rows_out}")
    written = run.write_events(registry, beside)
    tables.write_people(people)
    tables.write_sessions()
    tables.write_quarantine(log.quarantine, late)
    consent = count_consent(embedded_facts(connection, policy, "all_fact"), policy, moment)
    counts = consent, retries(connection, "all_fact")
    run.view_moved()
    return Added(ledger, flow, run.row_digest(), *counts, rows - log.entry.rows_out, written)
