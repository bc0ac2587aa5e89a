"""Small streams of people with devices, for tests of journeys."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from hypothesis import strategies as st

START = pd.Timestamp("2026-10-01", tz="UTC")
Row = tuple[str, str, str, float]


def stream(rows: Iterable[Row], engine: str | None = None) -> pd.DataFrame:
    """Events of (person, device, name, minutes); a device's sessions end with gaps of over 30 minutes."""
    frame = pd.DataFrame(rows, columns=["person_id", "anonymous_id", "event_name", "minutes"])
    frame = frame.astype({"minutes": float}).sort_values("minutes", kind="stable", ignore_index=True)
    frame["event_time"] = START + pd.to_timedelta(frame["minutes"], unit="min")
    begins = frame.groupby("anonymous_id")["minutes"].diff().gt(30).astype(int)
    number = begins.groupby(frame["anonymous_id"]).cumsum().astype(str)
    frame["session_id"] = frame["anonymous_id"] + "/" + number
    frame["ai_engine"] = pd.Series([engine] * len(frame), dtype="object")
    frame["agent"] = pd.Series([None] * len(frame), dtype="object")
    frame["allow_analytics"] = True
    return frame


def everyone(number: int, *steps: tuple[str, str, float], prefix: str = "p") -> list[Row]:
    """So many people who do the same: (device, name, minutes)."""
    return [
        (f"{prefix}{n}", f"{prefix}{n}-{device}", name, minutes)
        for n in range(number)
        for device, name, minutes in steps
    ]


def streams(*, devices: int, people: int = 25) -> st.SearchStrategy[pd.DataFrame]:
    """Any small stream of so many people with so many devices each, at whole minutes: several events may share one."""
    row = st.tuples(
        st.integers(0, people - 1), st.integers(0, devices - 1), st.sampled_from("abc"), st.integers(0, 200)
    )
    return st.lists(row, min_size=1, max_size=150).map(
        lambda rows: stream((f"p{p}", f"p{p}-{d}", name, float(at)) for p, d, name, at in rows)
    )
