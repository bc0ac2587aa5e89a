"""Figures of arrivals: every supposed share has a mark of its own, with its range."""

from __future__ import annotations

import json

import pytest

from eventlib.geo import stripping
from eventlib.report import plots_arrivals
from eventlib.report.safe import guard_figure
from tests.unit.geo.test_stripping import world


def test_each_share_is_a_mark_with_its_range():
    table = stripping.sensitivity(stripping.seen_visits(world()))
    figure = guard_figure(json.loads(plots_arrivals.stripping(table, "84 visits").to_json()))
    names = [trace["name"] for trace in figure["data"]]
    assert names[0] == "as identified (90 % interval)"
    assert names[-2:] == ["50 % of the dark landings added", "all dark landings added"]
    assert len({trace["marker"]["symbol"] for trace in figure["data"]}) == len(stripping.SHARES)
    half = table[(table["engine"] == "chatgpt") & (table["dark_share"] == 0.5)].iloc[0]
    bars = figure["data"][3]["error_x"]
    assert bars["array"][0] == pytest.approx(half["most"] - half["satisfied"])
    assert figure["layout"]["yaxis"]["ticktext"] == ["chatgpt<br>60 visits", "perplexity<br>40 visits"]


def test_nothing_to_draw_is_said():
    table = stripping.sensitivity(stripping.seen_visits(world())).iloc[:0]
    figure = json.loads(plots_arrivals.stripping(table).to_json())
    assert any("no visit from an AI answer" in str(item["text"]) for item in figure["layout"]["annotations"])
