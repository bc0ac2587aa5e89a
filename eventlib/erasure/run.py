"""`eventlib erase`: find, decide anew without the person, publish, clear what is left, prove it (S2.8)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventlib.erasure.places import (
    earlier_versions,
    holding,
    keeps_state,
    made_from,
    remove_reports,
    usual_places,
)
from eventlib.erasure.reach import Reach, people_of, reach
from eventlib.erasure.refused import blank_refused
from eventlib.erasure.search import Needles, Search
from eventlib.erasure.words import gone_words
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.identifiers import named
from eventlib.incremental import Base, open_base
from eventlib.incremental.merging import WrittenEvents
from eventlib.incremental.preparing import Made, add_log, erasures_of
from eventlib.ledger import Entry
from eventlib.model import quarantine_columns
from eventlib.nodes import SHARE
from eventlib.options import Means, Options, Progress, open_means, quiet, settings
from eventlib.prepared import Prepared, load, telling_damage
from eventlib.pseudonyms import Keys, Pseudonymiser, load_keys
from eventlib.publish import alone, discard, lasting, workplace
from eventlib.replaying import options_of
from eventlib.rows import Log
from eventlib.stamping import publish_version
from eventlib.tombstones import read_tombstones, tombstone_file

__all__ = ["Erasure", "erase_from"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did.

    Attributes
    ----------
    prepared : Prepared
        The dataset without the person.
    identifiers, events, refused : int
        How many identifiers, valid events and quarantined lines were theirs.
    unseen : int
        Quarantined lines that could not be looked at, their log having moved or changed, and tell nothing any more either.
    shared : list of str
        Identifiers of devices that others use too: their events keep them.
    logs : dict of str to int
        The person's lines in the logs themselves, which are not ours to change.
    removed : list of Path
        Versions and reports that held the person and were removed.
    stale : list of Path
        Bundles and reports that were made from such versions.
    held : list of Path
        Files that still hold them.
    searched : int
        Files that were searched.
    tombstones : Path
        What keeps them from coming back.
    again : bool
        Whether all the identifiers had been erased before.
    """

    prepared: Prepared
    identifiers: int
    events: int
    refused: int
    unseen: int
    shared: list[str]
    logs: dict[str, int]
    removed: list[Path]
    stale: list[Path]
    held: list[Path]
    searched: int
    tombstones: Path
    again: bool = False

    @property
    def verified(self) -> bool:
        """Tell whether nothing was found."""
        return not self.held

    def told(self) -> list[str]:
        """Return what to tell of it, line by line."""
        lines = [
            f"{self.events:,} events of {self.identifiers:,} identifiers erased, and {self.refused:,} quarantined lines",
            f"Tombstones, which keep them from coming back: {self.tombstones}",
            *(f"Removed, since it held them: {path}" for path in self.removed),
            *(f"Stale, since it was made with them: {path}" for path in self.stale),
            *(
                f"Not eventlib's to change, and with their lines: {name} ({n:,} lines)"
                for name, n in self.logs.items()
            ),
        ]
        if self.unseen:
            lines.append(
                f"{self.unseen:,} quarantined lines could not be looked at, their logs having moved or changed: they are blank now"
            )
        if self.again and not self.events:
            lines.append("Erased before, and nothing of theirs came back")
        elif not self.events:
            lines.append("No event names any of these identifiers: mind how they are written in the log")
        found = f"Searched {self.searched:,} files, decoded and as bytes"
        if self.verified:
            return [*lines, f"{found}: nothing found"]
        return [*lines, f"{found}. STILL HELD by:", *(f"  {path}" for path in self.held)]

    def stamp(self, at: datetime) -> dict[str, Any]:
        """Return what the run stamp says of it: nothing that leads to anybody, and no figure about them."""
        return {
            "erased_at": at.isoformat(),
            "removed": [path.name for path in self.removed],
            "stale": ["/".join(path.parts[-3:]) for path in self.stale],
            "searched_files": self.searched,
            "verified": self.verified,
        }


@dataclass(slots=True)
class _Job:
    """What an erasure works with."""

    folder: Path
    base: Base
    options: Options
    means: Means
    file: Path
    places: list[Path]
    identifiers: list[tuple[str, str]]
    again: bool
    retired: Sequence[bytes]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def _root(folder: Path) -> Path:
    if not (folder / "current").is_symlink():
        raise BadCallError(
            f"{folder} is no dataset with its versions: give what `eventlib prepare --out` was given, so that all are cleared"
        )
    return folder


def _writable(file: Path) -> Path:
    if not os.access(file.parent, os.W_OK):
        raise BadCallError(
            f"tombstones cannot be written to {file}: name another place with --tombstones, or EVENTLIB_TOMBSTONES for every run"
        )
    return file


def _asked(
    root: Path, identifiers: Sequence[str], options: Options, search: Sequence[Path] | None
) -> tuple[list[tuple[str, str]], Keys, Path, list[Path]]:
    """Check a call; return the identifiers, the keys, where tombstones go, and where else to look."""
    wanted = sorted({named(identifier) for identifier in identifiers})
    if not wanted:
        raise BadCallError("name whom to erase: --identifier namespace:value")
    missing = [path for path in search or () if not path.exists()]
    if missing:
        raise BadCallError(f"there is no {missing[0]} to search")
    keys = load_keys(options.key)
    return (
        wanted,
        keys,
        _writable(tombstone_file(keys, options.tombstones)),
        [*(search or usual_places(root))],
    )


def _open(root: Path, identifiers: Sequence[str], asked: Options, search: Sequence[Path] | None) -> _Job:
    wanted, keys, file, places = _asked(root, identifiers, asked, search)
    # no log is read, and an erasure must not wait for files of ranges that may be gone
    options = replace(
        options_of(load(root), replace(asked, tombstones=None)), registry=None, agent_ranges=None
    )
    means = replace(
        open_means(options),
        tombstones=read_tombstones(keys, [file, root / "current" / "state" / "tombstones.parquet"]),
    )
    base = open_base(root, settings(options, means))
    means = replace(means, statements=base.statements())
    again = all(means.tombstones.names(*each) for each in wanted)
    return _Job(root, base, options, means, file, places, wanted, again, keys.retired)


def _nothing_new(job: _Job, work: Path) -> Log:
    """Return a log without a line."""
    rows = work / "rows"
    rows.mkdir()
    return Log(
        rows,
        quarantine_columns(keep_raw=job.options.keep_raw).empty_table(),
        Entry("read", 0, 0),
        [],
        [],
        [],
        learned=job.base.stamp["learned"],
        timing=job.means.timing.tightest(job.means.timing),
        signals=job.means.policy.signals,
    )


def erase_from(
    folder: Path,
    identifiers: Sequence[str],
    options: Options,
    search: Sequence[Path] | None = None,
    progress: Progress = quiet,
) -> Erasure:
    """Erase a person from a prepared dataset and all that was made of it, for good.

    All events of the person's identifiers, and of what the suppression graph joins to them, are withheld (C01), and
    everything is decided anew without them; nothing of them stays in the state. Tombstones beside the key keep them from
    coming back when their log is read again, into any dataset. Earlier versions and reports that hold them are removed;
    bundles and reports made with them are listed as stale.

    Parameters
    ----------
    folder
        What `eventlib prepare --out` was given.
    identifiers
        `namespace:value` each, as in the log.
    options
        `policy`, `schemas`, `key` and `tombstones` count; the rest is as the dataset was prepared.
    search
        Where else to look; by default `signals` and `reports` beside the dataset, and `reports` here.
    progress
        Called with (stage, done, of, lines).

    Raises
    ------
    BadCallError
        If the dataset was prepared with another policy, key or schemas, or an identifier is a placeholder.
    DataRefusedError
        If the dataset keeps no state and must be prepared again first.
    """
    with alone(_root(Path(folder))):  # other erasures wait, and other runs to publish
        return _erase(folder, identifiers, options, search, progress)


def _erase(
    folder: Path,
    identifiers: Sequence[str],
    options: Options,
    search: Sequence[Path] | None,
    progress: Progress,
) -> Erasure:
    if not keeps_state(Path(folder)):
        return _without_state(Path(folder), identifiers, options, search)
    job = _open(Path(folder), identifiers, options, search)
    progress("reach", 0, 4, 0)
    found = reach(job.base, job.identifiers, job.means.tombstones, job.at)
    job.means = replace(job.means, tombstones=found.tombstones)
    with (
        workplace(job.folder) as work,
        telling_damage(job.base.folder),
        ThreadPoolExecutor(1) as beside,
        WrittenEvents(job.base.folder / "events.parquet", beside) as events,
    ):
        progress("decide", 1, 4, found.rows)
        log = _nothing_new(job, work)
        # what moved is what the person did
        made = add_log(job.base, events, log, job.options, job.means, work, beside, restated=False)
        sources = {entry["file"]: entry["source"] for entry in job.base.stamp["inputs"]}
        refused, unseen, digests = blank_refused(made.folder, found.tombstones, sources)
        needles, kept = gone_words(job.base.folder, made.folder, found.nodes, _pseudonymiser(job))
        shared = [
            f"{name}:{value}"
            for name, value in job.identifiers
            if _pseudonymiser(job).keyed(name, value) in kept
        ]
        plain = {value for name, value in job.identifiers if f"{name}:{value}" not in shared}
        tokens = needles.tokens | digests | _names_before(job)
        needles = replace(needles, plain=needles.plain | plain, tokens=tokens)
        progress("search", 2, 4, found.rows)
        return _publish(job, found, made, needles, (refused, unseen), shared)


def _names_before(job: _Job) -> set[str]:
    """Return the pseudonyms that the identifiers had under keys of before, as earlier versions may still hold them."""
    retired = map(Pseudonymiser, job.retired)
    return {pseudonym.keyed(*each) for pseudonym in retired for each in job.identifiers}


def _pseudonymiser(job: _Job) -> Pseudonymiser:
    return Pseudonymiser(job.means.key, plain=job.options.plain_identifiers)


def _publish(
    job: _Job, found: Reach, made: Made, needles: Needles, lines: tuple[int, int], shared: list[str]
) -> Erasure:
    """Write the tombstones, publish, clear what is left and search all that stays."""
    search = Search(needles)
    old = earlier_versions(job.folder, search, found.tombstones)
    before = [name for each in erasures_of(job.base) for name in each["removed"]]
    stale = made_from(job.places, [*before, *(version.name for version in old)])
    found.tombstones.keep(job.file)  # first: whatever happens from here on, they stay erased
    reports = remove_reports(holding(job.places, search, but=[job.folder])[0])
    held, searched = holding([made.folder, job.file, *lasting(job.folder), *job.places], search, but=old)
    target = job.folder / "versions" / made.run["run_id"]
    own = {Path(name).resolve() for name in job.base.stamp["files"]}
    erasure = Erasure(
        job.base.prepared,
        len({node for node in found.nodes if node.namespace != SHARE}),
        found.rows,
        *lines,
        shared,
        dict(found.files),
        [*old, *reports],
        [path for path in stale if path.exists()],
        [_published(file, made.folder, target) for file in held if file.resolve() not in own],
        searched,
        job.file,
        job.again,
    )
    run = made.run | {"erasures": [*erasures_of(job.base), erasure.stamp(job.at)]}
    prepared = publish_version(made.folder, job.folder, made.ledger, run)
    for version in old:
        discard(version, job.folder)
    return replace(erasure, prepared=prepared)


def _published(file: Path, made: Path, target: Path) -> Path:
    """Return where a file of a version lies once that is published."""
    return target / file.relative_to(made) if file.is_relative_to(made) else file


def _without_state(
    root: Path, identifiers: Sequence[str], options: Options, search: Sequence[Path] | None
) -> Erasure:
    """Erase from a dataset that keeps no state: its next run leaves them out, then what is left is cleared."""
    wanted, keys, file, places = _asked(root, identifiers, options, search)
    prepared = load(root)
    nodes = people_of(prepared, wanted, keys.current)
    before = read_tombstones(keys, [file])
    tombstones = before.added(datetime.now(UTC), subjects=[before.digest(*node) for node in nodes])
    tombstones.keep(file)
    pseudonyms = {node.value for node in nodes}
    search_for = Search(Needles(frozenset(value for _, value in wanted), frozenset(pseudonyms)))
    old = earlier_versions(root, search_for, tombstones)
    if prepared.folder in old:
        raise DataRefusedError(
            f"{root} keeps no state to erase from, as Spark and --partitioned leave it. The tombstones are written to {file}: "
            f"prepare its logs again into {root}, which leaves them out, then erase again to clear the versions before"
        )
    stale = made_from(places, [version.name for version in old])
    reports = remove_reports(holding(places, search_for, but=[root])[0])
    for version in old:
        discard(version, root)
    held, searched = holding([file, *lasting(root), *places], search_for)
    logs = {Path(entry["file"]).resolve() for entry in prepared.run["inputs"]}
    return Erasure(
        prepared,
        len(wanted),
        0,
        0,
        0,
        [],
        {},
        [*old, *reports],
        [path for path in stale if path.exists()],
        [path for path in held if path.resolve() not in logs],
        searched,
        file,
        all(before.names(*each) for each in wanted),
    )
