"""Figures: one template, one palette, and plots that take a frame and return a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eventlib.report.tables import format_value

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "DASHES",
    "GREY",
    "HATCH",
    "INK",
    "PALETTE",
    "SYMBOLS",
    "bars",
    "empty",
    "error_bars",
    "figure",
    "heatmap",
    "interval_bars",
    "lines",
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
HATCH: Final = {"fgcolor": "#ffffff", "fgopacity": 0.55, "fillmode": "overlay"}
"""How a bar is hatched, its colour kept under the strokes."""

_FLAGGED: Final = {"color": PALETTE[1], "pattern": {"shape": "/", **HATCH}}
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
        "title": {"standoff": 12, "font": {"size": 14}},
    }
    return go.layout.Template(
        layout={
            "font": {"family": _FONT, "size": 14, "color": INK},
            "title": {
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yanchor": "top",
                "pad": {"t": 16, "l": 2},
                "font": {"size": 18},
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
                "traceorder": "normal",
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
    import pandas as pd  # noqa: PLC0415 - there already wherever a frame is

    known = pd.Series(pd.DatetimeIndex(list(times) if times is not None else []))
    if known.empty:
        return f"n = {n:,} {noun}"
    start, end = known.min(), known.max()
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


def error_bars(
    frame: pd.DataFrame, value: str, lower: str = "lower", upper: str = "upper", color: str | None = None
) -> dict[str, Any]:
    """Return a trace's `error_x` or `error_y` from a column of values and its absolute bounds.

    Parameters
    ----------
    frame
        One row per point.
    value, lower, upper
        Its columns.
    color
        Of the bars; the marker's by default.
    """
    middle, low, high = (frame[name].astype(float) for name in (value, lower, upper))
    bars = {
        "type": "data",
        "symmetric": False,
        "array": list(high - middle),
        "arrayminus": list(middle - low),
        "thickness": 2,
        "width": 6,
    }
    return bars if color is None else {**bars, "color": color}


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
        return empty(title, "none in this log")
    fig = figure(title, subtitle, x, height=140 + 34 * len(frame))
    form = ".1%" if percent else ",.3~g"
    values = [float(item) for item in frame[value]]
    fig.add_trace(
        go.Scatter(
            x=values,
            y=[str(item) for item in frame[label]],
            mode="markers+text",
            marker={"size": 10, "color": PALETTE[0]},
            text=[format_value(item, "percent" if percent else None) for item in values],
            cliponaxis=False,
            textposition="top center",
            error_x=error_bars(frame, value, lower, upper),
            hovertemplate=f"%{{y}}: %{{x:{form}}}<extra></extra>",
        )
    )
    fig.update_yaxes(type="category", autorange="reversed")
    fig.update_xaxes(tickformat=".0%" if percent else "", rangemode="tozero" if percent else "normal")
    return fig


def bars(
    frame: pd.DataFrame,
    label: str,
    value: str,
    *,
    title: str,
    subtitle: str = "",
    x: str,
    form: str | None = None,
    flagged: str | None = None,
) -> go.Figure:
    """Return labelled horizontal bars, first row on top.

    Parameters
    ----------
    frame
        One row per bar; as many as shall be drawn.
    label, value
        Its columns.
    title, subtitle, x
        As in `figure`.
    form
        Format of the labels, as in `show_table`.
    flagged
        A boolean column: flagged bars are hatched and orange.
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    if frame.empty:
        return empty(title, "none in this log")
    fig = figure(title, subtitle, x, height=150 + 26 * len(frame))
    marks = frame[flagged].astype(bool) if flagged else frame[label].isna() & False
    # one trace per look: plotly cannot hatch some bars of a trace in colours of their own
    for rows, look in ((frame[~marks], {"color": PALETTE[0]}), (frame[marks], _FLAGGED)):
        fig.add_trace(
            go.Bar(
                x=[float(item) for item in rows[value]],
                y=[str(item) for item in rows[label]],
                orientation="h",
                marker=look,
                text=[format_value(item, form) for item in rows[value]],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{text}<extra></extra>",
            )
        )
    order = [str(item) for item in frame[label]]
    fig.update_yaxes(
        type="category", categoryorder="array", categoryarray=order, autorange="reversed", ticks=""
    )
    fig.update_xaxes(rangemode="tozero")
    fig.update_layout(margin={"r": 90}, barmode="overlay", showlegend=False)
    return fig


def lines(
    frame: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    *,
    title: str,
    subtitle: str = "",
    x_title: str,
    y_title: str,
) -> go.Figure:
    """Return one line per group with its name at its end: colour, dash and label tell them apart."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    if frame.empty:
        return empty(title, "none in this log")
    fig = figure(title, subtitle, x_title, y_title, height=440)
    largest = frame.groupby(by)[y].sum().sort_values(ascending=False, kind="stable")
    for index, name in enumerate(largest.index):
        part = frame[frame[by] == name]
        colour = PALETTE[index % len(PALETTE)]
        fig.add_trace(
            go.Scatter(
                x=list(part[x]),
                y=[float(item) for item in part[y]],
                name=str(name),
                mode="lines" if len(part) > 1 else "markers",
                line={"color": colour, "dash": DASHES[index % len(DASHES)], "width": 2},
                marker={"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 9},
            )
        )
    fig.update_yaxes(rangemode="tozero")
    fig.update_layout(hovermode="x unified", margin={"t": 110})
    return fig


def _with_gaps(values: pd.DataFrame) -> list[tuple[list[float], list[bool]]]:
    """Return each row's numbers and which of them are missing."""
    return list(zip(values.to_numpy().tolist(), values.isna().to_numpy().tolist(), strict=True))


def heatmap(
    values: pd.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    x: str,
    y: str,
    form: str = "percent",
    faint: float = 0.0,
) -> go.Figure:
    """Return a labelled heat map: rows and columns as in the frame, whose index names the rows.

    Parameters
    ----------
    values
        Numbers; missing cells stay white.
    title, subtitle, x, y
        As in `figure`.
    form
        Format of the labels, as in `show_table`.
    faint
        Cells below it stay white.
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    if values.empty:
        return empty(title, "none in this log")
    known = values.astype(float).where(values.astype(float) >= faint)
    cells = [[None if gap else item for item, gap in zip(*pair, strict=True)] for pair in _with_gaps(known)]
    top = max((item for row in cells for item in row if item is not None), default=1.0)
    text = [["" if item is None else format_value(item, form) for item in row] for row in cells]
    fig = figure(title, subtitle, x, y, height=190 + 32 * len(values))
    fig.add_trace(
        go.Heatmap(
            z=cells,
            x=[str(item) for item in values.columns],
            y=[str(item) for item in values.index],
            text=text,
            texttemplate="%{text}",
            textfont={"size": 12},
            colorscale="Viridis",
            reversescale=True,
            zmin=0,
            zmax=top,
            xgap=2,
            ygap=2,
            showscale=False,
            hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
        )
    )
    fig.update_xaxes(type="category", showgrid=False, ticks="", side="bottom")
    fig.update_yaxes(type="category", showgrid=False, ticks="", autorange="reversed")
    return fig
