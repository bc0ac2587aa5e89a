"""What a ranker may know of a content when it serves: its own features, its topic, and how it did before (S8.4).

No rank, nothing from after the cut. Content features come from `content_publish` and `content_edit` as known at the
cut; an edit states what it changed, the rest stays as it was in the version before. Histories are clicks over
examined shows, shrunk; in training each person's rows get them from the other people only, so that a label never
reaches its own feature.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib.columns import microseconds, numbers, texts
from eventlib.ranking.impressions import allows_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "CELL",
    "CONTENT_FEATURES",
    "FEATURES",
    "HISTORY_FEATURES",
    "LEVELS",
    "Contents",
    "Feature",
    "assign_clusters",
    "code_cells",
    "describe_features",
    "history",
    "learn_clusters",
    "most_frequent",
    "read_contents",
    "topics_of",
]

CELL: Final = ("content_id", "content_version", "prompt_cluster", "prompt_id")
"""What is scored: a version of a content, for a prompt of a cluster; `prompt_id` "" is any new prompt of it."""

LEVELS: Final = (
    ("content_id",),
    ("content_id", "prompt_cluster"),
    ("content_id", "prompt_cluster", "prompt_id"),
)
"""Keys of the three histories, from wide to narrow; each is shrunk to the one before."""

PRIOR_EXPOSURE: Final = 10.0
"""Examined shows at the wider average that a history starts from."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the model: `default` stands where the source says nothing, None for the median at the cut."""

    name: str
    unit: str
    source: str
    default: float | None
    description: str


def _count(name: str, unit: str, what: str) -> Feature:
    return Feature(name, unit, f"content_publish, content_edit: {name}", None, what)


def _rate(name: str, numerator: str) -> Feature:
    return Feature(
        name, "per 1000 words", f"content_publish, content_edit: {numerator}, word_count", None,
        f"{numerator} per thousand words",
    )  # fmt: skip


def _kind(kind: str) -> Feature:
    return Feature(
        f"is_{kind}",
        "0 or 1",
        "content_publish, content_edit: content_type",
        0.0,
        f"the content is of type {kind}",
    )


_COUNTS: Final = (
    _count("word_count", "words", "words of the body"),
    _count("heading_count", "headings", "headings of the body"),
    _count("list_count", "lists", "lists of the body"),
    _count("table_count", "tables", "tables of the body"),
    _count("statistic_count", "statistics", "figures with a unit or a source"),
    _count("quotation_count", "quotations", "verbatim quotations"),
    _count("source_count", "sources", "outward references"),
    _count("reading_ease", "flesch points", "Flesch reading ease, higher is easier"),
)
_RATES: Final = {
    "statistics_per_1000_words": "statistic_count",
    "quotations_per_1000_words": "quotation_count",
    "sources_per_1000_words": "source_count",
}
_KINDS: Final = ("article", "guide", "reference", "product", "news")

CONTENT_FEATURES: Final = (
    *_COUNTS,
    *(_rate(name, numerator) for name, numerator in _RATES.items()),
    *(_kind(kind) for kind in _KINDS),
    Feature(
        "topic_match", "0 or 1", "content_publish, content_edit: topic; citation_show", 0.0,
        "the content's topic is the one that the prompt cluster was most often answered with before the cut",
    ),
)  # fmt: skip

HISTORY_FEATURES: Final = (
    Feature(
        "content_history", "clicks per examined show, per show if the champion is naive",
        "citation_show, citation_click before the cut", None,
        "clicks over examined shows of the content, shrunk to the average of all; that average where it would tell of under ten people",
    ),
    Feature(
        "cluster_history", "clicks per examined show", "citation_show, citation_click before the cut", None,
        "the same within the prompt cluster, shrunk to content_history; equal to it where it would tell of under ten people",
    ),
    Feature(
        "prompt_history", "clicks per examined show", "citation_show, citation_click before the cut", None,
        "the same for the prompt itself, shrunk to cluster_history; equal to it for a new prompt, and where it would tell of under ten",
    ),
)  # fmt: skip

FEATURES: Final = (*CONTENT_FEATURES, *HISTORY_FEATURES)
"""Every column of the model, in its order."""


def describe_features(defaults: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the feature table as data, with the defaults in force: the content of `features.json`."""
    return [asdict(feature) | {"default": float(defaults[feature.name])} for feature in FEATURES]


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents as known at a moment.

    Attributes
    ----------
    frame : DataFrame
        One row per version: `content_id, content_version, known_at` (µs), `topic`, one float column per feature
        of `CONTENT_FEATURES` but `topic_match`; NaN-free.
    defaults : dict
        Value per feature for a content that nothing is known about.
    cluster_topics : dict
        Topic of each prompt cluster, as `eventlib.ranking.clusters.Clusters.topics`; a cluster that is not in it is a
        topic itself.
    """

    frame: pd.DataFrame
    defaults: Mapping[str, float]
    cluster_topics: Mapping[str, str] = field(default_factory=dict)

    def latest(self) -> pd.DataFrame:
        """Return the newest version of each content."""
        return self.frame.drop_duplicates("content_id", keep="last")

    def topics(self) -> dict[str, str]:
        """Return the newest topic of each content, `""` where unknown."""
        newest = self.latest()
        return dict(zip(newest["content_id"], newest["topic"], strict=True))

    def matrix(self, cells: pd.DataFrame) -> NDArray[np.float64]:
        """Return content features of cells, shape (cells, len(CONTENT_FEATURES)), without NaN.

        A version that is not known takes the content's newest known one; an unknown content takes the defaults.
        """
        names = [feature.name for feature in CONTENT_FEATURES if feature.name != "topic_match"]
        exact = self.frame.set_index(["content_id", "content_version"])
        wanted = pd.MultiIndex.from_frame(cells[["content_id", "content_version"]])
        found = exact.reindex(wanted)
        newest = self.latest().set_index("content_id").reindex(cells["content_id"])
        values = found[names].to_numpy(np.float64)
        values = np.where(np.isnan(values), newest[names].to_numpy(np.float64), values)
        values = np.where(np.isnan(values), np.array([self.defaults[name] for name in names]), values)
        topic = newest["topic"].fillna("").to_numpy(object)
        asked = [self.cluster_topics.get(cluster, cluster) for cluster in cells["prompt_cluster"]]
        match = (topic == np.array(asked, dtype=object)) & (topic != "")
        return np.column_stack([values, match.astype(np.float64)])


def read_contents(publishes: pd.DataFrame, edits: pd.DataFrame, cut: int) -> Contents:
    """Read the versions of all contents that were known before the cut.

    Parameters
    ----------
    publishes, edits
        `el.properties(events, "content_publish")` and `"content_edit"`; only rows that allow training are read.
    cut
        µs since 1970, UTC; what is known at that moment or later does not count.
    """
    stated = pd.concat(
        [_versions(publishes, "content_version"), _versions(edits, "to_version")], ignore_index=True
    )
    stated = stated[stated["known_at"] < cut]
    stated = stated.sort_values(
        ["content_id", "known_at", "content_version"], kind="stable", ignore_index=True
    )
    carried = [*(feature.name for feature in _COUNTS), "content_type", "topic"]
    filled = stated.groupby("content_id", sort=False)[carried].ffill()
    frame = stated[["content_id", "content_version", "known_at"]].join(_derive(filled))
    frame = frame.drop_duplicates(["content_id", "content_version"], keep="last", ignore_index=True)
    names = [
        column
        for column in frame.columns
        if column not in ("content_id", "content_version", "known_at", "topic")
    ]
    defaults = {feature.name: _default(frame, feature) for feature in CONTENT_FEATURES}
    frame[names] = frame[names].fillna({name: defaults[name] for name in names})
    return Contents(frame, defaults)


def _versions(events: pd.DataFrame, version: str) -> pd.DataFrame:
    allowed = events[allows_training(events)]
    counts = {feature.name: numbers(allowed, feature.name) for feature in _COUNTS}
    stated = {name: texts(allowed, name) for name in ("content_type", "topic")}
    frame = pd.DataFrame(
        {
            "content_id": texts(allowed, "content_id"),
            "content_version": texts(allowed, version),
            "known_at": microseconds(allowed),
            **counts,
            **stated,
        }
    )
    # what an edit does not state is carried over, so it has to be missing, not empty
    return frame.assign(**{name: frame[name].where(frame[name] != "") for name in stated})


def _derive(filled: pd.DataFrame) -> pd.DataFrame:
    thousands = filled["word_count"].where(filled["word_count"] > 0) / 1000
    rates = {name: filled[numerator] / thousands for name, numerator in _RATES.items()}
    kinds = {f"is_{kind}": filled["content_type"].eq(kind).astype(np.float64) for kind in _KINDS}
    counts = {feature.name: filled[feature.name] for feature in _COUNTS}
    return pd.DataFrame(counts | rates | kinds).assign(topic=filled["topic"].fillna("").astype(str))


def _default(frame: pd.DataFrame, feature: Feature) -> float:
    if feature.default is not None:
        return feature.default
    known = frame[feature.name].dropna()
    return float(known.median()) if len(known) else 0.0


def code_cells(shows: pd.DataFrame, *, sort: bool = False) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """Return the distinct cells of shows, and which of them each show is of: cells are scored once, shows are judged.

    Parameters
    ----------
    shows
        With the columns of `CELL`.
    sort
        Whether cells come in their own order instead of that of the shows.
    """
    keys = shows[list(CELL)]
    cells = keys.drop_duplicates(ignore_index=True)
    cells = cells.sort_values(list(CELL), ignore_index=True) if sort else cells
    code = pd.MultiIndex.from_frame(cells).get_indexer(pd.MultiIndex.from_frame(keys))
    return cells, code


def learn_clusters(shows: pd.DataFrame, topics: Mapping[str, str]) -> dict[str, str]:
    """Return the cluster of each prompt: the topic that it was most often answered with before the cut."""
    return most_frequent(shows["prompt_id"], topics_of(shows, topics))


def assign_clusters(
    shows: pd.DataFrame, topics: Mapping[str, str], known: Mapping[str, str]
) -> pd.Series[Any]:
    """Return the prompt cluster of each show.

    A prompt that was not known at the cut is assigned by what its own answer retrieved, never by refitting (S7.7).
    """
    own = most_frequent(shows["answer_id"], topics_of(shows, topics))
    kept = shows["prompt_id"].map(dict(known)).astype(object)  # floats where none is known
    return kept.fillna(shows["answer_id"].map(own)).astype(str)


def topics_of(shows: pd.DataFrame, topics: Mapping[str, str]) -> pd.Series[Any]:
    """Return the topic of the content of each show, "" where unknown."""
    return shows["content_id"].map(dict(topics)).astype(object).fillna("")


def most_frequent(keys: pd.Series[Any], values: pd.Series[Any]) -> dict[str, str]:
    """Return the most frequent value of each key; a known topic before an unknown one, then by name."""
    counted = pd.DataFrame({"key": keys, "value": values}).value_counts().rename("n").reset_index()
    counted["unknown"] = counted["value"] == ""
    first = counted.sort_values(["key", "unknown", "n", "value"], ascending=[True, True, False, True])
    first = first.drop_duplicates("key")
    return dict(zip(first["key"], first["value"], strict=True))


def history(
    clicks: NDArray[np.float64], examined: NDArray[np.float64], levels: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the histories of cells from their clicks and examined shows.

    Parameters
    ----------
    clicks, examined
        Per cell, shape (cells, k): sums over the people that may be learned from, for k choices of people.
    levels
        Codes of each cell's key at each of `LEVELS`, shape (3, cells). No key has the version: what a content
        earned before an edit is still known of it after.

    Returns
    -------
    ndarray
        Shape (cells, k, 3): clicks over examined shows at each level, shrunk to the level before, the first to
        the average of all.
    """
    wider = clicks.sum(axis=0) / np.maximum(examined.sum(axis=0), np.finfo(np.float64).tiny)
    found = []
    for codes in levels:
        wider = (_pooled(clicks, codes) + PRIOR_EXPOSURE * wider) / (
            _pooled(examined, codes) + PRIOR_EXPOSURE
        )
        found.append(wider)
    return np.stack(found, axis=-1)


def _pooled(values: NDArray[np.float64], codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sum over the rows of each code, and give every row its code's sum."""
    sums = np.zeros((int(codes.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums[codes]
