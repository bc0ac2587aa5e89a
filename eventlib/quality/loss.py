"""What was sent twice and what never came: retries, clashing ids, gaps in the numbers of a device's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL, clustered_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.ledger import Ledger

__all__ = ["Lost", "clashes", "lost", "retries", "sequence_gaps"]

_NO_COUNTER: Final = 0.5
"""Where more numbers are missing than there, they were not counted one by one."""


def retries(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return removed copies by producer and time after the first, where the run stamp counts them; else empty.

    Returns
    -------
    pandas.DataFrame
        `source`, `gap` (a band), `events`.
    """
    counted = run.get("duplicates")
    rows = counted if isinstance(counted, list) else []
    return pd.DataFrame(rows, columns=["source", "gap", "events"])


def clashes(events: pd.DataFrame) -> pd.DataFrame:
    """Return different events that came under one id (S3.4), by producer: `source`, `event_name`, `events`."""
    renamed = events[events["original_event_id"].notna()]
    counts = renamed.groupby(["source", "event_name"]).size().rename("events").reset_index()
    return counts.sort_values("events", ascending=False, ignore_index=True)


def _stretches(events: pd.DataFrame) -> pd.DataFrame:
    """Return one row per device stream and unbroken count: how many numbers there are and how many it spans."""
    numbered = events[events["sequence"].notna() & events["anonymous_id"].notna()]
    stream = numbered.groupby(["source", "anonymous_id"], sort=False).ngroup().to_numpy()
    number = numbered["sequence"].to_numpy(dtype=np.int64)
    order = np.argsort(stream, kind="stable")  # the dataset is in total order
    stream, number = stream[order], number[order]
    # a restarted count falls back to its beginning; a swap of neighbours does not
    restarts = (
        np.r_[True, (stream[1:] != stream[:-1]) | (2 * number[1:] <= number[:-1])] if len(order) else []
    )
    frame = pd.DataFrame(
        {
            "source": numbered["source"].astype("object").to_numpy()[order],
            "stream": stream,
            "stretch": np.cumsum(restarts),
            "number": number,
        }
    )
    grouped = frame.groupby("stretch")
    return pd.DataFrame(
        {
            "source": grouped["source"].first(),
            "stream": grouped["stream"].first(),
            "seen": grouped["number"].nunique(),
            "span": grouped["number"].max() - grouped["number"].min() + 1,
        }
    )


def sequence_gaps(events: pd.DataFrame) -> pd.DataFrame:
    """Return how many numbers are missing between the first and the last of each device's events.

    A missing number is an event that was lost on its way, or that this run rejected, withheld or set aside
    as late; what was lost before the first number or after the last does not show.

    Returns
    -------
    pandas.DataFrame
        `source`, `devices`, `events` (with a number), `missing`, `share` (of the numbers), `lower`, `upper` (90 %,
        devices as clusters), `is_counted` (over half of the numbers are there); no row under 10 devices.
    """
    rows = []
    for source, part in _stretches(events).groupby("source"):
        by_device = part.groupby("stream")[["seen", "span"]].sum().to_numpy(dtype=np.float64)
        devices, (seen, span) = len(by_device), by_device.sum(axis=0)
        if devices < SMALL_CELL:
            continue
        share = 1 - seen / span
        residual = by_device[:, 1] - by_device[:, 0] - share * by_device[:, 1]
        variance = devices / (devices - 1) * float((residual**2).sum()) / span**2
        lower, upper = clustered_share(np.array([share]), np.array([variance]), devices)
        row = (source, devices, int(seen), int(span - seen), share, lower[0], upper[0], share <= _NO_COUNTER)
        rows.append(row)
    columns = ["source", "devices", "events", "missing", "share", "lower", "upper", "is_counted"]
    return pd.DataFrame(rows, columns=columns)


class Lost(NamedTuple):
    """Shares of the events' numbers: lost at least, missing beyond what was refused, missing at all."""

    least: float
    excess: float
    missing: float


def lost(gaps: pd.DataFrame, ledger: Ledger) -> Lost | None:
    """Return how much of what is missing was lost before the log; None where no producer counts its events.

    What is missing was lost, rejected, set aside as late, or withheld. Rejected and late lines are refused one by
    one, so that numbered events have their share of them; `excess` is what is missing beyond that. Consent
    withholds devices whole, which leaves no gap, or part of what a device sent, which does: `least` takes every
    withheld event as a missing number.
    """
    counted = gaps[gaps["is_counted"].astype(bool)]
    seen, missing = int(counted["events"].sum()), int(counted["missing"].sum())
    if not seen:
        return None
    refused = sum(ledger.rejected.values()) + sum(ledger.removed("lateness").values())
    withheld = sum(ledger.removed("consent").values())
    excess = missing - refused * seen / max(ledger.rows_out, seen)
    numbers = seen + missing
    return Lost(max(missing - refused - withheld, 0) / numbers, max(excess, 0.0) / numbers, missing / numbers)
