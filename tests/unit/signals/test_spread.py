"""S9: intervals hold the truth; where too few cells tell how far signals are off, they are wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.signal_intervals import rows_of_world
from eventlib.signals.spread import (
    FEW_CELLS,
    HeldCells,
    Share,
    bounds,
    find_share,
    held_cells,
    people_behind,
)
from tests.unit.ranking.worlds import trained


def held_out(seed, cells, own, examined=60.0):
    """Return held-out cells whose relevance is around signals with a variance of `own * s * (1 - s)`."""
    rng = np.random.default_rng(seed)
    signal = rng.uniform(0.15, 0.6, cells)
    relevance = rng.beta(signal * (1 / own - 1), (1 - signal) * (1 / own - 1))
    clicks = rng.binomial(round(2 * examined), 0.5 * relevance)
    ones = np.ones(cells)
    return HeldCells(
        pd.DataFrame(index=range(cells)), examined * ones, clicks / examined, 0.5 * ones, 1.0
    ), signal


def found(held, signal, history=1e9):
    return find_share(held, signal, np.tile(signal, (3, 1)), np.broadcast_to(history, len(signal)))


@pytest.mark.parametrize("own", [0.01, 0.05, 0.15])
def test_the_spread_of_known_cells_is_found(own):
    shares = [found(*held_out(seed, 300, own)).own for seed in range(20)]
    assert 0.85 * own < np.mean(shares) < 1.2 * own


def test_thin_histories_have_a_spread_of_their_own():
    (known, one), (thin, other) = held_out(1, 400, 0.01), held_out(2, 400, 0.2)
    both = replace(
        known,
        examined=np.concatenate([known.examined, thin.examined]),
        rate=np.concatenate([known.rate, thin.rate]),
        exposure=np.concatenate([known.exposure, thin.exposure]),
    )
    share = found(both, np.concatenate([one, other]), np.repeat([1e9, 0.0], 400))
    assert share.own == pytest.approx(0.01, abs=0.006)
    assert share.own + share.thin == pytest.approx(0.2, abs=0.05)


def test_an_error_of_exposure_common_to_all_is_not_spread():
    held, signal = held_out(3, 300, 0.02)
    doubled = replace(held, rate=1.5 * held.rate)
    assert found(doubled, signal).own < found(held, signal).own + 0.02


def test_without_cells_intervals_are_as_wide_as_the_prior():
    share = found(HeldCells(pd.DataFrame(), np.zeros(0), np.zeros(0), np.zeros(0), 1.0), np.zeros(0))
    assert share.cells == 0 < FEW_CELLS
    assert share.own == pytest.approx(np.mean(np.linspace(0, 0.75, 31) ** 2))
    lower, upper = bounds(np.array([0.3]), share.variance(*np.array([[0.3], [0.0], [1e9]])))
    assert upper - lower > 0.6


def test_few_cells_leave_intervals_wider_than_many():
    few, many = (found(*held_out(4, cells, 0.02)) for cells in (8, 800))
    assert few.own > 1.5 * many.own
    assert few.widening > many.widening >= 1


def test_bounds_are_percentiles_around_the_signal():
    lower, upper = bounds(np.array([0.5]), np.array([1 / 12]))  # the uniform distribution
    assert (lower[0], upper[0]) == pytest.approx((0.05, 0.95))
    signal = np.array([1e-4, 0.01, 0.3, 0.999, 1.0])
    for variance in (0.0, 1e-9, 0.01, 5.0):
        lower, upper = bounds(signal, np.full(5, variance))
        assert (lower > 0).all()
        assert (lower <= signal).all()
        assert (signal <= upper).all()
        assert (upper <= 1).all()


def test_evidence_narrows_a_row_and_none_is_the_widest():
    share = Share(0.01, 0.3, 1.0, 100)
    signal = np.full(3, 0.4)
    variance = share.variance(signal, np.zeros(3), np.array([0.0, 10.0, 1000.0]))
    assert variance == pytest.approx(0.24 * (0.01 + 0.3 * np.array([1, 0.25, (10 / 1010) ** 2])))


def test_cells_are_summed_over_exposure():
    judged = trained().judged
    assert judged is not None
    held = held_cells(judged)
    assert held.examined.sum() == pytest.approx(judged.theta[judged.held.place].sum())
    assert (held.rate * held.examined).sum() == pytest.approx(judged.held.clicked.sum())
    assert held.repeats == pytest.approx(1, abs=0.1)


def test_people_behind_can_leave_shows_out():
    judged = trained().judged
    assert judged is not None
    kept = np.arange(len(judged.train.cell)) % 2 == 0
    whole, half = people_behind(judged, ["content_id"]), people_behind(judged, ["content_id"], kept)
    assert (half["people"].to_numpy() < whole["people"].to_numpy()).all()
    assert half["e"].sum() == pytest.approx(judged.theta[judged.train.place[kept]].sum())


def test_intervals_hold_the_truth_in_worlds_that_are_known():
    rows = rows_of_world(61, noise=1.0, kappa=0.3, contents=36, prompts=12, mood=0.4)
    held = rows.groupby(["champion", "rows"])["held"].mean()
    # of one world, whose cells share an exposure and a spread; many worlds are in the benchmark
    assert held.between(0.8, 0.98).all(), held
    assert (rows.groupby("champion")["held_before"].mean() < 0.75).all()
