"""The IAB's Global Privacy Platform string, version 1."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from eventlib.consent.decoders.bits import MAX_ID, BitReader, ids_of, split_segments
from eventlib.consent.decoders.errors import InvalidSignalError
from eventlib.consent.decoders.tcf import TcString, decode_tcf
from eventlib.consent.decoders.tcf_ca import TcfCaString, decode_tcf_ca
from eventlib.consent.decoders.us import UsSection, decode_us_section
from eventlib.consent.decoders.us_privacy import UsPrivacy, decode_us_privacy
from eventlib.consent.decoders.us_tables import NAMES

__all__ = ["Gpp", "decode_gpp"]

_TCF_EU, _HEADER, _TCF_CA, _US_PRIVACY = 2, 3, 5, 6
_NAMES: Final = {_TCF_EU: "tcfeuv2", _TCF_CA: "tcfcav1", _US_PRIVACY: "uspv1"} | dict(NAMES)
_WEB_SAFE: Final = re.compile(r"[A-Za-z0-9._-]+")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Gpp:
    """A GPP string.

    Attributes
    ----------
    section_ids : tuple of int
        As in the header, ascending.
    tcf : TcString or None
        Section 2.
    tcf_ca : TcfCaString or None
        Section 5.
    us_privacy : UsPrivacy or None
        Section 6.
    us : tuple of UsSection
        Sections 7 to 27 that are there.
    undecoded : tuple of int
        Ids of sections that are there and were not read: nothing is known of what they grant or refuse.
    """

    section_ids: tuple[int, ...]
    tcf: TcString | None = None
    tcf_ca: TcfCaString | None = None
    us_privacy: UsPrivacy | None = None
    us: tuple[UsSection, ...] = ()
    undecoded: tuple[int, ...] = ()


def _header(text: str, sections: int) -> tuple[int, ...]:
    reader = BitReader(text)
    if (reader.integer(6), reader.integer(6)) != (_HEADER, 1):
        raise InvalidSignalError("not a GPP string of version 1")
    mask = reader.fibonacci_range()
    reader.finish()
    if mask.bit_count() != sections:
        raise InvalidSignalError("the header names another number of sections than there are")
    if mask >> _HEADER & 1:
        raise InvalidSignalError("the header names itself as a section")
    return ids_of(mask)


def _decode(section_id: int, text: str, decode: Callable[[str], _T]) -> _T:
    try:
        return decode(text)
    except InvalidSignalError as error:
        raise InvalidSignalError(f"section {_NAMES.get(section_id, section_id)}: {error}") from error


def _web_safe(text: str) -> None:
    if not _WEB_SAFE.fullmatch(text):
        raise InvalidSignalError("is empty or has characters that are not web-safe")


def decode_gpp(text: object) -> Gpp:
    """Decode a GPP string.

    Parameters
    ----------
    text
        Header and sections joined by `~`. A header that names no section is valid and says nothing.

    Returns
    -------
    Gpp
        What its sections say, after the IAB Tech Lab's Consent String Specification, section GPP String Format.

    Raises
    ------
    InvalidSignalError
        If header or any known section is damaged, of an unknown version, or has a value that its specification does
        not define, or if there are more or fewer sections than the header names. A section that is not known is kept
        by its id.

    Examples
    --------
    >>> decode_gpp("DBABTA~1YNN").us_privacy
    UsPrivacy(notice=True, opt_out_sale=False, lspa_covered=False)
    >>> decode_gpp("DBABTA")
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: the header names another number of sections than there are
    """
    header, *sections = split_segments(text, "~", MAX_ID)
    ids = _header(header, len(sections))
    tcf: TcString | None = None
    tcf_ca: TcfCaString | None = None
    us_privacy: UsPrivacy | None = None
    us: list[UsSection] = []
    undecoded = []
    for number, section in zip(ids, sections, strict=True):
        if number == _TCF_EU:
            tcf = _decode(number, section, decode_tcf)
        elif number == _TCF_CA:
            tcf_ca = _decode(number, section, decode_tcf_ca)
        elif number == _US_PRIVACY:
            us_privacy = _decode(number, section, decode_us_privacy)
        elif number in NAMES:
            us.append(_decode(number, section, partial(decode_us_section, number)))
        else:
            _decode(number, section, _web_safe)
            undecoded.append(number)
    return Gpp(ids, tcf, tcf_ca, us_privacy, tuple(us), tuple(undecoded))
