"""The Spark session: opened once, in UTC, and refused in seconds where the master does not answer."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from eventlib.errors import BadCallError, EventlibError

__all__ = ["LOCAL", "SparkFailedError", "failures_told", "open_session", "quiet", "refuse_master"]

LOCAL: Final = "local[*]"
_ANSWER_SECONDS: Final = 5
_WORKER_SECONDS: Final = 60
_STANDALONE: Final = "spark://"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class SparkFailedError(EventlibError):
    """Spark gave up: a worker was lost, or ran out of memory or disk."""

    code: ClassVar[str] = "spark_failed"


@contextmanager
def failures_told() -> Iterator[None]:
    """Tell in one message why Spark gave up, instead of the stack traces of three processes."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"pyspark", "py4j"}:
            raise
        said = [text for text in str(error).splitlines() if text.strip()]
        raise SparkFailedError(f"Spark gave up, nothing was published: {' '.join(said[:2])[:400]}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence PySpark's warning that its pandas paths do not know pandas 3: only Arrow passes here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        yield


def _addresses(master: str) -> list[tuple[str, int]]:
    """Return host and port of each master that `spark://host:port,host:port` names."""
    found = []
    for place in master.removeprefix(_STANDALONE).split(","):
        host, _, port = place.rpartition(":")
        if not host or not port.isdigit():
            raise BadCallError(f"a Spark master is written spark://HOST:PORT, not {master!r}")
        found.append((host.strip("[]"), int(port)))
    return found


def _refuse_silent(master: str) -> None:
    """Spark itself waits for minutes where nobody listens."""
    reasons = []
    for host, port in _addresses(master):
        try:
            socket.create_connection((host, port), timeout=_ANSWER_SECONDS).close()
        except OSError as error:
            reasons.append(f"{host}:{port}: {error.strerror or error}")
        else:
            return
    raise BadCallError(
        f"no Spark master answers at {master} ({'; '.join(reasons)}); start one, or take --master {LOCAL}"
    )


def refuse_master(master: str | None) -> None:
    """Refuse what a session cannot be opened on, before anything is read.

    Raises
    ------
    BadCallError
        If PySpark or Java is missing, or nobody answers at a standalone master.
    """
    _refuse_missing()
    if master is not None and master.startswith(_STANDALONE):
        _refuse_silent(master)


def _refuse_missing() -> None:
    try:
        importlib.import_module("pyspark")
    except ModuleNotFoundError as error:
        raise BadCallError("engine 'spark' needs pyspark: pip install 'eventlib[spark]'") from error
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(os.path.join(home, "bin", "java") if home else "java"):  # noqa: PTH118  # `which` takes text
        raise BadCallError("Spark needs Java 17 or later, and there is none: install one, or set JAVA_HOME")


def _refuse_idle(spark: Any, master: str) -> None:
    """Refuse a master without free workers, for which Spark would wait without end."""
    until = time.monotonic() + _WORKER_SECONDS
    # the driver counts as one
    while spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() < 2:  # noqa: SLF001  # no public way
        if time.monotonic() > until:
            spark.stop()
            raise BadCallError(
                f"the Spark master {master} gave no worker within {_WORKER_SECONDS} s: none is free, or none is there"
            )
        time.sleep(0.1)


def _made(master: str) -> Any:
    from pyspark.sql import SparkSession  # noqa: PLC0415  # an optional engine

    # workers run this interpreter unless the caller names theirs; without it they run whatever `python3` is
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("eventlib").master(master).config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    # a stack trace per column expression, over a socket: half of the driver's time on small logs
    builder = builder.config("spark.python.sql.dataFrameDebugging.enabled", "false")
    if os.environ.get("PYTHONPATH"):
        builder = builder.config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"])
    if master.startswith("local") or any(f"//{host}:" in master for host in _LOOPBACK):
        builder = builder.config("spark.driver.host", "127.0.0.1").config(
            "spark.driver.bindAddress", "127.0.0.1"
        )
    with quiet():
        made = builder.getOrCreate()
    made.sparkContext.setLogLevel("ERROR")  # what matters is raised
    return made


def _settle(spark: Any) -> Any:
    """Return a session beside the caller's, with the settings that results must not depend on."""
    own = spark.newSession()
    partitions = "spark.sql.shuffle.partitions"
    for name, value in (
        (partitions, spark.conf.get(partitions)),
        ("spark.sql.session.timeZone", "UTC"),
        ("spark.sql.ansi.enabled", "true"),
        ("spark.sql.caseSensitive", "true"),
        ("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS"),
    ):
        own.conf.set(name, value)
    return own


def open_session(master: str | None = None) -> Any:
    """Return a Spark session in UTC: one beside the active session, or a new one on `master`.

    Parameters
    ----------
    master
        As Spark takes it: `spark://HOST:PORT`, `local[*]`, `yarn`, …; by default that of the active session, else
        `local[*]`.

    Raises
    ------
    BadCallError
        If PySpark or Java is missing, no master answers, it has no worker, or another session runs in this process.
    """
    refuse_master(master)
    from pyspark.sql import SparkSession  # noqa: PLC0415  # an optional engine

    wanted = master or LOCAL
    active = SparkSession.getActiveSession()
    if active is not None:
        if master not in (None, active.sparkContext.master):
            raise BadCallError(
                f"a Spark session on {active.sparkContext.master} is active in this process; stop it, or leave the master out"
            )
        return _settle(active)
    spark = _made(wanted)
    if wanted.startswith(_STANDALONE):
        _refuse_idle(spark, wanted)
    return _settle(spark)
