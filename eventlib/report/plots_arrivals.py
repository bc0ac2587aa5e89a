"""Figures of what AI answers send: how far the figures by engine could move if referrers are stripped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlib.report.plots import PALETTE, SYMBOLS, empty, error_bars, figure
from eventlib.report.tables import format_value

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["stripping"]


def _label(share: float) -> str:
    if share == 0:
        return "as identified (90 % interval)"
    return "all dark landings added" if share == 1 else f"{100 * share:.0f} % of the dark landings added"


def stripping(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return each engine's share of satisfied visits if dark landings were its own, from `geo.stripping.sensitivity`.

    The first mark has the interval of what was identified; the others have the range from the least to the most satisfied of the
    dark visits.
    """
    import plotly.graph_objects as go  # noqa: PLC0415  # half a second that other pages need not wait for

    title = "Would stripped referrers change which engine's visits satisfy?"
    if frame.empty:
        return empty(title, "no visit from an AI answer, or under 10 people on every engine")
    identified = frame[frame["dark_share"] == 0]
    engines = list(dict.fromkeys(frame["engine"]))
    shares = sorted(set(frame["dark_share"]))
    x = "share of visits that satisfied; where landings are added, from the least to the most satisfied of them"
    fig = figure(title, subtitle, x, height=200 + 84 * len(engines))
    step = 0.7 / max(len(shares) - 1, 1)
    for place, share in enumerate(shares):
        part = frame[frame["dark_share"] == share]
        bounds = ("lower", "upper") if share == 0 else ("least", "most")
        fig.add_trace(
            go.Scatter(
                x=[float(item) for item in part["satisfied"]],
                y=[engines.index(item) + step * (place - (len(shares) - 1) / 2) for item in part["engine"]],
                mode="markers",
                name=_label(float(share)),
                marker={
                    "size": 10,
                    "color": PALETTE[place % len(PALETTE)],
                    "symbol": SYMBOLS[place % len(SYMBOLS)],
                },
                error_x=error_bars(part, "satisfied", *bounds),
                customdata=[format_value(float(item), ".0f") for item in part["visits"]],
                hovertemplate="%{x:.1%} of %{customdata} visits<extra>%{fullData.name}</extra>",
            )
        )
    counts = dict(zip(identified["engine"], identified["visits"], strict=True))
    labels = [
        f"{engine}<br>{format_value(counts[engine], '.0f')} visits" if engine in counts else str(engine)
        for engine in engines
    ]
    fig.update_yaxes(
        tickvals=list(range(len(engines))), ticktext=labels, range=[len(engines) - 0.4, -0.6], ticks=""
    )
    fig.update_xaxes(tickformat=".0%")
    fig.update_layout(margin={"t": 150})
    return fig
