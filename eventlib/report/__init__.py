"""Reports: what notebooks show, how they are run, checked, published and indexed (NOTEBOOKS)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventlib.report.display import Headline, record, run_stamp, show, show_summary, show_table
    from eventlib.report.runner import run_reports

__all__ = ["Headline", "record", "run_reports", "run_stamp", "show", "show_summary", "show_table"]


def __getattr__(name: str) -> Any:
    # the runner needs papermill, a notebook does not: each loads what it uses
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "eventlib.report.runner" if name == "run_reports" else "eventlib.report.display"
    return getattr(import_module(module), name)
