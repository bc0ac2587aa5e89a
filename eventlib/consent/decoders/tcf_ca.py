"""The Canadian TCF section of a GPP string (tcfcav1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from eventlib.consent.decoders.bits import BitReader, split_segments
from eventlib.consent.decoders.errors import InvalidSignalError
from eventlib.consent.decoders.tcf import (
    PURPOSES,
    SPECIAL_FEATURES,
    PublisherTc,
    Restriction,
    read_publisher,
    read_restrictions,
    read_times,
)

__all__ = ["TcfCaString", "decode_tcf_ca"]

_DISCLOSED: Final = 1
_PUBLISHER: Final = 3
_T = TypeVar("_T")
_ReadIds = Callable[[BitReader], int]


@dataclass(frozen=True, slots=True)
class TcfCaString:
    """A Canadian TC string; names follow the standard's fields.

    Attributes
    ----------
    created, last_updated : datetime
        UTC.
    consent_language : str
        Two capital letters.
    special_feature_express_consents, purpose_express_consents, purpose_implied_consents : frozenset of int
        Ids from 1.
    vendor_express_consents, vendor_implied_consents : int
        Bit masks, bit n is vendor n.
    publisher_restrictions : tuple of Restriction
        One for each purpose and type.
    disclosed_vendors : int or None
        Bit mask; None: there is no such sub-section.
    publisher_tc : PublisherTc or None
        Express consents stand as consents, implied ones as legitimate interests. None: no such sub-section.
    """

    created: datetime
    last_updated: datetime
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    policy_version: int
    use_non_standard_stacks: bool
    special_feature_express_consents: frozenset[int]
    purpose_express_consents: frozenset[int]
    purpose_implied_consents: frozenset[int]
    vendor_express_consents: int
    vendor_implied_consents: int
    publisher_restrictions: tuple[Restriction, ...]
    disclosed_vendors: int | None = None
    publisher_tc: PublisherTc | None = None


def _standard_ids(reader: BitReader) -> int:
    """Read an OptimizedRange as the GPP's Data Types have it: a flag, then a range or a length and its bits."""
    return reader.fibonacci_range() if reader.flag() else reader.mask(reader.integer(16))


def _reference_ids(reader: BitReader) -> int:
    """Read an OptimizedRange as @iabgpp/cmpapi writes it: the largest id, then the flag, then range or bits."""
    maximum = reader.integer(16)
    return reader.fibonacci_range(maximum) if reader.flag() else reader.mask(maximum)


def _either(text: str, read: Callable[[BitReader, _ReadIds], _T]) -> _T:
    """Read a segment in whichever of the two forms it has; one that both fit, differently, says nothing."""
    fitting = []
    for read_ids in (_standard_ids, _reference_ids):
        reader = BitReader(text)
        try:
            value = read(reader, read_ids)
            reader.finish()
        except InvalidSignalError as error:
            failure = error
        else:
            fitting.append(value)
    if not fitting:
        raise failure
    if fitting[0] != fitting[-1]:
        raise InvalidSignalError("vendors can be read in two ways")
    return fitting[0]


def _core(reader: BitReader, read_ids: _ReadIds) -> TcfCaString:
    if reader.integer(6) != 1:
        raise InvalidSignalError("not of version 1")
    created, last_updated = read_times(reader)
    return TcfCaString(
        created=created,
        last_updated=last_updated,
        cmp_id=reader.integer(12),
        cmp_version=reader.integer(12),
        consent_screen=reader.integer(6),
        consent_language=reader.letters(),
        vendor_list_version=reader.integer(12),
        policy_version=reader.integer(6),
        use_non_standard_stacks=reader.flag(),
        special_feature_express_consents=reader.ids(SPECIAL_FEATURES),
        purpose_express_consents=reader.ids(PURPOSES),
        purpose_implied_consents=reader.ids(PURPOSES),
        vendor_express_consents=read_ids(reader),
        vendor_implied_consents=read_ids(reader),
        publisher_restrictions=read_restrictions(reader, read_ids),
    )


def _other(reader: BitReader, read_ids: _ReadIds) -> int | PublisherTc:
    kind = reader.integer(3)
    if kind == _DISCLOSED:
        return read_ids(reader)
    if kind == _PUBLISHER:
        return read_publisher(reader)
    raise InvalidSignalError("a segment is of no known type")


def decode_tcf_ca(text: object) -> TcfCaString:
    """Decode the Canadian section: the core, then vendors disclosed and publisher purposes in any order.

    Parameters
    ----------
    text
        Base64url segments joined by dots.

    Raises
    ------
    InvalidSignalError
        As `decode_tcf` does; the standard is the GPP Extension: IAB Canada TCF, section Section encoding.
    """
    first, *others = split_segments(text, ".", 3)
    string = _either(first, _core)
    for segment in others:
        value = _either(segment, _other)
        name = "publisher_tc" if isinstance(value, PublisherTc) else "disclosed_vendors"
        if getattr(string, name) is not None:
            raise InvalidSignalError("a segment is doubled")
        segments: dict[str, Any] = {name: value}
        string = replace(string, **segments)
    return string
