"""What people who sign in tell of those who do not: how often a device changes hands, and how many devices a person has.

Nothing here is evidence that two identifiers are one person (S4.2): it measures how far the merging can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.identity.aliases import aliases

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

__all__ = ["Known", "Ratio", "known_devices", "next_sign_in", "shared_sessions"]

_DRAWS: Final = 400


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of sums over units that are independent, such as people; null where under 10 of them stand behind it.

    Attributes
    ----------
    value, lower, upper : float or None
        With a 90 % interval.
    units : int
        How many units.
    """

    value: float | None
    lower: float | None
    upper: float | None
    units: int

    @classmethod
    def of(cls, top: npt.ArrayLike, bottom: npt.ArrayLike, seed: int = 0) -> Ratio:
        """Return sum(top) / sum(bottom), by a percentile bootstrap that draws units.

        Examples
        --------
        >>> Ratio.of([1] * 20, [2] * 20)
        Ratio(value=0.5, lower=0.5, upper=0.5, units=20)
        >>> Ratio.of([1], [2]).value is None
        True
        """
        up, down = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
        if len(up) < SMALL_CELL or not down.sum():
            return cls(None, None, None, len(up))
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(up), np.full(len(up), 1 / len(up)), size=_DRAWS)
        below = drawn @ down
        lower, upper = np.quantile((drawn @ up)[below > 0] / below[below > 0], [0.05, 0.95])
        return cls(float(up.sum() / down.sum()), float(lower), float(upper), len(up))


class Known:
    """The events that identity may look at, with what devices and users they name.

    Parameters
    ----------
    data
        What `eventlib.load` gives.

    Attributes
    ----------
    events : pandas.DataFrame
        `device`, `user` (null for none and for placeholders), `person`, `session`, `time`, `browser`, `shared` (whether the
        device has several users), by humans.
    """

    def __init__(self, data: Prepared) -> None:
        self.data = data
        people = data.people
        users = set(people.loc[people["namespace"] == "user_id", "identifier"])
        normal = aliases(data)
        several = people["rule"] == "shared_device"
        self.shared_devices = frozenset(people.loc[several, "identifier"])
        events = data.events
        some = events["allow_identity"].astype(bool) & events["agent"].isna() & events["person_id"].notna()
        kept = events[some.to_numpy(dtype=bool)]
        user = kept["user_id"].astype("object").replace(normal)
        self.events = pd.DataFrame(
            {
                "device": kept["anonymous_id"].astype("object").replace(normal).to_numpy(),
                "user": user.where(user.isin(users), None).to_numpy(),
                "person": kept["person_id"].astype("object").to_numpy(),
                "session": kept["session_id"].astype("object").to_numpy(),
                "time": pd.DatetimeIndex(kept["event_time"]),
                "browser": kept["user_agent"].astype("object").fillna("").to_numpy(),
            }
        )
        self.events["shared"] = self.events["device"].isin(self.shared_devices)

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """Sessions in which somebody signed in: `device`, `session`, `user` (the first), `users`, `time`; in order."""
        named = self.events.dropna(subset=["device", "user", "session"])
        grouped = named.groupby(["device", "session"], sort=False)
        found = grouped.agg(user=("user", "first"), users=("user", "nunique"), time=("time", "min"))
        return found.reset_index().sort_values(["device", "time"], kind="stable", ignore_index=True)


def next_sign_in(known: Known) -> Ratio:
    """Return how often the next sign-in on a device that one user alone has used so far is another user's.

    That is what the rule "a device with one user is that user's" risks each time: the device is shared, and what happened
    on it while nobody was signed in may have been somebody else's.

    Parameters
    ----------
    known
        What is known of sign-ins. A device counts until the second user comes; public devices, which are never taken for
        anybody's, do not count.
    """
    public = _public(known)
    rows = known.sessions[~known.sessions["device"].isin(public)]
    first = rows.groupby("device", sort=False)["user"].transform("first")
    other = (rows["user"] != first) | (rows["users"] > 1)
    before = other.astype(int).groupby(rows["device"], sort=False).cumsum() - other
    number = rows.groupby("device", sort=False).cumcount()
    asked = (before == 0) & (number > 0)
    per_device = pd.DataFrame({"device": rows["device"], "asked": asked, "other": asked & other})
    sums = per_device[asked].groupby("device")[["other", "asked"]].sum()
    return Ratio.of(sums["other"].to_numpy(), sums["asked"].to_numpy())


def _public(known: Known) -> set[str]:
    refused = known.data.refused_merges
    public = refused[refused["rule"] == "public_device"]
    return set(public["left_identifier"]) | set(public["right_identifier"])


def known_devices(known: Known) -> Ratio:
    """Return how many device ids a person who signs in has, of one browser each: 1 if cookies were never lost.

    Parameters
    ----------
    known
        What is known of sign-ins; shared devices are left out.
    """
    rows = known.events.dropna(subset=["device"])
    rows = rows[~rows["shared"]]
    signed_in = set(rows.dropna(subset=["user"])["person"])
    mine = rows[rows["person"].isin(signed_in)]
    per = mine.groupby(["person", "browser"])["device"].nunique().groupby("person").agg(["sum", "size"])
    return Ratio.of(per["sum"].to_numpy(), per["size"].to_numpy())


def left_over(known: Known) -> tuple[int, int]:
    """Return how many anonymous events stay with devices of several users, and how many such devices there are."""
    rows = known.events[known.events["shared"] & known.events["user"].isna()]
    users = known.events[known.events["shared"]].groupby("session")["user"].nunique()
    stays = rows[rows["session"].map(users).fillna(0) != 1]
    return len(stays), int(stays["device"].nunique())


_OUTCOMES: Final = {
    "the only user of the visit": "their events",
    "several users in the visit": "stay with the device",
    "nobody signed in": "stay with the device",
}


def shared_sessions(known: Known) -> pd.DataFrame:
    """Return whose the visits to shared devices are, where nobody is named.

    Returns
    -------
    pandas.DataFrame
        `visit` (who signed in), `anonymous events`, `share`, `go to`; visits to under 10 devices are left out.
    """
    rows = known.events[known.events["shared"] & known.events["session"].notna()]
    users = rows.groupby("session")["user"].nunique()
    names = list(_OUTCOMES)
    kind = rows["session"].map(users).map(lambda n: names[0] if n == 1 else names[1] if n else names[2])
    unnamed = rows[rows["user"].isna()].assign(visit=kind)
    found = unnamed.groupby("visit").agg(events=("session", "size"), devices=("device", "nunique"))
    found = found.reindex([name for name in names if name in found.index])
    found["share"] = found["events"] / max(len(unnamed), 1)
    shown = found[found["devices"] >= SMALL_CELL].reset_index()
    if len(shown) < len(found):  # one hidden row could be had from the total
        shown = shown[shown["events"] > shown["events"].min()] if len(shown) == len(found) - 1 else shown
    shown["go to"] = shown["visit"].map(_OUTCOMES)
    return shown.rename(columns={"events": "anonymous events"})[
        ["visit", "anonymous events", "share", "go to"]
    ]


def placeholder_share(data: Prepared) -> tuple[int, float | None]:
    """Return how many events came under a placeholder for a user id, and their share of those that name one.

    None where no event does, or under 10 devices sent placeholders.
    """
    refused: Any = data.refused_merges
    junk = refused[refused["rule"] == "junk_identifier"]
    events = int(junk["events"].sum())
    devices = junk.loc[junk["left_namespace"] == "anonymous_id", "left_identifier"].nunique()
    named = int(data.events["user_id"].notna().sum())
    if not named or 0 < devices < SMALL_CELL:
        return 0, None
    return events, events / named
