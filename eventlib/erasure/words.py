"""What a version of a dataset calls people, devices, sessions and events by, and what of it is gone in another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from eventlib.engine import connect, parquet
from eventlib.erasure.search import Needles
from eventlib.prepared import event_files

__all__ = ["gone_words"]

_STANDS_ALONE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{4,}[A-Za-z0-9_]")
_EVENT_IDS: Final = ("event_id", "original_event_id", "anonymous_id", "user_id", "person_id", "session_id")


def _words(version: Path) -> str:
    events, people, registry = (
        parquet(*event_files(version)),
        parquet(version / "people.parquet"),
        parquet(version / "registry.parquet"),
    )
    identifiers = parquet(version / "state" / "identifiers.parquet")
    named = [(name, events) for name in _EVENT_IDS]
    named += [("identifier", people), ("split_part(anchor, ':', -1)", registry), ("person_id", registry)]
    named += [("digest", identifiers), ("ltrim(node, chr(0))", identifiers)]
    return " UNION ".join(f"SELECT {what} AS word FROM {table}" for what, table in named)  # noqa: S608  # our own files


def gone_words(before: Path, after: Path, plain: Iterable[str]) -> Needles:
    """Return what the version `before` names and the version `after` does not, as needles, with plain identifiers.

    Parameters
    ----------
    before, after
        Folders of two versions.
    plain
        Identifiers as they stand in logs, which neither may hold.
    """
    subjects = "SELECT subject FROM {} WHERE subject IS NOT NULL AND subject <> 0"
    outcomes = (
        subjects.format(parquet(version / "state" / "outcome.parquet")) for version in (before, after)
    )
    with connect() as connection:
        words = connection.execute(f"({_words(before)}) EXCEPT ({_words(after)})").fetchall()
        numbers = connection.execute(" EXCEPT ".join(f"({each})" for each in outcomes)).fetchall()
    texts = {word for (word,) in words if word}
    tokens = {word for word in texts if _STANDS_ALONE.fullmatch(word)}
    return Needles(
        frozenset(texts - tokens | set(plain)),
        frozenset(tokens),
        frozenset(int(number) for (number,) in numbers),
    )
