"""The US Privacy string of the IAB (CCPA), version 1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from eventlib.consent.decoders.errors import InvalidSignalError
from eventlib.consent.decoders.opt_outs import UsOptOuts

__all__ = ["UsPrivacy", "decode_us_privacy"]

# capital letters only, as the standard lists them; a choice about sale is unknown only where nothing applies
_FORM: Final = re.compile(r"1(?:---|[YN-][YN][YN-])")
_VALUES: Final = {"Y": True, "N": False, "-": None}


@dataclass(frozen=True, slots=True)
class UsPrivacy:
    """A US Privacy string.

    Attributes
    ----------
    notice : bool or None
        Whether notice and the opportunity to opt out were given; None: unknown.
    opt_out_sale : bool or None
        Whether the person opted out of sale; None: the law does not apply.
    lspa_covered : bool or None
        Whether the transaction is covered by the Limited Service Provider Agreement; None: unknown.
    """

    notice: bool | None
    opt_out_sale: bool | None
    lspa_covered: bool | None

    @property
    def opt_outs(self) -> UsOptOuts:
        """The common form."""
        return UsOptOuts(sale=self.opt_out_sale, notice=self.notice)


def decode_us_privacy(text: object) -> UsPrivacy:
    """Decode a US Privacy string.

    Parameters
    ----------
    text
        Four characters, such as `1YNN`; `1---` is valid and says nothing.

    Raises
    ------
    InvalidSignalError
        If it is no text of this form. Lower-case letters are invalid, and so is a choice about sale that is unknown
        beside another field that is not (U.S. Privacy String, section U.S. Privacy String Format).

    Examples
    --------
    >>> decode_us_privacy("1YNN")
    UsPrivacy(notice=True, opt_out_sale=False, lspa_covered=False)
    >>> decode_us_privacy("1Y-N")
    Traceback (most recent call last):
    eventlib.consent.decoders.errors.InvalidSignalError: not a US Privacy string of version 1
    """
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        raise InvalidSignalError("not a US Privacy string of version 1")
    return UsPrivacy(*(_VALUES[letter] for letter in text[1:]))
