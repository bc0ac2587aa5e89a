"""The accounting: rows in = rows out + removed, at every stage, each stage taking up where the last one ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from eventlib.errors import EventlibError

__all__ = ["SKIPPED", "Entry", "Ledger", "LedgerError"]

SKIPPED: Final = frozenset({
    "blank_line", "bulk_action", "feedback_event", "no_visitor",
    # of access logs: a header, a request that is none, one of another kind, and page requests that nobody can be told by
    "log_header", "malformed_request", "other_method", "health_check", "asset_request", "request_failed", "no_visitor_from_ai",
})  # fmt: skip
"""What a line that holds no event, or one of nobody, is counted under; such a line is not rejected."""


class LedgerError(EventlibError):
    """Rows went missing or appeared from nowhere: a defect of eventlib, never of the data."""

    code = "ledger_does_not_balance"


@dataclass(frozen=True, slots=True)
class Entry:
    """What one stage took in, gave out and removed, by reason.

    Examples
    --------
    >>> Entry("order", 3, 2, {"duplicate": 1}).to_dict()
    {'stage': 'order', 'rows_in': 3, 'rows_out': 2, 'removed': {'duplicate': 1}}
    >>> Entry("order", 3, 3, {"duplicate": 1})
    Traceback (most recent call last):
    eventlib.ledger.LedgerError: stage order: 3 rows in, but 3 out + 1 removed
    """

    stage: str
    rows_in: int
    rows_out: int
    removed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        total = sum(self.removed.values())
        if self.rows_in != self.rows_out + total or min(self.removed.values(), default=0) < 0:
            raise LedgerError(
                f"stage {self.stage}: {self.rows_in} rows in, but {self.rows_out} out + {total} removed"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in the form of `ledger.json`, reasons sorted, zeros left out."""
        removed = {code: count for code, count in sorted(self.removed.items()) if count}
        return {"stage": self.stage, "rows_in": self.rows_in, "rows_out": self.rows_out, "removed": removed}


class Ledger:
    """Entries that join without a gap.

    Examples
    --------
    >>> ledger = Ledger([Entry("read", 3, 2, {"broken_json": 1})])
    >>> ledger.add(Entry("order", 1, 1))
    Traceback (most recent call last):
    eventlib.ledger.LedgerError: stage order takes in 1 rows, but read gave out 2
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[Entry] = []
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Append a stage; it must take in what the last one gave out."""
        if self._entries and self._entries[-1].rows_out != entry.rows_in:
            last = self._entries[-1]
            raise LedgerError(
                f"stage {entry.stage} takes in {entry.rows_in} rows, but {last.stage} gave out {last.rows_out}"
            )
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def rows_in(self) -> int:
        """Number of input lines."""
        return self._entries[0].rows_in if self._entries else 0

    @property
    def rows_out(self) -> int:
        """Number of kept events."""
        return self._entries[-1].rows_out if self._entries else 0

    def removed(self, stage: str | None = None) -> dict[str, int]:
        """Return removed rows by reason, of one stage or of all."""
        totals: dict[str, int] = {}
        for entry in self._entries:
            if stage in (None, entry.stage):
                for code, count in entry.removed.items():
                    totals[code] = totals.get(code, 0) + count
        return {code: count for code, count in sorted(totals.items()) if count}

    @property
    def skipped(self) -> int:
        """Number of input lines that hold no record."""
        return sum(count for code, count in self.removed("read").items() if code in SKIPPED)

    @property
    def rejected(self) -> dict[str, int]:
        """Records that did not become events, by reason."""
        return {code: count for code, count in self.removed("read").items() if code not in SKIPPED}

    @property
    def rejected_share(self) -> float | None:
        """Share of the records (lines but those skipped) that was rejected; None where there is none."""
        records = self.rows_in - self.skipped
        return sum(self.rejected.values()) / records if records else None

    def to_list(self) -> list[dict[str, Any]]:
        """Return the form of `ledger.json`."""
        return [entry.to_dict() for entry in self._entries]
