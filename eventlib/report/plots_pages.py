"""Figures of pages closely: what changed since, one page by prompts and versions, pages by prompt cluster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from eventlib.report.plots import GREY, INK, PALETTE, empty, figure
from eventlib.report.plots_geo import forest, name_rows
from eventlib.report.tables import format_value

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["changes", "cluster_map", "page_cells"]

_KINDS: Final = {
    "all": "all prompts, all versions",
    "prompt_cluster": "prompts",
    "content_version": "version",
}
_FARTHEST: Final = 3.0  # multiples at which the colours end


def changes(frame: pd.DataFrame, days: int, subtitle: str = "", most: int = 20) -> go.Figure:
    """Return pages before and since, from `score_changes`: those that moved, then those nearest to it."""
    import plotly.graph_objects as go  # noqa: PLC0415 - loaded when drawn

    title = f"Scores before and in the last {days} days"
    if frame.empty:
        return empty(title, "no page can be compared; the text says why")
    shown = frame.head(most).sort_values("change", ascending=False, kind="stable").reset_index(drop=True)
    fig = figure(title, subtitle, "score, 1 = average page", height=200 + 28 * len(shown))
    looks = {
        "rose": (PALETTE[0], "triangle-up"),
        "fell": (PALETTE[1], "triangle-down"),
        "as before, as far as can be told": (GREY, "circle"),
    }
    for row, (before, since, word) in enumerate(
        zip(shown["before"], shown["since"], shown["word"], strict=True)
    ):
        line = {"color": looks[word][0], "width": 2}
        fig.add_trace(
            go.Scatter(
                x=[float(before), float(since)], y=[row, row], mode="lines", line=line, showlegend=False, hoverinfo="skip"
            )
        )  # fmt: skip
    fig.add_trace(
        go.Scatter(
            x=[float(item) for item in shown["before"]], y=list(range(len(shown))), mode="markers", name="before",
            marker={"size": 10, "color": INK, "symbol": "line-ns-open", "line": {"width": 3}},
            hovertemplate="%{x:.2f}<extra>before</extra>",
        )
    )  # fmt: skip
    for word, (colour, symbol) in looks.items():
        part = shown[shown["word"] == word]
        if len(part):
            fig.add_trace(
                go.Scatter(
                    x=[float(item) for item in part["since"]], y=[int(row) for row in part.index], mode="markers",
                    name=f"since: {word}", marker={"size": 11, "color": colour, "symbol": symbol},
                    hovertemplate="%{x:.2f}<extra>since</extra>",
                )
            )  # fmt: skip
    name_rows(fig, list(shown["page"] if "page" in shown else shown["content_id"]))
    _multiples(fig, [*shown["before"], *shown["since"]])
    fig.update_layout(margin={"t": 130})
    return fig


def _multiples(fig: go.Figure, values: list[float]) -> None:
    ticks = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20)
    low, high = min([*values, 0.8]), max([*values, 1.25])
    fig.update_xaxes(
        type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks],
        range=[math.log10(low) - 0.05, math.log10(high) + 0.05],
    )  # fmt: skip
    fig.add_vline(x=1, line={"color": INK, "width": 1, "dash": "dot"})


def page_cells(frame: pd.DataFrame, page: str, subtitle: str = "") -> go.Figure:
    """Return one page's score as a whole, by prompt cluster and by version, from `pages.page_cells`."""
    title = f"{page}: for which prompts, in which version" if page else "One page closely"
    if frame.empty:
        return empty(title, "no page is shown, or not the one that was asked for")
    rows = frame.assign(row=range(len(frame)))
    fig = figure(title, subtitle, "score, 1 = average page, 90 % interval", height=210 + 30 * len(rows))
    forest(fig, rows, "theta", "word")
    labels = [
        _KINDS["all"] if of == "all" else f"{_KINDS[of]}: {cell}"
        for of, cell in zip(rows["of"], rows["cell"], strict=True)
    ]
    name_rows(fig, labels)
    fig.add_vline(x=1, line={"color": INK, "width": 1, "dash": "dot"})
    fig.update_layout(margin={"t": 130})
    return fig


def cluster_map(values: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return scores by page and prompt cluster, blue above the average and orange below; empty: not enough evidence."""
    import plotly.graph_objects as go  # noqa: PLC0415 - loaded when drawn

    title = "Where each page wins and loses"
    if values.empty:
        return empty(title, "no page has enough evidence for any prompt cluster")
    known = [
        [None if math.isnan(item) else float(item) for item in row] for row in values.to_numpy(dtype=float)
    ]
    logs = [[None if item is None else math.log(item) for item in row] for row in known]
    fig = figure(title, subtitle, "prompts", "page", height=260 + 30 * len(values))
    fig.add_trace(
        go.Heatmap(
            z=logs,
            x=[str(item) for item in values.columns],
            y=[str(item) for item in values.index],
            text=[["" if item is None else format_value(item, ".2f") for item in row] for row in known],
            texttemplate="%{text}",
            textfont={"size": 12},
            colorscale=[[0.0, "#E69F00"], [0.5, "#FFFFFF"], [1.0, "#56B4E9"]],
            zmin=-math.log(_FARTHEST),
            zmax=math.log(_FARTHEST),
            xgap=2,
            ygap=2,
            showscale=False,
            hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
        )
    )
    fig.update_xaxes(type="category", showgrid=False, ticks="", side="bottom")
    fig.update_yaxes(type="category", showgrid=False, ticks="", autorange="reversed")
    return fig
