"""Spark gives what the embedded engines give, on a cluster, in other time zones than UTC."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from eventlib.consent import load_policy
from eventlib.engine import connect, engine
from eventlib.errors import BadCallError
from eventlib.flow import Flow
from eventlib.narrow import encode
from eventlib.pseudonyms import Pseudonymiser
from eventlib.rows import Log, read_rows
from eventlib.spark.session import open_session
from tests.factory import KEY, lenient_policy, write_log
from tests.spark.conftest import WORKERS, workers_of
from tests.unit.test_prepare import lines as everything

pytestmark = pytest.mark.slow

lines = everything  # a few hundred lines with something of everything


@pytest.fixture(scope="module")
def log(lines: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Log:
    folder = tmp_path_factory.mktemp("log")
    return read_rows(write_log(folder / "log.ndjson", lines), key=bytes.fromhex(KEY), work=folder)


def stages(log: Log, policy: Path, name: str) -> dict[str, pa.Table]:
    """Everything that the stages decide, stage by stage, sorted by row."""
    judged_by, pseudonym = load_policy(policy), Pseudonymiser(bytes.fromhex(KEY))
    with connect() as connection:
        narrow = encode(connection, log.folder, pseudonym, judged_by.impersonal_names)
    flow = Flow(narrow, engine(name), judged_by, pseudonym, log.entry)
    consented = flow.consent(flow.clock())
    ordered, late = flow.order(consented)
    numbered = flow.sessions(ordered)
    people = flow.identify(numbered)
    kept = flow.result(numbered, people).sort_by("row")
    ledger = pa.table({"ledger": [str(flow.ledger.to_list())]})
    return {
        "kept": kept.select(sorted(kept.column_names)),
        "late": late.sort_by("row"),
        "people": people.people,
        "registry": people.registry,
        "refused": people.refused,
        "ledger": ledger,
    }


def test_the_application_has_both_workers_and_no_local_zone(spark: Any):
    assert workers_of(spark) == WORKERS
    assert time.tzname == ("EST", "EDT")
    assert spark.conf.get("spark.sql.session.timeZone") == "Asia/Kolkata"
    assert open_session().conf.get("spark.sql.session.timeZone") == "UTC"


@pytest.mark.usefixtures("spark")
def test_stages_decide_as_on_duckdb(log: Log, tmp_path: Path):
    policy = lenient_policy(tmp_path)
    embedded, remote = (stages(log, policy, name) for name in ("duckdb", "spark"))
    assert len(embedded["kept"]) > 300
    for name, table in embedded.items():
        assert remote[name].to_pylist() == table.to_pylist(), name


@pytest.mark.usefixtures("spark")
def test_another_master_than_the_sessions_is_refused():
    with pytest.raises(BadCallError, match=r"a Spark session on spark://127\.0\.0\.1:\d+ is active"):
        open_session("local[*]")


@pytest.mark.parametrize(
    ("master", "message"),
    [
        ("spark://127.0.0.1:1", r"no Spark master answers at spark://127\.0\.0\.1:1 .*refused"),
        ("spark://nowhere", r"written spark://HOST:PORT, not 'spark://nowhere'"),
    ],
)
def test_a_master_that_is_not_there_is_refused_at_once(master: str, message: str):
    pytest.importorskip("pyspark", reason="PySpark is not installed")
    start = time.monotonic()
    with pytest.raises(BadCallError, match=message):
        open_session(master)
    assert time.monotonic() - start < 10
