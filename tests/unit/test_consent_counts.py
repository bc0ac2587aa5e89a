"""What run.json says of consent, against the log itself (S2.7)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from eventlib.model import PURPOSES
from eventlib.small_cells import OTHER
from tests.factory import consent, event, lenient_policy, prepared

DAY = 86400.0
NOTHING: dict[str, Any] = dict.fromkeys(PURPOSES, False)


def devices(letter: str, number: int, seconds: float = 0, **fields: Any) -> list[dict[str, Any]]:
    return [event(seconds + n, anonymous_id=f"{letter}-{n}", **fields) for n in range(number)]


def told(rows: list[dict[str, Any]], by: str, kind: str) -> dict[tuple[str, str], int]:
    return {(row["segment"], row[kind]): row["events"] for row in rows if row["by"] == by}


def test_withheld_events_are_counted_by_jurisdiction_source_and_week(tmp_path):
    log = [
        *devices("a", 20),
        *devices("b", 12, consent=consent(**NOTHING)),
        *devices("c", 11, 7 * DAY, consent=consent("UK", **NOTHING), source="app"),
        *devices("d", 10, 7 * DAY, consent=None, source="app"),
        event(9, name="content_publish", anonymous_id=None, consent=None, source="cms",
              properties={"observation": "owned", "content_id": "c-1", "url": "https://a.example/", "content_version": "1"}),
    ]  # fmt: skip
    data = prepared(tmp_path, log)
    withheld, counted = data.run["withheld"], data.run["consent"]
    assert told(withheld, "jurisdiction", "rule") == {
        ("EEA", "C06_denied_then"): 12, ("UK", "C06_denied_then"): 11, ("unknown", "C13_no_signal"): 10,
    }  # fmt: skip
    assert told(withheld, "source", "rule") == {
        ("web", "C06_denied_then"): 12, ("app", "C06_denied_then"): 11, ("app", "C13_no_signal"): 10,
    }  # fmt: skip
    assert told(withheld, "week", "rule")["2026-09-28", "C06_denied_then"] == 12
    asked = {(row["by"], row["segment"]): row["events"] for row in counted["asked"]}
    assert asked["jurisdiction", "EEA"] == 32
    assert asked["source", "app"] == 21
    assert counted["nobody"] == 1
    assert told(counted["said"], "source", "said") == {
        ("web", "grants"): 20, ("web", "refuses something"): 12, ("app", "refuses something"): 11, ("app", "nothing"): 10,
    }  # fmt: skip


def test_each_kind_of_segment_adds_up_to_the_ledger_and_three_people_are_not_told_apart(tmp_path):
    few = devices("f", 3, consent=consent("UK", **NOTHING))
    data = prepared(tmp_path, [*devices("a", 20), *devices("b", 12, consent=consent(**NOTHING)), *few])
    removed = sum(data.ledger.removed("consent").values())
    assert removed == 15
    sums = Counter[str]()
    for row in data.run["withheld"]:
        sums[row["by"]] += row["events"]
    assert sums == dict.fromkeys(("jurisdiction", "source", "week"), 15)
    assert told(data.run["withheld"], "jurisdiction", "rule") == {(OTHER, "C06_denied_then"): 15}
    asked = {row["segment"]: row["events"] for row in data.run["consent"]["asked"] if row["by"] == "jurisdiction"}  # fmt: skip
    assert asked == {OTHER: 35}, "what is kept of a segment, less its total, would tell"


def changes(data: Any, purpose: str) -> dict[tuple[str, str], int]:
    rows = data.run["consent"]["changes"]
    return {(row["change"], row["week"]): row["changes"] for row in rows if row["purpose"] == purpose}


def test_grants_withdrawals_and_what_was_granted_again_are_told_by_week(tmp_path):
    weeks = [consent(updated=n * 7 * DAY, training=said) for n, said in enumerate([True, False, True])]
    log = [one for n, said in enumerate(weeks) for one in devices("a", 12, n * 7 * DAY + 60, consent=said)]
    before = devices("b", 11, consent=consent(updated=-30 * DAY))
    data = prepared(tmp_path, [*log, *before])
    assert changes(data, "training") == {
        ("granted", "2026-09-28"): 12, ("granted", "earlier"): 11, ("withdrawn", "2026-10-05"): 12, ("granted again", "2026-10-12"): 12,
    }  # fmt: skip
    assert changes(data, "analytics") == {("granted", "2026-09-28"): 12, ("granted", "earlier"): 11}


def test_withdrawals_of_few_are_not_told(tmp_path):
    log = [
        *devices("a", 20),
        *devices("a", 4, 60, consent=consent(updated=50, training=False)),
    ]
    data = prepared(tmp_path, log)
    assert {change for change, _ in changes(data, "training")} == {"granted"}
    assert "withdrawn" not in str(data.run["consent"])


def test_grants_run_out_by_their_age_but_not_in_opt_out_states(tmp_path):
    policy = lenient_policy(tmp_path, grant_max_age_days=100)
    ages = {"a": 200, "b": 80, "c": 30, "d": 5}
    log = [one for letter, days in ages.items() for one in devices(letter, 12, consent=consent(updated=-days * DAY))]  # fmt: skip
    log += devices("e", 12, consent=consent("US-CA", updated=-200 * DAY))
    log += devices("f", 12, consent=consent(**NOTHING))
    data = prepared(tmp_path, log, policy=policy)
    states = {row["state"]: row["subjects"] for row in data.run["consent"]["grants"] if row["purpose"] == "training"}  # fmt: skip
    assert states == {
        "run out": 12, "runs out in 30 days": 12, "runs out in 90 days": 12, "holds": 12, "granted, opt-out state": 12, "refused": 12,
    }  # fmt: skip


def test_notices_are_told_by_version(tmp_path):
    log = [*devices("a", 12, consent={**consent(), "notice_version": "2026-05"}), *devices("b", 11)]
    assert prepared(tmp_path, log).run["consent"]["notices"] == [
        {"notice": "2026-05", "events": 12},
        {"notice": "none named", "events": 11},
    ]


def test_the_policy_s_bases_are_stamped_and_hostile_names_stay_names(tmp_path):
    name = "o'{x}"
    basis = {"jurisdiction": "US-CA", "purposes": ["analytics"], "basis": "contract", "owner": "me"}
    policy = lenient_policy(tmp_path, sources={name: {**basis, "expires": "2027-12-31"}})
    data = prepared(tmp_path, devices("a", 12, consent=None, source=name), policy=policy)
    assert data.run["policy_terms"]["bases"] == [
        {"sources": [name], "jurisdictions": None, "purposes": ["analytics"], "basis": "contract", "owner": "me", "expires": "2027-12-31"}
    ]  # fmt: skip
    assert data.run["consent"]["asked"][1] == {"by": "source", "segment": name, "events": 12}


@pytest.mark.parametrize("log", [[], [b"{broken\n"]])
def test_an_empty_log_counts_nothing(tmp_path, log):
    data = prepared(tmp_path, log)
    assert data.run["withheld"] == []
    assert data.run["consent"] == {"nobody": 0, "asked": [], "said": [], "changes": [], "grants": [], "notices": []}  # fmt: skip
