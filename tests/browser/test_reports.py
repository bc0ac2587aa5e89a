"""Published reports in a real browser: drawn, silent, reachable by all, deaf to hostile strings (NOTEBOOKS 9, S10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from eventlib.report import run_reports
from tests.browser.conftest import Watched
from tests.factory import event, prepared
from tests.reporting import NOTEBOOKS, folder, notebook, sample_reports

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
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "only tables scroll sideways"


HOSTILE = [
    "<img src=x onerror=\"window.hit='img'\">",
    "<script>window.hit='script'</script>",
    "<a href=\"javascript:window.hit='link'\">click</a>",
    "</script><script>window.hit='close'</script>",
    '"><svg onload="window.hit=1">',
    "<b>bold</b>%{y}",
    "=HYPERLINK(1)",
    "\u202egnp.exe",
]
SHOW = """names = sorted(el.properties(data.events, "page_view")["title"].dropna())
frame = pd.DataFrame({"title": names, "n": range(1, len(names) + 1)})
from eventlib.report import plots
el.show(plots.bars(frame, "title", "n", title="Titles", x="views"), alt=names[0], data=frame)
el.show_table(el.properties(data.events, "page_view"), caption=names[0])
el.show_summary(data, question=names[0], headlines=[el.record("worst", names[0])], warnings=names)"""


def test_hostile_strings_are_shown_and_not_run(watched, tmp_path):
    events: list[Any] = []
    for number, text in enumerate(HOSTILE):
        said = {"observation": "owned", "page_view_id": f"v-{number}", "content_id": "c-1", "title": text}
        context = {"url": "https://www.example.org/?q=" + text, "referrer": None, "user_agent": text}
        events.append(event(number, properties=said, context=context))
    data = prepared(tmp_path, events).save(tmp_path / "prepared")
    assert len(prepared(tmp_path, events).events) == len(HOSTILE)
    path = notebook(tmp_path / "hostile.ipynb", SHOW)
    report = run_reports([str(path)], data, tmp_path / "reports", quiet=True)["hostile"]
    page = open_report(watched, report / "report.html")
    for mark in page.locator(".point path").all():
        mark.hover(force=True)
    assert page.evaluate("window.hit") is None
    assert watched.dialogs == []
    assert watched.complaints == []
    assert watched.outside("file://") == []
    assert page.locator("a[href^=javascript]").count() == 0
    labels = page.locator(".ytick text").all_text_contents()
    assert any("<img src=x" in label for label in labels), "shown as text"
    assert "\u202e" not in page.content()


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
