"""All that notebook 03 concludes of the merging: a verdict per area, with the figures behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.people.known import (
    Known,
    Ratio,
    known_devices,
    left_over,
    next_sign_in,
    placeholder_share,
    shared_sessions,
)
from eventlib.people.merged import people_range, refused_people
from eventlib.people.suspects import count_signs
from eventlib.quality.verdict import Finding, Limit, percent
from eventlib.quality.verdict import limits as read_limits
from eventlib.quality.verdict import verdicts as judged

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

__all__ = ["LIMITS", "Assessment", "assess"]

LIMITS: Final[Mapping[str, Limit]] = {
    "placeholders": Limit(0.005, 0.02),
    "devices that change hands": Limit(0.01, 0.05),
    "shared devices": Limit(0.05, 0.20),
    "suspicious people": Limit(0.01, 0.05),
    "lost cookies": Limit(0.10, 0.35),
    "never signed in": Limit(0.60, 0.95),
    "refused evidence": Limit(0.02, 0.10),
    "statements by hand": Limit(0.01, 0.50),
}
"""Shares by area; the defaults are habits of ours, not laws, and each run may set its own."""


@dataclass(frozen=True)
class Assessment:
    """What was found of the people of one prepared dataset.

    Attributes
    ----------
    verdicts
        One row per area, from `eventlib.quality.verdict.verdicts`.
    range
        From `people_range`.
    signs
        From `count_signs`.
    shared
        From `shared_sessions`.
    next_sign_in, devices
        From `known`.
    """

    verdicts: pd.DataFrame
    range: pd.DataFrame
    signs: pd.DataFrame
    shared: pd.DataFrame
    next_sign_in: Ratio
    devices: Ratio


def _between(ratio: Ratio) -> str:
    return f"{percent(ratio.value or 0.0)} (90 % interval {percent(ratio.lower or 0.0)} to {percent(ratio.upper or 0.0)})"


def _placeholders(data: Prepared) -> Finding:
    events, share = placeholder_share(data)
    if share is None:
        return Finding("placeholders", None, "no event names a user, or under 10 devices sent a placeholder")
    words = f"{events:,} events, {percent(share)} of those that name a user, name a placeholder such as null or guest"
    return Finding("placeholders", share, words if events else "no user id is a placeholder")


def _changing_hands(found: Ratio) -> Finding:
    if found.value is None:
        return Finding("devices that change hands", None, "under 10 devices were signed in to twice")
    words = f"on {found.units:,} devices that one user alone had signed in to, the next to do so was another in {_between(found)}"
    return Finding("devices that change hands", found.value, words)


def _shared(known: Known) -> Finding:
    unnamed = int((known.events["user"].isna() & known.events["device"].notna()).sum())
    if not unnamed:
        return Finding("shared devices", None, "every event names its user")
    stays, devices = left_over(known)
    if 0 < devices < SMALL_CELL:
        return Finding(
            "shared devices", None, "under 10 devices of several users have anonymous events of nobody's"
        )
    words = f"{stays:,} anonymous events, {percent(stays / unnamed)}, are on devices of several users and nobody's in particular"
    return Finding("shared devices", stays / unnamed, words)


def _suspicious(signs: pd.DataFrame) -> Finding:
    told = signs.dropna(subset=["share"])
    worst = told.sort_values("share of events", ascending=False, kind="stable").head(1)
    if worst.empty or not float(worst["share of events"].iloc[0]):
        return Finding(
            "suspicious people", 0.0, "no sign of several people in one, or of under 10 people each"
        )
    row = worst.iloc[0]
    words = f"{int(row['people']):,} people, with {percent(float(row['share of events']))} of the events: {row['sign']}"
    return Finding("suspicious people", float(row["share of events"]), words)


def _lost_cookies(found: Ratio) -> Finding:
    if found.value is None:
        return Finding("lost cookies", None, "under 10 people sign in on devices of their own")
    words = (
        f"people who sign in have {found.value:.2f} device ids per browser (90 % interval {found.lower:.2f} to {found.upper:.2f}): "
        "of those who never do, each is one more person"
    )
    return Finding("lost cookies", 1 - 1 / max(found.value, 1.0), words)


def _never_signed_in(data: Prepared) -> Finding:
    people = data.people
    every = people["person_id"].nunique()
    named = people.loc[people["namespace"] == "user_id", "person_id"].nunique()
    if 0 < named < SMALL_CELL or every - named < SMALL_CELL:
        return Finding("never signed in", None, "under 10 people sign in, or under 10 do not")
    words = f"{every - named:,} of {every:,} people, {percent(1 - named / every)}, have no user id: on two devices each is two"
    return Finding("never signed in", 1 - named / every, words)


def _refused(data: Prepared) -> Finding:
    evidence, refused = int(data.evidence["events"].sum()), int(data.refused_merges["events"].sum())
    if not evidence + refused:
        return Finding("refused evidence", None, "no two identifiers were seen together")
    if 0 < refused_people(data.refused_merges, data.people) < SMALL_CELL:
        return Finding("refused evidence", None, "refused between identifiers of under 10 people")
    share = refused / (evidence + refused)
    return Finding(
        "refused evidence",
        share,
        f"{refused:,} events, {percent(share)} of those that tie identifiers together, were not used",
    )


def _by_hand(data: Prepared) -> Finding:
    stated = data.run.get("manual_links")
    if not stated:
        return Finding("statements by hand", 0.0, "none were given")
    holds, expired = (sum(stated[name].values()) for name in ("in_force", "expired"))
    words = f"{holds:,} in force, {expired:,} expired: renew or remove those"
    return Finding(
        "statements by hand", expired / max(holds + expired, 1), words if expired else f"{holds:,} in force"
    )


def assess(data: Prepared, changed_limits: Sequence[str] = ()) -> Assessment:
    """Find out how far the merging can be trusted.

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    changed_limits
        Texts `area=look:act`, shares from 0 to 1.

    Raises
    ------
    BadCallError
        If one of the limits cannot be read.
    """
    held_against = read_limits(changed_limits, LIMITS)
    known = Known(data)
    changing, devices = next_sign_in(known), known_devices(known)
    shared, signs = shared_sessions(known), count_signs(data, known)
    found = [
        _placeholders(data),
        _changing_hands(changing),
        _shared(known),
        _suspicious(signs),
        _lost_cookies(devices),
        _never_signed_in(data),
        _refused(data),
        _by_hand(data),
    ]
    ranged = people_range(known, devices)
    return Assessment(judged(found, held_against), ranged, signs, shared, changing, devices)
