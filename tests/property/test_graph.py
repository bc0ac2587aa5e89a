"""S4.3, S4.5, S4.6, S4.8 for any graph: against a plain-Python reference, which adds one edge after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlib import graph
from eventlib.graph import GUARDS, Edges, Integers, Limits, cluster

Row = tuple[int, int, int, int, int, int]
Pair = tuple[int, int]


@dataclass(frozen=True)
class World:
    """Nodes, some of them users; edges; and pairs told apart."""

    users: list[bool]
    rows: list[Row]
    apart: list[Pair]
    cut: int

    def found(self, rows: list[Row] | None = None) -> tuple[list[int], dict[Row, str | None]]:
        """Cluster; return canonical labels and what refused each edge."""
        edges = self.rows if rows is None else rows
        made = cluster(
            np.array(self.users, bool), Edges.of(edges), Limits(component_cut=self.cut), self.parted()
        )
        refused = [GUARDS[rule] for rule in made.refused_by]
        return canonical(made.label.tolist()), dict(zip(edges, refused, strict=True))

    def parted(self) -> Integers:
        return np.array(self.apart, np.int64).reshape(-1, 2)

    def groups(self) -> list[set[int]]:
        """Users that explicit links make one, of each node."""
        group = [{n} if user else set() for n, user in enumerate(self.users)]
        told = {frozenset(pair) for pair in self.apart}
        for left, right, priority, *_ in self.rows:
            if priority <= 0 and self.users[left] and self.users[right] and {left, right} not in told:
                both = group[left] | group[right]
                for node in both:
                    group[node] = both
        return group

    def reference(self) -> tuple[list[int], set[Row]]:
        """Add edges in the total order, each unless it breaks a rule; return labels and the edges refused."""
        whose, cluster_of = self.groups(), {n: frozenset([n]) for n in range(len(self.users))}
        refused = set()
        for row in sorted(self.rows, key=lambda r: (r[2], -r[3], r[4], min(r[:2]), max(r[:2]))):
            one, other = (cluster_of[end] for end in row[:2])
            if one == other:
                continue
            both = one | other
            users = {frozenset(whose[n]) for n in both if self.users[n]}
            if len(users) > 1 or len(both) > self.cut or any(set(pair) <= both for pair in self.apart):
                refused.add(row)
            else:
                cluster_of |= dict.fromkeys(both, both)
        return canonical([min(cluster_of[n]) for n in range(len(self.users))]), refused


def canonical(labels: list[int]) -> list[int]:
    seen: dict[int, int] = {}
    return [seen.setdefault(label, len(seen)) for label in labels]


@st.composite
def worlds(draw: Any) -> World:
    size = draw(st.integers(1, 14))
    node = st.integers(0, size - 1)
    pair = st.tuples(node, node).filter(lambda ends: ends[0] < ends[1])
    row = st.tuples(pair, st.integers(-1, 1), st.integers(1, 3), st.integers(0, 3))
    rows = draw(st.lists(row, max_size=24, unique_by=lambda r: (r[0], r[1]))) if size > 1 else []
    apart = draw(st.lists(pair, max_size=3)) if size > 1 else []
    users = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    edges = [(*ends, priority, events, first, 9) for ends, priority, events, first in rows]
    return World(users, edges, apart, draw(st.sampled_from([3, 6, 500])))


@given(world=worlds(), slow=st.sampled_from([0, 3, 10**6]))
def test_any_graph_is_cut_as_if_edge_by_edge(world: World, slow: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_SLOW", slow)  # all in rounds, mixed, or all one by one
        label, refused = world.found()
    expected, against = world.reference()
    assert label == expected
    assert {row for row, rule in refused.items() if rule} == against


@given(world=worlds(), seed=st.randoms(use_true_random=False))
def test_the_order_of_edges_changes_nothing(world: World, seed: Any):
    shuffled = world.rows.copy()
    seed.shuffle(shuffled)
    assert world.found(shuffled) == world.found()


@given(world=worlds())
def test_no_cluster_holds_two_users_that_nothing_links_or_what_was_told_apart(world: World):
    label, _ = world.found()
    whose = world.groups()
    for one in range(len(label)):
        for other in range(len(label)):
            if label[one] == label[other] and world.users[one] and world.users[other]:
                assert other in whose[one]
    assert not any(label[one] == label[other] for one, other in world.apart)
    assert max(map(label.count, label)) <= world.cut


@given(world=worlds(), kept=st.integers(0, 30))
def test_what_happens_in_one_component_is_nothing_to_another(world: World, kept: int):
    size = len(world.users)
    beside = [(a + size, b + size, *rest) for a, b, *rest in world.rows[: kept % (len(world.rows) + 1)]]
    both = World(world.users * 2, [*world.rows, *beside], world.apart, world.cut)  # type: ignore[list-item]  # rows
    assert canonical(both.found()[0][:size]) == world.found()[0]


def test_a_long_chain_and_a_star_of_many_edges_are_decided():
    chain = Edges.of((n, n + 1, 1, 1, n, n) for n in range(3000))
    found = cluster(np.zeros(3001, bool), chain)
    assert np.bincount(found.label).max() == 500
    star = Edges.of((0, n, 1, n, 0, 0) for n in range(1, 2001))
    found = cluster(np.zeros(2001, bool), star)
    assert (found.label == found.label[0]).sum() == 500
    assert found.label[2000] == found.label[0], "the strongest evidence stays"
