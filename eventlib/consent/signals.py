"""What consent signals mean in our purposes (S2.5): decoded strictly, read by the policy's mapping, never a grant from damage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import orjson

from eventlib.consent.decoders import (
    Gpp,
    InvalidSignalError,
    TcString,
    UsOptOuts,
    decode_google,
    decode_gpp,
    decode_tcf,
    decode_us_privacy,
)
from eventlib.model import PURPOSES

__all__ = ["Read", "Said", "SignalReader", "Signals", "least", "signal_reader", "stated"]

_US_OPT_OUT: Final = frozenset({"advertising", "personalization"})
_REMEMBERED: Final = 4096
_LONGEST: Final = 2048  # a longer string is decoded each time: what is remembered stays under 10 MB
_TCF_SECTION: Final = 2
_TCF_PURPOSES: Final = frozenset(range(1, 25))

Said = tuple[int | None, ...]
"""What is said of each purpose, in their order: 1 granted, 0 refused, None nothing."""

_NOTHING: Final[Said] = (None,) * len(PURPOSES)
_SIGNALS: Final = ("tcf", "us_privacy", "google", "gpp")
_STATED: Final[Mapping[object, int]] = {True: 1, False: 0}


class Read(NamedTuple):
    """What a consent object says.

    Attributes
    ----------
    said : tuple of (int or None)
        Of each purpose: a refusal of any signal holds, and nothing is granted where one is damaged.
    gpc : bool
        The Global Privacy Control was sent, in a field of its own or in a GPP string.
    us_opt_out : bool
        A US signal says that sale, sharing or targeted advertising were opted out of.
    damaged : bool
        A signal cannot be read (C04).
    """

    said: Said
    gpc: bool
    us_opt_out: bool
    damaged: bool


@dataclass(frozen=True, slots=True)
class Signals:
    """The policy's mapping.

    Attributes
    ----------
    tcf : tuple of (str, frozenset of int)
        By purpose the TCF purposes that must all be granted; none: a TC string says nothing of it.
    google : tuple of (str, frozenset of str)
        By purpose the consent mode types.
    us_opt_out : frozenset of str
        The purposes that an opt-out under a US law refuses.
    """

    tcf: tuple[tuple[str, frozenset[int]], ...] = ()
    google: tuple[tuple[str, frozenset[str]], ...] = ()
    us_opt_out: frozenset[str] = _US_OPT_OUT

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Signals:
        """Read the `signals` section of a policy."""
        tcf, google = (
            tuple(
                (purpose, frozenset(needed))
                for purpose, needed in (content.get(name) or {}).items()
                if needed
            )
            for name in ("tcf", "google")
        )
        return cls(tcf, google, frozenset(content.get("us_opt_out", _US_OPT_OUT)))


def stated(purposes: Mapping[str, object] | None) -> Said:
    """Return what an object with a truth value by purpose says."""
    return tuple(map(_STATED.get, map(purposes.get, PURPOSES))) if purposes else _NOTHING


def least(every: Iterable[Said]) -> Said:
    """Join what is said in several places: a refusal in any of them counts."""
    return tuple(min((x for x in said if x is not None), default=None) for said in zip(*every, strict=True))


class SignalReader:
    """Reads consent objects; what it has decoded it remembers, since few strings make up most of a log."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._decoders: Mapping[str, Callable[[str], Read]] = {
            "tcf": self._tcf,
            "us_privacy": self._us_privacy,
            "google": self._google,
            "gpp": self._gpp,
        }
        self._remembered: Callable[[str, str], Read] = lru_cache(_REMEMBERED)(self._decoded)

    def read(self, consent: Mapping[str, Any]) -> Read:
        """Read a consent object of the envelope."""
        said, gpc = stated(consent.get("purposes")), bool(consent.get("gpc"))
        found = [
            (self._remembered if len(text) <= _LONGEST else self._decoded)(name, text)
            for name in _SIGNALS
            if (value := consent.get(name)) is not None
            for text in [_text(name, value, consent)]
        ]
        if not found:
            return Read(said, gpc, us_opt_out=False, damaged=False)
        damaged = any(each.damaged for each in found)
        said = least([said, *(each.said for each in found)])
        if damaged:  # whoever wrote this meant to say more than can be read
            said = tuple(0 if x == 0 else None for x in said)
        return Read(
            said, gpc or any(each.gpc for each in found), any(each.us_opt_out for each in found), damaged
        )

    def _decoded(self, name: str, text: str) -> Read:
        try:
            return self._decoders[name](text)
        except InvalidSignalError:
            return Read(_NOTHING, gpc=False, us_opt_out=False, damaged=True)

    def _tcf(self, text: str) -> Read:
        return Read(self._of_tcf(decode_tcf(text)), gpc=False, us_opt_out=False, damaged=False)

    def _of_tcf(self, string: TcString) -> Said:
        granted = string.purpose_consents
        # a string states every purpose: what it does not grant was not chosen, or taken back
        return _meant(self.signals.tcf, granted, _TCF_PURPOSES - granted)

    def _google(self, text: str) -> Read:
        mode = decode_google(orjson.loads(text))
        said = _meant(self.signals.google, mode.granted, mode.refused)
        return Read(said, gpc=False, us_opt_out=False, damaged=False)

    def _us_privacy(self, text: str) -> Read:
        return _us([decode_us_privacy(text).opt_outs])

    def _gpp(self, text: str) -> Read:
        sections, applicable = orjson.loads(text)
        found: Gpp = decode_gpp(sections)
        opt_outs = [section.opt_outs for section in found.us]
        if found.us_privacy is not None:
            opt_outs.append(found.us_privacy.opt_outs)
        us = _us(opt_outs)
        said = _NOTHING
        if found.tcf is not None:
            said = self._of_tcf(found.tcf)
            if applicable and _TCF_SECTION not in applicable:  # what does not apply may refuse, and not grant
                said = tuple(0 if x == 0 else None for x in said)
        return Read(said, us.gpc, us.us_opt_out, damaged=False)


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


def _us(opt_outs: Iterable[UsOptOuts]) -> Read:
    opted_out = gpc = False
    for each in opt_outs:
        opted_out = opted_out or True in (each.sale, each.sharing, each.targeted_advertising)
        gpc = gpc or each.gpc is True
    return Read(_NOTHING, gpc, opted_out, damaged=False)


def _text(name: str, value: Any, consent: Mapping[str, Any]) -> str:
    """Return a signal as one text, by which it is remembered."""
    if name == "google":
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if name == "gpp":
        return orjson.dumps([value, consent.get("gpp_sid")]).decode()
    return str(value)


@cache
def signal_reader(signals: Signals) -> SignalReader:
    """Return the reader of a mapping, made once."""
    return SignalReader(signals)
