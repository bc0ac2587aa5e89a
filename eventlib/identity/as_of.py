"""Who was known to be one person at a moment, from what had arrived by then (S4.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from eventlib.arrow import read_parquet
from eventlib.engine import chosen_engine, connect, engine
from eventlib.errors import BadCallError
from eventlib.identity.aliases import plain_names_of
from eventlib.identity.people import Identities, merge_people
from eventlib.manual_links import Statements
from eventlib.prepared import Prepared, event_files
from eventlib.pseudonyms import Keys, Pseudonymiser, Written, key_check
from eventlib.state import read_state
from eventlib.state_graph import StateGraph
from eventlib.tombstones import NONE, read_tombstones
from eventlib.writing import read_registry

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AsOf", "merge_as_of"]


class AsOf:
    """People as they were known at a moment.

    Attributes
    ----------
    events : pandas.DataFrame
        `event_id`, `person_id` of the events that had happened and arrived by then, in total order; null for nobody's.
    people : pandas.DataFrame
        As `Prepared.people`.
    """

    def __init__(self, events: pa.Table, people: pa.Table) -> None:
        self._events, self._people = events, people

    @property
    def events(self) -> pd.DataFrame:
        """Return who each event was known to be of."""
        import pandas as pd  # noqa: PLC0415  # only those who look at frames come here

        frame: pd.DataFrame = self._events.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    @property
    def people(self) -> pd.DataFrame:
        """Return who was known to be one person."""
        import pandas as pd  # noqa: PLC0415  # as above

        frame: pd.DataFrame = self._people.to_pandas(types_mapper=pd.ArrowDtype)
        return frame


def _written(prepared: Prepared, pseudonym: Pseudonymiser) -> Written:
    """Return how nodes are written: as the dataset's own events do."""
    if not pseudonym.plain:
        return Written(pseudonym, {})
    columns = ["anonymous_id", "user_id", "event_name", "properties"]
    tables = (read_parquet(file, columns=columns) for file in event_files(prepared.folder))
    return Written(pseudonym, plain_names_of(tables, pseudonym))


def merge_as_of(prepared: Prepared, moment: int, keys: Keys) -> AsOf:
    """Merge identifiers into people by what was known at a moment (microseconds).

    Parameters
    ----------
    prepared
        A prepared dataset with state.
    moment
        Events that happened, by their corrected time, or arrived later say nothing yet.
    keys
        The dataset's.

    Raises
    ------
    BadCallError
        If the dataset keeps no state, or the key is another.
    """
    stamp = read_state(prepared.folder)
    if stamp["settings"]["key"] != key_check(keys.current):
        raise BadCallError("this is not the key that the dataset was prepared with: pass that one as key")
    pseudonym = Pseudonymiser(keys.current, plain=bool(prepared.run["parameters"]["plain_identifiers"]))
    tombstones = read_tombstones(keys, [prepared.folder / "state" / "tombstones.parquet"])
    known = f"place IS NOT NULL AND event_time <= {moment} AND received <= {moment}"
    with connect() as connection:
        graph = StateGraph(connection, prepared.folder / "state")
        connection.execute(
            f"""CREATE TEMP TABLE known AS
                SELECT row, place, anonymous, user, nullif(coalesce(nullif(anonymous, 0), user), 0) AS device, session,
                       event_time, (verdict_identity >= 16)::BIGINT AS allow_identity
                FROM fact JOIN outcome USING (row) WHERE {known}"""  # noqa: S608  # our own condition, a number
        )
        rows = connection.sql("SELECT count(*) FROM known").fetchall()[0][0]
        where = engine(chosen_engine("auto", int(rows)), connection)
        found: Identities = merge_people(
            where,
            where.take(connection, "SELECT * EXCLUDE (place) FROM known"),
            graph.identifiers,
            graph.links(f"{known} AND verdict_identity >= 16"),
            _written(prepared, pseudonym),
            registry=read_registry(prepared.folder / "registry.parquet"),
            tombstones=tombstones,
            taken=frozenset(number for number, _ in tombstones.persons),
            manual=Statements.of_state(stamp["manual_links"]).in_force(stamp["as_of"], NONE),
        )
        where.give(connection, found.of_row, "of_row")
        placed = connection.sql(
            "SELECT place, person FROM known LEFT JOIN of_row USING (row) ORDER BY place"
        ).to_arrow_table()
    return AsOf(_named(prepared, placed), found.people)


def _named(prepared: Prepared, placed: pa.Table) -> pa.Table:
    """Return the ids of events and people of rows by their places in the dataset."""
    ids = pa.concat_tables(read_parquet(file, columns=["event_id"]) for file in event_files(prepared.folder))[
        "event_id"
    ]
    persons = [None if number is None else f"p-{number:06d}" for number in placed["person"].to_pylist()]
    return pa.table(
        {"event_id": ids.take(pc.subtract(placed["place"], 1)), "person_id": pa.array(persons, pa.string())}
    )
