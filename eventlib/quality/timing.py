"""How long events waited and how far clocks were off (S3.1, S3.2)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from eventlib.cells import hide_small_cells

__all__ = ["clock_offsets", "clock_summary", "delay_percentiles", "delays", "late_by_day", "offset_bands"]

OFF_S: Final = 60.0
"""A clock is off, or has jumped, from so many seconds on (S3.1)."""

_DELAY_EDGES: Final = (-np.inf, 0.1, 1, 10, 60, 600, 3600, 86400, np.inf)
_DELAY_LABELS: Final = (
    "under 0.1 s",
    "0.1 to 1 s",
    "1 to 10 s",
    "10 to 60 s",
    "1 to 10 min",
    "10 to 60 min",
    "1 to 24 h",
    "over 1 day",
)


def _waits(events: pd.DataFrame) -> pd.DataFrame:
    """Return `device` and `pipeline` delays in seconds, NaN where a time is missing."""

    def seconds(later: str, earlier: str) -> pd.Series[float]:
        return (events[later] - events[earlier]).dt.total_seconds().astype(float)

    pipeline = seconds("received_at", "sent_at") - _usual_offset(events)
    # a clock that went back since is no delay
    waits = {"device": seconds("sent_at", "occurred_at"), "pipeline": pipeline.where(pipeline > -OFF_S)}
    return pd.DataFrame(waits, index=events.index)


def _usual_offset(events: pd.DataFrame) -> pd.Series[float]:
    """Return each device's commonest clock offset, in seconds; 0 where it is under a minute."""
    is_device = (events["clock_method"] == "device").fillna(value=False).astype(bool)
    device = events["anonymous_id"].fillna(events["user_id"]).where(is_device)
    pairs = pd.DataFrame(
        {"device": device, "offset": events["clock_offset_ms"].astype(float) / 1000}
    ).dropna()
    counts = pairs.groupby(["device", "offset"]).size().sort_values(kind="stable").reset_index()
    usual = counts.drop_duplicates("device", keep="last").set_index("device")["offset"]
    offset = device.map(usual.where(usual.abs() >= OFF_S, 0.0)).astype(float)
    return offset.fillna(0.0)


def delays(events: pd.DataFrame) -> pd.DataFrame:
    """Return how long events waited on the device and in the pipeline (S3.2).

    Device: sent less occurred. Pipeline: received less sent, less the device's usual clock offset where that is a
    minute or more. A single batch that came hours after it was sent counts as delayed, although its clock may
    have jumped: one batch cannot tell the two apart.

    Returns
    -------
    pandas.DataFrame
        `delay` (device, pipeline), `band`, `events`, `share`.
    """
    frames = []
    for name, seconds in _waits(events).items():
        bands = pd.cut(seconds.dropna(), list(_DELAY_EDGES), labels=list(_DELAY_LABELS))
        counts = bands.value_counts(sort=False).to_numpy()
        share = counts / max(int(counts.sum()), 1)
        part = {"delay": name, "band": list(_DELAY_LABELS), "events": counts, "share": share}
        frames.append(pd.DataFrame(part))
    return pd.concat(frames, ignore_index=True)


def delay_percentiles(events: pd.DataFrame) -> pd.DataFrame:
    """Return the percentiles of both delays by producer, in seconds.

    Returns
    -------
    pandas.DataFrame
        `source`, `channel`, `delay`, `events` (that carry both times), `p50_s`, `p90_s`, `p99_s`, `max_s`.
    """
    waits = _waits(events).assign(source=events["source"], channel=events["channel"].fillna("unknown"))
    rows = []
    for (source, channel), part in waits.groupby(["source", "channel"]):
        for name in ("device", "pipeline"):
            known = part[name].dropna().to_numpy()
            if len(known):
                rows.append((source, channel, name, len(known), *np.quantile(known, [0.5, 0.9, 0.99, 1.0])))
    columns = ["source", "channel", "delay", "events", "p50_s", "p90_s", "p99_s", "max_s"]
    return pd.DataFrame(rows, columns=columns)


def late_by_day(events: pd.DataFrame) -> pd.DataFrame:
    """Return events over an hour late by the UTC day of the event: `day`, `events`, `late`, `share`."""
    day = events["event_time"].dt.floor("D").dt.tz_localize(None)
    late = events["is_late"].fillna(value=False).astype(int)
    frame = late.groupby(day.rename("day")).agg(["size", "sum"]).reset_index()
    frame.columns = pd.Index(["day", "events", "late"])
    return frame.assign(share=frame["late"] / frame["events"])


def clock_offsets(events: pd.DataFrame) -> pd.DataFrame:
    """Return how far device clocks were off, one row per device and stretch of one offset (S3.1).

    Returns
    -------
    pandas.DataFrame
        `device`, `offset_s` (added to the device's time, seconds), `events`.
    """
    corrected = events[events["clock_method"] != "source"]
    device = corrected["anonymous_id"].fillna(corrected["user_id"])
    grouped = (
        corrected.groupby([device.rename("device"), "clock_offset_ms"]).size().rename("events").reset_index()
    )
    grouped["offset_s"] = grouped["clock_offset_ms"].astype(float) / 1000
    return grouped[["device", "offset_s", "events"]]


def offset_bands(offsets: pd.DataFrame) -> pd.DataFrame:
    """Return devices by their largest offset, from `clock_offsets`: `offset` (a band), `devices`, `share`.

    Bands of under 10 devices, and the next smallest with them, are left out (S7.10).
    """
    labels = ["under 1 s", "1 to 60 s", "1 to 60 min", "1 to 24 h", "over 1 day"]
    largest = offsets["offset_s"].abs().groupby(offsets["device"]).max().astype(float)
    bands = pd.cut(largest, [-np.inf, 1, 60, 3600, 86400, np.inf], labels=labels)
    counts = bands.value_counts(sort=False).to_numpy()
    frame = pd.DataFrame({"offset": labels, "devices": counts, "share": counts / max(len(largest), 1)})
    return hide_small_cells(frame[frame["devices"] > 0], "devices")[0]


def clock_summary(offsets: pd.DataFrame) -> dict[str, Any]:
    """Return what `clock_offsets` come to.

    Returns
    -------
    dict
        `devices`, `off` (largest offset a minute or more), `jumped` (stretches a minute or more apart), `events`,
        `corrected` (events of stretches that are off).
    """
    grouped = offsets.groupby("device")["offset_s"]
    widest = grouped.max() - grouped.min()
    is_off = offsets["offset_s"].abs() >= OFF_S
    return {
        "devices": int(offsets["device"].nunique()),
        "off": int(offsets.loc[is_off, "device"].nunique()),
        "jumped": int((widest >= OFF_S).sum()),
        "events": int(offsets["events"].sum()),
        "corrected": int(offsets.loc[is_off, "events"].sum()),
    }
