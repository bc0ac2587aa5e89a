"""How far a log can be trusted: its accounting, volume, delays, clocks and channels, as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import orjson
import pandas as pd

from eventlib.intervals import wilson

if TYPE_CHECKING:
    from eventlib.ledger import Ledger
    from eventlib.prepared import Prepared

__all__ = [
    "by_reason",
    "caveats",
    "channel_coverage",
    "clock_offsets",
    "daily_volume",
    "delays",
    "hidden",
    "ledger_frame",
    "offset_bands",
    "overview",
    "rejections",
    "session_sizes",
]

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


def rejections(quarantine: pd.DataFrame) -> pd.DataFrame:
    """Return the quarantine by code, event and place, most rows first.

    Returns
    -------
    pandas.DataFrame
        `code`, `reason`, `event_name`, `json_path`, `rows`.
    """
    keys = ["code", "event_name", "json_path"]
    counts = quarantine.groupby(keys, dropna=False).size().rename("rows").reset_index()
    counts.insert(1, "reason", [meaning(code) for code in counts["code"]])
    return counts.sort_values(["rows", "code"], ascending=[False, True], ignore_index=True)


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


def by_reason(rejected: pd.DataFrame, most: int = 15) -> pd.DataFrame:
    """Return rejections by reason alone, the rarest summed up as `other`; columns `reason`, `rows`."""
    counts = rejected.groupby("reason")["rows"].sum().sort_values(ascending=False)
    kept = counts.head(most)
    if len(counts) > most:
        kept["other"] = counts.iloc[most:].sum()
    return kept.reset_index()


def session_sizes(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return sessions by how many events they hold: `events` (a band), `sessions`, `share`."""
    labels = ["1", "2", "3 to 5", "6 to 10", "11 to 20", "21 to 50", "over 50"]
    bands = pd.cut(sessions["events"].astype(float), [0, 1, 2, 5, 10, 20, 50, np.inf], labels=labels)
    counts = bands.value_counts(sort=False).to_numpy()
    return pd.DataFrame({"events": labels, "sessions": counts, "share": counts / max(len(sessions), 1)})


_DELAY_EDGES: Final = (-np.inf, 0.1, 1, 10, 60, 600, 3600, 86400, np.inf)
_DELAY_LABELS: Final = (
    "under 0.1 s",
    "0.1 to 1 s",
    "1 to 10 s",
    "10 to 60 s",
    "1 to 10 min",
    "10 to 60 min",
    "1 to 24 h",
    "over 1 day",
)


def delays(events: pd.DataFrame) -> pd.DataFrame:
    """Return how long events waited on the device and in the pipeline (S3.2).

    Returns
    -------
    pandas.DataFrame
        `delay` (device: sent less occurred; pipeline: received less sent), `band`, `events`, `share`.
    """
    pairs = {"device": ("sent_at", "occurred_at"), "pipeline": ("received_at", "sent_at")}
    frames = []
    for name, (later, earlier) in pairs.items():
        seconds = (events[later] - events[earlier]).dropna().dt.total_seconds().astype(float)
        bands = pd.cut(seconds, list(_DELAY_EDGES), labels=list(_DELAY_LABELS))
        counts = bands.value_counts(sort=False)
        share = counts / max(int(counts.sum()), 1)
        frames.append(
            pd.DataFrame(
                {
                    "delay": name,
                    "band": list(_DELAY_LABELS),
                    "events": counts.to_numpy(),
                    "share": share.to_numpy(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def clock_offsets(events: pd.DataFrame) -> pd.DataFrame:
    """Return how far device clocks were off, one row per device and stretch of one offset (S3.1).

    Returns
    -------
    pandas.DataFrame
        `device`, `offset_s` (added to the device's time, seconds), `events`.
    """
    corrected = events[events["clock_method"] != "source"]
    device = corrected["anonymous_id"].fillna(corrected["user_id"])
    grouped = (
        corrected.groupby([device.rename("device"), "clock_offset_ms"]).size().rename("events").reset_index()
    )
    grouped["offset_s"] = grouped["clock_offset_ms"].astype(float) / 1000
    return grouped[["device", "offset_s", "events"]]


def offset_bands(offsets: pd.DataFrame) -> pd.DataFrame:
    """Return devices by their largest offset, from `clock_offsets`: `offset` (a band), `devices`, `share`."""
    labels = ["under 1 s", "1 to 60 s", "1 to 60 min", "1 to 24 h", "over 1 day"]
    largest = offsets["offset_s"].abs().groupby(offsets["device"]).max().astype(float)
    bands = pd.cut(largest, [-np.inf, 1, 60, 3600, 86400, np.inf], labels=labels)
    counts = bands.value_counts(sort=False).to_numpy()
    return pd.DataFrame({"offset": labels, "devices": counts, "share": counts / max(len(largest), 1)})


def _keyed(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    values = [orjson.loads(text).get(key) for text in rows["properties"]]
    times = pd.DatetimeIndex(rows["event_time"])
    frame = pd.DataFrame({"key": values, "channel": rows["channel"].to_numpy(), "time": times})
    return frame.dropna(subset=["key"]).drop_duplicates(["key", "channel"])


def channel_coverage(events: pd.DataFrame, tolerance: str = "10min") -> pd.DataFrame:
    """Compare what client and server report of the same action (S1.8).

    An action is the same where both name the object's own id (`conversion_id` of `conversion_complete`) and
    their times are within the tolerance. What only the server saw is what blockers, closed tabs and lost
    networks hide.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `matched`, `client_only`, `server_only`, `hidden_share` (server-only among all
        that the server saw) with `lower`, `upper` (90 % Wilson).
    """
    rows = []
    people = events[events["agent"].isna() & (events["anonymous_id"].notna() | events["user_id"].notna())]
    for name, part in people.groupby("event_name"):
        if part["channel"].nunique() < 2:
            continue
        keyed = _keyed(part, f"{str(name).split('_')[0]}_id")
        wide = keyed.pivot_table(index="key", columns="channel", values="time", aggfunc="min")
        if {"client", "server"} <= set(wide.columns):
            close = (wide["client"] - wide["server"]).abs() <= pd.Timedelta(tolerance)
            matched = int(close.sum())
            rows.append(
                (name, matched, *(int(wide[side].count()) - matched for side in ("client", "server")))
            )
    frame = pd.DataFrame(rows, columns=["event_name", "matched", "client_only", "server_only"])
    seen = frame["matched"] + frame["server_only"]
    frame["hidden_share"] = frame["server_only"] / seen.where(seen > 0)
    frame["lower"], frame["upper"] = wilson(frame["server_only"], seen)
    return frame


def hidden(coverage: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    """Return share and bounds of the action that the client hides most, from `channel_coverage`."""
    known = coverage.dropna(subset=["hidden_share"])
    if known.empty:
        return None, None, None
    row = known.sort_values("hidden_share").iloc[-1]
    return float(row["hidden_share"]), float(row["lower"]), float(row["upper"])


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
