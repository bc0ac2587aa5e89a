"""Rows that no schema would let pass, and rows that one does: refused by name, or counted, and never slow."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.exposure import shown_citations
from eventlib.geo import stages
from eventlib.geo.candidates import listed_contents
from eventlib.geo.engagement import score_engine, score_engines, score_observed
from eventlib.geo.observed import observed_stages
from eventlib.geo.satisfaction import engine_visits
from eventlib.geo.stages import Stage, candidate_rows, cite_stage
from tests.unit.geo.small_world import small_world


@pytest.fixture(scope="module")
def frames():
    return small_world(seed=3, answers=200).frames


@pytest.mark.parametrize("nothing", [[], None, float("nan"), pd.NA, np.array([], dtype=object)])
def test_answers_that_list_nothing_have_no_cite_stage(frames, nothing):
    answers = frames["answer_generate"].assign(candidates=[nothing] * 200)
    rows = candidate_rows(answers, frames["citation_show"])
    assert rows.empty
    assert cite_stage(rows) == (None, "no candidates are listed")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ("c-01", "answer 0 hold 'c-01'"), (None, "hold None"), ({}, "hold {}"), ([{"content_id": "c"}], r"hold \[{"),
        ({"content_id": None}, "text content_id"), ({"content_id": 5}, "text content_id"),
    ],
)  # fmt: skip
def test_candidates_of_another_make_are_refused_by_name(frames, one, said):
    listed = [[{"content_id": "c-00"}, one], *frames["answer_generate"]["candidates"][1:]]
    answers = frames["answer_generate"].assign(candidates=listed)
    with pytest.raises(BadCallError, match=said):
        observed_stages(frames | {"answer_generate": answers})


@pytest.mark.parametrize("listed", ["c-01", 7, {"content_id": "c-01"}])
def test_candidates_that_are_no_list_are_refused(listed):
    with pytest.raises(BadCallError, match="give a list, or null for none"):
        listed_contents(pd.DataFrame({"candidates": [listed]}))


@pytest.mark.parametrize("missing", [np.nan, None])
def test_a_citation_without_a_place_is_refused(frames, missing):
    shows = frames["citation_show"].astype({"position": "Int64"})
    shows.loc[shows.index[3], "position"] = missing
    with pytest.raises(BadCallError, match="position of citation_show is null in 1 of 1,000 rows"):
        shown_citations(shows, frames["citation_click"], frames["answer_generate"])


def test_long_answers_are_solved_as_short_ones_are(monkeypatch):
    rng = np.random.default_rng(0)
    size = np.array([8, 60, 120, 300])
    answer = rng.permutation(np.repeat(np.arange(4), size))
    strength, total = rng.normal(0, 1.2, len(answer)), np.array([3.0, 1.0, 6.0, 40.0])
    level = stages._solve_levels(strength, answer, total, np.zeros(4))
    along = stages._instead(answer, strength, total, level)
    monkeypatch.setattr(stages, "_MANY", 10_000)
    pair_by_pair = stages._instead(answer, strength, total, level)
    assert along == pytest.approx(pair_by_pair, rel=1e-4)


def test_one_answer_of_a_thousand_candidates_does_not_hold_up_the_others(frames):
    answers = frames["answer_generate"]
    listed = answers["candidates"].tolist()
    listed[0] = listed[0] + [{"content_id": f"x-{i}"} for i in range(990)]
    rows = candidate_rows(answers.assign(candidates=listed), frames["citation_show"])
    begun = time.process_time()
    stage, _ = cite_stage(rows)
    assert stage is not None
    assert time.process_time() - begun < 5  # pair by pair all answers took minutes
    assert stage.expected.sum() == pytest.approx(stage.observed.sum())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"half_life_days": 0.0}, "half_life_days is 0.0; give days above 0"),
        ({"half_life_days": float("nan")}, "half_life_days is nan"),
        ({"half_life_days": -3.0}, "half_life_days is -3.0"),
        ({"draws": 0}, "draws is 0 and replicates 200"),
        ({"replicates": 1}, "draws is 4000 and replicates 1"),
        ({"level": 1.0}, "level is 1.0"),
    ],
)
def test_numbers_that_give_no_interval_are_refused(frames, options, said):
    with pytest.raises(BadCallError, match=said):
        score_engines(frames, **options)


@pytest.mark.parametrize("tau_ms", [-1.0, float("nan"), float("inf")])
def test_a_threshold_that_is_none_is_refused(frames, tau_ms):
    with pytest.raises(BadCallError, match=f"tau_ms is {tau_ms}"):
        engine_visits(frames, tau_ms=tau_ms)


@pytest.mark.parametrize(
    ("rate", "pages"), [(0.0, 30), (0.0005, 30), (0.9995, 30), (1.0, 30), (0.3, 1), (0.3, 2)]
)
def test_at_the_ends_scores_are_finite_and_bars_add_up(rate, pages):
    rng = np.random.default_rng(1)
    rows = 4_000
    happened = (rng.random(rows) < rate).astype(float)
    base = float(happened.mean())
    stage = Stage(
        "satisfy", np.array([f"c-{i}" for i in rng.integers(0, pages, rows)], dtype=object),
        rng.integers(0, 2_000, rows).astype(object), np.arange(rows), np.full(rows, "", dtype=object), happened,
        np.full(rows, base), base,
    )  # fmt: skip
    frame = score_engine("e", [stage], replicates=20, draws=200).frame
    assert len(frame) == pages
    assert np.isfinite(frame[["theta", "lower", "upper", "log_satisfy"]].to_numpy()).all()
    assert (frame["lower"] <= frame["theta"]).all()
    assert (frame["theta"] <= frame["upper"]).all()
    assert not frame["word"].isin(["better", "worse"]).any() or 0 < rate < 1


ODD: dict[str, tuple[str, dict[str, Any]]] = {
    "all in one place": ("citation_show", {"position": 1}),
    "no place is the first": ("citation_show", {"position": 1_000}),
    "slots that nobody knows": ("citation_show", {"slot": "sidebar"}),
    "one page is shown": ("citation_show", {"content_id": "c-00"}),
    "no version": ("citation_show", {"content_version": None}),
    "no engine": ("citation_show", {"engine": None}),
    "no prompt": ("answer_generate", {"prompt_id": None}),
    "observed in another way": ("answer_generate", {"observation": "hearsay"}),
    "nobody": ("citation_click", {"person_id": None}),
    "every visit satisfies": ("page_exit", {"active_ms": 10**9}),
    "markup": ("page_view", {"content_id": "<script>alert(1)</script>" + "x" * 999, "title": "<b>" * 300}),
}


@pytest.mark.parametrize("odd", sorted(ODD))
def test_of_any_log_bars_add_up_and_counts_agree(frames, odd):
    name, columns = ODD[odd]
    seen = observed_stages(frames | {name: frames[name].assign(**columns)})
    for one in seen:
        for stage in one.stages:
            assert stage.expected.sum() == pytest.approx(stage.observed.sum())
    for score in score_observed(seen, replicates=10, draws=100):
        if len(score.frame):
            bars = score.frame[[f"log_{stage}" for stage in score.stages]].sum(axis=1)
            assert bars.to_numpy() == pytest.approx(np.log(score.frame["theta"]).to_numpy())
            assert np.isfinite(score.frame[["lower", "upper"]].to_numpy()).all()
