from __future__ import annotations

from typing import Any

import nbformat
import pytest

from eventlib.errors import BadCallError
from eventlib.report.parameters import Parameter, choose, coerce, parse_cell, read_files, read_parameters

CELL = """prepared: str = "prepared"  # folder
days: int = 28  # window, days
level: float = 0.9  # coverage
strict: bool = False  # refuse more
engines: list[str] = ["chatgpt", "gemini"]  # engines shown"""


def test_each_typed_line_is_a_parameter():
    parsed = parse_cell(CELL)
    assert list(parsed) == ["prepared", "days", "level", "strict", "engines"]
    assert parsed["days"] == Parameter("days", "int", 28, "window, days")
    assert parsed["engines"].default == ["chatgpt", "gemini"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("days = 28  # window", "one parameter a line"),
        ("days: int | None = None  # window", "type 'int | None'"),
        ('since: "pd.Timestamp" = ""  # day', "type"),
        ("days: int = 7 * 4  # window", "not a literal"),
        ('days: int = "x"  # window', "not of type int"),
        ('query: str = "a=b"  # text', "papermill"),
        ('query: str = "a#b"  # text', "papermill"),
        ("days: int = 28", "no `# help`"),
        ("import os", "one parameter a line"),
        ("days: int =", "is not Python"),
    ],
)
def test_a_line_that_papermill_would_misread_is_refused(line, said):
    with pytest.raises(BadCallError, match=r"parameters cell, line 1") as caught:
        parse_cell(line)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("prepared", "0020", "0020"), ("prepared", "nan", "nan"), ("days", "0020", 20), ("days", "-3", -3),
     ("level", "1e-3", 0.001), ("level", "1", 1.0), ("strict", "true", True), ("strict", "No", False),
     ("engines", "a, b", ["a", "b"]), ("engines", "", [])],
)  # fmt: skip
def test_text_is_read_as_annotated(name, text, value):
    read = coerce(parse_cell(CELL)[name], text, from_text=True)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("days", "3.0"), ("days", "x"), ("level", "nan"), ("level", "inf"), ("strict", "maybe"), ("strict", "")],
)
def test_text_that_does_not_fit_is_refused(name, value):
    with pytest.raises(BadCallError, match=rf"parameter {name}: .* is not of type"):
        coerce(parse_cell(CELL)[name], value, from_text=True)


@pytest.mark.parametrize(
    ("name", "value"), [("days", True), ("days", 1.5), ("prepared", 20), ("engines", ["a", 1]), ("strict", 1)]
)
def test_a_file_gives_the_type_itself(name, value):
    with pytest.raises(BadCallError, match="is not of type"):
        coerce(parse_cell(CELL)[name], value, from_text=False)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(BadCallError, match=r"unknown parameter 'dyas'. Did you mean 'days'\?"):
        choose({"00": parse_cell(CELL)}, {"dyas": "3"}, {})


def test_each_notebook_gets_its_own_and_the_command_line_wins():
    declared = {"00": parse_cell(CELL), "01": parse_cell('prepared: str = "prepared"  # folder')}
    chosen = choose(declared, {"prepared": "p", "days": "3"}, {"days": 9, "level": 1})
    assert chosen == {"00": {"prepared": "p", "days": 3, "level": 1.0}, "01": {"prepared": "p"}}


def test_a_later_file_wins_and_a_broken_one_is_refused(tmp_path):
    first, second, broken = (tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml"))
    first.write_text("days: 3\nlevel: 0.5\n")
    second.write_text("days: 4\n")
    broken.write_text("- a\n- b\n")
    assert read_files([first, second]) == {"days": 4, "level": 0.5}
    with pytest.raises(BadCallError, match=r"c\.yaml"):
        read_files([broken])
    with pytest.raises(BadCallError, match=r"no\.yaml"):
        read_files([tmp_path / "no.yaml"])


def notebook_of(*cells: str) -> Any:
    node: Any = nbformat.from_dict
    return node({"cells": [{"source": cell, "metadata": {"tags": ["parameters"]}} for cell in cells]})


def test_a_notebook_needs_one_parameters_cell():
    assert list(read_parameters(notebook_of(CELL)))[:2] == ["prepared", "days"]
    for cells in ([], [CELL, CELL]):
        with pytest.raises(BadCallError, match="one cell tagged 'parameters'"):
            read_parameters(notebook_of(*cells))
