"""What a log can tell, by what of the way from answer to reader it shows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.geo.levels import LEVELS, evidence_levels, reported_citations
from eventlib.geo.observed import ELSEWHERE, observed_stages
from tests.unit.geo.small_world import small_world


@pytest.fixture(scope="module")
def frames():
    return small_world(seed=1, answers=400).frames


def _levels(frames):
    return evidence_levels(frames, observed_stages(frames)).set_index("level")


def _landings(frames, people: int):
    """Visits as a site without an assistant sees them: from chatgpt, no answers."""
    clicks = frames["citation_click"]
    landed = clicks.drop(columns=["answer_id", "citation_id", "position", "slot"]).assign(engine="chatgpt")
    landed["person_id"] = [f"p-{i % people}" for i in range(len(landed))]
    only = {name: frame.iloc[:0] for name, frame in frames.items()}
    return (
        only
        | {name: frames[name] for name in ("page_view", "page_engage", "page_exit")}
        | {"referral_land": landed}
    )


def test_own_answers_show_the_whole_way(frames):
    row = _levels(frames).loc["own answers"]
    assert row["stages"] == "cite x click x satisfy"
    assert row["engines"] == "site_assistant"
    assert row["events"] == len(frames["citation_show"])


def test_landings_alone_say_whether_they_satisfy(frames):
    table = _levels(_landings(frames, people=100))
    assert table.loc["landings", "stages"] == "satisfy"
    assert table.loc["landings", "engines"] == "chatgpt"
    assert table.loc["own answers", "events"] == 0


def test_landings_of_several_engines_are_scored_together_too(frames):
    landed = _landings(frames, people=100)
    where = np.arange(len(landed["referral_land"])) % 3
    names = np.array(["chatgpt", "gemini", "copilot"])[where]
    seen = observed_stages(landed | {"referral_land": landed["referral_land"].assign(engine=names)})
    assert [one.engine for one in seen] == ["chatgpt", "copilot", "gemini", ELSEWHERE]
    whole, parts = seen[-1].stages[0], [one.stages[0] for one in seen[:-1]]
    assert len(whole.content) == sum(len(part.content) for part in parts)
    assert whole.expected.sum() == pytest.approx(whole.observed.sum())
    # a visit is set against its own engine's average
    assert sorted(set(whole.expected)) == pytest.approx(sorted(part.base for part in parts))


def test_how_often_under_ten_people_came_is_not_told(frames):
    table = _levels(_landings(frames, people=9))
    assert np.isnan(table.loc["landings", "events"])


def test_probes_without_candidates_say_how_visible_pages_are(frames):
    probes = {
        name: frames[name].assign(observation="probe", engine="gemini")
        for name in ("answer_generate", "citation_show")
    }
    probes["answer_generate"] = probes["answer_generate"].assign(candidates=None)
    table = _levels({name: frame.iloc[:0] for name, frame in frames.items()} | probes)
    assert table.loc["probes", "stages"] == "visibility only"
    assert table.loc["probes", "events"] == 400


def test_probes_with_candidates_have_a_cite_stage(frames):
    probes = {
        name: frames[name].assign(observation="probe", engine="gemini")
        for name in ("answer_generate", "citation_show")
    }
    table = _levels({name: frame.iloc[:0] for name, frame in frames.items()} | probes)
    assert table.loc["probes", "stages"] == "cite"


def test_an_empty_log_has_no_level(frames):
    table = _levels({name: frame.iloc[:0] for name, frame in frames.items()})
    assert table.index.tolist() == list(LEVELS)
    assert (table["events"] == 0).all()
    assert set(table["stages"]) <= {"none yet", "share of citations only"}


def _reports(days: int, citations: dict[str, int]) -> pd.DataFrame:
    rows = [
        {"content_id": page, "event_time": pd.Timestamp("2026-06-01", tz="UTC") + pd.Timedelta(days=day)}
        for day in range(days)
        for page, count in citations.items()
        for _ in range(count)
    ]
    return pd.DataFrame(rows).assign(observation="platform_report", engine="copilot", allow_analytics=True)


def test_shares_of_reported_citations_sum_to_one():
    table = reported_citations({"citation_show": _reports(20, {"a": 6, "b": 3, "c": 1})})
    assert table["share"].tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert table["citations"].tolist() == [120, 60, 20]
    assert ((table["lower"] <= table["share"]) & (table["share"] <= table["upper"])).all()


def test_a_platform_that_reported_few_days_is_left_out():
    assert reported_citations({"citation_show": _reports(9, {"a": 6, "b": 3})}).empty


def test_pages_hardly_cited_are_left_out_with_the_next():
    frame = _reports(20, {"a": 6, "b": 3})
    rare = frame.iloc[[0]].assign(content_id="rare")
    table = reported_citations({"citation_show": pd.concat([frame, rare])})
    assert table["content_id"].tolist() == ["a"]
