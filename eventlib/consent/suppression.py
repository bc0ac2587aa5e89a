"""Whom a statement is about, and whom a refusal reaches (S2.3)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from eventlib.arrow import table_of
from eventlib.evidence import Link, Pair, gather
from eventlib.graph import Limits, Node, Partition, partition
from eventlib.tombstones import NONE, Tombstones

__all__ = ["Subjects", "subjects"]

_SUBJECTS: Final = pa.schema([(name, pa.int64()) for name in ("anonymous", "user", "subject")])
_MEMBERS: Final = pa.schema([(name, pa.int64()) for name in ("subject", "component")])


@dataclass(frozen=True, slots=True)
class Subjects:
    """Consent subjects.

    Attributes
    ----------
    of_pair : pyarrow.Table
        `anonymous, user` (codes; 0 is none) and `subject` (0 where the identifiers are junk: such an event
        speaks, and is spoken for, by itself alone).
    members : pyarrow.Table
        `subject, component`, of the components with more than one subject.
    nodes : list of Node
        What the subjects stand for; that of subject n is the n-th.
    erased : list of int
        The subjects that were erased, themselves or as others of one person (C01).
    """

    of_pair: pa.Table
    members: pa.Table
    nodes: list[Node]
    erased: list[int]


def _erased(found: Partition, tombstones: Tombstones) -> set[Node]:
    """Return the nodes that were erased, and what an erasure reaches: the whole component of an erased person.

    A component with a user who was not erased is somebody else's by now: there only the erased node itself stays so.
    """
    if not tombstones:
        return set()
    held = {node: tombstones.digest(*node) for node in found.component}
    held = {node: digest for node, digest in held.items() if digest in tombstones.subjects}
    labels = {found.component[node] for node in held}
    members: dict[int, list[Node]] = defaultdict(list)
    for node, label in found.component.items():
        if label in labels:
            members[label].append(node)
    reached = set(held)
    for nodes in members.values():
        users = [node for node in nodes if node.namespace == "user_id"]
        asked = any(held.get(node) in tombstones.asked for node in nodes)
        if asked or not users or any(node in held for node in users):
            reached.update(nodes)
    return reached


def subjects(
    pairs: Sequence[Pair],
    identifiers: Mapping[int, tuple[str, str]],
    links: Sequence[Link],
    limits: Limits | None = None,
    tombstones: Tombstones = NONE,
) -> Subjects:
    """Build the suppression graph: all evidence, whatever its `identity` purpose, under the guards of S4.

    A grant is the subject's own. A refusal reaches every subject of its component, and is used for nothing else.

    Parameters
    ----------
    pairs
        Each (device, user) pair of codes once.
    identifiers
        Namespace and value of each code.
    links
        Explicit links.
    limits
        Sizes at which guards act.
    tombstones
        Who was erased.
    """
    evidence = gather(pairs, identifiers, links, limits, tombstones, public_edges=True)
    found = partition(evidence.nodes, evidence.edges, limits)
    nodes = sorted(found.component)
    number = {node: index for index, node in enumerate(nodes, 1)}
    sizes = Counter(found.component.values())
    placed = [
        {"anonymous": anonymous, "user": user, "subject": number[node] if node else 0}
        for (anonymous, user), node in evidence.node_of.items()
    ]
    several = [
        {"subject": number[node], "component": label}
        for node, label in found.component.items()
        if sizes[label] > 1
    ]
    erased = sorted(number[node] for node in _erased(found, tombstones))
    return Subjects(table_of(placed, _SUBJECTS), table_of(several, _MEMBERS), nodes, erased)
