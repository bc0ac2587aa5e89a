"""S7.11 in small: intervals that hold the truth, and a ranking that beats click rates, on worlds of their own seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.geo_coverage import judge_intervals, rank_pages, score_world, settings, true_theta
from benchmarks.geo_worlds import Setting, simulate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def validated():
    cells, ranks = [], []
    for seed, setting in settings(16, 30_000):
        made = simulate(np.random.default_rng(seed), setting)
        score = score_world(made, seed, replicates=50, draws=800)
        truth = true_theta(made, score)
        cells.append(judge_intervals(score, truth))
        ranks.append(rank_pages(made, score, truth))
    return pd.concat(cells), pd.DataFrame(ranks)


@pytest.mark.parametrize("stage", ["cite", "click", "satisfy", "score"])
def test_nine_in_ten_intervals_hold_the_truth(validated, stage):
    cells, _ = validated
    assert 0.84 <= cells.loc[cells["stage"] == stage, "inside"].mean() <= 0.95


@pytest.mark.parametrize("rival", ["observed over expected", "click rate", "shrunk click rate"])
def test_the_score_ranks_pages_better(validated, rival):
    _, ranks = validated
    assert (ranks["score"] - ranks[rival]).mean() > 0.02


def test_the_score_ranks_better_among_pages_that_are_placed_alike(validated):
    _, ranks = validated
    assert (ranks["score given position"] - ranks["click rate given position"]).mean() > 0.2


def test_where_pages_are_alike_hardly_any_is_called_better_or_worse():
    said = []
    for seed in range(30_100, 30_104):
        made = simulate(np.random.default_rng(seed), Setting(shape="all alike", answers=800))
        said.append(
            score_world(made, seed, replicates=50, draws=800).frame["word"].isin(["better", "worse"]).mean()
        )
    assert np.mean(said) <= 0.03
