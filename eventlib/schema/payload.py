"""What the payload costs and what of it says nothing: what to stop sending (S1.7)."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = ["names_read", "over_tracking", "payload_frame", "to_stop"]

_READERS: Final = (
    "consent",
    "identity",
    "geo",
    "ranking",
    "signals",
    "exposure.py",
    "journeys.py",
    "sessions.py",
)
_SAMPLE: Final = 200_000
_COLUMNS: Final = [
    "event_name",
    "property",
    "events",
    "bytes",
    "null_share",
    "top_share",
    "distinct_share",
    "is_read",
]


@cache
def names_read() -> frozenset[str]:
    """Return the text constants of the code that analyses events; other properties are read by none."""
    package = Path(__file__).resolve().parent.parent
    readers = [package / name for name in _READERS]
    files = [file for path in readers for file in ([path] if path.suffix else path.rglob("*.py"))]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return frozenset(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@dataclass(slots=True)
class _Tally:
    """What one property of one event held."""

    size: int = 0
    present: int = 0
    seen: Counter[bytes] = field(default_factory=Counter)


def _tally(texts: Iterable[tuple[str, str]]) -> tuple[dict[tuple[str, str], _Tally], Counter[str]]:
    tallies: dict[tuple[str, str], _Tally] = defaultdict(_Tally)
    events: Counter[str] = Counter()
    for name, text in texts:
        events[name] += 1
        for key, value in orjson.loads(text).items():
            raw = orjson.dumps(value)
            tally = tallies[name, key]
            tally.size += len(raw) + len(key) + 4  # quotes, colon and comma travel too
            if value is not None:
                tally.present += 1
                tally.seen[raw] += 1
    return tallies, events


def payload_frame(events: pd.DataFrame, sample: int = _SAMPLE) -> pd.DataFrame:
    """Return what each property of each event costs and says, largest first.

    Parameters
    ----------
    events
        A prepared dataset's events.
    sample
        At most about so many events are read, every n-th one, and counts scaled up.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `property`, `events` (that could carry it), `bytes` (JSON of all events), `null_share`
        (null or absent), `top_share` (most frequent value among those present), `distinct_share` (distinct
        values among those present), `is_read` (some analysis of ours reads it).
    """
    import pandas as pd  # noqa: PLC0415 - the schema package itself needs no frames

    step = max(1, -(-len(events) // sample))
    part = events.iloc[::step]
    tallies, volumes = _tally(zip(part["event_name"], part["properties"].fillna("{}"), strict=True))
    rows = []
    for (name, key), tally in tallies.items():
        top = max(tally.seen.values(), default=0)
        present = max(tally.present, 1)
        shares = (1 - tally.present / volumes[name], top / present, len(tally.seen) / present)
        rows.append((name, key, volumes[name] * step, tally.size * step, *shares, key in names_read()))
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return frame.sort_values(
        ["bytes", "event_name", "property"], ascending=[False, True, True], ignore_index=True
    )


def _reason(row: Any) -> str:
    if row.null_share == 1:
        return "always null"
    if row.top_share == 1 and row.events >= 20 and row.null_share == 0:
        return "always the same value"
    if not row.is_read:
        return "near-unique and read by no analysis" if row.distinct_share > 0.95 else "read by no analysis"
    return ""


def to_stop(payload: pd.DataFrame, keep: Iterable[str] = ("observation",)) -> pd.DataFrame:
    """Return what could be stopped, most bytes first, each with the reason.

    Parameters
    ----------
    payload
        From `payload_frame`.
    keep
        Properties that are needed even where they are constant; `observation` says what must never be pooled.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `property`, `reason`, `bytes`, `bytes_share` (of all property bytes), `null_share`.
    """
    total = max(int(payload["bytes"].sum()), 1)
    reasons = [_reason(row) for row in payload.itertuples()]
    found = payload.assign(reason=reasons, bytes_share=payload["bytes"] / total)
    found = found[(found["reason"] != "") & ~found["property"].isin(list(keep))]
    return found[["event_name", "property", "reason", "bytes", "bytes_share", "null_share"]].reset_index(
        drop=True
    )


def over_tracking(events: pd.DataFrame, burst_ms: int = 1000) -> pd.DataFrame:
    """Return per event how much of its volume repeats what the same device has just said.

    A burst is a row that follows one of the same device, channel, event and properties within `burst_ms`.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `events`, `events_share`, `burst_events`, `burst_share`, `bytes` (of the properties).
    """
    import pandas as pd  # noqa: PLC0415 - as above

    device = events["anonymous_id"].fillna(events["user_id"])
    known = events.assign(device=device, size=events["properties"].str.len())[
        ["event_name", "channel", "device", "properties", "event_time", "size"]
    ]
    ordered = known.dropna(subset=["device"]).sort_values(
        ["device", "event_name", "channel", "event_time"], kind="stable"
    )
    said = ordered[["device", "event_name", "channel", "properties"]]
    same = (said == said.shift()).all(axis=1)
    gap = ordered["event_time"].diff() <= pd.Timedelta(milliseconds=burst_ms)
    bursts = ordered[same.fillna(value=False) & gap.fillna(value=False)]["event_name"].value_counts()
    volume = (
        known.groupby("event_name").agg(events=("event_name", "size"), bytes=("size", "sum")).reset_index()
    )
    volume["burst_events"] = [int(bursts.get(name, 0)) for name in volume["event_name"]]
    volume["burst_share"] = volume["burst_events"] / volume["events"]
    volume["events_share"] = volume["events"] / max(len(events), 1)
    columns = ["event_name", "events", "events_share", "burst_events", "burst_share", "bytes"]
    return volume[columns].sort_values("events", ascending=False, ignore_index=True)
