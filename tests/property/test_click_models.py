"""S8.1: what holds of click models for any log."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlib.ranking import PositionBasedModel, SimplifiedDBN, UserBrowsingModel

MODELS = [PositionBasedModel, UserBrowsingModel, SimplifiedDBN]
LISTS = st.lists(
    st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), min_size=1, max_size=5),
    min_size=1,
    max_size=12,
)


def frame(lists):
    rows = [
        (session, item, rank, clicked)
        for session, shown in enumerate(lists)
        for rank, (item, clicked) in enumerate(shown, start=1)
    ]
    return pd.DataFrame(rows, columns=["session", "item", "rank", "clicked"])


def fitted(made, shows, steps=15):
    return made(max_iter=steps, tol=-np.inf).fit(shows)


@pytest.mark.parametrize("made", MODELS)
@settings(max_examples=40, deadline=None)
@given(lists=LISTS, seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(made, lists, seed):
    shows = frame(lists)
    shuffled = shows.sample(frac=1, random_state=seed)
    one, other = fitted(made, shows), fitted(made, shuffled)
    assert other.relevance_ == pytest.approx(one.relevance_, abs=1e-9)
    predicted = pd.Series(other.predict_conditional(shuffled), index=shuffled.index).sort_index()
    assert predicted.to_numpy() == pytest.approx(one.predict_conditional(shows), abs=1e-9)


@pytest.mark.parametrize("made", MODELS)
@settings(max_examples=40, deadline=None)
@given(lists=LISTS)
def test_the_names_of_items_do_not_matter(made, lists):
    shows = frame(lists)
    names = dict(zip("abcde", [9, 1, 5, -2, 0], strict=True))
    one, other = fitted(made, shows), fitted(made, shows.assign(item=shows["item"].map(names)))
    assert other.relevance_ == pytest.approx({names[item]: g for item, g in one.relevance_.items()}, abs=1e-9)


@pytest.mark.parametrize("made", MODELS)
@settings(max_examples=40, deadline=None)
@given(lists=LISTS)
def test_a_log_said_twice_says_the_same(made, lists):
    one, other = fitted(made, frame(lists)), fitted(made, frame(lists * 2))
    assert other.relevance_ == pytest.approx(one.relevance_, abs=1e-9)
    assert getattr(other, "exposure_", {}) == pytest.approx(getattr(one, "exposure_", {}), abs=1e-9)


@pytest.mark.parametrize("made", MODELS)
@settings(max_examples=40, deadline=None)
@given(lists=LISTS, prior=st.sampled_from([0.0, 2.0]))
def test_probabilities_are_probabilities_and_intervals_hold_the_estimate(made, lists, prior):
    shows = frame(lists)
    model = made(max_iter=15, prior_shows=prior).fit(shows)
    p = np.concatenate([model.predict_proba(shows), model.predict_conditional(shows)])
    assert ((p > 0) & (p < 1)).all()
    table = model.relevance()
    assert not table.isna().to_numpy().any()
    assert (table["lower"] >= 0).all()
    assert (table["lower"] <= table["relevance"]).all()
    assert (table["relevance"] <= table["upper"]).all()
    assert (table["upper"] <= 1).all()


@pytest.mark.parametrize("made", MODELS)
@settings(max_examples=40, deadline=None)
@given(lists=LISTS, prior=st.sampled_from([0.0, 3.0]))
def test_no_step_makes_the_likelihood_fall(made, lists, prior):
    # the path of the SDBN is without a prior
    priors = {} if made is SimplifiedDBN else {"prior_shows": prior, "prior_place_shows": prior / 2}
    model = made(max_iter=40, tol=-np.inf, **priors).fit(frame(lists))
    assert (np.diff(model.log_likelihood_path_) >= -1e-9).all()
