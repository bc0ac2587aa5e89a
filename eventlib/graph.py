"""Who belongs together: components over an edge list, with the guards of S4 that keep strangers apart.

The ground that identity and consent's suppression both stand on. Plain components come first (scipy); edges are
added one by one only inside components that break a rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from eventlib.pseudonyms import JUNK_MARK

__all__ = [
    "Edge",
    "Limits",
    "Node",
    "Partition",
    "Refusal",
    "is_junk",
    "node_of",
    "normalise",
    "partition",
    "shared_devices",
]

JUNK_WORDS: Final = frozenset(
    {
        "null",
        "none",
        "nil",
        "nan",
        "undefined",
        "anonymous",
        "guest",
        "unknown",
        "true",
        "false",
        "[object object]",
        "-1",
    }
)
_ZEROS: Final = re.compile(r"[0-]*", re.ASCII)
_TEST_MAIL: Final = re.compile(
    r"(?:test|example|noreply|no-reply)[^@]*@.*|[^@]*@(?:test|example)\.[a-z.]+", re.ASCII
)
_MAX_ID: Final = 1024

Integers = npt.NDArray[np.int64]


class Node(NamedTuple):
    """One identifier, or one user's share of a shared device (`value` is then device and user)."""

    namespace: str
    value: str


class Edge(NamedTuple):
    """Evidence that two nodes are one person; `priority` 0 is an explicit link, 1 co-occurrence."""

    left: Node
    right: Node
    priority: int
    events: int
    first_seen: int


class Refusal(NamedTuple):
    """An edge that was not used, and the rule that refused it."""

    left: Node
    right: Node
    rule: str
    events: int
    first_seen: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes at which guards act (S4.4, S4.5)."""

    public_device_users: int = 10
    component_flagged: int = 50
    component_cut: int = 500


@dataclass(frozen=True, slots=True)
class Partition:
    """Nodes and the component that each belongs to.

    Attributes
    ----------
    component : dict of Node to int
        Component number; numbers have no meaning beyond equality.
    refusals : list of Refusal
        Edges that a guard refused.
    flagged : set of int
        Components over the flagged size.
    """

    component: dict[Node, int]
    refusals: list[Refusal] = field(default_factory=list)
    flagged: frozenset[int] = frozenset()


def normalise(namespace: str, value: str) -> str:
    """Return an identifier as it is compared: NFC, trimmed, e-mail alone lower-cased (S4.1).

    >>> normalise("email", " Ann@Site.org ")
    'ann@site.org'
    """
    text = value.strip()
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    return text.lower() if namespace == "email" else text


def is_junk(namespace: str, value: str, extra: Iterable[str] = ()) -> bool:
    """Tell whether an identifier is a placeholder that many strangers share (S4.1).

    >>> is_junk("user_id", "undefined"), is_junk("user_id", "00000000-0000"), is_junk("user_id", "u-12")
    (True, True, False)
    """
    text = normalise(namespace, value)
    return _is_placeholder(text) or text.lower() in set(extra)


def _is_placeholder(text: str) -> bool:
    low = text.lower()
    return (
        len(text) > _MAX_ID
        or text.startswith(JUNK_MARK)
        or _ZEROS.fullmatch(text) is not None
        or low in JUNK_WORDS
        or ("@" in low and _TEST_MAIL.fullmatch(low) is not None)
    )


def node_of(namespace: str, value: str) -> Node | None:
    """Return the node that an identifier stands for; None if it is junk.

    >>> node_of("user_id", " u-12"), node_of("user_id", "null")
    (Node(namespace='user_id', value='u-12'), None)
    """
    text = normalise(namespace, value)
    return None if _is_placeholder(text) else Node(namespace, text)


def _find(parent: dict[Node, Node], node: Node) -> Node:
    root = node
    while parent[root] != root:
        root = parent[root]
    while parent[node] != root:
        parent[node], node = root, parent[node]
    return root


def _order(edge: Edge) -> tuple[int, int, int, Node, Node]:
    return edge.priority, -edge.events, edge.first_seen, *sorted((edge.left, edge.right))  # type: ignore[return-value]  # two nodes


def _linked_users(edges: Iterable[Edge]) -> dict[Node, Node]:
    """Name one representative for all users that explicit links say are one person (S4.3)."""
    parent: dict[Node, Node] = {}
    for edge in edges:
        if edge.priority == 0 and edge.left.namespace == edge.right.namespace == "user_id":
            left, right = (_find(parent, parent.setdefault(node, node)) for node in (edge.left, edge.right))
            parent[max(left, right)] = min(left, right)
    return {node: _find(parent, node) for node in parent}


class _Guarded:
    """A component that breaks a rule, put together again edge by edge in a total order (S4.6)."""

    def __init__(self, nodes: Sequence[Node], edges: Sequence[Edge], limits: Limits) -> None:
        self.parent = {node: node for node in nodes}
        self.size = dict.fromkeys(nodes, 1)
        same = _linked_users(edges)
        self.users = {
            node: {same.get(node, node)} if node.namespace == "user_id" else set() for node in nodes
        }
        self.limits = limits

    def rule_against(self, left: Node, right: Node) -> str | None:
        if self.size[left] + self.size[right] > self.limits.component_cut:
            return "component_too_large"
        return "user_id_unique" if len(self.users[left] | self.users[right]) > 1 else None

    def add(self, edge: Edge) -> Refusal | None:
        left, right = _find(self.parent, edge.left), _find(self.parent, edge.right)
        if left == right:
            return None
        rule = self.rule_against(left, right)
        if rule:
            return Refusal(edge.left, edge.right, rule, edge.events, edge.first_seen)
        left, right = sorted((left, right))
        self.parent[right] = left
        self.users[left] |= self.users.pop(right)
        self.size[left] += self.size.pop(right)
        return None


def _components(nodes: Sequence[Node], edges: Sequence[Edge]) -> Integers:
    index = {node: number for number, node in enumerate(nodes)}
    left = np.fromiter((index[edge.left] for edge in edges), np.int64, len(edges))
    right = np.fromiter((index[edge.right] for edge in edges), np.int64, len(edges))
    from scipy.sparse import coo_array  # noqa: PLC0415  # slow to load: `prepare` loads it while workers start
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415  # as above

    matrix = coo_array((np.ones(len(edges), np.int8), (left, right)), shape=(len(nodes), len(nodes)))
    labels: Integers = connected_components(matrix, directed=False)[1].astype(np.int64)
    return labels


def _suspects(nodes: Sequence[Node], labels: Integers, limits: Limits) -> set[int]:
    """Components that hold two users, or are too large."""
    sizes = Counter(labels.tolist())
    users = Counter(
        label for node, label in zip(nodes, labels.tolist(), strict=True) if node.namespace == "user_id"
    )
    return {label for label, count in users.items() if count > 1} | {
        label for label, n in sizes.items() if n > limits.component_cut
    }


def partition(nodes: Iterable[Node], edges: Sequence[Edge], limits: Limits | None = None) -> Partition:
    """Partition nodes by edges, under the guards of S4.3 and S4.5.

    Parameters
    ----------
    nodes
        All nodes, linked or not.
    edges
        At most one per pair of nodes.
    limits
        Sizes at which components are flagged and cut.

    Returns
    -------
    Partition
        The same for any order of `nodes` and `edges` (S4.6).

    Examples
    --------
    >>> a, u, v = Node("anonymous_id", "a"), Node("user_id", "u"), Node("user_id", "v")
    >>> found = partition([a, u, v], [Edge(a, u, 1, 5, 0), Edge(a, v, 1, 1, 9)])
    >>> found.component[a] == found.component[u], found.component[a] == found.component[v], found.refusals[0].rule
    (True, False, 'user_id_unique')
    """
    limits = limits or Limits()
    known = sorted(set(nodes) | {node for edge in edges for node in (edge.left, edge.right)})
    if not known:
        return Partition({})
    labels = _components(known, edges)
    component = dict(zip(known, labels.tolist(), strict=True))
    suspects = _suspects(known, labels, limits)
    refusals: list[Refusal] = []
    next_label = len(known)
    members: dict[int, list[Node]] = defaultdict(list)
    within: dict[int, list[Edge]] = defaultdict(list)
    for node, label in component.items():
        if label in suspects:
            members[label].append(node)
    for edge in edges:
        if component[edge.left] in suspects:
            within[component[edge.left]].append(edge)
    for label in sorted(suspects):
        guarded = _Guarded(members[label], within[label], limits)
        refusals += [refusal for edge in sorted(within[label], key=_order) if (refusal := guarded.add(edge))]
        roots = {
            root: next_label + number
            for number, root in enumerate(sorted({_find(guarded.parent, n) for n in members[label]}))
        }
        next_label += len(roots)
        component |= {node: roots[_find(guarded.parent, node)] for node in members[label]}
    sizes = Counter(component.values())
    return Partition(
        component, refusals, frozenset(label for label, n in sizes.items() if n > limits.component_flagged)
    )


def shared_devices(users: Mapping[str, set[str]], limits: Limits) -> tuple[set[str], set[str]]:
    """Return the devices with two or more users, and those with so many that they are public (S4.4)."""
    shared = {device for device, owners in users.items() if len(owners) > 1}
    return shared, {device for device in shared if len(users[device]) >= limits.public_device_users}
