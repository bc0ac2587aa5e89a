"""What a version of a dataset calls people, devices, sessions and events by, and what of it is gone in another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from eventlib.arrow import read_parquet
from eventlib.engine import connect, parquet
from eventlib.erasure.search import Needles
from eventlib.identifiers import Node
from eventlib.nodes import SHARE
from eventlib.prepared import event_files
from eventlib.pseudonyms import Pseudonymiser

__all__ = ["gone_words"]

_STANDS_ALONE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{4,}[A-Za-z0-9_]")
_TELLING: Final = 16  # characters under which an event's id may be anything's


def _words(version: Path) -> str:
    """Return the SQL of what people, sessions and events are called by."""
    events = parquet(*event_files(version))
    named = [(name, events) for name in ("person_id", "session_id")]
    named += [
        (name, f"{events} WHERE length({name}) >= {_TELLING}") for name in ("event_id", "original_event_id")
    ]
    named += [("person_id", parquet(version / name)) for name in ("people.parquet", "registry.parquet")]
    return " UNION ".join(f"SELECT {what} AS word FROM {table}" for what, table in named)  # noqa: S608  # our own files


def _named(version: Path) -> dict[Node, set[str]]:
    """Return how a version's state and tables write each identifier."""
    found: dict[Node, set[str]] = defaultdict(set)
    known = read_parquet(version / "state" / "identifiers.parquet", ["namespace", "node", "digest"])
    for row in known.to_pylist():
        found[Node(row["namespace"], row["node"])].update((row["node"].lstrip("\0"), row["digest"]))
    return found


def _plainly(version: Path, pseudonym: Pseudonymiser) -> dict[Node, set[str]]:
    """Return the identifiers that a version holds as they are, each by its node."""
    found: dict[Node, set[str]] = defaultdict(set)
    people = read_parquet(version / "people.parquet", ["namespace", "identifier"]).to_pylist()
    for row in people if pseudonym.plain else ():
        node = Node(row["namespace"], pseudonym.keyed(row["namespace"], row["identifier"]))
        found[node].add(row["identifier"])
    return found


def gone_words(
    before: Path, after: Path, nodes: Iterable[Node], pseudonym: Pseudonymiser
) -> tuple[Needles, frozenset[str]]:
    """Return by what an erased person was called in a version, and is not in the one that comes after it.

    Parameters
    ----------
    before, after
        Folders of two versions.
    nodes
        What was erased, as pseudonyms.
    pseudonym
        How identifiers are written.

    Returns
    -------
    tuple of Needles and frozenset of str
        What may be found nowhere: the identifiers, and the ids of people, sessions and events that are there no more. Then the
        pseudonyms of erased devices that others use too: their events keep them.
    """
    erased = {node for node in nodes if node.namespace != SHARE}
    used = _named(after)
    shared = {node for node in erased if node in used}
    texts: set[str] = set()
    for written in (_named(before), _plainly(before, pseudonym)):
        texts |= {text for node in erased - shared for text in written.get(node, ())}
    texts |= {node.value for node in erased - shared}
    outcomes = (
        f"SELECT subject FROM {parquet(version / 'state' / 'outcome.parquet')} WHERE subject <> 0"  # noqa: S608  # our own file
        for version in (before, after)
    )
    with connect() as connection:
        words = connection.execute(f"({_words(before)}) EXCEPT ({_words(after)})").fetchall()
        numbers = connection.execute(" EXCEPT ".join(f"({each})" for each in outcomes)).fetchall()
    texts |= {word for (word,) in words if word}
    tokens = {word for word in texts if _STANDS_ALONE.fullmatch(word)}
    needles = Needles(
        frozenset(texts - tokens), frozenset(tokens), frozenset(int(number) for (number,) in numbers)
    )
    return needles, frozenset(node.value for node in shared)
