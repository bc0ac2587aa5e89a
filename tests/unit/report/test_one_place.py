"""Event strings become HTML, Markdown, CSV and figures in one place; nothing goes round it (S10)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventlib
from eventlib.resources import notebooks_dir

PACKAGE = Path(eventlib.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
IMPORTS = {
    "html": {"report/safe.py", "masking.py", "erasure/search.py"},  # the last only reads it
    "csv": {
        "simulate/write.py",
        "manual_links.py",
        "sources/containers.py",
    },  # the truth of a world that we made; the others only read
    "IPython.display": {"report/display.py"},
}
"""What may be imported where, and nowhere else."""
CALLS = {
    "to_html",
    "to_csv",
    "to_markdown",
    "to_excel",
    "write_html",
    "write_image",
    "HTML",
    "Markdown",
    "style",
}
"""What would write a frame or a figure without escaping or masking."""


def tree(module: str) -> ast.AST:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            yield from (name.name for name in part.names)
        elif isinstance(part, ast.ImportFrom) and part.module:
            yield part.module


@pytest.mark.parametrize("module", MODULES)
def test_no_module_goes_round_the_one_place(module):
    content = tree(module)
    assert not [name for name in imported(content) if module not in IMPORTS.get(name, {module})]
    named = {part.attr for part in ast.walk(content) if isinstance(part, ast.Attribute)}
    assert not named & CALLS


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("report/plots")])
def test_figures_neither_escape_nor_write_markup(module):
    """`safe.guard_figure` does, once, for all: a figure that escaped too would show `&lt;`."""
    content = tree(module)
    assert not {"eventlib.report.safe", "eventlib.masking"} & set(imported(content))
    texts = [
        part.value
        for part in ast.walk(content)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    assert not [text for text in texts if "<a" in text or "<img" in text or "href" in text]


@pytest.mark.parametrize("module", MODULES)
def test_a_hovertemplate_names_data_and_holds_no_value(module):
    """A template may hold `%{…}`, which is why no event string may stand in one."""
    for part in ast.walk(tree(module)):
        if isinstance(part, ast.keyword) and part.arg in ("hovertemplate", "texttemplate"):
            inside = {name.id for name in ast.walk(part.value) if isinstance(name, ast.Name)}
            assert inside <= {"form", "name", "stage", "edit"}, ast.unparse(part.value)


def test_notebooks_show_by_our_own_functions_alone():
    for path in notebooks_dir().glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert not [
            word
            for word in ("display(", "HTML(", ".to_html", ".style", "Markdown(", ".head(5)")
            if word in text
        ], path
