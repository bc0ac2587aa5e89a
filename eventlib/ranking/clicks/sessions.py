"""Lists of shows as integer codes in order of rank, checked once, without a loop over lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.errors import BadCallError

__all__ = [
    "Lists",
    "as_given",
    "dense_codes",
    "encode",
    "last_click",
    "look_up",
    "need",
    "need_frame",
    "read_clicks",
    "read_lists",
    "read_ranks",
    "refuse_nulls",
    "total",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

_MAX_RANK: Final = 1_000_000
_BLOCK_ROWS: Final = 500_000


@dataclass(frozen=True, slots=True)
class Lists:
    """Shows sorted by list and rank.

    Attributes
    ----------
    item
        Code of each show in `items`.
    items
        The distinct items, sorted.
    rank
        From 1, rising within each list.
    clicked
        All False where clicks were not asked for.
    start
        The first row of each list.
    order
        Row of the frame that each show came from; None where the frame was sorted already.
    """

    item: Ints
    items: pd.Index
    rank: Ints
    clicked: Bools
    start: Ints
    order: Ints | None

    @property
    def lengths(self) -> Ints:
        """Shows per list."""
        return np.diff(np.append(self.start, len(self.rank)))

    def number(self) -> Ints:
        """Return the number of each show's list, from 0."""
        return np.repeat(np.arange(len(self.start)), self.lengths)

    def blocks(self) -> Iterator[Ints]:
        """Yield the rows of lists of one length, shape (lists, length), in blocks of bounded size."""
        lengths = self.lengths
        for length in np.unique(lengths).tolist():
            starts = self.start[lengths == length]
            size = max(_BLOCK_ROWS // length, 1)
            for first in range(0, len(starts), size):
                yield starts[first : first + size, None] + np.arange(length)

    def as_given(self, values: Floats) -> Floats:
        """Return values of the sorted shows in the order of the frame's rows."""
        return as_given(values, self.order)


def as_given(values: Floats, order: Ints | None) -> Floats:
    """Return values of sorted rows in the order that they came in; `order` is None where they were sorted already."""
    if order is None:
        return values
    given = np.empty_like(values)
    given[order] = values
    return given


def need_frame(stage: str, shows: object) -> None:
    """Refuse what is no pandas frame."""
    if not isinstance(shows, pd.DataFrame):
        raise BadCallError(
            f"{stage}: shows must be a pandas DataFrame with one row per show, got {type(shows).__name__}"
        )


def need(stage: str, shows: pd.DataFrame, columns: set[str]) -> None:
    """Refuse what is no frame, lacks a column or has no row."""
    need_frame(stage, shows)
    missing = columns - set(shows.columns)
    if missing:
        raise BadCallError.missing_columns(stage, missing, map(str, shows.columns))
    if shows.empty:
        raise BadCallError(f"{stage}: shows has no rows; give at least one show")


def refuse_nulls(stage: str, values: pd.Series) -> None:
    """Refuse a column with nulls."""
    nulls = int(values.isna().sum())
    if nulls:
        raise BadCallError(
            f"{stage}: shows[{str(values.name)!r}] has {nulls:,} nulls in {len(values):,} rows; "
            "fill them or leave those rows out"
        )


def encode(stage: str, values: pd.Series) -> tuple[Ints, pd.Index]:
    """Return a code per row and the distinct values, sorted (by their text where types are mixed)."""
    refuse_nulls(stage, values)
    codes, found = pd.factorize(values)
    distinct = pd.Index(found, tupleize_cols=False)
    try:
        order = distinct.argsort()
    except TypeError:
        order = pd.Index([f"{type(value).__name__} {value}" for value in distinct]).argsort()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[codes], distinct[order]


def dense_codes(values: Ints) -> tuple[Ints, Ints]:
    """Return a code per row and the distinct values, rising; small whole numbers need neither hash nor sort.

    >>> dense_codes(np.array([7, 3, 7]))
    (array([1, 0, 1]), array([3, 7]))
    """
    if values.max() > 4 * len(values) + 1_000_000:
        distinct, codes = np.unique(values, return_inverse=True)
        return codes, distinct
    seen = np.zeros(int(values.max()) + 1, dtype=np.bool_)
    seen[values] = True
    return (np.cumsum(seen) - 1)[values], np.flatnonzero(seen)


def total(codes: Ints, values: Floats, size: int) -> Floats:
    """Sum values by code, shape (size,)."""
    return np.bincount(codes, values, size).astype(np.float64, copy=False)


def look_up(known: pd.Index, distinct: pd.Index) -> Ints:
    """Return where each of `distinct` stands in `known`; -1 where it does not."""
    return known.get_indexer(distinct).astype(np.int64)


def read_ranks(stage: str, shows: pd.DataFrame, column: str = "rank") -> Ints:
    """Return ranks as int64; refuse what is no whole number from 1 to 1,000,000."""
    refuse_nulls(stage, shows[column])
    if not pd.api.types.is_numeric_dtype(shows[column]) or pd.api.types.is_bool_dtype(shows[column]):
        raise BadCallError(f"{stage}: shows[{column!r}] must be whole numbers, got {shows[column].dtype}")
    values = shows[column].to_numpy()
    wrong = ~((values >= 1) & (values <= _MAX_RANK))
    if values.dtype.kind not in "iu":
        wrong |= values % 1 != 0
    if wrong.any():
        raise BadCallError(
            f"{stage}: shows[{column!r}] has {int(wrong.sum()):,} values that are no rank, such as "
            f"{values[wrong][0]}; ranks are whole numbers from 1 to {_MAX_RANK:,}"
        )
    return values.astype(np.int64)


def read_clicks(stage: str, shows: pd.DataFrame) -> Bools:
    """Return clicks as booleans; refuse what is neither true nor false, 0 nor 1."""
    refuse_nulls(stage, shows["clicked"])
    values = shows["clicked"].to_numpy()
    if values.dtype.kind == "b":
        return values.astype(np.bool_)
    clicked = np.asarray(values == 1, dtype=np.bool_)
    wrong = ~(clicked | np.asarray(values == 0, dtype=np.bool_))
    if wrong.any():
        raise BadCallError(
            f"{stage}: shows['clicked'] has {int(wrong.sum()):,} values that are neither true nor false, such as "
            f"{values[wrong][0]!r}; a show that was clicked twice is one row that was clicked"
        )
    return clicked


def _number_lists(session: pd.Series) -> Ints:
    """Number lists by first appearance. Only the head of each run is hashed: logs come list by list."""
    head = np.ones(len(session), dtype=np.bool_)
    head[1:] = np.asarray(session.iloc[1:].array != session.iloc[:-1].array, dtype=np.bool_)
    codes, _ = pd.factorize(session[head])
    return np.repeat(codes, np.diff(np.append(np.flatnonzero(head), len(session))))


def _sorted_rows(number: Ints, rank: Ints) -> Ints | None:
    """Return the order by list and rank, or None if rows are in it."""
    step = np.diff(number)
    if ((step > 0) | ((step == 0) & (np.diff(rank) > 0))).all():
        return None
    return np.lexsort((rank, number))


def _refuse_ties(stage: str, session: pd.Series, number: Ints, rank: Ints) -> None:
    """Refuse two shows at one rank of one list; the arrays are sorted, the series is as given."""
    tied = np.flatnonzero((np.diff(number) == 0) & (np.diff(rank) == 0))
    if len(tied):
        name = session.drop_duplicates().iloc[int(number[tied[0]])]
        raise BadCallError(
            f"{stage}: session {name!r} has more than one show at rank {rank[tied[0]]}, and there are "
            f"{len(tied):,} such shows in all; a session is one list shown once, with each rank once"
        )


def read_lists(stage: str, shows: pd.DataFrame, *, clicks: bool) -> Lists:
    """Encode and sort shows.

    Parameters
    ----------
    stage
        Whom errors speak for.
    shows
        `session, item, rank`, and `clicked` if `clicks`.

    Raises
    ------
    BadCallError
        A column is missing or has nulls, there is no row, a rank is not a whole number from 1, a click is neither
        true nor false, or a session has two shows at one rank.

    Examples
    --------
    >>> shows = pd.DataFrame({"session": ["s", "s"], "item": ["b", "a"], "rank": [2, 1], "clicked": [True, False]})
    >>> lists = read_lists("fit", shows, clicks=True)
    >>> lists.rank.tolist(), lists.items[lists.item].tolist(), lists.clicked.tolist()
    ([1, 2], ['a', 'b'], [False, True])
    """
    need(stage, shows, {"session", "item", "rank"} | ({"clicked"} if clicks else set()))
    refuse_nulls(stage, shows["session"])
    rank = read_ranks(stage, shows)
    item, items = encode(stage, shows["item"])
    clicked = read_clicks(stage, shows) if clicks else np.zeros(len(rank), dtype=np.bool_)
    number = _number_lists(shows["session"])
    order = _sorted_rows(number, rank)
    if order is not None:
        number, rank, item, clicked = number[order], rank[order], item[order], clicked[order]
        _refuse_ties(stage, shows["session"], number, rank)
    start = np.flatnonzero(np.diff(number, prepend=-1))
    return Lists(item, items, rank, clicked, start, order)


def last_click(lists: Lists) -> Ints:
    """Return the rank of the last click above each show in its list; 0 where there is none.

    Examples
    --------
    >>> shows = pd.DataFrame({"session": 1, "item": list("abc"), "rank": [1, 2, 3], "clicked": [0, 1, 0]})
    >>> last_click(read_lists("fit", shows, clicks=True)).tolist()
    [0, 0, 2]
    """
    above = np.zeros(len(lists.rank), dtype=np.int64)
    # 1-based rows, so that 0 says that nothing was clicked yet
    above[1:] = np.where(lists.clicked, np.arange(1, len(lists.rank) + 1), 0)[:-1]
    np.maximum.accumulate(above, out=above)
    inside = above > np.repeat(lists.start, lists.lengths)
    return np.where(inside, lists.rank[above - 1], 0)
