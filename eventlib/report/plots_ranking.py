"""Figures of notebooks 06 and 07: policies, calibration, importance, drift, signals and what makes them up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from eventlib.ranking.drift import ALARM_AT, LOOK_AT, SCORE
from eventlib.ranking.explain import GROUPS
from eventlib.report.plots import GREY, INK, PALETTE, empty, error_bars, figure
from eventlib.report.plots_geo import name_rows
from eventlib.report.tables import format_value

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["calibration", "contributions", "drift", "importance", "policies", "signals"]

_NOTHING = "nothing was trained: too little evidence"


def policies(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return each policy's gain over what was shown, from `views.policies`."""
    import plotly.graph_objects as go  # noqa: PLC0415  # half a second that tables do not need

    title = "Clicks per answer, against the order as it was shown"
    compared = frame[frame["gain"].notna()]
    if compared.empty:
        return empty(title, _NOTHING)
    fig = figure(
        title, subtitle, "difference in clicks per answer, 90 % interval", height=170 + 46 * len(compared)
    )
    values = [float(item) for item in compared["gain"]]
    fig.add_trace(
        go.Scatter(
            x=values,
            y=[str(item) for item in compared["policy"]],
            mode="markers+text",
            marker={"size": 11, "color": PALETTE[0]},
            text=[f"{item:+.3f}" for item in values],
            textposition="top center",
            error_x=error_bars(compared, "gain", "gain_lower", "gain_upper"),
            hovertemplate="%{y}: %{x:+.3f}<extra></extra>",
        )
    )
    fig.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    fig.update_yaxes(type="category", range=[len(compared) - 0.5, -0.7])  # room for the first label
    return fig


def calibration(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return observed against predicted click rates, from `views.calibration_table`."""
    import plotly.graph_objects as go  # noqa: PLC0415  # as above

    title = "Held-out clicks follow exposure × relevance"  # noqa: RUF001  # a product, as readers write it
    if frame.empty:
        return empty(title, _NOTHING)
    fig = figure(title, subtitle, "predicted click rate", "observed click rate, 90 % interval", height=440)
    top = 1.08 * float(max(frame["predicted"].max(), frame["upper"].max()))
    line = {"color": GREY, "width": 1, "dash": "dot"}
    fig.add_trace(
        go.Scatter(x=[0, top], y=[0, top], mode="lines", line=line, name="as predicted", hoverinfo="skip")
    )
    fig.add_trace(
        go.Scatter(
            x=[float(item) for item in frame["predicted"]],
            y=[float(item) for item in frame["observed"]],
            mode="markers",
            marker={"size": 10, "color": PALETTE[0]},
            error_y=error_bars(frame, "observed"),
            customdata=[int(item) for item in frame["shows"]],
            name="observed",
            hovertemplate="predicted %{x:.1%}, observed %{y:.1%}, %{customdata:,} shows<extra></extra>",
        )
    )
    fig.update_xaxes(tickformat=".0%", range=[0, top])
    fig.update_yaxes(tickformat=".0%", rangemode="tozero")
    return fig


def importance(frame: pd.DataFrame, subtitle: str = "", most: int = 12) -> go.Figure:
    """Return what the ranker leans on, from `views.importance` by feature or by group: the `most` strongest."""
    import plotly.graph_objects as go  # noqa: PLC0415  # as above

    title = "What the ranker leans on"
    if frame.empty:
        return empty(title, _NOTHING)
    part = frame.head(most)
    fig = figure(
        title, subtitle, "held-out loss when shuffled, nats per thousand shows; bars: 5 % to 95 % of shuffles",
        height=170 + 30 * len(part),
    )  # fmt: skip
    fig.add_trace(
        go.Bar(
            x=[float(item) for item in part["loss"]],
            y=[str(item).replace("_", " ") for item in part["feature" if "feature" in part else "group"]],
            orientation="h",
            marker={"color": PALETTE[0]},
            error_x=error_bars(part, "loss"),
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    )
    fig.update_yaxes(type="category", autorange="reversed")
    return fig


def signals(frame: pd.DataFrame, subtitle: str = "", most: int = 15) -> go.Figure:
    """Return the contents with the highest signals with their intervals, from `signals.strongest`."""
    import plotly.graph_objects as go  # noqa: PLC0415  # as above

    title = "Signals that go out, highest first"
    if frame.empty:
        return empty(title, "no signal goes out")
    part = frame.head(most)
    fig = figure(
        title, subtitle, "probability of a click once examined, 90 % interval", height=170 + 28 * len(part)
    )
    fig.add_trace(
        go.Scatter(
            x=[float(item) for item in part["signal"]],
            y=[f"{c} · {p}" for c, p in zip(part["content_id"], part["prompt_cluster"], strict=True)],
            mode="markers",
            marker={"size": 9, "color": PALETTE[0]},
            error_x=error_bars(part, "signal"),
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    fig.update_xaxes(tickformat=".0%")
    fig.update_yaxes(type="category", autorange="reversed")
    return fig


def contributions(frame: pd.DataFrame, subtitle: str = "", most: int = 15) -> go.Figure:
    """Return what made the signals of the contents, from `explain.explain`: blue raises, orange lowers.

    Parameters
    ----------
    frame
        One row per content and prompt cluster; the first `most` are drawn.
    subtitle, most
        As above.
    """
    import plotly.graph_objects as go  # noqa: PLC0415  # as above

    title = "What the signals are made of"
    part = frame.head(most)
    groups = [group for group in GROUPS if group in part]
    values = 100 * part[groups].astype(float)
    largest = float(values.abs().to_numpy().max(initial=0.0))
    if not largest:
        return empty(
            title, "no signal can be explained: the ranker is constant, or too few people saw anything"
        )
    form = "+.0f" if largest >= 10 else "+.1f" if largest >= 1 else "+.2f"
    text = values.map(lambda item: format(item, form))
    text = text.where(~text.isin({format(zero, form) for zero in (0.0, -0.0)}), "")
    drawn = [group for group in groups if (text[group] != "").any()]
    base = float(part["base"].iloc[0])
    x = f"percentage points above or below {format_value(base, 'percent')},<br>the mean of what was shown"
    if silent := [GROUPS[group][0] for group in groups if group not in drawn]:
        x += f"<br>too little to draw: {', '.join(silent)}"
    fig = figure(title, subtitle, x, height=300 + 38 * len(part))
    labels = [
        f"{content}<br>{cluster}: {format_value(signal, 'percent')}"
        for content, cluster, signal in zip(
            part["content_id"], part["prompt_cluster"], part["signal"], strict=True
        )
    ]
    fig.add_trace(
        go.Heatmap(
            z=values[drawn].to_numpy().tolist(),
            x=[_two_lines(GROUPS[group][0]) for group in drawn],
            y=labels,
            text=text[drawn].to_numpy().tolist(),
            texttemplate="%{text}",
            textfont={"size": 12},
            colorscale=[[0.0, "#E69F00"], [0.5, "#FFFFFF"], [1.0, "#56B4E9"]],
            zmin=-largest,
            zmax=largest,
            xgap=2,
            ygap=2,
            showscale=False,
            hovertemplate="%{y}<br>%{x}: %{z:+.2f} points<extra></extra>",
        )
    )
    fig.update_xaxes(type="category", showgrid=False, ticks="", tickangle=-40, tickfont={"size": 12})
    fig.update_yaxes(type="category", showgrid=False, ticks="", autorange="reversed")
    return fig


def _two_lines(words: str) -> str:
    """Break a name of several words before its last."""
    return "<br>".join(words.rsplit(" ", 1))


_STATES: Final = {
    "fine": (PALETTE[0], "circle", "fine: under .1, or no more than chance"),
    "look": (PALETTE[4], "diamond", "moved: look"),
    "alarm": (PALETTE[1], "triangle-up", "moved: alarm"),
}
_LEAST_PSI: Final = 0.001  # what is less is drawn there


def drift(frame: pd.DataFrame, subtitle: str = "", most: int = 14) -> go.Figure:
    """Return how far scores and features moved since the cut, from `drift.drift`: the scores, then the `most` largest."""
    import plotly.graph_objects as go  # noqa: PLC0415  # as above

    title = "What moved since the ranker learned"
    varied = frame[(frame["psi"] > 0) | (frame["feature"] == SCORE)]
    if varied.empty:
        return empty(title, "nothing can be compared: too few people, or nothing was trained")
    first = varied["feature"] != SCORE
    shown = varied.assign(first=first).sort_values(["first", "psi"], ascending=[True, False], kind="stable")
    shown = shown.head(most + 1).assign(row=lambda part: range(len(part)))
    fig = figure(title, subtitle, "population stability index (PSI)", height=230 + 30 * len(shown))
    for state, (colour, symbol, name) in _STATES.items():
        part = shown[shown["state"] == state]
        if len(part):
            fig.add_trace(
                go.Scatter(
                    x=[max(float(item), _LEAST_PSI) for item in part["psi"]], y=[int(row) for row in part["row"]],
                    mode="markers", name=name, marker={"size": 11, "color": colour, "symbol": symbol},
                    customdata=[str(item) for item in part["reads"]],
                    hovertemplate="%{x:.3f}: %{customdata}<extra></extra>",
                )
            )  # fmt: skip
    fig.add_trace(
        go.Scatter(
            x=[max(float(item), _LEAST_PSI) for item in shown["chance"]], y=[int(row) for row in shown["row"]],
            mode="markers", name="once in a hundred by chance",
            marker={"size": 14, "color": GREY, "symbol": "line-ns-open", "line": {"width": 2}},
            hovertemplate="%{x:.3f}<extra>once in a hundred by chance</extra>",
        )
    )  # fmt: skip
    for limit, word in ((LOOK_AT, "look"), (ALARM_AT, "alarm")):
        fig.add_vline(x=limit, line={"color": INK, "width": 1, "dash": "dot"})
        # positions of annotations on a log axis are logs
        fig.add_annotation(
            x=math.log10(limit), y=1, yref="paper", yanchor="bottom", text=word, showarrow=False, font={"color": GREY}
        )  # fmt: skip
    ticks = [0.001, 0.01, 0.1, 0.25, 1, 3]
    high = max(0.5, float(shown["psi"].max()), float(shown["chance"].max()))
    fig.update_xaxes(
        type="log", tickvals=ticks, ticktext=["≤ .001", ".01", ".1", ".25", "1", "3"],
        range=[math.log10(_LEAST_PSI) - 0.1, math.log10(high) + 0.1],
    )  # fmt: skip
    name_rows(fig, [str(item).replace("_", " ") for item in shown["feature"]])
    fig.update_layout(margin={"t": 130})
    return fig
