"""S8.1: three click models with one interface, on worlds whose parameters are known and on bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.click_worlds import browsing, draw_world, position
from eventlib.errors import BadCallError
from eventlib.ranking import PositionBasedModel, SimplifiedDBN, UserBrowsingModel

MODELS = [PositionBasedModel, UserBrowsingModel, SimplifiedDBN]
OWN = dict(zip(["PBM", "UBM", "SDBN"], MODELS, strict=True))
GOOD = pd.DataFrame(
    {"session": ["s", "s", "t", "t"], "item": list("abba"), "rank": [1, 2, 1, 2], "clicked": [1, 0, 0, 1]}
)


def error_of_relevance(model, world, least=300):
    table = model.relevance()
    known = table[table["shows"] >= least]
    return float((known["relevance"] - world.attraction[known["item"]].to_numpy()).abs().mean())


@pytest.mark.parametrize("kind", OWN)
def test_each_model_finds_its_own_world_better_with_more_lists(kind):
    few, many = (draw_world(kind, sessions, 1, queries=8) for sessions in (1_000, 16_000))
    errors = [error_of_relevance(OWN[kind]().fit(world.shows), world, 1) for world in (few, many)]
    assert errors[1] < errors[0] / 2
    assert errors[1] < 0.025


def test_exposures_are_found():
    pbm = PositionBasedModel().fit(draw_world("PBM", 16_000, 2, queries=8).shows)
    ubm = UserBrowsingModel().fit(draw_world("UBM", 16_000, 2, queries=8).shows)
    ranks = np.arange(1, 11)
    names = ranks.tolist()
    assert [pbm.exposure_[rank] for rank in names] == pytest.approx(position(ranks), abs=0.05)
    assert [ubm.exposure_[rank, rank] for rank in names] == pytest.approx(
        browsing(ranks, np.zeros(10, int)), abs=0.05
    )
    assert [ubm.exposure_[rank, 1] for rank in names[1:]] == pytest.approx(
        browsing(ranks[1:], ranks[1:] - 1), abs=0.08
    )


def test_satisfaction_needs_em_and_counts_overstate_it():
    world = draw_world("SDBN", 16_000, 3, queries=8)
    bias = {}
    for steps in (0, 200):
        table = SimplifiedDBN(max_iter=steps).fit(world.shows).relevance()
        known = table[table["clicks"] >= 200]
        bias[steps] = (known["satisfaction"] - world.satisfaction[known["item"]].to_numpy()).mean()
    assert bias[0] > 0.05
    assert abs(bias[200]) < 0.02


@pytest.mark.parametrize("kind", OWN)
def test_held_out_lists_of_each_world_are_told_best_by_its_own_model(kind):
    shows = draw_world(kind, 12_000, 4, queries=1).shows
    learned, held = shows[: len(shows) // 2], shows[len(shows) // 2 :]
    models = {name: made(prior_shows=5.0).fit(learned) for name, made in OWN.items()}
    scores = {name: model.score(held) for name, model in models.items()}
    model = models[kind]
    assert max(scores, key=lambda name: scores[name]) == kind
    assert model.mean_perplexity(held, conditional=True) <= model.mean_perplexity(held) + 1e-9


@pytest.mark.parametrize("made", MODELS)
def test_samples_are_clicked_as_often_as_predicted(made):
    world = draw_world("UBM", 4_000, 5, queries=2)
    model = made().fit(world.shows)
    drawn = model.sample(world.shows, seed=1)
    assert drawn.mean() == pytest.approx(model.predict_proba(world.shows).mean(), abs=0.005)
    assert (drawn == model.sample(world.shows, seed=1)).all()


@pytest.mark.parametrize(("kind", "given"), [("PBM", True), ("PBM", False), ("UBM", False), ("SDBN", False)])
def test_ninety_percent_intervals_hold_what_is_true(kind, given):
    held = shown = 0
    for seed in range(4):
        world = draw_world(kind, 3_000, 10 + seed, queries=8)
        exposure = dict(zip(range(1, 11), position(np.arange(1, 11)), strict=True)) if given else None
        model = PositionBasedModel(exposure) if kind == "PBM" else OWN[kind]()
        table = model.fit(world.shows).relevance(interval=0.9)
        truth = world.attraction[table["item"]].to_numpy()
        inside = (table["lower"] <= truth) & (truth <= table["upper"]) & (table["shows"] >= 50)
        held, shown = held + int(inside.sum()), shown + int((table["shows"] >= 50).sum())
    assert shown > 200
    # 1.645 standard errors of a share of .9 of 200 are .035
    assert 0.86 < held / shown < 0.94


def test_an_interval_with_estimated_exposures_is_wider():
    shows = draw_world("PBM", 2_000, 6, queries=4).shows
    free = PositionBasedModel().fit(shows)
    given = PositionBasedModel(free.exposure_).fit(shows)
    widths = [(table["upper"] - table["lower"]).mean() for table in (free.relevance(), given.relevance())]
    assert widths[0] > 1.02 * widths[1]
    assert given.relevance()["relevance"].to_numpy() == pytest.approx(
        free.relevance()["relevance"].to_numpy(), abs=0.01
    )


def test_items_that_nothing_joins_to_the_reference_may_be_anything():
    shows = pd.DataFrame(
        {"item": ["a", "a", "a", "b", "b", "b"], "place": [1, 1, 1, 2, 2, 2], "clicked": [1, 1, 0, 1, 0, 0]}
    )
    table = PositionBasedModel().fit(shows).relevance().set_index("item")
    assert (table.loc[["a", "b"], "upper"] - table.loc[["a", "b"], "lower"]).max() == 1.0


@pytest.mark.parametrize("made", MODELS)
def test_what_was_not_in_the_fit_gets_the_mean(made):
    model = made().fit(draw_world("UBM", 500, 7, queries=2).shows)
    new = pd.DataFrame({"session": [1, 1], "item": ["new", "newer"], "rank": [1, 40], "clicked": [0, 0]})
    p = model.predict_proba(new)
    top = model.exposure_[1] if isinstance(model, PositionBasedModel) else 1.0
    assert p[0] == pytest.approx(model.mean_relevance_ * top)
    if not isinstance(model, SimplifiedDBN):
        at_40 = model.predict_conditional(new)[1]
        assert at_40 == pytest.approx(model.mean_relevance_ * model.mean_exposure_)
    assert np.isfinite(model.score(new))


@pytest.mark.parametrize("made", MODELS)
def test_logs_without_a_click_and_with_nothing_else_stay_finite(made):
    for clicked in (0, 1):
        model = made().fit(GOOD.assign(clicked=clicked))
        frames = [model.relevance(), model.perplexity(GOOD), model.perplexity(GOOD, conditional=True)]
        assert not any(frame.isna().to_numpy().any() for frame in frames)
        p = np.concatenate([model.predict_proba(GOOD), model.predict_conditional(GOOD)])
        assert ((p > 0) & (p < 1)).all()
        assert np.isfinite(model.score(GOOD))


BAD = {
    "needs the columns clicked": GOOD.drop(columns="clicked"),
    "needs the columns item": GOOD.drop(columns="item"),
    "has no rows": GOOD.iloc[:0],
    r"\['rank'\] has 4 values that are no rank, such as 0": GOOD.assign(rank=0),
    "such as 1.5": GOOD.assign(rank=1.5),
    "must be whole numbers": GOOD.assign(rank=list("abcd")),
    "session 't' has more than one show at rank 2": GOOD.assign(rank=[1, 2, 2, 2]),
    r"\['clicked'\] has 1 values that are neither": GOOD.assign(clicked=[1, 0, 2, 0]),
    r"\['item'\] has 1 nulls": GOOD.assign(item=["a", np.nan, "b", "c"]),
    r"\['session'\] has 1 nulls": GOOD.assign(session=["a", np.nan, "b", "c"]),
    r"\['rank'\] has 1 nulls": GOOD.assign(rank=[1, 2, 1, np.nan]),
}


@pytest.mark.parametrize("made", MODELS)
@pytest.mark.parametrize("message", BAD)
def test_bad_frames_are_refused_in_words(made, message):
    with pytest.raises(BadCallError, match=message):
        made().fit(BAD[message])
    if "clicked" not in message:
        with pytest.raises(BadCallError, match=message):
            made().fit(GOOD).predict_proba(BAD[message])


@pytest.mark.parametrize("made", MODELS)
def test_bad_calls_are_refused_in_words(made):
    with pytest.raises(BadCallError, match="is not fitted yet"):
        made().predict_proba(GOOD)
    with pytest.raises(BadCallError, match="must be a pandas DataFrame with one row per show, got list"):
        made().fit([1, 2])
    with pytest.raises(BadCallError, match="interval must lie between 0 and 1, got 90"):
        made().fit(GOOD).relevance(90)
    with pytest.raises(BadCallError, match="prior_shows must be 0 or more"):
        made(prior_shows=-1).fit(GOOD)
    with pytest.raises(BadCallError, match="max_iter must be at least"):
        made(max_iter=-1).fit(GOOD)


def test_cells_and_exposures_that_cannot_be_are_refused():
    cells = pd.DataFrame({"item": ["a"], "place": [1], "shows": [2], "clicks": [3]})
    with pytest.raises(BadCallError, match="such as 3 clicks of 2 shows"):
        PositionBasedModel().fit(cells)
    with pytest.raises(BadCallError, match="exposure of place 1 must be 0 or more"):
        PositionBasedModel({1: -0.5}).fit(cells.assign(clicks=1))
    with pytest.raises(BadCallError, match="2 items and 1 places"):
        PositionBasedModel().fit(cells.assign(clicks=1)).predict_proba(["a", "a"], [1])


def test_slots_and_ranks_are_places_and_a_given_exposure_may_exceed_one():
    shows = pd.DataFrame(
        {"item": list("abab"), "place": ["main/1", "main/2", "main/2", "main/1"], "clicked": [1, 0, 1, 0]}
    )
    low = PositionBasedModel({"main/1": 0.5, "main/2": 1.0}).fit(shows)
    high = PositionBasedModel({"main/1": 1.0, "main/2": 2.0}).fit(shows)
    assert high.exposure_ == {"main/1": 1.0, "main/2": 2.0}
    assert high.predict_proba(shows) == pytest.approx(low.predict_proba(shows), abs=1e-6)
    assert list(high.perplexity(shows)["place"]) == ["main/1", "main/2"]


@pytest.mark.parametrize("made", [PositionBasedModel, UserBrowsingModel])
def test_a_prior_of_places_keeps_a_rank_that_was_shown_once_off_zero(made):
    drawn_lists = draw_world("PBM", 300, 8, queries=1).shows
    once = drawn_lists.iloc[:1].assign(session="once", rank=12, clicked=False)
    shows, held = pd.concat([drawn_lists, once]), once.assign(clicked=True)
    free, drawn = (made(prior_place_shows=prior).fit(shows) for prior in (0.0, 2.0))
    assert free.predict_proba(held)[0] < 0.01
    assert drawn.predict_proba(held)[0] > 0.05
    with pytest.raises(BadCallError, match="prior_place_shows must be 0 or more"):
        made(prior_place_shows=-1.0).fit(shows)


@pytest.mark.parametrize("made", MODELS)
@pytest.mark.parametrize(
    "items",
    [
        pd.Categorical(list("abba")),
        [("a", 1), ("b", 1), ("b", 1), ("a", 1)],
        ["a", 7, 7, "a"],
        pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02", "2026-01-01"], utc=True),
        pd.array([1, 2, 2, 1], dtype="Int64"),
    ],
    ids=["categories", "pairs", "mixed", "times", "nullable"],
)
def test_items_may_be_of_any_type(made, items):
    shows = GOOD.assign(
        item=items,
        session=pd.Categorical(GOOD["session"]),
        rank=GOOD["rank"].astype("Int64"),
        clicked=GOOD["clicked"].astype("boolean"),
    )
    plain, model = made(prior_shows=1.0).fit(GOOD), made(prior_shows=1.0).fit(shows)
    assert model.predict_proba(shows) == pytest.approx(plain.predict_proba(GOOD), abs=1e-9)
    assert len(model.relevance()) == len(model.relevance_) == 2
