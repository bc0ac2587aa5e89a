"""Arrow tables of rows, and the one reader and writer of saved ones; neither an engine nor pandas is loaded for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

__all__ = ["UNIQUE", "read_parquet", "table_of", "write_parquet"]

ROW_GROUP: Final = 122_880
UNIQUE: Final = frozenset({"event_id", "properties", "digest"})
"""Columns whose values hardly ever repeat."""


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table of that schema, null where a row has no such key.

    `Table.from_pylist` would load pandas, a second that most runs need not wait for.
    """
    return pa.Table.from_arrays(
        [pa.array([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema
    )


def read_parquet(
    path: Path,
    columns: Sequence[str] | None = None,
    schema: pa.Schema | None = None,
    which: pc.Expression | None = None,
) -> pa.Table:
    """Read a saved table, or the rows of it for which an expression holds; what its folders are called is no part of it."""
    names = None if columns is None else list(columns)
    return pq.read_table(path, columns=names, schema=schema, filters=which, partitioning=None)


def _ahead(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches, the next one being made on another core meanwhile."""
    source = iter(batches)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, source, None)
            yield batch


def write_parquet(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
    """Write batches as they come, and return how many rows there were.

    Every saved table is written here: DuckDB's, Polars' and Spark's own writers give bytes that vary from run
    to run; these depend on the rows and their order alone.
    """
    rows = 0
    pending: list[pa.RecordBatch] = []
    held = 0
    moments = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    repeated = [name for name in schema.names if name not in UNIQUE and name not in moments]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=repeated,  # the rest would only fill a dictionary
        column_encoding=dict.fromkeys(moments, "DELTA_BINARY_PACKED"),  # half of plain, and sooner written
        store_schema=False,
    ) as writer:
        for batch in _ahead(batches):
            pending.append(batch)
            held += batch.num_rows
            while held >= ROW_GROUP:
                table = pa.Table.from_batches(pending).cast(schema)
                writer.write_table(table.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
                pending, held, rows = table.slice(ROW_GROUP).to_batches(), held - ROW_GROUP, rows + ROW_GROUP
        table = pa.Table.from_batches(pending, schema=pending[0].schema if pending else schema).cast(schema)
        if held or not rows:
            writer.write_table(table.combine_chunks(), row_group_size=ROW_GROUP)
    return rows + held
