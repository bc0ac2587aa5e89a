"""Whom a statement is about, and whom a refusal reaches (S2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from eventlib.evidence import Bools, Evidence, Link, Pairs, gather
from eventlib.graph import NOBODY, Integers, Limits, cluster
from eventlib.manual_links import NO_MANUAL, Manual
from eventlib.nodes import Identifiers, Nodes
from eventlib.tombstones import NONE, Tombstones

__all__ = ["Subjects", "subjects"]


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
    nodes : Nodes
        What the subjects stand for; that of subject n is the n-th. More than those that there are.
    erased : list of int
        The subjects that were erased, themselves or as others of one person (C01).
    """

    of_pair: pa.Table
    members: pa.Table
    nodes: Nodes
    erased: list[int]


def _erased(evidence: Evidence, label: Integers, tombstones: Tombstones) -> Integers:
    """Return the nodes that were erased, and what an erasure reaches: the whole component of an erased person.

    A component with a user who was not erased is somebody else's by now: there only the erased node itself stays so.
    """
    if not tombstones:
        return np.empty(0, np.int64)
    nodes, there = evidence.nodes, np.flatnonzero(evidence.taking_part)
    digests = [tombstones.digest(*nodes[int(node)]) for node in there]
    count = int(label.max(initial=-1)) + 1
    held, asked, user = (np.zeros(len(nodes), bool) for _ in range(3))
    held[there] = [digest in tombstones.subjects for digest in digests]
    asked[there] = [digest in tombstones.asked for digest in digests]
    user[there] = nodes.is_user(there)

    def some(which: Bools) -> Bools:
        return np.bincount(label[which], minlength=count) > 0

    reached = some(held) & (some(asked) | ~some(user) | some(user & held))
    return np.flatnonzero((reached[label] & evidence.taking_part) | held)


def subjects(
    pairs: Pairs,
    identifiers: Identifiers,
    links: Sequence[Link],
    limits: Limits | None = None,
    tombstones: Tombstones = NONE,
    manual: Manual = NO_MANUAL,
) -> Subjects:
    """Build the suppression graph: all evidence, whatever its `identity` purpose, under the guards of S4.

    A grant is the subject's own. A refusal reaches every subject of its component, and is used for nothing else.

    Parameters
    ----------
    pairs
        Each (device, user) pair of codes once.
    identifiers
        What the codes stand for.
    links
        Explicit links.
    limits
        Sizes at which guards act.
    tombstones
        Who was erased.
    manual
        What was stated by hand: a must-link carries refusals too; a cannot-link holds none back.
    """
    evidence = gather(pairs, identifiers, links, limits, tombstones, public_edges=True, manual=manual)
    nodes = evidence.nodes
    label = cluster(nodes.is_user(), evidence.edges, limits).label
    place = np.where(evidence.of_pair == NOBODY, 0, evidence.of_pair + 1)
    placed = {"anonymous": pairs.anonymous, "user": pairs.user, "subject": place}
    several = np.flatnonzero(np.bincount(label)[label] > 1) if len(label) else label
    members = {"subject": several + 1, "component": label[several]}
    erased = _erased(evidence, label, tombstones) + 1
    return Subjects(pa.table(placed), pa.table(members), nodes, erased.tolist())
