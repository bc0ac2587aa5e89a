"""A prepared dataset's stamp and ledger, as the bundle reads them."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

from eventlib.ledger import Entry, Ledger

MOMENT = dt.datetime(2026, 11, 1, 3, tzinfo=dt.UTC)


def prepared(folder):
    run = {
        "run_id": "run-1", "row_digest": "abc", "inputs": [{"file": "logs/a.ndjson", "sha256": "0" * 64, "rows": 9}],
        "parameters": {"as_of": "2026-10-01T00:00:00+00:00"}, "policy": {"file": "default"},
        "schema_versions": {"citation_show": "1-0-0"},
    }  # fmt: skip
    entries = [Entry("read", 9, 8, {"broken_json": 1}), Entry("consent", 8, 8)]
    return SimpleNamespace(folder=folder / "prepared" / "versions" / "run-1", run=run, ledger=Ledger(entries))
