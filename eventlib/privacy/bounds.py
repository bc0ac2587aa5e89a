"""How far the figures of other reports could move, had nobody been withheld.

Whoever is withheld is not seen, so no figure can be corrected for them without an assumption. Three answers, each with
less of one: weighted as jurisdictions are in the log; as if the withheld were like the least or most favourable
jurisdiction that is seen; whatever they did (Manski, American Economic Review 80(2), 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib import geo
from eventlib.cells import SMALL_CELL
from eventlib.geo.satisfaction import engine_visits
from eventlib.privacy.bias import clustered
from eventlib.privacy.segments import about_people, segment_of
from eventlib.privacy.stamped import asked_by, withheld_cells
from eventlib.small_cells import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlib.prepared import Prepared

__all__ = ["affected", "bounds", "unseen"]


def unseen(data: Prepared, purpose: str) -> float | None:
    """Return the share of events about people that may not be used for a purpose, withheld ones included; None without any."""
    people = about_people(data.events)
    withheld = sum(data.ledger.removed("consent").values())
    every = len(people) + withheld
    return 1 - int(people[f"allow_{purpose}"].sum()) / every if every else None


@dataclass(frozen=True)
class _Units:
    """What a figure is the share of: `yes`, `person`, `jurisdiction`, a row per unit."""

    figure: str
    report: str
    purpose: str
    rows: pd.DataFrame


def _visits(events: pd.DataFrame, purpose: str) -> pd.DataFrame:
    """Return events of people's sessions that allow a purpose, with `person` and `place`."""
    people = about_people(events)
    kept = people[people[f"allow_{purpose}"].astype(bool) & people["agent"].isna() & people["session_id"].notna()]  # fmt: skip
    return kept.assign(person=kept["person_id"].fillna(kept["device"]), place=segment_of(kept, "jurisdiction"))  # fmt: skip


def _sessions(visits: pd.DataFrame, of: str, yes: pd.Series[Any]) -> pd.DataFrame:
    """Return the sessions that hold an event of one name, and whether any of theirs is a yes."""
    by = visits.assign(of=visits["event_name"] == of, yes=yes).groupby("session_id")
    found = by.agg(of=("of", "any"), yes=("yes", "any"), person=("person", "first"), place=("place", "first"))
    return found[found["of"].astype(bool)]


def _units(events: pd.DataFrame) -> Iterator[_Units]:
    visits, trains = _visits(events, "analytics"), _visits(events, "training")
    name = visits["event_name"]
    from_ai = (name == "referral_land") & visits["ai_engine"].fillna(_OWN).ne(_OWN)
    rows = _sessions(visits, "page_view", from_ai)
    yield _Units("visits that AI answers elsewhere sent", "04", "analytics", rows)
    found = engine_visits(geo.read_frames(events))
    found = found[~found["engine"].str.startswith("search:")]
    place = dict(zip(visits["person"], visits["place"], strict=True))
    satisfied = pd.DataFrame({"yes": found["satisfied"], "person": found["person_id"]})
    satisfied["place"] = [place.get(person, "unknown") for person in satisfied["person"]]
    yield _Units("visits from AI that satisfied", "04", "analytics", satisfied)
    rows = _sessions(visits, "page_view", name == "conversion_complete")
    yield _Units("visits that convert", "03", "analytics", rows)
    rows = _sessions(trains, "citation_show", trains["event_name"] == "citation_click")
    yield _Units("visits that click a source they are shown", "06, 07", "training", rows)


def _places(data: Prepared, purpose: str) -> pd.Series[float]:
    """Return all events about people by jurisdiction, as the stamp tells them apart."""
    totals = asked_by(data.run, "jurisdiction")
    if len(totals):
        return totals.astype(float)
    kept = about_people(data.events)
    kept = kept[kept[f"allow_{purpose}"].astype(bool)]
    withheld = withheld_cells(data.run, "jurisdiction").groupby("segment")["events"].sum()
    return segment_of(kept, "jurisdiction").value_counts().astype(float).add(withheld, fill_value=0.0)


_COLUMNS: Final = [
    "figure", "report", "purpose", "units", "people", "kept", "lower", "upper", "not_seen", "weighted", "as_least", "as_most",
    "at_least", "at_most", "verdict",
]  # fmt: skip


def _bound(units: _Units, not_seen: float, places: pd.Series[float]) -> tuple[Any, ...] | None:
    rows = units.rows
    share, lower, upper, people = clustered(rows["yes"], rows["person"])
    if people < SMALL_CELL:
        return None
    place = rows["place"].where(rows["place"].isin(places.index), OTHER)
    seen = {name: clustered(part["yes"], part["person"])[0] for name, part in rows.groupby(place.to_numpy())}
    seen = {name: value for name, value in seen.items() if not np.isnan(value)}
    weights = places.reindex(list(seen)).fillna(0.0)
    total = float(weights.sum())
    weighted = float(np.dot(list(seen.values()), weights) / total) if total else np.nan
    least, most = min(seen.values(), default=share), max(seen.values(), default=share)
    as_least, as_most = (share * (1 - not_seen) + value * not_seen for value in (least, most))
    # whatever the others did, with the sampling error of those who are seen
    at_least, at_most = lower * (1 - not_seen), upper * (1 - not_seen) + not_seen
    verdict = _verdict(weighted, (lower, upper), (as_least, as_most))
    row = (len(rows), people, share, lower, upper, not_seen, weighted, as_least, as_most, at_least, at_most)
    return (units.figure, units.report, units.purpose, *row, verdict)


def _verdict(weighted: float, interval: tuple[float, float], as_seen: tuple[float, float]) -> str:
    lower, upper = interval
    if not np.isnan(weighted) and not lower <= weighted <= upper:
        return f"too {'high' if weighted < lower else 'low'}: weight it by jurisdiction"
    if as_seen[0] < lower or as_seen[1] > upper:
        return "holds if the withheld are like the rest of their jurisdiction"
    return "holds unless the withheld are unlike every jurisdiction seen"


def bounds(data: Prepared) -> pd.DataFrame:
    """Return how far shares in other reports could move, had nobody been withheld.

    Returns
    -------
    pandas.DataFrame
        `figure`, `report`, `purpose`, `units`, `people`; `kept` with `lower`, `upper` (90 %, people as clusters); `not_seen` (share of
        events about people that may not be used for the purpose; a unit is taken to be withheld as often as an
        event); `weighted` (jurisdictions as they are in the log); `as_least`, `as_most` (the others like the least and most
        favourable jurisdiction); `at_least`, `at_most` (whatever they did, widened by the interval); `verdict`. No row
        under ten people.
    """
    if data.events.empty:
        return pd.DataFrame(columns=_COLUMNS)
    rows = []
    for units in _units(data.events):
        not_seen = unseen(data, units.purpose)
        found = None if not_seen is None else _bound(units, not_seen, _places(data, units.purpose))
        if found is not None:
            rows.append(found)
    return pd.DataFrame(rows, columns=_COLUMNS)


_OWN: Final = "site_assistant"

_FIGURES: Final = (
    ("03", "people, and funnels of them", "analytics", "too low", "counts: who is not seen is not counted"),
    ("03", "identifiers per person", "identity", "too low", "without identity each device stands alone: people are over-counted"),
    ("03", "shares that convert", "analytics", "either way", "see the bounds"),
    ("04", "visits that AI answers sent", "analytics", "too low", "counts; the share: see the bounds"),
    ("04", "visits from AI that satisfied", "analytics", "either way", "see the bounds"),
    ("04", "our part of the cited words", "", "none", "of probes, which are about nobody (C00)"),
    ("05", "effects of edits on citations", "", "none", "of probes, which are about nobody (C00)"),
    ("05", "effects of edits on visits", "analytics", "either way", "biased only where consent changed with the edit"),
    ("06", "clicks that may train", "training", "too low", "counts: the gates ask for enough of them"),
    ("06", "more clicks with the champion", "training", "either way", "of those who allow training: weight by segment, above"),
    ("07", "signals that go out", "training", "either way", "follow 06"),
)  # fmt: skip


def affected(data: Prepared) -> pd.DataFrame:
    """Return which figures of the other reports miss somebody, how many events, and in which direction.

    Returns
    -------
    pandas.DataFrame
        `report`, `figure`, `needs` (the purpose that it stands on), `not_seen` (share of events about people), `direction`, `why`.
    """
    shares = {purpose: unseen(data, purpose) for purpose in ("analytics", "identity", "training")}
    rows = [
        (report, figure, needs or "nothing", shares[needs] if needs else 0.0, direction, why)
        for report, figure, needs, direction, why in _FIGURES
    ]
    return pd.DataFrame(rows, columns=["report", "figure", "needs", "not_seen", "direction", "why"])
