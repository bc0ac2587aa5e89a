"""The signal bundle: written whole beside its place, published in one step, or refused with a reason (S8.6, S9)."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from eventlib.arrow import write_parquet
from eventlib.errors import GateRefusedError
from eventlib.publish import publish, workplace
from eventlib.ranking.features import FEATURES, describe_features
from eventlib.ranking.gates import refusal
from eventlib.signals import clusters, feedback, network
from eventlib.signals.card import write_card
from eventlib.signals.check import check_signals
from eventlib.signals.table import REFITS, SIGNAL_SCHEMA, SignalTable, build_signals

if TYPE_CHECKING:
    from eventlib.prepared import Prepared
    from eventlib.ranking.pipeline import Judged, Ranking, Tables

__all__ = ["Export", "destination", "export_signals"]

REFUSED: Final = "refused.json"
GOLDEN_MOST: Final = 1_000
_LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scikit-learn", "scipy", "skl2onnx")


@dataclass(frozen=True, slots=True)
class Export:
    """What became of an export.

    Attributes
    ----------
    folder : Path or None
        The published bundle, None where nothing was exported.
    signals : DataFrame
        Rows of `signals.parquet`; empty where nothing was exported.
    files : DataFrame
        `file, bytes, sha256`; empty where nothing was exported.
    asked : bool
        There was a trained ranker or a gate to ask.
    reason : str
        Why nothing was exported; empty if a bundle was.
    """

    folder: Path | None
    signals: pd.DataFrame
    files: pd.DataFrame
    asked: bool
    reason: str

    @property
    def verdict(self) -> str:
        """What became of it, in words."""
        if self.folder is not None:
            return "was exported"
        return "was refused by a gate" if self.asked else "was not asked for: too little evidence"

    @property
    def findings(self) -> pd.DataFrame:
        """What the check of the published bundle found, `severity, file, message`; says so where it is whole."""
        if self.folder is None:
            rows = [("none", "", "there is no bundle to check")]
        else:
            found = check_signals(self.folder).findings
            rows = [(f.severity, f.file, f.message) for f in found]
            rows = rows or [("none", "all files", "digests, schemas and the model's golden rows are right")]
        return pd.DataFrame(rows, columns=["severity", "file", "message"])

    def raise_if_refused(self) -> None:
        """Raise where a gate refused, so that a scheduler sees it.

        Raises
        ------
        GateRefusedError
            With each failed gate and its figure.
        """
        if self.refused:
            raise GateRefusedError(f"the export was refused. {self.reason}")

    @property
    def refused(self) -> bool:
        """A gate refused: the evidence was there and speaks against, or is too thin where it counts."""
        return self.asked and self.folder is None


def destination(prepared: Prepared, out: str | os.PathLike[str] = "") -> Path:
    """Return where bundles go: `out` from the folder that holds the prepared dataset, never from the working one.

    Parameters
    ----------
    prepared
        A prepared dataset.
    out
        "" for `signals` beside the dataset; an absolute path stays as it is.
    """
    folder = Path(prepared.folder).resolve()
    dataset = folder.parents[1] if folder.parent.name == "versions" else folder
    return dataset.parent / (Path(out) if os.fspath(out) else Path("signals"))


def export_signals(
    ranking: Ranking,
    tables: Tables,
    prepared: Prepared,
    out: str | os.PathLike[str] = "",
    created: dt.datetime | None = None,
) -> Export:
    """Publish a bundle under `out/versions/<bundle_id>/` with `out/current` pointing at it, or write why not.

    A refusal publishes no bundle and leaves an earlier one as it is; `out/refused.json` names the gates and their
    figures until an export succeeds. Without a trained ranker nothing is written at all.

    Parameters
    ----------
    ranking, tables
        As trained from `prepared`.
    prepared
        Its run stamp and ledger go into the manifest.
    out
        See `destination`.
    created
        Moment of the export; now if None. The same moment and inputs give the same bytes.
    """
    none, no_files = _empty(), pd.DataFrame({"file": [], "bytes": [], "sha256": []})
    if ranking.reason:
        return Export(None, none, no_files, asked=False, reason=ranking.reason)
    root, moment = destination(prepared, out), created or dt.datetime.now(dt.UTC)
    if not ranking.exportable:
        reason = refusal(ranking.gates)
        _write_refusal(root, ranking, prepared, moment)
        return Export(None, none, no_files, asked=True, reason=reason)
    signals = build_signals(ranking, tables, _as_of(prepared, ranking), moment)
    with workplace(root) as made:
        bundle = made / "bundle"
        bundle.mkdir()
        files = _write(bundle, ranking, tables, signals, prepared, moment)
        digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
        target = root / "versions" / f"{moment.astimezone(dt.UTC):%Y%m%dT%H%M%S%fZ}-{digest[:8]}"
        if not target.exists():
            publish(bundle, target, root / "current")
    (root / REFUSED).unlink(missing_ok=True)
    return Export(target, signals.frame, files, asked=True, reason="")


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in SIGNAL_SCHEMA.names})


def _as_of(prepared: Prepared, ranking: Ranking) -> dt.datetime:
    stated = prepared.run.get("parameters", {}).get("as_of")
    if stated:
        return dt.datetime.fromisoformat(str(stated))
    return dt.datetime.fromtimestamp(int(ranking.impressions.frame["time_us"].max()) / 1e6, dt.UTC)


def _write_refusal(root: Path, ranking: Ranking, prepared: Prepared, moment: dt.datetime) -> None:
    told = {
        "refused_at": moment.isoformat(),
        "engine": ranking.engine,
        "prepared_run_id": prepared.run.get("run_id"),
        "reason": refusal(ranking.gates),
        "gates": [asdict(gate) for gate in ranking.gates],
    }
    with workplace(root) as made:
        (made / REFUSED).write_bytes(_json(told))
        (made / REFUSED).replace(root / REFUSED)


def _json(value: Any) -> bytes:
    return (
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)
        + b"\n"
    )


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for row in rows)


def _write(
    bundle: Path,
    ranking: Ranking,
    tables: Tables,
    signals: SignalTable,
    prepared: Prepared,
    moment: dt.datetime,
) -> pd.DataFrame:
    """Write every file, the manifest last: it holds the digests of the others."""
    judged = ranking.judged
    assert judged is not None
    model = network.to_onnx(judged.ranker)
    scores = judged.ranker.predict(signals.design)
    apart = network.parity(model, signals.design, scores)
    assert apart <= network.TOLERANCE, f"the ONNX network's scores are {apart:.2g} away from the ranker's"
    table = pa.Table.from_pandas(
        signals.frame, schema=SIGNAL_SCHEMA, preserve_index=False
    ).replace_schema_metadata()
    write_parquet(bundle / "signals.parquet", table.to_batches(), SIGNAL_SCHEMA)
    (bundle / "feedback").mkdir()
    written = {
        "model.onnx": model,
        "features.json": _json(_features(signals)),
        "signals.jsonl": _lines(_signal_rows(signals.frame)),
        "propensity.json": _json(_propensity(judged)),
        "golden.jsonl": _lines(_golden(signals, scores)),
        "feedback/judgments.json": _json(
            feedback.judgments(signals, feedback.prompt_texts(tables.answers), f"eventlib {ranking.engine}")
        ),
        "feedback/rank_features.jsonl": _lines(feedback.rank_features(signals)),
        "feedback/briefs.jsonl": _lines(feedback.briefs(signals)),
        **clusters.files(signals.clusters),
    }
    for name, content in written.items():
        (bundle / name).write_bytes(content)
    manifest = _manifest(ranking, prepared, moment, len(signals.frame))
    (bundle / "card.md").write_text(write_card(ranking, manifest), encoding="utf-8")
    manifest["files"] = _digests(bundle)
    (bundle / "manifest.json").write_bytes(_json(manifest))
    listed = [{"file": name} | entry for name, entry in manifest["files"].items()]
    return pd.DataFrame(listed)


def _digests(bundle: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in bundle.rglob("*") if path.is_file())
    return {
        path.relative_to(bundle).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
    }


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
        **{name: frame[name].map(_stamp) for name in ("as_of", "event_timestamp", "created_timestamp")}
    )
    return [{str(k): _plain(v) for k, v in row.items()} for row in rows.to_dict("records")]


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _propensity(judged: Judged) -> dict[str, Any]:
    frame = judged.exposure.frame[
        ["slot", "rank", "exposure", "log_se", "lower", "upper", "clicks", "shows", "status"]
    ]
    rows = [{str(k): _plain(v) for k, v in row.items()} for row in frame.to_dict("records")]
    used = set(judged.places)
    return {
        "method": "conditional likelihood over natural swaps of places",
        "level": judged.exposure.level,
        "places": [row | {"used": f"{row['slot']} {row['rank']}" in used} for row in rows],
    }


def _golden(signals: SignalTable, scores: np.ndarray[Any, np.dtype[np.float64]]) -> list[dict[str, Any]]:
    names = [feature.name for feature in FEATURES]
    step = max(1, len(scores) // GOLDEN_MOST)
    return [
        {
            "content_id": signals.frame["content_id"].iloc[i],
            "content_version": signals.frame["content_version"].iloc[i],
            "prompt_cluster": signals.frame["prompt_cluster"].iloc[i],
            "features": dict(zip(names, signals.design[i].astype(float).tolist(), strict=True)),
            "score": float(scores[i]),
        }
        for i in range(0, len(scores), step)
    ]


def _manifest(ranking: Ranking, prepared: Prepared, moment: dt.datetime, rows: int) -> dict[str, Any]:
    judged, run = ranking.judged, prepared.run
    assert judged is not None
    times = ranking.impressions.of(ranking.engine)["time_us"]
    first = dt.datetime.fromtimestamp(int(times.min()) / 1e6, dt.UTC)
    last = dt.datetime.fromtimestamp(int(times.max()) / 1e6, dt.UTC)
    cut = dt.datetime.fromtimestamp(ranking.cut / 1e6, dt.UTC)
    embargo = dt.timedelta(hours=ranking.options.embargo_hours)
    return {
        "bundle_version": "1-0-0",
        "created_at": _stamp(moment),
        "engine": ranking.engine,
        "champion": judged.champion,
        "training_window": {
            "from": _stamp(first),
            "cut": _stamp(cut),
            "judged_from": _stamp(cut + embargo),
            "to": _stamp(last),
        },
        "prepared": {
            "run_id": run.get("run_id"),
            "row_digest": run.get("row_digest"),
            "inputs": [{"file": Path(i["file"]).name, "sha256": i["sha256"]} for i in run.get("inputs", [])],
        },
        "policy": run.get("policy"),
        "schema_versions": run.get("schema_versions"),
        "ledger": _ledger(prepared),
        "prompt_clusters": clusters.stated(judged.clusters),
        # where the file lies on this machine is nobody's business
        "options": asdict(ranking.options) | {"prompt_clusters": Path(ranking.options.prompt_clusters).name},
        "seed": ranking.options.seed,
        "rows": dict(ranking.rows) | {"signals": rows},
        "signal_refits": REFITS,
        "clipped_clicks": judged.ranker.clipped,
        "values": judged.policies.to_dict("records"),
        "gates": [asdict(gate) for gate in ranking.gates],
        "libraries": {name: version(name) for name in ("eventlib", *_LIBRARIES, *_extra(ranking))}
        | {"python": platform.python_version()},
    }


def _extra(ranking: Ranking) -> tuple[str, ...]:
    return () if ranking.options.learner == "hist" else (ranking.options.learner,)


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
