"""S4: who is one person, as examples on `el.prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import eventlib as el
from eventlib.prepared import Prepared
from tests.factory import consent, event, link, login, prepared


def persons(found: Prepared) -> dict[str, str]:
    return dict(zip(found.events["event_id"], found.events["person_id"], strict=True))


def same(tmp_path: Path, events: list[dict[str, Any]]) -> list[int]:
    """Number persons in the order of the events given."""
    of = persons(prepared(tmp_path, events))
    seen: dict[str, int] = {}
    return [seen.setdefault(of[e["event_id"]], len(seen)) for e in events]


def test_login_joins_what_the_device_did_before_and_the_users_other_device(tmp_path: Path):
    assert same(tmp_path, [event(0), login(5, user_id="u"), login(9, anonymous_id="a-2", user_id="u")]) == [
        0,
        0,
        0,
    ]


@pytest.mark.parametrize(
    "junk", ["undefined", "0000-0000", "null", "[object Object]", "test@example.com", "x" * 1025, " NaN "]
)
def test_junk_is_never_an_edge(tmp_path: Path, junk: str):
    assert same(tmp_path, [login(0, user_id=junk), login(1, anonymous_id="a-2", user_id=junk)]) == [0, 1]


def test_two_users_are_two_people_even_over_a_shared_device(tmp_path: Path):
    events = [
        login(0, user_id="u-1"),
        login(7200, user_id="u-2"),
        login(0, anonymous_id="a-2", user_id="u-1"),
    ]
    assert same(tmp_path, events) == [0, 1, 0]


def test_anonymous_event_on_a_shared_device_goes_to_the_user_of_its_session_else_to_the_device(
    tmp_path: Path,
):
    events = [event(0), login(60, user_id="u-1"), event(7200), login(7260, user_id="u-2"), event(20_000)]
    assert same(tmp_path, events) == [0, 0, 1, 1, 2]


def test_public_device_joins_nobody_but_its_logged_in_events_are_their_users(tmp_path: Path):
    kiosk = [login(n * 4000, anonymous_id="kiosk", user_id=f"u-{n}") for n in range(10)]
    home = [login(n * 4000, anonymous_id=f"home-{n}", user_id=f"u-{n}") for n in range(10)]
    nobody = [event(60, anonymous_id="kiosk"), event(4060, anonymous_id="kiosk")]
    assert same(tmp_path, [*kiosk, *home, *nobody]) == [*range(10), *range(10), 10, 10]
    assert prepared(tmp_path, [*kiosk, *home]).refused_merges["rule"].unique().tolist() == ["public_device"]


def test_explicit_link_joins_two_users(tmp_path: Path):
    events = [
        login(0, user_id="u-1"),
        login(1, anonymous_id="a-2", user_id="u-2"),
        link([("user_id", "u-1"), ("user_id", "u-2")], 2),
    ]
    assert same(tmp_path, events)[:2] == [0, 0]


def test_email_of_two_users_gives_no_edge(tmp_path: Path):
    mail = ("email", "Ann@site.org")
    events = [
        login(0, user_id="u-1"),
        login(1, anonymous_id="a-2", user_id="u-2"),
        link([("user_id", "u-1"), mail], 2),
        link([("user_id", "u-2"), ("email", "ann@site.org ")], 3, anonymous_id="a-2"),
    ]
    assert same(tmp_path, events) == [0, 1, 0, 1]


def test_chain_of_links_never_joins_two_users(tmp_path: Path):
    events = [
        login(0, anonymous_id="a-1", user_id="u-1"),
        login(1, anonymous_id="a-2", user_id="u-2"),
        link([("anonymous_id", "a-1"), ("device", "d-9")], 2),
        link([("anonymous_id", "a-2"), ("device", "d-9")], 3, anonymous_id="a-2"),
    ]
    found = prepared(tmp_path, events)
    assert len({persons(found)[e["event_id"]] for e in events[:2]}) == 2
    assert "user_id_unique" in found.refused_merges["rule"].tolist()


def test_ids_are_minted_in_the_order_of_anchors_and_kept_by_the_registry(tmp_path: Path):
    second, first = login(50, anonymous_id="a-2", user_id="u-2"), login(0, user_id="u-1")
    found = prepared(tmp_path, [second, first])
    assert persons(found) == {first["event_id"]: "p-000001", second["event_id"]: "p-000002"}
    earlier = login(-999, anonymous_id="a-3", user_id="u-3")
    again = prepared(tmp_path, [earlier, second, first], registry=found.folder / "registry.parquet")
    assert persons(again) == {
        first["event_id"]: "p-000001",
        second["event_id"]: "p-000002",
        earlier["event_id"]: "p-000003",
    }


def test_merge_keeps_the_oldest_id(tmp_path: Path):
    apart = [event(0), event(5, anonymous_id="a-2")]
    found = prepared(tmp_path, apart)
    joined = [*apart, login(9, user_id="u"), login(10, anonymous_id="a-2", user_id="u")]
    again = prepared(tmp_path, joined, registry=found.folder / "registry.parquet")
    assert set(persons(again).values()) == {"p-000001"}


def test_explain_shows_the_path_or_the_rule(tmp_path: Path):
    events = [
        login(0, user_id="u-1"),
        login(5, anonymous_id="a-2", user_id="u-1"),
        login(0, anonymous_id="a-3", user_id="u-9"),
    ]
    found = prepared(tmp_path, events)
    told = el.explain(found, "a-1", "a-2")
    assert told["same"] is True
    assert [(step["from"], step["to"], step["events"]) for step in told["path"]] == [
        ("anonymous_id:a-1", "user_id:u-1", 1),
        ("user_id:u-1", "anonymous_id:a-2", 1),
    ]
    assert el.explain(found, "a-1", "u-9")["same"] is False


def test_pseudonyms_depend_on_the_key_and_plain_ids_are_not_saved(tmp_path: Path):
    events = [
        login(0, anonymous_id="device-plain", user_id="user-plain"),
        link([("user_id", "user-plain"), ("email", "ann@site.org")], 1),
    ]
    found = prepared(tmp_path, events, plain_identifiers=False)
    for file in found.folder.iterdir():
        if file.suffix == ".parquet":
            text = "".join(
                str(column.to_pylist())
                for column in __import__("pyarrow.parquet").parquet.read_table(file).columns
            )
            assert "plain" not in text
            assert "ann@" not in text
    assert el.explain(found, "device-plain", "user-plain")["same"] is True


def test_people_without_identity_are_of_their_device_alone(tmp_path: Path):
    events = [event(0, consent=consent(identity=False)), login(5, anonymous_id="a-2", user_id="u-1")]
    found = prepared(tmp_path, events)
    assert set(found.people["rule"]) == {"device_only", "co_occurrence"}
