"""S7.11 for edits, in small: edits that did nothing are rarely found, edits that did something as often as predicted.

The bounds are loose, so that chance does not break them, and tight enough that the statistics which were tried
first do: without the weeks before the edit a low page seems to get worse, with count noise alone drift is found.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.geo_edit_tables import power_columns
from benchmarks.geo_edit_worlds import Spec, draw_world, stages
from benchmarks.geo_edits import judge, low_edits, random_edits, with_effect

SPEC = Spec(pages=140, weeks=18, per_week=20.0, drift=0.1)


@pytest.fixture(scope="module")
def nulls():
    found = []
    for seed in range(700, 706):
        rng = np.random.default_rng(seed)
        spec = replace(SPEC, shock="pages" if seed % 2 else "")
        seen = stages(draw_world(rng, spec))[:1]
        for _ in range(2):
            found.append(judge(spec, random_edits(rng, spec), seen).assign(chosen="at random"))
            found.append(judge(spec, low_edits(rng, spec, seen, 0, told=False), seen).assign(chosen="low"))
    table = pd.concat(found)
    return table[table["p"].notna()]


@pytest.mark.parametrize("chosen", ["at random", "low"])
def test_edits_that_did_nothing_are_rarely_found(nulls, chosen):
    part = nulls[nulls["chosen"] == chosen]
    assert len(part) >= 100
    assert (part["p"] <= 0.1).mean() <= 0.18
    assert part["state"].isin(["better", "worse"]).mean() <= 0.06
    assert abs(part["statistic"].mean()) <= 0.35
    assert 0.8 <= part["statistic"].std() <= 1.25


def test_power_is_what_was_predicted():
    found = []
    for seed in range(720, 727):
        rng = np.random.default_rng(seed)
        world = draw_world(rng, SPEC)
        edits = [with_effect(rng, world, edit) for edit in random_edits(rng, SPEC)]
        found.append(judge(SPEC, edits, stages(world, edits)))
    real = power_columns(pd.concat(found))
    real = real[real["p"].notna() & real["predicted"].notna()]
    assert len(real) >= 25
    assert abs(np.mean((real["p"] <= 0.05) - real["predicted"])) <= 0.2
    inside = (real["lower"] <= real["truth"]) & (real["truth"] <= real["upper"])
    assert inside.mean() >= 0.7
