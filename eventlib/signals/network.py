"""The champion as an ONNX network: trees, calibration and bounds in one graph, scored without eventlib (S9).

ONNX compares float32 with float32, the learners with float64 thresholds. A float32 is at most a threshold exactly if
it is at most the largest float32 that is no larger than the threshold: thresholds are rounded down, never to the
nearest, and every row falls into the leaf that it fell into in training.
"""

from __future__ import annotations

import copy
import warnings
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from eventlib.ranking.features import FEATURES
from eventlib.ranking.learners import BoosterRegressor, HistRegressor, Regressor
from eventlib.ranking.training import LOWEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventlib.ranking.training import FittedRanker

__all__ = ["INPUT", "OUTPUT", "TOLERANCE", "open_session", "parity", "score", "to_onnx"]

INPUT: Final = "features"
OUTPUT: Final = "relevance"
OPSETS: Final = {"": 17, "ai.onnx.ml": 1}
IR_VERSION: Final = 8
"""All old enough for every runtime of the last years."""

TOLERANCE: Final = 1e-5
"""Largest difference between the library's score and the network's: float32 sums of 60 leaves."""

_RAW: Final = "raw"


def to_onnx(ranker: FittedRanker) -> bytes:
    """Return the ranker as ONNX: float32 (rows, features) in, relevance (rows, 1) out, the same bytes every time.

    Calibration and bounds are nodes behind the trees, so that whoever runs the network gets the signal itself.
    """
    constants = {"slope": ranker.slope, "intercept": ranker.intercept, "lowest": LOWEST, "highest": 1.0}
    graph = helper.make_graph(
        [
            _trees(ranker.regressor),
            helper.make_node("Mul", [_RAW, "slope"], ["scaled"], name="calibrate_slope"),
            helper.make_node("Add", ["scaled", "intercept"], ["calibrated"], name="calibrate_intercept"),
            helper.make_node("Clip", ["calibrated", "lowest", "highest"], [OUTPUT], name="bounds"),
        ],
        "ranker",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, len(FEATURES)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid(domain, number) for domain, number in OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="eventlib")
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


_LEAF: Final[dict[str, Any]] = {
    "treeids": 0, "nodeids": 0, "modes": "LEAF", "featureids": 0, "values": 0.0, "truenodeids": 0, "falsenodeids": 0,
}  # fmt: skip
"""Columns of a tree's nodes, as the operator names them, and what they hold for a leaf."""


@singledispatch
def _trees(regressor: Regressor) -> onnx.NodeProto:
    """Return the trees as a node from `INPUT` to `_RAW`."""
    raise TypeError(f"no ONNX form of {type(regressor).__name__}")  # every learner has one below


@_trees.register
def _hist_trees(regressor: HistRegressor) -> onnx.NodeProto:
    rounded = copy.deepcopy(regressor.model)
    for (tree,) in rounded._predictors:  # noqa: SLF001  # where scikit-learn keeps its trees, and the converter reads them
        tree.nodes["num_threshold"] = _round_down(tree.nodes["num_threshold"])
    initial = [(INPUT, FloatTensorType([None, rounded.n_features_in_]))]
    with warnings.catch_warnings():
        # skl2onnx 1.20 writes booleans where protobuf 6 wants integers and says so; 7 will refuse (pyproject pins it)
        warnings.filterwarnings("ignore", "Field onnx.AttributeProto.ints", DeprecationWarning)
        converted = convert_sklearn(rounded, initial_types=initial, target_opset=OPSETS[""])
    node: onnx.NodeProto
    (node,) = converted.graph.node
    node.name, node.output[0] = "trees", _RAW
    return node


@_trees.register
def _booster_trees(regressor: BoosterRegressor) -> onnx.NodeProto:
    roots = [tree["tree_structure"] for tree in regressor.model.dump_model()["tree_info"]]
    nodes = [node for tree, root in enumerate(roots) for node in _flat(tree, root)]
    leaves = [node for node in nodes if node["modes"] == "LEAF"]
    attributes: dict[str, Any] = {f"nodes_{name}": [node[name] for node in nodes] for name in _LEAF}
    attributes |= {
        f"target_{name}": [leaf[name] for leaf in leaves] for name in ("treeids", "nodeids", "weights")
    }
    attributes |= {"target_ids": [0] * len(leaves), "n_targets": 1}
    return helper.make_node(
        "TreeEnsembleRegressor", [INPUT], [_RAW], name="trees", domain="ai.onnx.ml", **attributes
    )


def _flat(tree: int, root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nodes of a tree as LightGBM dumps it, each before its children; leaves have `weights` too."""
    nodes: list[dict[str, Any]] = []

    def add(branch: dict[str, Any]) -> int:
        node = _LEAF | {"treeids": tree, "nodeids": len(nodes)}
        nodes.append(node)
        if "leaf_value" in branch:
            node["weights"] = branch["leaf_value"]
        else:
            assert branch["decision_type"] == "<=", "no feature is a category"
            node["modes"], node["featureids"] = "BRANCH_LEQ", branch["split_feature"]
            node["values"] = float(_round_down(branch["threshold"]))
            node["truenodeids"], node["falsenodeids"] = add(branch["left_child"]), add(branch["right_child"])
        number: int = node["nodeids"]
        return number

    add(root)
    return nodes


def _round_down(thresholds: Any) -> NDArray[np.float32]:
    """Return the largest float32 that is no larger than each float64."""
    exact = np.asarray(thresholds, np.float64)
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > exact, below, nearest)


def open_session(network: bytes) -> onnxruntime.InferenceSession:
    """Open a network on one thread: a few rows are scored sooner than a second thread wakes up."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def score(network: bytes, design: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return relevance as the ONNX runtime computes it, shape (rows,)."""
    session = open_session(network)
    (found,) = session.run([OUTPUT], {INPUT: np.ascontiguousarray(design, dtype=np.float32)})
    return np.asarray(found, dtype=np.float64).ravel()


def parity(network: bytes, design: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """Return the largest difference between the network's scores and those expected; 0 for no rows."""
    return float(np.abs(score(network, design) - expected).max(initial=0.0)) if len(design) else 0.0
