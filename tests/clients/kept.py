"""The proof that nothing is lost: every value that a tracker sent is looked for in what was read."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from eventlib.sources.vocabulary import wanted

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_NUMBER: Final = re.compile(r"-?\d{1,15}(\.\d+)?", re.ASCII)
_PACKED: Final = frozenset({"ue_px", "cx", "ue_pr", "co"})
"""Members in which Snowplow's trackers send JSON as a text."""

Leaf = tuple[str, Any]
"""A value and the name that it stands under."""


def leaves(value: Any, name: str = "", without: frozenset[str] = frozenset()) -> Iterator[Leaf]:
    """Yield every value that is neither empty nor made of others; members of lists under the list's name."""
    if isinstance(value, dict):
        for inside, held in value.items():
            if inside not in without:
                yield from leaves(_opened(inside, held), inside, without)
    elif isinstance(value, list):
        for held in value:
            yield from leaves(held, name, without)
    elif value not in (None, ""):
        yield name, plain(value)


def _opened(name: str, value: Any) -> Any:
    if name not in _PACKED or not isinstance(value, str):
        return value
    try:
        return json.loads(base64.urlsafe_b64decode(value + "=="))
    except (binascii.Error, ValueError):
        return json.loads(value)


def plain(value: Any) -> Any:
    """Return a value such that equal ones are equal however they were written: 2 and "2", a moment in two zones."""
    if isinstance(value, str) and _TIME.match(value):
        return round(datetime.fromisoformat(value).timestamp() * 1e6)
    if isinstance(value, datetime):
        return round(value.timestamp() * 1e6)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return value if isinstance(value, bool | str) else float(value)


def lost(
    sent: Mapping[str, Any],
    row: Mapping[str, Any],
    dropped: Iterable[str] = (),
    scaled: Mapping[str, float] | None = None,
    called: Mapping[str, str] | None = None,
) -> list[Leaf]:
    """Return what a tracker sent and the row of its event does not have.

    Parameters
    ----------
    sent
        The event as it was sent.
    row
        Its row of the canonical frame.
    dropped
        Names of members that are left out on purpose, with all that is in them.
    scaled
        By the name of a member in another unit than the canonical one, by what its value is multiplied.
    called
        By the name of a member that the format calls otherwise when read, that other name.

    Notes
    -----
    A value counts as kept under its own name, at any depth of the properties; or under any name in a canonical place: the
    columns of the frame, and the properties that the event's own schema knows.
    """
    properties = json.loads(row["properties"])
    own = set(leaves(properties))
    schema = wanted(row["event_name"])
    known = {name: held for name, held in properties.items() if schema and name in schema.readers}
    columns = {name: held for name, held in row.items() if name not in {"properties", "fingerprint"}}
    canonical = {value for _, value in (*leaves(known), *leaves(columns))}
    factors, others = scaled or {}, called or {}
    return [
        (name, value)
        for name, value in leaves(sent, without=frozenset(dropped))
        if (name, value) not in own
        and (others.get(name), value) not in own
        and (round(value * factors[name], 6) if name in factors else value) not in canonical
    ]
