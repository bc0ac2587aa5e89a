"""Learning from clicks: what our labels and learner find of the true relevance, beside LightGBM's own debiasing (S8.3).

Run: python -m benchmarks.lambdarank [SEEDS]. Reads LightGBM's lambdarank example from the folder of real data (named
by EVENTLIB_REAL). Every figure is over worlds of seeds from 1,000 on; what was chosen was chosen on others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.lambdarank_worlds import LENGTH, Floats, Judged, Log, Setting, draw_log, ndcg, read_judged
from benchmarks.measure import machine
from benchmarks.prompt_clusters import real_folder
from eventlib.exposure import MAX_LOG_SE, estimate_exposure
from eventlib.ranking import learners
from eventlib.ranking.training import TrainingData, examined_clicks

FIRST: Final = 1_000
OURS: Final = "ours, estimated exposure"
COMPARED: Final = (
    "naive clicks, our learner",
    OURS,
    "ours, true exposure",
    "ours, LightGBM as learner",
    "lambdarank, position debiasing",
)
RANKERS: Final = (*COMPARED, "lambdarank, naive", "our learner on the truth", "lambdarank on the truth")
OTHERS: Final = (
    Setting(clicks=10_000),
    Setting(clicks=10_000, eta=0.5),
    Setting(clicks=10_000, eta=2.0),
    Setting(clicks=10_000, swaps=0.1),
    Setting(clicks=10_000, swaps=1.0),
    Setting(clicks=100_000),
)


def labels(judged: Judged, shows: pd.DataFrame, exposure: Floats) -> tuple[Floats, Floats]:
    """Return examined shows and clicks per document as `fit_ranker` sums them; ranks without exposure are left out."""
    used = np.isfinite(exposure)[shows["rank"].to_numpy() - 1]
    kept = shows[used]
    data = TrainingData(
        cells=pd.DataFrame({"document": np.arange(len(judged.relevance))}),
        levels=np.empty((0, 0), dtype=np.intp),
        crowded=np.empty((0, 0), dtype=np.bool_),
        features=judged.features.astype(np.float64),
        cell=kept["content_id"].to_numpy(np.intp),
        person=kept["person"].to_numpy(np.intp),
        place=kept["rank"].to_numpy(np.intp) - 1,
        clicked=kept["clicked"].to_numpy(np.float64),
        counted=kept["person"].to_numpy(np.int64),
    )
    examined, clicks = examined_clicks(data, exposure, np.ones(len(kept)))
    return examined.sum(axis=1), clicks.sum(axis=1)


def pointwise(
    judged: Judged, shows: pd.DataFrame, exposure: Floats, learner: str = "hist"
) -> learners.Regressor:
    """Fit our learner on clicks over exposure, weighted by exposure."""
    examined, clicks = labels(judged, shows, exposure)
    rows = np.flatnonzero(examined > 0)
    return learners.fit_regressor(
        learner, 0, judged.features[rows], clicks[rows] / examined[rows], examined[rows]
    )


def estimated(shows: pd.DataFrame) -> Floats:
    """Return the exposure of each rank, NaN where it is not known well enough to be used (S8.2)."""
    frame = estimate_exposure(shows).frame.set_index("rank").reindex(range(1, LENGTH + 1))
    return frame["exposure"].where(frame["log_se"] <= MAX_LOG_SE).to_numpy(np.float64)


def lambdarank(
    x: NDArray[np.float32], y: NDArray[Any], groups: NDArray[Any], **fields: Any
) -> learners.BoosterRegressor:
    """Fit LightGBM's lambdarank, with as many trees of the same shape as ours; bins are its default.

    Features are hundredths, so that 255 bins hold each value apart and do not hang on how often a document was shown.
    """
    import lightgbm  # noqa: PLC0415  # an extra

    parameters = {
        "objective": "lambdarank",
        "learning_rate": learners.SHRINKAGE,
        "num_leaves": learners.LEAVES,
        "min_data_in_leaf": learners.ROWS_PER_LEAF,
        "lambda_l2": learners.L2,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(x, y, group=groups, params=parameters, **fields)
    return learners.BoosterRegressor(lightgbm.train(parameters, data, learners.TREES))


def lambdarank_clicks(judged: Judged, log: Log, *, debiased: bool) -> learners.BoosterRegressor:
    """Fit lambdarank on clicked sessions, with or without LightGBM's own debiasing by position.

    A session without a click has no pair to learn from. Sessions of the same list with the same clicks are one group
    of that weight.
    """
    lists, clicked, count = log.patterns()
    page = log.documents[lists]
    group, rank = np.nonzero(page >= 0)
    fields = {"weight": count[group].astype(np.float64)} | ({"position": rank} if debiased else {})
    return lambdarank(
        judged.features[page[group, rank]],
        clicked[group, rank].astype(int),
        (page >= 0).sum(axis=1),
        **fields,
    )


def rankers(judged: Judged, log: Log, setting: Setting) -> dict[str, Callable[[], learners.Regressor]]:
    """Return every ranker that can be fitted here, by name."""
    shows = log.shows()
    flat, found = np.ones(LENGTH), estimated(shows)
    everyone = np.ones(len(judged.relevance))
    ours: dict[str, Callable[[], learners.Regressor]] = {
        "naive clicks, our learner": lambda: pointwise(judged, shows, flat),
        OURS: lambda: pointwise(judged, shows, found),
        "ours, true exposure": lambda: pointwise(judged, shows, setting.exposure),
        "our learner on the truth": lambda: learners.fit_regressor(
            "hist", 0, judged.features, judged.attraction, everyone
        ),
    }
    theirs: dict[str, Callable[[], learners.Regressor]] = {
        "ours, LightGBM as learner": lambda: pointwise(judged, shows, found, "lightgbm"),
        "lambdarank, naive": lambda: lambdarank_clicks(judged, log, debiased=False),
        "lambdarank, position debiasing": lambda: lambdarank_clicks(judged, log, debiased=True),
        "lambdarank on the truth": lambda: lambdarank(
            judged.features, judged.relevance.astype(int), judged.sizes
        ),
    }
    return ours | (theirs if find_spec("lightgbm") else {})


def measure(
    train: Judged, test: Judged, setting: Setting, seeds: int, names: Sequence[str]
) -> dict[str, Floats]:
    """Return NDCG@3 by ranker, shape (seeds, test queries)."""
    found: dict[str, list[Floats]] = {}
    for seed in range(FIRST, FIRST + seeds):
        every = rankers(train, draw_log(train, setting, seed), setting)
        for name in names:
            if name in every:
                found.setdefault(name, []).append(ndcg(test, every[name]().predict(test.features)))
    return {name: np.stack(values) for name, values in found.items()}


def half_width(values: Floats) -> float:
    """Return half of the 95 % interval of a mean, by Student's t."""
    n = len(values)
    return float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")


def row(name: str, found: Floats, ours: Floats) -> str:
    """Return a line: the mean, and what ours has more, over logs and over test queries."""
    more = ours - found
    logs, queries = more.mean(axis=1), more.mean(axis=0)
    mean = f"{found.mean():.4f} ± {half_width(found.mean(axis=1)):.4f}"
    if name == OURS:
        return f"{name:<32}{mean:>18}"
    return f"{name:<32}{mean:>18}{logs.mean():>+10.4f} ± {half_width(logs):.4f}{half_width(queries):>12.4f}"


def table(title: str, found: dict[str, Floats]) -> None:
    """Print a table of rankers."""
    print(f"\n{title}\n{'':<32}{'NDCG@3':>18}{'ours has more':>19}{'(queries)':>12}", flush=True)
    for name, values in found.items():
        print(row(name, values, found[OURS]), flush=True)


def main() -> None:
    """Print how the rankers compare, then how that hangs on the log."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    folder = real_folder() / "lambdarank"
    if not folder.exists():
        print("real data is not here; name its folder in EVENTLIB_REAL")
        return
    if not find_spec("lightgbm"):
        print("LightGBM is not installed (eventlib[lightgbm]): its rows are left out")
    print(machine("scikit-learn", "numpy", *(["lightgbm"] if find_spec("lightgbm") else [])))
    train, test = read_judged(folder, "train"), read_judged(folder, "test")
    table(f"{Setting()}, {seeds} logs", measure(train, test, Setting(), seeds, RANKERS))
    fewer = max(seeds // 3, 2)
    for setting in OTHERS:
        table(f"{setting}, {fewer} logs", measure(train, test, setting, fewer, COMPARED))


if __name__ == "__main__":
    main()
