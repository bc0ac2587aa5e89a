from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eventlib import quality
from eventlib.errors import BadCallError
from tests.factory import event, prepared

BROWSERS = {
    "Firefox": "Mozilla/5.0 Gecko/20100101 Firefox/140.0",
    "Edge": "Mozilla/5.0 Chrome/141.0 Safari/537 Edg/141.0",
}


def sent(number: int, channel: str, seconds: float, **fields: Any) -> dict[str, Any]:
    said = {"observation": "owned", "conversion_id": f"c-{number}", "conversion_type": "order"}
    made = event(seconds, name="conversion_complete", properties=said, channel=channel, source=channel)
    return {**made, "anonymous_id": f"a-{number}", **fields}


def actions(hidden: list[int], seen: list[int]) -> pd.DataFrame:
    """Return one person's worth of actions per number: how many were hidden and how many seen."""
    server = pd.Timestamp("2026-10-01T12:00Z")
    rows = [
        ("order_pay", f"{person}-{n}", person, None if n < lost else server, server)
        for person, (lost, kept) in enumerate(zip(hidden, seen, strict=True))
        for n in range(lost + kept)
    ]
    frame = pd.DataFrame(rows, columns=["event_name", "key", "person", "client", "server"])
    times = {name: pd.to_datetime(frame[name], utc=True) for name in ("client", "server")}
    return frame.assign(browser="Firefox", engine="none", week=pd.Timestamp("2026-09-28"), **times)


def test_client_and_server_are_matched_by_the_objects_own_id(tmp_path: Path):
    both = [
        sent(n, channel, n + (0 if channel == "client" else 3))
        for n in range(8)
        for channel in ("client", "server")
    ]
    only_server = [sent(n, "server", n) for n in range(20, 24)]
    far_apart = [sent(30, "client", 0), sent(30, "server", 3600)]
    events = prepared(tmp_path, [*both, *only_server, *far_apart, sent(40, "client", 9)]).events
    found = quality.reported_actions(events)
    assert len(found) == 14
    row = quality.channel_coverage(found).iloc[0]
    assert row[["event_name", "people", "matched", "client_only", "server_only"]].tolist() == [
        "conversion_complete",
        13,
        8,
        2,
        5,
    ]
    assert row["hidden_share"] == pytest.approx(5 / 13)
    share, lower, upper = quality.hidden(quality.channel_coverage(found))
    assert share is not None
    assert lower is not None
    assert upper is not None
    assert lower < share < upper
    moved = quality.tolerances(found, ["1s", "1min", "2h"]).set_index("tolerance")["matched"]
    assert moved.to_dict() == {"1s": 0, "1min": 8, "2h": 9}
    with pytest.raises(BadCallError, match="'soon' is no length of time"):
        quality.channel_coverage(found, "soon")


def test_what_one_channel_alone_reports_is_no_comparison(tmp_path: Path):
    found = quality.reported_actions(prepared(tmp_path, [event(), sent(1, "server", 5)]).events)
    assert found.empty
    assert quality.channel_coverage(found).empty
    assert quality.coverage_by(found).empty
    assert quality.hidden(quality.channel_coverage(found)) == (None, None, None)


def test_under_ten_people_nothing_is_shown():
    assert quality.channel_coverage(actions([1] * 9, [9] * 9)).empty
    assert quality.channel_coverage(actions([1] * 10, [9] * 10))["hidden_share"].tolist() == [0.1]


def test_the_interval_is_of_people_not_of_actions():
    alike = quality.channel_coverage(actions([20] * 2 + [0] * 18, [0] * 2 + [20] * 18)).iloc[0]
    apart = quality.channel_coverage(actions([1, 3] * 10, [19, 17] * 10)).iloc[0]
    assert alike["hidden_share"] == apart["hidden_share"] == 0.1
    assert alike["upper"] - alike["lower"] > 0.2, "two blockers among twenty people"
    assert apart["upper"] - apart["lower"] < 0.05


def test_the_interval_covers_where_blockers_hide_all_that_a_person_does():
    rng = np.random.default_rng(3)
    truth, covered, naive = 0.12, 0, 0
    for _ in range(300):
        count = rng.geometric(0.25, 150)
        is_blocked = rng.random(150) < truth
        found = quality.channel_coverage(
            actions(np.where(is_blocked, count, 0).tolist(), np.where(is_blocked, 0, count).tolist())
        ).iloc[0]
        covered += found["lower"] <= truth <= found["upper"]
        share, n = found["hidden_share"], count.sum()
        naive += abs(share - truth) <= 1.645 * np.sqrt(share * (1 - share) / n)
    assert 0.84 <= covered / 300 <= 0.96
    assert naive / 300 < 0.75, "what an interval of actions would cover"


def test_segments_come_from_what_else_the_device_said(tmp_path: Path):
    log: list[dict[str, Any]] = []
    for n in range(24):
        agent = BROWSERS["Firefox" if n < 12 else "Edge"]
        log += [event(n, anonymous_id=f"a-{n}", context={"user_agent": agent}), sent(n, "server", n + 2)]
        log += [sent(n, "client", n + 1)] if n % 4 else []
    found = quality.reported_actions(prepared(tmp_path, log).events)
    by_browser = quality.coverage_by(found, ["browser"])
    assert by_browser[["segment", "people", "hidden_share"]].to_numpy().tolist() == [
        ["Edge", 12, 0.25],
        ["Firefox", 12, 0.25],
    ]
    assert quality.coverage_by(found, ["week"])["segment"].tolist() == ["2026-09-28"]


def test_small_segments_take_the_next_smallest_with_them():
    frame = actions([1] * 40, [3] * 40)
    frame["browser"] = frame["person"].map(lambda n: "Edge" if n < 5 else "Opera" if n < 17 else "Firefox")
    assert quality.coverage_by(frame, ["browser"])["segment"].tolist() == ["Firefox"]
