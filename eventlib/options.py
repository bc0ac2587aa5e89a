"""How a log is prepared: what a caller may choose, and what that names, opened before anything is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from numbers import Real
from pathlib import Path
from typing import Any, Final

from eventlib.arguments import check_types
from eventlib.consent import Policy, load_policy
from eventlib.engine import AUTO, SPARK, check_engine
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.geo.verification import NO_RANGES, AgentRanges, read_ranges
from eventlib.manual_links import NO_STATEMENTS, Statements, read_statements
from eventlib.pseudonyms import Keys, key_check, load_keys
from eventlib.state import schemas_digest
from eventlib.timing import LENGTHS, Duration, Timing
from eventlib.tombstones import NONE, Tombstones, read_tombstones, tombstone_file
from eventlib.writing import read_registry

__all__ = [
    "UNPLANNED",
    "Logs",
    "Means",
    "Options",
    "Progress",
    "microseconds",
    "open_means",
    "open_tombstones",
    "quiet",
    "recheck_tombstones",
    "settings",
]

UNPLANNED: Final = ("auto", "allow", "quarantine")
"""What becomes of event names that no schema knows; `auto` refuses them in native logs and lets those of trackers pass."""

Logs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Progress = Callable[[str, int, int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a log is prepared; `eventlib prepare --help` explains each."""

    source: str = "auto"
    policy: str | os.PathLike[str] = "default"
    as_of: datetime | None = None
    registry: Path | None = None
    key: Path | None = None
    engine: str = AUTO
    schemas: Path | None = None
    plain_identifiers: bool = False
    keep_raw: bool = False
    max_rejected: float = 0.5
    clock: str = "device"
    late: Duration = "1h"
    too_late: Duration = "3d"
    ahead: Duration = "23h"
    session_gap: Duration = "30min"
    session_age: Duration = "24h"
    onto: Path | None = None
    master: str | None = None
    partitioned: bool = False
    tombstones: Path | None = None
    manual_links: Path | None = None
    agent_ranges: Path | None = None
    unplanned: str = "auto"

    def timing(self) -> Timing:
        """Read the policies and limits of S3 and S5.

        Raises
        ------
        BadCallError
            If the policy is unknown or a duration cannot be read.
        """
        return Timing.of(self.clock, **{name: getattr(self, name) for name in LENGTHS})


@dataclass(frozen=True, slots=True)
class Means:
    """What the options name, opened."""

    policy: Policy
    key: bytes
    registry: Mapping[str, str] | None
    timing: Timing
    tombstones: Tombstones = NONE
    statements: Statements = NO_STATEMENTS
    agent_ranges: AgentRanges = NO_RANGES


def quiet(_stage: str, _done: int, _of: int, _lines: int) -> None:
    """Report no progress."""


def _check_types(options: Options) -> None:
    """Refuse options of a wrong type by their names, before one of them is used."""
    texts = ["source", "engine", "clock", "unplanned", *(["master"] if options.master is not None else [])]
    kinds: dict[str, type] = {**dict.fromkeys(texts, str), "max_rejected": Real}
    check_types({name: (getattr(options, name), kind) for name, kind in kinds.items()})
    microseconds(options.as_of)


def open_tombstones(keys: Keys, options: Options, *folders: Path) -> Tombstones:
    """Return what was erased: as the key's tombstones say, and those of datasets that this run replaces or builds on.

    Raises
    ------
    BadCallError
        If they cannot be read, or were written under another key.
    """
    if options.tombstones is not None and not options.tombstones.exists():
        raise BadCallError(f"there are no tombstones in {options.tombstones}; `eventlib erase` writes them")
    held = [folder / part / "tombstones.parquet" for folder in folders for part in ("current/state", "state")]
    return read_tombstones(keys, [tombstone_file(keys, options.tombstones), *held])


def open_means(options: Options, *folders: Path) -> Means:
    """Open what the options name.

    Parameters
    ----------
    options
        How a log is prepared.
    folders
        Datasets whose tombstones hold beside those of the key.

    Raises
    ------
    BadCallError
        If one of them cannot be used.
    """
    _check_types(options)
    if not 0 <= options.max_rejected <= 1:
        raise BadCallError(f"max_rejected is a share from 0 to 1, not {options.max_rejected}")
    if options.master is not None and options.engine != SPARK:
        raise BadCallError("a master is Spark's: it goes with the engine spark")
    if options.unplanned not in UNPLANNED:
        raise BadCallError.unknown("policy for unplanned event names", options.unplanned, UNPLANNED)
    check_engine(options.engine)
    if options.engine == SPARK:
        from eventlib.spark.session import refuse_master  # noqa: PLC0415  # an optional engine

        refuse_master(options.master)
    keys = load_keys(options.key)
    return Means(
        load_policy(options.policy),
        keys.current,
        read_registry(options.registry) if options.registry else None,
        options.timing(),
        open_tombstones(keys, options, *folders),
        read_statements(options.manual_links, keys.current),
        read_ranges(options.agent_ranges),
    )


def recheck_tombstones(options: Options, means: Means) -> None:
    """Refuse to publish who was erased while the run was under way.

    Raises
    ------
    DataRefusedError
        If somebody was.
    """
    now = open_tombstones(load_keys(options.key), options)
    if not set(now.all_rows()) <= set(means.tombstones.all_rows()):
        raise DataRefusedError(
            "somebody was erased while this run was under way; nothing was published: run it again"
        )


def microseconds(moment: datetime | None) -> int | None:
    """Return a moment as the stages know it; one without a zone is taken as UTC, on any machine.

    Raises
    ------
    BadCallError
        If it is no datetime.

    Examples
    --------
    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1))
    1000000
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise BadCallError(
            f"as_of takes a datetime, such as datetime(2026, 10, 31, tzinfo=UTC), not {moment!r}"
        )
    aware = moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_FREE: Final = frozenset(
    {
        "source",
        "policy",
        "as_of",
        "registry",
        "key",
        "engine",
        "schemas",
        "max_rejected",
        "onto",
        "master",
        "tombstones",
        "manual_links",
        "agent_ranges",
    }
)
"""Options that may differ between a dataset and what is added to it, or are compared by their content."""


def settings(options: Options, means: Means) -> dict[str, Any]:
    """Return what two runs must share for one to build on the other."""
    named = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        **{name: value for name, value in named.items() if name not in _FREE},
        **means.timing.written(),
        "key": key_check(means.key),
        "policy": means.policy.digest,
        "schemas": schemas_digest(options.schemas),
    }
