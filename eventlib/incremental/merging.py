"""The written events of a new version: rows of the base that nothing changed, and changed ones among them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, wait
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eventlib.arrow import UNIQUE
from eventlib.model import EVENT_COLUMNS

__all__ = ["WrittenEvents", "merged_events"]


_REPEATED: Final = [
    field.name for field in EVENT_COLUMNS if pa.types.is_string(field.type) and field.name not in UNIQUE
]
_AHEAD: Final = 8  # row groups, about a million rows: some 300 MB


class WrittenEvents:
    """The rows of an `events.parquet`, a row group at a time; the first ones are read ahead and held until they are merged.

    Parameters
    ----------
    path
        The file.
    beside
        Where it is read ahead, one task after the other.
    """

    def __init__(self, path: Path, beside: Executor) -> None:
        # strings stay numbers of their dictionary until they are written again: a third of the work
        self._file = pq.ParquetFile(path, read_dictionary=_REPEATED)
        self.groups, self.rows = self._file.num_row_groups, self._file.metadata.num_rows
        first = range(min(self.groups, _AHEAD))
        self._ahead = {group: beside.submit(self._file.read_row_group, group) for group in first}
        self._stopped = False

    def group(self, number: int) -> pa.Table:
        """Return a row group; dictionaries in place of strings that repeat.

        Raises
        ------
        CancelledError
            If the run has failed.
        """
        if self._stopped:
            raise CancelledError
        ahead = self._ahead.get(number)
        return self._file.read_row_group(number) if ahead is None else ahead.result()

    def let_go(self, number: int) -> None:
        """Hold a row group no longer."""
        self._ahead.pop(number, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Give up what is read and merged elsewhere, if the run has failed."""
        self._stopped = failed is not None
        for ahead in self._ahead.values():
            ahead.cancel()

    def take(self, rows: np.ndarray) -> pa.Table:
        """Return some rows, given by their numbers from 0, rising."""
        wait(self._ahead.values())  # a file may be read in one thread at a time
        found, start = [EVENT_COLUMNS.empty_table()], 0
        for number in range(self.groups):
            size = self._file.metadata.row_group(number).num_rows
            low, high = np.searchsorted(rows, (start, start + size))
            if low < high:
                found.append(self.group(number).take(rows[low:high] - start).cast(EVENT_COLUMNS))
            start += size
        return pa.concat_tables(found)


def merged_events(
    base: WrittenEvents, removed: np.ndarray, changed: pa.Table, before: np.ndarray
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a new `events.parquet`, in order, a row group of the base at a time.

    Parameters
    ----------
    base
        The events to build on.
    removed
        Whether each of its rows leaves its place (boolean).
    changed
        The rows that are new or have changed, in order.
    before
        How many unchanged rows stand before each of them, rising.
    """
    position = stayed = taken = 0
    for group in range(base.groups):
        table = base.group(group)
        base.let_go(group)
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
