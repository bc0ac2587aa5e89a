from __future__ import annotations

from typing import Any

import pytest

from eventlib import quality, withheld
from eventlib.errors import BadCallError
from tests.factory import consent, event, prepared

REFUSED: dict[str, Any] = dict.fromkeys(("training", "personalization", "advertising"), False)


def test_the_ledger_names_every_removal_in_words(tmp_path):
    data = prepared(tmp_path, [event(), b"{broken\n", b"[]\n", event(name="no_such")])
    frame = quality.ledger_frame(data.ledger).set_index("code")
    assert list(frame.loc["broken_json", ["stage", "reason", "rows"]]) == ["read", "not JSON", 1]
    assert frame["share"].sum() == pytest.approx(0.75)
    assert data.ledger.rejected_share == 0.75
    assert quality.rejections(data.quarantine)["rows"].sum() == 3
    assert "75.0 % of the records were rejected" in quality.caveats(data)[0]


def test_days_without_events_are_zero(tmp_path):
    data = prepared(tmp_path, [event(0), event(3 * 86400)])
    daily = quality.daily_volume(data.events)
    assert daily["events"].tolist() == [1, 0, 0, 1]


def test_what_is_allowed_is_counted_by_device_and_small_cells_are_left_out(tmp_path):
    granted = [event(n, anonymous_id=f"g-{n}") for n in range(12)]
    refused = [event(n, anonymous_id=f"r-{n}", consent=consent(**REFUSED)) for n in range(12)]
    few = [event(n, anonymous_id=f"f-{n}", consent=consent("UK")) for n in range(9)]
    data = prepared(tmp_path, [*granted, *refused, *few])
    frame = withheld.allowed_by_jurisdiction(data.events)
    assert set(frame["jurisdiction"]) == {"EEA"}
    shares = frame.set_index("purpose")["share"]
    assert shares[["analytics", "training"]].tolist() == [1.0, 0.5]
    share, lower, upper = withheld.allowed(data.events, "training")
    assert share == pytest.approx(21 / 33)
    assert lower is not None
    assert upper is not None
    assert lower < 21 / 33 < upper
    assert withheld.composition(data.events, "training")["jurisdiction"].tolist() == ["EEA"]
    with pytest.raises(BadCallError, match=r"unknown purpose 'trainin'. Did you mean 'training'"):
        withheld.allowed(data.events, "trainin")


def test_what_was_withheld_is_counted_by_rule_and_segment(tmp_path):
    nothing: dict[str, Any] = dict.fromkeys(("analytics", "identity"), False) | REFUSED
    many = [event(n, anonymous_id=f"d-{n}", consent=consent(**nothing)) for n in range(12)]
    few = [event(n, anonymous_id=f"f-{n}", consent=consent("UK", **nothing)) for n in range(3)]
    data = prepared(tmp_path, [event(), *many, *few])
    assert withheld.withheld_by_rule(data.ledger)[["rule", "events"]].values.tolist() == [["C06", 15]]
    segments = withheld.withheld_by_segment(data.run)
    assert segments.values.tolist() == [["EEA", "C06_denied_then", 12]], "three people are a small cell"


def test_decisions_are_by_purpose_and_rule(tmp_path):
    data = prepared(tmp_path, [event(0), event(1, anonymous_id="a-2", consent=consent(**REFUSED))])
    frame = withheld.decisions(data.events).set_index(["purpose", "rule"])
    assert list(frame.loc[("training", "C06"), ["allowed", "events", "share"]]) == [False, 1, 0.5]
    assert frame.groupby("purpose")["share"].sum().tolist() == [1.0] * 5


def test_lines_without_a_record_are_not_rejected(tmp_path):
    data = prepared(tmp_path, [event(), b"\n", b"\n", b"\n"])
    assert data.ledger.skipped == 3
    assert data.ledger.rejected_share == 0
    assert quality.caveats(data) == []
