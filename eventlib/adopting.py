"""A caller's frame as a table, and what in it no stage could read, told before a stage tries."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.engine import engine_of
from eventlib.errors import BadCallError

__all__ = ["check_links", "table_of_frame"]


def table_of_frame(stage: str, frame: Any) -> pa.Table:
    """Return a caller's frame as a table.

    Raises
    ------
    BadCallError
        If it is no frame, has two columns of one name, or a column whose values are of several types.
    """
    try:
        kind, adopted = engine_of(frame)
        table = kind.collect(adopted)
    except nw.exceptions.DuplicateError as error:
        raise BadCallError(f"{stage}: two columns of the frame have one name: {error}") from error
    except (pa.ArrowException, nw.exceptions.NarwhalsError) as error:
        said = " ".join(map(str, error.args))
        raise BadCallError(
            f"{stage}: a column of the frame cannot be read; drop it, or give its values one type: {said}"
        ) from error
    return table


def _is_link(node: object) -> bool:
    return isinstance(node, list) and len(node) == 2 and all(isinstance(part, str) for part in node)


def _are_links(text: str) -> bool:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(found, list) and all(map(_is_link, found))


def check_links(stage: str, column: pa.ChunkedArray) -> None:
    """Refuse texts that are no links as `el.read` gives them.

    Raises
    ------
    BadCallError
        If one is no JSON list of pairs of a namespace and an identifier.
    """
    odd = next(
        (text for text in pc.unique(column).to_pylist() if text is not None and not _are_links(text)), None
    )
    if odd is not None:
        raise BadCallError(
            f'{stage}: the column links takes texts such as [["user_id","u-1"],["email","e-1"]], not {odd!r}'
        )
