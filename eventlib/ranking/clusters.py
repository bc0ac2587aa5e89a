"""Prompt clusters of a ranking: by what prompts say, or by what they were answered with where they say too little.

Text clusters are fitted on what was asked before the cut by rows that allow training, or kept in a file that the
user names; a prompt that is new after the cut is assigned by its text (S7.7). A cluster's topic is the one that it
was most often answered with before the cut: the name of a cluster says nothing of contents. Prompts without text go
to the cluster that most shows of their topic belong to.

Where a log has no texts, or its texts make no clusters, topics are the clusters, and the reason is kept.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from eventlib.columns import microseconds
from eventlib.errors import BadCallError
from eventlib.geo.prompt_clusters import (
    OTHER_PROMPTS,
    UNKNOWN_PROMPTS,
    PromptClusters,
    keep_prompt_clusters,
    read_prompts,
)
from eventlib.ranking.features import assign_clusters, learn_clusters, most_frequent, topics_of
from eventlib.small_cells import SMALL_CELL

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RESERVED", "Clusters", "belongs_to", "find_clusters"]

RESERVED: Final = (OTHER_PROMPTS, UNKNOWN_PROMPTS)
"""Clusters by text that no file has: of prompts near none, and of prompts without text or topic."""

LEAST_HELD: Final = 0.5
"""Share of the shows before the cut whose prompts must be in a text cluster, or topics tell more of them."""

_PURPOSE: Final = "training"


@dataclass(frozen=True, slots=True)
class Clusters:
    """The prompt clusters that a ranker learns by.

    Attributes
    ----------
    by
        `text` or `topic`.
    told
        What to know of them, in words: where they come from, or why they are not by text.
    prompts
        Prompt → cluster, of those that need no answer to be assigned.
    topics
        Cluster by text → the topic that it was most often answered with before the cut, "" where under ten people
        saw it or no topic is known; empty by topic, where a cluster is its own topic.
    of_topic
        Topic → cluster by text that most shows of it belong to, for prompts without text; empty by topic.
    text
        What clusters are assigned by; None by topic.
    warning
        That prompts have moved away from saved clusters, "" if they have not.
    """

    by: Literal["text", "topic"]
    told: str
    prompts: Mapping[str, str]
    topics: Mapping[str, str] = field(default_factory=dict)
    of_topic: Mapping[str, str] = field(default_factory=dict)
    text: PromptClusters | None = None
    warning: str = ""

    def assign(self, shows: pd.DataFrame, content_topics: Mapping[str, str]) -> pd.Series[Any]:
        """Return the cluster of each show.

        Parameters
        ----------
        shows
            With `prompt_id, answer_id, content_id`.
        content_topics
            Topic per content, as known at the cut.
        """
        if self.text is None:
            return assign_clusters(shows, content_topics, self.prompts)
        topic = assign_clusters(shows, content_topics, {})
        own = [self.of_topic.get(name, UNKNOWN_PROMPTS) for name in topic]
        known = shows["prompt_id"].map(dict(self.prompts)).astype(object)
        return known.fillna(pd.Series(own, index=shows.index, dtype=object)).astype(str)

    def topic(self, cluster: str) -> str:
        """Return the topic of a cluster, "" if it has none."""
        return self.topics.get(cluster, "" if self.text else cluster)

    @property
    def labels(self) -> dict[str, str]:
        """Cluster by text → its name for readers, in the order of the file; empty by topic, which is its own name."""
        if self.text is None:
            return {}
        return dict(zip(self.text.ids, self.text.labels, strict=True)) | {name: name for name in RESERVED}


def find_clusters(
    answers: pd.DataFrame,
    train: pd.DataFrame,
    topics: Mapping[str, str],
    cut: int,
    path: str = "",
    seed: int = 0,
) -> Clusters:
    """Return the prompt clusters of a ranking: by text if the log's texts make any, else by topic.

    Parameters
    ----------
    answers
        `el.properties(events, "answer_generate")`; rows that do not allow training are not read.
    train
        Shows before the cut.
    topics
        Topic per content, as known at the cut.
    cut
        End of the training window, µs since 1970, UTC.
    path
        File of saved clusters, written if it is not there; "" keeps them nowhere.
    seed
        Of a fit.

    Raises
    ------
    BadCallError
        The file is damaged, cannot be written, was fitted for analytics, or on prompts of a day after the cut.
    """
    early = microseconds(answers) < cut
    fitted, told = keep_prompt_clusters(answers[early], path, seed=seed, purpose=_PURPOSE)
    if path:
        _refuse_later(path, fitted, cut)
    why = _unusable(fitted, told)
    if not why:
        assigned = _assigned(fitted, answers[early], answers[~early], train)
        spoken = dict(zip(assigned["prompt_id"], assigned["prompt_cluster"], strict=True))
        held = float(train["prompt_id"].map(spoken).isin(fitted.ids).mean())
        if held >= LEAST_HELD:
            return _by_text(fitted, told, spoken, train, topics, fitted.drift(assigned).warning)
        why = f"text clusters hold only {held:.0%} of the shows before the cut"
    return Clusters("topic", why, learn_clusters(train, topics))


def _refuse_later(path: str, fitted: PromptClusters, cut: int) -> None:
    """Refuse clusters that were shaped by what is held out; a file states days, so the day of the cut will do."""
    last, stated = dt.datetime.fromtimestamp(cut / 1e6, dt.UTC).date(), fitted.fitted["as_of"]
    try:
        as_of = dt.date.fromisoformat(stated)
    except ValueError:
        raise BadCallError(
            f'{path} does not say up to when its prompts go ("as_of" is no date), and training ends on {last}: name '
            "another file"
        ) from None
    if as_of > last:
        raise BadCallError(
            f"{path} was fitted on prompts up to {as_of}, and training ends on {last}: clusters may know nothing of "
            "what is held out. Name another file; one that is not there is written from the prompts before the cut"
        )


def _unusable(fitted: PromptClusters, told: str) -> str:
    """Say why clusters tell nothing of these prompts; "" if they do."""
    if not fitted.labels:
        return told.removeprefix("no prompt clusters: ")
    if len(fitted.labels) == 1:
        return "their texts make one cluster, which tells none from another"
    return f"the text clusters are weak (silhouette {fitted.fitted['silhouette']:.2f})" if fitted.weak else ""


def _assigned(
    fitted: PromptClusters, before: pd.DataFrame, after: pd.DataFrame, train: pd.DataFrame
) -> pd.DataFrame:
    """Assign prompts with a text to ids of clusters; a prompt known before the cut stays where it was then."""
    early, late = read_prompts(before, _PURPOSE), read_prompts(after, _PURPOSE)
    early = early[(early["prompt_text"] != "").to_numpy()]
    known = pd.concat([early["prompt_id"], train["prompt_id"]])
    found = fitted.assign(pd.concat([early, late[~late["prompt_id"].isin(known)]], ignore_index=True))
    found = found[found["similarity"].notna()]
    ids = dict(zip(fitted.labels, fitted.ids, strict=True))
    return found.assign(prompt_cluster=found["prompt_cluster"].map(lambda label: ids.get(label, label)))


def _by_text(
    fitted: PromptClusters,
    told: str,
    spoken: Mapping[str, str],
    train: pd.DataFrame,
    topics: Mapping[str, str],
    warning: str,
) -> Clusters:
    """Learn the topics of clusters, and by them the clusters of prompts without a text."""
    shown = pd.DataFrame(
        {
            "cluster": train["prompt_id"].map(dict(spoken)),
            "topic": topics_of(train, topics),
            "person": train["person"],
        }
    ).dropna()
    tellable = shown[shown["topic"] != ""]
    of_topic = most_frequent(tellable["topic"], tellable["cluster"])
    by_topic = {prompt: of_topic.get(topic) for prompt, topic in learn_clusters(train, topics).items()}
    silent = {prompt: cluster for prompt, cluster in by_topic.items() if cluster and prompt not in spoken}
    of_cluster = _topics(shown, fitted.ids)
    return Clusters("text", told, {**spoken, **silent}, of_cluster, of_topic, fitted, warning)


def _topics(shown: pd.DataFrame, ids: tuple[str, ...]) -> dict[str, str]:
    """Return the topic of every cluster; of those that ten people saw, else none (S7.10)."""
    people = shown.groupby("cluster")["person"].nunique()
    told = people.index[people >= SMALL_CELL].intersection(list(ids))
    seen = shown[shown["cluster"].isin(told)]
    return dict.fromkeys([*ids, *RESERVED], "") | most_frequent(seen["cluster"], seen["topic"])


def belongs_to(contents: pd.DataFrame, clusters: Clusters) -> pd.DataFrame:
    """Return contents with every prompt cluster that they belong to by their topic.

    By text, a content whose topic is no cluster's belongs to prompts that are near none.

    Parameters
    ----------
    contents
        With `topic`, one row per content.
    clusters
        How prompts are clustered.

    Returns
    -------
    DataFrame
        The columns of `contents` and `prompt_cluster`, one row per content and cluster.
    """
    if clusters.text is None:
        return contents.assign(prompt_cluster=contents["topic"])
    told = [(topic, cluster) for cluster, topic in clusters.topics.items() if topic]
    pairs = pd.DataFrame(told, columns=["topic", "prompt_cluster"], dtype=object)
    own = contents.merge(pairs, on="topic", how="left")
    return own.assign(prompt_cluster=own["prompt_cluster"].fillna(OTHER_PROMPTS))
