"""What changed since the last bundle, told as CloudEvents: for caches, search engines and editors to act on (S9).

A signal moved where it differs by more than 1.96 standard deviations of the difference of two independent
estimates. These are of sampling alone, not the intervals': what shrinkage takes from a content it takes from both
bundles. The new bundle's come from its refits; the earlier bundle's, which it does not hold, are the new one's by the
evidence of each: a variance falls as one over the examined shows. Bundles of following days share most of their
people, so that their difference varies less than that: what is told has moved, and small moves are not told. The
same data give the same signals, and nothing moves.

Source: CloudEvents 1.0.2, JSON event format.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
import orjson
import pandas as pd

from eventlib.signals.check import check_signals
from eventlib.signals.encoding import read_lines, stamp
from eventlib.signals.table import SIGNAL_SCHEMA

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "ADDED",
    "FELL",
    "FIRST",
    "REMOVED",
    "ROSE",
    "VERSION_CHANGED",
    "Previous",
    "changes",
    "read_previous",
]

ROSE: Final = "eventlib.signal.rose"
FELL: Final = "eventlib.signal.fell"
ADDED: Final = "eventlib.signal.added"
REMOVED: Final = "eventlib.signal.removed"
VERSION_CHANGED: Final = "eventlib.content.version_changed"

DATA_SCHEMA: Final = "urn:eventlib:schema:exports:change:1-0-0"
"""The `$id` of the published schema; CloudEvents wants an absolute URI here."""

FIRST: Final = "there is no earlier bundle"
_MOVED_FROM: Final = 1.96
_KEY: Final = ["content_id", "prompt_cluster"]
_SIDES: Final = ("before", "after")


@dataclass(frozen=True, slots=True)
class Previous:
    """The bundle to compare with, or why there is none.

    Attributes
    ----------
    stamp : dict or None
        `bundle, manifest_sha256, created_at` of it; None where nothing is compared.
    rows : DataFrame
        Its signals.
    reason : str
        Why nothing is compared; empty if it is.
    """

    stamp: Mapping[str, str] | None
    rows: pd.DataFrame
    reason: str


def read_previous(root: Path, engine: str = "") -> Previous:
    """Read the bundle that `root/current` points at; one that is damaged is named as such and not used.

    Parameters
    ----------
    root
        Folder of the bundles.
    engine
        The engine of the new bundle; signals of different engines are not compared. "" takes any.
    """
    pointer = root / "current"
    if not pointer.exists():
        return _none("the earlier bundle's folder is gone" if pointer.is_symlink() else FIRST)
    folder = pointer.resolve()
    if not (folder / "manifest.json").is_file():
        return _none("the earlier bundle is damaged: manifest.json is missing")
    wrong = [finding for finding in check_signals(folder).findings if finding.severity == "error"]
    if wrong:
        return _none(f"the earlier bundle is damaged: {wrong[0].file} {wrong[0].message}")
    content = (folder / "manifest.json").read_bytes()
    manifest = orjson.loads(content)
    if engine and manifest["engine"] != engine:
        return _none("the earlier bundle is of another engine")
    rows = pd.DataFrame(read_lines(folder / "signals.jsonl"), columns=SIGNAL_SCHEMA.names)
    if rows.duplicated(_KEY).any():
        return _none("the earlier bundle names a content twice in one cluster")
    digest = hashlib.sha256(content).hexdigest()
    named = {"bundle": folder.name, "manifest_sha256": digest, "created_at": str(manifest["created_at"])}
    return Previous(named, rows, "")


def _none(reason: str) -> Previous:
    return Previous(None, pd.DataFrame({name: [] for name in SIGNAL_SCHEMA.names}), reason)


def changes(
    previous: Previous,
    signals: pd.DataFrame,
    sampling: NDArray[np.float64],
    engine: str,
    created: dt.datetime,
) -> list[dict[str, Any]]:
    """Return what changed, a CloudEvent each, by content and prompt cluster; none without an earlier bundle.

    Rows with under ten people behind them, before or now, are never told as moved, and carry no figures where
    they were added or removed.

    Parameters
    ----------
    previous
        As `read_previous` returns it.
    signals
        Rows of the new bundle, columns of `SIGNAL_SCHEMA`.
    sampling
        Standard deviation of each of them over refits on resampled people, shape (rows,).
    engine, created
        Of the new bundle.
    """
    if previous.stamp is None:
        return []
    both = _matched(previous.rows, signals, sampling)
    told = [*_versions(both), *_signals(both)]
    told.sort(key=lambda one: (one[1]["content_id"], one[1]["prompt_cluster"] or "", one[0]))
    origin = previous.stamp["manifest_sha256"]
    return [_event(kind, data | {"engine": engine}, origin, created) for kind, data in told]


def _matched(before: pd.DataFrame, after: pd.DataFrame, sampling: NDArray[np.float64]) -> pd.DataFrame:
    """Return each signal's row in both bundles, with what kind of change it is ("" for none)."""
    new = _ranked(after).assign(sd=sampling)
    both = _ranked(before).merge(new, on=_KEY, how="outer", suffixes=("_before", "_after"), sort=True)
    there = {side: both[f"signal_{side}"].notna().to_numpy() for side in _SIDES}
    known = both["n_effective_before"].notna() & both["n_effective_after"].notna()
    moved = (both["signal_after"] - both["signal_before"]).to_numpy(np.float64)
    evidence = both["exposure_after"] / both["exposure_before"]
    sure = np.abs(moved) > _MOVED_FROM * both["sd"] * np.sqrt(1 + evidence)
    kinds = [~there["before"], ~there["after"], known & sure & (moved > 0), known & sure & (moved < 0)]
    kind = np.select([np.asarray(one, dtype=bool) for one in kinds], [ADDED, REMOVED, ROSE, FELL], default="")
    return both.assign(kind=kind, moved_by=moved)


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the figures compared, as floats, with `rank` in the cluster."""
    names = ["signal", "lower", "upper", "n_effective", "exposure"]
    frame = rows[[*_KEY, "content_version"]].join(rows[names].astype(np.float64))
    rank = frame.groupby("prompt_cluster")["signal"].rank(method="min", ascending=False)
    return frame.assign(rank=rank)


def _signals(both: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    rows = both[both["kind"] != ""].to_dict("records")
    return [(row["kind"], _change(row)) for row in rows]


def _change(row: Mapping[Any, Any]) -> dict[str, Any]:
    sides = {side: _side(row, side) for side in _SIDES}
    moved = row["kind"] in (ROSE, FELL)
    return {
        "content_id": row["content_id"],
        "content_version": (sides["after"] or sides["before"] or {})["content_version"],
        "prompt_cluster": row["prompt_cluster"],
        **sides,
        "moved_by": float(row["moved_by"]) if moved else None,
    }


def _side(row: Mapping[Any, Any], side: str) -> dict[str, Any] | None:
    """Return a row as it was in one bundle: None where it was not, without figures where too few people were."""
    if pd.isna(row[f"signal_{side}"]):
        return None
    told = not pd.isna(row[f"n_effective_{side}"])
    figures = {name: float(row[f"{name}_{side}"]) if told else None for name in ("signal", "lower", "upper")}
    rank = int(row[f"rank_{side}"]) if told else None
    return {"content_version": row[f"content_version_{side}"], **figures, "rank": rank}


def _versions(both: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Tell which contents have another version than before, once each: about contents, not about people."""
    names = [f"content_version_{side}" for side in _SIDES]
    known = both[both[names].notna().all(axis=1)].drop_duplicates("content_id")
    changed = known[known[names[0]] != known[names[1]]]
    blank = dict.fromkeys(("signal", "lower", "upper", "rank"))
    return [
        (
            VERSION_CHANGED,
            {
                "content_id": content, "content_version": after, "prompt_cluster": None,
                "before": {"content_version": before, **blank}, "after": {"content_version": after, **blank},
                "moved_by": None,
            },
        )
        for content, before, after in changed[["content_id", *names]].itertuples(index=False)
    ]  # fmt: skip


def _event(kind: str, data: Mapping[str, Any], origin: str, created: dt.datetime) -> dict[str, Any]:
    """Return one CloudEvent; its id tells what happened to which row since which bundle, and is the same each time."""
    what = orjson.dumps([origin, kind, data["content_id"], data["prompt_cluster"]])
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(what).hexdigest(),
        "source": f"/signals/{quote(str(data['engine']), safe='')}",
        "type": kind,
        "subject": data["content_id"],
        "time": stamp(created),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "data": data,
    }
