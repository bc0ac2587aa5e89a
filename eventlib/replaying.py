"""Quarantined lines judged again after schemas were mended, and the dataset with what was recovered (S1.5).

A line is read where the quarantine says that it stands, and believed only where its keyed digest is still the same.
The recovered events then go through the whole flow with all others, so that consent, duplicates and order treat them as
if they had never been refused. Today the logs are prepared anew for that; `rejudge` gives the recovered lines alone.
"""

from __future__ import annotations

import hmac
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.arrow import read_parquet, table_of, write_parquet
from eventlib.consent import load_policy
from eventlib.consent.signals import Signals
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.geo.verification import NO_RANGES, AgentRanges, read_ranges
from eventlib.judging import Piece, judge_chunks
from eventlib.ledger import Entry
from eventlib.options import Options, open_tombstones
from eventlib.ordering.lateness import LATE_CODES
from eventlib.prepared import Prepared, load
from eventlib.preparing import prepare_log
from eventlib.pseudonyms import load_keys
from eventlib.publish import publish, workplace
from eventlib.rows import Log, Plan, gather_pieces, learn, read_rows
from eventlib.schema import registry
from eventlib.sources import unpack_of
from eventlib.sources.files import Chunk, chunks
from eventlib.sources.finding import digest_file
from eventlib.stamping import run_id
from eventlib.state import rewrite_inputs
from eventlib.tombstones import NONE, Tombstones

__all__ = ["Replayed", "options_of", "rejudge", "replay_to", "still_there"]

SOURCE_GONE: Final = "source_gone"
_PIECES: Final = 1 << 19  # numbers of pieces, beyond those of logs that are read whole

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A dataset after a replay, and what became of its quarantined lines.

    Attributes
    ----------
    prepared : Prepared
        The dataset.
    lines : int
        Quarantined lines that were judged again.
    recovered : int
        Of these, how many are valid now.
    gone : int
        Of these, how many are no longer where they were.
    """

    prepared: Prepared
    lines: int
    recovered: int
    gone: int


def _between(chunk: Chunk, row: Row) -> bytes | None:
    """Return the bytes of a row's line, if a whole line stands there."""
    start = row["byte_offset"] - chunk.offset
    end = start + row["byte_length"]
    begins = start == 0 or chunk.data[start - 1 : start] == b"\n"
    ends = end == len(chunk.data) or chunk.data[end : end + 1] == b"\n"
    return chunk.data[start:end] if begins and ends and end <= len(chunk.data) else None


def _previous(chunk: Chunk, start: int) -> bytes:
    if start == 0:
        return chunk.previous
    return chunk.data[chunk.data.rfind(b"\n", 0, start - 1) + 1 : start - 1]


def _found(
    path: Path, rows: Iterable[Row], file: int, key: bytes, source: str
) -> Iterator[tuple[Row, Chunk]]:
    """Yield the rows whose lines are still there, each with its line as a chunk of its own."""
    waiting = sorted(rows, key=lambda row: row["byte_offset"], reverse=True)
    for chunk in chunks(path, file, unpack=unpack_of(source)):
        while waiting and waiting[-1]["byte_offset"] < chunk.offset + max(len(chunk.data), 1):
            row = waiting.pop()
            raw = _between(chunk, row) if row["byte_offset"] >= chunk.offset else None
            if raw is None or not hmac.compare_digest(hmac.digest(key, raw, "sha256").hex(), row["digest"]):
                continue
            start = row["byte_offset"] - chunk.offset
            rest = chunk.truncated and start + len(raw) == len(chunk.data)
            data = raw if rest else raw + b"\n"
            yield (
                row,
                Chunk(file, data, row["line"], row["byte_offset"], _previous(chunk, start), truncated=rest),
            )
        if not waiting:
            return


def still_there(
    path: Path, rows: Iterable[Row], file: int, key: bytes, source: str = "native"
) -> list[tuple[Row, Chunk]]:
    """Return the quarantined rows whose lines are still where they stood, each with its line as a chunk of its own."""
    try:
        return list(_found(path, rows, file, key, source))
    except (OSError, BadCallError):  # gone, unreadable, or no longer of its kind
        return []


def _gone(row: Row) -> Row:
    message = "the file has moved, or no longer holds this line here"
    return {**row, "code": SOURCE_GONE, "json_path": "$", "message": message, "errors": 1}


def _by_file(quarantine: pa.Table) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in quarantine.to_pylist():
        if row["code"] not in LATE_CODES and row["digest"] is not None:
            rows.setdefault(row["source_file"], []).append(row)
    return rows


def _plan(
    inputs: list[dict[str, Any]],
    schemas: Path | None,
    key: bytes,
    work: Path,
    signals: Signals,
    tombstones: Tombstones,
    agent_ranges: AgentRanges,
    *,
    keep_raw: bool,
    unplanned: str,
) -> Plan:
    paths, names = (
        [Path(entry["file"]) for entry in inputs],
        [(entry["source"], entry["reason"]) for entry in inputs],
    )
    there = [place for place, path in enumerate(paths) if path.is_file()]
    known = learn([paths[place] for place in there], [names[place] for place in there])
    learned = {source: known.get(source, {}) for source, _ in names}
    return Plan(
        paths, names, learned, work, [], schemas, key, keep_raw, signals=signals, tombstones=tombstones,
        agent_ranges=agent_ranges, unplanned=unplanned,
    )  # fmt: skip


def rejudge(
    quarantine: pa.Table,
    inputs: list[dict[str, Any]],
    *,
    schemas: Path | None,
    key: bytes,
    work: Path,
    signals: Signals,
    tombstones: Tombstones = NONE,
    agent_ranges: AgentRanges = NO_RANGES,
    unplanned: str = "auto",
) -> Log:
    """Judge quarantined lines again.

    Parameters
    ----------
    quarantine
        Rows of `quarantine.parquet`; those that were refused for their times are passed over.
    inputs
        What `run.json` says of the files that were read.
    schemas
        Folder of the mended schemas; the shipped ones by default.
    key
        Key of the digests.
    work
        Existing folder for the events.
    signals
        What consent signals mean.
    tombstones
        Who was erased.
    agent_ranges
        From where operators say that their agents fetch.
    unplanned
        What becomes of event names without a schema.

    Returns
    -------
    Log
        One line per quarantined line. Its quarantine holds what is still refused, and as `source_gone` what is no longer
        where it stood; its inputs count lines and events per file.
    """
    registry(schemas)
    plan = _plan(
        inputs,
        schemas,
        key,
        work,
        signals,
        tombstones,
        agent_ranges,
        keep_raw="raw" in quarantine.schema.names,
        unplanned=unplanned,
    )
    by_file = _by_file(quarantine)
    pieces: list[Piece] = []
    gone: list[Row] = []
    counts: list[int] = []
    for file, path in enumerate(plan.paths):
        rows = by_file.pop(os.fspath(path), [])
        there = still_there(path, rows, file, key, plan.names[file][0])
        kept = {row["byte_offset"] for row, _ in there}
        gone += [_gone(row) for row in rows if row["byte_offset"] not in kept]
        counts.append(len(rows) - len(there))
        if there:
            pieces.append(judge_chunks([chunk for _, chunk in there], _PIECES + file, plan.task(file)))
    gone += [_gone(row) for rows in by_file.values() for row in rows]  # of files that the run does not name
    found = gather_pieces(plan, pieces, [entry["sha256"] for entry in inputs])
    untold = quarantine.filter(pc.is_null(quarantine["digest"]))  # of somebody erased: they stay as they are
    held = Counter(zip(untold["source_file"].to_pylist(), untold["code"].to_pylist(), strict=True))
    removed = Counter(untold["code"].to_pylist()) + Counter({**found.entry.removed, SOURCE_GONE: len(gone)})
    rows_in = found.entry.rows_in + len(gone) + len(untold)
    stays = [Counter({SOURCE_GONE: count}) for count in counts]
    for entry, more in zip(found.inputs, stays, strict=True):
        more.update({code: n for (file, code), n in held.items() if file == entry["file"]})
    return replace(
        found,
        quarantine=pa.concat_tables([found.quarantine, table_of(gone, found.quarantine.schema), untold]),
        entry=Entry("read", rows_in, found.entry.rows_out, dict(+removed)),
        inputs=[_with_more(entry, more) for entry, more in zip(found.inputs, stays, strict=True)],
    )


def _with_more(entry: dict[str, Any], more: Counter[str]) -> dict[str, Any]:
    """Return what `run.json` says of a file, with refused lines that were not judged again."""
    removed = dict(+(Counter(entry["removed"]) + more))
    return {**entry, "rows": entry["rows"] + more.total(), "removed": removed}


def _unchanged(entry: Mapping[str, Any]) -> bool:
    path = Path(entry["file"])
    try:
        return path.is_file() and digest_file(path) == entry["sha256"]
    except OSError:
        return False


def options_of(prepared: Prepared, asked: Options) -> Options:
    """Return the options of the run that made the dataset, but for what may be named anew."""
    stated = prepared.run["parameters"]
    known, policy = prepared.run["policy"], load_policy(asked.policy)
    if policy.digest != known["sha256"]:
        raise BadCallError(
            f"the dataset was prepared by the policy {known['file']} (SHA-256 {known['sha256'][:12]}…), which "
            f"{os.fspath(asked.policy)!r} is not; pass that file with --policy"
        )
    named = {field.name: getattr(asked, field.name) for field in fields(asked)}
    plain = {
        name: stated[name]
        for name, value in named.items()
        if name in stated and name != "engine" and isinstance(value, bool | int | float | str)
    }
    return replace(
        asked,
        **plain,
        as_of=None if stated.get("as_of_is_latest") else datetime.fromisoformat(stated["as_of"]),
        schemas=asked.schemas or _path(stated.get("schemas")),
        registry=asked.registry or _path(stated.get("registry")),
        agent_ranges=asked.agent_ranges or _path(stated.get("agent_ranges")),
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def replay_to(folder: Path, out: Path, options: Options) -> Replayed:
    """Judge a dataset's quarantined lines again, and publish the dataset with what was recovered under `out`.

    Parameters
    ----------
    folder
        A prepared dataset.
    out
        Where the new one goes; may be the same folder.
    options
        `schemas`, `policy`, `key`, `engine`, `registry` and `agent_ranges` count; the rest is as the dataset was prepared.

    Raises
    ------
    BadCallError
        If the policy or the key is another than the dataset's.
    DataRefusedError
        If lines were recovered, but a log whose events the dataset holds has moved or changed: events cannot be placed
        among others that cannot be read.
    """
    prepared = load(folder)
    means = options_of(prepared, options)
    keys = load_keys(options.key)
    erased = open_tombstones(keys, options, out, folder)
    ranges = read_ranges(means.agent_ranges)
    quarantine = read_parquet(prepared.folder / "quarantine.parquet")
    inputs: list[dict[str, Any]] = prepared.run["inputs"]
    there = [entry for entry in inputs if _unchanged(entry)]
    lost = [entry for entry in inputs if entry not in there]
    with workplace(out) as work:
        again = work / "again"
        again.mkdir()
        judged = rejudge(
            quarantine, inputs, schemas=means.schemas, key=keys.current, work=again, signals=_signals(means),
            tombstones=erased, agent_ranges=ranges, unplanned=means.unplanned,
        )  # fmt: skip
        gone = judged.entry.removed.get(SOURCE_GONE, 0)
        _refuse_other_key(judged, there)
        note = {"replay_of": prepared.run["run_id"]}
        if not lost:
            made = prepare_log(_read(there, means, erased, ranges, work), out, means, work, note, folder)
        elif judged.entry.rows_out and any(_events(entry) for entry in lost):
            raise _not_placed(judged, lost)
        elif any(_events(entry) for entry in lost):
            made = _carry_over(prepared, judged, out, work, note)
        else:
            log = _with_lost(_read(there, means, erased, ranges, work), lost, quarantine, means, erased)
            made = prepare_log(log, out, means, work, note, folder)
    return Replayed(made, judged.entry.rows_in, judged.entry.rows_out, gone)


def _signals(options: Options) -> Signals:
    return load_policy(options.policy).signals


def _events(entry: Mapping[str, Any]) -> int:
    return int(entry.get("events", 1))  # datasets of before this was counted: suppose that there are some


def _read(
    there: list[dict[str, Any]], means: Options, erased: Tombstones, ranges: AgentRanges, work: Path
) -> Log:
    files = [entry["file"] for entry in there]
    return read_rows(
        files, source=means.source, schemas=means.schemas, key=erased.key, keep_raw=means.keep_raw, timing=means.timing(),
        signals=_signals(means), tombstones=erased, agent_ranges=ranges, unplanned=means.unplanned, work=work,
    )  # fmt: skip


def _refuse_other_key(judged: Log, there: list[dict[str, Any]]) -> None:
    """Tell a wrong key, under which no digest is right, from files that changed."""
    files = {entry["file"] for entry in there}
    tried = [entry for entry in judged.inputs if entry["file"] in files and entry["rows"]]
    if tried and all(entry["removed"].get(SOURCE_GONE) == entry["rows"] for entry in tried):
        raise BadCallError(
            "the logs are as they were, but no line has its digest: pass the key that the dataset was prepared with (--key)"
        )


def _not_placed(judged: Log, lost: list[dict[str, Any]]) -> DataRefusedError:
    files = [f"{entry['file']} ({_events(entry):,} events)" for entry in lost if _events(entry)]
    return DataRefusedError(
        f"{judged.entry.rows_out:,} quarantined lines are valid now, but other logs of the dataset have moved or changed: "
        f"{', '.join(files[:5])}. Order, sessions and people are told from all events together; bring these logs back as they "
        "were, or prepare those that there are anew."
    )


def _with_lost(
    log: Log, lost: list[dict[str, Any]], quarantine: pa.Table, means: Options, erased: Tombstones
) -> Log:
    """Add what is left of files that have moved or changed and gave no event: their refused lines, and what is recovered."""
    names = pa.array([entry["file"] for entry in lost])
    theirs = quarantine.filter(pc.is_in(quarantine["source_file"], value_set=names))
    # the files keep their place in the list, since a row names its file by that
    found = rejudge(
        theirs, [*log.inputs, *lost], schemas=means.schemas, key=erased.key, work=log.folder, signals=log.signals,
        tombstones=erased, agent_ranges=log.agent_ranges, unplanned=log.unplanned,
    )  # fmt: skip
    entries = found.inputs[len(log.inputs) :]
    skipped = [_skipped(entry, theirs) for entry in lost]
    removed = Counter(log.entry.removed) + Counter(found.entry.removed) + sum(skipped, Counter())
    rows_out = log.entry.rows_out + found.entry.rows_out
    return replace(
        log,
        quarantine=pa.concat_tables([log.quarantine, found.quarantine]),
        entry=Entry("read", rows_out + removed.total(), rows_out, dict(removed)),
        inputs=[*log.inputs, *map(_recounted, lost, entries, skipped)],
        repairs=[*log.repairs, *found.repairs],
        judged_by=[*log.judged_by, *found.judged_by],
    )


def _skipped(entry: Mapping[str, Any], quarantine: pa.Table) -> Counter[str]:
    """Return what of a file's lines was neither an event nor quarantined."""
    codes = set(quarantine["code"].to_pylist())
    return Counter({code: count for code, count in entry.get("removed", {}).items() if code not in codes})


def _recounted(was: dict[str, Any], now: Mapping[str, Any], skipped: Counter[str]) -> dict[str, Any]:
    """Return what `run.json` says of a file, its digest as it was, with what became of its lines."""
    removed = dict(sorted((Counter(now["removed"]) + skipped).items()))
    return {**was, "events": _events(was) + now["events"], "removed": removed}


def _carry_over(prepared: Prepared, judged: Log, out: Path, work: Path, note: Mapping[str, str]) -> Prepared:
    """Publish the dataset as it is, with new reasons in its quarantine: nothing was recovered."""
    started = datetime.now(UTC)
    made = work / "version"
    shutil.copytree(prepared.folder, made)
    before = read_parquet(prepared.folder / "quarantine.parquet")
    late = before.filter(pc.is_in(before["code"], value_set=pa.array(LATE_CODES)))
    rows = pa.concat_tables([judged.quarantine, late])
    ordered = rows.sort_by([("source_file", "ascending"), ("line", "ascending")])
    write_parquet(made / "quarantine.parquet", ordered.to_batches(), before.schema)
    inputs = [
        _recounted(was, now, _skipped(was, before))
        for was, now in zip(prepared.run["inputs"], judged.inputs, strict=True)
    ]
    ledger = prepared.ledger.to_list()
    ledger[0]["removed"] = dict(
        sorted(sum((Counter(entry["removed"]) for entry in inputs), Counter()).items())
    )
    stamp = {
        **prepared.run,
        **note,
        "run_id": run_id(started),
        "started_at": started.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
        "inputs": inputs,
    }
    if (made / "state").is_dir():
        rewrite_inputs(made, inputs)
    (made / "ledger.json").write_bytes(orjson.dumps(ledger, option=orjson.OPT_INDENT_2))
    (made / "run.json").write_bytes(orjson.dumps(stamp, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    publish(made, out / "versions" / stamp["run_id"], out / "current")
    return load(out)
