"""Where frames run: Polars or DuckDB, as the log's size asks, pandas or Spark, behind one narwhals dialect.

Only this module knows an engine by name. Stages see narwhals frames: integers for times (microseconds) and keys.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Final

import duckdb
import narwhals as nw
import pyarrow as pa

from eventlib.errors import BadCallError

__all__ = [
    "AUTO",
    "ENGINES",
    "MEMORY",
    "SPARK",
    "Engine",
    "Frame",
    "check_engine",
    "chosen_engine",
    "connect",
    "engine",
    "engine_of",
    "numbered_parquet",
    "parquet",
    "quoted",
]

Frame = nw.LazyFrame[Any]

MEMORY: Final = "2GB"
"""What DuckDB may take while a log is prepared; it spills beyond."""


def connect(spill: Path | None = None, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open an own in-memory DuckDB: UTC, no extensions, rows in no order but what a query asks for, its settings locked.

    Parameters
    ----------
    spill
        Folder where it may spill what memory cannot hold.
    memory_limit
        Such as `2GB`.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,  # nothing here means the order in which rows happen to lie
    }
    if spill is not None:
        config["temp_directory"] = str(spill)
    if memory_limit is not None:
        config["memory_limit"] = memory_limit
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quoted(path: Path) -> str:
    """Return a path as an SQL text."""
    return "'" + str(path).replace("'", "''") + "'"


def parquet(*paths: Path, options: str = "") -> str:
    """Return Parquet files as an SQL relation; what their folders are called is no part of it."""
    return f"read_parquet([{', '.join(map(quoted, paths))}], hive_partitioning = false{options})"


def numbered_parquet(path: Path) -> str:
    """Return a Parquet file as an SQL relation with `file_row_number`, from 0."""
    return parquet(path, options=", file_row_number = true")


class Engine(ABC):
    """One place where frames run."""

    name: ClassVar[str]

    @abstractmethod
    def frame(self, table: pa.Table) -> Frame:
        """Bring a table to the engine."""

    def take(self, connection: duckdb.DuckDBPyConnection, query: str) -> Frame:
        """Bring the result of a query on a DuckDB connection to the engine."""
        return self.frame(connection.sql(query).to_arrow_table())

    def give(self, connection: duckdb.DuckDBPyConnection, frame: Frame, name: str) -> None:
        """Leave a frame as the relation `name` of a DuckDB connection."""
        connection.register(name, self.collect(frame))

    @abstractmethod
    def checkpoint(self, frame: Frame) -> Frame:
        """Compute a lazy frame once; narwhals has no lazy persist, and a plan that is not cut is computed again per use."""

    @abstractmethod
    def forget(self, *kept: Frame) -> None:
        """Let go of every checkpoint but those `kept`; frames made from the others can no longer be used."""

    def collect(self, frame: Frame) -> pa.Table:
        """Bring a frame back as a table."""
        return frame.collect(backend="pyarrow").to_arrow()


class _DuckDB(Engine):
    name = "duckdb"

    def __init__(self, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        self.connection = connection or connect()
        self._made = 0
        self._names: dict[int, str] = {}
        self._held: list[Frame] = []  # also keeps their identities from being given to others

    def frame(self, table: pa.Table) -> Frame:
        return self._keep(self.connection.from_arrow(table))

    def take(self, connection: duckdb.DuckDBPyConnection, query: str) -> Frame:
        return (
            self._keep(connection.sql(query))
            if connection is self.connection
            else super().take(connection, query)
        )

    def give(self, connection: duckdb.DuckDBPyConnection, frame: Frame, name: str) -> None:
        if connection is self.connection:
            nw.to_native(frame).create_view(name)
        else:
            super().give(connection, frame, name)

    def checkpoint(self, frame: Frame) -> Frame:
        return self._keep(nw.to_native(frame))

    def _keep(self, relation: duckdb.DuckDBPyRelation) -> Frame:
        self._made += 1
        name = f"checkpoint_{id(self)}_{self._made}"
        relation.create(name)
        made: Frame = nw.from_native(self.connection.table(name)).lazy()
        self._names[id(made)] = name
        self._held.append(made)
        return made

    def forget(self, *kept: Frame) -> None:
        stay = {id(frame) for frame in kept}
        for frame in self._held:
            if id(frame) not in stay:
                self.connection.execute(f'DROP TABLE "{self._names.pop(id(frame))}"')
        self._held = [frame for frame in self._held if id(frame) in stay]


class _Polars(Engine):
    name = "polars"

    def frame(self, table: pa.Table) -> Frame:
        import polars as pl  # noqa: PLC0415  # the other engines need not wait for it

        made: Frame = nw.from_native(pl.DataFrame(table)).lazy()
        return made

    def checkpoint(self, frame: Frame) -> Frame:
        return frame.collect(backend="polars").lazy()

    def forget(self, *kept: Frame) -> None:
        """Hold nothing: a frame here lives as long as somebody uses it."""


class _Pandas(Engine):
    name = "pandas"

    def frame(self, table: pa.Table) -> Frame:
        import pandas as pd  # noqa: PLC0415  # the other engines need not wait for it

        made: Frame = nw.from_native(table.to_pandas(types_mapper=pd.ArrowDtype)).lazy()
        return made

    def checkpoint(self, frame: Frame) -> Frame:
        return frame.collect(backend="pandas").lazy()

    def forget(self, *kept: Frame) -> None:
        """Hold nothing: a frame here lives as long as somebody uses it."""


ENGINES: Final[dict[str, type[Engine]]] = {"duckdb": _DuckDB, "polars": _Polars, "pandas": _Pandas}
"""Engines within this process; `spark` is the one beyond it."""

SPARK: Final = "spark"
AUTO: Final = "auto"
"""The engine that suits how many events there are."""

_IN_MEMORY: Final = 1 << 20


def chosen_engine(name: str, events: int) -> str:
    """Return the engine that a run takes; all give the same result.

    Polars plans a query sooner than DuckDB and holds everything in memory, 2.7 GiB at the limit; DuckDB spills.
    """
    if name != AUTO:
        return name
    return _Polars.name if events <= _IN_MEMORY else _DuckDB.name


def check_engine(name: str) -> None:
    """Refuse a name that `engine` would refuse, without opening anything.

    Raises
    ------
    BadCallError
        If there is no engine of that name.
    """
    names = [AUTO, *ENGINES, SPARK]
    if name not in names:
        raise BadCallError.unknown("engine", name, names)


def engine(name: str, connection: duckdb.DuckDBPyConnection | None = None) -> Engine:
    """Return a fresh engine by what `chosen_engine` returned."""
    if name == SPARK:
        from eventlib.spark.engine import SparkEngine  # noqa: PLC0415  # an optional engine

        return SparkEngine()
    return _DuckDB(connection) if name == "duckdb" else ENGINES[name]()


def engine_of(frame: Any) -> tuple[Engine, Frame]:
    """Return the engine that a caller's frame lives on, and the frame as narwhals sees it.

    Raises
    ------
    BadCallError
        If it is no pandas, Polars, PyArrow, DuckDB or PySpark frame.
    """
    if isinstance(frame, pa.Table):
        made = engine("duckdb")
        return made, made.frame(frame)
    try:
        adopted = nw.from_native(frame)
    except TypeError as error:
        raise BadCallError(
            f"a {type(frame).__name__} is no frame; pass a pandas, Polars, PyArrow, DuckDB or PySpark one"
        ) from error
    implementation = adopted.implementation
    if implementation.is_pandas():
        made = engine("pandas")
        return made, made.frame(pa.Table.from_pandas(frame, preserve_index=False))
    if implementation.is_polars():
        return engine("polars"), adopted.lazy()
    if implementation.is_duckdb():
        made = engine("duckdb")
        return made, made.frame(frame.to_arrow_table())
    if implementation.is_pyspark():
        from eventlib.spark.engine import SparkEngine  # noqa: PLC0415  # an optional engine

        return SparkEngine(frame.sparkSession), adopted.lazy()
    raise BadCallError.unknown(
        "kind of frame", str(implementation), ["pandas", "polars", "pyarrow", "duckdb", "pyspark"]
    )
