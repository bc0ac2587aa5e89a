"""Timing whole processes, in turn, so that a ratio holds when the machine's speed drifts."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

__all__ = ["Pairs", "machine", "paired", "run"]


def machine(*libraries: str) -> str:
    """Return what the figures were measured on."""
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}, "
        f"load {os.getloadavg()[0]:.1f} before the first run"
    )


def run(command: Sequence[str], *, quiet: bool = True) -> tuple[float, float]:
    """Run a command; return its wall seconds and the peak memory (GiB) of its largest process.

    Parameters
    ----------
    quiet
        Whether what it prints is thrown away.

    Raises
    ------
    SystemExit
        If it fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL if quiet else None)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command[:4])} failed with status {status}")
    return seconds, usage.ru_maxrss / 2**20


@dataclass(frozen=True, slots=True)
class Pairs:
    """Runs of one command and of another, in turn: (seconds, GiB) each."""

    mine: list[tuple[float, float]]
    theirs: list[tuple[float, float]]

    @property
    def ratios(self) -> list[float]:
        """Seconds of the first over seconds of the second, pair by pair."""
        return [mine[0] / theirs[0] for mine, theirs in zip(self.mine, self.theirs, strict=True)]

    def line(self, name: str, *, inverse: bool = False) -> str:
        """Return a row of a table; `inverse` gives how many times as long the second takes."""
        ratios = [1 / ratio for ratio in self.ratios] if inverse else self.ratios
        seconds = [statistics.median(seconds for seconds, _ in runs) for runs in (self.mine, self.theirs)]
        return (
            f"{name:<34} {seconds[0]:8.1f} s  {seconds[1]:8.1f} s  ratio {statistics.median(ratios):5.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} pairs)  {max(gib for _, gib in self.mine):.2f} GiB"
        )


def paired(mine: Sequence[str], theirs: Sequence[str], runs: int, *, warm: bool = True) -> Pairs:
    """Run two commands in turn, after one pair that is not counted."""
    measured = [(run(mine), run(theirs)) for _ in range(runs + warm)][warm:]
    return Pairs([pair[0] for pair in measured], [pair[1] for pair in measured])
