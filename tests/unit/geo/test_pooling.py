"""S7.8: effects pooled by kind of edit, and power told before the verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.geo.comparison import Comparison
from eventlib.geo.pooling import pool_by_type
from eventlib.geo.power import critical, detectable, placebo_p, predicted_power


def verdicts(
    edits: int, change: float, error: float = 0.2, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Edits of one kind that all changed as much, and 60 unedited pages at their dates."""
    rng = np.random.default_rng(seed)
    ids = [f"e{i}" for i in range(edits)]
    named = {"engine": "e", "observation": "owned", "outcome": "cite"}
    logs = np.log(change) + error * rng.normal(size=edits)
    told = pd.DataFrame(
        {"edit_id": ids, "change_type": "refresh", "change": np.exp(logs), "error": error, "p": 0.5}
    )
    pages = pd.DataFrame({"content_id": [f"c{i}" for i in range(60)]})
    chance = told[["edit_id"]].merge(pages, how="cross").assign(statistic=rng.normal(size=60 * edits))
    return told.assign(**named), chance.assign(**named)


def test_small_changes_add_up():
    alone = pool_by_type(*verdicts(1, 1.3))
    assert alone["state"].tolist() == ["not testable"]
    assert "one edit of this kind" in alone["reason"].iloc[0]
    few = pool_by_type(*verdicts(12, 1.3)).iloc[0]
    assert (few["state"], few["method"], few["pages"]) == ("better", "as many unedited pages", 12)
    assert few["lower"] < 1.3 < few["upper"]
    many = pool_by_type(*verdicts(24, 1.3)).iloc[0]
    assert (many["state"], many["method"]) == ("better", "how the pages differ")
    assert many["upper"] / many["lower"] < few["upper"] / few["lower"]


def test_more_edits_have_more_power():
    power = [pool_by_type(*verdicts(edits, 1.0)).iloc[0] for edits in (3, 8, 20)]
    assert power[0]["power_25"] < power[1]["power_25"] < power[2]["power_25"]
    assert power[0]["power_25"] < power[0]["power_50"] < power[0]["power_100"]


def test_kinds_that_did_nothing_are_rarely_found():
    p = [
        pool_by_type(*verdicts(edits, 1.0, seed=seed)).iloc[0]["p"] for seed in range(40) for edits in (4, 21)
    ]
    assert np.mean(np.array(p) <= 0.1) <= 0.2
    assert 0.35 < np.mean(p) < 0.65


def test_too_few_unedited_pages_say_so():
    told, chance = verdicts(10, 1.5)
    row = pool_by_type(told, chance[chance["content_id"].str.len() == 2]).iloc[0]  # ten of them
    assert (row["state"], row["reason"]) == ("not testable", "too few unedited pages for as many edits")


def test_frames_without_a_column_are_refused():
    told, chance = verdicts(3, 1.0)
    with pytest.raises(BadCallError, match="needs the columns error"):
        pool_by_type(told.drop(columns="error"), chance)


def test_nothing_pools_to_nothing():
    told, chance = verdicts(3, 1.0)
    assert pool_by_type(told.iloc[:0], chance.iloc[:0]).empty


def comparison(error: float, placebos: int = 99, expected: float = 100.0) -> Comparison:
    """One page with as many expected on each side."""
    one = np.array([expected])
    normal = np.quantile(np.random.default_rng(0).normal(size=20_000), (np.arange(placebos) + 0.5) / placebos)
    return Comparison(
        (), np.zeros((1, 1), dtype=np.int64), np.zeros(1), np.array([error]), np.ones(1), np.ones(1), one, one,
        np.array([50]), normal, 0.0,
    )  # fmt: skip


def test_power_by_hand():
    found = comparison(0.1, expected=1e9)  # no count noise: all of the error is drift
    assert predicted_power(found, 0, 0.5, 1.0) == pytest.approx(0.05, abs=0.02)
    assert predicted_power(found, 0, 0.5, float(np.exp(0.196))) == pytest.approx(0.5, abs=0.03)
    assert np.log(detectable(found, 0, 0.5)) == pytest.approx(0.1 * (1.96 + 0.84), rel=0.05)


def test_a_gain_is_counted_better_than_what_was_there_before():
    # half of what could happen did: noise .5 / 100.5 on each side, which is all of the error; a gain leaves less of it
    found = comparison(float(np.sqrt(2 * 0.5 / 100.5)))
    drift = comparison(float(np.sqrt(2 * 0.5 / 100.5)), expected=1e9)
    assert predicted_power(found, 0, 0.5, 1.25) > predicted_power(drift, 0, 0.5, 1.25)


def test_nothing_is_detectable_with_few_placebos():
    found = comparison(0.1, placebos=10)
    assert critical(found.placebos) == np.inf
    assert predicted_power(found, 0, 0.5, 2.0) == 0.0
    assert detectable(found, 0, 0.5) == np.inf


@pytest.mark.parametrize("placebos", [39, 40, 48, 99])
def test_the_critical_statistic_is_the_p_values_own(placebos):
    drawn = np.random.default_rng(placebos).normal(size=placebos)
    limit = critical(drawn)
    assert placebo_p(limit * 1.000001, drawn) <= 0.05 < placebo_p(limit * 0.999999, drawn)
