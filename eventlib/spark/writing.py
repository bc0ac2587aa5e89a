"""From the narrow result back to wide events on Spark: parts in total order, written by the one writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from eventlib.arrow import write_parquet
from eventlib.model import EVENT_COLUMNS, PURPOSES
from eventlib.pseudonyms import Pseudonymiser
from eventlib.schema import Registry, registry
from eventlib.spark.session import quiet
from eventlib.timing import CLOCK_METHODS
from eventlib.writing import marked_names, rewrite_properties

__all__ = ["row_digest_on", "write_events_on"]

_PLACE: Final = (
    "k.event_time, k.source_key, k.device NULLS LAST, k.stretch, k.sequence, k.event_key, k.renamed, "
    "k.copy_key, k.fingerprint_key"
)
"""The total order of `eventlib.writing.write_events`."""

_VERDICTS: Final = tuple(f"verdict_{purpose}" for purpose in PURPOSES)

_FIRST: Final = f"""
SELECT k.device, k.session, min_by(w.source || ':' || w.event_id, struct({_PLACE.replace(" NULLS LAST", "")})) AS first
FROM {{kept}} k JOIN {{wide}} w ON k.row = w.row WHERE k.session > 0 GROUP BY k.device, k.session
"""  # noqa: S608  # names of our own columns

_METHODS: Final = ", ".join(map(repr, CLOCK_METHODS))

_EVENTS: Final = f"""
SELECT CASE WHEN k.renamed = 1 THEN w.event_id || '~' || substr(lower(hex(w.fingerprint)), 1, 16) ELSE w.event_id END AS event_id,
       CASE WHEN k.renamed = 1 THEN w.event_id END AS original_event_id,
       w.event_name, w.schema_version, w.source, w.channel, w.occurred_at, w.sent_at, w.received_at, w.sequence,
       timestamp_micros(k.event_time) AS event_time,
       element_at(array({_METHODS}), CAST(k.clock_method AS INT) + 1) AS clock_method,
       k.clock_offset DIV 1000 AS clock_offset_ms, k.is_late = 1 AS is_late,
       w.anonymous_id, w.user_id,
       CASE WHEN k.person IS NOT NULL THEN format_string('p-%06d', k.person) END AS person_id,
       s.first AS session_id, nullif(k.session, 0) AS session_index, w.ai_engine, w.agent, w.url, w.referrer, w.user_agent,
       w.jurisdiction,
       {", ".join(f"k.verdict_{p} >= 16 AS allow_{p}" for p in PURPOSES)},
       concat_ws(' ', {", ".join(f"format_string('C%02d', k.{v} % 16)" for v in _VERDICTS)}) AS consent_rule,
       w.properties
FROM {{kept}} k JOIN {{wide}} w ON k.row = w.row
LEFT JOIN ({_FIRST}) s ON s.device = k.device AND s.session = k.session
ORDER BY {_PLACE}
"""  # noqa: S608  # names of our own columns


def _texts(values: pa.Array, change: Callable[[str], str]) -> pa.Array:
    """Change each distinct text once."""
    coded = values.dictionary_encode()
    changed = pa.array([change(text) for text in coded.dictionary.to_pylist()], pa.string())
    return changed.take(coded.indices)


def _device(pseudonym: Pseudonymiser, anonymous: str | None, user: str | None) -> str:
    return (
        pseudonym.keyed("user_id", str(user))
        if anonymous is None
        else pseudonym.keyed("anonymous_id", anonymous)
    )


def _sessions(batch: dict[str, pa.Array], pseudonym: Pseudonymiser) -> pa.Array:
    """Name each session by its device and its first event, so that later ones keep it."""
    known: dict[tuple[str | None, str | None, str], str] = {}
    rows = zip(*(batch[name].to_pylist() for name in ("anonymous_id", "user_id", "session_id")), strict=True)
    made: list[str | None] = []
    for anonymous, user, first in rows:
        if first is None:
            made.append(None)
            continue
        key = anonymous, None if anonymous is not None else user, first
        if key not in known:
            known[key] = pseudonym.keyed("session", f"{_device(pseudonym, anonymous, user)}|{first}")
        made.append(known[key])
    return pa.array(made, pa.string())


def _properties(
    batch: dict[str, pa.Array], schemas: Registry, marked: set[str], pseudonym: Pseudonymiser
) -> pa.Array:
    columns = (
        batch[name].to_pylist() for name in ("event_name", "schema_version", "properties", "allow_identity")
    )
    return pa.array(
        [
            rewrite_properties(schemas, name, version, text, pseudonym, allowed=allowed)
            if name in marked
            else text
            for name, version, text, allowed in zip(*columns, strict=True)
        ],
        pa.string(),
    )


def _finish(
    batch: pa.RecordBatch, schemas: Registry, marked: set[str], pseudonym: Pseudonymiser
) -> pa.RecordBatch:
    """Write identifiers as they are to be read."""
    columns = {name: batch[name] for name in EVENT_COLUMNS.names}
    columns |= {
        "session_id": _sessions(columns, pseudonym),
        "properties": _properties(columns, schemas, marked, pseudonym),
    }
    for name in ("anonymous_id", "user_id"):
        columns[name] = _texts(columns[name], lambda text, namespace=name: pseudonym(namespace, text))  # type: ignore[misc]  # bound now
    visible = columns["allow_identity"].to_pylist()
    users = zip(columns["user_id"].to_pylist(), visible, strict=True)
    columns["user_id"] = pa.array([user if allowed else None for user, allowed in users], pa.string())
    return pa.RecordBatch.from_pydict(columns).cast(EVENT_COLUMNS)


def _writer(
    folder: str, schemas: str | None, pseudonym: Pseudonymiser
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what writes a partition as one part, under its name only when it is whole."""

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext  # noqa: PLC0415  # an optional engine

        context = TaskContext.get()
        assert context is not None
        known = registry(Path(schemas) if schemas else None, checked=True)
        marked = set(marked_names(known))
        part = context.partitionId()
        attempt = Path(folder) / f".part-{part}-{context.taskAttemptId()}"
        finished = (_finish(batch, known, marked, pseudonym) for batch in batches if batch.num_rows)
        rows = write_parquet(attempt, finished, EVENT_COLUMNS)
        name = f"part-{part:05d}.parquet"
        if rows:
            attempt.replace(Path(folder) / name)
        else:
            attempt.unlink()
        yield pa.record_batch({"name": pa.array([name]), "rows": pa.array([rows], pa.int64())})

    return write


def write_events_on(
    spark: Any, wide: Any, kept: Any, folder: Path, *, schemas: Path | None, pseudonym: Pseudonymiser
) -> int:
    """Write `events/part-*.parquet`, each a range of the total order, on the workers; return the rows.

    Parameters
    ----------
    spark
        The session.
    wide, kept
        Spark DataFrames: the canonical frame, and the narrow result with each event's person.
    folder
        Where `events/` goes; every worker must see it.
    schemas
        Folder of schemas; the shipped ones by default.
    pseudonym
        How identifiers are written.
    """
    target = folder / "events"
    target.mkdir()
    write = _writer(os.fspath(target.resolve()), os.fspath(schemas.resolve()) if schemas else None, pseudonym)
    ordered = spark.sql(_EVENTS, kept=kept, wide=wide)
    with quiet():
        done = ordered.mapInArrow(write, "name string, rows long").toArrow()
    written = {
        name: rows
        for name, rows in zip(done["name"].to_pylist(), done["rows"].to_pylist(), strict=True)
        if rows
    }
    for file in target.iterdir():
        if file.name not in written:
            file.unlink()  # of an attempt that came to nothing
    if not written:
        return write_parquet(target / "part-00000.parquet", [], EVENT_COLUMNS)
    return sum(written.values())


def _regrouped(column: str, lengths: tuple[int, ...], order: str) -> str:
    groups = "".join(f"({'.' * length})" for length in lengths)
    return f"regexp_replace({column}, '{groups}', '{order}')"


def row_digest_on(spark: Any, wide: Any, kept: Any) -> str:
    """Return what `eventlib.writing.row_digest` returns."""
    verdicts = ", ".join(f"k.{verdict}" for verdict in _VERDICTS)
    uuid = _regrouped("w.fingerprint_digest", (8, 4, 4, 4, 12), "$1-$2-$3-$4-$5")
    swapped = _regrouped("substr(digest, 17, 16)", (2,) * 8, "$8$7$6$5$4$3$2$1")  # a little-endian number
    row = spark.sql(
        f"""SELECT sum(CAST(conv({swapped}, 16, 10) AS DECIMAL(20, 0))) AS total FROM (
              SELECT md5(concat_ws(chr(31), w.source, {uuid}, k.renamed, k.event_time, k.person, k.device IS NULL, k.session,
                                   k.is_late, {verdicts})) AS digest
              FROM {{kept}} k JOIN {{wide}} w ON k.row = w.row)""",  # noqa: S608  # names of our own columns
        kept=kept,
        wide=wide,
    ).collect()[0]
    return f"{int(row['total'] or 0) % 2**64:016x}"
