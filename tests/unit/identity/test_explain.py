"""S4.9: the path, the rule that refused, and what a statement by hand would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import eventlib as el
from eventlib.cli import app
from eventlib.errors import BadCallError
from eventlib.prepared import Prepared
from tests.factory import event, link, login, prepared
from tests.unit.identity.test_manual_links import statements


def steps(told: dict[str, Any]) -> list[tuple[str, str, str, int, str | None]]:
    return [(s["from"], s["to"], s["rule"], s["events"], s["refused_by"]) for s in told["path"]]


def two_devices(tmp_path: Path, **options: Any) -> Prepared:
    events = [
        event(0, event_id="before"),
        login(60, event_id="one", user_id="u-1"),
        login(90, event_id="two", user_id="u-1"),
        login(7200, event_id="three", anonymous_id="a-2", user_id="u-1"),
        event(7300, anonymous_id="a-2"),
        login(0, anonymous_id="a-9", user_id="u-9"),
    ]
    return prepared(tmp_path, events, **options)


def test_the_path_tells_events_times_and_rules(tmp_path: Path):
    told = el.explain(two_devices(tmp_path), "a-1", "a-2")
    assert told["same"]
    assert steps(told) == [
        ("anonymous_id:a-1", "user_id:u-1", "co_occurrence", 2, None),
        ("user_id:u-1", "anonymous_id:a-2", "co_occurrence", 1, None),
    ]
    assert [step["event_ids"] for step in told["path"]] == [["one", "two"], ["three"]]
    assert (
        told["path"][0]["last_seen"] - told["path"][0]["first_seen"]
        == told["path"][0]["last_seen"].resolution * 30e6
    )
    assert "One person: p-000001." in told.text()
    assert (
        "a-1 — user_id:u-1: co_occurrence, 2 events, 2026-10-01 12:01 to 2026-10-01 12:01, such as one, two"
        in told.text()
    )


def test_where_nothing_leads_from_one_to_the_other_it_says_so(tmp_path: Path):
    told = el.explain(two_devices(tmp_path), "a-1", "u-9")
    assert not told["same"]
    assert told["apart_by"] == told["path"] == []
    assert "No evidence leads from one to the other" in told.text()


@pytest.mark.parametrize(
    ("events", "pair", "rules"),
    [
        (
            [link([("anonymous_id", "a-1"), ("device", "d")]), link([("device", "d"), ("anonymous_id", "a-2")]),
             login(0, user_id="u-1"), login(0, anonymous_id="a-2", user_id="u-2")],
            ("u-1", "u-2"), ["user_id_unique"],
        ),
        (
            [login(0, user_id="u-1"), login(9000, user_id="u-2"), link([("anonymous_id", "a-1"), ("email", "e@x.org")])],
            ("a-1", "email:e@x.org"), ["shared_device"],
        ),
        (
            [link([("user_id", "u-1"), ("email", "e@x.org")]), link([("user_id", "u-2"), ("email", "e@x.org")])],
            ("u-1", "u-2"), ["secondary_id_shared"],
        ),
        (
            [*(login(n * 4000, anonymous_id="kiosk", user_id=f"u-{n}") for n in range(10)), event(9, anonymous_id="kiosk")],
            ("user_id:u-4", "user_id:u-3"), ["public_device"],
        ),
    ],
)  # fmt: skip
def test_for_two_that_are_apart_it_names_the_rule_that_refused(
    tmp_path: Path, events: list[dict[str, Any]], pair: tuple[str, str], rules: list[str]
):
    told = el.explain(prepared(tmp_path, events), *pair)
    assert not told["same"]
    assert told["apart_by"] == rules


def test_a_user_of_a_shared_device_is_one_with_its_share_and_not_with_the_other(tmp_path: Path):
    events = [login(0, user_id="u-1"), login(7200, user_id="u-2"), event(20_000)]
    found = prepared(tmp_path, events)
    assert steps(el.explain(found, "a-1", "u-1")) == [
        ("anonymous_id:a-1", "user_id:u-1", "shared_device", 1, None)
    ]
    assert not el.explain(found, "u-1", "u-2")["same"]


def test_a_proposed_cannot_link_tells_what_falls_apart(tmp_path: Path):
    found = two_devices(tmp_path)
    proposal = el.explain(found, "a-2", "u-1", propose="cannot_link")["proposal"]
    assert proposal["changes"]
    assert proposal["before"] == [
        {
            "person_id": "p-000001",
            "identifiers": ["anonymous_id:a-1", "anonymous_id:a-2", "user_id:u-1"],
            "events": 5,
        }
    ]
    assert [(g["person_id"], g["identifiers"], g["events"]) for g in proposal["after"]] == [
        ("p-000001", ["anonymous_id:a-1", "user_id:u-1"], 4),
        (None, ["anonymous_id:a-2"], 1),
    ]


@pytest.mark.parametrize("plain", [True, False])
def test_what_is_proposed_is_what_then_happens(tmp_path: Path, plain: bool):  # a parameter
    found = two_devices(tmp_path, plain_identifiers=plain)
    told = el.explain(found, "u-1", "u-9", propose="must_link", key=tmp_path / "key")["proposal"]
    assert (len(told["before"]), len(told["after"])) == (2, 1)
    must = "must_link,user_id:u-1,user_id:u-9,known,2030-01-01"
    registry = found.folder / "registry.parquet"
    made = two_devices(
        tmp_path, plain_identifiers=plain, registry=registry, manual_links=statements(tmp_path, must)
    )
    (after,) = told["after"]
    mine = made.people[made.people["person_id"] == after["person_id"]]
    names = {f"{ns}:{value}" for ns, value in zip(mine["namespace"], mine["identifier"], strict=True)}
    assert names == set(after["identifiers"])
    assert after["events"] == (made.events["person_id"] == after["person_id"]).sum()


def test_a_proposal_that_stands_against_a_cannot_link_changes_nothing(tmp_path: Path):
    apart = statements(tmp_path, "cannot_link,user_id:u-1,user_id:u-9,sisters,2030-01-01")
    found = two_devices(tmp_path, manual_links=apart)
    told = el.explain(found, "u-1", "u-9", propose="must_link")
    assert told["proposal"]["changes"] is False
    assert told["proposal"]["refused_by"] == "cannot_link"
    assert "would change nothing: it is refused by cannot_link" in told.text()


def test_a_refused_piece_of_evidence_is_told_by_what_it_is_and_by_what_refused_it(tmp_path: Path):
    apart = statements(tmp_path, "cannot_link,anonymous_id:a-2,user_id:u-1,sisters,2030-01-01")
    told = el.explain(two_devices(tmp_path, manual_links=apart), "a-2", "u-1")
    assert steps(told) == [("anonymous_id:a-2", "user_id:u-1", "co_occurrence", 1, "cannot_link")]


def test_wrong_calls_are_told(tmp_path: Path):
    found = prepared(tmp_path, [login(0, anonymous_id="x", user_id="x")])
    with pytest.raises(BadCallError, match="Did you mean 'must_link'"):
        el.explain(found, "x", "x", propose="mustlink")
    with pytest.raises(BadCallError, match="more than one identifier; say which: anonymous_id:x, user_id:x"):
        el.explain(found, "x", "user_id:x", propose="must_link")
    with pytest.raises(BadCallError, match="no identifier 'y'"):
        el.explain(found, "x", "y")
    refused = [link([("user_id", user), ("email", "e@x.org")], anonymous_id="a") for user in ("u-1", "u-2")]
    with pytest.raises(BadCallError, match="'u-1' is nobody in this dataset"):
        el.explain(prepared(tmp_path, refused), "u-1", "a", propose="must_link")
    with pytest.raises(BadCallError, match="are the same identifier"):
        el.explain(found, "user_id:x", "user_id:x", propose="must_link")


def test_ids_of_any_characters_are_told_apart(tmp_path: Path):
    events = [login(n, anonymous_id="3:a\x1f", user_id=f"u\x1b[31m{n}") for n in (0, 7200)]
    found = prepared(tmp_path, events)
    told = el.explain(found, "3:a\x1f", "u\x1b[31m0")
    assert told["same"]
    assert "\x1b" not in told.text()
    assert told.figure().layout.title.text.startswith("<b>Why these are one person")


def test_the_command_says_it_and_the_line_to_add(tmp_path: Path):
    found = two_devices(tmp_path)
    out = CliRunner().invoke(
        app, ["explain", str(found.folder), "a-2", "u-1", "--cannot-link", "--key", str(tmp_path / "key")]
    )
    assert out.exit_code == 0, out.output
    assert "before p-000001: anonymous_id:a-1, anonymous_id:a-2, user_id:u-1; 5 events" in out.output
    assert "cannot_link,anonymous_id:a-2,user_id:u-1,REASON,DAY" in out.output
