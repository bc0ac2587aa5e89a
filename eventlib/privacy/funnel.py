"""How many events consent was asked for, how many it left, and for what (S2.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.model import PURPOSES
from eventlib.privacy.segments import about_people, segment_of
from eventlib.privacy.stamped import asked_by, pooled_last, withheld_cells
from eventlib.quality.account import meaning
from eventlib.small_cells import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from eventlib.ledger import Ledger
    from eventlib.prepared import Prepared

__all__ = ["CURES", "asked", "by_segment", "decisions", "funnel", "rules_by_segment", "withdrawn", "withheld_by_rule"]  # fmt: skip

CURES: Final[Mapping[str, str]] = {
    "C01": "erased on request: nothing to do",
    "C02": "older than the policy keeps: nothing to do",
    "C03": "a known child: nothing to do",
    "C04": "mend the consent string at its producer (CMP, tag)",
    "C05": "an opt-out signal: respect it",
    "C06": "refused: respect it",
    "C07": "withdrawn since: review for erasure",
    "C08": "ask again: the grant ran out or its notice was superseded",
    "C09": "mend the producer: it states two things at one moment",
    "C13": "nothing was said: ask, send what was answered, or state a basis",
    "C14": "the purpose was not named: ask for it, or send the answer",
}
"""What can be done about each rule; a refusal is not cured."""


def withheld_by_rule(ledger: Ledger) -> pd.DataFrame:
    """Return the events that reach no file, by the rule that withheld them.

    Returns
    -------
    pandas.DataFrame
        `rule`, `meaning`, `events`, `share` (of all that consent was asked for), `cure`; most first.
    """
    every = max(asked(ledger), 1)
    rows = [
        (code[:3], meaning(code).removeprefix("consent: "), n, n / every, CURES.get(code[:3], ""))
        for code, n in ledger.removed("consent").items()
    ]
    frame = pd.DataFrame(rows, columns=["rule", "meaning", "events", "share", "cure"])
    return frame.sort_values("events", ascending=False, ignore_index=True, kind="stable")


def asked(ledger: Ledger) -> int:
    """Return how many events came to the consent stage."""
    return next((entry.rows_in for entry in ledger if entry.stage == "consent"), 0)


def funnel(data: Prepared) -> pd.DataFrame:
    """Return what became of the events that consent was asked for, down to each purpose.

    Returns
    -------
    pandas.DataFrame
        `step`, `events`, `share` (of those asked for).
    """
    ledger, events = data.ledger, data.events
    every = asked(ledger)
    passed = every - sum(ledger.removed("consent").values())
    steps = {
        "asked for consent": every,
        "may be used for something": passed,
        "kept (on time, once)": len(events),
    }
    steps |= {f"may be used for {p}": int(events[f"allow_{p}"].sum()) for p in PURPOSES}
    frame = pd.DataFrame(list(steps.items()), columns=["step", "events"])
    return frame.assign(share=frame["events"] / max(every, 1))


def by_segment(data: Prepared, by: str) -> pd.DataFrame:
    """Return the funnel of events about people by segment; what is too few to be told apart is one row (S7.10).

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    by
        `jurisdiction`, `source` or `week` (of arrival).

    Returns
    -------
    pandas.DataFrame
        `segment`, `asked`, `withheld`, `withheld_share`, `analytics`, `identity`, `training` (shares of those asked for that
        were kept and allow it). Empty where the stamp has no counts.
    """
    totals = asked_by(data.run, by)
    people = about_people(data.events)
    segment = segment_of(people, by)
    segment = segment.where(segment.isin(totals.index), OTHER)
    gone = withheld_cells(data.run, by).groupby("segment")["events"].sum().rename("withheld")
    frame = totals.to_frame("asked").join(gone).fillna({"withheld": 0}).astype({"withheld": int})
    frame["withheld_share"] = frame["withheld"] / frame["asked"]
    for purpose in PURPOSES[:3]:
        allowed = people[f"allow_{purpose}"].astype(int).groupby(segment.to_numpy()).sum()
        frame[purpose] = allowed.reindex(frame.index).fillna(0).astype(float) / frame["asked"]
    frame = frame.rename_axis("segment").reset_index()
    size = frame["segment"] if by == "week" else -frame["asked"]
    order = frame.assign(last=pooled_last(frame["segment"]), size=size).sort_values(["last", "size"], kind="stable")  # fmt: skip
    return order.drop(columns=["last", "size"]).reset_index(drop=True)


def rules_by_segment(run: Mapping[str, Any], by: str) -> pd.DataFrame:
    """Return withheld events, a row per segment and a column per rule; a missing cell is none, or pooled."""
    cells = withheld_cells(run, by)
    if cells.empty:
        return pd.DataFrame(columns=[by])
    named = cells.assign(rule=[rule if rule == OTHER else rule[:3] for rule in cells["rule"]])
    wide = named.pivot_table(index="segment", columns="rule", values="events", aggfunc="sum")
    wide = wide[sorted(wide.columns, key=lambda rule: (rule == OTHER, rule))]
    wide = wide.assign(all_rules=wide.sum(axis=1)).astype("Int64").rename_axis(by).reset_index()
    wide.columns.name = None
    order = wide.assign(last=pooled_last(wide[by])).sort_values(["last", "all_rules"], ascending=[True, False])  # fmt: skip
    frame: pd.DataFrame = order.drop(columns="last").reset_index(drop=True)
    return frame


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


def withdrawn(events: pd.DataFrame, ledger: Ledger) -> int:
    """Return how many events lost a purpose, or all, to a withdrawal (C07): those for erasure review."""
    withheld = sum(count for code, count in ledger.removed("consent").items() if code.startswith("C07"))
    return withheld + int(events["consent_rule"].str.contains("C07").sum())
