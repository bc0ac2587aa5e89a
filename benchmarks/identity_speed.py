"""What telling people apart costs: beside the order of events, and on graphs of ten million edges.

    python -m benchmarks.identity_speed [--events 1000000] [--edges 10000000] [--runs 3]

The stage is measured on a simulated log, processor seconds, against clock and order with the sort, and against the order with
the sort alone. The graphs are devices and users, each edge with its count and time: *usual* has one edge in two hundred to a
stranger, so that some components break a rule; *tangled* is the worst case, every device seen with random users, so that all
edges are one component and each is decided by itself.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.consent import STAGES, ran
from benchmarks.measure import machine
from eventlib.simulate import WorldParameters, simulate

GRAPH = """
import resource, sys, time
import numpy as np
import scipy.sparse.csgraph
from eventlib.graph import Edges, cluster

edges, strangers = int(sys.argv[1]), float(sys.argv[2])
devices, users = edges * 7 // 10, edges * 4 // 10
rng = np.random.default_rng(0)
device = rng.integers(0, devices, edges)
own = device * users // devices
user = devices + np.where(rng.random(edges) < strangers, rng.integers(0, users, edges), own)
seen = rng.integers(0, 10**9, edges)
given = Edges(device, user, np.ones(edges, np.int64), rng.integers(1, 9, edges), seen, seen)
is_user = np.arange(devices + users) >= devices
before = time.perf_counter()
found = cluster(is_user, given)
seconds = time.perf_counter() - before
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{seconds:.2f} {peak:.2f} {np.count_nonzero(found.refused_by)} {len(np.unique(found.label))}")
"""


def graphs(edges: int, runs: int) -> None:
    """Print seconds and peak memory of the process, its edges included, for both graphs."""
    for name, strangers in (("usual", 0.005), ("tangled", 1.0)):
        command = [sys.executable, "-c", GRAPH, str(edges), str(strangers)]
        told = [
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
            for _ in range(runs)
        ]
        seconds = statistics.median(float(row[0]) for row in told)
        gib = max(float(row[1]) for row in told)
        refused, clusters = int(told[0][2]), int(told[0][3])
        print(
            f"{edges:,} edges, {name:<8} {seconds:6.1f} s  {gib:5.2f} GiB  {refused:,} edges refused, {clusters:,} clusters",
            flush=True,
        )


def stages(events: int, runs: int) -> None:
    """Print what the stage costs beside the order."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        simulate(log, events, 11, replace(WorldParameters(), broken_share=0.0), plain=True)
        took = [ran(STAGES, log, "auto") for _ in range(runs)]
    for what, against in (("clock and order", ("clock", "order")), ("order alone", ("order",))):
        ratios = [each["identity"] / sum(each[stage] for stage in against) for each in took]
        seconds = statistics.median(each["identity"] for each in took)
        told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(
            f"{events:,} events, identity {seconds:.2f} s, against {what}: {statistics.median(ratios):.2f} ({told})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(machine("numpy", "scipy", "polars"))
    graphs(arguments.edges, arguments.runs)
    stages(arguments.events, arguments.runs)


if __name__ == "__main__":
    main()
