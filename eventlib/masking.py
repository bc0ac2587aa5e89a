"""What a report must not repeat of an event's text: addresses, numbers, tokens, queries (S10).

A net, not a proof. Text is looked at twice: as it is written, and as a reader or a browser would take it
(percent-encoding and entities undone, full-width forms made plain, invisible characters gone). Every pattern
is linear in the text: its start is anchored or its repeats are possessive.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

__all__ = [
    "CONTROLS",
    "clean",
    "clean_id",
    "hides_email",
    "is_card",
    "mask_emails",
    "mask_text",
    "mask_url",
    "mask_values",
]

CONTROLS: Final = re.compile(
    # C0 but tab and newline, DEL and C1, then the characters that reorder, hide or tag text
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028\u2029"
    "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_INVISIBLE: Final = re.compile(f"{CONTROLS.pattern[:-1]}\u200c\u200d\ufe00-\ufe0f\ufffd]")  # kept in emoji
_DASHES: Final = re.compile("[\u2010-\u2015\u2212\u2043\ufe58\uff0d]")
_AT: Final = re.compile(r"\s?[\[(]\s?at\s?[\])]\s?", re.IGNORECASE)
_DOT: Final = re.compile(r"\s?[\[(]\s?dot\s?[\])]\s?", re.IGNORECASE)
_MARK: Final = "[masked]"
_ROUNDS: Final = 5
_LONGEST: Final = 20_000
"""Characters of a text that are looked at: no report shows more."""

_URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s<>\"'`]+")
_QUERY: Final = re.compile(r"[?#;][^\s?#;=<>\"'`]{1,64}=[^\s<>\"'`]*")
_UTM: Final = re.compile(r"utm_\w{1,30}=.*", re.IGNORECASE | re.DOTALL)
_PAIR: Final = re.compile(r"(?P<name>[^=&;#]*=)?(?P<value>[^&;#]+)")
_LOCAL: Final = r"\w.!$%&'*+^`{|}~-"
_EMAIL: Final = re.compile(
    rf"(?:(?<![{_LOCAL}])[{_LOCAL}]++|\"[^\"\r\n]{{1,64}}\")@(?:[\w-]++(?:\.[\w-]++)++|\[[\d.:a-fA-F]{{3,45}}\])"
)
_ENCODED_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}%(?:25){0,4}40[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
)
_UNWRAPPED: Final = re.compile(r"[A-Za-z0-9_.~:-]*")
"""Text that can hide no address: it has neither its sign nor what writes that otherwise."""

_TOKEN: Final = re.compile(
    r"eyJ[\w-]{8,}+\.[\w-]{4,}+(?:\.[\w-]*+)?"  # JSON Web Token
    r"|(?<![^\W_])(?:(?:sk|pk|rk|whsec)[-_]|gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|AKIA|AIza)[\w-]{12,}+"
    r"|(?i:\bbearer\s+)[^\s\[]\S{7,}+"
    r"|(?i:(?:password|passwd|pwd|secret|token|api_?-?key|session_?id)=)[^\s\[&;,]{4,}+"
    r"|(?<![\w-])(?P<long>[\w-]{32,}+)"
)
_UUID: Final = r"(?<![\w-])[\da-fA-F]{8}-(?:[\da-fA-F]{4}-){3}[\da-fA-F]{12}(?![\w-])"
_WORD: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,13}}|{_UUID}")
"""Text that is too short for a token, and no number."""

_DAY: Final = (
    r"(?<![\w-])\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d|-\d)"
)
_TIME: Final = r"(?<![\w:])\d\d?:\d\d:\d\d(?:[.,]\d{1,9})?(?!\d)"
_NEXT: Final = r"(?!(?<!\d)\d{4}-\d\d-\d\d(?!\d))\d"  # a date is no part of the number before it
_NUMBER: Final = re.compile(
    rf"(?P<keep>{_UUID}|{_DAY}|{_TIME})"
    rf"|\+\d(?:[\s().·/-]{{0,3}}{_NEXT}){{7,}}+"
    rf"|(?<!\d)\(?\d(?:[\s().·-]{{0,3}}{_NEXT}){{7,}}+"
)
_ID_DIGITS: Final = re.compile(r"[1-9]\d*(?:-[1-9]\d*)*|\d+")
_PLAIN: Final = re.compile(rf"-?(?:\d{{1,7}}|\d{{1,3}}(?:,\d{{3}})+)\.\d+(?:e[+-]?\d+)?|{_DAY}")
_CARD_DIGITS: Final = (15, 16, 19)  # 13 and 14 are article numbers' too


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def is_card(digits: str) -> bool:
    """Return whether these digits may be a card's number, and hardly an article's."""
    return len(digits) in _CARD_DIGITS and _luhn(digits)


def _is_name_part(match: re.Match[str]) -> bool:
    """Return whether a number is part of a name (`c-142`, `20261003T10`) or of another number."""
    before, after = match.string[max(match.start() - 2, 0) : match.start()], match.string[match.end() :][:1]
    named = before[-1:].isalpha() or before[-1:] == "_" or (before[-1:] == "-" and before[:1].isalnum())
    decimal = before[-1:] in (".", ",", ":") and before[:1].isdigit()
    attached = named or decimal or after.isalpha() or after == "_"
    return attached and _ID_DIGITS.fullmatch(match.group()) is not None


def _mask_number(match: re.Match[str]) -> str:
    text = match.group()
    if match["keep"]:
        return text
    digits = "".join(character for character in text if character.isdecimal())
    is_name = _is_name_part(match)
    if is_card(digits) or (not is_name and 13 <= len(digits) <= 19 and _luhn(digits)):
        return "[card]"
    if len(digits) > 19:
        return "[number]"
    return "[phone]" if not is_name and (len(digits) >= 9 or not text.isdigit()) else text


def _mask_token(match: re.Match[str]) -> str:
    text = match["long"]
    if text is None:
        return "[token]"
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return "[token]" if mixed and not re.fullmatch(_UUID, text) else text


def _mask_plain(text: str) -> str:
    """Mask what tells on somebody wherever it stands, addresses of pages apart."""
    masked = _EMAIL.sub("[e-mail]", text) if "@" in text else text
    return _NUMBER.sub(_mask_number, _TOKEN.sub(_mask_token, masked))


def _as_read(text: str) -> str | None:
    """Return the text as a reader or a browser takes it; None if it is wrapped too often to tell."""
    for _ in range(_ROUNDS):
        plain = unquote(html.unescape(text)) if "%" in text or "&" in text else text
        plain = _INVISIBLE.sub("", plain if plain.isascii() else unicodedata.normalize("NFKC", plain))
        plain = _DOT.sub(".", _AT.sub("@", _DASHES.sub("-", plain)))
        plain = re.sub(r"%(?:25)++", "%", plain)
        if plain == text:
            return text
        text = plain
    return None


def _mask_free(text: str) -> str:
    return _mask_plain(_QUERY.sub(_mask_query, text))


def _is_telling(text: str) -> bool:
    """Return whether text says more to whoever undoes its wrapping than masks find as it is written."""
    read = _as_read(text)
    return read is None or (read != text and _mask_free(read) != read)


def _mask_piece(text: str) -> str:
    return _MARK if _is_telling(text) else _mask_plain(text)


def _mask_part(text: str) -> str:
    """Mask free text; what is wrapped is shown unwrapped, so that what is masked in it can be told."""
    return _mask_free((_as_read(text) or _MARK) if _is_telling(text) else text)


def _utm_only(query: str) -> str:
    return "&".join(_mask_piece(pair) for pair in re.split("[&;#]", query) if _UTM.fullmatch(pair))


def _cut(text: str) -> str:
    """Return the text without the last word that fits, where it is too long: half a secret is one."""
    if len(text) <= _LONGEST:
        return text
    words = text[: _LONGEST - 1].rsplit(None, 1)
    return f"{words[0] if words else ''}…"


def _mask_url_once(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "[malformed URL]"
    if parts.scheme.lower() not in ("", "http", "https"):
        return f"{parts.scheme}:{_MARK}"
    if _mask_piece(host) != host:
        host = "masked"
    path = "/".join(_mask_piece(piece.split(";")[0]) for piece in parts.path.split("/"))
    return urlunsplit(
        (parts.scheme, f"[{host}]{port}" if ":" in host else host + port, path, _utm_only(parts.query), "")
    )


def mask_url(url: str) -> str:
    """Return a URL without user information, fragment and every query key but `utm_*` (S10).

    Examples
    --------
    >>> mask_url("https://ann:pw@shop.example/a?utm_source=x&email=a%40b.example#step-2")
    'https://shop.example/a?utm_source=x'
    >>> mask_url("javascript:alert(1)")
    'javascript:[masked]'
    """
    url = _cut(url)
    for _ in range(_ROUNDS):
        masked = _mask_url_once(url)
        if masked == url:
            return masked
        url = masked
    return _MARK


def mask_values(url: str) -> str:
    """Mask what says who somebody is in the parts of an address's path and in the values of its query; all else stays.

    Unlike `mask_url`, it keeps what tells pages apart: identifiers in paths, and queries that are plain.

    Examples
    --------
    >>> mask_values("/guide?page=2&id=4711&mail=ann%40mail.example")
    '/guide?page=2&id=4711&mail=[masked]'
    >>> mask_values("https://www.example.org/u/ann@mail.example/guide")
    'https://www.example.org/u/[masked]/guide'
    """
    if not any(mark in url for mark in "@%?;="):
        return url
    path, mark, query = url.partition("?")
    return "/".join(map(_mask_segment, path.split("/"))) + mark + _PAIR.sub(_mask_pair, query)


def _mask_segment(text: str) -> str:
    if _UNWRAPPED.fullmatch(text):  # as nearly all are
        return text
    segment, mark, parameters = text.partition(";")
    return (_MARK if hides_email(segment) else segment) + mark + _PAIR.sub(_mask_pair, parameters)


def _mask_pair(match: re.Match[str]) -> str:
    return _masked_pair(match["name"] or "", match["value"])


@lru_cache(4096)
def _masked_pair(name: str, value: str) -> str:
    """Mask a value, and its name where that is an address; a number is a telephone number only where it is written as one."""
    counts = value.isascii() and value.isdecimal() and not is_card(value)
    secret = _TOKEN.sub(_mask_token, name + value) != name + value
    told = secret or not (counts or _WORD.fullmatch(value) or not _hides(value, _mask_plain))
    return f"{f'{_MARK}=' if hides_email(name) else name}{_MARK if told else value}"


def _hides(text: str, mask: Callable[[str], str]) -> bool:
    """Return whether a mask finds something in a text, or in what it is once its wrapping is undone."""
    read = _as_read(text)
    return read is None or mask(text) != text or mask(read) != read


def _mask_query(match: re.Match[str]) -> str:
    kept = _utm_only(match.group()[1:]) if match.group()[0] == "?" else ""
    return f"?{kept}" if kept else ""


def _mask_once(text: str) -> str:
    pieces: list[str] = []
    end = 0
    for match in _URL.finditer(text):
        pieces += [_mask_part(text[end : match.start()]), mask_url(match.group())]
        end = match.end()
    masked = "".join([*pieces, _mask_part(text[end:])])
    return _mask_part(masked) if _is_telling(masked) else masked


def mask_emails(text: str) -> str:
    """Mask e-mail addresses alone, as they are written or percent-encoded; what else the text says stays.

    Examples
    --------
    >>> mask_emails("/orders?of=ann%40mail.example&page=2")
    '/orders?of=[e-mail]&page=2'
    >>> mask_emails("order 4711 of ann@mail.example"), mask_emails("@acme/sdk 2.0")
    ('order 4711 of [e-mail]', '@acme/sdk 2.0')
    """
    masked = _EMAIL.sub("[e-mail]", text) if "@" in text else text
    return _ENCODED_EMAIL.sub("[e-mail]", masked) if "%" in masked else masked


def hides_email(text: str) -> bool:
    """Tell whether a text holds an e-mail address, also one that a reader or a browser has to unwrap.

    Examples
    --------
    >>> hides_email("ann (at) mail.example"), hides_email("ann\uff20mail.example"), hides_email("@acme/sdk")
    (True, True, False)
    """
    return _hides(text, mask_emails)


def mask_text(text: str) -> str:
    r"""Mask e-mail addresses, phone and card numbers and tokens in free text; shorten the URLs in it (S10).

    Masking is a net, not a proof: it catches the common forms, and dates and plain counts pass.

    Examples
    --------
    >>> mask_text("call +49 151 2345 6789 or write to ann@mail.example")
    'call [phone] or write to [e-mail]'
    >>> mask_text("4111 1111 1111 1111 on 2026-10-03")
    '[card] on 2026-10-03'
    >>> mask_text("see https://shop.example/cart?session=1 now")
    'see https://shop.example/cart now'
    >>> mask_text("/u/ann%2540mail.example"), mask_text("ann\uff20mail.example")
    ('/u/[e-mail]', '[e-mail]')
    """
    if (text.isascii() and text.isalpha()) or _PLAIN.fullmatch(text):
        return text
    text = _cut(text)
    for _ in range(_ROUNDS):
        masked = _mask_once(text)
        if masked == text:
            return masked
        text = masked
    return _MARK


def clean(text: str) -> str:
    """Mask a string and replace the characters that steer a terminal or reorder text by `�`."""
    cleaned = CONTROLS.sub("\ufffd", mask_text(text))
    if cleaned == text:
        return text
    # some of these characters are blanks: without them more may hang together
    return CONTROLS.sub("\ufffd", mask_text(cleaned))


def clean_id(text: str) -> str:
    """Like `clean`, for an identifier: one that is a number (an article's, say) is no phone number; a card's is masked.

    Examples
    --------
    >>> clean_id("8715946355320"), clean("8715946355320"), clean_id("4111111111111111")
    ('8715946355320', '[phone]', '[card]')
    """
    if text.isascii() and text.isdecimal() and not is_card(text):
        return text
    return clean(text)
