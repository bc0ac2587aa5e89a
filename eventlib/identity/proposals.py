"""What a must-link or a cannot-link would change, before it is made (S4.8)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eventlib.graph import CANNOT_LINK, GUARDS, Edges, Integers, cluster, components
from eventlib.identifiers import Node
from eventlib.identity.explain import Step, device_of, evidence_of, share, shared_by, told
from eventlib.manual_links import Manual
from eventlib.nodes import SHARE
from eventlib.prepared import Prepared, event_files
from eventlib.pseudonyms import Pseudonymiser
from eventlib.state import statements_of
from eventlib.tombstones import NONE, anchor_of

__all__ = ["propose"]

_PRIORITY = {"must_link": -1, "identity_link": 0}


def _since(moment: datetime | None) -> int:
    return (
        0
        if moment is None
        else (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(microseconds=1)
    )


class _Graph:
    """The evidence around two identifiers, as numbers."""

    def __init__(self, steps: Sequence[Step], ends: Iterable[Node]) -> None:
        every = sorted({*ends, *(node for step in steps for node in (step.left, step.right))})
        number = {node: place for place, node in enumerate(every)}
        sides = np.array([(number[s.left], number[s.right]) for s in steps], np.int64).reshape(-1, 2)
        label = components(len(every), sides[:, 0], sides[:, 1])
        near = np.isin(label, label[[number[node] for node in ends]])
        self.nodes = [node for node, kept in zip(every, near.tolist(), strict=True) if kept]
        self.number = {node: place for place, node in enumerate(self.nodes)}
        self.steps = [step for step in steps if step.left in self.number]
        self.user = np.array([node.namespace == "user_id" for node in self.nodes], bool)

    def edges(self, must: Iterable[tuple[Node, Node]] = ()) -> Edges:
        """Return the evidence, and what is proposed, as edges; the proposed last."""
        rows = [
            (
                self.number[s.left], self.number[s.right], _PRIORITY.get(s.rule, 1), s.events,
                _since(s.first_seen), _since(s.last_seen),
            )
            for s in self.steps
        ]  # fmt: skip
        return Edges.of(
            [*rows, *((self.number[one], self.number[other], -1, 0, 0, 0) for one, other in must)]
        )

    def parted(self, pairs: Iterable[tuple[Node, Node]]) -> Integers:
        """Return pairs that were told apart, as numbers, of those that are near."""
        near = [(self.number[a], self.number[b]) for a, b in pairs if a in self.number and b in self.number]
        return np.array(near, np.int64).reshape(-1, 2)

    def groups(self, label: Integers) -> dict[int, list[Node]]:
        found: dict[int, list[Node]] = defaultdict(list)
        for node, mine in zip(self.nodes, label.tolist(), strict=True):
            found[mine].append(node)
        return found


class _Tellers:
    """What a dataset says of groups of identifiers: their ids, and how many events are theirs."""

    def __init__(self, prepared: Prepared, pseudonym: Pseudonymiser) -> None:
        self.prepared, self.pseudonym = prepared, pseudonym
        table = pq.read_table(prepared.folder / "registry.parquet", partitioning=None)
        self.person_of = dict(zip(table["anchor"].to_pylist(), table["person_id"].to_pylist(), strict=True))

    def digest(self, node: Node) -> Node:
        """Return a node as the graphs know it, where the dataset writes plain identifiers."""
        if not self.pseudonym.plain:
            return node
        if node.namespace == SHARE:
            device, user = shared_by(node)
            return share(self.pseudonym.keyed("anonymous_id", device), self.pseudonym.keyed("user_id", user))
        return Node(node.namespace, self.pseudonym.keyed(*node))

    def anchor(self, node: Node) -> str:
        """Return what the registry calls a node."""
        known = self.digest(node)
        named = Node(SHARE, "\x1f".join(shared_by(known))) if known.namespace == SHARE else known
        return anchor_of(*named, self.pseudonym)

    def manual(self) -> Manual:
        """Return what holds by hand."""
        as_of = _since(datetime.fromisoformat(self.prepared.run["parameters"]["as_of"]))
        return statements_of(self.prepared.folder).in_force(as_of, NONE)

    def events(self, nodes: Sequence[Node]) -> Counter[Node]:
        """Count the events of nodes: an event is its user's, else its device's or that of the person who had it."""
        devices = {device for node in nodes if (device := device_of(node)) is not None}
        users = {n.value for n in nodes if n.namespace == "user_id"}
        owner = self._owners(nodes)
        counts: Counter[Node] = Counter()
        for device, user, person, events in self._counted(devices, users):
            if user in users:
                counts[Node("user_id", str(user))] += events
            elif device is not None:
                counts[owner.get((device, person), Node("anonymous_id", device))] += events
        return counts

    def _owners(self, nodes: Sequence[Node]) -> dict[tuple[str, str], Node]:
        """Return the user of each shared device and person: anonymous events there may be theirs."""
        people = pq.read_table(
            self.prepared.folder / "people.parquet", columns=["namespace", "identifier", "person_id"], partitioning=None,
            filters=pc.field("namespace") == "user_id",
        )  # fmt: skip
        person = dict(zip(people["identifier"].to_pylist(), people["person_id"].to_pylist(), strict=True))
        shares = [shared_by(node) for node in nodes if node.namespace == SHARE]
        return {(device, person[user]): Node("user_id", user) for device, user in shares if user in person}

    def _counted(self, devices: set[str], users: set[str]) -> list[tuple[str | None, str | None, str, int]]:
        keys = ["anonymous_id", "user_id", "person_id"]
        some = pc.field("anonymous_id").isin(pa.array(sorted(devices), pa.string()))
        some |= pc.field("user_id").isin(pa.array(sorted(users), pa.string()))
        tables = [
            pq.read_table(f, columns=keys, filters=some & pc.field("allow_identity"), partitioning=None)
            for f in event_files(self.prepared.folder)
        ]
        counted = pa.concat_tables(tables).group_by(keys).aggregate([([], "count_all")])
        return list(
            zip(*(column.to_pylist() for column in counted.select([*keys, "count_all"]).columns), strict=True)
        )

    def told(self, groups: Iterable[Sequence[Node]], events: Counter[Node]) -> list[dict[str, Any]]:
        """Return groups as people: the id that each keeps, its identifiers and events."""
        rows = []
        for nodes in groups:
            known = [
                self.person_of[anchor] for node in nodes if (anchor := self.anchor(node)) in self.person_of
            ]
            names = sorted({told(node) for node in nodes})
            oldest = min(known, key=lambda person_id: int(person_id.removeprefix("p-")), default=None)
            rows.append(
                {"person_id": oldest, "identifiers": names, "events": sum(events[node] for node in nodes)}
            )
        return sorted(
            rows, key=lambda row: (row["person_id"] is None, str(row["person_id"]), row["identifiers"])
        )


def propose(
    prepared: Prepared, kind: str, left: Node, right: Node, pseudonym: Pseudonymiser
) -> dict[str, Any]:
    """Return what a statement by hand would change.

    Parameters
    ----------
    prepared
        A prepared dataset.
    kind
        `must_link` or `cannot_link`.
    left, right
        Identifiers as the dataset writes them.
    pseudonym
        As the dataset's.

    Returns
    -------
    dict
        `kind`, `left`, `right`, `changes` (bool), `refused_by` (what would refuse a must-link, else null), and the people whom it
        concerns, `before` and `after`: of each the `person_id` that it keeps (null for a new one), its `identifiers` and
        how many `events` are its.
    """
    graph = _Graph(evidence_of(prepared), (left, right))
    tell = _Tellers(prepared, pseudonym)
    plain = {tell.digest(node): node for node in graph.nodes}
    stated = [(plain[a], plain[b]) for a, b in tell.manual().cannot if a in plain and b in plain]
    before = cluster(graph.user, graph.edges(), apart=graph.parted(stated))
    must = [(left, right)] if kind == "must_link" else []
    cannot = stated + ([(left, right)] if kind == CANNOT_LINK else [])
    after = cluster(graph.user, graph.edges(must), apart=graph.parted(cannot))
    refused = GUARDS[after.refused_by[-1]] if must else None
    old, new = (
        {frozenset(nodes) for nodes in graph.groups(found.label).values()} for found in (before, after)
    )
    events = tell.events(graph.nodes)
    return {
        "kind": kind,
        "left": told(left),
        "right": told(right),
        "changes": old != new,
        "refused_by": refused,
        "before": tell.told(map(sorted, old - new), events),
        "after": tell.told(map(sorted, new - old), events),
    }
