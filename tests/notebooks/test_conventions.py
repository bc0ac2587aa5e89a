"""The notebooks' JSON holds to the conventions: thin, one skeleton, no outputs (NOTEBOOKS 1, 2, 8)."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import nbformat
import pytest

from eventlib.report.parameters import read_parameters
from eventlib.resources import notebooks_dir
from tests.reporting import NOTEBOOKS

ENDING = ["Method and limits", "Related reports"]


@pytest.fixture(params=NOTEBOOKS)
def path(request):
    """One shipped notebook."""
    return notebooks_dir() / f"{request.param}.ipynb"


@pytest.fixture
def notebook(path) -> Any:
    """Its content."""
    reader: Any = nbformat
    return reader.read(path, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def headings(notebook: Any) -> list[str]:
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return re.findall(r"(?m)^## (.+)$", "\n".join(prose))


def test_the_suite_is_numbered_without_a_gap():
    assert [name[:2] for name in NOTEBOOKS] == [f"{number:02d}" for number in range(len(NOTEBOOKS))]


def test_it_is_valid_and_stripped(path, notebook):
    validator: Any = nbformat
    validator.validate(notebook)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert "papermill" not in content["metadata"]
    for cell in content["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags"}
    assert notebook.metadata.kernelspec.name == "python3"


def test_it_has_no_pair(path):
    assert sorted(other.suffix for other in path.parent.glob(f"{path.stem}.*")) == [".ipynb"]


def test_it_is_thin(notebook):
    assert len(notebook.cells) <= 25
    for cell in code(notebook):
        assert len(cell.source.splitlines()) <= 15, cell.source
        assert max(map(len, cell.source.splitlines())) <= 140, cell.source
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda), (
                cell.source
            )
            assert not (isinstance(node, ast.Call) and ast.unparse(node.func) == "print"), cell.source


def test_it_opens_with_its_title_and_its_question(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \S.*\n\n\*\*[^*]+\?\*\*", first.source), "a title, then the question in bold"


def test_its_parameters_are_typed_and_explained(notebook):
    parameters = list(read_parameters(notebook).values())
    assert (parameters[0].name, parameters[0].type, parameters[0].default) == ("prepared", "str", "prepared")
    assert "parameters" in notebook.cells[1].metadata.get("tags", [])


def test_the_summary_comes_first(notebook):
    _, setup, summary = code(notebook)[:3]
    assert "import eventlib as el" in setup.source
    assert "show" not in setup.source
    assert "show_summary(" in summary.source
    assert summary.source.count("el.record(") >= 1 or "headlines" in summary.source


def test_it_ends_with_limits_run_stamp_and_links(notebook):
    assert [heading for heading in headings(notebook) if heading != "Run stamp"][-2:] == ENDING
    assert any(
        re.search(r"el\.run_stamp\(data, (parameters=)?parameters\)", cell.source)
        for cell in code(notebook)[-2:]
    )


def test_every_figure_is_described_and_has_its_data(notebook):
    for cell in code(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "el.show":
                given = {keyword.arg for keyword in node.keywords}
                assert {"alt", "data"} <= given, cell.source


def test_its_links_lead_to_shipped_notebooks(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    linked = set(re.findall(r"\]\(([^)]+)\)", prose))
    assert linked, "related reports are linked"
    known = {f"{name}.ipynb" for name in NOTEBOOKS}
    assert {link for link in linked if not link.startswith("https://")} <= known


def test_its_prose_is_for_readers(notebook):
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert len(prose) >= 5
    assert not re.search(r"TODO|lorem|FIXME", "\n".join(prose))
