"""Figures of journeys: what is hidden is not drawn, and people and devices differ by more than colour."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from eventlib import journeys
from eventlib.report import plots_journeys
from eventlib.report.safe import guard_figure
from tests.unit.journeys.streams import everyone, stream

VIEW, BUY, LATER = ("phone", "page_view", 0), ("phone", "item_buy", 10), ("laptop", "page_view", 90)


def drawn(fig: Any) -> dict[str, Any]:
    """The figure as a report gets it."""
    return guard_figure(json.loads(fig.to_json()))


def compared(twice: int = 20) -> pd.DataFrame:
    rows = (
        everyone(20, VIEW)
        + everyone(20, VIEW, BUY, prefix="b")
        + everyone(twice, VIEW, BUY, LATER, prefix="t")
    )
    found = journeys.compare_funnels(stream(rows), ["page_view", "item_buy"])
    return found[found["arrival"] == "all"]


def texts(figure: dict[str, Any]) -> list[str]:
    return [str(item.get("text")) for item in figure["layout"]["annotations"]]


def test_two_sides_have_symbols_and_names_of_their_own():
    figure = drawn(plots_journeys.beside(compared(), ["step"], title="Steps", x="share"))
    looks = [(trace["name"], trace["marker"]["symbol"]) for trace in figure["data"]]
    assert looks == [("people", "circle"), ("devices", "square-open")]
    assert {"people", "devices"} <= set(texts(figure)), "named beside their markers"
    assert any(text.startswith("<b>item_buy</b>") and "+16.7 (" in text for text in texts(figure))


def test_a_side_that_is_not_told_is_not_drawn():
    figure = drawn(plots_journeys.beside(compared(twice=9), ["step"], title="Steps", x="share"))
    assert [trace["name"] for trace in figure["data"]] == ["people"]
    assert sum("differs for under 10 people" in text for text in texts(figure)) == 2
    nothing = compared().assign(people_share=float("nan"))
    assert texts(drawn(plots_journeys.beside(nothing, ["step"], title="Steps", x="share"))) == [
        "under 10 people: not shown"
    ]


def test_a_funnel_says_which_step_it_does_not_show():
    rows = everyone(30, VIEW, ("phone", "cart_add", 1), BUY) + everyone(5, VIEW, prefix="q")
    frame = journeys.funnel(stream(rows), ["page_view", "cart_add", "item_buy"])
    bars, _, notes = drawn(plots_journeys.funnel(frame))["data"]
    assert bars["y"] == ["page_view<br>35 people"]
    assert notes["y"] == ["cart_add", "item_buy"]
    assert notes["text"][0].split() == [
        "not",
        "shown:",
        "under",
        "10<br>",
        "people,",
        "or",
        "under",
        "10<br>",
        "fewer",
        "than",
        "before",
    ]


def test_differences_of_steps_are_signed_and_coloured_only_where_sure():
    rows = everyone(40, VIEW, BUY) + everyone(40, VIEW, LATER, BUY, prefix="t")
    frame = journeys.compare_steps(stream(rows), 2)
    (heat,) = drawn(plots_journeys.step_differences(frame, title="Steps"))["data"]
    told = {
        (name, step): text
        for name, row in zip(heat["y"], heat["text"], strict=True)
        for step, text in zip(heat["x"], row, strict=True)
    }
    assert told["page_<br>view", "1"] == "0.0"
    assert told["item_<br>buy", "2"] == "+33"


def test_the_largest_differences_come_first_those_that_may_be_none_last():
    frame = pd.DataFrame(
        {
            "difference": [0.2, -0.1, 0.0, None],
            "lower": [-0.1, -0.2, 0.0, None],
            "upper": [0.5, -0.01, 0.0, None],
        }
    )
    assert plots_journeys.largest(frame)["difference"].tolist() == [-0.1, 0.2, 0.0]


def test_curves_of_people_and_devices_differ_in_dash_and_symbol():
    rows = everyone(40, VIEW, BUY) + everyone(20, VIEW, BUY, LATER, prefix="t")
    frame = journeys.time_to_convert_by_unit(stream(rows), "item_buy")
    lines = [trace for trace in drawn(plots_journeys.convert_curves(frame))["data"] if "name" in trace]
    looks = [
        (line["name"], line["line"]["dash"], line["marker"]["symbol"], line["text"][-1]) for line in lines
    ]
    assert looks == [("people", "solid", "circle", "people"), ("devices", "dash", "square", "devices")]
    assert texts(drawn(plots_journeys.convert_curves(frame.head(0)))) == [
        "under 10 people converted: not shown"
    ]


def test_names_from_a_log_stay_text():
    rows = everyone(20, ("d", "<img src=x>", 0), ("d", "b", 1))
    frame = journeys.compare_transitions(stream(rows))
    figure = json.dumps(drawn(plots_journeys.beside(frame, ["source", "target"], title="Moves", x="share")))
    steps = journeys.compare_steps(stream(rows), 2)
    assert "<img" not in figure
    assert "<img" not in json.dumps(drawn(plots_journeys.step_differences(steps, title="Steps")))
