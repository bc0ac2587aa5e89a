"""What came in, what was removed and under which reason, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL, hide_small_cells, merge_small_bands

if TYPE_CHECKING:
    from eventlib.ledger import Ledger
    from eventlib.prepared import Prepared

__all__ = [
    "caveats",
    "common_values",
    "daily_volume",
    "ledger_frame",
    "meaning",
    "of_many",
    "overview",
    "people",
    "session_sizes",
]

_MEANINGS: Final = {
    "blank_line": "an empty line",
    "feedback_event": "what eventlib itself told of a signal",
    "no_visitor": "a record of nobody: no device and no account",
    "no_visitor_from_ai": "a page request from an AI engine, of nobody",
    "log_header": "a header or a comment of a log",
    "malformed_request": "a request that is no HTTP",
    "other_method": "a request that gets no page: not GET",
    "health_check": "a health check",
    "asset_request": "a request of a file that is no page",
    "request_failed": "a request answered by a redirect or an error",
    "not_a_request": "not a line of an access log",
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
        `event_name`, `events`, `devices`, `people`, `sources`, `first`, `last`, most events first; events of under
        10 people are left out, and those of the next fewest with them; events about nobody are there.
    """
    grouped = events.groupby("event_name")
    units = _units(events).groupby(events["event_name"]).nunique()
    frame = grouped.agg(
        events=("event_id", "size"),
        devices=("anonymous_id", "nunique"),
        people=("person_id", "nunique"),
        first=("event_time", "min"),
        last=("event_time", "max"),
    ).reset_index()
    sources = {name: ", ".join(sorted(part.dropna().unique())) for name, part in grouped["source"]}
    frame.insert(4, "sources", [sources[name] for name in frame["event_name"]])
    shown, _ = hide_small_cells(frame.assign(units=frame["event_name"].map(units)), "units", nobody=True)
    return shown.drop(columns="units").sort_values("events", ascending=False, ignore_index=True)


def of_many(events: pd.DataFrame, *frames: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of frames with `event_name` whose events `overview` shows: those that ten people or more had."""
    names = overview(events)["event_name"]
    return [frame[frame["event_name"].isin(names)].reset_index(drop=True) for frame in frames]


def _units(events: pd.DataFrame) -> pd.Series[Any]:
    """Return who each event is about: the person where known, else the device; null is nobody."""
    return events["person_id"].astype("object").fillna(events["anonymous_id"].astype("object"))


def people(events: pd.DataFrame) -> int | None:
    """Return how many people there are, None for under 10 (S7.10)."""
    count = int(events["person_id"].nunique())
    return count if count >= SMALL_CELL else None


def common_values(events: pd.DataFrame, chosen: pd.DataFrame, most: int = 3) -> pd.DataFrame:
    """Return which values the properties of one event often have; what under 10 people sent is not told.

    Parameters
    ----------
    events
        A prepared dataset's events.
    chosen
        What `el.properties` gives of one event.
    most
        Values per property.

    Returns
    -------
    pandas.DataFrame
        `property`, `type`, `filled` (share of the events), `values` (how many different ones), `commonest` (those of 10
        people or more, or of 10 events about nobody).
    """
    rows = []
    for name in chosen.columns.difference(events.columns, sort=False):
        text = chosen[name].dropna().astype(str)
        counts = pd.DataFrame({"value": text, "unit": _units(chosen).reindex(text.index)}).groupby("value")[
            "unit"
        ]
        known = counts.agg(["size", "nunique"])
        enough = known["nunique"].where(known["nunique"] > 0, known["size"]) >= SMALL_CELL
        known = known[enough]
        top = known.sort_values("size", ascending=False, kind="stable").head(most).index
        said = ", ".join(str(value) for value in top)
        share = len(text) / max(len(chosen), 1)
        rows.append((name, str(chosen[name].dtype).split("[")[0].split("<")[0], share, text.nunique(), said))
    return pd.DataFrame(rows, columns=["property", "type", "filled", "values", "commonest"])


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
    """Return sessions by how many events they hold: `events` (bands, merged where under 10 people), `sessions`, `share`."""
    bands = [(1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (21, 50), (51, None)]
    sizes = sessions["events"].to_numpy(dtype=np.int64)
    band = np.searchsorted([low for low, _ in bands], sizes, side="right").astype(np.int64) - 1
    merged = merge_small_bands(band, _units(sessions).to_numpy(), bands)
    counts = [int(mine.sum()) for _, mine in merged]
    share = np.array(counts, dtype=np.float64) / max(len(sessions), 1)
    return pd.DataFrame({"events": [name for name, _ in merged], "sessions": counts, "share": share})


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
