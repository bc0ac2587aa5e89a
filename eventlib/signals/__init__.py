"""What goes out to search, retrieval and content teams: the signal bundle, its check, feedback sets (S9)."""

from eventlib.signals.bundle import Export, export_signals
from eventlib.signals.check import CheckResult, check_signals
from eventlib.signals.table import strongest

__all__ = ["CheckResult", "Export", "check_signals", "export_signals", "strongest"]
