"""The worked consumer runs where neither eventlib nor pandas nor scikit-learn can be imported (S9)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eventlib.signals import change_counts, changes_table, check_signals, export_signals, pairs_table
from eventlib.signals.training_evidence import TrainingEvidence
from tests.unit.ranking.worlds import spoken, trained, trained_by_text, world
from tests.unit.signals.datasets import DAY, MOMENT, prepared, rewrite

CONSUMER = Path(__file__).parents[3] / "docs" / "consumer" / "consumer.py"
BLOCKED = ("eventlib", "pandas", "sklearn", "skl2onnx", "onnx", "scipy", "orjson", "jsonschema_rs")
PRELUDE = f"""
import importlib.util, json, sys
from pathlib import Path
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Refuse())
spec = importlib.util.spec_from_file_location("consumer", sys.argv[1])
consumer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(consumer)
bundle = Path(sys.argv[2])
"""


def run(tmp_path, script, bundle):
    """Run a script beside the consumer, in another folder, without PYTHONPATH; return what it prints as JSON."""
    code = PRELUDE + script + f"\nassert not set(sys.modules) & set({BLOCKED!r})"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(CONSUMER), str(bundle)],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def found():
    """Return evidence of one edit of c-000 that was found to have made it better."""
    verdict = {
        "edit_id": "e1", "content_id": "c-000", "change_type": "refresh", "engine": "site_assistant", "observation": "owned",
        "outcome": "click", "state": "better", "edits": 1, "statistic": 3.0, "change": 1.5, "lower": 1.1, "upper": 2.0,
        "p": 0.02, "q": 0.02, "placebos": 41.0, "model_change": False, "sentence": "Clicks rose.",
    }  # fmt: skip
    around = {
        "edit_id": "e1",
        "engine": "site_assistant",
        "outcome": "click",
        "statistic": np.linspace(-2, 2, 41),
    }
    edit = {"edit_id": ["e1"], "content_id": ["c-000"], "from_version": ["0"], "to_version": ["1"]}
    return TrainingEvidence(pd.DataFrame(edit), pd.DataFrame([verdict]), pd.DataFrame(around), None)


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Return the second bundle of a site: a signal moved since the first, and an edit was found to work."""
    folder = tmp_path_factory.mktemp("second")
    texts = [{"content_id": "c-000", "content_version": v, "text": f"Text {v}.", "more": 1} for v in "01"]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventlib.signals.table.REFITS", 3)
        first = export_signals(trained(), world().tables, prepared(folder), created=MOMENT)
        known = int(np.flatnonzero(first.signals["n_effective"].notna())[0])
        rewrite(first.folder, lambda rows: rows[known].update(signal=0.02, lower=0.01, upper=0.03))
        patch.setattr("eventlib.signals.files.read_evidence", lambda *_: found())
        made = export_signals(
            trained(), world().tables, prepared(folder), created=MOMENT + DAY, texts="texts.jsonl"
        )
    assert made.folder is not None
    return made


def test_a_bundle_with_pairs_and_changes_checks_out(second):
    assert check_signals(second.folder).ok
    assert pairs_table(second)["content_id"].tolist() == ["c-000"]
    assert change_counts(second)["changes"].tolist() == [1, 0, 0, 0, 0]
    assert changes_table(second)["before"].tolist() == [0.02]
    manifest = json.loads((second.folder / "manifest.json").read_text())
    assert manifest["feedback"]["pairs"] == {"texts": 1, "references": 0}
    assert manifest["feedback"]["texts"]["file"] == "texts.jsonl"
    card = (second.folder / "card.md").read_text()
    assert "Preference pairs: 1 of texts." in card
    assert "1 `eventlib.signal.rose`" in card


def test_it_verifies_scores_and_tells(second, tmp_path):
    told = run(tmp_path, "consumer.main(bundle)", second.folder)
    assert told["engine"] == "site_assistant"
    assert told["files"] == len(second.files)
    assert told["golden_error"] < 1e-5
    assert told["preference_rows"] == [1, 2]
    assert told["moved"] == 1
    assert told["queries"] == 12


def test_it_refuses_a_changed_bundle(second, tmp_path):
    import shutil

    bundle = shutil.copytree(second.folder, tmp_path / "copy")
    with (bundle / "card.md").open("a") as file:
        file.write(" ")
    script = """
try:
    consumer.verify(bundle)
except ValueError as error:
    print(json.dumps(str(error)))
"""
    assert run(tmp_path, script, bundle) == "card.md was changed"
    (bundle / "extra.txt").write_text("x")
    assert run(tmp_path, script, bundle) == "files missing or not listed: extra.txt"


def test_it_ranks_by_signal_and_blends_with_retrieval(second, tmp_path):
    script = """
model = consumer.Model(bundle)
signals = consumer.Signals(bundle, model)
golden = consumer.read_lines(bundle / "golden.jsonl")[-1]
results = [
    {"content_id": "nobody knows it", "score": 1.0}, {"content_id": "c-000", "score": 1.0},
    {"content_id": "c-003", "score": 1.0}, {"content_id": "c-006", "score": 1.0}]
ids = lambda rows: [row["content_id"] for row in rows]
print(json.dumps({
    "signals": {name: signals.of(name, "heat_pumps") for name in ids(results)},
    "prompt": signals.of("c-000", "heat_pumps", "pr-00"),
    "ranked": ids(consumer.rerank(results, signals, "heat_pumps")),
    "blended": ids(consumer.blend(results, signals, "heat_pumps", weight=1.0)),
    "unweighted": ids(consumer.blend(results, signals, "heat_pumps", weight=0.0)),
    "golden": model.score([dict(reversed(golden["features"].items()))])[0] - golden["score"],
    "default": model.score([{}])[0] - signals.unknown,
}))
"""
    told = run(tmp_path, script, second.folder)
    rows = second.signals.set_index(["content_id", "prompt_cluster"])["signal"]
    assert told["signals"]["c-003"] == pytest.approx(rows["c-003", "heat_pumps"])
    assert told["prompt"] == pytest.approx(rows["c-000", "prompt:pr-00"])
    assert told["ranked"] == sorted(told["signals"], key=lambda name: -told["signals"][name])
    assert told["blended"] == told["ranked"]
    assert told["unweighted"] == list(told["signals"])
    assert abs(told["golden"]) < 1e-5  # features go by name
    assert told["default"] == 0


def test_its_bodies_are_what_opensearch_takes(second, tmp_path):
    script = """
method, path, body = consumer.judgment_request(bundle)
print(json.dumps([method, path, body, consumer.bulk_body(bundle, "pages").splitlines(), consumer.MAPPING]))
"""
    method, path, body, bulk, mapping = run(tmp_path, script, second.folder)
    assert (method, path) == ("PUT", "/_plugins/_search_relevance/judgments")
    assert set(body) == {"name", "description", "type", "judgmentRatings"}
    assert all(
        isinstance(one["rating"], str) for query in body["judgmentRatings"] for one in query["ratings"]
    )
    actions, updates = [json.loads(line) for line in bulk[::2]], [json.loads(line) for line in bulk[1::2]]
    assert {name for action in actions for name in action} == {"update"}
    assert actions[0]["update"] == {"_index": "pages", "_id": "c-000"}
    assert all(value > 0 for one in updates for value in one["script"]["params"]["signal"].values())
    assert mapping == {"properties": {"signal": {"type": "rank_features"}}}


def test_its_rows_are_what_preference_trainers_take(second, exported, tmp_path):
    script = "print(json.dumps(consumer.preference_rows(bundle, {})))"
    pairs, single = run(tmp_path, script, second.folder)
    prompt = json.loads((second.folder / "feedback" / "preferences.jsonl").read_text())["prompt"]
    assert prompt in {f"question {i:02d}?" for i in (0, 3, 6, 9)}  # those of its topic
    assert pairs == [{"prompt": prompt, "chosen": "Text 1.", "rejected": "Text 0."}]
    assert single == [
        {"prompt": prompt, "completion": "Text 1.", "label": True},
        {"prompt": prompt, "completion": "Text 0.", "label": False},
    ]
    assert run(tmp_path, script, exported.folder) == [[], []]


def test_it_picks_the_pages_that_moved(second, tmp_path):
    (moved,) = run(tmp_path, "print(json.dumps(consumer.moved(bundle)))", second.folder)
    assert moved["before"]["signal"] == 0.02
    assert moved["moved_by"] > 0


def test_references_take_their_texts_or_are_left_out(second, tmp_path):
    import shutil

    bundle = shutil.copytree(second.folder, tmp_path / "copy")
    feedback = bundle / "feedback"
    for name in ("preferences", "unpaired"):
        text = (feedback / f"{name}.jsonl").read_text()
        for version in "01":
            text = text.replace(f"Text {version}.", f"c-000@{version}")
        (feedback / f"{name}.jsonl").write_text(text)
    told = (feedback / "edits.jsonl").read_text().replace('"texts"', '"references"')
    (feedback / "edits.jsonl").write_text(told)
    script = """
one = {"c-000@1": "New."}
print(json.dumps([consumer.preference_rows(bundle, one), consumer.preference_rows(bundle, one | {"c-000@0": "Old."})]))
"""
    without, both = run(tmp_path, script, bundle)
    assert without == [[], []]
    assert (both[0][0]["chosen"], both[0][0]["rejected"]) == ("New.", "Old.")
    assert [row["completion"] for row in both[1]] == ["New.", "Old."]


def test_new_prompts_get_the_cluster_that_training_gives_them(tmp_path):
    export = export_signals(
        trained_by_text(), spoken(), prepared(tmp_path), tmp_path / "signals", created=MOMENT
    )
    asked = [
        "repair of old solar panels", "Heat pumps: what do they cost?", "wall insulation for tenants", "zebra", "", "myths",
    ]  # fmt: skip
    script = f"print(json.dumps([consumer.Prompts(bundle).cluster(text) for text in {asked!r}]))"
    judged = trained_by_text().judged
    assert judged is not None
    clusters = judged.clusters.text
    assert clusters is not None
    names = dict(zip(clusters.labels, clusters.ids, strict=True))
    prompts = pd.DataFrame({"prompt_id": list(map(str, range(len(asked)))), "prompt_text": asked})
    expected = [names.get(label, label) for label in clusters.assign(prompts)["prompt_cluster"]]
    assert len(set(expected)) == 5
    assert run(tmp_path, script, export.folder) == expected
