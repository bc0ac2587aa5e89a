"""How `eventlib prepare` compares with the floor: DuckDB alone parsing the same log and writing it as Parquet.

    python benchmarks/prepare.py [--events 1000000] [--runs 3]

Both run as whole processes, imports included, in turn; the ratio is taken pair by pair, so that it holds when the
machine's speed drifts.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from eventlib.simulate import WorldParameters, simulate

FLOOR = """
import duckdb, sys
duckdb.sql(f"COPY (SELECT * FROM read_json('{sys.argv[1]}/*.ndjson', format='newline_delimited', ignore_errors=true)) "
           f"TO '{sys.argv[2]}' (FORMAT parquet)")
"""


def measured(command: list[str]) -> tuple[float, int]:
    """Run a command; return its wall seconds and the peak memory (KiB) of its largest process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command[:4]} failed with status {status}")
    return seconds, usage.ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # DuckDB stops at lines nested too deep, which eventlib refuses one by one: the floor needs a log without them
        parameters = replace(WorldParameters(), broken_share=0.0)
        simulate(log, arguments.events, 11, parameters, plain=True)
        prepare = [
            sys.executable,
            "-m",
            "eventlib",
            "prepare",
            str(log),
            "--out",
            f"{folder}/out",
            "--engine",
        ]
        floor = [sys.executable, "-c", FLOOR, str(log), f"{folder}/floor.parquet"]
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, duckdb {version('duckdb')}"
        )
        for engine in ("duckdb", "polars"):
            pairs = [(measured([*prepare, engine]), measured(floor)) for _ in range(arguments.runs + 1)][1:]
            ratios = [mine[0] / theirs[0] for mine, theirs in pairs]
            print(
                f"{arguments.events:>10,} events  {engine:<7} prepare {statistics.median(p[0][0] for p in pairs):6.1f} s  "
                f"floor {statistics.median(p[1][0] for p in pairs):5.1f} s  ratio {statistics.median(ratios):4.1f} "
                f"({min(ratios):.1f} to {max(ratios):.1f})  memory {max(p[0][1] for p in pairs) / 2**20:.2f} GiB"
            )
    print(
        f"largest child process of all: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB"
    )


if __name__ == "__main__":
    main()
