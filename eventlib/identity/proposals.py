"""What a must-link or a cannot-link would change, before it is made (S4.8)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.arrow import read_parquet
from eventlib.graph import CANNOT_LINK, GUARDS, Edges, Integers, cluster, components
from eventlib.identifiers import Node
from eventlib.identity.aliases import aliases
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

    def __init__(
        self, steps: Sequence[Step], ends: Iterable[Node], order: Callable[[Node], tuple[Any, ...]]
    ) -> None:
        every = sorted({*ends, *(node for step in steps for node in (step.left, step.right))}, key=order)
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
        table = read_parquet(prepared.folder / "registry.parquet")
        self.person_of = dict(zip(table["anchor"].to_pylist(), table["person_id"].to_pylist(), strict=True))

    def digest(self, node: Node) -> Node:
        """Return a node as the graphs know it, where the dataset writes plain identifiers."""
        if not self.pseudonym.plain:
            return node
        if node.namespace == SHARE:
            device, user = shared_by(node)
            return share(self.pseudonym.keyed("anonymous_id", device), self.pseudonym.keyed("user_id", user))
        return Node(node.namespace, self.pseudonym.keyed(*node))

    def place(self, node: Node) -> tuple[Any, ...]:
        """Return what nodes are ordered by, as `eventlib.nodes.Nodes` does: it decides between equal evidence."""
        known = self.digest(node)
        blocks = {"anonymous_id": 0, "user_id": 2, SHARE: 3}
        parts = shared_by(known) if known.namespace == SHARE else known
        return blocks.get(known.namespace, 1), *parts

    def anchor(self, node: Node) -> str:
        """Return what the registry calls a node."""
        known = self.digest(node)
        named = Node(SHARE, "\x1f".join(shared_by(known))) if known.namespace == SHARE else known
        return anchor_of(*named, self.pseudonym)

    def manual(self) -> Manual:
        """Return what holds by hand."""
        as_of = _since(datetime.fromisoformat(self.prepared.run["parameters"]["as_of"]))
        return statements_of(self.prepared.folder).in_force(as_of, NONE)

    def events(self, nodes: Sequence[Node], shared: set[str]) -> Counter[Node]:
        """Count the events of nodes: an event is its user's, or on a `shared` device its visit's only user's, else the device's."""
        users = self._users()
        counts: Counter[Node] = Counter()
        in_session: dict[str, set[str]] = defaultdict(set)
        rows = self._rows(nodes)
        for device, user, session, _ in rows:
            if device in shared and user in users and session is not None:
                in_session[session].add(str(user))
        for device, user, session, events in rows:
            owners = in_session.get(str(session), set()) if device in shared else set[str]()
            if user in users:
                counts[Node("user_id", str(user))] += events
            elif len(owners) == 1:
                counts[Node("user_id", next(iter(owners)))] += events
            elif device is not None:
                counts[Node("anonymous_id", device)] += events
        return counts

    def _users(self) -> set[str]:
        """Return the users that stand for somebody; a placeholder does not."""
        people = read_parquet(
            self.prepared.folder / "people.parquet", columns=["identifier"],
            which=pc.field("namespace") == "user_id",
        )  # fmt: skip
        return set(people["identifier"].to_pylist())

    def _rows(self, nodes: Sequence[Node]) -> list[tuple[str | None, str | None, str | None, int]]:
        """Return device, user and session of the events of nodes, with how many there are of each."""
        keys = ["anonymous_id", "user_id", "session_id"]
        devices = {device for node in nodes if (device := device_of(node)) is not None}
        users = {node.value for node in nodes if node.namespace == "user_id"}
        normal = aliases(self.prepared)
        names = [
            {*known, *(raw for raw, node in normal.items() if node in known)} for known in (devices, users)
        ]
        some = pc.field("anonymous_id").isin(pa.array(sorted(names[0]), pa.string()))
        some |= pc.field("user_id").isin(pa.array(sorted(names[1]), pa.string()))
        tables = [
            read_parquet(f, columns=keys, which=some & pc.field("allow_identity"))
            for f in event_files(self.prepared.folder)
        ]
        counted = pa.concat_tables(tables).group_by(keys).aggregate([([], "count_all")])
        columns = counted.select([*keys, "count_all"]).columns
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        return [(normal.get(one, one), normal.get(other, other), *rest) for one, other, *rest in rows]

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


def _stands(prepared: Prepared, node: Node, steps: Iterable[Step]) -> bool:
    """Tell whether something is an identifier's own: of a device of several users each event may be a user's."""
    people = read_parquet(
        prepared.folder / "people.parquet", columns=["rule"],
        which=(pc.field("namespace") == node.namespace) & (pc.field("identifier") == node.value),
    )  # fmt: skip
    own = not set(people["rule"].to_pylist()) <= {"shared_device", "device_only"}
    return own or any(node in (step.left, step.right) for step in steps if step.rule != "must_link")


def _nothing(kind: str, left: Node, right: Node) -> dict[str, Any]:
    names = {"kind": kind, "left": told(left), "right": told(right)}
    return {**names, "changes": False, "refused_by": None, "why": None, "before": [], "after": []}


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
        `kind`, `left`, `right`, `changes` (bool), `refused_by` (what would refuse a must-link, else null), `why` else it
        would change nothing, and the people whom it concerns, `before` and `after`: of each the `person_id` that it keeps
        (null for a new one), its `identifiers`, and how many `events` are its.
    """
    steps = evidence_of(prepared)
    nobody = next((node for node in (left, right) if not _stands(prepared, node, steps)), None)
    if nobody is not None:
        return {**_nothing(kind, left, right), "why": f"each event on {told(nobody)} is one of its users'"}
    tell = _Tellers(prepared, pseudonym)
    graph = _Graph(steps, (left, right), tell.place)
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
    shared = {device for step in steps if step.rule == "shared_device" and (device := device_of(step.left))}
    events = tell.events(graph.nodes, shared)
    return {
        **_nothing(kind, left, right),
        "changes": old != new,
        "refused_by": refused,
        "before": tell.told(map(sorted, old - new), events),
        "after": tell.told(map(sorted, new - old), events),
    }
