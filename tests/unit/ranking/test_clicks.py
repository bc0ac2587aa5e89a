"""S8.1: the position-based model on sufficient statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.ranking import PositionBasedModel, count_cells

EXPOSURE = np.array([1.0, 0.6, 0.35])


def draw(items=40, shows=60_000, seed=0):
    rng = np.random.default_rng(seed)
    relevance = rng.uniform(0.1, 0.9, items)
    item, place = rng.integers(0, items, shows), rng.integers(0, 3, shows)
    clicked = rng.random(shows) < EXPOSURE[place] * relevance[item]
    return relevance, count_cells(pd.DataFrame({"item": item, "place": place, "clicked": clicked}))


def reference_em(cells, steps):
    """Textbook EM, one show at a time: the slow and obvious form that the model must agree with."""
    theta = dict.fromkeys(cells["place"], 0.5)
    gamma = dict.fromkeys(cells["item"], 0.5)
    for _ in range(steps):
        seen, shown_at = dict.fromkeys(theta, 0.0), dict.fromkeys(theta, 0)
        liked, shown_of = dict.fromkeys(gamma, 0.0), dict.fromkeys(gamma, 0)
        for item, place, shows, clicks in cells.itertuples(index=False):
            t, g = theta[place], gamma[item]
            seen[place] += clicks + (shows - clicks) * t * (1 - g) / (1 - t * g)
            liked[item] += clicks + (shows - clicks) * g * (1 - t) / (1 - t * g)
            shown_at[place] += shows
            shown_of[item] += shows
        theta = {place: seen[place] / shown_at[place] for place in theta}
        gamma = {item: liked[item] / shown_of[item] for item in gamma}
    top = max(theta.values())
    return {p: t / top for p, t in theta.items()}, {i: g * top for i, g in gamma.items()}


def test_agrees_with_the_textbook_step_by_step():
    _, cells = draw(items=6, shows=2_000)
    model = PositionBasedModel(max_iter=40, tol=-np.inf).fit(cells)
    theta, gamma = reference_em(cells, 40)
    assert model.n_iter_ == 40
    assert model.exposure_ == pytest.approx(theta, abs=1e-6)
    assert model.relevance_ == pytest.approx(gamma, abs=1e-6)


def test_finds_exposure_and_relevance():
    relevance, cells = draw()
    model = PositionBasedModel().fit(cells)
    assert [model.exposure_[place] for place in range(3)] == pytest.approx(EXPOSURE, abs=0.03)
    found = np.array([model.relevance_[item] for item in range(40)])
    assert np.abs(found - relevance).mean() < 0.03


def test_fixed_exposures_stay_and_give_relevance():
    relevance, cells = draw()
    model = PositionBasedModel(dict(enumerate(EXPOSURE))).fit(cells)
    assert model.exposure_ == dict(enumerate(EXPOSURE))
    found = np.array([model.relevance_[item] for item in range(40)])
    assert np.abs(found - relevance).mean() < 0.025


def test_likelihood_rises_and_beats_rates_by_place():
    _, cells = draw()
    few, many = (PositionBasedModel(max_iter=steps).fit(cells).score(cells) for steps in (2, 200))
    rates = cells.groupby("place")[["shows", "clicks"]].sum()
    p = (rates["clicks"] / rates["shows"]).reindex(cells["place"]).to_numpy()
    by_place = cells["clicks"] * np.log(p) + (cells["shows"] - cells["clicks"]) * np.log1p(-p)
    assert few < many
    assert many > by_place.sum() / cells["shows"].sum()


def test_perplexity_per_place_averages_to_the_score():
    _, cells = draw(shows=5_000)
    model = PositionBasedModel().fit(cells)
    table = model.perplexity(cells)
    mean = (np.log(table["perplexity"]) * table["shows"]).sum() / table["shows"].sum()
    assert mean == pytest.approx(-model.score(cells))
    assert table["perplexity"].between(1, 2).all()


def test_a_prior_draws_thin_items_to_the_mean():
    cells = pd.DataFrame({"item": ["thin", "thick"], "place": [1, 1], "shows": [1, 1000], "clicks": [1, 300]})
    free = PositionBasedModel({1: 1.0}).fit(cells)
    drawn = PositionBasedModel({1: 1.0}, prior_shows=10.0).fit(cells)
    assert free.relevance_["thin"] == pytest.approx(1.0, abs=1e-6)
    assert drawn.relevance_["thin"] == pytest.approx((1 + 10 * 301 / 1001) / 11, abs=1e-6)
    assert drawn.relevance_["thick"] == pytest.approx(0.3, abs=0.001)


def test_unknown_items_get_the_mean_and_unknown_places_are_named():
    _, cells = draw(shows=3_000)
    model = PositionBasedModel().fit(cells)
    assert model.predict_proba(["new"], [0])[0] == pytest.approx(model.mean_relevance_)
    with pytest.raises(BadCallError, match="unknown place '7'"):
        model.predict_proba([0], [7])


def test_bad_calls_say_what_is_missing():
    with pytest.raises(BadCallError, match="needs the columns clicks"):
        PositionBasedModel().fit(pd.DataFrame({"item": [1], "place": [1], "shows": [1]}))
    with pytest.raises(BadCallError, match="no cell"):
        PositionBasedModel().fit(pd.DataFrame({"item": [], "place": [], "shows": [], "clicks": []}))
    with pytest.raises(BadCallError, match="unknown place in exposure '1'"):
        PositionBasedModel({2: 1.0}).fit(
            pd.DataFrame({"item": [1], "place": [1], "shows": [1], "clicks": [0]})
        )
