"""Log formats: one adapter each, from a tracker's record to the canonical event; and which one a file is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eventlib.errors import BadCallError
from eventlib.sources.base import Adapter, Event, Repairs, Skipped
from eventlib.sources.native import NativeAdapter
from eventlib.sources.ubi import UbiAdapter

__all__ = ["ADAPTERS", "Adapter", "Event", "Repairs", "Skipped", "adapter", "detect", "made_by_adapters"]

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


def made_by_adapters(sent: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Return by event name which properties an adapter makes, as no tracker could stop sending them.

    Parameters
    ----------
    sent
        Pairs of source and event name that a log has; a foreign format's events carry its name as their source.

    Examples
    --------
    >>> "slot" in made_by_adapters([("ubi", "citation_show")])["citation_show"]
    True
    >>> made_by_adapters([("web", "citation_show")])
    {}
    """
    foreign = [(ADAPTERS[source].derived, name) for source, name in sent if source in ADAPTERS]
    return {name: derived.get("*", frozenset()) | derived.get(name, frozenset()) for derived, name in foreign}
