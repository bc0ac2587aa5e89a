"""Spark gives what the embedded engines give, on a cluster, in other time zones than UTC."""

from __future__ import annotations

import functools
import gzip
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
import zstandard
from typer.testing import CliRunner

import eventlib as el
from eventlib.cli import app
from eventlib.errors import BadCallError
from eventlib.prepared import Prepared
from eventlib.pseudonyms import rotate_key
from eventlib.spark import preparing, rows
from eventlib.spark.session import open_session, quiet
from eventlib.stage import StageResult
from tests.factory import KEY, event, lenient_policy, line, login, write_log
from tests.foreign import foreign_log
from tests.spark.conftest import WORKERS, workers_of
from tests.unit.sources.test_decode import HOSTILE
from tests.unit.sources.test_segment import PAGE
from tests.unit.test_prepare import lines as everything

pytestmark = pytest.mark.slow

TABLES = ("events", "sessions", "people", "quarantine", "registry", "refused_merges", "evidence")
lines = everything  # a few hundred lines with something of everything


@pytest.fixture(scope="module")
def logs(lines: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain file of several ranges, archives, one of them broken off, and lines that hurt."""
    folder = tmp_path_factory.mktemp("logs")
    hostile = [item for raw in HOSTILE for item in (line(event()), raw + b"\n")]
    (folder / "plain.ndjson").write_bytes(b"".join(lines[:250] + hostile))
    (folder / "packed.ndjson.gz").write_bytes(gzip.compress(b"".join(lines[250:300])))
    (folder / "packed.jsonl.zst").write_bytes(zstandard.compress(b"".join(lines[300:])))
    broken = gzip.compress(b"".join(line(event(n)) for n in range(50)))
    (folder / "broken.ndjson.gz").write_bytes(broken[: len(broken) // 2])
    some = [event(n, event_id=f"array-{n}") for n in range(40)]
    (folder / "array.json").write_bytes(orjson.dumps(some, option=orjson.OPT_INDENT_2))
    calls = [
        {**PAGE, "messageId": f"m-{n}", "originalTimestamp": "soon" if n % 9 == 0 else PAGE["timestamp"]}
        for n in range(200)
    ]
    batches = [orjson.dumps({"batch": calls[at : at + 7]}) for at in range(0, len(calls), 7)]
    (folder / "segment.json").write_bytes(b"\n".join(batches))
    (folder / "snowplow.tsv").write_bytes(
        foreign_log([event(n, event_id=f"sp-{n}") for n in range(40)], "snowplow")
    )
    return folder


def assert_same(one: Prepared, other: Prepared) -> None:
    assert one.run["row_digest"] == other.run["row_digest"]
    assert one.ledger.to_list() == other.ledger.to_list()
    for name in ("inputs", "repairs", "withheld", "consent", "judged_by"):
        assert one.run[name] == other.run[name], name
    for name in TABLES:
        left, right = (getattr(found, name) for found in (one, other))
        assert left.equals(right), name


def test_the_application_has_both_workers_and_no_local_zone(spark: Any):
    assert workers_of(spark) == WORKERS
    assert time.tzname == ("EST", "EDT")
    assert spark.conf.get("spark.sql.session.timeZone") == "Asia/Kolkata"
    assert open_session().conf.get("spark.sql.session.timeZone") == "UTC"


def test_prepare_on_the_cluster_is_prepare_on_duckdb(
    spark: Any, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(preparing, "read_rows_on", functools.partial(rows.read_rows_on, block=1 << 16))
    policy = lenient_policy(tmp_path)
    embedded = el.prepare(logs, policy=policy, max_rejected=1.0)
    master = spark.sparkContext.master
    monkeypatch.chdir(tmp_path)  # where the workers are not
    out = Path("out")
    options = [
        "--out",
        out,
        "--policy",
        policy,
        "--max-rejected",
        1.0,
        "--engine",
        "spark",
        "--master",
        master,
    ]
    result = CliRunner().invoke(app, ["prepare", str(logs), *map(str, options)])
    assert result.exit_code == 0, result.output
    remote = el.load(out)
    assert len(remote.events) > 300
    assert_same(embedded, remote)
    assert remote.run["spark"]["master"] == master
    parts = sorted((remote.folder / "events").iterdir())
    assert [part.name for part in parts] == [f"part-{n:05d}.parquet" for n in range(len(parts))]
    assert not list(out.glob(".work-*"))


@pytest.mark.usefixtures("spark")
def test_who_was_erased_stays_so_on_the_cluster(tmp_path: Path) -> None:
    """Under this key and a retired one; by node, and by the events of a session, which no identifier of their own tells."""
    day = 86400
    key, policy = tmp_path / "key", lenient_policy(tmp_path)
    key.write_text(KEY)
    records = [
        *(login(0, anonymous_id="a-1", user_id="u-1"), event(10, anonymous_id="a-1")),
        *(login(day, anonymous_id="a-1", user_id="u-2"), event(day + 10, anonymous_id="a-1")),
        login(2 * day, anonymous_id="a-1", user_id="u-3", event_id="kept"),
        event(day, anonymous_id="a-2", event_id="kept too"),
    ]
    log = write_log(tmp_path / "log.ndjson", records)
    how: dict[str, Any] = {"policy": policy, "key": key}
    options = {**how, "max_rejected": 1.0}
    el.erase(el.prepare(log, out=tmp_path / "data", **options), ["user_id:u-1"], **how)
    rotate_key(key)
    el.erase(el.prepare(log, out=tmp_path / "data", **options), ["user_id:u-2"], **how)
    found = el.prepare(log, engine="spark", out=tmp_path / "spark", **options)
    assert sorted(found.events["event_id"]) == ["kept", "kept too"]
    assert_same(found, el.prepare(log, **options))


@pytest.mark.usefixtures("spark")
def test_another_master_than_the_sessions_is_refused():
    with pytest.raises(BadCallError, match=r"a Spark session on spark://127\.0\.0\.1:\d+ is active"):
        open_session("local[*]")


@pytest.mark.parametrize(
    ("master", "message"),
    [
        ("spark://127.0.0.1:1", "no Spark master answers at spark://127.0.0.1:1"),
        ("spark://nowhere", "written spark://HOST:PORT, not 'spark://nowhere'"),
    ],
)
def test_a_master_that_is_not_there_is_refused_at_once(tmp_path: Path, master: str, message: str):
    pytest.importorskip("pyspark", reason="PySpark is not installed")
    log = write_log(tmp_path / "log.ndjson", [event()])
    command = [sys.executable, "-m", "eventlib", "prepare", log, "--out", tmp_path / "out"]
    found = subprocess.run(
        [*map(str, command), "--engine", "spark", "--master", master],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert found.returncode == 2
    assert message in found.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def canonical(logs: Path) -> pa.Table:
    """A canonical frame, as `el.read` gives it."""
    return el.read(logs / "plain.ndjson").log.events()


def _rows(frame: Any) -> list[dict[str, Any]]:
    table = frame if isinstance(frame, pa.Table) else frame.toArrow()
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


STAGES: dict[str, Callable[[Any], StageResult]] = {
    "order": el.order,
    "sessionize": el.sessionize,
    "merge_identities": el.merge_identities,
    "filter_consent": lambda frame: el.filter_consent(frame, ["analytics", "training"]),
}


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_stages_take_a_spark_frame_and_give_one_back(spark: Any, canonical: pa.Table, stage: str):
    from pyspark.sql import DataFrame

    ansi = "false" if stage == "order" else "true"
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    try:
        with quiet():
            found = STAGES[stage](spark.createDataFrame(canonical))
        expected = STAGES[stage](canonical)
        assert isinstance(found.events, DataFrame)
        assert found.entry == expected.entry
        assert found.events.columns == expected.events.column_names

        def place(row: dict[str, Any]) -> tuple[Any, ...]:
            return row["file"], row["line"]

        if stage == "order":
            assert _rows(found.events) == _rows(expected.events)
        assert sorted(_rows(found.events), key=place) == sorted(_rows(expected.events), key=place)
        assert sorted(_rows(found.removed), key=place) == sorted(_rows(expected.removed), key=place)
    finally:
        spark.conf.set("spark.sql.ansi.enabled", before)
