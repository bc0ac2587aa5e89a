"""Figures of notebooks 06 and 07: policies, calibration, feature importance, signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlib.report.plots import GREY, PALETTE, empty, error_bars, figure

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["calibration", "importance", "policies", "signals"]

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
    """Return what the ranker leans on, from `views.importance`: the `most` strongest features."""
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
            y=[str(item).replace("_", " ") for item in part["feature"]],
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
