"""What adding one day to thirty costs, against preparing all thirty-one at once.

    python -m benchmarks.incremental [--events 1000000] [--runs 3] [--log DIR]

Whole processes, imports included, in turn; the ratio is taken pair by pair. Processor time stands beside the clock's, since
the full run keeps more cores busy. Both give the same bytes, which is checked.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from eventlib.simulate import WorldParameters, simulate

DAYS = 31
_ARRIVED = re.compile(rb'"received_at": ?"(\d{4}-\d\d-\d\d)')


def by_day(log: Path, folder: Path) -> list[Path]:
    """Write the last whole days of a log by day of arrival, one file each; lines without a time go with the last.

    After the log's last day come days of stragglers alone: these are left out, since nobody's day looks like them.
    """
    days: dict[bytes, list[bytes]] = {}
    rest: list[bytes] = []
    for file in sorted(log.glob("*.ndjson*")):
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for raw in data.splitlines(keepends=True):
            found = _ARRIVED.search(raw)
            (days.setdefault(found[1], []) if found else rest).append(raw)
    usual = statistics.median(len(lines) for lines in days.values())
    last = sorted(day for day, lines in days.items() if len(lines) > usual / 2)[-DAYS:]
    days[last[-1]] += rest
    folder.mkdir()
    files = []
    for day in last:
        file = folder / f"{day.decode()}.ndjson.gz"
        file.write_bytes(gzip.compress(b"".join(days[day]), 1))
        files.append(file)
    return files


def spent(command: Iterable[str | Path]) -> tuple[float, float]:
    """Run a command; return wall and processor seconds, its workers' included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--log", type=Path, help="a simulated log, instead of a fresh one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = arguments.log or folder / "log"
        if arguments.log is None:
            # the shortest world has 42 days: simulate as much more, and take its last 31
            simulate(log, arguments.events * 42 // DAYS, 11, replace(WorldParameters(), days=42))
        files = by_day(log, folder / "days")
        key = folder / "key"
        key.write_text("ab" * 32)
        prepare: list[str | Path] = [sys.executable, "-m", "eventlib", "prepare", "--key", key]
        spent([*prepare, *files[:-1], "--out", folder / "base"])
        registry = folder / "base/current/registry.parquet"
        pairs = []
        for run in range(arguments.runs):
            added = spent([*prepare, files[-1], "--out", folder / f"added-{run}", "--onto", folder / "base"])
            whole = spent([*prepare, *files, "--out", folder / f"whole-{run}", "--registry", registry])
            one, other = (folder / f"{kind}-{run}/current/events.parquet" for kind in ("added", "whole"))
            if one.read_bytes() != other.read_bytes():
                raise SystemExit("the two runs gave different bytes")
            pairs.append((added, whole))
        for clock, what in enumerate(("wall", "processor")):
            ratios = [added[clock] / whole[clock] for added, whole in pairs]
            print(
                f"{what:<10} one day {statistics.median(a[clock] for a, _ in pairs):6.1f} s  "
                f"all {DAYS} {statistics.median(w[clock] for _, w in pairs):6.1f} s  ratio {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})  {os.cpu_count()} cores"
            )


if __name__ == "__main__":
    main()
