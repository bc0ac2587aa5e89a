"""Parquet logs as JSON lines: one code path judges both (S1.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from eventlib.errors import BadCallError
from eventlib.sources.decode import lossless

__all__ = ["PARTITION", "parquet_lines"]

PARTITION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")
_PARTITIONED: Final = frozenset({"event_name", "schema_version", "source", "channel"})
"""Members of an event by which logs are partitioned; what else folders are named by (a day) is no part of the event."""
_BATCH_ROWS: Final = 10_000
_NO_VALUE: Final = (ValueError, OverflowError, KeyError)
"""What Arrow raises of text that is not UTF-8, of a time that Python has not, and of an unknown zone."""


class _Json(bytes):
    """A JSON text that becomes part of its line as it stands."""


def parquet_lines(path: Path) -> Iterator[bytes]:
    """Read a Parquet file as blocks of JSON lines; of texts alone, as the lines that they are.

    Raises
    ------
    BadCallError
        If the file is no Parquet file, or damaged.
    """
    stated: dict[str, str] | None = None
    for batch in _batches(path):
        if batch.num_columns == 1 and _is_text(batch.schema.field(0).type):
            yield b"".join(map(_text_line, _as_bytes(batch.column(0)).to_pylist()))
            continue
        if stated is None:
            stated = _partition_values(path, set(batch.schema.names))
        yield b"".join(_json_line(_row({**row, **stated})) for row in _rows(batch))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        file = pq.ParquetFile(path)
        file.schema_arrow.names  # noqa: B018  # names that are not UTF-8 are told here
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadCallError(f"{path} is no Parquet file: {error}") from error
    try:
        yield from file.iter_batches(batch_size=_BATCH_ROWS)
    except (pa.ArrowException, OSError) as error:
        raise BadCallError(f"{path} is damaged: {error}") from error


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _as_bytes(column: pa.Array) -> pa.Array:
    """Return texts as their bytes, be they UTF-8 or not."""
    return column.cast(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())


def _text_line(value: bytes | None) -> bytes:
    """Return a log line that was kept as a value; a line break in it can only stand between JSON's tokens."""
    return (value or b"").rstrip(b"\r\n").replace(b"\n", b" ") + b"\n"


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except _NO_VALUE:
        columns = [[_value(scalar) for scalar in column] for column in batch.columns]
        return [dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return rows


def _value(scalar: pa.Scalar) -> Any:
    """Return a value as Python has it, or what a verdict can be given on: odd bytes in a text, the number of a far time."""
    try:
        return scalar.as_py()
    except _NO_VALUE:
        if isinstance(scalar, pa.DictionaryScalar):
            return _value(scalar.value)
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(member) for name, member in scalar.items()}
        if isinstance(scalar, pa.ListScalar):
            return [_value(member) for member in scalar.values]
        if _is_text(scalar.type):
            return scalar.as_buffer().to_pybytes().decode("utf-8", "surrogateescape")
        return str(scalar.value)


def _json_line(row: dict[str, Any]) -> bytes:
    """Return a row as its line; bytes that are not UTF-8 stand in it as they are, for the verdict to find."""
    try:
        return orjson.dumps(row, default=_as_json) + b"\n"
    except orjson.JSONEncodeError:
        text = json.dumps(row, default=_as_text, ensure_ascii=False)
        return text.encode("utf-8", "surrogateescape") + b"\n"


def _as_json(value: Any) -> orjson.Fragment | str:
    return orjson.Fragment(bytes(value)) if type(value) is _Json else _as_text(value)


def _as_text(value: Any) -> str:
    """Return what JSON has no form for; texts that a writer left as bytes are what the bytes say."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _partition_values(path: Path, names: set[str]) -> dict[str, str]:
    """Return what the names of a file's folders say of its events, which writers of partitions then leave out."""
    pairs = (part.split("=", 1) for part in path.parent.parts if PARTITION.fullmatch(part))
    return {
        name: unquote(value)
        for name, value in pairs
        if name in _PARTITIONED and name not in names and value != "__HIVE_DEFAULT_PARTITION__"
    }


def _read_text(text: str | bytes) -> Any:
    """Return the value of a JSON text; of one in which reading would lose something, the text as it is, for the verdict to find."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text  # a text is no object
    raw = text.encode() if isinstance(text, str) else text
    return value if value is None or lossless(raw) is not None else _Json(raw.replace(b"\n", b" "))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("properties", "consent", "context"):
        if isinstance(row.get(name), str | bytes):
            row[name] = _read_text(row[name])
    times = {
        name: row[name].isoformat()
        for name in ("occurred_at", "sent_at", "received_at")
        if hasattr(row.get(name), "isoformat")
    }
    absent = {
        name
        for name in ("sent_at", "sequence", "channel", "anonymous_id", "user_id")
        if row.get(name, 0) is None
    }
    return {name: value for name, value in {**row, **times}.items() if name not in absent}
