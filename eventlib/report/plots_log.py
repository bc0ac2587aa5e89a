"""Figures of notebooks 00 and 01: what came in, what was removed, how it was measured."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from eventlib.report.plots import HATCH, PALETTE, bars, empty, figure, interval_bars, lines

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from eventlib.ledger import Ledger

__all__ = [
    "clocks",
    "delays",
    "hidden",
    "late",
    "payload",
    "rejected_along",
    "volume",
    "waterfall",
]


def waterfall(ledger: Ledger, subtitle: str = "") -> go.Figure:
    """Return the accounting as a waterfall: rows in, what each stage removed, rows kept."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that tables do not need

    title = "From input lines to kept events"
    if not ledger.rows_in:
        return empty(title, "the log is empty")
    steps = {"no record in it": ledger.skipped, "rejected": sum(ledger.rejected.values())}
    steps |= {
        f"removed by {entry.stage}": sum(entry.removed.values()) for entry in ledger if entry.stage != "read"
    }
    removed = [(name, -count) for name, count in steps.items() if count]
    names = ["lines in", *(name for name, _ in removed), "events kept"]
    values = [ledger.rows_in, *(count for _, count in removed), ledger.rows_out]
    title = f"{ledger.rows_out:,} of {ledger.rows_in:,} lines became events"
    fig = figure(title, subtitle, x="rows", height=170 + 34 * len(names))
    fig.add_trace(
        go.Waterfall(
            orientation="h",
            y=names,
            x=values,
            measure=["absolute", *["relative"] * len(removed), "absolute"],
            text=[f"{value:,}" for value in values],
            textposition="auto",
            insidetextanchor="middle",
            cliponaxis=False,
            decreasing={"marker": {"color": PALETTE[1]}},
            increasing={"marker": {"color": PALETTE[0]}},
            totals={"marker": {"color": PALETTE[0]}},
            connector={"line": {"color": "#8a8a8a", "width": 1}},
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    fig.update_yaxes(type="category", autorange="reversed", ticks="")
    fig.update_xaxes(rangemode="tozero", nticks=6)
    fig.update_layout(margin={"r": 70})
    return fig


def rejected_along(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return which share of the lines was rejected along the log, from `quality.along_the_log`."""
    title = "Where in the log lines were rejected"
    if frame.empty:
        return empty(title, "no line was rejected, or the log is too short to divide")
    highest = frame.groupby("part")["share"].sum().max()
    fig = lines(
        frame,
        "part",
        "share",
        "kind",
        title=f"Rejected: at most {highest:.1%} of a stretch".replace("%", " %"),
        subtitle=subtitle,
        x_title="place in the log, in lines from first to last",
        y_title="share of the lines there",
    )
    fig.update_layout(margin={"t": 125})
    fig.update_xaxes(tickformat=".0%", range=[0, 1])
    fig.update_yaxes(tickformat=".1%")
    return fig


def volume(frame: pd.DataFrame, by: str = "source", subtitle: str = "") -> go.Figure:
    """Return events per day, from `quality.daily_volume`."""
    fig = lines(
        frame,
        "day",
        "events",
        by,
        title=f"Events per day by {by}",
        subtitle=subtitle,
        x_title="day (UTC)",
        y_title="events",
    )
    return _by_day(fig, frame)


def _by_day(fig: go.Figure, frame: pd.DataFrame) -> go.Figure:
    """Write days, not hours, under an axis of few days."""
    days = frame["day"].nunique()
    if 0 < days <= 10:
        day, half = dt.timedelta(days=1), dt.timedelta(hours=12)
        span = [frame["day"].min() - half, frame["day"].max() + half]
        fig.update_xaxes(tickformat="%-d %b %Y", dtick=day.total_seconds() * 1000, range=span)
    return fig


def delays(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return how long events waited, from `quality.delays`."""
    import plotly.graph_objects as go  # noqa: PLC0415 - as above

    title = "How long events waited on the device and in the pipeline"
    if not frame["events"].sum():
        return empty(title, "no event carries the times that this needs")
    late = frame.set_index("band").groupby("delay")["share"].apply(lambda part: part.iloc[-2:].sum()).max()
    title = "No event waited over an hour"
    if late:
        title = f"Up to {late:.1%} of events waited over an hour".replace("%", " %")
    fig = figure(title, subtitle, "waited", "share of events", height=420)
    for index, (name, part) in enumerate(frame.groupby("delay", sort=False)):
        fig.add_trace(
            go.Bar(
                x=list(part["band"]),
                y=[float(item) for item in part["share"]],
                name=str(name),
                marker={
                    "color": PALETTE[index],
                    "pattern": {"shape": ("", "/")[index % 2], **HATCH},
                },
                text=[f"{item:.1%}" if item >= 0.005 else "" for item in part["share"]],
                textposition="outside",
                cliponaxis=False,
            )
        )
    fig.update_xaxes(type="category")
    fig.update_yaxes(tickformat=".0%")
    fig.update_layout(barmode="group", margin={"t": 110})
    return fig


def late(frame: pd.DataFrame, subtitle: str = "") -> go.Figure:
    """Return the share of late events by day, from `quality.late_by_day`."""
    if frame.empty:
        return empty("Late events by day", "no event was kept")
    worst = frame.sort_values("share", kind="stable").iloc[-1]
    day = f"{worst['day'].day} {worst['day']:%b}"
    said = f"Worst day: {float(worst['share']):.1%} late ({day})"
    fig = lines(
        frame.assign(kind="over an hour late"),
        "day",
        "share",
        "kind",
        title=said.replace("%", " %") if worst["late"] else "No event came over an hour late",
        subtitle=subtitle,
        x_title="day of the event (UTC)",
        y_title="share of its events",
    )
    fig.update_yaxes(tickformat=".1%")
    fig.update_layout(showlegend=False, margin={"t": 84})
    return _by_day(fig, frame)


def clocks(frame: pd.DataFrame) -> go.Figure:
    """Return devices by how far their clock was off, from `quality.offset_bands`."""
    title = "How far device clocks were off"
    if frame.empty:
        return empty(title, "under 10 devices carry the times that this needs")
    right = float(frame.loc[frame["offset"].isin(["under 1 s", "1 to 60 s"]), "share"].sum())
    return bars(
        frame,
        "offset",
        "devices",
        title=f"{right:.0%} of clocks right within a minute".replace("%", " %"),
        subtitle=f"n = {int(frame['devices'].sum()):,} devices, by their largest offset",
        x="devices",
    )


def hidden(frame: pd.DataFrame) -> go.Figure:
    """Return shares that the client hides with their intervals, from `quality.channel_coverage`."""
    if frame.empty:
        return empty(
            "What the client did not report", "under 10 people did what both client and server report"
        )
    most = frame.sort_values("hidden_share", kind="stable").iloc[-1]
    said = f"{'Up to ' if len(frame) > 1 else ''}{most['hidden_share']:.1%}".replace("%", " %")
    title = f"{said} hidden from the client"
    seen = int((frame["matched"] + frame["server_only"]).sum())
    return interval_bars(
        frame,
        "event_name",
        "hidden_share",
        "lower",
        "upper",
        title=title,
        subtitle=f"n = {seen:,} actions that the server saw",
        x="only the server saw, 90 % interval",
        percent=True,
    )


def payload(frame: pd.DataFrame, stop: pd.DataFrame, rows: int = 20) -> go.Figure:
    """Return the heaviest properties, hatched where they could be stopped (`schema.payload`)."""
    names = frame["event_name"].astype(str) + "." + frame["property"].astype(str)
    flagged = set(stop["event_name"].astype(str) + "." + stop["property"].astype(str))
    heavy = frame.assign(label=names, could_stop=[name in flagged for name in names]).head(rows)
    total, shown = int(frame["bytes"].sum()), int(heavy["bytes"].sum())
    fig = bars(
        heavy,
        "label",
        "bytes",
        title=f"{len(heavy)} properties carry {shown / max(total, 1):.0%} of the payload".replace("%", " %"),
        subtitle=f"of {total / 1e6:,.1f} MB; hatched: could be stopped",
        x="bytes, as JSON",
        form="bytes",
        flagged="could_stop",
    )
    fig.update_xaxes(nticks=4)
    return fig
