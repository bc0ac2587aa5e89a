"""How right the merging is, where the truth is known: in simulated worlds, and wherever somebody checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from eventlib.errors import BadCallError
from eventlib.identity.measures import measure

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

__all__ = ["against_truth"]


def _read(folder: Path) -> pd.Series:
    for name in ("events.csv.gz", "events.csv"):
        file = folder / name
        if file.is_file():
            table = pd.read_csv(file, dtype="object", usecols=["event_id", "true_person"])
            return table.dropna().drop_duplicates("event_id").set_index("event_id")["true_person"]
    raise BadCallError(f"{folder} holds no events.csv.gz with the columns event_id and true_person")
