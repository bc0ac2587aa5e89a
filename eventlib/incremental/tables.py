"""People, sessions and quarantine of a new version: the base's rows that nothing touched, and the new ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb
import orjson
import pyarrow as pa

from eventlib.arrow import read_parquet, write_parquet
from eventlib.engine import parquet
from eventlib.identity import EVIDENCE_KEY, Identities
from eventlib.identity.aliases import plain_names_of
from eventlib.incremental.base import Base
from eventlib.ordering.lateness import LATE_CODES
from eventlib.pseudonyms import JUNK_MARK, Pseudonymiser, Written
from eventlib.writing import SESSION_COLUMNS, sessions_of, write_quarantine, write_table

__all__ = ["Tables"]

_PEOPLE_ORDER: Final = "substr(person_id, 3)::BIGINT, namespace, identifier, rule, first_seen, last_seen"
_EVIDENCE_ORDER: Final = ", ".join(EVIDENCE_KEY)
_REFUSED_ORDER: Final = (
    "left_namespace, left_identifier, right_namespace, right_identifier, rule, events::VARCHAR, "
    "epoch_us(first_seen)::VARCHAR"
)


class Tables:
    """Merges the small tables.

    Parameters
    ----------
    connection
        Holds `affected, undone, touched, all_identifier, fact_link, base_fact, base_wide, changed_event` and `wide_again`.
    base
        What is built on.
    made
        Where the new version is made.
    files
        What file numbers stand for.
    pseudonym
        How identifiers are written.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        base: Base,
        made: Path,
        files: Sequence[str],
        pseudonym: Pseudonymiser,
    ) -> None:
        self.connection, self.base, self.made, self.files, self.pseudonym = (
            connection,
            base,
            made,
            files,
            pseudonym,
        )

    def _old(self, name: str) -> pa.Table:
        return read_parquet(self.base.folder / f"{name}.parquet")

    def _digest(self, namespace: str, identifier: str) -> str:
        return self.pseudonym.keyed(namespace, identifier) if self.pseudonym.plain else identifier

    def _named(self) -> Iterator[tuple[str, str]]:
        """Yield the identifiers that the base's tables name."""
        people, refused = self._old("people"), self._old("refused_merges")
        yield from zip(people["namespace"].to_pylist(), people["identifier"].to_pylist(), strict=True)
        for side in ("left", "right"):
            names = (refused[f"{side}_{what}"].to_pylist() for what in ("namespace", "identifier"))
            yield from zip(*names, strict=True)

    def written(self, plain: Mapping[str, str]) -> Written:
        """Return how pseudonyms are written: as what the new logs, the base's tables or its events call them."""
        held = {self.pseudonym.keyed(*each): each[1] for each in self._named()}
        again = self.connection.sql(
            "SELECT anonymous_id, user_id, event_name, properties FROM base_wide"
        ).to_arrow_table()
        return Written(self.pseudonym, {**held, **plain_names_of([again], self.pseudonym), **plain})

    def _touched(self) -> set[tuple[str, str]]:
        """Return the identifiers whose people are decided anew; a junk user stands for nobody."""
        rows = self.connection.execute(
            "SELECT namespace, node FROM all_identifier JOIN touched USING (code)"
        ).fetchall()
        links = self.connection.execute("SELECT links FROM fact_link").fetchall()
        linked = {tuple(each) for (text,) in links for each in orjson.loads(text)}
        # a junk device is a stream of its own; one that a link names is nobody
        streams = {row for row in rows if row[0] == "anonymous_id" or not row[1].startswith(JUNK_MARK)}
        nodes = streams | {each for each in linked if not each[1].startswith(JUNK_MARK)}
        return {(namespace, node.removeprefix(JUNK_MARK)) for namespace, node in nodes}

    def _untouched(self, table: pa.Table, sides: Sequence[str], touched: set[tuple[str, str]]) -> pa.Table:
        keep = [True] * len(table)
        for side in sides:
            names = zip(
                *(table[f"{side}{what}"].to_pylist() for what in ("namespace", "identifier")), strict=True
            )
            keep = [
                kept and (name[0], self._digest(*name)) not in touched
                for kept, name in zip(keep, names, strict=True)
            ]
        return table.filter(pa.array(keep, pa.bool_()))

    def _ordered(self, name: str, old: pa.Table, new: pa.Table, order: str) -> None:
        self.connection.register("joined_table", pa.concat_tables([old.cast(new.schema), new]))
        found = self.connection.sql(f"SELECT * FROM joined_table ORDER BY {order}").to_arrow_table()
        write_table(found.cast(new.schema), self.made, name)

    def write_people(self, people: Identities) -> None:
        """Write people, registry, refused merges and evidence."""
        touched = self._touched()
        old = self._untouched(self._old("people"), [""], touched)
        self._ordered("people", old, people.people, _PEOPLE_ORDER)
        refused = self._untouched(self._old("refused_merges"), ["left_", "right_"], touched)
        self._ordered("refused_merges", refused, people.refused, _REFUSED_ORDER)
        evidence = self._untouched(self._old("evidence"), ["left_", "right_"], touched)
        self._ordered("evidence", evidence, people.evidence, _EVIDENCE_ORDER)
        write_table(people.registry, self.made, "registry")

    def write_sessions(self) -> None:
        """Write sessions: those of the changed rows' devices anew, from all rows of theirs."""
        self.connection.register("changed_session", sessions_of(self.connection, "changed_event"))
        found = self.connection.sql(
            f"""SELECT * FROM {parquet(self.base.folder / "sessions.parquet")} ANTI JOIN base_wide USING (session_id)
                UNION ALL BY NAME SELECT * FROM changed_session ORDER BY started_at, session_id"""
        ).to_arrow_table()
        write_parquet(self.made / "sessions.parquet", found.to_batches(), SESSION_COLUMNS)

    def write_quarantine(self, quarantine: pa.Table, late: pa.Table) -> int:
        """Write the quarantine: lines refused by any run, and events refused for their times by this one."""
        codes = ", ".join(f"'{code}'" for code in LATE_CODES)
        self.connection.register(
            "file_name", pa.table({"name": pa.array(self.files, pa.string()), "file": range(len(self.files))})
        )
        self.connection.register("late_now", late)
        mended = self.connection.sql(
            f"""SELECT name AS source_file, line FROM undone o
                JOIN base_fact f USING (row) JOIN file_name USING (file) LEFT JOIN late_now l USING (row)
                WHERE o.removed_by IN ({codes}) AND o.removed_by IS DISTINCT FROM l.removed_by"""
        ).to_arrow_table()
        gone = set(zip(mended["source_file"].to_pylist(), mended["line"].to_pylist(), strict=True))
        old = self._old("quarantine")
        places = zip(old["source_file"].to_pylist(), old["line"].to_pylist(), strict=True)
        kept = old.filter(pa.array([place not in gone for place in places], pa.bool_()))
        # one that was late before for the same reason has its row already
        return write_quarantine(
            self.connection,
            pa.concat_tables([kept.cast(quarantine.schema), quarantine]),
            late,
            self.files,
            self.made,
            wide="wide_again",
        )
