"""Where places were drawn at random, the champion's value needs no click model, and agrees with a right one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eventlib.ranking import Options, train_ranking
from eventlib.ranking.evaluation import held_out, replicate
from eventlib.ranking.randomised import randomised_slice
from tests.unit.ranking.worlds import simulate


def judged(**parameters):
    found = train_ranking(
        simulate(answers=9_000, randomised=0.5, **parameters).tables, Options(seed=1, replicates=60)
    )
    assert found.judged is not None
    return found.judged


def test_a_right_model_agrees_with_the_slice():
    apart = []
    for seed in range(4):
        found = judged(seed=seed).evidence.slice
        assert found is not None
        assert 0.4 < found.answers / 3_150 < 0.6
        apart.append((found.matched - found.modelled) / found.sd)
    assert np.abs(apart).max() < 3
    assert found.asked
    assert 0.05 < found.gain < 0.4


def test_only_answers_that_are_random_in_whole_count():
    data = judged(seed=7).held
    frame = data.frame.copy()
    first = frame.groupby("answer_id").cumcount() == 0
    frame.loc[first, "propensity"] = np.nan
    draws = replicate(data, 20, 0)
    relevance = np.linspace(0.1, 0.9, len(frame))
    assert randomised_slice(replace(data, frame=frame), draws, relevance) is None
    assert randomised_slice(replace(data, frame=frame.drop(columns="propensity")), draws, relevance) is None


def test_matched_clicks_count_for_one_over_their_chance():
    data = judged(seed=8).held
    draws = replicate(data, 20, 0)
    as_shown = -data.frame["rank"].to_numpy(np.float64)
    found = randomised_slice(data, draws, as_shown)
    assert found is not None
    random = data.frame["propensity"].notna().to_numpy()
    # the order as it was shown matches everywhere: each click counts four times, since each place had a chance of a fourth
    assert found.matched == pytest.approx(4 * data.clicked[random].sum() / found.answers)
    assert found.modelled == pytest.approx(data.clicked[random].sum() / found.answers)
    assert held_out(data.frame, data.places).exposure == pytest.approx(data.exposure)
