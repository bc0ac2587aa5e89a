"""S4.10: the graph as it was known at a moment."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import eventlib as el
from eventlib.errors import BadCallError
from eventlib.identity.as_of import AsOf
from eventlib.prepared import Prepared
from tests.factory import START, event, link, login, prepared


def known(found: Prepared, seconds: float, tmp_path: Path) -> AsOf:
    return el.people_as_of(found, START + timedelta(seconds=seconds), key=tmp_path / "key")


def same(known_then: AsOf, one: str, other: str) -> bool:
    events = known_then.events.set_index("event_id")["person_id"]
    return bool(events[one] == events[other])


def log() -> list[dict[str, Any]]:
    return [
        event(0, event_id="phone"),
        event(10, event_id="laptop", anonymous_id="a-2"),
        login(5000, event_id="in-1", user_id="u-1"),
        login(9000, event_id="in-2", anonymous_id="a-2", user_id="u-1"),
    ]


def test_nothing_is_known_before_it_happened(tmp_path: Path):
    found = prepared(tmp_path, log())
    assert not same(known(found, 100, tmp_path), "phone", "laptop")
    assert not same(known(found, 8000, tmp_path), "phone", "laptop")
    assert same(known(found, 8000, tmp_path), "phone", "in-1")
    assert same(known(found, 9100, tmp_path), "phone", "laptop")


def test_what_arrived_late_was_not_known(tmp_path: Path):
    late = login(9000, event_id="in-2", anonymous_id="a-2", user_id="u-1", delay=3000)
    found = prepared(tmp_path, [*log()[:3], late])
    assert not same(known(found, 9100, tmp_path), "phone", "laptop")
    assert "in-2" not in set(known(found, 9100, tmp_path).events["event_id"])
    assert same(known(found, 13_000, tmp_path), "phone", "laptop")


def test_at_the_end_it_is_the_datasets_own(tmp_path: Path):
    events = [*log(), link([("user_id", "u-1"), ("email", "e@x.org")], 9500), event(9600, anonymous_id="a-7")]
    found = prepared(tmp_path, events)
    last = known(found, 10**6, tmp_path)
    assert last.events["person_id"].tolist() == found.events["person_id"].tolist()
    assert last.people.equals(found.people)


def test_a_device_is_shared_from_its_second_user_on(tmp_path: Path):
    events = [event(0, event_id="first"), login(9000, event_id="in-1", user_id="u-1"),
              login(90_000, event_id="in-2", user_id="u-2")]  # fmt: skip
    found = prepared(tmp_path, events)
    assert same(known(found, 10_000, tmp_path), "first", "in-1")
    assert not same(known(found, 99_000, tmp_path), "first", "in-1")


def test_wrong_calls_are_told(tmp_path: Path):
    found = prepared(tmp_path, log())
    with pytest.raises(BadCallError, match="takes a datetime"):
        el.people_as_of(found, "2026-10-01")  # type: ignore[arg-type]
    other = tmp_path / "other"
    other.write_text("cd" * 32)
    with pytest.raises(BadCallError, match="not the key"):
        el.people_as_of(found, START, key=other)
    shutil.rmtree(found.folder / "state")
    with pytest.raises(BadCallError, match="holds no state"):
        el.people_as_of(found, START, key=tmp_path / "key")
