"""Whose events are counted, by person or by device, and what one journey of theirs is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

__all__ = ["ARRIVALS", "NOUNS", "PATHS", "arrivals", "codes", "human_events", "paths_of", "person_visits"]

NOUNS: Final = {"person_id": "people", "anonymous_id": "devices"}
"""By what may be counted, and what it is called."""

PATHS: Final = ("session", "visit", "stream")
"""What a journey may be: a device's session, a person's visit across devices, or all that somebody ever did."""

ARRIVALS: Final = ("AI answer", "other")

_NO_STEPS: Final = ("page_engage", "consent_update", "citation_show", "identity_link")
_GAP: Final = pd.Timedelta(minutes=30)


def human_events(events: pd.DataFrame, *, steps_only: bool = True) -> pd.DataFrame:
    """Return the events that may be analysed as behaviour: allowed for analytics, by people, not by agents.

    Parameters
    ----------
    events
        A prepared dataset's events.
    steps_only
        Leave out heartbeats and consent bookkeeping, which are no steps of a journey.

    Returns
    -------
    pandas.DataFrame
        Those events, in the same order, with `visit_id` of `person_visits`: found before heartbeats are left out, since
        who still reads has not gone.
    """
    kept = events["allow_analytics"].astype(bool) & events["agent"].isna() & events["anonymous_id"].notna()
    people = events[kept]
    if "session_id" in people:
        people = people.assign(visit_id=person_visits(people).to_numpy())
    return people[~people["event_name"].isin(_NO_STEPS)] if steps_only else people


def unit_of(events: pd.DataFrame, by: str) -> pd.Series[str]:
    """Return who is counted: the person where known, else the device; never nobody."""
    if by not in NOUNS:
        raise BadCallError.unknown("unit to count by", by, list(NOUNS))
    return events[by].fillna(events["anonymous_id"]) if by in events else events["anonymous_id"]


def codes(values: pd.Series[Any]) -> npt.NDArray[np.int64]:
    """Return a number for each distinct value, in order of first appearance; -1 where it is missing."""
    return pd.factorize(values)[0].astype(np.int64)


def person_visits(events: pd.DataFrame, gap: pd.Timedelta = _GAP) -> pd.Series[str]:
    """Return which visit of a person each event belongs to: sessions of their devices that follow within a gap.

    A session (S5) is one device's. A person who turns from a phone to a laptop within the gap is on one visit, in two
    sessions. Two sessions of one device are never joined but through another device's: what cut them stands.

    Parameters
    ----------
    events
        With `anonymous_id, session_id, event_time` and, where merged, `person_id`.
    gap
        A pause of exactly this length is still the same visit.

    Returns
    -------
    pandas.Series
        The first session's id, by event; where a person has one device, the `session_id` itself.

    Examples
    --------
    >>> times = pd.to_datetime(["2026-10-01 10:00", "2026-10-01 10:20", "2026-10-01 11:00"], utc=True)
    >>> log = pd.DataFrame({"person_id": ["p"] * 3, "anonymous_id": ["phone", "laptop", "phone"], "event_time": times,
    ...     "session_id": ["s1", "s2", "s3"]})
    >>> person_visits(log).tolist()
    ['s1', 's1', 's3']
    """
    frame = pd.DataFrame(
        {
            "person": unit_of(events, "person_id").to_numpy(),
            "session": events["session_id"].to_numpy(),
            "device": events["anonymous_id"].to_numpy(),
            "time": pd.DatetimeIndex(events["event_time"]),
        }
    )
    spans = frame.groupby(["person", "session"], sort=False).agg(
        device=("device", "first"), begins=("time", "min"), ends=("time", "max")
    )
    spans = spans.reset_index().sort_values(["person", "begins", "ends"], kind="stable", ignore_index=True)
    first = spans["session"].where(_begins(spans, gap)).ffill()
    visit = pd.Series(first.to_numpy(), index=pd.MultiIndex.from_frame(spans[["person", "session"]]))
    found = visit.reindex(pd.MultiIndex.from_frame(frame[["person", "session"]])).to_numpy()
    return pd.Series(found, index=events.index, name="visit_id", dtype="object")


def _begins(spans: pd.DataFrame, gap: pd.Timedelta) -> npt.NDArray[np.bool_]:
    """Tell which of each person's sessions, by begin, begin a visit."""
    person, device = codes(spans["person"]), codes(spans["device"])
    begins, ends = (
        pd.DatetimeIndex(spans[name]).as_unit("us").asi8.astype(np.int64) for name in ("begins", "ends")
    )
    limit = int(gap / pd.Timedelta(microseconds=1))
    found = np.ones(len(spans), dtype=bool)
    last = 0  # the session of this person that ends last so far
    for row in range(1, len(spans)):
        if person[row] == person[last]:
            found[row] = device[row] == device[last] or bool(begins[row] - ends[last] > limit)
        if found[row] or ends[row] >= ends[last]:
            last = row
    return found


def paths_of(events: pd.DataFrame, by: str, paths: str) -> npt.NDArray[np.int64]:
    """Return the number of the journey that each event is a step of; -1 for none.

    Parameters
    ----------
    events
        From `human_events`.
    by
        `person_id` or `anonymous_id`.
    paths
        `session`: a device's session, whoever is counted. `visit`: a person's, across devices; for devices a session.
        `stream`: all of a person's, or of a device's, events.
    """
    if paths not in PATHS:
        raise BadCallError.unknown("kind of path", paths, list(PATHS))
    unit = unit_of(events, by)
    if paths == "stream":
        return codes(unit)
    if paths == "session" or by == "anonymous_id":
        return codes(events["session_id"])
    visit = events["visit_id"] if "visit_id" in events else person_visits(events)
    found = codes(visit)
    known = found >= 0
    # people who share a session's device are on visits of their own
    both = codes(unit)[known] * (found.max(initial=0) + 1) + found[known]
    found[known] = pd.factorize(both)[0]
    return found


def arrivals(events: pd.DataFrame, by: str = "person_id") -> pd.DataFrame:
    """Return how each person arrived: by an AI answer if any of their events carries an AI engine.

    Clicks in AI overviews look like organic search (S6), so that `other` holds some of them.

    Returns
    -------
    pandas.DataFrame
        `unit`, `arrival` (`AI answer` or `other`).
    """
    engine = events["ai_engine"].notna() & (events["ai_engine"] != "site_assistant")
    by_unit = engine.astype(bool).groupby(unit_of(events, by).to_numpy()).any()
    return pd.DataFrame({"unit": by_unit.index, "arrival": np.where(by_unit, "AI answer", "other")})


def arrival_of(events: pd.DataFrame, by: str) -> npt.NDArray[np.object_]:
    """Return the arrival of whoever is counted, by event."""
    how = arrivals(events, by).set_index("unit")["arrival"]
    return how.reindex(unit_of(events, by).to_numpy()).to_numpy(dtype=object)
