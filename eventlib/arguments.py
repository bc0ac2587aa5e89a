"""Arguments as callers write them, checked once at the public edge: paths, logs, texts, numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, Final, TypeAlias

from eventlib.errors import BadCallError

__all__ = ["AnyPath", "as_logs", "as_path", "check_types", "refuse_name"]

AnyPath: TypeAlias = str | os.PathLike[str]

_WORDS: Final[Mapping[type, str]] = {str: "a text", Real: "a number"}


def refuse_name(path: AnyPath) -> None:
    r"""Refuse a path that a dataset could not write down.

    Raises
    ------
    BadCallError
        If its name is not UTF-8, or holds what no name can.

    Examples
    --------
    >>> refuse_name("log-\udcff.ndjson")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: the file name 'log-\udcff.ndjson' is not UTF-8: rename it
    """
    text = os.fspath(path)
    if "\0" in text:
        raise BadCallError(f"no file can have the name {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadCallError(f"the file name {text!r} is not UTF-8: rename it") from error


def as_path(argument: str, value: AnyPath) -> Path:
    """Return the path that an argument names, be it a text or a Path.

    Raises
    ------
    BadCallError
        If it is neither.

    Examples
    --------
    >>> as_path("key", b"key.txt")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: key takes a path, as a text or a Path, not b'key.txt'
    """
    try:
        path = Path(value)
    except TypeError as error:
        raise BadCallError(f"{argument} takes a path, as a text or a Path, not {value!r}") from error
    refuse_name(path)
    return path


def as_logs(value: AnyPath | Iterable[AnyPath]) -> list[AnyPath]:
    """Return the logs that a caller named: one path, or several.

    Raises
    ------
    BadCallError
        If something among them is no path.
    """
    if isinstance(value, bytes) or not isinstance(value, str | os.PathLike | Iterable):
        raise BadCallError(f"logs takes paths, folders or patterns, not {value!r}")
    named = [value] if isinstance(value, str | os.PathLike) else list(value)
    for each in named:
        as_path("logs", each)
    return named


def check_types(arguments: Mapping[str, tuple[Any, type]]) -> None:
    """Refuse an argument of another type than its own.

    Parameters
    ----------
    arguments
        By name, the value and its type: str or Real.

    Raises
    ------
    BadCallError
        If one of them has another.
    """
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind):
            raise BadCallError(f"{name} takes {_WORDS[kind]}, not {value!r}")
