"""The stages, each usable alone on a caller's pandas, Polars, DuckDB or PyArrow frame of canonical events (DESIGN section 6)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from eventlib.adopting import check_links, table_of_frame
from eventlib.arguments import AnyPath, as_path
from eventlib.border import BORDER_COLUMNS, FLAGS
from eventlib.consent import Policy, load_policy
from eventlib.engine import Frame, connect, engine, engine_of
from eventlib.errors import BadCallError
from eventlib.flow import Flow
from eventlib.ledger import Entry
from eventlib.manual_links import NO_STATEMENTS, Statements, read_statements
from eventlib.model import EVENT_COLUMNS, PURPOSES, Violation
from eventlib.narrow import encode
from eventlib.options import microseconds
from eventlib.ordering import ORDER
from eventlib.pseudonyms import Pseudonymiser, load_keys
from eventlib.schema import registry
from eventlib.spark import stages as on_spark
from eventlib.spark.stages import is_spark
from eventlib.stage import StageResult
from eventlib.timing import CLOCK_METHODS, Duration, Timing
from eventlib.tombstones import read_tombstones

__all__ = ["filter_consent", "merge_identities", "order", "sessionize", "validate_frame"]

_REQUIRED: Final = ("event_id", "event_name", "source", "occurred_at", "received_at")
_STATED: Final = (*_REQUIRED, *(f"said_{purpose}" for purpose in PURPOSES))
_IDENTIFIERS: Final = ("anonymous_id", "user_id")


def _table(stage: str, frame: Any, needed: Sequence[str]) -> pa.Table:
    """Return the caller's frame as a canonical table, absent optional columns null, each row numbered."""
    table = table_of_frame(stage, frame)
    missing = set(needed) - set(table.column_names)
    if missing:
        raise BadCallError.missing_columns(stage, missing, table.column_names)
    columns = []
    for field in BORDER_COLUMNS:
        if field.name in table.column_names:
            columns.append(_cast(stage, table[field.name], field))
        else:
            empty = (
                pa.array([False] * len(table)) if field.name in FLAGS else pa.nulls(len(table), field.type)
            )
            columns.append(pa.chunked_array([empty]))
    canonical = pa.Table.from_arrays(columns, schema=BORDER_COLUMNS)
    check_links(stage, canonical["links"])
    if "fingerprint" not in table.column_names:
        canonical = canonical.set_column(
            BORDER_COLUMNS.get_field_index("fingerprint"), "fingerprint", _fingerprints(table)
        )
    numbered = canonical.append_column("row", pa.array(range(len(table)), pa.int64()))
    return numbered.append_column("digest", pa.nulls(len(table), pa.string()))


def _fingerprints(table: pa.Table) -> pa.ChunkedArray:
    """Digest each row's content, in any column types; only equality is read from it (S3.4)."""
    content = sorted(
        c for c in table.column_names if c not in ("sent_at", "received_at") and not c.startswith("said_")
    )
    with connect() as connection:
        connection.register("content", table.select(content))
        digests = connection.sql("SELECT unhex(sha256(to_json(content)::VARCHAR)) AS digest FROM content")
        return digests.to_arrow_table()["digest"]


def _cast(stage: str, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        if (
            pa.types.is_timestamp(field.type)
            and pa.types.is_timestamp(column.type)
            and column.type.tz is None
        ):
            column = pc.assume_timezone(
                column, "UTC"
            )  # a time without a zone is taken as UTC, as DuckDB gives it
        return (
            pc.cast(column, field.type, safe=False)
            if pa.types.is_timestamp(field.type)
            else pc.cast(column, field.type)
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadCallError(
            f"{stage}: the column {field.name} cannot be read as {field.type}: {error}"
        ) from error


def _flow(
    stage: str,
    frame: Any,
    needed: Sequence[str],
    policy: Policy | None = None,
    as_of: datetime | None = None,
    timing: Timing | None = None,
    statements: Statements = NO_STATEMENTS,
) -> Flow:
    table = _table(stage, frame, needed)
    kind, _ = engine_of(frame)
    keys = load_keys()
    moment = microseconds(as_of)
    pseudonym = Pseudonymiser(keys.current)
    tombstones = read_tombstones(keys)
    judged_by = policy or load_policy()
    where = engine(kind.name)
    with connect() as connection:
        narrow = encode(
            connection, table, pseudonym, judged_by.impersonal_names, where, tombstones=tombstones
        )
    return Flow(
        narrow,
        where,
        judged_by,
        pseudonym,
        Entry(stage, len(table), len(table)),
        moment,
        timing,
        statements,
    )


def _like(frame: Any, table: pa.Table) -> Any:
    """Return a table in the library of the caller's frame."""
    if isinstance(frame, pa.Table):
        return table
    implementation = nw.from_native(frame).implementation
    if implementation.is_polars():
        import polars as pl  # noqa: PLC0415  # the caller has it

        made = pl.DataFrame(table)
        return made.lazy() if isinstance(frame, pl.LazyFrame) else made
    if implementation.is_pyspark():
        return engine_of(frame)[0].frame(table).to_native()
    if implementation.is_duckdb():
        return engine("duckdb").frame(table).to_native()
    import pandas as pd  # noqa: PLC0415  # the caller has it

    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _joined(frame: Any, rows: pa.Table, order_by: Sequence[str] = ("row",)) -> pa.Table:
    """Return the caller's rows that are in `rows`, with its other columns, ordered."""
    kind, adopted = engine_of(frame)
    original = kind.collect(adopted)
    ordered = rows.sort_by([(name, "ascending") for name in order_by])
    kept = original.take(ordered["row"])
    for name in rows.column_names:
        if name != "row" and not name.startswith("_"):
            position = kept.column_names.index(name) if name in kept.column_names else len(kept.column_names)
            kept = (
                kept.set_column(position, name, ordered[name])
                if name in kept.column_names
                else kept.append_column(name, ordered[name])
            )
    return kept


def _time(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(column, pa.timestamp("us", tz="UTC"))


def _chosen(table: pa.Table, columns: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    return pa.table({"row": table["row"], **columns})


def order(
    events: Any,
    *,
    clock: str = "device",
    late: Duration = "1h",
    too_late: Duration = "3d",
    ahead: Duration = "23h",
) -> StageResult:
    """Correct times, set aside what is too late, remove duplicates, and sort into the total order (S3).

    Parameters
    ----------
    events
        Canonical events: at least `event_id, event_name, source, occurred_at, received_at`; times are timestamps.
    clock
        How times are corrected (S3.1): device, snowplow (reads the column `true_at`), segment, posthog or amplitude.
    late, too_late, ahead
        Delay over which an event is late, delay over which it is removed, and how far ahead of its arrival it may be: a
        number with a unit, such as `30min` or `3d`, or a timedelta.

    Returns
    -------
    StageResult
        `events` with `event_time, clock_method, clock_offset_ms, is_late`, sorted; `removed` with `removed_by`
        (duplicate, too_late, future_time); `entry`, the accounting.

    Raises
    ------
    BadCallError
        If a column is missing or cannot be read, the policy is unknown, or a duration cannot be read.
    """
    timing = Timing.of(clock, late=late, too_late=too_late, ahead=ahead)
    if is_spark(events):
        return on_spark.order(events, load_policy(), _REQUIRED, timing)
    flow = _flow("order", events, _REQUIRED, timing=timing)
    consented = flow.clock().with_columns(allow_identity=nw.lit(1, nw.Int64))
    rows_in = flow.ledger.rows_out
    kept, refused = flow.order(consented)
    narrow = flow.engine.collect(kept)
    places = narrow.sort_by([(name, "ascending") for name in ORDER])
    places = places.append_column("_place", pa.array(range(len(places)), pa.int64()))
    methods = pa.array([CLOCK_METHODS[code] for code in places["clock_method"].to_pylist()], pa.string())
    columns = {
        "event_time": _time(places["event_time"]),
        "clock_method": methods,
        "clock_offset_ms": pc.divide(places["clock_offset"], 1000),
        "is_late": pc.equal(places["is_late"], 1),
        "_place": places["_place"],
    }
    rows_kept = set(places["row"].to_pylist())
    late_rows = dict(zip(refused["row"].to_pylist(), refused["removed_by"].to_pylist(), strict=True))
    gone = [row for row in range(rows_in) if row not in rows_kept]
    reasons = [late_rows.get(row, "duplicate") for row in gone]
    removed = pa.table({"row": pa.array(gone, pa.int64()), "removed_by": pa.array(reasons, pa.string())})
    counts = {reason: reasons.count(reason) for reason in set(reasons)}
    return StageResult(
        _like(events, _joined(events, _chosen(places, columns), ("_place",))),
        _like(events, _joined(events, removed)),
        Entry("order", rows_in, len(places), counts),
    )


def sessionize(
    events: Any, *, clock: str = "device", gap: Duration = "30min", age: Duration = "24h"
) -> StageResult:
    """Number each device's sessions (S5): a new one after a gap over `gap`, or where its age is over `age`.

    Parameters
    ----------
    events
        Canonical events with `anonymous_id` or `user_id`. Where the frame has `event_time`, from `order` or a prepared
        dataset, that is the time; else times are corrected first, by the policy `clock`.
    clock
        As in `order`.
    gap, age
        The longest pause within a session, and its greatest age: such as `30min`, or a timedelta.

    Returns
    -------
    StageResult
        `events` with `session_index` (the device's n-th session; null without identifiers); nothing is removed.
    """
    timing = Timing.of(clock, session_gap=gap, session_age=age)
    if is_spark(events):
        return on_spark.sessionize(events, load_policy(), _REQUIRED, timing)
    flow = _flow("sessionize", events, _REQUIRED, timing=timing)
    narrow = flow.engine.collect(flow.sessions(_with_times("sessionize", flow, events)))
    index = pc.if_else(pc.greater(narrow["session"], 0), narrow["session"], None)
    result = _joined(events, _chosen(narrow, {"session_index": index}))
    return StageResult(
        _like(events, result),
        _like(events, result.slice(0, 0)),
        Entry("sessionize", len(result), len(result)),
    )


def _with_times(stage: str, flow: Flow, events: Any) -> Frame:
    """Correct the times, unless the caller's frame has been through that."""
    timed = flow.clock()
    kind, adopted = engine_of(events)
    if "event_time" not in adopted.collect_schema().names():
        return timed
    column = kind.collect(adopted.select("event_time"))["event_time"]
    given = _cast(stage, column, EVENT_COLUMNS.field("event_time"))
    known = flow.engine.frame(
        pa.table({"row": pa.array(range(len(given)), pa.int64()), "event_time": pc.cast(given, pa.int64())})
    )
    return flow.engine.checkpoint(timed.drop("event_time").join(known, on="row", how="left"))


def merge_identities(
    events: Any, *, registry: Mapping[str, str] | None = None, manual_links: AnyPath | None = None
) -> StageResult:  # noqa: A002, RUF100  # the contract's name
    """Merge devices and users into people (S4), from events that allow identity.

    Parameters
    ----------
    events
        Canonical events with `anonymous_id` or `user_id`. Where the frame has `allow_identity`, only events for which
        it is true give evidence; a frame without it is taken as allowed.
    registry
        Anchor to person id, of an earlier run.
    manual_links
        CSV file of what is known by hand of identifiers; see `eventlib.manual_links`.

    Returns
    -------
    StageResult
        `events` with `person_id`; nothing is removed.
    """
    file = None if manual_links is None else as_path("manual_links", manual_links)
    statements = read_statements(file, load_keys().current)
    if is_spark(events):
        return on_spark.merge_identities(events, load_policy(), _REQUIRED, registry, statements)
    table = table_of_frame("merge_identities", events)
    flow = _flow("merge_identities", events, [*_REQUIRED], statements=statements)
    allowed = (
        table["allow_identity"].to_pylist() if "allow_identity" in table.column_names else [True] * len(table)
    )
    sessions = flow.sessions(flow.clock())  # before the flags: a stage lets go of every frame but its own
    flags = flow.engine.frame(
        pa.table(
            {
                "row": pa.array(range(len(table)), pa.int64()),
                "allow_identity": pa.array(map(int, map(bool, allowed)), pa.int64()),
            }
        )
    )
    numbered = sessions.join(flags, on="row", how="left")
    people = flow.identify(flow.engine.checkpoint(numbered), registry)
    of_row = flow.engine.collect(people.of_row)
    persons = dict(zip(of_row["row"].to_pylist(), of_row["person"].to_pylist(), strict=True))
    ids = [f"p-{persons[row]:06d}" if row in persons else None for row in range(len(table))]
    rows = pa.table({"row": pa.array(range(len(table)), pa.int64()), "person_id": pa.array(ids, pa.string())})
    result = _joined(events, rows)
    return StageResult(
        _like(events, result),
        _like(events, result.slice(0, 0)),
        Entry("merge_identities", len(result), len(result)),
    )


def filter_consent(
    events: Any,
    purposes: Sequence[str] = ("analytics",),
    *,
    policy: str | os.PathLike[str] = "default",
    as_of: datetime | None = None,
) -> StageResult:
    """Keep the events that may be used for all of some purposes (S2).

    Parameters
    ----------
    events
        Prepared events (their `allow_*` columns are read), or canonical events as `el.read` gives them, which are
        decided by `policy`, as of `as_of`.
    purposes
        Among analytics, identity, training, personalization, advertising.

    Returns
    -------
    StageResult
        `events` that are allowed, `removed` those that are not, and the accounting.
    """
    unknown = [purpose for purpose in purposes if purpose not in PURPOSES]
    if unknown or not purposes:
        raise BadCallError.unknown("purpose", unknown[0] if unknown else "", PURPOSES)
    if is_spark(events):
        return on_spark.filter_consent(events, purposes, load_policy(policy), _STATED, microseconds(as_of))
    table = table_of_frame("filter_consent", events)
    allowed = [f"allow_{purpose}" for purpose in purposes]
    if not set(allowed) <= set(table.column_names):
        return _decide(events, purposes, load_policy(policy), as_of)
    mask = pc.fill_null(table[allowed[0]], fill_value=False)
    for name in allowed[1:]:
        mask = pc.and_(mask, pc.fill_null(table[name], fill_value=False))
    kept, gone = table.filter(mask), table.filter(pc.invert(mask))
    entry = Entry("filter_consent", len(table), len(kept), {"not_allowed": len(gone)})
    return StageResult(_like(events, kept), _like(events, gone), entry)


def _decide(events: Any, purposes: Sequence[str], policy: Policy, as_of: datetime | None) -> StageResult:
    flow = _flow("filter_consent", events, _STATED, policy, as_of)
    rows_in = flow.ledger.rows_out
    decided = flow.engine.collect(flow.consent(flow.clock()))
    flags = {f"allow_{p}": pc.greater_equal(decided[f"verdict_{p}"], 16) for p in PURPOSES}
    rules = [decided[f"verdict_{p}"].to_pylist() for p in PURPOSES]
    texts = pa.array(
        [" ".join(f"C{verdict % 16:02d}" for verdict in row) for row in zip(*rules, strict=True)], pa.string()
    )
    judged = _chosen(decided, {**flags, "consent_rule": texts})
    mask = flags[f"allow_{purposes[0]}"]
    for purpose in purposes[1:]:
        mask = pc.and_(mask, flags[f"allow_{purpose}"])
    kept = judged.filter(mask)
    held = set(kept["row"].to_pylist())
    gone = pa.table({"row": pa.array([row for row in range(rows_in) if row not in held], pa.int64())})
    entry = Entry("filter_consent", rows_in, len(kept), {"not_allowed": len(gone)})
    return StageResult(_like(events, _joined(events, kept)), _like(events, _joined(events, gone)), entry)


def validate_frame(event: Any) -> StageResult:
    """Validate a frame whose column `event` holds JSON texts; see `eventlib.validate`."""
    table = table_of_frame("validate", event)
    if "event" not in table.column_names:
        raise BadCallError.missing_columns("validate", ["event"], table.column_names)
    codes = [_code(text) for text in table["event"].to_pylist()]
    kept = table.filter(pa.array([code is None for code in codes]))
    gone = table.append_column("removed_by", pa.array(codes, pa.string())).filter(
        pa.array([code is not None for code in codes])
    )
    counts = {code: codes.count(code) for code in set(codes) if code is not None}
    return StageResult(
        _like(event, kept), _like(event, gone), Entry("validate", len(table), len(kept), counts)
    )


def _code(text: object) -> str | None:
    from eventlib.sources.decode import decode  # noqa: PLC0415  # the row world, for those who validate texts

    record = decode(str(text).encode())
    found = record if isinstance(record, Violation) else registry().judge(record)
    return found.code if found else None
