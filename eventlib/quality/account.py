"""What came in, what was removed and under which reason, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from eventlib.ledger import Ledger
    from eventlib.prepared import Prepared

__all__ = ["caveats", "daily_volume", "ledger_frame", "meaning", "overview", "session_sizes"]

_MEANINGS: Final = {
    "blank_line": "an empty line",
    "broken_json": "not JSON",
    "broken_utf8": "not UTF-8",
    "duplicate_key": "an object has a key twice",
    "line_too_long": "a line over 1 MiB",
    "lone_surrogate": "half a character",
    "not_an_object": "JSON, but no object",
    "not_finite": "NaN or infinity",
    "integer_too_large": "a number that would lose digits",
    "unknown_event": "an event name that no schema knows",
    "unknown_version": "a schema version that is not known",
    "too_late": "over 3 days late",
    "future_time": "over 23 hours ahead of its arrival",
    "duplicate": "the same event again",
}


def meaning(code: str) -> str:
    """Return a removal code in words.

    Examples
    --------
    >>> meaning("schema_required"), meaning("C06_denied_then")
    ('breaks its schema: required', 'consent: denied then')
    """
    if code.startswith("schema_"):
        return f"breaks its schema: {code.removeprefix('schema_')}"
    if code[:1] == "C" and code[1:3].isdigit():
        return f"consent: {code[4:].replace('_', ' ')}"
    return _MEANINGS.get(code, code.replace("_", " "))


def ledger_frame(ledger: Ledger) -> pd.DataFrame:
    """Return the accounting, one row per stage and reason in order.

    Returns
    -------
    pandas.DataFrame
        `stage`, `code`, `reason` (in words), `rows` (removed), `share` (of all input rows).
    """
    total = max(ledger.rows_in, 1)
    removed = [
        (entry.stage, code, count) for entry in ledger for code, count in entry.removed.items() if count
    ]
    rows = [(stage, code, meaning(code), count, count / total) for stage, code, count in removed]
    return pd.DataFrame(rows, columns=["stage", "code", "reason", "rows", "share"])


def overview(events: pd.DataFrame) -> pd.DataFrame:
    """Return what each event is: how many, from which sources, first to last, on how many devices and people.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `events`, `devices`, `people`, `sources`, `first`, `last`, most events first.
    """
    grouped = events.groupby("event_name")
    frame = grouped.agg(
        events=("event_id", "size"),
        devices=("anonymous_id", "nunique"),
        people=("person_id", "nunique"),
        first=("event_time", "min"),
        last=("event_time", "max"),
    ).reset_index()
    sources = {name: ", ".join(sorted(part.dropna().unique())) for name, part in grouped["source"]}
    frame.insert(4, "sources", [sources[name] for name in frame["event_name"]])
    return frame.sort_values("events", ascending=False, ignore_index=True)


def daily_volume(events: pd.DataFrame, by: str = "source") -> pd.DataFrame:
    """Return events per UTC day and source, days without events as 0.

    Returns
    -------
    pandas.DataFrame
        `day` (midnight UTC), the column `by`, `events`.
    """
    if events.empty:
        return pd.DataFrame(
            {
                "day": pd.Series(dtype="datetime64[us]"),
                by: pd.Series(dtype=str),
                "events": pd.Series(dtype=int),
            }
        )
    day = pd.DatetimeIndex(events["event_time"]).tz_localize(None).floor("D")
    keys = events[by].fillna("unknown").astype(str).to_numpy()
    counts = pd.crosstab(day, keys)
    counts = counts.reindex(pd.date_range(counts.index.min(), counts.index.max(), freq="D"), fill_value=0)
    counts.index.name = "day"
    return (
        counts.reset_index()
        .melt("day", var_name=by, value_name="events")
        .sort_values(["day", by], ignore_index=True)
    )


def session_sizes(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return sessions by how many events they hold: `events` (a band), `sessions`, `share`."""
    labels = ["1", "2", "3 to 5", "6 to 10", "11 to 20", "21 to 50", "over 50"]
    bands = pd.cut(sessions["events"].astype(float), [0, 1, 2, 5, 10, 20, 50, np.inf], labels=labels)
    counts = bands.value_counts(sort=False).to_numpy()
    return pd.DataFrame({"events": labels, "sessions": counts, "share": counts / max(len(sessions), 1)})


def caveats(prepared: Prepared) -> list[str]:
    """Return what a reader must know before using any figure of this dataset, in words.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from eventlib.ledger import Entry, Ledger
    >>> ledger = Ledger([Entry("read", 100, 90, {"broken_json": 10}), Entry("consent", 90, 90)])
    >>> caveats(SimpleNamespace(ledger=ledger))
    ['10.0 % of the records were rejected, most as broken_json: see the event quality report.']
    """
    ledger = prepared.ledger
    if not ledger.rows_out:
        return ["No event was kept: every figure here is empty."]
    said = []
    for removed, least, words, where in (
        (ledger.rejected, 0.05, "rejected", "event quality"),
        (ledger.removed("consent"), 0.20, "withheld for lack of consent", "consent and privacy"),
    ):
        share = sum(removed.values()) / max(ledger.rows_in - ledger.skipped, 1)
        if share >= least:
            most = max(removed, key=lambda code: removed[code])
            said.append(f"{share:.1%} of the records were {words}, most as {most}: see the {where} report.")
    return [text.replace("%", " %", 1) for text in said]
