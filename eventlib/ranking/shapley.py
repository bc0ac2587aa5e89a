"""Exact Shapley values over groups of features, for boosted trees whose output is calibrated and cut (S8.7).

The worth of a coalition of groups is the mean calibrated relevance over a background, of rows that take the
coalition's features from the row explained and the others from the background (interventional: no feature is
guessed from another). A leaf is a box: a row is in it if each feature lies within the leaf's bounds. A mixed row is
in it if the row explained is, as far as the coalition goes, and the background row as far as the others go, so that
a coalition's trees are one matrix product,

    trees(x, z, S) = sum over leaves  value * inside(x, leaf, S) * inside(z, leaf, not S).

Calibration cuts at both ends, hence does not add over trees: it is applied to each pair before the mean.

Sources: Shapley, A value for n-person games, 1953; Lundberg and Lee, A unified approach to interpreting model
predictions, NeurIPS 2017; Janzing, Minorics and Bloebaum, Feature relevance quantification in explainable AI: a
causal problem, AISTATS 2020 (interventional rather than conditional).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from math import factorial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eventlib.errors import BadCallError
from eventlib.ranking.learners import BoosterRegressor, HistRegressor
from eventlib.ranking.training import LOWEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventlib.ranking.learners import Regressor
    from eventlib.ranking.training import FittedRanker

__all__ = ["MOST_GROUPS", "Leaves", "coalition_values", "read_leaves", "shapley_values"]

Floats: TypeAlias = NDArray[np.float64]

MOST_GROUPS: Final = 12
"""Coalitions double with each group; 4,096 is where seconds end."""

_BLOCK: Final = 2_048  # rows at a time: inside-or-not of 500 leaves takes 8 MB


@dataclass(frozen=True, slots=True)
class Leaves:
    """All leaves of a boosted regressor as boxes.

    Attributes
    ----------
    low, high : ndarray of float64, shape (leaves, features)
        A row is in a leaf if `low < x <= high` for every feature.
    value : ndarray of float64, shape (leaves,)
    baseline : float
        What is added to the sum of the values.
    """

    low: Floats
    high: Floats
    value: Floats
    baseline: float

    def inside(self, rows: NDArray[np.float32], columns: Sequence[int]) -> NDArray[np.bool_]:
        """Tell which rows are in which leaves as far as these features go, shape (rows, leaves)."""
        found = np.ones((len(rows), len(self.value)), dtype=bool)
        for column in columns:
            if np.isfinite(self.low[:, column]).any() or np.isfinite(self.high[:, column]).any():
                x = rows[:, [column]].astype(np.float64)
                found &= (x > self.low[:, column]) & (x <= self.high[:, column])
        return found


@singledispatch
def read_leaves(regressor: Regressor) -> Leaves:
    """Read the leaves of a fitted regressor whose features are numbers without gaps.

    scikit-learn has no public view of its trees; what is read here is compared with `predict` by a test.
    """
    raise TypeError(f"no leaves of {type(regressor).__name__}")  # every learner has them below


@read_leaves.register
def _(regressor: HistRegressor) -> Leaves:
    model = regressor.model
    split = ("is_leaf", "value", "feature_idx", "num_threshold", "left", "right")
    boxes: list[tuple[Floats, Floats, float]] = []
    for (tree,) in model._predictors:  # noqa: SLF001  # as said above
        nodes = tree.nodes[list(split)].tolist()

        def node(i: int, nodes: Any = nodes) -> Any:
            leaf, value, feature, threshold, left, right = nodes[i]
            return value if leaf else (feature, threshold, left, right)

        boxes += _boxes(node, 0, model.n_features_in_)
    return _leaves(boxes, float(np.ravel(model._baseline_prediction)[0]))  # noqa: SLF001


@read_leaves.register
def _(regressor: BoosterRegressor) -> Leaves:
    dump = regressor.model.dump_model()

    def node(branch: dict[str, Any]) -> Any:
        if "leaf_value" in branch:
            return branch["leaf_value"]
        return branch["split_feature"], branch["threshold"], branch["left_child"], branch["right_child"]

    boxes = [
        box
        for tree in dump["tree_info"]
        for box in _boxes(node, tree["tree_structure"], dump["max_feature_idx"] + 1)
    ]
    return _leaves(boxes, 0.0)


def _boxes(node: Callable[[Any], Any], root: Any, width: int) -> list[tuple[Floats, Floats, float]]:
    """Walk a tree: `node` gives a leaf's value, or a split's feature, threshold and two children."""
    every, boxes = np.full(width, np.inf), []
    stack = [(root, -every, every)]
    while stack:
        at, low, high = stack.pop()
        found = node(at)
        if isinstance(found, float):
            boxes.append((low, high, found))
            continue
        feature, threshold, left, right = found
        below, above = high.copy(), low.copy()
        below[feature], above[feature] = min(high[feature], threshold), max(low[feature], threshold)
        stack += [(left, low, below), (right, above, high)]
    return boxes


def _leaves(boxes: list[tuple[Floats, Floats, float]], baseline: float) -> Leaves:
    low, high, value = (np.array(part) for part in zip(*boxes, strict=True))
    return Leaves(low, high, value, baseline)


def coalition_values(
    ranker: FittedRanker,
    rows: NDArray[np.float32],
    background: NDArray[np.float32],
    weights: Floats,
    groups: Sequence[Sequence[int]],
) -> Floats:
    """Return what each coalition of groups is worth for each row.

    Parameters
    ----------
    ranker
        A fitted ranker.
    rows
        What to explain, shape (rows, features), float32 without NaN.
    background
        What features are replaced by, shape (background rows, features).
    weights
        Of the background rows, any positive scale.
    groups
        Columns of each group; together each column once.

    Returns
    -------
    ndarray
        Mean calibrated relevance, shape (2 ** groups, rows). Bit `i` of a coalition's number is group `i`: the first
        is the mean of the background, the last the row's own signal.

    Raises
    ------
    BadCallError
        More than twelve groups, or groups that do not hold each column once.
    """
    _check_groups(groups, rows.shape[1])
    leaves = read_leaves(ranker.regressor)
    share = weights / weights.sum()
    theirs = [leaves.inside(background, columns) for columns in groups]
    found = np.empty((1 << len(groups), len(rows)))
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        ours = [leaves.inside(rows[block], columns) for columns in groups]
        for coalition in range(len(found)):
            x = _all_of(ours, coalition) * leaves.value
            z = _all_of(theirs, ~coalition).astype(np.float64)
            relevance = ranker.intercept + ranker.slope * (leaves.baseline + x @ z.T)
            found[coalition, block] = np.clip(relevance, LOWEST, 1.0) @ share
    return found


def _check_groups(groups: Sequence[Sequence[int]], columns: int) -> None:
    if len(groups) > MOST_GROUPS:
        raise BadCallError(f"{len(groups)} groups of features; exact values are for at most {MOST_GROUPS}")
    if sorted(column for group in groups for column in group) != list(range(columns)):
        raise BadCallError(f"groups of features must hold each of the {columns} columns once")


def _all_of(inside: Sequence[NDArray[np.bool_]], coalition: int) -> NDArray[np.bool_]:
    """Tell which rows are in which leaves as far as the groups of a coalition go."""
    members = [part for i, part in enumerate(inside) if coalition >> i & 1]
    return np.logical_and.reduce(members) if members else np.ones(inside[0].shape, dtype=bool)


def shapley_values(worth: Floats) -> Floats:
    """Return each group's Shapley value from what every coalition is worth.

    Parameters
    ----------
    worth
        Shape (2 ** groups, rows), as `coalition_values` returns it.

    Returns
    -------
    ndarray
        Shape (rows, groups). A row's values add up to the last coalition's worth less the first's.

    Examples
    --------
    Two groups that are worth something only together share it; a third adds 1 to whatever there is:

    >>> together = np.array([0, 0, 0, 4, 1, 1, 1, 5.0])
    >>> shapley_values(together[:, None]).tolist()
    [[2.0, 2.0, 1.0]]
    """
    groups = len(worth).bit_length() - 1
    coalitions = np.arange(len(worth))
    size = np.bitwise_count(coalitions)
    orders = np.array(
        [factorial(k) * factorial(groups - k - 1) / factorial(groups) for k in range(groups)] or [1.0]
    )
    found = np.empty((worth.shape[1], groups))
    for group in range(groups):
        without = coalitions[coalitions >> group & 1 == 0]
        found[:, group] = orders[size[without]] @ (worth[without | 1 << group] - worth[without])
    return found
