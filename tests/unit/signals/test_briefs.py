"""S9: a brief names the stage that surely fails, on ten people, and what similar better pages have."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from eventlib.geo.engagement import Score
from eventlib.ranking.features import CONTENT_FEATURES, Contents
from eventlib.signals import briefs_table
from eventlib.signals.briefs import briefs, failing_stages
from tests.unit.ranking.worlds import world

NAMES = [feature.name for feature in CONTENT_FEATURES if feature.name != "topic_match"]


def score(rows, people=100):
    """Return a score of two stages: rows are content, log click, its sd, log satisfy, its sd, people satisfied."""
    frame = pd.DataFrame(
        rows, columns=["content_id", "click", "click_sd", "satisfy", "satisfy_sd", "people_satisfy"]
    )
    for name in ("click", "satisfy"):
        for bound, sign in (("lower", -1), ("upper", 1)):
            frame[f"{name}_{bound}"] = np.exp(frame[name] + sign * 1.645 * frame[f"{name}_sd"])
        frame[f"log_{name}"], frame[f"observed_{name}"], frame[f"expected_{name}"] = frame[name], 10.0, 20.0
    return Score("e", "owned", ("click", "satisfy"), frame.assign(people_click=people))


def contents(topics, **features):
    frame = pd.DataFrame(
        {"content_id": list(topics), "content_version": "1", "known_at": 0, "topic": topics.values()}
    )
    values = {name: features.get(name, [1.0] * len(frame)) for name in NAMES}
    return Contents(frame.assign(**values), dict.fromkeys(NAMES, 0.0))


def row(content, click, satisfy=0.0, people=50, sd=0.1):
    return (content, click, sd, satisfy, sd, people)


def test_the_lowest_of_the_stages_that_surely_fail_is_named():
    found = failing_stages(
        score([row("a", -0.3, -0.5), row("b", -0.5, -0.3), row("c", -0.1, -0.1), row("d", 0.4, -0.4)])
    )
    assert dict(zip(found["content_id"], found["stage"], strict=True)) == {
        "a": "satisfy",
        "b": "click",
        "d": "satisfy",
    }
    assert found.set_index("content_id")["theta"]["a"] == pytest.approx(np.exp(-0.5))


def test_a_stage_that_is_low_but_not_surely_so_is_not_named():
    # 5 % of the draws above 0 are just too many
    assert failing_stages(score([row("a", -0.16)])).empty
    assert not failing_stages(score([row("a", -0.17)])).empty


def test_under_ten_people_a_stage_is_not_named_nor_the_next_smallest():
    rows = [row("a", 0.0, -2.0, people=9), row("b", 0.0, -2.0, people=12), row("c", 0.0, -2.0, people=40)]
    assert failing_stages(score(rows))["content_id"].tolist() == ["c"]
    assert failing_stages(score([row("a", -2.0, 0.0, people=9), *rows[1:]]))["content_id"].tolist() == [
        "a",
        "c",
    ]


def test_better_ones_are_of_the_same_topic_and_surely_above():
    topics = {"a": "heat", "b": "heat", "c": "heat", "d": "sun"}
    rows = [row("a", -0.5), row("b", 0.3), row("c", -0.4), row("d", 0.9)]
    first = next(
        brief
        for brief in briefs(score(rows), contents(topics, source_count=[1.0, 9.0, 1.0, 50.0]))
        if brief["content_id"] == "a"
    )
    assert first["better"] == ["b"]
    assert first["failing_stage"] == "click"
    assert first["evidence"]["people"] == 100
    assert first["compared"][:1] == []  # 8 is no half of a standard deviation that the 50 makes


def test_what_better_ones_have_is_said_in_a_sentence():
    rows = [row("a", -0.5), row("b", 0.3), row("c", 0.35), row("d", 0.0)]
    known = contents(
        dict.fromkeys("abc", "heat") | {"d": "sun"},
        source_count=[1.0, 9.0, 8.0, 2.0],
        reading_ease=[60.0, 30.0, 30.0, 60.0],
    )
    (brief,) = briefs(score(rows), known)
    assert [one["feature"] for one in brief["compared"]] == ["source_count", "reading_ease"]
    assert brief["compared"][0] == {"feature": "source_count", "here": 1.0, "better_mean": 8.5}
    assert brief["sentence"] == (
        "a: people who see it cited follow it less often than they would an average page in the same places, 0.61 times "
        "as often (90 % interval 0.51 to 0.71, 100 people). Better there on the same topic: c, b. They have more sources "
        "(8.5 against 1); lower reading ease (30 against 60): what goes together, not what causes it."
    )


def test_a_page_without_a_better_one_or_a_topic_says_so():
    (alone,) = briefs(score([row("a", -0.5)]), contents({"a": "heat"}))
    assert alone["better"] == alone["compared"] == []
    assert alone["sentence"].endswith("No page of its topic is surely better there.")
    nameless = briefs(score([row("a", -0.5), row("b", 0.5)]), contents({"a": "", "b": ""}))
    assert nameless[0]["better"] == []


def test_names_that_came_with_events_cannot_act_in_the_sentence():
    name = "ann@mail.example\u202e"
    (brief,) = briefs(score([row(name, -0.5)]), contents({name: "heat"}))
    assert "ann@" not in brief["sentence"]
    assert "\u202e" not in brief["sentence"]


def test_without_a_score_there_are_no_briefs():
    assert briefs(None, contents({"a": "heat"})) == []
    nobody = Score("e", "owned", ("click",), pd.DataFrame())
    assert briefs(nobody, contents({"a": "heat"})) == []


def test_briefs_of_a_world_name_what_is_truly_clicked_less(exported):
    rows = [
        json.loads(line) for line in (exported.folder / "feedback" / "briefs.jsonl").read_text().splitlines()
    ]
    assert len(rows) >= 5
    assert {brief["failing_stage"] for brief in rows} == {"click"}
    true = pd.DataFrame(world().relevance).mean().to_numpy()
    named = [true[int(brief["content_id"][2:])] for brief in rows]
    assert np.mean(np.array(named) < true[~np.isnan(true)].mean()) > 0.9
    better = [
        true[int(one[2:])] - true[int(brief["content_id"][2:])] for brief in rows for one in brief["better"]
    ]
    assert np.mean(np.array(better) > 0) > 0.9
    assert briefs_table(exported, most=3)["score"].is_monotonic_increasing
