"""The texts of page versions, from a file of the user's: events hold no page bodies (S9)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa

from eventlib.arrow import read_parquet
from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["NO_TEXTS", "PageTexts", "read_page_texts"]

COLUMNS: Final = ("content_id", "content_version", "text")
_LINES: Final = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class PageTexts:
    """Text per content and version.

    Attributes
    ----------
    file, sha256
        Name and digest of the file; empty where none was given.
    """

    file: str = ""
    sha256: str = ""
    found: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def of(self, content_id: str, content_version: str) -> str | None:
        """Return the text of a version, None where it is not known."""
        return self.found.get((content_id, content_version))


NO_TEXTS: Final = PageTexts()


def read_page_texts(path: Path) -> PageTexts:
    """Read `content_id, content_version, text` from JSON lines or Parquet; other columns are not looked at.

    Raises
    ------
    BadCallError
        There is no such file, it is of another kind or damaged; a column is missing; a row holds something else
        than text, an empty one, or a second text for the same version. The row is named, its content is not.

    Examples
    --------
    >>> read_page_texts(Path("pages.csv"))
    Traceback (most recent call last):
    eventlib.errors.BadCallError: texts: pages.csv is neither .jsonl, .ndjson nor .parquet
    """
    if path.suffix not in (*_LINES, ".parquet"):
        raise BadCallError(f"texts: {path.name} is neither .jsonl, .ndjson nor .parquet")
    if not path.is_file():
        raise BadCallError(f"texts: there is no file {path}")
    rows, unit = (_parquet(path), "row") if path.suffix == ".parquet" else (_json_lines(path), "line")
    found: dict[tuple[str, str], str] = {}
    for number, row in rows:
        at = f"texts: {path.name}, {unit} {number}"
        content, version, text = (_text(row, name, at) for name in COLUMNS)
        if found.setdefault((content, version), text) != text:
            raise BadCallError(f"{at}: another text was given for this content_id and content_version")
    return PageTexts(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), found)


def _text(row: Mapping[str, Any], name: str, at: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise BadCallError(f"{at}: {name} is no text")
    if not value.strip():
        raise BadCallError(f"{at}: {name} is empty")
    return value


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            at = f"texts: {path.name}, line {number}"
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BadCallError(f"{at} is not JSON") from error
            if not isinstance(row, dict):
                raise BadCallError(f"{at} is no JSON object")
            if missing := [name for name in COLUMNS if name not in row]:
                raise BadCallError(f"{at}: {', '.join(missing)} is missing; needed are {', '.join(COLUMNS)}")
            yield number, row


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        table = read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise BadCallError(f"texts: {path.name} cannot be read as Parquet") from error
    if missing := set(COLUMNS) - set(table.column_names):
        raise BadCallError.missing_columns(f"texts: {path.name}", missing, table.column_names)
    yield from enumerate(table.select(list(COLUMNS)).to_pylist(), 1)
