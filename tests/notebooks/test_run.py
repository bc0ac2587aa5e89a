"""Every notebook on the sample and on the edges: an empty log, one event, all consent denied, all rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from eventlib.report import run_reports
from eventlib.report.index import load_figures
from tests.factory import consent, event, prepared
from tests.reporting import NOTEBOOKS, ROOT, sample, sample_reports

pytestmark = pytest.mark.slow

DENIED: dict[str, Any] = dict.fromkeys(
    ("analytics", "identity", "training", "personalization", "advertising"), False
)
EDGES: dict[str, list[object]] = {
    "an empty log": [],
    "one event": [event()],
    "all consent denied": [event(i, anonymous_id=f"a-{i}", consent=consent(**DENIED)) for i in range(30)],
    "all rejected": [b"{broken\n"] * 30,
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_finds_its_figures_on_the_sample(name):
    if name not in sample_reports():
        pytest.skip("a gate refused this export on the sample")
    figures = load_figures(sample_reports()[name])
    assert len(figures) >= 2
    stamp = json.loads((sample_reports()[name] / "run.json").read_text())
    assert stamp["status"] == "completed"
    assert stamp["notebook"] == name
    assert stamp["prepared"]["row_digest"]
    assert stamp["parameters"]["prepared"] == str(sample().resolve())


def test_known_figures_of_the_sample():
    quality = load_figures(sample_reports()["01_event_quality"])
    journeys = load_figures(sample_reports()["03_identity_and_journeys"])
    assert 0.005 < quality["rejected_share"]["value"] < 0.05
    assert (
        0
        < quality["hidden_share"]["lower"]
        < quality["hidden_share"]["value"]
        < quality["hidden_share"]["upper"]
    )
    world = json.loads((ROOT / "data" / "truth" / "world.json").read_text())
    blocked = world["parameters"]["lost_client_share"]
    assert quality["hidden_share"]["lower"] < blocked < quality["hidden_share"]["upper"]
    assert journeys["people"]["value"] > 300


@pytest.mark.parametrize("edge", EDGES)
def test_every_notebook_says_in_words_that_there_is_nothing(edge, tmp_path):
    data = prepared(tmp_path, EDGES[edge])
    reports = run_reports(
        None, data.save(tmp_path / "prepared"), tmp_path / "reports", _outputs(tmp_path), quiet=True
    )
    assert sorted(reports) == NOTEBOOKS
    for name, report in reports.items():
        reader: Any = nbformat
        executed = reader.read(report / f"{name}.ipynb", as_version=4)
        outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output.output_type in ("error", "stream")], name


def _outputs(tmp_path: Path) -> dict[str, str]:
    return {"out": str(tmp_path / "signals")} if any(name.startswith("06") for name in NOTEBOOKS) else {}
