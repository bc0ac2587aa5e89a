"""The last bundle as a policy: what its table of signals says of later shows (G1: no more than 1 % under it)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "previous_scores"]

COLUMNS: Final = ("content_id", "prompt_cluster", "signal")
"""What is read of an earlier `signals.parquet`; rows `prompt:<id>` are of single prompts."""


def previous_scores(signals: pd.DataFrame, shows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the last bundle's signal of each show.

    A show takes the signal of its own prompt, else of its prompt's cluster, else the mean over the content's clusters,
    else, for a content that the bundle did not know, the mean over all: what a consumer of that bundle could have done.

    Parameters
    ----------
    signals
        Columns `COLUMNS`, one row per content and cluster.
    shows
        `content_id, prompt_id, prompt_cluster`.

    Returns
    -------
    ndarray of float64, shape (shows,)
    """
    by_key = signals.drop_duplicates(["content_id", "prompt_cluster"]).set_index(
        ["content_id", "prompt_cluster"]
    )
    clusters = signals[~signals["prompt_cluster"].str.startswith("prompt:")]
    content = shows["content_id"]
    found = np.full(len(shows), float(signals["signal"].mean()))
    levels = (
        content.map(clusters.groupby("content_id")["signal"].mean()).to_numpy(np.float64),
        _of_key(by_key, content, shows["prompt_cluster"]),
        _of_key(by_key, content, "prompt:" + shows["prompt_id"]),
    )
    for known in levels:
        found = np.where(np.isnan(known), found, known)
    return found


def _of_key(by_key: pd.DataFrame, content: pd.Series[str], cluster: pd.Series[str]) -> NDArray[np.float64]:
    wanted = pd.MultiIndex.from_arrays([content, cluster])
    return by_key["signal"].reindex(wanted).to_numpy(np.float64)
