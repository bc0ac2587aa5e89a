"""The prompt clusters of a bundle: the file that assigns prompts, what is said of it, and whether it fits (S7.7, S9).

Where clusters are by text, `prompt_clusters.json` is in the bundle: a consumer assigns a prompt to a label of it as
`eventlib.geo.prompt_file` says, finds the label's id in `features.json`, and that id in `signals.parquet`. It is the
file that the user keeps, byte for byte as eventlib writes it, so that the digest tells whether two bundles share it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson

from eventlib.arrow import read_parquet
from eventlib.errors import BadCallError
from eventlib.geo import prompt_file
from eventlib.ranking.clusters import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from eventlib.ranking.clusters import Clusters

__all__ = ["FILE", "files", "listed", "problems", "stated"]

FILE: Final = "prompt_clusters.json"
_SINGLE: Final = "prompt:"


def files(clusters: Clusters) -> dict[str, bytes]:
    """Return the file of the bundle by its name; nothing by topic."""
    return {FILE: clusters.text.to_bytes()} if clusters.text else {}


def stated(clusters: Clusters) -> dict[str, str | None]:
    """Return what the manifest says: `by, file, sha256, fitted_as_of, purpose`, null by topic but the first."""
    if clusters.text is None:
        return {"by": clusters.by, "file": None, "sha256": None, "fitted_as_of": None, "purpose": None}
    return {
        "by": clusters.by,
        "file": FILE,
        "sha256": hashlib.sha256(clusters.text.to_bytes()).hexdigest(),
        "fitted_as_of": str(clusters.text.fitted["as_of"]),
        "purpose": str(clusters.text.fitted["purpose"]),
    }


def listed(clusters: Clusters, cells: pd.DataFrame) -> dict[str, Any]:
    """Return what `features.json` says: each cluster's id, its label and the topic that `topic_match` asks for.

    Parameters
    ----------
    clusters
        How prompts are clustered.
    cells
        Cells of the signals; by topic their clusters are all there are.
    """
    labels = clusters.labels or {name: name for name in sorted(set(cells["prompt_cluster"]))}
    rows = [{"id": name, "label": label, "topic": clusters.topic(name)} for name, label in labels.items()]
    return {"by": clusters.by, "clusters": rows}


def problems(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the prompt clusters of a bundle, as file and message; files follow their schemas."""
    manifest = orjson.loads((folder / "manifest.json").read_bytes())["prompt_clusters"]
    path = folder / FILE
    if manifest["by"] == "topic":
        if path.exists():
            yield FILE, "is there, but the manifest says that prompts are clustered by topic"
        return
    if not path.is_file():
        yield FILE, "is missing, and the manifest says that prompts are clustered by it"
        return
    try:
        content = prompt_file.read(path)
    except BadCallError:
        # the reason would quote a file that may come from anywhere
        yield FILE, "holds no prompt clusters that can be used"
        return
    yield from _misstated(manifest, content, path)
    yield from _strangers(folder, content)


def _misstated(
    manifest: Mapping[str, Any], content: Mapping[str, Any], path: Path
) -> Iterator[tuple[str, str]]:
    fitted = content["fitted"]
    found = {
        "file": FILE,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "fitted_as_of": fitted["as_of"],
        "purpose": fitted["purpose"],
    }
    for name, value in found.items():
        if manifest[name] != value:
            yield "manifest.json", f"its prompt_clusters.{name} is not that of {FILE}"
    if fitted["purpose"] != "training":
        yield FILE, "was not fitted on events that allow training"


def _labels(folder: Path) -> dict[str, str] | None:
    """Return the label of each id that the features name; None where they are no such list."""
    try:
        rows = orjson.loads((folder / "features.json").read_bytes())["prompt_clusters"]["clusters"]
        return {row["id"]: row["label"] for row in rows}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _strangers(folder: Path, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Clusters of the signals and of the features are those of the file."""
    known = {prompt_file.cluster_id(cluster): cluster["label"] for cluster in content["clusters"]}
    known |= {name: name for name in RESERVED}
    if _labels(folder) != known:
        yield "features.json", f"its prompt clusters are not those of {FILE}"
    used = {str(name) for name in read_parquet(folder / "signals.parquet")["prompt_cluster"].to_pylist()}
    strange = sum(name not in known and not name.startswith(_SINGLE) for name in used)
    if strange:
        yield "signals.parquet", f"{strange} of its prompt clusters are not in {FILE}"
