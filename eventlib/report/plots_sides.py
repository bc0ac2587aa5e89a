"""Figures of two sides and their difference: people against devices, AI-referred visitors against others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eventlib.report.plots import PALETTE, SYMBOLS, empty, error_bars, figure

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["beside", "largest", "step_differences"]

_NAMES: Final = {"ai": "AI answer", "other": "other arrivals"}
_APART: Final = 0.16  # of a row, how far each side's marker is from its middle


def _sides(frame: pd.DataFrame) -> tuple[str, str]:
    """Return what a comparison's sides are called in its columns."""
    first, second = (
        str(name).removesuffix("_share") for name in frame.columns if str(name).endswith("_share")
    )
    return first, second


def _points(row: Any) -> str:
    """Return a difference in words, with its interval."""
    if np.isnan(float(row.difference)):
        return "differs for under 10 people"
    return f"{100 * row.difference:+.1f} points ({100 * row.lower:+.1f} to {100 * row.upper:+.1f})"


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
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that tables do not need

    names = _sides(frame)
    shown = frame.dropna(subset=[f"{names[0]}_share"]).reset_index(drop=True)
    if shown.empty:
        return empty(title, "under 10 people: not shown")
    fig = figure(title, subtitle, x, height=190 + 58 * len(shown))
    for index, name in enumerate(names):
        part = shown.dropna(subset=[f"{name}_share"])
        share = part[f"{name}_share"].astype(float)
        aside = _APART * (2 * index - 1)
        word = _NAMES.get(name, name)
        look = {"size": 10, "color": PALETTE[index], "symbol": f"{SYMBOLS[index]}{'-open' if index else ''}"}
        fig.add_trace(
            go.Scatter(
                x=list(share),
                y=[float(row) + aside for row in part.index],
                mode="markers",
                name=word,
                marker={**look, "line": {"width": 2}},
                error_x=error_bars(
                    part, f"{name}_share", f"{name}_lower", f"{name}_upper", color=PALETTE[index]
                ),
                hovertemplate=f"{word}: %{{x:.1%}}<extra></extra>",
            )
        )
    text = [
        f"{joined.join(str(getattr(row, label)) for label in labels)}<br>{_points(row)}"
        for row in shown.itertuples()
    ]
    fig.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=text,
        range=[len(shown) - 0.5, -0.5],
        ticks="",
        showgrid=False,
    )
    for row in range(1, len(shown)):
        fig.add_hline(y=row - 0.5, line={"color": "#e6e6e6", "width": 1})
    fig.update_xaxes(tickformat=".0%", rangemode="tozero")
    fig.update_layout(margin={"t": 112}, legend={"itemsizing": "trace"})
    return fig


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
        return empty(title, "under 10 people differ: not shown")
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
    words = [["" if np.isnan(cell) else f"{100 * cell:+.1f}" for cell in row] for row in cells["difference"]]
    top = max(float(np.nanmax(np.abs(cells["difference"]))), 1e-6)
    note = f"points, {first} less {second}; coloured where the 90 % interval excludes 0"
    fig = figure(
        title,
        f"{subtitle}<br>{note}" if subtitle else note,
        "step of the journey",
        "event",
        210 + 32 * len(order),
    )
    fig.add_trace(
        go.Heatmap(
            z=[[None if np.isnan(cell) else float(cell) for cell in row] for row in cells["tone"]],
            x=[str(step) for step in wide["tone"].columns],
            y=order,
            text=words,
            texttemplate="%{text}",
            textfont={"size": 12},
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
    fig.update_layout(margin={"t": 108})
    return fig
