"""S3.7: which published numbers moved, by how much, and for which reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from eventlib.errors import BadCallError
from eventlib.restatement import restate, summary
from tests.factory import at, event, login
from tests.unit.test_incremental import CASES, HOUR, SENT_TWICE, Runs, by, refusal

Number = tuple[str, str | None, str | None]


def moved(rows: list[dict[str, Any]]) -> dict[Number, tuple[int, dict[str, int]]]:
    return {
        (row["number"], row["event_name"], row["day"]): (row["difference"], row["reasons"]) for row in rows
    }


def added(tmp_path: Path, *parts: list[dict[str, Any]]) -> dict[Number, tuple[int, dict[str, int]]]:
    runs = Runs(tmp_path)
    base = runs.prepare([runs.log(parts[0])])
    found = runs.prepare([runs.log(parts[1])], onto=base.folder)
    content = orjson.loads((found.folder / "restatement.json").read_bytes())
    assert content["old"] == base.run["run_id"]
    assert content["new"] == found.run["run_id"]
    assert content["numbers"] == restate(base.folder, found.folder)
    return moved(content["numbers"])


ALL: Number = ("events", None, None)
PEOPLE: Number = ("people", None, None)
SESSIONS: Number = ("sessions", None, None)


def test_a_late_event_is_told_from_a_new_one(tmp_path: Path):
    found = added(
        tmp_path,
        [by("a-1", HOUR)],
        [by("a-1", 0, delay=2 * HOUR, sent_at=at(2 * HOUR)), by("a-2", 30 * HOUR), by("a-3", 31 * HOUR)],
    )
    assert found[ALL] == (3, {"late": 1, "new": 2})
    assert found["events", None, "2026-10-01"] == (1, {"late": 1})
    assert found["events", "page_view", "2026-10-02"] == (2, {"new": 2})
    assert found[PEOPLE] == (2, {"new": 2})
    assert found[SESSIONS] == (3, {"late": 1, "new": 2})


def test_a_withdrawal_and_a_grant_are_consent(tmp_path: Path):
    took = added(tmp_path / "a", [by("a-1", 0), by("a-2", 0)], [refusal("a-1", 60)])
    assert took[ALL] == (-1, {"consent": -1})
    assert took[PEOPLE] == (-1, {"consent": -1})
    gave = added(tmp_path / "b", [by("a-1", 0), refusal("a-1", 50)], [refusal("a-1", 90, allowed=True)])
    assert gave[ALL][1].keys() <= {"consent", "new", "late"}


def test_a_merge_is_told_and_moves_no_event(tmp_path: Path):
    found = added(
        tmp_path,
        [login(0, anonymous_id="a-1", user_id="u"), by("a-2", 5)],
        [login(60, anonymous_id="a-2", user_id="u")],
    )
    assert found[PEOPLE] == (-1, {"merge": -1})
    assert found[ALL] == (1, {"new": 1})
    assert found[SESSIONS] == (0, {})


def test_a_copy_moves_nothing(tmp_path: Path):
    found = added(tmp_path, [SENT_TWICE], [{**SENT_TWICE, "received_at": "2026-10-01T12:10:00Z"}])
    assert found == {key: (0, {}) for key in (ALL, ("conversions", None, None), PEOPLE, SESSIONS)}


def test_conversions_are_numbers_of_their_own(tmp_path: Path):
    bought = event(
        5 * HOUR,
        name="conversion_complete",
        properties={"observation": "owned", "conversion_id": "o-1", "conversion_type": "order"},
    )
    found = added(tmp_path, [by("a-1", 0)], [bought])
    assert found["conversions", None, None] == (1, {"new": 1})


@pytest.mark.parametrize("case", list(CASES)[::4])
def test_reasons_sum_to_the_difference(tmp_path: Path, case: str):
    runs = Runs(tmp_path)
    logs = [runs.log(part) for part in CASES[case]]
    # prepared anew rather than added: what `eventlib restate OLD NEW` compares after a backfill
    old = runs.prepare(logs[:1])
    new = runs.prepare(logs, registry=old.folder / "registry.parquet")
    for difference, reasons in moved(restate(old.folder, new.folder)).values():
        assert sum(reasons.values()) == difference


def test_other_keys_cannot_be_compared(tmp_path: Path):
    (tmp_path / "other").write_text("cd" * 32)
    runs = Runs(tmp_path)
    log = runs.log([by("a-1", 0)])
    one, other = runs.prepare([log]), runs.prepare([log], key=tmp_path / "other")
    with pytest.raises(BadCallError, match="were prepared with different keys"):
        restate(one.folder, other.folder)


def test_summary_says_what_had_been_published():
    rows = [
        {"number": "events", "event_name": None, "day": None, "old": 9, "new": 12, "difference": 3, "reasons": {"new": 3}},
        {"number": "events", "event_name": None, "day": "2026-10-02", "old": 0, "new": 3, "difference": 3, "reasons": {"new": 3}},
        {"number": "events", "event_name": "page_view", "day": None, "old": 9, "new": 12, "difference": 3, "reasons": {"new": 3}},
    ]  # fmt: skip
    assert summary(rows) == ["events: 9 → 12 (+3: new +3)", "events, page_view: 9 → 12 (+3: new +3)"]
