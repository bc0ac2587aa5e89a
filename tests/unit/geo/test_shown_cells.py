"""Nine people, or one, behind a cell: nothing that notebook 04 shows tells of them, nor does any difference of two tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eventlib.geo import levels, tables
from eventlib.geo.arrivals import arrivals
from eventlib.geo.engagement import Score, score_engines, score_observed
from eventlib.geo.observed import observed_stages
from eventlib.geo.pages import finer_scores, page_cells
from eventlib.geo.satisfaction import satisfaction_bounds
from tests.unit.geo.small_world import small_world


def _shown_by(frames, rows, people: int, **columns):
    """Let the first rows of citation_show be of so few people, and change them."""
    shows = frames["citation_show"].copy()
    at = shows.index[:rows]
    for name, value in columns.items():
        shows[name] = shows[name].astype(object)
        shows.loc[at, name] = value
    shows.loc[at, "person_id"] = [f"few-{i % people}" for i in range(rows)]
    return frames | {"citation_show": shows.infer_objects()}


@pytest.fixture(scope="module")
def frames():
    return small_world(seed=2, answers=500).frames


def _level(frames, name: str) -> dict[str, Any]:
    table = levels.evidence_levels(frames, observed_stages(frames)).set_index("level")
    return {str(key): value for key, value in table.to_dict("index")[name].items()}


def _places(table):
    return set(zip(table["slot"], table["rank"], strict=True))


@pytest.mark.parametrize("people", [1, 9])
def test_a_place_that_few_saw_is_not_told_by_the_difference_of_two_tables(frames, people):
    seen = _shown_by(frames, 30, people, slot="panel", position=1)
    curve = tables.exposure(score_engines(seen, replicates=20, draws=200)[0])
    rates = tables.click_rates(seen)
    told = _level(seen, "own answers")["events"]
    assert ("panel", 1) not in _places(curve)
    assert _places(curve) == _places(rates)
    assert told - curve["shows"].sum() > 100  # another place, that many saw, is hidden with it
    assert curve["rank"].tolist() == sorted(curve["rank"])


def test_ranks_that_are_not_shown_are_part_of_the_total(frames):
    seen = _shown_by(frames, 30, 9, position=11)
    rates = tables.click_rates(seen)
    assert len(rates) == 4  # of five ranks; the sixth is the one that nine people saw
    assert len(tables.click_rates(seen, most=3)) <= 3


@pytest.mark.parametrize("people", [1, 9])
def test_an_engine_that_few_used_is_neither_named_nor_counted(frames, people):
    seen = _shown_by(frames, 30, people, engine="search:Small")
    row = _level(seen, "own answers")
    assert row["engines"] == "site_assistant"
    assert row["events"] == tables.click_rates(seen)["shows"].sum() == 2_470


def test_rows_that_do_not_allow_analytics_are_not_counted(frames):
    shows = frames["citation_show"].assign(allow_analytics=np.arange(2_500) >= 400)
    seen = frames | {"citation_show": shows}
    assert _level(seen, "own answers")["events"] == 2_100


@pytest.mark.parametrize(("days", "told"), [(9, None), (10, 20.0)])
def test_probes_of_few_prompt_days_are_not_counted(frames, days, told):
    answers = (
        frames["answer_generate"].iloc[: 2 * days].assign(observation="probe", engine="gemini", prompt_id="q")
    )
    answers["event_time"] = pd.Timestamp("2026-06-01", tz="UTC") + pd.to_timedelta(
        np.arange(2 * days) // 2, unit="D"
    )
    seen = {name: frame.iloc[:0] for name, frame in frames.items()} | {"answer_generate": answers}
    row = _level(seen, "probes")
    assert row["events"] == told if told else np.isnan(row["events"])
    assert row["engines"] == ("gemini" if told else "")


def test_what_few_readers_did_is_not_counted_beside_a_page(frames):
    clicks = frames["citation_click"]
    page = clicks["content_id"].value_counts().index[0]
    mine = clicks.index[clicks["content_id"] == page]
    kept = clicks.drop(mine[9:])  # nine visits are left
    score = score_engines(frames | {"citation_click": kept}, replicates=20, draws=200)[0]
    whole, table = (part.set_index("content_id") for part in (score.frame, tables.ranking(score)))
    assert whole.loc[page, "people"] >= 10
    assert 0 < whole.loc[page, "people_satisfy"] < 10
    few = whole.index[whole["people_satisfy"].between(1, 9)]
    assert table.loc[few, "observed_satisfy"].isna().all()
    assert table["observed_satisfy"].isna().sum() == len(few) + 1
    assert table["observed_cite"].notna().all()
    assert not set(tables.stages(score)["content_id"]) & set(few)
    cells = page_cells(page, score, [])
    assert cells[["cite", "click", "satisfy"]].isna().all(axis=None)
    assert cells["theta"].notna().all()


def test_visits_of_few_are_not_told_by_the_share_of_all_ai_answers():
    people = {"chatgpt": 60, "gemini": 30, "copilot": 9, "search:Shop": 12}
    engine = np.repeat(list(people), list(people.values()))
    visits = pd.DataFrame({"engine": engine, "person_id": [f"p-{i}" for i in range(len(engine))]})
    visits = visits.assign(
        satisfied=True, exit_ms=40_000.0, last_beat_ms=30_000.0, tau_ms=30_000.0, beat_ms=15_000
    )
    shown = satisfaction_bounds(visits)
    assert shown["engine"].tolist() == [
        "chatgpt",
        "search:Shop",
    ]  # without the list, gemini and copilot would be apart


def test_parts_of_a_page_that_is_hidden_as_a_whole_are_hidden_too():
    world = small_world(seed=5, answers=700, pages=30)
    score = score_observed(observed_stages(world.frames), replicates=20, draws=200)[0]
    gone = score.frame["content_id"].iloc[0]
    less = replace(score, frame=score.frame.iloc[1:])
    before, after = (
        finer_scores(one, {f"q{i}": "all" for i in range(40)}, replicates=20, draws=200)
        for one in (score, less)
    )
    assert all(gone in set(one.frame["content_id"]) for one in before)
    assert not any(gone in set(one.frame["content_id"]) for one in after)
    assert [one.hidden for one in after] == [one.hidden + 1 for one in before]


def test_landings_by_evidence_do_not_tell_of_an_engine_that_few_came_from(frames):
    engine = np.repeat(["chatgpt", "gemini", "copilot"], [60, 20, 9])
    landed = pd.DataFrame(
        {"engine": engine, "page_view_id": [f"v{i}" for i in range(len(engine))], "observation": "owned"}
    )
    landed["person_id"], landed["evidence"] = landed["page_view_id"], "referrer"
    landed["event_time"] = pd.Timestamp("2026-06-01", tz="UTC")
    seen = {name: frame.iloc[:0] for name, frame in frames.items()} | {"referral_land": landed}
    row = _level(seen, "landings")
    assert (row["events"], row["engines"]) == (60, "chatgpt")
    assert (
        arrivals(seen, by="evidence")["visits"].sum() - row["events"] == 29
    )  # two engines', not nine people's


def test_the_number_of_probed_answers_does_not_tell_of_an_engine_hardly_probed(frames):
    days = np.concatenate([np.arange(40), np.arange(12), np.arange(3)])
    answers = frames["answer_generate"].iloc[: len(days)].assign(observation="probe", prompt_id="q")
    answers["engine"] = np.repeat(["chatgpt", "gemini", "copilot"], [40, 12, 3])
    answers["event_time"] = pd.Timestamp("2026-06-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    seen = {name: frame.iloc[:0] for name, frame in frames.items()} | {"answer_generate": answers}
    assert (_level(seen, "probes")["events"], _level(seen, "probes")["engines"]) == (40, "chatgpt")


@pytest.mark.parametrize(("fewest", "told"), [(9, ["site_assistant", "chatgpt", "idle"]), (10, None)])
def test_the_overview_leaves_out_few_people_and_the_next_smallest_elsewhere(fewest, told):
    people = {"site_assistant": 11, "chatgpt": 90, "gemini": 20, "copilot": fewest, "idle": 0}
    scores = [
        Score(name, "owned", ("satisfy",) if count else (), pd.DataFrame(), clusters=count)
        for name, count in people.items()
    ]
    assert tables.overview(scores)["engine"].tolist() == (told or list(people))
