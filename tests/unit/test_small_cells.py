from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventlib.small_cells import OTHER, SMALL_CELL, fold, protect

counts = st.integers(1, 40)
tables = st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), counts, min_size=1).map(
    lambda cells: {key: (3 * people, people) for key, people in cells.items()}
)


@given(tables)
def test_rows_add_up_and_no_total_gives_a_small_cell_away(cells):
    shown = protect(cells)
    for row in {row for row, _ in cells}:
        every = {column: cells[row, column][0] for r, column in cells if r == row}
        told = {column: events for (r, column), events in shown.items() if r == row}
        assert sum(told.values()) == sum(every.values())
        hidden = set(every) - set(told)
        assert all(cells[row, column][1] >= SMALL_CELL for column in set(told) - {OTHER})
        assert len(hidden) != 1 or len(every) == 1
    for column in {column for _, column in cells}:
        line = [key for key in cells if key[1] == column]
        assert len(set(line) - set(shown)) != 1 or len(line) == 1


@given(tables)
def test_a_pool_is_of_ten_subjects_or_a_whole_row(cells):
    shown = protect(cells)
    for row in {row for row, column in shown if column == OTHER}:
        hidden = [people for key, (_, people) in cells.items() if key[0] == row and key not in shown]
        whole = len(hidden) == sum(key[0] == row for key in cells)
        assert whole or sum(hidden) >= SMALL_CELL


def test_a_pool_of_too_few_is_not_told_where_nothing_must_add_up():
    few = {("withdrawn", "1 Oct"): (2, 2), ("withdrawn", "8 Oct"): (3, 3)}
    assert protect(few, axes=(0,), whole=False) == {}
    assert protect(few, axes=(0,)) == {("withdrawn", OTHER): 5}


def test_subjects_known_to_be_enough_spare_a_large_cell():
    cells = {("EEA", "a"): (40, 20), ("EEA", "b"): (9, 9), ("EEA", "c"): (5, 5)}
    assert protect(cells, axes=(0,)) == {("EEA", OTHER): 54}
    assert protect(cells, axes=(0,), people=({"EEA": 34}, {}))["EEA", "a"] == 40


def test_a_segment_that_loses_few_is_not_told_apart():
    totals = {"EEA": (900, 90), "UK": (300, 40), "CH": (50, 4)}
    assert fold(totals, {"EEA": 15, "UK": 11}).segments == {"CH", "UK"}
    assert fold(totals, {"EEA": 15, "UK": 11, "CH": 3}).name("UK") == OTHER
    assert fold({"EEA": (900, 90), "UK": (300, 40)}, {}).segments == frozenset()
