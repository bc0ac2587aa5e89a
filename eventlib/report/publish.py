"""Where reports lie, and how they get there: whole or not at all.

    out/<notebook>/<run_id>/          report.html, <notebook>.ipynb, run.json, figures.json
    out/<notebook>/latest             → <run_id>
    out/failed/<notebook>/<run_id>/   the evidence of a run that failed
    out/index.html

A process killed at any moment leaves the last good report in place (`eventlib.publish`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from eventlib.publish import publish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "FAILED",
    "LATEST",
    "keep_evidence",
    "publish_report",
    "write_atomically",
    "write_json",
    "write_text",
]

FAILED: Final = "failed"
LATEST: Final = "latest"


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with plain line ends."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_atomically(path: Path, text: str, work: Path) -> None:
    """Replace a file in one step, by way of a folder on the same file system."""
    aside = work / path.name
    write_text(aside, text)
    aside.replace(path)


def publish_report(folder: Path, out: Path, notebook: str, run_id: str) -> Path:
    """Move a finished report to `out/notebook/run_id` and point `latest` at it; return its folder."""
    target = out / notebook / run_id
    publish(folder, target, target.parent / LATEST)
    return target


def keep_evidence(folder: Path, out: Path, notebook: str, run_id: str, reason: Mapping[str, Any]) -> Path:
    """Move what a failed run left to `out/failed`, with the reason beside it; return its folder."""
    write_json(folder / "failure.json", dict(reason))
    target = out / FAILED / notebook / run_id
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)
    return target
