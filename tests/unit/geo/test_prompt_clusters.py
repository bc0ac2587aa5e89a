"""Prompt clusters: found by words, saved, assigned to, told when they no longer hold, telling of nobody (S7.7)."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from benchmarks.prompt_clusters import simulated
from eventlib.errors import BadCallError
from eventlib.geo.prompt_clusters import (
    OTHER_PROMPTS,
    UNKNOWN_PROMPTS,
    PromptClusters,
    cluster_prompts,
    fit_prompt_clusters,
    keep_prompt_clusters,
    read_prompts,
)

SUBJECTS = ("heat pumps", "roof gardens", "night trains", "bread ovens", "garden sheds", "piano lessons")
ASKS = ("what do {} cost", "are {} worth it", "who mends {}", "how long do {} last")
TEXTS = [ask.format(subject) for subject in SUBJECTS for ask in ASKS]
DAY = pd.Timestamp("2026-08-01", tz="UTC")


def asked(texts, people=12, **columns):
    """Each text asked by `people` people of its own."""
    rows = [(f"q{i}", text, f"p-{i}-{n}") for i, text in enumerate(texts) for n in range(people)]
    frame = pd.DataFrame(rows, columns=["prompt_id", "prompt_text", "person_id"])
    return frame.assign(event_time=DAY, observation="owned", **columns)


def prompts(*texts):
    return pd.DataFrame({"prompt_id": [f"n{i}" for i in range(len(texts))], "prompt_text": list(texts)})


@pytest.fixture(scope="module")
def clusters():
    return fit_prompt_clusters(asked(TEXTS))


def names(clusters, *texts):
    return clusters.assign(prompts(*texts))["prompt_cluster"].tolist()


def test_prompts_of_one_subject_are_one_cluster_named_after_it(clusters):
    assert sorted(clusters.labels) == sorted(SUBJECTS)
    assert names(clusters, *TEXTS) == [subject for subject in SUBJECTS for _ in ASKS]


def test_the_sample_logs_prompts_fall_into_their_topics():
    case = simulated()
    asked_texts = read_prompts(case.answers)
    found = case.fit().assign(asked_texts)["prompt_cluster"]
    assert adjusted_rand_score(asked_texts["prompt_text"].map(case.about["topic"]), found) > 0.9


def test_a_new_wording_joins_its_cluster_and_a_new_subject_is_other(clusters):
    found = clusters.assign(
        prompts("Heat pumps: COST?", "heatpump price", "how tall is the moon", "what do shoes cost")
    )
    assert found["prompt_cluster"].tolist() == ["heat pumps", "heat pumps", OTHER_PROMPTS, OTHER_PROMPTS]
    assert found["known"].tolist() == [False] * 4
    assert found["similarity"].between(0, 1).all()


def test_spelling_in_another_unicode_form_or_case_is_the_same_prompt(clusters):
    plain, wide = "what do heat pumps cost", "\uff37\uff28\uff21\uff34 do <b>heat</b>\u200b Pumps\u00a0cost??"
    found = clusters.assign(prompts(plain, wide))
    assert found["known"].tolist() == [True, True]
    assert found["similarity"][0] == found["similarity"][1]


def test_a_prompt_without_a_word_is_unknown(clusters):
    found = clusters.assign(prompts("", "  ?!", None))
    assert found["prompt_cluster"].tolist() == [UNKNOWN_PROMPTS] * 3
    assert found["similarity"].isna().all()


def test_the_order_of_rows_and_the_number_of_threads_change_nothing(clusters, tmp_path):
    shuffled = asked(TEXTS).sample(frac=1, random_state=3)
    with threadpool_limits(1):
        again = fit_prompt_clusters(shuffled)
    first, second = clusters.save(tmp_path / "a.json"), again.save(tmp_path / "b.json")
    assert first.read_bytes() == second.read_bytes()


def test_a_loaded_file_assigns_as_the_fit_did_and_saves_to_the_same_bytes(clusters, tmp_path):
    loaded = PromptClusters.load(clusters.save(tmp_path / "a.json"))
    new = prompts(*TEXTS, "old heat pumps", "🔥", "trains to the moon", "")
    pd.testing.assert_frame_equal(loaded.assign(new), clusters.assign(new))
    assert loaded.save(tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()


def test_an_assignment_does_not_depend_on_what_else_is_assigned(clusters):
    together = clusters.assign(prompts(*TEXTS, "who mends moon trains"))
    alone = [
        clusters.assign(prompts(text))["similarity"].item() for text in [*TEXTS, "who mends moon trains"]
    ]
    assert together["similarity"].tolist() == alone


def test_the_file_can_be_used_without_eventlib(clusters, tmp_path):
    """The recipe in `prompt_file` by hand: plain JSON, no library."""
    content = json.loads(clusters.save(tmp_path / "a.json").read_text(encoding="utf-8"))
    words = ["who", "mends", "heat", "pumps"]
    terms = {*words, *(" ".join(pair) for pair in pairwise(words))}
    pieces = {word[i : i + n] for word in words for n in (3, 4) for i in range(len(word) - n + 1)}

    def vector(found, idf):
        weights = {term: idf.get(term, content["unseen"]) for term in found}
        length = sum(weight**2 for weight in weights.values()) ** 0.5
        return {term: weight / length for term, weight in weights.items()}

    by_word, by_piece = vector(terms, content["words"]), vector(pieces, content["pieces"])
    scores = {
        cluster["label"]: (
            sum(weight * cluster["words"].get(term, 0) for term, weight in by_word.items())
            + 2 * sum(weight * cluster["pieces"].get(term, 0) for term, weight in by_piece.items())
        )
        / 5**0.5
        for cluster in content["clusters"]
    }
    found = clusters.assign(prompts(" ".join(words))).iloc[0]
    assert max(scores, key=scores.__getitem__) == found["prompt_cluster"] == "heat pumps"
    assert max(scores.values()) == pytest.approx(found["similarity"], abs=1e-6)


def test_nothing_of_fewer_than_ten_people_is_in_the_file(tmp_path):
    secret = [
        "what do heat pumps of mrs featherstonehaugh cost",
        "are heat pumps near featherstonehaugh worth it",
    ]
    told = asked(TEXTS)
    hidden = pd.concat([told, asked(secret, people=4).assign(prompt_id="s")])
    path = fit_prompt_clusters(hidden).save(tmp_path / "a.json")
    assert "feather" not in path.read_text(encoding="utf-8")
    shown = pd.concat([told, asked(secret, people=6).assign(prompt_id="s")])
    assert "featherstonehaugh" in fit_prompt_clusters(shown).save(tmp_path / "b.json").read_text(
        encoding="utf-8"
    )


def test_ten_events_of_one_person_are_one_person():
    clusters = fit_prompt_clusters(asked(TEXTS).assign(person_id="p-1"))
    assert clusters.labels == ()
    assert not clusters.words
    assert names(clusters, TEXTS[0]) == [OTHER_PROMPTS]


@pytest.mark.parametrize(("days", "found"), [(10, True), (9, False)])
def test_probes_count_prompt_days(days, found):
    rows = asked([TEXTS[0]] * 1, people=days).assign(observation="probe", person_id=None)
    rows["event_time"] = [DAY + pd.Timedelta(days=n) for n in range(days)]
    assert bool(fit_prompt_clusters(rows).labels) is found


def test_a_label_is_neither_an_address_nor_a_number_nor_taken(tmp_path):
    texts = [f"other ann@mail.example {ask}" for ask in ("one", "two", "three")]
    texts += ["call 0151 23456789 unknown", "4111111111111111 unknown", "unknown \u202eevil"]
    told = fit_prompt_clusters(asked(texts, people=30))
    text = told.save(tmp_path / "a.json").read_text(encoding="utf-8")
    assert not [bad for bad in ("ann", "mail", "23456", "41111", "\\u202e") if bad in text]
    assert not {*told.labels} & {OTHER_PROMPTS, UNKNOWN_PROMPTS}


def test_labels_are_without_repeats_and_of_ten_people_in_the_cluster():
    clusters = fit_prompt_clusters(asked(TEXTS, people=3))  # 12 people a subject
    assert len(set(clusters.labels)) == len(clusters.labels) == 6
    assert set(" ".join(clusters.labels).split()) <= {
        *" ".join(SUBJECTS).split(),
        "cluster",
        "1",
        "2",
        "3",
        "4",
    }


@pytest.mark.parametrize(
    "texts",
    [[TEXTS[0]], TEXTS[:2], [TEXTS[0]] * 20, [f"heat pump {letter}" for letter in "abcdefg"]],
    ids=["one", "two", "same", "alike"],
)
def test_few_prompts_are_one_cluster(texts):
    clusters = fit_prompt_clusters(asked(texts))
    assert len(clusters.labels) == 1
    assert set(names(clusters, *texts)) == {*clusters.labels}


@pytest.mark.parametrize("texts", [[], [""], [None, "!!!"], ["<b></b>"]])
def test_a_log_without_text_has_no_clusters(texts, tmp_path):
    clusters = fit_prompt_clusters(asked(texts))
    loaded = PromptClusters.load(clusters.save(tmp_path / "a.json"))
    assert loaded.labels == ()
    assert names(loaded, "heat pumps", "") == [OTHER_PROMPTS, UNKNOWN_PROMPTS]
    told = loaded.drift(loaded.assign(prompts(*TEXTS))).warning
    assert told == "the saved clusters are none, so that 24 prompts are in none: fit them anew"


def test_a_log_without_the_column_has_no_clusters():
    assert fit_prompt_clusters(asked(TEXTS).drop(columns="prompt_text")).labels == ()


def test_scripts_without_spaces_and_from_right_to_left():
    subjects = ("热泵", "屋顶花园", "مضخات الحرارة", "太陽光発電", "دراجات هوائية", "住宅ローン")
    asks = ("{}多少钱", "كم سعر {}", "{} はいくら", "{} 🔥")
    texts = [ask.format(subject) for subject in subjects for ask in asks]
    clusters = fit_prompt_clusters(asked(texts))
    assert names(clusters, "热泵便宜")[0] == names(clusters, "热泵🔥")[0] != OTHER_PROMPTS
    found = pd.Series(names(clusters, *texts)).groupby(np.repeat(subjects, len(asks))).nunique()
    assert found.tolist() == [1] * 6


def test_long_prompts_are_read_at_their_beginning(clusters):
    assert names(clusters, "heat pumps cost" + " " * 400 + "night trains " * 10_000) != [OTHER_PROMPTS]
    assert names(clusters, "heat pumps " * 10_000) == ["heat pumps"]
    assert names(clusters, "x" * 100_000) == [UNKNOWN_PROMPTS]  # one word of 100,000 letters is no word
    assert names(clusters, "<" * 50_000 + "@" * 50_000) == [UNKNOWN_PROMPTS]


def test_bots_and_the_withheld_are_not_read():
    denied = asked(TEXTS, allow_analytics=False, allow_training=True)
    assert fit_prompt_clusters(denied).labels == ()
    assert len(fit_prompt_clusters(denied, purpose="training").labels) == 6
    assert fit_prompt_clusters(asked(TEXTS, agent="GPTBot")).labels == ()


def test_bad_calls_are_told():
    with pytest.raises(BadCallError, match=r"unknown purpose 'advertising'.*analytics, training"):
        fit_prompt_clusters(asked(TEXTS), purpose="advertising")
    with pytest.raises(BadCallError, match="small_cell is 0"):
        fit_prompt_clusters(asked(TEXTS), small_cell=0)
    with pytest.raises(BadCallError, match="event_time"):
        fit_prompt_clusters(asked(TEXTS).drop(columns="event_time"))
    with pytest.raises(BadCallError, match="prompt_text"):
        fit_prompt_clusters(asked(TEXTS)).assign(pd.DataFrame({"prompt_id": ["a"]}))


def test_drift_is_told_and_nothing_is_refitted(clusters):
    same = clusters.drift(clusters.assign(prompts(*TEXTS)))
    assert (same.other_share, same.warning) == (0.0, "")
    assert same.mean_similarity == pytest.approx(same.mean_similarity_at_fit, abs=1e-4)
    moved = [ask.format("sea kayaks") for ask in ASKS]
    drift = clusters.drift(clusters.assign(prompts(*TEXTS[:12], *moved)))
    assert drift.other_share == 0.25
    assert drift.warning.startswith(
        "prompts have moved away from the saved clusters of 2026-08-01: 25% of 16 are near none (0% then)"
    )
    assert clusters.drift(clusters.assign(prompts(*moved))).warning == ""  # four prompts say nothing yet
    assert np.isnan(clusters.drift(clusters.assign(prompts())).other_share)


def test_a_named_file_is_written_once_and_then_only_read(tmp_path):
    path = str(tmp_path / "clusters.json")
    fitted, told = keep_prompt_clusters(asked(TEXTS), path)
    assert told == "6 prompt clusters as of 2026-08-01, fitted on this log and saved for later ones"
    before = (tmp_path / "clusters.json").read_bytes()
    later, told = keep_prompt_clusters(asked(["of other things"] * 3), path)
    assert told == "6 prompt clusters as of 2026-08-01, saved; this log's prompts are assigned to them"
    assert later.labels == fitted.labels
    assert (tmp_path / "clusters.json").read_bytes() == before
    alone, told = keep_prompt_clusters(asked(TEXTS))
    assert alone.labels == fitted.labels
    assert told == "6 prompt clusters as of 2026-08-01, fitted on this log alone: another log gets others"
    assert [file.name for file in tmp_path.iterdir()] == ["clusters.json"]


def test_a_log_with_too_little_text_saves_nothing(tmp_path):
    _, told = keep_prompt_clusters(asked(TEXTS[:2], people=3), str(tmp_path / "clusters.json"))
    assert (
        told == "no prompt clusters: no words that ten people, or ten prompt-days of probes, have in common"
    )
    assert not [*tmp_path.iterdir()]


def test_weak_clusters_are_called_weak():
    rng = np.random.default_rng(5)
    nothing = [" ".join(rng.permutation([f"word{n}" for n in range(30)])[:8]) for _ in range(60)]
    _, told = keep_prompt_clusters(asked(nothing))
    assert "prompts share few words, so that the clusters are weak (silhouette 0.0" in told


def test_what_was_fitted_for_analytics_does_not_train(tmp_path):
    path = str(tmp_path / "clusters.json")
    keep_prompt_clusters(asked(TEXTS), path)
    with pytest.raises(BadCallError, match="training may read only those that allow it"):
        keep_prompt_clusters(asked(TEXTS), path, purpose="training")


def test_a_file_that_cannot_be_written_or_read_is_told(clusters, tmp_path):
    with pytest.raises(BadCallError, match=r"cannot be written to .*No such file or directory"):
        clusters.save(tmp_path / "nowhere" / "a.json")
    with pytest.raises(BadCallError, match=r"cannot be read from .*No such file"):
        PromptClusters.load(tmp_path / "a.json")
    with pytest.raises(BadCallError, match=r"cannot be read from .*directory"):
        PromptClusters.load(tmp_path)
    with pytest.raises(BadCallError, match=r"cannot be written to .*null byte"):
        clusters.save(tmp_path / "a\0b")


def _damage(content, *keys, value):
    for key in keys[:-1]:
        content = content[key]
    content[keys[-1]] = value


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (["format"], "else", '"format" is not "eventlib prompt clusters"'),
        (["version"], "9-0-0", "'9-0-0', this eventlib reads \"1-0-0\""),
        (["words"], [], '"words" is missing or of another type'),
        (["threshold"], True, '"threshold" is missing or of another type'),
        (["threshold"], float("nan"), '"threshold" is no positive number'),
        (["threshold"], 1.5, '"threshold" is over 1, which no prompt could reach'),
        (["unseen"], 1e308, '"unseen" is no positive number'),
        (["words", "heat"], 10**400, 'a weight in "words" is no positive number'),
        (["fitted", "as_of"], None, '"fitted.as_of" is missing'),
        (["fitted", "other_share"], float("inf"), '"fitted.other_share" is no number'),
        (["words", "heat"], "heavy", 'a weight in "words" is no positive number'),
        (["known"], [1], 'an entry of "known" is no text'),
        (["clusters", 0, "label"], "other", "cluster 1 has no label of its own"),
        (["clusters", 1], "text", "cluster 2 has no label of its own"),
        (["clusters", 1, "pieces"], {"zzzz": 1.0}, '"pieces" of cluster 2 are no weights of the terms'),
    ],
)
def test_a_damaged_file_is_refused_by_what_is_wrong(clusters, tmp_path, keys, value, said):
    path = clusters.save(tmp_path / "a.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    _damage(content, *keys, value=value)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadCallError) as refused:
        PromptClusters.load(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b"null"])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BadCallError, match="holds no prompt clusters that can be used"):
        PromptClusters.load(path)


def test_a_label_may_be_changed_by_hand(clusters, tmp_path):
    path = clusters.save(tmp_path / "a.json")
    path.write_text(
        path.read_text(encoding="utf-8").replace('"label": "heat pumps"', '"label": "Heating"'),
        encoding="utf-8",
    )
    assert names(PromptClusters.load(path), "what do heat pumps cost") == ["Heating"]


def test_each_prompt_has_one_wording_the_most_frequent():
    answers = pd.concat([asked(["b", "a"], 2), asked(["z"], 3).assign(prompt_id="q1"), asked([None], 9)])
    answers = pd.concat([answers, asked(["lost"], 1).assign(prompt_id=None)])
    assert read_prompts(answers).to_numpy().tolist() == [["q0", "b"], ["q1", "z"]]


def test_what_may_train_is_read_by_itself():
    answers = asked(["a"], allow_analytics=False, allow_training=True)
    assert len(read_prompts(answers)) == 0
    assert read_prompts(answers, "training")["prompt_text"].tolist() == ["a"]
    with pytest.raises(BadCallError, match="unknown purpose 'all'"):
        read_prompts(answers, "all")


def test_a_prompt_without_text_goes_by_its_topic(clusters):
    answers = asked([TEXTS[0], "moon", "", None], people=1)
    found = cluster_prompts(answers, clusters, {"q0": "tides", "q2": "tides"})
    assert found["prompt_cluster"].tolist() == ["heat pumps", OTHER_PROMPTS, "tides", UNKNOWN_PROMPTS]
    assert found["basis"].tolist() == ["text", "text", "topic", "none"]
    assert found["similarity"].isna().tolist() == [False, False, True, True]
