"""Signs that a person is several people, one generator per sign; and who bears them, for a look by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.graph import Limits
from eventlib.intervals import wilson
from eventlib.people.known import Known

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

__all__ = ["SIGNS", "count_signs", "examples", "suspects"]

_AT_ONCE: Final = 3
_WINDOW: Final = "5min"
_BROWSERS: Final = 6
_LANDS: Final = 3
_PART: Final = 3
"""Identifiers on each side of a bridge that make it worth a look."""

Found = Mapping[str, str]
"""Person → what to look at."""


def _large(data: Prepared, _known: Known) -> Found:
    sizes = data.people.groupby("person_id").size()
    return {
        str(person): f"{size} identifiers"
        for person, size in sizes[sizes > Limits().component_flagged].items()
    }


def _accounts(data: Prepared, _known: Known) -> Found:
    users = data.people[data.people["namespace"] == "user_id"]
    names = users.groupby("person_id")["identifier"].agg(list)
    return {
        str(person): f"user ids {each[0]} and {each[1]}" for person, each in names.items() if len(each) > 1
    }


def _at_once(_data: Prepared, known: Known) -> Found:
    rows = known.events.dropna(subset=["device"])
    slot = rows["time"].dt.floor(_WINDOW)
    devices = rows.groupby(["person", slot])["device"].nunique()
    most = devices.groupby(level=0).max()
    return {str(person): f"{n} devices within five minutes" for person, n in most[most >= _AT_ONCE].items()}


def _browsers(_data: Prepared, known: Known) -> Found:
    kinds = known.events.groupby("person")["browser"].nunique()
    return {str(person): f"{n} browsers" for person, n in kinds[kinds >= _BROWSERS].items()}


def _lands(data: Prepared, _known: Known) -> Found:
    events = data.events
    rows = events[
        (events["allow_identity"].astype(bool) & events["jurisdiction"].notna()).to_numpy(dtype=bool)
    ]
    lands = rows.groupby("person_id")["jurisdiction"].agg(lambda each: sorted(set(each)))
    return {str(person): f"in {', '.join(each)}" for person, each in lands.items() if len(each) >= _LANDS}


def _bridges(data: Prepared, _known: Known) -> Found:
    """Return people whom one single event holds together."""
    used = data.evidence[data.evidence["refused_by"].isna()]
    neighbours: dict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(dict)
    columns = ("left_namespace", "left_identifier", "right_namespace", "right_identifier", "events")
    # a user's share of a shared device hangs on its user alone: it bridges nothing
    rows = used[used["rule"] != "shared_device"]
    for left_kind, left, right_kind, right, events in zip(*(rows[c].tolist() for c in columns), strict=True):
        one, other = (left_kind, left), (right_kind, right)
        neighbours[one][other] = neighbours[other][one] = neighbours[one].get(other, 0) + events
    persons = dict(
        zip(
            zip(data.people["namespace"], data.people["identifier"], strict=True),
            data.people["person_id"],
            strict=True,
        )
    )
    return {
        persons[one]: f"one event between {one[1]} and {other[1]}"
        for one, other in _weak(neighbours)
        if one in persons
    }


def _weak(
    neighbours: Mapping[tuple[str, str], Mapping[tuple[str, str], int]],
) -> Iterable[tuple[tuple[str, str], tuple[str, str]]]:
    """Yield the edges of one event without which a component falls into two parts of several identifiers (Tarjan 1974)."""
    order: dict[tuple[str, str], int] = {}
    low: dict[tuple[str, str], int] = {}
    size: dict[tuple[str, str], int] = {}
    for start in sorted(neighbours):
        if start in order:
            continue
        begun, found = len(order), []
        stack = [(start, start, iter(sorted(neighbours[start])))]
        order[start] = low[start] = begun
        size[start] = 1
        while stack:
            node, parent, rest = stack[-1]
            for other in rest:
                if other not in order:
                    order[other] = low[other] = len(order)
                    size[other] = 1
                    stack.append((other, node, iter(sorted(neighbours[other]))))
                    break
                if other != parent:
                    low[node] = min(low[node], order[other])
            else:
                stack.pop()
                if node != start:
                    low[parent] = min(low[parent], low[node])
                    size[parent] += size[node]
                    if low[node] > order[parent] and neighbours[node][parent] <= 1:
                        found.append((parent, node))
        whole = len(order) - begun
        yield from ((one, other) for one, other in found if _PART <= size[other] <= whole - _PART)


SIGNS: Final[Mapping[str, Callable[[Prepared, Known], Found]]] = {
    "over 50 identifiers": _large,
    "several accounts, linked": _accounts,
    "held together by one event": _bridges,
    "three devices at once": _at_once,
    "six browsers or more": _browsers,
    "three jurisdictions or more": _lands,
}
"""What may mean that a person is several people; none of it is proof."""


def _all(data: Prepared, known: Known) -> dict[str, Found]:
    return {name: sign(data, known) for name, sign in SIGNS.items()}


def count_signs(data: Prepared, known: Known) -> pd.DataFrame:
    """Return how many people bear each sign of being several.

    Returns
    -------
    pandas.DataFrame
        `sign`, `people`, `share` of all people with `lower` and `upper` (90 %, Wilson), `share of events`; null where under 10
        people bear it.
    """
    every = data.people["person_id"].nunique()
    of_person = data.events["person_id"].value_counts()
    rows = []
    for name, found in _all(data, known).items():
        events = int(of_person.reindex(list(found)).fillna(0).sum())
        rows.append((name, len(found), events / max(len(data.events), 1)))
    frame = pd.DataFrame(rows, columns=["sign", "people", "share of events"])
    frame["share"] = frame["people"] / max(every, 1)
    frame["lower"], frame["upper"] = wilson(frame["people"], [every] * len(frame))
    small = (frame["people"] > 0) & (frame["people"] < SMALL_CELL)
    frame["people"] = frame["people"].astype("Int64").mask(small)
    frame.loc[small, ["share", "lower", "upper", "share of events"]] = float("nan")
    return frame[["sign", "people", "share", "lower", "upper", "share of events"]]


def suspects(data: Prepared, known: Known) -> pd.DataFrame:
    """Return the people who bear signs of being several, those with the most signs and identifiers first.

    One row is about one person: for those who look after the data, not for a report.

    Returns
    -------
    pandas.DataFrame
        `person_id`, `identifiers`, `events`, `signs` (how many), `look at`.
    """
    why: dict[str, list[str]] = defaultdict(list)
    for found in _all(data, known).values():
        for person, text in found.items():
            why[person].append(text)
    sizes, events = data.people.groupby("person_id").size(), data.events["person_id"].value_counts()
    rows = [
        (person, int(sizes.get(person, 0)), int(events.get(person, 0)), len(texts), "; ".join(texts))
        for person, texts in why.items()
    ]
    rows.sort(key=lambda row: (-row[3], -row[1], row[0]))
    return pd.DataFrame(rows, columns=["person_id", "identifiers", "events", "signs", "look at"])


def examples(data: Prepared, most: int) -> pd.DataFrame:
    """Return the most suspicious people, to be checked by hand; none unless asked for.

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    most
        How many; 0 for a report that others read (S7.10).
    """
    return suspects(data, Known(data)).head(most)
