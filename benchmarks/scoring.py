"""Scoring ten documents: what the ONNX network of a bundle takes per call, beside the libraries that learned it (S9).

Run: python -m benchmarks.scoring [CALLS]. One process, one thread; a ranker of 60 trees on made-up cells, as wide as
every bundle's. Calls are measured one by one, after a warm-up, in rounds that take the scorers in turn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray

from benchmarks.measure import machine
from eventlib.ranking.features import CONTENT_FEATURES, FEATURES
from eventlib.ranking.learners import LEARNERS, fit_regressor
from eventlib.ranking.training import FittedRanker
from eventlib.signals import network

DOCUMENTS: Final = 10
CALLS: Final = 20_000
PEER_CALLS: Final = 2_000
ROUNDS: Final = 5
LIMIT_US: Final = 30.0
"""At the 99th percentile of a round."""


def made_up(learner: str, cells: int = 5_000) -> tuple[FittedRanker, NDArray[np.float32]]:
    """Fit a ranker on random cells; return it with its design."""
    rng = np.random.default_rng(0)
    x = rng.random((cells, len(FEATURES))).astype(np.float32)
    y = np.clip(x @ rng.normal(0.1, 0.2, len(FEATURES)) + 0.1 * rng.normal(size=cells), 0, 1)
    monotone = [0] * len(CONTENT_FEATURES) + [1] * (len(FEATURES) - len(CONTENT_FEATURES))
    regressor = fit_regressor(learner, 0, x, y, np.ones(cells), monotone)
    return FittedRanker(regressor, 0.0, 1.0, pd.DataFrame(), 0.5, 0, np.empty((0, 5))), x


def through_onnx(model: bytes, rows: NDArray[np.float32]) -> Callable[[], object]:
    """Return a call that scores rows by one session."""
    session = network.open_session(model)
    return lambda: session.run([network.OUTPUT], {network.INPUT: rows})


def through_library(ranker: FittedRanker, rows: NDArray[np.float32]) -> Callable[[], object]:
    """Return a call that scores rows by the library that learned."""
    return lambda: ranker.regressor.predict(rows)


def microseconds(call: Callable[[], object], calls: int) -> NDArray[np.float64]:
    """Time calls one by one, after a tenth as many that are not counted."""
    for _ in range(calls // 10):
        call()
    taken = np.empty(calls)
    for i in range(calls):
        start = time.perf_counter_ns()
        call()
        taken[i] = time.perf_counter_ns() - start
    return taken / 1e3


def main() -> int:
    """Print the table; 1 if a network is over the limit."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    print(machine("onnxruntime", "scikit-learn", "numpy"))
    names = [name for name in sorted(LEARNERS) if name != "lightgbm" or find_spec("lightgbm")]
    scorers: dict[str, tuple[Callable[[], object], int]] = {}
    networks: list[str] = []
    for name in names:
        ranker, design = made_up(name)
        model, rows = network.to_onnx(ranker), np.ascontiguousarray(design[:DOCUMENTS])
        (trees, *_) = onnx.load_from_string(model).graph.node
        nodes = next(len(a.ints) for a in trees.attribute if a.name == "nodes_nodeids")
        print(
            f"{name}: {nodes} nodes, {len(model):,} bytes, {len(FEATURES)} features, {DOCUMENTS} documents per call"
        )
        networks.append(f"ONNX of {name}")
        scorers[networks[-1]] = (through_onnx(model, rows), calls)
        scorers[f"predict of {name}"] = (through_library(ranker, rows), PEER_CALLS)
    rounds: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scorers}
    for _ in range(ROUNDS):
        for name, (call, count) in scorers.items():
            rounds[name].append(np.percentile(microseconds(call, count), [50, 99]))
    print(f"{'µs per call':<22}{'calls':>8}{'p50':>10}{'p99':>10}{'p99 of each round':>44}")
    for name, found in rounds.items():
        p50, p99 = np.median(found, axis=0)
        each = ", ".join(f"{high:.1f}" for _, high in found)
        print(f"{name:<22}{scorers[name][1]:>8,}{p50:>10.1f}{p99:>10.1f}{each:>44}")
    worst = max(float(np.median(rounds[name], axis=0)[1]) for name in networks)
    print(
        f"limit of {LIMIT_US:.0f} µs at the 99th percentile: {'held' if worst <= LIMIT_US else 'not held'} ({worst:.1f})"
    )
    return int(worst > LIMIT_US)


if __name__ == "__main__":
    sys.exit(main())
