"""S9: a bundle by text holds what its prompts are assigned by, and is held to it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from eventlib.geo.prompt_clusters import PromptClusters
from eventlib.ranking import Options, train_ranking
from eventlib.signals import check_signals, export_signals, strongest
from tests.unit.ranking.worlds import spoken, trained_by_text
from tests.unit.signals.datasets import MOMENT, prepared
from tests.unit.signals.test_check import errors, sign

FILE = "prompt_clusters.json"
TOPICS = {"heat pumps": "heat_pumps", "solar panels": "solar_panels", "wall insulation": "wall_insulation"}


@pytest.fixture(scope="module")
def by_text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_text")
    return export_signals(trained_by_text(), spoken(), prepared(folder), created=MOMENT)


@pytest.fixture
def bundle(by_text, tmp_path):
    return shutil.copytree(by_text.folder, tmp_path / "bundle")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def state(bundle, **changed):
    """Let the manifest say something else of its prompt clusters."""
    manifest = read(bundle / "manifest.json")
    manifest["prompt_clusters"] |= changed
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_the_file_is_in_the_bundle_and_its_digest_in_the_manifest(by_text):
    assert check_signals(by_text.folder).ok, check_signals(by_text.folder)
    said = read(by_text.folder / "manifest.json")["prompt_clusters"]
    content = (by_text.folder / FILE).read_bytes()
    assert said == {
        "by": "text",
        "file": FILE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "fitted_as_of": read(by_text.folder / FILE)["fitted"]["as_of"],
        "purpose": "training",
    }
    assert said["fitted_as_of"] <= read(by_text.folder / "manifest.json")["training_window"]["cut"]
    assert "Prompts are clustered by their text" in (by_text.folder / "card.md").read_text()


def test_a_bundle_by_topic_says_so_and_has_no_file(exported):
    assert not (exported.folder / FILE).exists()
    said = read(exported.folder / "manifest.json")["prompt_clusters"]
    assert said == {"by": "topic", "file": None, "sha256": None, "fitted_as_of": None, "purpose": None}
    listed = read(exported.folder / "features.json")["prompt_clusters"]
    assert {"id": "heat_pumps", "label": "heat_pumps", "topic": "heat_pumps"} in listed["clusters"]
    assert (exported.signals["prompt_cluster_label"] != "").all()


def test_ids_stand_beside_labels(by_text):
    ids = {
        row["label"]: row["id"]
        for row in read(by_text.folder / "features.json")["prompt_clusters"]["clusters"]
    }
    assert list(ids)[-2:] == ["other", "unknown"]
    assert tuple(ids.values())[:-2] == PromptClusters.load(by_text.folder / FILE).ids
    clusters = by_text.signals[~by_text.signals["prompt_cluster"].str.startswith("prompt:")]
    pairs = set(zip(clusters["prompt_cluster_label"], clusters["prompt_cluster"], strict=True))
    assert pairs == {(label, ids[label]) for label in TOPICS}
    single = by_text.signals[by_text.signals["prompt_cluster"] == "prompt:pr-04"]
    assert set(single["prompt_cluster_label"]) == {"solar panels"}
    assert set(strongest(by_text.signals)["prompt_cluster"]) <= set(TOPICS)


def test_fields_of_search_engines_are_ids(by_text):
    fields = {name for row in rows(by_text.folder / "feedback/rank_features.jsonl") for name in row["signal"]}
    assert fields == set(PromptClusters.load(by_text.folder / FILE).ids)


def test_contents_are_scored_for_the_clusters_of_their_topic(by_text):
    clusters = by_text.signals[~by_text.signals["prompt_cluster"].str.startswith("prompt:")]
    topic = clusters["content_id"].str[2:].astype(int) % 3
    names = list(TOPICS)
    assert clusters["prompt_cluster_label"].tolist() == [names[t] for t in topic]


def test_a_kept_file_goes_into_every_bundle_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("eventlib.signals.table.REFITS", 3)
    kept = tmp_path / "kept.json"
    made = []
    for name in ("first", "second"):  # the first writes the file, the second reads it
        (tmp_path / name).mkdir()
        ranking = train_ranking(spoken(), Options(seed=3, replicates=50, prompt_clusters=str(kept)))
        export = export_signals(ranking, spoken(), prepared(tmp_path / name), created=MOMENT)
        assert export.folder is not None
        made.append(export.folder)
    first, second = made
    assert (first / FILE).read_bytes() == kept.read_bytes()
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()
    assert read(first / "manifest.json")["options"]["prompt_clusters"] == "kept.json"


def test_the_file_of_other_clusters_is_found(bundle):
    content = read(bundle / FILE)
    content["clusters"][0]["words"] = dict.fromkeys(content["clusters"][0]["words"], 0.1)
    (bundle / FILE).write_text(json.dumps(content))
    sign(bundle, FILE)
    assert errors(bundle) == [
        f"manifest.json: its prompt_clusters.sha256 is not that of {FILE}",
        f"features.json: its prompt clusters are not those of {FILE}",
        f"signals.parquet: 1 of its prompt clusters are not in {FILE}",
    ]


def test_a_damaged_file_is_found_without_its_words(bundle):
    content = read(bundle / FILE) | {"version": "<script>"}
    (bundle / FILE).write_text(json.dumps(content))
    sign(bundle, FILE)
    assert errors(bundle) == [f"{FILE}: holds no prompt clusters that can be used"]


@pytest.mark.parametrize(
    "said", [None, {}, {"by": "text", "clusters": [1]}, {"clusters": [{"id": [], "label": ""}]}]
)
def test_features_that_name_no_clusters_are_found(bundle, said):
    features = read(bundle / "features.json")
    (bundle / "features.json").write_text(json.dumps(features | {"prompt_clusters": said}))
    sign(bundle, "features.json")
    assert errors(bundle) == [f"features.json: its prompt clusters are not those of {FILE}"]


@pytest.mark.parametrize("name", ["file", "sha256", "fitted_as_of", "purpose"])
def test_a_manifest_that_says_something_else_is_found(bundle, name):
    state(bundle, **{name: None})
    assert errors(bundle) == [f"manifest.json: its prompt_clusters.{name} is not that of {FILE}"]


def test_a_file_for_another_purpose_is_found(bundle):
    content = read(bundle / FILE)
    content["fitted"]["purpose"] = "analytics"
    (bundle / FILE).write_text(json.dumps(content))
    sign(bundle, FILE)
    state(bundle, purpose="analytics", sha256=hashlib.sha256((bundle / FILE).read_bytes()).hexdigest())
    assert errors(bundle) == [f"{FILE}: was not fitted on events that allow training"]


def test_a_file_that_is_not_said_or_not_there_is_found(bundle, exported, tmp_path):
    state(bundle, by="topic")
    assert errors(bundle) == [f"{FILE}: is there, but the manifest says that prompts are clustered by topic"]
    other = shutil.copytree(exported.folder, tmp_path / "other")
    state(other, by="text")
    assert errors(other) == [f"{FILE}: is missing, and the manifest says that prompts are clustered by it"]


def test_a_content_without_a_topic_of_a_cluster_is_scored_for_other_prompts(tmp_path, monkeypatch):
    monkeypatch.setattr("eventlib.signals.table.REFITS", 3)
    new = spoken().publishes.head(1).assign(content_id="c-new", topic="gardens")
    late = new.assign(event_time=spoken().answers["event_time"].max())
    tables = replace(spoken(), publishes=pd.concat([spoken().publishes, late], ignore_index=True))
    made = export_signals(trained_by_text(), tables, prepared(tmp_path), created=MOMENT)
    assert made.folder is not None
    own = made.signals[made.signals["content_id"] == "c-new"]
    assert own["prompt_cluster"].tolist() == ["other"]
    assert check_signals(made.folder).ok


def test_a_consumer_assigns_a_prompt_with_the_bundle_alone(by_text):
    """The recipe of `eventlib.geo.prompt_file`, from the text of a new prompt to the signals of its cluster."""
    script = """
import json, sys
from itertools import pairwise
import pyarrow.parquet
folder, words = sys.argv[1], sys.argv[2].split()
content = json.load(open(folder + "/prompt_clusters.json", encoding="utf-8"))
terms = {*words, *(" ".join(pair) for pair in pairwise(words))}
pieces = {word[i:i + n] for word in words for n in (3, 4) for i in range(len(word) - n + 1)}
def vector(found, weights):
    weighed = {term: weights.get(term, content["unseen"]) for term in found}
    length = sum(weight**2 for weight in weighed.values()) ** 0.5
    return {term: weight / length for term, weight in weighed.items()}
by_word, by_piece = vector(terms, content["words"]), vector(pieces, content["pieces"])
def similar(cluster):
    word = sum(weight * cluster["words"].get(term, 0) for term, weight in by_word.items())
    return (word + 2 * sum(weight * cluster["pieces"].get(term, 0) for term, weight in by_piece.items())) / 5**0.5
near = max(content["clusters"], key=similar)
label = near["label"] if similar(near) >= content["threshold"] else "other"
ids = {row["label"]: row["id"] for row in json.load(open(folder + "/features.json"))["prompt_clusters"]["clusters"]}
table = pyarrow.parquet.read_table(folder + "/signals.parquet").to_pylist()
rows = [row for row in table if row["prompt_cluster"] == ids[label]]
print(json.dumps({"label": label, "contents": len(rows), "eventlib": "eventlib" in sys.modules}))
"""
    command = [sys.executable, "-I", "-c", script, str(by_text.folder), "repair of old solar panels"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"label": "solar panels", "contents": 12, "eventlib": False}
