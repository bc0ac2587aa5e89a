"""S2.3, S2.6 in a simulated world: whom a denial reaches, told by the truth and event by event."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventlib.identifiers import is_junk
from eventlib.model import PURPOSES
from eventlib.prepared import Prepared
from eventlib.simulate import WorldParameters, simulate
from tests.factory import prepared

LINES = 12_000
SEED = 5
WORLD = WorldParameters(shared_device_share=0.4, junk_login_share=0.06, kiosk_people=12)
"""Many tablets of two, many logins with ids such as `undefined`, a public device: where a denial could reach a stranger."""

Allowed = set[tuple[str, str]]


@dataclass(frozen=True)
class Known:
    """A log as events, by line, with whose each truly is; what was prepared of it; who used each device."""

    lines: list[bytes]
    events: dict[int, dict[str, Any]]
    person: dict[str, str]
    users: dict[str, set[str]]
    allowed: Allowed


def allowed(found: Prepared) -> Allowed:
    """Event and purpose; who of a clash is renamed depends on who is left."""
    names = found.events["original_event_id"].fillna(found.events["event_id"])
    return {
        (name, purpose)
        for purpose in PURPOSES
        for name in names[found.events[f"allow_{purpose}"].astype(bool)]
    }


def _decoded(lines: list[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, raw in enumerate(lines):
        try:
            event = orjson.loads(raw)
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event_id"), str):
            yield number, event


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Known:
    folder = tmp_path_factory.mktemp("world")
    made = simulate(folder, LINES, SEED, WORLD, plain=True)
    lines = made.files[0].read_bytes().splitlines(keepends=True)
    with gzip.open(made.truth / "events.csv.gz", "rt") as text:
        person = {row["event_id"]: row["true_person"] for row in csv.DictReader(text)}
    events = dict(_decoded(lines))
    users = defaultdict(set)
    for event in events.values():
        if isinstance(device := event.get("anonymous_id"), str):
            users[device].add(person[event["event_id"]])
    return Known(lines, events, person, dict(users), allowed(prepared(folder, lines)))


def _denied(event: dict[str, Any]) -> bytes:
    """Return an event that says now, of every purpose, no."""
    said = {
        "jurisdiction": (event.get("consent") or {}).get("jurisdiction"),
        "purposes": dict.fromkeys(PURPOSES, False),
    }
    return orjson.dumps({**event, "consent": said}) + b"\n"


def _first_of(world: Known, wanted: list[set[str]], people: int) -> list[int]:
    """Return a line each of some people, in which something is allowed today."""
    kept = {name for name, _ in world.allowed}
    found: dict[str, int] = {}
    for number, event in world.events.items():
        person = world.person[event["event_id"]]
        if person.startswith("person") and event["event_id"] in kept and _facts(world, event) in wanted:
            found.setdefault(person, number)
    return list(found.values())[:people]


def _facts(world: Known, event: dict[str, Any]) -> set[str]:
    """What a case asks of an event: on a device that several people use, by a usable user id, or by one that is junk."""
    user = event.get("user_id")
    facts = {"shared"} if len(world.users.get(event.get("anonymous_id") or "", ())) > 1 else set[str]()
    return facts | {"junk" if is_junk("user_id", user) else "named"} if isinstance(user, str) else facts


@dataclass(frozen=True)
class Reached:
    """Events that lost an allow, of three sorts of people.

    Attributes
    ----------
    own
        Of the people who denied.
    beside
        Of others, on a device that one of them used.
    owners
        Of others, elsewhere, who use the very device on which it was denied: nobody but them ever logged in there, so that
        it is theirs by all evidence, and who denied without logging in is taken for them.
    strangers
        Of everybody else.
    """

    own: set[str]
    beside: set[str]
    owners: set[str]
    strangers: set[str]


def reach(world: Known, tmp_path: Path, numbers: list[int]) -> Reached:
    """Deny in these lines; return what that took away."""
    lines = [_denied(world.events[n]) if n in numbers else raw for n, raw in enumerate(world.lines)]
    after = allowed(prepared(tmp_path, lines))
    assert after <= world.allowed, "a denial added an allow"
    lost = {name for name, _ in world.allowed - after}
    denials = [world.events[n] for n in numbers]
    deniers = {world.person[event["event_id"]] for event in denials}
    near = set[str]().union(*(world.users.get(event.get("anonymous_id") or "", set()) for event in denials))
    device = {event["event_id"]: event.get("anonymous_id") for event in world.events.values()}
    own = {name for name in lost if world.person[name] in deniers}
    beside = {name for name in lost - own if world.users.get(device[name] or "", set()) & deniers}
    owners = {name for name in lost - own - beside if world.person[name] in near}
    return Reached(own, beside, owners, lost - own - beside - owners)


CASES: dict[str, list[set[str]]] = {
    "on a device of their own": [set(), {"named"}],
    "on a device of their own, logged in": [{"named"}],
    "on a shared device, logged in": [{"shared", "named"}],
    # what an anonymous event on a shared device says holds for whoever was anonymous there
    "on a shared device, anonymous": [{"shared"}],
    "under a junk id": [{"junk"}, {"junk", "shared"}],
}


@pytest.mark.parametrize("case", CASES)
def test_a_denial_reaches_its_person_and_no_stranger(world: Known, tmp_path: Path, case: str):
    numbers = _first_of(world, CASES[case], people=6)
    assert len(numbers) >= 2, "the world has too few of these"
    found = reach(world, tmp_path, numbers)
    assert not found.strangers
    assert {world.events[n]["event_id"] for n in numbers} <= found.own
    if case == "on a shared device, anonymous":
        return
    assert not found.owners
    # beside them only events that name nobody: whoever is logged in answers for themselves
    named = {event["event_id"] for event in world.events.values() if "named" in _facts(world, event)}
    assert not found.beside & named


def test_a_denial_under_an_id_that_is_no_device_reaches_nothing_else(world: Known, tmp_path: Path):
    """Of one whose identifiers are both junk nobody knows who it was: it speaks for itself alone."""
    (number,) = _first_of(world, [set()], people=1)
    lines, nobody = list(world.lines), {"anonymous_id": "undefined", "user_id": "null"}
    granted = {**world.events[number], **nobody, "event_id": "nobody-1"}
    other = {**world.events[number], **nobody, "event_id": "nobody-2"}
    before = allowed(prepared(tmp_path, [*lines, granted, other]))
    after = allowed(prepared(tmp_path, [*lines, granted, _denied(other)]))
    assert {name for name, _ in before - after} == {"nobody-2"}
    assert after <= before
