"""A simulated world with known truth: people, content, answer engines, and what goes wrong on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eventlib.errors import BadCallError
from eventlib.simulate.parameters import CHUNK_LINES, WorldParameters
from eventlib.simulate.world import World, chunks
from eventlib.simulate.write import LogWriter, TruthWriter, write_world

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SimulationResult", "WorldParameters", "simulate"]


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What was written: files in order, the folder of the truth, lines by planted fault ("" is none)."""

    files: list[Path]
    truth: Path
    events: int
    faults: dict[str, int]


def simulate(
    out: Path | str,
    events: int,
    seed: int,
    parameters: WorldParameters | None = None,
    progress: Callable[[int], object] | None = None,
    *,
    plain: bool = False,
    lines_per_file: int = CHUNK_LINES,
) -> SimulationResult:
    """Write a simulated log of exactly `events` lines, and the truth about it.

    The same `events`, `seed` and `parameters` give the same lines, byte by byte, however they are
    compressed or split over files.

    Parameters
    ----------
    out
        Folder for `events-0000.ndjson.gz` … and `truth/`; event files of an earlier run in it are removed.
    events
        Number of lines, duplicates and broken ones included.
    seed
        Seed of all randomness, at least 0.
    parameters
        The rates of the world; the defaults if None.
    progress
        Called with the number of lines written since the last call.
    plain
        Write `.ndjson` instead of `.ndjson.gz`.
    lines_per_file
        Lines in each file but the last.

    Raises
    ------
    BadCallError
        If a number is out of range.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     result = simulate(folder, events=300, seed=1)
    ...     [path.name for path in result.files], sum(result.faults.values())
    (['events-0000.ndjson.gz'], 300)
    >>> simulate("out", events=-1, seed=1)
    Traceback (most recent call last):
    eventlib.errors.BadCallError: events=-1 cannot be simulated; it must be at least 0
    """
    for name, value, least in (
        ("events", events, 0),
        ("seed", seed, 0),
        ("lines_per_file", lines_per_file, 1),
    ):
        if value < least:
            raise BadCallError(f"{name}={value} cannot be simulated; it must be at least {least}")
    world = World.build(events, seed, parameters or WorldParameters())
    folder = Path(out)
    log, truth = LogWriter(folder, plain=plain, lines_per_file=lines_per_file), TruthWriter(folder / "truth")
    faults: Counter[str] = Counter()
    try:
        for chunk in chunks(world):
            log.add(chunk.raw)
            truth.add(chunk)
            faults.update(chunk.faults)
            if progress is not None:
                progress(len(chunk.raw))
    finally:
        log.close()
        truth.close()
    write_world(folder / "truth", world, faults)
    return SimulationResult(log.files, folder / "truth", events, dict(faults))
