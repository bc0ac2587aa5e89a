"""Fitted prompt clusters: how prompts are assigned to them, how they are saved, and whether they still hold (S7.7)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.columns import texts
from eventlib.errors import BadCallError
from eventlib.geo import prompt_file
from eventlib.geo.prompt_fit import OTHER_PROMPTS, UNKNOWN_PROMPTS, term_vectors
from eventlib.geo.prompt_terms import Block, read_terms, split_words
from eventlib.small_cells import SMALL_CELL

__all__ = ["Drift", "PromptClusters", "digest"]

Floats: TypeAlias = NDArray[np.float64]

_MOST_MORE_OTHER: Final = 0.10
_LEAST_SIMILAR: Final = 0.8
_WEAK: Final = 0.1
_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Drift:
    """How well saved clusters hold the prompts of a log, against those they were fitted on.

    Attributes
    ----------
    prompts : int
        Prompts with a text.
    other_share, other_share_at_fit : float
        Share of them near no centroid; NaN of no prompts.
    mean_similarity, mean_similarity_at_fit : float
        Mean cosine with the nearest centroid.
    warning : str
        What a reader has to know; "" if nothing.
    """

    prompts: int
    other_share: float
    other_share_at_fit: float
    mean_similarity: float
    mean_similarity_at_fit: float
    warning: str


@dataclass(frozen=True, slots=True, eq=False)
class PromptClusters:
    """Fitted clusters of prompts; nothing in them is about fewer than ten people or prompt-days.

    Attributes
    ----------
    words, pieces : dict of str to float
        Terms that count and their weights, squared inverse document frequencies; sorted.
    unseen : float
        Weight of any other term, in the length of a text: that of the rarest that count.
    centroids : numpy.ndarray of float64, shape (clusters, len(words) + len(pieces))
        Of length 1.
    labels : tuple of str
        Name of each cluster.
    threshold : float
        Cosine below which a prompt is `other`: a quarter of the median of the fitted prompts.
    known : frozenset of str
        Digests of the fitted texts that ten people or prompt-days asked.
    fitted : dict
        `as_of` (last event), `purpose`, `seed`, `small_cell`, `prompts`, `silhouette`, `other_share`,
        `mean_similarity`, `libraries`.
    """

    words: dict[str, float]
    pieces: dict[str, float]
    unseen: float
    centroids: Floats
    labels: tuple[str, ...]
    threshold: float
    known: frozenset[str]
    fitted: Mapping[str, Any]

    @property
    def ids(self) -> tuple[str, ...]:
        """An id of each cluster for tables and names of fields, as `eventlib.geo.prompt_file.cluster_id` makes it."""
        return tuple(prompt_file.cluster_id(cluster) for cluster in self._content()["clusters"])

    @property
    def weak(self) -> bool:
        """Prompts share so few words that a cluster says little: a silhouette under .1 at the fit."""
        silhouette = self.fitted.get("silhouette")
        return isinstance(silhouette, (int, float)) and silhouette < _WEAK

    def assign(self, prompts: pd.DataFrame) -> pd.DataFrame:
        """Return the cluster of each prompt.

        Parameters
        ----------
        prompts
            `prompt_id, prompt_text`, one row per prompt, as `read_prompts` returns them.

        Returns
        -------
        pandas.DataFrame
            `prompt_id, prompt_cluster, similarity, known`, in the order of the rows: the label of the nearest
            centroid, or `other`, or `unknown` for a prompt without a word; the cosine, NaN without a word;
            whether the text was in the fit and ten people or prompt-days had asked it.

        Raises
        ------
        BadCallError
            If a column is missing.
        """
        missing = {"prompt_id", "prompt_text"} - {*prompts.columns}
        if missing:
            raise BadCallError.missing_columns("assign", missing, map(str, prompts.columns))
        split = [split_words(str(text)) for text in texts(prompts, "prompt_text")]
        spoken = np.array([bool(words) for words in split], dtype=bool)
        found = [self.nearest(read_terms(split[at : at + _AT_ONCE])) for at in range(0, len(split), _AT_ONCE)]
        nearest = np.concatenate([np.empty(0, dtype=np.int64), *(each for each, _ in found)])
        similarity = np.concatenate([np.empty(0), *(each for _, each in found)])
        names = np.array([*self.labels, OTHER_PROMPTS], dtype=object)
        near = np.where(similarity >= self.threshold, nearest, len(self.labels))
        return pd.DataFrame(
            {
                "prompt_id": texts(prompts, "prompt_id"),
                "prompt_cluster": np.where(spoken, names[near], UNKNOWN_PROMPTS),
                "similarity": np.where(spoken, similarity, np.nan),
                "known": [digest(words) in self.known for words in split],
            }
        )

    def nearest(self, blocks: tuple[Block, Block]) -> tuple[NDArray[np.int64], Floats]:
        """Return the nearest centroid of each text, the first of equals, and the cosine."""
        size = blocks[0].matrix.shape[0]
        if not len(self.labels):
            return np.zeros(size, dtype=np.int64), np.zeros(size)
        vectors = term_vectors(blocks, self.words, self.pieces, self.unseen)
        # rounded, so that the last digit of a sum decides nothing
        similarity: Floats = np.round(vectors @ self.centroids.T, 6)
        return similarity.argmax(axis=1).astype(np.int64), similarity.max(axis=1)

    def drift(self, assigned: pd.DataFrame) -> Drift:
        """Tell whether assigned prompts have moved away from the clusters.

        Parameters
        ----------
        assigned
            As `assign` or `cluster_prompts` returns it; prompts without a text are left out.

        Returns
        -------
        Drift
            With a warning where the share of `other` is over .10 above that at the fit, or the mean similarity
            under .8 of it; never under ten prompts, of which nothing can be said.
        """
        spoken = assigned[assigned["similarity"].notna().to_numpy()]
        count = len(spoken)
        other = float((spoken["prompt_cluster"] == OTHER_PROMPTS).mean()) if count else float("nan")
        similar = float(spoken["similarity"].mean()) if count else float("nan")
        before, was = float(self.fitted["other_share"]), float(self.fitted["mean_similarity"])
        moved = count >= SMALL_CELL and (other > before + _MOST_MORE_OTHER or similar < _LEAST_SIMILAR * was)
        words = (
            f"prompts have moved away from the saved clusters of {self.fitted['as_of']}: {other:.0%} of {count} are near "
            f"none ({before:.0%} then), mean similarity {similar:.2f} ({was:.2f} then); fit them anew to name the rest"
        )
        if not self.labels:
            words = f"the saved clusters are none, so that {count} prompts are in none: fit them anew"
            moved = count >= SMALL_CELL
        return Drift(count, other, before, similar, was, words if moved else "")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the clusters to a JSON file in one step; the same clusters give the same bytes.

        Raises
        ------
        BadCallError
            If the folder is not there or cannot be written to.
        """
        return prompt_file.write(Path(path), self._content())

    def to_bytes(self) -> bytes:
        """Return the bytes of the file that `save` writes."""
        return prompt_file.encode(self._content())

    def _content(self) -> dict[str, Any]:
        names = [*self.words, *self.pieces]
        split = len(self.words)
        clusters = [
            {
                "label": label,
                "words": {names[i]: float(row[i]) for i in np.flatnonzero(row[:split])},
                "pieces": {names[split + i]: float(row[split + i]) for i in np.flatnonzero(row[split:])},
            }
            for label, row in zip(self.labels, self.centroids, strict=True)
        ]
        return {
            "clusters": clusters,
            "fitted": dict(self.fitted),
            "known": sorted(self.known),
            "pieces": self.pieces,
            "threshold": self.threshold,
            "unseen": self.unseen,
            "words": self.words,
        }

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PromptClusters:
        """Read clusters that `save` wrote.

        Raises
        ------
        BadCallError
            If there is no such file, or it is damaged, foreign or of another version.
        """
        content = prompt_file.read(Path(path))
        words, pieces = (dict(sorted(content[name].items())) for name in ("words", "pieces"))
        centroids = np.zeros((len(content["clusters"]), len(words) + len(pieces)))
        for row, cluster in zip(centroids, content["clusters"], strict=True):
            row[: len(words)] = [cluster["words"].get(name, 0.0) for name in words]
            row[len(words) :] = [cluster["pieces"].get(name, 0.0) for name in pieces]
        labels = tuple(cluster["label"] for cluster in content["clusters"])
        known = frozenset(content["known"])
        return cls(
            words,
            pieces,
            content["unseen"],
            centroids,
            labels,
            content["threshold"],
            known,
            content["fitted"],
        )


def digest(words: list[str]) -> str:
    """Return what a text is recognised by."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]
