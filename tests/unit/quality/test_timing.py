from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from eventlib import quality
from tests.factory import event, prepared


def test_delays_tell_the_device_from_the_pipeline(tmp_path):
    late = event(0, delay=7200)
    waits = quality.delays(prepared(tmp_path, [late, *(event(n) for n in range(3))]).events)
    assert waits.groupby("delay")["share"].sum().tolist() == [1.0, 1.0]
    pipeline = waits[waits["delay"] == "pipeline"].set_index("band")["events"]
    assert pipeline["1 to 24 h"] == 1


def test_percentiles_are_by_producer_and_of_the_corrected_clock(tmp_path):
    right = [event(n, delay=1 + n / 10) for n in range(11)]
    wrong = [event(n, anonymous_id="a-2", source="app", skew=-7200, delay=2) for n in range(11)]
    found = quality.delay_percentiles(prepared(tmp_path, [*right, *wrong]).events).set_index(
        ["source", "delay"]
    )
    assert list(found.loc[("web", "pipeline"), ["p50_s", "p90_s", "max_s"]]) == pytest.approx([1.5, 1.9, 2.0])
    assert found.loc[("app", "pipeline"), "max_s"] == pytest.approx(0), "two hours are the clock's"
    assert found.loc[("web", "device"), "events"] == 11


def devices(count: int, prefix: str, **fields: Any) -> list[dict[str, Any]]:
    return [event(n, anonymous_id=f"{prefix}-{n}", **fields) for n in range(count)]


def test_clock_offsets_are_by_device_and_small_bands_are_left_out(tmp_path):
    log = [*devices(30, "right"), *devices(12, "wrong", skew=-7200), *devices(11, "minutes", skew=-300)]
    bands = quality.offset_bands(quality.clock_offsets(prepared(tmp_path, log).events))
    assert bands.set_index("offset")["devices"].to_dict() == {
        "under 1 s": 30,
        "1 to 60 min": 11,
        "1 to 24 h": 12,
    }
    few = [*devices(30, "right"), *devices(12, "wrong", skew=-7200), *devices(9, "minutes", skew=-300)]
    bands = quality.offset_bands(quality.clock_offsets(prepared(tmp_path, few).events))
    assert bands["offset"].tolist() == ["under 1 s"], (
        "nine are not shown, and could not be told from the rest"
    )


def test_a_device_whose_stretches_lie_apart_has_jumped():
    offsets = pd.DataFrame(
        {
            "device": ["a", "a", "b", "c", "c"],
            "offset_s": [0.1, 600.0, -90.0, 0.0, 30.0],
            "events": [5, 2, 3, 1, 1],
        }
    )
    assert quality.clock_summary(offsets) == {
        "devices": 3,
        "off": 2,
        "jumped": 1,
        "events": 12,
        "corrected": 5,
    }


def test_late_events_are_counted_by_day(tmp_path):
    log = [event(0, delay=7200), event(1), event(86400), event(86401)]
    found = quality.late_by_day(prepared(tmp_path, log).events)
    assert found[["events", "late", "share"]].to_numpy().tolist() == [[2, 1, 0.5], [2, 0, 0.0]]
