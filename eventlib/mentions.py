"""Whether a line that is no event names somebody who was erased (S2.8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import unquote

from eventlib.tombstones import Tombstones

__all__ = ["Mentions"]

_QUOTED: Final = re.compile(r'"([^"\\\x00-\x1f]{1,1024})"')
_BARE: Final = re.compile(r"""[^\s"'\\,;{}\[\]()<>=&?/\x00-\x1f]{1,1024}""")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_MOST_STRINGS: Final = 10_000
_REMEMBERED: Final = 65_536  # texts: most of a line's are those of others too


def _texts(raw: bytes) -> Iterator[str]:
    """Yield whatever in a line may be an identifier: what stands in quotes, and what stands between marks."""
    text = _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), raw.decode("utf-8", "replace"))
    yield from _QUOTED.findall(text)
    for each in _BARE.findall(unquote(text)):
        yield each
        yield from each.split(":") if ":" in each else ()


class Mentions:
    """Looks for erased people in lines.

    Parameters
    ----------
    tombstones
        Who was erased.

    Examples
    --------
    >>> from eventlib.tombstones import NONE
    >>> Mentions(NONE).erased(b'{"user_id": "u-12')
    False
    """

    def __init__(self, tombstones: Tombstones) -> None:
        self._tombstones = tombstones
        self._namespaces = sorted(tombstones.every_namespace() | {"anonymous_id", "user_id"})
        self._names = lru_cache(_REMEMBERED)(self._named)

    def _named(self, text: str) -> bool:
        return any(self._tombstones.names(namespace, text) for namespace in self._namespaces)

    def erased(self, raw: bytes) -> bool:
        """Tell whether a line names somebody who was erased, in any of its texts, broken off or not."""
        if not self._tombstones:
            return False
        return any(map(self._names, dict.fromkeys(islice(_texts(raw), _MOST_STRINGS))))
