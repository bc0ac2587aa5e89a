"""S7.6: theta of every page, all stages together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from eventlib.geo.posterior import Counts, joint_draws, polya_gamma


def _world(seed: int, correlation: float, pages: int = 150, trials: float = 12.0):
    """Two stages whose logits are correlated over pages, the second seen little."""
    rng = np.random.default_rng(seed)
    logits = rng.multivariate_normal(
        [-0.5, 0.3], 0.6**2 * np.array([[1, correlation], [correlation, 1]]), pages
    )
    counts = []
    for stage, size in enumerate((10 * trials, trials)):
        tried = rng.poisson(size, pages)
        happened = rng.binomial(tried, expit(logits[:, stage])).astype(float)
        base = happened.sum() / tried.sum()
        counts.append(Counts(happened, tried * base, np.ones(pages), float(base)))
    return logits, counts


def _logits(draws, counts):
    chance = np.clip(draws * counts.base, 1e-12, 1 - 1e-12)
    return np.log(chance / (1 - chance))


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_nine_in_ten_intervals_hold_the_truth(correlation):
    inside = []
    for seed in range(6):
        logits, counts = _world(seed, correlation)
        drawn = joint_draws(counts, draws=800, rng=np.random.default_rng(seed))
        for stage in (0, 1):
            low, high = np.quantile(_logits(drawn[stage], counts[stage]), [0.05, 0.95], axis=0)
            inside.append((low <= logits[:, stage]) & (logits[:, stage] <= high))
    assert 0.87 <= np.mean(inside) <= 0.93


def test_a_stage_that_is_seen_well_tells_of_one_that_is_not():
    logits, counts = _world(1, 0.8)
    together = _logits(joint_draws(counts, draws=800, rng=np.random.default_rng(0))[1], counts[1]).mean(
        axis=0
    )
    alone = _logits(joint_draws(counts[1:], draws=800, rng=np.random.default_rng(0))[0], counts[1]).mean(
        axis=0
    )
    error = [np.mean((found - logits[:, 1]) ** 2) for found in (together, alone)]
    assert error[0] < 0.8 * error[1]


def test_a_page_without_counts_is_as_uncertain_as_pages_differ():
    _, counts = _world(2, 0.0)
    observed, expected = counts[1].observed.copy(), counts[1].expected.copy()
    observed[0], expected[0] = 0.0, 0.0
    drawn = joint_draws(
        [Counts(observed, expected, np.ones(150), counts[1].base)], draws=1_600, rng=np.random.default_rng(0)
    )
    spread = _logits(drawn[0], counts[1]).std(axis=0)
    assert spread[0] == pytest.approx(0.6, abs=0.25)
    assert spread[0] > 1.3 * np.median(spread[1:])


def test_cells_are_drawn_towards_their_group():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(40), 5)
    logits = rng.normal(0, 0.8, 40)[group] + 0.1 * rng.normal(size=200)
    tried = np.full(200, 8)
    happened = rng.binomial(tried, expit(logits)).astype(float)
    counts = Counts(happened, tried * happened.mean() / 8, np.ones(200), float(happened.mean() / 8))
    errors = []
    for of in (group, None):
        drawn = joint_draws([counts], draws=800, rng=np.random.default_rng(0), group=of)[0]
        errors.append(np.mean((_logits(drawn, counts).mean(axis=0) - logits) ** 2))
    assert errors[0] < 0.6 * errors[1]


@pytest.mark.parametrize("trials", [0.3, 1.0, 5.0, 80.0])
@pytest.mark.parametrize("tilt", [0.01, 1.0, 6.0])
def test_polya_gamma_has_its_mean_and_variance(trials, tilt):
    drawn = polya_gamma(np.array([trials]), np.full((200_000, 1), tilt), np.random.default_rng(0))
    mean = trials / (2 * tilt) * np.tanh(tilt / 2)
    variance = trials / (4 * tilt**3) * (np.sinh(tilt) - tilt) / np.cosh(tilt / 2) ** 2
    assert drawn.mean() == pytest.approx(mean, rel=0.015)
    assert drawn.var() == pytest.approx(variance, rel=0.04)


def test_no_trials_weigh_nothing():
    assert (
        polya_gamma(np.zeros(3), np.ones((4, 3)), np.random.default_rng(0)).tolist()
        == np.zeros((4, 3)).tolist()
    )
