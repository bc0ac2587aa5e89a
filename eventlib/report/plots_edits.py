"""Figures of notebook 05: edits among pages that nobody edited, and kinds of edits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from eventlib.report.plots import GREY, empty, figure
from eventlib.report.plots_geo import forest, mark_one, name_rows

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["edits", "kinds", "most_telling"]

_WHICH: Final = ["edit_id", "engine", "observation", "outcome"]  # one comparison
_OUTCOMES: Final = {"cite": "citations", "click": "clicks", "satisfy": "satisfied visits"}
_FARTHEST: Final = 4.0  # times; placebos beyond it are drawn at it


def most_telling(frame: pd.DataFrame, most: int = 24) -> pd.DataFrame:
    """Return the judged comparisons to draw: what was found first, then the smallest p; the largest change on top."""
    judged = frame[frame["p"].notna()] if len(frame) else frame
    if not len(judged):
        return judged
    told = judged["state"].isin(["better", "worse"])
    order = judged.assign(told=~told).sort_values(["told", "p"], kind="stable").head(most)
    return (
        order.drop(columns="told")
        .sort_values("change", ascending=False, kind="stable")
        .reset_index(drop=True)
    )


def _named(judged: pd.DataFrame, what: pd.Series) -> list[str]:
    """Name rows by what, the outcome, and the engine where there are several."""
    seen = judged["engine"] + judged["observation"].map({"owned": "", "probe": " probes"}).fillna(" reports")
    outcome = judged["outcome"].map(_OUTCOMES).fillna(judged["outcome"])
    where = (", " + seen) if len(set(seen)) > 1 else ""
    labels: list[str] = (what + "<br>" + outcome + where).tolist()
    return labels


def edits(frame: pd.DataFrame, statistics: pd.DataFrame, subtitle: str = "", most: int = 24) -> go.Figure:
    """Return the change of each judged edit with its interval, among what unedited pages did over the same dates.

    Parameters
    ----------
    frame, statistics
        As `experiments.judge_edits` returns them.
    most
        Of many, so many are drawn (`most_telling`).
    """
    import plotly.graph_objects as go  # noqa: PLC0415 - loaded when drawn

    title = "What the edits changed, among pages that nobody edited"
    judged = most_telling(frame, most)
    if judged.empty:
        return empty(title, "no edit could be judged yet; the table says why")
    judged = judged.assign(row=range(len(judged)))
    x = "observed over expected, after as a multiple of before, 90 % interval"
    fig = figure(title, subtitle, x, height=210 + 42 * len(judged))
    widest = [*judged["lower"], *judged["upper"], 0.8, 1.25]
    for row, edit in enumerate(judged.to_dict("records")):
        cloud = _cloud(edit, statistics)
        widest += cloud
        fig.add_trace(
            go.Scatter(
                x=cloud, y=[row] * len(cloud), mode="markers",
                name="unedited pages, as uncertain as the edit", legendgroup="placebo", showlegend=row == 0, hoverinfo="skip",
                marker={"symbol": "line-ns-open", "size": 12, "color": GREY, "opacity": 0.45},
            )
        )  # fmt: skip
    forest(fig, judged, "change", "state")
    kinds_of = judged["change_type"].str.replace("_", " ")
    name_rows(fig, _named(judged, judged["content_id"] + ": " + kinds_of))
    mark_one(fig, "no change")
    fig.update_xaxes(range=[math.log10(min(widest)) - 0.03, math.log10(max(widest)) + 0.12])
    fig.update_layout(margin={"t": 130})
    return fig


def _cloud(edit: Mapping[Hashable, Any], statistics: pd.DataFrame) -> list[float]:
    """Return what the edit's placebos would have changed with its error, as multiples."""
    same = (statistics[_WHICH] == [edit[name] for name in _WHICH]).all(axis=1)
    bound = math.log(_FARTHEST)
    logs = [float(item) * float(edit["error"]) for item in statistics.loc[same, "statistic"]]
    return [math.exp(min(max(item, -bound), bound)) for item in logs]


def kinds(frame: pd.DataFrame, subtitle: str = "", most: int = 24) -> go.Figure:
    """Return the pooled change of each kind of edit with its interval, from `pooling.pool_by_type`."""
    title = "What kinds of edits changed"
    judged = most_telling(frame, most)
    if judged.empty:
        return empty(title, "no kind of edit has enough judged edits yet; the table says why")
    judged = judged.assign(row=range(len(judged)))
    x = "observed over expected, after as a multiple of before, mean over edits, 90 % interval"
    fig = figure(title, subtitle, x, height=210 + 42 * len(judged))
    forest(fig, judged, "change", "state")
    what = judged["change_type"].str.replace("_", " ") + ", " + judged["pages"].astype(str) + " edits"
    name_rows(fig, _named(judged, what))
    mark_one(fig, "no change")
    fig.update_layout(margin={"t": 130})
    return fig
