"""A real Spark for tests: a standalone master and two workers on loopback, started once and stopped for certain."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlib.spark.session import quiet

_START_SECONDS = 60
WORKERS = 2
_SHORT_LIVED = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # for two minutes, thorough compilation does not pay
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(ready: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} within {_START_SECONDS} s")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a master with two workers of one core and 512 MB each; skips where PySpark or Java is missing."""
    pytest.importorskip("pyspark", reason="PySpark is not installed")
    if not shutil.which("java"):
        pytest.skip("Java is not installed")
    from pyspark.find_spark_home import _find_spark_home

    run = [str(Path(_find_spark_home()) / "bin" / "spark-class")]
    deploy = "org.apache.spark.deploy"
    folder = tmp_path_factory.mktemp("spark")
    port = _free_port()
    master = f"spark://127.0.0.1:{port}"
    place = ["--host", "127.0.0.1", "--webui-port", "0"]
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "192m"}
    environment["SPARK_DAEMON_JAVA_OPTS"] = _SHORT_LIVED
    commands = [[*run, f"{deploy}.master.Master", *place, "--port", str(port)]]
    room = ["--cores", "1", "--memory", "512m", "--work-dir", str(folder / "work")]
    commands += [[*run, f"{deploy}.worker.Worker", *place, *room, master]] * WORKERS
    started: list[subprocess.Popen[bytes]] = []
    with (folder / "daemons.log").open("wb") as log:
        try:
            for command in commands:
                started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
                _wait(lambda: _answers(port), "no Spark master")
            yield master
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@pytest.fixture(scope="session")
def spark(cluster: str) -> Iterator[Any]:
    """A session on the cluster, in a time zone that is neither UTC nor the process's own (New York)."""
    from pyspark.sql import SparkSession

    before = {name: os.environ.get(name) for name in ("TZ", "PYSPARK_PYTHON")}
    os.environ |= {"TZ": "America/New_York", "PYSPARK_PYTHON": sys.executable}
    time.tzset()
    settings = {
        "spark.sql.session.timeZone": "Asia/Kolkata",
        "spark.sql.shuffle.partitions": "2",
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # nor does generating code, or planning anew between stages
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.driver.extraJavaOptions": _SHORT_LIVED,
        "spark.executor.extraJavaOptions": _SHORT_LIVED,
        "spark.executor.memory": "512m",
        "spark.driver.memory": "512m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    builder = SparkSession.builder.appName("eventlib tests").master(cluster)
    for name, value in settings.items():
        builder = builder.config(name, value)
    with quiet():
        session = builder.getOrCreate()
    try:
        session.sparkContext.setLogLevel("ERROR")
        _wait(lambda: workers_of(session) == WORKERS, "not all workers")
        yield session
    finally:
        session.stop()
        for name, old in before.items():
            os.environ.pop(name, None)
            if old is not None:
                os.environ[name] = old
        time.tzset()


def workers_of(session: Any) -> int:
    """How many executors the application has; the driver is counted among them."""
    return int(session.sparkContext._jsc.sc().getExecutorMemoryStatus().size()) - 1
