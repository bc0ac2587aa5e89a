"""Log formats: one adapter each, from a tracker's record to the canonical event; and which one a file is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventlib.errors import BadCallError
from eventlib.sources.base import Adapter, Event, Repairs, Skipped
from eventlib.sources.native import NativeAdapter
from eventlib.sources.ubi import UbiAdapter

__all__ = ["ADAPTERS", "Adapter", "Event", "Repairs", "Skipped", "adapter", "detect"]

ADAPTERS: Mapping[str, type[Adapter]] = {"native": NativeAdapter, "ubi": UbiAdapter}
"""Adapters by the name that `--source` takes; one line adds another."""


def adapter(name: str) -> Adapter:
    """Return the adapter of that name.

    Raises
    ------
    BadCallError
        If there is none.
    """
    if name not in ADAPTERS:
        raise BadCallError.unknown("source", name, [*ADAPTERS, "auto"])
    return ADAPTERS[name]()


def detect(records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Name the format of a file from its first records, and why.

    Returns
    -------
    tuple of str
        Source name and reason. A file in which nothing is recognised counts as native,
        so that each of its lines ends in the quarantine with a reason.

    Raises
    ------
    BadCallError
        If two formats fit.
    """
    reasons = {name: kind.sniff(records) for name, kind in ADAPTERS.items()}
    fits = {name: reason for name, reason in reasons.items() if reason}
    if len(fits) > 1:
        raise BadCallError(
            f"the log looks like {' and like '.join(fits)}; say which it is with source= or --source"
        )
    if not fits:
        return "native", "no record was recognised; read as native"
    return next(iter(fits.items()))
