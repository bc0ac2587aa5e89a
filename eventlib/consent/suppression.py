"""Whom a statement is about, and whom a refusal reaches (S2.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from eventlib.arrow import table_of
from eventlib.evidence import Link, Pair, gather
from eventlib.graph import Limits, Node, partition

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
    """

    of_pair: pa.Table
    members: pa.Table
    nodes: list[Node]


def subjects(
    pairs: Sequence[Pair],
    identifiers: Mapping[int, tuple[str, str]],
    links: Sequence[Link],
    limits: Limits | None = None,
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
    """
    evidence = gather(pairs, identifiers, links, limits, public_edges=True)
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
    return Subjects(table_of(placed, _SUBJECTS), table_of(several, _MEMBERS), nodes)
