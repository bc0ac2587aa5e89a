"""Figures: one template, one palette, and plots that take a frame and return a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "DASHES",
    "GREY",
    "INK",
    "PALETTE",
    "SYMBOLS",
    "empty",
    "figure",
    "interval_bars",
    "period",
    "template",
]

PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's colours, told apart with any colour vision; the yellow last, it is faint on white."""

SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "hexagon")
"""One marker per colour, since colour never carries a meaning alone."""

DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""One line style per colour, for the same reason."""

INK: Final = "#1b1b1b"
GREY: Final = "#6b6b6b"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def template() -> go.layout.Template:
    """Return the one plotly template of all reports."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that tables do not need

    axis = {
        "showline": True,
        "linecolor": "#8a8a8a",
        "gridcolor": "#e6e6e6",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "#8a8a8a",
        "automargin": True,
        "title": {"standoff": 12},
    }
    return go.layout.Template(
        layout={
            "font": {"family": _FONT, "size": 14, "color": INK},
            "title": {
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "yref": "container",
                "y": 0.96,
                "yanchor": "top",
            },
            "colorway": list(PALETTE),
            "colorscale": {"sequential": "Viridis"},
            "paper_bgcolor": "#ffffff",
            "plot_bgcolor": "#ffffff",
            "margin": {"l": 16, "r": 24, "t": 84, "b": 16},
            "xaxis": axis,
            "yaxis": axis,
            "separators": ".,",
            "hoverlabel": {"font": {"family": _FONT, "size": 13}, "align": "left"},
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "xanchor": "left",
                "title": {"text": ""},
            },
            "bargap": 0.25,
            "uniformtext": {"minsize": 11, "mode": "show"},
        }
    )


def figure(title: str, subtitle: str = "", x: str = "", y: str = "", height: int = 420) -> go.Figure:
    """Return an empty figure in the house style.

    Parameters
    ----------
    title
        What the figure says.
    subtitle
        Number of observations and dates; `period` writes it.
    x, y
        Axis titles, with units.
    height
        Pixels.
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    under = f'<br><span style="font-size:13px;color:{GREY}">{subtitle}</span>' if subtitle else ""
    fig = go.Figure(
        layout={"template": template(), "height": height, "title": {"text": f"<b>{title}</b>{under}"}}
    )
    fig.update_xaxes(title_text=x)
    fig.update_yaxes(title_text=y)
    return fig


def period(n: int, noun: str, times: pd.Series[Any] | Sequence[dt.datetime] | None = None) -> str:
    """Return a subtitle: how many of what, and from when to when.

    Examples
    --------
    >>> from datetime import datetime
    >>> period(1234, "events", [datetime(2026, 10, 1), datetime(2026, 10, 31)])
    'n = 1,234 events · 1 Oct to 31 Oct 2026'
    """
    start = end = None
    if times is not None and len(times):
        start, end = min(times), max(times)
    if start is None or end is None or start != start:  # noqa: PLR0124 - a missing time is unequal to itself
        return f"n = {n:,} {noun}"
    year = "" if start.year == end.year else f" {start.year}"
    return f"n = {n:,} {noun} · {start.day} {start:%b}{year} to {end.day} {end:%b} {end.year}"


def empty(title: str, reason: str) -> go.Figure:
    """Return a figure that says in words why there is nothing to draw."""
    fig = figure(title, height=200)
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False)
    fig.add_annotation(
        text=reason,
        showarrow=False,
        x=0.5,
        y=0.5,
        xref="paper",
        yref="paper",
        font={"size": 15, "color": GREY},
    )
    return fig


def interval_bars(
    frame: pd.DataFrame,
    label: str,
    value: str,
    lower: str,
    upper: str,
    *,
    title: str,
    subtitle: str,
    x: str,
    percent: bool = False,
) -> go.Figure:
    """Return labelled points with their 90 % intervals, one row each, first row on top.

    Parameters
    ----------
    frame
        One row per label.
    label, value, lower, upper
        Its columns; the bounds are absolute, not distances.
    title, subtitle, x
        As in `figure`.
    percent
        Values are shares: show them as percentages.
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    if frame.empty:
        return empty(title, "none")
    fig = figure(title, subtitle, x, height=140 + 34 * len(frame))
    form = ".1%" if percent else ",.3~g"
    values = [float(item) for item in frame[value]]
    fig.add_trace(
        go.Scatter(
            x=values,
            y=[str(item) for item in frame[label]],
            mode="markers+text",
            marker={"size": 10, "color": PALETTE[0]},
            text=[f"{item:{'.1%' if percent else ',.3g'}}" for item in values],
            textposition="top center",
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [float(high) - item for high, item in zip(frame[upper], values, strict=True)],
                "arrayminus": [item - float(low) for low, item in zip(frame[lower], values, strict=True)],
                "thickness": 2,
                "width": 6,
            },
            hovertemplate=f"%{{y}}: %{{x:{form}}}<extra></extra>",
        )
    )
    fig.update_yaxes(type="category", autorange="reversed")
    fig.update_xaxes(tickformat=".0%" if percent else "")
    return fig
