from __future__ import annotations

import json
from pathlib import Path

from eventlib.report.index import index_page, read_runs, sparkline


def publish(out: Path, name: str, run_id: str, **figures: float | None) -> None:
    folder = out / name / run_id
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        json.dumps({"title": name.title(), "ended": "2026-10-03T08:15:30+00:00"})
    )
    recorded = [{"name": key, "value": value, "unit": "share"} for key, value in figures.items()]
    (folder / "figures.json").write_text(json.dumps(recorded))


def fail(out: Path, name: str, run_id: str, message: str) -> None:
    folder = out / "failed" / name / run_id
    folder.mkdir(parents=True)
    reason = {"error": "notebook_failed", "message": message, "ended": "2026-10-04T08:15:30+00:00"}
    (folder / "failure.json").write_text(json.dumps(reason))


def test_runs_are_read_oldest_first_and_half_ones_are_none(tmp_path):
    publish(tmp_path, "01_quality", "b")
    publish(tmp_path, "01_quality", "a")
    (tmp_path / "01_quality" / "c").mkdir()
    (tmp_path / "01_quality" / "latest").symlink_to("b")
    (tmp_path / ".work-1").mkdir()
    published, failed = read_runs(tmp_path)
    assert [run.run_id for run in published["01_quality"]] == ["a", "b"]
    assert failed == {}


def test_the_index_shows_latest_figures_trend_and_all_runs(tmp_path):
    for run_id, value in (("a", 0.5), ("b", 0.75), ("c", None)):
        publish(tmp_path, "01_quality", run_id, kept_share=value)
    page = index_page(tmp_path)
    assert "not enough evidence" in page
    assert "over the last 2 runs" in page
    assert page.count("/report.html") == 4
    assert 'href="01_quality/latest/report.html"' in page


def test_a_failure_shows_until_something_is_published_after_it(tmp_path):
    publish(tmp_path, "01_quality", "a")
    fail(tmp_path, "01_quality", "b", "<script>alert(1)</script>")
    page = index_page(tmp_path)
    assert "The last run failed" in page
    assert "<script>" not in page
    publish(tmp_path, "01_quality", "c")
    assert "The last run failed" not in index_page(tmp_path)


def test_a_notebook_that_only_failed_is_listed(tmp_path):
    fail(tmp_path, "02_consent", "a", "no such column")
    assert "no such column" in index_page(tmp_path)


def test_an_empty_folder_says_so(tmp_path):
    assert "No run has been published yet" in index_page(tmp_path)


def test_a_flat_trend_is_a_line():
    assert "nan" not in sparkline([2.0, 2.0, 2.0], "x")
