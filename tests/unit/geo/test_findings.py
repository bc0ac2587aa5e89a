"""Headlines, caveats, arrivals and the tables and figures of notebooks 04 and 05."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.geo import EVENTS_READ, engagement, experiments, findings, satisfaction, tables, visibility
from eventlib.geo.arrivals import agent_fetches, arrivals
from eventlib.geo.pooling import pool_by_type
from eventlib.report import plots_edits, plots_geo
from tests.unit.geo.small_world import START, small_world


@pytest.fixture(scope="module")
def world():
    return small_world(seed=8, answers=1_200, edited=3)


@pytest.fixture(scope="module")
def scores(world):
    return engagement.score_engines(world.frames, replicates=20, draws=200)


def landings() -> dict[str, pd.DataFrame]:
    people = [f"p{i}" for i in range(30)]
    frame = pd.DataFrame(
        {"page_view_id": people, "person_id": people, "event_time": START, "observation": "owned"}
    )
    frame["engine"] = ["chatgpt"] * 15 + ["perplexity"] * 11 + ["copilot"] * 4
    frame["evidence"] = ["referrer"] * 12 + ["utm_source"] * 18
    return dict.fromkeys(EVENTS_READ, frame.iloc[:0]) | {"referral_land": frame}


def test_arrivals_hide_few_people_and_the_next_smallest():
    assert arrivals(landings()).to_dict("records") == [{"engine": "chatgpt", "visits": 15, "people": 15}]
    assert arrivals(landings(), by="evidence")["evidence"].tolist() == ["utm_source", "referrer"]


def test_agents_are_named_by_their_claim():
    fetches = pd.DataFrame(
        {
            "user_agent": ["GPTBot/1.2", "GPTBot/1.2", "Claude-User/1.0", None],
            "content_id": ["a", "a", "b", None],
            "status_code": [200, 404, 200, None],
            "agent": [None, None, None, "curl"],
        }
    )
    table = agent_fetches({"agent_fetch": fetches}).set_index("agent")
    assert table["purpose"].to_dict() == {"GPTBot": "training", "Claude-User": "user_fetch", "curl": "other"}
    assert table["fetches"].to_dict() == {"GPTBot": 2, "Claude-User": 1, "curl": 1}
    assert table["failed"]["GPTBot"] == 0.5
    assert table["pages"]["GPTBot"] == 1


def test_agents_stand_apart_by_whether_they_are_the_ones():
    fetches = pd.DataFrame(
        {
            "user_agent": ["GPTBot/1.2"] * 4,
            "content_id": ["a", "b", "a", "a"],
            "verification": ["verified", "verified", "spoofed", None],
        }
    )
    table = agent_fetches({"agent_fetch": fetches})
    assert table["verification"].tolist() == ["verified", "claimed", "spoofed"]
    assert table["fetches"].tolist() == [2, 1, 1]
    assert table["pages"].tolist() == [2, 1, 1]


def test_headlines(world, scores):
    share, lower, upper = findings.satisfied_share(satisfaction.engine_visits(world.frames))
    assert share is not None
    assert lower is not None
    assert upper is not None
    assert lower < share < upper
    best = findings.best_page(tables.leading(scores))
    assert best[0] == scores[0].frame["theta"].max()
    assert findings.word_share_of_site(world.frames) == findings.NONE


def test_probed_words_are_shared_with_other_sites():
    days = range(20)
    answers = pd.DataFrame({"answer_id": [f"a{d}" for d in days], "prompt_id": "q", "engine": "chatgpt"})
    answers = answers.assign(
        observation="probe", sentence_count=2, event_time=[START + pd.Timedelta(days=d) for d in days]
    )
    shows = pd.concat(
        [
            answers.assign(content_id="own", words_attributed=30.0),
            answers.assign(content_id="x", words_attributed=10.0),
        ]
    )
    shows["citation_id"] = shows["answer_id"] + shows["content_id"]
    frames = dict.fromkeys(EVENTS_READ, answers.iloc[:0]) | {
        "answer_generate": answers,
        "citation_show": shows,
    }
    frames["content_publish"] = pd.DataFrame({"content_id": ["own"]})
    assert findings.word_share_of_site(frames)[0] == pytest.approx(0.75)


def test_caveats_say_what_is_missing(world, scores):
    said = findings.engagement_caveats(world.frames, scores)
    assert said[0].startswith("No prompts were probed")
    assert any("error of log exposure" in text for text in said)


def test_every_figure_draws(world, scores):
    lead = tables.leading(scores)
    verdicts, placebos, _ = experiments.judge_all(world.frames)
    bounds = satisfaction.satisfaction_bounds(satisfaction.engine_visits(world.frames))
    seen = visibility.engine_visibility(
        world.frames["citation_show"], world.frames["answer_generate"], {"c-00"}
    )
    figures = [
        plots_geo.visibility(seen),
        plots_geo.exposure(tables.exposure(lead)),
        plots_geo.satisfaction(bounds),
        plots_geo.scores(lead.frame, lead.name),
        plots_geo.stages(lead.frame, lead.stages),
        plots_edits.edits(verdicts, placebos),
        plots_edits.kinds(pool_by_type(verdicts, placebos)),
    ]
    assert all(len(figure.data) or figure.layout.annotations for figure in figures)
    assert len(figures[3].data) >= 2
    assert [trace.name for trace in figures[4].data[:3]] == ["cite", "click", "satisfy"]


def test_every_figure_and_table_of_nothing_says_so(world):
    none = tables.leading([])
    nothing = {name: frame.iloc[:0] for name, frame in world.frames.items()}
    empty, placebos, _ = experiments.judge_all(nothing)
    figures = [
        plots_geo.visibility(pd.DataFrame(columns=["measure", "value", "engine"])),
        plots_geo.exposure(tables.exposure(none)),
        plots_geo.satisfaction(pd.DataFrame()),
        plots_geo.scores(none.frame, none.name),
        plots_geo.stages(none.frame, none.stages),
        plots_edits.edits(empty, placebos),
        plots_edits.kinds(pool_by_type(empty, placebos)),
    ]
    assert all(not figure.data and figure.layout.annotations[0].text for figure in figures)
    assert all(table.empty for table in (tables.ranking(none), tables.stages(none), tables.overview([])))
    assert findings.best_page(none) == findings.NONE


def test_the_overview_lists_what_is_missing(scores):
    table = tables.overview(scores)
    assert table["stages"].tolist() == ["cite x click x satisfy"]
    assert table["with_enough_evidence"].iloc[0] > 0


def test_the_ranking_names_the_words(scores):
    table = tables.ranking(scores[0])
    assert {"score", "lower", "upper", "in_words", "observed_cite"} <= set(table.columns)
    assert set(tables.stages(scores[0])["placement"] > 0) == {True}


def test_click_rates_by_place(world):
    table = tables.click_rates(world.frames)
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    assert table["click_rate"].is_monotonic_decreasing
    assert ((table["lower"] < table["click_rate"]) & (table["click_rate"] < table["upper"])).all()
    assert tables.click_rates({name: frame.iloc[:0] for name, frame in world.frames.items()}).empty


def test_how_often_the_two_forms_disagree(world):
    table = visibility.spec_disagreement(world.frames["citation_show"], world.frames["answer_generate"])
    assert table["engine"].tolist() == ["site_assistant"]
    assert table["another_top_source"].between(0, 1).all()


def test_a_pooled_change_takes_twenty_pages():
    rng = np.random.default_rng(0)
    judged = pd.DataFrame(
        {"content_id": [f"c{i}" for i in range(40)], "outcome": "cite", "p": 0.5, "error": 0.2}
    ).assign(engine="e", observation="owned", placebos=60)
    judged["change"] = np.exp(rng.normal(0.3, 0.2, 40))
    value, lower, upper = findings.pooled_change(judged)
    assert value == pytest.approx(np.exp(0.3), rel=0.1)
    assert lower is not None
    assert upper is not None
    assert lower < np.exp(0.3) < upper
    assert findings.pooled_change(judged.iloc[:19]) == findings.NONE
    assert (
        findings.pooled_change(judged.assign(content_id=[f"c{i // 3}" for i in range(40)])) == findings.NONE
    )
    assert findings.pooled_change(judged.iloc[:0]) == findings.NONE


def _named(theta: list[float], words: list[str], cite: list[float]) -> engagement.Score:
    log_theta = np.log(theta)
    part = np.array(cite)
    frame = pd.DataFrame(
        {
            "content_id": [f"c-{i}" for i in range(len(theta))], "theta": theta, "lower": np.array(theta) / 1.2,
            "upper": np.array(theta) * 1.2, "word": words, "enough": [word != "not enough evidence" for word in words],
            "log_cite": part * log_theta, "log_click": (1 - part) * log_theta, "stages_told": True,
        }
    )  # fmt: skip
    return engagement.Score("site_assistant", "owned", ("cite", "click"), frame)


NOTHING = pd.DataFrame(columns=["word"]), 28, pd.DataFrame(columns=["measure", "value", "engine"])


def test_a_score_is_told_in_sentences_that_hold():
    score = _named([2.0, 0.5, 0.2], ["better", "worse", "not enough evidence"], [0.9, 0.5, 0.5])
    assert findings.engagement_answers(score, *NOTHING, pd.DataFrame()) == [
        "site_assistant, of 3 pages: 1 better than average, 1 worse; too little evidence to say for 1.",
        "Highest: c-0, 2.00 times the average (1.67 to 2.40), most of it gained by being cited (1.87 times).",
        (
            "Lowest of those with a rank: c-1, 0.50 times the average (0.42 to 0.60), the largest part of it lost by "
            "being cited (0.71 times)."
        ),
    ]


def test_a_stage_of_few_people_is_not_told_in_a_sentence():
    score = _named([2.0], ["better"], [0.9])
    score.frame["stages_told"] = False
    said = findings.engagement_answers(score, *NOTHING, pd.DataFrame())
    assert said[1] == "Highest: c-0, 2.00 times the average (1.67 to 2.40)."


@pytest.mark.parametrize(("people", "named"), [(9, False), (10, True)])
def test_engines_of_few_people_are_not_named(people, named):
    score = engagement.Score("rare", "owned", ("satisfy",), pd.DataFrame(), clusters=people)
    frames = dict.fromkeys(EVENTS_READ, pd.DataFrame()) | {
        "answer_generate": pd.DataFrame({"observation": ["owned"]})
    }
    assert any("rare" in one for one in findings.engagement_caveats(frames, [score])) == named


@pytest.mark.parametrize(("lower", "end"), [(0.45, "; the intervals overlap."), (0.55, " satisfy.")])
def test_engines_whose_intervals_overlap_are_said_to(lower, end):
    bounds = pd.DataFrame(
        {"engine": ["a", "b"], "satisfied": [0.4, 0.6], "lower": [0.3, lower], "upper": [0.5, 0.7]}
    )
    score = engagement.Score("none", "owned", (), pd.DataFrame())
    (said,) = findings.engagement_answers(score, *NOTHING, bounds)
    assert said.startswith("60.0 % (")
    assert said.endswith(end)


def test_changes_are_counted_in_a_sentence():
    moved = pd.DataFrame(
        {"word": ["rose", "as before, as far as can be told", "as before, as far as can be told"]}
    )
    score = engagement.Score("none", "owned", (), pd.DataFrame())
    said = findings.engagement_answers(score, moved, 28, NOTHING[2], pd.DataFrame())
    assert said == ["In the last 28 days, of 3 pages compared: beyond chance 1 rose, 0 fell."]
