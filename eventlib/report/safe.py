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
from urllib.parse import urlsplit, urlunsplit

__all__ = [
    "clean",
    "clean_id",
    "csv_cell",
    "escape_html",
    "escape_markdown",
    "escape_plotly",
    "guard_figure",
    "mask_text",
    "mask_url",
    "script_json",
]

_CONTROLS = re.compile(
    # C0 but tab and newline, DEL and C1, then the characters that reorder or hide text
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s<>\"'`]+")
_EMAIL = re.compile(r"[\w.!$%&'*+^`{|}~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_TOKEN = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"  # JSON Web Token
    r"|\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abps]|AKIA|AIza)[-_]?\w[\w-]{14,}"
    r"|(?i:\bbearer\s+)\S{8,}"
    r"|\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])(?![\da-fA-F]{8}-[\da-fA-F]{4}-)[\w-]{32,}"  # long, mixed, no UUID
)
_DIGITS = re.compile(r"(?<![\w.,:/-])(?:\+|\()?\d(?:[ ().-]{0,2}\d){7,18}(?![\w:]|[.,-]\d)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}.*)?")
_DECIMAL = re.compile(r"-?[\d,]*\.\d+(?:e[+-]?\d+)?")
_ALLOWED_QUERY: Final = "utm_"
_CARD_DIGITS: Final = (15, 16, 19)  # 13 and 14 are article numbers' too


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _mask_number(match: re.Match[str]) -> str:
    text = match.group()
    digits = re.sub(r"\D", "", text)
    if _DATE.fullmatch(text):
        return text
    if 13 <= len(digits) <= 19 and _luhn(digits):
        return "[card]"
    return "[phone]" if len(digits) >= 9 or not text.isdigit() else text


def mask_url(url: str) -> str:
    """Return a URL without user information, fragment and every query key but `utm_*` (S10).

    Examples
    --------
    >>> mask_url("https://ann:pw@shop.example/a?utm_source=x&email=a%40b.example#step-2")
    'https://shop.example/a?utm_source=x'
    >>> mask_url("javascript:alert(1)")
    'javascript:[masked]'
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "[malformed URL]"
    if parts.scheme.lower() not in ("", "http", "https"):
        return f"{parts.scheme}:[masked]"
    query = "&".join(pair for pair in parts.query.split("&") if pair.lower().startswith(_ALLOWED_QUERY))
    return urlunsplit((parts.scheme, host + port, _mask_plain(parts.path), _mask_plain(query), ""))


def _mask_plain(text: str) -> str:
    masked = _EMAIL.sub("[e-mail]", text)
    return _DIGITS.sub(_mask_number, _TOKEN.sub("[token]", masked))


def mask_text(text: str) -> str:
    """Mask e-mail addresses, phone and card numbers and tokens in free text; shorten the URLs in it (S10).

    Masking is a net, not a proof: it catches the common forms, and dates and plain counts pass.

    Examples
    --------
    >>> mask_text("call +49 151 2345 6789 or write to ann@mail.example")
    'call [phone] or write to [e-mail]'
    >>> mask_text("4111 1111 1111 1111 on 2026-10-03")
    '[card] on 2026-10-03'
    >>> mask_text("see https://shop.example/cart?session=1 now")
    'see https://shop.example/cart now'
    """
    if text.isalpha() or _DATE.fullmatch(text) or _DECIMAL.fullmatch(text):
        return text
    pieces: list[str] = []
    end = 0
    for match in _URL.finditer(text):
        pieces += [_mask_plain(text[end : match.start()]), mask_url(match.group())]
        end = match.end()
    return "".join([*pieces, _mask_plain(text[end:])])


def clean(text: str) -> str:
    """Mask a string and replace the characters that steer a terminal or reorder text by `�`."""
    return _CONTROLS.sub("\ufffd", mask_text(text))


def clean_id(text: str) -> str:
    """Like `clean`, for an identifier: one that is a number (an article's, say) is no phone number; a card's is masked.

    Examples
    --------
    >>> clean_id("8715946355320"), clean("8715946355320"), clean_id("4111111111111111")
    ('8715946355320', '[phone]', '[card]')
    """
    if text.isascii() and text.isdecimal() and not (len(text) in _CARD_DIGITS and _luhn(text)):
        return text
    return clean(text)


def escape_html(text: object) -> str:
    """Escape for HTML text and quoted attributes.

    Examples
    --------
    >>> escape_html("<img src=x onerror='alert(1)'>")
    '&lt;img src=x onerror=&#x27;alert(1)&#x27;&gt;'
    """
    return html.escape(_CONTROLS.sub("\ufffd", str(text)), quote=True)


def escape_plotly(text: object) -> str:
    """Escape for plotly, which reads `<b>`, `<a href>` and `%{name}` in labels, text and hover as markup.

    Examples
    --------
    >>> escape_plotly("<a href='x'>%{y}</a>")
    '&lt;a href=&#39;x&#39;&gt;&#37;{y}&lt;/a&gt;'
    """
    # decimal references only: plotly does not know the hexadecimal one of a quote
    escaped = html.escape(_CONTROLS.sub("\ufffd", str(text)), quote=False).replace("%{", "&#37;{")
    return escaped.replace('"', "&#34;").replace("'", "&#39;")


def escape_markdown(text: object) -> str:
    r"""Escape for Markdown, HTML in it included.

    Examples
    --------
    >>> escape_markdown("[a](javascript:x) *b*")
    '\\[a\\]\\(javascript:x\\) \\*b\\*'
    """
    return re.sub(
        r"([\\`*_{}\[\]()#+!|~$>-])", r"\\\1", html.escape(_CONTROLS.sub("\ufffd", str(text)), quote=False)
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

    Examples
    --------
    >>> csv_cell("=HYPERLINK(1)"), csv_cell(-3)
    ("'=HYPERLINK(1)", -3)
    """
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\0")):
        return f"'{value}"
    return value


_TEXT_KEYS: Final = frozenset(
    (
        "x",
        "y",
        "z",
        "text",
        "hovertext",
        "customdata",
        "labels",
        "label",
        "parents",
        "ids",
        "name",
        "values",
        "legendgroup",
    )
)
_LAYOUT_KEYS: Final = frozenset(("categoryarray", "ticktext", "tickvals"))


def _guard(value: Any, ids: frozenset[str]) -> Any:
    if isinstance(value, str):
        # a line break is the one piece of markup that data may carry: it can do no more than break a line
        masked = clean_id(value) if value in ids else clean(value)
        return escape_plotly(masked).replace("&lt;br&gt;", "<br>")
    if isinstance(value, list):
        return [_guard(item, ids) for item in value]
    return value


def _guard_keys(node: Any, keys: frozenset[str], ids: frozenset[str]) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _guard(item, ids) if key in keys else _guard_keys(item, keys, ids)
            for key, item in node.items()
        }
    return [_guard_keys(item, keys, ids) for item in node] if isinstance(node, list) else node


def guard_figure(figure: Mapping[str, Any], ids: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Mask and escape every data string of a plotly figure in its JSON form, those in `ids` by `clean_id`.

    Titles, annotations and templates are written by us and pass; a plot function that puts an event string
    into one calls `escape_plotly(clean(…))` itself.
    """
    data = [_guard_keys(trace, _TEXT_KEYS, ids) for trace in figure.get("data", [])]
    layout = {
        key: _guard_keys(item, _LAYOUT_KEYS, ids) if "axis" in key else item
        for key, item in figure.get("layout", {}).items()
    }
    return {**figure, "data": data, "layout": layout}
