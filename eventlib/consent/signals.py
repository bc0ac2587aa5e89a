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

__all__ = ["Read", "Said", "SignalReader", "Signals", "signal_reader"]

_US_OPT_OUT: Final = frozenset({"advertising", "personalization"})
_REMEMBERED: Final = 4096
_LONGEST: Final = 2048  # a longer string is decoded each time: what is remembered stays under 10 MB
_TCF_SECTION: Final = 2
_TCF_PURPOSES: Final = frozenset(range(1, 25))

Said = tuple[int | None, ...]
"""What is said of each purpose, in their order: 1 granted, 0 refused, None nothing."""

_NOTHING: Final[Said] = (None,) * len(PURPOSES)
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


def _least(every: Iterable[Said]) -> Said:
    """Join what several signals say: a refusal in any of them counts."""
    return tuple(min((x for x in said if x is not None), default=None) for said in zip(*every, strict=True))


class SignalReader:
    """Reads consent objects; what it has decoded it remembers, since few strings make up most of a log."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        remember: Callable[[Any], Any] = lru_cache(_REMEMBERED)
        self._decoders: dict[str, tuple[Callable[[str], Read], Callable[[str], Read]]] = {
            name: (decoder, remember(decoder))
            for name, decoder in (
                ("tcf", self._tcf),
                ("us_privacy", self._us_privacy),
                ("google", self._google),
                ("gpp", self._gpp),
            )
        }

    def read(self, consent: Mapping[str, Any]) -> Read:
        """Read a consent object of the envelope."""
        purposes = consent.get("purposes")
        said = tuple(map(_STATED.get, map(purposes.get, PURPOSES))) if purposes else _NOTHING
        gpc = bool(consent.get("gpc"))
        strings = [(name, text) for name, text in _strings(consent) if text is not None]
        if not strings:
            return Read(said, gpc, us_opt_out=False, damaged=False)
        found = [self._decoded(name, text) for name, text in strings]
        damaged = any(each.damaged for each in found)
        said = _least([said, *(each.said for each in found)])
        if damaged:  # whoever wrote this meant to say more than can be read
            said = tuple(0 if x == 0 else None for x in said)
        return Read(
            said, gpc or any(each.gpc for each in found), any(each.us_opt_out for each in found), damaged
        )

    def _decoded(self, name: str, text: str) -> Read:
        plain, remembering = self._decoders[name]
        try:
            return (remembering if len(text) <= _LONGEST else plain)(text)
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
        stated = [section.opt_outs for section in found.us]
        if found.us_privacy is not None:
            stated.append(found.us_privacy.opt_outs)
        us = _us(stated)
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


def _us(stated: Iterable[UsOptOuts]) -> Read:
    opted_out = gpc = False
    for each in stated:
        opted_out = opted_out or True in (each.sale, each.sharing, each.targeted_advertising)
        gpc = gpc or each.gpc is True
    return Read(_NOTHING, gpc, opted_out, damaged=False)


def _strings(consent: Mapping[str, Any]) -> Iterable[tuple[str, str | None]]:
    """Yield a consent object's signals, each as one text."""
    yield "tcf", consent.get("tcf")
    yield "us_privacy", consent.get("us_privacy")
    google, gpp = consent.get("google"), consent.get("gpp")
    yield "google", None if google is None else orjson.dumps(google, option=orjson.OPT_SORT_KEYS).decode()
    yield "gpp", None if gpp is None else orjson.dumps([gpp, consent.get("gpp_sid")]).decode()


@cache
def signal_reader(signals: Signals) -> SignalReader:
    """Return the reader of a mapping, made once."""
    return SignalReader(signals)
