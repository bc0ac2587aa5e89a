"""Edited pages that compete in the same answers, judged as one (S7.9).

Lists are zero-sum: when two pages of one list are edited, the gain of one hides in the loss of the other. Their
pooled change is compared with controls outside the answers of all of them, and ranked among groups of as many
unedited pages, which compete too, over the same dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from eventlib.geo.comparison import Comparison, compare
from eventlib.geo.page_counts import PageCounts, Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventlib.geo.edit_dates import EditRules

__all__ = ["Member", "competing", "joint_comparison", "placebo_groups"]

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Member:
    """An edit that can be looked at: its verdict by itself, its page and its dates."""

    verdict: dict[str, object]
    page: int
    dates: Windows


def competing(pages: PageCounts, members: Sequence[Member], share: float) -> list[list[Member]]:
    """Return the groups of edits whose pages share that much of their answers, at times that overlap.

    Two edits of one page are no group: the calendar has cut their dates at each other.
    """
    if len(members) < 2:
        return []
    index = np.array([member.page for member in members])
    shared = pages.rivals.shared[index, :][:, index].toarray()
    start = np.array([member.dates.before.start for member in members])
    end = np.array([member.dates.after.end for member in members])
    overlap = (start[:, None] < end) & (start < end[:, None])
    linked = (np.maximum(shared, shared.T) >= share) & overlap & (index[:, None] != index)
    _, label = connected_components(csr_array(linked), directed=False)
    groups = [
        [member for member, mine in zip(members, label == one, strict=True) if mine] for one in set(label)
    ]
    return [group for group in groups if len(group) > 1]


def placebo_groups(pages: PageCounts, free: Bools, size: int) -> Ints:
    """Return groups of as many unedited pages that compete: each page with those it shares most with.

    Returns
    -------
    numpy.ndarray
        [group, k], int64; as many groups as free pages, or none where there are fewer than `size`.
    """
    unedited = np.flatnonzero(free)
    if len(unedited) < size:
        return np.empty((0, size), dtype=np.int64)
    shared = pages.rivals.shared[unedited, :][:, unedited].toarray()
    np.fill_diagonal(shared, np.inf)
    order = np.argsort(-np.maximum(shared, shared.T), axis=1, kind="stable")[:, :size]
    return unedited[order].astype(np.int64)


def joint_comparison(
    pages: PageCounts, edited: Bools, group: Sequence[Member], rules: EditRules
) -> Comparison:
    """Compare a group of edited pages, the last unit, with groups of unedited ones over the same dates."""
    expected = np.min([pages.within(window)[1] for member in group for window in member.dates[::2]], axis=0)
    free = ~edited & (expected >= rules.least_expected)
    chosen = placebo_groups(pages, free, len(group))
    own = np.array([[member.page for member in group]], dtype=np.int64)
    return compare(pages, edited, [member.dates for member in group], np.vstack([chosen, own]), rules)
