"""What came too late, or from too far ahead, to be ordered (S3.2)."""

from __future__ import annotations

from typing import Final

import narwhals as nw

from eventlib.engine import Engine, Frame
from eventlib.stage import require
from eventlib.units import DAY, HOUR

__all__ = ["LATE_CODES", "remove_late"]

LATE_CODES: Final = ("too_late", "future_time")
"""Refused for their times by the flow, whatever a schema says."""


def remove_late(
    engine: Engine, frame: Frame, *, late: int = HOUR, too_late: int = 3 * DAY, ahead: int = 23 * HOUR
) -> tuple[Frame, Frame]:
    """Set apart what is too late or from the future, and mark what is late.

    The device's delay (`sent - occurred`) and the pipeline's (`received - sent`) are separate, each with its own limit.

    Parameters
    ----------
    engine
        Where `frame` lives.
    frame
        With `occurred, sent, received, event_time` in microseconds.
    late, too_late, ahead
        Limits in microseconds.

    Returns
    -------
    tuple of Frame
        Events with `is_late` (0 or 1), and the removed rows with `removed_by`.
    """
    require("remove_late", frame, ["occurred", "sent", "received", "event_time"])
    device, pipeline = nw.col("sent") - nw.col("occurred"), nw.col("received") - nw.col("sent")
    judged = frame.with_columns(
        removed_by=nw.when((device > too_late) | (pipeline > too_late))
        .then(nw.lit("too_late"))
        .when(nw.col("event_time") - nw.col("received") > ahead)
        .then(nw.lit("future_time"))
        .otherwise(nw.lit("")),
        is_late=nw.when((device > late) | (pipeline > late))
        .then(nw.lit(1, nw.Int64))
        .otherwise(nw.lit(0, nw.Int64)),
    )
    judged = engine.checkpoint(judged)
    return judged.filter(nw.col("removed_by") == "").drop("removed_by"), judged.filter(
        nw.col("removed_by") != ""
    )
