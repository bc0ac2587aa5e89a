"""What the export report shows of a bundle, as frames and sentences: each is empty where nothing was exported."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from eventlib.masking import clean_id
from eventlib.signals.briefs import what_they_have
from eventlib.signals.changes import ADDED, FELL, REMOVED, ROSE, VERSION_CHANGED
from eventlib.signals.encoding import read_lines

if TYPE_CHECKING:
    from eventlib.signals.bundle import Export

__all__ = ["briefs_table", "change_counts", "changes_said", "changes_table", "export_answers", "pairs_table"]

_WORDS: Final = {
    ROSE: "rose", FELL: "fell", ADDED: "was added", REMOVED: "was removed", VERSION_CHANGED: "has another version",
}  # fmt: skip
_CHANGES: Final = (
    "what", "content_id", "prompt_cluster", "before", "after", "moved_by", "rank_before", "rank_after",
    "version_before", "version_after",
)  # fmt: skip


def _lines(export: Export, name: str) -> list[dict[str, Any]]:
    return [] if export.folder is None else read_lines(export.folder / name)


def changes_table(export: Export, most: int = 20) -> pd.DataFrame:
    """Return what changed since the last bundle, the largest moves first, then versions, added and removed signals.

    Signals with under ten people behind them are left out (S7.10); `changes.jsonl` names them without figures.

    Parameters
    ----------
    most
        Rows; the bundle has all of them.

    Returns
    -------
    DataFrame
        `what, content_id, prompt_cluster, before, after, moved_by, rank_before, rank_after, version_before,
        version_after`.
    """
    rows = [_change(event) for event in _lines(export, "changes.jsonl")]
    frame = pd.DataFrame([row for row in rows if row is not None], columns=list(_CHANGES))
    moved = frame["moved_by"].astype(float).abs()
    order = frame.assign(_apart=moved.fillna(0.0), _kind=frame["what"].map(_ORDER.index))
    order = order.sort_values(["_apart", "_kind", "content_id"], ascending=[False, True, True], kind="stable")
    return order.head(most)[list(_CHANGES)].reset_index(drop=True)


_ORDER: Final = [_WORDS[kind] for kind in (ROSE, FELL, VERSION_CHANGED, ADDED, REMOVED)]


def _change(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return a row of the table; None for a signal that too few people are behind."""
    data, kind = event["data"], event["type"]
    sides = {side: data[side] or {} for side in ("before", "after")}
    known = any(side.get("signal") is not None for side in sides.values())
    if kind != VERSION_CHANGED and not known:
        return None
    row = {"what": _WORDS[kind], "moved_by": data["moved_by"]}
    row |= {name: data[name] for name in ("content_id", "prompt_cluster")}
    for side, figures in sides.items():
        row |= {side: figures.get("signal"), f"rank_{side}": figures.get("rank")}
        row[f"version_{side}"] = figures.get("content_version")
    return row


def change_counts(export: Export) -> pd.DataFrame:
    """Return `what, changes` of the bundle, every kind that can occur; empty where nothing was compared."""
    manifest = export.manifest()
    if manifest is None or manifest["previous"] is None:
        return pd.DataFrame(columns=["what", "changes"])
    counts = manifest["changes"]["counts"]
    return pd.DataFrame(
        {"what": list(_WORDS.values()), "changes": [int(counts.get(kind, 0)) for kind in _WORDS]}
    )


def changes_said(export: Export) -> str:
    """Return in a sentence or two what changed since which bundle, or why that cannot be told; "" without a bundle."""
    manifest = export.manifest()
    if manifest is None:
        return ""
    if manifest["previous"] is None:
        return f"Nothing is compared: {manifest['changes']['reason']}."
    day = pd.Timestamp(manifest["previous"]["created_at"]).strftime("%d %b %Y, %H:%M UTC")
    counts = manifest["changes"]["counts"]
    if not counts:
        return f"Since the bundle of {day} nothing moved."
    told = ", ".join(f"{words} {counts.get(kind, 0)}" for kind, words in _SHORT.items())
    versions = f"contents with another version {counts.get(VERSION_CHANGED, 0)}"
    return (
        f"Since the bundle of {day}: signals that {told}; {versions}. A signal moved where it differs by more than 1.96 "
        "standard deviations of the difference, both taken as independent; they share most of their people, so small "
        "moves are not told."
    )


_SHORT: Final = {ROSE: "rose", FELL: "fell", ADDED: "were added", REMOVED: "were removed"}


def export_answers(export: Export) -> list[str]:
    """Return what changed since the last bundle and what feedback goes out, in sentences; empty without a bundle."""
    if export.folder is None:
        return []
    pairs, written = (_lines(export, f"feedback/{name}.jsonl") for name in ("preferences", "briefs"))
    stages = Counter(str(brief["failing_stage"]) for brief in written)
    named = ", ".join(f"{stage} {count}" for stage, count in sorted(stages.items()))
    return [
        changes_said(export),
        f"{len(pairs)} preference pairs from edits with a verdict; {len(written)} pages have a brief"
        + (f", by the stage at which they fail: {named}." if written else "."),
    ]


def pairs_table(export: Export) -> pd.DataFrame:
    """Return what the preference pairs rest on: `content_id, outcome, change, lower, upper, q, p_chosen_better, sentence`."""
    columns = ["content_id", "outcome", "change", "lower", "upper", "q", "p_chosen_better", "sentence"]
    return pd.DataFrame(_lines(export, "feedback/edits.jsonl"), columns=columns)


def briefs_table(export: Export, most: int = 20) -> pd.DataFrame:
    """Return the briefs, lowest score first, `better` the pages of its topic that are surely better at that stage.

    Returns
    -------
    DataFrame
        `content_id, failing_stage, score, lower, upper, people, better, they_have`.
    """
    columns = ["content_id", "failing_stage", "score", "lower", "upper", "people", "better", "they_have"]
    rows = [
        brief
        | brief["evidence"]
        | {
            "score": brief["evidence"]["theta"],
            "better": ", ".join(clean_id(str(name)) for name in brief["better"]),
            "they_have": what_they_have(brief["compared"]),
        }
        for brief in _lines(export, "feedback/briefs.jsonl")
    ]
    return (
        pd.DataFrame(rows, columns=columns).sort_values("score", kind="stable", ignore_index=True).head(most)
    )
