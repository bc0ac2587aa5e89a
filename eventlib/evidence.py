"""Evidence that identifiers are one person: nodes and edges from pairs seen together (S4.1, S4.2, S4.4, S4.5).

Read by identity (pairs that allow it) and by consent's suppression (all pairs); neither imports the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import narwhals as nw
import orjson

from eventlib.engine import Engine, Frame
from eventlib.graph import Edge, Limits, Node, Refusal, node_of, normalise, shared_devices
from eventlib.tombstones import NONE, Tombstones

__all__ = ["Evidence", "Link", "Pair", "gather", "read_pairs", "rows_naming"]


class Pair(NamedTuple):
    """A device and a user seen in the same events (codes; 0 is none)."""

    anonymous: int
    user: int
    events: int
    first_seen: int


class Link(NamedTuple):
    """Identifiers that one `identity_link` event says are one person."""

    identifiers: tuple[Node, ...]
    first_seen: int


def read_pairs(engine: Engine, frame: Frame) -> list[Pair]:
    """Return each (device, user) pair of the frame once, with how often and since when."""
    named = frame.filter((nw.col("anonymous") > 0) | (nw.col("user") > 0))
    counted = named.group_by("anonymous", "user").agg(
        nw.len().alias("events"), nw.col("event_time").min().alias("first_seen")
    )
    table = engine.collect(counted)
    columns = (table[name].to_pylist() for name in ("anonymous", "user", "events", "first_seen"))
    return sorted(Pair(*map(int, row)) for row in zip(*columns, strict=True))


def rows_naming(links: Iterable[tuple[int, str]], sought: Callable[[Node], bool]) -> list[int]:
    """Return the rows whose explicit links, a JSON list of [namespace, node] each, name a node that is sought."""
    sought = cache(sought)
    return [row for row, text in links if any(sought(Node(*each)) for each in orjson.loads(text))]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Nodes and edges.

    Attributes
    ----------
    node_of : dict of (int, int) to Node or None
        The node of each (device, user) pair of codes; None where both are junk or absent.
    nodes : set of Node
        All of them.
    edges : list of Edge
        One per pair of nodes.
    refusals : list of Refusal
        What the guards kept from becoming an edge.
    shared, public : set of str
        Devices with two or more users, and with so many that they give no edges.
    """

    node_of: dict[tuple[int, int], Node | None]
    nodes: set[Node]
    edges: list[Edge]
    refusals: list[Refusal]
    shared: set[str]
    public: set[str]


Identifiers = Mapping[int, tuple[str, str]]


def _clean(identifiers: Identifiers) -> dict[int, Node | None]:
    return {code: node_of(namespace, value) for code, (namespace, value) in identifiers.items()}


def _raw(identifiers: Identifiers, code: int) -> Node:
    namespace, value = identifiers[code]
    return Node(namespace, value)


class _Gatherer:
    def __init__(
        self, identifiers: Identifiers, limits: Limits, tombstones: Tombstones, *, public_edges: bool
    ) -> None:
        self.identifiers, self.limits, self.public_edges = identifiers, limits, public_edges
        self.tombstones = tombstones
        self.clean: dict[int, Node | None] = {0: None, **_clean(identifiers)}
        self.edges: dict[tuple[Node, Node, int], tuple[int, int]] = {}
        self.refusals: list[Refusal] = []
        self.node_of: dict[tuple[int, int], Node | None] = {}
        self.shared: set[str] = set()
        self.public: set[str] = set()

    def find_shared(self, pairs: Sequence[Pair]) -> None:
        users: dict[str, set[str]] = defaultdict(set)
        for pair in pairs:
            device, user = self.clean[pair.anonymous], self.clean[pair.user]
            if device and user:
                users[device.value].add(user.value)
        for device_id, seen in users.items():
            seen.update(self.tombstones.unseen("anonymous_id", device_id, seen))
        self.shared, self.public = shared_devices(users, self.limits)

    def connect(self, left: Node, right: Node, priority: int, count: int, first_seen: int) -> None:
        left, right = sorted((left, right))
        before = self.edges.get((left, right, priority), (0, first_seen))
        self.edges[left, right, priority] = (before[0] + count, min(before[1], first_seen))

    def refuse(self, left: Node, right: Node, rule: str, pair: Pair) -> None:
        self.refusals.append(Refusal(left, right, rule, pair.events, pair.first_seen))

    def place(self, pair: Pair) -> Node | None:
        """Return the node of a pair, and connect it where the evidence allows."""
        device, user = self.clean[pair.anonymous], self.clean[pair.user]
        if pair.anonymous and pair.user and not (device and user):
            self.refuse(
                _raw(self.identifiers, pair.anonymous),
                _raw(self.identifiers, pair.user),
                "junk_identifier",
                pair,
            )
        if not device or not user:
            return device or user
        if device.value in self.public and not self.public_edges:
            self.refuse(device, user, "public_device", pair)
            return Node("device_user", f"{device.value}\x1f{user.value}")
        node = (
            Node("device_user", f"{device.value}\x1f{user.value}") if device.value in self.shared else device
        )
        self.connect(node, user, 1, pair.events, pair.first_seen)
        return node


def _explicit(links: Iterable[Link]) -> Iterator[tuple[Node, Node, int]]:
    for link in links:
        clean = [node for each in link.identifiers if (node := node_of(*each))]
        yield from ((clean[0], other, link.first_seen) for other in clean[1:] if other != clean[0])


def _secondary_users(links: Iterable[Link], tombstones: Tombstones) -> dict[Node, set[str]]:
    users: dict[Node, set[str]] = defaultdict(set)
    for link in links:
        own = (node_of(*each) for each in link.identifiers if each.namespace == "user_id")
        named = {node.value for node in own if node}
        for node in link.identifiers:
            if node.namespace not in {"user_id", "anonymous_id"}:
                users[Node(node.namespace, normalise(*node))] |= named
    for other, seen in users.items():
        seen.update(tombstones.unseen(*other, seen))
    return users


def _touches(node: Node, shared: set[str]) -> bool:
    return node.namespace == "anonymous_id" and node.value in shared


def gather(
    pairs: Sequence[Pair],
    identifiers: Identifiers,
    links: Sequence[Link] = (),
    limits: Limits | None = None,
    tombstones: Tombstones = NONE,
    *,
    public_edges: bool = False,
) -> Evidence:
    """Turn pairs seen together and explicit links into nodes and edges, guards applied.

    Parameters
    ----------
    pairs
        Each (device, user) pair of codes once, pairs with one side absent included.
    identifiers
        Namespace and value of each code.
    links
        Explicit links.
    limits
        Sizes at which guards act.
    tombstones
        Erased users, who count where a device or a secondary identifier is told to be several people's.
    public_edges
        Whether a user's share of a public device is joined to the user: a refusal must reach all that is the user's,
        and through such a share it reaches nobody else.

    Examples
    --------
    >>> ids = {1: ("anonymous_id", "a"), 2: ("user_id", "u")}
    >>> found = gather([Pair(1, 2, 3, 0), Pair(1, 0, 9, 0)], ids)
    >>> found.node_of[1, 0] == found.node_of[1, 2], found.edges[0].events
    (True, 3)
    """
    work = _Gatherer(identifiers, limits or Limits(), tombstones, public_edges=public_edges)
    work.find_shared(pairs)
    for pair in pairs:
        work.node_of[pair.anonymous, pair.user] = work.place(pair)
    secondary = _secondary_users(links, tombstones)
    for left, right, first_seen in _explicit(links):
        if any(len(secondary.get(node, ())) > 1 for node in (left, right)):
            work.refusals.append(Refusal(left, right, "secondary_id_shared", 1, first_seen))
        elif _touches(left, work.shared) or _touches(right, work.shared):
            work.refusals.append(Refusal(left, right, "shared_device", 1, first_seen))
        else:
            work.connect(left, right, 0, 1, first_seen)
    edges = [Edge(left, right, priority, *seen) for (left, right, priority), seen in work.edges.items()]
    nodes = {node for node in work.node_of.values() if node} | {
        node for e in edges for node in (e.left, e.right)
    }
    return Evidence(work.node_of, nodes, edges, work.refusals, work.shared, work.public)
