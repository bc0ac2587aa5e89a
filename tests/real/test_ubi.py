"""The UBI sample of a public demonstration, as it is found in the wild."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import eventlib as el
from eventlib.errors import DataRefusedError
from eventlib.ranking import PositionBasedModel, SimplifiedDBN, UserBrowsingModel
from eventlib.ranking.impressions import read_impressions
from tests.factory import lenient_policy
from tests.unit.test_incremental import Runs, assert_same

REAL = Path(os.environ.get("EVENTLIB_REAL", Path(__file__).parents[3] / "shared" / "real"))
LOG = REAL / "ubi" / "ubi_queries_events.ndjson"

pytestmark = pytest.mark.skipif(
    not LOG.exists(), reason="real data is not here; name its folder in EVENTLIB_REAL"
)


def test_every_line_is_an_event_a_bulk_action_or_in_the_quarantine(tmp_path: Path):
    basis = {
        "jurisdiction": "EEA",
        "purposes": ["analytics", "training"],
        "basis": "sample data",
        "owner": "me",
        "expires": "2027-12-31",
    }
    found = el.prepare(LOG, policy=lenient_policy(tmp_path, sources={"ubi": basis}))
    assert found.ledger.rows_in == LOG.read_bytes().count(b"\n") == 7842
    assert found.ledger.removed() == {"bulk_action": 3921}
    assert (len(found.events), len(found.quarantine)) == (3921, 0)
    shows = el.properties(found.events, "citation_show")
    assert shows.groupby("engine")["position"].agg(["min", "max"]).to_numpy().tolist() == [[1, 20], [1, 5]]
    repairs = {(r["scope"], r["repair"]): r["rows"] for r in found.run["repairs"]}
    assert repairs["esci_ubi_sample", "counted from 0, read as from 1"] == 1060
    assert repairs["ubi-demo", "milliseconds since 1970 read as a time"] == 429


def test_without_a_stated_basis_it_is_refused():
    with pytest.raises(DataRefusedError, match=r"C13_no_signal 3,921(.|\n)*ubi: \{jurisdiction"):
        el.prepare(LOG)


@pytest.mark.parametrize("first", [2000, 6000])
def test_added_in_parts_is_as_if_prepared_at_once(tmp_path: Path, first: int):
    """Minted ids count on (S1.9), and what was learned of the first part still holds for the second."""
    basis = {
        "jurisdiction": "EEA",
        "purposes": ["analytics", "training", "identity"],
        "basis": "sample data",
        "owner": "me",
    }
    runs = Runs(
        tmp_path, policy=lenient_policy(tmp_path, sources={"ubi": {**basis, "expires": "2027-12-31"}})
    )
    lines = LOG.read_bytes().splitlines(keepends=True)  # a bulk action and its document stand on two lines
    assert_same(*runs.both([lines[:first], lines[first:], [*lines[:400], b"\n"]]))


def test_click_models_fit_the_sample_lists_better_than_their_ranks(tmp_path: Path):
    """S8.1 on shows and clicks that people made: 60 clicks in 200 lists of five, so that this is no test of what is held out."""
    basis = {
        "jurisdiction": "EEA",
        "purposes": ["analytics", "training"],
        "basis": "sample data",
        "owner": "me",
        "expires": "2027-12-31",
    }
    events = el.prepare(LOG, policy=lenient_policy(tmp_path, sources={"ubi": basis})).events
    names = ("citation_show", "citation_click", "answer_generate")
    found = read_impressions(*(el.properties(events, name) for name in names))
    shows = found.of("search:esci_ubi_sample").rename(columns={"answer_id": "session"})
    shows["item"] = shows["content_id"] + "\x1f" + shows["prompt_id"]
    assert (len(shows), int(shows["clicked"].sum()), shows["session"].nunique()) == (1000, 60, 200)
    rates = shows.groupby("rank")["clicked"].transform("mean").to_numpy()
    by_rank = float(np.log(np.where(shows["clicked"], rates, 1 - rates)).mean())
    for made in (PositionBasedModel, UserBrowsingModel, SimplifiedDBN):
        model = made(prior_shows=2.0).fit(shows)
        assert model.score(shows) > by_rank
        assert model.perplexity(shows)["shows"].tolist() == [200] * 5
        assert 1 < model.mean_perplexity(shows, conditional=True) < 1.3
        assert not model.relevance().isna().to_numpy().any()
