"""A simulated world with known truth: people, content, answer engines, and what goes wrong on the way.

What it assumes; every rate stands in `WorldParameters` and in `truth/world.json`:

- **Content.** Pages of standardised quality in topics. Statistics, quotations, sources and reading ease tell of
  quality with noise. For each prompt a pool of twelve pages has a relevance (quality and match), from which come
  the log odds of being cited, the logit of a click once seen, the retrieval score, and, correlated with it by
  `kappa`, the usual position.
- **The site's assistant.** Eight of the pool are retrieved by noisy score; three to five are cited by a
  Plackett-Luce draw; positions follow the usual position plus `swap_noise`, drawn anew for each answer: these are
  the swaps that identify exposure. A click is a look (by slot and rank alone) times an interest (by prompt, page
  and person): the position-based model, but for `trust_bias`, which is 0. Slots are drawn independently of pages.
- **Reading.** Active time is log-normal, its median by page and person. Beats come every `heartbeat_ms`, up to
  `heartbeats_max`; exits are missing at random, or by length where `exit_missing_slope` is not 0.
- **Edits.** Each page is edited at most once, in the middle of the window. A lift enters the log odds of being
  cited, the logit of a click and the log median of reading, at the assistant at once, at other engines' lists
  from the fetch by which they learn of it. Null edits change the features alone. Beside this each page's log odds
  of being cited drift by a weekly random walk. Lists are zero-sum: what one page gains others lose.
- **Third-party engines.** Probes see answers, ours and rivals' pages in them, never clicks; visits land with a
  referrer, a utm_source, a text fragment, or nothing. Neither is joined to the other.
- **People.** One to a dozen visits each, on a phone, laptop, work machine, a tablet shared by two, or a public
  kiosk. Cookies change with resets and clearing. Consent is said per device, mostly alike on all devices of a
  person; some withdraw on one device, a few of them grant again.
- **Transport.** Clocks are wrong by a constant, or jump once; queues, retries and pipeline delays act on what is
  sent together. The server's own events have a true clock and no `sent_at`.

What it leaves out: seasons, news, people who learn, engines that react to each other, correlated reruns of a
prompt, drift of examination. What holds here need not hold in a real log.
"""

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
