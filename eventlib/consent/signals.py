"""What consent signals mean in our purposes (S2.5): decoded strictly, read by the policy's mapping, never a grant from damage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from eventlib.consent.decoders import (
    Gpp,
    InvalidSignalError,
    TcString,
    UsOptOuts,
    decode_categories,
    decode_google,
    decode_gpp,
    decode_tcf,
    decode_us_privacy,
)
from eventlib.model import PURPOSES

__all__ = ["Read", "Said", "SignalReader", "Signals", "least", "refusals", "signal_reader", "stated"]

_US_OPT_OUT: Final = frozenset({"advertising", "personalization"})
_REMEMBERED: Final = 32_768  # twice as many at most, some 200 bytes each: under 15 MB
_RECENT, _SHORT = 4096, 2048  # texts that need no digest, and how long these may be: 8 MB at most
_TCF_SECTION, _US_PRIVACY_SECTION = 2, 6
_TCF_PURPOSES: Final = frozenset(range(1, 25))
_CONSENT_REQUIRED: Final = 1  # the type of a publisher restriction that asks for what we ask for anyway

Said = tuple[int | None, ...]
"""What is said of each purpose, in their order: 1 granted, 0 refused, None nothing."""

_NOTHING: Final[Said] = (None,) * len(PURPOSES)
_SIGNALS: Final = ("tcf", "us_privacy", "google", "gpp", "categories")
_STATED: Final[Mapping[object, int]] = {True: 1, False: 0}


class Read(NamedTuple):
    """What a consent object says, or one signal of it.

    Attributes
    ----------
    said : tuple of (int or None)
        Of each purpose: a refusal of any signal holds, and nothing is granted where one is damaged.
    gpc : bool
        The Global Privacy Control was sent, in a field of its own or in a GPP string.
    us_opt_out : bool
        A US signal says that sale, sharing or targeted advertising were opted out of.
    us_notice : bool or None
        A US signal says that notice was given; False: one says that it was not, None: none speaks of it. Of a whole object
        it is True only if nothing was opted out of either, and never None (C12).
    known_child : bool
        It is about a child without a valid opt-in (C03).
    damaged : bool
        A signal cannot be read (C04).
    """

    said: Said = _NOTHING
    gpc: bool = False
    us_opt_out: bool = False
    us_notice: bool | None = None
    known_child: bool = False
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Signals:
    """The policy's mapping.

    Attributes
    ----------
    tcf : tuple of (str, frozenset of int)
        By purpose the TCF purposes that must all be granted; none: a TC string says nothing of it.
    google : tuple of (str, frozenset of str)
        By purpose the consent mode types.
    categories : tuple of (str, frozenset of str)
        By purpose the categories of Segment and Snowplow.
    us_opt_out : frozenset of str
        The purposes that an opt-out under a US law refuses.
    tcf_vendor : int or None
        The vendor whose consent a TC string must hold too, and whose restrictions count.
    tcf_publisher : bool
        Whether the string's publisher segment must grant the TCF purposes too.
    """

    tcf: tuple[tuple[str, frozenset[int]], ...] = ()
    google: tuple[tuple[str, frozenset[str]], ...] = ()
    categories: tuple[tuple[str, frozenset[str]], ...] = ()
    us_opt_out: frozenset[str] = _US_OPT_OUT
    tcf_vendor: int | None = None
    tcf_publisher: bool = False

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Signals:
        """Read the `signals` section of a policy."""
        tcf, google, categories = (
            tuple(
                (purpose, frozenset(needed))
                for purpose, needed in (content.get(name) or {}).items()
                if needed
            )
            for name in ("tcf", "google", "categories")
        )
        return cls(
            tcf,
            google,
            categories,
            frozenset(content.get("us_opt_out", _US_OPT_OUT)),
            content.get("tcf_vendor"),
            bool(content.get("tcf_publisher")),
        )


def stated(purposes: Mapping[str, object] | None) -> Said:
    """Return what an object with a truth value by purpose says."""
    return tuple(map(_STATED.get, map(purposes.get, PURPOSES))) if purposes else _NOTHING


def least(every: Iterable[Said]) -> Said:
    """Join what is said in several places: a refusal in any of them counts."""
    return tuple(min((x for x in said if x is not None), default=None) for said in zip(*every, strict=True))


class _Memory:
    """What was decoded, by digest; once a generation is full the one before it is forgotten, and with it what nobody asked for."""

    def __init__(self) -> None:
        self._young: dict[bytes, Read] = {}
        self._old: dict[bytes, Read] = {}
        self._same: dict[Read, Read] = {}  # strings are many, what they say is one of few things

    def get(self, key: bytes) -> Read | None:
        return self._young.get(key) or self._recall(key)

    def _recall(self, key: bytes) -> Read | None:
        found = self._old.get(key)
        if found is not None:
            self.put(key, found)
        return found

    def put(self, key: bytes, read: Read) -> Read:
        if len(self._young) >= _REMEMBERED:
            self._young, self._old = {}, self._young
        return self._young.setdefault(key, self._same.setdefault(read, read))


class SignalReader:
    """Reads consent objects; what it has decoded it remembers, since few strings make up most of a log."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._decoders: Mapping[str, Callable[[Any, Any], Read]] = {
            "tcf": self._tcf,
            "us_privacy": self._us_privacy,
            "google": self._google,
            "gpp": self._gpp,
            "categories": self._categories,
        }
        self._memory = _Memory()
        self._recent = lru_cache(_RECENT)(self._remembered)

    def read(self, consent: Mapping[str, Any]) -> Read:
        """Read a consent object of the envelope."""
        get = consent.get
        own = _own(stated(get("purposes")), bool(get("gpc")), get("known_child") == "no_consent")
        found = [
            self._found(name, value, get("gpp_sid") if name == "gpp" else None)
            for name in _SIGNALS
            if (value := get(name)) is not None
        ]
        return _joined(own, *found) if found else own

    def _found(self, name: str, value: Any, sid: Any) -> Read:
        short = sid is None and isinstance(value, str) and len(value) <= _SHORT
        return self._recent(name, value) if short else self._remembered(name, value, sid)

    def _remembered(self, name: str, value: Any, sid: Any = None) -> Read:
        key = _digest(name, value, sid)
        found = self._memory.get(key)
        return found if found is not None else self._memory.put(key, self._decoded(name, value, sid))

    def _decoded(self, name: str, value: Any, sid: Any) -> Read:
        try:
            return self._decoders[name](value, sid)
        except InvalidSignalError:
            return Read(damaged=True)

    def _tcf(self, text: str, _: object) -> Read:
        return Read(self._of_tcf(decode_tcf(text)))

    def _of_tcf(self, string: TcString) -> Said:
        granted = string.purpose_consents
        # a string states every purpose: what it does not grant was not chosen, or taken back
        refused = _TCF_PURPOSES - granted
        if self.signals.tcf_publisher:
            granted &= string.publisher_tc.purpose_consents if string.publisher_tc else frozenset()
            refused = _TCF_PURPOSES - granted
        if self.signals.tcf_vendor is not None:
            barred, deselected = _of_vendor(string, self.signals.tcf_vendor)
            granted -= barred
            refused = _TCF_PURPOSES if deselected else refused
        return _meant(self.signals.tcf, granted, refused)

    def _google(self, value: object, _: object) -> Read:
        mode = decode_google(value)
        return Read(_meant(self.signals.google, mode.granted, mode.refused))

    def _categories(self, value: object, _: object) -> Read:
        found = decode_categories(value)
        refused = found.refused
        if found.others_refused:
            mapped = frozenset[str]().union(*(needed for _, needed in self.signals.categories))
            refused |= mapped - found.granted
        return Read(_meant(self.signals.categories, found.granted, refused))

    def _us_privacy(self, text: str, _: object) -> Read:
        return _us({_US_PRIVACY_SECTION: decode_us_privacy(text).opt_outs})

    def _gpp(self, text: str, applicable: Sequence[int] | None) -> Read:
        found: Gpp = decode_gpp(text)
        opt_outs = {section.section_id: section.opt_outs for section in found.us}
        if found.us_privacy is not None:
            opt_outs[_US_PRIVACY_SECTION] = found.us_privacy.opt_outs
        us = _us(opt_outs, applicable)
        if found.undecoded and us.us_notice:  # nobody knows what the others opted out of
            us = us._replace(us_notice=None)
        if found.tcf is None:
            return us
        said = self._of_tcf(found.tcf)
        if applicable and _TCF_SECTION not in applicable:  # what does not apply may refuse, and not grant
            said = refusals(said)
        return us._replace(said=said)


@lru_cache(4096)
def _own(said: Said, gpc: bool, known_child: bool) -> Read:  # noqa: FBT001  # keywords cost a cache more than its find
    """Return what an object says itself."""
    return Read(said, gpc, us_notice=False, known_child=known_child)


@lru_cache(4096)
def _joined(own: Read, *found: Read) -> Read:
    """Join what an object says itself and what its signals say: whatever restricts counts, whoever says it."""
    damaged = any(each.damaged for each in found)
    said = least([own.said, *(each.said for each in found)])
    gpc, us_opt_out = own.gpc or any(each.gpc for each in found), any(each.us_opt_out for each in found)
    noticed = {each.us_notice for each in found}
    return Read(
        said=refusals(said) if damaged else said,  # whoever wrote this meant to say more than can be read
        gpc=gpc,
        us_opt_out=us_opt_out,
        us_notice=True in noticed and False not in noticed and not (damaged or gpc or us_opt_out),
        known_child=own.known_child or any(each.known_child for each in found),
        damaged=damaged,
    )


def refusals(said: Said) -> Said:
    """Return what is refused, and nothing else."""
    return tuple(0 if x == 0 else None for x in said)


def _of_vendor(string: TcString, vendor: int) -> tuple[frozenset[int], bool]:
    """Return the purposes for which a vendor has no consent, and whether the person deselected the vendor."""
    if string.disclosed_vendors is not None and not string.disclosed_vendors >> vendor & 1:
        return _TCF_PURPOSES, False  # nobody was asked
    if not string.vendor_consents >> vendor & 1:
        return _TCF_PURPOSES, True
    restricted = (
        entry.purpose
        for entry in string.publisher_restrictions
        if entry.kind != _CONSENT_REQUIRED and entry.vendors >> vendor & 1
    )
    return frozenset(restricted), False


def _meant(
    mapping: Iterable[tuple[str, frozenset[Any]]], granted: frozenset[Any], refused: frozenset[Any]
) -> Said:
    """Grant a purpose for which all that is asked is granted; refuse one for which any of it is refused."""
    asked = dict(mapping)

    def meant(purpose: str) -> int | None:
        needed = asked.get(purpose)
        if not needed:
            return None
        return 1 if needed <= granted else (0 if needed & refused else None)

    return tuple(map(meant, PURPOSES))


def _us(sections: Mapping[int, UsOptOuts], applicable: Sequence[int] | None = None) -> Read:
    """Read US sections by their ids; one that does not apply may say what restricts, and no more."""
    every = sections.values()
    notices = {number: each.notice for number, each in sections.items()}
    given = any(notice for number, notice in notices.items() if not applicable or number in applicable)
    return Read(
        gpc=any(each.gpc is True for each in every),
        us_opt_out=any(True in (each.sale, each.sharing, each.targeted_advertising) for each in every),
        us_notice=False if False in notices.values() else given or None,
        known_child=any(each.known_child and not each.child_consent for each in every),
    )


def _digest(name: str, value: Any, sid: object) -> bytes:
    """Return what a signal is remembered by: its text may be long, and there may be very many."""
    if isinstance(value, str):
        return sha256(f"{name}\n{sid}\n{value}".encode("utf-8", "surrogatepass")).digest()
    return sha256(name.encode() + b":" + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()


@cache
def signal_reader(signals: Signals) -> SignalReader:
    """Return the reader of a mapping, made once."""
    return SignalReader(signals)
