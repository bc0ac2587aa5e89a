"""What stands in each file of a bundle, written into a fresh folder; the manifest comes last (S9)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from eventlib.arrow import write_parquet
from eventlib.cells import hide_small_cells
from eventlib.ranking.features import FEATURES, describe_features, read_contents
from eventlib.signals import clusters, feedback, network
from eventlib.signals.briefs import briefs
from eventlib.signals.card import write_card
from eventlib.signals.changes import changes
from eventlib.signals.encoding import as_json, as_lines, finite, stamp
from eventlib.signals.manifest import digests, manifest, what_changed, what_feedback
from eventlib.signals.preferences import preference_pairs, usual_prompts
from eventlib.signals.table import SIGNAL_SCHEMA, micros
from eventlib.signals.training_evidence import read_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.prepared import Prepared
    from eventlib.ranking.pipeline import Judged, Ranking, Tables
    from eventlib.signals.changes import Previous
    from eventlib.signals.page_texts import PageTexts
    from eventlib.signals.preferences import Pairs
    from eventlib.signals.table import SignalTable
    from eventlib.signals.training_evidence import TrainingEvidence

__all__ = ["Sources", "write_bundle"]

GOLDEN_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sources:
    """What a bundle is written from.

    Attributes
    ----------
    frames
        As `eventlib.geo.read_frames` returns them.
    page_texts
        As `read_page_texts` returns them.
    previous
        As `read_previous` returns it.
    moment
        Of the export.
    as_of
        Of the prepared dataset.
    """

    ranking: Ranking
    tables: Tables
    prepared: Prepared
    signals: SignalTable
    frames: Mapping[str, pd.DataFrame]
    page_texts: PageTexts
    previous: Previous
    moment: dt.datetime
    as_of: dt.datetime


def write_bundle(bundle: Path, sources: Sources) -> pd.DataFrame:
    """Write every file into a folder and return `file, bytes, sha256` of all but the manifest."""
    ranking, signals = sources.ranking, sources.signals
    told = changes(sources.previous, signals.frame, signals.sampling, ranking.engine, sources.moment)
    evidence = read_evidence(sources.frames, ranking.engine)
    pairs, written = _pairs(sources, evidence), _briefs(sources, evidence)
    _write_table(bundle / "signals.parquet", signals.frame)
    (bundle / "feedback").mkdir()
    content = _model_files(sources) | _feedback_files(sources, pairs, written)
    content |= {"changes.jsonl": as_lines(told), **clusters.files(signals.clusters)}
    for name, one in content.items():
        (bundle / name).write_bytes(one)
    also = what_changed(sources.previous, told) | what_feedback(pairs, sources.page_texts, len(written))
    whole = manifest(ranking, sources.prepared, sources.moment, len(signals.frame), also)
    (bundle / "card.md").write_text(write_card(ranking, whole, signals.spread), encoding="utf-8")
    whole["files"] = digests(bundle)
    (bundle / "manifest.json").write_bytes(as_json(whole))
    return pd.DataFrame([{"file": name} | entry for name, entry in whole["files"].items()])


def _write_table(path: Path, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, schema=SIGNAL_SCHEMA, preserve_index=False).replace_schema_metadata()
    write_parquet(path, table.to_batches(), SIGNAL_SCHEMA)


def _model_files(sources: Sources) -> dict[str, bytes]:
    """Return the model, its features and signals, and what it is tested with."""
    judged, signals = sources.ranking.judged, sources.signals
    assert judged is not None
    model = network.to_onnx(judged.ranker)
    scores = judged.ranker.predict(signals.design)
    apart = network.parity(model, signals.design, scores)
    assert apart <= network.TOLERANCE, f"the ONNX network's scores are {apart:.2g} away from the ranker's"
    return {
        "model.onnx": model,
        "features.json": as_json(_features(signals)),
        "signals.jsonl": as_lines(_signal_rows(signals.frame)),
        "propensity.json": as_json(_propensity(judged)),
        "golden.jsonl": as_lines(_golden(signals, scores)),
    }


def _pairs(sources: Sources, evidence: TrainingEvidence) -> Pairs:
    ranking = sources.ranking
    judged = ranking.judged
    assert judged is not None
    shows = ranking.impressions.of(ranking.engine)
    assigned = judged.clusters.assign(shows, judged.contents.topics())
    prompts = usual_prompts(shows, assigned, feedback.wordings(sources.tables.answers))
    return preference_pairs(evidence, ranking.engine, prompts, sources.page_texts)


def _briefs(sources: Sources, evidence: TrainingEvidence) -> list[dict[str, Any]]:
    tables = sources.tables
    contents = read_contents(tables.publishes, tables.edits, micros(sources.as_of) + 1)
    return briefs(evidence.score, contents)


def _feedback_files(sources: Sources, pairs: Pairs, written: list[dict[str, Any]]) -> dict[str, bytes]:
    signals, engine = sources.signals, sources.ranking.engine
    queries = feedback.prompt_texts(sources.tables.answers)
    rows = {
        "rank_features": feedback.rank_features(signals),
        "briefs": written,
        "preferences": pairs.preferences,
        "unpaired": pairs.unpaired,
        "edits": pairs.edits,
    }
    judged = as_json(feedback.judgments(signals, queries, f"eventlib {engine}"))
    lines = {f"feedback/{name}.jsonl": as_lines(one) for name, one in rows.items()}
    return {"feedback/judgments.json": judged} | lines


def _features(signals: SignalTable) -> dict[str, Any]:
    medians = np.median(signals.design, axis=0) if len(signals.design) else np.zeros(len(FEATURES))
    defaults = {feature.name: float(value) for feature, value in zip(FEATURES, medians, strict=True)}
    stated = {feature.name: feature.default for feature in FEATURES if feature.default is not None}
    return {
        "input": {"name": network.INPUT, "type": "float32", "shape": [None, len(FEATURES)]},
        "output": {"name": network.OUTPUT, "type": "float32", "shape": [None, 1]},
        "features": describe_features(defaults | stated),
        "prompt_clusters": clusters.listed(signals.clusters, signals.cells),
    }


def _signal_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.assign(
        **{name: frame[name].map(stamp) for name in ("as_of", "event_timestamp", "created_timestamp")}
    )
    return [{str(k): finite(v) for k, v in row.items()} for row in rows.to_dict("records")]


def _propensity(judged: Judged) -> dict[str, Any]:
    names = ["slot", "rank", "exposure", "log_se", "lower", "upper", "clicks", "shows", "status"]
    frame, _ = hide_small_cells(judged.exposure.frame, "people", within=["slot"])  # (S7.10)
    rows = [{str(k): finite(v) for k, v in row.items()} for row in frame[names].to_dict("records")]
    used = set(judged.places)
    return {
        "method": judged.exposure.method,
        "level": judged.exposure.level,
        "places": [row | {"used": f"{row['slot']} {row['rank']}" in used} for row in rows],
    }


def _golden(signals: SignalTable, scores: np.ndarray[Any, np.dtype[np.float64]]) -> list[dict[str, Any]]:
    """Return rows to test the model with: of those with ten people, since their histories are told too (S7.10)."""
    names = [feature.name for feature in FEATURES]
    known = np.flatnonzero(signals.frame["n_effective"].notna())
    step = max(1, len(known) // GOLDEN_MOST)
    return [
        {
            "content_id": signals.frame["content_id"].iloc[i],
            "content_version": signals.frame["content_version"].iloc[i],
            "prompt_cluster": signals.frame["prompt_cluster"].iloc[i],
            "features": dict(zip(names, signals.design[i].astype(float).tolist(), strict=True)),
            "score": float(scores[i]),
        }
        for i in known[::step]
    ]
