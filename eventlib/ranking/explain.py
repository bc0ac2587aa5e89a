"""Why a content has the signal it has: contributions of groups of features that an editor can read (S8.7).

Contributions are exact Shapley values of the champion's calibrated relevance against a background of what was shown
before the cut (`ranking/shapley.py`): they add up to the signal less the background's mean. Features of one group are
taken together, since an editor cannot change statistics per thousand words without changing statistics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor, log10
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.cells import small_cells
from eventlib.ranking.features import CELL, FEATURES, HISTORY_FEATURES
from eventlib.ranking.judge import NAIVE
from eventlib.ranking.shapley import coalition_values, shapley_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.ranking.features import Feature
    from eventlib.ranking.pipeline import Judged, Ranking

__all__ = [
    "BACKGROUND",
    "CAVEAT",
    "GROUPS",
    "Background",
    "draw_background",
    "explain",
    "group_columns",
    "group_names",
]

Floats: TypeAlias = NDArray[np.float64]

BACKGROUND: Final = 64
"""Rows that features are replaced by (decision 0058: what more of them would change)."""

GROUPS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "history": ("how it did before", ("content_history", "cluster_history", "prompt_history")),
    "topic": ("topic match", ("topic_match",)),
    "length": ("length", ("word_count",)),
    "structure": ("structure", ("heading_count", "list_count", "table_count")),
    "evidence": (
        "evidence",
        (
            "statistic_count", "quotation_count", "source_count",
            "statistics_per_1000_words", "quotations_per_1000_words", "sources_per_1000_words",
        ),
    ),
    "readability": ("readability", ("reading_ease",)),
    "kind": ("kind of content", ("is_article", "is_guide", "is_reference", "is_product", "is_news")),
    "other": ("other features", ()),
}  # fmt: skip
"""Group → its name in words, and its features; `other` takes what no group names."""

CAVEAT: Final = (
    "Contributions are associations in this log, not promises: a page that gains a table need not gain what tables are "
    "worth here. How it did before absorbs what features say, since a page earned its past with them."
)

_PAIR: Final = ["content_id", "prompt_cluster"]
_SPOKEN: Final = 4  # groups that a sentence names
_GROUP_WORDS: Final = {words for words, _ in GROUPS.values()}
_HISTORIES: Final = {feature.name for feature in HISTORY_FEATURES}


@dataclass(frozen=True, slots=True)
class Background:
    """What contents are compared with: cells shown before the cut, weighted by exposure.

    Attributes
    ----------
    design : ndarray of float32, shape (rows, features)
    weights : ndarray of float64, shape (rows,)
    typical : ndarray of float64, shape (features,)
        Median of each feature over all cells, weighted; for histories the mean of all, which is about no single cell.
    """

    design: NDArray[np.float32]
    weights: Floats
    typical: Floats


def group_columns() -> dict[str, list[int]]:
    """Return the columns of the model in each group; each column is in exactly one, empty groups are left out."""
    of_feature = {name: group for group, (_, names) in GROUPS.items() for name in names}
    columns: dict[str, list[int]] = {group: [] for group in GROUPS}
    for column, feature in enumerate(FEATURES):
        columns[of_feature.get(feature.name, "other")].append(column)
    return {group: members for group, members in columns.items() if members}


def group_names() -> dict[str, str]:
    """Return each feature's group in words, in the order of `FEATURES`."""
    of_column = {column: GROUPS[group][0] for group, columns in group_columns().items() for column in columns}
    return {feature.name: of_column[column] for column, feature in enumerate(FEATURES)}


def draw_background(judged: Judged, size: int = BACKGROUND) -> Background:
    """Draw the background: content versions and prompt clusters as shown before the cut, to a new prompt.

    Cells are put in order of their signal and drawn at equal steps of exposure, without chance: the sample's mean
    signal is that of all within a step, and the same log gives the same sample.

    Parameters
    ----------
    judged
        A trained ranker.
    size
        Most rows; where there are no more cells than that, all are taken with their exposure.
    """
    data = judged.train
    exposure = np.bincount(data.cell, judged.theta[data.place], len(data.cells))
    cells = data.cells.assign(prompt_id="", exposure=exposure)
    cells = cells.groupby(list(CELL), sort=True)["exposure"].sum().reset_index()
    design = judged.ranker.design(cells, judged.contents)
    weights = cells["exposure"].to_numpy(np.float64)
    typical = np.array([_weighted_median(column, weights) for column in design.T.astype(np.float64)])
    typical[[feature.name in _HISTORIES for feature in FEATURES]] = judged.ranker.mean_relevance
    if len(cells) <= size:
        return Background(design, weights, typical)
    order = np.argsort(judged.ranker.predict(design), kind="stable")
    until = np.cumsum(weights[order])
    steps = until[-1] * (np.arange(size) + 0.5) / size
    drawn, times = np.unique(order[np.searchsorted(until, steps)], return_counts=True)
    return Background(design[drawn], times.astype(np.float64), typical)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values, kind="stable")
    until = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(until, until[-1] / 2)])


def explain(
    ranking: Ranking,
    cells: pd.DataFrame | None = None,
    design: NDArray[np.float32] | None = None,
    *,
    size: int = BACKGROUND,
) -> tuple[pd.DataFrame, int]:
    """Explain the champion's signal of contents by prompt cluster.

    Parameters
    ----------
    ranking
        As `train_ranking` returns it.
    cells, design
        What to explain, `CELL` and the model's input for each, as a `SignalTable` holds them; rows of single prompts
        are passed over. By default the newest version of every content known at the cut, in each cluster where it was
        shown.
    size
        Most rows of the background.

    Returns
    -------
    explained : DataFrame
        `content_id, content_version, prompt_cluster` (its label), `signal, base`, a column per group of `group_columns()` and
        `sentence`; highest signal first. `base` is the background's mean signal; the groups' columns add up to
        `signal - base`.
    left_out : int
        Rows of clusters in which fewer than ten people saw the content, and the next smallest of that content with
        them: their histories would tell what these people clicked (S7.10).
    """
    groups = group_columns()
    columns = [*CELL[:3], "signal", "base", *groups, "sentence"]
    judged = ranking.judged
    if judged is None:
        return pd.DataFrame(columns=columns), 0
    cells = _shown_cells(judged) if cells is None else cells
    design = judged.ranker.design(cells, judged.contents) if design is None else design
    clusters = (cells["prompt_id"] == "").to_numpy(dtype=bool)
    kept = clusters & _enough_people(judged, cells)
    left_out = int((clusters & ~kept).sum())
    rows, background = design[kept], draw_background(judged, size)
    worth = coalition_values(
        judged.ranker, rows, background.design, background.weights, list(groups.values())
    )
    parts = shapley_values(worth)
    explained = cells.loc[kept, list(CELL[:3])].reset_index(drop=True)
    explained = explained.assign(signal=worth[-1], base=worth[0], **dict(zip(groups, parts.T, strict=True)))
    told = _strongest(judged, rows, background.typical, parts, list(groups.values()))
    explained["prompt_cluster"] = explained["prompt_cluster"].replace(judged.clusters.labels)
    explained["sentence"] = [
        _sentence(float(signal), float(base), part, list(groups), words)
        for signal, base, part, words in zip(worth[-1], worth[0], parts, told, strict=True)
    ]
    ordered = explained.sort_values(["signal", *CELL[:3]], ascending=[False, True, True, True])
    return ordered.reset_index(drop=True)[columns], left_out


def _shown_cells(judged: Judged) -> pd.DataFrame:
    newest = judged.contents.latest()[["content_id", "content_version"]]
    pairs = judged.train.cells[_PAIR].drop_duplicates()
    found = pairs.merge(newest, on="content_id").assign(prompt_id="")
    return found[list(CELL)].sort_values(list(CELL), ignore_index=True)


def _enough_people(judged: Judged, cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which cells' clusters were seen by enough people, so that no history tells of a few."""
    data = judged.train
    seen = data.cells.iloc[data.cell][_PAIR].assign(person=data.counted)
    people = seen.groupby(_PAIR, sort=True)["person"].nunique().reset_index()
    hidden = small_cells(people["person"].to_numpy(), people["content_id"].to_numpy(dtype=object))
    shown = pd.MultiIndex.from_frame(people.loc[~hidden, _PAIR])
    return np.asarray(pd.MultiIndex.from_frame(cells[_PAIR]).isin(shown), dtype=bool)


def _strongest(
    judged: Judged,
    rows: NDArray[np.float32],
    typical: Floats,
    parts: Floats,
    groups: Sequence[Sequence[int]],
) -> list[list[str]]:
    """Name each group's strongest feature with its value, per row: what moves the signal most if it were typical."""
    n, width = rows.shape
    if not n:
        return []
    swapped = np.repeat(rows[None], width, axis=0)
    swapped[np.arange(width), :, np.arange(width)] = typical[:, None]
    effect = judged.ranker.predict(rows) - judged.ranker.predict(swapped.reshape(-1, width)).reshape(width, n)
    named = [_as_learned(judged, feature) for feature in FEATURES]
    told: list[list[str]] = [[] for _ in range(n)]
    for group, columns in enumerate(groups):
        towards = effect[columns] * np.sign(parts[:, group])
        for row, k in enumerate(np.argmax(towards, axis=0)):
            column = columns[k]
            words = _compared(named[column], float(rows[row, column]), float(typical[column]))
            # of several features that move nothing each, none is the strongest
            told[row].append(words if len(columns) == 1 or towards[k, row] > 0 else "")
    return told


def _as_learned(judged: Judged, feature: Feature) -> Feature:
    """Give histories the unit they have: the naive ranker takes every show for examined."""
    naive = judged.champion == NAIVE and feature.name in _HISTORIES
    return replace(feature, unit="clicks per show") if naive else feature


def _compared(feature: Feature, value: float, typical: float) -> str:
    """Say a feature's value against the typical one: `12 statistics; typical 4`."""
    name = feature.name.replace("_", " ")
    if feature.unit == "0 or 1":
        found, usual = ("yes" if number > 0.5 else "no" for number in (value, typical))
        return f"{found}; typical {usual}" if name in _GROUP_WORDS else f"{name}: {found}; typical {usual}"
    if feature.name in _HISTORIES:
        digits = _digits(typical)
        return f"{value:.{digits}f} {feature.unit}; typical {typical:.{digits}f}"
    if feature.name.endswith("_count"):
        return f"{value:,.0f} {feature.unit}; typical {typical:,.0f}"
    return f"{name} {value:.1f}; typical {typical:.1f}"


def _digits(average: float) -> int:
    """Return decimals that leave two figures of an average, two at least."""
    return max(2, 1 - floor(log10(average))) if average > 0 else 2


def _sentence(signal: float, base: float, parts: Floats, groups: Sequence[str], told: Sequence[str]) -> str:
    """Put a row into words, strongest groups first; what rounds to nothing is not named."""
    digits = _digits(base)
    least = 0.5 * 10.0**-digits
    difference = signal - base
    if abs(difference) < least:
        start = f"About the average of {base:.{digits}f}"
    else:
        side = "Above" if difference > 0 else "Below"
        start = f"{side} the average of {base:.{digits}f} by {abs(difference):.{digits}f}"
    order = [i for i in np.argsort(-np.abs(parts), kind="stable") if abs(parts[i]) >= least]
    named = [_spoken(parts[i], GROUPS[groups[i]][0], told[i], digits) for i in order[:_SPOKEN]]
    if rest := order[_SPOKEN:]:
        named.append(f"{sum(parts[i] for i in rest):+.{digits}f} from the rest")
    return f"{start}: {', '.join(named)}." if named else f"{start}."


def _spoken(part: float, words: str, compared: str, digits: int) -> str:
    bracket = f" ({compared})" if compared else ""
    return f"{part:+.{digits}f} from {words}{bracket}"
