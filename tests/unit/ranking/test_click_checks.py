"""What would contradict exposure times relevance is found where it is, and not where it is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.ranking_worlds import EXPOSURE, draw_world
from eventlib.exposure import harvest_swaps
from eventlib.ranking.click_checks import ClickChecks, Trend, browsing_trends, clicks_above, trust_trend
from eventlib.ranking.impressions import read_impressions


def checks(seed, **parameters):
    world = draw_world(seed, answers=9_000, **parameters)
    shows = read_impressions(world.tables.shows, world.tables.clicks, world.tables.answers).frame
    swaps, person = harvest_swaps(shows), pd.factorize(shows["person"])[0]
    prompt, content = shows["prompt_id"].str[3:].astype(int), shows["content_id"].str[2:].astype(int)
    z = np.log(world.relevance[prompt, content])
    trust = trust_trend(swaps, np.log(EXPOSURE), z, person, np.zeros(len(shows), dtype=np.intp))
    return ClickChecks(trust, *browsing_trends(swaps, clicks_above(shows), person))


@pytest.mark.parametrize("mood", [0.0, 0.6])
def test_a_position_based_world_contradicts_nothing_even_if_people_differ(mood):
    for seed in range(3):
        found = checks(seed, mood=mood)
        assert found.contradictions == {}
        assert abs(found.trust.estimate) < 3 * found.trust.sd
        assert min(found.trust.power, found.distance.power) > 0.8


def test_trust_in_the_first_place_shows_by_place_and_attractiveness():
    for seed in range(3):
        found = checks(seed, kind="trust", trust=0.3)
        assert list(found.contradictions) == ["place and attractiveness together"]
        assert found.trust.estimate < 0


def test_browsing_shows_by_the_distance_of_the_last_click():
    found = checks(1, kind="browsing", mood=0.4)
    assert "the distance of the last click" in found.contradictions
    assert found.distance.estimate == pytest.approx(-0.6, abs=0.2)


def test_a_cascade_shows_by_clicks_above():
    # who has clicked reads on with half the chance
    rng = np.random.default_rng(5)
    n, k = 6_000, 4
    item = np.argsort(rng.random((n, 8)), axis=1)[:, :k]
    relevance = rng.uniform(0.2, 0.7, 8)
    clicked, reads = np.zeros((n, k)), np.ones(n)
    for rank in range(k):
        clicked[:, rank] = rng.random(n) < reads * relevance[item[:, rank]]
        reads *= np.where((clicked[:, rank] > 0) & (rng.random(n) < 0.5), 0.0, 1.0)
    answer = np.repeat([f"a{i}" for i in range(n)], k)
    frame = pd.DataFrame(
        {
            "answer_id": answer, "prompt_id": "p", "content_id": item.ravel().astype(str), "content_version": "1",
            "month": 0, "slot": "inline", "rank": np.tile(np.arange(1, k + 1), n), "clicked": clicked.ravel() > 0,
        }
    )  # fmt: skip
    person = np.repeat(np.arange(n), k)
    _, above = browsing_trends(harvest_swaps(frame), clicks_above(frame), person)
    assert above.found
    assert above.estimate < -0.2


def test_clicks_above_counts_within_the_answer_and_slot():
    frame = pd.DataFrame(
        {
            "answer_id": ["a", "a", "a", "a", "b", "b"],
            "slot": ["inline"] * 4 + ["inline", "panel"],
            "rank": [3, 1, 2, 4, 1, 2],
            "clicked": [True, True, False, False, True, False],
        }
    )
    found = clicks_above(frame)
    assert found["above"].tolist() == [1, 0, 1, 2, 0, 0]
    assert found["distance"].tolist()[:4:3] == [2.0, 1.0]
    assert found["distance"].isna().tolist() == [False, True, False, False, True, True]


def test_a_log_that_cannot_tell_has_no_power():
    none = np.empty(0, dtype=np.intp)
    empty = pd.DataFrame(
        {
            c: []
            for c in (
                "prompt_id",
                "content_id",
                "content_version",
                "month",
                "slot",
                "rank",
                "clicked",
                "answer_id",
            )
        }
    )
    swaps = harvest_swaps(empty)
    assert trust_trend(swaps, np.empty(0), np.empty(0), none, none).power == 0.0
    assert Trend.of(float("nan"), float("nan")).found is False


def test_what_shares_a_rank_is_not_above_each_other():
    frame = pd.DataFrame(
        {
            "answer_id": "a",
            "slot": "inline",
            "rank": [1, 2, 2, 2, 3],
            "clicked": [True, True, False, True, False],
        }
    )
    found = clicks_above(frame)
    assert found["above"].tolist() == [0, 1, 1, 1, 3]
    assert found["distance"].tolist()[1:] == [1, 1, 1, 1]
    assert np.isnan(found["distance"][0])


def test_a_rank_that_an_answer_has_twice_does_not_hide_the_distance():
    world = draw_world(1, answers=9_000, kind="browsing", mood=0.4)
    shows = read_impressions(world.tables.shows, world.tables.clicks, world.tables.answers).frame
    shows = shows.assign(rank=shows["rank"].clip(lower=2))
    swaps, person = harvest_swaps(shows), pd.factorize(shows["person"])[0]
    distance, above = browsing_trends(swaps, clicks_above(shows), person)
    assert np.isfinite([distance.estimate, distance.sd, above.estimate, above.sd]).all()
