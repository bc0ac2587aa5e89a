"""What `run.json` counts of consent (`eventlib.consent_counts`), as frames; empty for a dataset that was stamped before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from eventlib.small_cells import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "CHANGES",
    "asked_by",
    "asked_total",
    "counted",
    "days_between",
    "pooled_last",
    "terms",
    "withheld_cells",
]

CHANGES: Final = ("granted", "refused", "withdrawn", "granted again")

_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "asked": ("by", "segment", "events"),
    "said": ("by", "segment", "said", "events"),
    "changes": ("purpose", "change", "week", "changes"),
    "grants": ("purpose", "state", "subjects"),
    "notices": ("notice", "events"),
}


def _frame(rows: object, columns: Sequence[str]) -> pd.DataFrame:
    kept = [row for row in rows if isinstance(row, dict) and set(columns) <= set(row)] if isinstance(rows, list) else []  # fmt: skip
    return pd.DataFrame([[row[name] for name in columns] for row in kept], columns=list(columns))


def counted(run: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Return one of the counts of a run stamp: `asked`, `said`, `changes`, `grants` or `notices`."""
    counts = run.get("consent")
    return _frame(counts.get(name) if isinstance(counts, dict) else None, _COLUMNS[name])


def asked_by(run: Mapping[str, Any], by: str) -> pd.Series[int]:
    """Return the events about people that consent was asked for, by segment."""
    frame = counted(run, "asked")
    rows = frame[frame["by"] == by]
    return pd.Series(rows["events"].to_list(), index=rows["segment"].to_list(), dtype="int64")


def withheld_cells(run: Mapping[str, Any], by: str) -> pd.DataFrame:
    """Return withheld events: `segment`, `rule`, `events`; `by` is jurisdiction, source or week of arrival."""
    frame = _frame(run.get("withheld"), ("by", "segment", "rule", "events"))
    return frame[frame["by"] == by].drop(columns="by").reset_index(drop=True)


def asked_total(run: Mapping[str, Any]) -> int | None:
    """Return how many events about somebody consent was asked for; None where the stamp does not say."""
    frame = counted(run, "asked")
    every = frame.loc[frame["by"] == "source", "events"]
    return int(every.sum()) if len(frame) else None


def terms(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the policy is stamped."""
    found = run.get("policy_terms")
    return found if isinstance(found, dict) else {}


def pooled_last(segments: pd.Series[str]) -> pd.Series[bool]:
    """Tell which segments are what was too few to be told apart, to sort them last."""
    return segments == OTHER


def days_between(run: Mapping[str, Any], day: str) -> int | None:
    """Return the days from the moment that the run looks back from to a day; None where that is not stamped."""
    parameters = run.get("parameters")
    moment = parameters.get("as_of") if isinstance(parameters, dict) else None
    if not moment:
        return None
    as_of = pd.Timestamp(moment).tz_convert(None) if pd.Timestamp(moment).tzinfo else pd.Timestamp(moment)
    return int((pd.Timestamp(day) - as_of.normalize()).days)
