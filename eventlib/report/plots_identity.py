"""Figures of identity: why two identifiers are one person, and how good the merging is."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from eventlib.report.plots import GREY, INK, PALETTE, SYMBOLS, empty, error_bars, figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["accuracy", "path_figure", "people_range"]

_USED, _REFUSED = PALETTE[0], PALETTE[1]
_SHORT: Final = 18
_WIDE: Final = 30
_ROW: Final = 84


def _wrapped(name: str) -> str:
    return textwrap.fill(name, _WIDE).replace("\n", "<br>")


def _name(node: str) -> str:
    """Return an identifier on two lines, the second short enough for the figure."""
    namespace, _, value = node.partition(":")
    short = value if len(value) <= _SHORT else f"{value[: _SHORT - 1]}…"
    return f"<b>{namespace}</b><br>{short}"


def _told(step: Mapping[str, Any]) -> str:
    """Return what is told of one piece of evidence."""
    rule = "stated by hand" if step["rule"] == "must_link" else str(step["rule"]).replace("_", " ")
    count = (
        ""
        if step["rule"] == "must_link"
        else f" · {step['events']:,} event{'' if step['events'] == 1 else 's'}"
    )
    days = " to ".join(
        dict.fromkeys(
            f"{when:%d %b %Y}" for when in (step["first_seen"], step["last_seen"]) if when is not None
        )
    )
    refused = step["refused_by"]
    against = f"<br><b>✕ refused by {refused}</b>" if refused else ""
    return f"{rule}{count}{'<br>' if days else ''}{days}{against}"


def _people(found: Mapping[str, Any]) -> str:
    one, other = found["persons"]
    if found["same"]:
        return "/".join(sorted({*one} & {*other}))
    return f"{'/'.join(one) or 'nobody'} and {'/'.join(other) or 'nobody'}"


def _proposed(found: Mapping[str, Any]) -> str:
    """Return what a proposed statement would change."""
    proposal = found.get("proposal")
    if proposal is None:
        return ""
    before, after = (len(proposal[name]) for name in ("before", "after"))
    change = f"make {after} people of {before}" if proposal["changes"] else "change nothing"
    return f"<br>a {proposal['kind'].replace('_', '-')} would {change}"


def path_figure(found: Mapping[str, Any]) -> go.Figure:
    """Return the path of evidence between two identifiers, top to bottom, from `el.explain`."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that tables do not need

    path: Sequence[Mapping[str, Any]] = found["path"]
    title = "Why these are one person" if found["same"] else "What keeps these apart"
    if not path:
        same = "they are one identifier" if found["same"] else "no evidence leads from one to the other"
        return empty(title, same)
    under = (
        f"{len(path)} piece{'' if len(path) == 1 else 's'} of evidence · {_people(found)}{_proposed(found)}"
    )
    fig = figure(title, under, height=150 + _ROW * (len(path) + 1))
    names = [str(path[0]["from"]), *(str(step["to"]) for step in path)]
    for place, step in enumerate(path):
        refused = bool(step["refused_by"])
        line = {"color": _REFUSED if refused else _USED, "width": 3, "dash": "dot" if refused else "solid"}
        fig.add_trace(
            go.Scatter(
                x=[0, 0], y=[place, place + 1], mode="lines", line=line, hoverinfo="skip", showlegend=False
            )
        )
        fig.add_annotation(
            x=0, y=place + 0.5, text=_told(step), showarrow=False, xanchor="left", xshift=16, align="left",
            font={"size": 13, "color": _REFUSED if refused else GREY},
        )  # fmt: skip
    fig.add_trace(
        go.Scatter(
            x=[0] * len(names),
            y=list(range(len(names))),
            mode="markers",
            marker={
                "size": 15,
                "color": INK,
                "symbol": [SYMBOLS[1] if name.startswith("user_id:") else SYMBOLS[0] for name in names],
            },
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for place, name in enumerate(names):
        fig.add_annotation(
            x=0, y=place, text=_name(name), showarrow=False, xanchor="right", xshift=-16, align="right"
        )
    fig.update_xaxes(visible=False, range=[-1, 1], fixedrange=True)
    fig.update_yaxes(visible=False, range=[len(names) - 0.6, -0.5], fixedrange=True)
    return fig


def people_range(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return how many people there may be, from `people.people_range`."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "How many people"
    shown = frame.dropna(subset=["people"])
    if shown.empty:
        return empty(title, "under 10 people: not shown")
    fig = figure(title, subtitle, "people or device ids, 90 % interval", height=150 + 60 * len(shown))
    values = [float(item) for item in shown["people"]]
    guess = shown["lower"].notna().tolist()
    fig.add_trace(
        go.Scatter(
            x=values,
            y=[_wrapped(str(name)) for name in shown["counted as"]],
            mode="markers+text",
            marker={
                "size": 12,
                "color": [PALETTE[1] if each else PALETTE[0] for each in guess],
                "symbol": [SYMBOLS[2] if each else SYMBOLS[0] for each in guess],
            },
            text=[f"{value:,.0f}" for value in values],
            textposition="top center",
            error_x=error_bars(
                shown.fillna({"lower": shown["people"], "upper": shown["people"]}), "people", color=INK
            ),
            cliponaxis=False,
            hoverinfo="skip",
            showlegend=False,
        )
    )
    fig.update_xaxes(tickformat=",.0f", range=[0, 1.12 * max(values)])
    fig.update_yaxes(type="category", range=[len(values) - 0.4, -0.8], ticks="")
    return fig


def accuracy(frame: pd.DataFrame) -> go.Figure:
    """Return precision and recall against the truth, from `people.against_truth`."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    items = ", ".join(
        f"{int(part['items'].iloc[0]):,} {name}" for name, part in frame.groupby("on", sort=False)
    )
    title = "Against the truth"
    fig = figure(title, f"n = {items}", "share, with 90 % interval by people", height=180 + 48 * len(frame))
    rows = [_wrapped(f"{row.on}: {row.measure}") for row in frame.itertuples()]
    for index, name in enumerate(("precision", "recall")):
        values = [float(item) for item in frame[name]]
        fig.add_trace(
            go.Scatter(
                x=values,
                y=rows,
                mode="markers+text",
                name=name,
                marker={"size": 11, "color": PALETTE[index], "symbol": SYMBOLS[index]},
                text=[f"{name} {value:.1%}" for value in values],
                textposition="top center" if index == 0 else "bottom center",
                error_x=error_bars(frame, name, f"{name}_lower", f"{name}_upper", color=PALETTE[index]),
                cliponaxis=False,
                hoverinfo="skip",
            )
        )
    fig.update_xaxes(tickformat=".0%")
    fig.update_yaxes(type="category", range=[len(rows) - 0.4, -0.8], ticks="")
    return fig
