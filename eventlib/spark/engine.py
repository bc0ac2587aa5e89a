"""Spark as an engine of the column world."""

from __future__ import annotations

from typing import Any, ClassVar

import narwhals as nw
import pyarrow as pa

from eventlib.engine import Engine, Frame
from eventlib.spark.session import open_session, quiet

__all__ = ["SparkEngine"]


class SparkEngine(Engine):
    """Frames of one Spark session.

    Parameters
    ----------
    session
        A `pyspark.sql.SparkSession`; by default one beside the active session, or a new local one.
    """

    name: ClassVar[str] = "spark"

    def __init__(self, session: Any = None) -> None:
        self.session = session if session is not None else open_session()

    def frame(self, table: pa.Table) -> Frame:
        """Bring a table to the executors."""
        with quiet():
            return self.adopt(self.session.createDataFrame(table))

    def adopt(self, native: Any) -> Frame:
        """Return a Spark DataFrame as narwhals sees it."""
        made: Frame = nw.from_native(native).lazy()
        return made

    def checkpoint(self, frame: Frame) -> Frame:
        """Compute a frame and cut its plan, which would else grow with each stage and be computed once per use."""
        return self.adopt(self.hold(nw.to_native(frame)))

    def hold(self, native: Any) -> Any:
        """Compute a Spark DataFrame and cut its plan."""
        return native.localCheckpoint(eager=True)

    def forget(self, *kept: Frame) -> None:
        """Hold nothing: workers drop a checkpoint's blocks when nobody refers to it any more."""
