"""Learning from clicks on judged documents: debiased labels find more of the true relevance than clicks do (S8.3)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from benchmarks.lambdarank import OURS, estimated, measure
from benchmarks.lambdarank_worlds import Setting, draw_log, read_judged
from benchmarks.prompt_clusters import real_folder

FOLDER = real_folder() / "lambdarank"
SETTING = Setting(clicks=5_000)

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="real data is not here; name its folder in EVENTLIB_REAL"
)


@cache
def judged(part):
    return read_judged(FOLDER, part)


def found(*names):
    """Mean NDCG@3 over three logs, by ranker."""
    values = measure(judged("train"), judged("test"), SETTING, 3, names)
    return {name: float(each.mean()) for name, each in values.items()}


def test_the_documents_are_those_of_the_example():
    train, test = judged("train"), judged("test")
    assert (len(train.relevance), len(train.sizes)) == (3005, 201)
    assert (len(test.relevance), len(test.sizes)) == (768, 50)
    assert np.bincount(train.relevance.astype(int)).tolist() == [645, 1211, 858, 222, 69]


def test_a_log_repeats_and_its_exposure_is_found():
    first, second = (draw_log(judged("train"), SETTING, 7) for _ in range(2))
    assert (first.clicked == second.clicked).all()
    assert 4_500 < first.clicked.sum() < 5_500
    shows = first.shows()
    assert shows["clicked"].sum() == first.clicked.sum()
    assert estimated(shows)[:5] == pytest.approx(SETTING.exposure[:5], rel=0.2)
    lists, clicked, count = first.patterns()
    assert (clicked.sum(axis=1) * count).sum() == first.clicked.sum()
    assert len(lists) < count.sum() == first.clicked.any(axis=1).sum()


def test_labels_over_estimated_exposure_beat_clicks():
    means = found("naive clicks, our learner", OURS)
    assert means[OURS] > means["naive clicks, our learner"] + 0.01
    assert means[OURS] > 0.55  # 0.43 by chance


def test_so_they_do_with_lightgbm_and_so_does_its_own_debiasing():
    pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    means = found("ours, LightGBM as learner", "lambdarank, naive", "lambdarank, position debiasing")
    assert means["ours, LightGBM as learner"] > means["lambdarank, naive"] + 0.01
    assert means["lambdarank, position debiasing"] > means["lambdarank, naive"]
