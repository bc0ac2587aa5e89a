"""Stretches: how far one clock and one counter of a device reach (S3.1, S3.3).

A stretch ends where the device's clock was set or where its counter began anew. `received - sent` shows the first, but it
also rises where the pipeline was late; which of the two it was is told by what comes after, and by `sequence`.
"""

from __future__ import annotations

from typing import Final

import narwhals as nw

from eventlib.engine import Engine, Frame
from eventlib.stage import NO_SEQUENCE
from eventlib.units import DAY, MINUTE, SECOND

__all__ = ["STREAM", "number_stretches"]

STREAM: Final = ("device", "source_key", "channel_key", "timed")
"""Events that one clock may have stamped: server and client events of a device have clocks of their own."""

JUMP: Final = MINUTE
JITTER: Final = SECOND
_KEYS: Final = ("event_key", "fingerprint_key", "copy_key")
# the row comes last: one window must take byte-identical copies in the order of another
_ARRIVAL: Final = ("received", "left", "occurred", *_KEYS, "row")
_OWN: Final = ("occurred", "sequence", "received", "left", *_KEYS, "row")
_COUNTED: Final = ("sequence", "occurred", "received", "left", *_KEYS, "row")
_NARROW: Final = ("row", *STREAM, "occurred", "left", "received", "delay", "sequence", *_KEYS)
_PLAUSIBLE: Final = 3 * DAY
_EXACT: Final = 2**52
"""Running minima and maxima go through floats on pandas; further apart than 142 years, times are equally far."""


def _flag(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64))


def _clamped(value: nw.Expr) -> nw.Expr:
    return (
        nw.when(value > _EXACT)
        .then(nw.lit(_EXACT))
        .when(value < -_EXACT)
        .then(nw.lit(-_EXACT))
        .otherwise(value)
    )


def _moved(name: str, before: str) -> nw.Expr:
    return _flag((nw.col(name) - nw.col(before)).abs() > JUMP)


def number_stretches(engine: Engine, frame: Frame) -> Frame:
    """Number the stretches of each stream, and say how far sequence lifts each event.

    Parameters
    ----------
    engine
        Where `frame` lives.
    frame
        Events: Int64 columns `row`, those of `STREAM` (`device` may be null), `occurred, left, received` (microseconds; `left` is when
        it was sent, or received where that is not known), `delay` (`received - left`), `sequence`, and the keys.

    Returns
    -------
    Frame
        The frame with `stretch`, and `lift`: microseconds by which the running maximum along `sequence` is above the
        event's own time.
    """
    # windows over wide frames are what costs: only the few columns and streams that matter go through them
    narrow = frame.filter(~nw.col("device").is_null()).select(*_NARROW)
    doubtful = engine.checkpoint(_doubtful(narrow))
    signed = engine.checkpoint(_signs(narrow.join(doubtful, on=list(STREAM), how="inner")))
    odd_streams = signed.filter(nw.col("odd") == 1).select(*STREAM).unique()
    odd = engine.checkpoint(signed.join(odd_streams, on=list(STREAM), how="inner"))
    late = _late_in_the_pipeline(engine, odd)
    numbered = engine.checkpoint(_restarts(engine.checkpoint(_clocks(odd, late))))
    lifted = engine.checkpoint(_lifted(numbered).select("row", "stretch", "lift"))
    joined = frame.join(lifted, on="row", how="left")
    known = ~nw.col("stretch").is_null()
    return joined.with_columns(
        stretch=nw.when(known).then(nw.col("stretch")).otherwise(nw.lit(0, nw.Int64)).cast(nw.Int64),
        lift=nw.when(known).then(nw.col("lift")).otherwise(nw.lit(0, nw.Int64)).cast(nw.Int64),
    )


def _doubtful(frame: Frame) -> Frame:
    """Return the streams that may have more than one stretch: their delays differ, or a counter falls. Most are none."""
    counter = frame.filter(nw.col("sequence") != NO_SEQUENCE).select(*STREAM, "occurred", "sequence")
    before = counter.with_columns(
        sequence_before=nw.col("sequence").shift(1).over(*STREAM, order_by=["occurred", "sequence"])
    )
    fell = before.filter(nw.col("sequence") < nw.col("sequence_before")).select(*STREAM)
    spread = frame.group_by(*STREAM).agg(
        nw.col("delay").min().alias("least"), nw.col("delay").max().alias("most")
    )
    return nw.concat([fell, spread.filter(nw.col("most") - nw.col("least") > JUMP).select(*STREAM)]).unique()


def _signs(frame: Frame) -> Frame:
    """Mark what shows that a stream has more than one stretch."""
    counted = frame.with_columns(counted=_flag(nw.col("sequence") != NO_SEQUENCE))
    before = counted.with_columns(
        delay_before=nw.col("delay").shift(1).over(*STREAM, order_by=_ARRIVAL),
        sequence_before=nw.col("sequence").shift(1).over(*STREAM, "counted", order_by=_OWN),
    )
    return before.with_columns(
        odd=_flag(
            ((nw.col("delay") - nw.col("delay_before")).abs() > JUMP)
            | (nw.col("sequence") < nw.col("sequence_before"))
        )
    )


def _clocks(odd: Frame, late: Frame) -> Frame:
    """Number the stretches between clock jumps, in the order of arrival; what was late in the pipeline is no jump."""
    prompt = odd.join(late, on="row", how="anti").drop("delay_before")
    prompt = prompt.with_columns(delay_before=nw.col("delay").shift(1).over(*STREAM, order_by=_ARRIVAL))
    prompt = prompt.with_columns(jump=_moved("delay", "delay_before"))
    delayed = odd.join(late, on="row", how="inner").with_columns(jump=nw.lit(0, nw.Int64))
    names = prompt.collect_schema().names()
    both = nw.concat([prompt, delayed.select(names)])
    return both.with_columns(clock=nw.col("jump").cum_sum().over(*STREAM, order_by=_ARRIVAL).cast(nw.Int64))


def _restarts(frame: Frame) -> Frame:
    """Split the stretches further where the sequence starts anew, in the order of the device's own clock."""
    clock = [*STREAM, "clock"]
    before = frame.drop("sequence_before").with_columns(
        sequence_before=nw.col("sequence").shift(1).over(*clock, "counted", order_by=_OWN),
        occurred_before=nw.col("occurred").shift(1).over(*clock, "counted", order_by=_OWN),
    )
    restarted = before.with_columns(
        restart=_flag(_fell("sequence_before", "sequence", "occurred_before", "occurred"))
    )
    numbered = restarted.with_columns(
        life=nw.col("restart").cum_sum().over(*clock, order_by=_OWN).cast(nw.Int64)
    )
    # one number for both, rising with the clock first; a device has far fewer than 2^20 restarts between two jumps
    return numbered.with_columns(stretch=nw.col("clock") * 2**20 + nw.col("life"))


def _fell(sequence: str, sequence_next: str, occurred: str, occurred_next: str) -> nw.Expr:
    """Tell whether the counter fell although the device's clock moved on."""
    return (nw.col(sequence_next) < nw.col(sequence)) & (nw.col(occurred_next) - nw.col(occurred) > JITTER)


def _lifted(frame: Frame) -> Frame:
    """Add how far the running maximum lifts an event, in stretches whose sequence rises with `occurred`."""
    stretch = [*STREAM, "stretch"]
    since = frame.with_columns(first=nw.col("occurred").min().over(*stretch))
    since = since.with_columns(since=_clamped(nw.col("occurred") - nw.col("first")))
    topped = since.with_columns(
        top=nw.col("since").cum_max().over(*stretch, "counted", order_by=_COUNTED).cast(nw.Int64)
    )
    above = topped.with_columns(
        above=nw.when(nw.col("counted") == 1)
        .then(nw.col("top") - nw.col("since"))
        .otherwise(nw.lit(0, nw.Int64))
    )
    most = above.with_columns(most=nw.col("above").max().over(*stretch))
    return most.with_columns(
        lift=nw.when(nw.col("most") <= JITTER).then(nw.col("above")).otherwise(nw.lit(0, nw.Int64))
    )


def _late_in_the_pipeline(engine: Engine, odd: Frame) -> Frame:
    """Return the rows whose delay rose because the pipeline was late, not because the clock was set back.

    1. A clock's level, at any arrival, is the greater of the smallest delays up to there and from there on.
       What stands over that level by more than a jump is an excursion; the rest is the floor.
    2. Excursions are suspect, and so is the last level of a stream where it is a rise. `open` are those that do not come
       back to the level that they left.
    3. Laid among that level at face value, a suspect run is no late one if a counter falls there: then the clock was set.
    4. It is late if an event that was counted later came earlier, or, where it is not open, if it was released together:
       a clock set back would show for as long as it was sent, a pipeline that was held up lets go at once.
    """
    ranked = engine.checkpoint(_levels(odd))
    floors = engine.checkpoint(_floors(engine, ranked))
    pool = nw.concat([floors, _excursions(ranked, floors).select(floors.collect_schema().names())])
    suspects = engine.checkpoint(_evidence(pool))
    run = [*STREAM, "run"]
    judged = suspects.group_by(run).agg(
        nw.col("against").max(), nw.col("proof").max(), nw.col("open").max(),
        nw.col("received").min().alias("received_first"), nw.col("received").max().alias("received_last"),
        nw.col("left").min().alias("left_first"), nw.col("left").max().alias("left_last"),
    )  # fmt: skip
    taken = nw.col("left_last") - nw.col("left_first")
    together = (nw.col("received_last") - nw.col("received_first")) * 2 <= taken
    late = judged.filter(
        (nw.col("against") == 0)
        & ((nw.col("proof") == 1) | ((nw.col("open") == 0) & (together | (taken == 0))))
    )
    return engine.checkpoint(suspects.join(late.select(run), on=run, how="inner").select("row"))


def _levels(odd: Frame) -> Frame:
    """Add `run` (between jumps), `lag` (the delay), `raised` (stands over its level) and `floor` (how many floor rows by then)."""
    lagged = odd.with_columns(lag=_clamped(nw.col("delay")), jump=_moved("delay", "delay_before"))
    levelled = lagged.with_columns(
        least_before=nw.col("lag").cum_min().over(*STREAM, order_by=_ARRIVAL).cast(nw.Int64),
        least_after=nw.col("lag").cum_min(reverse=True).over(*STREAM, order_by=_ARRIVAL).cast(nw.Int64),
        run=nw.col("jump").cum_sum().over(*STREAM, order_by=_ARRIVAL).cast(nw.Int64),
    )
    level = nw.max_horizontal("least_before", "least_after")
    raised = levelled.with_columns(raised=_flag(nw.col("lag") - level > JUMP)).with_columns(
        lies=nw.lit(1, nw.Int64) - nw.col("raised")
    )
    return raised.with_columns(floor=nw.col("lies").cum_sum().over(*STREAM, order_by=_ARRIVAL).cast(nw.Int64))


def _floors(engine: Engine, ranked: Frame) -> Frame:
    """Number the levels of the floor; where the last is a rise, lay it on the level before, as a suspect."""
    lying = ranked.filter(nw.col("raised") == 0)
    before = lying.with_columns(lag_before=nw.col("lag").shift(1).over(*STREAM, order_by=_ARRIVAL))
    moved = before.with_columns(
        moved=_moved("lag", "lag_before"), rose=_flag(nw.col("lag") - nw.col("lag_before") > JUMP)
    )
    levels = engine.checkpoint(
        moved.with_columns(level=nw.col("moved").cum_sum().over(*STREAM, order_by=_ARRIVAL).cast(nw.Int64))
    )
    ends = levels.group_by(*STREAM).agg(nw.col("level").max())
    risen = (
        levels.filter(nw.col("rose") == 1)
        .select(*STREAM, "level")
        .join(ends, on=[*STREAM, "level"], how="inner")
    )
    marked = levels.join(risen.with_columns(open=nw.lit(1, nw.Int64)), on=[*STREAM, "level"], how="left")
    marked = marked.with_columns(open=_flag(nw.col("open") == 1))
    return marked.with_columns(suspect=nw.col("open"), level=nw.col("level") - nw.col("open"))


def _excursions(ranked: Frame, floors: Frame) -> Frame:
    """Lay excursions on the level that they left."""
    at = [*STREAM, "floor"]
    lower = floors.select(*at, "level", lag_before="lag", moved=nw.lit(0, nw.Int64), rose=nw.lit(0, nw.Int64))
    upper = floors.select(*STREAM, (nw.col("floor") - 1).alias("floor"), lag_after="lag")
    risen = (
        ranked.filter(nw.col("raised") == 1).join(lower, on=at, how="inner").join(upper, on=at, how="inner")
    )
    return risen.with_columns(open=_moved("lag_after", "lag_before"), suspect=nw.lit(1, nw.Int64))


def _evidence(pool: Frame) -> Frame:
    """Lay suspects among the floor by the device's own clock; say what speaks for and against lateness.

    An event whose own time is broken (after it was sent, or days before) says nothing: one of them must not decide
    about all that was sent with it.
    """
    keys = [*STREAM, "level", "speaks"]
    own = list(_OWN)
    waited = nw.col("left") - nw.col("occurred")
    speaks = _flag((nw.col("counted") == 1) & (waited >= -JUMP) & (waited <= _PLAUSIBLE))
    laid = (
        pool.drop("sequence_before")
        .with_columns(speaks=speaks)
        .with_columns(
            sequence_before=nw.col("sequence").shift(1).over(*keys, order_by=own),
            occurred_before=nw.col("occurred").shift(1).over(*keys, order_by=own),
            sequence_after=nw.col("sequence").shift(-1).over(*keys, order_by=own),
            occurred_after=nw.col("occurred").shift(-1).over(*keys, order_by=own),
            received_after=nw.col("received").shift(-1).over(*keys, order_by=own),
            suspect_after=nw.col("suspect").shift(-1).over(*keys, order_by=own),
        )
    )
    falls = _flag(_fell("sequence_before", "sequence", "occurred_before", "occurred")) + _flag(
        _fell("sequence", "sequence_after", "occurred", "occurred_after")
    )
    overtaken = (
        (nw.col("speaks") == 1)
        & (nw.col("sequence_after") > nw.col("sequence"))
        & (nw.col("received_after") < nw.col("received"))
        & (nw.col("suspect_after") == 0)
    )
    return laid.with_columns(against=falls * nw.col("speaks"), proof=_flag(overtaken)).filter(
        nw.col("suspect") == 1
    )
