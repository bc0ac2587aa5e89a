"""What held-out people, and the log as a whole, say about a champion and the click model that judges it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eventlib.exposure import harvest_swaps
from eventlib.ranking.checks import Calibration, Perplexity, calibration, perplexity
from eventlib.ranking.click_checks import ClickChecks, browsing_trends, clicks_above, trust_trend
from eventlib.ranking.clicks import PositionBasedModel, count_cells
from eventlib.ranking.evaluation import HeldOut, Replicates, place_names
from eventlib.ranking.leaks import FEATURES, Leak, find_leaks, missed
from eventlib.ranking.randomised import Slice, randomised_slice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventlib.ranking.features import Contents
    from eventlib.ranking.training import FittedRanker, TrainingData

__all__ = ["Evidence", "Learned", "gather", "items"]

THIN_ITEM: Final = 10.0
"""Examined shows at the mean that the click model adds to each item."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a champion was trained on.

    Attributes
    ----------
    frame
        Shows before the cut at places in use, with `place` and `prompt_cluster`.
    data
        The same as codes, in the same order.
    theta
        Exposure per place before the cut.
    contents
        Contents as known at the cut.
    """

    frame: pd.DataFrame
    data: TrainingData
    theta: NDArray[np.float64]
    contents: Contents


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found.

    Attributes
    ----------
    predicted : ndarray of float64, shape (held-out shows,)
        Exposure * calibrated relevance of the champion.
    checks
        What would contradict exposure * relevance, over the whole log; relevance from other people throughout.
    slice
        The champion's value where places were drawn at random; None where none were.
    leaks
        Features that know what came after the cut.
    """

    predicted: NDArray[np.float64]
    calibration: Calibration
    checks: ClickChecks
    slice: Slice | None
    perplexity: Perplexity
    leaks: tuple[Leak, ...]


def items(frame: pd.DataFrame) -> pd.Series[str]:
    """Name what a click model takes for one item: a content for a prompt."""
    return frame["content_id"] + "\x1f" + frame["prompt_id"]


def gather(
    held: HeldOut, draws: Replicates, learned: Learned, ranker: FittedRanker, relevance: NDArray[np.float64]
) -> Evidence:
    """Check the champion's relevance and the click model.

    Parameters
    ----------
    held, draws
        Held-out shows and their replicates.
    ranker, relevance
        The champion, and what it says of each held-out show.
    """
    theta = learned.theta
    predicted = np.clip(theta[held.place] * relevance, 1e-6, 1 - 1e-6)
    before = learned.frame.assign(item=items(learned.frame))
    model = PositionBasedModel(dict(zip(held.places, theta.tolist(), strict=True)), prior_shows=THIN_ITEM)
    judge = model.fit(count_cells(before)).predict_proba(items(held.frame), held.frame["place"])
    rates = before.groupby("place")["clicked"].mean().reindex(held.places).to_numpy(np.float64)
    # what the trees learned from other people says of each show before the cut
    crossed = ranker.cross_fitted[learned.data.cell, learned.data.fold]
    return Evidence(
        predicted,
        calibration(predicted, held.clicked, held.person, draws.weights),
        _click_checks(held, learned, crossed, relevance),
        randomised_slice(held, draws, relevance),
        perplexity(judge, rates[held.place], held.clicked, held.person, draws.weights),
        _leaks(held, learned, crossed, relevance),
    )


def _click_checks(
    held: HeldOut, learned: Learned, crossed: NDArray[np.float64], relevance: NDArray[np.float64]
) -> ClickChecks:
    frame = pd.concat([learned.frame, held.frame], ignore_index=True)
    swaps = harvest_swaps(frame)
    order = pd.Index(held.places).get_indexer(pd.Index(place_names(swaps.positions)))
    person = pd.factorize(frame["person"])[0]
    part = np.concatenate([learned.data.fold, np.full(len(held.frame), learned.data.fold.max() + 1)])
    z = np.log(np.concatenate([crossed, relevance]))
    trust = trust_trend(swaps, np.log(learned.theta)[order], z, person, part)
    return ClickChecks(trust, *browsing_trends(swaps, clicks_above(frame), person))


def _leaks(
    held: HeldOut, learned: Learned, crossed: NDArray[np.float64], relevance: NDArray[np.float64]
) -> tuple[Leak, ...]:
    data, theta = learned.data, learned.theta
    newest = learned.contents.latest().set_index("content_id")[list(FEATURES)]
    before = missed(learned.frame["content_id"], data.clicked, theta[data.place], crossed, data.fold)
    after = missed(held.frame["content_id"], held.clicked, theta[held.place], relevance)
    return find_leaks(newest, before, after)
