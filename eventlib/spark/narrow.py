"""From the wide canonical frame to the narrow one of integers, as `eventlib.narrow` does it, with the strings left on the workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from eventlib.border import BORDER_COLUMNS, CONSENT_FLAGS
from eventlib.identifiers import normalise
from eventlib.model import PURPOSES
from eventlib.narrow import Narrow, digest_identifiers, hmac_pads, name_plainly
from eventlib.pseudonyms import Pseudonymiser
from eventlib.spark.engine import SparkEngine
from eventlib.spark.session import quiet
from eventlib.stage import NO_SEQUENCE
from eventlib.tombstones import NONE, Tombstones

__all__ = ["encode_on", "keyed", "read_pieces"]

_DICTIONARIES: Final = ("event_name", "source", "channel", "jurisdiction", "notice_version")
_SAID: Final = tuple(f"said_{purpose}" for purpose in PURPOSES)
_CONSENT: Final = (
    "sent_at",
    "jurisdiction",
    *_SAID,
    *CONSENT_FLAGS,
    "notice_version",
    "consent_updated_at",
)
"""What tells copies of one content apart, in this order."""


def read_pieces(spark: Any, folder: Path) -> Any:
    """Return the pieces of a log as a Spark DataFrame, columns `BORDER_COLUMNS`, `row` and `digest`."""
    if any(folder.glob("piece-*.parquet")):
        return spark.read.parquet(f"file://{folder.resolve()}")
    schema = BORDER_COLUMNS.append(pa.field("row", pa.int64())).append(pa.field("digest", pa.string()))
    with quiet():
        return spark.createDataFrame(schema.empty_table())


def _with_minted(wide: Any) -> Any:
    """Tell records that came without an id from their like by their occurrence number (S1.9)."""
    from pyspark.sql import Window  # noqa: PLC0415  # an optional engine
    from pyspark.sql import functions as f  # noqa: PLC0415  # as above

    number = f.row_number().over(Window.partitionBy("event_id").orderBy("row")).cast("string")
    minted = wide.where("minted_id").withColumn("event_id", f.concat_ws("-", "event_id", number))
    return wide.where("NOT minted_id").unionByName(minted)


def _dictionary(wide: Any, column: str) -> dict[int, str]:
    """Code the values of a column that has few, in the order of their UTF-8 bytes."""
    values = wide.where(wide[column].isNotNull()).select(column).distinct().toArrow()[column].to_pylist()
    return dict(enumerate(sorted(values, key=str.encode), 1))


def _code(engine: SparkEngine, values: Any, order: Sequence[str]) -> Any:
    """Add `code` from 1 to distinct rows, in the order of `order`: each worker sorts a range and counts from where it begins."""
    from pyspark.sql import Window  # noqa: PLC0415  # an optional engine
    from pyspark.sql import functions as f  # noqa: PLC0415  # as above

    ranged = engine.hold(values.repartitionByRange(*order).withColumn("part", f.spark_partition_id()))
    counts = {int(row["part"]): int(row["count"]) for row in ranged.groupBy("part").count().collect()}
    begins, following = {}, 0
    for part in sorted(counts):
        begins[part], following = following, following + counts[part]
    with quiet():
        table = pa.table(
            {
                "part": pa.array(begins.keys(), pa.int32()),
                "begins": pa.array(begins.values(), pa.int64()),
            }
        )
        offsets = engine.session.createDataFrame(table)
    nth = f.row_number().over(Window.partitionBy("part").orderBy(*order))
    return (
        ranged.join(f.broadcast(offsets), "part")
        .withColumn("code", f.col("begins") + nth)
        .drop("part", "begins")
    )


def _identifiers(wide: Any, pseudonym: Pseudonymiser) -> tuple[pa.Table, pa.Table, dict[str, str]]:
    """Return the identifiers with their codes, the explicit links, and plain names where they may be written; on the driver."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # an optional engine

    def named(namespace: str) -> Any:
        present = wide.where(f.col(namespace).isNotNull())
        return present.select(f.lit(namespace).alias("namespace"), f.col(namespace).alias("value")).distinct()

    found = named("anonymous_id").unionByName(named("user_id")).toArrow()
    links = wide.where("links IS NOT NULL").select("row", "links").toArrow().sort_by("row")
    rows, linked = digest_identifiers(_tuples(found), _tuples(links), pseudonym)
    plain = name_plainly(_tuples(found), links["links"].to_pylist(), pseudonym)
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    names = ("digest", "namespace", "value", "node")
    texts = {name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)}
    return pa.table({"code": pa.array(range(1, len(rows) + 1), pa.int64()), **texts}), linked, plain


def _tuples(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def keyed(pads: tuple[bytes, bytes], name: str, column: Any) -> Any:
    """Return the keyed digest of a column, as `eventlib.narrow.define_keyed` makes it: 32 hexadecimal digits."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # an optional engine

    inner, outer = (f.unhex(f.lit(pad.hex())) for pad in pads)
    content = f.concat(f.encode(f.lit(f"{name}:"), "UTF-8"), column)
    return f.substring(f.sha2(f.concat(outer, f.unhex(f.sha2(f.concat(inner, content), 256))), 256), 1, 32)


def _copies(coded: Any) -> Any:
    """Number what tells copies apart; only rows that share a source and an id are compared."""
    from pyspark.sql import Window  # noqa: PLC0415  # an optional engine
    from pyspark.sql import functions as f  # noqa: PLC0415  # as above

    group = Window.partitionBy("source", "event_key")
    shared = coded.withColumn("copies", f.count("*").over(group)).where("copies > 1")
    return shared.select(
        "row",
        "copies",
        f.dense_rank().over(group.orderBy("fingerprint_digest")).cast("long").alias("fingerprint_key"),
        f.dense_rank().over(group.orderBy(*map(f.asc_nulls_last, _CONSENT))).cast("long").alias("copy_key"),
    )


def encode_on(
    engine: SparkEngine,
    pieces: Any,
    pseudonym: Pseudonymiser,
    names: Iterable[str],
    tombstones: Tombstones = NONE,
) -> tuple[Any, Narrow]:
    """Code the canonical frame.

    Parameters
    ----------
    engine
        Where the coding runs.
    pieces
        Spark DataFrame, columns `eventlib.border.BORDER_COLUMNS`, `row` and `digest`.
    pseudonym
        Holds the key of digests, whose order breaks ties (S3.5).
    names
        The event names that a decision may depend on.
    tombstones
        Who was erased.

    Returns
    -------
    tuple of DataFrame and Narrow
        The wide frame with its ids told apart and `fingerprint_digest`, and the narrow one: `events` is a frame on Spark;
        the identifiers and the short dictionaries are on the driver, where people are merged.
    """
    from pyspark.sql import functions as f  # noqa: PLC0415  # an optional engine

    pads = hmac_pads(pseudonym.key)
    wide = _with_minted(pieces).withColumn(
        "fingerprint_digest", keyed(pads, "fingerprint", f.col("fingerprint"))
    )
    dictionaries = {column: _dictionary(wide, column) for column in _DICTIONARIES}
    wanted = set(names)
    dictionaries["event_name"] = {
        code: name for code, name in dictionaries["event_name"].items() if name in wanted
    }
    identifiers, links, plain = _identifiers(wide, pseudonym)
    digested = wide.select(
        "row",
        "source",
        "fingerprint_digest",
        *_CONSENT,
        keyed(pads, "event_id", f.encode("event_id", "UTF-8")).alias("event_digest"),
    )
    codes = _code(engine, digested.select("event_digest").distinct(), ["event_digest"])
    keyed_events = engine.hold(
        digested.join(codes.withColumnRenamed("code", "event_key"), "event_digest").drop("event_digest")
    )
    joined = wide.join(keyed_events.select("row", "event_key"), "row").join(
        _copies(keyed_events), "row", "left"
    )
    for column, values in dictionaries.items():
        joined = _join_codes(joined, engine.session, column, f"{column}_code", values)
    for column, code in (("anonymous_id", "anonymous"), ("user_id", "user")):
        of = identifiers.filter(pc.equal(identifiers["namespace"], column))
        values = dict(zip(of["code"].to_pylist(), of["value"].to_pylist(), strict=True))
        joined = _join_codes(joined, engine.session, column, code, values)
    return wide, Narrow(
        events=engine.adopt(engine.hold(joined.select(*_narrow_columns()))),
        identifiers=identifiers,
        names=dictionaries["event_name"],
        sources=dictionaries["source"],
        jurisdictions=dictionaries["jurisdiction"],
        notices=dictionaries["notice_version"],
        links=links,
        plain=plain,
        tombstones=tombstones.carried(_tuples(identifiers.select(["namespace", "value"]))),
        erased=_erased_rows(engine, wide, tombstones),
    )


def _erased_rows(engine: SparkEngine, wide: Any, tombstones: Tombstones) -> pa.Table:
    """Return `row` of the events that were erased though no identifier of theirs was, under the key or one of before."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # an optional engine

    rows: set[int] = set()
    for each in (tombstones, *tombstones.retired):
        if each.events:
            known = {(source, digest.replace("-", ""), device) for source, digest, device in each.events}
            sources, digests = zip(*sorted({(source, digest) for source, digest, _ in known}), strict=True)
            with quiet():
                asked = engine.session.createDataFrame(pa.table({"source": sources, "gone": digests}))
            gone = keyed(hmac_pads(each.key), "event_id", f.encode("event_id", "UTF-8")).alias("gone")
            told = wide.where("anonymous_id IS NOT NULL").select("row", "source", gone, "anonymous_id")
            found = told.join(asked, ["source", "gone"]).select("row", "source", "gone", "anonymous_id")
            rows |= {
                row
                for row, source, digest, device in _tuples(found.toArrow())
                if (source, digest, each.digest_of("anonymous_id", normalise("anonymous_id", device)))
                in known
            }
    return pa.table({"row": pa.array(sorted(rows), pa.int64())})


def _join_codes(frame: Any, spark: Any, column: str, code: str, names: Mapping[int, str]) -> Any:
    with quiet():
        codes = spark.createDataFrame(
            pa.table(
                {column: pa.array(names.values(), pa.string()), code: pa.array(names.keys(), pa.int64())}
            )
        )
    return frame.join(codes, column, "left")


def _narrow_columns() -> list[Any]:
    """Return the columns of `eventlib.narrow.Narrow.events`."""
    from pyspark.sql import functions as f  # noqa: PLC0415  # an optional engine

    def filled(column: str, default: int, name: str) -> Any:
        return f.coalesce(f.col(column), f.lit(default)).cast("long").alias(name)

    def micros(column: str, name: str) -> Any:
        return f.unix_micros(column).alias(name)

    observed = (
        f.when(f.col("observation") == "owned", 1)
        .when(f.col("observation") == "probe", 2)
        .when(f.col("observation") == "platform_report", 3)
        .otherwise(0)
    )
    plain = (*CONSENT_FLAGS, *_SAID)
    return [
        "row",
        "event_key",
        filled("event_name_code", 0, "name_key"),
        filled("source_code", 0, "source_key"),
        filled("channel_code", -1, "channel_key"),
        filled("anonymous", 0, "anonymous"),
        filled("user", 0, "user"),
        f.coalesce("anonymous", "user").alias("device"),
        micros("occurred_at", "occurred"),
        micros("sent_at", "sent"),
        micros("received_at", "received"),
        micros("true_at", "true_time"),
        filled("sequence", NO_SEQUENCE, "sequence"),
        filled("copies", 1, "copies"),
        filled("fingerprint_key", 0, "fingerprint_key"),
        filled("copy_key", 0, "copy_key"),
        filled("jurisdiction_code", 0, "jurisdiction_key"),
        *(f.col(name).cast("long").alias(name) for name in plain),
        filled("notice_version_code", 0, "notice_key"),
        micros("consent_updated_at", "updated"),
        observed.cast("long").alias("observed"),
    ]
