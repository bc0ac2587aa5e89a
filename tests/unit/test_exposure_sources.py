"""S7.2, S8.2: exposure given, randomised and harvested; which is chosen, and what ties the positions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from benchmarks.exposure_worlds import draw_rows
from eventlib.errors import BadCallError
from eventlib.exposure import (
    agreement,
    estimate_exposure,
    estimate_randomised,
    find_exposure,
    given_exposure,
    rank_graph,
    shown_citations,
)
from eventlib.exposure.swaps import People
from tests.unit.test_exposure import frames

CURVE = pd.DataFrame({"slot": "inline", "rank": [1, 2, 3], "exposure": [0.5, 0.25, 0.1]})


def swapped(here: int, there: int, people: int = 100) -> pd.DataFrame:
    """Two answers' worth of clicks on one content: so many at rank 1 and at rank 2 of 400 shows each."""
    clicked = np.r_[np.arange(400) < here, np.arange(400) < there]
    return pd.DataFrame(
        {
            "prompt_id": "q",
            "content_id": "c",
            "content_version": "",
            "month": 0,
            "slot": "inline",
            "rank": np.repeat([1, 2], 400),
            "clicked": clicked,
            "person_id": [f"p{i % people}" for i in range(800)],
            "answer_id": [f"a{i}" for i in range(800)],
        }
    )


def randomised(share: float = 0.5, answers: int = 600, seed: int = 0) -> pd.DataFrame:
    """Two contents in both orders, the better one first with the share; exposures 1 and .5."""
    rng = np.random.default_rng(seed)
    first = rng.random(answers) < share
    rank = np.c_[np.where(first, 1, 2), np.where(first, 2, 1)].ravel()
    propensity = np.repeat(np.where(first, share, 1 - share), 2)
    interest = np.tile([0.8, 0.4], answers)
    return pd.DataFrame(
        {
            "answer_id": np.repeat(np.arange(answers), 2),
            "person_id": np.repeat(np.arange(answers) // 3, 2).astype(str),
            "slot": "inline",
            "rank": rank,
            "propensity": propensity,
            "clicked": rng.random(2 * answers) < interest / rank,
        }
    )


def test_two_ranks_and_their_error_by_hand():
    # each show is someone's own: Bernoulli variances of two click rates, by the delta method
    frame = estimate_exposure(swapped(100, 50).drop(columns=["person_id", "answer_id"])).frame
    assert frame["exposure"].tolist() == pytest.approx([1.0, 0.5])
    by_hand = np.sqrt(0.25 * 0.75 / 400 / 0.25**2 + 0.125 * 0.875 / 400 / 0.125**2)
    assert frame["log_se"][1] == pytest.approx(by_hand, rel=0.01)


def test_errors_of_fewer_than_ten_people_are_not_told():
    curve = estimate_exposure(swapped(100, 50, people=9))
    assert curve.connected
    assert not curve.usable
    assert "fewer than ten people" in curve.reasons[0]
    assert np.isnan(curve.frame["log_se"][1])
    assert estimate_exposure(swapped(100, 50, people=10)).clusters == 10


def test_clicks_that_do_not_vary_have_no_error():
    curve = estimate_exposure(swapped(400, 400))
    assert curve.connected
    assert not curve.usable
    assert curve.reasons == ("the clicks that inform do not vary, so that their errors cannot be told",)


def test_the_few_who_click_count_not_the_many_who_look():
    rows = swapped(9, 9, people=400)
    assert "fewer than ten people" in estimate_exposure(rows).reasons[0]


def test_the_unknown_are_one_person_for_small_cells_and_many_for_errors():
    rows = pd.DataFrame({"answer_id": ["a", "a", "b", "c"], "person_id": ["", None, "", "p"]})
    people = People.of(rows)
    assert len(set(people.counted)) == 2
    assert people.cluster[0] == people.cluster[1]
    assert len(set(people.cluster)) == 3
    named = rows.assign(person=["answer:a", "answer:a", "answer:b", "p"]).drop(columns="person_id")
    assert People.of(named).counted.tolist() == people.counted.tolist()
    assert len(set(People.of(named).cluster)) == 3


def test_impressions_count_people_not_shows():
    rows = swapped(100, 50, people=30).rename(columns={"person_id": "person"})
    assert estimate_exposure(rows).frame["people"].tolist() == [30, 30]


def test_a_position_that_hangs_on_few_clicks_is_named():
    rows = pd.concat(
        [swapped(100, 60), swapped(15, 12).assign(content_id="d", rank=lambda of: of["rank"] + 1)]
    )
    reason = estimate_exposure(rows).reasons[0]
    assert reason.endswith("inline 3 hangs on the rest by 15 and 12 clicks at inline 2, inline 3")
    few = pd.concat([swapped(100, 60), swapped(15, 7).assign(content_id="d", rank=lambda of: of["rank"] + 1)])
    reason = estimate_exposure(few).reasons[0]
    assert reason.endswith("by the clicks of fewer than ten people at inline 2, inline 3")


def test_the_graph_of_ranks_counts_clicks_on_shared_keys():
    rows = pd.concat(
        [
            swapped(100, 60),
            swapped(50, 50).assign(content_id="d"),
            swapped(90, 5).assign(content_id="e", rank=lambda of: of["rank"] + 1),
            swapped(80, 80).assign(content_id="f", rank=lambda of: of["rank"] + 3),
            swapped(3, 3).assign(content_id="g", rank=lambda of: of["rank"] + 6),
            swapped(4, 2).assign(content_id="h", rank=lambda of: of["rank"] + 8),
        ]
    )
    graph = rank_graph(rows)
    pairs = list(zip(graph["rank"], graph["rank_b"], strict=True))
    # the pairs with clicks of fewer than ten people are gone, and the next smallest with them
    assert pairs == [(1, 2), (2, 3)]
    assert graph["keys"].tolist() == [2, 1]
    assert graph["clicks"].tolist() == [260, 95]
    assert graph["clicked_here_share"][0] == pytest.approx(150 / 260)
    assert np.isnan(graph["clicked_here_share"][1])  # five people clicked at rank 3
    assert graph["component"].tolist() == [1, 1]


def test_memory_follows_the_rows_not_keys_times_positions():
    keys, places = 20_000, 200
    rng = np.random.default_rng(0)
    first = rng.integers(1, places, keys)
    rows = pd.DataFrame(
        {
            "prompt_id": np.repeat(np.arange(keys), 2),
            "content_id": 0,
            "content_version": 0,
            "month": 0,
            "slot": "inline",
            "rank": np.c_[first, first + 1].ravel(),
            "clicked": rng.random(2 * keys) < 0.5,
        }
    )
    tracemalloc.start()
    curve = estimate_exposure(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(curve.positions) == places
    assert peak < keys * places * 8  # one dense matrix of doubles


def test_parts_that_no_swap_joins_have_numbers_of_their_own():
    rows = pd.concat(
        [
            swapped(100, 60),
            swapped(80, 80).assign(content_id="f", rank=lambda of: of["rank"] + 2),
            swapped(80, 0).assign(content_id="g", rank=lambda of: of["rank"] + 3),
        ]
    )
    graph = rank_graph(rows).set_index(["rank", "rank_b"])
    assert graph["component"].to_dict() == {(1, 2): 1, (3, 4): 2, (4, 5): 0}
    assert rank_graph(rows.iloc[:0]).empty


def test_shows_carry_their_propensity():
    shows, clicks, answers = frames()
    assert shown_citations(shows, clicks, answers)["propensity"].isna().all()
    logged = shown_citations(shows.assign(propensity=[0.25, 0.25, np.nan, 0.5, 0.5]), clicks, answers)
    assert logged["propensity"].tolist() == pytest.approx([0.25, np.nan], nan_ok=True)
    assert logged["propensity"].dtype == np.float64


def test_unequal_propensities_are_made_up_for():
    rows = randomised(share=0.8, answers=20_000)
    curve = estimate_randomised(rows)
    assert curve.method == "randomised"
    assert curve.usable
    assert curve.frame["exposure"][1] == pytest.approx(0.5, abs=4 * 0.5 * curve.frame["log_se"][1])
    naive = rows.groupby("rank")["clicked"].mean()
    assert naive[2] / naive[1] < 0.4


def test_the_error_of_a_randomised_curve_by_hand():
    # everyone has one answer, each order with one half: the weights are the same and cancel
    rows = randomised(answers=900).assign(person_id=lambda of: of["answer_id"])
    curve = estimate_randomised(rows)
    clicks = rows.pivot_table(index="answer_id", columns="rank", values="clicked", aggfunc="sum").astype(
        float
    )
    part = clicks[2] / clicks[2].sum() - clicks[1] / clicks[1].sum()
    assert curve.frame["exposure"][1] == pytest.approx(clicks[2].sum() / clicks[1].sum())
    assert curve.frame["log_se"][1] == pytest.approx(np.sqrt((part**2).sum() * 900 / 899))


def test_long_answers_are_not_compared_with_short_ones():
    long = randomised(answers=4_000)
    short = randomised(answers=4_000, seed=1).assign(answer_id=lambda of: of["answer_id"] + 10_000)
    short = short[short["rank"] == 1].assign(clicked=False, propensity=0.999)  # nobody wants what they hold
    both = estimate_randomised(pd.concat([long, short], ignore_index=True))
    assert both.frame["exposure"][1] == estimate_randomised(long).frame["exposure"][1]


@pytest.mark.parametrize(
    ("propensity", "reason"),
    [
        (np.nan, "no propensity was logged"),
        (1.0, "every logged propensity is 1: nothing was placed at random"),
    ],
)
def test_what_was_not_random_is_refused(propensity, reason):
    curve = estimate_randomised(randomised().assign(propensity=propensity))
    assert curve.reasons == (reason,)
    assert not curve.usable


def test_propensities_that_do_not_add_up_are_refused():
    curve = estimate_randomised(randomised().assign(propensity=0.1))
    assert not curve.usable
    assert not curve.connected
    assert "the propensities cannot be true" in curve.reasons[-1]
    assert np.isnan(curve.frame["exposure"][1])
    # logged as even where one order was four times as likely: each order adds up, and nothing shows it
    skewed = estimate_randomised(randomised(share=0.8, answers=3_000).assign(propensity=0.5))
    assert skewed.connected


def test_positions_that_were_never_random_are_named():
    rows = pd.concat([randomised(), randomised(seed=1).assign(rank=3, propensity=np.nan)], ignore_index=True)
    curve = estimate_randomised(rows)
    assert curve.reasons[0].endswith("never clicked: inline 3")
    assert curve.frame["status"].tolist()[-1] == "not randomised"


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, np.inf])
def test_what_is_no_probability_is_a_bad_call(propensity):
    rows = randomised(answers=20)
    rows.loc[3, "propensity"] = propensity
    with pytest.raises(BadCallError, match="in 1 of 40 rows"):
        estimate_randomised(rows)
    with pytest.raises(BadCallError, match="propensity"):
        estimate_randomised(rows.drop(columns="propensity"))


def test_a_given_curve_is_an_assumption_where_it_has_no_errors():
    curve = given_exposure(CURVE, "assistant")
    assert curve.positions == pytest.approx({("inline", 1): 1.0, ("inline", 2): 0.5, ("inline", 3): 0.2})
    assert curve.usable
    assert curve.reasons == ("the curve is given without errors: that it is exact is an assumption",)
    assert curve.frame["status"].tolist() == ["reference", "given", "given"]
    assert curve.frame["log_se"].isna().tolist() == [False, True, True]


def test_the_error_of_the_reference_is_in_all_others():
    curve = given_exposure(CURVE.assign(log_se=[0.03, 0.04, 0.0]), "assistant")
    assert curve.reasons == ()
    assert curve.frame["log_se"].tolist() == pytest.approx([0, 0.05, 0.03])
    assert curve.covariance[1, 2] == pytest.approx(0.03**2)
    rough = given_exposure(CURVE.assign(log_se=[0.0, 0.0, 0.2]), "assistant")
    assert not rough.usable
    assert rough.frame["status"].tolist()[-1] == "imprecise"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (CURVE.drop(columns="rank"), "needs the columns rank"),
        (CURVE.assign(logse=0.1), "unknown column of a given exposure 'logse'. Did you mean 'log_se'"),
        (CURVE.assign(exposure=[1.0, 0.0, 0.2]), "exposure of the given exposure must be positive; 1 of 3"),
        (CURVE.assign(exposure=[1.0, 1e308, 0.2]), "must be at least a 1,000,000th of the largest; 2 of 3"),
        (CURVE.assign(exposure=[1.0, 1e-320, 0.2]), "must be at least a 1,000,000th of the largest; 1 of 3"),
        (CURVE.assign(exposure=[1.0, np.inf, 0.2]), "must be a finite number; 1 of 3"),
        (CURVE.assign(exposure=["1", "half", "0.2"]), "must be a finite number; 1 of 3"),
        (CURVE.assign(rank=[1, 2, 2.5]), "rank of the given exposure must be a whole number from 1; 1 of 3"),
        (CURVE.assign(rank=[1, 2, 2]), "has inline 2 twice or more"),
        (CURVE.assign(rank=[2, 3, 4]), "lacks rank 1"),
        (CURVE.assign(log_se=[0.0, -0.1, 0.1]), "log_se of the given exposure must be 0 or more"),
        (CURVE.assign(log_se=[0.0, np.nan, 0.1]), "must be a finite number; 1 of 3"),
        (CURVE.assign(slot=["inline", np.nan, "inline"]), "without a slot"),
        (CURVE.iloc[:0], "has no rows"),
    ],
)
def test_a_given_curve_is_checked(frame, message):
    with pytest.raises(BadCallError, match=message):
        given_exposure(frame, "assistant")


def test_a_given_curve_meets_what_was_shown():
    rows = swapped(100, 50)
    curve = find_exposure(rows, CURVE, engine="assistant")
    assert curve.frame[["clicks", "shows", "people"]].to_numpy().tolist() == [
        [100, 400, 100], [50, 400, 100], [0, 0, 0],
    ]  # fmt: skip
    assert curve.beside is not None
    assert curve.beside.positions[("inline", 2)] == pytest.approx(0.5)
    missing = given_exposure(CURVE.iloc[:1], "assistant", rows=rows)
    assert not missing.connected
    assert missing.reasons[0] == "no exposure is given for these positions: inline 2"
    with pytest.raises(BadCallError, match="rank 1 of slot inline"):
        find_exposure(rows, CURVE.assign(slot="panel"), engine="assistant")


def test_a_slice_too_small_leaves_the_swaps_in_charge():
    rows = draw_rows(1, 30_000, 1.0, random_share=0.02)
    curve = find_exposure(rows)
    assert (curve.method, curve.usable) == ("harvested", True)
    assert curve.beside is not None
    assert (curve.beside.method, curve.beside.usable) == ("randomised", False)
    assert find_exposure(rows.drop(columns="propensity")).beside is None


def test_agreement_by_hand():
    ours = given_exposure(CURVE.assign(log_se=[0.0, 0.03, 0.04]), "a")
    theirs = given_exposure(
        CURVE.assign(exposure=[0.5, 0.25 * np.exp(0.1), 0.1], log_se=[0.0, 0.04, 0.03]), "a"
    )
    found = agreement(ours, theirs)
    assert found.chi2 == pytest.approx((0.1 / 0.05) ** 2)
    assert found.df == 2
    assert found.p == pytest.approx(np.exp(-2))  # of chi-square with two degrees of freedom
    assert 0.5 < found.power < 0.9
    assert agreement(ours, ours).p == 1.0
    exact = agreement(ours, given_exposure(CURVE, "a"))
    assert exact.chi2 == pytest.approx(0.0)


def test_what_cannot_be_compared_is_a_bad_call():
    assumed = given_exposure(CURVE, "a")
    with pytest.raises(BadCallError, match="neither has errors"):
        agreement(assumed, assumed)
    with pytest.raises(BadCallError, match="only rank 1"):
        agreement(assumed, given_exposure(CURVE.iloc[:1], "a"))
    with pytest.raises(BadCallError, match="not relative to the same"):
        agreement(assumed, given_exposure(CURVE.assign(slot="panel"), "a"))
    with pytest.raises(BadCallError, match="not relative to the same"):
        agreement(assumed, estimate_exposure(swapped(1, 1).iloc[:0]))
