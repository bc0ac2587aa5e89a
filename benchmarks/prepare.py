"""How `eventlib prepare` compares with the floor: DuckDB alone parsing the same log and writing it as Parquet.

    python benchmarks/prepare.py [--events 1000000] [--runs 3] [--engines auto duckdb] [--growth 100000 1000000 10000000]

Whole processes, imports included, in turn; the ratio is taken pair by pair. `rows` is the row world alone: decoding,
judging, and the canonical frame on disk. `--growth` runs `prepare` once at each size and prints seconds per million events.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import machine, paired, run
from eventlib.simulate import WorldParameters, simulate

FLOOR = """
import duckdb, sys
duckdb.sql(f"COPY (SELECT * FROM read_json('{sys.argv[1]}/*.ndjson', format='newline_delimited', ignore_errors=true)) "
           f"TO '{sys.argv[2]}' (FORMAT parquet)")
"""
ROWS = """
import sys
from eventlib.rows import read_rows
read_rows(sys.argv[1], key=b"k" * 32)
"""


def _simulated(folder: Path, events: int) -> Path:
    # DuckDB stops at lines nested too deep, which eventlib refuses one by one: the floor needs a log without them
    simulate(folder, events, 11, replace(WorldParameters(), broken_share=0.0), plain=True)
    return folder


def _prepare(log: Path, out: Path, engine: str = "auto") -> list[str]:
    return [sys.executable, "-m", "eventlib", "prepare", str(log), "--out", str(out), "--engine", engine]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engines", nargs="*", default=["auto", "duckdb"])
    parser.add_argument("--growth", nargs="*", type=int, default=[])
    arguments = parser.parse_args()
    print(machine("duckdb", "polars", "pyarrow"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = _simulated(folder / "log", arguments.events)
        floor = [sys.executable, "-c", FLOOR, str(log), f"{folder}/floor.parquet"]
        commands = {"rows": [sys.executable, "-c", ROWS, str(log)]}
        commands |= {
            f"prepare, {engine}": _prepare(log, folder / "out", engine) for engine in arguments.engines
        }
        for what, command in commands.items():
            print(
                paired(command, floor, arguments.runs).line(f"{arguments.events:,} events, {what}"),
                flush=True,
            )
    for events in arguments.growth:
        with tempfile.TemporaryDirectory() as name:
            seconds, gib = run(_prepare(_simulated(Path(name) / "log", events), Path(name) / "out"))
            print(
                f"{events:>12,} events  {seconds:8.1f} s  {seconds / events * 1e6:6.1f} s per million  {gib:.2f} GiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
