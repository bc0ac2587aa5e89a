"""Figures that Retentioneering 5.2.4 gave for this stream; benchmarks/journeys.py compares many more."""

from __future__ import annotations

import pandas as pd
import pytest

from eventlib import journeys
from eventlib.journeys.funnels import reach
from eventlib.journeys.moves import edges_of, journey_steps, occupied
from tests.unit.journeys.streams import stream

PATHS = ("aabca", "abacb", "bab", "cc")
FUNNEL = {"person_id": [36, 36, 24], "anonymous_id": [42, 30, 18]}
SHARES = {"person_id": [0.75, 0.75, 0.5], "anonymous_id": [0.5833, 0.4167, 0.25]}
HAS_EVENT = {"person_id": [36, 36, 36], "anonymous_id": [42, 42, 42]}
# source and target, of (start), a, b, c and (end), as one letter each
COUNTS = {
    ("person_id", False): "sa24 sb12 sc12 aa12 ab36 ac12 ae12 ba24 bc12 be24 ca12 cb12 cc12 ce12",
    ("person_id", True): "sa24 sb12 sc12 ab36 ac12 ae12 ba24 bc12 be24 ca12 cb12 ce12",
    ("anonymous_id", False): "sa36 sb18 sc18 aa12 ab30 ac12 ae18 ba18 bb6 bc12 be24 ca6 cb6 cc6 ce30",
    ("anonymous_id", True): "sa36 sb18 sc18 ab30 ac12 ae18 ba18 bc12 be24 ca6 cb6 ce30",
}
# paths at steps 1 to 4: a, b, c, over
MATRIX = {
    ("person_id", False): [[24, 24, 12, 0], [12, 12, 24, 0], [12, 12, 0, 24], [0, 0, 12, 24]],
    ("person_id", True): [[24, 12, 12, 12], [12, 24, 12, 0], [12, 0, 12, 12], [0, 12, 12, 24]],
    ("anonymous_id", False): [[36, 18, 12, 0], [18, 18, 18, 0], [18, 18, 0, 12], [0, 18, 42, 60]],
    ("anonymous_id", True): [[36, 6, 12, 6], [18, 24, 6, 0], [18, 12, 6, 6], [0, 30, 48, 60]],
}
NAMES = {"(start)": "s", "(end)": "e"}


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """48 people who take one of four paths; the first half change between two devices at every event."""
    return stream(
        (f"p{n}", f"p{n}-{i % 2 if n < 24 else 0}", name, float(i))
        for n in range(48)
        for i, name in enumerate(PATHS[n % 4])
    )


@pytest.mark.parametrize("by", FUNNEL)
def test_funnels(events, by):
    found = journeys.funnel(events, list("aba"), by, base="all")
    shown = found["people"].notna()
    assert reach(events, list("aba"), by).counts().tolist() == FUNNEL[by]
    assert found.loc[shown, "share"].round(4).tolist() == pd.Series(SHARES[by])[shown].tolist()
    assert reach(events, list("abc"), by, "open").counts().tolist() == HAS_EVENT[by]


@pytest.mark.parametrize(("by", "collapse"), COUNTS)
def test_transition_counts(events, by, collapse):
    steps = journey_steps(events, by, paths="stream", collapse_repeats=collapse, start=True)
    edges = edges_of(steps).replace(NAMES)
    assert set(edges["source"] + edges["target"] + edges["moves"].astype(str)) == set(
        COUNTS[by, collapse].split()
    )
    shown = journeys.transitions(events, 1, by=by, paths="stream", collapse_repeats=collapse, start=True)
    told = shown.replace(NAMES)
    assert set(told["source"] + told["target"] + told["moves"].astype(str)) <= set(
        COUNTS[by, collapse].split()
    )
    if by == "person_id":
        assert len(told) == len(edges), "each cell is of twelve people"


@pytest.mark.parametrize(("by", "collapse"), MATRIX)
def test_step_matrices(events, by, collapse):
    steps = journey_steps(events, by, paths="stream", collapse_repeats=collapse)
    placed = occupied(steps, 4)
    counts = pd.crosstab(placed["source"], placed["step"])
    assert counts.loc[["a", "b", "c", "(end)"]].to_numpy().tolist() == MATRIX[by, collapse]
    if by == "person_id":
        shown = journeys.step_matrix(events, 4, by=by, paths="stream", collapse_repeats=collapse)
        shares = shown.set_index("event_name").loc[["a", "b", "c", "(end)"]].to_numpy(dtype=float) * 48
        assert shares == pytest.approx(pd.DataFrame(MATRIX[by, collapse]).to_numpy())
