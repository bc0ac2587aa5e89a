"""Figures of notebook 04: visibility, exposure, satisfaction, scores and their stages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from eventlib.report.plots import DASHES, GREY, INK, PALETTE, SYMBOLS, empty, error_bars, figure
from eventlib.report.tables import format_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "exposure",
    "forest",
    "mark_one",
    "name_rows",
    "satisfaction",
    "scores",
    "stages",
    "visibility",
]

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "better": (PALETTE[0], "triangle-up"),
    "worse": (PALETTE[1], "triangle-down"),
    "as average, as far as can be told": (GREY, "circle"),
    "no difference shown": (GREY, "circle"),
    "not enough evidence": (GREY, "circle-open"),
}
_TICKS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20)
_STAGE_LOOK: Final[Mapping[str, tuple[str, str]]] = {
    "cite": (PALETTE[0], ""),
    "click": (PALETTE[4], "/"),
    "satisfy": (PALETTE[2], "."),
}
_MEASURES: Final[Mapping[str, str]] = {
    "citation_share": "share of citations",
    "word_share": "word share",
    "position_adjusted": "word share, earlier sentences weigh more",
}


def name_rows(fig: go.Figure, labels: Sequence[str]) -> None:
    """Name the rows of a figure whose first row is 0, on top."""
    fig.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[str(label) for label in labels],
        range=[len(labels) - 0.4, -0.6],
        ticks="",
    )


def mark_one(fig: go.Figure, label: str) -> None:
    """Draw a line at 1 of a log axis, and name it."""
    fig.add_vline(x=1, line={"color": INK, "width": 1, "dash": "dot"})
    # positions of annotations on a log axis are logs
    fig.add_annotation(
        x=0, y=1, yref="paper", yanchor="bottom", text=label, showarrow=False, font={"color": GREY}
    )


def _label(frame: pd.DataFrame) -> str:
    """Name the column that names a page: with its title, where titles are known."""
    return "page" if "page" in frame else "content_id"


def visibility(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return the site's share of citations and of words by engine, from `visibility.engine_visibility`."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "How much of the answers is ours"
    shown = frame[frame["measure"].isin(list(_MEASURES)) & frame["value"].notna()]
    if shown.empty:
        return empty(title, "no probed answer attributes words to its sources")
    engines = list(dict.fromkeys(shown["engine"]))
    fig = figure(
        title, subtitle, "share of each engine's answers, 90 % interval", height=190 + 62 * len(engines)
    )
    for index, (measure, name) in enumerate(_MEASURES.items()):
        part = shown[shown["measure"] == measure]
        fig.add_trace(
            go.Scatter(
                x=[float(item) for item in part["value"]],
                y=[engines.index(item) + 0.25 * (index - 1) for item in part["engine"]],
                mode="markers+text",
                name=name,
                marker={"size": 10, "color": PALETTE[index], "symbol": SYMBOLS[index]},
                error_x=error_bars(part, "value"),
                hovertemplate="%{x:.1%}<extra>" + name + "</extra>",
            )
        )
    name_rows(fig, engines)
    fig.update_xaxes(tickformat=".0%")
    fig.update_layout(margin={"t": 116})
    return fig


def exposure(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return how likely each rank is examined, by slot, from `Exposure.frame`."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "How likely a citation is looked at, by its place"
    known = frame[frame["exposure"].notna()]
    if len(known) < 2:
        return empty(title, "no page was clicked in two places: exposure cannot be told from quality")
    fig = figure(title, subtitle, "rank", "exposure, first rank = 1, 90 % interval", height=430)
    for index, (slot, part) in enumerate(known.groupby("slot", sort=True)):
        look = {"color": PALETTE[index % len(PALETTE)], "dash": DASHES[index % len(DASHES)], "width": 2}
        fig.add_trace(
            go.Scatter(
                x=[int(rank) + 0.06 * index for rank in part["rank"]],
                y=[float(item) for item in part["exposure"]],
                mode="lines+markers",
                name=str(slot),
                line=look,
                marker={"size": 9, "symbol": SYMBOLS[index % len(SYMBOLS)]},
                error_y=error_bars(part, "exposure"),
                customdata=part[["clicks", "shows"]].to_numpy().tolist(),
                hovertemplate="%{y:.2f}, %{customdata[0]} clicks of %{customdata[1]} shows<extra>%{fullData.name}</extra>",
            )
        )
    pairs = known[known["all_pairs"].notna()]
    fig.add_trace(
        go.Scatter(
            x=[int(rank) - 0.06 for rank in pairs["rank"]],
            y=[float(item) for item in pairs["all_pairs"]],
            mode="markers",
            name="AllPairs, for comparison",
            marker={"size": 9, "symbol": "x-thin-open", "color": INK},
        )
    )
    fig.update_xaxes(dtick=1)
    fig.update_yaxes(rangemode="tozero")
    fig.update_layout(margin={"t": 116})
    return fig


def satisfaction(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return the share of satisfied visits by engine with its bounds, from `satisfaction_bounds`."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "Visits from AI answers that satisfied"
    if frame.empty:
        return empty(title, "no visit, or under 10 people on every engine")
    fig = figure(title, subtitle, "share of visits, 90 % interval", height=190 + 40 * len(frame))
    fig.add_trace(
        go.Scatter(
            x=[float(item) for item in frame["satisfied"]],
            y=list(range(len(frame))),
            mode="markers",
            name="seen to satisfy",
            marker={"size": 11, "color": PALETTE[0]},
            error_x=error_bars(frame, "satisfied"),
            hovertemplate="%{x:.1%}<extra>seen to satisfy</extra>",
        )
    )
    fig.add_trace(
        go.Scatter(
            x=[float(item) for item in frame["kaplan_meier"]],
            y=list(range(len(frame))),
            mode="markers",
            name="if every missing exit had hidden more",
            marker={"size": 11, "color": PALETTE[1], "symbol": "diamond-open"},
            hovertemplate="%{x:.1%}<extra>upper bound</extra>",
        )
    )
    labels = [
        f"{engine}<br>{format_value(n)} visits"
        for engine, n in zip(frame["engine"], frame["visits"], strict=True)
    ]
    name_rows(fig, labels)
    fig.update_xaxes(tickformat=".0%")
    fig.update_layout(margin={"t": 116})
    return fig


def forest(fig: go.Figure, frame: pd.DataFrame, value: str, word: str) -> None:
    """Draw values with their intervals, `lower` to `upper`, at `row`, marked by what is said of them."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    for name, (colour, symbol) in _WORDS.items():
        part = frame[frame[word] == name]
        if part.empty:
            continue
        fig.add_trace(
            go.Scatter(
                x=[float(item) for item in part[value]],
                y=[int(row) for row in part["row"]],
                mode="markers",
                name=name,
                marker={"size": 11, "color": colour, "symbol": symbol},
                error_x=error_bars(part, value),
                hovertemplate="%{x:.2f}<extra>" + name + "</extra>",
            )
        )
    fig.add_trace(
        go.Scatter(
            x=[float(item) for item in frame["upper"]],
            y=[int(row) for row in frame["row"]],
            mode="text",
            text=[f"  {format_value(item, '.2f')}" for item in frame[value]],
            textposition="middle right",
            textfont={"size": 12},
            cliponaxis=False,
            showlegend=False,
            hoverinfo="skip",
        )
    )
    low, high = float(frame["lower"].min()), float(frame["upper"].max())
    fig.update_xaxes(
        type="log",
        tickvals=_TICKS,
        ticktext=[f"{tick:g}" for tick in _TICKS],
        range=[math.log10(min(low, 0.8)) - 0.05, math.log10(max(high, 1.25)) + 0.12],
    )


def scores(frame: pd.DataFrame, name: str, subtitle: str = "", most: int = 24) -> go.Figure:
    """Return pages by their score with 90 % intervals, best on top, from `Score.frame`.

    Pages without enough evidence are left out; of many, the best and the worst are drawn.
    """
    what = {"satisfy": "Satisfied visits", "cite": "Citations", "click": "Clicks"}.get(
        name, f"Satisfied citations ({name})"
    )
    title = f"{what}, observed over expected"
    ranked = frame[frame["enough"]] if len(frame) else frame
    if ranked.empty:
        return empty(title, "not enough evidence for any page")
    if len(ranked) > most:
        subtitle = f"{subtitle}; the best and the worst {most // 2} of {len(ranked)} with enough evidence"
        ranked = ranked.iloc[[*range(most // 2), *range(len(ranked) - most // 2, len(ranked))]]
    ranked = ranked.assign(row=range(len(ranked)))
    fig = figure(title, subtitle, "score, 1 = average page, 90 % interval", height=200 + 26 * len(ranked))
    forest(fig, ranked, "theta", "word")
    name_rows(fig, list(ranked[_label(ranked)]))
    mark_one(fig, "average")
    fig.update_layout(margin={"t": 130})
    return fig


def stages(frame: pd.DataFrame, names: Sequence[str], subtitle: str = "", most: int = 16) -> go.Figure:
    """Return where each page wins and loses: the stages' parts of the log score, and its placement beside them.

    Pages without enough evidence are left out, and those of which too few people came to a stage.
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "Which stage makes the score"
    ranked = frame[frame["enough"] & frame["stages_told"]] if len(frame) else frame
    if ranked.empty:
        return empty(title, "not enough evidence, or too few people at a stage, for any page")
    if len(ranked) > most:
        ranked = ranked.iloc[[*range(most // 2), *range(len(ranked) - most // 2, len(ranked))]]
    labels = [str(item) for item in ranked[_label(ranked)]]
    fig = figure(title, subtitle, "part of the log score, 0 = average", height=210 + 26 * len(ranked))
    for stage in names:
        colour, pattern = _STAGE_LOOK[stage]
        fig.add_trace(
            go.Bar(
                x=[float(item) for item in ranked[f"log_{stage}"]],
                y=labels,
                orientation="h",
                name=stage,
                marker={
                    "color": colour,
                    "pattern": {"shape": pattern, "solidity": 0.25, "fillmode": "overlay"},
                },
                hovertemplate="%{y}: %{x:+.2f}<extra>" + stage + "</extra>",
            )
        )
    if ranked["placement"].notna().any():
        fig.add_trace(
            go.Scatter(
                x=[float(item) for item in ranked["placement"]],
                y=labels,
                mode="markers",
                name="placement (not in the score)",
                marker={"symbol": "line-ns-open", "size": 14, "color": INK, "line": {"width": 3}},
                hovertemplate="%{y}: %{x:+.2f}<extra>placement</extra>",
            )
        )
    fig.update_layout(barmode="relative", margin={"t": 116})
    fig.update_yaxes(
        type="category", categoryorder="array", categoryarray=labels, autorange="reversed", ticks=""
    )
    fig.add_vline(x=0, line={"color": INK, "width": 1})
    return fig
