"""Reading the frames that `el.properties` returns: plain numpy columns, and whose rows may be analysed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Texts: TypeAlias = NDArray[np.object_]

__all__ = [
    "analysable",
    "days",
    "flags",
    "microseconds",
    "months",
    "numbers",
    "persons",
    "prompt_days",
    "texts",
]


_DAY_US: Final = 86_400_000_000
_ARROW_TIME: Final = "timestamp[us, tz=UTC][pyarrow]"


def texts(frame: pd.DataFrame, name: str, absent: str = "") -> Texts:
    """Return a text column as objects, `absent` where it is null or the frame has no such column.

    >>> texts(pd.DataFrame({"a": ["x", None]}), "a"), texts(pd.DataFrame({"a": ["x"]}), "b", "-")
    (array(['x', ''], dtype=object), array(['-'], dtype=object))
    """
    if name not in frame:
        return np.full(len(frame), absent, dtype=object)
    values: Texts = frame[name].astype(object).where(frame[name].notna(), absent).to_numpy(dtype=object)
    return values


def numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a number column as float64, NaN where it is null or missing.

    >>> numbers(pd.DataFrame({"a": [1, None]}), "a")
    array([ 1., nan])
    """
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def flags(frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Return a boolean column, False where it is null or missing."""
    if name not in frame:
        return np.zeros(len(frame), dtype=bool)
    return frame[name].to_numpy(dtype=bool, na_value=False)


def microseconds(frame: pd.DataFrame, name: str = "event_time") -> NDArray[np.int64]:
    """Return a UTC time column as microseconds since 1970; none of a frame without rows, whatever its columns."""
    if not len(frame):
        return np.empty(0, dtype=np.int64)
    column = frame[name]
    if (
        str(column.dtype) == _ARROW_TIME and not column.hasnans
    ):  # a tenth of the time: no object is made of each
        return np.asarray(column.astype("int64[pyarrow]"), dtype=np.int64)
    times = pd.to_datetime(pd.Series(column.to_numpy()), utc=True)
    return times.to_numpy(dtype="datetime64[us]").astype(np.int64)


def days(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Return the days since 1970, UTC, of the events' times."""
    return microseconds(frame) // _DAY_US


def prompt_days(frame: pd.DataFrame) -> Texts:
    """Return prompt and day of each answer, "p-1@20600": what counts as one observation of a probe (S7.6)."""
    return np.array(
        [f"{prompt}@{day}" for prompt, day in zip(texts(frame, "prompt_id"), days(frame), strict=True)],
        dtype=object,
    )


def months(frame: pd.DataFrame, name: str = "event_time") -> NDArray[np.int64]:
    """Return the months since January 1970 of a UTC time column."""
    return microseconds(frame, name).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def persons(frame: pd.DataFrame) -> Texts:
    """Return the person, else the device, else "": an event without a person has someone behind it."""
    person = texts(frame, "person_id")
    return np.where(person == "", texts(frame, "anonymous_id"), person)


def analysable(frame: pd.DataFrame, observation: str | None = None) -> pd.DataFrame:
    """Return the rows that allow analytics and are no bot's, of one way of observing if it is named.

    Bots leave before anything is averaged (S6); observations are never pooled (DESIGN section 4). A frame
    without the column in question keeps all its rows.
    """
    kept = np.ones(len(frame), dtype=bool)
    if "allow_analytics" in frame:
        kept &= flags(frame, "allow_analytics")
    if "agent" in frame:
        kept &= frame["agent"].isna().to_numpy(dtype=bool)
    if observation is not None and "observation" in frame:
        kept &= texts(frame, "observation") == observation
    return frame[kept]
