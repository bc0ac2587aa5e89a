"""What people state by hand about identifiers: must-links, cannot-links, and what is junk (S4.1, S4.8).

A CSV file with a header, one statement a line:

    kind,left,right,reason,expires
    cannot_link,user_id:u-12,anonymous_id:a-5f,"two sisters, told by support",2027-06-30
    must_link,user_id:u-12,user_id:u-90,"one person, new account after a name change",2027-06-30
    junk,user_id:demo-user,,"the demo account of the shop",2028-01-01

Identifiers are as in the log, or pseudonyms as a dataset shows them. A statement holds until the end of the day on which
it expires; a cannot-link wins over anything else, and taking it out brings back what was before.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

from eventlib.errors import BadCallError
from eventlib.identifiers import Node, named
from eventlib.pseudonyms import Pseudonymiser
from eventlib.tombstones import Tombstones
from eventlib.units import end_of_day

__all__ = ["KINDS", "NO_MANUAL", "NO_STATEMENTS", "Manual", "Statement", "Statements", "read_statements"]

KINDS: Final = ("must_link", "cannot_link", "junk")
_COLUMNS: Final = ("kind", "left", "right", "reason", "expires")
_OPTIONAL: Final = frozenset({"owner"})
_DIGEST: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

Pair = tuple[Node, Node]


@dataclass(frozen=True, slots=True)
class Manual:
    """What holds, of nodes of the graphs.

    Attributes
    ----------
    must, cannot : tuple of (Node, Node)
        Who is one person, and who is not.
    junk : frozenset of Node
        Placeholders of the site's own.
    """

    must: tuple[Pair, ...] = ()
    cannot: tuple[Pair, ...] = ()
    junk: frozenset[Node] = frozenset()

    def pairs(self) -> tuple[Pair, ...]:
        """Return all pairs."""
        return (*self.must, *self.cannot)

    def changed(self, other: Manual) -> frozenset[Node]:
        """Return the nodes of which one says something that the other does not."""
        pairs = {*self.must} ^ {*other.must} | {*self.cannot} ^ {*other.cannot}
        return (self.junk ^ other.junk).union(*pairs)


NO_MANUAL: Final = Manual()
"""Nothing was stated."""


class Statement(NamedTuple):
    """One line of the file, its identifiers as nodes of the graphs; `expires` in microseconds."""

    kind: str
    left: Node
    right: Node | None
    expires: int

    def names(self, tombstones: Tombstones) -> bool:
        """Tell whether it names somebody who was erased."""
        return any(tombstones.holds(*node) for node in (self.left, self.right) if node is not None)


@dataclass(frozen=True, slots=True)
class Statements:
    """What was stated by hand, whatever the day.

    Attributes
    ----------
    every : tuple of Statement
        In the order of the file.
    digest : str or None
        SHA-256 of the file.
    name : str or None
        The file's.
    """

    every: tuple[Statement, ...] = ()
    digest: str | None = None
    name: str | None = None

    def in_force(self, as_of: int, tombstones: Tombstones) -> Manual:
        """Return what holds at a moment (microseconds); what names somebody who was erased does not."""
        pairs: Mapping[str, dict[Pair, None]] = {"must_link": {}, "cannot_link": {}}
        junk = set()
        for each in self.every:
            if each.expires < as_of or each.names(tombstones):
                continue
            if each.right is None:
                junk.add(each.left)
            else:
                one, other = sorted((each.left, each.right))
                pairs[each.kind][one, other] = None
        must, cannot = (tuple(sorted(pairs[kind])) for kind in KINDS[:2])
        # cannot-links win
        return Manual(
            tuple(pair for pair in must if pair not in pairs["cannot_link"]), cannot, frozenset(junk)
        )

    def state(self, tombstones: Tombstones) -> dict[str, Any]:
        """Return what tomorrow's run must know of these: nothing of somebody who was erased."""
        rows = [
            [each.kind, list(each.left), list(each.right) if each.right else None, each.expires]
            for each in self.every
            if not each.names(tombstones)
        ]
        return {"sha256": self.digest, "file": self.name, "statements": rows}

    @classmethod
    def of_state(cls, state: Mapping[str, Any] | None) -> Statements:
        """Return what an earlier run's state says of these."""
        if not state:
            return NO_STATEMENTS
        rows = (
            Statement(kind, Node(*left), Node(*right) if right else None, expires)
            for kind, left, right, expires in state["statements"]
        )
        return cls(tuple(rows), state["sha256"], state["file"])

    def stamp(self, as_of: int, tombstones: Tombstones) -> dict[str, Any] | None:
        """Return what the run stamp says of them: the file, and how many hold or have expired, by kind."""
        if self.digest is None:
            return None
        known = (each for each in self.every if not each.names(tombstones))
        counted = Counter((each.kind, each.expires >= as_of) for each in known)
        return {
            "file": self.name,
            "sha256": self.digest,
            "in_force": {kind: counted[kind, True] for kind in KINDS},
            "expired": {kind: counted[kind, False] for kind in KINDS},
        }


NO_STATEMENTS: Final = Statements()
"""No file was given."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a statement stands, for errors."""

    file: Path
    number: int
    cells: Mapping[str, str] = field(default_factory=dict)

    def error(self, what: str) -> BadCallError:
        return BadCallError(f"{self.file}, line {self.number}: {what}")

    def node(self, name: str, pseudonym: Pseudonymiser) -> Node:
        text = self.cells[name]
        try:
            namespace, value = named(text, junk=self.cells["kind"] == "junk")
        except BadCallError as error:
            raise self.error(f"{name}: {error}") from error
        made = pseudonym.keyed(namespace, value)
        prefix = made[:2]  # a pseudonym of this namespace looks so, and no other
        is_one = value.startswith(prefix) and _DIGEST.fullmatch(value.removeprefix(prefix)) is not None
        return Node(namespace, value if is_one else made)

    def expires(self) -> int:
        try:
            day = date.fromisoformat(self.cells["expires"])
        except ValueError as error:
            raise self.error(
                f"expires takes a day such as 2027-06-30, not {self.cells['expires']!r}"
            ) from error
        return end_of_day(day)

    def statement(self, pseudonym: Pseudonymiser) -> Statement:
        kind = self.cells["kind"]
        if kind not in KINDS:
            raise self.error(str(BadCallError.unknown("kind", kind, KINDS)))
        if not self.cells["reason"]:
            raise self.error("a statement needs a reason: somebody will ask")
        left, expires = self.node("left", pseudonym), self.expires()
        if kind == "junk":
            if self.cells["right"]:
                raise self.error("junk is one identifier: leave right empty")
            return Statement(kind, left, None, expires)
        right = self.node("right", pseudonym)
        if left == right:
            raise self.error(f"{self.cells['left']} and {self.cells['right']} are the same identifier")
        return Statement(kind, left, right, expires)


def _lines(file: Path, text: str) -> Iterator[_Line]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip() for name in next(reader, [])]
    missing, odd = set(_COLUMNS) - set(header), set(header) - {*_COLUMNS, *_OPTIONAL}
    if len(set(header)) < len(header):
        raise BadCallError(f"{file} has a column twice in its first line: {','.join(header)}")
    if missing or odd:
        what = f"lacks {', '.join(sorted(missing))}" if missing else f"has {', '.join(sorted(odd))}"
        raise BadCallError(f"{file} {what}: its first line is {','.join(_COLUMNS)} (and owner, if you like)")
    for row in reader:
        where = _Line(file, reader.line_num)
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise where.error(f"{len(row)} cells, and the header has {len(header)}: quote what holds a comma")
        yield replace(where, cells=dict(zip(header, (cell.strip() for cell in row), strict=True)))


def read_statements(file: Path | None, key: bytes) -> Statements:
    """Read what was stated by hand.

    Parameters
    ----------
    file
        A CSV file as described above; none states nothing.
    key
        Of the pseudonyms.

    Raises
    ------
    BadCallError
        If it cannot be read, naming the line.
    """
    if file is None:
        return NO_STATEMENTS
    try:
        raw = file.read_bytes()
        lines = list(_lines(file, raw.decode("utf-8-sig")))
    except OSError as error:
        raise BadCallError(f"cannot read {file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadCallError(f"{file} is no CSV file: {error}") from error
    pseudonym = Pseudonymiser(key)
    found = tuple(line.statement(pseudonym) for line in lines)
    return Statements(found, hashlib.sha256(raw).hexdigest(), file.name)
