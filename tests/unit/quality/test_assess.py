from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventlib import quality
from eventlib.errors import BadCallError
from eventlib.quality.verdict import Finding, Limit
from tests.factory import event, prepared


def test_a_share_is_held_against_two_limits():
    limit = Limit(0.01, 0.05)
    assert [limit.judge(share) for share in (0.0, 0.0099, 0.01, 0.0499, 0.05, None, float("nan"))] == [
        "good",
        "good",
        "look",
        "look",
        "act",
        "not measured",
        "not measured",
    ]
    frame = quality.verdicts([Finding("schema", 0.03, "3 of 100")], quality.limits(["schema=0.04:0.1"]))
    assert frame.values.tolist() == [["schema", "good", "3 of 100", "look from 4.0 %, act from 10.0 %"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("schemas=0.1:0.2", "unknown area 'schemas'. Did you mean 'schema'"),
        ("schema=0.1", "'schema=0.1' is not of the form"),
        ("schema=0.5:0.1", "two shares from 0 to 1"),
        ("schema=0.5:nan", "two shares from 0 to 1"),
    ],
)
def test_limits_that_cannot_be_read_are_refused(change, message):
    with pytest.raises(BadCallError, match=message):
        quality.limits([change])


def areas(found: quality.Assessment) -> dict[str, str]:
    return dict(zip(found.verdicts["area"], found.verdicts["verdict"], strict=True))


def test_every_area_has_a_verdict_and_what_is_lost_comes_first(tmp_path: Path):
    wrong: dict[str, Any] = {"observation": "guessed", "page_view_id": "v", "content_id": "c-1"}
    log: list[object] = [event(n, anonymous_id=f"a-{n}", sequence=1) for n in range(40)]
    log += [event(n, anonymous_id=f"b-{n}", properties=wrong) for n in range(3)]
    log += [event(n, name="video_play") for n in range(2)] + [b"{broken\n"]
    found = quality.assess(prepared(tmp_path, log))
    assert set(areas(found)) == set(quality.LIMITS)
    assert found.verdicts["verdict"].tolist()[0] == "act", "the gravest first"
    assert areas(found)["accounting"] == "good"
    assert areas(found)["schema"] == "act"
    assert areas(found)["coverage"] == "not measured"
    lost = found.tasks[found.tasks["kind"] == "data lost"]
    assert lost["lines"].tolist() == [3, 2, 1]
    first = lost.iloc[0]
    assert first[["producer", "event_name", "place"]].tolist() == [
        "web client",
        "page_view",
        "$.properties.observation",
    ]
    assert "owned" in first["what"]
    assert "guessed" not in found.tasks.to_string(), "values are never shown"
    assert first["example"].endswith(":41")
    assert lost.iloc[1]["what"] == "video_play has no schema: plan it, or stop sending it"
    table = quality.mends(found.tasks, "data lost")
    assert table["where"].tolist()[0] == "page_view at $.properties.observation"
    assert table.columns.tolist() == ["what", "where", "producer", "lines", "look_at"], (
        "too few rows for a trend"
    )


def test_limits_of_the_call_hold(tmp_path: Path):
    data = prepared(tmp_path, [event(), b"{broken\n"])
    assert areas(quality.assess(data))["schema"] == "act"
    assert areas(quality.assess(data, changed_limits=["schema=0.6:0.9"]))["schema"] == "good"


@pytest.mark.parametrize(
    "log", [[], [b"{broken\n"] * 3, [event()]], ids=["empty", "all rejected", "one event"]
)
def test_nothing_much_is_no_error(tmp_path: Path, log: list[object]):
    data = prepared(tmp_path, log)
    found = quality.assess(data)
    assert set(areas(found).values()) <= {"good", "act", "not measured"}
    assert found.stoppable() in (None, 0.0)
    card = quality.scorecard(data.events, data.quarantine)
    assert card["rejected"].sum() == len(data.quarantine)


def test_a_rejected_line_is_its_producers_where_one_alone_sends_the_event(tmp_path: Path):
    log: list[object] = [event(n) for n in range(3)] + [event(5, extra=1), b"{broken\n"]
    data = prepared(tmp_path, log)
    card = quality.scorecard(data.events, data.quarantine).set_index("producer")
    assert card["rejected"].to_dict() == {"web client": 1, "not known": 1}
    assert card.loc["web client", "rejected_share"] == 0.25
    assert list(card.loc["web client", ["no_id_share", "no_sequence_share"]]) == [0.0, 1.0]


def test_what_the_adapter_makes_is_told_apart(tmp_path: Path):
    record = {
        "application": "shop",
        "action_name": "banner_hover",
        "client_id": "c",
        "query_id": "q",
        "timestamp": "2026-10-01T12:00:00Z",
    }
    ubi = [{**record, "message_type": "INFO", "event_attributes": {"shade": f"s{n}"}} for n in range(30)]
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "{version: t, jurisdictions: {opt_out: []}, impersonal: {always: [], unless_owned: []}, max_withheld: 1.0, sources: {ubi: "
        "{jurisdiction: EEA, purposes: [analytics], basis: b, owner: o, expires: '2099-01-01'}}}"
    )
    found = quality.assess(prepared(tmp_path, ubi, policy=policy))
    made = dict(zip(found.cost["property"], found.cost["sent_by"], strict=True))
    assert made["shade"] == "tracker"
    assert made["message_type"] == made["application"] == "our adapter"
    assert found.stop["property"].tolist() == ["shade"]
