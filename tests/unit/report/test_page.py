from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import nbformat
import pytest

from eventlib.report.page import check_page, page_policy, render_page, title_of

v4: Any = nbformat.v4  # nbformat is not annotated
FIGURE = (
    '<div class="eventlib-figure"><figure role="img" aria-label="x"><div class="plot"></div></figure></div>'
)


def executed(*outputs: Any, prose: str = "# Title\n\nText") -> Any:
    cells = [v4.new_markdown_cell(prose), v4.new_code_cell("secret_code = 1", outputs=list(outputs))]
    return v4.new_notebook(cells=cells)


def shown(**data: Any) -> Any:
    return v4.new_output("display_data", data=data)


def test_a_page_has_prose_and_outputs_and_no_code():
    page = render_page(executed(shown(**{"text/html": "<p>found</p>"})))
    assert "<title>Title</title>" in page
    assert 'lang="en"' in page
    assert "found" in page
    assert "secret_code" not in page


def test_text_outputs_are_escaped():
    outputs = (
        shown(**{"text/plain": "<b>x</b>"}),
        v4.new_output("stream", name="stderr", text="<i>warned</i>"),
    )
    page = render_page(executed(*outputs))
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "&lt;i&gt;warned&lt;/i&gt;" in page


def test_a_page_with_figures_holds_plotly_once_and_runs_nothing_else():
    page = render_page(executed(shown(**{"text/html": FIGURE}), shown(**{"text/html": FIGURE})))
    scripts = re.findall(r"(?s)<script>(.*?)</script>", page)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page
    assert "unsafe-eval" not in page


def test_a_page_without_figures_runs_nothing():
    assert "script-src 'none'" in render_page(executed())
    assert len(render_page(executed())) < 50_000


def test_links_to_sibling_notebooks_lead_to_their_latest_reports():
    page = render_page(executed(prose="# T\n\n[next](01_event_quality.ipynb)"))
    assert 'href="../../01_event_quality/latest/report.html"' in page


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<img src="https://tracker.example/x.png">', "would load"),
        ('<script src="https://cdn.example/x.js"></script>', "would load"),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', "would load"),
        ('<iframe src="https://x.example"></iframe>', "would load"),
        ('<a href="javascript:alert(1)">x</a>', "would run code"),
        ('<p onclick="alert(1)">x</p>', "would run code"),
        ("<style>p { background: url(https://x.example/a) }</style>", "style sheet loads"),
    ],
)
def test_what_loads_or_runs_keeps_a_page_from_publication(html, said):
    notebook = executed(shown(**{"text/html": html}))
    assert said in "; ".join(check_page(render_page(notebook), notebook))


def test_a_figure_that_is_not_on_the_page_keeps_it_from_publication():
    notebook = executed(shown(**{"application/vnd.plotly.v1+json": {}}))
    assert check_page(render_page(notebook), notebook) == ["1 figures were shown, 0 are on the page"]


def test_an_error_keeps_a_page_from_publication():
    notebook = executed(v4.new_output("error", ename="ValueError", evalue="<x>", traceback=["<y>"]))
    page = render_page(notebook)
    assert "&lt;x&gt;" in page
    assert check_page(page, notebook) == ["output is an error: ValueError"]


def test_a_link_to_a_paper_is_no_load():
    notebook = executed(prose="# T\n\n[paper](https://doi.example/1)")
    assert check_page(render_page(notebook), notebook) == []


def test_the_policy_forbids_what_a_page_does_not_need():
    policy = page_policy()
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy, "falls back to none"


def test_a_title_is_the_first_heading():
    assert title_of(executed(prose="text\n\n# A title")) == "A title"
    assert title_of(v4.new_notebook()) == ""
