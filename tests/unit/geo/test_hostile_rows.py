"""Rows that no schema would let pass, and rows that one does: refused by name, or counted, and never slow."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.exposure import shown_citations
from eventlib.geo import stages
from eventlib.geo.candidates import listed_contents
from eventlib.geo.observed import observed_stages
from eventlib.geo.stages import candidate_rows, cite_stage
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
