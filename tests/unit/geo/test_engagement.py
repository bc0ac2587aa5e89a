"""S7.4 to S7.7: stages, shrinkage, the score and its words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.geo import tables
from eventlib.geo.engagement import CELL_KEYS, score_engine, score_engines, score_frame, score_observed
from eventlib.geo.observed import observed_stages
from eventlib.geo.stages import Stage, candidate_rows, cite_stage, satisfy_stage
from tests.unit.geo.small_world import small_world


@pytest.fixture(scope="module")
def world():
    return small_world(seed=1)


@pytest.fixture(scope="module")
def score(world):
    return score_engines(world.frames, replicates=60, draws=1_000)[0]


def test_the_score_is_named_after_its_stages(score):
    assert score.stages == ("cite", "click", "satisfy")
    assert score.name == "cite x click x satisfy"


def test_stage_bars_sum_to_the_log_score(score):
    bars = score.frame[[f"log_{name}" for name in score.stages]].sum(axis=1)
    assert np.allclose(bars, np.log(score.frame["theta"]))


def test_observed_and_expected_agree_in_total(score):
    for name in score.stages:
        totals = score.frame[[f"observed_{name}", f"expected_{name}"]].sum()
        assert totals.iloc[0] == pytest.approx(totals.iloc[1], rel=0.02)


def test_better_pages_score_higher(world, score):
    quality = world.quality[score.frame["content_id"].str[2:].astype(int)]
    assert np.corrcoef(quality, np.log(score.frame["theta"]))[0, 1] > 0.85


def test_words_need_probability_and_evidence(score):
    frame = score.frame
    assert (frame.loc[frame["word"] == "better", "p_better"] >= 0.95).all()
    assert (frame.loc[frame["word"] == "worse", "p_better"] <= 0.05).all()
    unsure = frame["word"] == "not enough evidence"
    assert (frame.loc[~unsure, "upper"] / frame.loc[~unsure, "lower"]).max() <= 4
    assert frame.loc[unsure, "rank"].isna().all()


def test_ranks_carry_intervals(score):
    ranked = score.frame[score.frame["enough"]]
    assert (ranked["rank_lower"] <= ranked["rank"]).all()
    assert (ranked["rank"] <= ranked["rank_upper"]).all()


def test_intervals_hold_the_truth_often_enough():
    inside = []
    for seed in range(4):
        world = small_world(seed=100 + seed)
        frame = score_engines(world.frames, replicates=20, draws=300, tau_ms=30_000)[0].frame
        clicked = world.frames["citation_click"]["content_id"]
        truth = frame["content_id"].map(world.satisfy) / world.satisfy[clicked].mean()
        inside.append(((frame["satisfy_lower"] <= truth) & (truth <= frame["satisfy_upper"])).mean())
    assert 0.78 <= np.mean(inside) <= 0.97


def test_the_same_seed_gives_the_same_score(world, score):
    again = score_engines(world.frames, replicates=60, draws=1_000)[0]
    pd.testing.assert_frame_equal(score.frame, again.frame)


def test_under_forty_people_there_is_no_score():
    few = small_world(seed=2, answers=200, people=30)
    score = score_engines(few.frames, replicates=10, draws=100)[0]
    assert score.frame.empty
    assert "40" in score.reasons[-1]


def test_few_people_behind_a_page_hide_it(world):
    frames = world.frames
    rare = frames["citation_click"]["content_id"].iloc[0]
    stage, _ = cite_stage(candidate_rows(frames["answer_generate"], frames["citation_show"]))
    assert stage is not None
    keep = (stage.content != rare) | (np.cumsum(stage.content == rare) <= 5)
    cut = Stage(
        "cite", stage.content[keep], stage.cluster[keep], stage.time_us[keep], stage.answer[keep],
        stage.observed[keep], stage.expected[keep], stage.base,
    )  # fmt: skip
    score = score_engine("e", [cut], draws=200, replicates=20)
    assert rare not in set(score.frame["content_id"])
    assert score.hidden == 2


def test_no_event_is_no_score(world):
    empty = {name: frame.iloc[:0] for name, frame in world.frames.items()}
    assert score_engines(empty) == []
    assert score_frame([]).empty


def test_all_scores_in_one_frame(score):
    frame = score_frame([score])
    assert frame.columns[:4].tolist() == ["engine", "observation", "score", "content_id"]
    assert len(frame) == len(score.frame)


def test_an_average_page_is_expected_its_share_of_the_answer():
    # two of four are cited at random: everybody's chance is a half
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "answer_id": np.repeat(np.arange(400).astype(str), 4),
            "content_id": np.tile(list("abcd"), 400),
            "cluster": np.repeat(np.arange(400).astype(str), 4),
            "prompt_id": "q",
            "time_us": 0,
            "cited": np.concatenate([rng.permutation([True, True, False, False]) for _ in range(400)]),
        }
    )
    stage, _ = cite_stage(rows)
    assert stage is not None
    assert stage.expected == pytest.approx(np.full(1600, 0.5), abs=0.03)


def test_a_strong_rival_lowers_what_is_expected():
    answers = np.arange(600)
    rival = answers % 2 == 0  # the rival takes every place there is in half of the answers
    content = np.column_stack([np.full(600, "a"), np.where(rival, "rival", "weak")])
    cited = np.column_stack([~rival, rival])
    rows = pd.DataFrame(
        {
            "answer_id": np.repeat(answers.astype(str), 2), "content_id": content.ravel(), "cluster": "x",
            "prompt_id": "q", "time_us": 0, "cited": cited.ravel(),
        }
    )  # fmt: skip
    stage, _ = cite_stage(rows)
    assert stage is not None
    own = stage.content == "a"
    against_rival, against_weak = stage.expected[own][rival], stage.expected[own][~rival]
    assert against_rival.mean() < 0.5 * against_weak.mean()


def test_where_all_that_was_retrieved_is_shown_there_is_no_cite_stage():
    rows = pd.DataFrame(
        {
            "answer_id": ["a", "a"],
            "content_id": ["x", "y"],
            "cluster": "p",
            "prompt_id": "q",
            "time_us": 0,
            "cited": True,
        }
    )
    assert cite_stage(rows) == (None, "everything that was retrieved was shown")


def test_no_visit_is_no_satisfy_stage():
    visits = pd.DataFrame(
        {"satisfied": pd.Series(dtype=bool), "content_id": [], "person_id": [], "time_us": []}
    )
    assert satisfy_stage(visits) == (None, "no visit was tracked")


def test_cells_by_version_and_prompt_cluster_add_up_to_their_page(world):
    observed = [one for one in observed_stages(world.frames) if one.engine == "site_assistant"]
    clusters = {f"q{i}": "even" if i % 2 == 0 else "odd" for i in range(40)}
    options = {"replicates": 20, "draws": 200, "small_cell": 0, "half_life_days": float("inf")}
    page = score_observed(observed, **options)[0].frame.set_index("content_id")
    fine = score_observed(observed, by=CELL_KEYS, prompt_clusters=clusters, **options)[0].frame
    assert set(fine["prompt_cluster"]) == {"even", "odd"}
    for name in ("observed_cite", "expected_click", "observed_satisfy"):
        assert fine.groupby("content_id")[name].sum().to_dict() == pytest.approx(page[name].to_dict())
    most = fine.groupby("content_id")["people"].max()
    assert (most <= page["people"].reindex(most.index)).all()


def test_prompts_without_a_cluster_are_unknown(world):
    score = score_engines(
        world.frames,
        by=("content_id", "prompt_cluster"),
        replicates=20,
        draws=200,
        prompt_clusters={"q1": "one"},
    )[0]
    one = score.frame[score.frame["prompt_cluster"] == "one"]
    assert set(score.frame["prompt_cluster"]) == {"one", "unknown"}
    assert 0 < len(one) <= 8  # a prompt has eight candidates


def test_a_cell_key_that_is_none_is_refused(world):
    for by in (("prompt_cluster",), ("content_id", "prompt"), ()):
        with pytest.raises(BadCallError, match="content_id"):
            score_engines(world.frames, by=by)


def test_evidence_fades_where_pages_change(world):
    score = score_engines(world.frames, replicates=20, draws=200, half_life_days=20.0)[0]
    plain = score_engines(world.frames, replicates=20, draws=200, half_life_days=float("inf"))[0]
    assert score.half_life_days == 20.0
    assert score.frame["expected_click"].sum() < 0.5 * plain.frame["expected_click"].sum()
    joined = score.frame.merge(plain.frame, on="content_id")
    assert (joined["upper_x"] / joined["lower_x"]).mean() > (joined["upper_y"] / joined["lower_y"]).mean()


def test_candidates_have_the_version_that_their_engine_showed_last():
    times = pd.to_datetime(["2026-06-01", "2026-06-10", "2026-06-20"], utc=True)
    answers = pd.DataFrame(
        {
            "answer_id": ["a", "b", "c"], "engine": "e", "observation": "owned", "prompt_id": "q", "event_time": times,
            "candidates": [[{"content_id": "x"}, {"content_id": "y"}]] * 3, "allow_analytics": True, "person_id": "p",
        }
    )  # fmt: skip
    shows = pd.DataFrame(
        {
            "answer_id": ["a", "c"], "engine": "e", "content_id": "x", "content_version": ["1", "2"],
            "event_time": times[[0, 2]], "allow_analytics": True,
        }
    )  # fmt: skip
    rows = candidate_rows(answers, shows)
    assert rows.loc[rows["content_id"] == "x", "content_version"].tolist() == ["1", "1", "2"]
    assert rows.loc[rows["content_id"] == "y", "content_version"].tolist() == ["", "", ""]
    assert rows.loc[rows["content_id"] == "x", "cited"].tolist() == [True, False, True]


def test_of_a_page_that_nobody_opened_no_multiple_of_its_evidence_would_do(world):
    clicks = world.frames["citation_click"]
    frames = world.frames | {"citation_click": clicks[clicks["content_id"] != "c-05"]}
    score = score_engines(frames, replicates=20, draws=400)[0]
    few = tables.unranked(score)
    assert few.set_index("content_id")["needs"].isna()["c-05"]
    assert few["needs"].isna().iloc[-1]  # such pages come last
    assert few["needs"].dropna().between(1.1, 1e4).all()
    assert (score.frame.loc[score.frame["enough"], "needs"] == 1).all()


def test_the_order_of_rows_is_of_no_matter(world, score):
    turned = {name: frame.iloc[::-1].reset_index(drop=True) for name, frame in world.frames.items()}
    again = score_engines(turned, replicates=60, draws=1_000)[0]
    pd.testing.assert_frame_equal(again.frame, score.frame, rtol=1e-6)
