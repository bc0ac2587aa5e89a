"""Contributions add up, are fair, and tell nothing of a few people; importance by feature and by group."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from eventlib.errors import BadCallError
from eventlib.ranking import Ranking, train_ranking, views
from eventlib.ranking.explain import BACKGROUND, CAVEAT, GROUPS, draw_background, explain, group_columns
from eventlib.ranking.features import CELL, FEATURES
from eventlib.ranking.importance import importance
from eventlib.ranking.learners import HistRegressor
from eventlib.ranking.pipeline import Judged
from eventlib.ranking.shapley import coalition_values, read_leaves, shapley_values
from eventlib.ranking.training import FittedRanker
from tests.unit.ranking.worlds import simulate, trained

PARTS = list(group_columns())


def made_ranker(formula, *, slope=1.0, unused=()):
    """Fit trees to a formula of four features between 0 and 1; `unused` do not vary where they are fitted."""
    x = np.random.default_rng(0).random((3000, 4)).astype(np.float32)
    trees = HistGradientBoostingRegressor(max_iter=40, max_leaf_nodes=8, max_bins=32, early_stopping=False)
    still = np.where(np.isin(np.arange(4), unused), np.float32(0.5), x)
    fitted = HistRegressor(trees.fit(still, formula(x)))
    return FittedRanker(fitted, 0.0, slope, pd.DataFrame(), 0.3, 0, np.empty((0, 5))), x


def by_permutations(ranker, row, background, weights, groups):
    """Average what each group adds over all orders in which groups may come: Shapley's definition."""
    total = np.zeros(len(groups))
    orders = list(permutations(range(len(groups))))
    for order in orders:
        mixed = background.copy()
        before = ranker.predict(mixed) @ weights
        for group in order:
            mixed[:, groups[group]] = row[groups[group]]
            after = ranker.predict(mixed) @ weights
            total[group] += after - before
            before = after
    return total / len(orders)


def judged() -> Judged:
    """Return what the shared world's ranker was judged by."""
    found = trained().judged
    assert found is not None
    return found


def contributions(ranker, rows, background, groups, weights=None):
    weights = np.ones(len(background)) if weights is None else weights
    worth = coalition_values(ranker, rows, background, weights, groups)
    return worth, shapley_values(worth)


@pytest.mark.parametrize("slope", [1.0, 3.0])
def test_values_are_those_of_all_orders(slope):
    # with slope 3 the calibration cuts many mixed rows at 1, where it does not add over trees
    ranker, x = made_ranker(lambda x: 0.5 * x[:, 0] * x[:, 1] + 0.2 * x[:, 2] - 0.1 * x[:, 3], slope=slope)
    groups = [[0], [1, 3], [2]]
    weights = np.linspace(1, 2, 20)
    _, found = contributions(ranker, x[:6], x[100:120], groups, weights)
    for row, values in zip(x[:6], found, strict=True):
        expected = by_permutations(ranker, row, x[100:120], weights / weights.sum(), groups)
        assert values == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.lists(st.floats(-5, 5), min_size=16, max_size=16), min_size=1, max_size=3),
)
def test_any_game_is_shared_out_wholly(values):
    worth = np.array(values).T
    assert shapley_values(worth).sum(axis=1) == pytest.approx(worth[-1] - worth[0], abs=1e-9)


def test_leaves_are_the_trees():
    ranker, x = made_ranker(lambda x: np.sin(9 * x[:, 0]) * x[:, 1] + x[:, 2])
    leaves = read_leaves(ranker.regressor)
    inside = leaves.inside(x, range(x.shape[1]))
    assert (inside.sum(axis=1) == len(ranker.regressor.model._predictors)).all()
    assert leaves.baseline + inside @ leaves.value == pytest.approx(ranker.regressor.predict(x), abs=1e-12)


def test_features_that_do_the_same_share_alike():
    ranker, _ = made_ranker(lambda x: 0.4 * np.minimum(x[:, 0], x[:, 1]))
    rng = np.random.default_rng(5)
    half = rng.random((400, 4)).astype(np.float32)
    mirrored = np.concatenate([half, half[:, [1, 0, 2, 3]]])  # a background that does not tell the two apart
    rows = np.full((1, 4), 0.9, dtype=np.float32)
    _, found = contributions(ranker, rows, mirrored, [[0], [1], [2], [3]])
    assert found[0, 0] == pytest.approx(found[0, 1], abs=0.01)
    assert found[0, 0] > 0.05


def test_a_game_that_is_symmetric_is_shared_alike():
    size = np.bitwise_count(np.arange(16)).astype(float)
    assert shapley_values(size[:, None] ** 2)[0] == pytest.approx([4.0] * 4, abs=1e-12)


def test_what_the_model_does_not_use_has_nothing():
    ranker, x = made_ranker(lambda x: x[:, 0] > 0.5, unused=(1, 2, 3))
    worth, found = contributions(ranker, x[:50], x[100:150], [[0], [1], [2], [3]])
    assert (found[:, 1:] == 0).all()
    assert np.abs(found[:, 0]).min() > 0.1
    assert worth[-1] == pytest.approx(ranker.predict(x[:50]), abs=1e-12)


def test_a_constant_model_has_nothing_to_share():
    ranker, x = made_ranker(lambda x: np.full(len(x), 0.25))
    worth, found = contributions(ranker, x[:5], x[10:20], [[0, 1], [2, 3]])
    assert (found == 0).all()
    assert worth == pytest.approx(np.full((4, 5), 0.25))


def test_groups_must_hold_each_column_once():
    ranker, x = made_ranker(lambda x: x[:, 0])
    with pytest.raises(BadCallError, match="each of the 4 columns once"):
        contributions(ranker, x[:2], x[2:4], [[0, 1], [1, 2]])
    with pytest.raises(BadCallError, match="13 groups of features"):
        contributions(ranker, x[:2], x[2:4], [[column] for column in range(13)])


def test_every_feature_is_in_a_group_that_names_it():
    columns = group_columns()
    assert sorted(column for members in columns.values() for column in members) == list(range(len(FEATURES)))
    assert "other" not in columns


def test_contributions_add_up_to_the_signal():
    found = trained()
    explained, left_out = explain(found)
    assert len(explained) > 20
    assert left_out == 0
    total = explained[PARTS].sum(axis=1) + explained["base"]
    assert np.abs(total - explained["signal"]).max() < 1e-9
    assert explained["signal"].is_monotonic_decreasing
    assert (explained["history"].abs() > explained["kind"].abs()).all()


def test_signals_are_those_of_the_champion():
    explained, _ = explain(trained())
    cells = explained[list(CELL[:3])].assign(prompt_id="")
    ranker = judged().ranker
    scores = ranker.predict(ranker.design(cells, judged().contents))
    assert explained["signal"].to_numpy() == pytest.approx(scores, abs=1e-12)


def test_the_same_log_is_explained_the_same():
    once, again = explain(trained())[0], explain(trained())[0]
    pd.testing.assert_frame_equal(once, again, check_exact=True)


def test_a_sentence_says_what_stands_in_the_row():
    row = explain(trained())[0].iloc[0]
    start = f"Above the average of {row['base']:.2f} by {row['signal'] - row['base']:.2f}: "
    assert row["sentence"].startswith(start)
    assert f"{row['history']:+.2f} from how it did before (" in row["sentence"]
    assert f"typical {judged().ranker.mean_relevance:.2f})" in row["sentence"]
    assert "associations" in CAVEAT


def test_a_small_background_stands_for_all():
    whole, few = draw_background(judged(), 10_000), draw_background(judged(), 12)
    assert len(few.design) <= 12
    assert few.weights.sum() == 12
    means = [np.average(judged().ranker.predict(part.design), weights=part.weights) for part in (whole, few)]
    assert means[1] == pytest.approx(means[0], abs=0.02)
    assert few.typical == pytest.approx(whole.typical)
    assert len(draw_background(judged()).design) <= BACKGROUND


def with_few(content: str, people: int, cluster: str = "") -> Ranking:
    """Let all shows of a content (in a cluster, the rest of it being moved to another) be of a few people."""
    data = judged().train
    mine = (data.cells["content_id"] == content).to_numpy()
    cells = data.cells
    if cluster:
        half = mine & (np.arange(len(cells)) % 2 == 0)
        cells = cells.assign(prompt_cluster=cells["prompt_cluster"].mask(half, cluster))
        mine = half
    few = np.where(mine[data.cell], data.counted % people, data.counted)
    return replace(
        trained(), judged=replace(judged(), train=replace(data, cells=cells, counted=few.astype(np.int64)))
    )


@pytest.mark.parametrize("people", [1, 9, 10])
def test_what_fewer_than_ten_people_did_is_left_out(people):
    whole, _ = explain(trained())
    content = whole["content_id"].iloc[3]
    explained, left_out = explain(with_few(content, people))
    assert (content in set(explained["content_id"])) == (people >= 10)
    assert left_out == (people < 10)
    assert len(explained) + left_out == len(whole)


@pytest.mark.parametrize("people", [4, 10])
def test_what_a_few_did_does_not_follow_from_the_other_cluster(people):
    content = explain(trained())[0]["content_id"].iloc[3]
    explained, left_out = explain(with_few(content, people, cluster="new"))
    assert (explained["content_id"] == content).sum() == (2 if people >= 10 else 0)
    assert left_out == (2 if people < 10 else 0)


def test_a_content_that_nobody_saw_is_left_out_and_single_prompts_are_passed_over():
    cells = pd.DataFrame(
        [("c-000", "1", "heat_pumps", ""), ("c-000", "1", "heat_pumps", "pr-00"), ("c-999", "1", "heat_pumps", "")],
        columns=list(CELL),
    )  # fmt: skip
    explained, left_out = explain(trained(), cells)
    assert explained["content_id"].tolist() == ["c-000"]
    assert left_out == 1


def test_nothing_to_explain():
    none = pd.DataFrame({name: pd.Series(dtype=object) for name in CELL})
    explained, left_out = explain(trained(), none)
    assert explained.empty
    assert left_out == 0
    assert explained.columns.tolist() == explain(trained())[0].columns.tolist()
    untrained = train_ranking(simulate(answers=50).tables)
    assert explain(untrained)[0].columns.tolist() == explained.columns.tolist()


def test_groups_are_shuffled_together():
    found = trained()
    alone, together = importance(found), views.importance(found, by="group")
    assert together["group"].iloc[0] == GROUPS["history"][0]
    assert together["features"].iloc[0] == "content_history, cluster_history, prompt_history"
    assert set(alone["group"]) == set(together["group"])
    loss = alone.set_index("feature")["loss"]
    # what one history loses, another still says; together they lose at least what the strongest does
    assert together["loss"].iloc[0] > 0.9 * loss["prompt_history"]
    assert (together["lower"] <= together["loss"]).all()
    assert (together["loss"] <= together["upper"]).all()
    unused = together.set_index("group").loc["kind of content"]
    assert (unused[["loss", "lower", "upper"]] == 0).all()


def test_importance_of_an_unknown_kind_is_refused():
    with pytest.raises(BadCallError, match=r"unknown way to shuffle 'groups'\. Did you mean 'group'"):
        importance(trained(), by="groups")
    assert importance(train_ranking(simulate(answers=50).tables), by="group").columns.tolist() == [
        "group", "features", "loss", "lower", "upper",
    ]  # fmt: skip
