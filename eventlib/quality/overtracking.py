"""Events that add volume and no information: bursts, idle heartbeats, events that no analysis uses (S1.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
import pandas as pd

from eventlib.schema.payload import names_read

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["over_tracking"]

_EVIDENCE: Final = frozenset({"user_login", "user_logout"})
"""Events whose ids are evidence of identity, whatever their name; no code names them."""

_OVER: Final = [
    "event_name",
    "events",
    "events_share",
    "bytes",
    "bytes_share",
    "burst_events",
    "idle_beats",
    "adds_nothing",
    "nothing_share",
    "nothing_bytes",
    "is_used",
]


def _bursts(known: pd.DataFrame, burst_ms: int) -> pd.Series[bool]:
    """Mark rows that repeat the row before of the same device, channel, event and properties."""
    ordered = known.dropna(subset=["device"]).sort_values(
        ["device", "event_name", "channel", "event_time"], kind="stable"
    )
    said = ordered[["device", "event_name", "channel", "properties"]]
    same = (said == said.shift()).all(axis=1).fillna(value=False).astype(bool)
    gap = (ordered["event_time"].diff() <= pd.Timedelta(milliseconds=burst_ms)).fillna(value=False)
    return (same & gap.astype(bool)).reindex(known.index, fill_value=False)


def _idle(known: pd.DataFrame, heartbeats: Collection[str]) -> pd.Series[bool]:
    """Mark heartbeats that report no more time and no more depth than one before in the same view."""
    beats = known.loc[known["event_name"].isin(list(heartbeats)), "properties"]
    parsed = [orjson.loads(text) for text in beats]
    frame = pd.DataFrame(
        {
            "view": [row.get("page_view_id") for row in parsed],
            "active": [float(row.get("active_ms") or 0) for row in parsed],
            "depth": [float(row.get("max_scroll_pct") or 0) for row in parsed],
        },
        index=beats.index,
    ).dropna(subset=["view"])
    grouped = frame.groupby("view")
    best = pd.DataFrame({name: grouped[name].cummax() for name in ("active", "depth")})
    before = best.groupby(frame["view"]).shift()
    told = (frame["active"] <= before["active"]) & (frame["depth"] <= before["depth"])
    return told.reindex(known.index, fill_value=False)


def over_tracking(
    events: pd.DataFrame, burst_ms: int = 1000, heartbeats: Collection[str] = ("page_engage",)
) -> pd.DataFrame:
    """Return per event how much of its volume adds nothing, most of that first.

    Parameters
    ----------
    events
        A prepared dataset's events.
    burst_ms
        A row that follows one of the same device, channel, event and properties within so many milliseconds is
        part of a burst.
    heartbeats
        Events that report a growing total; an idle one reports no more time and no more depth than an earlier
        one of its page view.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `events`, `events_share`, `bytes` (of the properties), `bytes_share`, `burst_events`,
        `idle_beats`, `adds_nothing` (either), `nothing_share` (of its events), `nothing_bytes`, `is_used` (by an
        analysis of ours).
    """
    device = events["anonymous_id"].fillna(events["user_id"])
    known = events.assign(device=device, properties=events["properties"].fillna("{}"))[
        ["event_name", "channel", "device", "properties", "event_time"]
    ]
    burst, idle = _bursts(known, burst_ms), _idle(known, heartbeats)
    size = known["properties"].str.len().astype("int64")
    marked = known[["event_name"]].assign(
        events=1,
        bytes=size,
        burst_events=burst.astype(int),
        idle_beats=idle.astype(int),
        adds_nothing=(burst | idle).astype(int),
        nothing_bytes=size.where(burst | idle, 0),
    )
    volume = marked.groupby("event_name").sum().astype("int64").reset_index()
    volume["events_share"] = volume["events"] / max(len(events), 1)
    volume["bytes_share"] = volume["bytes"] / max(int(volume["bytes"].sum()), 1)
    volume["nothing_share"] = volume["adds_nothing"] / volume["events"]
    volume["is_used"] = [name in names_read() | _EVIDENCE for name in volume["event_name"]]
    return volume.sort_values(["adds_nothing", "events"], ascending=False, ignore_index=True)[_OVER]
