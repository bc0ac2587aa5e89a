"""The US sections of a GPP string: national, and one for each state that has its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eventlib.consent.decoders.bits import BitReader, split_segments
from eventlib.consent.decoders.errors import InvalidSignalError
from eventlib.consent.decoders.opt_outs import UsOptOuts
from eventlib.consent.decoders.us_tables import CORE, GPC, NAMES, SENSITIVE_DATA, Fields

__all__ = ["UsSection", "decode_us_section"]

_NOT_APPLICABLE, _YES, _NO = 0, 1, 2  # of a notice; a choice counts 1 as opted out, a consent 1 as none given
_CHOICES: Final = {name: f"{name}OptOut" for name in ("Sale", "Sharing", "TargetedAdvertising")}
_GENERAL_NOTICES: Final = ("SharingNotice", "ProcessingNotice")
_CHILD: Final = "KnownChildSensitiveDataConsents"
_COVERED: Final = "MspaCoveredTransaction"  # the one field without "not applicable"
_GPC: Final = 1
_SENSITIVE: Final[Fields] = (("SensitiveDataProcessing", 8),)

Values = Mapping[str, int | tuple[int, ...]]
"""Fields by the names of the specification; each value is 0, 1 or 2."""


@dataclass(frozen=True, slots=True)
class UsSection:
    """A US section.

    Attributes
    ----------
    section_id : int
        As in the header.
    name : str
        Such as `usca`.
    version : int
        Of the section; of `usmd`, `usin`, `usky` and `usri` that of the MSPA.
    fields : mapping of str to int or tuple of int
        Each field by its name in the specification, 0 to 2.
    gpc : bool or None
        None: there is no sub-section on Global Privacy Control.
    """

    section_id: int
    name: str
    version: int
    fields: Values
    gpc: bool | None = None

    @property
    def opt_outs(self) -> UsOptOuts:
        """The common form."""
        child = _known(self.fields.get(_CHILD, ()))
        return UsOptOuts(
            sale=self._choice("Sale"),
            sharing=self._choice("Sharing"),
            targeted_advertising=self._choice("TargetedAdvertising"),
            notice=self._notice(),
            gpc=self.gpc,
            known_child=bool(child),
            child_consent=_YES not in child if child else None,
        )

    def _choice(self, of: str) -> bool | None:
        return {_YES: True, _NO: False}.get(self._value(_CHOICES[of]))

    def _value(self, name: str) -> int:
        value = self.fields.get(name, _NOT_APPLICABLE)
        assert isinstance(value, int)
        return value

    def _notice(self) -> bool | None:
        notices = {self._value(f"{choice}Notice") for choice in _CHOICES.values()}
        unnoticed = any(
            self._value(choice) == _NO and self._value(f"{choice}Notice") != _YES
            for choice in _CHOICES.values()
        )
        if unnoticed or _NO in notices | {self._value(name) for name in _GENERAL_NOTICES}:
            return False
        return True if _YES in notices else None


def _known(consents: int | tuple[int, ...]) -> tuple[int, ...]:
    values = (consents,) if isinstance(consents, int) else consents
    return tuple(value for value in values if value != _NOT_APPLICABLE)


def _undefined(name: str, value: int | tuple[int, ...]) -> bool:
    values = (value,) if isinstance(value, int) else value
    return max(values) > _NO or (name == _COVERED and value == _NOT_APPLICABLE)


def _read(reader: BitReader, fields: Fields) -> dict[str, int | tuple[int, ...]]:
    """Read fields of two bits a value, all at once."""
    size = 2 * sum(count or 1 for _, count in fields)
    bits = reader.integer(size)
    values = [bits >> shift & 3 for shift in range(size - 2, -1, -2)]
    found: dict[str, int | tuple[int, ...]] = {}
    at = 0
    for name, count in fields:
        found[name] = values[at] if count is None else tuple(values[at : at + count])
        at += count or 1
    if max(values) > _NO or found.get(_COVERED) == _NOT_APPLICABLE:
        wrong = next(name for name, value in found.items() if _undefined(name, value))
        raise InvalidSignalError(f"{wrong} has a value that the section does not define")
    return found


def _read_gpc(reader: BitReader) -> bool:
    if reader.integer(2) != _GPC:
        raise InvalidSignalError("a sub-section is not the one on Global Privacy Control")
    return reader.flag()


def decode_us_section(section_id: int, text: object) -> UsSection:
    """Decode one US section.

    Parameters
    ----------
    section_id
        One of 7 to 27.
    text
        The core, and at most one sub-section after a dot.

    Raises
    ------
    InvalidSignalError
        If it is damaged, of a version that the section's specification does not know, or has a value or sub-section
        that it does not define.

    Examples
    --------
    >>> section = decode_us_section(8, "BAgAAABA.YA")
    >>> section.opt_outs.sale, section.opt_outs.gpc, section.fields["MspaCoveredTransaction"]
    (False, True, 1)
    >>> decode_us_section(8, "BAgAAABA.YA.YA")
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: there are more segments than the standard knows
    """
    core, *others = split_segments(text, ".", 2 if section_id in GPC | SENSITIVE_DATA else 1)
    reader = BitReader(core)
    version = reader.integer(6)
    if (section_id, version) not in CORE:
        raise InvalidSignalError("of a version that is not known")
    fields = _read(reader, CORE[section_id, version])
    reader.finish()
    gpc = None
    for other in others:
        reader = BitReader(other)
        if section_id in GPC:
            gpc = _read_gpc(reader)
        else:
            fields |= _read(reader, _SENSITIVE)
        reader.finish()
    return UsSection(section_id, NAMES[section_id], version, fields, gpc)
