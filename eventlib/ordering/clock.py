"""Corrected times by the policy `device` (S3.1, S3.3)."""

from __future__ import annotations

from typing import Final

import narwhals as nw

from eventlib.engine import Engine, Frame
from eventlib.stage import MINUTE, NO_SEQUENCE, SECOND, require

__all__ = ["CLOCK_COLUMNS", "correct_clock"]

CLOCK_COLUMNS: Final = ("event_time", "clock_offset", "stretch", "clock_corrected")

_NEEDED: Final = (
    "device",
    "source_key",
    "channel_key",
    "occurred",
    "sent",
    "received",
    "sequence",
    "event_key",
    "fingerprint_key",
    "copy_key",
)
_STREAM: Final = ("device", "source_key", "channel_key")
_JUMP: Final = MINUTE
_JITTER: Final = SECOND


def correct_clock(engine: Engine, frame: Frame) -> Frame:
    """Add the corrected time of each event.

    A device's offset is the smallest `received - sent` over a stretch of its events, and `event_time` is
    `occurred + offset`: one offset for a whole stretch, since an offset per batch would reorder a device's own
    events. A new stretch begins where `received - sent` jumps by over 60 s (the clock was set), or where
    `sequence` falls although the device's clock moved on by over a second (a reinstall). Server and client events
    of one device have clocks of their own. Events without a device or a `sent` time keep their own time.

    Parameters
    ----------
    engine
        Where `frame` lives.
    frame
        Int64 columns `device, source_key, channel_key, sequence, event_key, copy_key`, and `occurred, sent, received`
        in microseconds; `sequence` is `NO_SEQUENCE` where there is none.

    Returns
    -------
    Frame
        The frame with `event_time, clock_offset` (microseconds), `stretch` (Int64), `clock_corrected` (0 or 1).
    """
    require("correct_clock", frame, _NEEDED)
    known = ~nw.col("device").is_null() & ~nw.col("sent").is_null()
    timed, untimed = frame.filter(known), frame.filter(~known)
    stretched = engine.checkpoint(_restarts(_jumps(timed)))
    smallest = stretched.group_by(*_STREAM, "stretch").agg(nw.col("delay").min().alias("clock_offset"))
    keys = [*_STREAM, "stretch"]
    corrected = stretched.join(smallest, on=keys, how="left").with_columns(
        event_time=nw.col("occurred") + nw.col("clock_offset"),
        clock_corrected=nw.lit(1, nw.Int64),
    )
    kept = untimed.with_columns(
        event_time=nw.col("occurred"),
        clock_offset=nw.lit(0, nw.Int64),
        stretch=nw.lit(0, nw.Int64),
        clock_corrected=nw.lit(0, nw.Int64),
    )
    columns = [*frame.collect_schema().names(), *CLOCK_COLUMNS]
    return nw.concat([corrected.select(columns), kept.select(columns)])


def _jumps(frame: Frame) -> Frame:
    """Number the stretches between clock jumps, in the order of arrival."""
    arrival = ["received", "sent", "occurred", "event_key", "fingerprint_key", "copy_key"]
    delayed = frame.with_columns(delay=nw.col("received") - nw.col("sent"))
    before = delayed.with_columns(delay_before=nw.col("delay").shift(1).over(*_STREAM, order_by=arrival))
    jumped = before.with_columns(
        jump=nw.when((nw.col("delay") - nw.col("delay_before")).abs() > _JUMP)
        .then(nw.lit(1, nw.Int64))
        .otherwise(nw.lit(0, nw.Int64))
    )
    return jumped.with_columns(clock=nw.col("jump").cum_sum().over(*_STREAM, order_by=arrival).cast(nw.Int64))


def _restarts(frame: Frame) -> Frame:
    """Split the stretches further where the sequence starts anew, in the order of the device's own clock."""
    clock = [*_STREAM, "clock"]
    own = ["occurred", "sequence", "event_key", "fingerprint_key", "copy_key"]
    before = frame.with_columns(
        sequence_before=nw.col("sequence").shift(1).over(*clock, order_by=own),
        occurred_before=nw.col("occurred").shift(1).over(*clock, order_by=own),
    )
    fell = (
        (nw.col("sequence") < nw.col("sequence_before"))
        & (nw.col("sequence_before") != NO_SEQUENCE)
        & (nw.col("occurred") - nw.col("occurred_before") > _JITTER)
    )
    restarted = before.with_columns(
        restart=nw.when(fell).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64))
    )
    numbered = restarted.with_columns(
        life=nw.col("restart").cum_sum().over(*clock, order_by=own).cast(nw.Int64)
    )
    # one number for both, rising with the clock first; a device has far fewer than 2^20 restarts between two jumps
    return numbered.with_columns(stretch=nw.col("clock") * 2**20 + nw.col("life"))
