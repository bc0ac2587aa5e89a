"""Who belongs together: components over an edge list, with the guards of S4 that keep strangers apart.

The ground that identity and consent's suppression both stand on. Nodes are numbers and edges columns of them. Plain
components come first (scipy); edges are added one by one only inside components that break a rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

__all__ = [
    "CANNOT_LINK",
    "GUARDS",
    "NOBODY",
    "Clusters",
    "Edges",
    "Integers",
    "Limits",
    "cluster",
    "components",
    "sorted_unique",
]

Integers = npt.NDArray[np.int64]

NOBODY: Final = -1
"""Stands for no node, and for no user."""

CANNOT_LINK: Final = "cannot_link"
GUARDS: Final = (None, "user_id_unique", "component_too_large", CANNOT_LINK)
"""What `Clusters.refused_by` counts in: no rule, or the one that an edge was refused by."""


def _packed(*columns: Integers) -> list[Integers]:
    """Return fewer sort keys that order rows as the columns do, the first column first."""
    keys: list[Integers] = []
    room = 0
    for column in columns:
        low, high = int(column.min()), int(column.max())
        bits = (high - low).bit_length()
        if keys and bits <= room:
            keys[-1] = (keys[-1] << bits) | (column - low)
            room -= bits
        else:
            room = max(63 - bits, 0)
            keys.append(column - low if room else column)
    return keys


def _argsort(*columns: Integers) -> Integers:
    """Return the order of rows by columns, the first column first; rows alike in all come in any order."""
    first, *rest = _packed(*columns)
    order = np.argsort(first)
    if rest:
        ranked = first[order]
        tied = np.zeros(len(order) + 1, bool)
        tied[1:-1] = ranked[1:] == ranked[:-1]
        places = np.flatnonzero(tied[1:] | tied[:-1])
        rows = order[places]
        order[places] = rows[np.lexsort([*(key[rows] for key in reversed(rest)), first[rows]])]
    return order


@dataclass(frozen=True, slots=True)
class Edges:
    """Evidence that two nodes are one person, at most one edge per pair of nodes and priority.

    Attributes
    ----------
    left, right : ndarray of int64
        Node numbers.
    priority : ndarray of int64
        -1 is stated by hand, 0 an explicit link, 1 co-occurrence.
    events : ndarray of int64
        How many events say so.
    first_seen, last_seen : ndarray of int64
        When, in microseconds.
    """

    left: Integers
    right: Integers
    priority: Integers
    events: Integers
    first_seen: Integers
    last_seen: Integers

    def __len__(self) -> int:
        """Return how many edges there are."""
        return len(self.left)

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int, int, int, int]] = ()) -> Self:
        """Return edges of rows in the order of the attributes."""
        left, right, priority, events, first, last = np.array(list(rows), np.int64).reshape(-1, 6).T
        return cls(left, right, priority, events, first, last)

    def columns(self) -> tuple[Integers, ...]:
        """Return the columns in the order of the attributes."""
        return self.left, self.right, self.priority, self.events, self.first_seen, self.last_seen

    def take(self, which: npt.NDArray[np.bool_] | Integers) -> Edges:
        """Return some of the edges."""
        return Edges(*(column[which] for column in self.columns()))

    def joined(self, *others: Edges) -> Edges:
        """Return these and others, one after the other."""
        every = [each.columns() for each in (self, *others)]
        return Edges(*(np.concatenate(column) for column in zip(*every, strict=True)))

    def merged(self) -> Edges:
        """Return one edge per pair and priority: events added up, first and last of all."""
        if not len(self):
            return self
        left, right = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        order = _argsort(left, right, self.priority)
        key = np.array([left[order], right[order], self.priority[order]])
        starts = np.flatnonzero(np.r_[True, (key[:, 1:] != key[:, :-1]).any(axis=0)])
        low, high, priority = key[:, starts]
        return Edges(
            low,
            high,
            priority,
            np.add.reduceat(self.events[order], starts),
            np.minimum.reduceat(self.first_seen[order], starts),
            np.maximum.reduceat(self.last_seen[order], starts),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes at which guards act (S4.4, S4.5)."""

    public_device_users: int = 10
    public_user_others: int = 10
    component_flagged: int = 50
    component_cut: int = 500


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which nodes belong together.

    Attributes
    ----------
    label : ndarray of int64, shape (nodes,)
        Equal for nodes of one cluster; the numbers have no other meaning.
    refused_by : ndarray of int8, shape (edges,)
        Index into `GUARDS` of the rule that refused each edge; 0 where none did.
    """

    label: Integers
    refused_by: npt.NDArray[np.int8]


def sorted_unique(values: Integers) -> Integers:
    """Return distinct numbers in their order; numpy's own takes several times as long on millions."""
    ordered = np.sort(values)
    return ordered[np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))]


def components(nodes: int, left: Integers, right: Integers) -> Integers:
    """Return the component of each of so many nodes, without any guard."""
    from scipy.sparse import coo_array  # noqa: PLC0415  # slow to load: `prepare` loads it while workers start
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415  # as above

    index = np.int32 if nodes < 2**31 else np.int64
    places = (left.astype(index, copy=False), right.astype(index, copy=False))
    matrix = coo_array((np.ones(len(left), np.int8), places), shape=(nodes, nodes))
    labels: Integers = connected_components(matrix, directed=False)[1].astype(np.int64)
    return labels


def _groups(user: npt.NDArray[np.bool_], edges: Edges, apart: Integers) -> Integers:
    """Return whose each node is: `NOBODY`, or a number that is one for all users that explicit links make one (S4.3)."""
    own = np.where(user, np.arange(len(user)), NOBODY)
    linking = (edges.priority <= 0) & user[edges.left] & user[edges.right]
    if not linking.any():
        return own
    links = edges.take(linking)
    parted = {(min(pair), max(pair)) for pair in apart.tolist()}
    pairs = zip(links.left.tolist(), links.right.tolist(), strict=True)
    held = np.array([(min(pair), max(pair)) not in parted for pair in pairs], bool)
    label = components(len(user), links.left[held], links.right[held])
    first = np.full(int(label.max()) + 1, len(user), np.int64)
    np.minimum.at(first, label, np.arange(len(user)))
    return np.where(user, first[label], NOBODY)


def _suspects(label: Integers, group: Integers, apart: Integers, limits: Limits) -> npt.NDArray[np.bool_]:
    """Tell which components hold two users, are too large, or hold what was told apart by hand."""
    count = int(label.max(initial=-1)) + 1
    suspect: npt.NDArray[np.bool_] = np.bincount(label, minlength=count) > limits.component_cut
    users = np.flatnonzero(group != NOBODY)
    low, high = np.full(count, len(label), np.int64), np.full(count, NOBODY, np.int64)
    np.minimum.at(low, label[users], group[users])
    np.maximum.at(high, label[users], group[users])
    suspect |= (high != NOBODY) & (low != high)
    within = label[apart[:, 0]] == label[apart[:, 1]]
    suspect[label[apart[within, 0]]] = True
    return suspect


class _Guarded:
    """Components that break a rule, put together again edge by edge in a total order (S4.6)."""

    def __init__(self, group: Integers, apart: Integers, limits: Limits) -> None:
        self.parent = np.arange(len(group))
        self.size = np.ones(len(group), np.int64)
        self.group = group.copy()
        self.cut = limits.component_cut
        self.marks: dict[int, set[int]] = defaultdict(set)
        for number, (one, other) in enumerate(apart.tolist(), 1):
            self.marks[one].add(number)
            self.marks[other].add(-number)

    def rules(self, left: Integers, right: Integers) -> npt.NDArray[np.int8]:
        """Return the index in `GUARDS` of the rule that keeps the two clusters of each edge apart; cannot-links win."""
        one, other = self.group[left], self.group[right]
        found = np.where(self.size[left] + self.size[right] > self.cut, 2, 0).astype(np.int8)
        found[(one != other) & (one != NOBODY) & (other != NOBODY)] = 1
        if self.marks:
            marked = np.zeros(len(self.parent), bool)
            marked[list(self.marks)] = True
            for each in np.flatnonzero(marked[left] & marked[right]).tolist():
                against = (-mark for mark in self.marks[int(right[each])])
                found[each] = found[each] if self.marks[int(left[each])].isdisjoint(against) else 3
        return found

    def join(self, left: Integers, right: Integers) -> None:
        """Join clusters; no cluster is in two of the pairs."""
        self.parent[right] = left
        self.size[left] += self.size[right]
        self.group[left] = np.maximum(self.group[left], self.group[right])
        if self.marks:
            for one, other in zip(left.tolist(), right.tolist(), strict=True):
                if other in self.marks:
                    self.marks[one] |= self.marks.pop(other)

    def roots(self, nodes: Integers) -> Integers:
        """Return the cluster of each node."""
        found = self.parent[nodes]
        while (found != self.parent[found]).any():
            found = self.parent[found]
        return found

    def one_by_one(self, left: Integers, right: Integers) -> list[int]:
        """Decide edges between clusters one after the other; return what refused each, as indices in `GUARDS`."""
        parent, size, group, marks = self.parent.tolist(), self.size.tolist(), self.group.tolist(), self.marks
        refused = []
        for edge in zip(left.tolist(), right.tolist(), strict=True):
            one, other = (_find(parent, node) for node in edge)
            rule = 0 if one == other else _rule(one, other, size, group, marks, self.cut)
            refused.append(rule)
            if one == other or rule:
                continue
            if size[one] < size[other]:
                one, other = other, one
            parent[other] = one
            size[one] += size[other]
            group[one] = max(group[one], group[other])
            if other in marks:
                marks[one] |= marks.pop(other)
        self.parent, self.size, self.group = (np.array(each, np.int64) for each in (parent, size, group))
        return refused


def _find(parent: list[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = node = parent[parent[node]]
    return node


def _rule(
    one: int, other: int, size: list[int], group: list[int], marks: dict[int, set[int]], cut: int
) -> int:
    """As `_Guarded.rules`, of one edge."""
    if one in marks and other in marks and not marks[one].isdisjoint(-mark for mark in marks[other]):
        return 3
    if group[one] != group[other] and group[one] != NOBODY and group[other] != NOBODY:
        return 1
    return 2 if size[one] + size[other] > cut else 0


def _first(left: Integers, right: Integers, clusters: int) -> Integers:
    """Return the first edge of each cluster, by its place in the order given; the number of edges where there is none."""
    found = np.full((2, clusters), len(left), np.int64)
    place = np.arange(len(left))[::-1]
    # of several writes to one place the last holds
    found[0, left[::-1]] = place
    found[1, right[::-1]] = place
    first: Integers = np.minimum(found[0], found[1])
    return first


_SLOW: Final = 8
"""A round that decides less than one edge in so many costs more than taking the rest one by one."""


def _decide(guarded: _Guarded, left: Integers, right: Integers) -> npt.NDArray[np.int8]:
    """Decide edges as if one after the other in the order given; return what refused each, as indices in `GUARDS`.

    An edge that is the first left at both its clusters is decided before any other that touches them, so that all such
    edges can be decided at once. What refuses an edge never ceases to: clusters only grow.
    """
    refused = np.zeros(len(left), np.int8)
    live = np.arange(len(left))
    while before := len(live):
        left, right = guarded.parent[left], guarded.parent[right]
        rule = np.where(left == right, 0, guarded.rules(left, right)).astype(np.int8)
        refused[live] = rule
        stays = (left != right) & (rule == 0)
        left, right, live = left[stays], right[stays], live[stays]
        if (before - len(live)) * _SLOW < before < len(refused):
            refused[live] = guarded.one_by_one(left, right)
            break
        first, place = _first(left, right, len(guarded.parent)), np.arange(len(live))
        mine = (first[left] == place) & (first[right] == place)
        guarded.join(left[mine], right[mine])
    return refused


def _order(edges: Edges, which: Integers) -> Integers:
    """Return some of the edges in the total order of S4.6: priority, evidence count descending, first seen, ends."""
    left, right = edges.left[which], edges.right[which]
    low, high = np.minimum(left, right), np.maximum(left, right)
    order = _argsort(edges.priority[which], -edges.events[which], edges.first_seen[which], low, high)
    return which[order]


def _cut(
    nodes: Integers, edges: Edges, which: Integers, group: Integers, apart: Integers, limits: Limits
) -> tuple[Integers, Integers, npt.NDArray[np.int8]]:
    """Return the cluster of each suspect node, as one of its nodes, and their edges with what refused each."""
    number = np.full(len(group), NOBODY, np.int64)
    number[nodes] = np.arange(len(nodes))
    inside = (number[apart] != NOBODY).all(axis=1)
    guarded = _Guarded(group[nodes], number[apart[inside]], limits)
    order = _order(edges, which)
    left, right = number[edges.left[order]], number[edges.right[order]]
    against = np.flatnonzero(_decide(guarded, left, right))
    # told by what came of both sides: whatever refused an edge still does, and nothing depends on when it was asked
    refused = np.zeros(len(order), np.int8)
    refused[against] = guarded.rules(guarded.roots(left[against]), guarded.roots(right[against]))
    return nodes[guarded.roots(np.arange(len(nodes)))], order, refused


def cluster(
    user: npt.NDArray[np.bool_], edges: Edges, limits: Limits | None = None, apart: Integers | None = None
) -> Clusters:
    """Cluster nodes by edges, under the guards of S4.3, S4.5 and S4.8.

    Parameters
    ----------
    user
        Of each node, whether it is a user: two of them are never one person unless explicit links say so.
    edges
        In any order: the result is the same (S4.6).
    limits
        The size at which components are cut.
    apart
        Shape (n, 2): pairs of nodes that were told apart by hand.

    Examples
    --------
    A device with two users: the one who is seen more often has it.

    >>> found = cluster(np.array([False, True, True]), Edges.of([(0, 1, 1, 5, 0, 0), (0, 2, 1, 1, 9, 9)]))
    >>> (found.label == found.label[0]).tolist()
    [True, True, False]
    >>> [GUARDS[rule] for rule in found.refused_by]
    [None, 'user_id_unique']
    """
    limits = limits or Limits()
    pairs = np.empty((0, 2), np.int64) if apart is None else np.asarray(apart, np.int64).reshape(-1, 2)
    label = components(len(user), edges.left, edges.right)
    refused = np.zeros(len(edges), np.int8)
    if not len(label):
        return Clusters(label, refused)
    group = _groups(user, edges, pairs)
    suspect = _suspects(label, group, pairs, limits)
    if suspect.any():
        nodes = np.flatnonzero(suspect[label])
        within = np.flatnonzero(suspect[label[edges.left]])
        root, order, against = _cut(nodes, edges, within, group, pairs, limits)
        refused[order] = against
        label[nodes] = int(label.max()) + 1 + root
    return Clusters(label, refused)
