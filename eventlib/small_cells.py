"""Which counts of a table may be told: none of fewer than ten subjects, and none from which such a one follows (S7.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["OTHER", "SMALL_CELL", "Cells", "Folded", "fold", "protect"]

SMALL_CELL: Final = 10
"""Distinct people (probes: prompt-days) below which nothing is shown."""

OTHER: Final = "small, pooled"
"""What cells that may not be told are pooled under."""

Cell: TypeAlias = tuple[str, str]
Cells: TypeAlias = Mapping[Cell, tuple[int, int]]
"""(row, column) → (events, subjects)."""


class _Table:
    """Cells, and which of them are hidden."""

    def __init__(self, cells: Cells, people: Sequence[Mapping[str, int]]) -> None:
        self.cells, self.people = cells, people
        self.hidden = {key for key, (_, subjects) in cells.items() if subjects < SMALL_CELL}

    def _follows(self, gone: Sequence[Cell], rest: Sequence[Cell], every: int) -> bool:
        """Whether a line's total, less what is shown of it, would tell of one cell or of too few subjects."""
        surely = max(*(self.cells[key][1] for key in gone), every - sum(self.cells[key][1] for key in rest))
        return len(gone) < 2 or surely < SMALL_CELL

    def hide_in(self, axis: int, name: str) -> bool:
        """Hide one more cell of a line if need be, rather one whose other line hides something already."""
        line = [key for key in self.cells if key[axis] == name]
        gone = [key for key in line if key in self.hidden]
        rest = [key for key in line if key not in self.hidden]
        if not gone or not rest or not self._follows(gone, rest, self.people[axis].get(name, 0)):
            return False
        begun = {key[1 - axis] for key in self.hidden}
        self.hidden.add(min(rest, key=lambda key: (key[1 - axis] not in begun, self.cells[key][1], key)))
        return True


def protect(
    cells: Cells,
    axes: Sequence[int] = (0, 1),
    *,
    people: Sequence[Mapping[str, int]] = ({}, {}),
    whole: bool = True,
) -> dict[Cell, int]:
    """Pool the cells that may not be told.

    Parameters
    ----------
    cells
        A table's counts.
    axes
        Whose totals are known elsewhere: 0 of rows, 1 of columns.
    people
        Subjects of each row, and of each column; a subject may be in several cells.
    whole
        Rows must add up, since their totals are known anyway; otherwise a pool of too few is not told either.

    Returns
    -------
    dict
        (row, column) → events; what is hidden of a row stands under the column `OTHER`.

    Examples
    --------
    >>> protect({("EEA", "a"): (40, 20), ("EEA", "b"): (9, 3), ("EEA", "c"): (15, 12)}, axes=(0,))
    {('EEA', 'a'): 40, ('EEA', 'small, pooled'): 24}
    """
    table = _Table(cells, people)
    lines = [(axis, name) for axis in axes for name in sorted({key[axis] for key in cells})]
    while any([table.hide_in(axis, name) for axis, name in lines]):  # noqa: C419  # every line, each time
        pass
    shown = {key: events for key, (events, _) in cells.items() if key not in table.hidden}
    told = {row for row, column in table.hidden if whole or cells[row, column][1] >= SMALL_CELL}
    for row, column in sorted(key for key in table.hidden if key[0] in told):
        shown[row, OTHER] = shown.get((row, OTHER), 0) + cells[row, column][0]
    return shown


@dataclass(frozen=True, slots=True)
class Folded:
    """Segments that may not be told apart from each other."""

    segments: frozenset[str]

    def name(self, segment: str) -> str:
        """Return what a segment is told as."""
        return OTHER if segment in self.segments else segment

    def cells(self, cells: Cells) -> dict[tuple[str, str], tuple[int, int]]:
        """Return a table with these rows joined; subjects of the larger one, since they may be the same."""
        joined: dict[tuple[str, str], tuple[int, int]] = {}
        for (row, column), (events, subjects) in cells.items():
            before = joined.get((self.name(row), column), (0, 0))
            joined[self.name(row), column] = before[0] + events, max(before[1], subjects)
        return joined

    def people(self, people: Mapping[str, int]) -> dict[str, int]:
        """Return subjects by segment with these joined, no more than there surely are."""
        return {name: most for name, (_, most) in self.totals({n: (0, k) for n, k in people.items()}).items()}

    def totals(self, totals: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        """Return totals with these segments joined."""
        joined = self.cells({(name, ""): total for name, total in totals.items()})
        return {name: total for (name, _), total in joined.items()}


def _tells_nobody(pool: Sequence[tuple[int, int, str]]) -> bool:
    gone, every = max(item[0] for item in pool), max(item[1] for item in pool)
    return len(pool) > 1 and (gone == 0 or gone >= SMALL_CELL) and every >= SMALL_CELL


def fold(totals: Mapping[str, tuple[int, int]], gone: Mapping[str, int]) -> Folded:
    """Return which segments are told as one, so that what was removed of each is of ten subjects or nobody.

    What is kept of a segment is known to whoever has the dataset, so that its total tells what was removed.

    Parameters
    ----------
    totals
        Segment → events, subjects.
    gone
        Segment → subjects of what was removed of it.

    Examples
    --------
    >>> totals = {"EEA": (900, 90), "UK": (300, 40), "CH": (50, 20)}
    >>> sorted(fold(totals, {"EEA": 15, "UK": 11, "CH": 2}).segments)
    ['CH', 'UK']
    """
    size = {name: (gone.get(name, 0), totals.get(name, (0, 0))[1], name) for name in {*totals, *gone}}
    folded = {
        name for name, (some, every, _) in size.items() if 0 < some < SMALL_CELL or 0 < every < SMALL_CELL
    }
    while folded and not _tells_nobody([size[name] for name in folded]):
        rest = [size[name] for name in size if name not in folded]
        if not rest:
            break
        with_some = [item for item in rest if item[0]]
        folded.add(min(with_some or rest)[2])
    return Folded(frozenset(folded))
