"""What tomorrow's run must know of the logs before it, and nobody may read: keyed digests, times, small vocabularies (S2.3).

state/facts/0000.parquet …   one row per valid event, a file per run: immutable, shared by later versions
state/outcome.parquet        what became of each: its place among the kept events, or why it was removed
state/identifiers.parquet    code, namespace, pseudonym, and the pseudonym of the normalised form
state/links.parquet          explicit links, identifiers as pseudonyms
state/copies.parquet         events that share their id with another
state/minted.parquet         how many records of one content came without an id (S1.9)
state/tombstones.parquet     who was erased, where anybody was (S2.8)
state/state.json             the settings, files and totals that the next run is held to
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa

from eventlib.border import CONSENT_FLAGS
from eventlib.engine import parquet, quoted
from eventlib.errors import BadCallError
from eventlib.manual_links import NO_STATEMENTS, Statements
from eventlib.model import PURPOSES
from eventlib.prepared import read_json
from eventlib.resources import schemas_dir
from eventlib.tombstones import ERASED, NONE, Tombstones

__all__ = [
    "FORMAT",
    "KEPT",
    "OUTCOME",
    "new_state",
    "outcome",
    "read_state",
    "retries",
    "rewrite_inputs",
    "schemas_digest",
    "share_facts",
    "statements_of",
    "write_state",
]

FORMAT: Final = 4
"""Changes whenever state that was written before can no longer be taken up."""

OUTCOME: Final = (
    "row", "removed_by", "subject", "place", "event_time", "clock_offset", "stretch", "clock_method", "is_late", "renamed",
    "session", "person", *(f"verdict_{purpose}" for purpose in PURPOSES),
)  # fmt: skip


def schemas_digest(folder: Path | None) -> str:
    """Return a digest of the schemas in a folder, or of the shipped ones."""
    root = folder or schemas_dir()
    found = hashlib.sha256()
    for file in sorted(root.rglob("*.json")):
        for part in (file.relative_to(root).as_posix().encode(), file.read_bytes()):
            found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def new_state(version: Path) -> Path:
    """Make the folder of a version's state, for its owner alone."""
    folder = version / "state"
    (folder / "facts").mkdir(parents=True)
    folder.chmod(0o700)
    return folder


KEPT: Final = """
SELECT row, NULL::VARCHAR AS removed_by, NULL::BIGINT AS subject, place, event_time, clock_offset, stretch,
       clock_method::TINYINT AS clock_method, is_late::TINYINT AS is_late, renamed::TINYINT AS renamed, session, person,
       {verdicts} FROM kept
""".format(verdicts=", ".join(f"verdict_{purpose}::TINYINT AS verdict_{purpose}" for purpose in PURPOSES))


def outcome(connection: duckdb.DuckDBPyConnection, gone: Sequence[pa.Table]) -> None:
    """Leave what became of this run's rows, the first of a dataset, for `write_state`.

    Parameters
    ----------
    connection
        Holds `kept` and what `eventlib.narrow.encode` leaves.
    gone
        The rows that the stages removed.
    """
    connection.register("gone", pa.concat_tables(gone))
    for view, query in (
        ("all_identifier", "SELECT * FROM identifier"),
        ("all_link", "SELECT * FROM fact_link"),
        ("shared_event", "SELECT row, source, event_digest, anonymous, user FROM copy JOIN fact USING (row)"),
    ):
        connection.execute(f"CREATE TEMP VIEW {view} AS {query}")
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW outcome AS {KEPT}
            UNION ALL BY NAME SELECT row, removed_by, subject, event_time FROM gone"""  # noqa: S608  # names of our own columns
    )
    connection.execute("CREATE TEMP VIEW fate AS SELECT row, removed_by, subject FROM outcome")


_RETRY_GAPS: Final = """CASE WHEN waited < 60e6 THEN 'under 1 min' WHEN waited < 3600e6 THEN '1 to 60 min'
     WHEN waited < 86400e6 THEN '1 to 24 h' ELSE 'over 1 day' END"""


def retries(connection: duckdb.DuckDBPyConnection, facts: str = "fact") -> list[dict[str, Any]]:
    """Count removed copies by producer and by how long after the earliest each came."""
    rows = connection.execute(
        f"""SELECT source, {_RETRY_GAPS} AS gap, count(*) AS events FROM (
              SELECT source, removed_by, received - min(received) OVER (PARTITION BY source, event_digest, fingerprint_digest) AS waited
              FROM (SELECT row, removed_by FROM fate WHERE row IN (SELECT row FROM shared_event))
              JOIN (SELECT * FROM {facts} WHERE row IN (SELECT row FROM shared_event)) USING (row)
              WHERE removed_by IS NULL OR removed_by = 'duplicate'
            ) WHERE removed_by = 'duplicate' GROUP BY ALL ORDER BY source, min(waited)"""  # noqa: S608  # our own rows
    ).fetchall()
    return [{"source": source, "gap": gap, "events": events} for source, gap, events in rows]


_OF_DEVICE: Final = frozenset({"source", "channel", "occurred", "sent", "received", "true_time", "sequence"})
_OF_SUBJECT: Final = frozenset(
    {
        "jurisdiction",
        "notice_version",
        "updated",
        "observed",
        *CONSENT_FLAGS,
        *(f"said_{p}" for p in PURPOSES),
    }
)

_TRACES: Final = """
CREATE OR REPLACE TEMP TABLE trace AS
WITH used AS (SELECT anonymous AS code FROM {facts} ANTI JOIN erased_fact USING (row)
              UNION SELECT user FROM {facts} ANTI JOIN erased_fact USING (row)),
     left_of AS (SELECT row, f.user AS had, CASE WHEN f.anonymous IN (FROM used) THEN f.anonymous ELSE 0 END AS anonymous,
                        CASE WHEN f.user IN (FROM used) THEN f.user ELSE 0 END AS user
                 FROM {facts} f SEMI JOIN erased_fact USING (row))
SELECT row, anonymous, user, anonymous > 0 OR user > 0 AS stays, CASE WHEN had > 0 THEN user > 0 ELSE anonymous > 0 END AS speaks
FROM left_of
"""
"""What is left of erased rows: a device or user whose other rows stay."""


def _left(name: str, kind: str) -> str:
    """Return the SQL of a column of a row that may be erased."""
    if name in ("anonymous", "user"):
        return f"coalesce(t.{name}, f.{name}) AS {name}"
    nothing = "false" if kind == "BOOLEAN" else "NULL"
    if name in _OF_DEVICE:
        kept = "t.stays"
    elif name in _OF_SUBJECT:
        kept = "t.speaks"
    else:
        kept, nothing = "false", "NULL"
    return f"CASE WHEN t.row IS NULL OR {kept} THEN f.{name} ELSE {nothing} END AS {name}"


def _empty_facts(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Leave nothing of the erased rows but that there were so many, and the table `erased_fact` (`row`) of them.

    A device that others use keeps the times by which its clock is told, and a subject that stays what it has said: the log
    that is read again shows them too.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE erased_fact AS SELECT row FROM outcome WHERE removed_by = '{ERASED}'"  # noqa: S608  # our own name
    )
    files = sorted((folder / "facts").glob("*.parquet"))
    connection.execute(_TRACES.format(facts=parquet(*files)))
    for file in files:
        facts = parquet(file)
        gone = connection.sql(f"SELECT row FROM {facts} SEMI JOIN trace USING (row)")  # noqa: S608  # our own file
        if not gone.limit(1).fetchall():
            continue
        described = connection.execute(f"DESCRIBE SELECT * FROM {facts}").fetchall()  # noqa: S608  # as above
        kept = ", ".join(_left(name, kind) for name, kind, *_ in described if name != "row")
        aside = file.with_suffix(".new")
        connection.execute(
            f"""COPY (SELECT f.row, {kept} FROM {facts} f LEFT JOIN trace t USING (row) ORDER BY f.row)
                TO {quoted(aside)} (FORMAT parquet)"""  # noqa: S608  # our own columns
        )
        aside.replace(file)  # earlier versions share the file, and keep theirs


def write_state(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    stamp: Mapping[str, Any],
    tombstones: Tombstones = NONE,
) -> None:
    """Write everything but the facts, and take those of erased rows out.

    Parameters
    ----------
    connection
        Holds `outcome, all_identifier, all_link, shared_event, minted`.
    folder
        Where the state goes.
    stamp
        What the next run is held to.
    tombstones
        Who was erased.
    """
    told, known, there = list(OUTCOME), "", ""
    if tombstones:
        _empty_facts(connection, folder)
        facts = parquet(*sorted((folder / "facts").glob("*.parquet")))
        named = f"SELECT anonymous AS code FROM {facts} UNION SELECT user FROM {facts}"  # noqa: S608  # our own files
        known, there = f"SEMI JOIN ({named}) USING (code)", "ANTI JOIN erased_fact USING (row)"
        told[2:] = [
            f"CASE WHEN removed_by = '{ERASED}' THEN NULL ELSE {name} END AS {name}" for name in OUTCOME[2:]
        ]
    tables = {
        "outcome": f"SELECT {', '.join(told)} FROM outcome",  # noqa: S608  # names of our own columns
        "identifiers": f"SELECT code, namespace, digest, node FROM all_identifier {known} ORDER BY code",  # noqa: S608  # as above
        "links": f"SELECT row, links FROM all_link {there} ORDER BY row",  # noqa: S608  # as above
        "copies": f"SELECT row, source, event_digest, anonymous, user FROM shared_event {there} ORDER BY row",  # noqa: S608  # as above
        "minted": "SELECT digest, held FROM minted ORDER BY digest",
    }
    for name, query in tables.items():
        connection.execute(
            f"COPY ({query}) TO {quoted(folder / f'{name}.parquet')} (FORMAT parquet, COMPRESSION zstd)"
        )
    _write_stamp(folder, {"format": FORMAT, **stamp})
    if tombstones:
        tombstones.write(folder / "tombstones.parquet")
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o600)


def _write_stamp(folder: Path, content: Mapping[str, Any]) -> None:
    (folder / "state.json").write_bytes(
        orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    )


def rewrite_inputs(version: Path, inputs: Sequence[Mapping[str, Any]]) -> None:
    """Write anew what a version's state says of the files that were read."""
    _write_stamp(version / "state", {**read_state(version), "inputs": list(inputs)})


def read_state(version: Path) -> dict[str, Any]:
    """Return the stamp of a version's state.

    Raises
    ------
    BadCallError
        If the version has none, a damaged one, or one that this code does not read.
    """
    file = version / "state" / "state.json"
    if not file.is_file():
        raise BadCallError(
            f"{version} holds no state to build on: prepare all its logs anew, then use --onto"
        )
    stamp: dict[str, Any] = read_json(file)
    if stamp.get("format") != FORMAT:
        raise BadCallError(
            f"{version} holds a state of format {stamp.get('format')}, this eventlib reads {FORMAT}: prepare all its logs anew"
        )
    return stamp


def statements_of(folder: Path) -> Statements:
    """Return what was stated by hand for the dataset in a folder, as far as it keeps state."""
    version = (folder / "current").resolve() if (folder / "current").exists() else folder
    there = (version / "state" / "state.json").is_file()
    return Statements.of_state(read_state(version)["manual_links"]) if there else NO_STATEMENTS


def share_facts(base: Path, folder: Path) -> list[Path]:
    """Bring the facts of earlier runs into a new state: they never change, so linked where the file system can."""
    shared = []
    for file in sorted((base / "facts").glob("*.parquet")):
        target = folder / "facts" / file.name
        try:
            os.link(file, target)
        except OSError:
            shutil.copy2(file, target)
        shared.append(target)
    return shared
