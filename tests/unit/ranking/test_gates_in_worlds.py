"""A small version of `benchmarks/gates.py`: bounds hold, and G2 refuses where the click model is wrong (S8.5, S8.6)."""

from __future__ import annotations

import numpy as np

from benchmarks.gates import PAIRS, judge_world

SEED = 990_000


def test_differences_are_as_far_from_the_truth_as_they_say():
    outcomes = [judge_world(SEED + i, noise=1.0) for i in range(10)]
    z = np.array([[(d - true) / sd for d, sd, true in (o.pairs[pair] for pair in PAIRS)] for o in outcomes])
    assert np.abs(z).max() < 3.5
    assert 0.5 < np.sqrt((z**2).mean()) < 1.5
    assert sum(o.exported() for o in outcomes) >= 6


def test_a_wrong_click_model_is_refused_by_g2_and_by_nothing_else_alone():
    outcomes = [
        judge_world(SEED + 100 + i, **wrong)
        for wrong in ({"kind": "trust", "trust": 0.3}, {"kind": "browsing"})
        for i in range(3)
    ]
    assert sum(o.state("G2") == "failed" for o in outcomes) >= 5
    assert not any(o.exported() for o in outcomes if o.state("G2") == "failed")
    assert any(o.exported(without="G2") for o in outcomes)
