"""S8.3: debiased beats naive where slots follow quality, and is what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from eventlib.ranking.features import CELL, read_contents
from eventlib.ranking.impressions import read_impressions
from eventlib.ranking.training import fit_ranker, training_data
from tests.unit.ranking.worlds import EXPOSURE, START, TOPICS, simulate

ALL = START + 10**15
UNSCALED = (0.0, 1.0)  # leaves out the folds that only calibration needs


def learned(world, exposure, seed=0, **options):
    """Train on a whole world with given exposures; return the ranker, its data and the contents."""
    shows = read_impressions(world.tables.shows, world.tables.clicks, world.tables.answers).frame
    contents = read_contents(world.tables.publishes, world.tables.edits, ALL)
    number = shows["prompt_id"].str[3:].astype(int)
    shows = shows.assign(
        place="inline " + shows["rank"].astype(str), prompt_cluster=[TOPICS[q % len(TOPICS)] for q in number]
    )
    data = training_data(shows, contents, [f"inline {k}" for k in (1, 2, 3, 4)])
    return fit_ranker(data, exposure, seed=seed, **options), data, contents


def learn(world, exposure, seed=0, **options):
    """Train likewise; return the ranker, its cells' features and the cells."""
    ranker, data, contents = learned(world, exposure, seed, **options)
    return ranker, ranker.design(data.cells, contents), data.cells


def truth(world, cells):
    prompts, contents = cells["prompt_id"].str[3:].astype(int), cells["content_id"].str[2:].astype(int)
    return world.relevance[prompts, contents]


def order_found(world, ranker, design, cells):
    """Kendall's tau with the true relevance within each prompt, averaged over prompts."""
    frame = pd.DataFrame(
        {"p": cells["prompt_id"], "found": ranker.predict(design), "true": truth(world, cells)}
    )
    return frame.groupby("p").apply(lambda part: kendalltau(part["found"], part["true"]).statistic).mean()


def test_debiased_finds_the_true_order_better_than_naive_under_strong_position_bias():
    gains = []
    for seed in range(5):
        # usual positions that say nothing of relevance, and hardly move: naive clicks mistake place for interest
        world = simulate(answers=2_500, kappa=0.0, noise=0.3, seed=seed, spread=0.6)
        taus = [order_found(world, *learn(world, e, calibration=UNSCALED)) for e in (EXPOSURE, np.ones(4))]
        gains.append(taus[0] - taus[1])
    lower = np.mean(gains) - 2.78 * np.std(gains, ddof=1) / np.sqrt(len(gains))  # t of 4 df, 95 %
    assert lower > 0.02


def test_calibrated_relevance_is_the_true_one_on_average():
    world = simulate(answers=5_000, seed=4)
    ranker, design, cells = learn(world, EXPOSURE)
    found, true = ranker.predict(design), truth(world, cells)
    assert found.mean() == pytest.approx(true.mean(), rel=0.08)
    assert np.polyfit(found, true, 1)[0] == pytest.approx(1.0, abs=0.2)


def test_the_naive_ranker_speaks_of_relevance_too_once_it_is_scaled():
    world = simulate(answers=4_000, seed=4)
    ranker, design, cells = learn(world, np.ones(4), scale=EXPOSURE)
    assert ranker.predict(design).mean() == pytest.approx(truth(world, cells).mean(), rel=0.1)


def test_input_is_float32_without_gaps_and_training_repeats():
    world = simulate(answers=800)
    first, second = (learn(world, EXPOSURE, seed=5, calibration=UNSCALED) for _ in range(2))
    assert first[1].dtype == np.float32
    assert np.isfinite(first[1]).all()
    assert (first[0].predict(first[1]) == second[0].predict(second[1])).all()


def test_a_better_history_never_lowers_the_score():
    ranker, design, _ = learn(simulate(answers=800), EXPOSURE, calibration=UNSCALED)
    better = design.copy()
    better[:, -1] += 0.2
    assert (ranker.predict(better) >= ranker.predict(design) - 1e-7).all()


def test_clips_are_counted():
    ranker, _, _ = learn(simulate(answers=400), EXPOSURE, clip=2.0, calibration=UNSCALED)
    assert ranker.clipped > 0
    assert learn(simulate(answers=400), EXPOSURE, calibration=UNSCALED)[0].clipped == 0


def test_unknown_cells_get_what_is_known_of_their_wider_ones():
    world = simulate(answers=800)
    ranker, _, cells = learn(world, EXPOSURE, calibration=UNSCALED)
    contents = read_contents(world.tables.publishes, world.tables.edits, ALL)
    known = cells.iloc[[0]].assign(prompt_id="")
    design = ranker.design(pd.concat([known, known.assign(content_id="nobody")])[list(CELL)], contents)
    assert design[0, -1] == design[0, -2]  # a new prompt has its cluster's history
    assert design[1, -3:] == pytest.approx(ranker.mean_relevance)


def test_what_under_ten_people_clicked_is_in_no_served_history():
    ranker, data, _ = learned(simulate(answers=300, people=40, seed=8), EXPOSURE, calibration=UNSCALED)
    served = ranker.histories
    cells = data.cells[list(CELL)].assign(
        people=[len(np.unique(data.person[data.cell == i])) for i in range(len(data.cells))]
    )
    people = served.merge(cells, on=["content_id", "prompt_cluster", "prompt_id"])
    few = people[people["people"] < 10]
    assert 10 < len(few) < len(people) - 10
    assert (few["prompt_history"] == few["cluster_history"]).all()
    many = people[people["people"] >= 10]
    assert (
        many["prompt_history"] != many["cluster_history"]
    ).mean() > 0.7  # the next smallest go with the few


def seen_by(people, prompts):
    """Return data of one content in one cluster: how many people asked each prompt, all different ones."""
    asked = [(prompt, f"{prompt}-{i}") for prompt, n in zip(prompts, people, strict=True) for i in range(n)]
    shows = pd.DataFrame(asked, columns=["prompt_id", "person"]).assign(
        content_id="c", content_version="1", prompt_cluster="x", place="inline 1", clicked=True
    )
    shows["answer_id"] = [f"an-{i}" for i in range(len(shows))]
    none = simulate(answers=10).tables
    return training_data(shows, read_contents(none.publishes, none.edits, ALL), ["inline 1"]), shows


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ([30, 20, 4], [True, False, False]),  # 4 would be the cluster's less those of the other two
        ([30, 20, 6, 7], [True, True, False, False]),  # 13 are left
        ([30, 20, 12], [True, True, True]),
        ([30, 4], [False, False]),
        ([5, 5], [False, False]),
    ],
)
def test_what_is_left_of_a_cluster_is_not_of_fewer_than_ten_people_either(people, told):
    data, _ = seen_by(people, [f"p{i}" for i in range(len(people))])
    assert data.crowded[2].tolist() == told
    assert data.crowded[:2].all()


def test_prompts_of_a_cluster_that_is_not_told_are_not_told_either():
    _, shows = seen_by([30, 15, 40], ["a", "b", "c"])
    cluster = shows["prompt_id"].map({"a": "x", "b": "y", "c": "x"})
    shows = shows.assign(prompt_cluster=cluster.mask(shows["person"].isin([f"a-{i}" for i in range(4)]), "z"))
    none = simulate(answers=10).tables
    data = training_data(shows, read_contents(none.publishes, none.edits, ALL), ["inline 1"])
    told = data.cells.assign(cluster=data.crowded[1], prompt=data.crowded[2])
    assert told.groupby("prompt_cluster")["cluster"].all().to_dict() == {"x": True, "y": False, "z": False}
    assert not told.loc[told["prompt_cluster"] != "x", "prompt"].any()
    assert told.loc[told["prompt_cluster"] == "x", "prompt"].all()


def test_answers_with_neither_person_nor_device_are_one_in_counts_of_people():
    _, shows = seen_by([60], ["p"])
    shows = shows.assign(person="answer:" + shows["answer_id"])
    none = simulate(answers=10).tables
    data = training_data(shows, read_contents(none.publishes, none.edits, ALL), ["inline 1"])
    assert not data.crowded.any()
    assert len(np.unique(data.person)) == 60  # in errors each stands for itself
