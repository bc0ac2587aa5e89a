"""Figures of notebook 03: funnels, transitions, steps, time to convert."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from eventlib.report.plots import DASHES, INK, PALETTE, SYMBOLS, empty, error_bars, figure, heatmap
from eventlib.report.plots_sides import beside, largest, step_differences, wrapped
from eventlib.report.tables import format_value

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "beside",
    "convert_curves",
    "formats",
    "funnel",
    "largest",
    "step_differences",
    "steps",
    "transition_graph",
]


_TALL: Final = 2.6  # of a graph's unit upwards to one across, in pixels
_UNTOLD: Final = "  not shown: under 10<br>  people, or under 10<br>  fewer than before"


def funnel(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return a funnel with its 90 % intervals, from `journeys.funnel`; a step that is not shown says so."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that tables do not need

    title = "How many people get how far"
    shown = frame.dropna(subset=["share"])
    if shown.empty:
        return empty(title, "under 10 people at every step: not shown")
    shares = [float(item) for item in shown["share"]]
    label = dict(zip(frame["step"].index, frame["step"].astype(str), strict=True))
    for row, people in shown["people"].items():
        label[row] += f"<br>{format_value(people)} people"
    x = "share of the first step, 90 % interval"
    fig = figure(title, subtitle, x, height=170 + 52 * len(frame))
    bars = {"orientation": "h", "marker": {"color": PALETTE[5]}, "hoverinfo": "skip"}
    y = [label[row] for row in shown.index]
    fig.add_trace(go.Bar(x=shares, y=y, error_x=error_bars(shown, "share", color=INK), **bars))
    ends = {"mode": "text", "textposition": "middle right", "cliponaxis": False, "hoverinfo": "skip"}
    text = [f"  {share:.1%}" for share in shares]
    fig.add_trace(go.Scatter(x=[float(item) for item in shown["upper"]], y=y, text=text, **ends))
    hidden = [label[row] for row in frame.index if row not in shown.index]
    fig.add_trace(
        go.Scatter(
            x=[0.0] * len(hidden), y=hidden, text=[_UNTOLD] * len(hidden), textfont={"size": 12}, **ends
        )
    )
    fig.update_xaxes(tickformat=".0%", range=[0, 1.02])
    order = list(label.values())
    fig.update_yaxes(
        type="category", categoryorder="array", categoryarray=order, autorange="reversed", ticks=""
    )
    fig.update_layout(showlegend=False, margin={"r": 70})
    return fig


def formats(frame: pd.DataFrame) -> dict[str, str]:
    """Return how a table shows the columns of a frame from `journeys`: shares and their differences as percentages.

    Examples
    --------
    >>> import pandas as pd
    >>> formats(pd.DataFrame(columns=["step", "people", "people_share", "difference"]))
    {'people_share': 'percent', 'difference': 'percent'}
    """
    percent = ("share", "lower", "upper", "difference", "from_previous")
    names = [str(name) for name in frame.columns]
    return {name: "percent" for name in names if name.endswith(percent) or name.isdigit()}


def _places(moves: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return places from left to right: first what sessions come from, last what they end in.

    The order is by the share of an event's moves that leave it, so that most arrows point to the right; three
    rows in turn keep the names apart.
    """
    out = moves.groupby("source")["moves"].sum()
    into = moves.groupby("target")["moves"].sum()
    names = sorted(set(out.index) | set(into.index))
    leaving = {name: float(out.get(name, 0)) / float(out.get(name, 0) + into.get(name, 0)) for name in names}
    ordered = sorted(names, key=lambda name: (-leaving[name], name))
    return {name: (float(i), (0.0, 1.0, -1.0)[i % 3] + 0.4 * (i // 3 % 2)) for i, name in enumerate(ordered)}


def transition_graph(frame: pd.DataFrame, subtitle: str = "", least: float = 0.1) -> go.Figure:
    """Return what follows what as a graph: an arrow per move with its share, wider for more moves.

    Parameters
    ----------
    frame
        From `journeys.transitions`.
    subtitle
        As in `plots.figure`.
    least
        Moves below this share of their source are not drawn; the table has them.
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "What follows what"
    drawn = frame[(frame["share"] >= least) & (frame["source"] != frame["target"])]
    if drawn.empty:
        return empty(title, "under 10 people on every move: not shown")
    places = _places(drawn)
    names = list(places)
    least_shown = f"arrows from {least:.0%} of an event's moves"
    fig = figure(title, f"{subtitle}<br>{least_shown}" if subtitle else least_shown, height=580)
    most = float(drawn["moves"].max())
    for move in drawn.itertuples():
        _arrow(fig, places[str(move.source)], places[str(move.target)], move, most)
    fig.add_trace(
        go.Scatter(
            x=[places[name][0] for name in names],
            y=[places[name][1] for name in names],
            mode="markers",
            marker={"size": 16, "color": PALETTE[0], "line": {"color": "#ffffff", "width": 2}},
            hoverinfo="skip",
        )
    )
    last = len(names) - 1
    for name, (x, y) in places.items():
        shift = 27 if y >= 0 else -27
        # names at the sides grow inwards: on a telephone they would be cut
        side = "left" if x < last / 6 else "right" if x > last - last / 6 else "center"
        place = {"x": x, "y": y, "yshift": shift, "xanchor": side, "bgcolor": "rgba(255,255,255,0.9)"}
        place["xshift"] = {"left": -12, "right": 12, "center": 0}[side]
        fig.add_annotation(text=wrapped(name), showarrow=False, **place)
    fig.update_xaxes(visible=False, range=[-0.7, len(names) - 0.3])
    fig.update_yaxes(visible=False, range=[-1.4, 1.75])
    return fig


def _arrow(
    fig: go.Figure, start: tuple[float, float], end: tuple[float, float], move: Any, most: float
) -> None:
    """Draw one move as an arrow that keeps to its right: there and back do not lie on one another."""
    across, up = end[0] - start[0], (end[1] - start[1]) * _TALL
    length = math.hypot(across, up) or 1.0
    unit = (across / length, up / length)
    aside = (unit[1] * 0.07, -unit[0] * 0.07 / _TALL)
    tail = (start[0] + unit[0] * 0.22 + aside[0], start[1] + unit[1] * 0.22 / _TALL + aside[1])
    head = (end[0] - unit[0] * 0.25 + aside[0], end[1] - unit[1] * 0.25 / _TALL + aside[1])
    width = 1 + 5 * float(move.moves) / most
    fig.add_annotation(
        x=head[0], y=head[1], ax=tail[0], ay=tail[1], xref="x", yref="y", axref="x", ayref="y",
        showarrow=True, arrowhead=2, arrowsize=max(0.5, 1.6 / width), arrowwidth=width,
        arrowcolor="#8fb4cc", text="",
    )  # fmt: skip
    fig.add_annotation(
        x=tail[0] + (head[0] - tail[0]) * 0.42,
        y=tail[1] + (head[1] - tail[1]) * 0.42,
        text=f"{move.share:.0%}",
        showarrow=False,
        font={"size": 12, "color": "#1b1b1b"},
        bgcolor="rgba(255,255,255,0.85)",
        borderpad=1,
    )


def steps(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return the step matrix, from `journeys.step_matrix`."""
    title = "Where journeys are at each step"
    if frame.empty:
        return empty(title, "under 10 people: not shown")
    matrix = frame.set_index("event_name")
    matrix = matrix.loc[matrix.sum(axis=1).sort_values(ascending=False).index]
    matrix.index = matrix.index.map(lambda name: wrapped(str(name)))
    fig = heatmap(
        matrix, title=title, subtitle=subtitle, x="step of the journey", y="event", form=".0%", faint=0.005
    )
    return fig.update_layout(height=190 + 38 * len(matrix))


def convert_curves(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return who has converted by when, with a 90 % band: an arrival a row, people and devices a line each.

    Parameters
    ----------
    frame
        From `journeys.time_to_convert` or `journeys.time_to_convert_by_unit`.
    subtitle
        As in `plots.figure`.
    """
    from plotly.subplots import make_subplots  # noqa: PLC0415 - as above

    title = "Time to convert"
    if frame.empty:
        return empty(title, "under 10 people converted: not shown")
    arrivals = list(dict.fromkeys(frame["arrival"]))
    fig = figure(title, subtitle, height=170 + 230 * len(arrivals))
    rows = make_subplots(rows=len(arrivals), cols=1, shared_xaxes="all", vertical_spacing=0.12, figure=fig)
    nouns = frame["counted_by"] if "counted_by" in frame else frame["arrival"].map(lambda _: "people")
    top = float(frame["upper"].max())
    for row, arrival in enumerate(arrivals, start=1):
        for index, noun in enumerate(("people", "devices")):
            part = frame[(frame["arrival"] == arrival) & (nouns == noun)]
            if len(part):
                _curve(rows, part, noun, index, row)
        name = f"<b>{arrival}</b>" if arrival != "other" else "<b>other arrivals</b>"
        place = {"xref": "x domain", "yref": f"y{row if row > 1 else ''} domain", "x": 0.01, "y": 1.0}
        rows.add_annotation(text=name, showarrow=False, xanchor="left", yanchor="bottom", **place)
    rows.update_yaxes(tickformat=".0%", range=[0, top * 1.08])
    rows.update_xaxes(rangemode="tozero")
    rows.update_xaxes(title_text="days since the first event", row=len(arrivals))
    rows.update_yaxes(title_text="share who converted")
    rows.update_layout(margin={"t": 112, "r": 76}, showlegend=False)
    return rows


def _curve(fig: go.Figure, part: pd.DataFrame, noun: str, index: int, row: int) -> None:
    """Draw one line with its band and, at its end, its name."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    days, share, lower, upper = (
        [0.0, *part[name].astype(float)] for name in ("days", "share", "lower", "upper")
    )
    red, green, blue = (int(PALETTE[index][i : i + 2], 16) for i in (1, 3, 5))
    band = {"fill": "toself", "fillcolor": f"rgba({red},{green},{blue},0.13)", "line": {"width": 0}}
    edge = {"x": [*days, *reversed(days)], "y": [*upper, *reversed(lower)], "mode": "lines"}
    fig.add_trace(go.Scatter(**edge, **band, hoverinfo="skip", showlegend=False), row=row, col=1)
    look = {
        "line": {"color": PALETTE[index], "dash": DASHES[index], "width": 2.5},
        "marker": {"symbol": SYMBOLS[index], "size": 9},
        "textposition": ("top right", "bottom right")[index],
        "textfont": {"color": PALETTE[index]},
        "cliponaxis": False,
    }
    text = [""] * (len(days) - 1) + [noun]
    look["hovertemplate"] = "%{fullData.name}: %{y:.1%} by day %{x:.1f}<extra></extra>"
    line = go.Scatter(x=days, y=share, mode="lines+markers+text", name=noun, text=text, **look)
    fig.add_trace(line, row=row, col=1)
