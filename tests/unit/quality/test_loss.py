from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eventlib import quality
from eventlib.ledger import Entry, Ledger
from eventlib.quality.loss import clashes, lost, retries, sequence_gaps
from tests.factory import event, prepared


def stream(device: str, *numbers: int | None, source: str = "web") -> pd.DataFrame:
    frame = pd.DataFrame({"sequence": pd.array(list(numbers), dtype="Int64")})
    return frame.assign(source=source, anonymous_id=device)


def gaps(*streams: pd.DataFrame) -> Any:
    whole = [stream(f"whole-{n}", 1, 2, 3) for n in range(9)]
    found = sequence_gaps(pd.concat([*whole, *streams], ignore_index=True))
    return found.iloc[0] if len(found) else None


def test_numbers_between_first_and_last_are_missing():
    row = gaps(stream("a", 4, 5, 8, 9, 12))
    assert row[["devices", "events", "missing"]].tolist() == [10, 32, 4]
    assert row["share"] == pytest.approx(4 / 36)
    assert row["lower"] < 4 / 36 < row["upper"]


def test_a_restarted_count_a_swap_and_a_copy_lose_nothing():
    assert gaps(stream("a", 40, 41, 42, 1, 2, 3))["missing"] == 0
    assert gaps(stream("a", 7, 9, 8, 10))["missing"] == 0
    assert gaps(stream("a", 5, 5, 6, None, 7))["missing"] == 0
    assert gaps(stream("a", 40, 42, 1, 3))["missing"] == 2, "one before the restart, one after"


def test_under_ten_devices_nothing_is_said():
    assert sequence_gaps(pd.concat([stream(f"d-{n}", 1, 5) for n in range(9)])).empty


def test_numbers_that_are_no_count_are_told_by_their_gaps():
    row = gaps(stream("a", 1, 1_000_000))
    assert not row["is_counted"]
    assert lost(pd.DataFrame([row]), Ledger([Entry("read", 10, 10)])) is None


def test_what_this_run_removed_may_explain_what_is_missing():
    found = sequence_gaps(pd.concat([stream(f"d-{n}", 1, 2, 4) for n in range(10)]))
    ledger = Ledger(
        [Entry("read", 40, 37, {"broken_json": 3}), Entry("consent", 37, 35, {"C06_denied_then": 2})]
    )
    shares = lost(found, ledger)
    assert shares is not None
    assert shares == pytest.approx((5 / 40, (10 - 3 * 30 / 35) / 40, 10 / 40))


def test_the_interval_covers_what_devices_lose_by_whole_batches():
    """Devices lose batches: each with its own rate, so that events of one are alike."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(120):
        streams = []
        for device in range(60):
            kept = np.flatnonzero(rng.random(40) >= rng.beta(0.5, 9.5)) + 1
            numbers = np.union1d(kept, [1, 40])  # the ends are seen: else they would not show as gaps
            streams.append(stream(str(device), *numbers.tolist()))
        row = sequence_gaps(pd.concat(streams)).iloc[0]
        covered += row["lower"] <= 0.05 * 38 / 40 <= row["upper"]
    assert 0.82 <= covered / 120 <= 0.97


def test_different_events_under_one_id_are_counted_by_producer(tmp_path):
    first = event(0, event_id="e-same")
    other = event(1, event_id="e-same", url=None) | {"context": {"url": "https://www.example.org/b"}}
    other.pop("url")
    found = clashes(prepared(tmp_path, [first, other, event(2)]).events)
    assert found.to_numpy().tolist() == [["web", "page_view", 1]]


def verdict(tmp_path: Path, numbers: list[int], **fields: Any) -> tuple[str, str]:
    log = [event(n, anonymous_id=f"a-{d}", sequence=n, **fields) for d in range(12) for n in numbers]
    found = quality.assess(prepared(tmp_path, log)).verdicts.set_index("area")
    return str(found["verdict"]["loss"]), str(found["figure"]["loss"])


def test_lost_events_show_in_the_verdict(tmp_path):
    assert verdict(tmp_path, [1, 2, 3, 4]) == (
        "good",
        "0 % of the events' numbers are missing, 0 % more than was refused: lost before the log",
    )
    word, figure = verdict(tmp_path, [1, 2, 4, 5])
    assert word == "act"
    assert figure.startswith("20.0 % of the events' numbers are missing, 20.0 % more than was refused")


def test_copies_are_shown_where_the_run_counted_them():
    counted = [{"source": "web", "gap": "under 1 min", "events": 3}]
    assert retries({"duplicates": counted}).to_dict("records") == counted
    assert retries({}).empty
