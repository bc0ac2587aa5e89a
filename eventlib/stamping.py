"""The run stamp (`run.json`), and the publication of a version that is whole."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson

from eventlib.consent import Policy
from eventlib.engine import SPARK
from eventlib.flow import Flow
from eventlib.ledger import Ledger
from eventlib.options import Means, Options, settings
from eventlib.prepared import Prepared, load
from eventlib.publish import publish
from eventlib.rows import Log
from eventlib.schema import registry

__all__ = ["publish_version", "run_id", "stamp", "state_stamp"]

_LIBRARIES: Final = (
    "duckdb",
    "jsonschema-rs",
    "narwhals",
    "numpy",
    "orjson",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
)


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}


def run_id(started: datetime) -> str:
    """Return the name of a run, by when it began."""
    return f"{started:%Y%m%dT%H%M%S%f}Z"


def stamp(log: Log, options: Options, policy: Policy, flow: Flow, started: datetime) -> dict[str, Any]:
    """Return the run stamp (`run.json`)."""
    schemas = registry(options.schemas)
    parameters: Mapping[str, Any] = {
        "source": options.source,
        "as_of": (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=flow.as_of)).isoformat(),
        "as_of_is_latest": options.as_of is None,
        "schemas": os.fspath(options.schemas) if options.schemas else None,
        "engine": options.engine,
        "registry": os.fspath(options.registry) if options.registry else None,
        "agent_ranges": log.agent_ranges.path,
        "plain_identifiers": options.plain_identifiers,
        "keep_raw": options.keep_raw,
        "max_rejected": options.max_rejected,
        "unplanned": options.unplanned,
        "partitioned": options.partitioned or options.engine == SPARK,
        **options.timing().written(),
    }
    return {
        "run_id": run_id(started),
        "status": "complete",
        "started_at": started.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
        "inputs": sorted(log.inputs, key=lambda entry: str(entry["file"])),
        "repairs": log.repairs,
        "passed_over": log.passed_over,
        "parameters": parameters,
        "policy": {"file": policy.name, "version": policy.version, "sha256": policy.digest},
        "policy_terms": _terms(policy),
        "manual_links": flow.statements.stamp(flow.as_of, flow.narrow.tombstones),
        "agent_ranges": log.agent_ranges.stamp(),
        "schema_versions": schemas.versions(),
        "superseded": schemas.superseded(),
        "judged_by": log.judged_by,
        "engine": flow.engine.name,
        "libraries": _versions(),
        "python": platform.python_version(),
        "code_version": version("eventlib"),
        "seed": None,
    }


def _terms(policy: Policy) -> dict[str, Any]:
    """Return what of a policy a report must tell: who answers for which basis and until when, and the limits of age."""
    bases = [
        {
            "sources": sorted(basis.sources) if basis.sources is not None else None,
            "jurisdictions": sorted(basis.jurisdictions) if basis.jurisdictions is not None else None,
            "purposes": sorted(basis.purposes),
            "basis": basis.basis,
            "owner": basis.owner,
            "expires": datetime.fromtimestamp(basis.expires / 1_000_000, UTC).date().isoformat(),
        }
        for basis in policy.bases
    ]
    return {
        "bases": bases,
        "opt_out": sorted(policy.opt_out),
        "grant_max_age_days": policy.grant_max_age_days,
        "retention_days": policy.retention_days,
        "superseded_notices": sorted(policy.superseded_notices),
    }


def state_stamp(log: Log, options: Options, means: Means, flow: Flow) -> dict[str, Any]:
    """Return what the next run is held to."""
    return {
        "settings": settings(options, means),
        "as_of": flow.as_of,
        "latest": flow.latest,
        "manual_links": means.statements.state(means.tombstones),
        "files": [entry["file"] for entry in log.inputs],
        "inputs": log.inputs,
        "learned": log.learned,
    }


def publish_version(made: Path, out: Path, ledger: Ledger, run: Mapping[str, Any]) -> Prepared:
    """Write a version's ledger and stamp, and make it the current one of a dataset."""
    (made / "ledger.json").write_bytes(orjson.dumps(ledger.to_list(), option=orjson.OPT_INDENT_2))
    (made / "run.json").write_bytes(orjson.dumps(run, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    publish(made, out / "versions" / run["run_id"], out / "current")
    return load(out)
