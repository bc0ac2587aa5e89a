"""S7.10 small cells, and intervals of shares in clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.cells import clustered_share, hide_small_cells

CELLS = pd.DataFrame({"engine": ["a", "a", "a", "b", "b"], "people": [3, 12, 40, 15, 20]})


def test_the_next_smallest_goes_with_a_small_cell():
    shown, hidden = hide_small_cells(CELLS, "people", within=["engine"])
    assert shown["people"].tolist() == [40, 15, 20]
    assert hidden == 2


def test_over_all_cells_too():
    assert hide_small_cells(CELLS, "people")[0]["people"].tolist() == [40, 15, 20]


def test_nothing_small_hides_nothing():
    shown, hidden = hide_small_cells(CELLS.iloc[3:], "people")
    assert (len(shown), hidden) == (2, 0)
    assert hide_small_cells(CELLS.iloc[:0], "people")[1] == 0


def test_all_small_leaves_nothing():
    assert hide_small_cells(CELLS.iloc[:1], "people")[0].empty


def test_an_interval_stays_in_bounds_and_has_a_width():
    lower, upper = clustered_share(np.array([0.0, 1.0]), np.zeros(2), clusters=50)
    assert lower[0] == pytest.approx(0, abs=1e-12)
    assert 0 < upper[0] < 0.1
    assert 0.9 < lower[1] < 1
    assert upper[1] == pytest.approx(1)


def test_one_cluster_has_no_interval():
    lower, upper = clustered_share(np.array([0.5]), np.array([0.1]), clusters=1)
    assert np.isnan([lower[0], upper[0]]).all()
