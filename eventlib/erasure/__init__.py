"""Erasing a person everywhere that eventlib wrote them down, for good, and proving it (S2.8)."""

from eventlib.erasure.run import Erasure, erase_from

__all__ = ["Erasure", "erase_from"]
