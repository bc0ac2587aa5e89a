"""People, their devices and visits: who is behind which identifier, and what each has consented to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from eventlib.simulate.parameters import DAY, SECOND, Bools, Floats, Ints, WorldParameters
from eventlib.simulate.statements import Crowd, Said, Stays, change_minds, draw_patterns, draw_statements

if TYPE_CHECKING:
    import orjson

__all__ = ["JUNK_USERS", "USER_AGENTS", "People", "Visits", "draw_people", "draw_visits", "scramble"]

JUNK_USERS: Final = (
    "undefined",
    "null",
    "guest",
    "00000000-0000-0000-0000-000000000000",
    "anonymous",
    "[object Object]",
)
_CHROME: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"
_SAFARI: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0"
USER_AGENTS: Final = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) {_SAFARI} Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 16; Pixel 9) {_CHROME} Mobile Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
)
PHONE, LAPTOP, WORK, TABLET, KIOSK = range(5)
OPT_OUT: Final = ("US-CA", "US-TX", "US-VA")
_HOURS: Final = np.array(
    [1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 9, 9, 9, 9, 9, 9, 9, 10, 11, 11, 9, 6, 3], dtype=np.float64
)


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
    us_privacy: Bools
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
    reset: Bools  # logouts that drop the cookie
    statement: list[orjson.Fragment | None]
    said: list[Said]  # the consent_update at the start, if any
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
    kiosks = round(n / 1000 + 0.1)
    kiosk = np.zeros(n, dtype=bool)
    users = rng.permutation(n)[: min(n, kiosks * p.kiosk_people)]
    kiosk[users] = True
    table[users, KIOSK] = count + np.arange(len(users)) % max(kiosks, 1)
    return table, kiosk


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
        email=[
            m if a else None
            for m, a in zip(mail, account & (rng.random(n) < p.email_link_share), strict=True)
        ],
        pattern=draw_patterns(rng, opt_out, p),
        gpc=rng.random(n) < p.gpc_share,
        us_privacy=opt_out & (rng.random(n) < p.us_privacy_share),
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
    return np.asarray(np.minimum(start, p.end_us - 2 * 3600 * SECOND), dtype=np.int64)


def _choose_devices(rng: np.random.Generator, people: People, person: Ints) -> Ints:
    weight = np.array([1.0, 0.9, 0.5, 0.9, 0.8]) * (people.devices[person] >= 0)
    edge = np.cumsum(weight, axis=1)
    drawn = rng.random((len(person), 1)) * edge[:, -1:]
    column = np.minimum((drawn >= edge).sum(axis=1), 4)
    return np.asarray(people.devices[person, column], dtype=np.int64)


def _users(
    rng: np.random.Generator, people: People, person: Ints, kind: Ints, p: WorldParameters
) -> list[str | None]:
    """Return the user id of each visit: nearly always on public and shared devices, at times junk."""
    own = p.login_share
    wants = rng.random(len(person)) < np.array([own, own, own, 0.85, 1.0])[kind]
    junk = rng.random(len(person)) < p.junk_login_share
    which = rng.integers(0, len(JUNK_USERS), len(person))
    return [
        (JUNK_USERS[w] if j else people.account[i]) if on and people.account[i] else None
        for i, on, j, w in zip(person.tolist(), wants.tolist(), junk.tolist(), which.tolist(), strict=True)
    ]


def _seats(rng: np.random.Generator, people: People, p: WorldParameters) -> tuple[Ints, Ints, Ints]:
    """Draw who comes when with which device, in the order (device, start)."""
    person = np.repeat(np.arange(len(people.label)), 1 + rng.negative_binomial(0.9, 0.38, len(people.label)))
    start, device = _starts(rng, len(person), p), _choose_devices(rng, people, person)
    order = np.lexsort((start, device))
    return person[order], start[order], device[order]


def draw_visits(rng: np.random.Generator, people: People, batch: str, p: WorldParameters) -> Visits:
    """Draw all visits of a batch of people and what identifies each of them."""
    person, start, device = _seats(rng, people, p)
    n, kind = len(person), people.device_kind[device]
    user = _users(rng, people, person, kind, p)
    known = np.array([u is not None for u in user], dtype=bool)
    logout = known & (rng.random(n) < np.array([0.05, 0.05, 0.1, 0.5, 1.0])[kind])
    reset = logout & (kind != KIOSK) & (rng.random(n) < p.reset_share)
    fresh = (rng.random(n) < p.cookie_clear_share) & (kind != KIOSK)
    fresh[1:] |= (device[1:] != device[:-1]) | reset[:-1]
    fresh[:1] = True
    cookie = np.cumsum(fresh) - 1
    stays = Stays(person, device, cookie, start, np.flatnonzero(fresh))
    crowd = Crowd(people.jurisdiction, people.opt_out, people.pattern, people.gpc, people.us_privacy)
    statement, said = draw_statements(rng, crowd, stays, people.device_first, p)
    change_minds(rng, crowd, stays, people.device_kind == KIOSK, spoken=(statement, said), p=p)
    labels = scramble(np.arange(int(cookie[-1]) + 1), int(rng.integers(1 << 31)))
    browser = np.where(kind == PHONE, device % 2, np.where(kind == TABLET, 0, 2 + device % 3))
    return Visits(
        person=person,
        device=device,
        cookie=cookie,
        start=start,
        user=user,
        login=known & ((rng.random(n) < 0.5) | (kind >= TABLET)),
        logout=logout,
        reset=reset,
        statement=statement,
        said=said,
        cookie_label=[f"a-{batch}-{label}" for label in labels],
        agent=[USER_AGENTS[b] for b in browser.tolist()],
    )
