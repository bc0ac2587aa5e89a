"""The world put together: chunk by chunk, each from its own random stream, so that memory stays flat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from eventlib.simulate.content import Content, build_content
from eventlib.simulate.journeys import journeys
from eventlib.simulate.lines import Labels, Lines, break_lines, stamp
from eventlib.simulate.machines import BOT, Machines, probe_runs
from eventlib.simulate.parameters import CHUNK_LINES, Ints, WorldParameters, WorldSize, generator
from eventlib.simulate.people import JUNK_USERS, People, Visits, draw_people, draw_visits, scramble
from eventlib.simulate.scene import Scene
from eventlib.simulate.transport import send, visit_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Chunk", "World", "chunks"]

_LINES_PER_PERSON: Final = 52
_PEOPLE_AT_ONCE: Final = 500
_PARTS: Final = {"content": 1, "machines": 2, "people": 3, "faults": 4}

Identifier = tuple[str, str, str, bool, bool]


@dataclass(frozen=True)
class World:
    """A world of a given size: what all its chunks share."""

    events: int
    seed: int
    parameters: WorldParameters
    size: WorldSize
    content: Content

    @classmethod
    def build(cls, events: int, seed: int, parameters: WorldParameters) -> World:
        """Draw the content; people and events come chunk by chunk."""
        size = WorldSize.of(events, parameters)
        return cls(events, seed, parameters, size, build_content(size, parameters, seed))


@dataclass
class Chunk:
    """Some tens of thousands of lines in the order of arrival, and the truth about each."""

    raw: list[bytes]
    truth: list[tuple[str, str, str, str]]  # event_id, true_time, true_person, fault
    identifiers: list[Identifier]  # namespace, identifier, true_person, is_shared, is_bot
    faults: Counter[str] = field(default_factory=Counter)


class _Labels:
    """Event ids in the form of a UUID: distinct by construction, the same for the same seed."""

    def __init__(self, seed: int, chunk: int) -> None:
        draw = generator(seed, 9).integers(0, 1 << 48, 3).tolist()
        self._salt = draw[0] & 0x7FFFFFFF
        self._tail = f"-{chunk:04x}-7{draw[1] & 0xFFF:03x}-8{draw[1] >> 12 & 0xFFF:03x}-{draw[2]:012x}"
        self._used = 0

    def __call__(self, n: int) -> list[str]:
        numbers = np.arange(self._used, self._used + n)
        self._used += n
        return [label + self._tail for label in scramble(numbers, self._salt)]


def _machine_lines(world: World, chunk: int, of: int, n: int, labels: Labels) -> Lines:
    p = world.parameters
    rng = generator(world.seed, _PARTS["machines"], chunk)
    machines = Machines(rng, world.content, f"{chunk:02x}", labels, p)
    parts = [machines.catalogue(), machines.edits(), machines.discoveries()] if chunk == 0 else []
    parts.append(machines.crawls(int(p.agent_fetch_share * n)))
    parts.append(machines.probes(probe_runs(world.size, p)[chunk::of]))
    parts.append(machines.bots(int(p.bot_view_share * n)))
    return Lines.of(parts).head(max(1, n * 6 // 10))


def _people_lines(world: World, chunk: int, n: int, labels: Labels) -> tuple[list[Lines], list[Identifier]]:
    """Simulate people until the chunk is full; the last one may be cut short."""
    parts: list[Lines] = []
    identifiers: list[Identifier] = []
    missing, batch, p = n, 0, world.parameters
    while missing > 0:
        rng = generator(world.seed, _PARTS["people"], chunk, batch)
        tag = f"{chunk:02x}{batch:x}"
        people = draw_people(rng, int(np.clip(missing // _LINES_PER_PERSON, 20, _PEOPLE_AT_ONCE)), tag, p)
        scene = Scene(rng, world.content, people, draw_visits(rng, people, tag, p), tag, p)
        blocks = journeys(scene)
        lines, kept = send(scene, [*blocks, *visit_blocks(scene, blocks)], labels, missing)
        parts.append(lines)
        identifiers += _identifiers(people, scene.visits, kept)
        missing, batch = missing - len(lines), batch + 1
    return parts, identifiers


def _identifiers(people: People, visits: Visits, kept: Ints) -> list[Identifier]:
    """Return whose each identifier truly is: of a shared one, who used it most."""
    cookies: dict[int, Counter[int]] = {}
    owners: set[int] = set()
    for visit in kept.tolist():
        person = int(visits.person[visit])
        cookies.setdefault(int(visits.cookie[visit]), Counter())[person] += 1
        if visits.user[visit] == people.account[person]:
            owners.add(person)
    found: list[Identifier] = [
        (
            "anonymous_id",
            visits.cookie_label[c],
            people.label[users.most_common(1)[0][0]],
            len(users) > 1,
            False,
        )
        for c, users in sorted(cookies.items())
    ]
    mails: dict[str, list[int]] = {}
    for person in sorted(owners):
        account, mail = people.account[person], people.email[person]
        if account is not None:
            found.append(("user_id", account, people.label[person], False, False))
        if mail is not None:
            mails.setdefault(mail, []).append(person)
    found += [("email", mail, people.label[who[0]], len(who) > 1, False) for mail, who in mails.items()]
    return found


def _chunk(world: World, chunk: int, of: int, n: int) -> Chunk:
    labels = _Labels(world.seed, chunk)
    machines = _machine_lines(world, chunk, of, n, labels)
    people, identifiers = _people_lines(world, chunk, n - len(machines), labels)
    bots = sorted({person for person in machines.person if person.startswith(BOT)})
    identifiers += [("anonymous_id", f"a-{bot}", bot, False, True) for bot in bots]
    if chunk == 0 and world.parameters.junk_login_share > 0:
        identifiers += [("user_id", junk, "", True, False) for junk in JUNK_USERS]
    rng = generator(world.seed, _PARTS["faults"], chunk)
    lines = break_lines(rng, Lines.of([machines, *people]).sorted(), world.parameters)
    truth = list(zip(lines.ids, stamp(lines.true_time), lines.person, lines.fault, strict=True))
    return Chunk(lines.raw, truth, identifiers, Counter(lines.fault))


def chunks(world: World) -> Iterator[Chunk]:
    """Simulate the log, some tens of thousands of lines at a time, exactly as many as asked for in all."""
    of = max(1, -(-world.events // CHUNK_LINES))
    for chunk in range(of):
        n = world.events * (chunk + 1) // of - world.events * chunk // of
        if n:
            yield _chunk(world, chunk, of, n)
