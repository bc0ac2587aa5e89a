"""How events reach the log: device clocks, queues, retries, pipeline delays, and the lines that come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eventlib.simulate.parameters import DAY, SECOND, Bools, Ints, WorldParameters
from eventlib.simulate.people import JUNK_USERS, People, Visits
from eventlib.simulate.reading import Block, rows

__all__ = ["Lines", "send", "stamp", "visit_blocks"]

_HOUR: Final = 3600 * SECOND
_FLUSH: Final = 5 * SECOND
LATE: Final = _HOUR
TOO_LATE: Final = 3 * DAY


@dataclass
class Lines:
    """Lines of the log before they are written: decoded events beside their truth."""

    events: list[dict[str, Any]]
    received: Ints  # µs
    true_time: Ints  # µs
    person: list[str]
    fault: list[str]

    def __len__(self) -> int:
        return len(self.events)

    def head(self, n: int) -> Lines:
        """Return the first n lines."""
        return Lines(self.events[:n], self.received[:n], self.true_time[:n], self.person[:n], self.fault[:n])

    @classmethod
    def of(cls, parts: list[Lines]) -> Lines:
        """Concatenate."""
        return cls(
            [event for part in parts for event in part.events],
            np.concatenate([part.received for part in parts]),
            np.concatenate([part.true_time for part in parts]),
            [person for part in parts for person in part.person],
            [fault for part in parts for fault in part.fault],
        )


def stamp(times: Ints) -> list[str]:
    """Return RFC 3339 texts with milliseconds.

    >>> stamp(np.array([1_785_715_200_123_000]))
    ['2026-08-03T00:00:00.123Z']
    """
    texts: list[str] = np.datetime_as_string((times // 1000).astype("M8[ms]"), timezone="UTC").tolist()
    return texts


def visit_blocks(people: People, visits: Visits, blocks: list[Block]) -> list[Block]:
    """Return what frames the visits: consent, login, links, and the logout after the last event."""
    end = visits.start + 5 * SECOND
    for block in blocks:
        np.maximum.at(end, block.visit, block.time)
    told = [i for i, said in enumerate(visits.said) if said is not None]
    said = [visits.said[i] for i in told]
    consents = [{"purposes": s[1], "method": s[0]} for s in said if s is not None]
    login, logout = np.flatnonzero(visits.login), np.flatnonzero(visits.logout)
    linked = [i for i in login.tolist() if visits.user[i] not in JUNK_USERS and people.email[visits.person[i]]]
    links = [
        {"identifiers": [{"namespace": "user_id", "value": visits.user[i]}, {"namespace": "email", "value": people.email[visits.person[i]]}]}
        for i in linked
    ]  # fmt: skip

    def framed(name: str, index: Any, time: Ints, properties: list[dict[str, Any]], *, server: bool = False) -> Block:
        where = np.asarray(index, dtype=np.int64)
        nothing: list[str | None] = [None] * len(where)
        return Block(name, where, time[where], properties, nothing, nothing, server)

    return [
        framed("consent_update", told, visits.start, consents),
        framed("user_login", login, visits.start + SECOND, rows(method=["password"] * len(login))),
        framed("identity_link", linked, visits.start + SECOND + 90_000, links, server=True),
        framed("user_logout", logout, end + 2 * SECOND, rows(reset=visits.reset[logout].tolist())),
    ]


def _skews(rng: np.random.Generator, devices: int, visits: Visits, p: WorldParameters) -> tuple[Ints, Bools]:
    """Return each visit's clock error, µs, and whether its clock had jumped by then."""
    size = np.exp(rng.uniform(np.log(60), np.log(2_700), devices))  # a minute to three quarters of an hour
    hours = rng.random(devices)
    size = np.where(hours < 0.1, rng.uniform(1, 20, devices) * 3_600, size)
    sign = np.where(rng.random(devices) < 0.5, -1, 1)
    size = np.where(hours > 0.985, 26 * 3_600, size)  # set a day ahead: past what can be taken
    sign = np.where(hours > 0.985, 1, sign)
    error = np.where(rng.random(devices) < p.skew_share, sign * size, 0)
    jumps = rng.random(devices) < p.clock_jump_share
    at = p.start_us + rng.integers(p.days // 3 * DAY, p.days * 2 // 3 * DAY, devices)
    step = np.where(rng.random(devices) < 0.5, -1, 1) * rng.uniform(300, 10_000, devices)
    jumped = jumps[visits.device] & (visits.start >= at[visits.device])
    total = error[visits.device] + jumped * step[visits.device]
    return (total * 1000).astype(np.int64) * 1000, jumped


@dataclass(frozen=True)
class _Sent:
    """Raw times of events, by the clocks that wrote them."""

    occurred: Ints
    sent: Ints
    received: Ints
    fault: list[str]
    retried: Bools


def _first_of_group(values: Ints, group: Ints) -> Ints:
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    taken: Ints = values[first][inverse]
    return taken


def _transport(rng: np.random.Generator, visits: Visits, devices: int, visit: Ints, time: Ints, server: Bools, p: WorldParameters) -> _Sent:
    n = len(time)
    error, jumped = _skews(rng, devices, visits, p)
    start, end = visits.start.copy(), visits.start.copy()
    np.maximum.at(end, visit, time)
    offline = rng.random(len(start)) < p.offline_share
    far = offline & (rng.random(len(start)) < p.offline_too_late_share)
    queue = np.where(far, rng.uniform(73, 140, len(start)), rng.exponential(0.8, len(start)) + 0.02) * 3600
    flush = start[visit] + ((time - start[visit]) // _FLUSH + 1) * _FLUSH
    sent = np.where(offline[visit], end[visit] + (queue[visit] * 1000).astype(np.int64) * 1000, flush)
    batch = visit * 10_000 + np.where(offline[visit], 0, (time - start[visit]) // _FLUSH)
    delay = np.exp(rng.normal(np.log(0.12), 0.5, n))
    slow = rng.random(n) < p.late_share
    delay = delay + slow * np.where(rng.random(n) < 0.1, rng.uniform(74, 120, n), rng.uniform(1.1, 48, n)) * 3600
    delay_us = _first_of_group((delay * 1000).astype(np.int64) * 1000, batch)
    received = np.where(server, time + 40_000, sent + delay_us)
    clock = np.where(server, 0, error[visit])
    gaps = (offline[visit] & ~server, clock != 0, jumped[visit] & ~server, delay_us * ~server > LATE)
    worst = (clock > 23 * _HOUR, (far[visit] & ~server) | (delay_us * ~server > TOO_LATE))
    names = np.array(["", "offline", "clock_skew", "clock_jump", "late", "future_time", "too_late"])
    level = np.zeros(n, dtype=np.int64)
    for rank, mask in enumerate((*gaps, *worst), start=1):
        level = np.where(mask, rank, level)
    return _Sent(time + clock, sent + clock, received, names[level].tolist(), ~server & (rng.random(n) < p.duplicate_share))


def _sequence(rng: np.random.Generator, visits: Visits, visit: Ints, time: Ints, server: Bools, p: WorldParameters) -> list[int | None]:
    """Count each cookie's client events; some begin again midway, as after a reinstall."""
    restart = rng.random(len(visits.cookie_label)) < p.sequence_restart_share
    half = restart[visits.cookie] & (visits.start > (p.start_us + p.end_us) // 2)
    key = visits.cookie * 2 + half
    order = np.lexsort((time, key[visit], server))
    keys = key[visit][order]
    first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    position = np.arange(len(keys))
    counted = np.empty(len(keys), dtype=np.int64)
    counted[order] = position - np.maximum.accumulate(np.where(first, position, 0)) + 1
    return [None if s else c for c, s in zip(counted.tolist(), server.tolist(), strict=True)]


def _envelopes(
    blocks: list[Block], people: People, visits: Visits, which: Ints, visit: Ints, server: Bools, sent: _Sent, sequence: list[int | None],
    ids: list[str],
) -> list[dict[str, Any]]:  # fmt: skip
    def of(name: str) -> list[Any]:
        everything = [value for block in blocks for value in getattr(block, name)]
        return [everything[i] for i in index]

    index, where = which.tolist(), visit[which].tolist()
    names = [block.name for block in blocks for _ in block.properties]
    columns = zip(
        ids, [names[i] for i in index], stamp(sent.occurred[which]), stamp(sent.sent[which]), stamp(sent.received[which]),
        [sequence[i] for i in index], server[which].tolist(), where, of("url"), of("referrer"), of("properties"), strict=True,
    )  # fmt: skip
    label = [visits.cookie_label[c] for c in visits.cookie.tolist()]
    user, consent, agent = visits.user, visits.statement, visits.agent
    return [
        {
            "event_id": event_id,
            "event_name": name,
            "schema_version": "1-0-0",
            "occurred_at": occurred,
            "sent_at": None if by_server else sent_at,
            "received_at": received,
            "sequence": number,
            "source": "backend" if by_server else "web",
            "channel": "server" if by_server else "client",
            "anonymous_id": label[v],
            "user_id": user[v],
            "consent": consent[v],
            "context": {"url": url, "referrer": referrer, "user_agent": None if by_server else agent[v]},
            "properties": properties,
        }
        for event_id, name, occurred, sent_at, received, number, by_server, v, url, referrer, properties in columns
    ]


def _again(event: dict[str, Any], delay_us: int, *, changed: bool) -> dict[str, Any]:
    """Send an event again: the same but for when it was sent and received; or, by a fault, something else under its id."""
    later = {name: np.array([event[name][:-1]], dtype="M8[us]").astype(np.int64) + delay_us for name in ("sent_at", "received_at")}
    copy = {**event, **{name: stamp(time)[0] for name, time in later.items()}}
    return {**copy, "context": {**copy["context"], "referrer": "https://retry.example.net/"}} if changed else copy


def send(
    rng: np.random.Generator, people: People, visits: Visits, blocks: list[Block], labels: Callable[[int], list[str]], limit: int, p: WorldParameters
) -> tuple[Lines, Ints]:
    """Turn a batch's events into lines, person by person, at most `limit` of them.

    Returns
    -------
    lines, visits
        The lines, and the visits that have any.
    """
    visit = np.concatenate([block.visit for block in blocks])
    time = np.concatenate([block.time for block in blocks]) // 1000 * 1000
    server = np.concatenate([np.full(len(block.visit), block.server) for block in blocks])
    sent = _transport(rng, visits, people.device_count, visit, time, server, p)
    sequence = _sequence(rng, visits, visit, time, server, p)
    order = np.lexsort((time, visits.person[visit]))
    order = np.repeat(order, 1 + sent.retried[order])[:limit]
    copy = np.append(False, order[1:] == order[:-1])[: len(order)]
    which = order[~copy]
    events = _envelopes(blocks, people, visits, which, visit, server, sent, sequence, labels(len(which)))
    person = [people.label[i] for i in visits.person[visit[which]].tolist()]
    fault = [sent.fault[i] for i in which.tolist()]
    lines = Lines(events, sent.received[which], time[which], person, fault)
    return _with_copies(rng, lines, np.cumsum(~copy)[copy] - 1, p), np.unique(visit[which])


def _with_copies(rng: np.random.Generator, lines: Lines, copied: Ints, p: WorldParameters) -> Lines:
    delay = (np.exp(rng.uniform(np.log(2), np.log(7_200), len(copied))) * 1000).astype(np.int64) * 1000
    changed = rng.random(len(copied)) < p.duplicate_changed_share / max(p.duplicate_share, 1e-9)
    again = [
        _again(lines.events[i], d, changed=c) for i, d, c in zip(copied.tolist(), delay.tolist(), changed.tolist(), strict=True)
    ]
    names = ["duplicate_changed" if c else "duplicate" for c in changed.tolist()]
    return Lines.of([lines, Lines(again, lines.received[copied] + delay, lines.true_time[copied], [lines.person[i] for i in copied], names)])
