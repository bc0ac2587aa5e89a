"""Whom a kept event is of: its device, and the segments that reports compare."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SEGMENTS", "about_people", "segment_of"]

SEGMENTS: Final[Mapping[str, str]] = {
    "jurisdiction": "jurisdiction",
    "source": "source",
    "week": "week of arrival",
    "engine": "AI engine",
    "device": "device",
}
"""Segments, and what a reader calls them; of withheld events only the first three are counted."""

_DEVICES: Final = (
    ("iPad|Tablet|Android(?!.*Mobile)", "tablet"),
    ("Mobi|iPhone|Android", "phone"),
    ("Windows NT|Macintosh|X11|CrOS", "computer"),
)


def about_people(events: pd.DataFrame) -> pd.DataFrame:
    """Return the rows about somebody, with `device`: impersonal ones (C00) have no consent to speak of."""
    device = events["anonymous_id"].fillna(events["user_id"])
    frame = events.assign(device=device)
    return frame[~frame["consent_rule"].str.startswith("C00").fillna(value=False).astype(bool)]


def _first_known(events: pd.DataFrame, key: str, value: pd.Series[str]) -> pd.Series[str]:
    """Give every event what is first known of its device or session."""
    known = pd.DataFrame({"key": events[key], "value": value}).dropna().drop_duplicates("key")
    of = dict(zip(known["key"], known["value"], strict=True))
    return pd.Series([of.get(item) for item in events[key]], index=events.index, dtype="object")


def _kind(agent: str) -> str:
    return next((name for pattern, name in _DEVICES if re.search(pattern, agent)), "other")


def _kinds(agents: pd.Series[str]) -> pd.Series[str]:
    return agents.map({text: _kind(text) for text in agents.dropna().unique()})


def segment_of(people: pd.DataFrame, by: str) -> pd.Series[str]:
    """Return the segment of each event.

    Parameters
    ----------
    people
        From `about_people`.
    by
        One of `SEGMENTS`.

    Raises
    ------
    BadCallError
        If there is no such kind of segment.
    """
    if by not in SEGMENTS:
        raise BadCallError.unknown("kind of segment", by, SEGMENTS)
    if by == "week":
        arrived = pd.DatetimeIndex(people["received_at"]).tz_localize(None)
        weeks = arrived.to_period("W").start_time.strftime("%Y-%m-%d")
        return pd.Series(weeks, index=people.index, dtype="object")
    if by == "engine":
        return _first_known(people, "session_id", people["ai_engine"]).fillna("none known")
    if by == "device":
        return _first_known(people, "device", _kinds(people["user_agent"])).fillna("not known")
    return people[by].astype("object").fillna("unknown")
