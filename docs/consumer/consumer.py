"""Use a signal bundle on a machine without eventlib: the standard library, numpy, onnxruntime and pyarrow are enough.

Run: python consumer.py BUNDLE. Copy what you need; nothing here sends anything anywhere.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq

Row = dict[str, Any]


def read_lines(path: Path) -> list[Row]:
    """Return the rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def verify(bundle: Path) -> Row:
    """Return the manifest of a bundle whose files are all there, unchanged, and no other; else ValueError."""
    manifest: Row = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    found = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    listed = manifest["files"]
    if wrong := (found - {"manifest.json"}) ^ listed.keys():
        raise ValueError(f"files missing or not listed: {', '.join(sorted(wrong))}")
    for name, entry in listed.items():
        if hashlib.sha256((bundle / name).read_bytes()).hexdigest() != entry["sha256"]:
            raise ValueError(f"{name} was changed")
    return manifest


class Model:
    """The ranker: features by name in, signals out."""

    def __init__(self, bundle: Path) -> None:
        stated = json.loads((bundle / "features.json").read_text(encoding="utf-8"))
        self.names = [feature["name"] for feature in stated["features"]]
        self.defaults = {feature["name"]: feature["default"] for feature in stated["features"]}
        self._in, self._out = stated["input"]["name"], stated["output"]["name"]
        self._session = onnxruntime.InferenceSession(
            str(bundle / "model.onnx"), providers=["CPUExecutionProvider"]
        )

    def score(self, rows: Sequence[Mapping[str, float]]) -> list[float]:
        """Return the signal of each row; a feature that a row does not have takes its default."""
        if not rows:
            return []
        filled = [[row.get(name, self.defaults[name]) for name in self.names] for row in rows]
        (found,) = self._session.run([self._out], {self._in: np.array(filled, dtype=np.float32)})
        return [float(value) for value in np.ravel(found)]


def golden_error(bundle: Path, model: Model) -> float:
    """Return how far this machine's scores are from the golden ones at most; above 1e-5 something is wrong."""
    rows = read_lines(bundle / "golden.jsonl")
    scores = model.score([row["features"] for row in rows])
    return max((abs(row["score"] - score) for row, score in zip(rows, scores, strict=True)), default=0.0)


class Signals:
    """Signals by content and prompt cluster; contents that the bundle does not know get the model's default."""

    def __init__(self, bundle: Path, model: Model) -> None:
        table = pq.read_table(
            bundle / "signals.parquet", columns=["content_id", "prompt_cluster", "signal"], partitioning=None
        )
        self._known = {(row["content_id"], row["prompt_cluster"]): row["signal"] for row in table.to_pylist()}
        (self.unknown,) = model.score([{}])

    def of(self, content_id: str, cluster: str, prompt_id: str = "") -> float:
        """Return the signal for this very prompt if there is one, else for its cluster, else the default."""
        by_cluster = self._known.get((content_id, cluster), self.unknown)
        return float(self._known.get((content_id, f"prompt:{prompt_id}"), by_cluster))


class Prompts:
    """Which prompt cluster a text belongs to, by the bundle's own clusters; a bundle by topic has none of texts.

    Words of letters and digits only: enough for scripts with spaces. Texts are compared as `prompt_clusters.json` does:
    words and pairs of neighbours, and pieces of three and four letters, which count twice.
    """

    def __init__(self, bundle: Path) -> None:
        path = bundle / "prompt_clusters.json"
        self._file: Row = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"clusters": []}
        listed = json.loads((bundle / "features.json").read_text(encoding="utf-8"))["prompt_clusters"][
            "clusters"
        ]
        self._ids = {row["label"]: row["id"] for row in listed}

    def cluster(self, text: str) -> str:
        """Return the id of the nearest cluster, `other` where none is near, `unknown` of a text without a word."""
        words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
        if not words:
            return "unknown"
        terms = {*words, *map(" ".join, pairwise(words))}
        pieces = {word[i : i + n] for word in words for n in (3, 4) for i in range(len(word) - n + 1)}
        by_word, by_piece = self._weigh(terms, "words"), self._weigh(pieces, "pieces")

        def similarity(cluster: Row) -> float:
            total = sum(weight * cluster["words"].get(term, 0.0) for term, weight in by_word.items())
            total += 2 * sum(weight * cluster["pieces"].get(piece, 0.0) for piece, weight in by_piece.items())
            return float(total) / math.sqrt(5 if by_piece else 1)

        near = max(self._file["clusters"], key=similarity, default=None)
        if near is None or similarity(near) < self._file["threshold"]:
            return "other"
        return str(self._ids.get(near["label"], "other"))

    def _weigh(self, terms: Iterable[str], kind: str) -> dict[str, float]:
        weights = (
            {term: self._file[kind].get(term, self._file["unseen"]) for term in terms} if self._ids else {}
        )
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {term: weight / length for term, weight in weights.items()}


def rerank(results: Sequence[Row], signals: Signals, cluster: str, prompt_id: str = "") -> list[Row]:
    """Order results by signal alone: where something stood before does not count, ties keep their order."""
    return sorted(results, key=lambda row: -signals.of(row["content_id"], cluster, prompt_id))


def blend(results: Sequence[Row], signals: Signals, cluster: str, weight: float = 1.0) -> list[Row]:
    """Order results by retrieval score plus weighted log signal; an unknown content neither gains nor loses.

    Choose the weight by an experiment of your own: retrieval scores have no unit.
    """
    base = math.log(signals.unknown)

    def total(row: Row) -> float:
        gain = math.log(signals.of(row["content_id"], cluster)) - base
        return float(row["score"]) + weight * gain

    return sorted(results, key=lambda row: -total(row))


def judgment_request(bundle: Path) -> tuple[str, str, Row]:
    """Return method, path and body that import the judgments into OpenSearch's Search Relevance Workbench."""
    body = json.loads((bundle / "feedback" / "judgments.json").read_text(encoding="utf-8"))
    return "PUT", "/_plugins/_search_relevance/judgments", body


MAPPING: Row = {"properties": {"signal": {"type": "rank_features"}}}
"""For the index that the bulk body updates; query it by `rank_feature` on `signal.<cluster>`."""


def bulk_body(bundle: Path, index: str) -> str:
    """Return a _bulk body that replaces each document's signals: merging would keep clusters that are gone."""
    lines: list[Row] = []
    for row in read_lines(bundle / "feedback" / "rank_features.jsonl"):
        if bad := [name for name, value in row["signal"].items() if "." in name or not value > 0]:
            raise ValueError(f"rank_features takes positive values and names without dots, not {bad[0]}")
        replace = {"source": "ctx._source.signal = params.signal", "params": {"signal": row["signal"]}}
        lines += [{"update": {"_index": index, "_id": row["content_id"]}}, {"script": replace}]
    return "".join(json.dumps(line) + "\n" for line in lines)


def preference_rows(bundle: Path, texts: Mapping[str, str]) -> tuple[list[Row], list[Row]]:
    """Return rows for preference tuning: prompt, chosen, rejected (DPO); prompt, completion, label (KTO).

    Pairs that hold references (`content_id@content_version`) take their texts from `texts`; those of which a text is
    not there are left out, since nobody should tune on names.
    """
    folder = bundle / "feedback"
    edits, unpaired = read_lines(folder / "edits.jsonl"), read_lines(folder / "unpaired.jsonl")
    pairs: list[Row] = []
    single: list[Row] = []
    for at, (pair, edit) in enumerate(zip(read_lines(folder / "preferences.jsonl"), edits, strict=True)):
        known = {pair[side]: pair[side] for side in ("chosen", "rejected")}
        if edit["completions"] == "references":
            known = {name: texts[name] for name in known if name in texts}
        if len(known) == 2:
            pairs.append({"prompt": pair["prompt"]} | {s: known[pair[s]] for s in ("chosen", "rejected")})
            both = unpaired[2 * at : 2 * at + 2]
            single += [row | {"completion": known[row["completion"]]} for row in both]
    return pairs, single


def moved(bundle: Path, kinds: Iterable[str] = ("eventlib.signal.rose", "eventlib.signal.fell")) -> list[Row]:
    """Return what moved since the last bundle, largest first: what to index anew, or to look at."""
    wanted = set(kinds)
    data = [event["data"] for event in read_lines(bundle / "changes.jsonl") if event["type"] in wanted]
    return sorted(data, key=lambda one: -abs(one["moved_by"] or 0.0))


def main(folder: str) -> None:
    """Print what a bundle holds, as one JSON object."""
    bundle = Path(folder)
    manifest, model = verify(bundle), Model(bundle)
    pairs, single = preference_rows(bundle, {})
    told = {
        "engine": manifest["engine"],
        "files": len(manifest["files"]),
        "golden_error": golden_error(bundle, model),
        "unknown": Signals(bundle, model).unknown,
        "queries": len(judgment_request(bundle)[2]["judgmentRatings"]),
        "bulk_lines": len(bulk_body(bundle, "pages").splitlines()),
        "preference_rows": [len(pairs), len(single)],
        "moved": len(moved(bundle)),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
