"""The tables that identity leaves: people, registry, refused merges, evidence (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.arrow import table_of
from eventlib.evidence import Refusal
from eventlib.graph import GUARDS, Clusters, Edges, Integers
from eventlib.nodes import Nodes, shown
from eventlib.pseudonyms import Pseudonymiser

__all__ = [
    "EVIDENCE",
    "EVIDENCE_KEY",
    "PEOPLE",
    "REFUSED",
    "REGISTRY",
    "evidence_table",
    "people_table",
    "refused_table",
    "registry_table",
]

_MOMENT: Final = pa.timestamp("us", tz="UTC")
PEOPLE: Final = pa.schema(
    [
        ("namespace", pa.string()),
        ("identifier", pa.string()),
        ("person_id", pa.string()),
        ("rule", pa.string()),
        ("first_seen", _MOMENT),
        ("last_seen", _MOMENT),
    ]
)
REGISTRY: Final = pa.schema([("person_id", pa.string()), ("anchor", pa.string())])
_SIDES: Final = [
    ("left_namespace", pa.string()),
    ("left_identifier", pa.string()),
    ("right_namespace", pa.string()),
    ("right_identifier", pa.string()),
]
REFUSED: Final = pa.schema([*_SIDES, ("rule", pa.string()), ("events", pa.int64()), ("first_seen", _MOMENT)])
EVIDENCE: Final = pa.schema(
    [
        *_SIDES,
        ("rule", pa.string()),
        ("events", pa.int64()),
        ("first_seen", _MOMENT),
        ("last_seen", _MOMENT),
        ("refused_by", pa.string()),
    ]
)

EVIDENCE_KEY: Final = (*(name for name, _ in _SIDES), "rule")
"""Tells the rows of the evidence apart, and orders them."""

_BY_HAND, _LINKED, _TOGETHER, _SHARED, _SINGLE, _ALONE = range(6)
_RULES: Final = pa.array(
    ["must_link", "identity_link", "co_occurrence", "shared_device", "single", "device_only"]
)


def _written(namespaces: pa.Array, values: pa.Array, pseudonym: Pseudonymiser) -> pa.Array:
    """Return identifiers, which are pseudonyms already, as they are written."""
    if not pseudonym.plain:
        return values
    named = zip(namespaces.to_pylist(), values.to_pylist(), strict=True)
    return pa.array([pseudonym(namespace, value) for namespace, value in named], pa.string())


def _rule_of_edge(nodes: Nodes, edges: Edges) -> Integers:
    share = (edges.left >= nodes.first_share) | (edges.right >= nodes.first_share)
    return np.where(
        edges.priority < 0,
        _BY_HAND,
        np.where(edges.priority == 0, _LINKED, np.where(share, _SHARED, _TOGETHER)),
    )


def _rule_of_node(nodes: Nodes, edges: Edges, found: Clusters, lone: int) -> Integers:
    """Return by what each node was joined to others: the strongest evidence that was used."""
    rule = np.full(len(nodes) + lone, _SINGLE)
    used = edges.take(found.refused_by == 0)
    strongest = np.where(used.priority < 0, _BY_HAND, np.where(used.priority == 0, _LINKED, _TOGETHER))
    for ends in (used.left, used.right):
        np.minimum.at(rule, ends, strongest)
    rule[nodes.first_share : len(nodes)] = _SHARED
    rule[len(nodes) :] = _ALONE
    return rule


def people_table(
    nodes: Nodes,
    edges: Edges,
    found: Clusters,
    lone: pa.Array,
    there: Integers,
    persons: Integers,
    first: Integers,
    last: Integers,
    pseudonym: Pseudonymiser,
) -> pa.Table:
    """Return who is who: one row per node that some event or link stands for, in the order of persons."""
    plain = there[there < len(nodes)]
    namespaces, values = nodes.shown(plain)
    alone = lone.take(pa.array(there[there >= len(nodes)] - len(nodes)))
    namespaces = pa.concat_arrays([namespaces, pa.array(["anonymous_id"] * len(alone), pa.string())])
    bare = pc.replace_substring_regex(pa.concat_arrays([values, alone]), "^\0", "")
    table = pa.table(
        {
            "number": persons,
            "namespace": namespaces,
            "identifier": _written(namespaces, bare, pseudonym),
            "rule": _RULES.take(pa.array(_rule_of_node(nodes, edges, found, len(lone))[there])),
            "first_seen": pa.array(first).cast(_MOMENT),
            "last_seen": pa.array(last).cast(_MOMENT),
        }
    )
    keys = ("number", "namespace", "identifier", "rule", "first_seen", "last_seen")
    ordered = table.sort_by([(key, "ascending") for key in keys])
    ids = pa.array([f"p-{number:06d}" for number in ordered["number"].to_pylist()], pa.string())
    return ordered.append_column("person_id", ids).select(PEOPLE.names).cast(PEOPLE)


def registry_table(registry: Mapping[str, str]) -> pa.Table:
    """Return the registry, anchor to person id, in the order of ids."""
    rows = sorted((person_id, anchor) for anchor, person_id in registry.items())
    return table_of([{"person_id": person_id, "anchor": anchor} for person_id, anchor in rows], REGISTRY)


def evidence_table(nodes: Nodes, edges: Edges, found: Clusters, pseudonym: Pseudonymiser) -> pa.Table:
    """Return the edges, used or refused: on what each person rests."""
    columns: dict[str, pa.Array] = {}
    share = edges.right >= nodes.first_share  # the device first, as everywhere
    left, right = np.where(share, edges.right, edges.left), np.where(share, edges.left, edges.right)
    for side, ends in (("left", left), ("right", right)):
        namespaces, values = nodes.shown(ends)
        columns |= {
            f"{side}_namespace": namespaces,
            f"{side}_identifier": _written(namespaces, values, pseudonym),
        }
    by_hand = pa.array(edges.priority < 0)
    times = {
        name: pc.if_else(by_hand, None, pa.array(column).cast(_MOMENT))
        for name, column in (("first_seen", edges.first_seen), ("last_seen", edges.last_seen))
    }
    table = pa.table(
        {
            **columns,
            "rule": _RULES.take(pa.array(_rule_of_edge(nodes, edges))),
            "events": edges.events,
            **times,
            "refused_by": pa.array(GUARDS, pa.string()).take(pa.array(found.refused_by)),
        }
    )
    return table.sort_by([(name, "ascending") for name in EVIDENCE_KEY]).cast(EVIDENCE)


def refused_table(
    nodes: Nodes, edges: Edges, found: Clusters, refusals: Sequence[Refusal], pseudonym: Pseudonymiser
) -> pa.Table:
    """Return what was not merged, and by which rule."""
    cut = np.flatnonzero(found.refused_by)
    columns = (edges.left, edges.right, found.refused_by, edges.events, edges.first_seen)
    told = [
        Refusal(nodes[one], nodes[other], str(GUARDS[rule]), events, first)
        for one, other, rule, events, first in zip(*(column[cut].tolist() for column in columns), strict=True)
    ]
    rows = []
    for refusal in (*refusals, *told):
        left, right = shown(refusal.left), shown(refusal.right)
        rows.append(
            {
                "left_namespace": left.namespace,
                "left_identifier": pseudonym(*left),
                "right_namespace": right.namespace,
                "right_identifier": pseudonym(*right),
                "rule": refusal.rule,
                "events": refusal.events,
                "first_seen": refusal.first_seen,
            }
        )
    rows.sort(key=lambda row: tuple(map(str, row.values())))
    return table_of(rows, REFUSED)
