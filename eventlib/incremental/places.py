"""Where changed rows stand among the unchanged ones: only rows of the same moment are compared further (S3.5)."""

from __future__ import annotations

from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from eventlib.narrow import COPY_ORDER
from eventlib.stage import NO_SEQUENCE

__all__ = ["place_changed"]

Integers = npt.NDArray[np.int64]

_ORDER: Final = f"""event_time, source, device NULLS LAST, stretch, coalesce(sequence, {NO_SEQUENCE}), event_digest, renamed,
  {COPY_ORDER}, fingerprint_digest"""

_RANKED: Final = f"""
SELECT row, event_time, stays FROM (
  SELECT k.row, k.event_time, k.stretch, k.renamed, false AS stays, f.* EXCLUDE (row), i.digest AS device
  FROM changed k JOIN fact f USING (row) LEFT JOIN identifier i ON i.code = k.device
  UNION ALL BY NAME
  SELECT u.row, u.event_time, u.stretch, u.renamed, true AS stays, f.* EXCLUDE (row), i.digest AS device
  FROM unchanged u JOIN base_fact f USING (row)
  LEFT JOIN all_identifier i ON i.code = coalesce(nullif(f.anonymous, 0), nullif(f.user, 0))
  WHERE u.event_time IN (SELECT event_time FROM changed))
ORDER BY {_ORDER}
"""


def place_changed(connection: duckdb.DuckDBPyConnection) -> int:
    """Leave the tables `kept` (`changed` with `place`, and `before`: the unchanged rows before it) and `moved` (`row, place`).

    Parameters
    ----------
    connection
        Holds `changed` and its `fact, identifier`, and `unchanged` (`row, place, event_time, stretch, renamed`), with `base_fact,
        all_identifier`.

    Returns
    -------
    int
        How many rows are kept in all.
    """
    ranked = connection.sql(_RANKED).fetchnumpy()
    rows, stays = np.asarray(ranked["row"], np.int64), np.asarray(ranked["stays"], bool)
    stay = connection.sql("SELECT row, event_time FROM unchanged ORDER BY place").fetchnumpy()
    stay_rows, stay_times = (np.asarray(stay[name], np.int64) for name in ("row", "event_time"))
    times = np.asarray(ranked["event_time"], np.int64)
    earlier = np.searchsorted(stay_times, times, "left")
    # of the unchanged rows of the same moment, those that were ranked before it
    ranked_before = np.cumsum(stays) - stays
    first = np.searchsorted(times, times, "left")
    before = earlier + ranked_before - ranked_before[first]
    changed = ~stays
    before, rows = before[changed], rows[changed]
    connection.register(
        "ranked",
        pa.table({"row": rows, "place": before + np.arange(len(before)) + 1, "before": before}),
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE kept AS SELECT * FROM changed JOIN ranked USING (row)")
    held = np.arange(len(stay_rows))
    moved = held + np.searchsorted(before, held, "right") + 1
    connection.register("moved", pa.table({"row": stay_rows, "place": moved}))
    return len(stay_rows) + len(before)
