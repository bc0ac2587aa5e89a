"""Identifiers as they are compared: normal forms, placeholders that many strangers share, and how callers write them (S4.1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple

from eventlib.errors import BadCallError
from eventlib.pseudonyms import JUNK_MARK

__all__ = ["OURS", "Node", "is_junk", "named", "node_of", "normalise"]

JUNK_WORDS: Final = frozenset(
    {
        "null",
        "none",
        "nil",
        "nan",
        "undefined",
        "anonymous",
        "guest",
        "unknown",
        "true",
        "false",
        "[object object]",
        "-1",
    }
)
_ZEROS: Final = re.compile(r"[0-]*", re.ASCII)
_TEST_MAIL: Final = re.compile(
    r"(?:test|example|noreply|no-reply)[^@]*@.*|[^@]*@(?:test|example)\.[a-z.]+", re.ASCII
)
_MAX_ID: Final = 1024


class Node(NamedTuple):
    """One identifier, or one user's share of a shared device (`value` is then device and user)."""

    namespace: str
    value: str


def normalise(namespace: str, value: str) -> str:
    """Return an identifier as it is compared: NFC, trimmed, e-mail alone lower-cased (S4.1).

    >>> normalise("email", " Ann@Site.org ")
    'ann@site.org'
    """
    text = value.strip()
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    return text.lower() if namespace == "email" else text


def is_junk(namespace: str, value: str, extra: Iterable[str] = ()) -> bool:
    """Tell whether an identifier is a placeholder that many strangers share (S4.1).

    >>> is_junk("user_id", "undefined"), is_junk("user_id", "00000000-0000"), is_junk("user_id", "u-12")
    (True, True, False)
    """
    text = normalise(namespace, value)
    return _is_placeholder(text) or text.lower() in set(extra)


def _is_placeholder(text: str) -> bool:
    low = text.lower()
    return (
        len(text) > _MAX_ID
        or text.startswith(JUNK_MARK)
        or _ZEROS.fullmatch(text) is not None
        or low in JUNK_WORDS
        or ("@" in low and _TEST_MAIL.fullmatch(low) is not None)
    )


def node_of(namespace: str, value: str) -> Node | None:
    """Return the node that an identifier stands for; None if it is junk.

    >>> node_of("user_id", " u-12"), node_of("user_id", "null")
    (Node(namespace='user_id', value='u-12'), None)
    """
    text = normalise(namespace, value)
    return None if _is_placeholder(text) else Node(namespace, text)


OURS: Final = frozenset({"anonymous_id", "user_id", "email"})


def named(identifier: str, *, junk: bool = False) -> tuple[str, str]:
    """Return namespace and normalised value of an identifier as a caller writes it; it may be `junk` or not.

    Raises
    ------
    BadCallError
        If it is no `namespace:value`, or a placeholder that strangers share.

    Examples
    --------
    >>> named("email: Ann@Site.org ")
    ('email', 'ann@site.org')
    >>> named("User_ID:u-12")
    ('user_id', 'u-12')
    """
    namespace, colon, value = identifier.partition(":")
    namespace = namespace.strip()
    if namespace.lower() in OURS:
        namespace = namespace.lower()
    if not colon or not namespace or not value.strip():
        raise BadCallError(
            f"an identifier is written namespace:value, such as user_id:u-12, not {identifier!r}"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in identifier):
        raise BadCallError(f"{identifier!r} is not UTF-8, which no event of a log can be either")
    if not junk and is_junk(namespace, value):
        raise BadCallError(
            f"{identifier!r} is a placeholder that many strangers share, and stands for nobody"
        )
    return namespace, normalise(namespace, value)
