"""Who is in the log against who is left for a purpose: the bias that consent leaves in every figure (S2.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL, clustered_share, hide_small_cells
from eventlib.errors import BadCallError
from eventlib.intervals import wilson
from eventlib.model import PURPOSES
from eventlib.privacy.segments import SEGMENTS, about_people, segment_of
from eventlib.privacy.stamped import asked_by, pooled_last
from eventlib.small_cells import OTHER

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

__all__ = ["NOTABLE", "allowed", "allowed_by_jurisdiction", "biases", "check_purpose", "clustered", "displaced", "left_of"]  # fmt: skip

NOTABLE: Final = 0.05
"""A voice that is less than a twentieth too loud or too quiet is called as it is."""


def check_purpose(purpose: str) -> None:
    """Refuse a purpose that there is not.

    Raises
    ------
    BadCallError
        There is no such purpose.
    """
    if purpose not in PURPOSES:
        raise BadCallError.unknown("purpose", purpose, PURPOSES)


def _latest_of_devices(events: pd.DataFrame) -> pd.DataFrame:
    people = about_people(events)
    return people[people["agent"].isna()].dropna(subset=["device"]).drop_duplicates("device", keep="last")


def allowed(events: pd.DataFrame, purpose: str) -> tuple[float | None, float | None, float | None]:
    """Return the share of kept devices whose latest event allows a purpose, with its 90 % Wilson bounds.

    Raises
    ------
    BadCallError
        There is no such purpose.
    """
    check_purpose(purpose)
    latest = _latest_of_devices(events)
    if len(latest) < SMALL_CELL:
        return None, None, None
    yes = int(latest[f"allow_{purpose}"].sum())
    lower, upper = wilson([yes], [len(latest)])
    return yes / len(latest), float(lower[0]), float(upper[0])


def allowed_by_jurisdiction(events: pd.DataFrame) -> pd.DataFrame:
    """Return the share of kept devices that allow each purpose, by jurisdiction, small cells left out.

    A device allows a purpose if its latest event does.

    Returns
    -------
    pandas.DataFrame
        `jurisdiction`, `purpose`, `devices`, `share`, `lower`, `upper` (90 % Wilson).
    """
    latest = _latest_of_devices(events)
    latest = latest.assign(jurisdiction=latest["jurisdiction"].fillna("unknown"))
    rows = []
    for jurisdiction, part in latest.groupby("jurisdiction"):
        rows += [
            (jurisdiction, purpose, len(part), int(part[f"allow_{purpose}"].sum())) for purpose in PURPOSES
        ]
    frame = pd.DataFrame(rows, columns=["jurisdiction", "purpose", "devices", "allowed"])
    frame = frame[frame["devices"] >= SMALL_CELL].reset_index(drop=True)
    frame["share"] = frame["allowed"] / frame["devices"]
    frame["lower"], frame["upper"] = wilson(frame["allowed"], frame["devices"])
    return frame.drop(columns="allowed")


def clustered(yes: pd.Series[Any], who: pd.Series[Any]) -> tuple[float, float, float, int]:
    """Return a share, its 90 % bounds with people as clusters, and how many people; NaN under ten."""
    by = pd.DataFrame({"yes": yes.astype(float).to_numpy(), "who": who.to_numpy()}).groupby("who")["yes"]
    sums = by.agg(["sum", "size"]).to_numpy(dtype=np.float64)
    people, units = len(sums), float(sums[:, 1].sum())
    if people < SMALL_CELL:
        return np.nan, np.nan, np.nan, people
    share = float(sums[:, 0].sum() / units)
    rest = sums[:, 0] - share * sums[:, 1]
    variance = people / (people - 1) * float(rest @ rest) / units**2
    lower, upper = clustered_share(np.array([share]), np.array([variance]), people)
    return share, float(lower[0]), float(upper[0]), people


_COLUMNS: Final = [
    "by", "segment", "devices", "in_log", "kept", "left", "in_log_share", "left_share", "ratio", "lower", "upper", "weight", "heard",
]  # fmt: skip


def _rows(people: pd.DataFrame, segment: pd.Series[str], purpose: str) -> pd.DataFrame:
    allows = people[f"allow_{purpose}"].astype(bool)
    rows = []
    for name in segment.drop_duplicates():
        part = segment == name
        share, lower, upper, devices = clustered(allows[part], people.loc[part, "device"].fillna("nobody"))
        rows.append((name, devices, int(part.sum()), int(allows[part].sum()), share, lower, upper))
    return pd.DataFrame(rows, columns=["segment", "devices", "kept", "left", "share", "low", "high"])


def left_of(data: Prepared, purpose: str, by: str) -> pd.DataFrame:
    """Compare who is in the log with who is left for a purpose, segment by segment.

    In the log are all events about people that consent was asked for, where the stamp counts them (jurisdiction, source,
    week); else those that were kept.

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    purpose
        Of `eventlib.model.PURPOSES`.
    by
        Of `SEGMENTS`.

    Returns
    -------
    pandas.DataFrame
        `by`, `segment`, `devices`, `in_log`, `kept`, `left` (events), `in_log_share`, `left_share` (each adds up to 1 over what is
        shown), `ratio` of the two with `lower`, `upper` (90 %: what the kept devices allow, devices as clusters, times the
        share that was kept, which is a count), `weight` (1 / ratio), `heard` (too quiet, too loud, as it is). Segments
        of under ten devices, and the next smallest with them, are left out, or pooled where the stamp pools them.
    """
    check_purpose(purpose)
    people = about_people(data.events)
    segment = segment_of(people, by)
    totals = asked_by(data.run, by)
    if len(totals):
        segment = segment.where(segment.isin(totals.index), OTHER)
    frame = _rows(people, segment, purpose)
    gone = set(totals.index) - set(frame["segment"])
    absent = [(name, 0, 0, 0, np.nan, np.nan, np.nan) for name in sorted(gone)]
    if absent:
        frame = pd.concat([frame, pd.DataFrame(absent, columns=frame.columns)], ignore_index=True)
    frame["in_log"] = frame["segment"].map(totals.to_dict()).astype(float) if len(totals) else frame["kept"]
    known = frame if len(totals) else hide_small_cells(frame, "devices")[0]
    return _compared(known.dropna(subset=["in_log"]), by)[_COLUMNS]


def _compared(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    in_log, left = frame["in_log"].astype(float), frame["left"].astype(float)
    overall = left.sum() / in_log.sum() if in_log.sum() else np.nan
    scale = frame["kept"] / in_log / (overall or np.nan)  # from what kept devices allow to the ratio
    frame = frame.assign(
        by=SEGMENTS[by],
        in_log=in_log.astype(int),
        in_log_share=in_log / (in_log.sum() or np.nan),
        left_share=left / (left.sum() or np.nan),
        ratio=left / in_log / (overall or np.nan),
        lower=frame["low"] * scale,
        upper=frame["high"] * scale,
    )
    ratio, lower, upper = (frame[name].to_numpy(dtype=np.float64) for name in ("ratio", "lower", "upper"))
    with np.errstate(divide="ignore"):
        frame["weight"] = np.where(ratio > 0, 1 / ratio, np.nan)
    sure = np.where(np.isnan(lower), ratio == 0, (lower > 1) | (upper < 1))
    notable = sure & (np.abs(ratio - 1) >= NOTABLE)
    frame["heard"] = np.where(
        ratio == 0, "not at all", np.where(notable, np.where(ratio < 1, "too quiet", "too loud"), "as it is")
    )
    size = frame["segment"] if by == "week" else -frame["in_log"]
    order = frame.assign(last=pooled_last(frame["segment"]), size=size).sort_values(["last", "size"], kind="stable")  # fmt: skip
    return order.drop(columns=["last", "size"]).reset_index(drop=True)


def biases(data: Prepared, purpose: str) -> pd.DataFrame:
    """Return `left_of` for every kind of segment, below each other."""
    return pd.concat([left_of(data, purpose, by) for by in SEGMENTS], ignore_index=True)


def displaced(left: pd.DataFrame) -> pd.DataFrame:
    """Return by kind of segment how much of what is left would have to be other segments' to mirror the log.

    Returns
    -------
    pandas.DataFrame
        `by`, `displaced` (half the sum of the differences of shares), `quietest`, `ratio` (its).
    """
    rows = []
    for by, part in left.groupby("by", sort=False):
        moved = float((part["left_share"] - part["in_log_share"]).abs().sum(min_count=1) / 2)
        lowest = part.dropna(subset=["ratio"]).sort_values("ratio", kind="stable").head(1)
        named = (lowest["segment"].iloc[0], float(lowest["ratio"].iloc[0])) if len(lowest) else ("", np.nan)
        rows.append((by, moved, *named))
    return pd.DataFrame(rows, columns=["by", "displaced", "quietest", "ratio"])
