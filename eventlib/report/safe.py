"""Event strings are attacker-controlled: every one passes through here before it reaches a page (S10).

Two jobs, in this order: *mask* what a report must not repeat (addresses, numbers, tokens, queries), then
*escape* for the place where the text goes (HTML, plotly's pseudo-HTML, Markdown, a script, a CSV cell).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from eventlib.masking import CONTROLS, clean, clean_id, mask_text, mask_url

__all__ = [
    "clean",
    "clean_id",
    "clean_tree",
    "csv_cell",
    "escape_html",
    "escape_markdown",
    "escape_plotly",
    "guard_figure",
    "mask_text",
    "mask_url",
    "script_json",
    "shorten",
]

LONGEST_TEXT: Final = 300
"""Characters of a text that a cell or a label shows."""


def clean_tree(value: Any, ids: frozenset[str] = frozenset()) -> Any:
    """Clean every string of JSON-like data, keys too, those under the keys `ids` excepted: digests, our own ids.

    Examples
    --------
    >>> clean_tree({"file": "ann@mail.example.ndjson", "rows": 3, "sha256": "0" * 31 + "a"}, frozenset({"sha256"}))
    {'file': '[e-mail]', 'rows': 3, 'sha256': '0000000000000000000000000000000a'}
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): item if key in ids else clean_tree(item, ids) for key, item in value.items()}
    return [clean_tree(item, ids) for item in value] if isinstance(value, list | tuple) else value


def shorten(text: str) -> str:
    """Return what fits a cell or a label of text that is clean already."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def escape_html(text: object) -> str:
    """Escape for HTML text and quoted attributes.

    Examples
    --------
    >>> escape_html("<img src=x onerror='alert(1)'>")
    '&lt;img src=x onerror=&#x27;alert(1)&#x27;&gt;'
    """
    return html.escape(CONTROLS.sub("\ufffd", str(text)), quote=True)


def escape_plotly(text: object) -> str:
    """Escape for plotly, which reads `<b>`, `<a href>` and `%{name}` in labels, text and hover as markup.

    Examples
    --------
    >>> escape_plotly("<a href='x'>%{y}</a>")
    '&lt;a href=&#39;x&#39;&gt;&#37;{y}&lt;/a&gt;'
    """
    # decimal references only: plotly does not know the hexadecimal one of a quote
    escaped = html.escape(CONTROLS.sub("\ufffd", str(text)), quote=False).replace("%{", "&#37;{")
    return escaped.replace('"', "&#34;").replace("'", "&#39;")


def escape_markdown(text: object) -> str:
    r"""Escape for Markdown, HTML in it included.

    Examples
    --------
    >>> escape_markdown("[a](javascript:x) *b*")
    '\\[a\\]\\(javascript:x\\) \\*b\\*'
    """
    return re.sub(
        r"([\\`*_{}\[\]()#+!|~$>-])", r"\\\1", html.escape(CONTROLS.sub("\ufffd", str(text)), quote=False)
    )


def script_json(value: Any) -> str:
    r"""Return JSON that cannot end the `<script>` element it stands in.

    Examples
    --------
    >>> script_json({"title": "</script><b>"})
    '{"title":"\\u003c/script\\u003e\\u003cb\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def csv_cell(value: object) -> object:
    """Guard a CSV cell against being run as a formula by a spreadsheet; numbers stay numbers.

    Spreadsheets skip blanks before a formula, and some take the full-width signs.

    Examples
    --------
    >>> csv_cell("=HYPERLINK(1)"), csv_cell("  @SUM(1)"), csv_cell(-3)
    ("'=HYPERLINK(1)", "'  @SUM(1)", -3)
    """
    if isinstance(value, str) and (value[:1] in _CSV_STARTS or value.lstrip()[:1] in _CSV_FORMULA):
        return f"'{value}"
    return value


_CSV_STARTS: Final = frozenset("\t\r\n\0")
_CSV_FORMULA: Final = frozenset("=+-@\0\uff1d\uff0b\uff0d\uff20")
_DATA_KEYS: Final = frozenset(
    ("x", "y", "z", "text", "hovertext", "customdata", "labels", "label", "parents", "ids", "name", "values",
     "legendgroup", "meta", "locations",
     "theta", "r", "a", "b", "c", "categoryarray", "ticktext", "tickvals", "tickprefix", "ticksuffix", "title")
)  # fmt: skip
"""Where figures hold text; whatever stands under another key plotly does not show."""
_TEMPLATE_KEYS: Final = frozenset(("hovertemplate", "texttemplate"))
_HOUSE_MARKUP: Final = re.compile(
    # our own figures' markup, word for word: it can do no more than break a line, make it bold or grey
    r"&lt;(br|/?b|/?extra|/span|span style=&#34;font-size:13px;color:#[0-9a-f]{6}&#34;)&gt;"
)


def _house(escaped: str) -> str:
    return _HOUSE_MARKUP.sub(lambda match: f"<{match[1]}>".replace("&#34;", '"'), escaped)


def _guard(value: Any, ids: frozenset[str], *, ours: bool) -> Any:
    """Guard whatever stands under a key for text; in titles and annotations `ours` lets house markup be markup."""
    if isinstance(value, str):
        # a line break is the one piece of markup that data may carry: it can do no more than break a line
        lines = value.split("<br>")
        if ours:
            return _house(escape_plotly(shorten(clean(value))))
        return "<br>".join(
            escape_plotly(shorten(clean_id(line) if line in ids else clean(line))) for line in lines
        )
    if isinstance(value, list):
        return [_guard(item, ids, ours=ours) for item in value]
    if isinstance(value, Mapping) and "bdata" not in value:
        return {key: _guard_under(key, item, ids, ours=ours) for key, item in value.items()}
    return value


def _guard_under(key: str, item: Any, ids: frozenset[str], *, ours: bool) -> Any:
    if key in _TEMPLATE_KEYS:
        return _guard_template(item)
    if key in _DATA_KEYS:
        # a title is an object with a text, and written by us; so is an annotation's text
        return _guard(item, ids, ours=ours or key == "title")
    if key == "template":
        return item
    if isinstance(item, Mapping):
        return {inner: _guard_under(inner, value, ids, ours=ours) for inner, value in item.items()}
    if isinstance(item, list):
        return [_guard_under("", value, ids, ours=ours) for value in item]
    return item


def _guard_template(item: Any) -> Any:
    """Templates are written by us, of `%{…}` and words; markup in them is the house's alone."""
    if isinstance(item, list):
        return [_guard_template(one) for one in item]
    return _house(escape_plotly(item).replace("&#37;{", "%{")) if isinstance(item, str) else item


def guard_figure(figure: Mapping[str, Any], ids: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Mask and escape every string that plotly shows of a figure in its JSON form, those in `ids` by `clean_id`.

    Titles, subtitles and annotations may hold event strings like any label: only the markup of our own
    figures stays markup in them. In the data a line break alone does.
    """
    data = [_guard_under("", trace, ids, ours=False) for trace in figure.get("data", [])]
    layout = {
        key: _guard_under(key, item, ids, ours="axis" not in key)
        for key, item in figure.get("layout", {}).items()
    }
    return {"data": data, "layout": layout}
