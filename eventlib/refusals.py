"""When a log may not become a dataset (S2.4), and when a dataset contradicts its ledger."""

from __future__ import annotations

from collections import Counter

from eventlib.consent import Policy, default_policy
from eventlib.errors import DataRefusedError
from eventlib.flow import Flow
from eventlib.ledger import Ledger
from eventlib.rows import Log
from eventlib.sources import UNRECOGNISED

__all__ = ["check_refused", "check_written", "refuse_rejected", "refuse_withheld"]


def check_written(rows: int, ledger: Ledger) -> None:
    """Hold the written events to the ledger."""
    if rows != ledger.rows_out:
        raise RuntimeError(f"{rows} rows were written, but the ledger says {ledger.rows_out}")


def check_refused(refused: int, flow: Flow, log: Log) -> None:
    """Hold the quarantine to the ledger."""
    expected = len(log.quarantine) + sum(flow.ledger.removed("lateness").values())
    if refused != expected:
        raise RuntimeError(f"{refused} quarantine rows were written, but the ledger says {expected}")


def refuse_rejected(log: Log, most: float) -> None:
    """Refuse a log of which more is rejected than may be."""
    ledger = Ledger([log.entry])
    rejected = ledger.rejected
    if (ledger.rejected_share or 0) > most:
        codes = ", ".join(f"{code} {count:,}" for code, count in Counter(rejected).most_common(5))
        raise DataRefusedError(
            f"{sum(rejected.values()):,} of {ledger.rows_in - ledger.skipped:,} records were rejected, over the share of "
            f"{most:.0%} that --max-rejected allows. Most common: {codes}. {_unrecognised(log)}See each with `eventlib validate LOG…`, "
            "or raise --max-rejected."
        )


def _unrecognised(log: Log) -> str:
    """Name the files of which no format was told: what is said of their lines is said of native ones."""
    files = [str(told["file"]) for told in log.inputs if told["reason"] == UNRECOGNISED]
    if not files:
        return ""
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return (
        f"No known format was recognised in {', '.join(files[:3])}{more}, and what cannot be told is judged as a native log; "
        "`eventlib sources` lists what is known. "
    )


def refuse_withheld(ledger: Ledger, policy: Policy, log: Log) -> None:
    """Refuse a log that says nothing of consent, which would else look like an empty one (S2.4)."""
    consent = next(entry for entry in ledger if entry.stage == "consent")
    withheld = sum(consent.removed.values())
    if not consent.rows_in or withheld / consent.rows_in <= policy.max_withheld:
        return
    rules = ", ".join(
        f"{rule} {count:,}" for rule, count in sorted(consent.removed.items(), key=lambda item: -item[1])
    )
    source = next((entry["source"] for entry in log.inputs if entry["source"] != "native"), "SOURCE")
    raise DataRefusedError(
        f"{withheld:,} of {consent.rows_in:,} events may not be used for any purpose ({rules}), over the share of "
        f"{policy.max_withheld:.0%} from which a log without consent is suspected. If this log carries none of its own, copy "
        f"{default_policy()}, state in the copy on which basis the log is used, and pass it with --policy:\n"
        f"sources:\n  {source}: {{jurisdiction: …, purposes: [analytics], basis: …, owner: …, expires: YYYY-MM-DD}}"
    )
