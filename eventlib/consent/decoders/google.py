"""Google consent mode: the types and their states, or the `gcs` and `gcd` parameters of a hit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from eventlib.consent.decoders.errors import InvalidSignalError

__all__ = ["GOOGLE_TYPES", "GoogleConsent", "decode_google"]

GOOGLE_TYPES: Final = (
    "ad_storage",
    "analytics_storage",
    "ad_user_data",
    "ad_personalization",
    "functionality_storage",
    "personalization_storage",
    "security_storage",
)
"""The consent types of the tag API; `gcs` carries the first two, `gcd` the first four."""

_STATES: Final[Mapping[object, bool | None]] = {"granted": True, "denied": False, None: None}
_GCS: Final = re.compile(r"G1([01-])([01-])")
_GCS_STATES: Final = {"1": True, "0": False, "-": None}
# Google sends a fifth pair whose meaning it does not document; only `l`, not set, is let through
_GCD: Final = re.compile(r"1[0-9]" + r"([lmnpqrtuv])[0-9]" * 4 + r"(?:l[0-9])?")
# by default, then after an update: l neither; p denied, q denied and denied, r denied and granted; t granted,
# u granted and denied, v granted and granted; m only the update, denied; n only the update, granted
_GCD_STATES: Final = {"l": None} | dict.fromkeys("mpqu", False) | dict.fromkeys("nrtv", True)


@dataclass(frozen=True, slots=True)
class GoogleConsent:
    """Consent types by what was said of them; a type in neither set was not spoken of."""

    granted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


def _consent(states: Iterable[tuple[str, bool | None]]) -> GoogleConsent:
    said = dict(states)
    return GoogleConsent(
        granted=frozenset(name for name, state in said.items() if state is True),
        refused=frozenset(name for name, state in said.items() if state is False),
    )


def _of_types(value: Mapping[object, object]) -> GoogleConsent:
    states = []
    for name, state in value.items():
        if not isinstance(name, str) or name not in GOOGLE_TYPES:
            raise InvalidSignalError("a consent mode type is not known")
        if not (state is None or isinstance(state, str)) or state not in _STATES:
            raise InvalidSignalError(f"{name} is neither granted nor denied")
        states.append((name, _STATES[state]))
    return _consent(states)


def decode_google(value: object) -> GoogleConsent:
    """Decode Google consent mode.

    Parameters
    ----------
    value
        A mapping of consent types to `granted`, `denied` or None (which says nothing), a `gcs` (`G111`) or a `gcd`
        (`13r3r3r3r5l1`).

    Returns
    -------
    GoogleConsent
        The types granted and those refused.

    Raises
    ------
    InvalidSignalError
        If a type, a state, a letter or the form is not one that is publicly documented: the types and states in
        Google's tag API reference, the two parameters in descriptions by third parties only.

    Examples
    --------
    >>> sorted(decode_google("G101").granted), sorted(decode_google("G101").refused)
    (['analytics_storage'], ['ad_storage'])
    >>> decode_google({"ad_storage": True})
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: ad_storage is neither granted nor denied
    """
    if isinstance(value, Mapping):
        return _of_types(value)
    if not isinstance(value, str):
        raise InvalidSignalError("neither consent mode types nor a gcs or gcd")
    if found := _GCS.fullmatch(value):
        return _consent(zip(GOOGLE_TYPES, (_GCS_STATES[bit] for bit in found.groups()), strict=False))
    if found := _GCD.fullmatch(value):
        return _consent(zip(GOOGLE_TYPES, (_GCD_STATES[letter] for letter in found.groups()), strict=False))
    raise InvalidSignalError("neither a gcs nor a gcd")
