"""What notebook 03 says of the merging, on small logs whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eventlib import people
from eventlib.errors import BadCallError
from eventlib.people.suspects import suspects
from eventlib.prepared import Prepared
from tests.factory import event, link, login, prepared
from tests.unit.identity.test_manual_links import statements

DAY = 86_400


def own(number: int, *, device: str | None = None, day: int = 0, name: str = "a") -> dict[str, Any]:
    """A login of a user on a device of theirs."""
    return login(day * DAY + number, anonymous_id=device or f"{name}-{number}", user_id=f"u-{name}-{number}")


def assessed(tmp_path: Path, events: list[dict[str, Any]], **options: Any) -> pd.Series[Any]:
    found = people.assess(prepared(tmp_path, events, **options))
    return found.verdicts.set_index("area")["figure"]


def test_how_often_a_device_changes_hands_is_told_of_its_second_sign_in(tmp_path: Path):
    events = [own(n, day=day) for n in range(20) for day in range(2)]
    events += [own(n, name="b", device=f"a-{n}", day=3) for n in range(4)]
    found = people.next_sign_in(people.Known(prepared(tmp_path, events)))
    assert found.units == 20
    assert found.value == pytest.approx(4 / 24), (
        "twenty second sign-ins by the same, then four third ones by others"
    )
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < 4 / 24 < found.upper


def test_device_ids_per_person_count_each_browser_once(tmp_path: Path):
    events = [
        login(n, anonymous_id=f"{n}-{lost}", user_id=f"u-{n}", context={"user_agent": f"browser {n % 2}"})
        for n in range(12)
        for lost in range(2 if n < 6 else 1)
    ]
    found = people.known_devices(people.Known(prepared(tmp_path, events)))
    assert found.value == pytest.approx(18 / 12)


def test_under_ten_units_nothing_is_told(tmp_path: Path):
    known = people.Known(prepared(tmp_path, [own(n, day=day) for n in range(9) for day in range(2)]))
    assert people.next_sign_in(known).value is None
    assert people.known_devices(known).value is None
    assert people.people_range(known, people.known_devices(known))["people"].isna().all()


def test_the_range_of_people_is_from_devices_down_to_a_guess(tmp_path: Path):
    signed_in = [
        login(n, anonymous_id=f"{n}-{lost}", user_id=f"u-{n}", context={"user_agent": "one"})
        for n in range(10)
        for lost in range(2)
    ]
    others = [event(n, anonymous_id=f"x-{n}", context={"user_agent": "one"}) for n in range(40)]
    known = people.Known(prepared(tmp_path, [*signed_in, *others]))
    found = people.people_range(known, people.known_devices(known))
    assert found["people"].tolist() == [60, 50, 30]


def test_anonymous_events_on_shared_devices_by_who_signed_in(tmp_path: Path):
    events = []
    for n in range(12):
        device = f"d-{n}"
        events += [login(n, anonymous_id=device, user_id=f"u-{n}"), event(n + 60, anonymous_id=device)]
        events += [login(DAY + n, anonymous_id=device, user_id=f"v-{n}"), event(2 * DAY, anonymous_id=device)]
    found = people.shared_sessions(people.Known(prepared(tmp_path, events)))
    assert found[["visit", "anonymous events", "go to"]].to_numpy().tolist() == [
        ["the only user of the visit", 12, "their events"],
        ["nobody signed in", 12, "stay with the device"],
    ]


def test_signs_are_counted_from_ten_people_on_and_named_to_those_who_look(tmp_path: Path):
    linked = [
        item
        for n in range(10)
        for item in (own(n), own(n, name="b"), link([("user_id", f"u-a-{n}"), ("user_id", f"u-b-{n}")], 99))
    ]
    busy = [event(n, anonymous_id=f"busy-{n % 3}", user_id="u-busy") for n in range(6)]
    data = prepared(tmp_path, [*linked, *busy])
    known = people.Known(data)
    signs = people.count_signs(data, known).set_index("sign")
    assert signs.loc["several accounts, linked", "people"] == 10
    assert signs["people"].isna()["three devices at once"], "one person"
    assert signs.loc["over 50 identifiers", "people"] == 0
    assert (
        suspects(data, known).loc[lambda f: f["signs"] == 1, "look at"].str.startswith("3 devices").sum() == 1
    )
    assert len(people.examples(data, 3)) == 3
    assert people.examples(data, 0).empty


def test_a_bridge_of_one_event_between_two_groups_is_a_sign(tmp_path: Path):
    one, two = ([("anonymous_id", f"{side}-{n}") for n in range(4)] for side in "xy")
    said = [
        *((side[0], other, n) for side in (one, two) for other in side[1:] for n in range(2)),
        (one[1], two[1], 50),
    ]
    events = [link([left, right], when, anonymous_id=left[1]) for left, right, when in said]
    data = prepared(tmp_path, [event(0, anonymous_id=name) for _, name in (*one, *two)] + events)
    looked = suspects(data, people.Known(data))["look at"].tolist()
    assert any("one event between" in text for text in looked)


def test_verdicts_tell_placeholders_users_and_statements(tmp_path: Path):
    events = [own(n) for n in range(30)]
    events += [login(n, anonymous_id=f"j-{n}", user_id="undefined") for n in range(10)]
    by_hand = statements(tmp_path, "must_link,user_id:u-a-1,user_id:u-a-2,known,2020-01-01")
    told = assessed(tmp_path, events, manual_links=by_hand)
    assert told["placeholders"].startswith("10 events, 25.0 % of those that name a user")
    assert told["never signed in"].startswith("10 of 40 people, 25.0 %")
    assert told["refused evidence"].startswith("10 events, 25.0 %")
    assert told["statements by hand"] == "0 in force, 1 expired: renew or remove those"


@pytest.mark.parametrize("events", [[], [event(0)], [event(0, anonymous_id="kiosk", user_id="null")]])
def test_next_to_nothing_is_told_as_such(tmp_path: Path, events: list[dict[str, Any]]):
    found = people.assess(prepared(tmp_path, events))
    assert set(found.verdicts["verdict"]) <= {"good", "not measured"}
    assert found.range["people"].isna().all()
    assert found.shared.empty


def truth(folder: Path, rows: dict[str, str]) -> Path:
    pd.DataFrame({"event_id": rows.keys(), "true_person": rows.values()}).to_csv(
        folder / "events.csv", index=False
    )
    return folder


def test_the_truth_is_held_against_events_and_identifiers(tmp_path: Path):
    events = [own(n, day=day) for n in range(12) for day in range(2)]
    whose = {item["event_id"]: item["user_id"] for item in events}
    first = events[0]["event_id"]
    data: Prepared = prepared(tmp_path, events)
    exact = people.against_truth(data, truth(tmp_path, whose))
    assert exact[["precision", "recall"]].eq(1).all(axis=None)
    wrong = people.against_truth(data, truth(tmp_path, {**whose, first: "somebody else"})).set_index(
        ["on", "measure"]
    )
    assert wrong.loc[("events", "pairs (two of one person)"), "precision"] == pytest.approx(11 / 12)
    assert wrong.loc[("devices and users", "whole people"), "items"] == 22, (
        "a device of two is left out, and its user"
    )
    with pytest.raises(BadCallError, match="another log"):
        people.against_truth(data, truth(tmp_path, {"nobody's": "x"}))
    with pytest.raises(BadCallError, match=r"holds no events\.csv\.gz"):
        people.against_truth(data, tmp_path / "nowhere")
