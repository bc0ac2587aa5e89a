"""How long it takes to convert, by person or by device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.special import ndtri

from eventlib.journeys.visits import ARRIVALS, arrivals, unit_of
from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["time_to_convert", "waits"]

_Z90: Final = float(ndtri(0.95))


def waits(events: pd.DataFrame, goal: str, by: str) -> pd.DataFrame:
    """Return each unit's `unit`, `person`, `arrival`, `days` until `happened`, or until the end of the log if not.

    `person` is whose the deciding event is: the conversion, else the first. Not to be shown as it is.
    """
    person, unit = (unit_of(events, name).to_numpy(dtype=object) for name in ("person_id", by))
    frame = pd.DataFrame({"unit": unit, "person": person, "time": pd.DatetimeIndex(events["event_time"])})
    frame["goal"] = (events["event_name"] == goal).to_numpy(dtype=bool, na_value=False)
    frame = frame.sort_values("time", kind="stable")
    found = frame.drop_duplicates("unit").set_index("unit")[["time", "person"]]
    done = frame[frame["goal"]].drop_duplicates("unit").set_index("unit")[["time", "person"]]
    at = done["time"].reindex(found.index)
    end = frame["time"].max()
    found["person"] = done["person"].reindex(found.index).fillna(found["person"])
    found["days"] = (at.fillna(end) - found["time"]).dt.total_seconds() / 86400
    found["happened"] = at.notna()
    found["arrival"] = arrivals(events, by).set_index("unit")["arrival"].reindex(found.index)
    return found.drop(columns="time").reset_index()


def time_to_convert(
    events: pd.DataFrame, goal: str = "conversion_complete", *, by: str = "person_id"
) -> pd.DataFrame:
    """Return the share of people who have converted by a time after their first event, by arrival.

    Kaplan and Meier's estimate: who has not converted yet is censored at the end of the log. Interval by
    Greenwood's formula on the log(-log) scale.

    Parameters
    ----------
    events
        From `human_events`.
    goal
        The event that is a conversion.
    by
        `person_id` counts people, `anonymous_id` devices, from each one's own first event.

    Returns
    -------
    pandas.DataFrame
        `arrival`, `days`, `share`, `lower`, `upper` (90 %), `at_risk`; empty where under 10 people converted. The curve
        is known at each tenth person's conversion: a step of it would be one person's time.
    """
    columns = ["arrival", "days", "share", "lower", "upper", "at_risk"]
    each = waits(events, goal, by)
    frames = []
    for arrival in ARRIVALS:
        mine = each[each["arrival"] == arrival]
        if mine.loc[mine["happened"], "person"].nunique() >= SMALL_CELL:
            frames.append(_kaplan_meier(mine).assign(arrival=arrival))
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _kaplan_meier(each: pd.DataFrame) -> pd.DataFrame:
    waited = each["days"].to_numpy(dtype=np.float64)
    happened = each["happened"].to_numpy(dtype=bool)
    times, events = np.unique(waited[happened], return_counts=True)
    at_risk = len(waited) - np.searchsorted(np.sort(waited), times)
    survival = np.cumprod(1 - events / at_risk)
    rest = np.maximum(at_risk - events, 1)
    greenwood = np.sqrt(np.cumsum(events / (at_risk * rest)))
    log = np.log(np.clip(survival, 1e-12, 1 - 1e-12))
    spread = np.exp(_Z90 * greenwood / np.abs(log))
    bounds = (1 - survival ** (1 / spread), 1 - survival**spread)
    curve = pd.DataFrame(
        {"days": times, "share": 1 - survival, "lower": bounds[0], "upper": bounds[1], "at_risk": at_risk}
    )
    return curve[_tenths(each[happened], times)].reset_index(drop=True)


def _tenths(converted: pd.DataFrame, times: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
    """Tell at which times ten people have converted since the last such time; each counts at their first conversion."""
    first = converted.groupby("person")["days"].min().to_numpy(dtype=np.float64)
    tens = np.searchsorted(np.sort(first), times, side="right") // SMALL_CELL
    return np.diff(tens, prepend=0) > 0
