"""Which events are one person's: nodes per event, guarded components, ids minted once (S4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import narwhals as nw
import pyarrow as pa

from eventlib.arrow import table_of
from eventlib.engine import Engine, Frame
from eventlib.evidence import Evidence, Link, gather, read_pairs
from eventlib.graph import Limits, Node, Partition, Refusal, node_of, partition
from eventlib.pseudonyms import Pseudonymiser
from eventlib.stage import require
from eventlib.tombstones import NONE, Tombstones, anchor_of

__all__ = ["Identities", "merge_people", "number_of"]

_NEEDED: Final = ("row", "anonymous", "user", "device", "session", "event_time", "allow_identity")
_PEOPLE: Final = pa.schema(
    [
        ("namespace", pa.string()),
        ("identifier", pa.string()),
        ("person_id", pa.string()),
        ("rule", pa.string()),
        ("first_seen", pa.timestamp("us", tz="UTC")),
        ("last_seen", pa.timestamp("us", tz="UTC")),
    ]
)
_REGISTRY: Final = pa.schema([("person_id", pa.string()), ("anchor", pa.string())])
_REFUSED: Final = pa.schema(
    [
        ("left_namespace", pa.string()),
        ("left_identifier", pa.string()),
        ("right_namespace", pa.string()),
        ("right_identifier", pa.string()),
        ("rule", pa.string()),
        ("events", pa.int64()),
        ("first_seen", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Identities:
    """People.

    Attributes
    ----------
    of_row : Frame
        `row, person` (the id's number), of every event that has a person; lazy, where the events are.
    people, registry, refused : pyarrow.Table
        As saved (DESIGN section 5).
    """

    of_row: Frame
    people: pa.Table
    registry: pa.Table
    refused: pa.Table


@dataclass(frozen=True, slots=True)
class _Seen:
    """A node's first and last event, in microseconds."""

    first: int
    last: int


def _assign(frame: Frame) -> Frame:
    """Add `owner`: the event's user, or for an anonymous event the only user of its session (S4.4)."""
    named = frame.filter((nw.col("user") > 0) & (nw.col("anonymous") > 0) & (nw.col("allow_identity") == 1))
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


def _node(
    evidence: Evidence, identifiers: Mapping[int, tuple[str, str]], kind: Mapping[str, int]
) -> Node | None:
    """Return the node that an event belongs to.

    An event that names its user is that user's: a user id is unique, whatever became of its device (S4.3). Without a
    user it is its device's, or on a shared device of the one user of its session (S4.4); and where identity is not
    allowed it is its device's alone (S2.4).
    """
    anonymous, owner = kind["anonymous"], kind["owner"]
    if not kind["allow_identity"]:
        return Node("device_only", identifiers[anonymous][1]) if anonymous else None
    plain = evidence.node_of.get((anonymous, kind["user"]))
    user = node_of(*identifiers[owner]) if owner else None
    if kind["user"]:
        return user or plain
    own_session = plain is not None and plain.value in evidence.shared and plain.value not in evidence.public
    return user if user is not None and own_session else plain


def merge_people(
    engine: Engine,
    frame: Frame,
    identifiers: Mapping[int, tuple[str, str]],
    links: Sequence[Link],
    pseudonym: Pseudonymiser,
    *,
    registry: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    tombstones: Tombstones = NONE,
    taken: frozenset[int] = frozenset(),
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
        Namespace and value of each code.
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
    """
    require("merge_identities", frame, _NEEDED)
    evidence = gather(
        read_pairs(engine, frame.filter(nw.col("allow_identity") == 1)),
        identifiers,
        links,
        limits,
        tombstones.for_identity(),
    )
    assigned = engine.checkpoint(_assign(frame))
    kinds = engine.collect(
        assigned.filter((nw.col("anonymous") > 0) | (nw.col("user") > 0))
        .group_by("anonymous", "user", "owner", "allow_identity")
        .agg(nw.col("event_time").min().alias("first"), nw.col("event_time").max().alias("last"))
    ).to_pylist()
    seen: dict[Node, _Seen] = {}
    node_of_kind: dict[tuple[int, int, int, int], Node] = {}
    for kind in kinds:
        node = _node(evidence, identifiers, kind)
        if node is not None:
            node_of_kind[kind["anonymous"], kind["user"], kind["owner"], kind["allow_identity"]] = node
            before = seen.get(node, _Seen(kind["first"], kind["last"]))
            seen[node] = _Seen(min(before.first, kind["first"]), max(before.last, kind["last"]))
    _see_linked(evidence, seen)
    found = partition(
        set(seen), [edge for edge in evidence.edges if edge.left in seen and edge.right in seen], limits
    )
    known = {
        anchor: person_id
        for anchor, person_id in (registry or {}).items()
        if tombstones.keeps(anchor, number_of(person_id))
    }
    person = _mint(found, seen, pseudonym, known, taken)
    of_row = _rows(
        engine, assigned, {kind: person.ids[found.component[node]] for kind, node in node_of_kind.items()}
    )
    people = _people_table(found, evidence, seen, person.ids, pseudonym)
    return Identities(
        of_row, people, person.registry, _refused_table([*evidence.refusals, *found.refusals], pseudonym)
    )


def _see_linked(evidence: Evidence, seen: dict[Node, _Seen]) -> None:
    """Give nodes that only links and edges know a time: the earliest evidence of them."""
    for edge in evidence.edges:
        for node in (edge.left, edge.right):
            before = seen.get(node, _Seen(edge.first_seen, edge.first_seen))
            seen[node] = _Seen(min(before.first, edge.first_seen), before.last)


@dataclass(frozen=True, slots=True)
class _Minted:
    ids: dict[int, str]
    registry: pa.Table


def number_of(person_id: str) -> int:
    """Return the number in a person id.

    >>> number_of("p-000012")
    12
    """
    return int(person_id.removeprefix("p-"))


def _mint(
    found: Partition,
    seen: Mapping[Node, _Seen],
    pseudonym: Pseudonymiser,
    registry: dict[str, str],
    taken: frozenset[int],
) -> _Minted:
    """Give each component its id: the oldest that the registry knows, else the next number in anchor order (S4.7).

    Numbers that are `taken`, by people who were erased, are nobody's.
    """
    members: dict[int, list[Node]] = defaultdict(list)
    for node in seen:
        members[found.component[node]].append(node)
    anchors = sorted(
        (min((seen[node].first, node) for node in nodes), label) for label, nodes in members.items()
    )
    ids: dict[int, str] = {}
    free = (n for n in count(max(map(number_of, registry.values()), default=0) + 1) if n not in taken)
    for (_, anchor), label in anchors:
        texts = (anchor_of(*node, pseudonym) for node in members[label]) if registry else ()
        known = [registry[text] for text in texts if text in registry]
        if known:
            ids[label] = min(known, key=number_of)
            continue
        ids[label] = f"p-{next(free):06d}"
        registry[anchor_of(*anchor, pseudonym)] = ids[label]
    rows = sorted((person_id, anchor) for anchor, person_id in registry.items())
    return _Minted(ids, table_of([{"person_id": p, "anchor": a} for p, a in rows], _REGISTRY))


def _rows(engine: Engine, assigned: Frame, persons: Mapping[tuple[int, int, int, int], str]) -> Frame:
    keys = ["anonymous", "user", "owner", "allow_identity"]
    columns = list(zip(*persons, strict=True)) if persons else [()] * len(keys)
    table = pa.table({name: pa.array(column, pa.int64()) for name, column in zip(keys, columns, strict=True)})
    numbers = engine.frame(
        table.append_column("person", pa.array([number_of(p) for p in persons.values()], pa.int64()))
    )
    return assigned.join(numbers, on=keys, how="inner").select("row", "person")


def _split(node: Node) -> tuple[str, str]:
    """Return namespace and identifier as they are shown: a user's share of a device is the device."""
    if node.namespace in {"device_user", "device_only"}:
        return "anonymous_id", node.value.split("\x1f")[0]
    return node.namespace, node.value


def _people_table(
    found: Partition,
    evidence: Evidence,
    seen: Mapping[Node, _Seen],
    ids: Mapping[int, str],
    pseudonym: Pseudonymiser,
) -> pa.Table:
    linked = {node for edge in evidence.edges if edge.priority == 0 for node in (edge.left, edge.right)}
    joined = {node for edge in evidence.edges for node in (edge.left, edge.right)}
    rows = []
    for node, times in seen.items():
        namespace, value = _split(node)
        rule = (
            "shared_device"
            if node.namespace == "device_user"
            else "device_only"
            if node.namespace == "device_only"
            else None
        )
        rule = rule or (
            "identity_link" if node in linked else "co_occurrence" if node in joined else "single"
        )
        rows.append(
            {
                "namespace": namespace,
                "identifier": pseudonym(namespace, value),
                "person_id": ids[found.component[node]],
                "rule": rule,
                "first_seen": times.first,
                "last_seen": times.last,
            }
        )
    rows.sort(
        key=lambda row: (
            number_of(str(row["person_id"])),
            *(row[name] for name in ("namespace", "identifier", "rule", "first_seen", "last_seen")),
        )
    )
    return table_of(rows, _PEOPLE)


def _refused_table(refusals: Sequence[Refusal], pseudonym: Pseudonymiser) -> pa.Table:
    rows = []
    for refusal in refusals:
        (left_namespace, left), (right_namespace, right) = _split(refusal.left), _split(refusal.right)
        rows.append(
            {
                "left_namespace": left_namespace,
                "left_identifier": pseudonym(left_namespace, left),
                "right_namespace": right_namespace,
                "right_identifier": pseudonym(right_namespace, right),
                "rule": refusal.rule,
                "events": refusal.events,
                "first_seen": refusal.first_seen,
            }
        )
    rows.sort(key=lambda row: tuple(map(str, row.values())))
    return table_of(rows, _REFUSED)
