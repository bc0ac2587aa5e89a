"""`eventlib check-signals` finds what was changed, lost, added or broken."""

from __future__ import annotations

import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlib.signals import check_signals


@pytest.fixture
def bundle(exported, tmp_path):
    return shutil.copytree(exported.folder, tmp_path / "bundle")


def sign(bundle, name):
    """Bring the manifest's digest up to date, as someone who changes a file on purpose would."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    content = (bundle / name).read_bytes()
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def errors(bundle):
    result = check_signals(bundle)
    assert result.ok == (not [f for f in result.findings if f.severity == "error"])
    return [f"{f.file}: {f.message}" for f in result.findings if f.severity == "error"]


def test_an_untouched_copy_is_fine(bundle):
    assert errors(bundle) == []
    assert "whole and consistent" in str(check_signals(bundle))


def test_the_folder_of_bundles_will_do(exported):
    assert check_signals(exported.folder.parents[1]).ok


@pytest.mark.parametrize("name", ["model.onnx", "card.md", "feedback/briefs.jsonl"])
def test_a_changed_file_is_found(bundle, name):
    with (bundle / name).open("ab") as file:
        file.write(b" ")
    assert errors(bundle) == [f"{name}: was changed: its SHA-256 is not the manifest's"]


def test_missing_and_added_files_are_found(bundle):
    (bundle / "golden.jsonl").unlink()
    (bundle / "extra.pkl").write_bytes(b"x")
    assert errors(bundle) == ["golden.jsonl: is missing", "extra.pkl: is not in the manifest"]


@pytest.mark.parametrize("value", ["x", [1.0], {"a": 1}, None])
@pytest.mark.parametrize("name", ["lower", "signal", "n_effective", "content_id"])
def test_columns_of_another_type_are_named(bundle, name, value):
    table = pq.read_table(bundle / "signals.parquet")
    other = pa.array([value] * len(table)) if name != "content_id" else pa.array(range(len(table)))
    at = table.column_names.index(name)
    pq.write_table(table.set_column(at, name, other), bundle / "signals.parquet")
    sign(bundle, "signals.parquet")
    assert f"signals.parquet: these columns have another type: {name}" in errors(bundle)


def test_figures_that_differ_between_the_two_tables_are_found(bundle):
    table = pq.read_table(bundle / "signals.parquet")
    at = table.column_names.index("exposure")
    pq.write_table(table.set_column(at, "exposure", pa.array([1.0] * len(table))), bundle / "signals.parquet")
    sign(bundle, "signals.parquet")
    assert "signals.jsonl: its rows are not those of signals.parquet" in errors(bundle)


@pytest.mark.parametrize("version", [[], {}, None, 3])
def test_a_version_of_another_type_is_no_version(bundle, version):
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"bundle_version": version}))
    assert errors(bundle)[0] == "manifest.json: its bundle_version is none of 1-0-0"


def test_a_link_is_no_file_of_the_bundle(bundle, tmp_path):
    shutil.move(bundle / "card.md", tmp_path / "card.md")
    (bundle / "card.md").symlink_to(tmp_path / "card.md")
    assert errors(bundle) == ["card.md: is a link, not a file of the bundle"]


def test_a_model_that_scores_otherwise_is_found(bundle):
    rows = [json.loads(line) for line in (bundle / "golden.jsonl").read_text().splitlines()]
    rows[0]["score"] = min(1.0, rows[0]["score"] + 0.01)
    (bundle / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sign(bundle, "golden.jsonl")
    assert errors(bundle) == ["model.onnx: its scores are up to 0.01 away from the golden ones"]


def test_a_broken_model_is_a_finding(bundle):
    (bundle / "model.onnx").write_bytes(b"not a network")
    sign(bundle, "model.onnx")
    (found,) = errors(bundle)
    assert found.startswith("model.onnx: cannot be run")


def test_rows_outside_the_schema_are_found_without_their_values(bundle):
    rows = [json.loads(line) for line in (bundle / "signals.jsonl").read_text().splitlines()]
    rows[2]["signal"] = 7.25
    (bundle / "signals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sign(bundle, "signals.jsonl")
    found = errors(bundle)
    assert found[0].startswith("signals.jsonl: record 3, signal: ")
    assert "7.25" not in found[0]
    assert "signals.jsonl: its rows are not those of signals.parquet" in found


def test_a_table_with_other_columns_is_found(bundle):
    table = pq.read_table(bundle / "signals.parquet")
    pq.write_table(table.append_column("rank", pa.array([1] * len(table))), bundle / "signals.parquet")
    sign(bundle, "signals.parquet")
    assert errors(bundle)[0].startswith("signals.parquet: its columns are not content_id")


@pytest.mark.parametrize("text", ["{", "[]", '{"files": 1}'])
def test_a_broken_manifest_is_a_finding(bundle, text):
    (bundle / "manifest.json").write_text(text)
    assert errors(bundle) == ["manifest.json: it lists no files with digests"]


def replace_lines(bundle, name, rows):
    (bundle / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    sign(bundle, name)


PAIR = {"prompt": "p", "chosen": "a", "rejected": "b", "margin": 0.2}


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("feedback/preferences.jsonl", {**PAIR, "margin": -0.2}, "record 1, margin: "),
        ("feedback/preferences.jsonl", {**PAIR, "season": "x"}, "record 1, the whole: "),
        ("feedback/unpaired.jsonl", {"prompt": "p", "completion": "a", "label": 1}, "record 1, label: "),
        ("feedback/edits.jsonl", {"line": 1}, "record 1, the whole: "),
        ("feedback/briefs.jsonl", {"content_id": "a"}, "record 1, the whole: "),
        ("feedback/rank_features.jsonl", {"content_id": "a", "signal": {"t": 0}}, "record 1, signal/t: "),
        ("feedback/rank_features.jsonl", {"content_id": "a", "signal": {"t.u": 0.5}}, "record 1, signal"),
        ("changes.jsonl", {"specversion": "1.0"}, "record 1, the whole: "),
    ],
)
def test_feedback_and_changes_outside_their_schemas_are_found(bundle, name, row, said):
    replace_lines(bundle, name, [row])
    assert errors(bundle)[0].startswith(f"{name}: {said}")


def event(**data):
    figures = {"content_version": "1", "signal": 0.5, "lower": 0.4, "upper": 0.6, "rank": 1}
    told = {
        "content_id": "a", "content_version": "1", "prompt_cluster": "t", "engine": "e", "before": None,
        "after": figures, "moved_by": None,
    } | data  # fmt: skip
    return {
        "specversion": "1.0", "id": "0" * 64, "source": "/signals/e", "type": "eventlib.signal.added", "subject": "a",
        "time": "2026-11-01T03:00:00.000000+00:00", "datacontenttype": "application/json",
        "dataschema": "urn:eventlib:schema:exports:change:1-0-0", "data": told,
    }  # fmt: skip


def test_the_data_of_a_change_follow_their_own_schema(bundle):
    replace_lines(bundle, "changes.jsonl", [event()])
    assert errors(bundle) == []
    replace_lines(bundle, "changes.jsonl", [event(), event(moved_by=1.5)])
    assert errors(bundle)[0].startswith("changes.jsonl: record 2, moved_by: ")


@pytest.mark.parametrize(
    "name", ["golden.jsonl", "feedback/briefs.jsonl", "feedback/judgments.json", "features.json"]
)
def test_what_is_no_json_is_a_finding(bundle, name):
    (bundle / name).write_bytes(b"{\n")
    sign(bundle, name)
    (found,) = errors(bundle)
    assert found.startswith((f"{name}: does not hold JSON", "model.onnx: cannot be run"))


def test_a_file_that_the_version_promises_must_be_listed(bundle):
    (bundle / "changes.jsonl").unlink()
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["files"]["changes.jsonl"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert errors(bundle) == ["changes.jsonl: is missing"]


def test_a_bundle_of_another_version_is_not_read(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text()) | {"bundle_version": "9-0-0"}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert errors(bundle) == ["manifest.json: its bundle_version is none of 1-0-0"]
