"""Prompt clusters: found once, saved, and then only assigned to; never silently refitted (S7.7).

A cluster that is fitted anew each week moves under the figures that are shown by it. So the terms, their weights
and the centroids of a fit are kept in a JSON file that anything can read, and a later log is assigned to them: the
same text always goes to the same cluster. When the prompts have moved away from the clusters, that is told
(`PromptClusters.drift`), and it is for a human to fit anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from scipy import sparse

from eventlib.columns import microseconds, texts
from eventlib.errors import BadCallError
from eventlib.geo.prompt_fit import (
    OTHER_PROMPTS,
    UNKNOWN_PROMPTS,
    Asked,
    choose_terms,
    find_centroids,
    idf,
    name_clusters,
    partition,
    read_asked,
    rows_for,
    term_vectors,
)
from eventlib.geo.prompt_model import Drift, PromptClusters, digest
from eventlib.geo.prompt_terms import Block, read_terms
from eventlib.small_cells import SMALL_CELL

__all__ = [
    "OTHER_PROMPTS",
    "UNKNOWN_PROMPTS",
    "Drift",
    "PromptClusters",
    "cluster_prompts",
    "fit_prompt_clusters",
    "keep_prompt_clusters",
    "read_prompts",
]

PURPOSES: Final = ("analytics", "training")


def _check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise BadCallError.unknown("purpose", purpose, PURPOSES)


def read_prompts(answers: pd.DataFrame, purpose: str = "analytics") -> pd.DataFrame:
    """Return each prompt with its most frequent wording; ties go to the first by name.

    Follow-up questions (`answer_refine`) are no prompts: they rarely say what they are about.

    Parameters
    ----------
    answers
        `el.properties(events, "answer_generate")`.
    purpose
        `analytics` or `training`: what rows have to allow to be read.

    Returns
    -------
    pandas.DataFrame
        `prompt_id, prompt_text`, sorted by id; "" where a prompt's text was never logged.
    """
    _check_purpose(purpose)
    kept = rows_for(answers, purpose)
    asked = pd.DataFrame({name: texts(kept, name) for name in ("prompt_id", "prompt_text")})
    counted = asked[(asked["prompt_id"] != "").to_numpy()].value_counts().rename("n").reset_index()
    counted["silent"] = counted["prompt_text"] == ""
    first = counted.sort_values(
        ["prompt_id", "silent", "n", "prompt_text"], ascending=[True, True, False, True]
    ).drop_duplicates("prompt_id", ignore_index=True)
    return first[["prompt_id", "prompt_text"]]


def fit_prompt_clusters(
    answers: pd.DataFrame, *, seed: int = 0, purpose: str = "analytics", small_cell: int = SMALL_CELL
) -> PromptClusters:
    """Find clusters of prompts by their words.

    Parameters
    ----------
    answers
        `el.properties(events, "answer_generate")`.
    seed
        Of everything random; the order of the rows is of no matter.
    purpose
        `analytics` or `training`: what rows have to allow to be read.
    small_cell
        Fewest people, or prompt-days of probes, behind a term, a cluster and a word of a label. Less than ten is
        for texts that are public.

    Returns
    -------
    PromptClusters
        Without any cluster where no prompt has a text or too few people asked.

    Raises
    ------
    BadCallError
        If the purpose is another, `small_cell` is under 1, or there is no `event_time`.

    Examples
    --------
    >>> subjects = ("heat pumps", "roof gardens", "night trains", "bread ovens")
    >>> asked = [f"{ask} {subject}" for ask in ("price of", "who mends", "best") for subject in subjects]
    >>> answers = pd.DataFrame({"prompt_text": asked * 10, "person_id": [f"p-{i // 12}" for i in range(120)]})
    >>> answers["event_time"] = pd.Timestamp("2026-08-01", tz="UTC")
    >>> clusters = fit_prompt_clusters(answers)
    >>> clusters.labels
    ('bread ovens', 'heat pumps', 'night trains', 'roof gardens')
    >>> new = pd.DataFrame({"prompt_id": ["a", "b"], "prompt_text": ["old heat pumps", "how tall is the moon"]})
    >>> clusters.assign(new)["prompt_cluster"].tolist()
    ['heat pumps', 'other']
    """
    _check_purpose(purpose)
    if small_cell < 1:
        raise BadCallError(
            f"small_cell is {small_cell}; it counts people, so give 1 or more ({SMALL_CELL} by default)"
        )
    if "event_time" not in answers:
        raise BadCallError.missing_columns("fit_prompt_clusters", ["event_time"], map(str, answers.columns))
    asked = read_asked(answers, purpose)
    blocks = read_terms(asked.words)
    words, pieces = (choose_terms(block, asked, small_cell) for block in blocks)
    unseen = round(idf(2, len(asked.words)), 4)  # as the rarest that count
    vectors = term_vectors(blocks, words, pieces, unseen)
    cluster, silhouette = partition(vectors, seed)
    centroids = find_centroids(vectors, cluster, asked, small_cell)
    fitted = {
        "as_of": _last_moment(answers), "purpose": purpose, "seed": seed, "small_cell": small_cell,
        "prompts": len(asked.words), "silhouette": None if np.isnan(silhouette) else round(silhouette, 4),
        "libraries": {name: version(name) for name in ("numpy", "scikit-learn", "scipy")},
    }  # fmt: skip
    unnamed = PromptClusters(
        words, pieces, unseen, centroids, ("",) * len(centroids), 0.0, frozenset(), fitted
    )
    return _finish(unnamed, blocks, asked, small_cell)


def _last_moment(answers: pd.DataFrame) -> str:
    last = microseconds(answers).max(initial=0) if len(answers) else 0
    return f"{pd.Timestamp(int(last), unit='us', tz='UTC'):%Y-%m-%d}"


def _finish(found: PromptClusters, blocks: tuple[Block, Block], asked: Asked, k: int) -> PromptClusters:
    """Set the threshold, the labels and what the fit looked like."""
    nearest, similarity = found.nearest(blocks)
    size = len(similarity)
    threshold = round(float(np.median(similarity[similarity > 0])) / 4, 4) if (similarity > 0).any() else 1.0
    near = similarity >= threshold
    cluster = np.where(near, nearest, -1)
    counted = blocks[0].keep(np.array([name in found.words for name in blocks[0].names], dtype=bool))
    labels = name_clusters(counted, cluster, len(found.centroids), asked, k)
    told = asked.used(sparse.identity(size, format="csr"), k)
    known = frozenset(digest(words) for words, shown in zip(asked.words, told, strict=True) if shown)
    fitted = {
        **found.fitted,
        "other_share": round(float((~near).mean()), 4) if size else 0.0,
        "mean_similarity": round(float(similarity.mean()), 4) if size else 0.0,
    }
    return replace(found, labels=labels, threshold=threshold, known=known, fitted=fitted)


def keep_prompt_clusters(
    answers: pd.DataFrame, path: str = "", *, seed: int = 0, purpose: str = "analytics"
) -> tuple[PromptClusters, str]:
    """Return the clusters kept in a file, or fit them on this log and keep them there; and say which.

    Parameters
    ----------
    answers
        As in `fit_prompt_clusters`.
    path
        File of saved clusters; "" fits them on this log and keeps them nowhere.
    seed, purpose
        As in `fit_prompt_clusters`; of no matter if the file is there.

    Returns
    -------
    clusters, told
        And a sentence for the report.

    Raises
    ------
    BadCallError
        If the file is damaged or foreign, cannot be written, or was fitted for analytics and is to train.
    """
    if path and Path(path).exists():
        clusters = PromptClusters.load(path)
        if purpose == "training" and clusters.fitted["purpose"] != purpose:
            raise BadCallError(
                f"{path} was fitted on events that allow analytics, and training may read only those that allow it: "
                "name another file"
            )
        return clusters, f"{_told(clusters)}, saved; this log's prompts are assigned to them"
    clusters = fit_prompt_clusters(answers, seed=seed, purpose=purpose)
    if not clusters.labels:  # a later log may have what clusters take: nothing is fixed yet
        return (
            clusters,
            "no prompt clusters: no words that ten people, or ten prompt-days of probes, have in common",
        )
    if not path:
        return (
            clusters,
            f"{_told(clusters)}, fitted on this log alone: another log gets others{_weakness(clusters)}",
        )
    clusters.save(path)
    return clusters, f"{_told(clusters)}, fitted on this log and saved for later ones{_weakness(clusters)}"


def _told(clusters: PromptClusters) -> str:
    return f"{len(clusters.labels)} prompt clusters as of {clusters.fitted['as_of']}"


def _weakness(clusters: PromptClusters) -> str:
    if not clusters.weak:
        return ""
    silhouette = clusters.fitted["silhouette"]
    return f"; prompts share few words, so that the clusters are weak (silhouette {silhouette:.2f})"


def cluster_prompts(
    answers: pd.DataFrame,
    clusters: PromptClusters,
    topics: Mapping[str, str] | None = None,
    *,
    purpose: str = "analytics",
) -> pd.DataFrame:
    """Return the cluster of every prompt of a log: by its text, else by its topic.

    Parameters
    ----------
    answers
        `el.properties(events, "answer_generate")`.
    clusters
        To be assigned to.
    topics
        Topic of each prompt by id, for prompts without a text, as `eventlib.ranking.features.learn_clusters` returns it: what it was
        most often answered with.
    purpose
        As in `read_prompts`.

    Returns
    -------
    pandas.DataFrame
        `prompt_id, prompt_cluster, similarity, known, basis`, one row per prompt, sorted by id; basis is `text`,
        `topic` or `none`, of which the cluster is `unknown`.
    """
    found = clusters.assign(read_prompts(answers, purpose))
    known = topics or {}
    topic = np.array([known.get(prompt, "") for prompt in found["prompt_id"]], dtype=object)
    spoken = found["similarity"].notna().to_numpy()
    by_topic = ~spoken & (topic != "")
    cluster = np.where(by_topic, topic, found["prompt_cluster"].to_numpy(dtype=object))
    basis = np.select([spoken, by_topic], ["text", "topic"], "none")
    return found.assign(prompt_cluster=cluster, basis=basis)
