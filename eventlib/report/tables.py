"""Frames as accessible HTML tables: numbers to the right, thousands separated, 20 rows and "n more"."""

from __future__ import annotations

import datetime as dt
import math
import numbers
from typing import TYPE_CHECKING, Any, Final

from eventlib.errors import BadCallError
from eventlib.report import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from eventlib.ledger import Ledger

__all__ = ["MAX_ROWS", "format_value", "html_ledger", "html_table", "ids_in", "plain_rows"]

MAX_ROWS: Final = 20
_MISSING: Final = "—"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} GB"


_FORMATS: Final[Mapping[str, Callable[[float], str]]] = {"percent": _percent, "bytes": _bytes}


def _number(value: float) -> str:
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2e}"


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, numbers.Integral)
        and math.isnan(float(value))
    )


def format_value(value: object, spec: str | Callable[[Any], str] | None = None) -> str:
    """Return a cell's text, unescaped: `spec` is `percent`, `bytes`, a Python format or a function.

    Examples
    --------
    >>> format_value(1234567), format_value(0.0731, "percent"), format_value(1536, "bytes")
    ('1,234,567', '7.3 %', '1.5 kB')
    """
    if _is_missing(value):
        return _MISSING
    if callable(spec):
        return spec(value)
    if spec and isinstance(value, numbers.Real):
        return _FORMATS[spec](float(value)) if spec in _FORMATS else format(value, spec)
    return _format_plain(value)


def _format_plain(value: object) -> str:
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC" if value.time() != dt.time() else f"{value:%Y-%m-%d}"
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}"
    return _number(float(value)) if isinstance(value, numbers.Real) else str(value)


def _is_right(values: Sequence[object]) -> bool:
    present = [value for value in values if not _is_missing(value)]
    return bool(present) and all(
        isinstance(value, numbers.Real) and not isinstance(value, bool) for value in present
    )


def _is_id(column: str) -> bool:
    return column.endswith("_id")


def ids_in(frame: pd.DataFrame) -> frozenset[str]:
    """Return the values of the columns that hold somebody's ids, named `*_id`."""
    columns = [frame[column] for column in frame.columns if _is_id(str(column))]
    return frozenset(value for column in columns for value in column if isinstance(value, str))


def _cell(value: object, spec: str | Callable[[Any], str] | None, column: str, *, ours: bool) -> str:
    text = format_value(value, spec)
    if not ours and not isinstance(value, numbers.Real | dt.date):  # lists and the like hold text too
        text = safe.shorten(safe.clean_id(text) if _is_id(column) else safe.clean(text))
    return safe.escape_html(text)


def _heading(column: str) -> str:
    """Columns may be named by values, such as an engine's."""
    return safe.escape_html(safe.shorten(safe.clean(column.replace("_", " "))))


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as dicts of plain Python values."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def html_table(
    frame: pd.DataFrame,
    caption: str = "",
    formats: Mapping[str, str | Callable[[Any], str]] | None = None,
    *,
    ids: Sequence[str] = (),
    max_rows: int = MAX_ROWS,
) -> str:
    """Return an HTML table of the first `max_rows` rows.

    Parameters
    ----------
    frame
        Any column types; the index is not shown.
    caption
        What the table says, in a phrase.
    formats
        Column name → `percent`, `bytes`, a Python format such as `",.2f"`, or a function from value to text.
    ids
        Columns of ids that we minted: escaped like all text, but not masked.
    max_rows
        How many rows to show before "n more".

    Raises
    ------
    BadCallError
        `formats` or `ids` name a column that the frame does not have.

    Examples
    --------
    >>> import pandas as pd
    >>> "1,200" in html_table(pd.DataFrame({"events": [1200]}))
    True
    """
    formats = {str(name): spec for name, spec in (formats or {}).items()}
    columns = [str(column) for column in frame.columns]
    for name in (*formats, *ids):
        if name not in columns:
            raise BadCallError.unknown("column", name, columns)
    rows = plain_rows(frame.head(max_rows))
    right = {column: _is_right([row[column] for row in rows]) for column in columns}
    align = {
        column: ' class="num"' if right[column] else ' class="txt" style="text-align:left"'
        for column in columns
    }
    head = "".join(f'<th scope="col"{align[c]}>{_heading(c)}</th>' for c in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{align[c]}>{_cell(row[c], formats.get(c), c, ours=c in ids)}</td>" for c in columns)
        + "</tr>"
        for row in rows
    )
    more = len(frame) - len(rows)
    empty = f'<tr><td colspan="{max(len(columns), 1)}">none</td></tr>' if not rows else ""
    note = f'<p class="more">{more:,} more</p>' if more > 0 else ""
    caption = safe.escape_html(safe.clean(caption))
    caption_html = f"<caption>{caption}</caption>" if caption else ""
    table = f"<table>{caption_html}<thead><tr>{head}</tr></thead><tbody>{body}{empty}</tbody></table>"
    return (
        f'<div class="table" tabindex="0" role="group" aria-label="{caption or "table"}">{table}{note}</div>'
    )


def html_ledger(ledger: Ledger, run_id: str) -> str:
    """Return a dataset's accounting as a live notebook shows it."""
    import pandas as pd  # noqa: PLC0415 - there already wherever a dataset is

    rows = [
        (
            entry.stage,
            entry.rows_in,
            entry.rows_out,
            ", ".join(f"{code} {n:,}" for code, n in entry.to_dict()["removed"].items()),
        )
        for entry in ledger
    ]
    frame = pd.DataFrame(rows, columns=["stage", "rows_in", "rows_out", "removed"])
    caption = f"Prepared dataset {run_id}: {ledger.rows_in:,} lines in, {ledger.rows_out:,} events kept"
    return html_table(frame, caption)
