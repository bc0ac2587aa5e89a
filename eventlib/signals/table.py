"""The signal table: relevance of each content version per engine and prompt cluster, with intervals (S9)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from eventlib.ranking.clusters import belongs_to
from eventlib.ranking.evaluation import draw_people, exposure_refits
from eventlib.ranking.features import CELL, read_contents
from eventlib.ranking.judge import DEBIASED
from eventlib.ranking.training import fit_ranker
from eventlib.signals.spread import bounds, find_spread, held_cells, people_behind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from eventlib.ranking.clusters import Clusters
    from eventlib.ranking.features import Contents
    from eventlib.ranking.pipeline import Judged, Ranking, Tables
    from eventlib.ranking.training import FittedRanker
    from eventlib.signals.spread import Spread

__all__ = ["SIGNAL_SCHEMA", "SignalTable", "build_signals", "micros", "strongest"]

_TIME: Final = pa.timestamp("us", tz="UTC")
SIGNAL_SCHEMA: Final = pa.schema(
    [
        pa.field("content_id", pa.string(), nullable=False),
        pa.field("content_version", pa.string(), nullable=False),
        pa.field("engine", pa.string(), nullable=False),
        pa.field("prompt_cluster", pa.string(), nullable=False),
        pa.field("prompt_cluster_label", pa.string(), nullable=False),
        pa.field("stages", pa.string(), nullable=False),
        pa.field("signal", pa.float64(), nullable=False),
        pa.field("lower", pa.float64(), nullable=False),
        pa.field("upper", pa.float64(), nullable=False),
        pa.field("n_effective", pa.float64()),
        pa.field("exposure", pa.float64()),
        pa.field("as_of", _TIME, nullable=False),
        pa.field("event_timestamp", _TIME, nullable=False),
        pa.field("created_timestamp", _TIME, nullable=False),
    ]
)
"""`signals.parquet`; the same names in `signals.jsonl`."""

STAGES: Final = "click"
"""What the signal speaks of: a click once examined. Citing and satisfaction are not in it."""

REFITS: Final = 30
"""Bootstrap refits behind each interval; a standard deviation from 30 is known to about an eighth."""


@dataclass(frozen=True, slots=True)
class SignalTable:
    """Signals with what they were computed from.

    Attributes
    ----------
    frame : DataFrame
        Columns of `SIGNAL_SCHEMA`.
    cells : DataFrame
        `CELL` of each row.
    design : ndarray of float32, shape (rows, features)
        The model's input for each row.
    clusters : Clusters
        How prompts are clustered.
    sampling : ndarray of float64, shape (rows,)
        Standard deviation of each signal over refits on resampled people.
    spread : Spread
        What intervals hold beside it.
    """

    frame: pd.DataFrame
    cells: pd.DataFrame
    design: NDArray[np.float32]
    clusters: Clusters
    sampling: NDArray[np.float64]
    spread: Spread


def build_signals(ranking: Ranking, tables: Tables, as_of: dt.datetime, created: dt.datetime) -> SignalTable:
    """Score every content that is known, for every prompt cluster it belongs to or was shown in.

    Rows of a cluster speak of a prompt not seen before; prompts seen by ten people with this content have rows of
    their own, `prompt:<prompt_id>`. Contents are those known at `as_of`, histories end at the cut.

    Parameters
    ----------
    ranking
        With a trained ranker.
    tables
        What it was trained on.
    as_of, created
        Moment of the prepared dataset, and of this export; time zone aware.
    """
    judged = ranking.judged
    assert judged is not None, "signals are built from a trained ranker"
    contents = read_contents(tables.publishes, tables.edits, micros(as_of) + 1)
    contents = replace(contents, cluster_topics=judged.clusters.topics)
    cells = _cells(judged, contents)
    design = judged.ranker.design(cells, contents)
    signal = judged.ranker.predict(design)
    evidence, labels = _evidence(judged, cells), judged.clusters.labels
    held = held_cells(judged)
    new = held.cells.assign(prompt_id="")
    asked = [(cells, contents), (held.cells, judged.contents), (new, judged.contents)]
    scores, *of_held = _refitted(ranking, judged, asked)
    sampling = scores.var(axis=0, ddof=1)
    spread = find_spread(judged, ranking.options, held, (of_held[0], of_held[1]))
    # what few people saw counts for nothing here, since bounds would tell how much it was (S7.10)
    examined = np.nan_to_num(evidence["exposure"])
    variances = [share.variance(signal, sampling, examined) for share in (spread.cluster, spread.prompt)]
    lower, upper = bounds(signal, np.where(cells["prompt_id"] == "", *variances))
    frame = pd.DataFrame(
        {
            "content_id": cells["content_id"],
            "content_version": cells["content_version"],
            "engine": ranking.engine,
            "prompt_cluster": np.where(
                cells["prompt_id"] == "", cells["prompt_cluster"], "prompt:" + cells["prompt_id"]
            ),
            "prompt_cluster_label": [labels.get(name, name) for name in cells["prompt_cluster"]],
            "stages": STAGES,
            "signal": signal,
            "lower": lower,
            "upper": upper,
            **evidence,
            "as_of": as_of,
            "event_timestamp": dt.datetime.fromtimestamp(ranking.cut / 1e6, dt.UTC),
            "created_timestamp": created,
        }
    )
    return SignalTable(frame, cells, design, judged.clusters, np.sqrt(sampling), spread)


def micros(moment: dt.datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return round(moment.timestamp() * 1_000_000)


def _cells(judged: Judged, contents: Contents) -> pd.DataFrame:
    """List what to score: newest versions in clusters where they were shown or belong, then frequent prompts."""
    known = contents.latest()[["content_id", "content_version", "topic"]]
    newest = pd.concat([known, _unpublished(judged, known["content_id"])], ignore_index=True)
    shown = judged.train.cells
    own = belongs_to(known, judged.clusters)[list(CELL[:3])]
    pairs = shown[["content_id", "prompt_cluster"]].drop_duplicates()
    seen = pairs.merge(newest[["content_id", "content_version"]], on="content_id")[list(CELL[:3])]
    clusters = pd.concat([own, seen]).drop_duplicates().assign(prompt_id="")
    frequent = people_behind(judged, ["content_id", "prompt_cluster", "prompt_id"])
    frequent = frequent[frequent["told"] & ~frequent["prompt_id"].str.startswith("answer:")]
    prompts = frequent.merge(newest[["content_id", "content_version"]], on="content_id")[list(CELL)]
    return pd.concat([clusters, prompts]).sort_values(list(CELL), ignore_index=True)


def _unpublished(judged: Judged, known: pd.Series[str]) -> pd.DataFrame:
    """Return the contents that were shown but whose publishing was never told, in the version shown last."""
    shown = judged.learned[~judged.learned["content_id"].isin(known)].drop_duplicates(
        "content_id", keep="last"
    )
    return shown[["content_id", "content_version"]].assign(topic="")


def _evidence(judged: Judged, cells: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return `n_effective` (people) and `exposure` (examined shows) per cell; null where fewer than ten people."""
    found = {"n_effective": np.full(len(cells), np.nan), "exposure": np.full(len(cells), np.nan)}
    for keys, rows in (
        (["content_id", "prompt_cluster"], (cells["prompt_id"] == "").to_numpy()),
        (["content_id", "prompt_cluster", "prompt_id"], (cells["prompt_id"] != "").to_numpy()),
    ):
        people = people_behind(judged, keys)
        known = people[people["told"]].set_index(keys)[["n_effective", "e"]]
        values = known.reindex(pd.MultiIndex.from_frame(cells.loc[rows, keys])).to_numpy(np.float64)
        found["n_effective"][rows], found["exposure"][rows] = values.T
    return found


def _refits(ranking: Ranking, judged: Judged) -> Iterator[tuple[FittedRanker, float]]:
    """Refit the champion on resampled people, exposure too; with what its output is then worth on that exposure's scale."""
    data, ranker = judged.train, judged.ranker
    rng, people = np.random.default_rng(ranking.options.seed + 2), int(data.person.max(initial=-1)) + 1
    refit_exposure = exposure_refits(judged.learned, judged.places, data.person)
    shows = np.bincount(data.place, minlength=len(judged.places))
    debiased = judged.champion == DEBIASED
    for drawn in draw_people(people, REFITS, rng):
        theta = refit_exposure(drawn)
        refit = fit_ranker(
            data,
            theta if debiased else np.ones_like(theta),
            seed=ranking.options.seed,
            weights=drawn[data.person],
            calibration=(ranker.intercept, ranker.slope),
            learner=ranking.options.learner,
        )
        # the naive ranker learns without exposure, but was calibrated on it
        yield refit, 1.0 if debiased else float(shows @ judged.theta / (shows @ theta))


def _refitted(
    ranking: Ranking, judged: Judged, asked: Sequence[tuple[pd.DataFrame, Contents]]
) -> list[NDArray[np.float64]]:
    """Return what each refit says of some lists of cells, shape (REFITS, cells) each."""
    scores: list[NDArray[np.float64]] = [np.empty((REFITS, len(cells))) for cells, _ in asked]
    for i, (refit, factor) in enumerate(_refits(ranking, judged)):
        for score, (cells, contents) in zip(scores, asked, strict=True):
            score[i] = factor * refit.predict(refit.design(cells, contents))
    return scores


def strongest(signals: pd.DataFrame) -> pd.DataFrame:
    """Return the signals per prompt cluster, by its label, with ten people or more behind them, highest first (S7.10)."""
    shown = signals[
        signals["n_effective"].notna() & ~signals["prompt_cluster"].astype(str).str.startswith("prompt:")
    ]
    columns = ["content_id", "content_version", "prompt_cluster", "signal", "lower", "upper", "n_effective"]
    shown = shown.assign(prompt_cluster=shown["prompt_cluster_label"])
    return shown.sort_values(["signal", "content_id"], ascending=[False, True], ignore_index=True)[columns]
