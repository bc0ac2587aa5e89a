"""From the wide canonical frame to a narrow one of integers, and back (the border's other side).

First the raw strings become keyed digests (`fact`), of which tomorrow's run may keep every one; then digests and small
vocabularies are coded, in their order, as integers. The stages sort and join integers on any engine, and the wide
columns are joined back when the result is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import orjson
import pyarrow as pa

from eventlib.border import BORDER_COLUMNS, CONSENT_FLAGS
from eventlib.engine import Engine, Frame, parquet, quoted
from eventlib.identifiers import node_of, normalise
from eventlib.model import PURPOSES
from eventlib.pseudonyms import JUNK_MARK, Pseudonymiser
from eventlib.stage import NO_SEQUENCE
from eventlib.tombstones import NONE, Tombstones

__all__ = [
    "COPY_ORDER",
    "Before",
    "Narrow",
    "carry_over",
    "code_facts",
    "define_keyed",
    "digest_identifiers",
    "encode",
    "erased_rows",
    "hmac_pads",
    "name_plainly",
    "plain_names",
    "state_facts",
    "view_pieces",
]

_SAID: Final = ", ".join(f"said_{purpose}" for purpose in PURPOSES)
_FLAGS: Final = ", ".join(CONSENT_FLAGS)
COPY_ORDER: Final = f"""sent NULLS LAST, jurisdiction NULLS LAST, {_SAID}, {_FLAGS},
  notice_version NULLS LAST, updated NULLS LAST"""
"""What tells copies of an event apart that agree in their fingerprint, over the relation `fact`."""
_BLOCK: Final = 64  # bytes of a SHA-256 block, to which HMAC pads its key


@dataclass(frozen=True, slots=True)
class Narrow:
    """The narrow frame, and what its codes stand for.

    Attributes
    ----------
    events : Frame
        On the engine that runs the stages.
        One row per event, Int64 columns: `row, event_key, name_key, source_key, channel_key, anonymous, user, device,
        occurred, sent, received, true_time, sequence, copies, fingerprint_key, copy_key, jurisdiction_key, said_*, those of
        `CONSENT_FLAGS`, notice_key, updated, observed`. Codes are from 1; 0 is none (`device`: null).
    identifiers : pyarrow.Table
        `code, namespace, value, digest, node` of anonymous_id and user_id: the raw value where this run read it, its
        pseudonym, and the pseudonym of its normalised form (S4.1), after `JUNK_MARK` where it is junk. Codes rise
        with the pseudonyms.
    names, sources, jurisdictions, notices : dict of int to str
        What the other codes stand for.
    links : pyarrow.Table
        `row, links`, of identity_link events; identifiers as their nodes.
    plain : dict of str to str
        Pseudonym to identifier, where plain identifiers were asked for.
    tombstones : Tombstones
        Who was erased.
    erased : pyarrow.Table
        `row`, of the events that were erased though no identifier of theirs was.
    """

    events: Frame
    identifiers: pa.Table
    names: dict[int, str]
    sources: dict[int, str]
    jurisdictions: dict[int, str]
    notices: dict[int, str]
    links: pa.Table
    plain: Mapping[str, str]
    tombstones: Tombstones = NONE
    erased: pa.Table = field(default_factory=pa.schema([("row", pa.int64())]).empty_table)


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier runs leave to the one that builds on them.

    Attributes
    ----------
    state : Path
        Their state.
    rows, files : int
        From where this run numbers its rows and files.
    """

    state: Path
    rows: int
    files: int


def _dictionary(connection: duckdb.DuckDBPyConnection, column: str) -> dict[int, str]:
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE code_{column} AS SELECT value, row_number() OVER (ORDER BY value) AS code "  # noqa: S608  # names of our own columns
        f"FROM (SELECT DISTINCT {column} AS value FROM fact WHERE {column} IS NOT NULL)"
    )
    rows = connection.table(f"code_{column}").fetchall()
    return {int(code): value for value, code in rows}


def view_pieces(
    connection: duckdb.DuckDBPyConnection, events: Path | pa.Table, before: Before | None = None
) -> None:
    """Leave the view `wide`: the canonical frame, each record that came without an id told from its like (S1.9).

    Leaves the table `minted` too: of each such content a keyed digest, and how many records hold it by now.

    Parameters
    ----------
    connection
        Where the view stays; has the function `keyed`.
    events
        A folder with `piece-*.parquet`, or a table; columns `eventlib.border.BORDER_COLUMNS`, `row` and `digest`.
    before
        Earlier runs, after whose rows and files these are numbered.
    """
    pieces = sorted(events.glob("piece-*.parquet")) if isinstance(events, Path) else []
    if isinstance(events, pa.Table):
        connection.register("piece", events)
    elif pieces:
        shift = f"REPLACE (row + {before.rows} AS row, file + {before.files} AS file)" if before else ""
        connection.execute(f"CREATE OR REPLACE TEMP VIEW piece AS SELECT * {shift} FROM {parquet(*pieces)}")  # noqa: S608  # our own files
    else:
        connection.register(
            "piece",
            BORDER_COLUMNS.append(pa.field("row", pa.int64()))
            .append(pa.field("digest", pa.string()))
            .empty_table(),
        )
    held = (
        f"SELECT digest, held FROM {parquet(before.state / 'minted.parquet')}"  # noqa: S608  # our own file
        if before
        else "SELECT NULL::UUID AS digest, 0 AS held LIMIT 0"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE minted_before AS {held}")
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE minted_row AS
           SELECT row, digest, coalesce(held, 0) + row_number() OVER (PARTITION BY digest ORDER BY row) AS number
           FROM (SELECT row, keyed('minted:'::BLOB || encode(event_id)) AS digest FROM piece WHERE minted_id)
           LEFT JOIN minted_before USING (digest)"""
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE minted AS SELECT digest, max(held)::BIGINT AS held FROM (
             FROM minted_before UNION ALL SELECT digest, number FROM minted_row) GROUP BY digest"""
    )
    any_minted = connection.execute("SELECT count(*) FROM minted_row").fetchall()[0][0]
    connection.execute(_NUMBERED if any_minted else "CREATE OR REPLACE TEMP VIEW wide AS SELECT * FROM piece")


_NUMBERED: Final = """
CREATE OR REPLACE TEMP VIEW wide AS
SELECT p.* REPLACE (CASE WHEN m.number IS NULL THEN p.event_id ELSE p.event_id || '-' || m.number END AS event_id)
FROM piece p LEFT JOIN minted_row m USING (row)
"""


def hmac_pads(key: bytes) -> tuple[bytes, bytes]:
    """Return the inner and the outer pad of HMAC-SHA-256, for engines that only know the plain hash."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def define_keyed(connection: duckdb.DuckDBPyConnection, key: bytes, name: str = "keyed") -> None:
    """Define the SQL function `keyed(bytes)`, or by another name: 128 bits of HMAC-SHA-256."""
    inner, outer = ("'" + "".join(f"\\x{byte:02X}" for byte in pad) + "'::BLOB" for pad in hmac_pads(key))
    connection.execute(
        f"""CREATE OR REPLACE TEMP MACRO {name}(content) AS
            substr(sha256({outer} || unhex(sha256({inner} || content))), 1, 32)::UUID"""
    )


def _node(pseudonym: Pseudonymiser, namespace: str, value: str, digest: str | None = None) -> str:
    """Return an identifier as the graphs know it: by the pseudonym of its normalised form, junk told as such.

    Whoever has the identifier's own pseudonym already passes it as `digest`: most are normal as they come.
    """
    own = digest or pseudonym.keyed(namespace, value)
    node = node_of(namespace, value)
    if node is None:
        return JUNK_MARK + own
    return own if node.value == value else pseudonym.keyed(namespace, node.value)


def _code_identifiers(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[str, str, str, str]], before: Before | None
) -> None:
    """Leave the table `identifier` of this run's identifiers: coded on from the codes of earlier runs."""
    names = ("digest", "namespace", "value", "node")
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    found = {name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)}
    connection.register("found_identifier", pa.table(found))
    known = (
        f"SELECT code, digest FROM {parquet(before.state / 'identifiers.parquet')}"  # noqa: S608  # our own file
        if before
        else "SELECT 0::BIGINT AS code, NULL::VARCHAR AS digest LIMIT 0"
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE identifier AS WITH known AS ({known})
            SELECT coalesce(code, row_number() OVER (PARTITION BY code ORDER BY digest)
                                  + (SELECT coalesce(max(code), 0) FROM known)) AS code,
                   namespace, value, digest, node
            FROM found_identifier LEFT JOIN known USING (digest)"""  # noqa: S608  # names of our own columns
    )


def digest_identifiers(
    found: Iterable[tuple[str, str]], links: Sequence[tuple[int, str]], pseudonym: Pseudonymiser
) -> tuple[list[tuple[str, str, str, str]], pa.Table]:
    """Turn identifiers and explicit links into keyed digests.

    Parameters
    ----------
    found
        Namespace and value of each identifier.
    links
        Row, and JSON list of [namespace, value].
    pseudonym
        Holds the key.

    Returns
    -------
    tuple
        `digest, namespace, value, node` of each identifier, in the order of digests, and the table `row, links`.
    """
    digests = [(pseudonym.keyed(namespace, value), namespace, value) for namespace, value in found]
    rows = sorted(
        (digest, namespace, value, _node(pseudonym, namespace, value, digest))
        for digest, namespace, value in digests
    )
    linked = [
        [(namespace, _node(pseudonym, namespace, value)) for namespace, value in orjson.loads(text)]
        for _, text in links
    ]
    texts = [orjson.dumps(each).decode() for each in linked]
    numbers = pa.array([row for row, _ in links], pa.int64())
    return rows, pa.table({"row": numbers, "links": pa.array(texts, pa.string())})


def _digest_identifiers(
    connection: duckdb.DuckDBPyConnection, pseudonym: Pseudonymiser, before: Before | None
) -> dict[str, str]:
    """Leave the tables `identifier`, coded in the order of pseudonyms, and `fact_link`; return plain names if they may be written."""
    links = connection.execute("SELECT row, links FROM wide WHERE links IS NOT NULL ORDER BY row").fetchall()
    rows, linked = digest_identifiers(_identifiers(connection, "wide"), links, pseudonym)
    _code_identifiers(connection, rows, before)
    connection.register("fact_link", linked)
    return plain_names(connection, pseudonym, "wide")


def _identifiers(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    return connection.execute(
        f"""SELECT DISTINCT 'anonymous_id' AS namespace, anonymous_id AS value FROM {relation} WHERE anonymous_id IS NOT NULL
            UNION ALL SELECT DISTINCT 'user_id', user_id FROM {relation} WHERE user_id IS NOT NULL"""  # noqa: S608  # our own relations
    ).fetchall()


def plain_names(
    connection: duckdb.DuckDBPyConnection, pseudonym: Pseudonymiser, relation: str
) -> dict[str, str]:
    """Return pseudonym to identifier, of all that a relation of the canonical frame names; nothing unless they may be written."""
    if not pseudonym.plain:
        return {}
    links = connection.execute(f"SELECT links FROM {relation} WHERE links IS NOT NULL").fetchall()  # noqa: S608  # as above
    return name_plainly(_identifiers(connection, relation), (text for (text,) in links), pseudonym)


def name_plainly(
    found: Iterable[tuple[str, str]], links: Iterable[str], pseudonym: Pseudonymiser
) -> dict[str, str]:
    """Return pseudonym to identifier of identifiers and of explicit links' JSON; nothing unless they may be written."""
    if not pseudonym.plain:
        return {}
    linked = [(namespace, value) for text in links for namespace, value in orjson.loads(text)]
    return dict(_plain(*each, _node(pseudonym, *each)) for each in {*found, *linked})


def _plain(namespace: str, value: str, node: str) -> tuple[str, str]:
    junk = node.startswith(JUNK_MARK)
    return node.removeprefix(JUNK_MARK), value if junk else normalise(namespace, value)


_FACTS: Final = f"""
SELECT w.row, keyed('event_id:'::BLOB || encode(w.event_id)) AS event_digest,
       keyed('fingerprint:'::BLOB || w.fingerprint) AS fingerprint_digest,
       CASE WHEN w.event_name IN (SELECT name FROM wanted_name) THEN w.event_name END AS event_name,
       w.source, w.channel, w.jurisdiction, w.notice_version,
       coalesce(a.code, 0) AS anonymous, coalesce(u.code, 0) AS user,
       epoch_us(occurred_at) AS occurred, epoch_us(sent_at) AS sent, epoch_us(received_at) AS received,
       epoch_us(true_at) AS true_time, w.sequence,
       {_SAID}, {_FLAGS}, epoch_us(consent_updated_at) AS updated,
       CASE observation WHEN 'owned' THEN 1 WHEN 'probe' THEN 2 WHEN 'platform_report' THEN 3 ELSE 0 END::TINYINT AS observed,
       w.digest AS line_digest, w.file, w.line, w.byte_offset, w.byte_length
FROM wide w
LEFT JOIN identifier a ON a.namespace = 'anonymous_id' AND a.value = w.anonymous_id
LEFT JOIN identifier u ON u.namespace = 'user_id' AND u.value = w.user_id
"""  # noqa: S608  # names of our own columns


def state_facts(
    connection: duckdb.DuckDBPyConnection,
    pseudonym: Pseudonymiser,
    names: Iterable[str],
    file: Path | None = None,
    before: Before | None = None,
) -> dict[str, str]:
    """Turn the view `wide` into the relation `fact`: times, small vocabularies, what was said, and keyed digests.

    Leaves the tables `identifier` and `fact_link` too.

    Parameters
    ----------
    connection
        Holds `wide`, and keeps the relations.
    pseudonym
        Holds the key.
    names
        The event names that a decision may depend on; others are left out.
    file
        Where the facts go, as Parquet; into memory by default.
    before
        Earlier runs.

    Returns
    -------
    dict of str to str
        Pseudonym to identifier, where plain ones were asked for.
    """
    connection.register("wanted_name", pa.table({"name": pa.array(sorted(names), pa.string())}))
    plain = _digest_identifiers(connection, pseudonym, before)
    if file is None:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE fact AS {_FACTS}")
    else:
        connection.execute(f"COPY ({_FACTS}) TO {quoted(file)} (FORMAT parquet)")
        connection.execute(f"CREATE OR REPLACE TEMP VIEW fact AS SELECT * FROM {parquet(file)}")  # noqa: S608  # our own file
    return plain


def encode(
    connection: duckdb.DuckDBPyConnection,
    events: Path | pa.Table,
    pseudonym: Pseudonymiser,
    names: Iterable[str],
    where: Engine,
    file: Path | None = None,
    tombstones: Tombstones = NONE,
) -> Narrow:
    """Code the canonical frame; leaves the relations `wide` and `fact` and the code tables in the connection.

    Parameters
    ----------
    connection
        Where the coding runs and the codes stay.
    events
        A folder with `piece-*.parquet`, or a table; columns `eventlib.border.BORDER_COLUMNS`, `row` and `digest`.
    pseudonym
        Holds the key of digests, whose order breaks ties (S3.5).
    where
        The engine that runs the stages.
    names, file
        As `state_facts` takes them.
    tombstones
        Who was erased.
    """
    define_keyed(connection, pseudonym.key)
    view_pieces(connection, events)
    plain = state_facts(connection, pseudonym, names, file)
    return code_facts(connection, plain, where, carry_over(connection, tombstones))


def carry_over(connection: duckdb.DuckDBPyConnection, tombstones: Tombstones) -> Tombstones:
    """Bring tombstones under retired keys under the current one, by the relations `wide`, `fact` and `identifier`."""
    if not tombstones.retired:
        return tombstones
    named = connection.execute("SELECT namespace, value FROM identifier WHERE value IS NOT NULL").fetchall()
    carried = tombstones.carried(named)
    for old in tombstones.retired:
        define_keyed(connection, old.key, "keyed_before")
        _register_events(connection, old)
        found = connection.execute(
            """SELECT f.source, e.digest::VARCHAR, f.event_digest::VARCHAR, w.anonymous_id FROM wide w JOIN fact f USING (row)
               JOIN erased_event e ON e.source = f.source
                AND e.digest = keyed_before('event_id:'::BLOB || encode(w.event_id)) WHERE w.anonymous_id IS NOT NULL"""
        ).fetchall()
        carried = carried.with_events(
            old, ((source, was, now, ("anonymous_id", device)) for source, was, now, device in found)
        )
    return carried


def _register_events(connection: duckdb.DuckDBPyConnection, tombstones: Tombstones) -> None:
    """Leave the table `erased_event` (`source, digest`)."""
    pairs = sorted({(source, digest) for source, digest, _ in tombstones.events})
    sources, digests = zip(*pairs, strict=True) if pairs else ((), ())
    connection.register(
        "erased_text",
        pa.table({"source": pa.array(sources, pa.string()), "digest": pa.array(digests, pa.string())}),
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE erased_event AS SELECT source, digest::UUID AS digest FROM erased_text"
    )


def erased_rows(
    connection: duckdb.DuckDBPyConnection,
    tombstones: Tombstones,
    facts: str = "fact",
    identifiers: str = "identifier",
) -> pa.Table:
    """Return `row` of the relation `facts` whose events were erased though no identifier of theirs was."""
    _register_events(connection, tombstones)
    found = connection.execute(
        f"""SELECT row, f.source, e.digest::VARCHAR, node FROM {facts} f
            JOIN erased_event e ON e.source = f.source AND e.digest = f.event_digest
            JOIN {identifiers} i ON i.code = f.anonymous"""  # noqa: S608  # our own relations
    ).fetchall()
    # an event id is the sender's choice: it tells an event of this device alone
    rows = [
        row
        for row, source, digest, node in found
        if (source, digest, tombstones.digest("anonymous_id", node)) in tombstones.events
    ]
    return pa.table({"row": pa.array(rows, pa.int64())})


def code_facts(
    connection: duckdb.DuckDBPyConnection,
    plain: Mapping[str, str],
    where: Engine,
    tombstones: Tombstones = NONE,
) -> Narrow:
    """Code the relations `fact`, `identifier` and `fact_link` of the connection, for the engine that runs the stages."""
    run = connection.execute
    names, sources, _, jurisdictions, notices = [
        _dictionary(connection, column)
        for column in ("event_name", "source", "channel", "jurisdiction", "notice_version")
    ]
    run(
        """CREATE OR REPLACE TEMP TABLE event_code AS
           SELECT row, source, dense_rank() OVER (ORDER BY event_digest) AS event_key FROM fact"""
    )
    # copies share a source and an id; only among them are contents compared
    run(
        f"""CREATE OR REPLACE TEMP TABLE copy AS
            WITH shared AS (SELECT source, event_key, count(*) AS copies FROM event_code GROUP BY ALL HAVING count(*) > 1)
            SELECT row, copies, dense_rank() OVER (ORDER BY fingerprint_digest) AS fingerprint_key,
                   dense_rank() OVER (ORDER BY {COPY_ORDER}) AS copy_key
            FROM event_code JOIN shared USING (source, event_key) JOIN fact USING (row)"""  # noqa: S608  # names of our own columns
    )
    return Narrow(
        events=where.take(connection, _NARROW),
        identifiers=connection.sql(
            "SELECT code, namespace, value, digest, node FROM identifier ORDER BY code"
        ).to_arrow_table(),
        names=names,
        sources=sources,
        jurisdictions=jurisdictions,
        notices=notices,
        links=connection.sql("SELECT row, links FROM fact_link ORDER BY row").to_arrow_table(),
        plain=plain,
        tombstones=tombstones,
        erased=erased_rows(connection, tombstones),
    )


_NARROW: Final = f"""
SELECT f.row, e.event_key, coalesce(n.code, 0) AS name_key, coalesce(s.code, 0) AS source_key, coalesce(c.code, -1) AS channel_key,
       f.anonymous, f.user, nullif(coalesce(nullif(f.anonymous, 0), f.user), 0) AS device,
       f.occurred, f.sent, f.received, f.true_time, coalesce(f.sequence, {NO_SEQUENCE}) AS sequence,
       coalesce(copies, 1) AS copies, coalesce(fingerprint_key, 0) AS fingerprint_key, coalesce(copy_key, 0) AS copy_key,
       coalesce(j.code, 0) AS jurisdiction_key, {", ".join(f"said_{p}::BIGINT AS said_{p}" for p in PURPOSES)},
       {", ".join(f"{name}::BIGINT AS {name}" for name in CONSENT_FLAGS)},
       coalesce(v.code, 0) AS notice_key, f.updated, f.observed::BIGINT AS observed
FROM fact f JOIN event_code e USING (row)
LEFT JOIN code_source s ON s.value = f.source
LEFT JOIN code_event_name n ON n.value = f.event_name
LEFT JOIN code_channel c ON c.value = f.channel
LEFT JOIN code_jurisdiction j ON j.value = f.jurisdiction
LEFT JOIN code_notice_version v ON v.value = f.notice_version
LEFT JOIN copy d USING (row)
"""  # noqa: S608  # names of our own columns
