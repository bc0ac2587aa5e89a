"""What one would use instead to tell people apart, each in a few lines: a label per event, the same for the same person.

Frames have `anonymous_id, user_id, occurred_at`; a label is a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from eventlib.identifiers import is_junk

__all__ = ["PEERS", "alone", "by_identifier", "own_identifiers", "without_junk"]

Ints = npt.NDArray[np.int64]


def without_junk(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events without user ids that are on the list of S4.1."""
    junk = [user for user in events["user_id"].dropna().unique() if is_junk("user_id", str(user))]
    return events.assign(user_id=events["user_id"].mask(events["user_id"].isin(junk)))


def _codes(*columns: pd.Series) -> Ints:
    """Number values over several columns, from 0; null is -1. Values of different columns are different."""
    labels = columns[-1].where(columns[-1].isna(), "u:" + columns[-1].astype("str"))
    return np.asarray(pd.factorize(pd.concat([*columns[:-1], labels]))[0], dtype=np.int64)


def union_find(events: pd.DataFrame) -> Ints:
    """Whatever was seen in one event is one person, and so on without end."""
    device, user = _codes(events["anonymous_id"], events["user_id"]).reshape(2, -1)
    both = (device >= 0) & (user >= 0)
    size = int(max(device.max(initial=-1), user.max(initial=-1))) + 1
    seen = coo_array((np.ones(both.sum(), np.int8), (device[both], user[both])), shape=(size, size))
    component = connected_components(seen, directed=False)[1]
    return np.asarray(component[np.where(device >= 0, device, user)], dtype=np.int64)


def latest_user(events: pd.DataFrame) -> Ints:
    """Nobody is merged: an event is the latest user's who signed in on its device, else the device's."""
    ordered = events.sort_values("occurred_at", kind="stable")
    latest = ordered.groupby("anonymous_id", sort=False)["user_id"].ffill()
    return user_else_device(events.assign(user_id=events["user_id"].fillna(latest)))


def device_only(events: pd.DataFrame) -> Ints:
    """Each anonymous id is a person."""
    return _codes(events["anonymous_id"].fillna(events["user_id"]))


def user_else_device(events: pd.DataFrame) -> Ints:
    """An event is its user's, else its device's."""
    device, user = _codes(events["anonymous_id"], events["user_id"]).reshape(2, -1)
    return np.where(user >= 0, user, device)


PEERS: Final[dict[str, Callable[[pd.DataFrame], Ints]]] = {
    "naive union-find": union_find,
    "junk-filtered union-find": lambda events: union_find(without_junk(events)),
    "latest user": latest_user,
    "latest user, junk-filtered": lambda events: latest_user(without_junk(events)),
    "device only": device_only,
    "user else device": user_else_device,
}


def own_identifiers(events: pd.DataFrame) -> pd.DataFrame:
    """Return `row, identifier` (a number) and `true_person` of the events of identifiers that are one person's.

    Those that several people used have no true person, and are left out: events tell how they were dealt with.
    """
    columns = _codes(events["anonymous_id"], events["user_id"]).reshape(2, -1)
    row = np.tile(np.arange(len(events)), 2)
    seen = pd.DataFrame({"row": row, "identifier": columns.ravel()})[columns.ravel() >= 0]
    seen["true_person"] = events["true_person"].to_numpy()[seen["row"]]
    people = seen.drop_duplicates(["identifier", "true_person"]).groupby("identifier").size()
    return seen[seen["identifier"].isin(people[people == 1].index)]


def by_identifier(own: pd.DataFrame, labels: Ints) -> tuple[Ints, pd.Series]:
    """Return each identifier's label and true person, in the order of `identifier`.

    The label is that of most of its events (the lowest of equals), for every method alike.
    """
    many = int(labels.max(initial=0)) + 1
    pairs = own["identifier"].to_numpy() * many + labels[own["row"]]
    cells, count = np.unique(pairs, return_counts=True)
    order = np.lexsort((cells % many, -count, cells // many))
    first = np.unique((cells // many)[order], return_index=True)[1]
    true = own.drop_duplicates("identifier").sort_values("identifier")["true_person"]
    return np.asarray((cells % many)[order][first]), true


def alone(events: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which events are those of people none of whose devices anybody else uses."""
    device = events["device"] if "device" in events else events["anonymous_id"]
    shared = events.groupby(device)["true_person"].transform("nunique") > 1
    return ~events["true_person"].isin(events.loc[shared, "true_person"]).to_numpy()
