"""Which files are logs, and whether they stay as they are while they are read (S1.1)."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from eventlib.errors import BadCallError
from eventlib.sources.parquet import PARTITION

__all__ = ["SUFFIXES", "digest_file", "find_logs", "is_archive", "least_space", "passed_over", "unchanging"]

_TEXTS: Final = (".ndjson", ".jsonl", ".json", ".csv", ".tsv", ".log")
SUFFIXES: Final = (*_TEXTS, *(text + packed for text in _TEXTS for packed in (".gz", ".zst")), ".parquet")
_ROTATED: Final = re.compile(
    r"\.log[.-][0-9][0-9-]*(\.gz|\.zst)?$"  # as logrotate names them
    r"|(^|[._-])access_log([.-][0-9][0-9-]*)?(\.gz|\.zst)?$"  # as Apache does
    r"|\.[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9A-Za-z]+(\.gz)?$"  # as CloudFront does, by hour and a word of its own
)


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def unchanging(paths: Sequence[Path]) -> Iterator[None]:
    """Refuse logs that are written to, replaced or removed while they are read: their lines would be torn or lost.

    Raises
    ------
    BadCallError
        Naming the first of them.
    """
    before = [_identity(path) for path in paths]
    yield
    for path, was in zip(paths, before, strict=True):
        if _identity(path) != was:
            raise BadCallError(
                f"{path} changed while it was read; give logs that are finished, or a copy of those that are not"
            )


def _is_log(path: Path) -> bool:
    return path.name.endswith(SUFFIXES) or _ROTATED.search(path.name) is not None


def find_logs(logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the log files that paths, folders and patterns name, each once, sorted by path.

    Raises
    ------
    BadCallError
        If one of them names nothing, or a file of no known kind.

    Examples
    --------
    >>> find_logs("nowhere/*.ndjson")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: no log file matches 'nowhere/*.ndjson'
    """
    wanted = [logs] if isinstance(logs, str | os.PathLike) else list(logs)
    if not wanted:
        raise BadCallError("no log was given: the list of logs is empty")
    found: dict[Path, Path] = {}
    for item in wanted:
        text = os.fspath(item)
        path = Path(text)
        if path.is_dir():
            matches = [p for p in sorted(path.iterdir()) if p.is_file() and _is_log(p)]
            matches += _partitions(path)
        else:
            matches = [path] if path.is_file() else [Path(p) for p in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207  # absolute patterns
            matches = [p for p in matches if p.is_file()]
        if not matches:
            raise BadCallError(f"no log file matches {text!r}")
        unknown = [p for p in matches if not _is_log(p)]
        if unknown:
            raise BadCallError(f"{unknown[0]} is not a log file; known kinds: {', '.join(SUFFIXES)}")
        found |= {p.resolve(): p for p in matches}
    return sorted(found.values(), key=os.fspath)


def _partitions(folder: Path) -> list[Path]:
    """Return the Parquet files in folders named `column=value`, as engines write partitions, however deep."""
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and PARTITION.fullmatch(path.name)]
    return [
        file
        for path in inside
        for file in (*(p for p in sorted(path.glob("*.parquet")) if p.is_file()), *_partitions(path))
        if not file.name.startswith((".", "_"))
    ]


def passed_over(logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return what lies in the folders that `logs` names but is not read: files of no known kind, and folders.

    Names that begin with `.` or `_` are not logs by convention (`_SUCCESS`), and not listed.
    """
    wanted = [Path(item) for item in ([logs] if isinstance(logs, str | os.PathLike) else logs)]
    inside = [path for folder in wanted if folder.is_dir() for path in sorted(folder.iterdir())]
    return [
        p
        for p in inside
        if not p.name.startswith((".", "_"))
        and not (p.is_file() and _is_log(p))
        and not (p.is_dir() and PARTITION.fullmatch(p.name) and _partitions(p.parent))
    ]


def is_archive(path: Path) -> bool:
    """Say whether a log is compressed, and so holds several times its size."""
    return path.name.endswith((".gz", ".zst", ".parquet"))


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def least_space(logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> int:
    """Return what the canonical frame takes on disk while preparing, in bytes: about an eighth of the log as text."""
    return sum(path.stat().st_size * (6 if is_archive(path) else 1) for path in find_logs(logs)) // 8
