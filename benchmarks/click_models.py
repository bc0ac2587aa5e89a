"""Click models against worlds that are known: recovery, who fits whose world, coverage, speed; and a real log.

Run: python -m benchmarks.click_models [SEEDS] [UBI LOG]. With a log of user behaviour insights (NDJSON) the models are
fitted to it too. Every figure is over worlds of seeds from 1,000 on, with 90 % intervals over seeds by Student's t.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import orjson
import pandas as pd
from scipy.stats import t as student

import eventlib as el
from benchmarks.click_worlds import WORLDS, World, browsing, draw_world, position
from benchmarks.measure import machine, run
from eventlib.ranking.clicks import PositionBasedModel, SimplifiedDBN, UserBrowsingModel
from eventlib.ranking.clicks.sessions import Floats
from eventlib.ranking.impressions import read_impressions

FIRST: Final = 1_000
RANKS: Final = np.arange(1, 11)
LEAST_SHOWS: Final = 30
"""Items with fewer shows are left out of coverage: their truth is hardly ever outside."""
LIMITS: Final = {35_000: (0.2, 2.0), 1_000_000: (5.0, 2.0)}
"""Seconds per fit and gigabytes of the whole process."""


class Model(Protocol):
    """What the benchmark asks of a model or of a baseline."""

    def fit(self, shows: pd.DataFrame) -> object:
        """Fit on shows."""

    def predict_proba(self, shows: pd.DataFrame) -> Floats:
        """Predict clicks."""

    def predict_conditional(self, shows: pd.DataFrame) -> Floats:
        """Predict clicks given those above."""


class Rate:
    """Click rate by one column alone, with one click of two shows added."""

    def __init__(self, column: str) -> None:
        self.column = column

    def fit(self, shows: pd.DataFrame) -> Rate:
        """Count."""
        counts = shows.groupby(self.column)["clicked"].agg(["sum", "size"])
        self.rates = (counts["sum"] + 1) / (counts["size"] + 2)
        self.mean = float(shows["clicked"].mean())
        return self

    def predict_proba(self, shows: pd.DataFrame) -> Floats:
        """Look up; what is new has the mean."""
        return shows[self.column].map(self.rates).fillna(self.mean).to_numpy(np.float64)

    predict_conditional = predict_proba


MODELS: Final[Mapping[str, Callable[[], Model]]] = {
    "PBM": lambda: PositionBasedModel(prior_shows=2.0, prior_place_shows=2.0),
    "UBM": lambda: UserBrowsingModel(prior_shows=2.0, prior_place_shows=2.0),
    "SDBN": lambda: SimplifiedDBN(prior_shows=2.0),
    "SDBN, counts": lambda: SimplifiedDBN(max_iter=0, prior_shows=2.0),
    "rank alone": lambda: Rate("rank"),
    "item alone": lambda: Rate("item"),
}


def spread(values: list[float], digits: int = 4) -> str:
    """Return a mean with its 90 % interval over seeds."""
    if len(values) < 2:
        return f"{np.mean(values):.{digits}f}"
    half = student.ppf(0.95, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {half:.{digits}f}"


def errors(world: World) -> Iterator[tuple[str, float]]:
    """Yield the mean absolute errors of a model's parameters in its own world, weighted by shows."""
    if world.kind == "SDBN":
        for name, steps in (("SDBN", 100), ("SDBN, counts", 0)):
            model = SimplifiedDBN(max_iter=steps).fit(world.shows)
            yield f"{name}: attraction", _error(model, world, "relevance")
            yield f"{name}: satisfaction", _error(model, world, "satisfaction")
    elif world.kind == "PBM":
        pbm = PositionBasedModel().fit(world.shows)
        found = np.array([pbm.exposure_[rank] for rank in RANKS.tolist()])
        yield "PBM: relevance", _error(pbm, world, "relevance")
        yield "PBM: exposure", float(np.abs(found - position(RANKS)).mean())
    else:
        ubm = UserBrowsingModel().fit(world.shows)
        keys = [key for key in ubm.exposure_ if key[0] <= 5]
        rank, distance = np.array(keys).T
        found = np.array([ubm.exposure_[key] for key in keys])
        yield "UBM: relevance", _error(ubm, world, "relevance")
        yield "UBM: exposure, ranks 1 to 5", float(np.abs(found - browsing(rank, rank - distance)).mean())


def _error(model: PositionBasedModel | UserBrowsingModel | SimplifiedDBN, world: World, what: str) -> float:
    table = model.relevance()
    truth = world.attraction if what == "relevance" else world.satisfaction
    off = (table[what] - truth[table["item"]].to_numpy()).abs()
    weight = table["shows"] if what == "relevance" else table["clicks"]
    return float(np.average(off, weights=weight))


def recovery(seeds: int) -> None:
    """Print how errors fall with the size of the log."""
    sizes = (1_000, 4_000, 16_000, 64_000)
    print(f"\nMean absolute error of a model's parameters in its own world, {seeds} seeds, by lists")
    print(f"{'':<28}" + "".join(f"{size:>18,}" for size in sizes))
    for kind in WORLDS:
        rows: dict[str, list[str]] = {}
        for size in sizes:
            found: dict[str, list[float]] = {}
            for seed in range(FIRST, FIRST + seeds):
                for name, error in errors(draw_world(kind, size, seed, queries=10)):
                    found.setdefault(name, []).append(error)
            for name, values in found.items():
                rows.setdefault(name, []).append(spread(values))
        for name, cells in rows.items():
            print(f"{name:<28}" + "".join(f"{cell:>18}" for cell in cells))


def measures(model: Model, shows: pd.DataFrame) -> dict[str, float]:
    """Return log likelihood per show and mean perplexity over ranks, as it is and given clicks above."""
    clicked = shows["clicked"].to_numpy()

    def gain(p: Floats) -> Floats:
        return np.log(np.where(clicked, p, 1 - p))

    given, alone = gain(model.predict_conditional(shows)), gain(model.predict_proba(shows))
    ranks = shows["rank"].to_numpy()
    return {
        "log likelihood": float(given.mean()),
        "perplexity": float(np.exp(-pd.Series(alone).groupby(ranks).mean()).mean()),
        "conditional": float(np.exp(-pd.Series(given).groupby(ranks).mean()).mean()),
    }


def who_fits_whom(seeds: int, lists: int = 20_000) -> None:
    """Print held-out figures of all models on all worlds."""
    print(f"\nHeld out: {lists:,} lists to learn from and as many to judge by, {seeds} seeds")
    print(
        f"{'world':<6}{'model':<14}{'log likelihood':>20}{'less than own':>20}{'perplexity':>18}{'given clicks':>18}"
    )
    for kind in WORLDS:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in MODELS}
        for seed in range(FIRST, FIRST + seeds):
            shows = draw_world(kind, 2 * lists, seed).shows
            half = len(shows) // 2
            for name, made in MODELS.items():
                model = made()
                model.fit(shows[:half])
                found[name].append(measures(model, shows[half:]))
        for name, rows in found.items():
            table, own = pd.DataFrame(rows), pd.DataFrame(found[kind])
            behind = (own["log likelihood"] - table["log likelihood"]).tolist()
            print(
                f"{kind:<6}{name:<14}{spread(table['log likelihood'].tolist()):>20}{spread(behind):>20}"
                f"{spread(table['perplexity'].tolist()):>18}{spread(table['conditional'].tolist()):>18}"
            )


def coverage(seeds: int) -> None:
    """Print how often 90 % intervals hold the truth."""
    true = dict(zip(RANKS.tolist(), position(RANKS).tolist(), strict=True))
    print(
        f"\nHow often 90 % intervals of relevance hold the truth, {seeds} seeds; items with {LEAST_SHOWS} shows or more"
    )
    cases: dict[
        str, tuple[str, Callable[[int, int], PositionBasedModel | UserBrowsingModel | SimplifiedDBN]]
    ] = {
        "PBM, exposures known": ("PBM", lambda _seed, _size: PositionBasedModel(true)),
        "PBM, exposures estimated": ("PBM", lambda _seed, _size: PositionBasedModel()),
        "PBM, from another log of a tenth": (
            "PBM",
            lambda seed, size: PositionBasedModel(_elsewhere(seed, size // 10)),
        ),
        "UBM, exposures estimated": ("UBM", lambda _seed, _size: UserBrowsingModel()),
        "SDBN": ("SDBN", lambda _seed, _size: SimplifiedDBN()),
        "SDBN, counts": ("SDBN", lambda _seed, _size: SimplifiedDBN(max_iter=0)),
    }
    sizes = (1_000, 4_000, 16_000)
    print(f"{'':<36}" + "".join(f"{size:>16,}" for size in sizes) + "   lists")
    for name, (kind, made) in cases.items():
        row = [_covered(kind, made, size, seeds) for size in sizes]
        print(f"{name:<36}" + "".join(f"{cell:>16}" for cell in row))


def _elsewhere(seed: int, lists: int) -> dict[int, float]:
    """Exposures estimated from another log, taken for the truth."""
    return PositionBasedModel().fit(draw_world("PBM", lists, seed + 50_000, queries=10).shows).exposure_


def _covered(
    kind: str,
    made: Callable[[int, int], PositionBasedModel | UserBrowsingModel | SimplifiedDBN],
    size: int,
    seeds: int,
) -> str:
    shares = []
    for seed in range(FIRST, FIRST + seeds):
        world = draw_world(kind, size, seed, queries=10)
        table = made(seed, size).fit(world.shows).relevance(0.9)
        table = table[table["shows"] >= LEAST_SHOWS]
        truth = world.attraction[table["item"]].to_numpy()
        shares.append(float(((table["lower"] <= truth) & (truth <= table["upper"])).mean()))
    return spread(shares, 3)


def time_fits(path: str, repeats: int) -> None:
    """Fit to a log in a file; print seconds by the clock and of the processor, and the peak of the process."""
    shows = pd.read_parquet(path)
    timed: dict[str, Callable[[], Model]] = {
        "PBM": lambda: PositionBasedModel(max_iter=50, tol=-np.inf),
        "UBM": lambda: UserBrowsingModel(max_iter=50, tol=-np.inf),
        "SDBN": lambda: SimplifiedDBN(max_iter=50, tol=-np.inf),
        "SDBN, counts": lambda: SimplifiedDBN(max_iter=0),
    }
    for name, made in timed.items():
        runs = []
        for _ in range(repeats):
            start = time.perf_counter(), time.process_time()
            made().fit(shows)
            runs.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        wall, spent = np.median(runs, axis=0)
        least = min(wall for wall, _ in runs)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(
            f"{name:<14}{wall:6.2f} s in the median, {least:.2f} at least, {spent:.2f} s of processor time, peak {peak:.2f} GB"
        )


def speed() -> None:
    """Print what fits cost, strings included, each size in a process of its own."""
    for lists, (seconds, gigabytes) in LIMITS.items():
        for queries in (50, 1_000):
            shows = draw_world("UBM", lists, FIRST, queries=queries).shows
            print(
                f"\n{lists:,} lists of 10, {shows['item'].nunique():,} items, 50 steps; limits {seconds} s and {gigabytes} GB"
            )
            with tempfile.TemporaryDirectory(prefix="eventlib-bench-") as folder:
                path = str(Path(folder) / "shows.parquet")
                shows.to_parquet(path)
                del shows
                repeats = 7 if lists < 100_000 else 3
                code = f"from benchmarks.click_models import time_fits; time_fits({path!r}, {repeats})"
                run([sys.executable, "-c", code], quiet=False)


def real_shows(log: str) -> pd.DataFrame:
    """Prepare a log of user behaviour insights; return its lists with clicks, an item being a content for a prompt."""
    basis = {
        "jurisdiction": "EEA",
        "purposes": ["analytics", "training"],
        "basis": "sample data",
        "owner": "me",
    }
    policy = {
        "version": "benchmark",
        "jurisdictions": {"opt_out": []},
        "impersonal": {
            "always": ["content_publish", "content_edit", "agent_fetch"],
            "unless_owned": ["answer_generate", "citation_show"],
        },
        "grant_max_age_days": 395,
        "max_withheld": 1.0,
        "sources": {"ubi": {**basis, "expires": "2027-12-31"}},
    }
    with tempfile.TemporaryDirectory(prefix="eventlib-bench-") as folder:
        path = Path(folder) / "policy.yaml"
        path.write_bytes(orjson.dumps(policy))
        events = el.prepare(log, policy=path).events
    names = ("citation_show", "citation_click", "answer_generate")
    found = read_impressions(*(el.properties(events, name) for name in names))
    frame = found.frame.assign(session=found.frame["answer_id"])
    frame["item"] = frame["content_id"] + "\x1f" + frame["prompt_id"]
    print(f"\n{log}: left out {found.removed}; kept\n{found.counts().to_string(index=False)}")
    return frame


def real(log: str, folds: int = 5) -> None:
    """Print held-out figures on a real log, by cross-validation over people."""
    frame = real_shows(log)
    repeated = frame.duplicated(["session", "rank"])
    print(f"shows at a rank of their list that another show has: {int(repeated.sum())}, left out")
    for engine, shows in frame[~repeated].groupby("engine"):
        part = pd.factorize(shows["person"].sample(frac=1, random_state=0).sort_index())[0] % folds
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in MODELS}
        for fold in range(folds):
            learned, held = shows[part != fold], shows[part == fold]
            for name, made in MODELS.items():
                model = made()
                model.fit(learned)
                rows[name].append(measures(model, held))
        print(
            f"{engine}: {len(shows):,} shows, {int(shows['clicked'].sum()):,} clicks, {folds} folds of people"
        )
        alone = pd.DataFrame(rows["rank alone"])["log likelihood"]
        for name, found in rows.items():
            table = pd.DataFrame(found)
            table["over rank alone"] = table["log likelihood"] - alone
            columns = (f"{column} {spread(table[column].tolist())}" for column in table)
            print(f"  {name:<14}" + "   ".join(columns))


def main(seeds: int = 20, log: str = "") -> None:
    """Print all tables."""
    print(machine("numpy", "pandas", "scipy"))
    recovery(max(seeds // 2, 2))
    who_fits_whom(max(seeds // 2, 2))
    coverage(seeds)
    speed()
    if log:
        real(log)


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, str), sys.argv[1:], strict=False)))
