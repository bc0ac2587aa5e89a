"""Restatement: which published numbers moved between two versions, by how much, and why (S3.7).

Events of the two versions are matched by their keyed digests in `state/`, so both must have been prepared with one key;
people are matched by person id, so the new one must have been given the old one's registry, as `--onto` does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from eventlib.engine import connect, parquet
from eventlib.errors import BadCallError
from eventlib.prepared import event_files, load, telling_damage
from eventlib.state import read_state
from eventlib.writing import placed_events

__all__ = [
    "REASONS",
    "Key",
    "as_json",
    "compare",
    "explained",
    "published",
    "restate",
    "summary",
    "view_rows",
]

Key = tuple[str, str | None, str | None]
"""A published number: what is counted, of which event name, of which day; None is all."""

REASONS: Final = {
    "new": "happened after the old version's latest arrival",
    "late": "happened before it, and arrived, or could be placed, only later",
    "duplicate": "a copy was found, or the copy that stays is another",
    "consent": "withdrawn, granted, or decided from another moment",
    "merge": "people were merged or told apart",
    "clock": "a corrected time moved to another day",
    "log": "the log is not among the new version's",
}

_ROWS: Final = """
CREATE OR REPLACE TEMP TABLE {name} AS
SELECT source, event_digest, fingerprint_digest, bool_or(place IS NOT NULL) AS kept,
       min(removed_by) FILTER (place IS NULL) AS removed_by, any_value(event_name) AS event_name,
       any_value(e.event_time)::DATE AS day, any_value(epoch_us(e.event_time)) AS moment, any_value(person_id) AS person,
       any_value(e.session_id) AS session, any_value(allow_identity) AS identity
FROM (SELECT row, source, event_digest, fingerprint_digest FROM {facts}) JOIN (SELECT row, removed_by, place FROM {outcome}) USING (row)
LEFT JOIN (SELECT {by}, event_name, event_time, person_id, session_id, allow_identity FROM {events}) e USING ({by})
GROUP BY ALL
"""

_CHANGE: Final = """
CREATE OR REPLACE TEMP TABLE change AS
SELECT coalesce(b.kept, false) AS was, coalesce(a.kept, false) AS is_now, b.event_name AS old_name, a.event_name AS new_name,
       b.day AS old_day, a.day AS new_day, b.person AS old_person, a.person AS new_person, b.session AS old_session,
       a.session AS new_session, a.identity IS DISTINCT FROM b.identity AS identity_moved,
       CASE WHEN is_now THEN b.removed_by ELSE a.removed_by END AS removed,
       CASE WHEN was AND is_now THEN 'clock'
            WHEN is_now AND b.kept IS NULL THEN CASE WHEN a.moment <= {latest} THEN 'late' ELSE 'new' END
            WHEN a.kept IS NULL THEN 'log'
            WHEN removed LIKE 'C%' THEN 'consent'
            WHEN removed = 'duplicate' THEN 'duplicate'
            ELSE 'late' END AS reason
FROM before_row b FULL JOIN after_row a USING (source, event_digest, fingerprint_digest)
WHERE was OR is_now
"""

_EVENTS: Final = """
SELECT name, day, reason, sum(n)::BIGINT AS n FROM (
  SELECT old_name AS name, old_day AS day, reason, -1 AS n FROM change WHERE was AND (NOT is_now OR old_day <> new_day)
  UNION ALL SELECT new_name, new_day, reason, 1 FROM change WHERE is_now AND (NOT was OR old_day <> new_day))
GROUP BY ALL
"""

_PEOPLE: Final = """
SELECT reason, sum(n)::BIGINT AS n FROM (
  SELECT old_person, -1 AS n, CASE WHEN bool_or(is_now AND NOT identity_moved) THEN 'merge' WHEN bool_or(is_now) THEN 'consent'
         ELSE min(reason) END AS reason
  FROM change WHERE was AND old_person IS NOT NULL
    AND old_person NOT IN (SELECT new_person FROM change WHERE is_now AND new_person IS NOT NULL)
  GROUP BY old_person
  UNION ALL
  SELECT new_person, 1, CASE WHEN bool_or(was AND NOT identity_moved) THEN 'merge' WHEN bool_or(was) THEN 'consent'
         ELSE max(reason) END
  FROM change WHERE is_now AND new_person IS NOT NULL
    AND new_person NOT IN (SELECT old_person FROM change WHERE was AND old_person IS NOT NULL)
  GROUP BY new_person)
GROUP BY reason
"""

_SESSIONS: Final = """
WITH gone AS (
  SELECT old_session AS session, coalesce(min(reason) FILTER (NOT is_now), 'late') AS reason
  FROM change WHERE was AND old_session IS NOT NULL
    AND old_session NOT IN (SELECT new_session FROM change WHERE is_now AND new_session IS NOT NULL)
  GROUP BY old_session),
come AS (
  SELECT new_session AS session, CASE WHEN bool_or(was) THEN coalesce(min(gone.reason), 'late') ELSE max(change.reason) END AS reason
  FROM change LEFT JOIN gone ON gone.session = old_session
  WHERE is_now AND new_session IS NOT NULL
    AND new_session NOT IN (SELECT old_session FROM change WHERE was AND old_session IS NOT NULL)
  GROUP BY new_session)
SELECT reason, sum(n)::BIGINT AS n FROM (SELECT reason, -1 AS n FROM gone UNION ALL SELECT reason, 1 FROM come) GROUP BY reason
"""


def published(connection: duckdb.DuckDBPyConnection, version: Path) -> dict[Key, int]:
    """Count what a version publishes: events by name and day, in all, people, sessions."""
    events = parquet(*event_files(version))
    rows = connection.execute(
        f"SELECT event_name, event_time::DATE::VARCHAR, count(*) FROM {events} GROUP BY ALL"  # noqa: S608  # our own file
    ).fetchall()
    counts: dict[Key, int] = defaultdict(int)
    for name, day, count in rows:
        for key in _keys(name, day):
            counts[key] += count
    people = f"SELECT count(DISTINCT person_id) FROM {events}"  # noqa: S608  # our own file
    sessions = f"SELECT count(*) FROM {parquet(version / 'sessions.parquet')}"  # noqa: S608  # our own file
    for number, query in (("people", people), ("sessions", sessions)):
        counts[number, None, None] = connection.execute(query).fetchall()[0][0]
    return counts


def _keys(name: str, day: str | None) -> list[Key]:
    keys: list[Key] = [
        ("events", None, None),
        ("events", name, None),
        ("events", None, day),
        ("events", name, day),
    ]
    return [*keys, ("conversions", None, None)] if name == "conversion_complete" else keys


def view_rows(
    connection: duckdb.DuckDBPyConnection, name: str, facts: str, outcome: str, events: str, by: str = "row"
) -> None:
    """Leave the table `before_row` or `after_row`.

    Parameters
    ----------
    connection
        Where it stays.
    name
        Which of the two.
    facts, outcome, events
        Relations: what the state holds of events, and what was written of those that are kept.
    by
        What joins `events` to the others: `row` or `place`.
    """
    connection.execute(_ROWS.format(name=name, facts=facts, outcome=outcome, events=events, by=by))


def explained(connection: duckdb.DuckDBPyConnection, latest: int) -> dict[Key, dict[str, int]]:
    """Return by number how far each reason moved it.

    Parameters
    ----------
    connection
        Holds `before_row` and `after_row`: at least all events of which anything differs.
    latest
        The old version's latest arrival, in microseconds.
    """
    connection.execute(_CHANGE.format(latest=latest))
    moved: dict[Key, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name, day, reason, count in connection.execute(_EVENTS).fetchall():
        for key in _keys(name, str(day)):
            moved[key][reason] += count
    for number, query in (("people", _PEOPLE), ("sessions", _SESSIONS)):
        for reason, count in connection.execute(query).fetchall():
            moved[number, None, None][reason] += count
    return moved


def compare(
    moved: Mapping[Key, Mapping[str, int]], before: Mapping[Key, int], after: Mapping[Key, int]
) -> list[dict[str, Any]]:
    """Return the numbers that moved, and the totals.

    Parameters
    ----------
    moved
        What `explained` returns.
    before, after
        What `published` returns for the old version and the new one.

    Returns
    -------
    list of dict
        `number` (events, conversions, people, sessions), `event_name`, `day` (null is all), `old`, `new`, `difference`, and
        `reasons`, which sum to it.
    """
    totals: set[Key] = {(number, None, None) for number in ("events", "conversions", "people", "sessions")}
    rows = []
    for key in sorted(moved.keys() | totals, key=lambda key: tuple(part or "" for part in key)):
        reasons = {reason: count for reason, count in sorted(moved.get(key, {}).items()) if count}
        number, name, day = key
        old_count, new_count = before.get(key, 0), after.get(key, 0)
        if sum(reasons.values()) != new_count - old_count:
            raise RuntimeError(
                f"{key} moved by {new_count - old_count}, but its reasons explain {sum(reasons.values())}"
            )
        if reasons or key in totals:
            rows.append(
                {
                    "number": number,
                    "event_name": name,
                    "day": day,
                    "old": old_count,
                    "new": new_count,
                    "difference": new_count - old_count,
                    "reasons": reasons,
                }
            )
    return rows


def restate(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Say which published numbers moved between two versions of a dataset, by how much, and why (S3.7).

    Parameters
    ----------
    old, new
        Prepared datasets, or folders of their versions, prepared with one key.

    Returns
    -------
    list of dict
        As `compare` gives them.

    Raises
    ------
    BadCallError
        If one is no prepared dataset, has no state, or was prepared with another key.
    """
    versions = [load(folder).folder for folder in (old, new)]
    stamps = [read_state(version) for version in versions]
    if len({stamp["settings"]["key"] for stamp in stamps}) > 1:
        raise BadCallError(
            f"{old} and {new} were prepared with different keys: their events cannot be matched"
        )
    with connect() as connection, telling_damage(*versions):
        for name, version in zip(("before_row", "after_row"), versions, strict=True):
            state = version / "state"
            facts = parquet(*sorted((state / "facts").glob("*.parquet")))
            events = placed_events(version)
            view_rows(connection, name, facts, parquet(state / "outcome.parquet"), events, by="place")
        moved = explained(connection, stamps[0]["latest"])
        return compare(moved, *(published(connection, version) for version in versions))


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Return lines that say what moved: the totals, then what had been published by event and by day.

    Examples
    --------
    >>> summary([{"number": "events", "event_name": None, "day": None, "old": 9, "new": 8, "difference": -1, "reasons": {"consent": -1}}])
    ['events: 9 → 8 (-1: consent -1)']
    """
    lines = []
    for row in rows:
        told = row["event_name"] is not None or row["day"] is not None
        if told and (not row["old"] or (row["event_name"] is not None and row["day"] is not None)):
            continue  # what is new was never published; the cells of both are in restatement.json
        what = ", ".join(str(part) for part in (row["number"], row["event_name"], row["day"]) if part)
        reasons = ", ".join(f"{reason} {count:+,}" for reason, count in row["reasons"].items())
        moved = f"{row['difference']:+,}: {reasons}" if reasons else "unmoved"
        lines.append(f"{what}: {row['old']:,} → {row['new']:,} ({moved})")
    return lines


def as_json(rows: list[dict[str, Any]], old: str, new: str) -> bytes:
    """Return the content of `restatement.json`."""
    content = {"old": old, "new": new, "reasons": REASONS, "numbers": rows}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)
