"""People, their devices and visits: who is behind which identifier, and what each has consented to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from eventlib.simulate.parameters import DAY, SECOND, Bools, Floats, Ints, WorldParameters

__all__ = ["JUNK_USERS", "USER_AGENTS", "People", "Visits", "draw_people", "draw_visits", "scramble"]

JUNK_USERS: Final = ("undefined", "null", "guest", "00000000-0000-0000-0000-000000000000", "anonymous", "[object Object]")
USER_AGENTS: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
)
PHONE, LAPTOP, WORK, TABLET, KIOSK = range(5)
OPT_OUT: Final = ("US-CA", "US-TX", "US-VA")
_HOURS: Final = np.array([1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 9, 9, 9, 9, 9, 9, 9, 10, 11, 11, 9, 6, 3], dtype=np.float64)

# what can be said to a banner, by purpose: analytics, identity, training, personalization, advertising
_ALL = (True, True, True, True, True)
PATTERNS: Final[tuple[tuple[bool | None, ...] | None, ...]] = (
    _ALL,
    (True, True, True, False, False),
    (True, False, False, False, False),
    (False, False, False, False, False),
    None,  # the banner was left unanswered: purposes are absent
    None,  # opt-out regime: notice given, nothing said
    (None, None, False, False, False),  # opt-out regime: opted out
    (True, True, False, False, False),  # withdrew in part
)
SILENT, NOTICE, OPTED_OUT, IN_PART = 4, 5, 6, 7
_PURPOSES: Final = ("analytics", "identity", "training", "personalization", "advertising")


def scramble(values: Ints, salt: int) -> list[str]:
    """Return distinct eight-digit hex labels that look drawn but never collide (an odd factor modulo 2³²)."""
    mixed = ((values.astype(np.uint64) + np.uint64(salt)) * np.uint64(2_654_435_769)) & np.uint64(0xFFFFFFFF)
    return [f"{value:08x}" for value in mixed.tolist()]


@dataclass(frozen=True)
class People:
    """People of one batch; axis n."""

    label: list[str]
    jurisdiction: list[str]
    opt_out: Bools
    account: list[str | None]
    email: list[str | None]
    pattern: Ints  # index into PATTERNS
    gpc: Bools
    click: Floats
    dwell: Floats
    devices: Ints  # (n, 5) device numbers by kind, -1 where there is none
    kiosk: Bools
    device_count: int
    device_first: Ints  # (device_count,) first owner
    device_kind: Ints


@dataclass(frozen=True)
class Visits:
    """Visits of one batch in the order (device, start); axis s."""

    person: Ints
    device: Ints
    cookie: Ints
    start: Ints  # µs
    user: list[str | None]
    login: Bools
    logout: Bools
    reset: Bools
    statement: list[orjson.Fragment | None]
    said: list[tuple[str, dict[str, bool | None]] | None]  # a consent_update at the start: method, purposes
    fresh: Bools  # first visit of its cookie
    cookie_label: list[str]
    agent: list[str]


def _households(rng: np.random.Generator, n: int, p: WorldParameters) -> Ints:
    """Return the tablet's number of each person, -1 for none: neighbours in pairs share one."""
    pairs = rng.random((n + 1) // 2) < p.shared_device_share
    tablet = np.where(pairs, np.cumsum(pairs) - 1, -1)
    return np.repeat(tablet, 2)[:n]


def _devices(rng: np.random.Generator, n: int, p: WorldParameters) -> tuple[Ints, Bools]:
    has = rng.random((n, 3)) < np.array([0.92, 0.5, 0.18])
    has[~has.any(axis=1), PHONE] = True
    table = np.full((n, 5), -1, dtype=np.int64)
    table[:, :3] = np.where(has, np.cumsum(has.ravel()).reshape(n, 3) - 1, -1)
    count = int(has.sum())
    tablet = _households(rng, n, p)
    table[:, TABLET] = np.where(tablet >= 0, count + tablet, -1)
    count += int(tablet.max(initial=-1)) + 1
    kiosks = -(-n // 1000)
    kiosk = np.zeros(n, dtype=bool)
    users = rng.permutation(n)[: min(n, kiosks * p.kiosk_people)]
    kiosk[users] = True
    table[users, KIOSK] = count + np.arange(len(users)) % kiosks
    return table, kiosk


def _patterns(rng: np.random.Generator, opt_out: Bools, p: WorldParameters) -> Ints:
    n = len(opt_out)
    shares = np.cumsum([p.accept_all_share, p.partial_share / 2, p.partial_share / 2, p.refuse_share])
    asked = np.searchsorted(shares, rng.random(n), side="right")
    return np.where(opt_out, np.where(rng.random(n) < p.opt_out_share, OPTED_OUT, NOTICE), np.minimum(asked, SILENT))


def draw_people(rng: np.random.Generator, n: int, batch: str, p: WorldParameters) -> People:
    """Draw n people with their devices, accounts and attitudes."""
    names, weights = zip(*p.jurisdictions, strict=True)
    where = rng.choice(len(names), n, p=np.array(weights) / sum(weights))
    where[1::2] = where[: 2 * (n // 2) : 2]  # neighbours may be one household: one law holds for both
    table, kiosk = _devices(rng, n, p)
    count = int(table.max()) + 1
    kind, first = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for column in reversed(range(5)):
        owners = np.flatnonzero(table[:, column] >= 0)[::-1]
        kind[table[owners, column]], first[table[owners, column]] = column, owners
    account = (rng.random(n) < p.account_share) | (table[:, TABLET] >= 0) | kiosk
    tags = scramble(np.arange(n), int(rng.integers(1 << 31)))
    family = np.arange(n) // 2 * 2
    shares_mail = (table[:, TABLET] >= 0) & (rng.random(n) < 0.15)
    mail = [f"{tags[family[i]] if s else tags[i]}@mail.example.org" for i, s in enumerate(shares_mail)]
    opt_out = np.isin(np.array(names)[where], OPT_OUT)
    return People(
        label=[f"person-{batch}-{i:05d}" for i in range(n)],
        jurisdiction=[names[w] for w in where],
        opt_out=opt_out,
        account=[f"u-{batch}-{tags[i]}" if a else None for i, a in enumerate(account)],
        email=[m if a else None for m, a in zip(mail, account & (rng.random(n) < p.email_link_share), strict=True)],
        pattern=_patterns(rng, opt_out, p),
        gpc=rng.random(n) < p.gpc_share,
        click=rng.normal(0, p.person_click_sd, n),
        dwell=rng.normal(0, p.person_dwell_sd, n),
        devices=table,
        kiosk=kiosk,
        device_count=count,
        device_first=first,
        device_kind=kind,
    )


def _starts(rng: np.random.Generator, n: int, p: WorldParameters) -> Ints:
    hour = rng.choice(24, n, p=_HOURS / _HOURS.sum())
    within = rng.integers(0, DAY // 24, n)
    # visits that begin in the window's last two hours would run over its end
    start = p.start_us + rng.integers(0, p.days, n) * DAY + hour * (DAY // 24) + within
    return np.minimum(start, p.end_us - 2 * 3600 * SECOND)


def _choose_devices(rng: np.random.Generator, people: People, person: Ints) -> Ints:
    weight = np.array([1.0, 0.9, 0.5, 0.9, 0.8]) * (people.devices[person] >= 0)
    edge = np.cumsum(weight, axis=1)
    drawn = rng.random((len(person), 1)) * edge[:, -1:]
    column = np.minimum((drawn >= edge).sum(axis=1), 4)
    chosen: Ints = people.devices[person, column]
    return chosen


def _statement(people: People, person: int, pattern: int, updated: int) -> orjson.Fragment:
    """Write one consent object; it stays the same bytes on every event that repeats it."""
    said = PATTERNS[pattern]
    consent: dict[str, object] = {"jurisdiction": people.jurisdiction[person]}
    if said is not None:
        consent["purposes"] = dict(zip(_PURPOSES, said, strict=True))
    if people.gpc[person]:
        consent["gpc"] = True
    if people.opt_out[person]:
        consent["us_privacy"] = "1YYN" if pattern == OPTED_OUT else "1YNN"
    if pattern != SILENT:
        consent["notice_version"] = "2026-05"
        consent["updated_at"] = np.datetime_as_string(np.datetime64(updated, "us"), unit="s") + "Z"
    return orjson.Fragment(orjson.dumps(consent))


Said = tuple[str, dict[str, bool | None]] | None


def _base_statements(
    rng: np.random.Generator, people: People, cookie: Ints, device: Ints, start: Ints, fresh: Bools, p: WorldParameters
) -> tuple[list[orjson.Fragment | None], list[Said]]:
    """Each cookie's statement: made at its first visit, or before the log began where the cookie is that old."""
    heads = np.flatnonzero(fresh)
    owner = people.device_first[device[heads]]
    same = rng.random(len(heads)) < 0.9
    pattern = np.where(same, people.pattern[owner], _patterns(rng, people.opt_out[owner], p))
    old = (rng.random(len(heads)) < 0.4) & np.append(True, device[heads][1:] != device[heads][:-1])
    age = rng.uniform(1, 405, len(heads)) * DAY
    updated = np.where(old, p.start_us - age.astype(np.int64), start[heads])
    fragments = [
        None if k == SILENT and o % 3 == 0 else _statement(people, int(o), int(k), int(u))
        for o, k, u in zip(owner, pattern, updated, strict=True)
    ]
    said: list[Said] = [None] * len(cookie)
    for position, k, before in zip(heads.tolist(), pattern.tolist(), old.tolist(), strict=True):
        purposes = PATTERNS[k]
        if purposes is not None and not before:
            said[position] = ("banner", dict(zip(_PURPOSES, purposes, strict=True)))
    return [fragments[c] for c in cookie.tolist()], said


def _change_minds(
    rng: np.random.Generator, people: People, person: Ints, cookie: Ints, start: Ints, device: Ints,
    statement: list[orjson.Fragment | None], said: list[Said], p: WorldParameters,
) -> None:  # fmt: skip
    """Let some withdraw on one device, and some of those grant again later; written into both lists."""
    for who in np.flatnonzero(rng.random(len(people.label)) < p.withdraw_share).tolist():
        own = np.flatnonzero((person == who) & (people.device_kind[device] != KIOSK))
        own = own[np.argsort(start[own], kind="stable")]
        if len(own) < 2:
            continue
        at = int(rng.integers(1, len(own)))
        later = own[at:][cookie[own[at:]] == cookie[own[at]]]
        again = len(later) > 2 and rng.random() < p.regrant_share
        stages = [(later, 3 if rng.random() < 0.5 else IN_PART)] + ([(later[2:], 0)] if again else [])
        for visits, pattern in stages:
            changed = _statement(people, who, pattern, int(start[visits[0]]))
            for visit in visits.tolist():
                statement[visit] = changed
            said[int(visits[0])] = ("settings", dict(zip(_PURPOSES, PATTERNS[pattern] or _ALL, strict=True)))


def _users(rng: np.random.Generator, people: People, person: Ints, shared: Bools, kiosk: Bools, p: WorldParameters) -> list[str | None]:
    wants = rng.random(len(person)) < np.where(kiosk, 1.0, np.where(shared, 0.85, p.login_share))
    junk = rng.random(len(person)) < p.junk_login_share
    which = rng.integers(0, len(JUNK_USERS), len(person))
    return [
        (JUNK_USERS[w] if j else people.account[i]) if on and people.account[i] else None
        for i, on, j, w in zip(person.tolist(), wants.tolist(), junk.tolist(), which.tolist(), strict=True)
    ]


def draw_visits(rng: np.random.Generator, people: People, batch: str, p: WorldParameters) -> Visits:
    """Draw all visits of a batch of people and what identifies each of them."""
    n = len(people.label)
    counts = 1 + rng.negative_binomial(0.9, 0.38, n)
    person = np.repeat(np.arange(n), counts)
    start = _starts(rng, len(person), p)
    device = _choose_devices(rng, people, person)
    order = np.lexsort((start, device))
    person, start, device = person[order], start[order], device[order]
    kind = people.device_kind[device]
    user = _users(rng, people, person, kind == TABLET, kind == KIOSK, p)
    known = np.array([u is not None for u in user], dtype=bool)
    logout = known & (rng.random(len(person)) < np.choose(kind, [0.05, 0.05, 0.1, 0.5, 1.0]))
    reset = logout & (kind != KIOSK) & (rng.random(len(person)) < p.reset_share)
    cleared = (rng.random(len(person)) < p.cookie_clear_share) & (kind != KIOSK)
    fresh = np.append(True, (device[1:] != device[:-1]) | reset[:-1] | cleared[1:])
    cookie = np.cumsum(fresh) - 1
    statement, said = _base_statements(rng, people, cookie, device, start, fresh, p)
    _change_minds(rng, people, person, cookie, start, device, statement, said, p)
    labels = [f"a-{batch}-{tag}" for tag in scramble(np.arange(int(cookie[-1]) + 1), int(rng.integers(1 << 31)))]
    browsers = np.where(kind == PHONE, device % 2, np.where(kind == TABLET, 0, 2 + device % 3))
    login = known & ((rng.random(len(person)) < 0.5) | (kind >= TABLET))
    agent = [USER_AGENTS[b] for b in browsers.tolist()]
    return Visits(person, device, cookie, start, user, login, logout, reset, statement, said, fresh, labels, agent)
