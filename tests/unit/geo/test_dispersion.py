"""S7.6: how much counts vary beyond chance."""

from __future__ import annotations

import numpy as np
import pytest

from eventlib.geo.dispersion import CellCounts, cluster_weights, dispersion
from eventlib.geo.stages import Stage


def test_dispersion_of_independent_counts_is_one():
    rng = np.random.default_rng(0)
    expected = np.full(60, 20.0)
    observed = rng.binomial(100, 0.2, 60).astype(float)
    residuals = rng.binomial(100, 0.2, (400, 60)) - expected
    assert dispersion(observed, expected, 0.2, residuals) == pytest.approx(np.ones(60), abs=0.25)


def _spread(repeats: int, inflation: float = 1.0) -> float:
    """A coin per person and page, told so often: the variance of the sum grows with the repeats."""
    rng = np.random.default_rng(1)
    person, page = np.repeat(np.arange(1_000), 30), np.tile(np.arange(30), 1_000)
    coin = (rng.random(len(person)) < 0.3).astype(float)
    rows = [np.repeat(part, repeats) for part in (person, page, coin)]
    stage = Stage(
        "satisfy", rows[1].astype(object), rows[0].astype(object), np.zeros(len(rows[0]), dtype=np.int64),
        np.full(len(rows[0]), "", dtype=object), rows[2], np.full(len(rows[0]), coin.mean()), float(coin.mean()),
        inflation=inflation,
    )  # fmt: skip
    counts = CellCounts.of(stage, rows[1], rows[0], 30)
    return float(counts.spread(list(cluster_weights(rng, 1_000, 400))).mean())


def test_what_a_person_repeats_is_no_new_evidence():
    assert _spread(1) == pytest.approx(1.0, abs=0.2)
    assert _spread(4) == pytest.approx(4.0, abs=0.8)


def test_what_was_fitted_and_is_not_refitted_adds_to_the_variance():
    assert _spread(1, inflation=1.2) == pytest.approx(1.2 * _spread(1))


def test_the_error_of_an_expectation_is_less_over_more_prompts():
    page = np.repeat(np.arange(2), 400)
    prompt = np.where(page == 0, 0, np.arange(800) % 4)  # the first page answers one prompt, the second four
    stage = Stage(
        "cite", page.astype(object), np.arange(800).astype(object), np.zeros(800, dtype=np.int64),
        np.full(800, "a", dtype=object), np.ones(800), np.ones(800), 0.5, model_error=0.1, prompt=prompt.astype(object),
    )  # fmt: skip
    assert CellCounts.of(stage, page, np.arange(800), 2).model_error() == pytest.approx([0.1, 0.05])
