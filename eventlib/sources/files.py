"""Log files as chunks of whole lines, one record each, of their decompressed stream (S1.1, S1.5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import zstandard

from eventlib.model import MAX_LINE_BYTES
from eventlib.sources.containers import (
    LONGEST_BATCH,
    Unpack,
    Unpacked,
    blocks_of,
    document_records,
    is_document,
    is_table,
    is_w3c,
    table_records,
    w3c_records,
)
from eventlib.sources.finding import is_archive
from eventlib.sources.parquet import parquet_lines

__all__ = ["CHUNK_BYTES", "Chunk", "chunks", "count_newlines", "holds_several", "range_chunks"]

CHUNK_BYTES: Final = 8 << 20
_ARCHIVE_BYTES: Final = 1 << 16
_SNIFFED_BYTES: Final = 1 << 16
_BROKEN_ARCHIVE = (EOFError, zlib.error, zstandard.ZstdError)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one file.

    Attributes
    ----------
    file : int
        Index of the file among those read.
    data : bytes
        The lines.
    first_line : int
        1-based number of the first line.
    offset : int
        Where `data` begins in the decompressed stream, in bytes.
    previous : bytes
        The line before, for formats whose records span two lines.
    truncated : bool
        Whether the last line is the rest of an archive that ends too early.
    position : int
        How far the file itself was read, in bytes, so that progress can be told of archives too.
    path : Path, optional
        The file, where `data` stands in it at `offset` as it is.
    numbers : tuple of int
        Number of each line, where records were taken out of what holds several: some stand in one line of the file.
    """

    file: int
    data: bytes
    first_line: int
    offset: int
    previous: bytes = b""
    truncated: bool = False
    position: int = 0
    path: Path | None = None
    numbers: tuple[int, ...] = ()

    def holds(self, line: int) -> bool:
        """Tell whether a line of that number is, or may be, among these."""
        if self.numbers:
            return self.numbers[0] <= line <= self.numbers[-1]
        return self.first_line <= line <= self.first_line + self.data.count(b"\n")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as a place in its file, where it is one: reading that again beats copying it."""
        if self.path is None:
            return Chunk, tuple(getattr(self, field.name) for field in fields(self))
        return _chunk_again, (replace(self, data=b"", path=None), self.path, len(self.data))


def _chunk_again(chunk: Chunk, path: Path, length: int) -> Chunk:
    """Read a chunk that came as a place; that its file changed meanwhile is found by `unchanging`, not here."""
    try:
        with path.open("rb") as file:
            file.seek(chunk.offset)
            return replace(chunk, data=file.read(length))
    except OSError:
        return chunk


def _frames(file: BinaryIO, *, zst: bool) -> Iterator[bytes]:
    """Decompress frame by frame, and give all that can be read before a fault.

    The libraries' own file readers lose what they hold when an archive is damaged (gzip), or take a frame that
    breaks off for one that ends (zstandard).
    """
    frame: Any = None
    while block := file.read(_ARCHIVE_BYTES):
        while block and (frame is not None or block.strip(b"\0")):  # zeros may pad what follows a frame
            frame = frame or (zstandard.ZstdDecompressor().decompressobj() if zst else zlib.decompressobj(31))
            yield from _decompress(frame, block)
            block = frame.unused_data if frame.eof else b""  # the next frame begins where this one ended
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError


def _decompress(frame: Any, block: bytes) -> Iterator[bytes]:
    """Decompress a block; of a damaged one, byte by byte, as far as it goes."""
    before = frame.copy() if hasattr(frame, "copy") else None
    try:
        yield frame.decompress(block)
    except _BROKEN_ARCHIVE:
        for position in range(len(block) if before else 0):
            yield before.decompress(block[position : position + 1])  # type: ignore[union-attr]  # not empty only with it
        raise


def _gathered(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Join small pieces into blocks; what was gathered before a fault is given before it is raised."""
    held: list[bytes] = []
    length = 0
    try:
        for piece in pieces:
            held.append(piece)
            length += len(piece)
            if length >= size:
                yield b"".join(held)
                held, length = [], 0
    except _BROKEN_ARCHIVE:
        yield b"".join(held)
        raise
    if held:
        yield b"".join(held)


def _blocks(path: Path, file: BinaryIO, size: int) -> Iterator[bytes]:
    if path.name.endswith(".parquet"):
        yield from parquet_lines(path)
    elif path.name.endswith((".gz", ".zst")):
        yield from _gathered(_frames(file, zst=path.name.endswith(".zst")), size)
    else:
        while block := file.read(size):
            yield block


class _Blocks:
    """The decompressed blocks of a file; at the end `truncated` tells whether the archive broke off."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.blocks = _blocks(path, file, size)
        self.truncated = False
        self.first: bytes | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.first is not None:
            block, self.first = self.first, None
            return block
        try:
            return next(self.blocks)
        except _BROKEN_ARCHIVE:
            self.truncated = True
            raise StopIteration from None

    def peek(self) -> bytes:
        """Return the first block, which stays the next one."""
        self.first = next(self, b"")
        return self.first


class _Cutter:
    """Joins blocks into whole lines; of an endless line it keeps only enough to refuse it."""

    def __init__(
        self,
        file: int,
        line: int = 1,
        offset: int = 0,
        previous: bytes = b"",
        path: Path | None = None,
        longest: int | None = None,
    ) -> None:
        self.file, self.line, self.offset, self.previous = file, line, offset, previous
        self.rest, self.dropped = b"", 0
        self.position = 0
        self.path, self.longest = path, longest or MAX_LINE_BYTES

    def chunk(self, data: bytes, *, truncated: bool = False) -> Chunk:
        path = None if self.dropped else self.path
        made = Chunk(self.file, data, self.line, self.offset, self.previous, truncated, self.position, path)
        self.line += data.count(b"\n")
        self.offset += len(data) + self.dropped
        self.previous = data[data.rfind(b"\n", 0, -1) + 1 : -1]
        self.dropped = 0
        return made

    def feed(self, block: bytes) -> Iterator[Chunk]:
        if len(self.rest) > self.longest and b"\n" not in block:
            self.dropped += len(block)  # of a line that is refused already nothing is copied
            return
        data = self.rest + block
        if self.dropped and b"\n" in data:
            first = data.index(b"\n") + 1
            yield self.chunk(data[:first])
            data = data[first:]
        cut = data.rfind(b"\n") + 1
        self.rest = data[cut:]
        if cut:
            yield self.chunk(data[:cut])
        if len(self.rest) > self.longest + 1:
            self.dropped += len(self.rest) - self.longest - 1
            self.rest = self.rest[: self.longest + 1]


def chunks(
    path: Path, file: int, size: int = CHUNK_BYTES, unpack: Unpack | None = None, longest: int | None = None
) -> Iterator[Chunk]:
    """Cut a file into chunks of whole lines of about `size` bytes; a broken archive's rest is a last, truncated line.

    Parameters
    ----------
    path, file
        The file, and its index among those read.
    unpack
        How batches of its format are taken apart; offsets are then those of the records as lines.
    longest
        How much of a line is read; by default that of an event, or of a batch where these are taken apart.
    """
    with path.open("rb") as opened:
        blocks = _Blocks(path, opened, size)
        records = _records(path, blocks)
        if records is None:
            yield from _unpacked(
                _line_chunks(path, file, blocks, opened, longest or (LONGEST_BATCH if unpack else None)),
                unpack,
            )
        else:
            yield from _record_chunks(file, records, blocks, opened, unpack)


def holds_several(path: Path) -> bool:
    """Tell whether the lines of a file are not its records, as in JSON arrays and tables with a header."""
    with path.open("rb") as opened:
        return _records(path, _Blocks(path, opened, _SNIFFED_BYTES)) is not None


def _records(path: Path, blocks: _Blocks) -> Iterator[tuple[bytes, int]] | None:
    """Return the records of a file whose lines they are not, each with its physical line."""
    first = b"" if path.name.endswith(".parquet") else blocks.peek()
    if is_table(path.name, first):
        return table_records(blocks, path.name)
    if is_w3c(first[:_SNIFFED_BYTES]):
        return w3c_records(blocks)
    return document_records(blocks) if is_document(first[:_SNIFFED_BYTES]) else None


def _line_chunks(
    path: Path, file: int, blocks: _Blocks, opened: BinaryIO, longest: int | None
) -> Iterator[Chunk]:
    place = None if is_archive(path) else path.resolve()
    cutter = _Cutter(file, path=place, longest=longest)
    for block in blocks:
        cutter.position = opened.tell()
        yield from cutter.feed(block)
    if cutter.rest or blocks.truncated:
        yield cutter.chunk(cutter.rest, truncated=blocks.truncated)


def _unpacked(found: Iterator[Chunk], unpack: Unpack | None) -> Iterator[Chunk]:
    """Take the batches of chunks apart; what follows them moves by the bytes that this adds."""
    if unpack is None:
        yield from found
        return
    moved = 0
    for chunk in found:
        if chunk.truncated or not unpack.may_hold(chunk.data):
            yield chunk if not moved else replace(chunk, offset=chunk.offset + moved, path=None)
            continue
        lines = chunk.data.removesuffix(b"\n").split(b"\n")
        for block in blocks_of(
            zip(lines, range(chunk.first_line, chunk.first_line + len(lines)), strict=True), unpack
        ):
            yield _of_block(block, chunk, chunk.offset + moved)
            moved += block.size
        moved -= len(chunk.data)


def _of_block(block: Unpacked, chunk: Chunk, offset: int) -> Chunk:
    return replace(
        chunk, data=block.data, offset=offset, first_line=block.numbers[0], numbers=tuple(block.numbers), path=None
    )  # fmt: skip


def _record_chunks(
    file: int, records: Iterator[tuple[bytes, int]], blocks: _Blocks, opened: BinaryIO, unpack: Unpack | None
) -> Iterator[Chunk]:
    """Gather records into chunks; where the archive broke off, the last one is what is left of a record."""
    chunk = Chunk(file, b"", 1, 0)
    last: list[tuple[bytes, int]] = []

    def but_the_last() -> Iterator[tuple[bytes, int]]:
        for record in records:
            yield from last
            last[:] = [record]
        if not blocks.truncated:
            yield from last

    for block in blocks_of(but_the_last(), unpack):
        chunk = replace(_of_block(block, chunk, chunk.offset + len(chunk.data)), position=opened.tell())
        yield chunk
    if blocks.truncated:
        line, number = last[0] if last else (b"", 1)
        yield Chunk(file, line, number, chunk.offset + len(chunk.data), truncated=True)


def count_newlines(path: Path, start: int, stop: int) -> int:
    """Count the newlines among the bytes from `start` up to `stop`."""
    found = 0
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (block := file.read(min(CHUNK_BYTES, stop - start))):
            found += block.count(b"\n")
            start += len(block)
    return found


def _line_before(file: BinaryIO, offset: int) -> bytes:
    """Return the line that ends right before `offset`, or as much of it as may be read at all."""
    if offset == 0:
        return b""
    first = max(0, offset - MAX_LINE_BYTES - 2)
    file.seek(first)
    window = file.read(offset - 1 - first)
    return window[window.rfind(b"\n") + 1 :]


def _first_line(file: BinaryIO, start: int, stop: int) -> int | None:
    """Return where the first line that begins in a range does so."""
    if start == 0:
        return 0
    at = start - 1
    file.seek(at)
    while at < stop - 1 and (block := file.read(min(CHUNK_BYTES, stop - 1 - at))):
        if b"\n" in block:
            return at + block.index(b"\n") + 1
        at += len(block)
    return None


def range_chunks(
    path: Path, file: int, start: int, stop: int, newlines: int, size: int = CHUNK_BYTES
) -> Iterator[Chunk]:
    """Cut the lines that begin in a range of a plain file into chunks, as `chunks` cuts the whole file.

    Parameters
    ----------
    path, file
        The file, and its index among those read.
    start, stop
        The range in bytes, both multiples of `size` (or the file's end): a line that is too long is cut where blocks meet.
    newlines
        How many newlines stand before `start`.
    size
        Bytes of a block.
    """
    with path.open("rb") as opened:
        at = _first_line(opened, start, stop)
        if at is None:
            return
        cutter = _Cutter(file, newlines + 1 + (at > start), at, _line_before(opened, at))
        opened.seek(at)
        while block := opened.read(size - at % size):
            # beyond the range only its last line is read to its end
            data = block if at < stop else block[: block.find(b"\n") + 1] or block
            yield from cutter.feed(data)
            at += len(block)
            if at >= stop and not cutter.rest:
                return
    if cutter.rest:
        yield cutter.chunk(cutter.rest)
