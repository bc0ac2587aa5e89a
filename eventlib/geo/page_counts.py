"""Each page's counts over the dates that edits ask for, and which pages compete in the same answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from eventlib.geo.edit_dates import WEEK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.geo.stages import Stage

__all__ = ["PageCounts", "Rivalry", "Window", "Windows", "at_most_one", "page_counts", "rivalry", "windows"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


class Window(NamedTuple):
    """[start, end), microseconds since 1970."""

    start: int
    end: int


class Windows(NamedTuple):
    """One edit's dates: the baseline, what lies between it and the edit, and the weeks since its exposure."""

    before: Window
    between: Window
    after: Window


def windows(edit: Mapping[str, Any]) -> Windows:
    """Return an edit's windows from its row in the calendar."""
    before = Window(int(edit["before_from"]), int(edit["before_to"]))
    between = Window(before.end, max(int(edit["edited_us"]), before.end))
    return Windows(before, between, Window(int(edit["after_from"]), int(edit["after_to"])))


class _Rows(NamedTuple):
    """A stage's rows: page, time, and when the same cluster was last seen on the same page before."""

    page: Ints
    time_us: Ints
    before: Ints


@dataclass(slots=True)
class PageCounts:
    """One outcome's counts per page, cumulated over the dates that any edit asks for.

    Attributes
    ----------
    edges
        Those dates, ascending.
    observed, expected
        [page, edge]: what happened before the edge, float64.
    """

    rivals: Rivalry
    base: float
    edges: Ints
    observed: Floats
    expected: Floats
    rows: _Rows

    def within(self, window: Window) -> tuple[Floats, Floats]:
        """Return observed and expected per page within a window whose ends are edges."""
        first, last = np.searchsorted(self.edges, window)
        return (
            self.observed[:, last] - self.observed[:, first],
            self.expected[:, last] - self.expected[:, first],
        )

    def people(self, window: Window) -> Ints:
        """Return how many distinct people, or prompt-days, stand behind each page within a window."""
        rows, size = self.rows, len(self.rivals.contents)
        first = (rows.time_us >= window.start) & (rows.time_us < window.end) & (rows.before < window.start)
        return np.bincount(rows.page[first], minlength=size).astype(np.int64)

    def near(self, page: int) -> Floats:
        """Return the share of each page's expected count in the answers that one page competed for."""
        row: Floats = self.rivals.shared[[page], :].toarray().ravel()
        return row


def _edges(calendar: pd.DataFrame) -> Ints:
    """Return every date at which some window of the calendar starts or ends."""
    ends = calendar[["before_from", "before_to", "edited_us", "after_from", "after_to"]].to_numpy(np.int64)
    fresh = calendar["after_from"].to_numpy(np.int64) + 2 * WEEK
    return np.unique(np.concatenate([ends.ravel(), fresh]))


@dataclass(frozen=True, slots=True)
class Rivalry:
    """Which pages compete in the same answers.

    Attributes
    ----------
    contents
        The pages, ascending.
    shared
        [i, j]: share of j's expected count in answers that i competed for; sparse.
    blocked
        [i, j]: 1 where j may not serve i as a control, since they compete or are the same; sparse.
    """

    contents: pd.Index
    shared: csr_array
    blocked: csr_array


def rivalry(stages: Sequence[Stage], most_shared: float) -> Rivalry:
    """Tell from the first stage with answers which pages compete; none do where no answers are known.

    Parameters
    ----------
    most_shared
        As in `EditRules`.
    """
    rivals = next((stage for stage in stages if len(set(stage.answer)) > 1), None)
    names = pd.Index(sorted({name for stage in stages for name in stage.content}), dtype=object)
    shared = csr_array((len(names), len(names))) if rivals is None else _shared(rivals, names)
    over = csr_array(shared > most_shared).astype(np.float64)
    return Rivalry(names, shared, at_most_one(csr_array(over + eye_array(len(names), format="csr"))))


def _shared(rivals: Stage, names: pd.Index) -> csr_array:
    answer, answers = pd.factorize(rivals.answer)
    column = _cells(rivals, names)
    shape = (len(answers), len(names))
    weight = csr_array((rivals.expected, (answer, column)), shape=shape)
    there = csr_array((np.ones(len(answer)), (answer, column)), shape=shape)
    total = np.maximum(np.asarray(weight.sum(axis=0)).ravel(), 1e-12)
    together = csr_array(there.T @ weight)
    together.data /= total[together.indices]
    return together


def _cells(stage: Stage, names: pd.Index) -> Ints:
    return names.get_indexer(pd.Index(stage.content, dtype=object)).astype(np.int64)


def at_most_one(matrix: csr_array) -> csr_array:
    """Return 1 wherever a matrix is above 0."""
    return csr_array(matrix > 0).astype(np.float64)


def page_counts(stage: Stage, rivals: Rivalry, calendar: pd.DataFrame) -> PageCounts:
    """Count a stage's rows by page and by the dates of a calendar, once for all edits."""
    size, cell, edges = len(rivals.contents), _cells(stage, rivals.contents), _edges(calendar)
    bins = cell * (len(edges) + 1) + np.searchsorted(edges, stage.time_us, side="right")
    observed, expected = (
        np.bincount(bins, values, size * (len(edges) + 1)).reshape(size, -1).cumsum(axis=1)
        for values in (stage.observed, stage.expected)
    )
    return PageCounts(rivals, stage.base, edges, observed, expected, _rows(stage, cell))


def _rows(stage: Stage, page: Ints) -> _Rows:
    cluster = pd.factorize(stage.cluster)[0]
    order = np.lexsort((stage.time_us, cluster, page))
    page, cluster, time_us = page[order], cluster[order], stage.time_us[order]
    same = (page[1:] == page[:-1]) & (cluster[1:] == cluster[:-1])
    never = np.iinfo(np.int64).min
    before = np.concatenate([[never], np.where(same, time_us[:-1], never)])[: len(page)]
    return _Rows(page, time_us, before.astype(np.int64))
