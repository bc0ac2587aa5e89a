"""eventlib: event logs you can trust, and the content-ranking signals in them.

>>> import eventlib as el
>>> sorted(el.__all__)[:4]
['Prepared', 'StageResult', 'erase', 'explain']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from eventlib.api import explain, people_as_of, prepare, read, replay
    from eventlib.prepared import Prepared, load
    from eventlib.report import record, run_stamp, show, show_summary, show_table
    from eventlib.stage import StageResult
    from eventlib.stages import filter_consent, merge_identities, order, sessionize
    from eventlib.typed import properties
    from eventlib.validating import validate

__all__ = [
    "Prepared",
    "StageResult",
    "erase",
    "explain",
    "filter_consent",
    "load",
    "merge_identities",
    "order",
    "people_as_of",
    "prepare",
    "properties",
    "read",
    "record",
    "replay",
    "run_stamp",
    "sessionize",
    "show",
    "show_summary",
    "show_table",
    "validate",
]

_HOMES: Final = {
    "Prepared": "prepared",
    "StageResult": "stage",
    "erase": "api",
    "explain": "api",
    "people_as_of": "api",
    "filter_consent": "stages",
    "load": "prepared",
    "merge_identities": "stages",
    "order": "stages",
    "prepare": "api",
    "properties": "typed",
    "read": "api",
    "record": "report",
    "replay": "api",
    "run_stamp": "report",
    "sessionize": "stages",
    "show": "report",
    "show_summary": "report",
    "show_table": "report",
    "validate": "validating",
}


def __getattr__(name: str) -> Any:
    # a notebook that only loads and draws must not wait for the engines
    if name not in _HOMES:
        raise AttributeError(f"module 'eventlib' has no attribute {name!r}")
    found = getattr(import_module(f"eventlib.{_HOMES[name]}"), name)
    return globals().setdefault(name, found)  # looked up once


def __dir__() -> list[str]:
    return sorted(__all__)
