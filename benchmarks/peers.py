"""How `eventlib` compares with what one would use instead, each peer doing its own part of the work.

    python -m benchmarks.peers [--events 100000] [--runs 1] [--retentioneering PYTHON] [--pyspark PYTHON]

`script` is what an analyst writes: json, jsonschema, pandas; it validates, keeps events with analytics consent, removes
duplicates, sorts, and cuts sessions at 30 minutes. It corrects no clock and merges nobody. Retentioneering and PySpark cut
sessions on an event table that is there already (PySpark also removes duplicates), against `el.sessionize` on the same
table. Both are measured with an interpreter of their own, since their dependencies are not ours.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import duckdb

from benchmarks.measure import machine, paired
from eventlib.resources import schemas_dir
from eventlib.simulate import WorldParameters, simulate

SCRIPT = """
import glob, json, sys
from pathlib import Path
import jsonschema
import pandas as pd

log, schemas, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
envelope = json.loads((schemas / "envelope" / "1-0-0.json").read_text())
checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
judges = {}
for path in (schemas / "events").glob("*/*.json"):
    both = {"allOf": [envelope, {"properties": {"properties": json.loads(path.read_text())}}]}
    judges[path.parent.name, path.stem] = jsonschema.Draft202012Validator(both, format_checker=checker)
good, bad = [], 0
for path in sorted(glob.glob(f"{log}/*.ndjson")):
    with open(path, "rb") as file:
        for line in file:
            try:
                event = json.loads(line)
                judge = judges[event["event_name"], event["schema_version"]]
            except (ValueError, KeyError, TypeError, RecursionError):
                bad += 1
                continue
            if not judge.is_valid(event):
                bad += 1
                continue
            if ((event.get("consent") or {}).get("purposes") or {}).get("analytics"):
                event["properties"] = json.dumps(event["properties"], sort_keys=True)
                event.pop("consent", None), event.pop("context", None)
                good.append(event)
events = pd.DataFrame(good)
for column in ("occurred_at", "sent_at", "received_at"):
    events[column] = pd.to_datetime(events[column], format="ISO8601", utc=True)
events = events.sort_values("received_at").drop_duplicates(["source", "event_id"])
events["device"] = events["anonymous_id"].fillna(events["user_id"])
events = events.sort_values(["device", "occurred_at"])
gap = events.groupby("device")["occurred_at"].diff() > pd.Timedelta(minutes=30)
events["session"] = gap.groupby(events["device"]).cumsum()
events.sort_values("occurred_at").to_parquet(out)
"""

OURS = """
import sys
import pyarrow.parquet as pq
import eventlib as el
found = el.sessionize(pq.read_table(sys.argv[1]))
pq.write_table(found.events, sys.argv[2])
"""

RETENTIONEERING = """
import os, sys
os.environ["RETENTIONEERING_NO_TRACK"] = "1"
import pandas as pd
from retentioneering.eventstream import Eventstream
events = pd.read_parquet(sys.argv[1])
events = events[events["anonymous_id"].notna()]
events = events.assign(timestamp=events["occurred_at"].dt.tz_localize(None))[["anonymous_id", "event_name", "timestamp"]]
stream = Eventstream(events, {"path_cols": ["anonymous_id"], "event_col": "event_name", "timestamp_col": "timestamp"})
stream.split_sessions(timeout="30m").to_dataframe().to_parquet(sys.argv[2])
"""

PYSPARK = """
import sys
from pyspark.sql import SparkSession, Window, functions as f
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
events = spark.read.parquet(sys.argv[1]).dropDuplicates(["source", "event_id"])
events = events.withColumn("device", f.coalesce("anonymous_id", "user_id"))
stream = Window.partitionBy("device").orderBy("occurred_at", "event_id")
gap = f.col("occurred_at").cast("double") - f.lag("occurred_at").over(stream).cast("double")
events = events.withColumn("starts", f.when(gap.isNull() | (gap > 1800), 1).otherwise(0))
events = events.withColumn("session", f.sum("starts").over(stream))
events.orderBy("occurred_at").write.mode("overwrite").parquet(sys.argv[2])
"""


def _event_table(log: Path, folder: Path) -> Path:
    """Prepare the log, and leave an event table as a tracker's warehouse would hold it."""
    from eventlib import prepare  # noqa: PLC0415  # only for the peers that need a table

    prepared = prepare(log, out=folder / "prepared")
    source, table = prepared.folder / "events.parquet", folder / "table.parquet"
    columns = "event_id, event_name, source, channel, occurred_at, sent_at, received_at, sequence, anonymous_id, user_id"
    duckdb.sql(f"COPY (SELECT {columns} FROM '{source}') TO '{table}' (FORMAT parquet)")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--retentioneering", help="Python that has retentioneering and pyarrow.")
    parser.add_argument("--pyspark", help="Python that has pyspark.")
    arguments = parser.parse_args()
    print(machine("pandas", "jsonschema", "duckdb"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "log", arguments.events, 11, WorldParameters(), plain=True)
        log, out = str(folder / "log"), str(folder / "out")
        prepare = [sys.executable, "-m", "eventlib", "prepare", log, "--out", out]
        script = [sys.executable, "-c", SCRIPT, log, str(schemas_dir()), f"{folder}/script.parquet"]
        found = paired(prepare, script, arguments.runs, warm=False)
        print(found.line(f"{arguments.events:,} events, script", inverse=True), flush=True)
        peers = {"retentioneering": RETENTIONEERING, "pyspark": PYSPARK}
        asked = {peer: python for peer in peers if (python := getattr(arguments, peer))}
        if asked:
            table = str(_event_table(folder / "log", folder))
            ours = [sys.executable, "-c", OURS, table, f"{folder}/ours.parquet"]
            for peer, python in asked.items():
                theirs = [python, "-c", peers[peer], table, f"{folder}/{peer}.parquet"]
                found = paired(ours, theirs, arguments.runs)
                print(found.line(f"sessions, {peer}", inverse=True), flush=True)


if __name__ == "__main__":
    main()
