"""S9: the network scores as the library does, for either learner, rows that stand on a threshold included."""

from __future__ import annotations

import numpy as np
import onnx
import pandas as pd
import pytest

from eventlib.ranking.features import CONTENT_FEATURES, FEATURES
from eventlib.ranking.learners import LEARNERS, fit_regressor
from eventlib.ranking.training import FittedRanker
from eventlib.signals import network

WIDTH = len(FEATURES)
MONOTONE = [0] * len(CONTENT_FEATURES) + [1] * (WIDTH - len(CONTENT_FEATURES))


@pytest.fixture(params=sorted(LEARNERS))
def learner(request):
    if request.param == "lightgbm":
        pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    return request.param


def rows(n: int, seed: int = 0):
    """Draw features: counts, tenths, and reals."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, WIDTH))
    x[:, ::3] = np.round(x[:, ::3], 1)
    x[:, 1::3] = rng.poisson(20, x[:, 1::3].shape)
    return x.astype(np.float32)


def ranker(learner, n=3000, seed=0):
    x = rows(n, seed)
    rng = np.random.default_rng(seed + 1)
    y = np.clip(0.3 + 0.1 * (x[:, 0] - x[:, 2]) + 0.02 * (x[:, 1] - 20) + 0.1 * rng.normal(size=n), 0, 1)
    regressor = fit_regressor(learner, seed, x, y, rng.random(n) + 0.1, MONOTONE)
    return FittedRanker(regressor, 0.02, 0.95, pd.DataFrame(), 0.3, 0, np.empty((0, 5)))


def thresholds(fitted):
    """List (feature, threshold) of every split, as the learner keeps them."""
    model = fitted.regressor.model
    if hasattr(model, "_predictors"):
        nodes = np.concatenate([tree.nodes for (tree,) in model._predictors])
        inner = nodes[nodes["is_leaf"] == 0]
        return list(zip(inner["feature_idx"].tolist(), inner["num_threshold"].tolist(), strict=True))
    table = model.trees_to_dataframe().dropna(subset=["threshold"])
    feature = table["split_feature"].str.removeprefix("Column_").astype(int)
    return list(zip(feature.tolist(), table["threshold"].astype(float).tolist(), strict=True))


def on_thresholds(fitted, n=10_000):
    """Draw rows of which every other has three features on a threshold: the nearest float32, or one beside it."""
    x, rng = rows(n, seed=9), np.random.default_rng(3)
    splits = thresholds(fitted)
    assert len(splits) > 200
    for i in range(0, n, 2):
        for j in rng.integers(0, len(splits), 3):
            feature, at = splits[j][0], np.float32(splits[j][1])
            steps = {0: at, 1: np.nextafter(at, np.float32(np.inf)), 2: np.nextafter(at, np.float32(-np.inf))}
            x[i, feature] = steps[i // 2 % 3]
    return x


def test_no_row_is_scored_otherwise_than_by_the_library(learner):
    fitted = ranker(learner)
    x = on_thresholds(fitted)
    found, expected = network.score(network.to_onnx(fitted), x), fitted.predict(x)
    assert expected.std() > 0.02
    assert int((np.abs(found - expected) > network.TOLERANCE).sum()) == 0
    # rounding to the nearest would not do: rows on such a threshold fall on its other side
    assert any(float(np.float32(at)) > at for _, at in thresholds(fitted))


def test_two_conversions_and_two_fits_give_the_same_bytes(learner):
    fitted = ranker(learner)
    before = fitted.predict(rows(500, seed=4))
    first = network.to_onnx(fitted)
    assert network.to_onnx(fitted) == first
    assert (fitted.predict(rows(500, seed=4)) == before).all()  # converting leaves the ranker as it is
    assert network.to_onnx(ranker(learner)) == first
    assert network.to_onnx(ranker(learner, seed=1)) != first


def test_a_network_names_each_operator_set_once_and_knows_its_width(learner):
    model = onnx.load_from_string(network.to_onnx(ranker(learner)))
    assert {entry.domain: entry.version for entry in model.opset_import} == network.OPSETS
    assert len(model.opset_import) == 2
    assert [node.op_type for node in model.graph.node] == ["TreeEnsembleRegressor", "Mul", "Add", "Clip"]
    assert model.graph.input[0].type.tensor_type.shape.dim[1].dim_value == WIDTH


@pytest.mark.parametrize("n", [1, 10])
def test_too_few_rows_to_split_give_a_constant(learner, n):
    fitted = ranker(learner, n=n)
    x = rows(50, seed=4)
    assert np.ptp(fitted.predict(x)) == 0
    assert network.parity(network.to_onnx(fitted), x, fitted.predict(x)) <= network.TOLERANCE


def test_thresholds_are_rounded_down():
    exact = np.array([0.1, 0.25, -0.1, 1e300, -1e-60, 0.0])
    found = network._round_down(exact)
    assert found.dtype == np.float32
    assert (found <= exact).all()
    with np.errstate(over="ignore"):  # nothing finite is next after the largest
        assert (np.nextafter(found, np.float32(np.inf)) > exact).all()
    assert found[1] == np.float32(0.25)
