"""Time to convert of people and of devices side by side: curves, and shares by a day with their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eventlib.cells import clustered_share
from eventlib.journeys.pairs import DRAWS, around, columns_of, without_second
from eventlib.journeys.visits import ARRIVALS, NOUNS
from eventlib.journeys.waiting import time_to_convert, waits
from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["compare_times", "time_to_convert_by_unit"]

_DAYS: Final = (1 / 24, 1.0, 7.0, 30.0)
_NAMES: Final = ("people", "devices")


def time_to_convert_by_unit(events: pd.DataFrame, goal: str = "conversion_complete") -> pd.DataFrame:
    """Return the curves of `time_to_convert` counted by people and by devices.

    A device's time begins with its own first event: who reads on a phone and buys on a laptop is one slow convert, or a
    fast one and a device that never converts.

    Returns
    -------
    pandas.DataFrame
        `counted_by` (`people`, `devices`), `arrival`, `days`, `share`, `lower`, `upper` (90 %). Devices are left out where
        merging changed the times of fewer than ten people. Greenwood's bounds take devices for independent; the
        difference of `compare_times` does not.
    """
    sides = [waits(events, goal, by) for by in NOUNS]
    changed = _changed(sides)
    frames = []
    for by, noun in NOUNS.items():
        if noun == "people" or not 0 < changed < SMALL_CELL:
            frames.append(time_to_convert(events, goal, by=by).assign(counted_by=noun))
    columns = ["counted_by", "arrival", "days", "share", "lower", "upper"]
    return pd.concat(frames, ignore_index=True)[columns]


def _changed(sides: Sequence[pd.DataFrame], day: float | None = None) -> int:
    """Return for how many people the sides differ in whose journeys had converted by a day, or in anything."""
    told = []
    for side in sides:
        rows = side if day is None else side[side["happened"] & (side["days"] <= day)]
        keys = ["person"] if day is not None else ["person", "arrival", "days", "happened"]
        told.append(rows.groupby(keys).size())
    both = pd.concat(told, axis=1).fillna(0)
    differ = both[both.iloc[:, 0] != both.iloc[:, 1]]
    return int(differ.index.get_level_values("person").nunique())


def compare_times(
    events: pd.DataFrame,
    goal: str = "conversion_complete",
    days: Sequence[float] = _DAYS,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the share who have converted by some days, of people and of devices, and what merging changed.

    Kaplan and Meier's estimate as in `time_to_convert`.

    Parameters
    ----------
    events, goal
        As in `time_to_convert`.
    days
        After each one's first event; an hour, a day, a week and a month.
    draws, seed
        Bootstrap over people, who bring their devices with them.

    Returns
    -------
    pandas.DataFrame
        `arrival` (`all`, `AI answer`, `other`), `days`; `people`, `devices` (how many had converted by then) with `_share`,
        `_lower`, `_upper` (90 %); `difference` (people less devices) with `lower`, `upper`. A day is null of both arrivals
        where under 10 people of one had converted or were still waiting, or under 10 had converted since the last one
        shown; `devices` and `difference` where merging changed it for under 10 people.
    """
    sides = [waits(events, goal, by) for by in NOUNS]
    people = pd.Index(pd.unique(pd.concat(sides)["person"]))
    every = [float(day) for day in days]
    frames, hidden, gone = [], [], []
    for arrival in ("all", *ARRIVALS):
        parts = [side if arrival == "all" else side[side["arrival"] == arrival] for side in sides]
        frame = _compared(parts, people, every, draws, seed)
        hidden.append(np.any([_hidden(part, every) for part in parts], axis=0))
        few = [0 < _changed(parts, day) < SMALL_CELL for day in every]
        gone.append(np.array(few, dtype=bool) | (0 < _changed(parts) < SMALL_CELL))
        frames.append(frame.assign(arrival=arrival, days=every))
    for index, frame in enumerate(frames):
        without_second(frame, np.any(gone, axis=0) if index else gone[0], _NAMES)
        frame.loc[np.any(hidden, axis=0) if index else hidden[0], columns_of(_NAMES)] = np.nan
    return pd.concat(frames, ignore_index=True)[["arrival", "days", *columns_of(_NAMES)]]


def _compared(
    parts: Sequence[pd.DataFrame], people: pd.Index[str], days: list[float], draws: int, seed: int
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(index=range(len(days)))
    chance = np.full(len(people), 1 / max(len(people), 1))
    weights = rng.multinomial(len(people), chance, size=draws) if len(people) else np.ones((draws, 0), int)
    shares, drawn = [], []
    for name, part in zip(_NAMES, parts, strict=True):
        curve = _Curve(part, people, days)
        shares.append(curve.share(np.ones(len(people))))
        drawn.append(
            np.array([curve.share(weight) for weight in weights.astype(np.float64)]).reshape(draws, len(days))
        )
        converted = [int((part["happened"] & (part["days"] <= day)).sum()) for day in days]
        frame[name], frame[f"{name}_share"] = pd.array(converted, dtype="Int64"), shares[-1]
        variance = np.var(drawn[-1], axis=0)
        lower, upper = clustered_share(shares[-1], variance, part["person"].nunique())
        frame[f"{name}_lower"], frame[f"{name}_upper"] = lower, upper
    frame["difference"] = shares[0] - shares[1]
    frame["lower"], frame["upper"] = around(shares[0] - shares[1], drawn[0] - drawn[1])
    return frame


class _Curve:
    """Kaplan and Meier's estimate with people weighted."""

    def __init__(self, part: pd.DataFrame, people: pd.Index[str], days: list[float]) -> None:
        ordered = part.sort_values("days", kind="stable")
        self._person = people.get_indexer(pd.Index(ordered["person"]))
        self._happened = ordered["happened"].to_numpy(dtype=bool)
        waited = ordered["days"].to_numpy(dtype=np.float64)
        self._first = np.searchsorted(waited, waited)  # who waits as long is at risk too
        self._last = np.searchsorted(waited, np.asarray(days), side="right")

    def share(self, weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the share who have converted by each day."""
        mine: npt.NDArray[np.float64] = weight[self._person].astype(np.float64)
        at_risk = mine[::-1].cumsum()[::-1][self._first] if len(mine) else mine
        hazard = np.divide(mine * self._happened, at_risk, out=np.zeros(len(mine)), where=at_risk > 0)
        survival = np.ones(len(mine) + 1)
        survival[1:] = _survival(hazard, self._first)
        found: npt.NDArray[np.float64] = 1 - survival[self._last]
        return found


def _survival(hazard: npt.NDArray[np.float64], first: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the share still waiting after each row; those at one time go together, by the sum of their hazards."""
    times, row = np.unique(first, return_inverse=True)
    together = np.bincount(row, weights=hazard, minlength=len(times)) if len(times) else hazard
    waiting: npt.NDArray[np.float64] = np.multiply.accumulate(1.0 - np.minimum(together, 1.0))
    return waiting[row]


def _hidden(part: pd.DataFrame, days: list[float]) -> npt.NDArray[np.bool_]:
    """Tell by which days too few had converted, or since the last one shown, or were left."""
    hidden, last = np.zeros(len(days), dtype=bool), -1.0
    done = part[part["happened"]]
    for index, day in enumerate(days):
        since = done.loc[(done["days"] > last) & (done["days"] <= day), "person"]
        enough = done.loc[done["days"] <= day, "person"].nunique() >= SMALL_CELL
        left = part.loc[part["days"] > day, "person"].nunique() >= SMALL_CELL
        hidden[index] = not enough or not left or 0 < since.nunique() < SMALL_CELL
        last = last if hidden[index] else day
    return hidden
