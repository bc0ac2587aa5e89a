"""What people said and took back, by week, and how long what they granted still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from eventlib.privacy.bias import check_purpose
from eventlib.privacy.stamped import CHANGES, counted, pooled_last, terms
from eventlib.small_cells import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["STATES", "changes_by_week", "changes_total", "grants", "notices", "running_out", "said_by"]  # fmt: skip

STATES: Final = ("holds", "granted, opt-out state", "runs out in 90 days", "runs out in 30 days", "run out", "refused", OTHER)  # fmt: skip
_SAID: Final = ("grants", "refuses something", "opt-out signal", "damaged signal", "names no purpose", "nothing", OTHER)  # fmt: skip


def changes_by_week(run: Mapping[str, Any], purpose: str) -> pd.DataFrame:
    """Return a row per week: `week` and how many granted, refused, withdrew and granted again; missing where under ten people.

    A subject's own statements are compared with what it said before; `earlier` is before the log's first week.

    Raises
    ------
    BadCallError
        There is no such purpose.
    """
    check_purpose(purpose)
    found = counted(run, "changes")
    found = found[found["purpose"] == purpose]
    wide = found.pivot_table(index="week", columns="change", values="changes", aggfunc="sum")
    wide = wide.reindex(columns=list(CHANGES)).astype("Int64")
    order = sorted(wide.index, key=lambda week: (week == OTHER, week != "earlier", week))
    frame = wide.loc[order].rename_axis("week").reset_index()
    frame.columns.name = None
    return frame


def changes_total(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return by purpose how many of each change there were over all weeks; missing where under ten people."""
    found = counted(run, "changes")
    wide = found.pivot_table(index="purpose", columns="change", values="changes", aggfunc="sum", sort=False)
    frame = wide.reindex(columns=list(CHANGES)).astype("Int64").rename_axis("purpose").reset_index()
    frame.columns.name = None
    return frame


def said_by(run: Mapping[str, Any], by: str) -> pd.DataFrame:
    """Return what events about people carry: `segment`, `events`, and the share of each kind; missing where none, or pooled."""
    found = counted(run, "said")
    found = found[found["by"] == by]
    wide = found.pivot_table(index="segment", columns="said", values="events", aggfunc="sum")
    wide = wide[[name for name in _SAID if name in wide]]
    every = wide.sum(axis=1)
    frame = wide.div(every, axis=0).astype(float)
    frame.insert(0, "events", every.astype(int))
    frame = frame.rename_axis("segment").reset_index()
    frame.columns.name = None
    size = frame["segment"] if by == "week" else -frame["events"]
    order = frame.assign(last=pooled_last(frame["segment"]), size=size).sort_values(["last", "size"], kind="stable")  # fmt: skip
    return order.drop(columns=["last", "size"]).reset_index(drop=True)


def grants(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return subjects by what they themselves last said: `purpose`, then a column per state, missing where under ten."""
    found = counted(run, "grants")
    wide = found.pivot_table(index="purpose", columns="state", values="subjects", aggfunc="sum", sort=False)
    wide = wide[[name for name in STATES if name in wide]]
    frame = wide.astype("Int64").rename_axis("purpose").reset_index()
    frame.columns.name = None
    return frame


def running_out(run: Mapping[str, Any], purpose: str, states: Sequence[str]) -> tuple[float, str] | None:
    """Return which share of those who have granted a purpose is in some states, and that in words; None if nobody has."""
    found = counted(run, "grants")
    found = found[found["purpose"] == purpose]
    pooled = int(found.loc[found["state"] == OTHER, "subjects"].sum())
    every = int(found.loc[~found["state"].isin(["refused", OTHER]), "subjects"].sum())
    if not every:
        return None
    ended = int(found.loc[found["state"].isin(states), "subjects"].sum())
    hidden = pooled and not set(states) <= set(found["state"])
    return ended / (
        every + pooled
    ), f"{'at least ' if hidden else ''}{ended:,} of {every + pooled:,} people's grants for {purpose}"


def notices(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return `notice` (its version), `events`, `share`, `state` (in force, superseded, none named), most events first."""
    found = counted(run, "notices").sort_values("events", ascending=False, ignore_index=True, kind="stable")
    superseded = set(terms(run).get("superseded_notices") or ())
    states = [
        "none named"
        if notice in ("none named", OTHER)
        else ("superseded" if notice in superseded else "in force")
        for notice in found["notice"]
    ]
    return found.assign(share=found["events"] / max(int(found["events"].sum()), 1), state=states)
