"""Durations and policies, read in one place."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventlib.errors import BadCallError
from eventlib.timing import Timing, read_duration


@pytest.mark.parametrize(
    ("given", "micros"),
    [
        ("30min", 1_800_000_000),
        ("30m", 1_800_000_000),
        ("3d", 259_200_000_000),
        ("1.5h", 5_400_000_000),
        ("250ms", 250_000),
        ("0s", 0),
        ("2 w", 1_209_600_000_000),
        (timedelta(hours=1, microseconds=1), 3_600_000_001),
    ],
)
def test_duration(given: str | timedelta, micros: int):
    assert read_duration("late", given) == micros


@pytest.mark.parametrize(
    "given", ["", "30", "min", "-1h", "1h30m", "1,5h", "٣h", "1y", "200000d", timedelta(-1), 3600]
)
def test_what_is_no_duration_is_named(given: object):
    with pytest.raises(BadCallError, match=r"--late takes a duration"):
        read_duration("--late", given)  # type: ignore[arg-type]  # as callers without types do


def test_unknown_policy_is_named_with_what_there_is():
    with pytest.raises(BadCallError, match=r"clock policy.*'devise'.*device"):
        Timing.of("devise")


def test_run_parameters_can_be_read_again():
    timing = Timing.of("segment", late="90s", ahead=timedelta(microseconds=7), session_gap="0s")
    written = {
        "clock": "segment",
        "late": "90s",
        "too_late": "3d",
        "ahead": "7us",
        "session_gap": "0d",
        "session_age": "1d",
    }
    assert timing.written() == written
    assert Timing.of(**written) == timing
