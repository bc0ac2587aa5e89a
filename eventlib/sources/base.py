"""What every source adapter offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from eventlib.model import Violation
from eventlib.sources.containers import Unpack
from eventlib.sources.decode import decode

__all__ = ["DAMAGED", "About", "Adapter", "Event", "Names", "Repairs", "Skipped", "mapping"]

Event = dict[str, Any]


DAMAGED: Final[Mapping[str, str]] = {"unreadable": "unreadable"}
"""Consent categories that nobody can read: a damaged signal, which denies (C04)."""


def mapping(value: object) -> Event:
    """Return an object, an empty one of anything else."""
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that holds no event, such as a bulk action; it is counted under `code`."""

    code: str


@dataclass(slots=True)
class Repairs:
    """Every repair that was made, as (scope, field, what was done)."""

    made: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, scope: str, name: str, repair: str) -> None:
        """Note one repair."""
        self.made.append((scope, name, repair))

    @property
    def counts(self) -> Counter[tuple[str, str, str]]:
        """How often each was made."""
        return Counter(self.made)


@dataclass(frozen=True, slots=True)
class About:
    """What `eventlib sources` says of a format.

    Attributes
    ----------
    title
        What it is called.
    seen
        Which versions were seen.
    rows
        Of formats without a table of their own: what a record has, what it becomes, and what to know of it.
    traps
        What is known to go wrong.
    """

    title: str
    seen: str = ""
    rows: tuple[tuple[str, str, str], ...] = ()
    traps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Names(Collection[str]):
    """Names, some of them by how they begin: `$*` is every name that begins with a dollar.

    Examples
    --------
    >>> "$lib" in Names(frozenset({"$*", "token"})), "lib" in Names(frozenset({"$*", "token"}))
    (True, False)
    """

    stated: frozenset[str] = frozenset()

    def __contains__(self, name: object) -> bool:
        if name in self.stated:
            return True
        begins = [one[:-1] for one in self.stated if one.endswith("*")]
        return isinstance(name, str) and name.startswith(tuple(begins)) if begins else False

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.stated))

    def __len__(self) -> int:
        return len(self.stated)

    def __or__(self, other: Names) -> Names:
        return Names(self.stated | other.stated)


class Adapter(ABC):
    """One log format.

    Attributes
    ----------
    name
        What `--source` calls it, and the key of the policy's `sources:` section.
    about
        What is said of it.
    unplanned
        Whether event names without a schema pass, judged by the envelope alone.
    keeps_own
        Whether its events may hold properties of their own beside those of the vocabulary.
    unpack
        How its batches are taken apart; None where a line is always one record.
    holds_addresses
        Whether any of its lines may hold a client's address, so that the text of none is kept.
    derived
        Properties that the adapter makes or moves from the record's envelope, by canonical event name, `*` for
        all: what no tracker could stop sending.
    """

    name: ClassVar[str]
    about: About
    unplanned: ClassVar[bool] = False
    keeps_own: ClassVar[bool] = False
    unpack: ClassVar[Unpack | None] = None
    holds_addresses: ClassVar[bool] = False
    derived: ClassVar[Mapping[str, frozenset[str]]] = {}

    @classmethod
    @abstractmethod
    def sniff(cls, records: Sequence[Mapping[str, Any]]) -> str | None:
        """Return why these records look like this format, or None."""

    def made(self, event_name: str) -> Names:
        """Return which properties of an event no site could stop sending: the adapter or the tracker puts them there."""
        return Names(self.derived.get("*", frozenset()) | self.derived.get(event_name, frozenset()))

    def decode(self, raw: bytes) -> Event | Violation:
        """Return the record of a line, or why it is none; JSON, if the format does not say otherwise."""
        return decode(raw)

    def learn(
        self, records: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:  # formats that need no first pass ignore them
        """Read what must be known of the whole log before its first record can be adapted; plain JSON types."""
        return {}

    needs_first_pass: ClassVar[bool] = False

    def adapt_each(
        self, lines: Sequence[tuple[Event, bytes]], learned: Mapping[str, Any], repairs: Repairs
    ) -> list[Event | Skipped | Violation]:
        """Turn records, each with the raw line before it, into what `adapt` makes of them."""
        return [self.adapt(record, previous, learned, repairs) for record, previous in lines]

    @abstractmethod
    def adapt(
        self, record: Event, previous: bytes, learned: Mapping[str, Any], repairs: Repairs
    ) -> Event | Skipped | Violation:
        """Turn one decoded record into a canonical event, or say that it holds none, or why it is refused.

        Parameters
        ----------
        record
            The decoded line; may be changed.
        previous
            The raw line before it, for formats that spread a record over two lines.
        learned
            What `learn` returned.
        repairs
            Where repairs are counted.
        """
