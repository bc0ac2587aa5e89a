"""Whom an erasure is about: from the identifiers that were given to all that is the person's, as tombstones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from eventlib.consent import Subjects, subjects
from eventlib.engine import connect
from eventlib.evidence import rows_naming
from eventlib.identifiers import Node
from eventlib.identity import number_of
from eventlib.incremental import Base
from eventlib.nodes import LONE, SHARE
from eventlib.prepared import Prepared
from eventlib.pseudonyms import JUNK_MARK, Pseudonymiser
from eventlib.state_graph import StateGraph
from eventlib.tombstones import ERASED, Tombstones

__all__ = ["Reach", "people_of", "reach"]


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom an erasure takes.

    Attributes
    ----------
    tombstones : Tombstones
        Those of before and of this erasure.
    nodes : frozenset of Node
        Identifiers, as pseudonyms, and shares of devices that are the person's.
    rows : int
        The valid events that are the person's.
    files : dict of str to int
        Of these, how many lines each log holds.
    """

    tombstones: Tombstones
    nodes: frozenset[Node]
    rows: int
    files: Mapping[str, int]


class _State(StateGraph):
    """What the state of a dataset says of identifiers and rows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, base: Base) -> None:
        super().__init__(connection, base.state)
        self.base = base

    def view_erased(self, found: Subjects) -> None:
        """Leave `erased_pair`, the (device, user) pairs that are the person's."""
        self.connection.register("of_pair", found.of_pair)
        self.connection.register("erased_subject", pa.table({"subject": pa.array(found.erased, pa.int64())}))
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE erased_pair AS SELECT anonymous, user FROM of_pair SEMI JOIN erased_subject USING (subject)"
        )

    def people(self) -> tuple[list[int], list[int]]:
        """Return the numbers of the people that erased rows belong to, and the codes of all users whose rows do."""
        persons = self.connection.execute(
            """SELECT DISTINCT person FROM fact JOIN outcome USING (row) SEMI JOIN erased_pair USING (anonymous, user)
               WHERE person IS NOT NULL AND (anonymous > 0 OR user > 0)"""
        ).fetchall()
        numbers = [int(number) for (number,) in persons]
        users = self.connection.execute(
            "SELECT DISTINCT user FROM fact JOIN outcome USING (row) WHERE user > 0 AND person IN (SELECT unnest(?::BIGINT[]))",
            [numbers],
        ).fetchall()
        return numbers, [int(code) for (code,) in users]

    def alone(self, users: Iterable[int], persons: Iterable[int]) -> list[tuple[int, str, str, int]]:
        """Return `row, source, event_digest, anonymous` of anonymous events that no identifier of their own tells.

        Those that identity gives to the person, and all in sessions in which the person was signed in: they may be theirs.
        """
        junk = [code for code in self.identifiers.codes.tolist() if self.node(code) is None]
        return self.connection.execute(
            """WITH mine AS (SELECT DISTINCT anonymous, session FROM fact JOIN outcome USING (row)
                             WHERE user IN (SELECT unnest(?::BIGINT[])) AND anonymous > 0 AND session > 0
                               AND anonymous NOT IN (SELECT unnest(?::BIGINT[])))
               SELECT row, source, event_digest::VARCHAR, fact.anonymous FROM fact JOIN outcome USING (row) LEFT JOIN mine
                 ON mine.anonymous = fact.anonymous AND mine.session = outcome.session
               WHERE user = 0 AND fact.anonymous > 0 AND (mine.session IS NOT NULL OR person IN (SELECT unnest(?::BIGINT[])))
                 AND event_digest IS NOT NULL
                 AND (fact.anonymous, user) NOT IN (SELECT (anonymous, user) FROM erased_pair)""",
            [list(users), junk, list(persons)],
        ).fetchall()

    def naming(self, gone: frozenset[Node]) -> list[int]:
        """Return the rows whose links name one of the person's identifiers, whoever sent them."""
        found = self.connection.execute("SELECT row, links FROM links").fetchall()
        return rows_naming(found, gone.__contains__)

    def view_rows(self, alone: Sequence[int]) -> None:
        """Leave `erased`, all rows that are the person's."""
        self.connection.register("erased_alone", pa.table({"row": pa.array(alone, pa.int64())}))
        self.connection.execute(
            f"""CREATE TEMP TABLE erased AS SELECT row FROM (
                  SELECT row FROM fact SEMI JOIN erased_pair USING (anonymous, user)
                  WHERE anonymous > 0 OR user > 0 UNION SELECT row FROM erased_alone)
                JOIN outcome USING (row) WHERE removed_by IS DISTINCT FROM '{ERASED}'"""  # noqa: S608  # our own name
        )

    def persons(self) -> dict[int, tuple[int, int]]:
        """Return the numbers of the people of whom no event is left, each with the codes of one of its events."""
        found = self.connection.execute(
            """SELECT person, min((anonymous, user)) FROM outcome JOIN fact USING (row) LEFT JOIN erased e USING (row)
               WHERE person IS NOT NULL GROUP BY person HAVING bool_and(e.row IS NOT NULL)"""
        ).fetchall()
        return {int(number): tuple(codes) for number, codes in found}

    def files(self) -> dict[str, int]:
        """Count the person's lines by log."""
        found = self.connection.execute(
            "SELECT file, count(*) FROM fact SEMI JOIN erased USING (row) WHERE file IS NOT NULL GROUP BY file ORDER BY file"
        ).fetchall()
        return {self.base.stamp["files"][file]: count for file, count in found}


def _uses(
    state: _State, gone: frozenset[Node], digest: Callable[[Node], str], allowed: str = "true"
) -> set[tuple[str, str]]:
    """Return with which devices and secondary identifiers each erased user was seen, as digests."""
    users = {node for node in gone if node.namespace == "user_id"}
    seen: set[tuple[Node, Node]] = set()
    pairs = state.pairs(allowed)
    for codes in zip(pairs.anonymous.tolist(), pairs.user.tolist(), strict=True):
        device, user = map(state.node, codes)
        if device and user in users:
            seen.add((device, user))
    for link in state.links(allowed):
        mine = users.intersection(link.identifiers)
        others = (node for node in link.identifiers if node.namespace != "user_id")
        seen.update(
            (other, user) for other in others for user in mine if not other.value.startswith(JUNK_MARK)
        )
    return {(digest(one), digest(other)) for one, other in seen}


def _anchors(gone: Iterable[Node]) -> set[Node]:
    """Return erased nodes with the name under which identity knows a device whose events do not allow it."""
    nodes = set(gone)
    return nodes | {Node(LONE, node.value) for node in nodes if node.namespace == "anonymous_id"}


def reach(base: Base, identifiers: Sequence[tuple[str, str]], tombstones: Tombstones, at: datetime) -> Reach:
    """Find all that is a person's in a dataset: what the suppression graph joins to the given identifiers (S2.3).

    On a device that others use too, the person's share goes, and the anonymous events of the sessions in which the person
    was signed in, since nobody can tell that they are not theirs.

    Parameters
    ----------
    base
        The dataset.
    identifiers
        Namespace and normalised value.
    tombstones
        Of before.
    at
        When.
    """
    pseudonym = Pseudonymiser(tombstones.key)
    asked = {Node(namespace, pseudonym.keyed(namespace, value)) for namespace, value in identifiers}

    def digest(node: Node) -> str:
        return tombstones.digest(*node)

    with connect() as connection:
        state = _State(connection, base)
        pairs, links = state.pairs(), state.links()

        def joined(nodes: Iterable[Node]) -> Subjects:
            asking = tombstones.asking(map(digest, nodes))
            return subjects(pairs, state.identifiers, links, tombstones=asking)

        state.view_erased(joined(asked))
        _, others = state.people()  # identity may know of more: the suppression graph's guards see more
        found = joined(asked.union(node for code in others if (node := state.node(code))))
        gone = frozenset({found.nodes[number - 1] for number in found.erased}.union(asked))
        state.view_erased(found)
        persons, _ = state.people()
        users = [
            code
            for code in state.identifiers.codes.tolist()
            if (node := state.node(code)) in gone and node.namespace == "user_id"
        ]
        alone = state.alone(users, persons)
        state.view_rows([*(row for row, *_ in alone), *state.naming(gone)])
        left = state.persons()
        of_pair = _nodes_of(found)
        return Reach(
            tombstones.added(
                at,
                subjects=map(digest, _anchors(gone)),
                uses=_uses(state, gone, digest),
                shown=_uses(state, gone, digest, "verdict_identity >= 16"),
                events=[
                    (source, event, digest(state.identifiers.as_written(code)))
                    for _, source, event, code in alone
                ],
                persons=[
                    (number, digest(node)) for number, codes in left.items() if (node := of_pair.get(codes))
                ],
                anchors=[
                    (tombstones.of_anchor(anchor), number)
                    for anchor, person_id in base.registry().items()
                    if (number := number_of(person_id)) in left
                ],
                namespaces={node.namespace for node in gone} - {SHARE},
            ),
            gone,
            int(connection.execute("SELECT count(*) FROM erased").fetchall()[0][0]),
            state.files(),
        )


def _nodes_of(found: Subjects) -> dict[tuple[int, int], Node]:
    """Return the node of each pair of codes."""
    columns = (found.of_pair[name].to_pylist() for name in ("anonymous", "user", "subject"))
    return {(a, u): found.nodes[subject - 1] for a, u, subject in zip(*columns, strict=True) if subject}


def people_of(prepared: Prepared, identifiers: Sequence[tuple[str, str]], key: bytes) -> set[Node]:
    """Return what a dataset's people table says belongs to given identifiers, and these; all that is known without state."""
    pseudonym = Pseudonymiser(key)
    plain = bool(prepared.run["parameters"]["plain_identifiers"])
    asked = {Node(namespace, pseudonym.keyed(namespace, value)) for namespace, value in identifiers}
    people = prepared.people
    named = zip(people["namespace"], people["identifier"], people["person_id"], strict=True)
    rows = [
        (Node(space, pseudonym.keyed(space, identifier) if plain else identifier), person)
        for space, identifier, person in named
    ]
    persons = {person for node, person in rows if node in asked}
    return asked | {node for node, person in rows if person in persons}
