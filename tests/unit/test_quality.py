from __future__ import annotations

import pytest

from eventlib import quality
from tests.factory import event, prepared


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


def test_lines_without_a_record_are_not_rejected(tmp_path):
    data = prepared(tmp_path, [event(), b"\n", b"\n", b"\n"])
    assert data.ledger.skipped == 3
    assert data.ledger.rejected_share == 0
    assert quality.caveats(data) == []
