"""S8.5: inverse propensity scoring over places, replicates over people with exposure refitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.ranking.evaluation import (
    LOGGING,
    UNIFORM,
    compare_policies,
    effective_size,
    held_out,
    new_places,
    replicate,
)
from eventlib.ranking.impressions import read_impressions
from tests.unit.ranking.worlds import EXPOSURE, simulate

PLACES = [f"inline {k}" for k in (1, 2, 3, 4)]


def prepared(**options):
    world = simulate(**options)
    shows = read_impressions(world.tables.shows, world.tables.clicks, world.tables.answers).frame
    return world, held_out(shows.assign(place="inline " + shows["rank"].astype(str)), PLACES)


def true_relevance(world, data):
    prompts = data.frame["prompt_id"].str[3:].astype(int)
    return world.relevance[prompts, data.frame["content_id"].str[2:].astype(int)]


def true_value(world, data, score):
    """Clicks per answer that the order by score truly has, known because the world is simulated."""
    places = new_places(data, score)
    return float((EXPOSURE[places] * true_relevance(world, data)).sum() / data.answers_of_person.sum())


def test_values_are_unbiased_and_their_intervals_honest():
    errors = []
    for seed in range(12):
        world, data = prepared(answers=1_500, people=300, seed=seed)
        score = true_relevance(world, data)
        table, _ = compare_policies(data, {"best": score}, replicate(data, 60, seed))
        row = table.set_index("policy").loc["best"]
        sd = (row["upper"] - row["lower"]) / (2 * 1.645)
        errors.append((row["value"] - true_value(world, data, score)) / sd)
    # the clicks behind each value are one draw, so errors are standard normal if the sd is right
    assert abs(np.mean(errors)) < 3 / np.sqrt(12)
    assert 0.5 < np.std(errors, ddof=1) < 1.6


def test_exposure_is_refitted_in_every_replicate_around_the_full_fit():
    _, data = prepared(answers=2_000)
    draws = replicate(data, 40, 0)
    assert draws.exposure[:, 0] == pytest.approx(1.0)
    assert (draws.exposure.std(axis=0)[1:] > 0.005).all()
    assert draws.exposure.mean(axis=0) == pytest.approx(data.exposure, abs=0.05)
    assert data.exposure == pytest.approx(EXPOSURE, abs=0.12)


def test_the_logging_policy_is_worth_its_clicks_and_differs_from_itself_by_nothing():
    _, data = prepared(answers=1_000)
    as_shown = -data.frame["rank"].to_numpy(np.float64)
    table, differences = compare_policies(data, {"same": as_shown}, replicate(data, 20, 0))
    values = table.set_index("policy")["value"]
    assert values[LOGGING] == pytest.approx(data.clicked.sum() / 1_000)
    assert values["same"] == pytest.approx(values[LOGGING])
    among = differences[~(differences["policy"].eq(UNIFORM) | differences["over"].eq(UNIFORM))]
    assert among["sd"].to_numpy() == pytest.approx(0)
    assert table["moved_answers"].dropna().tolist() == [0, 0]


def test_any_order_alike_is_worth_the_mean_over_orders():
    _, data = prepared(answers=1_500)
    draws, rng = replicate(data, 20, 0), np.random.default_rng(0)
    orders = {f"order {i}": rng.random(len(data.frame)) for i in range(60)}
    values = compare_policies(data, orders, draws)[0].set_index("policy")["value"]
    one_by_one = values[list(orders)]
    assert values[UNIFORM] == pytest.approx(one_by_one.mean(), abs=4 * one_by_one.std() / np.sqrt(60))


def test_answers_keep_their_places_and_ties_go_by_content_not_by_rank():
    _, data = prepared(answers=50)
    moved = new_places(data, np.zeros(len(data.frame)))
    for answer in range(50):
        rows = data.answer == answer
        assert sorted(moved[rows]) == sorted(data.place[rows])
        order = np.argsort(moved[rows])
        assert list(data.frame["content_id"][rows].to_numpy()[order]) == sorted(
            data.frame["content_id"][rows]
        )


def test_a_place_that_nothing_connects_is_said_to_be_unknown():
    world = simulate(answers=300)
    shows = read_impressions(world.tables.shows, world.tables.clicks, world.tables.answers).frame
    last = shows["rank"] == 4
    alone = shows.assign(content_id=shows["content_id"].where(~last, shows["content_id"] + "-last"))
    data = held_out(alone.assign(place="inline " + alone["rank"].astype(str)), PLACES)
    assert not data.connected
    assert np.isnan(data.exposure[3])


def test_effective_size_counts_equal_weights_fully():
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_size(np.array([10.0, 0.1, 0.1])) < 1.1
    assert effective_size(np.empty(0)) == 0


def test_replicates_repeat_with_their_seed():
    _, data = prepared(answers=300)
    first, second = replicate(data, 5, 1), replicate(data, 5, 1)
    assert pd.DataFrame(first.exposure).equals(pd.DataFrame(second.exposure))
    assert (first.weights != replicate(data, 5, 2).weights).any()
