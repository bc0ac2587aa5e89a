"""From the narrow result back to wide tables, written in total order by the one writer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from eventlib.arrow import read_parquet, write_parquet
from eventlib.engine import numbered_parquet
from eventlib.errors import BadCallError
from eventlib.model import EVENT_COLUMNS, PURPOSES, QUARANTINE_COLUMNS
from eventlib.ordering import ORDER
from eventlib.prepared import event_files
from eventlib.pseudonyms import Pseudonymiser
from eventlib.schema import Registry
from eventlib.timing import CLOCK_METHODS

__all__ = [
    "digest_rows",
    "events_in_order",
    "marked_names",
    "place_kept",
    "placed_events",
    "read_registry",
    "rewrite_properties",
    "row_digest",
    "sessions_of",
    "write_events",
    "write_quarantine",
    "write_sessions",
    "write_table",
]

_BATCH: Final = 122_880
_PART_BATCHES: Final = 8

SESSION_COLUMNS: Final = pa.schema(
    [
        ("session_id", pa.string()),
        ("person_id", pa.string()),
        ("anonymous_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("ended_at", pa.timestamp("us", tz="UTC")),
        ("events", pa.int64()),
        ("engine", pa.string()),
        ("landing_content_id", pa.string()),
    ]
)


def _marked(schema: Any) -> bool:
    if isinstance(schema, dict):
        return schema.get("x-identifier") is True or any(map(_marked, schema.values()))
    return isinstance(schema, list) and any(map(_marked, schema))


_Change = Callable[[str, str], str | None]


def _rewrite(schema: Any, value: Any, change: _Change, namespace: str = "property") -> Any:
    """Replace what the schema marks `x-identifier` within a value; None where it must go.

    An identifier beside its namespace is written as everywhere else, so that it can be joined.
    """
    if isinstance(value, list):
        return [_rewrite(schema.get("items", {}), item, change) for item in value]
    if isinstance(value, dict):
        known, named = schema.get("properties", {}), str(value.get("namespace", "property"))
        return {key: _rewrite(known.get(key, {}), item, change, named) for key, item in value.items()}
    return (
        change(namespace, value) if schema.get("x-identifier") is True and isinstance(value, str) else value
    )


def _nothing(_namespace: str, _value: str) -> None:
    """Stand for an identifier that consent keeps back (S2.4)."""


def marked_names(registry: Registry) -> list[str]:
    """Return the events whose schema marks identifiers in their properties."""
    # by any version: an older one may mark what the newest no longer knows
    return [name for name, versions in registry.schemas.items() if any(map(_marked, versions.values()))]


def rewrite_properties(
    registry: Registry, name: str, version: str, text: str, pseudonym: Pseudonymiser, *, allowed: bool
) -> str:
    """Return an event's properties with marked identifiers as pseudonyms, or without them where identity is not allowed."""
    change: _Change = pseudonym if allowed else _nothing
    value = _rewrite(registry.properties_schema(name, version), orjson.loads(text), change)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _properties(connection: duckdb.DuckDBPyConnection, registry: Registry, pseudonym: Pseudonymiser) -> None:
    """Leave the table `rewritten` with the properties of events whose schema marks identifiers in them."""
    rows = connection.execute(
        """SELECT w.row, event_name, schema_version, properties, allow_identity, written FROM writable w JOIN kept USING (row)
           WHERE event_name IN (SELECT unnest(?::VARCHAR[]))""",
        [marked_names(registry)],
    ).fetchall()
    written = [
        (row, rewrite_properties(registry, name, version, text, pseudonym, allowed=allowed))
        for row, name, version, text, allowed, is_written in rows
        if not (allowed and is_written)
    ]
    rows_column, texts = zip(*written, strict=True) if written else ((), ())
    connection.register(
        "rewritten",
        pa.table({"row": pa.array(rows_column, pa.int64()), "rewritten": pa.array(texts, pa.string())}),
    )


def _pseudonyms(
    connection: duckdb.DuckDBPyConnection, identifiers: pa.Table, pseudonym: Pseudonymiser
) -> None:
    named = identifiers["value" if pseudonym.plain else "digest"]
    connection.register("pseudonym", pa.table({"code": identifiers["code"], "pseudonym": named}))


def _sessions(connection: duckdb.DuckDBPyConnection, identifiers: pa.Table, pseudonym: Pseudonymiser) -> None:
    """Leave the table `session_name`: an id from the device and the session's first event, so that later ones keep it."""
    digest = dict(zip(identifiers["code"].to_pylist(), identifiers["digest"].to_pylist(), strict=True))
    first = connection.sql(
        """SELECT device, session, w.source || ':' || w.event_id AS first FROM (
             SELECT device, session, arg_min(row, place) AS row FROM kept WHERE session > 0 GROUP BY ALL) JOIN writable w USING (row)"""
    ).to_arrow_table()
    columns = (first[name].to_pylist() for name in ("device", "session", "first"))
    ids = [
        pseudonym.keyed("session", f"{digest[device]}|{event}")
        for device, _, event in zip(*columns, strict=True)
    ]
    connection.register(
        "session_name",
        first.select(["device", "session"]).append_column("session_id", pa.array(ids, pa.string())),
    )


_METHODS: Final = list(CLOCK_METHODS)

_EVENTS: Final = f"""
SELECT CASE WHEN k.renamed = 1 THEN w.event_id || '~' || coalesce(w.suffix, substr(lower(hex(w.fingerprint)), 1, 16))
            ELSE w.event_id END AS event_id,
       CASE WHEN k.renamed = 1 THEN w.event_id END AS original_event_id,
       w.event_name, w.schema_version, w.source, w.channel, w.occurred_at, w.sent_at, w.received_at, w.sequence,
       make_timestamptz(k.event_time) AS event_time,
       {_METHODS}[k.clock_method + 1] AS clock_method,
       k.clock_offset // 1000 AS clock_offset_ms, k.is_late = 1 AS is_late,
       coalesce(w.written_anonymous, a.pseudonym) AS anonymous_id,
       CASE WHEN k.allow_identity = 1 THEN coalesce(w.written_user, u.pseudonym) END AS user_id,
       CASE WHEN k.person IS NOT NULL THEN format('p-{{:06d}}', k.person) END AS person_id,
       s.session_id, nullif(k.session, 0) AS session_index, w.ai_engine, w.agent, w.url, w.referrer, w.user_agent,
       w.jurisdiction,
       {", ".join(f"k.verdict_{p} >= 16 AS allow_{p}" for p in PURPOSES)},
       {" || ' ' || ".join(f"format('C{{:02d}}', k.verdict_{p} % 16)" for p in PURPOSES)} AS consent_rule,
       coalesce(r.rewritten, w.properties) AS properties
FROM kept k JOIN writable w USING (row)
LEFT JOIN pseudonym a ON a.code = nullif(k.anonymous, 0)
LEFT JOIN pseudonym u ON u.code = nullif(k.user, 0)
LEFT JOIN session_name s ON s.device = k.device AND s.session = k.session
LEFT JOIN rewritten r ON r.row = k.row
ORDER BY k.place
"""  # noqa: S608  # names of our own columns


def place_kept(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave the table `kept`: the relation `kept_unplaced` with each row's place in the total order.

    It holds the narrow result: `row, event_time, clock_*, is_late, renamed, anonymous, user, device, session, person,
    verdict_*`, and the columns of the order.
    """
    connection.execute(
        f"""CREATE TEMP TABLE kept AS SELECT *, (verdict_identity >= 16)::INT AS allow_identity, row_number() OVER (
             ORDER BY {", ".join(f"{name} NULLS LAST" for name in ORDER)}) AS place
           FROM kept_unplaced"""  # noqa: S608  # our own columns
    )


def write_events(
    connection: duckdb.DuckDBPyConnection,
    identifiers: pa.Table,
    folder: Path,
    *,
    registry: Registry,
    pseudonym: Pseudonymiser,
    partitioned: bool = False,
) -> int:
    """Write `events.parquet` in total order, and return its rows.

    Parameters
    ----------
    connection
        Holds the view `wide` of `eventlib.narrow.encode`, and `kept`.
    identifiers
        `code, value, digest`, as `eventlib.narrow.Narrow` holds them.
    folder
        Where the file goes.
    registry
        Says which properties hold identifiers.
    pseudonym
        How identifiers are written.
    partitioned
        Write `events/part-*.parquet` instead, each a range of the total order.
    """
    connection.execute(
        """CREATE TEMP VIEW writable AS
           SELECT *, NULL::VARCHAR AS suffix, NULL::VARCHAR AS written_anonymous, NULL::VARCHAR AS written_user, false AS written
           FROM wide"""
    )
    events = events_in_order(connection, identifiers, registry=registry, pseudonym=pseudonym)
    reader = events.to_arrow_reader(_BATCH)
    if partitioned:
        return _write_parts(folder / "events", reader)
    return write_parquet(folder / "events.parquet", reader, EVENT_COLUMNS)


def _write_parts(folder: Path, batches: Iterable[pa.RecordBatch]) -> int:
    """Write events as parts of about a million rows, and return the rows."""
    folder.mkdir()
    stream, rows = iter(batches), 0
    for part in count():
        first = list(islice(stream, 1))
        if part and not first:
            break
        content = chain(first, islice(stream, _PART_BATCHES - 1))
        rows += write_parquet(folder / f"part-{part:05d}.parquet", content, EVENT_COLUMNS)
    return rows


def events_in_order(
    connection: duckdb.DuckDBPyConnection,
    identifiers: pa.Table,
    *,
    registry: Registry,
    pseudonym: Pseudonymiser,
) -> duckdb.DuckDBPyRelation:
    """Return the rows of `events.parquet`, in order.

    Parameters
    ----------
    connection
        Holds `kept`, with `place`, and `writable`: the canonical frame, where `written` says that a row was taken from an
        `events.parquet` and holds what that does.
    identifiers, registry, pseudonym
        As `write_events` takes them.
    """
    _pseudonyms(connection, identifiers, pseudonym)
    _sessions(connection, identifiers, pseudonym)
    _properties(connection, registry, pseudonym)
    return connection.sql(_EVENTS)


def placed_events(version: Path) -> str:
    """Return a version's events as an SQL relation with `place`, from 1 in total order over all their files."""
    selected, before = [], 1
    for file in event_files(version):
        selected.append(f"SELECT *, file_row_number + {before} AS place FROM {numbered_parquet(file)}")  # noqa: S608  # our own file
        before += pq.read_metadata(file).num_rows
    return f"({' UNION ALL BY NAME '.join(selected)})"


def write_sessions(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Write `sessions.parquet` from the written events, in one file or several, by start."""
    found = sessions_of(connection, placed_events(folder))
    return write_parquet(folder / "sessions.parquet", found.to_batches(), SESSION_COLUMNS)


def sessions_of(connection: duckdb.DuckDBPyConnection, events: str) -> pa.Table:
    """Return the sessions of a relation of written events with their `place`, by start."""
    return connection.sql(
        f"""SELECT session_id, mode(person_id ORDER BY person_id) AS person_id, any_value(anonymous_id) AS anonymous_id,
                   min(event_time) AS started_at, max(event_time) AS ended_at, count(*) AS events,
                   arg_min(ai_engine, place) AS engine,
                   arg_min(json_extract_string(properties, '$.content_id'), place) FILTER (event_name IN ('page_view', 'referral_land'))
                     AS landing_content_id
            FROM {events} WHERE session_id IS NOT NULL GROUP BY session_id ORDER BY started_at, session_id"""  # noqa: S608  # our own rows
    ).to_arrow_table()


def write_quarantine(
    connection: duckdb.DuckDBPyConnection,
    quarantine: pa.Table,
    late: pa.Table,
    files: Iterable[str],
    folder: Path,
    wide: str = "wide",
) -> int:
    """Write `quarantine.parquet`: lines refused while reading, and events refused for their times, by file and line.

    Parameters
    ----------
    connection
        Holds `wide`.
    quarantine
        Columns of `eventlib.model.QUARANTINE_COLUMNS`, and `raw` where it is kept.
    late
        `row, removed_by`.
    files
        What the numbers in `wide.file` stand for.
    folder
        Where the file goes.
    wide
        Relation of the late rows' content; late rows that it does not hold are left out.
    """
    connection.register("refused_late", late)
    names = pa.array(list(files), pa.string())
    connection.register("source_file", pa.table({"source_file": names, "file": range(len(names))}))
    placed = connection.sql(
        f"""SELECT source_file, line, byte_offset, byte_length, digest, event_id, event_name, schema_version, removed_by AS code,
                  '$' AS json_path, CASE removed_by WHEN 'too_late' THEN 'arrived or was sent later than too_late allows'
                  ELSE 'further ahead of its arrival than ahead allows' END AS message, 1::BIGINT AS errors
           FROM refused_late JOIN {wide} USING (row)
           JOIN source_file USING (file)"""  # noqa: S608  # names of our own relations
    ).to_arrow_table()
    schema = quarantine.schema if "raw" in quarantine.schema.names else QUARANTINE_COLUMNS
    missing = pa.nulls(len(placed), pa.string())
    placed = placed.append_column("raw", missing) if "raw" in schema.names else placed
    both = pa.concat_tables([quarantine.cast(schema), placed.cast(schema)])
    ordered = both.sort_by([("source_file", "ascending"), ("line", "ascending")])
    return write_parquet(folder / "quarantine.parquet", ordered.to_batches(), schema)


def write_table(table: pa.Table, folder: Path, name: str) -> int:
    """Write a small table as it is."""
    return write_parquet(folder / f"{name}.parquet", table.to_batches(), table.schema)


def row_digest(connection: duckdb.DuckDBPyConnection) -> str:
    """Return a digest of the written events that depends neither on their order nor on how files are cut.

    The sum, modulo 2^64, of 64 bits of each row's MD5 over its content's fingerprint and what the stages decided.
    """
    return f"{digest_rows(connection, 'kept JOIN fact f USING (row)'):016x}"


_DIGESTED: Final = ", ".join(
    (
        "source, fingerprint_digest, renamed, event_time, person, f.anonymous = 0 AND f.user = 0 AS nobody, session, is_late",
        *(f"verdict_{purpose}" for purpose in PURPOSES),
    )
)


def digest_rows(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    """Return the sum of the rows' digests modulo 2^64; `rows` is a join of narrow rows with their facts `f`."""
    verdicts = ", ".join(f"verdict_{purpose}" for purpose in PURPOSES)
    found = connection.execute(
        f"""SELECT sum(md5_number_lower(concat_ws(chr(31), source, fingerprint_digest, renamed, event_time, person,
              nobody, session, is_late, {verdicts}))::HUGEINT) % 18446744073709551616::HUGEINT
            FROM (SELECT {_DIGESTED} FROM {rows})"""  # noqa: S608  # names of our own columns
    ).fetchone()
    return int(found[0] or 0) if found else 0


def read_registry(path: Path) -> dict[str, str]:
    """Return anchor to person id, of an earlier run's `registry.parquet`.

    Raises
    ------
    BadCallError
        If the file is no registry.
    """
    try:
        table = read_parquet(path, columns=["anchor", "person_id"])
    except (OSError, pa.ArrowInvalid) as error:
        raise BadCallError(f"{path} is no registry.parquet of an earlier run: {error}") from error
    return dict(zip(table["anchor"].to_pylist(), table["person_id"].to_pylist(), strict=True))
