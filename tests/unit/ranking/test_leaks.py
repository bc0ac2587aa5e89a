"""A feature made of later clicks is caught; features known before the cut are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eventlib.ranking import Options, train_ranking
from eventlib.ranking.impressions import read_impressions
from eventlib.ranking.leaks import find_leaks, missed
from tests.unit.ranking.worlds import simulate


def parts(seed, contents=40, shows=400, noise=0.05):
    """Return a page's quality, and what was missed before and after by chance and by what no feature says."""
    rng = np.random.default_rng(seed)
    quality, unsaid = rng.normal(size=contents), 0.05 * rng.normal(size=contents)
    index = pd.Index([f"c{i}" for i in range(contents)])
    chance = noise * rng.normal(size=(2, contents))
    before, after = (
        pd.DataFrame(
            {
                "missed": unsaid + c,
                "relevance": 0.3 + 0.1 * quality,
                "examined": shows,
                "shows": 2 * shows,
                "clicks": shows * np.clip(unsaid + c + 0.3 + 0.1 * quality, 0.01, 1),
            },
            index,
        )
        for c in chance
    )
    return quality, unsaid, chance, before, after


def test_the_chance_of_later_clicks_in_a_feature_is_a_leak():
    quality, unsaid, chance, before, after = parts(1, noise=0.08)
    features = pd.DataFrame({"honest": quality + unsaid, "popularity": unsaid + chance[1]}, before.index)
    (leak,) = find_leaks(features, before, after)
    assert leak.feature == "popularity"
    assert leak.after > 1.4 * leak.before


def test_honest_features_are_seldom_called_leaks():
    called = 0
    for seed in range(200):
        quality, unsaid, _, before, after = parts(seed)
        rng = np.random.default_rng(1000 + seed)
        honest = {
            f"f{i}": quality * rng.normal() + 20 * unsaid * rng.normal() + rng.normal(size=40)
            for i in range(15)
        }
        called += bool(find_leaks(pd.DataFrame(honest, before.index), before, after))
    assert called <= 7


def test_too_few_contents_tell_nothing():
    *_, before, after = parts(2, contents=11)
    assert find_leaks(after[["missed"]], before, after) == ()


def test_missed_is_clicks_over_examined_less_relevance():
    found = missed(
        pd.Series(["a", "a", "b"]),
        np.array([1.0, 0.0, 1.0]),
        np.array([1.0, 0.5, 0.5]),
        np.array([0.4, 0.4, 0.8]),
    )
    assert found["missed"].tolist() == pytest.approx([1 / 1.5 - 0.4, 2.0 - 0.8])


@pytest.mark.parametrize(("contents", "prompts"), [(36, 12), (120, 24)])
def test_a_popularity_written_back_into_the_metadata_refuses_the_export(contents, prompts):
    world = simulate(seed=4, contents=contents, prompts=prompts)
    shows = read_impressions(world.tables.shows, world.tables.clicks, world.tables.answers).frame
    late = shows[shows["time_us"] > shows["time_us"].quantile(0.65)]
    popularity = late.groupby("content_id")["clicked"].mean()
    known = world.tables.publishes["content_id"].map(popularity).fillna(0.0)
    planted = world.tables.publishes.assign(source_count=(1000 * known).astype(int))
    found = train_ranking(replace(world.tables, publishes=planted), Options(seed=1))
    (gate, *_) = found.gates
    assert gate.state == "failed"
    assert "source_count" in gate.reason
    assert not found.exportable
    (honest, *_) = train_ranking(world.tables, Options(seed=1)).gates
    assert "knows what came after" not in honest.reason
