"""What every US signal says, in one form."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UsOptOuts"]


@dataclass(frozen=True, slots=True)
class UsOptOuts:
    """The choices of a person under US law, as one signal states them.

    Attributes
    ----------
    sale, sharing, targeted_advertising : bool or None
        True: opted out; False: did not; None: not applicable, or the signal has no such field.
    notice : bool or None
        True: the notices that go with the choices were given. False: one was not, or a choice stands without its
        notice. None: no notice applies.
    gpc : bool or None
        Global Privacy Control; None: the signal does not say.
    known_child : bool
        A field on children's data applies.
    child_consent : bool or None
        For a known child, whether every consent that applies was given.
    """

    sale: bool | None = None
    sharing: bool | None = None
    targeted_advertising: bool | None = None
    notice: bool | None = None
    gpc: bool | None = None
    known_child: bool = False
    child_consent: bool | None = None

    @property
    def opted_out(self) -> bool:
        """Whether any opt-out stands, that of Global Privacy Control included."""
        return True in (self.sale, self.sharing, self.targeted_advertising, self.gpc)
