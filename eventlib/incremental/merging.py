"""The written tables of a new version: rows of the base that nothing changed, and changed ones among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eventlib.arrow import UNIQUE
from eventlib.model import EVENT_COLUMNS

__all__ = ["merged_events"]


_REPEATED: Final = [
    field.name for field in EVENT_COLUMNS if pa.types.is_string(field.type) and field.name not in UNIQUE
]


def merged_events(
    base: Path, removed: np.ndarray, changed: pa.Table, before: np.ndarray
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a new `events.parquet`, in order, a row group of the base at a time.

    Parameters
    ----------
    base
        The `events.parquet` to build on.
    removed
        Whether each of its rows leaves its place (boolean).
    changed
        The rows that are new or have changed, in order.
    before
        How many unchanged rows stand before each of them, rising.
    """
    # strings stay numbers of their dictionary until they are written again: a third of the work
    file = pq.ParquetFile(base, read_dictionary=_REPEATED)
    position = stayed = taken = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        stays = np.flatnonzero(~removed[position : position + len(table)])
        position += len(table)
        upto = int(np.searchsorted(before, stayed + len(stays), "left"))
        fresh = changed.slice(taken, upto - taken)
        if len(fresh) or len(stays) < len(table):
            table = _woven(table, stays, fresh, before[taken:upto] - stayed)
        stayed, taken = stayed + len(stays), upto
        yield from table.cast(EVENT_COLUMNS).to_batches()
    yield from changed.slice(taken).to_batches()


def _woven(table: pa.Table, stays: np.ndarray, fresh: pa.Table, before: np.ndarray) -> pa.Table:
    """Put each fresh row after the given number of those that stay."""
    order = np.insert(stays, before, np.arange(len(fresh)) + len(table))
    return pa.concat_tables([table, fresh.cast(table.schema)]).take(order)
