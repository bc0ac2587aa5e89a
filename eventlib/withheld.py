"""What consent removed and what it left: by rule, by jurisdiction, and the bias that follows (S2.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.errors import BadCallError
from eventlib.intervals import wilson
from eventlib.model import PURPOSES
from eventlib.quality import meaning

if TYPE_CHECKING:
    from eventlib.ledger import Ledger

__all__ = [
    "allowed",
    "allowed_by_jurisdiction",
    "composition",
    "decisions",
    "withdrawn",
    "withheld_by_rule",
    "withheld_by_segment",
]

MIN_PEOPLE: Final = 10
"""Under so many distinct people nothing is shown (S7.10)."""


def withheld_by_rule(ledger: Ledger) -> pd.DataFrame:
    """Return the events that reach no file, by the rule that withheld them.

    Returns
    -------
    pandas.DataFrame
        `rule`, `meaning`, `events`, `share` (of the events that consent was asked for), most first.
    """
    entry = next((entry for entry in ledger if entry.stage == "consent"), None)
    removed = dict(entry.removed) if entry else {}
    asked = max(entry.rows_in, 1) if entry else 1
    rows = [
        (code[:3], meaning(code).removeprefix("consent: "), count, count / asked)
        for code, count in removed.items()
        if count
    ]
    frame = pd.DataFrame(rows, columns=["rule", "meaning", "events", "share"])
    return frame.sort_values("events", ascending=False, ignore_index=True)


def withheld_by_segment(run: dict[str, object]) -> pd.DataFrame:
    """Return withheld events by jurisdiction and rule, where the run stamp counts them; empty otherwise.

    Returns
    -------
    pandas.DataFrame
        `segment`, `rule`, `events`.
    """
    counted = run.get("withheld")
    rows = counted if isinstance(counted, list) else []
    frame = pd.DataFrame(rows, columns=["by", "segment", "rule", "events"])
    return frame[frame["by"] == "jurisdiction"].drop(columns="by").reset_index(drop=True)


def decisions(events: pd.DataFrame) -> pd.DataFrame:
    """Return how the kept events were decided, purpose by purpose.

    Returns
    -------
    pandas.DataFrame
        `purpose`, `rule`, `allowed`, `events`, `share` (of the kept events).
    """
    rules = (
        events["consent_rule"].str.split(" ", expand=True).astype("object") if len(events) else pd.DataFrame()
    )
    frames = []
    for index, purpose in enumerate(PURPOSES):
        if index in rules:
            part = pd.DataFrame({"rule": rules[index], "allowed": events[f"allow_{purpose}"].astype(bool)})
            counts = part.groupby(["rule", "allowed"]).size().rename("events").reset_index()
            frames.append(counts.assign(purpose=purpose, share=counts["events"] / len(events)))
    columns = ["purpose", "rule", "allowed", "events", "share"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _personal(events: pd.DataFrame) -> pd.DataFrame:
    """Rows about a person: impersonal ones (C00) have no consent to speak of, agents are not people."""
    return events[~events["consent_rule"].str.startswith("C00") & events["agent"].isna()]


def _latest_of_devices(events: pd.DataFrame) -> pd.DataFrame:
    device = events["anonymous_id"].fillna(events["user_id"])
    return (
        _personal(events.assign(device=device))
        .dropna(subset=["device"])
        .drop_duplicates("device", keep="last")
    )


def allowed(events: pd.DataFrame, purpose: str) -> tuple[float | None, float | None, float | None]:
    """Return the share of kept devices whose latest event allows a purpose, with its 90 % Wilson bounds.

    Raises
    ------
    BadCallError
        There is no such purpose.
    """
    if purpose not in PURPOSES:
        raise BadCallError.unknown("purpose", purpose, PURPOSES)
    latest = _latest_of_devices(events)
    if len(latest) < MIN_PEOPLE:
        return None, None, None
    yes = int(latest[f"allow_{purpose}"].sum())
    lower, upper = wilson([yes], [len(latest)])
    return yes / len(latest), float(lower[0]), float(upper[0])


def withdrawn(events: pd.DataFrame, ledger: Ledger) -> int:
    """Return how many events lost a purpose, or all, to a withdrawal (C07): those for erasure review."""
    withheld = sum(count for code, count in ledger.removed("consent").items() if code.startswith("C07"))
    return withheld + int(events["consent_rule"].str.contains("C07").sum())


def allowed_by_jurisdiction(events: pd.DataFrame) -> pd.DataFrame:
    """Return the share of kept devices that allow each purpose, by jurisdiction, small cells left out.

    A device allows a purpose if its latest event does.

    Returns
    -------
    pandas.DataFrame
        `jurisdiction`, `purpose`, `devices`, `share`, `lower`, `upper` (90 % Wilson).
    """
    latest = _latest_of_devices(events)
    latest = latest.assign(jurisdiction=latest["jurisdiction"].fillna("unknown"))
    rows = []
    for jurisdiction, part in latest.groupby("jurisdiction"):
        rows += [
            (jurisdiction, purpose, len(part), int(part[f"allow_{purpose}"].sum())) for purpose in PURPOSES
        ]
    frame = pd.DataFrame(rows, columns=["jurisdiction", "purpose", "devices", "allowed"])
    frame = frame[frame["devices"] >= MIN_PEOPLE].reset_index(drop=True)
    frame["share"] = frame["allowed"] / frame["devices"]
    frame["lower"], frame["upper"] = wilson(frame["allowed"], frame["devices"])
    return frame.drop(columns="allowed")


def composition(events: pd.DataFrame, purpose: str) -> pd.DataFrame:
    """Compare who is in the kept events with who is left for a purpose: the bias that consent leaves.

    Jurisdictions with under 10 devices are left out.

    Returns
    -------
    pandas.DataFrame
        `jurisdiction`, `kept_share`, `allowed_share` (each adds up to 1 over jurisdictions), `ratio` (under 1
        means that the jurisdiction is heard less than it is there).
    """
    people = _personal(events)
    people = people.assign(jurisdiction=people["jurisdiction"].fillna("unknown"))
    enough = people.groupby("jurisdiction")["anonymous_id"].nunique() >= MIN_PEOPLE
    people = people[people["jurisdiction"].isin(enough.index[enough])]
    jurisdiction = people["jurisdiction"]
    kept = jurisdiction.value_counts(normalize=True)
    allowed = jurisdiction[people[f"allow_{purpose}"].astype(bool)].value_counts(normalize=True)
    frame = (
        pd.DataFrame({"kept_share": kept, "allowed_share": allowed})
        .astype(float)
        .fillna(0.0)
        .rename_axis("jurisdiction")
        .reset_index()
    )
    frame["ratio"] = frame["allowed_share"] / frame["kept_share"]
    return frame.sort_values("kept_share", ascending=False, ignore_index=True)
