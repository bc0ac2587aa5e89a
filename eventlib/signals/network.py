"""The champion as an ONNX network: trees, calibration and bounds in one graph, scored without eventlib (S9)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from eventlib.ranking.features import FEATURES
from eventlib.ranking.training import LOWEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventlib.ranking.training import FittedRanker

__all__ = ["INPUT", "OUTPUT", "TOLERANCE", "parity", "score", "to_onnx"]

INPUT: Final = "features"
OUTPUT: Final = "relevance"
OPSET: Final = 17
IR_VERSION: Final = 8
"""Both old enough for every runtime of the last years."""

TOLERANCE: Final = 1e-5
"""Largest difference between the library's score and the network's: float32 sums of 60 leaves."""


def to_onnx(ranker: FittedRanker) -> bytes:
    """Return the ranker as ONNX: float32 (rows, features) in, relevance (rows, 1) out, the same bytes every time.

    Calibration and bounds are nodes behind the trees, so that whoever runs the network gets the signal itself.
    """
    width = len(FEATURES)
    initial = [(INPUT, FloatTensorType([None, width]))]
    with warnings.catch_warnings():
        # skl2onnx 1.20 writes booleans where protobuf 6 wants integers and says so; 7 will refuse (pyproject pins it)
        warnings.filterwarnings("ignore", "Field onnx.AttributeProto.ints", DeprecationWarning)
        model = convert_sklearn(ranker.regressor, name="ranker", initial_types=initial, target_opset=OPSET)
    graph = model.graph
    raw = graph.output[0].name
    constants = {"slope": ranker.slope, "intercept": ranker.intercept, "lowest": LOWEST, "highest": 1.0}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()
    )
    graph.node.extend(
        [
            helper.make_node("Mul", [raw, "slope"], ["scaled"], name="calibrate_slope"),
            helper.make_node("Add", ["scaled", "intercept"], ["calibrated"], name="calibrate_intercept"),
            helper.make_node("Clip", ["calibrated", "lowest", "highest"], [OUTPUT], name="bounds"),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1]))
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "eventlib", ""
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def score(network: bytes, design: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return relevance as the ONNX runtime computes it, shape (rows,)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: np.ascontiguousarray(design, dtype=np.float32)})
    return np.asarray(found, dtype=np.float64).ravel()


def parity(network: bytes, design: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """Return the largest difference between the network's scores and those expected; 0 for no rows."""
    return float(np.abs(score(network, design) - expected).max(initial=0.0)) if len(design) else 0.0
