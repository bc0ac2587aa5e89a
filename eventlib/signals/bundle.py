"""The signal bundle: written whole beside its place, published in one step, or refused with a reason (S8.6, S9)."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pandas as pd

from eventlib.errors import BadCallError, GateRefusedError
from eventlib.geo import read_frames
from eventlib.publish import publish_once, workplace
from eventlib.ranking.features import read_contents
from eventlib.ranking.gates import refusal
from eventlib.signals.changes import FIRST, read_previous
from eventlib.signals.check import check_signals
from eventlib.signals.encoding import as_json
from eventlib.signals.files import Sources, write_bundle
from eventlib.signals.page_texts import NO_TEXTS, read_page_texts
from eventlib.signals.table import SIGNAL_SCHEMA, build_signals, micros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventlib.prepared import Prepared
    from eventlib.ranking.pipeline import Ranking, Tables

__all__ = ["Export", "destination", "export_signals", "last_signals"]

REFUSED: Final = "refused.json"
_NO_CONTENT: Final = (
    "no content is known: signals are of contents with a content_publish or content_edit that allows training, and this "
    "log has none"
)


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
            if reason := self.not_compared:
                rows.append(("note", "changes.jsonl", f"nothing was compared: {reason}"))
            rows = rows or [("none", "all files", "digests, schemas and the model's golden rows are right")]
        return pd.DataFrame(rows, columns=["severity", "file", "message"])

    @property
    def not_compared(self) -> str:
        """Why an earlier bundle was not compared with this one; empty if it was, or if this is the first."""
        manifest = self.manifest()
        reason = "" if manifest is None else str(manifest["changes"]["reason"])
        return "" if reason == FIRST else reason

    def manifest(self) -> dict[str, Any] | None:
        """Read the published bundle's manifest; None without one."""
        if self.folder is None:
            return None
        whole: dict[str, Any] = orjson.loads((self.folder / "manifest.json").read_bytes())
        return whole

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
    return _beside(prepared, out if os.fspath(out) else "signals")


def _beside(prepared: Prepared, path: str | os.PathLike[str]) -> Path:
    folder = Path(prepared.folder).resolve()
    dataset = folder.parents[1] if folder.parent.name == "versions" else folder
    return dataset.parent / Path(path)


def last_signals(prepared: Prepared, out: str | os.PathLike[str] = "") -> pd.DataFrame:
    """Return the signals of the bundle that consumers have now; empty where there is none, or it is damaged.

    Parameters
    ----------
    prepared, out
        As `export_signals` takes them.

    Returns
    -------
    DataFrame
        Columns of `SIGNAL_SCHEMA`: what `train_ranking` takes as `previous`.
    """
    return read_previous(destination(prepared, out)).rows


def export_signals(
    ranking: Ranking,
    tables: Tables,
    prepared: Prepared,
    out: str | os.PathLike[str] = "",
    created: dt.datetime | None = None,
    *,
    texts: str | os.PathLike[str] = "",
    frames: Mapping[str, pd.DataFrame] | None = None,
) -> Export:
    """Publish a bundle under `out/versions/<bundle_id>/` with `out/current` pointing at it, or write why not.

    A refusal publishes no bundle and leaves an earlier one as it is; `out/refused.json` names the gates and their
    figures until an export succeeds. Without a trained ranker, or a known content, nothing is written at all.

    Parameters
    ----------
    ranking, tables
        As trained from `prepared`.
    prepared
        Its run stamp and ledger go into the manifest.
    out
        See `destination`.
    created
        Moment that the bundle speaks of; the dataset's `as_of` if None, so that two runs give the same bytes. When it
        was written, and from which run, stands in `out/runs/<bundle_id>/run.json`.
    texts
        JSON lines or Parquet with `content_id, content_version, text`, the page bodies that preference pairs are
        made of; relative to the folder of the dataset, as `out` is. Without it pairs hold references.
    frames
        As `eventlib.geo.read_frames` returns them, where they have been read already.

    Raises
    ------
    BadCallError
        The file of texts cannot be used; `out` cannot be written to; or something else than a link is where `current`
        goes.
    """
    page_texts = read_page_texts(_beside(prepared, texts)) if os.fspath(texts) else NO_TEXTS
    none, no_files = _empty(), pd.DataFrame({"file": [], "bytes": [], "sha256": []})
    if ranking.reason:
        return Export(None, none, no_files, asked=False, reason=ranking.reason)
    root = destination(prepared, out)
    if not ranking.exportable:
        reason = refusal(ranking.gates)
        _make(root)
        _write_refusal(root, ranking, prepared)
        return Export(None, none, no_files, asked=True, reason=reason)
    as_of = _as_of(prepared, ranking)
    moment = created or as_of
    if read_contents(tables.publishes, tables.edits, micros(as_of) + 1).frame.empty:
        return Export(None, none, no_files, asked=False, reason=_NO_CONTENT)
    _make(root)
    sources = Sources(
        ranking, tables, prepared, build_signals(ranking, tables, as_of, moment),
        read_frames(prepared.events) if frames is None else frames,
        page_texts, read_previous(root, ranking.engine), moment, as_of,
    )  # fmt: skip
    with workplace(root) as made:
        bundle = made / "bundle"
        bundle.mkdir()
        files = write_bundle(bundle, sources)
        digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
        target = root / "versions" / f"{moment.astimezone(dt.UTC):%Y%m%dT%H%M%S%fZ}-{digest[:8]}"
        _write_run(root, made, target, prepared)
        publish_once(bundle, target, root / "current")
    (root / REFUSED).unlink(missing_ok=True)
    return Export(target, sources.signals.frame, files, asked=True, reason="")


def _make(root: Path) -> None:
    """Make the folder of the bundles, before an export takes its time."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadCallError(f"out: {root} cannot be made: {error.strerror}") from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise BadCallError(f"out: {root} cannot be written to")


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in SIGNAL_SCHEMA.names})


def _as_of(prepared: Prepared, ranking: Ranking) -> dt.datetime:
    stated = prepared.run.get("parameters", {}).get("as_of")
    if stated:
        return dt.datetime.fromisoformat(str(stated))
    return dt.datetime.fromtimestamp(int(ranking.impressions.frame["time_us"].max()) / 1e6, dt.UTC)


def _write_run(root: Path, made: Path, target: Path, prepared: Prepared) -> None:
    """Write beside the bundles when one was written, and from which run: an erasure finds it by that."""
    told = {
        "bundle": os.path.relpath(target, root / "runs" / target.name),
        "written_at": dt.datetime.now(dt.UTC).isoformat(),
        "prepared": {"run_id": prepared.run.get("run_id")},
    }
    (made / "run.json").write_bytes(as_json(told))
    (root / "runs" / target.name).mkdir(parents=True, exist_ok=True)
    (made / "run.json").replace(root / "runs" / target.name / "run.json")


def _write_refusal(root: Path, ranking: Ranking, prepared: Prepared) -> None:
    told = {
        "refused_at": dt.datetime.now(dt.UTC).isoformat(),
        "engine": ranking.engine,
        "prepared_run_id": prepared.run.get("run_id"),
        "reason": refusal(ranking.gates),
        "gates": [asdict(gate) for gate in ranking.gates],
    }
    with workplace(root) as made:
        (made / REFUSED).write_bytes(as_json(told))
        (made / REFUSED).replace(root / REFUSED)
