"""How events reach the log: device clocks, queues, retries, delays, and the lines that come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from eventlib.simulate.lines import Labels, Lines, pack, stamp
from eventlib.simulate.parameters import DAY, SECOND, Bools, Ints
from eventlib.simulate.people import JUNK_USERS
from eventlib.simulate.scene import Block, Scene, rows

__all__ = ["send", "visit_blocks"]

_HOUR: Final = 3600 * SECOND
_FLUSH: Final = 5 * SECOND
_TOO_LATE: Final = 3 * DAY
_FUTURE: Final = 23 * _HOUR


def _framed(
    name: str, index: Ints, time: Ints, properties: list[dict[str, Any]], *, server: bool = False
) -> Block:
    nowhere: list[str | None] = [None] * len(index)
    return Block(name, index, time[index], properties, nowhere, nowhere, server)


def visit_blocks(scene: Scene, blocks: list[Block]) -> list[Block]:
    """Return what frames the visits: consent, login, links, and the logout after the last event."""
    people, visits = scene.people, scene.visits
    end = visits.start + 5 * SECOND
    for block in blocks:
        np.maximum.at(end, block.visit, block.time)
    said = {i: said for i, said in enumerate(visits.said) if said is not None}
    login, logout = np.flatnonzero(visits.login), np.flatnonzero(visits.logout)
    mails = {
        i: people.email[int(visits.person[i])] for i in login.tolist() if visits.user[i] not in JUNK_USERS
    }
    linked = np.array([i for i, mail in mails.items() if mail], dtype=np.int64)
    links = [
        {
            "identifiers": [
                {"namespace": "user_id", "value": visits.user[i]},
                {"namespace": "email", "value": mails[i]},
            ]
        }
        for i in linked.tolist()
    ]
    consents = [{"purposes": purposes, "method": method} for method, purposes in said.values()]
    return [
        _framed("consent_update", np.array(list(said), dtype=np.int64), visits.start, consents),
        _framed("user_login", login, visits.start + SECOND, rows(method=["password"] * len(login))),
        _framed("identity_link", linked, visits.start + SECOND + 90_000, links, server=True),
        _framed("user_logout", logout, end + 2 * SECOND, rows(reset=visits.reset[logout].tolist())),
    ]


@dataclass(frozen=True)
class _Events:
    """Events of a batch as they happened."""

    visit: Ints
    time: Ints  # µs, true
    server: Bools


@dataclass(frozen=True)
class _Sent:
    """Raw times of events, by the clocks that wrote them."""

    occurred: Ints
    sent: Ints
    received: Ints
    fault: list[str]


def _sign(rng: np.random.Generator, n: int) -> Ints:
    return np.where(rng.random(n) < 0.5, -1, 1)


def _clock_errors(scene: Scene) -> tuple[Ints, Bools]:
    """Return each visit's clock error, µs, and whether its clock had jumped by then."""
    rng, p, n = scene.rng, scene.parameters, scene.people.device_count
    sign, kind = _sign(rng, n), rng.random(n)
    seconds = sign * np.exp(
        rng.uniform(np.log(60), np.log(2_700), n)
    )  # a minute to three quarters of an hour
    seconds = np.where(kind < 0.1, sign * rng.uniform(1, 20, n) * 3_600, seconds)
    seconds = np.where(kind > 0.985, 26 * 3_600, seconds)  # set a day ahead: past what can be taken
    seconds = np.where(rng.random(n) < p.skew_share, seconds, 0)
    jumps = rng.random(n) < p.clock_jump_share
    at = p.start_us + rng.integers(p.days // 3 * DAY, p.days * 2 // 3 * DAY, n)
    step = _sign(rng, n) * rng.uniform(300, 10_000, n)
    device = scene.visits.device
    jumped = jumps[device] & (scene.visits.start >= at[device])
    total = seconds[device] + jumped * step[device]
    return (total * 1000).astype(np.int64) * 1000, jumped


def _pipeline_delays(scene: Scene, batch: Ints) -> Ints:
    """Return each event's way to the collector, µs: one delay for all that was sent together."""
    rng, n = scene.rng, len(batch)
    hours = np.where(rng.random(n) < 0.1, rng.uniform(74, 120, n), rng.uniform(1.1, 48, n))
    slow = rng.random(n) < scene.parameters.late_share
    delay = ((np.exp(rng.normal(np.log(0.12), 0.5, n)) + slow * hours * 3600) * 1000).astype(np.int64) * 1000
    _, first, inverse = np.unique(batch, return_index=True, return_inverse=True)
    return np.asarray(delay[first][inverse], dtype=np.int64)


def _transport(scene: Scene, events: _Events) -> _Sent:
    """Queue, flush and deliver; the server's own events pass no device clock and no queue."""
    rng, p, visit = scene.rng, scene.parameters, events.visit
    error, jumped = _clock_errors(scene)
    start, end = scene.visits.start, scene.visits.start.copy()
    np.maximum.at(end, visit, events.time)
    offline = rng.random(len(start)) < p.offline_share
    far = offline & (rng.random(len(start)) < p.offline_too_late_share)
    hours = np.where(far, rng.uniform(73, 140, len(start)), rng.exponential(0.8, len(start)) + 0.02)
    queued = end + (hours * 3_600_000).astype(np.int64) * 1000
    beat = np.where(offline[visit], 0, (events.time - start[visit]) // _FLUSH)
    sent = np.where(offline[visit], queued[visit], start[visit] + (beat + 1) * _FLUSH)
    delay = _pipeline_delays(scene, visit * 10_000 + beat)
    client = ~events.server
    clock = np.where(client, error[visit], 0)
    masks = {
        "offline": offline[visit] & client,
        "clock_skew": clock != 0,
        "clock_jump": jumped[visit] & client,
        "late": (delay > _HOUR) & client,
        "future_time": clock > _FUTURE,
        "too_late": (far[visit] | (delay > _TOO_LATE)) & client,
    }
    received = np.where(client, sent + delay, events.time + 40_000)
    return _Sent(events.time + clock, sent + clock, received, _worst(masks, len(visit)))


def _worst(masks: dict[str, Bools], n: int) -> list[str]:
    """Return the last mask's name that holds for each event."""
    level = np.zeros(n, dtype=np.int64)
    for rank, mask in enumerate(masks.values(), start=1):
        level[mask] = rank
    names = ("", *masks)
    return [names[k] for k in level.tolist()]


def _sequence(scene: Scene, events: _Events) -> list[int | None]:
    """Count each cookie's client events; some begin again midway, as after a reinstall."""
    visits, p = scene.visits, scene.parameters
    restart = scene.rng.random(len(visits.cookie_label)) < p.sequence_restart_share
    half = restart[visits.cookie] & (visits.start > (p.start_us + p.end_us) // 2)
    key = np.where(events.server, -1, (visits.cookie * 2 + half)[events.visit])
    order = np.lexsort((events.time, key))
    keys, position = key[order], np.arange(len(order))
    first = np.ones(len(order), dtype=bool)
    first[1:] = keys[1:] != keys[:-1]
    counted = np.empty(len(order), dtype=np.int64)
    counted[order] = position - np.maximum.accumulate(np.where(first, position, 0)) + 1
    return [None if k < 0 else c for c, k in zip(counted.tolist(), key.tolist(), strict=True)]


def _contexts(scene: Scene, blocks: list[Block], which: Ints, events: _Events) -> list[dict[str, str | None]]:
    urls = [url for block in blocks for url in block.url]
    referrers = [referrer for block in blocks for referrer in block.referrer]
    agent, server = scene.visits.agent, events.server.tolist()
    visit = events.visit.tolist()
    return [
        {"url": urls[i], "referrer": referrers[i], "user_agent": None if server[i] else agent[visit[i]]}
        for i in which.tolist()
    ]


def _envelopes(
    scene: Scene, blocks: list[Block], which: Ints, events: _Events, sent: _Sent, *, ids: list[str]
) -> list[dict[str, Any]]:
    """Return whole events, in the order of `which`."""
    names = [block.name for block in blocks for _ in block.properties]
    properties = [what for block in blocks for what in block.properties]
    sequence, index = _sequence(scene, events), which.tolist()
    visits = scene.visits
    label = [visits.cookie_label[c] for c in visits.cookie.tolist()]
    user, consent = visits.user, visits.statement
    times = (stamp(sent.occurred[which]), stamp(sent.sent[which]), stamp(sent.received[which]))
    by_server, visit = events.server[which].tolist(), events.visit[which].tolist()
    contexts = _contexts(scene, blocks, which, events)
    return [
        {
            "event_id": event_id,
            "event_name": names[i],
            "schema_version": "1-0-0",
            "occurred_at": occurred,
            "sent_at": None if server else sent_at,
            "received_at": received,
            "sequence": sequence[i],
            "source": "backend" if server else "web",
            "channel": "server" if server else "client",
            "anonymous_id": label[v],
            "user_id": user[v],
            "consent": consent[v],
            "context": context,
            "properties": properties[i],
        }
        for event_id, i, occurred, sent_at, received, server, v, context in zip(
            ids, index, *times, by_server, visit, contexts, strict=True
        )
    ]


def _again(event: dict[str, Any], delay_us: int, *, changed: bool) -> dict[str, Any]:
    """Send an event again: only sent and received later, or, by a fault, something else under the same id."""
    texts = np.array([event["sent_at"][:-1], event["received_at"][:-1]], dtype="M8[us]")
    sent, received = stamp(texts.astype(np.int64) + delay_us)
    copy = {**event, "sent_at": sent, "received_at": received}
    return (
        {**copy, "context": {**copy["context"], "referrer": "https://retry.example.net/"}}
        if changed
        else copy
    )


def send(scene: Scene, blocks: list[Block], labels: Labels, limit: int) -> tuple[Lines, Ints]:
    """Turn a batch's events into lines, person by person, at most `limit` of them.

    Returns
    -------
    lines, visits
        The lines, and the visits that have any.
    """
    rng, p = scene.rng, scene.parameters
    events = _Events(
        np.concatenate([block.visit for block in blocks]),
        np.concatenate([block.time for block in blocks]) // 1000 * 1000,
        np.concatenate([np.full(len(block.visit), block.server) for block in blocks]),
    )
    sent = _transport(scene, events)
    retried = ~events.server & (rng.random(len(events.visit)) < p.duplicate_share)
    order = np.lexsort((events.time, scene.visits.person[events.visit]))
    order = np.repeat(order, 1 + retried[order])[:limit]
    copy = np.zeros(len(order), dtype=bool)
    copy[1:] = order[1:] == order[:-1]
    which = order[~copy]
    made = _envelopes(scene, blocks, which, events, sent, ids=labels(len(which)))
    person = [scene.people.label[i] for i in scene.visits.person[events.visit[which]].tolist()]
    fault = [sent.fault[i] for i in which.tolist()]
    copied = np.cumsum(~copy)[copy] - 1
    lines = pack(rng, made, sent.received[which], events.time[which], p, person=person, fault=fault)
    return Lines.of([lines, _copies(scene, made, lines, copied)]), np.unique(events.visit[which])


def _copied_fault(fault: str) -> str:
    return (
        fault if fault.startswith("unknown") else "duplicate"
    )  # what no schema knows is refused before it is compared


def _copies(scene: Scene, made: list[dict[str, Any]], lines: Lines, copied: Ints) -> Lines:
    """Return the retries: seconds to two hours later, nearly all of them the same event."""
    rng, p = scene.rng, scene.parameters
    delay = (np.exp(rng.uniform(np.log(2), np.log(7_200), len(copied))) * 1000).astype(np.int64) * 1000
    changed = (rng.random(len(copied)) < p.duplicate_changed_share / max(p.duplicate_share, 1e-9)).tolist()
    where = copied.tolist()
    again = [_again(made[i], d, changed=c) for i, d, c in zip(where, delay.tolist(), changed, strict=True)]
    names = [
        "duplicate_changed" if c else _copied_fault(lines.fault[i])
        for i, c in zip(where, changed, strict=True)
    ]
    person = [lines.person[i] for i in where]
    planned = replace(p, off_plan_share=0.0)  # a retry repeats what was sent
    received, true_time = lines.received[copied] + delay, lines.true_time[copied]
    return pack(rng, again, received, true_time, planned, person=person, fault=names)
