"""How a log of other trackers was read: each file's format and why, and what reading mapped, guessed, left and mended."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["kind_of_repair", "readings"]

_KINDS: Final = (
    ("mapped", ("read as", "read by its last parts")),
    ("guessed", ("stand for", "stands for")),
    ("not kept", ("not kept",)),
    ("left as it is", ("kept under its own name", "left as it is", "kept as it is", "kept with")),
)


def kind_of_repair(field: str, repair: str) -> str:
    """Return what kind of thing was done: mapped, guessed, not kept, left as it is, or mended.

    Examples
    --------
    >>> kind_of_repair("event_name", "read as page_view"), kind_of_repair("total", "text read as a number")
    ('mapped', 'mended')
    >>> kind_of_repair("content_id", "host and path of the page's address stand for it")
    'guessed'
    """
    for kind, signs in _KINDS:
        if any(sign in repair for sign in signs) and (kind != "mapped" or field in {"event_name", "type"}):
            return kind
    return "mended"


def readings(run: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return by caption how files were read and what was done; nothing of a log that is native and needed nothing.

    Parameters
    ----------
    run
        A dataset's stamp (`run.json`).

    Returns
    -------
    dict of str to pandas.DataFrame
        `file, format, because, records, events`; `format, event, field, how, rows` of mapped events; the same with `what` of
        all else; most rows first.
    """
    inputs, repairs = run.get("inputs", []), run.get("repairs", [])
    files = pd.DataFrame(
        [
            (
                PurePath(str(entry["file"])).name,
                entry["source"],
                entry["reason"],
                entry["rows"],
                entry.get("events"),
            )
            for entry in inputs
        ],
        columns=["file", "format", "because", "records", "events"],
    )
    done = pd.DataFrame(
        [
            (
                kind_of_repair(row["field"], row["repair"]),
                row["source"],
                row["scope"],
                row["field"],
                row["repair"],
                row["rows"],
            )
            for row in repairs
        ],
        columns=["what", "format", "event", "field", "how", "rows"],
    )
    if done.empty and set(files["format"]) <= {"native"}:
        return {}
    order = {name: place for place, name in enumerate([*(kind for kind, _ in _KINDS), "mended"])}
    done = done.sort_values(["rows"], ascending=False, kind="stable").sort_values(
        "what", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )
    is_mapped = done["what"] == "mapped"
    return {
        "How each file was read, and why so": files,
        "What events were read as": done[is_mapped].drop(columns="what").reset_index(drop=True),
        "What was guessed, not kept, left and mended": done[~is_mapped].reset_index(drop=True),
    }
