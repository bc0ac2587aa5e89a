"""The stages on a caller's PySpark DataFrame; its wide columns stay on the workers, and what is given back is lazy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import narwhals as nw
import pyarrow as pa

from eventlib.border import BORDER_COLUMNS, FLAGS
from eventlib.consent import Policy
from eventlib.engine import Frame
from eventlib.errors import BadCallError
from eventlib.flow import Flow
from eventlib.ledger import Entry
from eventlib.manual_links import NO_STATEMENTS, Statements
from eventlib.model import PURPOSES
from eventlib.ordering import ORDER
from eventlib.pseudonyms import Pseudonymiser, load_keys
from eventlib.spark.engine import SparkEngine
from eventlib.spark.narrow import encode_on
from eventlib.spark.session import quiet
from eventlib.stage import StageResult
from eventlib.timing import CLOCK_METHODS, Timing
from eventlib.tombstones import read_tombstones

__all__ = ["filter_consent", "is_spark", "merge_identities", "order", "sessionize"]

_ROW: Final = "_eventlib_row"
_TYPES: Final = {
    pa.string(): "string",
    pa.int64(): "bigint",
    pa.int8(): "tinyint",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
}


def is_spark(frame: Any) -> bool:
    """Tell whether a frame is PySpark's, without loading PySpark."""
    return type(frame).__module__.startswith("pyspark.sql")


def _canonical(stage: str, frame: Any, needed: Sequence[str]) -> Any:
    """Return the caller's numbered frame as a canonical one, absent optional columns null."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # the caller has it

    missing = set(needed) - set(frame.columns)
    if missing:
        raise BadCallError.missing_columns(stage, missing, [name for name in frame.columns if name != _ROW])
    types = dict(frame.dtypes)
    columns = []
    for field in BORDER_COLUMNS:
        if field.name not in types:
            value = f.lit(False) if field.name in FLAGS else f.lit(None)  # noqa: FBT003  # a value
        elif (
            types[field.name] == "timestamp_ntz"
        ):  # a time without a zone is UTC, whatever the session's zone
            value = f.concat(f.col(field.name).cast("string"), f.lit("Z"))
        else:
            value = f.col(field.name)
        columns.append(value.cast(_TYPES.get(field.type, "timestamp")).alias(field.name))
    if "fingerprint" not in types:
        content = sorted(
            name
            for name in types
            if name not in ("sent_at", "received_at", _ROW) and not name.startswith("said_")
        )
        digest = f.unhex(f.sha2(f.to_json(f.struct(*content)), 256)).alias("fingerprint")
        columns[BORDER_COLUMNS.get_field_index("fingerprint")] = digest
    return frame.select(*columns, f.col(_ROW).alias("row"), f.lit(None).cast("string").alias("digest"))


class _Caller:
    """A caller's frame, its rows numbered, and the flow that decides about them."""

    def __init__(
        self,
        stage: str,
        frame: Any,
        needed: Sequence[str],
        policy: Policy,
        as_of: int | None = None,
        timing: Timing | None = None,
        statements: Statements = NO_STATEMENTS,
    ) -> None:
        from pyspark.sql import functions as f  # noqa: PLC0415  # the caller has it

        self.stage = stage
        engine = SparkEngine(frame.sparkSession)
        self.rows = engine.hold(frame.withColumn(_ROW, f.monotonically_increasing_id()))
        keys = load_keys()
        pseudonym = Pseudonymiser(keys.current)
        tombstones = read_tombstones(keys)
        _, narrow = encode_on(
            engine, _canonical(stage, self.rows, needed), pseudonym, policy.impersonal_names, tombstones
        )
        count = self.rows.count()
        self.flow = Flow(
            narrow, engine, policy, pseudonym, Entry(stage, count, count), as_of, timing, statements
        )

    def joined(self, found: Any, order: Sequence[Any] = ()) -> Any:
        """Return the caller's rows that are in `found` (a DataFrame with `row`), with its other columns."""
        names = [name for name in found.columns if name != "row" and not name.startswith("_")]
        kept = [name for name in self.rows.columns if name != _ROW]
        fresh = found.withColumnsRenamed({"row": _ROW, **{name: f"_new_{name}" for name in names}})
        both = self.rows.join(fresh, _ROW)
        both = both.orderBy(*order) if order else both
        given = [both[f"_new_{name}"].alias(name) if name in names else both[name] for name in kept]
        return both.select(*given, *(both[f"_new_{name}"].alias(name) for name in names if name not in kept))

    def result(self, events: Any, removed: Any, gone: Mapping[str, int]) -> StageResult:
        rows_in = next(iter(self.flow.ledger)).rows_out
        return StageResult(events, removed, Entry(self.stage, rows_in, rows_in - sum(gone.values()), gone))

    def unchanged(self, found: Any) -> StageResult:
        events = self.joined(found)
        return self.result(events, events.limit(0), {})


def order(events: Any, policy: Policy, needed: Sequence[str], timing: Timing) -> StageResult:
    """See `eventlib.order`."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # the caller has it

    caller = _Caller("order", events, needed, policy, timing=timing)
    flow = caller.flow
    kept, _ = flow.order(flow.clock().with_columns(allow_identity=nw.lit(1, nw.Int64)))
    found = nw.to_native(kept).select(
        "row",
        f.timestamp_micros("event_time").alias("event_time"),
        f.element_at(f.array(*map(f.lit, CLOCK_METHODS)), f.col("clock_method").cast("int") + 1).alias(
            "clock_method"
        ),
        f.expr("clock_offset DIV 1000").alias("clock_offset_ms"),
        (f.col("is_late") == 1).alias("is_late"),
        *(f.col(name).alias(f"_place_{name}") for name in ORDER),
    )
    places = [f.asc_nulls_last(f"_place_{name}") for name in ORDER]
    with quiet():
        gone = events.sparkSession.createDataFrame(pa.concat_tables(flow.gone).select(["row", "removed_by"]))
    return caller.result(caller.joined(found, places), caller.joined(gone), flow.ledger.removed())


def sessionize(events: Any, policy: Policy, needed: Sequence[str], timing: Timing) -> StageResult:
    """See `eventlib.sessionize`."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # the caller has it

    caller = _Caller("sessionize", events, needed, policy, timing=timing)
    timed = caller.flow.clock()
    if "event_time" in events.columns:  # it has been corrected already
        known = caller.rows.select(
            f.col(_ROW).alias("row"), f.unix_micros(f.col("event_time").cast("timestamp")).alias("event_time")
        )
        timed = timed.drop("event_time").join(
            caller.flow.engine.frame(nw.from_native(known).lazy()), on="row", how="left"
        )
    numbered = nw.to_native(caller.flow.sessions(timed))
    return caller.unchanged(
        numbered.select("row", f.nullif("session", f.lit(0).cast("bigint")).alias("session_index"))
    )


def merge_identities(
    events: Any,
    policy: Policy,
    needed: Sequence[str],
    registry: Mapping[str, str] | None,
    statements: Statements,
) -> StageResult:
    """See `eventlib.merge_identities`."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # the caller has it

    caller = _Caller("merge_identities", events, needed, policy, statements=statements)
    flow = caller.flow
    said = f.col("allow_identity") if "allow_identity" in events.columns else f.lit(True)  # noqa: FBT003  # a value
    flags = caller.rows.select(
        f.col(_ROW).alias("row"),
        f.coalesce(said.cast("int"), f.lit(0)).cast("bigint").alias("allow_identity"),
    )
    timed = flow.clock().with_columns(renamed=nw.lit(0, nw.Int64))
    numbered: Frame = flow.sessions(timed).join(flow.engine.adopt(flags), on="row", how="left")  # type: ignore[attr-defined]  # Spark's
    people = flow.identify(flow.engine.checkpoint(numbered), registry)
    persons = nw.to_native(people.of_row).select(
        "row", f.format_string("p-%06d", f.col("person")).alias("person_id")
    )
    every = caller.rows.select(f.col(_ROW).alias("row"))
    return caller.unchanged(every.join(persons, "row", "left"))


def filter_consent(
    events: Any, purposes: Sequence[str], policy: Policy, needed: Sequence[str], as_of: int | None
) -> StageResult:
    """See `eventlib.filter_consent`."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # the caller has it

    allowed = [f"allow_{purpose}" for purpose in purposes]
    if set(allowed) <= set(events.columns):
        mask = f.coalesce(f.expr(" AND ".join(allowed)), f.lit(False))  # noqa: FBT003  # a value
        rows = events.count()
        kept = events.where(mask)
        count = kept.count()
        entry = Entry("filter_consent", rows, count, {"not_allowed": rows - count})
        return StageResult(kept, events.where(~mask), entry)
    caller = _Caller("filter_consent", events, needed, policy, as_of)
    decided = nw.to_native(caller.flow.consent(caller.flow.clock()))
    verdicts = [f"verdict_{purpose}" for purpose in PURPOSES]
    rule = f.concat_ws(" ", *(f.format_string("C%02d", f.col(name) % 16) for name in verdicts))
    flags = [(f.col(f"verdict_{purpose}") >= 16).alias(f"allow_{purpose}") for purpose in PURPOSES]
    judged = decided.select("row", *flags, rule.alias("consent_rule"))
    kept = judged.where(" AND ".join(allowed))
    gone = caller.rows.select(f.col(_ROW).alias("row")).join(kept.select("row"), "row", "left_anti")
    return caller.result(caller.joined(kept), caller.joined(gone), {"not_allowed": gone.count()})
