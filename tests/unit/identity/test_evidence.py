"""What counts as evidence, and what a guard keeps from it (S4.1 to S4.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eventlib.prepared import Prepared
from tests.factory import event, link, login, prepared
from tests.unit.identity.test_manual_links import partition

COLUMNS = ["left_identifier", "right_identifier", "rule", "events", "refused_by"]


def evidence(found: Prepared) -> list[list[Any]]:
    rows = found.evidence[COLUMNS].astype(object)
    return rows.where(rows.notna(), None).to_numpy().tolist()


def demo_users(number: int, *, others: int) -> list[dict[str, Any]]:
    """Devices on which a demo user signs in, so many of them with a user of their own."""
    events = [login(n * 9000, anonymous_id=f"d-{n}", user_id="demo-user") for n in range(number)]
    return events + [login(n * 9000 + 5000, anonymous_id=f"d-{n}", user_id=f"u-{n}") for n in range(others)]


def test_a_user_who_shares_devices_with_ten_others_is_many_people(tmp_path: Path):
    found = prepared(tmp_path, [*demo_users(12, others=10), event(5060, event_id="then", anonymous_id="d-0")])
    groups = partition(found)
    assert frozenset({"d-0", "u-0"}) in groups, "without the demo user the device is one user's"
    assert frozenset({"d-11"}) in groups, "where nobody else signs in it is nobody's"
    assert not any("demo-user" in group and len(group) > 1 for group in groups)
    assert found.refused_merges["rule"].value_counts().to_dict() == {"public_user": 12}


def test_with_nine_others_it_is_a_user_with_shared_devices(tmp_path: Path):
    found = prepared(tmp_path, demo_users(12, others=9))
    assert "public_user" not in set(found.refused_merges["rule"])
    assert sum("demo-user" in group for group in partition(found)) == 1


def test_meeting_many_at_a_public_device_makes_nobody_many(tmp_path: Path):
    kiosk = [login(n * 4000, anonymous_id="kiosk", user_id=f"u-{n}") for n in range(12)]
    home = [login(n * 4000, anonymous_id=f"home-{n}", user_id=f"u-{n}") for n in range(12)]
    found = prepared(tmp_path, [*kiosk, *home])
    assert set(found.refused_merges["rule"]) == {"public_device"}
    assert frozenset({"home-3", "u-3"}) in partition(found)


def test_a_link_that_names_no_user_is_of_its_sender(tmp_path: Path):
    events = [
        login(0, user_id="ann"),
        link([("email", "Ann@Site.org")], 5, user_id="ann"),
        link([("email", "ann@site.org ")], 9, anonymous_id="a-2", user_id=None),
    ]
    assert partition(prepared(tmp_path, events)) == {frozenset({"a-1", "ann", "ann@site.org", "a-2"})}


def test_a_link_that_names_a_user_is_not_of_the_clerk_who_sent_it(tmp_path: Path):
    sent = link([("user_id", "ann"), ("email", "a@x.org")], 5, anonymous_id="desk", user_id="clerk")
    found = partition(prepared(tmp_path, [login(0, anonymous_id="a-1", user_id="ann"), sent]))
    assert found == {frozenset({"a-1", "ann", "a@x.org"}), frozenset({"desk", "clerk"})}


@pytest.mark.parametrize("first", [0, 1, 2])
def test_the_order_of_a_links_identifiers_says_nothing(tmp_path: Path, first: int):
    names = [("user_id", "ann"), ("email", "a@x.org"), ("anonymous_id", "a-7")]
    turned = [*names[first:], *names[:first]]
    found = prepared(
        tmp_path, [link(turned, 5, anonymous_id="a-7"), link(turned[::-1], 9, anonymous_id="a-7")]
    )
    assert evidence(found) == [
        ["a-7", "ann", "identity_link", 2, None],
        ["a@x.org", "ann", "identity_link", 2, None],
    ]


def test_evidence_tells_how_often_since_when_and_by_which_rule(tmp_path: Path):
    events = [
        login(0, user_id="u-1"),
        login(600, user_id="u-1"),
        login(9000, anonymous_id="a-2", user_id="u-1"),
        login(20_000, anonymous_id="a-2", user_id="u-2"),
    ]
    found = prepared(tmp_path, events)
    assert evidence(found) == [
        ["a-1", "u-1", "co_occurrence", 2, None],
        ["a-2", "u-1", "shared_device", 1, None],
        ["a-2", "u-2", "shared_device", 1, None],
    ]
    first = found.evidence.iloc[0]
    assert first["last_seen"] - first["first_seen"] == pd.Timedelta("10min")


def test_junk_signs_nobody_out_of_a_session(tmp_path: Path):
    events = [
        login(0, user_id="u-1"),
        login(60, user_id="undefined"),
        event(90, event_id="anonymous"),
        login(90_000, user_id="u-2"),
    ]
    of = dict(zip(*(prepared(tmp_path, events).events[c] for c in ("event_id", "person_id")), strict=True))
    assert of["anonymous"] == of[events[0]["event_id"]]
