"""All reports on a log whose every string attacks and tells: nothing runs, nothing leaks, all is shown as text (S10)."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Watched
from tests.browser.test_reports import SIZES, open_report
from tests.poison import STAMPED, poisoned_reports, secrets_in
from tests.reporting import NOTEBOOKS, folder

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOVER = """() => {
  const said = [];
  for (const plot of document.querySelectorAll('.js-plotly-plot')) {
    const traces = plot._fullData.map((trace, index) => [trace, index]);
    for (const [trace, curveNumber] of traces.filter(([trace]) => trace.hoverinfo !== 'skip')) {
      for (const pointNumber of [0, 1, 5]) {
        const point = trace.type === 'heatmap' ? {curveNumber, pointNumber: [pointNumber, 0]} : {curveNumber, pointNumber};
        try { Plotly.Fx.hover(plot, [point]); } catch (error) { continue; }
        said.push(...[...plot.querySelectorAll('.hoverlayer text')].map((text) => text.textContent));
      }
    }
  }
  return said;
}"""
LIVE = "a[href^='javascript'], svg a, iframe, object, embed, form, [onerror], [onload], main script:not([type]), main img"


def texts_of(name: str) -> dict[str, str]:
    """Every file of a report, as text."""
    report = poisoned_reports()[name]
    return {path.name: path.read_text(encoding="utf-8") for path in report.iterdir()}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_poisoned_report_shows_attacks_as_text_and_runs_none(name, watched: Watched):
    if name not in poisoned_reports():
        pytest.skip("a gate refused this export on the poisoned sample")
    page = open_report(watched, poisoned_reports()[name] / "report.html")
    assert all(drawn and marks for drawn, _, _, marks in page.evaluate(SIZES))
    shown = page.locator("body").inner_text() + "\n".join(page.locator("svg text").all_text_contents())
    hovered = page.evaluate(HOVER)
    assert page.evaluate("window.hit") is None
    assert watched.dialogs == []
    assert watched.complaints == []
    assert watched.outside("file://") == []
    assert page.locator(LIVE).count() == 0
    assert STAMPED in shown, "the attack reached the page, as text"
    assert secrets_in(shown + "\n".join(hovered)) == []
    assert not set("\u202e\u200b\x07\x1b") & set(page.content())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_poisoned_report_tells_nothing_in_any_file(name):
    if name not in poisoned_reports():
        pytest.skip("a gate refused this export on the poisoned sample")
    for file, text in texts_of(name).items():
        assert secrets_in(_without_scripts(text)) == [], file


def test_the_index_of_poisoned_reports_tells_nothing(watched: Watched):
    poisoned_reports()
    index = folder() / "poisoned" / "reports" / "index.html"
    watched.page.goto(index.as_uri())
    assert watched.complaints == []
    assert watched.dialogs == []
    assert secrets_in(index.read_text(encoding="utf-8")) == []


def _without_scripts(text: str) -> str:
    """Leave out plotly.js: five megabytes of ours."""
    head, _, tail = text.rpartition("</main>")
    return head + tail[-1000:] if head else text
