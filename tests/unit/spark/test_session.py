"""What is told of Spark where none runs."""

from __future__ import annotations

import pytest

from eventlib.errors import BadCallError
from eventlib.spark.session import SparkFailedError, failures_told, refuse_master


class Py4JJavaError(Exception):
    """As py4j raises it."""


Py4JJavaError.__module__ = "py4j.protocol"


def test_what_spark_says_becomes_one_message():
    with (
        pytest.raises(SparkFailedError, match=r"nothing was published: Job aborted\. Executor lost$"),
        failures_told(),
    ):
        raise Py4JJavaError("Job aborted.\n\nExecutor lost\n\tat org.apache.spark.scheduler")


def test_other_errors_pass():
    with pytest.raises(KeyError), failures_told():
        raise KeyError("ours")


def test_no_java_is_told(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pyspark", reason="PySpark is not installed")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(BadCallError, match="needs Java 17 or later"):
        refuse_master(None)
