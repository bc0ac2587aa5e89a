"""Why two identifiers are one person, or which rule keeps them apart: the shortest path of evidence (S4.9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.arrow import read_parquet
from eventlib.graph import GUARDS
from eventlib.identifiers import Node, normalise
from eventlib.identity.aliases import aliases, link_texts
from eventlib.nodes import SHARE
from eventlib.prepared import Prepared, event_files

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "Explanation",
    "Step",
    "Web",
    "device_of",
    "evidence_of",
    "explain_pair",
    "share",
    "shared_by",
    "told",
]

_EXAMPLES: Final = 3
_TOLD_OTHERWISE: Final = frozenset({"junk_identifier", *GUARDS})
"""Refusals that tell of no second node, since a placeholder stands for nobody, and those that the evidence tells of."""


class Step(NamedTuple):
    """One piece of evidence, from one identifier to the next."""

    left: Node
    right: Node
    rule: str
    events: int
    first_seen: Any
    last_seen: Any
    refused_by: str | None

    def turned(self) -> Step:
        """Return it from the other side."""
        return self._replace(left=self.right, right=self.left)


def share(device: str, user: str) -> Node:
    """Return a user's share of a shared device; identifiers may hold any character."""
    return Node(SHARE, f"{len(device)}:{device}{user}")


def shared_by(node: Node) -> tuple[str, str]:
    """Return device and user of a share.

    >>> shared_by(share("a:1", "u-1"))
    ('a:1', 'u-1')
    """
    size, _, both = node.value.partition(":")
    return both[: int(size)], both[int(size) :]


def device_of(node: Node) -> str | None:
    """Return the device that a node is, or is a share of."""
    if node.namespace == SHARE:
        return shared_by(node)[0]
    return node.value if node.namespace == "anonymous_id" else None


def told(node: Node) -> str:
    """Return a node as `namespace:identifier`; a user's share of a device is the device.

    >>> told(share("a-1", "u-1"))
    'anonymous_id:a-1'
    """
    return f"anonymous_id:{device_of(node)}" if node.namespace == SHARE else ":".join(node)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    yield from table.to_pylist()


def _step(row: dict[str, Any]) -> Step:
    left = Node(row["left_namespace"], row["left_identifier"])
    right = Node(row["right_namespace"], row["right_identifier"])
    if row["rule"] == "shared_device":
        left = share(left.value, right.value)  # the device's side stands for the user's share of it
    return Step(
        left, right, row["rule"], row["events"], row["first_seen"], row["last_seen"], row["refused_by"]
    )


def evidence_of(prepared: Prepared) -> list[Step]:
    """Return the evidence of a dataset that its people rest on, used or refused."""
    return [_step(row) for row in _rows(read_parquet(prepared.folder / "evidence.parquet"))]


def _kept_apart(prepared: Prepared) -> list[Step]:
    """Return what was refused before it became evidence: shared, public and junk identifiers."""
    table = read_parquet(prepared.folder / "refused_merges.parquet")
    return [
        Step(
            Node(row["left_namespace"], row["left_identifier"]),
            Node(row["right_namespace"], row["right_identifier"]),
            row["rule"], row["events"], row["first_seen"], None, row["rule"],
        )
        for row in _rows(table)
        if row["rule"] not in _TOLD_OTHERWISE
    ]  # fmt: skip


class Web:
    """Evidence by node, to be walked along."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.of: dict[Node, list[Step]] = defaultdict(list)
        self.shares: dict[Node, set[Node]] = defaultdict(set)
        for step in steps:
            self.of[step.left].append(step)
            self.of[step.right].append(step.turned())
            for node in (step.left, step.right):
                if node.namespace == SHARE:
                    self.shares[Node("anonymous_id", shared_by(node)[0])].add(node)

    def ends(self, nodes: Iterable[Node]) -> set[Node]:
        """Return identifiers with every user's share of those that are shared devices."""
        found = set(nodes)
        return found.union(*(self.shares[node] for node in found if node in self.shares))

    def path(self, starts: Iterable[Node], goals: Iterable[Node], *, refused: bool) -> list[Step]:
        """Return the shortest path; of those over `refused` evidence one with as little of it as can be."""
        ends = self.ends(goals)
        queue = [((0, 0), node) for node in sorted(self.ends(starts))]
        came: dict[Node, Step | None] = {}
        waiting: list[tuple[tuple[int, int], Node, Step | None]] = [(*item, None) for item in queue]
        while waiting:
            (against, length), node, by = heappop(waiting)
            if node in came:
                continue
            came[node] = by
            if node in ends:
                return _walked(came, node)
            for step in self.of.get(node, ()):
                if step.right not in came and (refused or step.refused_by is None):
                    cost = (against + (step.refused_by is not None), length + 1)
                    heappush(waiting, (cost, step.right, step))
        return []


def _walked(came: dict[Node, Step | None], node: Node) -> list[Step]:
    steps = []
    while (step := came[node]) is not None:
        steps.append(step)
        node = step.left
    return steps[::-1]


class _Examples:
    """Event ids behind a piece of evidence, in total order."""

    _COLUMNS: Final = ("event_id", "event_name", "anonymous_id", "user_id")

    def __init__(self, prepared: Prepared) -> None:
        self.files = event_files(prepared.folder)
        self.normal = aliases(prepared)
        self.plain = bool(prepared.run["parameters"]["plain_identifiers"])

    def _read(self, which: pc.Expression, *more: str) -> pa.Table:
        columns = [*self._COLUMNS, *more]
        found = [
            read_parquet(file, columns=columns, which=which & pc.field("allow_identity"))
            for file in self.files
        ]
        return pa.concat_tables(found)

    def _forms(self, value: str) -> pa.Array:
        """Return an identifier in all forms in which events hold it."""
        return pa.array(
            [value, *(raw for raw, normal in self.normal.items() if normal == value)], pa.string()
        )

    def of(self, step: Step) -> list[str]:
        device = next((name for node in step[:2] if (name := device_of(node)) is not None), None)
        user = next((node.value for node in step[:2] if node.namespace == "user_id"), None)
        together: list[str] = []
        if device is not None and user is not None and step.rule != "identity_link":
            both = pc.field("anonymous_id").isin(self._forms(device)) & pc.field("user_id").isin(
                self._forms(user)
            )
            together = self._read(both)["event_id"][:_EXAMPLES].to_pylist()
        return together or self._links(step)

    def _links(self, step: Step) -> list[str]:
        """Return links that name both, or that one of them sent."""
        table = self._read(pc.field("event_name") == "identity_link", "properties")
        found: list[str] = []
        for row in table.to_pylist():
            named = {self._node(*each) for each in orjson.loads(next(link_texts([row["properties"]])))}
            named |= {self._node(ns, row[ns]) for ns in ("anonymous_id", "user_id") if row[ns] is not None}
            if {Node(*step.left), Node(*step.right)} <= named and len(found) < _EXAMPLES:
                found.append(row["event_id"])
        return found

    def _node(self, namespace: str, value: str) -> Node:
        return Node(namespace, normalise(namespace, value) if self.plain else self.normal.get(value, value))


class Explanation(dict[str, Any]):
    """Why two identifiers are one person or are not.

    The keys: `same` (bool), `persons` (person ids of each side), `path` (list of steps, each with `from`, `to`, `rule`,
    `events`, `first_seen`, `last_seen`, `event_ids` and `refused_by`, null where it was used), `apart_by` (the rules that
    refused, where they are not the same; empty where no evidence leads from one to the other), `refused` (all refusals
    that touch either), and `proposal` where a must-link or cannot-link was proposed.
    """

    def text(self) -> str:
        """Return it in words, a line each; what steers a terminal is replaced."""
        lines = ("".join(c if c.isprintable() else "\ufffd" for c in line) for line in _words(self))
        return "\n".join(lines)

    def figure(self) -> go.Figure:
        """Return it as a figure: identifiers along the path, each piece of evidence between them."""
        from eventlib.report.plots_identity import path_figure  # noqa: PLC0415  # plotly is not needed for the words

        return path_figure(self)

    def _repr_html_(self) -> str:
        from eventlib.report.safe import escape_html  # noqa: PLC0415  # only where it is displayed

        return f"<pre>{escape_html(self.text())}</pre>"


def _period(step: dict[str, Any]) -> str:
    first, last = step["first_seen"], step["last_seen"]
    if first is None:
        return ""
    days = f"{first:%Y-%m-%d %H:%M}"
    return f", {days}" if last is None or last == first else f", {days} to {last:%Y-%m-%d %H:%M}"


def _words(found: Explanation) -> Iterator[str]:
    people = " and ".join("/".join(ids) or "nobody" for ids in found["persons"])
    if found["same"]:
        yield f"One person: {'/'.join(sorted(set(found['persons'][0]) & set(found['persons'][1])))}."
    elif found["apart_by"]:
        yield f"Not one person: {people}. Refused by {', '.join(found['apart_by'])}."
    else:
        yield f"Not one person: {people}. No evidence leads from one to the other."
    for step in found["path"]:
        count = f"{step['events']:,} event{'' if step['events'] == 1 else 's'}"
        stated = "stated by hand" if step["rule"] == "must_link" else f"{step['rule']}, {count}"
        ids = f", such as {', '.join(step['event_ids'])}" if step["event_ids"] else ""
        against = f"; refused by {step['refused_by']}" if step["refused_by"] else ""
        yield f"  {step['from']} — {step['to']}: {stated}{_period(step)}{ids}{against}"
    yield from _proposal_words(found)


def _proposal_words(found: Explanation) -> Iterator[str]:
    proposal = found.get("proposal")
    if proposal is None:
        return
    if not proposal["changes"]:
        refused = f"it is refused by {proposal['refused_by']}" if proposal["refused_by"] else proposal["why"]
        why = f": {refused}" if refused else ""
        yield f"A {proposal['kind']} would change nothing{why}."
        return
    yield f"A {proposal['kind']} would give, of {len(proposal['before'])} people, {len(proposal['after'])}:"
    for name in ("before", "after"):
        for group in proposal[name]:
            who = group["person_id"] or "a new person"
            yield f"  {name} {who}: {', '.join(group['identifiers'])}; {group['events']:,} events"


def explain_pair(prepared: Prepared, left: set[Node], right: set[Node]) -> Explanation:
    """Explain a pair of identifiers, each given as the nodes that it may stand for.

    Parameters
    ----------
    prepared
        A prepared dataset.
    left, right
        Namespace and identifier as the dataset writes them.
    """
    people = read_parquet(
        prepared.folder / "people.parquet",
        columns=["namespace", "identifier", "person_id"],
    )
    rows = zip(*(column.to_pylist() for column in people.columns), strict=True)
    persons: dict[Node, set[str]] = defaultdict(set)
    for namespace, value, person in rows:
        persons[Node(namespace, value)].add(person)
    ids = [set[str]().union(*(persons[node] for node in nodes)) for nodes in (left, right)]
    same = bool(ids[0] & ids[1])
    web = Web([*evidence_of(prepared), *(() if same else _kept_apart(prepared))])
    path = web.path(left, right, refused=not same)
    refused = prepared.refused_merges
    touched = [node.value for nodes in (left, right) for node in nodes]
    touching = refused["left_identifier"].isin(touched) | refused["right_identifier"].isin(touched)
    examples = _Examples(prepared)
    return Explanation(
        same=same,
        persons=[sorted(each) for each in ids],
        path=[
            {
                "from": told(step.left), "to": told(step.right), "rule": step.rule, "events": step.events,
                "first_seen": step.first_seen, "last_seen": step.last_seen, "event_ids": examples.of(step),
                "refused_by": step.refused_by,
            }
            for step in path
        ],
        apart_by=list(dict.fromkeys(step.refused_by for step in path if step.refused_by)),
        refused=refused[touching].astype(object).to_dict("records"),
    )  # fmt: skip
