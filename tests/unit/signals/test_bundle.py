"""S9: a bundle is whole, the same for the same, and usable without eventlib; a refused one is not there."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from eventlib.errors import BadCallError, GateRefusedError
from eventlib.ranking import Gate, Options, train_ranking
from eventlib.ranking.clusters import Clusters
from eventlib.ranking.features import FEATURES
from eventlib.signals import check_signals, export_signals, strongest
from eventlib.signals.bundle import destination
from eventlib.signals.feedback import rank_features
from eventlib.signals.spread import Share, Spread
from eventlib.signals.table import SIGNAL_SCHEMA, SignalTable
from tests.unit.ranking.worlds import simulate, trained, world
from tests.unit.signals.datasets import MOMENT, frames, prepared

FILES = {
    "model.onnx", "features.json", "signals.parquet", "signals.jsonl", "propensity.json", "golden.jsonl", "card.md",
    "manifest.json", "changes.jsonl", "feedback/judgments.json", "feedback/rank_features.jsonl", "feedback/briefs.jsonl",
    "feedback/preferences.jsonl", "feedback/unpaired.jsonl", "feedback/edits.jsonl",
}  # fmt: skip


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_bundle_holds_what_was_promised_and_checks_out(exported):
    found = {
        path.relative_to(exported.folder).as_posix() for path in exported.folder.rglob("*") if path.is_file()
    }
    assert found == FILES
    result = check_signals(exported.folder)
    assert result.ok, result
    assert set(exported.files["file"]) == FILES - {"manifest.json"}
    assert exported.folder.parents[1].name == "signals"
    assert (exported.folder.parents[1] / "current").resolve() == exported.folder
    assert (
        list(exported.findings["severity"]) == ["none"] or len(lines(exported.folder / "golden.jsonl")) < 200
    )


def test_signals_are_probabilities_inside_their_intervals(exported):
    table = pq.read_table(exported.folder / "signals.parquet")
    assert table.schema.equals(SIGNAL_SCHEMA)
    frame = table.to_pandas()
    assert (frame["lower"] <= frame["signal"]).all()
    assert (frame["signal"] <= frame["upper"]).all()
    assert frame["signal"].between(0, 1).all()
    assert (frame["upper"] - frame["lower"]).median() > 0.01
    assert not frame.duplicated(["content_id", "content_version", "engine", "prompt_cluster"]).any()
    assert [row["signal"] for row in lines(exported.folder / "signals.jsonl")] == frame["signal"].tolist()


def test_signals_follow_the_true_relevance(exported):
    frame = exported.signals
    rows = frame[frame["prompt_cluster"].str.startswith("prompt:")]
    prompts, contents = rows["prompt_cluster"].str[-2:].astype(int), rows["content_id"].str[2:].astype(int)
    true = world().relevance[prompts, contents]
    assert len(rows) > 50
    assert np.corrcoef(rows["signal"], true)[0, 1] > 0.75
    inside = ((rows["lower"] <= true) & (true <= rows["upper"])).mean()
    assert 0.8 < inside < 0.97


def test_the_card_says_what_intervals_hold(exported):
    card = (exported.folder / "card.md").read_text()
    assert "for a prompt of the cluster that was not seen before" in card
    assert "120 known" in card
    assert "mostly a guess" not in card


def test_evidence_of_under_ten_people_stays_inside(exported):
    frame = exported.signals
    known = frame["n_effective"].notna()
    assert (known == frame["exposure"].notna()).all()
    # effective numbers may be lower than the ten people who must be there, but not by much
    assert frame.loc[known, "n_effective"].min() > 5
    assert strongest(frame)["n_effective"].notna().all()
    assert strongest(frame)["signal"].is_monotonic_decreasing


def test_the_same_inputs_give_the_same_bytes(exported, tmp_path):
    again = export_signals(
        trained(), world().tables, prepared(tmp_path), created=MOMENT, frames=frames(world().tables)
    )
    assert again.folder is not None
    for name in FILES:
        assert (again.folder / name).read_bytes() == (exported.folder / name).read_bytes(), name


def test_consumers_need_onnxruntime_and_pyarrow_only(exported):
    script = """
import builtins, json, sys
plain = builtins.__import__
def guarded(name, *rest, **more):
    if name.split(".")[0] in ("eventlib", "sklearn", "skl2onnx", "onnx", "pandas"):
        raise ImportError(name + " is not installed here")
    return plain(name, *rest, **more)
builtins.__import__ = guarded
import numpy, onnxruntime, pyarrow.parquet
folder = sys.argv[1]
names = [f["name"] for f in json.load(open(folder + "/features.json"))["features"]]
rows = [json.loads(line) for line in open(folder + "/golden.jsonl")]
x = numpy.array([[row["features"][name] for name in names] for row in rows], dtype=numpy.float32)
session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
(scores,) = session.run(["relevance"], {"features": x})
table = pyarrow.parquet.read_table(folder + "/signals.parquet")
signal = dict(zip(zip(*(table[k].to_pylist() for k in ("content_id", "content_version", "prompt_cluster"))),
                  table["signal"].to_pylist()))
keys = [(row["content_id"], row["content_version"], row["prompt_cluster"]) for row in rows]
print(json.dumps({
    "rows": len(rows),
    "golden": max(abs(float(s) - row["score"]) for s, row in zip(scores.ravel(), rows)),
    "table": max(abs(float(s) - signal[key]) for s, key in zip(scores.ravel(), keys)),
    "eventlib": "eventlib" in sys.modules,
}))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(exported.folder)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["rows"] == exported.signals["n_effective"].notna().sum()
    assert found["golden"] < 1e-5
    assert found["table"] < 1e-5
    assert not found["eventlib"]


def test_golden_rows_name_every_feature(exported):
    golden = lines(exported.folder / "golden.jsonl")
    assert set(golden[0]["features"]) == {feature.name for feature in FEATURES}
    stated = json.loads((exported.folder / "features.json").read_text())
    assert [row["name"] for row in stated["features"]] == [feature.name for feature in FEATURES]


def test_the_manifest_says_what_it_came_from(exported):
    manifest = json.loads((exported.folder / "manifest.json").read_text())
    record = json.loads((exported.folder.parents[1] / "runs" / exported.folder.name / "run.json").read_text())
    assert record["prepared"]["run_id"] == "run-1"
    assert (
        exported.folder.parents[1] / "runs" / exported.folder.name / record["bundle"]
    ).resolve() == exported.folder
    assert manifest["champion"] in trained().champion_words
    assert manifest["ledger"]["rows_in"] == 9
    assert [gate["gate"] for gate in manifest["gates"]] == ["G1", "G2", "G3", "G4", "G5", "G6"]
    assert manifest["training_window"]["cut"] < manifest["training_window"]["judged_from"]
    assert "/" not in manifest["prepared"]["inputs"][0]["file"]


def test_a_bundle_of_lightgbm_checks_out_and_names_its_library(tmp_path, monkeypatch):
    pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    monkeypatch.setattr("eventlib.signals.table.REFITS", 3)
    options = Options(seed=3, replicates=20, learner="lightgbm")
    export = export_signals(
        train_ranking(world().tables, options), world().tables, prepared(tmp_path), created=MOMENT
    )
    assert export.folder is not None, export.verdict
    assert check_signals(export.folder).ok
    manifest = json.loads((export.folder / "manifest.json").read_text())
    assert manifest["options"]["learner"] == "lightgbm"
    assert manifest["libraries"]["lightgbm"]


def test_feedback_is_in_the_forms_that_engines_import(exported):
    folder = exported.folder / "feedback"
    judged = json.loads((folder / "judgments.json").read_text())
    assert judged["type"] == "IMPORT_JUDGMENT"
    assert {q["query"] for q in judged["judgmentRatings"]} <= {f"question {i:02d}?" for i in range(12)}
    rating = judged["judgmentRatings"][0]["ratings"][0]
    assert set(rating) == {"docId", "rating"}
    assert 0 < float(rating["rating"]) <= 1
    features = lines(folder / "rank_features.jsonl")
    assert all(value > 0 for row in features for value in row["signal"].values())
    assert not any("." in field or not field for row in features for field in row["signal"])
    assert lines(folder / "preferences.jsonl") == []
    assert "no preference pairs" in (exported.folder / "card.md").read_text()


def refused():
    failed = Gate("G3", "enough evidence", "failed", 212.0, "at least 500", "212 effective clicks")
    return replace(trained(), gates=(*trained().gates[:2], failed))


def test_no_two_clusters_are_one_field():
    clusters = ["a.b", "a_b", "", "other", "x.y"]
    table = SignalTable(
        frame=pd.DataFrame(
            {"content_id": "c", "prompt_cluster": clusters, "signal": [0.1, 0.2, 0.3, 0.4, 0.5]}
        ),
        cells=pd.DataFrame({"prompt_id": [""] * 5}),
        design=np.empty((5, 0), dtype=np.float32),
        clusters=Clusters("topic", "", {}),
        sampling=np.zeros(5),
        spread=Spread(Share(0.0, 0.0, 1.0, 0), Share(0.0, 0.0, 1.0, 0)),
    )
    (row,) = rank_features(table)
    assert row["signal"] == {"a_b_": 0.1, "a_b": 0.2, "other_": 0.3, "other": 0.4, "x_y": 0.5}


def test_a_refused_export_leaves_no_bundle_but_a_reason(tmp_path):
    export = export_signals(refused(), world().tables, prepared(tmp_path), created=MOMENT)
    assert export.refused
    assert export.folder is None
    assert [path.name for path in (tmp_path / "signals").iterdir()] == ["refused.json"]
    told = json.loads((tmp_path / "signals" / "refused.json").read_text())
    assert "G3 enough evidence: 212 effective clicks" in told["reason"]
    with pytest.raises(GateRefusedError, match="G3"):
        export.raise_if_refused()


def test_an_earlier_bundle_survives_a_refusal_and_a_success_clears_it(tmp_path, monkeypatch):
    monkeypatch.setattr("eventlib.signals.table.REFITS", 3)
    root = tmp_path / "signals"
    first = export_signals(trained(), world().tables, prepared(tmp_path), created=MOMENT)
    export_signals(refused(), world().tables, prepared(tmp_path), created=MOMENT)
    assert (root / "current").resolve() == first.folder
    assert (root / "refused.json").exists()
    later = export_signals(
        trained(), world().tables, prepared(tmp_path), created=MOMENT + dt.timedelta(days=1)
    )
    assert (root / "current").resolve() == later.folder != first.folder
    assert not (root / "refused.json").exists()
    assert not list(root.glob(".work*"))


def test_too_little_evidence_writes_nothing_and_raises_nothing(tmp_path):
    tables = simulate(answers=40).tables
    export = export_signals(train_ranking(tables), tables, prepared(tmp_path))
    assert not export.refused
    assert export.verdict == "was not asked for: too little evidence"
    export.raise_if_refused()
    assert not (tmp_path / "signals").exists()
    assert strongest(export.signals).empty
    assert list(export.findings["message"]) == ["there is no bundle to check"]


def test_where_no_content_is_known_nothing_is_written_and_the_reason_says_so(tmp_path):
    tables = replace(world().tables, publishes=world().tables.publishes.iloc[:0])
    export = export_signals(
        trained(), tables, prepared(tmp_path), created=MOMENT, frames=frames(world().tables)
    )
    assert export.folder is None
    assert not export.refused
    assert export.reason.startswith("no content is known")
    assert not (tmp_path / "signals").exists()


def test_a_file_where_the_folder_of_bundles_goes_is_named(tmp_path):
    (tmp_path / "signals").write_text("")
    with pytest.raises(BadCallError, match=r"out: .*signals cannot be made: File exists"):
        export_signals(trained(), world().tables, prepared(tmp_path), created=MOMENT)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("eventlib.signals.bundle.os.access", lambda *_: False)
    with pytest.raises(BadCallError, match=r"out: .*signals cannot be written to"):
        export_signals(trained(), world().tables, prepared(tmp_path), created=MOMENT)


def test_bundles_go_beside_the_dataset_whatever_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    data = prepared(tmp_path)
    assert destination(data) == tmp_path / "signals"
    assert destination(data, "out/x") == tmp_path / "out" / "x"
    assert destination(data, "/srv/bundles").as_posix() == "/srv/bundles"
    copied = prepared(tmp_path)
    copied.folder = tmp_path / "copy"
    assert destination(copied) == tmp_path / "signals"


def test_there_must_be_a_bundle_to_check(tmp_path):
    with pytest.raises(BadCallError, match=r"no manifest\.json"):
        check_signals(tmp_path)


def test_a_content_that_was_shown_but_never_published_has_a_signal(tmp_path):
    tables = world().tables
    some = tables.publishes[~tables.publishes["content_id"].isin(["c-000", "c-001"])]
    few = replace(tables, publishes=some)
    ranking = train_ranking(few, Options(seed=3))
    assert ranking.exportable
    frame = export_signals(ranking, few, prepared(tmp_path), created=MOMENT).signals
    assert {"c-000", "c-001"} <= set(frame["content_id"])
    assert frame["signal"].notna().all()
