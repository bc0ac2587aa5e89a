"""Shows and clicks per key and position, and who stands behind them: what every estimate of exposure is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from eventlib.errors import BadCallError

__all__ = ["KEY", "Bools", "Floats", "Ints", "People", "Swaps", "code_places", "harvest_swaps", "one_engine"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

KEY: Final = ("prompt_id", "content_id", "content_version", "month")


@dataclass(frozen=True, slots=True)
class Swaps:
    """Shows and clicks per key and position: the sufficient statistics, and the rows that they came from.

    Attributes
    ----------
    positions
        `slot` and `rank` of each column of the matrices; the reference (rank 1 of the main slot) comes first.
    key, position, clicked
        One entry per row of the frame they were harvested from: codes (int64) and 0/1 (float64).
    """

    positions: pd.DataFrame
    key: Ints
    position: Ints
    clicked: Floats

    def matrices(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """Return (shows, clicks), each keys by positions, with a weight per row if given (a bootstrap's)."""
        width = max(len(self.positions), 1)
        height = int(self.key.max()) + 1 if len(self.key) else 0
        cell = self.key * width + self.position
        ones = np.ones(len(cell)) if weights is None else weights
        shows = np.bincount(cell, ones, height * width).reshape(height, width)
        clicks = np.bincount(cell, ones * self.clicked, height * width).reshape(height, width)
        return shows.astype(np.float64), clicks.astype(np.float64)

    def cells(self) -> tuple[csr_array, csr_array]:
        """Return (shows, clicks) as `matrices` does, sparse: memory follows the rows, not keys times positions."""
        shape = (int(self.key.max(initial=-1)) + 1, max(len(self.positions), 1))
        at = (self.key, self.position)
        return csr_array((np.ones(len(self.key)), at), shape), csr_array((self.clicked, at), shape)

    def informing(self) -> tuple[Bools, Swaps]:
        """Return which rows are of keys seen at two positions or more, and these alone, their keys numbered anew.

        No other row tells anything of exposure. Where nearly every prompt is asked once, they are nearly all, and a
        matrix of them would take gigabytes.
        """
        informs = np.diff(self.cells()[0].indptr) > 1
        kept: Bools = informs[self.key]
        code = np.cumsum(informs) - 1
        return kept, Swaps(self.positions, code[self.key[kept]], self.position[kept], self.clicked[kept])

    def at(self, places: Bools) -> tuple[Bools, Swaps]:
        """Return which rows stand at some of the positions, and these alone, the positions numbered anew."""
        kept: Bools = places[self.position]
        code = np.cumsum(places) - 1
        left = self.positions[places].reset_index(drop=True)
        return kept, Swaps(left, self.key[kept], code[self.position[kept]], self.clicked[kept])


@dataclass(frozen=True, slots=True)
class People:
    """Who stands behind each row, as codes.

    Attributes
    ----------
    counted
        For small cells: everyone who is unknown counts as one.
    cluster
        For errors: an answer with neither person nor device stands for itself. Without a column of people, in
        both a row does.
    """

    counted: Ints
    cluster: Ints

    @classmethod
    def of(cls, rows: pd.DataFrame) -> People:
        """Read `person` (of impressions) or `person_id` (of shown citations)."""
        name = next((name for name in ("person", "person_id") if name in rows), None)
        if name is None:
            row = np.arange(len(rows), dtype=np.int64)
            return cls(row, row)
        person = rows[name].astype(object).where(rows[name].notna(), "").to_numpy(dtype=object, copy=True)
        answer = rows["answer_id"].to_numpy() if "answer_id" in rows else np.arange(len(rows))
        unknown = np.asarray(person == "", dtype=bool)
        if name == "person":  # impressions have named the unknown after their answers
            unknown |= person == np.array([f"answer:{one}" for one in answer], dtype=object)
        person[unknown] = ""
        counted = pd.factorize(person)[0].astype(np.int64)
        alone = pd.factorize(answer)[0] + counted.max(initial=0) + 1
        return cls(counted, np.where(unknown, alone, counted).astype(np.int64))

    def __getitem__(self, kept: Bools) -> People:
        """Return the people behind some of the rows."""
        return People(self.counted[kept], self.cluster[kept])


def one_engine(rows: pd.DataFrame, engine: str | None, caller: str) -> tuple[str, pd.DataFrame]:
    """Return an engine's name and its rows; it need not be named where the rows hold only one."""
    engines = sorted(rows["engine"].unique()) if "engine" in rows else []
    if engine is not None and engines:
        rows = rows[(rows["engine"] == engine).to_numpy(dtype=bool)]
    elif len(engines) > 1:
        raise BadCallError(f"{caller} takes one engine at a time; the rows hold {', '.join(engines)}")
    return engine or (engines[0] if engines else "none"), rows


def code_places(rows: pd.DataFrame) -> tuple[pd.DataFrame, Ints]:
    """Return the positions (slot and rank), rank 1 of the slot with most clicks first, and each row's."""
    clicks = rows.groupby("slot", sort=True)["clicked"].agg(["sum", "size"])
    main = clicks.sort_values(["sum", "size"], ascending=False, kind="stable").index[0]
    positions = rows[["slot", "rank"]].drop_duplicates()
    positions = positions.assign(_main=positions["slot"] != main).sort_values(["_main", "slot", "rank"])
    positions = positions[["slot", "rank"]].reset_index(drop=True)
    position = pd.MultiIndex.from_frame(positions).get_indexer(
        pd.MultiIndex.from_frame(rows[["slot", "rank"]])
    )
    return positions, position.astype(np.int64)


def harvest_swaps(rows: pd.DataFrame, key: Sequence[str] = KEY) -> Swaps:
    """Code the rows of `shown_citations` (one engine) by key and position, the reference position first."""
    if missing := {*key, "slot", "rank", "clicked"} - set(rows.columns):
        raise BadCallError.missing_columns("harvest_swaps", missing, rows.columns)
    if not len(rows):
        none = np.empty(0, dtype=np.int64)
        return Swaps(pd.DataFrame({"slot": [], "rank": []}), none, none, np.empty(0))
    codes = rows.groupby(list(key), sort=False, dropna=False).ngroup().to_numpy()
    positions, position = code_places(rows)
    return Swaps(positions, codes.astype(np.int64), position, rows["clicked"].to_numpy(dtype=np.float64))
