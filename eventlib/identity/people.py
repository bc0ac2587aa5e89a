"""Which events are one person's: nodes per event, guarded clusters, ids minted once (S4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.engine import Engine, Frame
from eventlib.evidence import Bools, Evidence, Link, gather, read_pairs
from eventlib.graph import NOBODY, Integers, Limits, cluster
from eventlib.identity.tables import evidence_table, people_table, refused_table, registry_table
from eventlib.manual_links import NO_MANUAL, Manual
from eventlib.nodes import LONE, Identifiers
from eventlib.pseudonyms import Pseudonymiser
from eventlib.stage import require
from eventlib.tombstones import NONE, Tombstones, anchor_of

__all__ = ["Identities", "merge_people", "number_of"]

_NEEDED: Final = ("row", "anonymous", "user", "device", "session", "event_time", "allow_identity")
_KIND: Final = ("anonymous", "user", "owner", "allow_identity")
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Identities:
    """People.

    Attributes
    ----------
    of_row : Frame
        `row, person` (the id's number), of every event that has a person; lazy, where the events are.
    people, registry, refused, evidence : pyarrow.Table
        As saved (DESIGN section 5).
    """

    of_row: Frame
    people: pa.Table
    registry: pa.Table
    refused: pa.Table
    evidence: pa.Table


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The kinds of events: device, user, owner (codes) and whether identity is allowed; first and last event of each."""

    anonymous: Integers
    user: Integers
    owner: Integers
    allow_identity: Integers
    first: Integers
    last: Integers


def _assign(frame: Frame, junk_users: Sequence[int]) -> Frame:
    """Add `owner`: the event's user, or for an anonymous event the only user of its session (S4.4)."""
    named = frame.filter((nw.col("user") > 0) & (nw.col("anonymous") > 0) & (nw.col("allow_identity") == 1))
    if junk_users:
        named = named.filter(~nw.col("user").is_in(junk_users))
    sessions = named.group_by("device", "session").agg(
        nw.col("user").min().alias("low"), nw.col("user").max().alias("high")
    )
    only = sessions.filter(nw.col("low") == nw.col("high")).select(
        "device", "session", session_user=nw.col("low")
    )
    joined = frame.join(only, on=["device", "session"], how="left")
    guess = (
        nw.when((nw.col("user") == 0) & (nw.col("anonymous") > 0))
        .then(nw.col("session_user"))
        .otherwise(nw.col("user"))
    )
    return joined.with_columns(guess=guess).with_columns(owner=nw.col("guess").fill_null(0))


def _kinds(engine: Engine, assigned: Frame) -> _Kinds:
    time = nw.col("event_time")
    named = assigned.filter((nw.col("anonymous") > 0) | (nw.col("user") > 0))
    found = engine.collect(named.group_by(*_KIND).agg(time.min().alias("first"), time.max().alias("last")))
    return _Kinds(*(np.asarray(found[name], np.int64) for name in (*_KIND, "first", "last")))


def _node_of_pair(evidence: Evidence, pairs: tuple[Integers, Integers], kinds: _Kinds) -> Integers:
    """Return the node of each kind's pair of codes, `NOBODY` where the pair gave none."""
    anonymous, user = pairs
    base = int(max(user.max(initial=0), kinds.user.max(initial=0))) + 1
    keys, wanted = anonymous * base + user, kinds.anonymous * base + kinds.user
    if not len(keys):
        return np.full(len(wanted), NOBODY, np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, evidence.of_pair[place], NOBODY)


def _node(evidence: Evidence, pairs: tuple[Integers, Integers], kinds: _Kinds) -> Integers:
    """Return the node that each kind of event belongs to.

    An event that names its user is that user's: a user id is unique, whatever became of its device (S4.3). Without a
    user it is its device's, or on a shared device of the one user of its session (S4.4). `NOBODY` where identity is not
    allowed: such an event is its device's alone (S2.4).
    """
    plain = _node_of_pair(evidence, pairs, kinds)
    owner = evidence.user_of_code[kinds.owner]
    of_device = np.append(evidence.shared & ~evidence.public, False)[plain]  # NOBODY, the last, is not shared
    takes = (owner != NOBODY) & ((kinds.user > 0) | of_device)
    return np.where(kinds.allow_identity > 0, np.where(takes, owner, plain), NOBODY)


@dataclass(frozen=True, slots=True)
class _Members:
    """Nodes of events, then devices whose events do not allow identity; each with its first and last event.

    Attributes
    ----------
    of_kind : ndarray of int64
        The node of each kind of event.
    lone : pyarrow.Array
        What the last nodes stand for: devices alone.
    first, last : ndarray of int64
        Microseconds; `_NEVER` where no event and no link is of the node.
    """

    of_kind: Integers
    lone: pa.Array
    first: Integers
    last: Integers

    @property
    def there(self) -> Integers:
        """Return the nodes that some event or link stands for."""
        return np.flatnonzero(self.first != _NEVER)


def _members(
    evidence: Evidence, identifiers: Identifiers, kinds: _Kinds, pairs: tuple[Integers, Integers]
) -> _Members:
    node = _node(evidence, pairs, kinds)
    alone = (kinds.allow_identity == 0) & (kinds.anonymous > 0)
    names = identifiers.written(kinds.anonymous[alone])
    lone = pc.unique(names)
    lone = lone.take(pc.array_sort_indices(lone))
    size = len(evidence.nodes)
    node[alone] = size + np.asarray(pc.index_in(names, value_set=lone), np.int64)
    first, last = np.full(size + len(lone), _NEVER), np.full(size + len(lone), -_NEVER)
    edges = evidence.edges.take(evidence.edges.priority >= 0)
    for nodes, begin, end in (
        (node[node != NOBODY], kinds.first[node != NOBODY], kinds.last[node != NOBODY]),
        (edges.left, edges.first_seen, edges.last_seen),
        (edges.right, edges.first_seen, edges.last_seen),
    ):
        np.minimum.at(first, nodes, begin)
        np.maximum.at(last, nodes, end)
    return _Members(node, lone, first, last)


def _known(edges_end: Integers, members: _Members) -> Bools:
    found: Bools = members.first[edges_end] != _NEVER
    return found


def merge_people(
    engine: Engine,
    frame: Frame,
    identifiers: Identifiers,
    links: Sequence[Link],
    pseudonym: Pseudonymiser,
    *,
    registry: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    tombstones: Tombstones = NONE,
    taken: frozenset[int] = frozenset(),
    manual: Manual = NO_MANUAL,
) -> Identities:
    """Merge identifiers into people, and give each event its person.

    Evidence is taken only from events that allow identity; an event that does not keeps a person of its device
    alone (S2.4). On a shared device an anonymous event goes to the one user of its session, else to the device.

    Parameters
    ----------
    engine
        Where `frame` lives.
    frame
        Int64 columns `row, anonymous, user, device, session, event_time, allow_identity`.
    identifiers
        What the codes stand for.
    links
        Explicit links, of events that allow identity.
    pseudonym
        How identifiers are written.
    registry
        Anchor to person id, of earlier runs.
    limits
        Sizes at which guards act.
    tombstones
        Who was erased: still a user of a shared device, and never found in the registry again.
    taken
        Numbers of erased people, which nobody gets.
    manual
        What was stated by hand (S4.8).
    """
    require("merge_identities", frame, _NEEDED)
    pairs = read_pairs(engine, frame.filter(nw.col("allow_identity") == 1))
    evidence = gather(pairs, identifiers, links, limits, tombstones.for_identity(), manual=manual)
    assigned = engine.checkpoint(_assign(frame, _no_users(evidence, pairs.user)))
    kinds = _kinds(engine, assigned)
    members = _members(evidence, identifiers, kinds, (pairs.anonymous, pairs.user))
    edges = evidence.edges
    edges = edges.take(_known(edges.left, members) & _known(edges.right, members))
    found = cluster(evidence.nodes.is_user(), edges, limits, evidence.apart)
    label = np.append(found.label, found.label.max(initial=-1) + 1 + np.arange(len(members.lone)))
    known = {
        anchor: person_id
        for anchor, person_id in (registry or {}).items()
        if tombstones.keeps(anchor, number_of(person_id))
    }
    names = _Names(evidence, members, pseudonym)
    persons = _mint(names, label, known, taken)
    of_row = _rows(engine, assigned, kinds, members.of_kind, persons)
    there = members.there
    return Identities(
        of_row,
        people_table(
            evidence.nodes, edges, found, members.lone, there, persons[there], members.first[there],
            members.last[there], pseudonym,
        ),
        registry_table(known),
        refused_table(evidence.nodes, edges, found, evidence.refusals, pseudonym),
        evidence_table(evidence.nodes, edges, found, pseudonym),
    )  # fmt: skip


def _no_users(evidence: Evidence, users: Integers) -> list[int]:
    """Return the codes of users who are nobody: junk, and users who are many people."""
    codes = np.unique(users[users > 0])
    return [int(code) for code in codes[evidence.user_of_code[codes] == NOBODY]]


def number_of(person_id: str) -> int:
    """Return the number in a person id.

    >>> number_of("p-000012")
    12
    """
    return int(person_id.removeprefix("p-"))


@dataclass(frozen=True, slots=True)
class _Names:
    """What the registry calls nodes."""

    evidence: Evidence
    members: _Members
    pseudonym: Pseudonymiser

    def anchor(self, node: int) -> str:
        nodes = self.evidence.nodes
        if node < len(nodes):
            return anchor_of(*nodes[node], self.pseudonym)
        return anchor_of(LONE, self.members.lone[node - len(nodes)].as_py(), self.pseudonym)


def _mint(names: _Names, label: Integers, registry: dict[str, str], taken: frozenset[int]) -> Integers:
    """Return each node's person number: the oldest that the registry knows, else the next in anchor order (S4.7).

    Fresh numbers are added to the registry. Numbers that are `taken`, by people who were erased, are nobody's.
    """
    there, first = names.members.there, names.members.first
    order = there[np.lexsort((there, first[there]))]
    _, place = np.unique(label[order], return_index=True)
    anchors = order[np.sort(place)]  # of each person the first node, persons in that order
    known: dict[int, int] = {}
    if registry:
        for node in there.tolist():
            person_id = registry.get(names.anchor(node))
            if person_id is not None:
                held, mine = number_of(person_id), int(label[node])
                known[mine] = min(known.get(mine, held), held)
    free = (n for n in count(max(map(number_of, registry.values()), default=0) + 1) if n not in taken)
    person = np.full(int(label.max(initial=0)) + 1, NOBODY, np.int64)
    for anchor in anchors.tolist():
        mine = int(label[anchor])
        number = known.get(mine)
        if number is None:
            number = next(free)
            registry[names.anchor(anchor)] = f"p-{number:06d}"
        person[mine] = number
    return person[label]


def _rows(engine: Engine, assigned: Frame, kinds: _Kinds, node: Integers, persons: Integers) -> Frame:
    some = node != NOBODY
    columns = {name: pa.array(getattr(kinds, name)[some]) for name in _KIND}
    numbers = engine.frame(pa.table({**columns, "person": pa.array(persons[node[some]])}))
    return assigned.join(numbers, on=list(_KIND), how="inner").select("row", "person")
