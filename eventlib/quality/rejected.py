"""What was rejected: by event, place and reason, where in the log, and by file."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd

from eventlib.quality.account import meaning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["along_the_log", "by_file", "by_reason", "defects", "rejections"]

Inputs: TypeAlias = "Sequence[Mapping[str, Any]]"

_ENOUGH: Final = 10
"""Rows below which nothing is said about where in the log they lie."""
_NARROW: Final = 0.25
"""A finding is concentrated where nine tenths of its rows lie within this share of the log."""
_TREND_Z: Final = 2.58


def _starts(inputs: Inputs) -> tuple[dict[str, int], int]:
    """Return how many lines stand before each file, in the order of reading, and how many there are."""
    starts: dict[str, int] = {}
    total = 0
    for entry in inputs:
        starts[str(entry["file"])] = total
        total += int(entry.get("rows") or 0)
    return starts, total


def _positions(quarantine: pd.DataFrame, inputs: Inputs) -> pd.Series[float]:
    """Return where in the log each row lies, 0 first and 1 last; NaN where the run does not say."""
    starts, total = _starts(inputs)
    files = quarantine["source_file"].astype("object")
    before = pd.Series([starts.get(file, np.nan) for file in files], index=quarantine.index, dtype=float)
    rows = {str(entry["file"]): float(entry.get("rows") or 0) for entry in inputs}
    most = pd.Series([rows.get(file, np.nan) for file in files], index=quarantine.index, dtype=float)
    # a record over several lines of its file stands no further on than there are records
    return (before + quarantine["line"].astype(float).clip(upper=most)) / max(total, 1)


def _pointer(row: Any) -> str:
    return f"{PurePath(str(row.source_file)).name}:{int(row.line):,}"


def _spread(positions: pd.Series[float]) -> str:
    known = np.sort(positions.dropna().to_numpy())
    if len(known) < _ENOUGH:
        return ""
    width = int(np.ceil(0.9 * len(known)))
    spans = known[width - 1 :] - known[: len(known) - width + 1]
    at = int(np.argmin(spans))
    if spans[at] > _NARROW:
        return "throughout"
    return f"nine tenths between {known[at]:.0%} and {known[at + width - 1]:.0%} of the log".replace(
        "%", " %"
    )


def _trend(positions: pd.Series[float]) -> str:
    """Compare the log's halves: of n rows without a trend half lie in each, ± sqrt(n) / 2."""
    known = positions.dropna()
    if len(known) < _ENOUGH:
        return ""
    later = int((known > 0.5).sum())
    z = (2 * later - len(known)) / np.sqrt(len(known))
    return "rising" if z > _TREND_Z else "falling" if z < -_TREND_Z else "steady"


def _grouped(quarantine: pd.DataFrame, inputs: Inputs, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per combination of keys, most rows first: how many rows, and where in the log they lie."""
    placed = quarantine.assign(position=_positions(quarantine, inputs))
    ordered = placed.sort_values(["position", "source_file", "line"], kind="stable")
    rows = []
    for key, part in ordered.groupby(list(keys), dropna=False):
        first, last = (next(part.iloc[[at]].itertuples()) for at in (0, -1))
        places = _spread(part["position"]), _trend(part["position"])
        share = len(part) / len(quarantine)
        rows.append((*key, len(part), share, _pointer(first), _pointer(last), *places))
    columns = [*keys, "rows", "share", "first", "last", "spread", "trend"]
    counts = pd.DataFrame(rows, columns=columns)
    return counts.sort_values(["rows", "code"], ascending=[False, True], kind="stable", ignore_index=True)


def rejections(quarantine: pd.DataFrame, inputs: Inputs = ()) -> pd.DataFrame:
    """Return the quarantine by code, event and place, most rows first.

    Quarantine keeps no time: consent had not been asked. Logs are written in the order of arrival, so that
    the place in the log stands for it.

    Parameters
    ----------
    quarantine
        A prepared dataset's quarantine.
    inputs
        The run stamp's `inputs`; without them nothing is said about the place in the log.

    Returns
    -------
    pandas.DataFrame
        `code`, `reason`, `event_name`, `json_path`, `rows`, `share` (of all rejected rows), `first`, `last`
        (file:line), `spread` (throughout, or where nine tenths lie; empty under 10 rows), `trend` (rising, falling,
        steady: the later half of the lines against the earlier at 1 %; empty under 10 rows).
    """
    counts = _grouped(quarantine, inputs, ["code", "event_name", "json_path"])
    counts.insert(1, "reason", [meaning(str(code)) for code in counts["code"]])
    return counts


def defects(quarantine: pd.DataFrame, inputs: Inputs = ()) -> pd.DataFrame:
    """Return the quarantine by what one mend would cure, most rows first.

    The same fault at the same place of several events is one defect; each unknown event name is one of its own.

    Returns
    -------
    pandas.DataFrame
        `code`, `json_path`, `message`, `name` (of an unknown event), and the counts and places of `rejections`, then
        `events` (the names that have it, most rows first) and `versions` (schema versions that were sent).
    """
    is_unknown = (quarantine["code"] == "unknown_event").fillna(value=False).astype(bool)
    is_schema = quarantine["code"].str.startswith("schema_").fillna(value=False).astype(bool)
    named = quarantine.assign(
        name=quarantine["event_name"].where(is_unknown),
        message=quarantine["message"].where(is_schema),  # of broken lines it says at which byte
    )
    keys = ["code", "json_path", "message", "name"]
    found = _grouped(named, inputs, keys)
    lists: dict[tuple[Any, ...], tuple[list[str], list[str]]] = {}
    for key, part in named.groupby(keys, dropna=False):
        lists[_hashable(key)] = _values(part["event_name"]), _values(part["schema_version"])
    listed = [lists[_hashable(key)] for key in found[keys].itertuples(index=False, name=None)]
    found["events"] = pd.Series([names for names, _ in listed], dtype="object")
    found["versions"] = pd.Series([versions for _, versions in listed], dtype="object")
    return found


def _values(column: pd.Series[Any]) -> list[str]:
    return [str(value) for value in column.value_counts().index]


def _hashable(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if pd.isna(part) else str(part) for part in key)


def by_reason(rejected: pd.DataFrame, most: int = 15) -> pd.DataFrame:
    """Return rejections by reason alone, the rarest summed up as `other`; columns `reason`, `rows`."""
    counts = rejected.groupby("reason")["rows"].sum().sort_values(ascending=False)
    kept = counts.head(most)
    if len(counts) > most:
        kept["other"] = counts.iloc[most:].sum()
    return kept.reset_index()


def by_file(quarantine: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Return rejections by input file, the highest share first.

    Returns
    -------
    pandas.DataFrame
        `file` (its name), `lines`, `rejected`, `share`, `most_often` (the commonest reason).
    """
    files = quarantine["source_file"].astype("object")
    rows = []
    for entry in inputs:
        part = quarantine[files == str(entry["file"])]
        lines, codes = int(entry.get("rows") or 0), part["code"].value_counts()
        often = meaning(str(codes.index[0])) if len(codes) else ""
        rows.append((PurePath(str(entry["file"])).name, lines, len(part), len(part) / max(lines, 1), often))
    frame = pd.DataFrame(rows, columns=["file", "lines", "rejected", "share", "most_often"])
    return frame.sort_values(["share", "file"], ascending=[False, True], ignore_index=True)


def along_the_log(quarantine: pd.DataFrame, inputs: Inputs, parts: int = 40) -> pd.DataFrame:
    """Return which share of the lines was rejected, from the first to the last part of the log.

    Returns
    -------
    pandas.DataFrame
        `part` (its end, as a share of all lines), `kind` (`broken`: no event can be read, `schema`: it breaks its
        own, `unknown` name or version, `late` or ahead), `share` (of the part's lines); no row under 10 lines a part.
    """
    _, total = _starts(inputs)
    parts = min(parts, total // 10)
    columns = ["part", "kind", "share"]
    if not parts or quarantine.empty:
        return pd.DataFrame(columns=columns)
    index = np.clip(np.ceil(_positions(quarantine, inputs).fillna(0) * parts).astype(int), 1, parts)
    counts = pd.crosstab(index, [_kind(str(code)) for code in quarantine["code"]])
    shares = counts.reindex(range(1, parts + 1), fill_value=0) / (total / parts)
    shares.insert(0, "part", shares.index / parts)
    return shares.melt("part", var_name="kind", value_name="share").sort_values(
        ["part", "kind"], ignore_index=True
    )


def _kind(code: str) -> str:
    if code.startswith("schema_"):
        return "schema"
    if code.startswith("unknown_"):
        return "unknown"
    return "late" if code in ("too_late", "future_time") else "broken"
