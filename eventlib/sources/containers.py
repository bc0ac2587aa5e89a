"""Records out of what holds several: JSON arrays, tables with a header, batches that a tracker sent in one request.

Everything after the border of files is lines, one record each. What holds more is taken apart here, once, in the order of
the file: `Unpacked` blocks are such lines, and each knows the physical line where its record began. Bytes that cannot be
taken apart stay, as lines that the verdict refuses; nothing is dropped (S1.1).
"""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from eventlib.model import MAX_LINE_BYTES
from eventlib.sources.decode import lossless, text_of

__all__ = [
    "LONGEST_BATCH",
    "Unpack",
    "Unpacked",
    "batch_of",
    "blocks_of",
    "document_records",
    "is_document",
    "is_table",
    "is_w3c",
    "table_records",
    "w3c_records",
]

LONGEST_BATCH: Final = 32 << 20
"""Bytes of a line that may hold a batch; trackers stop at 20 MB."""

_BLOCK_BYTES: Final = 4 << 20
_HEADER: Final = re.compile(r"[A-Za-z_$][\w$.:@ /-]{0,127}")
_TABLE: Final = re.compile(r"\.(csv|tsv)(\.gz|\.zst)?$")
_DOCUMENT: Final = re.compile(rb"\[\s*(\{|\]|$)|\{\s*(\n|$)")
_DIRECTIVE: Final = re.compile(rb"#(Version|Software|Fields|Date|Start-Date|Remark):", re.IGNORECASE)
_W3C_CELL: Final = re.compile(r'"(?:[^"]|"")*"|[^ \t]+')
_NEXT: Final = re.compile(r"[\]}]\s*,?\s*(?=[{\[])|\n\s*(?=[{\[])")
_SCANNER: Final = json.JSONDecoder(strict=False)
_WORD: Final = 16  # characters of what may be cut in two, such as `false` or `\ud83d\ude00`
_BETWEEN: Final = " \t\r\n,[]"


@dataclass(slots=True)
class Unpacked:
    """A block of lines, one record each, and the physical line of each (1-based)."""

    lines: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes, number: int) -> None:
        """Add a record."""
        self.lines.append(line)
        self.numbers.append(number)
        self.size += len(line) + 1

    @property
    def data(self) -> bytes:
        """The lines, each with its newline."""
        return b"\n".join([*self.lines, b""])


def is_document(first: bytes) -> bool:
    r"""Tell whether a file is JSON arrays of objects, or objects over several lines, by its first bytes.

    Examples
    --------
    >>> is_document(b'[\n  {"a": 1}'), is_document(b'{\n  "a": 1'), is_document(b'{"a": 1}'), is_document(b"[1, 2]")
    (True, True, False, False)
    """
    return _DOCUMENT.match(text_of(first)) is not None


def is_table(name: str, first: bytes) -> bool:
    r"""Tell whether a file is a table whose first line names its columns, by its name and that line.

    Examples
    --------
    >>> is_table("a.csv", b"app_id,platform\n"), is_table("a.tsv", b"shop\tweb\t2026-01-01 10:00:00\n"), is_table("a.log", b"a,b\n")
    (True, False, False)
    """
    found = _TABLE.search(name)
    if not found:
        return False
    names = _cells(first.split(b"\n", 1)[0], "\t" if found[1] == "tsv" else ",")
    return len(names) > 1 and len(set(names)) == len(names) and all(map(_HEADER.fullmatch, names))


def _cells(line: bytes, delimiter: str) -> list[str]:
    text = text_of(line).decode("utf-8", "surrogateescape")
    return text.split(delimiter) if delimiter == "\t" else _of_commas(text[: MAX_LINE_BYTES + 1]) or []


def _of_commas(text: str) -> list[str] | None:
    """Return the cells of a row; None where it has a break outside of quotes, as rows of old Macs, or is too long to be one."""
    if len(text) > MAX_LINE_BYTES:
        return None
    csv.field_size_limit(MAX_LINE_BYTES)  # the library's own is an eighth of it, and raises
    try:
        return next(csv.reader([text]), [])
    except csv.Error:
        return None


@dataclass(frozen=True, slots=True)
class Unpack:
    """How a format's batches are taken apart: lines that are JSON arrays, and those that its own function knows.

    Attributes
    ----------
    marker : bytes
        What a line with a batch has; of the lines without it only arrays are looked into. Empty: there are only arrays.
    parts : callable
        Takes a line with the marker, returns its records as lines, or None where it is one record itself.
    """

    marker: bytes = b""
    parts: Callable[[bytes], list[bytes] | None] = lambda _: None

    def may_hold(self, data: bytes) -> bool:
        """Tell whether lines may have batches among them."""
        return data.startswith(b"[") or b"\n[" in data or (self.marker != b"" and self.marker in data)

    def of(self, line: bytes) -> list[bytes]:
        """Return the records of a line: itself, where it is no batch."""
        if not self.may_hold(line) or len(line) > LONGEST_BATCH:
            return [line]
        parts = _members(line) if line.startswith(b"[") else self.parts(line)
        return [line] if parts is None else parts


def batch_of(line: bytes) -> tuple[dict[str, Any], list[Any]] | None:
    """Return a line whose `batch` is a list with something in it, with that list; None of any other."""
    record = lossless(text_of(line))
    batch = record.get("batch") if isinstance(record, dict) else None
    return (record, batch) if isinstance(batch, list) and batch else None


def _members(line: bytes) -> list[bytes] | None:
    """Return the members of an array as lines; None of an empty or damaged one, which the verdict names."""
    found = lossless(text_of(line))
    return [orjson.dumps(member) for member in found] if isinstance(found, list) and found else None


def blocks_of(records: Iterable[tuple[bytes, int]], unpack: Unpack | None) -> Iterator[Unpacked]:
    """Gather records into blocks of lines, batches taken apart."""
    block = Unpacked()
    for line, number in records:
        for part in unpack.of(line) if unpack else [line]:
            block.add(part, number)
        if block.size >= _BLOCK_BYTES:
            yield block
            block = Unpacked()
    if block.lines:
        yield block


class _Lines:
    """The text of a file, block by block, that still tells the number of the physical line."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks = blocks
        self.text, self.at, self.line = "", 0, 1
        self.ended = False
        self.rest = b""

    def more(self) -> bool:
        """Read on, and forget what was passed; False at the end."""
        block = next(self.blocks, None)
        self.ended = block is None
        data = self.rest + (block or b"")
        # a character that two blocks share stays for the next one
        cut = len(data) if self.ended else max(data.rfind(b"\n") + 1, len(data) - 4)
        while cut < len(data) and data[cut] & 0xC0 == 0x80:
            cut -= 1
        self.rest = data[cut:]
        self.text = self.text[self.at :] + data[:cut].decode("utf-8", "surrogateescape")
        self.at = 0
        return not self.ended

    def move(self, to: int) -> str:
        """Return the text up to `to`, and stand there."""
        passed = self.text[self.at : to]
        self.line += passed.count("\n")
        self.at = to
        return passed


def document_records(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield the members of JSON arrays, or of JSON values one after another, each as one line; damage as lines of its own."""
    lines = _Lines(blocks)
    lines.more()
    while True:
        start = lines.at
        while start < len(lines.text) and lines.text[start] in _BETWEEN:
            start += 1
        lines.move(start)
        if start == len(lines.text):
            if not lines.more() and not lines.text[lines.at :]:
                return
            continue
        end = _value_end(lines)
        number = lines.line
        yield _one_line(lines.move(end)), number


def _value_end(lines: _Lines) -> int:
    """Return where the value that begins here ends; of one that is damaged, where the next may begin."""
    while True:
        try:
            end = _SCANNER.raw_decode(lines.text, lines.at)[1]
        except (json.JSONDecodeError, RecursionError) as error:
            length = len(lines.text) - lines.at
            if not lines.ended and length <= _longest(error, len(lines.text)):
                while len(lines.text) - lines.at <= 2 * length and lines.more():
                    pass  # twice as much each time: what was read is looked at again
                continue
            after = _NEXT.search(lines.text, lines.at + 1)
            return after.end() if after else len(lines.text)
        if end < len(lines.text) or lines.ended:  # a number may go on in the next block
            return end
        lines.more()


def _longest(error: Exception, read: int) -> int:
    """Return how long a value may be that cannot be read yet: as a batch, if what was read ends within it; else as an event."""
    if not isinstance(error, json.JSONDecodeError):
        return MAX_LINE_BYTES
    goes_on = error.msg.startswith("Unterminated") or error.pos > read - _WORD
    return LONGEST_BATCH if goes_on else MAX_LINE_BYTES


def _one_line(text: str) -> bytes:
    """Return a value as one line: a line break in it can only stand between JSON's tokens, or in what is refused anyway."""
    return text.rstrip(" \t\r\n,").replace("\n", " ").encode("utf-8", "surrogateescape")


def table_records(blocks: Iterator[bytes], name: str) -> Iterator[tuple[bytes, int]]:
    """Yield the rows of a table with a header as JSON objects, empty cells left out.

    A row with another number of cells than the header is yielded as a JSON list, which the verdict refuses, and one that
    cannot be read as it is. A quote that is never closed costs its own line, not the rest of the file.
    """
    found = _TABLE.search(name)
    tabs = bool(found and found[1] == "tsv")
    names: list[str] | None = None
    for text, number in _physical_lines(blocks) if tabs else _quoted_lines(blocks):
        cells = text.split("\t") if tabs else _of_commas(text)
        if cells is None:
            yield text.replace("\n", " ").encode("utf-8", "surrogateescape"), number
        elif names is None:
            names = [cells[0].removeprefix("\ufeff"), *cells[1:]]
        elif len(cells) == len(names):
            yield _as_json({key: cell for key, cell in zip(names, cells, strict=True) if cell != ""}), number
        else:
            yield (_as_json(cells) if text.strip() else b""), number


def is_w3c(first: bytes) -> bool:
    """Tell whether a file is a W3C extended log, as CloudFront and IIS write, by its first line.

    Examples
    --------
    >>> is_w3c(b"#Version: 1.0"), is_w3c(b"# a comment")
    (True, False)
    """
    return _DIRECTIVE.match(text_of(first)) is not None


def w3c_records(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield the rows of a W3C extended log as JSON objects by the last `#Fields:` before them, cells of `-` left out.

    Directives are yielded as they are. A row with another number of cells than there are fields is yielded as a JSON
    list, which the verdict refuses, and so is one that stands before any fields.
    """
    names: list[str] = []
    for text, number in _physical_lines(blocks):
        text = text.removeprefix("\ufeff")  # noqa: PLW2901  # files that were joined have one in the middle
        if text.startswith("#"):
            if text[:8].casefold() == "#fields:":
                names = text[8:].split()
            yield text.encode("utf-8", "surrogateescape"), number
            continue
        cells = text.split("\t") if "\t" in text else _W3C_CELL.findall(text)
        if not text.strip():
            yield b"", number
        elif len(cells) == len(names) == len(set(names)):
            yield (
                _as_json({name: cell for name, cell in zip(names, cells, strict=True) if cell != "-"}),
                number,
            )
        else:
            yield _as_json(cells), number


def _physical_lines(blocks: Iterator[bytes]) -> Iterator[tuple[str, int]]:
    rest, number = b"", 0
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for number, line in enumerate(whole, number + 1):  # noqa: B020  # it goes on where the last block ended
            yield line.rstrip(b"\r").decode("utf-8", "surrogateescape"), number
    if rest:
        yield rest.rstrip(b"\r").decode("utf-8", "surrogateescape"), number + 1


def _quoted_lines(blocks: Iterator[bytes]) -> Iterator[tuple[str, int]]:
    """Join physical lines until their quotes are closed; where they are not within a record's longest, the first stands alone."""
    waiting: deque[tuple[str, int]] = deque()
    size, quotes = 0, 0
    for text, number in _physical_lines(blocks):
        waiting.append((text, number))
        size, quotes = size + len(text) + 1, quotes + text.count('"')
        if quotes % 2 == 0:
            yield "\n".join(line for line, _ in waiting), waiting[0][1]
            waiting.clear()
            size = quotes = 0
        while size > MAX_LINE_BYTES:
            yield waiting.popleft()
            waiting, whole = _closed(waiting)
            yield from whole
            size, quotes = (
                sum(len(line) + 1 for line, _ in waiting),
                sum(line.count('"') for line, _ in waiting),
            )
    while waiting:
        yield waiting.popleft()
        waiting, whole = _closed(waiting)
        yield from whole


def _closed(waiting: Iterable[tuple[str, int]]) -> tuple[deque[tuple[str, int]], list[tuple[str, int]]]:
    """Return what still waits for its quote, and the records that are whole before it."""
    whole: list[tuple[str, int]] = []
    held: deque[tuple[str, int]] = deque()
    quotes = 0
    for text, number in waiting:
        held.append((text, number))
        quotes += text.count('"')
        if quotes % 2 == 0:
            whole.append(("\n".join(line for line, _ in held), held[0][1]))
            held.clear()
    return held, whole


def _as_json(value: object) -> bytes:
    """Write a row; bytes that are not UTF-8 stand in it as they are, for the verdict to find."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
