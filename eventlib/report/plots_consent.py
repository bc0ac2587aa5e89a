"""Figures of notebook 02: what consent removed, what it left, and how far that leans."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from eventlib.model import PURPOSES
from eventlib.report.plots import (
    GREY,
    HATCH,
    PALETTE,
    SYMBOLS,
    bars,
    empty,
    error_bars,
    figure,
    heatmap,
    lines,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["bounds", "consent_map", "funnel", "heard", "purposes", "said", "weeks"]


def funnel(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return what became of the events that consent was asked for, from `privacy.funnel`."""
    title = "From asked for to usable"
    every = int(frame["events"].max()) if len(frame) else 0
    if not every:
        return empty(title, "no event came so far")
    usable = float(frame.loc[frame["step"] == "may be used for something", "share"].iloc[0])
    labelled = frame.assign(
        mark=[
            f"{n:,} ({share:.1%})".replace("%", " %")
            for n, share in zip(frame["events"], frame["share"], strict=True)
        ]
    )
    fig = bars(
        labelled, "step", "events", title=f"{usable:.1%} of the events may be used for something".replace("%", " %"),
        subtitle=subtitle, x="events",
    )  # fmt: skip
    fig.data[0].text = list(labelled["mark"])
    fig.update_layout(margin={"r": 130})
    fig.update_xaxes(nticks=5)
    return fig


def purposes(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return by purpose which rule decided which share of the kept events (`privacy.decisions`)."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "What the kept events may be used for, and by which rule"
    if frame.empty:
        return empty(title, "no event was kept")
    fig = figure(title, subtitle, "share of kept events", height=430)
    patterns = ("", "/", "x", ".", "+", "-", "|", "\\")
    for index, ((denied, rule), part) in enumerate(
        frame.assign(denied=~frame["allowed"]).groupby(["denied", "rule"])
    ):
        fig.add_trace(
            go.Bar(
                y=list(part["purpose"]),
                x=[float(item) for item in part["share"]],
                orientation="h",
                name=f"{rule} {'denies' if denied else 'allows'}",
                marker={
                    "color": PALETTE[index % len(PALETTE)],
                    "pattern": {
                        "shape": patterns[1 + index % 7] if denied else "",
                        **HATCH,
                    },
                },
                text=[f"{rule} {item:.0%}" if item >= 0.06 else "" for item in part["share"]],
                textposition="inside",
                insidetextanchor="middle",
            )
        )
    fig.update_xaxes(tickformat=".0%", range=[0, 1])
    fig.update_yaxes(type="category", categoryarray=list(reversed(PURPOSES)), ticks="")
    fig.update_layout(barmode="stack", margin={"t": 130})
    return fig


def consent_map(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return which share of devices allows each purpose (`privacy.allowed_by_jurisdiction`)."""
    title = "Devices that allow each purpose, by jurisdiction"
    if frame.empty:
        return empty(title, "under 10 devices in every jurisdiction: not shown")
    sizes = frame.drop_duplicates("jurisdiction").set_index("jurisdiction")["devices"]
    wide = frame.pivot_table(
        index="jurisdiction", columns="purpose", values="share", sort=False, dropna=False
    )
    wide.index = wide.index.map(lambda name: f"{name} (n = {int(sizes[name]):,})")
    return heatmap(wide, title=title, subtitle=subtitle, x="purpose", y="jurisdiction")


_HEARD: Final = {"too quiet": 1, "not at all": 1, "too loud": 3, "as it is": 0}


def heard(left: pd.DataFrame, purpose: str, by: str) -> go.Figure:
    """Return how loud each segment is among what is left, as a multiple of its share of the log (`privacy.left_of`)."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that tables do not need

    shown = left.dropna(subset=["ratio"])
    if shown.empty:
        return empty(
            f"Who is left for {purpose}, by {by}", "nothing is left, or under 10 devices in every segment"
        )
    quiet = int(shown["heard"].isin(["too quiet", "not at all"]).sum())
    title = f"Too quiet for {purpose}: {quiet} of {len(shown)}"
    events = int(shown.groupby("by")["in_log"].sum().max())
    fig = figure(
        title,
        f"by {by} · n = {events:,} · 90 % intervals",
        "share left / share of the log",
        height=200 + 28 * len(shown),
    )
    shown = shown.assign(
        lower=shown["lower"].fillna(shown["ratio"]), upper=shown["upper"].fillna(shown["ratio"])
    )
    twice = shown["segment"].duplicated(keep=False)  # what is pooled by jurisdiction and by source, say
    shown["segment"] = shown["segment"].where(~twice, shown["segment"] + " (" + shown["by"] + ")")
    for index, name in enumerate(("too quiet", "as it is", "too loud", "not at all")):
        part = shown[shown["heard"] == name]
        if len(part):
            marker = {"size": 10, "color": PALETTE[_HEARD[name]], "symbol": SYMBOLS[index]}
            fig.add_trace(
                go.Scatter(
                    x=[float(item) for item in part["ratio"]],
                    y=[str(item) for item in part["segment"]],
                    mode="markers",
                    name=name,
                    marker=marker,
                    error_x=error_bars(part, "ratio"),
                    hovertemplate="%{y}: %{x:.2f}<extra></extra>",
                )
            )
    span = [min(0.75, float(shown["lower"].min()) - 0.03), max(1.15, float(shown["upper"].max()) + 0.03)]
    fig.update_xaxes(range=span, nticks=6)
    fig.add_vline(x=1, line={"color": GREY, "width": 1, "dash": "dot"})
    order = [str(item) for item in shown["segment"]]
    fig.update_yaxes(
        type="category", categoryorder="array", categoryarray=order, autorange="reversed", ticks=""
    )
    fig.update_layout(margin={"t": 110})
    return fig


_RANGES: Final = (
    ("whatever the withheld did", "at_least", "at_most", 2, 4),
    ("the withheld like one jurisdiction or another", "as_least", "as_most", 0, 12),
    ("90 % interval of those who are seen", "lower", "upper", 1, 4),
)


def bounds(frame: pd.DataFrame) -> go.Figure:
    """Return how far figures of other reports could move, had nobody been withheld (`privacy.bounds`)."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "What the withheld could change"
    if frame.empty:
        return empty(title, "under 10 people in what the other reports measure")
    subtitle = f"n = {int(frame['people'].min()):,} to {int(frame['people'].max()):,} people by figure"
    fig = figure(title, subtitle, "share of visits", height=260 + 70 * len(frame))
    labels = [textwrap.fill(str(item), 16).replace("\n", "<br>") for item in frame["figure"]]
    positions = range(len(frame))
    for offset, (name, low, high, colour, width) in zip((0.22, 0.0, -0.22), _RANGES, strict=True):
        for position, start, end in zip(positions, frame[low], frame[high], strict=True):
            line: dict[str, Any] = {"color": PALETTE[colour], "width": width}
            fig.add_trace(
                go.Scatter(
                    x=[float(start), float(end)],
                    y=[position + offset] * 2,
                    mode="lines+markers",
                    line=line,
                    marker={"size": 9, "symbol": SYMBOLS[colour]},
                    name=name,
                    legendgroup=name,
                    showlegend=position == 0,
                    hovertemplate="%{x:.1%}<extra></extra>",
                )
            )
    fig.update_xaxes(tickformat=".0%", range=[0, 1], nticks=5)
    fig.update_yaxes(
        tickvals=list(positions), ticktext=labels, range=[len(frame) - 0.5, -0.5], ticks="", showgrid=False
    )
    fig.update_layout(margin={"t": 150})
    return fig


def weeks(frame: pd.DataFrame, columns: Sequence[str], *, title: str, subtitle: str, y: str) -> go.Figure:
    """Return shares by week, a line per column; `segment` is a Monday, what is pooled is left out.

    Parameters
    ----------
    frame
        `segment` and the columns.
    columns
        Which to draw.
    title, subtitle, y
        As in `eventlib.report.plots.figure`.
    """
    import pandas as pd  # noqa: PLC0415 - there already wherever a frame is

    known = frame[frame["segment"].str.fullmatch(r"\d{4}-\d{2}-\d{2}").astype(bool)] if len(frame) else frame
    known = known.assign(week=pd.to_datetime(known["segment"]))
    long = known.melt("week", [name for name in columns if name in known], "what", "value").dropna(
        subset=["value"]
    )
    if long.empty:
        return empty(title, "no week with ten people or more of whom this may be told")
    fig = lines(
        long,
        "week",
        "value",
        "what",
        title=title,
        subtitle=subtitle,
        x_title="week, by its Monday (UTC)",
        y_title=y,
    )
    fig.update_traces(mode="lines+markers")
    several = len(columns) > 1
    fig.update_yaxes(tickformat=".0%")
    fig.update_layout(margin={"t": 130 if several else 84}, showlegend=several)
    return fig


def said(frame: pd.DataFrame) -> go.Figure:
    """Return what events about people carry, by source (`privacy.said_by`)."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "What events say of consent, by source"
    if frame.empty:
        return empty(title, "the run stamp counts no event about people")
    subtitle = f"n = {int(frame['events'].sum()):,} events about people"
    fig = figure(title, subtitle, "share of the source's events about people", height=220 + 46 * len(frame))
    patterns = ("", "/", "x", ".", "+", "-", "|")
    labels = [f"{name} (n = {int(n):,})" for name, n in zip(frame["segment"], frame["events"], strict=True)]
    for index, name in enumerate(column for column in frame if column not in ("segment", "events")):
        values = [float(item) if item == item else 0.0 for item in frame[name]]  # noqa: PLR0124  # not NaN
        fig.add_trace(
            go.Bar(
                y=labels,
                x=values,
                orientation="h",
                name=str(name),
                marker={
                    "color": PALETTE[index % len(PALETTE)],
                    "pattern": {"shape": patterns[index % len(patterns)], **HATCH},
                },
                text=[f"{item:.0%}" if item >= 0.06 else "" for item in values],
                textposition="inside",
                insidetextanchor="middle",
            )
        )
    fig.update_xaxes(tickformat=".0%", range=[0, 1])
    fig.update_yaxes(type="category", autorange="reversed", ticks="")
    fig.update_layout(barmode="stack", margin={"t": 130}, showlegend=True)
    return fig
