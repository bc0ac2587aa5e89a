"""Log formats: one adapter each, from a tracker's record to the canonical event; and which one a file is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from eventlib.errors import BadCallError
from eventlib.sources.access_log import AccessLogAdapter
from eventlib.sources.base import Adapter, Event, Names, Repairs, Skipped
from eventlib.sources.cloudevents import CloudEventsAdapter
from eventlib.sources.containers import Unpack
from eventlib.sources.decode import text_of
from eventlib.sources.ga4 import Ga4Adapter
from eventlib.sources.native import NativeAdapter
from eventlib.sources.posthog import PostHogAdapter
from eventlib.sources.segment import RudderStackAdapter, SegmentAdapter
from eventlib.sources.snowplow import SnowplowAdapter
from eventlib.sources.tables import read_table
from eventlib.sources.tracker import TrackerAdapter
from eventlib.sources.ubi import UbiAdapter

__all__ = [
    "ADAPTERS",
    "UNRECOGNISED",
    "Adapter",
    "Event",
    "Repairs",
    "Skipped",
    "adapter",
    "detect",
    "known_adapter",
    "made_by_adapters",
    "records_of",
    "unpack_of",
]

ADAPTERS: Mapping[str, type[Adapter]] = {
    "native": NativeAdapter,
    "ubi": UbiAdapter,
    "segment": SegmentAdapter,
    "rudderstack": RudderStackAdapter,
    "ga4": Ga4Adapter,
    "snowplow": SnowplowAdapter,
    "posthog": PostHogAdapter,
    "cloudevents": CloudEventsAdapter,
    "access_log": AccessLogAdapter,
}
"""Adapters by the name that `--source` takes; one line adds another."""

UNRECOGNISED = "no record was recognised; read as native"
"""Why a file is taken for a native log that may be none."""

_MAPPINGS = (".yaml", ".yml")


def adapter(name: str) -> Adapter:
    """Return the adapter of that name, or of a mapping file.

    Raises
    ------
    BadCallError
        If there is none, or the file cannot be used.
    """
    if name.endswith(_MAPPINGS):
        table = read_table(Path(name))
        kind = ADAPTERS.get(table.root, TrackerAdapter)
        return (kind if issubclass(kind, TrackerAdapter) else TrackerAdapter)(table)
    if name not in ADAPTERS:
        raise BadCallError.unknown("source", name, [*ADAPTERS, "auto", "a mapping file, such as shop.yaml"])
    return ADAPTERS[name]()


def known_adapter(name: str) -> Adapter:
    """Return an adapter, made once; that of a mapping file anew when the file has changed."""
    return _known_adapter(name, _written(Path(name)) if name.endswith(_MAPPINGS) else None)


@lru_cache(256)
def _known_adapter(name: str, _: object) -> Adapter:
    return adapter(name)


def _written(path: Path) -> tuple[str, int, int, int] | None:
    """Return which file stands at a path, and since when."""
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path.resolve()), found.st_ino, found.st_size, found.st_mtime_ns


def unpack_of(name: str) -> Unpack | None:
    """Return how batches of a format are taken apart."""
    return known_adapter(name).unpack


def records_of(kind: Adapter, lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return the records of lines, batches taken apart, as far as they can be read."""
    parts = (part for line in lines for part in (kind.unpack.of(line) if kind.unpack else [line]))
    return [record for part in parts if isinstance(record := kind.decode(text_of(part)), dict)]


def detect(lines: Sequence[bytes]) -> tuple[str, str]:
    """Name the format of a file from its first lines, and why.

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
    known = {name: known_adapter(name) for name in ADAPTERS}
    reasons = {name: kind.sniff(records_of(kind, lines)) for name, kind in known.items()}
    fits = {name: reason for name, reason in reasons.items() if reason}
    if len(fits) > 1:
        told = ", and ".join(f"like {name} because {reason}" for name, reason in fits.items())
        raise BadCallError(
            f"the log looks {told}; say which it is with source= or --source, or put the formats into files of their own"
        )
    if not fits:
        return "native", UNRECOGNISED
    name, reason = next(iter(fits.items()))
    return name, f"looks like {name} because {reason}"


def made_by_adapters(sent: Iterable[tuple[str, str]]) -> dict[str, Names]:
    """Return by event name which properties an adapter or its tracker makes, as no site could stop sending them.

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
    found: dict[str, Names] = {}
    for source, name in sent:
        if source in ADAPTERS:
            found[name] = found.get(name, Names()) | known_adapter(source).made(name)
    return {name: made for name, made in found.items() if made}
