"""Exposure against worlds whose exposure is known: errors, coverage, refusals, edits, a randomised slice.

Run: python -m benchmarks.exposure [REPEATS]. Repeats are those of the smallest logs; larger ones have fewer (`worlds_of`). Worlds are
of seeds from 1,000 on; intervals are over worlds, by Student's t, since the ranks of a world are not independent.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import t as student

from benchmarks.exposure_worlds import EXPOSURE, draw_rows
from benchmarks.measure import machine
from eventlib.exposure import Exposure, agreement, estimate_exposure, estimate_randomised, find_exposure
from eventlib.exposure.likelihood import conditional_fit
from eventlib.exposure.swaps import harvest_swaps
from eventlib.ranking.clicks import PositionBasedModel, count_cells

FIRST: Final = 1_000
LEVEL: Final = 0.95
SMALL: Final = ((1_000, 1.0), (1_000, 0.3), (5_000, 1.0), (5_000, 0.3), (20_000, 1.0), (20_000, 0.3))
PROMISED: Final = ((100_000, 1.0), (300_000, 0.3), (1_000_000, 0.1))
"""Where the mean error over ranks 2 to 10 is to be 2 % at most (S8.2)."""
LARGE: Final = (
    *PROMISED, (100_000, 0.3), (100_000, 0.1), (300_000, 1.0), (300_000, 0.1), (1_000_000, 1.0), (1_000_000, 0.3),
)  # fmt: skip
EM_WORLDS: Final = 5
Floats = np.ndarray[Any, np.dtype[np.float64]]


def spread(values: list[float], digits: int = 3) -> str:
    """Return a mean with its 95 % interval over worlds."""
    held = [value for value in values if np.isfinite(value)]
    if len(held) < 2:
        return f"{np.mean(held):.{digits}f}" if held else "-"
    half = student.ppf(0.975, len(held) - 1) * np.std(held, ddof=1) / np.sqrt(len(held))
    return f"{np.mean(held):.{digits}f} ± {half:.{digits}f}"


def few(values: list[float], ours: list[float]) -> str:
    """Return the mean over the first few worlds that were fitted, how many, and the mean of ours over the same."""
    held = [value for value in values if np.isfinite(value)]
    return f"{np.mean(held):.4f} ({len(held)} worlds, {np.mean(ours[: len(held)]):.4f} here)" if held else "-"


def error(found: Floats) -> float:
    """Return the mean absolute error over ranks 2 to 10, as a share of the truth; over those that are known."""
    return float(np.nanmean(np.abs(found / EXPOSURE - 1)[1:])) if np.isfinite(found[1:]).any() else np.nan


def covered(curve: Exposure) -> float:
    """Return the share of the known ranks from 2 on whose interval holds the truth."""
    known = curve.frame["exposure"].notna().to_numpy()[1:]
    inside = (curve.frame["lower"] <= EXPOSURE) & (curve.frame["upper"] >= EXPOSURE)
    return float(inside.to_numpy()[1:][known].mean()) if known.any() else np.nan


def em(rows: pd.DataFrame) -> Floats:
    """Return exposure by EM of the position-based model with a relevance of its own for each key."""
    item = rows.groupby(["prompt_id", "content_id", "content_version"], sort=False).ngroup()
    cells = count_cells(rows.assign(item=item, place=rows["rank"]))
    model = PositionBasedModel(max_iter=2_000).fit(cells)
    found = np.array([model.exposure_[rank] for rank in range(1, len(EXPOSURE) + 1)])
    return np.asarray(found / found[0])


def multinomial(rows: pd.DataFrame) -> float:
    """Return how often intervals by the information matrix of the conditional likelihood hold the truth."""
    found, information = conditional_fit(*harvest_swaps(rows).informing()[1].cells())
    half = 1.96 * np.sqrt(np.diag(np.linalg.inv(information)))
    return float((np.abs(found - np.log(EXPOSURE))[1:] <= half).mean())


def measure(clicks: int, noise: float, repeats: int, *, best: bool, **world: Any) -> None:
    """Print a row: errors of three estimators and coverage of two intervals."""
    found: dict[str, list[float]] = {}
    for seed in range(FIRST, FIRST + repeats):
        rows = draw_rows(seed, clicks, noise, **world)
        curve = estimate_exposure(rows, level=LEVEL)
        row = {
            "error": error(curve.frame["exposure"].to_numpy()),
            "pairs": error(curve.frame["all_pairs"].to_numpy()),
            "em": error(em(rows)) if best and seed < FIRST + EM_WORLDS else np.nan,
            "covered": covered(curve),
            "multinomial": multinomial(rows) if curve.connected and clicks < 100_000 else np.nan,
            "came": float(rows["clicked"].sum()),
            "connected": float(curve.connected),
            "usable": float(curve.usable),
        }
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    mean = {
        name: spread(values, 3 if name in {"covered", "multinomial"} else 4) for name, values in found.items()
    }
    told = " (promised: .02)" if (clicks, noise) in PROMISED and not world else ""
    cells = (
        f"{clicks:,} ({np.mean(found['came']):,.0f})", noise, repeats, mean["error"] + told, mean["pairs"],
        few(found["em"], found["error"]), mean["covered"], mean["multinomial"],
        f"{np.mean(found['connected']):.2f}", f"{np.mean(found['usable']):.2f}",
    )  # fmt: skip
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


HEAD: Final = (
    "| clicks (came) | swap noise | worlds | error | AllPairs' | EM's | "
    "coverage of 95 % | by the information matrix | connected | usable |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def worlds_of(clicks: int, repeats: int) -> int:
    """Return how many worlds of a kind are drawn: fewer of large ones."""
    if clicks < 100_000:
        return max(2, repeats if clicks < 10_000 else repeats * 2 // 3)
    return max(2, repeats * {100_000: 6, 300_000: 6, 1_000_000: 2}[clicks] // 10)


def sizes(repeats: int) -> None:
    print("\nErrors and coverage; people click alike (sd .4 of the logit), five answers each\n\n" + HEAD)
    for clicks, noise in (*SMALL, *LARGE):
        measure(clicks, noise, worlds_of(clicks, repeats), best=20_000 <= clicks <= 300_000)


CASES: Final[Mapping[str, dict[str, Any]]] = {
    "prompts asked five times each: few shows per key": {"clicks": 5_000, "prompts": 540},
    "people very different (sd 1.5), 40 answers each": {
        "clicks": 20_000,
        "person_sd": 1.5,
        "answers_per_person": 40.0,
    },
    "18 people, 150 answers each": {"clicks": 5_000, "answers_per_person": 150.0},
    "no difference between people": {"clicks": 5_000, "person_sd": 0.0},
}


def hard(repeats: int) -> None:
    for name, world in CASES.items():
        print(f"\n{name}\n\n" + HEAD)
        given = dict(world)
        measure(given.pop("clicks"), 1.0, repeats, best=False, **given)


def refusals(repeats: int) -> None:
    print("\nRefusals: worlds without swaps, and with swaps among ranks 1 to 4 alone")
    cases: dict[str, Callable[[int], pd.DataFrame]] = {
        "no swaps": lambda seed: draw_rows(seed, 20_000, 0.0),
        "ranks 1 to 4": lambda seed: draw_rows(seed, 20_000, 1.0, swapping=4),
    }
    for name, made in cases.items():
        curves = [estimate_exposure(made(seed), level=LEVEL) for seed in range(FIRST, FIRST + repeats)]
        refused = np.mean([not curve.connected for curve in curves])
        known = {tuple(sorted(rank for _, rank in curve.positions)) for curve in curves}
        print(
            f"{name}: refused {refused:.2f} of {repeats}; ranks with an exposure {known}; {curves[0].reasons[0]}"
        )


def edits(repeats: int) -> None:
    print("\nHalf of the contents edited in the middle of a month; 100,000 clicks, swap noise 1\n")
    print("| key | worlds | error | bias of rank 10, log | coverage of 95 % |\n|---|---|---|---|---|")
    keys = {"with content_version": ("prompt_id", "content_id", "content_version", "month"),
            "without": ("prompt_id", "content_id", "month")}  # fmt: skip
    for name, key in keys.items():
        curves = [
            estimate_exposure(draw_rows(seed, 100_000, 1.0, edited=0.5), key=key, level=LEVEL)
            for seed in range(FIRST, FIRST + repeats)
        ]
        errors = [error(curve.frame["exposure"].to_numpy()) for curve in curves]
        bias = [float(np.log(curve.frame["exposure"].iloc[-1] / EXPOSURE[-1])) for curve in curves]
        held = [covered(curve) for curve in curves]
        print(
            f"| {name} | {repeats} | {spread(errors, 4)} | {spread(bias, 4)} | {spread(held)} |", flush=True
        )


def randomised(repeats: int) -> None:
    print("\nAnswers placed at random, propensities logged; swap noise .3 elsewhere\n")
    print(
        "| clicks | at random | worlds | error | coverage of 95 % | harvested from the others: error | agreement: p under .05 |"
    )
    print("|---|---|---|---|---|---|---|")
    for clicks, share in ((20_000, 0.1), (20_000, 1.0), (100_000, 0.2)):
        found: dict[str, list[float]] = {"error": [], "covered": [], "other": [], "apart": []}
        for seed in range(FIRST, FIRST + repeats):
            rows = draw_rows(seed, clicks, 0.3, random_share=share)
            curve = estimate_randomised(rows, level=LEVEL)
            found["error"].append(error(curve.frame["exposure"].to_numpy()))
            found["covered"].append(covered(curve))
            natural = rows[rows["propensity"].isna()]
            other = estimate_exposure(natural) if len(natural) else None
            if other is not None:
                found["other"].append(error(other.frame["exposure"].to_numpy()))
                found["apart"].append(float(agreement(curve, other).p < 0.05))
        print(
            f"| {clicks:,} | {share} | {repeats} | {spread(found['error'], 4)} | {spread(found['covered'])} | "
            f"{spread(found['other'], 4)} | {spread(found['apart'])} |", flush=True,
        )  # fmt: skip
    chosen = find_exposure(draw_rows(FIRST, 100_000, 0.3, random_share=0.5))
    print(
        f"\nHalf of 100,000 clicks at random: {chosen.method}, {agreement(chosen, chosen.beside or chosen)}"
    )


def cost() -> None:
    rows = draw_rows(FIRST, 1_000_000, 0.3)
    start = time.process_time()
    estimate_exposure(rows)
    spent, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n{len(rows):,} shows, {int(rows['clicked'].sum()):,} clicks: {spent:.1f} s of processor time (limit 30); "
    )
    print(f"peak of the process {peak:.1f} GiB, the log and its making included (limit 4)")


def main(repeats: int = 200) -> None:
    """Print all tables."""
    print(machine("numpy", "pandas", "scipy"))
    refusals(max(2, repeats // 20))
    hard(repeats)
    randomised(max(2, repeats // 3))
    edits(max(2, repeats // 10))
    sizes(repeats)
    cost()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
