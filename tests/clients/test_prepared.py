"""A tracker's log through the command line: a basis is stated for its source, the ledger adds up, notebooks find its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eventlib.report import run_reports
from eventlib.report.index import load_figures
from tests.clients.collector import collecting
from tests.clients.python_clients import CLIENTS
from tests.clients.story import PEOPLE, SPOKEN, calls, story
from tests.factory import lenient_policy
from tests.unit.test_cli import run


def _log(source: str, folder: Path) -> Path:
    with collecting() as collector:
        CLIENTS[source](collector)
        return collector.write(folder / "collected.ndjson")


def _prepare(source: str, folder: Path) -> Path:
    stated = {
        "jurisdiction": "EEA",
        "purposes": ["analytics", "identity"],
        "basis": "contract",
        "owner": "me",
        "expires": "2099-12-31",
    }
    policy = lenient_policy(folder, sources={source: stated}, max_withheld=0.5)
    found = run(
        "prepare", _log(source, folder), "--out", folder / "out", "--source", source, "--policy", policy
    )
    assert found.returncode == 0, found.stderr
    return folder / "out"


@pytest.mark.parametrize("source", CLIENTS)
def test_the_ledger_of_a_trackers_log_adds_up(source, tmp_path: Path):
    out = _prepare(source, tmp_path)
    told = len(calls(story(), *SPOKEN) if source == "snowplow" else story())
    stages = json.loads((out / "current" / "ledger.json").read_text())
    kept = pq.read_table(out / "current" / "events.parquet").to_pylist()
    assert all(stage["rows_in"] == stage["rows_out"] + sum(stage["removed"].values()) for stage in stages)
    assert [stage["rows_in"] for stage in stages[1:]] == [stage["rows_out"] for stage in stages[:-1]]
    assert (stages[0]["rows_in"], stages[-1]["rows_out"], len(kept)) == (told,) * 3
    assert {event["consent_rule"].split()[0] for event in kept} == {"C11"}
    assert len({event["person_id"] for event in kept}) == PEOPLE, "alias and user ids make one person of each"


@pytest.mark.slow
def test_notebooks_run_on_a_trackers_log(tmp_path: Path):
    reports = run_reports(["00", "01", "04"], _prepare("segment", tmp_path), tmp_path / "reports", quiet=True)
    assert sorted(reports) == ["00_explore", "01_event_quality", "04_geo_engagement"]
    for report in reports.values():
        assert json.loads((report / "run.json").read_text())["status"] == "completed"
    assert load_figures(reports["01_event_quality"])["rejected_share"]["value"] == 0
    found = load_figures(reports["00_explore"])
    assert (found["events_kept"]["value"], found["event_types"]["value"]) == (len(story()), 9)
