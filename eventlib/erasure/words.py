"""What a version of a dataset calls people, devices, sessions and events by, and what of it is gone in another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from eventlib.engine import connect, parquet
from eventlib.erasure.search import Needles
from eventlib.graph import Node
from eventlib.prepared import event_files

__all__ = ["gone_words"]

_STANDS_ALONE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{4,}[A-Za-z0-9_]")
_IDS: Final = ("anonymous_id", "user_id", "person_id", "session_id")
_EVENT_IDS: Final = ("event_id", "original_event_id")
_TELLING: Final = 16  # characters under which an event's id may be anything's


def _words(version: Path) -> str:
    events, people, registry = (
        parquet(*event_files(version)),
        parquet(version / "people.parquet"),
        parquet(version / "registry.parquet"),
    )
    identifiers = parquet(version / "state" / "identifiers.parquet")
    named = [(name, events) for name in _IDS]
    named += [(name, f"{events} WHERE length({name}) >= {_TELLING}") for name in _EVENT_IDS]
    named += [("identifier", people), ("split_part(anchor, ':', -1)", registry), ("person_id", registry)]
    named += [("digest", identifiers), ("ltrim(node, chr(0))", identifiers)]
    return " UNION ".join(f"SELECT {what} AS word FROM {table}" for what, table in named)  # noqa: S608  # our own files


def gone_words(before: Path, after: Path, nodes: Iterable[Node]) -> tuple[Needles, frozenset[str]]:
    """Return what the version `before` names and the version `after` does not, and what was erased.

    Parameters
    ----------
    before, after
        Folders of two versions.
    nodes
        What was erased, as pseudonyms.

    Returns
    -------
    tuple of Needles and frozenset of str
        What may be found nowhere, and the pseudonyms of erased devices that others use too: their events keep them.
    """
    erased = {node.value for node in nodes if node.namespace != "device_user"}
    subjects = "SELECT subject FROM {} WHERE subject IS NOT NULL AND subject <> 0"
    outcomes = (
        subjects.format(parquet(version / "state" / "outcome.parquet")) for version in (before, after)
    )
    with connect() as connection:
        words = connection.execute(f"({_words(before)}) EXCEPT ({_words(after)})").fetchall()
        used = (
            connection.sql(f"FROM {parquet(after / 'state' / 'identifiers.parquet')}")
            .select("node")
            .fetchall()
        )
        numbers = connection.execute(" EXCEPT ".join(f"({each})" for each in outcomes)).fetchall()
    shared = frozenset(erased.intersection(node for (node,) in used))
    texts = {word for (word,) in words if word} | erased - shared
    tokens = {word for word in texts if _STANDS_ALONE.fullmatch(word)}
    needles = Needles(
        frozenset(texts - tokens), frozenset(tokens), frozenset(int(number) for (number,) in numbers)
    )
    return needles, shared
