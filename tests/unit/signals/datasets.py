"""A prepared dataset's stamp, ledger and frames, as the bundle reads them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from eventlib.geo import EVENTS_READ
from eventlib.ledger import Entry, Ledger
from eventlib.model import EVENT_COLUMNS
from eventlib.ranking import Tables
from eventlib.signals.table import SIGNAL_SCHEMA

MOMENT = dt.datetime(2026, 11, 1, 3, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def prepared(folder):
    run = {
        "run_id": "run-1", "row_digest": "abc", "inputs": [{"file": "logs/a.ndjson", "sha256": "0" * 64, "rows": 9}],
        "parameters": {"as_of": "2026-10-01T00:00:00+00:00"}, "policy": {"file": "default"},
        "schema_versions": {"citation_show": "1-0-0"},
    }  # fmt: skip
    entries = [Entry("read", 9, 8, {"broken_json": 1}), Entry("consent", 8, 8)]
    return SimpleNamespace(
        folder=folder / "prepared" / "versions" / "run-1", run=run, ledger=Ledger(entries),
        events=pd.DataFrame({name: [] for name in EVENT_COLUMNS.names}),
    )  # fmt: skip


def frames(tables: Tables) -> dict[str, pd.DataFrame]:
    """Return a world's tables as the frames that the GEO analyses read; nobody landed or read in it."""
    named = {
        "answer_generate": tables.answers, "citation_show": tables.shows, "citation_click": tables.clicks,
        "content_publish": tables.publishes, "content_edit": tables.edits,
    }  # fmt: skip
    return dict.fromkeys(EVENTS_READ, tables.shows.iloc[:0]) | named


def rewrite(bundle, change):
    """Change a bundle's signals on purpose, with right digests, as another day's data would have."""
    rows = [json.loads(line) for line in (bundle / "signals.jsonl").read_text().splitlines()]
    change(rows)
    (bundle / "signals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame = pd.DataFrame(rows)
    for name in ("as_of", "event_timestamp", "created_timestamp"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601")
    pq.write_table(
        pa.Table.from_pandas(frame, SIGNAL_SCHEMA, preserve_index=False), bundle / "signals.parquet"
    )
    manifest = json.loads((bundle / "manifest.json").read_text())
    for name in ("signals.jsonl", "signals.parquet"):
        content = (bundle / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
