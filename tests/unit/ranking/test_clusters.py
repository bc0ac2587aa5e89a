"""Prompt clusters of a ranking: by text where texts make any, by topic elsewhere, and always said (S7.7, S8.4)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from eventlib.columns import microseconds
from eventlib.errors import BadCallError
from eventlib.geo.prompt_clusters import PromptClusters, fit_prompt_clusters
from eventlib.ranking import Options, train_ranking, views
from eventlib.ranking.clusters import RESERVED, belongs_to, find_clusters
from eventlib.ranking.features import read_contents
from eventlib.ranking.impressions import read_impressions
from tests.unit.ranking.worlds import ABOUT, START, TOPICS, spoken, trained, trained_by_text

DAY = 24 * 3_600_000_000
CUT = START + 39 * DAY
TOPIC = {f"c-{c:03d}": TOPICS[c % len(TOPICS)] for c in range(36)}
LABELS = {topic: topic.replace("_", " ") for topic in TOPICS}


def shows_of(tables):
    frame = read_impressions(tables.shows, tables.clicks, tables.answers).frame
    return frame[frame["time_us"] < CUT]


@cache
def shows():
    """Return the shows of the shared world before the cut."""
    return shows_of(spoken())


def find(answers=None, train=None, topics=None, path=""):
    answers = spoken().answers if answers is None else answers
    return find_clusters(
        answers, shows() if train is None else train, TOPIC if topics is None else topics, CUT, str(path)
    )


def named(found):
    """Return the label of the cluster of each prompt."""
    return {prompt: found.labels[cluster] for prompt, cluster in found.prompts.items()}


def test_prompts_are_clustered_by_what_they_say():
    found = find()
    assert found.by == "text"
    assert named(found) == {f"pr-{q:02d}": LABELS[TOPICS[q % 3]] for q in range(12)}


def test_a_clusters_topic_is_what_it_was_most_often_answered_with_whatever_its_name():
    swapped = {c: {"heat_pumps": "solar_panels"}.get(topic, topic) for c, topic in TOPIC.items()}
    found = find(topics=swapped)
    topics = {found.labels[cluster]: topic for cluster, topic in found.topics.items()}
    assert topics == {
        "heat pumps": "solar_panels",
        "solar panels": "solar_panels",
        "wall insulation": "wall_insulation",
        "other": "",
        "unknown": "",
    }


def test_topics_match_by_the_clusters_topic():
    judged = trained_by_text().judged
    assert judged is not None
    heat = next(name for name, label in judged.clusters.labels.items() if label == "heat pumps")
    cells = pd.DataFrame({"content_id": ["c-000", "c-001", "c-000"], "content_version": "1"})
    cells["prompt_cluster"] = [heat, heat, "other"]
    assert judged.contents.matrix(cells)[:, -1].tolist() == [1, 0, 0]


def test_a_topic_that_is_called_like_a_reserved_cluster_does_not_match_it():
    publishes = spoken().publishes.assign(topic="other")
    contents = read_contents(publishes, spoken().edits, START)
    contents = replace(contents, cluster_topics=find(topics={}).topics)
    cells = pd.DataFrame({"content_id": ["c-000"], "content_version": ["1"], "prompt_cluster": ["other"]})
    assert contents.matrix(cells)[0, -1] == 0


def test_a_ranking_by_text_is_judged_like_another_and_says_so():
    found = trained_by_text()
    assert found.clusters_by == "text"
    assert found.exportable, found.gate_table
    assert views.caveats(found)[-1].startswith(
        "Prompts are clustered by their text: 3 prompt clusters as of "
    )
    assert found.judged is not None
    assert set(found.judged.held.frame["prompt_cluster"]) <= set(found.judged.clusters.labels)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (lambda _: None, "no words that ten people"),
        (lambda _: "what do heat pumps cost", "one cluster"),
    ],
)
def test_where_texts_make_no_clusters_topics_do_and_the_reason_is_said(texts, why):
    answers = spoken().answers
    found = find(answers.assign(prompt_text=texts(answers)))
    assert found.by == "topic"
    assert why in found.told
    assert found.prompts == {f"pr-{q:02d}": TOPICS[q % 3] for q in range(12)}
    assert found.topic("heat_pumps") == "heat_pumps"


def test_texts_of_few_shows_make_no_clusters():
    answers, train = spoken().answers, shows()
    first = answers.assign(prompt_text=answers["prompt_text"].where(answers["prompt_id"] < "pr-06"))
    kept = (train["prompt_id"] >= "pr-06") | (np.arange(len(train)) % 4 == 0)
    found = find(first, train[kept])
    assert found.by == "topic"
    assert re.fullmatch(r"text clusters hold only \d\d% of the shows before the cut", found.told)


def test_weak_clusters_are_not_taken(monkeypatch):
    monkeypatch.setattr("eventlib.geo.prompt_model._WEAK", 0.99)
    found = find()
    assert found.by == "topic"
    assert "the text clusters are weak (silhouette 0." in found.told


def test_a_fall_back_is_a_caveat():
    assert trained().clusters_by == "topic"
    assert views.caveats(trained())[-1] == (
        "Prompts are clustered by the topics they were answered with, not by their text: their texts make one cluster, "
        "which tells none from another."
    )


def test_too_few_people_make_no_clusters():
    few = spoken().answers.assign(person_id=[f"p-{i % 9}" for i in range(len(spoken().answers))])
    assert find(few).by == "topic"


def test_texts_that_may_not_train_are_not_read():
    answers = spoken().answers
    assert find(answers.assign(allow_training=False)).by == "topic"
    refused = answers.assign(allow_training=answers["prompt_id"] != "pr-03")
    found = find(refused)
    assert found.text is not None
    assert found.text.to_bytes() != find().text.to_bytes()
    assert named(found)["pr-03"] == "heat pumps"  # by its topic


def test_nothing_after_the_cut_shapes_a_cluster():
    answers = spoken().answers
    late = microseconds(answers) >= CUT
    other = answers.assign(prompt_text=answers["prompt_text"].where(~late, "night trains to the moon"))
    whole, changed = find(), find(other)
    assert changed.text.to_bytes() == whole.text.to_bytes()
    assert changed.prompts == whole.prompts
    assert changed.topics == whole.topics


def new_prompts(**texts):
    """Return answers of prompts that were first asked after the cut, from one answer each, and their shows."""
    names = list(texts)
    after = pd.to_datetime(np.full(len(names), CUT + DAY), unit="us", utc=True)
    asked = {
        "answer_id": [f"an-{n}" for n in names],
        "prompt_id": names,
        "prompt_text": [texts[n][0] for n in names],
    }
    rows = spoken().answers.head(len(names)).assign(event_time=after, **asked)
    shown = pd.DataFrame({**asked, "content_id": [texts[n][1] for n in names]})
    return pd.concat([spoken().answers, rows], ignore_index=True), shown


def test_new_prompts_are_assigned_by_their_text_else_by_their_own_answer():
    answers, shown = new_prompts(
        a=("old heat pumps", "c-001"),
        b=("how tall is the moon", "c-001"),
        c=(None, "c-001"),
        d=(None, "c-999"),
    )
    found = find(answers)
    cluster = found.assign(shown, TOPIC).map(found.labels).tolist()
    assert cluster == ["heat pumps", "other", "solar panels", "unknown"]


def test_prompts_without_text_go_where_their_topic_is_asked():
    answers = spoken().answers
    found = find(answers.assign(prompt_text=answers["prompt_text"].where(answers["prompt_id"] != "pr-04")))
    assert found.by == "text"
    assert named(found)["pr-04"] == "solar panels"


def test_without_topics_texts_cluster_and_nothing_matches():
    found = find(topics={})
    assert found.by == "text"
    assert named(found) == named(find())
    assert set(found.topics.values()) == {""}
    assert found.of_topic == {}


def test_the_topic_of_what_under_ten_people_saw_is_not_told():
    train = shows()
    heat = train["prompt_id"].isin([f"pr-{q:02d}" for q in (0, 3, 6, 9)])
    few = train.assign(person=train["person"].where(~heat, "p-1"))
    found = find(train=few)
    told = {found.labels[cluster]: topic for cluster, topic in found.topics.items()}
    assert told["heat pumps"] == ""
    assert told["solar panels"] == "solar_panels"


def test_the_order_of_rows_is_of_no_matter():
    tables = spoken()
    mixed = replace(
        tables,
        **{name: getattr(tables, name).sample(frac=1, random_state=4) for name in ("shows", "answers")},
    )
    found = find(mixed.answers, shows_of(mixed))
    assert found.text.to_bytes() == find().text.to_bytes()
    assert (found.prompts, found.topics, found.of_topic) == (find().prompts, find().topics, find().of_topic)


def test_a_file_that_is_not_there_is_written_and_then_only_read(tmp_path):
    path = tmp_path / "clusters.json"
    first = find(path=path)
    kept = path.read_bytes()
    assert first.text.to_bytes() == kept
    answers = spoken().answers
    later = find(answers.assign(prompt_text=answers["prompt_text"].str.replace("cost", "price")), path=path)
    assert path.read_bytes() == kept
    assert later.labels == first.labels
    assert later.told.endswith("saved; this log's prompts are assigned to them")


def test_a_kept_file_is_no_caveat_until_prompts_have_moved(tmp_path):
    path = str(tmp_path / "clusters.json")
    options = Options(seed=3, replicates=20, prompt_clusters=path)
    found = train_ranking(spoken(), options)
    assert not [said for said in views.caveats(found) if "cluster" in said]
    answers = spoken().answers
    moved = answers["prompt_text"].where(
        answers["prompt_id"] < "pr-07", "night trains " + answers["prompt_id"]
    )
    found = train_ranking(replace(spoken(), answers=answers.assign(prompt_text=moved)), options)
    assert found.clusters_by == "text"
    assert views.caveats(found)[-1].startswith("Prompts have moved away from the saved clusters of ")


def rewritten(path, **fitted):
    content = json.loads(path.read_text())
    content["fitted"] |= fitted
    path.write_text(json.dumps(content))


def test_a_file_of_other_events_or_other_days_is_refused(tmp_path):
    path = tmp_path / "clusters.json"
    fit_prompt_clusters(spoken().answers).save(path)
    with pytest.raises(BadCallError, match="fitted on events that allow analytics"):
        find(path=path)
    fit_prompt_clusters(spoken().answers, purpose="training").save(path)
    with pytest.raises(BadCallError, match=r"prompts up to 2026-09-\d\d, and training ends on 2026-09-09"):
        find(path=path)
    rewritten(path, as_of="2026-09-09")
    assert find(path=path).by == "text"
    rewritten(path, as_of="last week")
    with pytest.raises(BadCallError, match='"as_of" is no date'):
        find(path=path)
    path.write_text("{")
    with pytest.raises(BadCallError, match="no prompt clusters that can be used"):
        find(path=path)


def test_a_file_of_other_prompts_is_not_taken(tmp_path):
    path = tmp_path / "clusters.json"
    answers = spoken().answers
    number = answers["prompt_id"].str[-2:].astype(int)
    about = [f"{('night trains', 'bread ovens')[q % 2]} {ABOUT[q]}" for q in number]
    early = microseconds(answers) < CUT
    fit_prompt_clusters(answers.assign(prompt_text=about)[early], purpose="training").save(path)
    found = find(path=path)
    assert found.by == "topic"
    assert re.fullmatch(r"text clusters hold only \d+% of the shows before the cut", found.told)


def test_ids_stay_with_the_file_and_are_others_in_another(tmp_path):
    found = find()
    ids = [name for name in found.labels if name not in RESERVED]
    assert all(name.startswith("text_") and len(name) == 15 and name.isidentifier() for name in ids)
    path = found.text.save(tmp_path / "clusters.json")
    content = json.loads(path.read_text())
    content["clusters"][0]["label"] = "pumps"
    path.write_text(json.dumps(content))
    renamed = PromptClusters.load(path)
    assert list(renamed.ids) == ids
    assert renamed.labels[0] == "pumps"
    answers = spoken().answers
    assert set(find(answers[answers["prompt_id"] != "pr-03"]).labels) & set(ids) != set(ids)


def test_contents_belong_to_every_cluster_of_their_topic_else_to_no_named_one():
    contents = pd.DataFrame({"content_id": ["c-1", "c-2", "c-3"], "topic": ["heat_pumps", "gardens", ""]})
    found = find(topics={c: {"solar_panels": "heat_pumps"}.get(topic, topic) for c, topic in TOPIC.items()})
    own = belongs_to(contents, found)
    told = own.assign(label=own["prompt_cluster"].map(found.labels)).groupby("content_id")["label"].agg(set)
    assert told.to_dict() == {"c-1": {"heat pumps", "solar panels"}, "c-2": {"other"}, "c-3": {"other"}}
    by_topic = belongs_to(contents, find(spoken().answers.assign(prompt_text=None)))
    assert by_topic["prompt_cluster"].tolist() == ["heat_pumps", "gardens", ""]
