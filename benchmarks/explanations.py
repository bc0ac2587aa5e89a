"""Explanations and guards: what the background's size changes, what values cost, how often chance is taken for drift.

Run: python -m benchmarks.explanations [SEEDS]. Logs are simulated from seed 1,001 on; intervals are 90 % over seeds or draws.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import t as student

import eventlib as el
from benchmarks.measure import machine
from eventlib.cells import clustered_share
from eventlib.ranking import Options, Ranking, read_tables, train_ranking
from eventlib.ranking.drift import SURE, drift, stability
from eventlib.ranking.explain import BACKGROUND, draw_background, group_columns
from eventlib.ranking.pipeline import Judged
from eventlib.ranking.shapley import coalition_values, shapley_values
from eventlib.simulate import simulate

Floats = NDArray[np.float64]

FIRST: Final = 1_001
CHANCE: Final = 2_001
"""Seed of the draws without drift: the correction for clusters was chosen on those of 1,001."""
LINES: Final = 60_000
SIZES: Final = (16, 32, 64, 128)
ROWS: Final = 2_400
"""300 contents in 8 clusters."""
LIMIT: Final = 5.0
"""Seconds for so many rows."""
DRAWS: Final = 2_000


def rankings(seeds: int) -> Iterator[Ranking]:
    """Train on simulated logs."""
    for seed in range(FIRST, FIRST + seeds):
        with tempfile.TemporaryDirectory() as folder:
            raw, out = Path(folder) / "raw", Path(folder) / "prepared"
            simulate(raw, LINES, seed)
            tables = read_tables(el.prepare(raw, out=out).events)
        found = train_ranking(tables, Options(replicates=20))
        if found.judged is None:
            print(f"seed {seed}: not trained: {found.reason or 'refused by G4'}")
        else:
            yield found


def over_seeds(values: list[float], form: str = ".4f") -> str:
    """Return mean and 90 % interval over seeds."""
    half = student.ppf(0.95, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):{form}} ± {half:{form}}"


def parts(judged: Judged, rows: NDArray[np.float32], size: int) -> tuple[Floats, float]:
    """Return contributions of rows, and the base, with a background of this size."""
    drawn = draw_background(judged, size)
    groups = list(group_columns().values())
    worth = coalition_values(judged.ranker, rows, drawn.design, drawn.weights, groups)
    return shapley_values(worth), float(worth[0, 0])


@dataclass(frozen=True, slots=True)
class Changed:
    """What a background changes against that of all cells: contributions and the base."""

    rms: float
    largest: float
    base: float
    first: float


def backgrounds(judged: Judged) -> tuple[dict[int, Changed], float, int]:
    """Compare backgrounds of several sizes with all cells; also how large contributions are, and how many cells."""
    cells = judged.train.cells.assign(prompt_id="").drop_duplicates(ignore_index=True)
    rows = judged.ranker.design(cells, judged.contents)
    whole, base = parts(judged, rows, len(cells))
    found = {}
    for size in SIZES:
        some, other = parts(judged, rows, size)
        strongest = (np.abs(some).argmax(axis=1) == np.abs(whole).argmax(axis=1)).mean()
        off = np.abs(some - whole)
        found[size] = Changed(
            float(np.sqrt((off**2).mean())), float(off.max()), abs(other - base), float(strongest)
        )
    return found, float(np.sqrt((whole**2).mean())), len(cells)


def print_backgrounds(found: list[tuple[dict[int, Changed], float, int]]) -> None:
    print(
        f"cells {[cells for *_, cells in found]}; contributions, root mean square: {over_seeds([s for _, s, _ in found])}"
    )
    for size in SIZES:
        of = [changed[size] for changed, *_ in found]
        print(
            f"  background of {size:>4}: off by {over_seeds([one.rms for one in of])} (largest {max(one.largest for one in of):.4f}), "
            f"base by {over_seeds([one.base for one in of])}, strongest group the same {over_seeds([one.first for one in of], '.3f')}"
        )


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Return the median time."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def print_cost(judged: Judged) -> None:
    """Compare with asking the trees for every mixed row, which is timed on a part of the rows."""
    rng = np.random.default_rng(0)
    cells = judged.ranker.design(judged.train.cells, judged.contents)
    rows = np.stack([rng.choice(column, ROWS) for column in cells.T], axis=1)
    groups, drawn = list(group_columns().values()), draw_background(judged)
    ours = seconds(
        lambda: shapley_values(coalition_values(judged.ranker, rows, drawn.design, drawn.weights, groups))
    )
    mixed = np.repeat(rows, 200, axis=0)
    every = (
        seconds(lambda: judged.ranker.predict(mixed))
        / len(mixed)
        * ROWS
        * len(drawn.design)
        * 2 ** len(groups)
    )
    print(
        f"{ROWS} rows, {len(drawn.design)} background rows, {2 ** len(groups)} coalitions: {ours:.2f} s (limit {LIMIT:.0f} s: "
        f"{'held' if ours < LIMIT else 'missed'}); row by row it would be {every / ours:.0f} times as long"
    )


def rate(hits: int, draws: int) -> str:
    """Return a share with its 90 % interval."""
    share = np.array([hits / draws])
    low, high = clustered_share(share, share * (1 - share) / draws, draws)
    return f"{share[0]:.3f} ({low[0]:.3f} to {high[0]:.3f})"


def print_chance() -> None:
    """Draw both sides from one distribution: shows of a person share most of what they have."""
    for people, shows, kind in (
        (30, 4, "tenths"), (30, 20, "tenths"), (150, 10, "tenths"), (1000, 4, "tenths"), (150, 10, "rare"),
    ):  # fmt: skip
        rng = np.random.default_rng(CHANCE)
        who = np.repeat(np.arange(people), shows)
        independent = 2 / (people * shows)
        over = naive = flagged = 0
        for _ in range(DRAWS):
            before, after = (rng.normal(size=people)[who] + rng.normal(size=len(who)) for _ in range(2))
            if kind == "rare":
                before, after = ((side > 2).astype(float) for side in (before, after))
            shift = stability(before, after, who, who)
            bins = 2 if kind == "rare" else 10
            over += shift.psi > shift.chance
            naive += shift.psi > independent * chi2.ppf(SURE, bins - 1)
            flagged += shift.state != "fine"
        print(
            f"  {people:>5} people a side, {shows:>3} shows each, {kind:<7}: over chance {rate(over, DRAWS)}, "
            f"by independent shows {rate(naive, DRAWS)}, look or alarm {rate(flagged, DRAWS)}"
        )


def by_people(judged: Judged, splits: int = 40) -> float:
    """Return the share over chance where the shows before the cut are split by people at random, not by time."""
    data, rng = judged.train, np.random.default_rng(CHANCE)
    x = judged.ranker.design(data.cells, judged.contents)[data.cell].astype(np.float64)
    over = []
    for _ in range(splits):
        half = rng.permutation(int(data.person.max()) + 1)[data.person] % 2 == 0
        shifts = [
            stability(column[half], column[~half], data.person[half], data.person[~half]) for column in x.T
        ]
        over.append(np.mean([shift.psi > shift.chance for shift in shifts if shift.expected > 0]))
    return float(np.mean(over))


def print_logs(found: list[Ranking]) -> None:
    tables = [drift(ranking) for ranking in found]
    varied = [table[table["expected"] > 0] for table in tables]
    over = [float((table["psi"] > table["chance"]).mean()) for table in varied]
    print(f"simulated logs, before and after the cut: over chance {over_seeds(over, '.3f')}")
    halves = [by_people(ranking.judged) for ranking in found if ranking.judged is not None]
    print(f"  the same logs, two halves of the people before the cut: {over_seeds(halves, '.3f')}")
    flagged = pd.concat([table[table["state"] != "fine"] for table in tables])
    print(f"  look or alarm: {len(flagged)} of {sum(len(table) for table in tables)}")
    if len(flagged):
        print(flagged[["feature", "psi", "chance", "state"]].to_string(index=False))


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(machine("numpy", "pandas", "scipy", "scikit-learn"))
    found = [ranking for ranking in rankings(seeds) if ranking.judged is not None]
    judged = [ranking.judged for ranking in found if ranking.judged is not None]
    print(f"backgrounds against all cells (used: {BACKGROUND})")
    print_backgrounds([backgrounds(one) for one in judged])
    print_cost(judged[0])
    print("no drift, two samples of one distribution")
    print_chance()
    print_logs(found)


if __name__ == "__main__":
    main()
