"""Numbers for the nodes of the graphs: integers for what works on many, names for what is told of few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.graph import NOBODY, Integers, sorted_unique
from eventlib.identifiers import Node
from eventlib.pseudonyms import JUNK_MARK

__all__ = ["LONE", "SHARE", "Identifiers", "Nodes", "shown"]

SHARE: Final = "device/user"
"""Namespace of a user's share of a shared device (S4.4); no log can have one with this character."""

LONE: Final = "device/only"
"""Namespace of a device whose events do not allow identity (S2.4)."""

_BETWEEN: Final = "\x1f"
_DEVICE: Final = "anonymous_id"
_USER: Final = "user_id"


def shown(node: Node) -> Node:
    """Return a node as it is told of: a user's share of a device is the device.

    >>> shown(Node(SHARE, "a" + _BETWEEN + "u"))
    Node(namespace='anonymous_id', value='a')
    """
    if node.namespace in {SHARE, LONE}:
        return Node(_DEVICE, node.value.split(_BETWEEN)[0])
    return node


class Identifiers:
    """What the codes of devices and users stand for.

    Parameters
    ----------
    table
        `code` (from 1), `namespace`, and `node`: the identifier's normalised form, after `JUNK_MARK` where it is junk.
    """

    def __init__(self, table: pa.Table) -> None:
        self.codes = np.asarray(table["code"], np.int64)
        self.namespaces: pa.ChunkedArray = table["namespace"]
        self.values: pa.ChunkedArray = table["node"]
        self.size = int(self.codes.max(initial=0)) + 1
        self._place = np.full(self.size, NOBODY, np.int64)
        self._place[self.codes] = np.arange(len(self.codes))

    @classmethod
    def of(cls, nodes: Mapping[int, Node]) -> Identifiers:
        """Return what a few codes stand for."""
        names, values = ([node[part] for node in nodes.values()] for part in (0, 1))
        columns = {"code": pa.array(nodes, pa.int64()), "namespace": pa.array(names, pa.string())}
        return cls(pa.table({**columns, "node": pa.array(values, pa.string())}))

    def as_written(self, code: int) -> Node:
        """Return what a code stands for, junk marked as such."""
        place = int(self._place[code])
        return Node(self.namespaces[place].as_py(), self.values[place].as_py())

    def written(self, codes: Integers) -> pa.Array:
        """Return what codes stand for, junk marked as such."""
        return _whole(self.values.take(pa.array(self._place[codes])))

    def node(self, code: int) -> Node | None:
        """Return the node of a code; None for no code and for junk."""
        found = self.as_written(code) if code else None
        return None if found is None or found.value.startswith(JUNK_MARK) else found

    def _clean(self, namespace: str) -> tuple[Integers, pa.Array]:
        """Return the codes of a namespace that are no junk, and their nodes' values."""
        wanted = pc.and_(
            pc.equal(self.namespaces, namespace), pc.invert(pc.starts_with(self.values, JUNK_MARK))
        )
        return self.codes[np.asarray(wanted, bool)], _whole(self.values.filter(wanted))

    def numbered(self, others: Iterable[Node] = ()) -> Numbered:
        """Number the nodes of these identifiers and others."""
        stated = sorted(set(others))
        blocks, codes, places = {}, {}, {}
        for namespace in (_DEVICE, _USER):
            mine = [node.value for node in stated if node.namespace == namespace]
            codes[namespace], values = self._clean(namespace)
            every = pa.concat_arrays([values, pa.array(mine, pa.string())])
            blocks[namespace], places[namespace] = _ranked(every)
        rest = [node for node in stated if node.namespace not in blocks]
        nodes = Nodes(blocks[_DEVICE], rest, blocks[_USER])
        of_code = np.full(self.size, NOBODY, np.int64)
        of_node = {node: len(blocks[_DEVICE]) + place for place, node in enumerate(rest)}
        for namespace, first in ((_DEVICE, 0), (_USER, nodes.first_user)):
            known = len(codes[namespace])
            of_code[codes[namespace]] = first + places[namespace][:known]
            named = [node for node in stated if node.namespace == namespace]
            of_node |= dict(zip(named, (first + places[namespace][known:]).tolist(), strict=True))
        return Numbered(nodes, of_code, of_node)


@dataclass(frozen=True, slots=True)
class Numbered:
    """Nodes, and what their numbers are.

    Attributes
    ----------
    nodes : Nodes
        The nodes.
    of_code : ndarray of int64
        The node of each code; `NOBODY` for 0 and for junk.
    of_node : dict of Node to int
        The numbers of those that are no identifiers of events.
    """

    nodes: Nodes
    of_code: Integers
    of_node: dict[Node, int]


def _whole(values: pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _ranked(values: pa.Array) -> tuple[pa.Array, Integers]:
    """Return the distinct values in their order, and the place of each value among them."""
    coded = values.dictionary_encode()
    distinct, place = coded.dictionary, np.asarray(coded.indices).astype(np.int64)
    if len(distinct) < 2 or pc.all(pc.less(distinct[:-1], distinct[1:])).as_py():
        return distinct, place  # as a log's own codes have them, which rise with the pseudonyms
    order = np.asarray(pc.array_sort_indices(distinct)).astype(np.int64)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return distinct.take(pa.array(order)), rank[place]


class Nodes(Sequence[Node]):
    """Nodes by number: devices, then other identifiers, then users, then shares of devices, each in their order.

    Parameters
    ----------
    devices, users
        Sorted distinct values.
    others
        Sorted distinct nodes of other namespaces.
    """

    def __init__(self, devices: pa.Array, others: Sequence[Node], users: pa.Array) -> None:
        self.devices, self.others, self.users = devices, list(others), users
        self.first_user = len(devices) + len(others)
        self.first_share = self.first_user + len(users)
        self.shares = np.empty((0, 2), np.int64)

    def __len__(self) -> int:
        """Return how many nodes there are."""
        return self.first_share + len(self.shares)

    @overload
    def __getitem__(self, number: int) -> Node: ...
    @overload
    def __getitem__(self, number: slice) -> list[Node]: ...
    def __getitem__(self, number: int | slice) -> Node | list[Node]:
        """Return a node, or several."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        if number < len(self.devices):
            return Node(_DEVICE, self.devices[number].as_py())
        if number < self.first_user:
            return self.others[number - len(self.devices)]
        if number < self.first_share:
            return Node(_USER, self.users[number - self.first_user].as_py())
        device, user = (self[int(each)].value for each in self.shares[number - self.first_share])
        return Node(SHARE, f"{device}{_BETWEEN}{user}")

    def is_user(self, numbers: Integers | None = None) -> npt.NDArray[np.bool_]:
        """Tell which nodes are users: of the numbers given, or of all."""
        every = np.arange(len(self)) if numbers is None else numbers
        found: npt.NDArray[np.bool_] = (every >= self.first_user) & (every < self.first_share)
        return found

    def add_shares(self, devices: Integers, users: Integers) -> Integers:
        """Number users' shares of devices, each pair once however often it comes; return the numbers."""
        given = devices * self.first_share + users
        key = sorted_unique(given)
        place = np.searchsorted(key, given)
        self.shares = np.stack([key // self.first_share, key % self.first_share], axis=1)
        numbers: Integers = self.first_share + place.astype(np.int64)
        return numbers

    def shown(self, numbers: Integers) -> tuple[pa.Array, pa.Array]:
        """Return namespace and value of nodes as they are told of: a user's share of a device is the device."""
        share = numbers >= self.first_share
        named = numbers.copy()
        named[share] = self.shares[numbers[share] - self.first_share, 0]
        values = pa.concat_arrays(
            [self.devices, pa.array([node.value for node in self.others], pa.string()), self.users]
        )
        names = [_DEVICE, *sorted({node.namespace for node in self.others}), _USER]
        of_other = [names.index(node.namespace) for node in self.others]
        kinds = np.r_[np.zeros(len(self.devices), int), np.array(of_other, int)]
        kind = np.r_[kinds, np.full(len(self.users), len(names) - 1)][named]
        return pa.array(names, pa.string()).take(pa.array(kind)), values.take(pa.array(named))
