"""Evidence that identifiers are one person: nodes and edges from pairs seen together (S4.1, S4.2, S4.4, S4.5, S4.8).

Read by identity (pairs that allow it) and by consent's suppression (all pairs); neither imports the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import narwhals as nw
import numpy as np
import numpy.typing as npt
import orjson

from eventlib.engine import Engine, Frame
from eventlib.graph import NOBODY, Edges, Integers, Limits, sorted_unique
from eventlib.identifiers import Node, node_of
from eventlib.manual_links import NO_MANUAL, Manual
from eventlib.nodes import Identifiers, Nodes
from eventlib.tombstones import NONE, Tombstones

__all__ = [
    "Bools",
    "Evidence",
    "Link",
    "Pairs",
    "Refusal",
    "gather",
    "linked",
    "read_pairs",
    "rows_naming",
]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Devices and users seen in the same events, each pair of codes once (0 is none), in the order of codes.

    Attributes
    ----------
    anonymous, user : ndarray of int64
        Codes.
    events : ndarray of int64
        How many events.
    first_seen, last_seen : ndarray of int64
        When, in microseconds.
    """

    anonymous: Integers
    user: Integers
    events: Integers
    first_seen: Integers
    last_seen: Integers

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Pairs:
        """Return pairs of rows in the order of the attributes."""
        table = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 5)
        return cls(*table[np.lexsort((table[:, 1], table[:, 0]))].T)

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.anonymous)


class Link(NamedTuple):
    """Identifiers that one `identity_link` event says are one person."""

    identifiers: tuple[Node, ...]
    first_seen: int


class Refusal(NamedTuple):
    """Evidence that was not used, and the rule that refused it."""

    left: Node
    right: Node
    rule: str
    events: int
    first_seen: int


def linked(identifiers: Iterable[Node], device: Node | None, user: Node | None) -> tuple[Node, ...]:
    """Return what an `identity_link` says is one person: if it names no user, its sender is meant too.

    >>> mail, device, ann = Node("email", "m"), Node("anonymous_id", "a"), Node("user_id", "ann")
    >>> linked([mail], device, ann) == (mail, ann), linked([mail, ann], device, Node("user_id", "clerk")) == (mail, ann)
    (True, True)
    """
    named = tuple(identifiers)
    if any(node.namespace == "user_id" and node_of(*node) for node in named):
        return named
    sender = user or device
    return named if sender is None or sender in named else (*named, sender)


def read_pairs(engine: Engine, frame: Frame) -> Pairs:
    """Return each (device, user) pair of the frame once, with how often and since when."""
    named = frame.filter((nw.col("anonymous") > 0) | (nw.col("user") > 0))
    time = nw.col("event_time")
    counted = named.group_by("anonymous", "user").agg(
        nw.len().alias("events"), time.min().alias("first_seen"), time.max().alias("last_seen")
    )
    table = engine.collect(counted)
    columns = [
        np.asarray(table[name], np.int64)
        for name in ("anonymous", "user", "events", "first_seen", "last_seen")
    ]
    order = np.lexsort((columns[1], columns[0]))
    return Pairs(*(column[order] for column in columns))


def rows_naming(links: Iterable[tuple[int, str]], sought: Callable[[Node], bool]) -> list[int]:
    """Return the rows whose explicit links, a JSON list of [namespace, node] each, name a node that is sought."""
    sought = cache(sought)
    return [row for row, text in links if any(sought(Node(*each)) for each in orjson.loads(text))]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Nodes and edges.

    Attributes
    ----------
    nodes : Nodes
        All nodes; more than those that take part.
    of_pair : ndarray of int64
        The node of each pair; `NOBODY` where both sides are junk or absent.
    user_of_code : ndarray of int64
        The node of each code of a user; `NOBODY` for junk, for a user that is many people, and for devices.
    edges : Edges
        One per pair of nodes and kind of evidence.
    refusals : list of Refusal
        What the guards kept from becoming an edge.
    shared : ndarray of bool
        Of each node, whether it is a device with two or more users.
    public : ndarray of bool
        Of each node, whether it is a device with so many that it gives no edges.
    apart : ndarray of int64, shape (n, 2)
        Nodes that were told apart by hand.
    """

    nodes: Nodes
    of_pair: Integers
    user_of_code: Integers
    edges: Edges
    refusals: list[Refusal]
    shared: Bools
    public: Bools
    apart: Integers

    @property
    def taking_part(self) -> Bools:
        """Tell which nodes some event or edge stands for."""
        found = np.zeros(len(self.nodes), bool)
        for part in (self.of_pair[self.of_pair != NOBODY], self.edges.left, self.edges.right):
            found[part] = True
        return found


def _clean_links(links: Iterable[Link]) -> dict[tuple[Node, ...], list[int]]:
    """Return the distinct links without junk, each with how many events say so, and the first and the last time."""
    found: dict[tuple[Node, ...], list[int]] = {}
    for link in links:
        clean = tuple(sorted({node for each in link.identifiers if (node := node_of(*each))}))
        seen = found.setdefault(clean, [0, link.first_seen, link.first_seen])
        seen[0] += 1
        seen[1], seen[2] = min(seen[1], link.first_seen), max(seen[2], link.first_seen)
    return found


def _hub(identifiers: tuple[Node, ...]) -> Node:
    """Return the identifier of a link that the others are joined to: a user if there is one."""
    return min((node for node in identifiers if node.namespace == "user_id"), default=identifiers[0])


def _secondary_users(links: Iterable[tuple[Node, ...]], tombstones: Tombstones) -> dict[Node, set[str]]:
    """Return the users of each secondary identifier (S4.5)."""
    users: dict[Node, set[str]] = defaultdict(set)
    for identifiers in links:
        named = {node.value for node in identifiers if node.namespace == "user_id"}
        for node in identifiers:
            if node.namespace not in {"user_id", "anonymous_id"}:
                users[node] |= named
    for other, seen in users.items():
        seen.update(tombstones.unseen(*other, seen))
    return users


def _distinct(device: Integers, user: Integers, nodes: int) -> tuple[Integers, Integers]:
    both = (device != NOBODY) & (user != NOBODY)
    key = sorted_unique(device[both] * nodes + user[both])
    return key // nodes, key % nodes


def _user_counts(device: Integers, user: Integers, nodes: Nodes, tombstones: Tombstones) -> Integers:
    """Count the users of each device, those that were erased included."""
    count = np.bincount(device, minlength=len(nodes))
    if tombstones.uses:
        seen: dict[int, set[str]] = defaultdict(set)
        for one, other in zip(device.tolist(), user.tolist(), strict=True):
            seen[one].add(nodes[other].value)
        for one, users in seen.items():
            count[one] += len(tombstones.unseen(*nodes[one], users))
    return count


def _many_people(device: Integers, user: Integers, count: Integers, limits: Limits) -> Integers:
    """Return the users who share devices, no public ones, with so many others that they are many people themselves."""
    # pairs of users of one device: each device that counts has fewer users than a public one
    ordinary = (count[device] > 1) & (count[device] < limits.public_device_users)
    device, user = device[ordinary], user[ordinary]
    starts = np.flatnonzero(np.r_[True, device[1:] != device[:-1]]) if len(device) else device
    sizes = np.diff(np.r_[starts, len(device)])
    one = np.repeat(user, np.repeat(sizes, sizes))
    within = np.arange(len(one)) - np.repeat(np.cumsum(sizes**2) - sizes**2, sizes**2)
    other = user[np.repeat(starts, sizes**2) + within % np.repeat(sizes, sizes**2)]
    base = int(user.max(initial=0)) + 1
    met = sorted_unique((one * base + other)[one != other]) // base
    found, others = np.unique(met, return_counts=True)
    return found[others >= limits.public_user_others]


class _Gatherer:
    def __init__(
        self,
        pairs: Pairs,
        identifiers: Identifiers,
        links: Mapping[tuple[Node, ...], list[int]],
        limits: Limits,
        tombstones: Tombstones,
        manual: Manual,
    ) -> None:
        self.pairs, self.identifiers, self.links = pairs, identifiers, links
        self.limits, self.tombstones, self.manual = limits, tombstones, manual
        stated = [node for link in links for node in link]
        stated += [node for pair in manual.pairs() for node in pair]
        numbered = identifiers.numbered([*stated, *manual.junk])
        self.nodes, self.stated, self.number = numbered.nodes, numbered.of_node, numbered.of_code
        if manual.junk:
            junk = [numbered.of_node[node] for node in manual.junk]
            self.number[np.isin(self.number, junk)] = NOBODY
        self.device, user = self.number[pairs.anonymous], self.number[pairs.user]
        self.user_of_code = np.where(self.nodes.is_user(self.number), self.number, NOBODY)
        self.refusals: list[Refusal] = []
        self._find_shared(user)

    def _find_shared(self, user: Integers) -> None:
        """Tell devices of several users, and users who are many people; without the latter once more."""
        devices, users = _distinct(self.device, user, len(self.nodes))
        count = _user_counts(devices, users, self.nodes, self.tombstones)
        many = _many_people(devices, users, count, self.limits)
        if len(many):
            told = np.isin(user, many) & (self.device != NOBODY)
            self._refuse(told, "public_user", self.device, user)
            user = np.where(np.isin(user, many), NOBODY, user)
            self.user_of_code[np.isin(self.user_of_code, many)] = NOBODY
            devices, users = _distinct(self.device, user, len(self.nodes))
            count = _user_counts(devices, users, self.nodes, self.tombstones)
        self.user = user
        self.shared, self.public = count > 1, count >= self.limits.public_device_users

    def _refuse(self, which: Bools, rule: str, left: Integers, right: Integers) -> None:
        told = (left, right, self.pairs.events, self.pairs.first_seen)
        rows = zip(*(column[which].tolist() for column in told), strict=True)
        self.refusals += [
            Refusal(self.nodes[one], self.nodes[other], rule, events, first)
            for one, other, events, first in rows
        ]

    def _refuse_junk(self) -> None:
        """Tell of pairs of which a side is a placeholder, as it stands there."""
        pairs = self.pairs
        junk = (pairs.anonymous > 0) & (pairs.user > 0)
        junk &= (self.device == NOBODY) | (self.number[pairs.user] == NOBODY)
        columns = (pairs.anonymous, pairs.user, pairs.events, pairs.first_seen)
        for one, other, events, first in zip(*(column[junk].tolist() for column in columns), strict=True):
            left, right = self.identifiers.as_written(one), self.identifiers.as_written(other)
            self.refusals.append(Refusal(left, right, "junk_identifier", events, first))

    def place(self, *, public_edges: bool) -> tuple[Integers, Edges]:
        """Return the node of each pair, and the edges to users."""
        self._refuse_junk()
        device, user = self.device, self.user
        both = (device != NOBODY) & (user != NOBODY)
        own, public = both.copy(), both.copy()
        own[both], public[both] = self.shared[device[both]], self.public[device[both]]
        node = np.where(device != NOBODY, device, user)
        node[own] = self.nodes.add_shares(device[own], user[own])
        edge = both.copy()
        if not public_edges:
            self._refuse(public, "public_device", device, user)
            edge &= ~public
        pairs = self.pairs
        found = Edges(
            node[edge], user[edge], np.ones(int(edge.sum()), np.int64), pairs.events[edge],
            pairs.first_seen[edge], pairs.last_seen[edge],
        )  # fmt: skip
        return node, found

    def explicit(self) -> Edges:
        """Return the edges of explicit links and of those that were stated by hand (S4.3, S4.5, S4.8)."""
        secondary = _secondary_users(self.links, self.tombstones)
        by_hand = ((one, other, -1, 0, 0, 0) for one, other in self.manual.must)
        rows = [*self._linked(secondary), *by_hand]
        number = self.stated
        return Edges.of((number[row[0]], number[row[1]], *row[2:]) for row in rows)

    def _linked(self, secondary: Mapping[Node, set[str]]) -> Iterator[tuple[Node, Node, int, int, int, int]]:
        for identifiers, (events, first, last) in self.links.items():
            clean = tuple(node for node in identifiers if node not in self.manual.junk)
            for other in clean:
                hub = _hub(clean)
                rule = self._rule_against(hub, other, secondary) if other != hub else None
                if rule is not None:
                    self.refusals.append(Refusal(hub, other, rule, events, first))
                elif other != hub:
                    yield hub, other, 0, events, first, last

    def _rule_against(self, one: Node, other: Node, secondary: Mapping[Node, set[str]]) -> str | None:
        if any(len(secondary.get(node, ())) > 1 for node in (one, other)):
            return "secondary_id_shared"
        shared = self.shared[self.stated[one]] or self.shared[self.stated[other]]
        return "shared_device" if shared else None


def gather(
    pairs: Pairs,
    identifiers: Identifiers,
    links: Sequence[Link] = (),
    limits: Limits | None = None,
    tombstones: Tombstones = NONE,
    *,
    public_edges: bool = False,
    manual: Manual = NO_MANUAL,
) -> Evidence:
    """Turn pairs seen together and explicit links into nodes and edges, guards applied.

    Parameters
    ----------
    pairs
        Each (device, user) pair of codes once, pairs with one side absent included.
    identifiers
        What the codes stand for.
    links
        Explicit links.
    limits
        Sizes at which guards act.
    tombstones
        Erased users, who count where a device or a secondary identifier is told to be several people's.
    public_edges
        Whether a user's share of a public device is joined to the user: a refusal must reach all that is the user's,
        and through such a share it reaches nobody else.
    manual
        What was stated by hand.

    Examples
    --------
    >>> ids = Identifiers.of({1: Node("anonymous_id", "a"), 2: Node("user_id", "u")})
    >>> found = gather(Pairs.of([(1, 2, 3, 0, 5), (1, 0, 9, 0, 9)]), ids)
    >>> [found.nodes[node] for node in found.of_pair], found.edges.events.tolist()
    ([Node(namespace='anonymous_id', value='a'), Node(namespace='anonymous_id', value='a')], [3])
    """
    work = _Gatherer(pairs, identifiers, _clean_links(links), limits or Limits(), tombstones, manual)
    of_pair, together = work.place(public_edges=public_edges)
    edges = together.joined(work.explicit()).merged()
    grown = len(work.nodes) - len(work.shared)
    apart = np.array([[work.stated[node] for node in pair] for pair in manual.cannot], np.int64).reshape(
        -1, 2
    )
    return Evidence(
        work.nodes,
        of_pair,
        work.user_of_code,
        edges,
        work.refusals,
        np.pad(work.shared, (0, grown)),
        np.pad(work.public, (0, grown)),
        apart,
    )
