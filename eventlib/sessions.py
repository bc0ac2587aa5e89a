"""Sessions: a device's visits (S5)."""

from __future__ import annotations

from typing import Final

import narwhals as nw
import pyarrow as pa

from eventlib.engine import Engine, Frame
from eventlib.stage import require
from eventlib.units import DAY, MINUTE

__all__ = ["number_sessions"]

GAP: Final = 30 * MINUTE
AGE: Final = DAY
_ORDER: Final = (
    "event_time",
    "source_key",
    "stretch",
    "sequence",
    "event_key",
    "fingerprint_key",
    "copy_key",
)
_NEEDED: Final = ("row", "device", *_ORDER)


def number_sessions(engine: Engine, frame: Frame, *, gap: int = GAP, age: int = AGE) -> Frame:
    """Number each device's sessions from 1, in `session`.

    A new session begins iff the gap is over `gap` or the session's age over `age`: exactly 30:00 stays. The age rule
    is recursive, so the stretches between gaps are marked in columns, and only those older than `age` are walked.
    Events without a device have session 0: none.

    Parameters
    ----------
    engine
        Where `frame` lives.
    frame
        Int64 columns `row, device, event_time` (microseconds), and those of the total order.
    gap, age
        Limits in microseconds.
    """
    require("number_sessions", frame, _NEEDED)
    # only what decides goes through the windows; the rest is joined at the end
    streams = frame.filter(~nw.col("device").is_null()).select(*_NEEDED)
    order = list(_ORDER)
    timed = streams.with_columns(before=nw.col("event_time").shift(1).over("device", order_by=order))
    begins = nw.when(nw.col("before").is_null() | (nw.col("event_time") - nw.col("before") > gap))
    marked = timed.with_columns(begins=begins.then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64)))
    cuts = _age_cuts(engine, engine.checkpoint(marked), gap_order=order, age=age)
    numbered = engine.checkpoint(
        cuts.select("row", session=nw.col("starts").cum_sum().over("device", order_by=order).cast(nw.Int64))
    )
    return frame.join(numbered, on="row", how="left").with_columns(
        session=nw.col("session").fill_null(0).cast(nw.Int64)
    )


def _age_cuts(engine: Engine, marked: Frame, *, gap_order: list[str], age: int) -> Frame:
    """Add `starts`: where a gap or, within a stretch that is too old, the age begins a session."""
    stretched = engine.checkpoint(
        marked.with_columns(run=nw.col("begins").cum_sum().over("device", order_by=gap_order).cast(nw.Int64))
    )
    spans = stretched.group_by("device", "run").agg(
        nw.col("event_time").min().alias("first"), nw.col("event_time").max().alias("last")
    )
    old = spans.filter(nw.col("last") - nw.col("first") > age).select(
        "device", "run", old=nw.lit(1, nw.Int64)
    )
    walked = stretched.join(old, on=["device", "run"], how="inner").select("row", "device", "run", *gap_order)
    rows = _walk(engine.collect(walked), gap_order, age)
    if not rows:
        return stretched.with_columns(starts=nw.col("begins"))
    cut = engine.frame(
        pa.table({"row": pa.array(rows, pa.int64()), "cut": pa.array([1] * len(rows), pa.int64())})
    )
    joined = stretched.join(cut, on="row", how="left")
    return joined.with_columns(
        starts=nw.when(~nw.col("cut").is_null()).then(nw.lit(1, nw.Int64)).otherwise(nw.col("begins"))
    )


def _walk(table: pa.Table, order: list[str], age: int) -> list[int]:
    """Return the rows at which a session must end for its age."""
    ordered = table.sort_by(
        [("device", "ascending"), ("run", "ascending"), *((name, "ascending") for name in order)]
    )
    cuts: list[int] = []
    stream, start = None, 0
    for row, device, run, time in zip(
        *(ordered[name].to_pylist() for name in ("row", "device", "run", "event_time")), strict=True
    ):
        if (device, run) != stream:
            stream, start = (device, run), time
        elif time - start > age:
            cuts.append(row)
            start = time
    return cuts
