"""S9: pairs only from edits with a verdict, from people who allow training, about prompts that ten people asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from eventlib.geo.experiments import EditRules, judge_all
from eventlib.signals.encoding import as_lines
from eventlib.signals.feedback import prompt_texts
from eventlib.signals.page_texts import NO_TEXTS, PageTexts
from eventlib.signals.preferences import (
    clear_verdicts,
    preference_pairs,
    probability_better,
    usual_prompts,
)
from eventlib.signals.training_evidence import TrainingEvidence, read_evidence, training_frames
from tests.unit.geo.small_world import small_world

AROUND = np.linspace(-2, 2, 41)
EDITS = pd.DataFrame(
    {
        "edit_id": ["e1", "e2", "e3"],
        "content_id": ["c1", "c2", "c3"],
        "from_version": ["1", "1", ""],
        "to_version": "2",
    }
)
PROMPTS = pd.DataFrame(
    {
        "prompt_id": ["p1", "p2"],
        "prompt_text": ["how loud is it?", "what does it cost?"],
        "prompt_cluster": "heat",
    },
    index=pd.Index(["c1", "c3"], name="content_id"),
)


@dataclass
class Found:
    """One comparison; its statistic is that many standard deviations from no change."""

    edit: str = "e1"
    statistic: float = 3.0
    state: str = "better"
    outcome: str = "cite"
    engine: str = "site"
    q: float = 0.05
    edits: int = 1


def evidence(*found):
    rows = [
        {
            "edit_id": one.edit, "content_id": one.edit.replace("e", "c"), "change_type": "refresh", "engine": one.engine,
            "observation": "owned", "outcome": one.outcome, "state": one.state, "edits": one.edits,
            "statistic": one.statistic, "change": np.exp(one.statistic / 10), "lower": 0.9, "upper": 1.8, "p": 0.02,
            "q": one.q if one.state in ("better", "worse") else np.nan, "placebos": 41.0, "model_change": False,
            "sentence": f"After it, {one.outcome} moved.",
        }
        for one in found
    ]  # fmt: skip
    around = [
        {"edit_id": one.edit, "engine": one.engine, "outcome": one.outcome, "statistic": value}
        for one in found
        for value in AROUND
    ]
    return TrainingEvidence(EDITS, pd.DataFrame(rows), pd.DataFrame(around), None)


def pairs(*found, texts=NO_TEXTS):
    return preference_pairs(evidence(*found), "site", PROMPTS, texts)


def test_a_better_version_is_chosen_and_a_worse_one_rejected():
    (better,) = pairs(Found()).preferences
    assert better == {"prompt": "how loud is it?", "chosen": "c1@2", "rejected": "c1@1", "margin": 0.3}
    (worse,) = pairs(Found(statistic=-3.0, state="worse")).preferences
    assert worse == {"prompt": "how loud is it?", "chosen": "c1@1", "rejected": "c1@2", "margin": 0.3}


def test_unpaired_rows_are_the_same_versions_with_labels():
    made = pairs(Found(statistic=-3.0, state="worse"))
    assert made.unpaired == [
        {"prompt": "how loud is it?", "completion": "c1@1", "label": True},
        {"prompt": "how loud is it?", "completion": "c1@2", "label": False},
    ]


def test_what_a_pair_rests_on_is_told_beside_it():
    made = pairs(Found(), Found(outcome="satisfy", statistic=0.5, state="no difference shown"))
    (told,) = made.edits
    line = as_lines(made.preferences[:1])
    assert told["pair_sha256"] == hashlib.sha256(line).hexdigest()
    assert (told["line"], told["outcome"], told["completions"]) == (1, "cite", "references")
    assert told["p_chosen_better"] == round(41 / 42, 6)
    assert [one["outcome"] for one in told["outcomes"]] == ["cite", "satisfy"]


@pytest.mark.parametrize("state", ["no difference shown", "too little data", "not testable"])
def test_without_a_verdict_there_is_no_pair(state):
    made = pairs(Found(state=state))
    assert made.preferences == made.unpaired == made.edits == []
    assert made.left_out == {}


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ([Found(outcome="click", state="judged jointly")], "judged_jointly"),
        ([Found(outcome="satisfy", statistic=-1.9, state="no difference shown")], "contradicted"),
        ([Found(engine="search:app", statistic=-2.5, state="worse")], "contradicted"),
    ],
)
def test_an_edit_that_is_not_clear_gives_none(others, why):
    made = pairs(Found(), *others)
    assert made.preferences == []
    assert made.left_out == {why: 1}


def test_a_weak_contrary_outcome_does_not_contradict():
    assert (
        len(pairs(Found(), Found(outcome="satisfy", statistic=-1.0, state="no difference shown")).preferences)
        == 1
    )


def test_a_verdict_among_lopsided_placebos_is_not_sure_enough():
    # far from 0, but a third of the unedited pages went further the same way
    looked = evidence(Found(statistic=1.0))
    placebos = looked.placebos.assign(statistic=np.where(np.arange(41) < 14, 1.5, 0.0))
    lopsided = TrainingEvidence(EDITS, looked.verdicts, placebos, None)
    verdicts, left_out = clear_verdicts(lopsided, "site")
    assert verdicts == []
    assert left_out == {"not_sure": 1}


def test_the_smallest_q_decides_and_there_is_one_pair_per_edit():
    made = pairs(Found(q=0.08), Found(outcome="click", q=0.02, statistic=2.5))
    assert [edit["outcome"] for edit in made.edits] == ["click"]
    assert len(made.preferences) == 1


def test_groups_and_other_engines_give_no_pairs():
    assert pairs(Found(edits=2, edit="e1+e2")).preferences == []
    assert pairs(Found(engine="chatgpt")).preferences == []


def test_versions_must_be_known_and_a_prompt_be_there():
    assert pairs(Found(edit="e3")).left_out == {"versions_unknown": 1}
    assert pairs(Found(edit="e2")).left_out == {"no_prompt": 1}


def test_texts_stand_on_both_sides_or_on_neither():
    both = PageTexts("t.jsonl", "0" * 64, {("c1", "1"): "Old.", ("c1", "2"): "New."})
    (pair,) = pairs(Found(), texts=both).preferences
    assert (pair["chosen"], pair["rejected"]) == ("New.", "Old.")
    one = PageTexts("t.jsonl", "0" * 64, {("c1", "2"): "New."})
    made = pairs(Found(), texts=one)
    assert made.preferences[0]["chosen"] == "c1@2"
    assert made.edits[0]["completions"] == "references"


def test_the_probability_counts_placebos_on_the_near_side():
    assert probability_better(0.0, np.array([-1.0, 1.0, 2.0])) == 0.25
    assert probability_better(9.0, np.zeros(40)) == 40 / 41


def shows(rows):
    frame = pd.DataFrame(rows, columns=["content_id", "prompt_id", "cluster", "people"])
    frame = frame.loc[frame.index.repeat(frame["people"])].reset_index(drop=True)
    named = {
        "person": [f"u{i}" for i in range(len(frame))],
        "answer_id": [f"a{i}" for i in range(len(frame))],
    }
    return frame.assign(**named), frame["cluster"]


def test_the_prompt_is_the_most_asked_that_ten_people_saw_the_page_cited_for():
    wordings = pd.DataFrame(
        {"prompt_id": ["p1", "p2", "p3"], "prompt_text": ["one", "two", "three"], "people": [30, 20, 99]}
    )
    seen = [
        ("c1", "p1", "heat", 9),
        ("c1", "p2", "heat", 12),
        ("c1", "p3", "sun", 15),
        ("c1", "p9", "heat", 40),
    ]
    impressions, clusters = shows(seen)
    found = usual_prompts(impressions, clusters, wordings)
    # p1 had nine people, p3 is of another cluster, nobody may be told how p9 was worded
    assert found.to_dict("index") == {
        "c1": {"prompt_id": "p2", "prompt_text": "two", "prompt_cluster": "heat"}
    }
    few, clusters = shows(seen[:1])
    assert usual_prompts(few, clusters, wordings).empty


def answers(texts):
    rows = [(text, f"u{i}") for text, people in texts for i in range(people)]
    frame = pd.DataFrame(rows, columns=["prompt_text", "person_id"])
    return frame.assign(prompt_id="p1", allow_training=True, agent=None)


def test_a_wording_that_reports_mask_is_not_told():
    asked = answers([("mail ann@mail.example", 30), ("is it loud?", 12), ("my own words", 9)])
    assert prompt_texts(asked) == {"p1": "is it loud?"}
    assert prompt_texts(asked.assign(allow_training=False)) == {}


@pytest.fixture(scope="module")
def lifted():
    world = small_world(seed=4, answers=5_000, people=900, edited=8, lift=1.2)
    people = [f"p-{i}" for i in range(0, 900, 3)]
    return {
        name: frame.assign(
            allow_training=~frame["person_id"].isin(people) if "person_id" in frame else True,
            observation="owned",
        )
        for name, frame in world.frames.items()
    }


def test_who_does_not_allow_training_does_not_feed_it(lifted):
    kept = training_frames(lifted)
    assert 0 < len(kept["citation_show"]) < len(lifted["citation_show"])
    assert kept["citation_show"]["allow_training"].all()
    found = read_evidence(lifted, "site_assistant")
    alone = {name: frame[frame["allow_training"]].reset_index(drop=True) for name, frame in lifted.items()}
    expected = judge_all(alone, rules=EditRules())[0]
    pd.testing.assert_frame_equal(found.verdicts.reset_index(drop=True), expected)
    everybody = judge_all(lifted)[0]
    assert not np.allclose(found.verdicts["expected_after"], everybody["expected_after"], equal_nan=True)


def test_probed_answers_do_not_feed_it(lifted):
    probed = lifted | {"answer_generate": lifted["answer_generate"].assign(observation="probe")}
    assert not len(training_frames(probed)["answer_generate"])


def test_pairs_of_a_world_with_lifts_choose_what_was_lifted(lifted):
    # in the small world pages share many answers, so most are judged jointly
    world = judge_all(training_frames(lifted), rules=EditRules(most_shared=0.2, joint_from=0.9))
    found = TrainingEvidence(lifted["content_edit"], world[0], world[1], None)
    contents = lifted["content_edit"]["content_id"]
    prompts = pd.DataFrame(
        {"prompt_id": "p", "prompt_text": "what is best?", "prompt_cluster": "t"}, index=pd.Index(contents)
    )
    made = preference_pairs(found, "site_assistant", prompts, NO_TEXTS)
    assert len(made.preferences) >= 3
    assert all(pair["chosen"].endswith("@2") and pair["margin"] > 0 for pair in made.preferences)
    assert json.loads(as_lines(made.edits).splitlines()[0])["p_chosen_better"] >= 0.9
