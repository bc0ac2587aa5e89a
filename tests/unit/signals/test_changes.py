"""S9: what changed since the last bundle, as CloudEvents; nothing of fewer than ten people, nothing of a damaged one."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eventlib.signals import change_counts, changes_said, changes_table, check_signals, export_signals
from eventlib.signals.changes import FIRST, Previous, changes, read_previous
from eventlib.signals.table import SIGNAL_SCHEMA
from tests.unit.ranking.worlds import trained, world
from tests.unit.signals.datasets import DAY, MOMENT, prepared, rewrite

STAMP = {"bundle": "b-1", "manifest_sha256": "0" * 64, "created_at": "2026-10-31T03:00:00.000000+00:00"}


def signals(rows):
    """Return a signal table and its deviations: rows are content, version, cluster, signal, deviation, people."""
    frame = pd.DataFrame(
        rows, columns=["content_id", "content_version", "prompt_cluster", "signal", "sd", "n_effective"]
    )
    sampling = frame.pop("sd").to_numpy()
    frame = frame.assign(
        engine="e",
        lower=frame["signal"] - 0.2,
        upper=frame["signal"] + 0.2,
        exposure=2 * frame["n_effective"],
    )
    return frame.reindex(columns=SIGNAL_SCHEMA.names), sampling


def compared(before, after, engine="e"):
    rows, sampling = signals(after)
    return changes(Previous(STAMP, signals(before)[0], ""), rows, sampling, engine, MOMENT)


def kinds(events):
    return [(event["subject"], event["type"]) for event in events]


def test_a_signal_moved_beyond_1_96_deviations_of_the_difference_however_wide_its_interval_is():
    limit = 1.96 * 0.04 * np.sqrt(2)
    before = [(name, "1", "t", 0.4, 0.01, 50.0) for name in "abc"]
    after = [
        ("a", "1", "t", 0.4 + 1.01 * limit, 0.04, 50.0),
        ("b", "1", "t", 0.4 + 0.99 * limit, 0.04, 50.0),
        ("c", "1", "t", 0.4 - 1.01 * limit, 0.04, 50.0),
    ]
    assert kinds(compared(before, after)) == [("a", "eventlib.signal.rose"), ("c", "eventlib.signal.fell")]


@pytest.mark.parametrize(("people", "told"), [(400.0, 1), (50.0, 1), (12.0, 0)])
def test_an_earlier_bundle_of_less_evidence_is_less_sure(people, told):
    before, after = [("a", "1", "t", 0.4, 0.04, people)], [("a", "1", "t", 0.4 + 0.13, 0.04, 50.0)]
    assert len(compared(before, after)) == told


def test_an_event_tells_before_after_and_by_how_much():
    (event,) = compared(
        [("a", "1", "t", 0.3, 0.01, 50.0), ("z", "1", "t", 0.5, 0.01, 50.0)],
        [("a", "1", "t", 0.6, 0.01, 50.0), ("z", "1", "t", 0.5, 0.01, 50.0)],
        engine="search:a b",
    )
    assert event["source"] == "/signals/search%3Aa%20b"
    assert event["time"] == "2026-11-01T03:00:00.000000+00:00"
    assert event["specversion"] == "1.0"
    assert event["data"]["before"] == {
        "content_version": "1", "signal": 0.3, "lower": 0.3 - 0.2, "upper": 0.3 + 0.2, "rank": 2,
    }  # fmt: skip
    assert event["data"]["after"]["rank"] == 1
    assert event["data"]["moved_by"] == pytest.approx(0.3)


def test_versions_are_told_once_per_content():
    before = [("a", "1", "t", 0.3, 0.01, 50.0), ("a", "1", "u", 0.3, 0.01, None)]
    after = [("a", "2", "t", 0.3, 0.01, 50.0), ("a", "2", "u", 0.3, 0.01, None)]
    (event,) = compared(before, after)
    assert event["type"] == "eventlib.content.version_changed"
    assert event["data"]["prompt_cluster"] is None
    assert [event["data"][side]["content_version"] for side in ("before", "after")] == ["1", "2"]


def test_thin_rows_have_no_figures_and_never_moved():
    before = [
        ("a", "1", "t", 0.1, 0.01, None),
        ("b", "1", "t", 0.1, 0.01, 50.0),
        ("gone", "1", "t", 0.77, 0.01, None),
    ]
    after = [
        ("a", "1", "t", 0.9, 0.01, 50.0),
        ("b", "1", "t", 0.9, 0.01, None),
        ("new", "1", "t", 0.83, 0.01, None),
    ]
    events = compared(before, after)
    assert kinds(events) == [("gone", "eventlib.signal.removed"), ("new", "eventlib.signal.added")]
    assert events[0]["data"]["after"] is events[1]["data"]["before"] is None
    for event, side in zip(events, ("before", "after"), strict=True):
        told = event["data"][side]
        assert told == {"content_version": "1", "signal": None, "lower": None, "upper": None, "rank": None}
    assert not any(figure in json.dumps(events) for figure in ("0.77", "0.83"))


def test_ids_are_the_same_for_the_same_and_differ_otherwise():
    before, after = [("a", "1", "t", 0.3, 0.01, 50.0)], [("a", "1", "t", 0.6, 0.01, 50.0)]
    (first,), (second,) = compared(before, after), compared(before, after)
    assert first == second
    other = Previous(STAMP | {"manifest_sha256": "1" * 64}, signals(before)[0], "")
    rows, sampling = signals(after)
    (third,) = changes(other, rows, sampling, "e", MOMENT)
    assert third["id"] != first["id"]


def export(folder, created, ranking=None):
    return export_signals(ranking or trained(), world().tables, prepared(folder), created=created)


@pytest.fixture
def few_refits(monkeypatch):
    monkeypatch.setattr("eventlib.signals.table.REFITS", 3)


def manifest_of(exported):
    return json.loads((exported.folder / "manifest.json").read_text())


def test_the_first_bundle_has_nothing_before_it(exported):
    assert (exported.folder / "changes.jsonl").read_bytes() == b""
    manifest = manifest_of(exported)
    assert manifest["previous"] is None
    assert manifest["changes"] == {"reason": FIRST, "counts": {}}
    assert changes_table(exported).empty
    assert change_counts(exported).empty
    assert FIRST in changes_said(exported)
    assert exported.not_compared == ""


@pytest.mark.usefixtures("few_refits")
def test_the_same_data_on_the_next_day_move_nothing(tmp_path):
    first = export(tmp_path, MOMENT)
    second = export(tmp_path, MOMENT + DAY)
    assert second.folder != first.folder
    assert (second.folder / "changes.jsonl").read_bytes() == b""
    digest = hashlib.sha256((first.folder / "manifest.json").read_bytes()).hexdigest()
    assert manifest_of(second)["previous"] == {
        "bundle": first.folder.name, "manifest_sha256": digest, "created_at": "2026-11-01T03:00:00.000000+00:00",
    }  # fmt: skip
    assert change_counts(second)["changes"].tolist() == [0] * 5
    assert changes_said(second) == "Since the bundle of 01 Nov 2026, 03:00 UTC nothing moved."
    assert check_signals(second.folder).ok


@pytest.mark.usefixtures("few_refits")
def test_what_another_day_moved_is_told_and_shown(tmp_path):
    first = export(tmp_path, MOMENT)
    known = int(np.flatnonzero(first.signals["n_effective"].notna())[0])

    def lower_one(rows):
        rows[known] |= {"signal": 0.02, "lower": 0.01, "upper": 0.03, "content_version": "0"}
        del rows[known + 1]

    rewrite(first.folder, lower_one)
    second = export(tmp_path, MOMENT + DAY)
    assert check_signals(second.folder).ok
    counts = change_counts(second).set_index("what")["changes"]
    assert counts["rose"] == counts["was added"] == counts["has another version"] == 1
    table = changes_table(second)
    assert table["what"].iloc[0] == "rose"
    assert table["before"].iloc[0] == 0.02
    assert table["moved_by"].iloc[0] == pytest.approx(second.signals["signal"].iloc[known] - 0.02)
    assert len(changes_table(second, most=1)) == 1
    assert changes_said(second).startswith(
        "Since the bundle of 01 Nov 2026, 03:00 UTC: signals that rose 1, fell 0, "
    )
    again = read_previous(second.folder.parents[1], trained().engine)
    assert again.stamp is not None
    assert again.stamp["bundle"] == second.folder.name


def damage(folder, kind):
    if kind == "changed":
        with (folder / "signals.jsonl").open("ab") as file:
            file.write(b" ")
    elif kind == "gone":
        shutil.rmtree(folder)
    elif kind == "no manifest":
        (folder / "manifest.json").unlink()
    elif kind == "broken manifest":
        (folder / "manifest.json").write_text("{")
    else:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "signals.jsonl").write_text("[[\n")
        digest = hashlib.sha256(b"[[\n").hexdigest()
        manifest["files"]["signals.jsonl"] = {"bytes": 3, "sha256": digest}
        (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("changed", "signals.jsonl was changed"),
        ("gone", "folder is gone"),
        ("no manifest", "manifest.json is missing"),
        ("broken manifest", "lists no files"),
        ("signed, but no JSON", "signals.jsonl does not hold JSON"),
    ],
)
def test_a_damaged_bundle_is_named_and_not_compared(exported, tmp_path, kind, said):
    root = tmp_path / "signals"
    folder = root / "versions" / exported.folder.name
    shutil.copytree(exported.folder, folder)
    (root / "current").symlink_to(f"versions/{folder.name}")
    assert read_previous(root, trained().engine).reason == ""
    damage(folder, kind)
    found = read_previous(root, trained().engine)
    assert found.stamp is None
    assert said in found.reason
    assert changes(found, exported.signals, np.zeros(len(exported.signals)), "e", MOMENT) == []


@pytest.mark.usefixtures("few_refits")
def test_an_export_goes_on_beside_a_damaged_bundle_and_says_so(tmp_path):
    first = export(tmp_path, MOMENT)
    damage(first.folder, "changed")
    second = export(tmp_path, MOMENT + DAY)
    assert manifest_of(second)["previous"] is None
    assert "damaged" in second.not_compared
    notes = second.findings[second.findings["file"] == "changes.jsonl"]
    assert notes["message"].str.contains("signals.jsonl was changed").all()
    assert len(notes) == 1
    assert check_signals(second.folder).ok
    assert (tmp_path / "signals" / "current").resolve() == second.folder


def test_engines_are_not_compared_with_each_other(exported):
    found = read_previous(exported.folder.parents[1], "another")
    assert found.stamp is None
    assert found.reason == "the earlier bundle is of another engine"


def test_a_refused_export_has_nothing_to_tell(tmp_path):
    ranking = replace(trained(), reason="too few clicks")
    none = export(tmp_path, MOMENT, ranking)
    assert changes_table(none).empty
    assert changes_said(none) == ""
    assert none.not_compared == ""
