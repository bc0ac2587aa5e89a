"""Published reports in a real browser: drawn, silent, reachable by all (NOTEBOOKS 9); hostile logs are in test_poisoned."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Watched
from tests.reporting import NOTEBOOKS, folder, sample_reports

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = """() => [...document.querySelectorAll('.plot')].map((plot) => {
  const drawing = plot.querySelector('.main-svg');
  const marks = plot.querySelectorAll('.plot-container .trace, .plot-container .annotation, .hm image').length;
  const box = drawing ? drawing.getBoundingClientRect() : {width: 0, height: 0};
  return [plot.dataset.drawn === 'true', box.width, box.height, marks];
})"""


def open_report(watched: Watched, path: Path) -> Page:
    watched.page.goto(path.resolve().as_uri())
    watched.page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every((plot) => plot.dataset.drawn)"
    )
    return watched.page


def serious_faults(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page).response["violations"]
    return [
        (fault["id"], fault["nodes"][0]["html"])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_report_is_drawn_silent_and_accessible(name, watched):
    report = sample_reports().get(name)
    if report is None:
        pytest.skip("a gate refused this export on the sample")
    page = open_report(watched, report / "report.html")
    for drawn, width, height, marks in page.evaluate(SIZES):
        assert drawn
        assert width > 300
        assert height > 100
        assert marks > 0
    assert watched.complaints == []
    assert watched.outside("file://") == []
    assert serious_faults(page) == []
    assert page.locator("h1").count() == 1
    assert page.title()


def test_the_index_is_silent_and_accessible_and_its_links_lead_somewhere(watched):
    sample_reports()
    index = folder() / "reports" / "index.html"
    watched.page.goto(index.as_uri())
    assert watched.complaints == []
    assert serious_faults(watched.page) == []
    hrefs = watched.page.eval_on_selector_all(
        "a[href]", "links => links.map((link) => link.getAttribute('href'))"
    )
    for href in hrefs:
        assert href.startswith("#") or (index.parent / href).exists(), href


def test_a_report_reads_well_on_a_phone(watched):
    watched.page.set_viewport_size({"width": 390, "height": 800})
    page = open_report(watched, sample_reports()["01_event_quality"] / "report.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, (
        "only tables and figures scroll sideways"
    )


def test_injected_markup_would_not_run_either(watched, tmp_path):
    """The page's own policy is the second wall: even markup that slipped through runs nothing and loads nothing."""
    report = sample_reports()["00_explore"] / "report.html"
    broken = tmp_path / "broken.html"
    attack = "<script>window.hit=1</script><img src='https://tracker.example/x.png' onerror='window.hit=2'>"
    broken.write_text(
        report.read_text(encoding="utf-8").replace("<main", attack + "<main", 1), encoding="utf-8"
    )
    watched.page.goto(broken.as_uri())
    assert watched.page.evaluate("window.hit") is None
    assert all("Content Security Policy" in text for text in watched.complaints)
    assert watched.complaints
