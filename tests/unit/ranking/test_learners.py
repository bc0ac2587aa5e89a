"""S8.3 with either learner: the same trees for the same rows, on one thread, never turned against a history."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from eventlib.errors import BadCallError
from eventlib.ranking import Options, train_ranking
from eventlib.ranking.learners import LEARNERS, check_learner, fit_regressor
from tests.unit.ranking.worlds import simulate


@pytest.fixture(params=sorted(LEARNERS))
def learner(request):
    if request.param == "lightgbm":
        pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    return request.param


def rows(n=2000, seed=0):
    """Draw four features of which two count: the first rises and then falls, the last rises."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 4)).astype(np.float32)
    true = 0.2 + 0.3 * np.sin(np.pi * x[:, 0]) + 0.3 * x[:, 3]
    return x, true + 0.1 * rng.normal(size=n), true


def test_what_is_learned_is_the_truth(learner):
    x, y, _ = rows()
    fresh, _, true = rows(seed=1)
    found = fit_regressor(learner, 0, x, y, np.ones(len(y))).predict(fresh)
    assert found.dtype == np.float64
    assert np.sqrt(np.mean((found - true) ** 2)) < 0.04
    assert np.corrcoef(found, true)[0, 1] > 0.97


def test_rows_weigh_what_they_are_given_and_only_ratios_count(learner):
    x, y, _ = rows()
    w = np.where(x[:, 1] > 0.5, 3.0, 1e-6)
    y = np.where(x[:, 1] > 0.5, 1.0, 0.0)  # without weights the second feature would decide
    found = fit_regressor(learner, 0, x[:, [0, 2]], y, w)
    assert found.predict(x[:50, [0, 2]]) == pytest.approx(1.0, abs=1e-3)
    again = fit_regressor(learner, 0, x[:, [0, 2]], y, 1000 * w)
    assert again.predict(x[:50, [0, 2]]) == pytest.approx(found.predict(x[:50, [0, 2]]), abs=1e-6)


def test_a_monotone_feature_never_lowers_the_output(learner):
    x, y, _ = rows(400)
    noisy = y + np.random.default_rng(2).normal(size=len(y))
    for monotone, holds in (([0, 0, 0, 1], True), (None, False)):
        fitted = fit_regressor(learner, 0, x, noisy, np.ones(len(y)), monotone)
        grid = np.repeat(x[:100], 50, axis=0)
        grid[:, 3] = np.tile(np.linspace(0, 1, 50), 100)
        steps = np.diff(fitted.predict(grid).reshape(100, 50), axis=1)
        assert bool((steps >= -1e-12).all()) is holds


def test_the_same_rows_give_the_same_trees(learner):
    x, y, _ = rows()
    first, second = (fit_regressor(learner, 3, x, y, np.ones(len(y))).predict(x) for _ in range(2))
    assert (first == second).all()


def test_a_learner_that_does_not_exist_is_refused_where_it_is_named():
    with pytest.raises(BadCallError, match=r"unknown learner 'lightgmb'\. Did you mean 'lightgbm'"):
        Options(learner="lightgmb")


def test_a_learner_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    for refused in (lambda: Options(learner="lightgbm"), lambda: check_learner("lightgbm")):
        with pytest.raises(BadCallError, match=r"install eventlib\[lightgbm\], or take 'hist'"):
            refused()
    check_learner("hist")


def test_a_world_is_ranked_alike_by_either_learner():
    pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    tables = simulate(answers=4000, seed=5).tables
    hist, boosted = (
        train_ranking(tables, Options(seed=3, replicates=20, learner=name)).judged
        for name in sorted(LEARNERS)
    )
    assert hist is not None
    assert boosted is not None
    design = hist.ranker.design(hist.train.cells, hist.contents)
    for name in ("debiased", "naive"):
        scores = np.stack([judged.rankers[name].predict(design) for judged in (hist, boosted)])
        assert np.corrcoef(scores[0], scores[1])[0, 1] > 0.95
        assert (scores[0] != scores[1]).any()
