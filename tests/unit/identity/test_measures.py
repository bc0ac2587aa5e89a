"""How good a clustering is (S4.11): figures worked by hand, scikit-learn as the oracle of pairs, coverage over worlds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import fowlkes_mallows_score
from sklearn.metrics.cluster import pair_confusion_matrix

from eventlib.errors import BadCallError
from eventlib.identity.measures import MEASURES, _regroup, _tabulate, score_clusters


def values(found, true) -> dict[str, float]:
    return dict(zip(MEASURES, score_clusters(found, true)["value"], strict=True))


def test_figures_by_hand():
    # person a: items 0 1 2, found as 1 1 1; person b: items 3 4, found as 1 2
    found = values([1, 1, 1, 1, 2], ["a", "a", "a", "b", "b"])
    # pairs: found 6, true 3 + 1, agreed 3
    assert [found[f"pairwise_{m}"] for m in ("precision", "recall", "f1")] == pytest.approx(
        [3 / 6, 3 / 4, 3 / 5]
    )
    # items: precision 3/4 three times, 1/4, 1; recall 1 three times, 1/2, 1/2
    precision, recall = (3 * 3 / 4 + 1 / 4 + 1) / 5, (3 + 1 / 2 + 1 / 2) / 5
    assert [found[f"b_cubed_{m}"] for m in ("precision", "recall", "f1")] == pytest.approx(
        [precision, recall, 2 * precision * recall / (precision + recall)]
    )
    assert [found[f"exact_{m}"] for m in ("precision", "recall", "f1")] == [0, 0, 0]


def test_whole_clusters_by_hand():
    # a is found whole; b is split in two; c and d are one cluster
    found = values([1, 1, 2, 3, 4, 4], ["a", "a", "b", "b", "c", "d"])
    assert found["exact_precision"] == 1 / 4
    assert found["exact_recall"] == 1 / 4
    assert found["pairwise_precision"] == 1 / 2
    assert found["pairwise_recall"] == 1 / 2


def test_perfect_and_renamed_is_one_throughout():
    assert set(values(["x", "x", "y"], [7, 7, 3]).values()) == {1.0}


def test_where_there_is_no_pair_nothing_is_wrong_and_nothing_missed():
    apart = values([1, 2, 3], ["a", "a", "a"])
    assert (apart["pairwise_precision"], apart["pairwise_recall"], apart["pairwise_f1"]) == (1, 0, 0)
    strangers = values([1, 1, 1], ["a", "b", "c"])
    assert (strangers["pairwise_precision"], strangers["pairwise_recall"]) == (0, 1)
    assert strangers["b_cubed_precision"] == pytest.approx(1 / 3)


def test_an_item_in_no_cluster_is_one_of_its_own():
    assert values([None, None, "x"], ["a", "a", "a"]) == values([1, 2, 3], ["a", "a", "a"])


def test_no_items():
    assert values([], [])["pairwise_precision"] == 1


@pytest.mark.parametrize(
    ("found", "true", "draws", "says"),
    [
        ([1], [1, 2], 0, "1 found labels, but 2 true ones"),
        ([1, 2], [1, None], 0, "the truth has nulls"),
        ([], [], 9, "nothing to resample"),
    ],
)
def test_bad_calls(found, true, draws, says):
    with pytest.raises(BadCallError, match=says):
        score_clusters(found, true, draws=draws)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_agree_with_scikit_learn_and_b_cubed_with_its_definition(seed: int):
    rng = np.random.default_rng(seed)
    found, true = rng.integers(0, 25, 400), rng.integers(0, 40, 400)
    got = values(found, true)
    (_, false), (missed, agreed) = pair_confusion_matrix(true, found)
    assert got["pairwise_precision"] == pytest.approx(agreed / (agreed + false))
    assert got["pairwise_recall"] == pytest.approx(agreed / (agreed + missed))
    assert fowlkes_mallows_score(true, found) == pytest.approx(
        np.sqrt(got["pairwise_precision"] * got["pairwise_recall"])
    )
    same_found, same_true = found[:, None] == found, true[:, None] == true
    both = (same_found & same_true).sum(axis=1)
    assert got["b_cubed_precision"] == pytest.approx((both / same_found.sum(axis=1)).mean())
    assert got["b_cubed_recall"] == pytest.approx((both / same_true.sum(axis=1)).mean())


def test_bounds_hold_the_value_and_each_other_and_the_seed_fixes_them():
    rng = np.random.default_rng(3)
    true = rng.integers(0, 300, 3_000)
    found = np.where(rng.random(3_000) < 0.2, 1_000 + true // 2, true)
    table = score_clusters(found, true, draws=400, seed=5)
    assert table.index.tolist() == list(MEASURES)
    ordered = table[["lower_95", "lower_90", "value", "upper_90", "upper_95"]].to_numpy()
    assert (np.diff(ordered, axis=1) >= 0).all()
    assert table.equals(score_clusters(found, true, draws=400, seed=5))


def households(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Return found and true labels of a world: pairs that share a tablet, people split over cookies, uneven activity."""
    events = 1 + rng.negative_binomial(1, 0.15, people)
    person = np.repeat(np.arange(people), events)
    shares = (rng.random(people // 2) < 0.3)[person // 2 % (people // 2)]
    on_tablet = shares & (rng.random(len(person)) < 0.4)
    lost = (rng.random(people) < 0.2)[person] & (rng.random(len(person)) < 0.5)
    found = np.where(on_tablet, 3 * people + person // 2, person + people * lost)
    return found, person


def crowd(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a world in which a placeholder joins the first events of a tenth of the people."""
    found, true = households(rng, people)
    joined = (rng.random(people) < 0.1)[true] & (rng.random(len(true)) < 0.7)
    return np.where(joined, -5, found), true


def coverage(world, worlds: int, people: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return how often the intervals of each measure hold its value over many worlds."""
    rng = np.random.default_rng(11)
    table = pd.concat(
        score_clusters(*world(rng, people), draws=300, seed=n).reset_index() for n in range(worlds)
    )
    truth = table.groupby("measure")["value"].transform("mean")
    held = [
        ((table[f"lower_{level}"] <= truth) & (truth <= table[f"upper_{level}"])).groupby(table["measure"])
        for level in (90, 95)
    ]
    return dict(held[0].mean()), dict(held[1].mean())


@pytest.mark.parametrize("world", [households, crowd])
@pytest.mark.parametrize("people", [60, 6_000])
def test_a_replicate_with_each_group_once_is_the_world(world, people):
    rng = np.random.default_rng(4)
    found, true = world(rng, people)
    made = _regroup(_tabulate(found, true), rng)
    once = made.draw(np.ones((1, len(made.linear)))).measures()[0]
    assert once == pytest.approx(score_clusters(found, true)["value"].to_numpy())


@pytest.mark.parametrize("world", [households, crowd])
def test_intervals_hold_what_replicate_worlds_have_in_the_mean(world):
    held_90, held_95 = coverage(world, worlds=150, people=1_500)
    # the standard error of a share over 150 worlds is .025 and .018
    assert all(0.83 <= share <= 0.97 for share in held_90.values()), held_90
    assert all(0.89 <= share <= 0.995 for share in held_95.values()), held_95
