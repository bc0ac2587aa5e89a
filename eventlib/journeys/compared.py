"""People against devices, AI-referred against others: funnels, moves and steps side by side, with their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError
from eventlib.journeys.funnels import hidden_steps, reach, side_of
from eventlib.journeys.moves import END, few_ended, journey_steps, occupied
from eventlib.journeys.pairs import DRAWS, Side, columns_of, compare, tally, without_second
from eventlib.journeys.visits import ARRIVALS, NOUNS, arrival_of, codes, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["ALL", "SIDES", "compare_arrivals", "compare_funnels", "compare_steps", "compare_transitions"]

ALL: Final = "all"
SIDES: Final = {"units": ("people", "devices"), "arrivals": ("ai", "other")}
"""What may be compared, and what the sides are called in a comparison's columns."""

Between = Literal["units", "arrivals"]
Paths = Literal["session", "visit", "stream"]


def _units(events: pd.DataFrame) -> dict[str, npt.NDArray[np.object_]]:
    return {by: arrival_of(events, by) for by in NOUNS}


def compare_funnels(
    events: pd.DataFrame,
    steps: Sequence[str],
    *,
    kind: Literal["closed", "open"] = "closed",
    base: Literal["first", "all"] = "first",
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the funnel of people and of devices side by side, of all and by arrival, and what merging changed.

    Parameters
    ----------
    events, steps, kind, base
        As in `funnel`.
    draws, seed
        Bootstrap over people, who bring their devices with them: both sides are drawn together.

    Returns
    -------
    pandas.DataFrame
        `arrival` (`all`, `AI answer`, `other`), `step`; `people` and `devices` with `_share`, `_lower`, `_upper` (90 %);
        `difference` of the shares (people less devices) with `lower`, `upper`. A step that may not be shown of one
        arrival or one side is null in both. `devices` and `difference` are null where merging changed the count for
        under 10 people: less the people they would tell of them.

    Examples
    --------
    >>> times = pd.to_datetime(["2026-10-01", "2026-10-02", "2026-10-03"] * 20, utc=True)
    >>> log = pd.DataFrame({"event_name": ["page_view", "page_view", "form_submit"] * 20, "event_time": times,
    ...     "person_id": [f"p-{i // 3}" for i in range(60)], "ai_engine": None,
    ...     "anonymous_id": [f"{'phone' if i % 3 else 'laptop'}-{i // 3}" for i in range(60)]})
    >>> found = compare_funnels(log, ["page_view", "form_submit"])
    >>> found[["arrival", "people", "devices", "difference"]].iloc[:2].to_numpy().tolist()
    [['all', 20, 40, 0.0], ['all', 20, 20, 0.5]]
    """
    people = len(np.unique(codes(unit_of(events, "person_id"))))
    names = SIDES["units"]
    reached = {by: reach(events, steps, by, kind) for by in NOUNS}
    arrival = {by: how[reached[by].rows][reached[by].first] for by, how in _units(events).items()}
    frames, hidden = [], []
    for name in (ALL, *ARRIVALS):
        parts = [part if name == ALL else part.of(arrival[by] == name) for by, part in reached.items()]
        sides = (side_of(parts[0], people, base), side_of(parts[1], people, base))
        of_first = np.zeros(len(steps), dtype=np.int64)
        found, small = compare(sides, of_first, names, draws=draws, seed=seed)
        if base == "first":
            _all_of_itself(found, names)
        hidden.append(small | np.any([hidden_steps(part, kind) for part in parts], axis=0))
        frames.append(found.assign(arrival=name, step=list(steps)))
    _hide_together(frames, hidden, names)
    return pd.concat(frames, ignore_index=True)[["arrival", "step", *columns_of(names)]]


def _hide_together(
    frames: list[pd.DataFrame], hidden: list[npt.NDArray[np.bool_]], names: tuple[str, str]
) -> None:
    """Empty what may not be shown, in place: of all, and of the arrivals, each of which is all less the other."""
    gone = np.any([frame["devices"].isna().to_numpy() for frame in frames], axis=0)
    for frame in frames[1:]:
        without_second(frame, gone, names)
        frame.loc[np.any(hidden, axis=0), columns_of(names)] = np.nan
    frames[0].loc[hidden[0], columns_of(names)] = np.nan


def _all_of_itself(found: pd.DataFrame, names: tuple[str, str]) -> None:
    """Give the first step the bounds that it has by definition."""
    for name in names:
        share = found.loc[:0, f"{name}_share"]
        found.loc[:0, f"{name}_lower"] = share
        found.loc[:0, f"{name}_upper"] = share


def compare_arrivals(
    events: pd.DataFrame,
    steps: Sequence[str],
    by: str = "person_id",
    *,
    kind: Literal["closed", "open"] = "closed",
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the funnel of AI-referred and of other visitors side by side, and their difference.

    Parameters
    ----------
    events, steps, by, kind
        As in `funnel`.
    draws, seed
        Bootstrap over people.

    Returns
    -------
    pandas.DataFrame
        `step`; `ai` and `other` with `_share` of the first step, `_lower`, `_upper` (90 %); `difference` (AI less other)
        with `lower`, `upper`. A step that may not be shown of one is null for both.
    """
    people = len(np.unique(codes(unit_of(events, "person_id"))))
    names = SIDES["arrivals"]
    reached = reach(events, steps, by, kind)
    how = arrival_of(events, by)[reached.rows][reached.first]
    parts = [reached.of(how == name) for name in ARRIVALS]
    sides = (side_of(parts[0], people, "first"), side_of(parts[1], people, "first"))
    of_first = np.zeros(len(steps), dtype=np.int64)
    found, small = compare(sides, of_first, names, same_people=False, draws=draws, seed=seed)
    _all_of_itself(found, names)
    hidden = small | np.any([hidden_steps(part, kind) for part in parts], axis=0)
    found.loc[hidden, columns_of(names)] = np.nan
    return found.assign(step=list(steps))[["step", *columns_of(names)]]


def _journeys(
    events: pd.DataFrame, between: str, by: str, paths: str, *, collapse_repeats: bool
) -> list[pd.DataFrame]:
    """Return the steps of both sides' journeys, whose people have the same numbers."""
    if between not in SIDES:
        raise BadCallError.unknown("comparison", between, list(SIDES))
    if between == "units":
        return [journey_steps(events, unit, paths=paths, collapse_repeats=collapse_repeats) for unit in NOUNS]
    pairs = journey_steps(events, by, paths=paths, collapse_repeats=collapse_repeats)
    how = pd.Series(arrival_of(events, by)).groupby(codes(unit_of(events, by))).first()
    arrival = how.reindex(pairs["unit"]).to_numpy()
    return [pairs[arrival == name] for name in ARRIVALS]


def compare_transitions(
    events: pd.DataFrame,
    *,
    between: Between = "units",
    by: str = "person_id",
    paths: Paths = "stream",
    collapse_repeats: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what follows what on two sides, and the difference.

    Parameters
    ----------
    events, paths, collapse_repeats
        As in `transitions`; `stream` shows what merging changes most: where a device's events end, a person's may go on.
    between
        `units`: people against devices. `arrivals`: AI-referred against others, counted by `by`.
    by
        `person_id` or `anonymous_id`, where arrivals are compared.
    draws, seed
        Bootstrap over people; both sides are drawn together.

    Returns
    -------
    pandas.DataFrame
        `source`, `target`; moves of each side (`people`, `devices` or `ai`, `other`) with their `_share` of those from
        `source`, `_lower`, `_upper` (90 %); `difference` with `lower`, `upper`; most moves first. Moves of under 10 people
        on either side are left out, with the next rarest of their source; `devices` and `difference` are null where
        merging changed them for under 10 people.
    """
    sides = _journeys(events, between, by, paths, collapse_repeats=collapse_repeats)
    names = SIDES[between]
    keys = pd.concat(sides)[["source", "target"]].drop_duplicates().sort_values(["source", "target"])
    if keys.empty:
        return pd.DataFrame(columns=["source", "target", *columns_of(names)])
    cell = pd.MultiIndex.from_frame(keys)
    source = codes(keys["source"])
    people = 1 + max(int(pairs["person"].max()) for pairs in sides if len(pairs))
    tallies = []
    for pairs in sides:
        column = cell.get_indexer(pd.MultiIndex.from_frame(pairs[["source", "target"]])).astype(np.int64)
        person = pairs["person"].to_numpy(dtype=np.int64)
        cells = tally(person, column, (people, len(cell)))
        tallies.append(Side(cells, tally(person, source[column], (people, int(source.max()) + 1))))
    same = between == "units"
    found, small = compare(
        (tallies[0], tallies[1]), source, names, group=source, same_people=same, draws=draws, seed=seed
    )
    found = pd.concat([keys.reset_index(drop=True), found], axis=1)[~small]
    return found.sort_values(names[0], ascending=False, kind="stable", ignore_index=True)


def compare_steps(
    events: pd.DataFrame,
    steps: int = 8,
    *,
    between: Between = "units",
    by: str = "person_id",
    paths: Paths = "stream",
    collapse_repeats: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return where journeys are at each of their first steps on two sides, and the difference.

    Parameters
    ----------
    steps
        How many steps.
    events, between, by, paths, collapse_repeats, draws, seed
        As in `compare_transitions`.

    Returns
    -------
    pandas.DataFrame
        `event_name` (and `(end)`), `step`; journeys of each side there with their `_share` of that side's journeys,
        `_lower`, `_upper` (90 %); `difference` with `lower`, `upper`. Cells are hidden as in `step_matrix` and
        `compare_transitions`.
    """
    sides = _journeys(events, between, by, paths, collapse_repeats=collapse_repeats)
    names, columns = SIDES[between], ["event_name", "step", *columns_of(SIDES[between])]
    placed = [occupied(pairs, steps) for pairs in sides]
    keys = pd.concat(placed)[["source", "step"]].drop_duplicates().sort_values(["source", "step"])
    if keys.empty:
        return pd.DataFrame(columns=columns)
    cell = pd.MultiIndex.from_frame(keys)
    people = 1 + max(int(pairs["person"].max()) for pairs in sides if len(pairs))
    tallies = []
    for pairs, there in zip(sides, placed, strict=True):
        column = cell.get_indexer(pd.MultiIndex.from_frame(there[["source", "step"]])).astype(np.int64)
        cells = tally(there["person"].to_numpy(dtype=np.int64), column, (people, len(cell)))
        first = pairs.drop_duplicates("path")["person"].to_numpy(dtype=np.int64)
        tallies.append(Side(cells, tally(first, np.zeros(len(first), dtype=np.int64), (people, 1))))
    step = keys["step"].to_numpy(dtype=np.int64)
    few = set.union(*(few_ended(there) for there in placed))
    ended = ((keys["source"] == END) & keys["step"].isin(few)).to_numpy(dtype=bool)
    found, small = compare(
        (tallies[0], tallies[1]),
        np.zeros(len(step), dtype=np.int64),
        names,
        group=step,
        hidden=ended,
        same_people=between == "units",
        draws=draws,
        seed=seed,
    )
    found = pd.concat([keys.reset_index(drop=True), found], axis=1)[~small]
    return found.rename(columns={"source": "event_name"}).reset_index(drop=True)[columns]
