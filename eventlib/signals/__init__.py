"""What goes out to search, retrieval and content teams: the signal bundle, its check, feedback sets (S9)."""

from eventlib.signals.bundle import Export, export_signals, last_signals
from eventlib.signals.check import CheckResult, check_signals
from eventlib.signals.table import strongest
from eventlib.signals.views import (
    briefs_table,
    change_counts,
    changes_said,
    changes_table,
    export_answers,
    pairs_table,
)

__all__ = [
    "CheckResult",
    "Export",
    "briefs_table",
    "change_counts",
    "changes_said",
    "changes_table",
    "check_signals",
    "export_answers",
    "export_signals",
    "last_signals",
    "pairs_table",
    "strongest",
]
