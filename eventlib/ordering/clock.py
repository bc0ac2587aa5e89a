"""Corrected times, by the policy that is chosen (S3.1, S3.3)."""

from __future__ import annotations

from typing import Final

import narwhals as nw

from eventlib.engine import Engine, Frame
from eventlib.errors import BadCallError
from eventlib.ordering.stretches import STREAM, number_stretches
from eventlib.stage import require
from eventlib.timing import CLOCK_METHODS, CLOCKS
from eventlib.units import HOUR, MINUTE

__all__ = ["CLOCK_COLUMNS", "correct_clock"]

CLOCK_COLUMNS: Final = ("event_time", "clock_offset", "stretch", "clock_method")

_NEEDED: Final = (
    "row",
    "device",
    "source_key",
    "channel_key",
    "occurred",
    "sent",
    "received",
    "true_time",
    "sequence",
    "event_key",
    "fingerprint_key",
    "copy_key",
)
_AHEAD: Final = 23 * HOUR
_DEAD_BAND: Final = MINUTE


def correct_clock(engine: Engine, frame: Frame, policy: str = "device") -> Frame:
    """Add the corrected time of each event.

    `device`: a device's offset is the smallest `received - sent` over a stretch of its events, and `event_time` is
    `occurred + offset`: one offset for a whole stretch, since an offset per batch would reorder a device's own
    events. Along a stretch whose `sequence` rises with `occurred`, to within a second, the running maximum makes it
    monotone. A stretch ends where the clock was set (`received - sent` moves by over 60 s, and not because the pipeline
    was late) or where `sequence` starts anew. Events without a device or a `sent` time keep their own time.

    The trackers' policies give each event the time that the tracker's own pipeline would give it, whatever its
    neighbours are; stretches then serve the order of equal times alone:

    - `snowplow`: `true_time` where there is one; else `received - (sent - occurred)` if `occurred < sent`; else `received`.
    - `segment`: `received - (sent - occurred)`, even if that is negative; without `sent`, `occurred`.
    - `posthog`: the same, but `received` where that is over 23 h ahead of `received`.
    - `amplitude`: `occurred + (received - sent)` where the two are 60 s or more apart; else `occurred`.

    Parameters
    ----------
    engine
        Where `frame` lives.
    frame
        Int64 columns `row, device, source_key, channel_key, sequence, event_key, fingerprint_key, copy_key`, and
        `occurred, sent, received, true_time` in microseconds; `sequence` is `NO_SEQUENCE` where there is none.
    policy
        One of `eventlib.timing.CLOCKS`.

    Returns
    -------
    Frame
        The frame with `event_time, clock_offset` (microseconds), `stretch`, `clock_method` (index in
        `eventlib.timing.CLOCK_METHODS`), all Int64.

    Raises
    ------
    BadCallError
        If there is no such policy, or a column is missing.
    """
    require("correct_clock", frame, _NEEDED)
    if policy not in CLOCKS:
        raise BadCallError.unknown("clock policy", policy, CLOCKS)
    stretched = _stretched(
        engine, frame
    )  # lazy: running its two small joins twice is cheaper than holding it
    timed = _by_device(engine, stretched) if policy == "device" else _by_tracker(stretched, policy)
    return timed.select([*frame.collect_schema().names(), *CLOCK_COLUMNS])


def _stretched(engine: Engine, frame: Frame) -> Frame:
    """Add `timed, left, delay, stretch, lift`; of events without a device nothing is told by their neighbours."""
    unsent = nw.col("sent").is_null()
    ready = frame.with_columns(
        timed=nw.when(unsent | nw.col("device").is_null())
        .then(nw.lit(0, nw.Int64))
        .otherwise(nw.lit(1, nw.Int64)),
        left=nw.when(unsent).then(nw.col("received")).otherwise(nw.col("sent")),
    ).with_columns(delay=nw.col("received") - nw.col("left"))
    return number_stretches(engine, ready)


def _by_device(engine: Engine, stretched: Frame) -> Frame:
    keys = [*STREAM, "stretch"]
    timed = stretched.filter(nw.col("timed") == 1)
    # held, so that an engine knows which side of the join is small
    smallest = engine.checkpoint(timed.group_by(keys).agg(nw.col("delay").min().alias("clock_offset")))
    placed = stretched.join(smallest, on=keys, how="left").with_columns(
        clock_offset=nw.col("clock_offset").fill_null(0).cast(nw.Int64)
    )
    return placed.with_columns(
        event_time=nw.col("occurred") + nw.col("clock_offset") + nw.col("lift"),
        clock_method=nw.when(nw.col("timed") == 1)
        .then(nw.lit(CLOCK_METHODS.index("device"), nw.Int64))
        .otherwise(nw.lit(CLOCK_METHODS.index("source"), nw.Int64)),
    )


def _by_tracker(stretched: Frame, policy: str) -> Frame:
    occurred, sent, received = nw.col("occurred"), nw.col("sent"), nw.col("received")
    shifted = received - (sent - occurred)
    if policy == "snowplow":
        derived = nw.when(occurred < sent).then(shifted).otherwise(received)
        time = nw.when(nw.col("true_time").is_null()).then(derived).otherwise(nw.col("true_time"))
        own = nw.lit(0, nw.Int64)
    elif policy == "amplitude":
        stands = sent.is_null() | ((received - sent).abs() < _DEAD_BAND)
        time = nw.when(stands).then(occurred).otherwise(shifted)
        own = nw.when(stands).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64))
    else:
        time = nw.when(sent.is_null()).then(occurred).otherwise(shifted)
        own = nw.when(sent.is_null()).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64))
    timed = stretched.with_columns(event_time=time, own=own)
    if policy == "posthog":
        early = nw.col("event_time") - received > _AHEAD
        timed = timed.with_columns(
            event_time=nw.when(early).then(received).otherwise(nw.col("event_time")),
            own=nw.when(early).then(nw.lit(0, nw.Int64)).otherwise(nw.col("own")),
        )
    return timed.with_columns(
        clock_offset=nw.col("event_time") - occurred,
        clock_method=nw.when(nw.col("own") == 1)
        .then(nw.lit(CLOCK_METHODS.index("source"), nw.Int64))
        .otherwise(nw.lit(CLOCK_METHODS.index(policy), nw.Int64)),
    )
