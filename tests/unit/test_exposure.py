"""S7.2, S8.2: exposure within pages, on worlds whose truth is known."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.exposure import all_pairs, conditional_fit, estimate_exposure, harvest_swaps, shown_citations
from tests.unit.geo.small_world import small_world

TRUE = np.array([1.0, 0.62, 0.45, 0.30, 0.22])
START = pd.Timestamp("2026-09-01", tz="UTC")


def pbm_rows(
    rng: np.random.Generator, keys: int = 300, shows: int = 40, *, kappa: float = 0.0, true: np.ndarray = TRUE
) -> pd.DataFrame:
    """Rows of a position-based world; kappa sets better content in better positions."""
    width = len(true)
    interest = rng.beta(2, 6, keys)
    key = np.repeat(np.arange(keys), shows)
    home = (1 - np.argsort(np.argsort(interest)) / keys) * (width - 1) * kappa + rng.uniform(
        0, width - 1, keys
    ) * (1 - kappa)
    rank = np.clip(np.rint(home[key] + rng.normal(0, 1, len(key))), 0, width - 1).astype(int)
    clicked = rng.random(len(key)) < true[rank] * interest[key]
    return pd.DataFrame(
        {
            "prompt_id": [f"q{k}" for k in key],
            "content_id": "c",
            "content_version": "",
            "month": 0,
            "engine": "site_assistant",
            "slot": "inline",
            "rank": rank + 1,
            "clicked": clicked,
        }
    )  # fmt: skip


def test_two_ranks_by_hand():
    # one key, 100 shows at each rank, 30 and 15 clicks: the ratio is 1/2 and its log error sqrt(1/30 + 1/15)
    fitted, information = conditional_fit(np.array([[100.0, 100.0]]), np.array([[30.0, 15.0]]))
    assert np.exp(fitted) == pytest.approx([1.0, 0.5])
    assert 1 / information[0, 0] == pytest.approx(1 / 30 + 1 / 15)


def test_unequal_shows_are_an_offset():
    fitted, _ = conditional_fit(np.array([[200.0, 50.0]]), np.array([[40.0, 5.0]]))
    assert np.exp(fitted[1]) == pytest.approx((5 / 50) / (40 / 200))


def test_keys_of_different_interest_give_the_same_curve():
    shows = np.array([[100.0, 100.0], [10.0, 1000.0]])
    clicks = np.array([[80.0, 40.0], [1.0, 50.0]])
    fitted, _ = conditional_fit(shows, clicks)
    assert np.exp(fitted[1]) == pytest.approx(0.5)


def test_the_curve_is_recovered_and_its_intervals_cover():
    rng = np.random.default_rng(7)
    inside, wrong = [], []
    for _ in range(15):
        curve = estimate_exposure(pbm_rows(rng, keys=150, shows=30, kappa=0.9)).frame
        inside.append(((curve["lower"] <= TRUE) & (curve["upper"] >= TRUE)).to_numpy()[1:])
        wrong.append(np.log(curve["exposure"] / TRUE).to_numpy()[1:])
    assert 0.8 <= np.mean(inside) <= 0.99
    assert np.abs(np.median(wrong, axis=0)).max() < 0.08


def test_placement_by_quality_misleads_click_rates_but_not_swaps():
    rows = pbm_rows(np.random.default_rng(1), keys=500, shows=60, kappa=0.9)
    curve = estimate_exposure(rows).frame
    naive = rows.groupby("rank")["clicked"].mean().to_numpy()
    naive = naive / naive[0]
    assert np.abs(curve["exposure"] - TRUE).max() < 0.06
    assert naive[-1] < TRUE[-1] * 0.7
    assert np.abs(curve["all_pairs"] - TRUE).max() < 0.15


def test_all_pairs_by_hand():
    shows, clicks = np.full((200, 2), 100.0), np.tile([30.0, 15.0], (200, 1))
    assert all_pairs(shows, clicks)[1] == pytest.approx(0.5, abs=0.01)


def test_without_swaps_the_ranks_are_refused_by_name():
    rows = pbm_rows(np.random.default_rng(2), keys=100)
    rows["rank"] = 1 + rows.groupby("prompt_id").ngroup() % 3  # every key keeps its rank
    result = estimate_exposure(rows)
    assert not result.connected
    assert not result.usable
    assert result.reasons == ("no clicked swaps connect these positions to rank 1: inline 2, inline 3",)
    assert result.frame["exposure"].isna().tolist() == [False, True, True]


def test_a_rank_that_never_won_a_click_has_no_exposure():
    rows = pbm_rows(np.random.default_rng(3), true=np.array([1.0, 0.5, 0.0]))
    frame = estimate_exposure(rows).frame
    assert frame["status"].tolist() == ["reference", "estimated", "not connected"]


def test_few_clicks_connect_but_are_not_usable():
    result = estimate_exposure(pbm_rows(np.random.default_rng(4), keys=60, shows=15))
    assert result.connected
    assert not result.usable
    assert "error of log exposure" in result.reasons[0]


def test_many_clicks_are_usable():
    result = estimate_exposure(pbm_rows(np.random.default_rng(5), keys=600, shows=80))
    assert result.usable
    assert result.reasons == ()
    assert result.frame["log_se"].max() < 0.10
    assert result.at(["inline", "panel"], [1, 1])[0] == 1.0
    assert np.isnan(result.at(["panel"], [1])[0])


def test_row_order_does_not_matter():
    rows = pbm_rows(np.random.default_rng(6), keys=80)
    one = estimate_exposure(rows).frame
    two = estimate_exposure(rows.sample(frac=1, random_state=1)).frame
    pd.testing.assert_frame_equal(one, two, rtol=1e-6)


def test_slots_are_one_curve_when_they_swap():
    rows = pbm_rows(np.random.default_rng(8), keys=300, true=np.array([1.0, 0.5, 0.8, 0.4]))
    rows["slot"] = np.where(rows["rank"] > 2, "panel", "inline")
    rows["rank"] = (rows["rank"] - 1) % 2 + 1
    frame = estimate_exposure(rows).frame
    assert list(zip(frame["slot"], frame["rank"], strict=True)) == [
        ("inline", 1), ("inline", 2), ("panel", 1), ("panel", 2),
    ]  # fmt: skip
    assert np.abs(frame["exposure"] - [1.0, 0.5, 0.8, 0.4]).max() < 0.12


def test_nothing_shown_is_a_result():
    rows = pbm_rows(np.random.default_rng(9), keys=3).iloc[:0]
    result = estimate_exposure(rows)
    assert result.reasons == ("no citation was shown",)
    assert result.frame.empty


def test_one_engine_at_a_time():
    rows = pbm_rows(np.random.default_rng(9), keys=3)
    rows.loc[0, "engine"] = "chatgpt"
    with pytest.raises(BadCallError, match="chatgpt, site_assistant"):
        estimate_exposure(rows)


def test_a_bootstrap_weight_of_one_changes_nothing():
    swaps = harvest_swaps(pbm_rows(np.random.default_rng(10), keys=50))
    plain, weighted = swaps.matrices(), swaps.matrices(np.ones(len(swaps.key)))
    assert all((a == b).all() for a, b in zip(plain, weighted, strict=True))


def frames() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    shows = pd.DataFrame(
        {
            "citation_id": ["k1", "k1", "k2", "k3", "k4"],
            "answer_id": ["a1", "a1", "a1", "a2", "a3"],
            "content_id": ["c1", "c1", "c2", "c1", "c1"],
            "content_version": ["v1", "v1", None, "v1", "v1"],
            "position": [1, 1, 2, 1, 1],
            "slot": [None, None, "panel", "inline", "inline"],
            "engine": "site_assistant",
            "observation": ["owned", "owned", "owned", "probe", "owned"],
            "event_time": START,
            "person_id": ["p1", "p1", None, "p2", "p3"],
            "anonymous_id": "a-1",
            "agent": [None, None, None, None, "GPTBot"],
            "allow_analytics": True,
        }
    )
    clicks = pd.DataFrame({"citation_id": ["k2", "k2"], "agent": None, "allow_analytics": True})
    answers = pd.DataFrame({"answer_id": ["a1"], "prompt_id": ["q1"]})
    return shows, clicks, answers


def test_shown_citations_are_owned_human_and_counted_once():
    rows = shown_citations(*frames())
    assert rows["citation_id"].tolist() == ["k1", "k2"]
    assert rows["clicked"].tolist() == [False, True]
    assert rows["slot"].tolist() == ["inline", "panel"]
    assert rows["prompt_id"].tolist() == ["q1", "q1"]
    assert rows["person_id"].tolist() == ["p1", "a-1"]
    assert rows["content_version"].tolist() == ["v1", ""]


def test_without_its_answer_a_show_has_a_prompt_of_its_own():
    shows, clicks, _ = frames()
    assert shown_citations(shows, clicks)["prompt_id"].tolist() == ["answer:a1", "answer:a1"]


def test_missing_columns_are_named():
    with pytest.raises(BadCallError, match="position"):
        shown_citations(pd.DataFrame({"citation_id": []}), pd.DataFrame())


def test_a_refit_is_quick():
    swaps = harvest_swaps(pbm_rows(np.random.default_rng(11), keys=2_000, shows=10))
    start = time.perf_counter()
    conditional_fit(*swaps.matrices())
    assert time.perf_counter() - start < 2.0


def test_rows_that_tell_nothing_change_nothing_and_take_no_matrix():
    world = small_world(seed=6).frames
    rows = shown_citations(world["citation_show"], world["citation_click"], world["answer_generate"])
    once = rows.head(4_000).assign(prompt_id=[f"once-{i}" for i in range(4_000)], clicked=True)
    alone, both = estimate_exposure(rows), estimate_exposure(pd.concat([rows, once], ignore_index=True))
    same = ["slot", "rank", "exposure", "log_se", "all_pairs", "swap_clicks"]
    pd.testing.assert_frame_equal(alone.frame[same], both.frame[same])
    assert both.frame["shows"].sum() == alone.frame["shows"].sum() + 4_000
    assert both.keys == alone.keys
    kept, informing = harvest_swaps(once).informing()
    assert not kept.any()
    assert informing.matrices()[0].shape == (0, 5)
