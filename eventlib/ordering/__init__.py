"""Corrected times, lateness, duplicates, total order (S3)."""

from eventlib.ordering.clock import CLOCK_COLUMNS, correct_clock
from eventlib.ordering.duplicates import remove_duplicates
from eventlib.ordering.lateness import remove_late

__all__ = ["CLOCK_COLUMNS", "ORDER", "correct_clock", "remove_duplicates", "remove_late"]

ORDER = (
    "event_time",
    "source_key",
    "device",
    "stretch",
    "sequence",
    "event_key",
    "renamed",
    "copy_key",
    "fingerprint_key",
)
"""The total order (S3.5), a missing device last. Within a source, a device and a stretch the ordinal is that of (event_time,
sequence, event id), since the running maximum lets event_time rise with sequence; so sorting by these columns is sorting by
the ordinal. Events that clash in their id are told apart by which was renamed, then by what they hold."""
