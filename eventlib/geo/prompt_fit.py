"""Finding clusters of prompts: which terms count, how many clusters there are, what they are called (S7.7).

1. Texts become vectors of words, pairs and pieces of words (`eventlib.geo.prompt_terms`). A term counts if it
   stands in at least two texts and was used by ten people, or on ten prompt-days of probes: what is written down of
   a fit then tells of nobody, and an erasure has nothing to take out of it.
2. Their inverse document frequencies are squared: what many prompts share is how is asked, what few share is about
   what.
3. Latent semantic analysis brings them to fifty dimensions, in which k-means runs on vectors of length 1
   (spherical k-means; Dhillon and Modha, 2001).
4. k is the smallest number of clusters whose mean silhouette (Rousseeuw, 1987) is within a standard error of the
   best, from 2 to 2 √n, at most 40.
5. A cluster of fewer than ten askers is dissolved. The centroids of the others are means over the terms, so that
   assigning a prompt takes the terms, their weights and the centroids, and nothing else.

One thread: sums in another order, by another number of threads, move centroids in their last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from eventlib.columns import analysable, flags, persons, prompt_days, texts
from eventlib.geo.prompt_terms import Block, join_words, split_words, used_by, weigh
from eventlib.masking import CONTROLS, mask_text

__all__ = [
    "OTHER_PROMPTS",
    "PIECE_WEIGHT",
    "UNKNOWN_PROMPTS",
    "Asked",
    "choose_terms",
    "find_centroids",
    "idf",
    "name_clusters",
    "partition",
    "read_asked",
    "rows_for",
    "term_vectors",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Weights: TypeAlias = dict[str, float]

OTHER_PROMPTS: Final = "other"
"""The cluster of prompts that are near no centroid."""

UNKNOWN_PROMPTS: Final = "unknown"
"""The cluster of prompts without text or topic."""

PIECE_WEIGHT: Final = 2.0
"""Weight of pieces against words, in lengths of vectors."""

_MOST_TEXTS: Final = 20_000
_MOST_WORDS: Final = 400_000
_MOST_TERMS: Final = 20_000
_MOST_CENTROID_TERMS: Final = 300
_MOST_CLUSTERS: Final = 40
_FEW_TEXTS: Final = 6
_DIMENSIONS: Final = 50
_STARTS: Final = 4
_SAMPLE: Final = 2_000
_LABEL_TERMS: Final = 2
_LABEL_LONGEST: Final = 40
_LABEL_CANDIDATES: Final = 200
_LEAST_LIFT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Distinct texts, and who asked them.

    Attributes
    ----------
    words : list of list of str
        Each text's words, sorted by text; not empty.
    askers : tuple of (text, who)
        Of people, then of prompt-days of probes: number of a text and of who asked it, without repeats.
    """

    words: list[list[str]]
    askers: tuple[tuple[Ints, Ints], tuple[Ints, Ints]]

    def used(self, matrix: Any, k: int) -> NDArray[np.bool_]:
        """Tell which columns of texts by anything at least k people, or k prompt-days, stand behind."""
        people, days = (used_by(matrix, text, who, k) for text, who in self.askers)
        return people | days


def read_asked(answers: pd.DataFrame, purpose: str) -> Asked:
    """Return the distinct texts of `answer_generate` rows that allow the purpose and are no bot's.

    Of more than 20,000 texts or 400,000 words those are kept that the most people or prompt-days asked.
    """
    allowed = rows_for(answers, purpose)
    raw = pd.Series(texts(allowed, "prompt_text"))
    joined = raw.map({text: " ".join(split_words(text)) for text in raw.unique()}).to_numpy(dtype=object)
    probe = texts(allowed, "observation") == "probe"
    frame = pd.DataFrame(
        {"text": joined, "probe": probe, "who": np.where(probe, prompt_days(allowed), persons(allowed))}
    ).drop_duplicates()
    frame = frame[(frame["text"] != "").to_numpy()]
    counted = frame[(frame["who"] != "").to_numpy()].groupby("text").size()
    askers = counted.reindex(np.sort(frame["text"].unique())).fillna(
        0
    )  # sorted, so that order of rows is nothing
    kept = _most_asked(askers)
    found = [_pairs(frame[(frame["probe"] == is_probe).to_numpy()], kept) for is_probe in (False, True)]
    return Asked([text.split(" ") for text in kept], (found[0], found[1]))


def _most_asked(askers: pd.Series[Any]) -> pd.Index:
    first = askers.sort_values(ascending=False, kind="stable").index[:_MOST_TEXTS]
    words = first.str.count(" ").to_numpy(dtype=np.int64) + 1
    return first[np.cumsum(words) - words < _MOST_WORDS].sort_values()


def rows_for(answers: pd.DataFrame, purpose: str) -> pd.DataFrame:
    """Return the rows that allow `analytics` or `training` and are no bot's."""
    if purpose == "analytics":
        return analysable(answers)
    human = answers["agent"].isna().to_numpy(dtype=bool) if "agent" in answers else True
    return answers[flags(answers, "allow_training") & human]


def _pairs(frame: pd.DataFrame, kept: pd.Index) -> tuple[Ints, Ints]:
    text = kept.get_indexer(pd.Index(frame["text"]))
    named = (text >= 0) & (frame["who"] != "").to_numpy(dtype=bool)
    who, _ = pd.factorize(frame["who"].to_numpy(dtype=object)[named], sort=False)
    return text[named].astype(np.int64), who.astype(np.int64)


def choose_terms(block: Block, asked: Asked, k: int) -> Weights:
    """Return the terms that count with their weights (`idf`), sorted by term."""
    size = len(asked.words)
    frequency = np.asarray(block.matrix.sum(axis=0)).ravel()
    told = asked.used(block.matrix, k) & (frequency >= (1 if size < _FEW_TEXTS else 2))
    first = np.argsort(-frequency[told], kind="stable")[:_MOST_TERMS]
    names, counts = block.names[told][first].tolist(), frequency[told][first].tolist()
    return {name: round(idf(count, size), 4) for name, count in sorted(zip(names, counts, strict=True))}


def idf(frequency: float, size: int) -> float:
    """Return the squared inverse document frequency of a term.

    Squared, since what many prompts share is how is asked, and what few share is about what. The fifth that is added
    leaves a little to a term that all texts hold: two that hold nothing else are still alike.
    """
    return float((np.log((1 + size) / (1 + frequency)) + 0.2) ** 2)


def term_vectors(blocks: tuple[Block, Block], words: Weights, pieces: Weights, unseen: float) -> Any:
    """Return texts as vectors over words and pieces; no longer than 1, shorter by what is not known of them.

    Returns
    -------
    scipy.sparse.csr_matrix of float64, shape (texts, len(words) + len(pieces))
    """
    with_pieces = np.diff(blocks[1].matrix.indptr) > 0
    length = np.sqrt(1 + PIECE_WEIGHT**2 * with_pieces)  # words in scripts of many characters have no pieces
    parts = [weigh(blocks[0], words, unseen), PIECE_WEIGHT * weigh(blocks[1], pieces, unseen)]
    return (sparse.diags(1 / length) @ sparse.hstack(parts, format="csr")).tocsr()


def partition(vectors: Any, seed: int) -> tuple[Ints, float]:
    """Return the cluster of each text, -1 of those without a known term, and the mean silhouette.

    Parameters
    ----------
    vectors
        As `term_vectors` returns them.
    seed
        Of everything random.

    Returns
    -------
    cluster, silhouette
        Shape (texts,); NaN where there is but one cluster.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  # only those who fit wait for it

    rows = np.flatnonzero(vectors.getnnz(axis=1) > 0)
    cluster = np.full(vectors.shape[0], -1, dtype=np.int64)
    cluster[rows] = 0
    with threadpool_limits(1):
        points = _latent(vectors[rows], seed)
        counts = _candidates(points)
        if not counts:
            return cluster, float("nan")
        count, silhouette = _choose_count(points, counts, seed)
        cluster[rows] = _k_means(points, count, seed)
    return cluster, silhouette


def _latent(vectors: Any, seed: int) -> Floats:
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415  # a second that only a fit needs
    from sklearn.preprocessing import normalize  # noqa: PLC0415

    dimensions = min(_DIMENSIONS, *(size - 1 for size in vectors.shape))
    if len(vectors.indptr) - 1 < _FEW_TEXTS or dimensions < 2:
        return np.empty((0, 0))
    with np.errstate(divide="ignore", invalid="ignore"):  # shares of no variance, where all texts are alike
        latent = TruncatedSVD(dimensions, random_state=seed).fit_transform(vectors)
    points: Floats = normalize(latent)
    return points


def _candidates(points: Floats) -> list[int]:
    """Return the numbers of clusters to try: all up to 12, then ever wider apart."""
    different = len(np.unique(np.round(points, 6), axis=0)) if points.size else 0
    most = min(int(2 * np.sqrt(len(points))), _MOST_CLUSTERS, different - 1)
    wider = [14, 16, 18, 20, 22, 24, 27, 30, 33, 36, _MOST_CLUSTERS]
    return [count for count in (*range(2, 13), *wider) if count <= most]


def _choose_count(points: Floats, counts: Sequence[int], seed: int) -> tuple[int, float]:
    from sklearn.metrics import silhouette_samples  # noqa: PLC0415  # as above

    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(points))[:_SAMPLE])
    means, errors = [], []
    for count in counts:
        cluster = _k_means(points[some], count, seed)
        width = silhouette_samples(points[some], cluster) if len(set(cluster.tolist())) > 1 else np.zeros(1)
        means.append(float(width.mean()))
        errors.append(float(width.std() / np.sqrt(len(width))))
    best = int(np.argmax(means))
    chosen = next(at for at, mean in enumerate(means) if mean >= means[best] - errors[best])
    return counts[chosen], means[chosen]


def _k_means(points: Floats, count: int, seed: int) -> Ints:
    from sklearn.cluster import KMeans  # noqa: PLC0415  # as above

    fitted = KMeans(count, n_init=_STARTS, random_state=seed).fit(points)
    return np.asarray(fitted.labels_, dtype=np.int64)


def find_centroids(vectors: Any, cluster: Ints, asked: Asked, k: int) -> Floats:
    """Return the centroids of the clusters that k askers stand behind, after one reassignment; those of most texts first.

    Returns
    -------
    numpy.ndarray of float64, shape (clusters, terms)
        Of length 1 up to rounding; at most 300 terms each.
    """
    centroids = _means(vectors, cluster, asked, k)
    if len(centroids):
        similarity = vectors @ centroids.T
        nearest = np.where(similarity.max(axis=1) > 0, similarity.argmax(axis=1), -1)
        centroids = _means(vectors, nearest, asked, k)
    return centroids


def _means(vectors: Any, cluster: Ints, asked: Asked, k: int) -> Floats:
    inside = np.flatnonzero(cluster >= 0)
    width = int(cluster.max(initial=-1)) + 1
    ones = np.ones(len(inside))
    member = sparse.csr_matrix((ones, (inside, cluster[inside])), shape=(len(cluster), width))
    told = np.flatnonzero(asked.used(member, k)) if width else np.empty(0, np.int64)
    if not len(told):
        return np.zeros((0, vectors.shape[1]))
    size = np.asarray(member.sum(axis=0)).ravel()[told]
    first = np.asarray(member[:, told].argmax(axis=0)).ravel()
    means = (member[:, told].T @ vectors).toarray()[np.lexsort((first, -size))]
    rank = np.argsort(np.argsort(-means, axis=1, kind="stable"), axis=1, kind="stable")
    means = np.where(rank < _MOST_CENTROID_TERMS, means, 0.0)
    length = np.linalg.norm(means, axis=1, keepdims=True)
    centroids: Floats = np.round(means / np.where(length > 0, length, 1.0), 5)
    return centroids


def name_clusters(words: Block, cluster: Ints, clusters: int, asked: Asked, k: int) -> tuple[str, ...]:
    """Return a name for each cluster: what its texts share and others do not, as far as k askers said it in it.

    Parameters
    ----------
    words
        Words and pairs of the texts, only those that count.
    cluster
        Of each text, -1 for none.
    clusters
        How many there are.

    Returns
    -------
    tuple of str
        Without repeats; `cluster 3` where nothing may be told of the third.
    """
    everywhere = np.asarray(words.matrix.sum(axis=0)).ravel() / max(len(cluster), 1)
    taken = {OTHER_PROMPTS, UNKNOWN_PROMPTS}
    names = []
    for number in range(clusters):
        mine = cluster == number
        own = (sparse.diags(mine.astype(np.float64)) @ words.matrix).tocsr()
        share = np.asarray(own.sum(axis=0)).ravel() / max(int(mine.sum()), 1)
        telling = _telling(words.names, share, everywhere, whole=clusters == 1)
        first = np.argsort(-telling, kind="stable")[:_LABEL_CANDIDATES]
        first = first[(telling[first] > 0) & asked.used(own[:, first], k)]
        terms = _label_terms([str(name) for name in words.names[first]], telling[first])
        names.append(_free_name(terms, number, taken))
        taken.add(names[-1])
    return tuple(names)


def _telling(names: NDArray[Any], share: Floats, everywhere: Floats, *, whole: bool) -> Floats:
    """Return how much each term says of a cluster: its share there times the log of how much more that is than overall.

    Pairs go before words that are hardly more telling; what is not twice as frequent as overall tells nothing,
    unless the cluster is all there is.
    """
    lift = np.divide(share, everywhere, out=np.ones_like(share), where=everywhere > 0)
    paired = np.array([1.1 if " " in name else 1.0 for name in names])
    telling = share * (1.0 if whole else np.log(np.maximum(lift, 1.0))) * paired
    found: Floats = np.round(np.where((lift >= _LEAST_LIFT) | whole, telling, 0.0), 9).astype(np.float64)
    return found


def _label_terms(ranked: Sequence[str], telling: Floats) -> list[str]:
    """Return terms that share no word, readable ones only, and none half as telling as the first."""
    found: list[str] = []
    least = telling[0] / 2 if len(telling) else 0.0
    for term, told in zip(ranked, telling.tolist(), strict=True):
        said = {word for other in found for word in other.split()}
        if told > least and said.isdisjoint(term.split()) and _is_tellable(term):
            found.append(term)
    return [join_words(term) for term in found]


def _is_tellable(term: str) -> bool:
    says = not term.isascii() or any(len(word) >= 3 for word in term.split())
    return says and len(term) <= _LABEL_LONGEST and not CONTROLS.search(term) and mask_text(term) == term


def _free_name(terms: Sequence[str], number: int, taken: set[str]) -> str:
    for size in range(1 if len(terms) == 1 else _LABEL_TERMS, len(terms) + 1):
        name = ", ".join(terms[:size])
        if name and name not in taken and len(name) <= 2 * _LABEL_LONGEST:
            return name
    return f"cluster {number + 1}"
