"""From the wide canonical frame to a narrow one of integers, and back (the border's other side).

Strings are coded once, by DuckDB, in the order of their UTF-8 bytes; the stages then sort and join integers on any
engine, and the wide columns are joined back when the result is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from eventlib.border import BORDER_COLUMNS
from eventlib.model import PURPOSES
from eventlib.stage import NO_SEQUENCE

__all__ = ["Narrow", "encode"]

_SAID: Final = ", ".join(f"said_{purpose}" for purpose in PURPOSES)


@dataclass(frozen=True, slots=True)
class Narrow:
    """The narrow frame, and what its codes stand for.

    Attributes
    ----------
    events : pyarrow.Table
        One row per event, Int64 columns: `row, event_key, name_key, source_key, channel_key, anonymous, user, device,
        occurred, sent, received, sequence, copies, fingerprint_key, copy_key, jurisdiction_key, said_*, has_consent, gpc,
        undecoded_signal, notice_key, updated, observed`. Codes are from 1; 0 is none (`device`: null).
    identifiers : pyarrow.Table
        `code, namespace, value`, of anonymous_id and user_id.
    names, sources, jurisdictions, notices : dict of int to str
        What the other codes stand for.
    links : pyarrow.Table
        `row, links`, of identity_link events.
    """

    events: pa.Table
    identifiers: pa.Table
    names: dict[int, str]
    sources: dict[int, str]
    jurisdictions: dict[int, str]
    notices: dict[int, str]
    links: pa.Table


def _dictionary(connection: duckdb.DuckDBPyConnection, column: str) -> dict[int, str]:
    connection.execute(
        f"CREATE TEMP TABLE code_{column} AS SELECT value, row_number() OVER (ORDER BY value) AS code "  # noqa: S608  # names of our own columns
        f"FROM (SELECT DISTINCT {column} AS value FROM wide WHERE {column} IS NOT NULL)"
    )
    rows = connection.table(f"code_{column}").fetchall()
    return {int(code): value for value, code in rows}


def _view(connection: duckdb.DuckDBPyConnection, events: Path | pa.Table) -> None:
    pieces = sorted(events.glob("piece-*.parquet")) if isinstance(events, Path) else []
    if isinstance(events, pa.Table):
        connection.register("piece", events)
    elif pieces:
        listed = ", ".join("'" + str(piece).replace("'", "''") + "'" for piece in pieces)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW piece AS SELECT * FROM read_parquet([{listed}])")  # noqa: S608  # our own files
    else:
        connection.register(
            "piece",
            BORDER_COLUMNS.append(pa.field("row", pa.int64()))
            .append(pa.field("digest", pa.string()))
            .empty_table(),
        )
    # a record that came without an id is told from its like by its occurrence number (S1.9)
    connection.execute(
        """CREATE OR REPLACE TEMP VIEW wide AS SELECT * REPLACE (
             CASE WHEN minted_id THEN event_id || '-' || minted_number ELSE event_id END AS event_id) FROM piece
           LEFT JOIN (SELECT row AS minted_row, row_number() OVER (PARTITION BY event_id ORDER BY row) AS minted_number
                      FROM piece WHERE minted_id) ON row = minted_row"""
    )


def encode(connection: duckdb.DuckDBPyConnection, events: Path | pa.Table) -> Narrow:
    """Code the canonical frame; leaves the view `wide` and the code tables in the connection.

    Parameters
    ----------
    connection
        Where the coding runs and the codes stay.
    events
        A folder with `piece-*.parquet`, or a table; columns `eventlib.border.BORDER_COLUMNS`, `row` and `digest`.
    """
    _view(connection, events)
    run = connection.execute
    dictionaries = [
        _dictionary(connection, column)
        for column in ("event_name", "source", "channel", "jurisdiction", "notice_version")
    ]
    run(
        """CREATE TEMP TABLE identifier AS SELECT row_number() OVER (ORDER BY value, namespace) AS code, namespace, value FROM (
             SELECT DISTINCT 'anonymous_id' AS namespace, anonymous_id AS value FROM wide WHERE anonymous_id IS NOT NULL
             UNION ALL SELECT DISTINCT 'user_id', user_id FROM wide WHERE user_id IS NOT NULL)"""
    )
    run(
        """CREATE TEMP TABLE event_code AS SELECT row, source, event_id, dense_rank() OVER (ORDER BY event_id) AS event_key FROM wide"""
    )
    # copies share a source and an id; only among them are contents compared
    run(
        f"""CREATE TEMP TABLE copy AS
            WITH shared AS (SELECT source, event_key, count(*) AS copies FROM event_code GROUP BY ALL HAVING count(*) > 1)
            SELECT row, copies, dense_rank() OVER (ORDER BY fingerprint) AS fingerprint_key,
                   dense_rank() OVER (ORDER BY sent_at NULLS LAST, jurisdiction NULLS LAST, {_SAID}, has_consent, gpc, undecoded_signal,
                                      notice_version NULLS LAST, consent_updated_at NULLS LAST) AS copy_key
            FROM event_code JOIN shared USING (source, event_key) JOIN wide USING (row)"""  # noqa: S608  # names of our own columns
    )
    events = connection.sql(_NARROW).to_arrow_table()
    names, sources, _, jurisdictions, notices = dictionaries
    return Narrow(
        events=events,
        identifiers=connection.sql(
            "SELECT code, namespace, value FROM identifier ORDER BY code"
        ).to_arrow_table(),
        names=names,
        sources=sources,
        jurisdictions=jurisdictions,
        notices=notices,
        links=connection.sql(
            "SELECT row, links FROM wide WHERE links IS NOT NULL ORDER BY row"
        ).to_arrow_table(),
    )


_NARROW: Final = f"""
SELECT w.row, e.event_key, n.code AS name_key, s.code AS source_key, coalesce(c.code, -1) AS channel_key,
       coalesce(a.code, 0) AS anonymous, coalesce(u.code, 0) AS user, coalesce(a.code, u.code) AS device,
       epoch_us(occurred_at) AS occurred, epoch_us(sent_at) AS sent, epoch_us(received_at) AS received,
       coalesce(sequence, {NO_SEQUENCE}) AS sequence,
       coalesce(copies, 1) AS copies, coalesce(fingerprint_key, 0) AS fingerprint_key, coalesce(copy_key, 0) AS copy_key,
       coalesce(j.code, 0) AS jurisdiction_key, {", ".join(f"said_{p}::BIGINT AS said_{p}" for p in PURPOSES)},
       has_consent::BIGINT AS has_consent, gpc::BIGINT AS gpc, undecoded_signal::BIGINT AS undecoded_signal,
       coalesce(v.code, 0) AS notice_key, epoch_us(consent_updated_at) AS updated,
       CASE observation WHEN 'owned' THEN 1 WHEN 'probe' THEN 2 WHEN 'platform_report' THEN 3 ELSE 0 END::BIGINT AS observed
FROM wide w JOIN event_code e USING (row)
JOIN code_event_name n ON n.value = w.event_name
JOIN code_source s ON s.value = w.source
LEFT JOIN code_channel c ON c.value = w.channel
LEFT JOIN code_jurisdiction j ON j.value = w.jurisdiction
LEFT JOIN code_notice_version v ON v.value = w.notice_version
LEFT JOIN identifier a ON a.namespace = 'anonymous_id' AND a.value = w.anonymous_id
LEFT JOIN identifier u ON u.namespace = 'user_id' AND u.value = w.user_id
LEFT JOIN copy d USING (row)
"""  # noqa: S608  # names of our own columns
