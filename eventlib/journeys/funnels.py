"""How many get how far: funnels by person or by device, closed or open, and by arrival."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError
from eventlib.intervals import wilson
from eventlib.journeys.pairs import Side, few_people, tally
from eventlib.journeys.visits import ARRIVALS, NOUNS, arrival_of, codes, unit_of
from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["KINDS", "Reached", "funnel", "funnel_by_arrival", "last_share", "reach"]

KINDS: Final = ("closed", "open")
_BASES: Final = ("first", "all")


@dataclass(frozen=True, slots=True)
class Reached:
    """Where in the stream whoever is counted reached each step of a funnel.

    Attributes
    ----------
    place
        Unit by step: the event's place in the stream, -1 for never.
    first
        Each unit's first event.
    person
        Whose each event is, as a number: a device's step is the step of the person who was on it.
    rows
        Where in the frame that was asked each event of the stream stands.
    """

    place: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    person: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Reached:
        """Return that of some units only."""
        return Reached(self.place[chosen], self.first[chosen], self.person, self.rows)

    def counts(self) -> npt.NDArray[np.int64]:
        """Return how many reached each step."""
        return np.asarray(np.count_nonzero(self.place >= 0, axis=0), dtype=np.int64)

    def people(self, step: int) -> int:
        """Return of how many distinct people those are who reached a step."""
        return self._distinct(self.place[self.place[:, step] >= 0, step])

    def lost(self, before: int, step: int) -> int:
        """Return how many distinct people reached one step, but not another."""
        return self._distinct(self.place[(self.place[:, before] >= 0) & (self.place[:, step] < 0), before])

    def _distinct(self, places: npt.NDArray[np.int64]) -> int:
        return len(np.unique(self.person[places]))


def reach(events: pd.DataFrame, steps: Sequence[str], by: str, kind: str = "closed") -> Reached:
    """Return where each unit reached each step; this counts everybody, and is not to be shown as it is.

    Parameters
    ----------
    events
        From `human_events`; at equal times their order is the stream's (S3.5).
    steps
        Event names.
    by
        `person_id` or `anonymous_id`.
    kind
        `closed`: a step counts only after the one before it, at a later place in the stream. `open`: at any place.
    """
    if kind not in KINDS:
        raise BadCallError.unknown("kind of funnel", kind, list(KINDS))
    time = pd.DatetimeIndex(events["event_time"]).as_unit("us").asi8
    rows = np.argsort(time, kind="stable").astype(np.int64)
    unit = codes(unit_of(events, by))[rows]
    person = codes(unit_of(events, "person_id"))[rows]
    name = events["event_name"].to_numpy(dtype=object)[rows]
    units = int(unit.max(initial=-1)) + 1
    place = np.full((units, len(steps)), -1, dtype=np.int64)
    for index, step in enumerate(steps):
        places = np.flatnonzero(name == step)
        if index and kind == "closed":
            before = place[unit[places], index - 1]
            places = places[(before >= 0) & (places > before)]
        place[unit[places[::-1]], index] = places[::-1]  # the earliest is written last
    first = np.zeros(units, dtype=np.int64)
    first[unit[::-1]] = np.arange(len(unit))[::-1]
    return Reached(place, first, person, rows)


def hidden_steps(reached: Reached, kind: str = "closed") -> npt.NDArray[np.bool_]:
    """Tell which steps may not be shown: reached by fewer than ten people, or lost by as few since the step before.

    A step of 690 and a next one of 688 tell of two people; the next that is told is at least ten people on.
    """
    steps = reached.place.shape[1]
    hidden = np.array([reached.people(step) < SMALL_CELL for step in range(steps)], dtype=bool)
    shown = 0
    for step in range(1, steps if kind == "closed" else 0):
        few = 0 < reached.lost(shown, step) < SMALL_CELL
        hidden[step] |= few
        shown = shown if few else step
    return hidden


def funnel(
    events: pd.DataFrame,
    steps: Sequence[str],
    by: str = "person_id",
    *,
    kind: Literal["closed", "open"] = "closed",
    base: Literal["first", "all"] = "first",
) -> pd.DataFrame:
    """Return how many people reach each step.

    Parameters
    ----------
    events
        From `human_events`.
    steps
        Event names, first to last.
    by
        `person_id` counts people, `anonymous_id` devices.
    kind
        `closed`: in this order, each step by an event after that of the step before, at any later time. `open`: at all.
    base
        What shares are of: those at the first step, or `all` who did anything.

    Returns
    -------
    pandas.DataFrame
        `step`, `people` (or devices, under the same name), `share` with `lower`, `upper` (90 %, Wilson), `from_previous`.
        Null is a step of under 10 people, and one that is under 10 people fewer than the last that is shown: the
        difference would tell of them.

    Raises
    ------
    BadCallError
        `by`, `kind` or `base` is none of these.

    Examples
    --------
    >>> import pandas as pd
    >>> times = pd.to_datetime(["2026-10-01", "2026-10-02"] * 12, utc=True)
    >>> people = [f"p-{i // 2}" for i in range(24)]
    >>> log = pd.DataFrame({"event_name": ["page_view", "conversion_complete"] * 12, "event_time": times,
    ...     "person_id": people, "anonymous_id": people})
    >>> funnel(log, ["page_view", "conversion_complete"])["people"].tolist()
    [12, 12]
    """
    if base not in _BASES:
        raise BadCallError.unknown("base of shares", base, list(_BASES))
    reached = reach(events, steps, by, kind)
    return _shares(reached, steps, hidden_steps(reached, kind), base)


def _shares(reached: Reached, steps: Sequence[str], hidden: npt.NDArray[np.bool_], base: str) -> pd.DataFrame:
    counts = reached.counts().astype(float)
    first = (counts[0] if base == "first" else float(len(reached.place))) if len(counts) else 0.0
    frame = pd.DataFrame({"step": list(steps), "people": pd.array(counts.astype(int), dtype="Int64")})
    frame["share"] = counts / first if first else np.nan
    frame["lower"], frame["upper"] = wilson(counts, np.full(len(counts), first))
    if base == "first":  # all of those at the first step, by definition
        frame.loc[:0, ["lower", "upper"]] = frame.loc[:0, "share"]
    before = np.r_[first, counts[:-1]]
    frame["from_previous"] = np.divide(counts, before, out=np.full(len(counts), np.nan), where=before > 0)
    return _without(frame, hidden)


def _without(frame: pd.DataFrame, hidden: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Empty the cells of a funnel that may not be shown, and what is relative to one."""
    frame.loc[hidden, ["share", "lower", "upper", "from_previous"]] = np.nan
    frame.loc[hidden, "people"] = pd.NA
    frame.loc[np.r_[False, hidden[:-1]], "from_previous"] = np.nan
    return frame


def side_of(reached: Reached, people: int, base: str = "first") -> Side:
    """Return who reached what, each step with the person who took it."""
    unit, step = np.nonzero(reached.place >= 0)
    shape = (people, reached.place.shape[1])
    cells = tally(reached.person[reached.place[unit, step]], step, shape)
    if base == "first":
        return Side(cells, cells[:, :1])
    zeros = np.zeros(len(reached.first), dtype=np.int64)
    return Side(cells, tally(reached.person[reached.first], zeros, (people, 1)))


def funnel_by_arrival(events: pd.DataFrame, steps: Sequence[str]) -> pd.DataFrame:
    """Return the funnel of AI-referred and other visitors, counted once as people and once as devices.

    Counted by devices, one person with two devices is two visitors, of whom one never converts.

    Returns
    -------
    pandas.DataFrame
        `counted_by`, `arrival`, then the columns of `funnel`. A step that is hidden of one arrival, or of one unit, is
        hidden of the others too: all visitors less one is the other; and of devices where merging changed its count for under 10 people.
    """
    reached = {by: reach(events, steps, by) for by in NOUNS}
    people = len(events)
    parts: dict[str, dict[str, Reached]] = {}
    for by, found in reached.items():
        how = arrival_of(events, by)[found.rows][found.first]
        parts[by] = {name: found.of(how == name) for name in ARRIVALS}
    sides = [{name: side_of(part, people).cells for name, part in of.items()} for of in parts.values()]
    few = np.any([few_people(sides[0][name], sides[1][name]) for name in ARRIVALS], axis=0)
    small = np.any([hidden_steps(part) for of in parts.values() for part in of.values()], axis=0)
    frames = []
    for by, noun in NOUNS.items():
        # shares of a first step that is not told would tell it
        hidden = small | few | bool(few[:1].any()) if noun == "devices" else small
        for name, part in parts[by].items():
            shares = _shares(part, steps, hidden, "first")
            frames.append(shares.assign(counted_by=noun, arrival=name))
    columns = ["counted_by", "arrival", "step", "people", "share", "lower", "upper", "from_previous"]
    return pd.concat(frames, ignore_index=True)[columns]


def last_share(compared: pd.DataFrame, arrival: str) -> tuple[float | None, float | None, float | None]:
    """Return the last step's share of people with its bounds, from `funnel_by_arrival`; Nones if small."""
    rows = compared[(compared["counted_by"] == "people") & (compared["arrival"] == arrival)]
    if rows.empty or pd.isna(rows["share"].iloc[-1]):
        return None, None, None
    share, lower, upper = (float(rows[name].iloc[-1]) for name in ("share", "lower", "upper"))
    return share, lower, upper
