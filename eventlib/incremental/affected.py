"""Which earlier rows new ones can change: whatever shares a device, a user, a link or an event id, however indirectly.

Every stage decides within a device's stream, within a component of the suppression or identity graph, or among events
of one id. All of these lie within one component of what is built here, without any guard: a superset, found from
integers alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from eventlib.consent import Policy
from eventlib.graph import components
from eventlib.manual_links import NO_MANUAL, Manual
from eventlib.pseudonyms import JUNK_MARK
from eventlib.units import DAY

__all__ = ["find_affected"]

Integers = npt.NDArray[np.int64]

_KEYS: Final = """
CREATE OR REPLACE TEMP TABLE shared_event AS
WITH matched AS (SELECT row, source, event_digest, anonymous, user FROM base_fact
                 WHERE (source, event_digest) IN (SELECT (source, event_digest) FROM fact)),
     shared AS (SELECT DISTINCT source, event_digest FROM (
                  FROM matched UNION ALL FROM base_copies) UNION
                SELECT source, event_digest FROM fact GROUP BY ALL HAVING count(*) > 1),
     rows AS (FROM base_copies UNION FROM matched
              UNION SELECT row, source, event_digest, anonymous, user FROM fact SEMI JOIN shared USING (source, event_digest))
SELECT * FROM rows
"""
_NUMBERED: Final = """
CREATE OR REPLACE TEMP TABLE shared_row AS
SELECT row, dense_rank() OVER (ORDER BY source, event_digest) AS key, coalesce(nullif(anonymous, 0), user) AS device,
       row IN (SELECT row FROM fact) AS fresh FROM shared_event
"""


class _Entities:
    """Numbers for nodes of the graphs, and for junk devices, which are streams though no nodes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.numbers: dict[tuple[str, str], int] = {}
        rows = connection.execute("SELECT code, namespace, node FROM all_identifier").fetchall()
        self.of_code = np.zeros(max((code for code, _, _ in rows), default=0) + 1, np.int64)
        self.junk = np.zeros(len(self.of_code), bool)
        for code, namespace, node in rows:
            self.of_code[code] = self.number(namespace, node)
            self.junk[code] = node.startswith(JUNK_MARK)

    def number(self, namespace: str, node: str) -> int:
        return self.numbers.setdefault((namespace, node), len(self.numbers))

    def link(self, text: str) -> list[int]:
        return [self.number(*each) for each in orjson.loads(text) if not each[1].startswith(JUNK_MARK)]


def _integers(connection: duckdb.DuckDBPyConnection, query: str) -> list[Integers]:
    found = connection.execute(query).fetchnumpy()
    return [np.asarray(column, np.int64) for column in found.values()]


def _chained(groups: Iterable[list[int]]) -> Integers:
    pairs = [pair for group in groups for pair in pairwise(group)]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def _crossed(policy: Policy, as_of: tuple[int, int], latest: int) -> str:
    """Return the SQL condition of earlier rows that are decided otherwise because the run looks back from another moment."""
    low, high = sorted(as_of)
    if any(low <= basis.expires < high for basis in policy.bases):
        return "true"
    conditions = []
    if low < min(latest, high):
        conditions.append(f"least(coalesce(updated, event_time), received) BETWEEN {low + 1} AND {high}")
    if policy.retention_days is not None and low < high:
        limit = policy.retention_days * DAY
        conditions.append(f"event_time BETWEEN {low - limit} AND {high - limit}")
    return " OR ".join(conditions) or "false"


def find_affected(
    connection: duckdb.DuckDBPyConnection,
    policy: Policy,
    as_of: tuple[int, int],
    latest: int,
    stated: tuple[Manual, Manual] = (NO_MANUAL, NO_MANUAL),
) -> None:
    """Leave the table `affected` (`row`) of the earlier rows that must be decided anew, and `shared_event`.

    Parameters
    ----------
    connection
        Holds `base_fact, base_outcome, base_copies, base_link, erased_row`, of earlier runs, `fact, fact_link`, of the new
        rows, and `all_identifier`.
    policy
        What is decided by.
    as_of
        The moments from which the earlier run and this one look back, in microseconds.
    latest
        The latest arrival of the earlier rows.
    stated
        What the earlier run and this one were told by hand.
    """
    entities = _Entities(connection)
    connection.execute(_KEYS)
    connection.execute(_NUMBERED)
    condition = _crossed(policy, as_of, latest)
    crossed = f"SELECT row, anonymous, user FROM base_fact JOIN base_outcome USING (row) WHERE {condition}"
    found = "" if condition == "false" else f"{crossed} UNION "
    connection.execute(f"CREATE OR REPLACE TEMP TABLE crossed AS {found}SELECT * FROM erased_row")
    anonymous, user = _integers(
        connection,
        """SELECT anonymous, user FROM base_fact WHERE anonymous > 0 AND user > 0
           UNION SELECT anonymous, user FROM fact WHERE anonymous > 0 AND user > 0""",
    )
    plain = ~entities.junk[user]
    old_links, new_links = (
        [
            (row, entities.link(text))
            for row, text in connection.execute(f"SELECT row, links FROM {name}").fetchall()
        ]  # our own names
        for name in ("base_link", "fact_link")
    )
    key, device, fresh = _integers(connection, "SELECT key, device, fresh FROM shared_row")
    must = [[entities.number(*node) for node in pair] for each in stated for pair in each.must]
    changed = [entities.number(*node) for node in stated[0].changed(stated[1])]
    first_key = len(entities.numbers)
    named = device > 0
    edges = [
        np.array([entities.of_code[anonymous[plain]], entities.of_code[user[plain]]]),
        _chained([*(group for _, group in (*old_links, *new_links)), *must]),
        np.array([entities.of_code[device[named]], first_key + key[named]]),
        _link_devices(connection, entities, [*old_links, *new_links]),
    ]
    size = first_key + int(key.max(initial=0)) + 1
    left, right = np.concatenate(edges, axis=1)
    labels = components(size, left, right)
    started = _integers(
        connection,
        """SELECT DISTINCT coalesce(nullif(anonymous, 0), user) AS device FROM (
             SELECT anonymous, user FROM fact UNION ALL SELECT anonymous, user FROM crossed)""",
    )[0]
    seeds = np.concatenate(
        [entities.of_code[started[started > 0]], first_key + key[fresh > 0], np.array(changed, np.int64)]
    )
    reached = np.zeros(size, bool)
    reached[labels[seeds]] = True
    touched = np.flatnonzero(reached[labels[entities.of_code]])
    connection.register("touched", pa.table({"code": pa.array(touched[touched > 0], pa.int64())}))
    keys = np.unique(key[reached[labels[first_key + key]]]) if len(key) else key
    connection.register("touched_key", pa.table({"key": pa.array(keys, pa.int64())}))
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE affected AS
           SELECT row FROM base_fact WHERE coalesce(nullif(anonymous, 0), user) IN (SELECT code FROM touched)
           UNION SELECT row FROM crossed
           UNION SELECT row FROM shared_row WHERE key IN (SELECT key FROM touched_key) AND NOT fresh"""
    )


def _link_devices(
    connection: duckdb.DuckDBPyConnection, entities: _Entities, links: list[tuple[int, list[int]]]
) -> Integers:
    """Join each link to the device that sent it: whether the link holds is decided there."""
    rows = {row: group[0] for row, group in links if group}
    connection.register("linking", pa.table({"row": pa.array(list(rows), pa.int64())}))
    found = connection.execute(
        """SELECT row, coalesce(nullif(anonymous, 0), user) AS device FROM linking JOIN (
             SELECT row, anonymous, user FROM base_fact UNION ALL SELECT row, anonymous, user FROM fact) USING (row)"""
    ).fetchall()
    pairs = [(entities.of_code[device], rows[row]) for row, device in found if device]
    return np.array(pairs, np.int64).reshape(-1, 2).T
