"""Exposure that the user supplies: an assumption, checked and brought to the form of an estimate (S7.2)."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError
from eventlib.exposure.curve import (
    LEVEL,
    MAX_LOG_SE,
    Exposure,
    count_places,
    curve_frame,
    doubts,
    known_positions,
)
from eventlib.exposure.swaps import Floats, People, Swaps, code_places, one_engine

__all__ = ["given_exposure"]

_NEEDED: Final = ("slot", "rank", "exposure")
_WIDEST: Final = 1e6
"""Nobody looks at one place a million times as often as at another: a slip of the pen, and weights would overflow."""
_COLUMNS: Final = (*_NEEDED, "log_se")


def given_exposure(
    frame: pd.DataFrame,
    engine: str,
    *,
    rows: pd.DataFrame | None = None,
    max_log_se: float = MAX_LOG_SE,
    level: float = LEVEL,
) -> Exposure:
    """Take an exposure curve from elsewhere: another log, an experiment, an eye-tracking study.

    Parameters
    ----------
    frame
        One row per slot and rank: `slot, rank` (from 1), `exposure` (positive, of any scale) and perhaps `log_se`, the
        standard error of its logarithm, taken as independent between positions.
    engine
        Whose curve it is.
    rows
        Shows of the engine, as `shown_citations` returns them: then the main slot is that with most clicks, `shows`,
        `clicks` and `people` are counted, and a used position that is not given is a reason against the curve.
        Without them the main slot is that with the highest exposure at rank 1.
    max_log_se, level
        As for `estimate_exposure`.

    Returns
    -------
    Exposure
        `method` is "given"; rank 1 of the main slot is 1. Without `log_se` errors are NaN, and `reasons` says that the
        curve is an assumption; it is usable all the same.

    Raises
    ------
    BadCallError
        The table is not as described, or lacks rank 1 of the main slot.

    Examples
    --------
    >>> curve = given_exposure(pd.DataFrame({"slot": "inline", "rank": [1, 2], "exposure": [0.8, 0.4]}), "assistant")
    >>> curve.positions, curve.usable
    ({('inline', 1): 1.0, ('inline', 2): 0.5}, True)
    >>> given_exposure(pd.DataFrame({"slot": "inline", "rank": [1, 1], "exposure": [0.8, 0.4]}), "assistant")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: the given exposure has inline 1 twice or more; each slot and rank needs one row
    """
    table = _checked(frame)
    if rows is not None:
        _, rows = one_engine(rows, engine, "given_exposure")
    counts = _counts(table, rows if rows is not None and len(rows) else None)
    joined = counts[["slot", "rank"]].merge(table, on=["slot", "rank"], how="left")
    log_exposure, covariance = _scaled(joined)
    curve = curve_frame(
        counts, log_exposure, covariance, level=level, limit=max_log_se, known="given", unknown="not given"
    )
    reasons, connected = doubts(curve, max_log_se, "no exposure is given for these positions")
    usable = not reasons
    if "log_se" not in table:
        reasons.append("the curve is given without errors: that it is exact is an assumption")
    return Exposure(
        engine=engine,
        frame=curve,
        covariance=covariance,
        connected=connected,
        usable=usable,
        reasons=tuple(reasons),
        level=level,
        positions=known_positions(curve),
        method="given",
    )


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    if missing := set(_NEEDED) - set(frame.columns):
        raise BadCallError.missing_columns("given_exposure", missing, map(str, frame.columns))
    for name in frame.columns:
        if name not in _COLUMNS:
            raise BadCallError.unknown("column of a given exposure", str(name), _COLUMNS)
    if not len(frame):
        raise BadCallError("the given exposure has no rows; give at least one position besides rank 1")
    if frame["slot"].isna().any():
        raise BadCallError("the given exposure has rows without a slot")
    table = pd.DataFrame({"slot": frame["slot"].astype(str).to_numpy(dtype=object)})
    rank = _numbers(frame, "rank")
    _refuse((rank < 1) | (rank != np.floor(rank)) | (rank > 1e6), "rank", "a whole number from 1")
    table["rank"], table["exposure"] = rank.astype(np.int64), _numbers(frame, "exposure")
    given = table["exposure"].to_numpy()
    _refuse(given <= 0, "exposure", "positive")
    _refuse(given < given.max() / _WIDEST, "exposure", f"at least a {_WIDEST:,.0f}th of the largest")
    if "log_se" in frame:
        table["log_se"] = _numbers(frame, "log_se")
        _refuse(table["log_se"].to_numpy() < 0, "log_se", "0 or more")
    twice = table[table.duplicated(["slot", "rank"])]
    if len(twice):
        slot, place = twice.iloc[0][["slot", "rank"]]
        raise BadCallError(
            f"the given exposure has {slot} {place} twice or more; each slot and rank needs one row"
        )
    return table


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse(~np.isfinite(values), name, "a finite number")
    return values


def _refuse(wrong: np.ndarray[tuple[int], np.dtype[np.bool_]], name: str, what: str) -> None:
    if wrong.any():
        raise BadCallError(
            f"{name} of the given exposure must be {what}; {int(wrong.sum()):,} of {len(wrong):,} rows are not"
        )


def _counts(table: pd.DataFrame, rows: pd.DataFrame | None) -> pd.DataFrame:
    """Return the positions given or shown, the reference first, with what was seen of them."""
    if rows is None:
        main = table[table["rank"] == 1].sort_values(["exposure", "slot"], ascending=[False, True])["slot"]
        counts = table[["slot", "rank"]]
    else:
        positions, position = code_places(rows)
        clicked = rows["clicked"].to_numpy(dtype=np.float64)
        swaps = Swaps(positions, position, position, clicked)
        seen = count_places(swaps, People.of(rows), np.zeros(len(positions), dtype=np.int64))
        main = seen["slot"]
        counts = table[["slot", "rank"]].merge(seen, on=["slot", "rank"], how="outer")
    if not len(main) or not ((table["slot"] == main.iloc[0]) & (table["rank"] == 1)).any():
        where = f" of slot {main.iloc[0]}, which has most clicks," if len(main) else ""
        raise BadCallError(f"the given exposure lacks rank 1{where} to which the others are relative")
    ordered = counts.assign(_main=counts["slot"] != main.iloc[0]).sort_values(["_main", "slot", "rank"])
    whole = {name: 0 for name in ("clicks", "shows", "swap_clicks", "people") if name not in ordered}
    ordered = ordered.drop(columns="_main").assign(**whole)
    numbers = ["clicks", "shows", "swap_clicks", "people"]
    ordered[numbers] = ordered[numbers].fillna(0).astype(np.int64)
    return ordered.reset_index(drop=True)


def _scaled(joined: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return log exposures less the reference's, and their covariance: its error is then part of all others."""
    log_exposure = np.log(joined["exposure"].to_numpy(dtype=np.float64))
    log_exposure = log_exposure - log_exposure[0]
    if "log_se" not in joined:
        covariance = np.full((len(joined), len(joined)), np.nan)
    else:
        variance = joined["log_se"].to_numpy(dtype=np.float64) ** 2
        covariance = np.diag(variance) + variance[0]
        unknown = np.isnan(variance)
        covariance[unknown, :] = covariance[:, unknown] = np.nan
    covariance[0, :] = covariance[:, 0] = np.where(np.isnan(log_exposure), np.nan, 0.0)
    return log_exposure, covariance
