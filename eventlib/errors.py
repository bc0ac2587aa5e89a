"""Errors a caller can act on: what was wrong, what was available, what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar, Self

__all__ = [
    "BadCallError",
    "DataRefusedError",
    "EventlibError",
    "GateRefusedError",
    "KernelDiedError",
    "NotebookFailedError",
]


class EventlibError(Exception):
    """Base of all errors raised on purpose; `code` is stable, `exit_code` is what the shell sees."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1


def _hint(wanted: str, available: Iterable[str]) -> str:
    names = sorted(available)
    close = get_close_matches(wanted, names, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Available: {', '.join(names) or 'none'}."


class BadCallError(EventlibError, ValueError):
    """A call that cannot be carried out as it was written."""

    code = "bad_call"
    exit_code = 2

    @classmethod
    def unknown(cls, what: str, wanted: str, available: Iterable[str]) -> Self:
        """Name something that does not exist, with the nearest that does.

        >>> raise BadCallError.unknown("engine", "duckbd", ["duckdb", "polars"])
        Traceback (most recent call last):
        eventlib.errors.BadCallError: unknown engine 'duckbd'. Did you mean 'duckdb'? Available: duckdb, polars.
        """
        return cls(f"unknown {what} {wanted!r}.{_hint(wanted, available)}")

    @classmethod
    def missing_columns(cls, stage: str, missing: Iterable[str], available: Iterable[str]) -> Self:
        """Name the columns that a stage needs and did not get."""
        return cls(
            f"{stage} needs the columns {', '.join(sorted(missing))}, which the frame does not have. "
            f"It has: {', '.join(sorted(available))}."
        )


class DataRefusedError(EventlibError):
    """The data cannot be used as it is: too much rejected or withheld, or no basis for using it."""

    code = "data_refused"
    exit_code = 3


class NotebookFailedError(EventlibError):
    """A notebook raised, or its report did not pass the checks before publication."""

    code = "notebook_failed"
    exit_code = 4


class KernelDiedError(EventlibError):
    """The kernel that ran a notebook died or could not start."""

    code = "kernel_died"
    exit_code = 5


class GateRefusedError(EventlibError):
    """A numbered gate refused the export of a signal bundle."""

    code = "gate_refused"
    exit_code = 6
