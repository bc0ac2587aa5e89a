"""The row world on Spark: one task per range of a plain log file, or per archive, each judged as the embedded path judges it.

The events go to files beside the result, in a folder that all workers see; what comes back to the driver are counts and
quarantine rows.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
import pyarrow as pa

from eventlib.arrow import table_of
from eventlib.errors import BadCallError
from eventlib.judging import Piece, Task, judge_chunk
from eventlib.model import quarantine_columns
from eventlib.rows import Log, Plan, gather_pieces
from eventlib.sources import unpack_of
from eventlib.sources.files import CHUNK_BYTES, Chunk, chunks, count_newlines, holds_several, range_chunks
from eventlib.sources.finding import digest_file, unchanging
from eventlib.spark.session import quiet

__all__ = ["read_rows_on"]

_WHOLE: Final = (".gz", ".zst", ".parquet")
_MOST_TASKS: Final = 1 << 15
_MOST_CHUNKS: Final = 1 << 16
"""Of a task: rows are numbered by task, chunk and place (`eventlib.judging.judge_chunk`), in 63 bits together."""
_RANGE_BLOCKS: Final = 16


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a log for one task; `stop` None is the whole file."""

    file: int
    path: str
    start: int = 0
    stop: int | None = None
    newlines: int = 0
    source: str = "native"

    def chunks(self, size: int) -> Iterator[Chunk]:
        path = Path(self.path)
        if self.stop is None:
            return chunks(path, self.file, unpack=unpack_of(self.source))
        return range_chunks(path, self.file, self.start, self.stop, self.newlines, size)


def _is_whole(path: Path, source: str) -> bool:
    """Tell whether a file must be read by one task: where a record stands in it is known to whoever read what is before."""
    return path.name.endswith(_WHOLE) or unpack_of(source) is not None or holds_several(path)


def _parts(plan: Plan, block: int) -> list[_Part]:
    """Cut plain files into ranges of whole blocks; more blocks to a range where there would be too many."""
    sources = [name for name, _ in plan.names]
    sizes = [
        None if _is_whole(path, source) else path.stat().st_size
        for path, source in zip(plan.paths, sources, strict=True)
    ]
    total = sum(size or 0 for size in sizes)
    span = block * max(1, min(_RANGE_BLOCKS, total // (block * 64)), -(-total // (block * _MOST_TASKS // 2)))
    found: list[_Part] = []
    for file, (path, size) in enumerate(zip(plan.paths, sizes, strict=True)):
        text = os.fspath(path.resolve())
        if size is None:
            found.append(_Part(file, text, source=sources[file]))
        else:
            found += [_Part(file, text, start, min(start + span, size)) for start in range(0, size, span)]
    if len(found) >= _MOST_TASKS:
        raise BadCallError(
            f"{len(found):,} files and ranges are too many for one run on Spark; {_MOST_TASKS:,} is the limit: join small files"
        )
    return found


def _run(spark: Any, count: int, work: Callable[[int], Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Run `work` for each number under `count`, a task each, and return what it gives in order of the numbers."""

    def carried(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                try:
                    found = [orjson.dumps(item) for item in work(number)]
                except OSError as error:
                    found = [
                        orjson.dumps({"error": f"{error.filename or 'a file'}: {error.strerror or error}"})
                    ]
                yield pa.record_batch(
                    {
                        "number": pa.array([number] * len(found), pa.int64()),
                        "nth": pa.array(range(len(found)), pa.int64()),
                        "found": pa.array(found, pa.binary()),
                    }
                )

    with quiet():
        given = spark.range(0, count, 1, max(count, 1)).mapInArrow(
            carried, "number long, nth long, found binary"
        )
        table = _collected(given).sort_by([("number", "ascending"), ("nth", "ascending")])
    items = [orjson.loads(text) for text in table["found"].to_pylist()]
    broken = [item["error"] for item in items if "error" in item]
    if broken:
        raise BadCallError(
            f"a Spark worker cannot use {broken[0]}; logs, schemas and --out must be visible to every worker under the same path"
        )
    return items


def _collected(frame: Any) -> pa.Table:
    from pyspark.errors import PythonException  # noqa: PLC0415  # an optional engine

    try:
        return frame.toArrow()
    except PythonException as error:
        if "ModuleNotFoundError" in str(error):
            missing = str(error).split("ModuleNotFoundError: ", 1)[1].splitlines()[0]
            raise BadCallError(
                f"the Python of the Spark workers lacks a module ({missing}): install eventlib {version('eventlib')} there, "
                "and name that Python in PYSPARK_PYTHON"
            ) from error
        raise


def _survey(spark: Any, plan: Plan, parts: list[_Part]) -> tuple[list[_Part], list[str]]:
    """Digest the files and count the newlines of their ranges, for the numbers of the lines."""
    paths = [os.fspath(path.resolve()) for path in plan.paths]

    def look(number: int) -> Iterator[dict[str, Any]]:
        if number < len(paths):
            yield {"sha256": digest_file(Path(paths[number])), "version": version("eventlib")}
        else:
            part = parts[number - len(paths)]
            known = part.stop is None or _is_last(number - len(paths), parts)
            yield {
                "newlines": 0 if known else count_newlines(Path(part.path), part.start, part.stop or 0),
                "version": version("eventlib"),
            }

    found = _run(spark, len(paths) + len(parts), look)
    others = {item["version"] for item in found} - {version("eventlib")}
    if others:
        raise BadCallError(
            f"the Spark workers have eventlib {', '.join(sorted(others))}, this is {version('eventlib')}: install the same"
        )
    before: Counter[int] = Counter()
    placed = []
    for part, item in zip(parts, found[len(paths) :], strict=True):
        placed.append(replace(part, newlines=before[part.file]))
        before[part.file] += item["newlines"]
    return placed, [item["sha256"] for item in found[: len(paths)]]


def _is_last(index: int, parts: list[_Part]) -> bool:
    """Tell whether no range of the same file follows, so that nobody asks for its newlines."""
    return index + 1 == len(parts) or parts[index + 1].file != parts[index].file


def _judge(part: _Part, number: int, task: Task, block: int) -> Iterator[dict[str, Any]]:
    """Judge a part chunk by chunk; a piece appears under its name only when it is whole, whoever tries it twice."""
    folder = Path(task.folder)
    with TemporaryDirectory(prefix=".task-", dir=folder) as attempt:
        for nth, chunk in enumerate(part.chunks(block)):
            if nth >= _MOST_CHUNKS:
                raise ValueError(f"{part.path} is too large for one task")
            piece = judge_chunk(chunk, number * _MOST_CHUNKS + nth, replace(task, folder=attempt))
            for made in Path(attempt).iterdir():
                made.replace(folder / made.name)
            yield {field.name: _plain(getattr(piece, field.name)) for field in fields(Piece)}


def _plain(value: Any) -> Any:
    """Return a counter as pairs, JSON having no keys but texts, and a table as rows."""
    if isinstance(value, pa.Table):
        return value.to_pylist()
    return list(value.items()) if isinstance(value, Counter) else value


def _piece(item: dict[str, Any], columns: pa.Schema) -> Piece:
    """Return a piece from its JSON form."""
    counters = {
        field.name: Counter({tuple(key) if isinstance(key, list) else key: n for key, n in item[field.name]})
        for field in fields(Piece)
        if field.default_factory is Counter
    }
    return Piece(**{**item, **counters, "quarantine": table_of(item["quarantine"], columns)})


def read_rows_on(spark: Any, plan: Plan, *, block: int = CHUNK_BYTES) -> Log:
    """Read logs up to the border on Spark's workers (S1).

    Parameters
    ----------
    spark
        The session.
    plan
        What is read, and a folder for the pieces that every worker sees.
    block
        Bytes of a block; a plain file is cut into ranges of whole blocks.

    Raises
    ------
    BadCallError
        If a worker cannot see a file, has no eventlib or another one, or there are too many files.
    """
    with unchanging(plan.paths):
        parts, digests = _survey(spark, plan, _parts(plan, block))
        tasks = [plan.task(file) for file in range(len(plan.paths))]
        found = _run(spark, len(parts), lambda n: _judge(parts[n], n, tasks[parts[n].file], block))
    columns = quarantine_columns(keep_raw=plan.keep_raw)
    return gather_pieces(plan, (_piece(item, columns) for item in found), digests)
