"""What every stage of the column world takes for granted: required columns, times in microseconds, results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import narwhals as nw

from eventlib.engine import Frame
from eventlib.errors import BadCallError
from eventlib.ledger import Entry

__all__ = ["NO_SEQUENCE", "StageResult", "count_rows", "require"]

NO_SEQUENCE: Final = 2**62
"""Stands for an absent sequence: engines differ in where they sort nulls, and here they come last (S3.5)."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage gives back.

    Attributes
    ----------
    events : frame
        The events that went on.
    removed : frame
        The rows taken out, with `removed_by`.
    entry : Entry
        The accounting.
    """

    events: Any
    removed: Any
    entry: Entry


def require(stage: str, frame: Frame, columns: Iterable[str]) -> None:
    """Refuse a frame that lacks a column which the stage needs."""
    have = frame.collect_schema().names()
    missing = set(columns) - set(have)
    if missing:
        raise BadCallError.missing_columns(stage, missing, have)


def count_rows(frame: Frame, by: str | None = None) -> Mapping[str, int]:
    """Count rows, by the values of a text column where one is named."""
    if by is None:
        table = frame.select(nw.len().alias("rows")).collect(backend="pyarrow").to_arrow()
        return {"": int(table["rows"][0].as_py())}
    counted = frame.group_by(by).agg(nw.len().alias("rows")).collect(backend="pyarrow").to_arrow()
    return {str(row[by]): int(row["rows"]) for row in counted.to_pylist()}
