"""Figures of explanations, importance and drift: what stands in the frame is drawn, and nothing is said in words."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from eventlib.ranking import train_ranking, views
from eventlib.ranking.drift import drift
from eventlib.ranking.explain import GROUPS, explain
from eventlib.report import plots_ranking
from eventlib.report.safe import guard_figure
from tests.unit.ranking.worlds import simulate, trained


def drawn(figure):
    return guard_figure(json.loads(figure.to_json()))


def test_contributions_are_drawn_in_points_highest_signal_first():
    explained, _ = explain(trained())
    figure = drawn(plots_ranking.contributions(explained, most=5))
    trace = figure["data"][0]
    first = explained.iloc[0]
    assert trace["z"][0][0] == pytest.approx(100 * first["history"])
    assert trace["text"][0][0] == f"{100 * first['history']:+.0f}"
    assert trace["x"][0] == "how it did<br>before"
    assert trace["y"][0].startswith(f"{first['content_id']}<br>{first['prompt_cluster']}: ")
    assert len(trace["z"]) == 5
    assert trace["zmin"] == -trace["zmax"]
    # groups without a part are named, not drawn
    silent = figure["layout"]["xaxis"]["title"]["text"].split("too little to draw: ")[1]
    assert GROUPS["kind"][0] in silent
    assert len(trace["x"]) + len(silent.split(", ")) == 7


def test_hostile_names_do_not_act():
    explained, _ = explain(trained())
    evil = explained.assign(content_id="<img src=x onerror=alert(1)>", prompt_cluster="<b>x</b>")
    text = json.dumps(drawn(plots_ranking.contributions(evil)))
    assert "<img" not in text
    assert "<b>x" not in text


def test_drift_is_drawn_with_chance_and_limits_scores_on_top():
    table = drift(trained())
    figure = drawn(plots_ranking.drift(table))
    labels = figure["layout"]["yaxis"]["ticktext"]
    assert labels[0] == "signal"
    assert len(labels) == int((table["psi"] > 0).sum())
    assert [trace["name"] for trace in figure["data"]] == [
        "fine: under .1, or no more than chance", "once in a hundred by chance",
    ]  # fmt: skip
    marks = {item["text"] for item in figure["layout"]["annotations"]}
    assert marks == {"look", "alarm"}


def test_each_state_has_a_mark_of_its_own():
    table = drift(trained()).head(3).assign(psi=[0.4, 0.2, 0.05], state=["alarm", "look", "fine"])
    figure = drawn(plots_ranking.drift(table))
    assert len({trace["marker"]["symbol"] for trace in figure["data"]}) == 4


def test_importance_of_groups_is_named_by_group():
    figure = drawn(plots_ranking.importance(views.importance(trained(), by="group")))
    assert figure["data"][0]["y"][0] == "how it did before"


@pytest.mark.parametrize(
    ("plot", "frame", "words"),
    [
        (plots_ranking.contributions, lambda found: explain(found)[0], "no signal can be explained"),
        (plots_ranking.drift, drift, "nothing can be compared"),
    ],
)
def test_nothing_to_draw_is_said(plot, frame, words):
    figure = drawn(plot(frame(train_ranking(simulate(answers=50).tables))))
    assert any(words in str(item["text"]) for item in figure["layout"]["annotations"])


def test_a_constant_ranker_is_said():
    explained, _ = explain(trained())
    still = explained.assign(**dict.fromkeys(GROUPS.keys() & set(explained.columns), 0.0))
    assert isinstance(still, pd.DataFrame)
    figure = drawn(plots_ranking.contributions(still))
    assert "the ranker is constant" in figure["layout"]["annotations"][0]["text"]
