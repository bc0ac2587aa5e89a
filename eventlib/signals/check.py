"""`eventlib check-signals`: digests, schemas, and the model's parity on its golden rows (S9)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import numpy as np
import orjson
import pyarrow as pa

from eventlib.arrow import read_parquet
from eventlib.errors import BadCallError
from eventlib.resources import schemas_dir
from eventlib.signals import clusters, network
from eventlib.signals.encoding import read_lines
from eventlib.signals.table import SIGNAL_SCHEMA

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

__all__ = ["CheckResult", "Finding", "check_signals"]

REQUIRED: Final = (
    "model.onnx",
    "features.json",
    "signals.parquet",
    "signals.jsonl",
    "propensity.json",
    "golden.jsonl",
    "card.md",
)
_LEAST_GOLDEN: Final = 200
_LINES: Final = {"signals.jsonl": "signal", "golden.jsonl": "golden"}
_FEEDBACK: Final = {
    "feedback/judgments.json": "judgments",
    "feedback/rank_features.jsonl": "rank_features",
    "feedback/briefs.jsonl": "brief",
    "feedback/preferences.jsonl": "preference",
    "feedback/unpaired.jsonl": "unpaired",
    "feedback/edits.jsonl": "edit",
}
SCHEMAS: Final = {"1-0-0": _LINES | {"changes.jsonl": "change_event"} | _FEEDBACK}
"""Which published schema the lines of a file follow, by the version of the bundle; all are required."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a bundle, or worth knowing: `severity` is `error` or `note`."""

    severity: str
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What the check found."""

    bundle: Path
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Nothing is wrong; notes may remain."""
        return all(finding.severity != "error" for finding in self.findings)

    def __str__(self) -> str:
        verdict = "whole and consistent" if self.ok else "not to be used"
        return "\n".join([*map(str, self.findings), f"{self.bundle}: {verdict}"])


def check_signals(bundle: str | os.PathLike[str]) -> CheckResult:
    """Check a bundle that this or another machine wrote.

    Parameters
    ----------
    bundle
        A bundle's folder, or the folder of bundles with `current` in it.

    Raises
    ------
    BadCallError
        There is no bundle.

    Examples
    --------
    >>> check_signals("nowhere")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: nowhere holds no signal bundle: there is no manifest.json in it
    """
    root = Path(bundle)
    folder = (root / "current").resolve() if (root / "current").exists() else root
    if not (folder / "manifest.json").is_file():
        raise BadCallError(f"{root} holds no signal bundle: there is no manifest.json in it")
    findings = list(_digests(folder))
    if not findings:
        # what has been changed is not read any further
        findings = [*_schemas(folder), *_table(folder)]
    if not any(finding.severity == "error" for finding in findings):
        findings += [Finding("error", *problem) for problem in clusters.problems(folder)]
        findings += _parity(folder)
    return CheckResult(root, tuple(findings))


def _digests(folder: Path) -> Iterator[Finding]:
    """Every file that the manifest names is there unchanged, and no other."""
    try:
        listed = orjson.loads((folder / "manifest.json").read_bytes())["files"]
        expected = {str(name): str(entry["sha256"]) for name, entry in listed.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        yield Finding("error", "manifest.json", "it lists no files with digests")
        return
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found.pop("manifest.json")
    for name in sorted({*REQUIRED, *expected} - found.keys()):
        yield Finding("error", name, "is missing")
    for name, path in sorted(found.items()):
        if path.is_symlink():
            yield Finding("error", name, "is a link, not a file of the bundle")
        elif name not in expected:
            yield Finding("error", name, "is not in the manifest")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected[name]:
            yield Finding("error", name, "was changed: its SHA-256 is not the manifest's")


def _validator(name: str, version: str = "1-0-0") -> jsonschema_rs.Draft202012Validator:
    schema: dict[str, Any] = orjson.loads((schemas_dir() / "exports" / name / f"{version}.json").read_bytes())
    # values are masked: a finding is printed, and a bundle from elsewhere may hold anything
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, mask="the value")


def _schemas(folder: Path) -> Iterator[Finding]:
    """Manifest and rows follow their published schemas, those of the bundle's own version."""
    whole = orjson.loads((folder / "manifest.json").read_bytes())
    version = whole.get("bundle_version")
    if not isinstance(version, str) or version not in SCHEMAS:
        yield Finding("error", "manifest.json", f"its bundle_version is none of {', '.join(SCHEMAS)}")
        return
    yield from _violations("manifest.json", _validator("manifest", version), [whole])
    for name, schema in SCHEMAS[version].items():
        yield from _follows(folder / name, name, schema)


def _follows(path: Path, name: str, schema: str) -> Iterator[Finding]:
    """The records of one file are there, and follow their schema."""
    if not path.is_file():
        yield Finding("error", name, "is missing")
        return
    rows = _read(path)
    if rows is None:
        yield Finding("error", name, "does not hold JSON")
        return
    yield from _violations(name, _validator(schema), rows)
    if schema == "change_event":
        data = [row.get("data") if isinstance(row, dict) else None for row in rows]
        yield from _violations(name, _validator("change"), data)


def _read(path: Path) -> list[Any] | None:
    """Return the records of a file of JSON lines, or the one of a JSON file; None where that is not what it holds."""
    try:
        return read_lines(path) if path.suffix == ".jsonl" else [orjson.loads(path.read_bytes())]
    except orjson.JSONDecodeError:
        return None


def _violations(
    file: str, validator: jsonschema_rs.Draft202012Validator, rows: list[Any]
) -> Iterator[Finding]:
    for number, row in enumerate(rows, 1):
        for error in validator.iter_errors(row):
            yield Finding("error", file, f"record {number}, {_path(error)}: {error.message}")
            return  # one is enough to know, thousands would hide the others


def _path(error: jsonschema_rs.ValidationError) -> str:
    return "/".join(map(str, error.instance_path)) or "the whole"


def _table(folder: Path) -> Iterator[Finding]:
    """`signals.parquet` has the published columns and says the same as `signals.jsonl`."""
    try:
        table = read_parquet(folder / "signals.parquet")
    except (pa.ArrowInvalid, OSError) as error:
        yield Finding("error", "signals.parquet", f"cannot be read: {error}")
        return
    if table.schema.remove_metadata().names != SIGNAL_SCHEMA.names:
        yield Finding("error", "signals.parquet", f"its columns are not {', '.join(SIGNAL_SCHEMA.names)}")
        return
    if wrong := [f.name for f in SIGNAL_SCHEMA if table.schema.field(f.name).type != f.type]:
        yield Finding("error", "signals.parquet", f"these columns have another type: {', '.join(wrong)}")
        return
    rows = _read(folder / "signals.jsonl")
    if rows is None:
        return  # said already
    keys = [f.name for f in SIGNAL_SCHEMA if not pa.types.is_timestamp(f.type)]
    told = [tuple(row.get(k) for k in keys) for row in rows if isinstance(row, dict)]
    if told != list(zip(*(table[k].to_pylist() for k in keys), strict=True)):
        yield Finding("error", "signals.jsonl", "its rows are not those of signals.parquet")
    bounds = [table[name].to_numpy() for name in ("lower", "signal", "upper")]
    if not ((bounds[0] <= bounds[1]) & (bounds[1] <= bounds[2])).all():
        yield Finding("error", "signals.parquet", "a signal lies outside its own interval")


def _parity(folder: Path) -> Iterator[Finding]:
    """The network gives the golden scores for the golden features."""
    rows = read_lines(folder / "golden.jsonl")
    if len(rows) < _LEAST_GOLDEN:
        yield Finding(
            "note",
            "golden.jsonl",
            f"has {len(rows)} rows: fewer than {_LEAST_GOLDEN} signals have ten people",
        )
    if not rows:
        return
    message = _attempt(lambda: _apart(folder, rows))
    if isinstance(message, str):
        yield Finding("error", "model.onnx", message)
    elif message > network.TOLERANCE:
        yield Finding("error", "model.onnx", f"its scores are up to {message:.2g} away from the golden ones")


def _apart(folder: Path, rows: list[Any]) -> float:
    """Return how far the network's scores are from the golden ones at most."""
    names = [f["name"] for f in orjson.loads((folder / "features.json").read_bytes())["features"]]
    design = np.array([[row["features"][name] for name in names] for row in rows], dtype=np.float32)
    expected = np.array([row["score"] for row in rows])
    return network.parity((folder / "model.onnx").read_bytes(), design, expected)


def _attempt(run: Callable[[], float]) -> float | str:
    try:
        return run()
    except Exception as error:  # noqa: BLE001  # the runtime raises its own classes for a broken network; any is a finding
        return f"cannot be run: {type(error).__name__}"
