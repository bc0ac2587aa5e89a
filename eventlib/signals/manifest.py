"""The bundle's manifest: what it came from, what it was compared with, and the digest of every file (S9)."""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventlib.signals import clusters
from eventlib.signals.encoding import stamp
from eventlib.signals.table import REFITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.prepared import Prepared
    from eventlib.ranking.pipeline import Ranking
    from eventlib.signals.changes import Previous
    from eventlib.signals.page_texts import PageTexts
    from eventlib.signals.preferences import Pairs

__all__ = ["BUNDLE_VERSION", "digests", "manifest", "what_changed", "what_feedback"]

BUNDLE_VERSION: Final = "1-0-0"
_LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scikit-learn", "scipy", "skl2onnx")


def digests(bundle: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file of a folder, by path."""
    paths = sorted(path for path in bundle.rglob("*") if path.is_file())
    return {
        path.relative_to(bundle).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
    }


def manifest(
    ranking: Ranking, prepared: Prepared, moment: dt.datetime, rows: int, told: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the manifest without its files.

    Parameters
    ----------
    ranking, prepared
        As exported, and what from.
    moment
        Of the export.
    rows
        Signals in the bundle.
    told
        `previous, changes, feedback` as `what_changed` and `what_feedback` return them.
    """
    judged, run = ranking.judged, prepared.run
    assert judged is not None
    times = ranking.impressions.of(ranking.engine)["time_us"]
    first = dt.datetime.fromtimestamp(int(times.min()) / 1e6, dt.UTC)
    last = dt.datetime.fromtimestamp(int(times.max()) / 1e6, dt.UTC)
    cut = dt.datetime.fromtimestamp(ranking.cut / 1e6, dt.UTC)
    embargo = dt.timedelta(hours=ranking.options.embargo_hours)
    return {
        "bundle_version": BUNDLE_VERSION,
        "created_at": stamp(moment),
        "engine": ranking.engine,
        "champion": judged.champion,
        "training_window": {
            "from": stamp(first),
            "cut": stamp(cut),
            "judged_from": stamp(cut + embargo),
            "to": stamp(last),
        },
        "prepared": {
            "row_digest": run.get("row_digest"),
            "inputs": [{"file": Path(i["file"]).name, "sha256": i["sha256"]} for i in run.get("inputs", [])],
        },
        "policy": run.get("policy"),
        "schema_versions": run.get("schema_versions"),
        "ledger": _ledger(prepared),
        "prompt_clusters": clusters.stated(judged.clusters),
        # where files lie on this machine is nobody's business
        "options": asdict(ranking.options) | _file_names(ranking),
        "seed": ranking.options.seed,
        "rows": dict(ranking.rows) | {"signals": rows},
        "signal_refits": REFITS,
        "clipped_clicks": judged.ranker.clipped,
        "values": judged.policies.to_dict("records"),
        "gates": [asdict(gate) for gate in ranking.gates],
        "libraries": {name: version(name) for name in ("eventlib", *_LIBRARIES, *_extra(ranking))}
        | {"python": platform.python_version()},
        **told,
    }


def _file_names(ranking: Ranking) -> dict[str, str]:
    options = ranking.options
    return {name: Path(getattr(options, name)).name for name in ("prompt_clusters", "exposure")}


def _extra(ranking: Ranking) -> tuple[str, ...]:
    return () if ranking.options.learner == "hist" else (ranking.options.learner,)


def what_changed(previous: Previous, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `previous` (null where nothing was compared) and `changes`: why not, and counts by type."""
    counts = dict(sorted(Counter(event["type"] for event in events).items()))
    stamped = dict(previous.stamp) if previous.stamp else None
    return {"previous": stamped, "changes": {"reason": previous.reason, "counts": counts}}


def what_feedback(pairs: Pairs, page_texts: PageTexts, briefs: int) -> dict[str, Any]:
    """Return `feedback`: pairs by what their sides hold, why other edits gave none, the file of texts, briefs."""
    held = Counter(edit["completions"] for edit in pairs.edits)
    given = {"file": page_texts.file, "sha256": page_texts.sha256} if page_texts.file else None
    return {
        "feedback": {
            "pairs": {name: held[name] for name in ("texts", "references")},
            "edits_left_out": dict(pairs.left_out),
            "texts": given,
            "briefs": briefs,
        }
    }


def _ledger(prepared: Prepared) -> dict[str, Any]:
    entries = [
        {"stage": e["stage"], "rows_in": e["rows_in"], "rows_out": e["rows_out"]}
        for e in map(_entry, prepared.ledger)
    ]
    return {
        "rows_in": entries[0]["rows_in"] if entries else 0,
        "rows_out": entries[-1]["rows_out"] if entries else 0,
        "stages": entries,
    }


def _entry(entry: Any) -> dict[str, Any]:
    return entry if isinstance(entry, dict) else dict(entry.to_dict())
