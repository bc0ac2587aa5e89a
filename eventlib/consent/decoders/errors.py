"""The one way in which decoding fails."""

from __future__ import annotations

__all__ = ["InvalidSignalError"]


class InvalidSignalError(ValueError):
    """A consent signal that is damaged, of an unknown version, or says what its standard does not allow (C04).

    The message says what is wrong and never quotes the signal: whether it may be kept has not been decided yet.
    """
