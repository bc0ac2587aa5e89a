"""The score against the truth of simulated worlds: do its intervals hold it, does it rank pages best? (S7.11).

Run: python -m benchmarks.geo_coverage [worlds] [first seed]. `worlds` in all, a fourth at each kappa; each
draws its own number of pages and answers, shape of quality, correlations and drift (`geo_worlds.draw_setting`).
Seeds from 40,000 on were never used while the method was made; some of those below were.

Coverage is of the 90 % interval, over all pages with exposure. Rankings are compared by Spearman's correlation
with the true score over a world's pages; the partial one is given the pages' mean position. Intervals are over
worlds. Then worlds in which the model is wrong, one thing at a time.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.geo_worlds import KAPPAS, STAGES, Setting, World, draw_setting, simulate
from eventlib.geo.decay import age_weights, choose_half_life
from eventlib.geo.engagement import Score, score_engine
from eventlib.geo.stages import cite_stage, click_stage, satisfy_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FIRST: Final = 40_000
_BANDS: Final = [-1, 2, 5, 10, 20, 50, np.inf]
_BAND_NAMES: Final = ("under 2", "2 to 5", "5 to 10", "10 to 20", "20 to 50", "over 50")
_RIVALS: Final = (
    ("score", "observed over expected"),
    ("score", "click rate"),
    ("score", "shrunk click rate"),
    ("score given position", "click rate given position"),
)
WRONG: Final = {
    "tracking stops on some pages more often": Setting(stopping="page"),
    "long readings lose tracking": Setting(stopping="long"),
    "quality drifts by 0.3 a week": Setting(drift_sd=0.3),
    "people differ much (2 on the logit)": Setting(person_sd=2.0),
    "half of the answers are reruns": Setting(rerun=0.5),
    "a tenth of pages are stars": Setting(shape="few stars", common=0.9),
    "all pages are alike": Setting(shape="all alike"),
    "stages have nothing in common": Setting(common=0.0),
    "stages are one quality": Setting(common=1.0),
    "thirty pages": Setting(pages=30, answers=500),
    "three hundred pages, little data": Setting(pages=300, answers=900),
}
"""Worlds at the edge of the model or beyond it, one thing changed at a time."""


def score_world(made: World, seed: int, replicates: int = 100, draws: int = 2_000) -> Score:
    """Score a world as a report would: stages, half-life, score."""
    click, exposure = click_stage(made.shown)
    stages = [cite_stage(made.candidates)[0], click, satisfy_stage(made.visits)[0]]
    seen = [stage for stage in stages if stage is not None]
    return score_engine(
        "e", seen, exposure=exposure, half_life_days=choose_half_life(seen), replicates=replicates, draws=draws,
        seed=seed, small_cell=0,
    )  # fmt: skip


def true_theta(made: World, score: Score) -> pd.DataFrame:
    """Return the true theta of each page and stage, weighted over time as the score is, and their product."""
    end = max(int(rows["time_us"].max()) for rows in made.chances.values())
    truth = made.truth(lambda time_us: age_weights(time_us, end, score.half_life_days))
    truth = truth.reindex(score.frame["content_id"])[list(score.stages)]
    return truth.assign(score=truth.prod(axis=1, skipna=False))


def judge_intervals(score: Score, truth: pd.DataFrame) -> pd.DataFrame:
    """Return, per page and stage, whether the interval holds the truth: `stage, truth, inside, expected`."""
    frame, rows = score.frame.set_index("content_id"), []
    for name in (*score.stages, "score"):
        front = "" if name == "score" else f"{name}_"
        expected = frame[f"expected_{score.stages[-1] if name == 'score' else name}"]
        inside = (frame[f"{front}lower"] <= truth[name]) & (truth[name] <= frame[f"{front}upper"])
        columns = {"truth": truth[name], "inside": inside.astype(float), "expected": expected}
        rows.append(pd.DataFrame(columns).dropna().assign(stage=name))
    return pd.concat(rows, ignore_index=True)


def rank_pages(made: World, score: Score, truth: pd.DataFrame) -> dict[str, float]:
    """Return Spearman's correlation of each ranking with the true score."""
    frame = score.frame.set_index("content_id")
    ratio = np.prod(
        [frame[f"observed_{s}"] / frame[f"expected_{s}"].replace(0, np.nan) for s in score.stages], axis=0
    )
    shows = made.shown.groupby("content_id").agg(
        clicks=("clicked", "sum"), n=("clicked", "size"), at=("rank", "mean")
    )
    shows = shows.reindex(frame.index)
    rate = shows["clicks"] / shows["n"]
    rankings = {
        "score": frame["theta"], "observed over expected": pd.Series(ratio, frame.index).fillna(1.0), "click rate": rate,
        "shrunk click rate": _shrunk_rate(shows["clicks"], shows["n"]),
    }  # fmt: skip
    known = (truth["score"].notna() & shows["at"].notna()).to_numpy()
    target, place = truth["score"].to_numpy()[known], shows["at"].to_numpy()[known]
    found = {name: _spearman(values.to_numpy()[known], target) for name, values in rankings.items()}
    given = {
        f"{name} given position": _spearman(rankings[name].to_numpy()[known], target, place)
        for name in rankings
    }
    return found | given


def _shrunk_rate(clicks: pd.Series, shows: pd.Series) -> pd.Series:
    """Shrink click rates to their mean: beta-binomial, by moments."""
    mean = clicks.sum() / shows.sum()
    excess = (shows * (clicks / shows - mean) ** 2).sum() - mean * (1 - mean) * len(shows)
    prior = max(mean * (1 - mean) / max(excess / shows.sum(), 1e-4) - 1, 1.0)
    shrunk: pd.Series = (clicks + prior * mean) / (shows + prior)
    return shrunk


def _spearman(
    one: NDArray[np.float64], other: NDArray[np.float64], given: NDArray[np.float64] | None = None
) -> float:
    ranks = [rankdata(one), rankdata(other)]
    if given is not None:
        line = np.column_stack([np.ones(len(given)), rankdata(given)])
        ranks = [rank - line @ np.linalg.lstsq(line, rank, rcond=None)[0] for rank in ranks]
    return float(np.corrcoef(*ranks)[0, 1])


def mean_interval(values: pd.Series) -> str:
    """Return the mean over worlds with its 90 % interval."""
    half = 1.645 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ({values.mean() - half:.3f} to {values.mean() + half:.3f})"


def settings(worlds: int, first: int) -> Iterator[tuple[int, Setting]]:
    """Yield worlds in turn over kappa, with their seeds."""
    for number in range(worlds):
        kappa = KAPPAS[number % len(KAPPAS)]
        yield first + number, draw_setting(np.random.default_rng([first + number, 1]), kappa)


def coverage_tables(cells: pd.DataFrame) -> None:
    """Print coverage: pooled with an interval over worlds, then by what it may depend on."""
    cells = cells.assign(
        band=pd.cut(cells["expected"], _BANDS, labels=_BAND_NAMES),
        decile=cells.groupby(["stage", "world"])["truth"].transform(_decile),
    )
    order = [*STAGES, "score"]
    pooled = cells.groupby("stage")["inside"].mean()
    by_world = cells.groupby(["stage", "world"])["inside"].agg(["sum", "size"]).reset_index()
    for stage in order:
        part = by_world[by_world["stage"] == stage]
        rest = part["sum"] - pooled[stage] * part["size"]
        half = 1.645 * np.sqrt((rest**2).sum()) / part["size"].sum()
        print(f"{stage}: {pooled[stage]:.3f} +- {half:.3f} of {part['size'].sum():,} pages")
    for by in (
        "kappa",
        "band",
        "decile",
        "shape",
        "common",
        "person_sd",
        "rerun",
        "drift_sd",
        "stopping",
        "half_life",
    ):
        table = cells.pivot_table(index="stage", columns=by, values="inside", observed=True)
        print(f"\n{table.reindex(order).round(3).to_string()}")


def _decile(truth: pd.Series) -> pd.Series:
    """Tell each page's tenth of its world, the worst first."""
    place = truth.rank(method="first")
    return pd.Series(np.ceil(10 * place.to_numpy() / len(place)).astype(int), truth.index)


def main(worlds: int = 200, first: int = FIRST) -> None:
    """Print all tables."""
    cells, ranks, spent = [], [], 0.0
    for seed, setting in settings(worlds, first):
        made = simulate(np.random.default_rng(seed), setting)
        start = time.perf_counter()
        score = score_world(made, seed)
        spent += time.perf_counter() - start
        truth = true_theta(made, score)
        cells.append(
            judge_intervals(score, truth).assign(
                world=seed, half_life=score.half_life_days, **asdict(setting)
            )
        )
        ranks.append({"kappa": setting.kappa} | rank_pages(made, score, truth))
    print(f"{worlds} worlds from seed {first}, {spent / worlds:.2f} s per score\n")
    coverage_tables(pd.concat(cells, ignore_index=True))
    print("\nSpearman with the true score, by kappa; then differences")
    table = pd.DataFrame(ranks)
    print(table.groupby("kappa").mean().T.round(3).to_string())
    for one, other in _RIVALS:
        difference = (table[one] - table[other]).groupby(table["kappa"]).apply(mean_interval)
        lost = int((table[one] < table[other]).sum())
        print(f"{other} ranks better in {lost} of {len(table)} worlds")
        print(f"{one} over {other}: " + "; ".join(f"kappa {k}: {text}" for k, text in difference.items()))
    wrong_worlds(first)


def wrong_worlds(first: int, worlds: int = 8) -> None:
    """Print coverage where the model is wrong, or at its edge."""
    rows = {}
    for number, (name, setting) in enumerate(WRONG.items()):
        cells = []
        for seed in range(first + 1_000 * (number + 1), first + 1_000 * (number + 1) + worlds):
            made = simulate(np.random.default_rng(seed), replace(setting, kappa=KAPPAS[seed % len(KAPPAS)]))
            score = score_world(made, seed)
            cells.append(judge_intervals(score, true_theta(made, score)))
        rows[name] = pd.concat(cells).groupby("stage")["inside"].mean()
    print(f"\n{pd.DataFrame(rows).T.reindex(columns=[*STAGES, 'score']).round(3).to_string()}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
