"""An executed notebook as one HTML page that loads nothing, and the checks before its publication."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eventlib.report import safe

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["BARE_HEAD", "check_page", "page_policy", "render_page", "stylesheet", "title_of"]

_TEMPLATE: Final = Path(__file__).with_name("template")
BARE_HEAD: Final = (
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="referrer" content="no-referrer">'
)
_NOTEBOOK_LINK: Final = re.compile(r'href="(\d\d_[a-z0-9_]+)\.ipynb"')


@cache
def stylesheet() -> str:
    """Return the one style sheet of reports and index."""
    return (_TEMPLATE / "report.css").read_text(encoding="utf-8")


@cache
def _scripts() -> tuple[str, str]:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - five megabytes, for pages with figures

    return get_plotlyjs(), (_TEMPLATE / "report.js").read_text(encoding="utf-8")


def page_policy(scripts: tuple[str, ...] = ()) -> str:
    """Return the content security policy: these very scripts run, inline styles apply, nothing is loaded.

    Examples
    --------
    >>> "script-src 'none'" in page_policy()
    True
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'


def title_of(notebook: NotebookNode) -> str:
    """Return the notebook's first heading, or an empty string."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    return ""


def render_page(notebook: NotebookNode) -> str:
    """Return the page of an executed notebook: prose and outputs without code.

    Links to sibling notebooks, which work in JupyterLab, become links to their latest reports.
    """
    from nbconvert import HTMLExporter  # noqa: PLC0415 - a second that a notebook need not wait for

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]  # nbconvert does not annotate it
        template_name=_TEMPLATE.name,
        extra_template_basedirs=[str(_TEMPLATE.parent)],
        exclude_anchor_links=True,
        exclude_input=True,
    )
    resources = {"report_title": title_of(notebook) or "Report", "report_css": stylesheet()}
    body, _ = exporter.from_notebook_node(notebook, resources=resources)
    page = _NOTEBOOK_LINK.sub(r'href="../../\1/latest/report.html"', body)
    # plotly.js goes in last: the exporter would parse its five megabytes
    scripts = _scripts() if 'class="eventlib-figure"' in page else ()
    tags = "".join(f"<script>{script}</script>\n" for script in scripts)
    head, rest = page.split('<meta charset="utf-8"/>', maxsplit=1)
    before, _, after = rest.rpartition("</body>")
    return f'{head}<meta charset="utf-8">{page_policy(scripts)}{before}{tags}</body>{after}'


class _Loads(HTMLParser):
    """Collects what a page would load, and its figures."""

    _LOADING: Final = (
        "src",
        "srcset",
        "poster",
        "data",
        "action",
        "formaction",
        "background",
        "xlink:href",
        "ping",
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.loads: list[str] = []
        self.figures = 0
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.figures += tag == "figure"
        for name, value in attrs:
            text = (value or "").strip()
            is_load = name in self._LOADING or (name == "href" and tag not in ("a", "area"))
            if is_load and not text.startswith(("data:image/", "#")):
                self.loads.append(f"<{tag} {name}={safe.mask_url(text)!r}>")
            if name == "href" and text.lower().startswith(("javascript:", "data:", "vbscript:")):
                self.handlers.append(f"<{tag} href={text[:20]!r}>")
            if name.startswith("on"):
                self.handlers.append(f"<{tag} {name}>")


def check_page(page: str, notebook: NotebookNode) -> list[str]:
    """Return what keeps a page from publication; an empty list when it may go out.

    Every figure is on the page, no output is an error, nothing is loaded, no markup runs code.
    """
    parser = _Loads()
    parser.feed(page)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    expected = sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)
    problems = [f"output is an error: {o.get('ename')}" for o in outputs if o.output_type == "error"]
    if parser.figures < expected:
        problems.append(f"{expected} figures were shown, {parser.figures} are on the page")
    problems += [f"would load {load}" for load in parser.loads]
    problems += [f"would run code: {handler}" for handler in parser.handlers]
    if re.search(r"@import|url\(\s*['\"]?(?!data:|#)", "".join(re.findall(r"(?s)<style.*?</style>", page))):
        problems.append("a style sheet loads something")
    return problems
