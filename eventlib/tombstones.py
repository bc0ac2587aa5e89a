"""Tombstones: what keeps erased people erased when their logs are read again (S2.8), as keyed digests and bare numbers.

They lie beside the key, since every run with that key gives a person the same pseudonyms, and a copy goes into each
dataset's state. The ground that consent (C01) and identity both stand on: erased users still count where a device is told
to be shared, though no event of theirs is left to show it.
"""

from __future__ import annotations

import fcntl
import hmac
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from eventlib.arrow import read_parquet, table_of, write_parquet
from eventlib.errors import BadCallError
from eventlib.identifiers import normalise
from eventlib.pseudonyms import Keys, Pseudonymiser, key_check

__all__ = [
    "ERASED",
    "NONE",
    "TOMBSTONES_VARIABLE",
    "Tombstones",
    "anchor_of",
    "read_tombstones",
    "tombstone_file",
]

ERASED: Final = "C01_erased"
"""What the ledger says of an erased event."""

TOMBSTONES_VARIABLE: Final = "EVENTLIB_TOMBSTONES"
_BETWEEN: Final = "\x1f"
_SCHEMA: Final = pa.schema(
    [
        ("kind", pa.string()),
        ("digest", pa.string()),
        ("of", pa.string()),
        ("key", pa.string()),
        ("erased_at", pa.timestamp("us", tz="UTC")),
    ]
)


def anchor_of(namespace: str, value: str, pseudonym: Pseudonymiser) -> str:
    """Return what the registry calls a node of the graphs (S4.7)."""
    return f"{namespace}:{pseudonym.keyed(namespace, value)}"


def tombstone_file(keys: Keys, named: Path | None = None) -> Path:
    """Return where a key's tombstones are kept: as named, as `EVENTLIB_TOMBSTONES` says, or beside the key."""
    stated = os.environ.get(TOMBSTONES_VARIABLE)
    return named or (Path(stated) if stated else keys.file.with_name(f"{keys.file.name}.tombstones.parquet"))


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the file; what `of` is depends on the kind.

    kind       digest                              of
    subject    of an erased node
    use        of an erased user's node            the device's or address's node
    shown      the same, where identity was allowed
    event      keyed, of the event's id            source, and the device's node
    person     a person's number                   a node of theirs, by which a log is known to be theirs
    anchor     of the anchor of such a person      the number
    namespace  a namespace of erased identifiers
    """

    kind: str
    digest: str
    of: str | None
    key: str
    erased_at: datetime


@dataclass(frozen=True, slots=True)
class Tombstones:
    """What was erased, under one key.

    Attributes
    ----------
    key : bytes
        The key of the digests.
    subjects : frozenset of str
        Digests of erased nodes of the graphs.
    asked : frozenset of str
        Those of them that a person is being erased by right now: such a one takes its whole component along.
    uses : mapping of str to frozenset of str
        By the digest of a device or a secondary identifier: the digests of erased users that were seen with it.
    shown : mapping of str to frozenset of str
        Of these, the users that identity was allowed to know of.
    events : frozenset of (str, str, str)
        Source, keyed digest of the id, and digest of the device's node, of erased events that no identifier of their own tells:
        those that an erased person's session on a shared device holds.
    persons : frozenset of (int, str)
        Numbers of person ids that nobody gets again, each with the digest of a node that was that person's.
    anchors : frozenset of (str, int)
        Digests of the anchors of such people, with their numbers.
    namespaces : frozenset of str
        Namespaces of what was erased.
    rows : tuple
        What the file holds.
    retired : tuple of Tombstones
        Those under keys of before; `carried` brings them under this one, where the identifiers are known.
    """

    key: bytes = b""
    subjects: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    uses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shown: Mapping[str, frozenset[str]] = field(default_factory=dict)
    events: frozenset[tuple[str, str, str]] = frozenset()
    persons: frozenset[tuple[int, str]] = frozenset()
    anchors: frozenset[tuple[str, int]] = frozenset()
    namespaces: frozenset[str] = frozenset()
    rows: tuple[_Row, ...] = ()
    retired: tuple[Tombstones, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anybody was erased."""
        return bool(self.subjects) or bool(self.retired)

    def of_anchor(self, anchor: str) -> str:
        """Return the digest of a node by its anchor: no pseudonym, and no way back to one."""
        return hmac.digest(self.key, f"erased:{anchor}".encode(), "sha256").hex()

    def digest(self, namespace: str, value: str) -> str:
        """Return the digest of a node of the graphs."""
        return self.of_anchor(anchor_of(namespace, value, Pseudonymiser(self.key)))

    def holds(self, namespace: str, value: str) -> bool:
        """Tell whether a node was erased."""
        return bool(self.subjects) and self.digest(namespace, value) in self.subjects

    def names(self, namespace: str, identifier: str) -> bool:
        """Tell whether an identifier as it stands in a log was erased."""
        here = self.digest_of(namespace, normalise(namespace, identifier)) in self.subjects
        return here or any(old.names(namespace, identifier) for old in self.retired)

    def unseen(self, namespace: str, value: str, users: Iterable[str]) -> set[str]:
        """Return the digests of the erased users of a device or a secondary identifier that are not among `users`."""
        known = self.uses.get(self.digest(namespace, value), frozenset()) if self.uses else frozenset()
        return set(known - {self.digest("user_id", user) for user in users}) if known else set()

    def for_reading(self) -> Tombstones:
        """Return what it takes to tell that a line names somebody erased: workers get it with every task."""
        retired = tuple(old.for_reading() for old in self.retired)
        return Tombstones(self.key, self.subjects, namespaces=self.namespaces, retired=retired)

    def every_namespace(self) -> frozenset[str]:
        """Return the namespaces under which somebody may be named."""
        return frozenset().union(self.namespaces, *(old.every_namespace() for old in self.retired))

    def for_identity(self) -> Tombstones:
        """Return these with the uses that identity was allowed to know of: it knew no more before anybody was erased."""
        return replace(self, uses=self.shown)

    def keeps(self, anchor: str, person_id: int) -> bool:
        """Tell whether the registry may go on holding an anchor for a person id."""
        digest = self.of_anchor(anchor) if self.subjects or self.anchors else ""
        return digest not in self.subjects and (digest, person_id) not in self.anchors

    def taken(self, nodes: Iterable[tuple[str, str]]) -> frozenset[int]:
        """Return the numbers of erased people of whom a log, of these nodes, tells."""
        present = {self.digest(*node) for node in nodes} if self.persons else set()
        return frozenset(number for number, digest in self.persons if digest in present)

    def with_rows(self, rows: Iterable[_Row]) -> Tombstones:
        """Return these and others of the same key."""
        return _of_rows(self.key, [*self.rows, *rows], self.asked, self.retired)

    def asking(self, digests: Iterable[str]) -> Tombstones:
        """Return these, and what a person is being erased by."""
        found = frozenset(digests)
        return replace(self, subjects=self.subjects | found, asked=found)

    def added(
        self,
        at: datetime,
        *,
        subjects: Iterable[str] = (),
        uses: Iterable[tuple[str, str]] = (),
        shown: Iterable[tuple[str, str]] = (),
        events: Iterable[tuple[str, str, str]] = (),
        persons: Iterable[tuple[int, str]] = (),
        anchors: Iterable[tuple[str, int]] = (),
        namespaces: Iterable[str] = (),
    ) -> Tombstones:
        """Return these and those of an erasure, each as the attribute of its name; uses are (of what, by whom)."""
        key = key_check(self.key)
        made: list[tuple[str, str, str | None]] = [("subject", digest, None) for digest in subjects]
        made += [("use", user, thing) for thing, user in uses]
        made += [("shown", user, thing) for thing, user in shown]
        made += [("event", digest, _BETWEEN.join((source, device))) for source, digest, device in events]
        made += [("person", str(number), node) for number, node in persons]
        made += [("anchor", digest, str(number)) for digest, number in anchors]
        made += [("namespace", namespace, None) for namespace in namespaces]
        known = {(row.kind, row.digest, row.of) for row in self.rows}
        return self.with_rows(_Row(*each, key, at) for each in sorted(set(made) - known, key=str))

    def carried(self, identifiers: Iterable[tuple[str, str]]) -> Tombstones:
        """Return these with those of retired keys that identifiers, as they stand in a log, show to be theirs."""
        if not self.retired:
            return self
        known = sorted({(namespace, normalise(namespace, value)) for namespace, value in identifiers})
        return self.with_rows(row for old in self.retired for row in old.under(self, known))

    def under(self, other: Tombstones, known: Sequence[tuple[str, str]]) -> Iterator[_Row]:
        """Yield these under another key, as far as normalised identifiers tell; numbers stay as they are."""
        digests = {self.digest_of(*each): other.digest_of(*each) for each in known}
        key = key_check(other.key)
        for row in self.rows:
            if row.kind == "namespace":
                yield replace(row, key=key)
            elif row.kind == "person" and row.of in digests:
                yield replace(row, key=key, of=digests[row.of])
            elif row.kind == "subject" and row.digest in digests:
                yield replace(row, key=key, digest=digests[row.digest])
            elif row.kind in ("use", "shown") and row.of in digests:
                # an erased user need not be known again to count as one
                yield replace(row, key=key, of=digests[row.of], digest=digests.get(row.digest, row.digest))

    def with_events(
        self, old: Tombstones, found: Iterable[tuple[str, str, str, tuple[str, str]]]
    ) -> Tombstones:
        """Return these with events of a retired key; `found` is source, digest under that key and this one, and the device."""
        held = {(row.of, row.digest): row for row in old.rows if row.kind == "event"}
        key, rows = key_check(self.key), []
        for source, was, now, (namespace, value) in found:
            normal = normalise(namespace, value)
            row = held.get((_BETWEEN.join((source, old.digest_of(namespace, normal))), was))
            if row is not None:
                of = _BETWEEN.join((source, self.digest_of(namespace, normal)))
                rows.append(replace(row, key=key, digest=now, of=of))
        return self.with_rows(rows)

    def digest_of(self, namespace: str, identifier: str) -> str:
        """Return the digest of a normalised identifier."""
        return self.digest(namespace, Pseudonymiser(self.key).keyed(namespace, identifier))

    def all_rows(self) -> list[_Row]:
        """Return what is written: these, and those of retired keys."""
        return [*self.rows, *(row for old in self.retired for row in old.rows)]

    def write(self, file: Path) -> None:
        """Write a file of these alone, for its owner alone, in one step."""
        _write(self.all_rows(), file)

    def keep(self, file: Path) -> None:
        """Add these to a file, whatever other erasures write to it meanwhile."""
        with file.with_name(f".{file.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _write([*(_read(file) if file.exists() else ()), *self.all_rows()], file)


def _write(rows: Iterable[_Row], file: Path) -> None:
    ordered = sorted(set(rows), key=lambda row: (row.erased_at, row.key, row.kind, row.digest, row.of or ""))
    table = table_of([{name: getattr(row, name) for name in _SCHEMA.names} for row in ordered], _SCHEMA)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write_parquet(aside, table.to_batches(), _SCHEMA)
        aside.chmod(0o600)
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


NONE: Final = Tombstones()
"""Nobody was erased."""


def read_tombstones(keys: Keys, files: Iterable[Path] | None = None) -> Tombstones:
    """Read what was erased under a key, or those that it replaced.

    Parameters
    ----------
    keys
        The keys.
    files
        Where tombstones may lie, by default where the key's are kept; one that does not exist holds none.

    Raises
    ------
    BadCallError
        If a file cannot be read, or holds what only another key can tell: somebody erased would come back.
    """
    rows: dict[str, list[_Row]] = defaultdict(list)
    for file in files or [tombstone_file(keys)]:
        for row in _read(file) if file.exists() else ():
            rows[row.key].append(row)
        known = {key_check(key) for key in (keys.current, *keys.retired)}
        if rows.keys() - known:
            raise BadCallError(
                f"{file} holds erasures under a key that {keys.file} does not hold: give the file that holds it (--key), or add "
                "it there as a line 'retired HEX'. Without it, people who were erased would come back."
            )
    retired = [_of_rows(key, rows[key_check(key)]) for key in keys.retired if rows[key_check(key)]]
    return _of_rows(keys.current, rows[key_check(keys.current)], retired=tuple(retired))


def _by_thing(rows: Iterable[_Row]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row.of or ""].add(row.digest)
    return {thing: frozenset(users) for thing, users in found.items()}


def _parted(text: str | None) -> tuple[str, str]:
    source, _, device = (text or "").rpartition(_BETWEEN)
    return source, device


def _read(file: Path) -> Iterator[_Row]:
    try:
        table = read_parquet(file, _SCHEMA.names)
    except (OSError, pa.ArrowException) as error:
        raise BadCallError(f"{file} holds no tombstones that can be read: {error}") from error
    rows = [_Row(**row) for row in table.to_pylist()]
    numbers = [row.digest for row in rows if row.kind == "person"] + [
        row.of or "" for row in rows if row.kind == "anchor"
    ]
    if not all(number.isdecimal() for number in numbers):
        raise BadCallError(f"{file} holds no tombstones that can be read: a person without a number")
    return iter(rows)


def _of_rows(
    key: bytes,
    rows: Sequence[_Row],
    asked: frozenset[str] = frozenset(),
    retired: tuple[Tombstones, ...] = (),
) -> Tombstones:
    """Return the tombstones that rows of one key make."""
    kinds: dict[str, list[_Row]] = defaultdict(list)
    for row in dict.fromkeys(rows):
        kinds[row.kind].append(row)
    return Tombstones(
        key,
        frozenset(row.digest for row in kinds["subject"]) | asked,
        asked,
        _by_thing(kinds["use"]),
        _by_thing(kinds["shown"]),
        frozenset(
            (source, row.digest, device) for row in kinds["event"] for source, device in (_parted(row.of),)
        ),
        frozenset((int(row.digest), row.of or "") for row in kinds["person"]),
        frozenset((row.digest, int(row.of or 0)) for row in kinds["anchor"]),
        frozenset(row.digest for row in kinds["namespace"]),
        tuple(dict.fromkeys(rows)),
        retired,
    )
