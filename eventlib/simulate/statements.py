"""Consent as it is said: at a banner, by a signal, withdrawn, given again; and the object that repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from eventlib.simulate.parameters import DAY, Bools, Ints, WorldParameters

__all__ = ["Crowd", "Said", "Stays", "change_minds", "draw_patterns", "draw_statements"]

Said = tuple[str, dict[str, bool | None]] | None
"""A consent_update: its method and purposes."""

# what can be said, by purpose: analytics, identity, training, personalization, advertising
PATTERNS: Final[tuple[tuple[bool | None, ...] | None, ...]] = (
    (True, True, True, True, True),
    (True, True, True, False, False),
    (True, False, False, False, False),
    (False, False, False, False, False),
    None,  # the banner was left unanswered: purposes are absent
    None,  # opt-out regime: notice given, nothing said
    (None, None, False, False, False),  # opt-out regime: opted out
    (True, True, False, False, False),  # withdrew in part
)
_ALL, _NONE, _SILENT, _NOTICE, _OPTED_OUT, _IN_PART = 0, 3, 4, 5, 6, 7
_PURPOSES: Final = ("analytics", "identity", "training", "personalization", "advertising")


@dataclass(frozen=True)
class Crowd:
    """What of people their consent depends on; axis n."""

    jurisdiction: list[str]
    opt_out: Bools
    pattern: Ints
    gpc: Bools
    us_privacy: Bools


@dataclass(frozen=True)
class Stays:
    """Visits in the order (device, start), axis s, and which of them are the first of their cookie."""

    person: Ints
    device: Ints
    cookie: Ints
    start: Ints
    first: Ints


def draw_patterns(rng: np.random.Generator, opt_out: Bools, p: WorldParameters) -> Ints:
    """Draw what each person says, an index into PATTERNS."""
    n = len(opt_out)
    shares = np.cumsum([p.accept_all_share, p.partial_share / 2, p.partial_share / 2, p.refuse_share])
    asked = np.minimum(np.searchsorted(shares, rng.random(n), side="right"), _SILENT)
    return np.where(opt_out, np.where(rng.random(n) < p.opt_out_share, _OPTED_OUT, _NOTICE), asked)


def _statement(crowd: Crowd, person: int, pattern: int, updated: int) -> orjson.Fragment:
    """Write one consent object; it is the same bytes on every event that repeats it."""
    said = PATTERNS[pattern]
    consent: dict[str, object] = {"jurisdiction": crowd.jurisdiction[person]}
    if said is not None:
        consent["purposes"] = dict(zip(_PURPOSES, said, strict=True))
    if crowd.gpc[person]:
        consent["gpc"] = True
    if crowd.us_privacy[person]:
        consent["us_privacy"] = "1YYN" if pattern == _OPTED_OUT else "1YNN"
    if pattern != _SILENT:
        consent["notice_version"] = "2026-05"
        consent["updated_at"] = np.datetime_as_string(np.datetime64(updated, "us"), unit="s") + "Z"
    return orjson.Fragment(orjson.dumps(consent))


def _told(method: str, pattern: int) -> Said:
    purposes = PATTERNS[pattern]
    return None if purposes is None else (method, dict(zip(_PURPOSES, purposes, strict=True)))


def draw_statements(
    rng: np.random.Generator, crowd: Crowd, stays: Stays, owners: Ints, p: WorldParameters
) -> tuple[list[orjson.Fragment | None], list[Said]]:
    """Draw each cookie's statement: made at its first visit, or before the log began on old cookies.

    Returns
    -------
    statements, said
        The consent object of each visit, and the consent_update at its start.
    """
    first, n = stays.first, len(stays.first)
    device = stays.device[first]
    owner = owners[device]
    pattern = np.where(rng.random(n) < 0.9, crowd.pattern[owner], draw_patterns(rng, crowd.opt_out[owner], p))
    old = rng.random(n) < 0.4
    old[1:] &= device[1:] != device[:-1]
    updated = np.where(old, p.start_us - (rng.uniform(1, 340, n) * DAY).astype(np.int64), stays.start[first])
    drawn = list(zip(owner.tolist(), pattern.tolist(), updated.tolist(), strict=True))
    # a third of the silent devices send no consent object at all
    objects = [None if k == _SILENT and o % 3 == 0 else _statement(crowd, o, k, u) for o, k, u in drawn]
    said: list[Said] = [None] * len(stays.cookie)
    for visit, k, before in zip(first.tolist(), pattern.tolist(), old.tolist(), strict=True):
        said[visit] = None if before else _told("banner", k)
    return [objects[c] for c in stays.cookie.tolist()], said


def change_minds(
    rng: np.random.Generator,
    crowd: Crowd,
    stays: Stays,
    public: Bools,
    *,
    spoken: tuple[list[orjson.Fragment | None], list[Said]],
    p: WorldParameters,
) -> None:  # the two lists are this batch's own, filled in place
    """Let some withdraw on one of their devices, and some of those grant again; written into `spoken`."""
    statements, said = spoken
    for who in np.flatnonzero(rng.random(len(crowd.jurisdiction)) < p.withdraw_share).tolist():
        own = np.flatnonzero((stays.person == who) & ~public[stays.device])
        if len(own) < 2:
            continue
        own = own[np.argsort(stays.start[own], kind="stable")]
        at = int(rng.integers(1, len(own)))
        later = own[at:][stays.cookie[own[at:]] == stays.cookie[own[at]]]
        stages = [(later, _NONE if rng.random() < 0.5 else _IN_PART)]
        if len(later) > 2 and rng.random() < p.regrant_share:
            stages.append((later[2:], _ALL))
        for visits, pattern in stages:
            first = int(visits[0])
            changed = _statement(crowd, who, pattern, int(stays.start[first]))
            for visit in visits.tolist():
                statements[visit] = changed
            said[first] = _told("settings", pattern)
