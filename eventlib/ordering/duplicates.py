"""Retries and clashing ids (S3.4)."""

from __future__ import annotations

from typing import Final

import narwhals as nw

from eventlib.engine import Engine, Frame
from eventlib.stage import require

__all__ = ["remove_duplicates"]

_NEEDED: Final = ("row", "source_key", "event_key", "fingerprint_key", "copies", "received", "copy_key")


def remove_duplicates(engine: Engine, frame: Frame) -> tuple[Frame, Frame]:
    """Keep the earliest received of the copies of an event, and tell apart different events under one id.

    The key is (source, event id); copies have the same fingerprint. Of those the earliest received stays.
    Different fingerprints under one key are different events: all stay, and all but the earliest received are
    marked for another id.

    Parameters
    ----------
    engine
        Where `frame` lives.
    frame
        Int64 columns `row, source_key, event_key, fingerprint_key, copies` (rows with this key), `received`
        (microseconds), `copy_key` (breaks ties by content).

    Returns
    -------
    tuple of Frame
        Events with `renamed` (0 or 1), and the removed rows with `removed_by`.
    """
    require("remove_duplicates", frame, _NEEDED)
    order = ["received", "copy_key"]
    single = frame.filter(nw.col("copies") == 1).with_columns(renamed=nw.lit(0, nw.Int64))
    several = frame.filter(nw.col("copies") > 1).with_columns(one=nw.lit(1, nw.Int64))
    # of byte-identical copies the same one stays whenever this is decided anew
    ranked = engine.checkpoint(
        several.with_columns(
            nth=nw.col("one")
            .cum_sum()
            .over("source_key", "event_key", "fingerprint_key", order_by=[*order, "row"])
            .cast(nw.Int64)
        )
    )
    removed = ranked.filter(nw.col("nth") > 1).with_columns(removed_by=nw.lit("duplicate")).drop("one", "nth")
    first = ranked.filter(nw.col("nth") == 1)
    among = first.with_columns(
        kind=nw.col("one")
        .cum_sum()
        .over("source_key", "event_key", order_by=[*order, "fingerprint_key"])
        .cast(nw.Int64)
    )
    renamed = nw.when(nw.col("kind") > 1).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64))
    columns = [*frame.collect_schema().names(), "renamed"]
    kept = among.with_columns(renamed=renamed).select(columns)
    return engine.checkpoint(nw.concat([single.select(columns), kept])), removed
