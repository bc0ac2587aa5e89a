"""What the state of a dataset says of devices, users and links: what the graphs are made of, whole or up to a moment."""

from __future__ import annotations

from pathlib import Path

import duckdb
import orjson

from eventlib.engine import parquet
from eventlib.evidence import Link, Pairs, linked
from eventlib.identifiers import Node
from eventlib.nodes import Identifiers

__all__ = ["StateGraph"]


class StateGraph:
    """Identifiers, pairs and links of the events that a state knows.

    Parameters
    ----------
    connection
        Gets the views `fact`, `outcome`, `links` and `identifiers`.
    state
        The folder of a version's state.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, state: Path) -> None:
        self.connection = connection
        facts = parquet(*sorted((state / "facts").glob("*.parquet")))
        connection.execute(f"CREATE TEMP VIEW fact AS SELECT * FROM {facts}")  # noqa: S608  # our own files
        for name in ("outcome", "links", "identifiers"):
            connection.execute(
                f"CREATE TEMP VIEW {name} AS SELECT * FROM {parquet(state / f'{name}.parquet')}"  # noqa: S608  # as above
            )
        self.identifiers = Identifiers(
            connection.sql("SELECT code, namespace, node FROM identifiers ORDER BY code").to_arrow_table()
        )

    def pairs(self, allowed: str = "true") -> Pairs:
        """Return the pairs of the rows that a condition on their outcome allows."""
        found = self.connection.execute(
            f"""SELECT anonymous, user, count(*), min(event_time), max(event_time) FROM fact JOIN outcome USING (row)
                WHERE (anonymous > 0 OR user > 0) AND event_time IS NOT NULL AND {allowed} GROUP BY ALL"""  # noqa: S608  # our own condition
        ).fetchall()
        return Pairs.of(found)

    def links(self, allowed: str = "true") -> list[Link]:
        """Return the links of such rows."""
        found = self.connection.execute(
            f"""SELECT links, event_time, anonymous, user FROM links JOIN outcome USING (row) JOIN fact USING (row)
                WHERE {allowed} ORDER BY row"""  # noqa: S608  # as above
        ).fetchall()
        return [
            Link(linked(map(Node._make, orjson.loads(text)), self.node(device), self.node(user)), when)
            for text, when, device, user in found
        ]

    def node(self, code: int) -> Node | None:
        """Return the node of a code; None if it is junk."""
        return self.identifiers.node(code)
