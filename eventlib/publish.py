"""Publishing a folder whole: written aside, moved in one step, then the pointer to it swapped.

A process killed at any moment leaves the last good version in place and nothing half-written where readers look.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from eventlib.errors import BadCallError

__all__ = ["alone", "discard", "enough_space", "lasting", "publish", "publish_once", "workplace"]

_PREFIX: Final = ".work-"
_FULL: Final = ("No space left", "Disk quota exceeded", "max_temp_directory_size")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sweep(folder: Path) -> None:
    """Remove what killed runs left behind; a run under way is told by its process id."""
    for leftover in folder.glob(f"{_PREFIX}*"):
        pid = leftover.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Give a fresh folder inside `folder`, on the same file system, removed at the end if it is still there."""
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs from publishing in a folder meanwhile; they wait. The folder itself is locked: no file is left."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lasting(folder: Path) -> list[Path]:
    """Return what lies in a folder and stays: not the workplaces of runs, its own among them."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(_PREFIX))


def discard(version: Path, folder: Path) -> None:
    """Remove a version of the dataset in `folder`: out of sight in one step, so that the next run ends what a killed one began."""
    aside = folder / f"{_PREFIX}{os.getpid()}-{version.name}"
    version.rename(aside)
    shutil.rmtree(aside)


@contextmanager
def enough_space(folder: Path, needed: int) -> Iterator[None]:
    """Refuse work that the disk will not do: before it, where that is clear, and in plain words where it fills up.

    Parameters
    ----------
    folder
        Where the work and its result go.
    needed
        The least that it takes, in bytes.

    Raises
    ------
    BadCallError
        If less is free, or the disk is full before the work is done.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise BadCallError(
            f"{folder}: the work takes at least {needed / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free there; "
            "choose another place, or make room"
        )
    try:
        yield
    except Exception as error:
        if any(words in str(error) for words in _FULL):
            raise BadCallError(f"{folder}: the disk is full; nothing was published") from error
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_other(pointer: Path) -> None:
    if pointer.exists() and not pointer.is_symlink():
        raise BadCallError(
            f"{pointer} is no link: eventlib points it at the last good version, so move what is there out of the way"
        )


def publish(made: Path, target: Path, pointer: Path) -> None:
    """Move the finished folder `made` to `target` and point the symlink `pointer` at it, each in one step.

    Parameters
    ----------
    made
        Finished folder, on the same file system as `target`.
    target
        Where it goes; must not exist.
    pointer
        Symlink beside or above `target`; swapped by `os.replace`.

    Raises
    ------
    BadCallError
        If something else than a symlink is in the pointer's place; then nothing is published.
    """
    _refuse_other(pointer)
    for path in sorted(made.rglob("*")):
        if path.is_file():
            _sync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.chmod(0o755)  # a temporary folder is private
    made.rename(target)
    _sync(target.parent)
    _point(pointer, target)


def publish_once(made: Path, target: Path, pointer: Path) -> None:
    """Publish like `publish`; where `target` is there already, holding the same, only point at it.

    For folders whose name is of what they hold. Another run may publish the same at the same time.
    """
    with alone(pointer.parent):
        if target.exists():
            _refuse_other(pointer)
            _point(pointer, target)
        else:
            publish(made, target, pointer)


def _point(pointer: Path, target: Path) -> None:
    fresh = pointer.with_name(f"{_PREFIX}{os.getpid()}-{pointer.name}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(os.path.relpath(target, pointer.parent))
    fresh.replace(pointer)
    _sync(pointer.parent)
