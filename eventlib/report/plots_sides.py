"""Figures of two sides and their difference: people against devices, AI-referred visitors against others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eventlib.report.plots import GREY, PALETTE, SYMBOLS, empty, error_bars, figure

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["beside", "largest", "step_differences"]

_NAMES: Final = {"ai": "AI answer", "other": "other arrivals"}
_ONE_LINE: Final = 320
"""Pixels of a row's name and its difference that fit on a telephone beside one another."""


def wrapped(name: str) -> str:
    """Return an event's name on two lines, so that a matrix has room beside it on a telephone."""
    first, underscore, rest = name.partition("_")
    return f"{first}{underscore}<br>{rest}" if rest else name


def _sides(frame: pd.DataFrame) -> tuple[str, str]:
    """Return what a comparison's sides are called in its columns."""
    first, second = (
        str(name).removesuffix("_share") for name in frame.columns if str(name).endswith("_share")
    )
    return first, second


def _signed(share: float, *, short: bool = False) -> str:
    """Return a difference of shares in points, without a sign where it rounds to nothing; `short` from 10 on without tenths."""
    text = f"{100 * share:+.0f}" if short and abs(share) >= 0.0995 else f"{100 * share:+.1f}"
    return "0.0" if text[1:] == "0.0" else text


def _points(row: Any) -> str:
    """Return a difference in words, with its interval."""
    if np.isnan(float(row.difference)):
        return "differs for under 10 people"
    if row.difference == row.lower == row.upper == 0:
        return "no difference"
    return f"{_signed(row.difference)} ({_signed(row.lower)} to {_signed(row.upper)})"


def largest(frame: pd.DataFrame, rows: int = 8) -> pd.DataFrame:
    """Return the rows of a comparison with the largest differences, those whose interval holds 0 last.

    Examples
    --------
    >>> import pandas as pd
    >>> found = pd.DataFrame({"difference": [0.2, -0.1, 0.0], "lower": [-0.1, -0.2, 0.0], "upper": [0.5, -0.01, 0.0]})
    >>> largest(found, 2)["difference"].tolist()
    [-0.1, 0.2]
    """
    known = frame.dropna(subset=["difference"])
    sure = (known["lower"] > 0) | (known["upper"] < 0)
    order = known.assign(sure=sure, size=known["difference"].abs()).sort_values(
        ["sure", "size"], ascending=False, kind="stable"
    )
    return order.drop(columns=["sure", "size"]).head(rows).reset_index(drop=True)


def beside(
    frame: pd.DataFrame, labels: list[str], *, title: str, subtitle: str = "", x: str, joined: str = ", "
) -> go.Figure:
    """Return both sides of each row with their 90 % intervals, and the difference in words under its name.

    Parameters
    ----------
    frame
        From a `journeys.compare_…`; rows of which nothing may be shown are left out.
    labels
        The columns that name a row.
    title, subtitle, x
        As in `figure`.
    joined
        What stands between two columns of a name.
    """
    names = _sides(frame)
    shown = frame.dropna(subset=[f"{names[0]}_share"]).reset_index(drop=True)
    if shown.empty:
        return empty(title, "under 10 people: not shown")
    words = [_points(row) for row in shown.itertuples()]
    names_of_rows = [joined.join(map(str, row)) for row in shown[labels].itertuples(index=False)]
    wide = max(8.2 * len(name) + 6.6 * len(word) for name, word in zip(names_of_rows, words, strict=True))
    two_lines = wide > _ONE_LINE
    note = f"difference in points: {_NAMES.get(names[0], names[0])} less {_NAMES.get(names[1], names[1])}"
    subtitle = f"{subtitle}<br>{note}" if subtitle else note
    tall = 86 if two_lines else 72
    fig = figure(title, subtitle, x, height=176 + tall * len(shown))
    for index, name in enumerate(names):
        _markers(fig, shown, name, index, (tall - 34 + 20 * index) / tall)
    for row, (label, word) in enumerate(zip(names_of_rows, words, strict=True)):
        told = f'<span style="font-size:13px;color:{GREY}">{word}</span>'
        text = f"<b>{label}</b>{'<br>' if two_lines else '  '}{told}"
        place = {"x": 0, "xref": "paper", "y": row, "xanchor": "left", "yanchor": "top", "align": "left"}
        fig.add_annotation(text=text, showarrow=False, **place)
        fig.add_hline(y=row, line={"color": "#e6e6e6", "width": 1})
    fig.update_yaxes(range=[len(shown), 0], visible=False)
    fig.update_xaxes(tickformat=".0%", rangemode="tozero", nticks=6, tickangle=0)
    fig.update_layout(margin={"t": 92}, showlegend=False)
    return fig


def _markers(fig: go.Figure, shown: pd.DataFrame, name: str, index: int, down: float) -> None:
    """Draw one side's markers, so far down in their rows, and name them in the first row that has them."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    part = shown.dropna(subset=[f"{name}_share"])
    if part.empty:
        return
    word, colour = _NAMES.get(name, name), PALETTE[index]
    symbol = f"{SYMBOLS[index]}{'-open' if index else ''}"
    bounds = (f"{name}_share", f"{name}_lower", f"{name}_upper")
    marks = go.Scatter(
        x=list(part[f"{name}_share"].astype(float)),
        y=[float(row) + down for row in part.index],
        mode="markers",
        name=word,
        marker={"size": 10, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
        error_x=error_bars(part, *bounds, color=colour),
        hovertemplate="%{fullData.name}: %{x:.1%}<extra></extra>",
    )
    fig.add_trace(marks)
    row = int(part.index[0])
    low, high = (float(part[bound].astype(float).iloc[0]) for bound in bounds[1:])
    left = high > 0.6 * float(part[bounds[2]].max())  # there is more room on that side
    side = {"x": low if left else high, "xanchor": "right" if left else "left", "xshift": -8 if left else 8}
    fig.add_annotation(
        text=word, y=row + down, yanchor="middle", showarrow=False, font={"color": colour, "size": 13}, **side
    )


def step_differences(frame: pd.DataFrame, *, title: str, subtitle: str = "") -> go.Figure:
    """Return the difference of two step matrices in points, coloured where its interval does not hold 0.

    Parameters
    ----------
    frame
        From `journeys.compare_steps`.
    title, subtitle
        As in `figure`.
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    known = frame.dropna(subset=["difference"])
    if known.empty:
        return empty(title, "under 10 people: not shown")
    first, second = (_NAMES.get(name, name) for name in _sides(frame))
    sure = (known["lower"] > 0) | (known["upper"] < 0)
    told = known.assign(tone=known["difference"].where(sure, 0.0))
    size = told.groupby("event_name")["difference"].apply(lambda part: part.abs().max())
    order = [str(name) for name in size.sort_values(ascending=False, kind="stable").index]
    wide = {
        what: told.pivot_table(index="event_name", columns="step", values=what, sort=True)
        for what in ("difference", "tone")
    }
    cells = {what: matrix.reindex(order).to_numpy(dtype=float) for what, matrix in wide.items()}
    words = [
        ["" if np.isnan(cell) else _signed(cell, short=True) for cell in row] for row in cells["difference"]
    ]
    top = max(float(np.nanmax(np.abs(cells["difference"]))), 1e-6)
    note = f"{first} less {second}, in points<br>coloured where the 90 % interval excludes 0"
    subtitle = f"{subtitle}<br>{note}" if subtitle else note
    fig = figure(title, subtitle, "step of the journey", "event", height=232 + 38 * len(order))
    fig.add_trace(
        go.Heatmap(
            z=[[None if np.isnan(cell) else float(cell) for cell in row] for row in cells["tone"]],
            x=[str(step) for step in wide["tone"].columns],
            y=[wrapped(name) for name in order],
            text=words,
            texttemplate="%{text}",
            textfont={"size": 11},
            colorscale=[[0, "#E69F00"], [0.5, "#f4f4f4"], [1, "#56B4E9"]],
            zmid=0,
            zmin=-top,
            zmax=top,
            xgap=2,
            ygap=2,
            showscale=False,
            hovertemplate="%{y}, step %{x}: %{text} points<extra></extra>",
        )
    )
    fig.update_xaxes(type="category", showgrid=False, ticks="", side="bottom")
    fig.update_yaxes(type="category", showgrid=False, ticks="", autorange="reversed")
    fig.update_layout(margin={"t": 122})
    return fig
