"""S7.5: citations against what was published before, where candidates are not listed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.geo.engagement import score_observed
from eventlib.geo.inventory import INVENTORY_REASON, inventory_stage
from eventlib.geo.observed import observed_stages
from tests.unit.geo.small_world import START, small_world

PAGES = [f"c-{i:02d}" for i in range(60)]


@pytest.fixture(scope="module")
def world():
    return small_world(seed=5, answers=1_500)


@pytest.fixture(scope="module")
def frames(world):
    """Probes of one engine, without candidates; all pages were published a month before."""
    probes = {
        name: world.frames[name].assign(observation="probe", engine="gemini")
        for name in ("answer_generate", "citation_show")
    }
    probes["answer_generate"] = probes["answer_generate"].assign(candidates=None)
    publish = pd.DataFrame({"content_id": PAGES, "event_time": START - pd.Timedelta(days=30)})
    return (
        {name: frame.iloc[:0] for name, frame in world.frames.items()} | probes | {"content_publish": publish}
    )


def test_all_citations_are_observed_and_as_many_expected(frames):
    stage, why = inventory_stage(frames, "gemini", "probe")
    assert why == ""
    assert stage is not None
    assert stage.observed.sum() == len(frames["citation_show"])
    assert stage.expected.sum() == pytest.approx(stage.observed.sum())
    assert stage.base == pytest.approx(5 / 60)
    assert set(stage.content) == set(PAGES)


def test_a_page_published_later_is_not_in_it(frames):
    publish = frames["content_publish"].copy()
    publish.loc[publish["content_id"] == "c-00", "event_time"] = START + pd.Timedelta(days=60)
    stage, _ = inventory_stage(frames | {"content_publish": publish}, "gemini", "probe")
    assert stage is not None
    assert set(stage.content) == set(PAGES[1:])
    assert stage.observed.sum() == (frames["citation_show"]["content_id"] != "c-00").sum()


def test_pages_that_are_cited_more_score_higher(frames):
    score = score_observed(observed_stages(frames), replicates=40, draws=400)[0]
    assert (score.engine, score.observation, score.stages) == ("gemini", "probe", ("cite",))
    assert INVENTORY_REASON in score.reasons
    cited = frames["citation_show"]["content_id"].value_counts().reindex(score.frame["content_id"]).fillna(0)
    assert np.corrcoef(np.log(score.frame["theta"]), np.log(cited.to_numpy() + 1))[0, 1] > 0.95


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"content_publish": None}, "no inventory is known"),
        ({"answer_generate": None}, "no answer was probed"),
        ({"citation_show": None}, "no page of the inventory was cited"),
    ],
)
def test_what_is_missing_is_said(frames, changed, why):
    told = frames | {name: frames[name].iloc[:0] for name in changed}
    stage, reason = inventory_stage(told, "gemini", "probe")
    assert stage is None
    assert why in reason


def test_where_candidates_are_listed_they_are_taken(world, frames):
    listed = frames["answer_generate"].assign(candidates=world.frames["answer_generate"]["candidates"])
    (seen,) = observed_stages(frames | {"answer_generate": listed})
    assert seen.reasons == ()
    assert seen.stages[0].base == pytest.approx(5 / 8, abs=0.01)
