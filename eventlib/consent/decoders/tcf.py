"""The TC string of the IAB Europe Transparency & Consent Framework, versions 2.0 to 2.3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from eventlib.consent.decoders.bits import BitReader, split_segments
from eventlib.consent.decoders.errors import InvalidSignalError

__all__ = [
    "PURPOSES",
    "SPECIAL_FEATURES",
    "PublisherTc",
    "Restriction",
    "TcString",
    "decode_tcf",
    "read_publisher",
    "read_restrictions",
    "read_times",
]

PURPOSES: Final = 24
SPECIAL_FEATURES: Final = 12
_UNDEFINED: Final = 3  # the restriction type that the standard leaves undefined and unused
_SEGMENTS: Final = {1: "disclosed_vendors", 2: "allowed_vendors", 3: "publisher_tc"}
_POLICY_2_2: Final = 4  # the policy version of TCF 2.2
_NO_LEGITIMATE_INTEREST: Final = frozenset({3, 4, 5, 6})


@dataclass(frozen=True, slots=True)
class Restriction:
    """A publisher restriction.

    Attributes
    ----------
    purpose : int
        1 to 24.
    kind : int
        0: not allowed; 1: consent required; 2: legitimate interest required.
    vendors : int
        Bit mask, bit n is vendor n.
    """

    purpose: int
    kind: int
    vendors: int


@dataclass(frozen=True, slots=True)
class PublisherTc:
    """What the publisher may do for its own purposes: ids of standard purposes, and of its own (custom) ones."""

    purpose_consents: frozenset[int]
    purpose_legitimate_interests: frozenset[int]
    custom_purposes: int
    custom_purpose_consents: frozenset[int]
    custom_purpose_legitimate_interests: frozenset[int]


@dataclass(frozen=True, slots=True)
class TcString:
    """A TC string; names follow the standard's fields.

    Attributes
    ----------
    created, last_updated : datetime
        UTC, to a tenth of a second.
    consent_language, publisher_country : str
        Two capital letters.
    special_feature_opt_ins, purpose_consents, purpose_legitimate_interests : frozenset of int
        Ids from 1. Legitimate interest is left out for purposes 3 to 6 from policy version 4 on, where the standard
        no longer knows it.
    vendor_consents, vendor_legitimate_interests : int
        Bit masks, bit n is vendor n; see `ids_of`.
    publisher_restrictions : tuple of Restriction
        One for each purpose and type.
    disclosed_vendors, allowed_vendors : int or None
        Bit masks; None: there is no such segment.
    publisher_tc : PublisherTc or None
        None: there is no such segment.
    """

    created: datetime
    last_updated: datetime
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    policy_version: int
    use_non_standard_texts: bool
    special_feature_opt_ins: frozenset[int]
    purpose_consents: frozenset[int]
    purpose_legitimate_interests: frozenset[int]
    purpose_one_treatment: bool
    publisher_country: str
    vendor_consents: int
    vendor_legitimate_interests: int
    publisher_restrictions: tuple[Restriction, ...]
    disclosed_vendors: int | None = None
    allowed_vendors: int | None = None
    publisher_tc: PublisherTc | None = None


def read_restrictions(reader: BitReader, read_vendors: Callable[[BitReader], int]) -> tuple[Restriction, ...]:
    """Read publisher restrictions, each with its vendors.

    Raises
    ------
    InvalidSignalError
        If a purpose is not 1 to 24, a type is not 0 to 2, or a vendor is named twice for the same of both.
    """
    found: dict[tuple[int, int], int] = {}
    for _ in range(reader.integer(12)):
        key = purpose, kind = reader.integer(6), reader.integer(2)
        if not 1 <= purpose <= PURPOSES or kind == _UNDEFINED:
            raise InvalidSignalError("a publisher restriction is of no purpose or type that is defined")
        vendors = read_vendors(reader)
        if found.get(key, 0) & vendors:
            raise InvalidSignalError("a publisher restriction names a vendor twice")
        found[key] = found.get(key, 0) | vendors
    return tuple(Restriction(purpose, kind, vendors) for (purpose, kind), vendors in sorted(found.items()))


def _vendors(reader: BitReader) -> int:
    """Read a vendor section: MaxVendorId, IsRangeEncoding, then the ids."""
    maximum = reader.integer(16)
    return reader.range(maximum) if reader.flag() else reader.mask(maximum)


def read_times(reader: BitReader) -> tuple[datetime, datetime]:
    """Read when a string was created and last updated.

    Raises
    ------
    InvalidSignalError
        If it was updated before it was created.
    """
    created, last_updated = reader.moment(), reader.moment()
    if last_updated < created:
        raise InvalidSignalError("last updated before it was created")
    return created, last_updated


def _core(text: str, segments: dict[str, Any]) -> TcString:
    reader = BitReader(text)
    if reader.integer(6) != 2:
        raise InvalidSignalError("not a TC string of version 2")
    created, last_updated = read_times(reader)
    cmp_id, cmp_version, screen = reader.integers(12, 12, 6)
    language, (list_version, policy_version) = reader.letters(), reader.integers(12, 6)
    if not reader.flag():
        raise InvalidSignalError("of global scope, which ended on 1 September 2021")
    non_standard, features = reader.flag(), reader.ids(SPECIAL_FEATURES)
    consents, interests = reader.ids(PURPOSES), reader.ids(PURPOSES)
    if policy_version >= _POLICY_2_2:
        interests -= _NO_LEGITIMATE_INTEREST
    core = TcString(
        created=created,
        last_updated=last_updated,
        cmp_id=cmp_id,
        cmp_version=cmp_version,
        consent_screen=screen,
        consent_language=language,
        vendor_list_version=list_version,
        policy_version=policy_version,
        use_non_standard_texts=non_standard,
        special_feature_opt_ins=features,
        purpose_consents=consents,
        purpose_legitimate_interests=interests,
        purpose_one_treatment=reader.flag(),
        publisher_country=reader.letters(),
        vendor_consents=_vendors(reader),
        vendor_legitimate_interests=_vendors(reader),
        publisher_restrictions=read_restrictions(reader, BitReader.range),
        **segments,
    )
    reader.finish()
    return core


def read_publisher(reader: BitReader) -> PublisherTc:
    """Read the publisher's own purposes, after the segment's type."""
    consents, interests, custom = reader.ids(PURPOSES), reader.ids(PURPOSES), reader.integer(6)
    return PublisherTc(consents, interests, custom, reader.ids(custom), reader.ids(custom))


def decode_tcf(text: object) -> TcString:
    """Decode a TC string: the core, then vendors disclosed, vendors allowed (2.0) and publisher TC in any order.

    Parameters
    ----------
    text
        Base64url segments joined by dots.

    Returns
    -------
    TcString
        What it says, after the IAB's Consent string and vendor list formats v2, section TC String Format.

    Raises
    ------
    InvalidSignalError
        If it is no text of this form, of another version, cut short or too long, or says what the standard does not
        allow: see `docs/decisions/0060-consent-strings-are-decoded-strictly.md`.

    Examples
    --------
    >>> consent = decode_tcf("CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA")
    >>> consent.publisher_country, consent.purpose_consents
    ('DE', frozenset())
    >>> decode_tcf("CQSbk4AQSbk4ANwAAAEN")
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: the text ends within a field
    """
    first, *others = split_segments(text, ".", 4)
    segments: dict[str, Any] = {}
    for segment in others:
        reader = BitReader(segment)
        name = _SEGMENTS.get(reader.integer(3))
        if name is None or name in segments:
            raise InvalidSignalError("a segment is doubled or of no known type")
        segments[name] = read_publisher(reader) if name == "publisher_tc" else _vendors(reader)
        reader.finish()
    return _core(first, segments)
