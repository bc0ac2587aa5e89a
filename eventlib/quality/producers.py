"""One line per producer: a broken release shows as one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.quality.timing import OFF_S

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NOT_KNOWN", "producers_of", "scorecard"]

NOT_KNOWN: Final = "not known"


def _producer(events: pd.DataFrame) -> pd.Series[str]:
    parts = (events[name].fillna("unknown").astype("object") for name in ("source", "channel"))
    source, channel = parts
    return source + " " + channel


def producers_of(events: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return which producers (`source channel`) send each event name.

    Examples
    --------
    >>> rows = [("page_view", "web", "client"), ("order_pay", "web", "client"), ("order_pay", "shop", "server")]
    >>> producers_of(pd.DataFrame(rows, columns=["event_name", "source", "channel"]))
    {'order_pay': ('shop server', 'web client'), 'page_view': ('web client',)}
    """
    pairs = pd.DataFrame(
        {"event_name": events["event_name"], "producer": _producer(events)}
    ).drop_duplicates()
    grouped = pairs.sort_values(["event_name", "producer"]).groupby("event_name")["producer"]
    return {str(name): tuple(part) for name, part in grouped}


def _rejected(quarantine: pd.DataFrame, producers: Mapping[str, tuple[str, ...]]) -> pd.Series[int]:
    alone = {name: senders[0] for name, senders in producers.items() if len(senders) == 1}
    names = [
        alone.get(name, NOT_KNOWN) if isinstance(name, str) else NOT_KNOWN
        for name in quarantine["event_name"]
    ]
    return pd.Series(names, dtype="object").value_counts()


def scorecard(events: pd.DataFrame, quarantine: pd.DataFrame) -> pd.DataFrame:
    """Return how each producer does, most events first.

    A rejected line's producer is told by its event name, where one producer alone sends it; the last row,
    `not known`, counts the others.

    Returns
    -------
    pandas.DataFrame
        `producer` (source and channel), `events`, `events_share`, `rejected`, `rejected_share` (of kept and rejected),
        `late_share`, `corrected_share` (clock off by a minute or more), `no_id_share` (neither device nor user),
        `no_sequence_share`, `clashing_ids` (different events under one id), `last_day` (UTC day of the latest event).
    """
    marked = pd.DataFrame(
        {
            "producer": _producer(events),
            "late_share": events["is_late"].fillna(value=False).astype(float),
            "corrected_share": (events["clock_offset_ms"].astype(float).abs() >= 1000 * OFF_S).astype(float),
            "no_id_share": (events["anonymous_id"].isna() & events["user_id"].isna()).astype(float),
            "no_sequence_share": events["sequence"].isna().astype(float),
            "clashing_ids": events["original_event_id"].notna().astype(int),
            "last": events["event_time"],
        }
    )
    shares = ["late_share", "corrected_share", "no_id_share", "no_sequence_share"]
    grouped = marked.groupby("producer")
    frame = grouped[shares].mean().assign(events=grouped.size(), clashing_ids=grouped["clashing_ids"].sum())
    frame["last_day"] = grouped["last"].max().dt.floor("D")
    rejected = _rejected(quarantine, producers_of(events))
    frame = frame.reindex(frame.index.union(rejected.index)).rename_axis("producer")
    frame["events"] = frame["events"].fillna(0).astype("int64")
    frame["clashing_ids"] = frame["clashing_ids"].fillna(0).astype("int64")
    frame["rejected"] = rejected.reindex(frame.index).fillna(0).astype("int64")
    frame["events_share"] = frame["events"] / max(len(events), 1)
    told = frame["rejected"] / (frame["events"] + frame["rejected"])
    frame["rejected_share"] = told.where(frame.index != NOT_KNOWN)
    columns = ["events", "events_share", "rejected", "rejected_share", *shares, "clashing_ids", "last_day"]
    return frame[columns].sort_values("events", ascending=False, kind="stable").reset_index()
