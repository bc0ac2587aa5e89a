"""S7.8, S7.9: edits against controls and placebos."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from eventlib.geo import findings, tables
from eventlib.geo.experiments import EditRules, benjamini_hochberg, edit_calendar, judge_all
from tests.unit.geo.small_world import DAYS, START, small_world

DAY = 86_400_000_000
T0 = int(START.value // 1000)
END = T0 + DAYS * DAY


@pytest.fixture(scope="module")
def judged():
    world = small_world(seed=4, answers=5_000, people=900, edited=8, lift=1.2)
    return judge_all(world.frames, rules=EditRules(most_shared=0.2))


def test_a_strong_lift_is_found_and_most_others_are_not_invented(judged):
    verdicts, _, _ = judged
    cite = verdicts[verdicts["outcome"] == "cite"]
    assert (cite["state"] == "better").sum() >= 4
    assert not (cite["state"] == "worse").any()
    assert (cite["change"].dropna() > 1).all()


def test_the_interval_and_what_could_be_found_stand_beside(judged):
    verdicts = judged[0].dropna(subset=["p"])
    assert (verdicts["lower"] < verdicts["change"]).all()
    assert (verdicts["change"] < verdicts["upper"]).all()
    assert (verdicts["detectable"] > 1).all()
    assert (verdicts["placebos"] >= 40).all()
    assert (verdicts["expected_after"] >= 30).all()


def test_early_and_late_weeks_stand_apart(judged):
    verdicts = judged[0].dropna(subset=["p"]).query("edits == 1")
    assert verdicts[["early", "late"]].notna().all(axis=None)


def test_without_a_lift_p_values_are_even():
    p = []
    for seed in range(3):
        world = small_world(seed=20 + seed, answers=3_000, people=600, edited=8)
        verdicts = judge_all(world.frames, rules=EditRules(most_shared=0.2))[0]
        p += verdicts["p"].dropna().tolist()
    assert len(p) >= 20
    assert np.mean(np.array(p) <= 0.1) <= 0.2
    assert 0.3 < np.mean(p) < 0.7


def edits(**columns: Any) -> pd.DataFrame:
    base: dict[str, Any] = {
        "edit_id": ["e1"],
        "content_id": "c-00",
        "to_version": "2",
        "change_type": "refresh",
        "arm": None,
    }
    return pd.DataFrame(base | {"event_time": START + pd.Timedelta(days=70)} | columns)


def test_the_baseline_skips_four_weeks_and_counts_whole_ones():
    frames = small_world(answers=50).frames | {"content_edit": edits()}
    row = edit_calendar(frames, "site_assistant", END, T0).iloc[0]
    assert (row["weeks_before"], row["before_to"]) == (6, T0 + 42 * DAY)
    assert row["before_from"] == T0
    assert row["exposed_by"] == "assumed 7 days"
    assert row["after_from"] == T0 + 77 * DAY
    assert row["weeks_after"] == 7


def test_a_stated_selection_window_ends_the_baseline():
    frames = small_world(answers=50).frames
    frames["content_edit"] = edits(selected_from=["2026-06-25T00:00:00Z"])
    row = edit_calendar(frames, "site_assistant", END, T0).iloc[0]
    assert (row["before_to"] - T0) // DAY == 24
    assert row["weeks_before"] == 3


def test_exposure_starts_when_the_new_version_is_first_cited():
    frames = small_world(answers=50).frames | {"content_edit": edits()}
    cited = (
        frames["citation_show"]
        .iloc[:1]
        .assign(content_id="c-00", content_version="2", event_time=START + pd.Timedelta(days=73))
    )
    frames["citation_show"] = pd.concat([frames["citation_show"], cited])
    row = edit_calendar(frames, "site_assistant", END, T0).iloc[0]
    assert row["exposed_by"] == "first citation of the new version"
    assert row["exposed_us"] == T0 + 73 * DAY


@pytest.mark.parametrize(
    ("verification", "exposed_by", "day"),
    [
        (["spoofed", "claimed", "verified"], "first fetch by a verified agent", 74),
        (["spoofed", "claimed", None], "first fetch by a claimed agent", 73),
        (["spoofed"] * 3, "assumed 7 days", 77),
    ],
)
def test_exposure_starts_with_a_verified_fetch_before_a_claimed_one(verification, exposed_by, day):
    frames = small_world(answers=50).frames | {"content_edit": edits()}
    times = [START + pd.Timedelta(days=days) for days in (72, 73, 74)]
    frames["agent_fetch"] = pd.DataFrame(
        {
            "content_id": "c-00",
            "event_time": times,
            "verification": verification,
            "user_agent": "OAI-SearchBot/1.0",
        }
    )
    row = edit_calendar(frames, "chatgpt", END, T0).iloc[0]
    assert (row["exposed_by"], row["exposed_us"]) == (exposed_by, T0 + day * DAY)


@pytest.mark.parametrize(
    ("engine", "agent"),
    [
        ("perplexity", "OAI-SearchBot/1.0"),
        ("chatgpt", "GPTBot/1.2"),
        ("site_assistant", "OAI-SearchBot/1.0"),
        ("chatgpt", ""),
    ],
)
def test_a_fetch_for_another_engine_or_for_training_exposes_nothing(engine, agent):
    frames = small_world(answers=50).frames | {"content_edit": edits()}
    at = START + pd.Timedelta(days=72)
    frames["agent_fetch"] = pd.DataFrame({"content_id": ["c-00"], "event_time": at, "user_agent": agent})
    assert edit_calendar(frames, engine, END, T0)["exposed_by"].iloc[0] == "assumed 7 days"


def test_another_edit_of_the_page_cuts_the_window():
    both = pd.concat([edits(), edits(edit_id=["e2"], event_time=START + pd.Timedelta(days=100))])
    frames = small_world(answers=50).frames | {"content_edit": both}
    first, second = edit_calendar(frames, "site_assistant", END, T0).to_dict("records")
    assert first["after_to"] <= T0 + 100 * DAY
    assert (second["weeks_before"], first["weeks_after"]) == (0, 3)


def test_no_baseline_is_not_testable():
    world = small_world(seed=5, answers=800, edited=0)
    early = edits(event_time=START + pd.Timedelta(days=30))
    verdicts = judge_all(world.frames | {"content_edit": early})[0]
    assert set(verdicts["state"]) == {"not testable"}
    assert "whole weeks before" in verdicts["reason"].iloc[0]


def test_little_data_says_so():
    world = small_world(seed=6, answers=600, edited=4)
    verdicts = judge_all(world.frames, rules=EditRules(most_shared=0.5, joint_from=1.1))[0]
    assert set(verdicts["state"]) <= {"too little data", "not testable"}
    assert tables.refused(verdicts)["comparisons"].sum() == len(verdicts)


def test_no_edit_is_a_result():
    verdicts, placebos, calendar = judge_all(small_world(answers=100).frames)
    assert verdicts.empty
    assert placebos.empty
    assert tables.calendar(calendar).empty
    assert findings.edit_caveats(verdicts)[0].startswith("No edit is in this log")


def test_a_change_of_model_is_marked():
    frames = small_world(answers=300).frames | {"content_edit": edits()}
    late = frames["answer_generate"]["event_time"] > START + pd.Timedelta(days=60)
    frames["answer_generate"] = frames["answer_generate"].assign(model=np.where(late, "m-2", "m-1"))
    assert bool(edit_calendar(frames, "site_assistant", END, T0)["model_change"].iloc[0])


def test_a_page_chosen_after_its_edit_has_its_baseline_before_it():
    frames = small_world(answers=50).frames
    frames["content_edit"] = edits(selected_from=["2026-09-01T00:00:00Z"])
    row = edit_calendar(frames, "site_assistant", END, T0).iloc[0]
    assert row["before_to"] == row["edited_us"] == T0 + 70 * DAY


def probed(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The same answers as probes of an engine that is not the site's own."""
    there = {"observation": "probe", "engine": "chatgpt"}
    names = ("answer_generate", "citation_show")
    return {name: frame.iloc[:0] for name, frame in frames.items()} | {
        name: frames[name].assign(**there) for name in names
    }


def test_probes_with_candidates_are_judged_on_citations():
    frames = small_world(seed=4, answers=5_000, edited=3, lift=1.2).frames
    verdicts, placebos, calendar = judge_all(
        probed(frames) | {"content_edit": frames["content_edit"]}, rules=EditRules(most_shared=0.2)
    )
    assert set(verdicts["engine"]) == {"chatgpt"}
    assert (
        set(verdicts["observation"])
        == set(placebos["observation"])
        == set(calendar["observation"])
        == {"probe"}
    )
    assert set(verdicts["outcome"]) == {"cite"}
    assert (verdicts["state"] == "better").any()


def test_little_probing_is_counted_in_prompt_days():
    frames = small_world(seed=4, answers=5_000, edited=3).frames
    few = probed(frames) | {"content_edit": frames["content_edit"]}
    few["answer_generate"] = few["answer_generate"].iloc[::250]
    assert "prompt-days" in " ".join(judge_all(few)[0]["reason"])


def test_an_engine_that_only_sends_visits_is_judged_on_whether_they_satisfy():
    frames = small_world(seed=4, answers=6_000, people=900, edited=3).frames
    landed = frames["page_view"].assign(engine="perplexity", evidence="referrer")
    nothing = {name: frame.iloc[:0] for name, frame in frames.items()}
    names = ("page_view", "page_engage", "page_exit", "content_edit")
    sent = nothing | {name: frames[name] for name in names} | {"referral_land": landed}
    verdicts = judge_all(sent, tau_ms=30_000.0)[0]
    assert set(zip(verdicts["engine"], verdicts["outcome"], strict=True)) == {("perplexity", "satisfy")}
    assert verdicts["p"].notna().any()
    assert (
        verdicts["controls"].max() >= 50
    )  # visits are not in one answer: no page is kept from being a control


def test_power_stands_before_the_verdict(judged):
    verdicts = judged[0].dropna(subset=["detectable"])
    assert (verdicts["power_25"] <= verdicts["power_50"]).all()
    assert (verdicts["power_50"] <= verdicts["power_100"]).all()
    assert verdicts.loc[verdicts["p"].isna(), "power_100"].notna().any()


def test_every_verdict_has_its_sentence(judged):
    verdicts = judged[0]
    assert verdicts["sentence"].str.len().min() > 40
    told = tables.verdict_sentences(verdicts)
    assert told["state"].iloc[0] == "better"
    assert "judged jointly" not in set(told["state"])
    assert tables.verdict_sentences(verdicts.iloc[:0]).empty


def test_q_values_by_hand():
    assert benjamini_hochberg(np.array([0.5, 0.01])).tolist() == [0.5, 0.02]
    assert benjamini_hochberg(np.empty(0)).tolist() == []


def test_tables_of_verdicts(judged):
    verdicts, _, calendar = judged
    assert len(tables.verdicts(verdicts)) + tables.refused(verdicts)["comparisons"].sum() == len(verdicts)
    assert tables.power(verdicts)["detectable"].is_monotonic_increasing
    assert tables.calendar(calendar)["baseline"].iloc[0].startswith("4 weeks to")
    assert (tables.detectable_change(verdicts) or 0) > 1
    assert "show a gain" in findings.verdict_in_words(verdicts)
