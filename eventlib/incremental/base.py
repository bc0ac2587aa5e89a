"""The dataset that a run builds on: what it must share with it, and what it already holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from eventlib.errors import BadCallError
from eventlib.manual_links import Statements
from eventlib.prepared import Prepared, count_rows, load
from eventlib.rows import Log
from eventlib.sources.finding import digest_file
from eventlib.state import read_state
from eventlib.writing import read_registry

__all__ = ["Base", "open_base", "refuse_known", "relearned"]

_NAMES: Final[Mapping[str, str]] = {
    "key": "the key of pseudonyms",
    "policy": "the content of the consent policy",
    "schemas": "the content of the schemas",
}


@dataclass(frozen=True, slots=True)
class Base:
    """An earlier version and its state.

    Attributes
    ----------
    prepared : Prepared
        The version.
    stamp : dict
        What its state says of it: settings, `as_of`, latest arrival, inputs, files in the order of their numbers.
    """

    prepared: Prepared
    stamp: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Return the version's folder."""
        return self.prepared.folder

    @property
    def state(self) -> Path:
        """Return the folder of its state."""
        return self.folder / "state"

    @property
    def facts(self) -> list[Path]:
        """Return the files of facts, oldest first."""
        return sorted((self.state / "facts").glob("*.parquet"))

    def registry(self) -> dict[str, str]:
        """Return anchor to person id."""
        return read_registry(self.folder / "registry.parquet")

    def statements(self) -> Statements:
        """Return what was stated by hand of identifiers."""
        return Statements.of_state(self.stamp["manual_links"])

    def with_log(self, log: Log) -> Log:
        """Return what was read in all runs, the new log's files numbered after the base's."""
        run = self.prepared.run
        evidence = {_kind(row): row["evidence"] for row in (*log.repairs, *run["repairs"])}
        return replace(
            log,
            inputs=[*self.stamp["inputs"], *log.inputs],
            repairs=[
                {**row, "evidence": evidence[_kind(row)]} for row in _added((*run["repairs"], *log.repairs))
            ],
            passed_over=sorted({*run["passed_over"], *log.passed_over}),
            judged_by=_added((*run["judged_by"], *log.judged_by)),
        )


def _kind(row: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, value in row.items() if name not in {"rows", "evidence"})


def _added(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add up the rows of what is told apart by everything else."""
    counts: Counter[tuple[tuple[str, Any], ...]] = Counter()
    for row in rows:
        counts[_kind(row)] += row["rows"]
    return [{**dict(kind), "rows": count} for kind, count in counts.items()]


def _shown(value: object) -> object:
    return (
        value if isinstance(value, bool | int | float) or value is None or len(str(value)) < 40 else "another"
    )


def open_base(folder: Path, settings: Mapping[str, Any]) -> Base:
    """Open the dataset to build on.

    Raises
    ------
    BadCallError
        If there is none, it has no state, or it was prepared in another way than this run is.
    """
    prepared = load(folder)
    stamp = read_state(prepared.folder)
    held: Mapping[str, Any] = stamp["settings"]
    plain = orjson.loads(orjson.dumps(dict(settings), default=str))
    for name in sorted(plain.keys() | held.keys()):
        if plain.get(name) != held.get(name):
            what = (
                _NAMES.get(name)
                or f"--{name.replace('_', '-')} ({_shown(held.get(name))} there, {_shown(plain.get(name))} here)"
            )
            raise BadCallError(
                f"{folder} was prepared with other settings than this run: {what}. Use the same, or prepare all logs anew."
            )
    base = Base(prepared, stamp)
    _check_rows(base)
    return base


def _check_rows(base: Base) -> None:
    """Refuse a base whose tables are whole each, but do not go together."""
    kept = base.prepared.ledger.rows_out
    valid = next(iter(base.prepared.ledger)).rows_out
    held = {
        "events.parquet": (count_rows(base.folder / "events.parquet"), kept),
        "state/outcome.parquet": (count_rows(base.state / "outcome.parquet"), valid),
        "state/facts": (sum(map(count_rows, base.facts)), valid),
    }
    for name, (rows, expected) in held.items():
        if rows != expected:
            raise BadCallError(
                f"{base.folder / name} holds {rows:,} rows, and its ledger says {expected:,}: prepare all logs anew"
            )


def refuse_known(base: Base, paths: Iterable[Path]) -> None:
    """Refuse a log that the base holds, and one that goes by the name of another that it holds.

    Raises
    ------
    BadCallError
        Naming the log.
    """
    # an empty log is no log that could count twice
    digests = {entry["sha256"]: entry["file"] for entry in base.stamp["inputs"] if entry["rows"]}
    names = {Path(file).resolve() for file in base.stamp["files"]}
    for path in paths:
        held = digests.get(digest_file(path))
        if held is not None:
            raise BadCallError(
                f"{path} is in {base.folder} already, as {held}: give only new logs with --onto"
            )
        if str(path) in base.stamp["files"] or path.resolve() in names:
            raise BadCallError(
                f"{base.folder} holds another log by the name {path}: quarantine points at lines by their file, "
                "so give this one another name, or prepare all logs anew"
            )


def relearned(base: Base, learned: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Join what adapters learned of the new logs to what they knew of the base's.

    Raises
    ------
    BadCallError
        If the new logs show that the base's were read wrongly.
    """
    joined: dict[str, dict[str, Any]] = {**base.stamp["learned"]}
    for source, now in learned.items():
        before: Mapping[str, Any] = joined.get(source, {})
        merged = {name: {**value, **before.get(name, {})} for name, value in now.items()}
        for scope, found in now.get("zero_based", {}).items():
            if found and merged["zero_based"][scope] is False:
                raise BadCallError(
                    f"the new logs count the results of {source} {scope!r} from 0, which the logs of {base.folder} did not show: "
                    "those were read as counted from 1. Prepare all logs anew."
                )
        joined[source] = {**before, **merged}
    return joined
