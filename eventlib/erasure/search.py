"""Looking for identifiers in all that was written: decoded contents (Parquet, archives, HTML, JSON) and raw bytes (S2.8)."""

from __future__ import annotations

import bz2
import gzip
import html
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard

__all__ = ["Needles", "Search", "files_in"]

_BLOCK: Final = 8 << 20
_LONG: Final = 16_384  # characters over which a line is looked through only once
_SHORT: Final = 6  # characters under which a text is looked for only as a whole value
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.\-]{6,}")
_PSEUDONYM: Final = re.compile(r"(?<![0-9A-Za-z])[a-z]-[0-9a-f]{32}(?![0-9a-z])")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_TEXTS: Final = (".html", ".json", ".jsonl", ".ndjson", ".ipynb", ".csv", ".md", ".txt", ".yaml")


@dataclass(frozen=True)
class Needles:
    """What is looked for.

    Attributes
    ----------
    plain : frozenset of str
        Identifiers as they stand in logs, of any form.
    tokens : frozenset of str
        Pseudonyms and ids that stand alone: letters, digits, `_.-`, at least six.
    numbers : frozenset of int
        Keyed numbers of subjects.
    """

    plain: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    numbers: frozenset[int] = frozenset()

    @cached_property
    def within(self) -> re.Pattern[str] | None:
        """Return the pattern of plain identifiers within a text, never as a part of a longer word."""
        long = sorted((re.escape(text) for text in self.plain if len(text) >= _SHORT), key=len, reverse=True)
        return re.compile(rf"(?<![\w.-])(?:{'|'.join(long)})(?![\w-])", re.IGNORECASE) if long else None

    def in_text(self, text: str) -> bool:
        """Tell whether a text holds one of them."""
        if self.within is not None and self.within.search(text):
            return True
        return not (
            self.tokens.isdisjoint(_PSEUDONYM.findall(text))
            and self.tokens.isdisjoint(token.strip(".-_") for token in _TOKEN.findall(text))
        )

    def is_one(self, value: str) -> bool:
        """Tell whether a whole value is one of them."""
        return value in self.plain or value in self.tokens


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of folders, each once, whatever names lead to it; links within folders lead nowhere else."""
    seen: set[Path] = set()
    for path in paths:
        for file in [path.resolve()] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and not file.is_symlink() and (real := file.resolve()) not in seen:
                seen.add(real)
                yield file


class Search:
    """Looks for the same needles in many places, and at nothing twice: no file while it stays as it is, no long line again.

    Every report carries the same library of figures, some megabytes of it.

    Attributes
    ----------
    needles : Needles
        What is looked for.
    """

    def __init__(self, needles: Needles) -> None:
        self.needles = needles
        self._known: dict[tuple[Path, int, int, int], bool] = {}
        self._clean: set[bytes] = set()

    def holds(self, file: Path) -> bool:
        """Tell whether a file holds one of the needles: in its name, in its raw bytes, or in what they stand for.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        seen = file.stat()
        key = file.resolve(), seen.st_ino, seen.st_size, seen.st_mtime_ns
        if key not in self._known:
            self._known[key] = self._looked(file)
        return self._known[key]

    def _looked(self, file: Path) -> bool:
        named = any(map(self.needles.in_text, _forms(file.name)))
        inside = named or (file.suffix == ".parquet" and _in_parquet(file, self.needles))
        return inside or _in_bytes(file, self) or _in_archive(file, self)

    def in_text(self, text: str) -> bool:
        """Tell whether a text holds one of them, as it stands or as what it stands for in HTML, JSON and URLs."""
        lines = text.split("\n")
        long = {blake2b(line.encode()).digest(): line for line in lines if len(line) > _LONG}
        rest = "\n".join(line for line in lines if len(line) <= _LONG)
        new = [line for digest, line in long.items() if digest not in self._clean]
        found = any(self.needles.in_text(form) for each in (rest, *new) for form in _forms(each))
        if not found:
            self._clean.update(long)
        return found


def _in_parquet(file: Path, needles: Needles) -> bool:
    try:
        opened = pq.ParquetFile(file)
        return any(_in_column(column, needles) for batch in opened.iter_batches() for column in batch.columns)
    except pa.ArrowException:
        return False  # no Parquet, whatever it is called: its bytes are looked at


def _parts(column: pa.Array) -> list[pa.Array] | None:
    """Return the columns that a nested one is made of; None for one that is not."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return [column.dictionary]
    if pa.types.is_struct(kind):
        return list(column.flatten())
    return [column.flatten()] if pa.types.is_list(kind) or pa.types.is_large_list(kind) else None


def _in_column(column: pa.Array, needles: Needles) -> bool:
    parts, kind = _parts(column), column.type
    if parts is not None:
        return any(_in_column(part, needles) for part in parts)
    if pa.types.is_int64(kind):
        wanted = pa.array(sorted(needles.numbers), pa.int64())
        return len(wanted) > 0 and bool(pc.any(pc.is_in(column, value_set=wanted)).as_py())
    values = _distinct(column) if _textual(kind) else []
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    return any(map(needles.is_one, texts)) or any(map(needles.in_text, _forms("\n".join(texts))))


def _textual(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(told(kind) for told in kinds)


def _distinct(column: pa.Array) -> list[Any]:
    return [value for value in column.unique().to_pylist() if value is not None]


def _forms(text: str) -> Iterator[str]:
    """Yield a text as it stands, and as what it stands for in HTML, JSON and URLs."""
    yield text
    if "&" in text:
        yield html.unescape(text)
    if "\\u" in text:
        yield _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), text)
    if "%" in text:
        yield unquote(text)


def _in_stream(stream: Any, search: Search, *, text: bool) -> bool:
    before = b""
    while block := stream.read(_BLOCK):
        found = before + block
        decoded = found.decode("utf-8", "replace" if text else "ignore")
        if search.in_text(decoded) if text else search.needles.in_text(decoded):
            return True
        if b"\0" in found and search.needles.in_text(found.replace(b"\0", b"").decode("utf-8", "ignore")):
            return True  # UTF-16
        before = found[-4096:]  # an identifier may lie across two blocks
    return False


def _in_bytes(file: Path, search: Search) -> bool:
    with file.open("rb") as stream:
        return _in_stream(stream, search, text=file.name.endswith(_TEXTS))


_OPENERS: Final[Mapping[bytes, Callable[[BinaryIO], Any]]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda packed: zstandard.ZstdDecompressor().stream_reader(
        packed, read_across_frames=True
    ),
}
_BROKEN: Final = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


def _in_archive(file: Path, search: Search) -> bool:
    """Look into an archive, told by how it begins, as far as it can be unpacked."""
    with file.open("rb") as packed:
        start = packed.read(8)
        packed.seek(0)
        opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
        with suppress(*_BROKEN, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            if opener is not None:
                return _in_stream(opener(packed), search, text=True)
            if start.startswith(b"PK"):
                return _in_zip(zipfile.ZipFile(packed), search)
    return False


def _in_zip(archive: zipfile.ZipFile, search: Search) -> bool:
    for member in archive.infolist():
        with archive.open(member) as stream:
            if search.needles.in_text(member.filename) or _in_stream(stream, search, text=True):
                return True
    return False
