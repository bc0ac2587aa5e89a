"""The native format: the canonical event itself, one JSON object per line (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from eventlib.sources.base import About, Adapter, Event, Repairs, Skipped

__all__ = ["NativeAdapter"]


class NativeAdapter(Adapter):
    """Events that are canonical already."""

    name: ClassVar[str] = "native"
    about = About(
        "Native",
        "envelope 1-0-0 to 1-0-2",
        (
            (
                "every member",
                "the same",
                "`schemas/envelope` and `schemas/events` say which there are; unknown ones are refused",
            ),
        ),
        ("event names without a schema are refused, unless `--unplanned allow` lets them pass",),
    )

    @classmethod
    def sniff(cls, records: Sequence[Mapping[str, Any]]) -> str | None:
        """Look for event_name beside occurred_at."""
        hits = sum("event_name" in record and "occurred_at" in record for record in records)
        return f"{hits} of {len(records)} records have event_name and occurred_at" if hits else None

    def adapt(
        self, record: Event, previous: bytes, learned: Mapping[str, Any], repairs: Repairs
    ) -> Event | Skipped:  # the interface's
        """Return the record as it is."""
        return record
