"""A notebook's parameters: read from its own cell by `ast`, checked and coerced before anything runs.

Papermill only warns about a misspelt parameter and runs on with the default; it guesses types from the text.
Here the notebook's annotations decide, and what does not fit is refused (exit 2).
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nbformat import NotebookNode

__all__ = ["Parameter", "choose", "parse_cell", "read_files", "read_parameters"]

TYPES: Final = ("str", "int", "float", "bool", "list[str]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One typed line of a parameters cell: `since: str = ""  # first day, ISO date`."""

    name: str
    type: str
    default: Any
    help: str


def _problem(line: int, text: str) -> BadCallError:
    return BadCallError(f"parameters cell, line {line}: {text}")


def _parse_line(node: ast.stmt, source: str) -> Parameter:
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
        raise _problem(node.lineno, "write one parameter a line as `name: type = default  # help`")
    kind = ast.unparse(node.annotation)
    if kind not in TYPES:
        raise _problem(node.lineno, f"type {kind!r} is not {', '.join(TYPES)}")
    try:
        default = ast.literal_eval(node.value)
    except ValueError:
        raise _problem(node.lineno, f"the default of {node.target.id!r} is not a literal") from None
    text = ast.get_source_segment(source, node.value) or ""
    if "=" in text or "#" in text:
        raise _problem(
            node.lineno, f"the default of {node.target.id!r} holds '=' or '#', misread by papermill"
        )
    if not _fits(default, kind):
        raise _problem(node.lineno, f"the default of {node.target.id!r} is not of type {kind}")
    comment = source.splitlines()[node.lineno - 1][node.end_col_offset or 0 :].strip()
    if not comment.startswith("#") or len(comment) < 3:
        raise _problem(node.lineno, f"{node.target.id!r} has no `# help`")
    return Parameter(node.target.id, kind, default, comment.lstrip("# "))


def parse_cell(source: str) -> dict[str, Parameter]:
    """Return the parameters that a cell declares, in order.

    Raises
    ------
    BadCallError
        A line is not `name: type = literal  # help`, or would be misread by papermill.

    Examples
    --------
    >>> parse_cell('prepared: str = "prepared"  # folder of the prepared dataset')["prepared"].help
    'folder of the prepared dataset'
    >>> parse_cell("n: set = 1  # window")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: parameters cell, line 1: type 'set' is not str, int, float, bool, list[str]
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise _problem(error.lineno or 1, f"is not Python: {error.msg}") from None
    found = [_parse_line(node, source) for node in tree.body]
    return {parameter.name: parameter for parameter in found}


def read_parameters(notebook: NotebookNode) -> dict[str, Parameter]:
    """Return the parameters of a notebook: those of its one cell tagged `parameters`.

    Raises
    ------
    BadCallError
        There is no such cell, or it declares something else than parameters.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BadCallError(f"a notebook needs one cell tagged 'parameters', this one has {len(cells)}")
    return parse_cell(cells[0].source)


def _fits(value: object, kind: str) -> bool:
    if kind == "list[str]":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, bool if kind == "bool" else str)


_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _from_text(text: str, kind: str) -> Any:
    """Read text as the annotation says, never as it looks: `0020` stays text where text is asked for."""
    if kind == "str":
        return text
    if kind == "list[str]":
        return [item.strip() for item in text.split(",") if item.strip()]
    if kind == "bool":
        return _BOOLEANS.get(text.strip().lower())
    if kind == "int":
        return int(text) if re.fullmatch(r"[+-]?[0-9]+", text.strip()) else None
    try:
        return float(text)
    except ValueError:
        return None


def coerce(parameter: Parameter, value: object, *, from_text: bool) -> Any:
    """Return `value` in the parameter's type.

    Raises
    ------
    BadCallError
        It is of another type; a number that is not finite is refused too.

    Examples
    --------
    >>> coerce(Parameter("days", "int", 28, "window"), "0020", from_text=True)
    20
    >>> coerce(Parameter("days", "int", 28, "window"), "a week", from_text=True)
    Traceback (most recent call last):
    eventlib.errors.BadCallError: parameter days: 'a week' is not of type int (window)
    """
    read = _from_text(value, parameter.type) if from_text and isinstance(value, str) else value
    if not _fits(read, parameter.type):
        hint = "; quote it in the file" if parameter.type == "str" and not isinstance(value, str) else ""
        expected = f"is not of type {parameter.type} ({parameter.help}){hint}"
        raise BadCallError(f"parameter {parameter.name}: {value!r} {expected}")
    return float(str(read)) if parameter.type == "float" else read


def read_files(paths: Iterable[Path]) -> dict[str, Any]:
    """Return the parameters of YAML files, a later file over an earlier one.

    Raises
    ------
    BadCallError
        A file is missing, is not YAML, or holds no mapping of names to values.
    """
    import yaml  # noqa: PLC0415 - only where a file is given

    merged: dict[str, Any] = {}
    for path in paths:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadCallError(f"parameter file {path}: {error}") from None
        if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
            raise BadCallError(f"parameter file {path}: write it as `name: value` lines")
        merged |= content
    return merged


def choose(
    declared: Mapping[str, Mapping[str, Parameter]], given: Mapping[str, str], from_files: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return what each notebook is given: its own parameters among `-p` and `-f`, `-p` first.

    Parameters
    ----------
    declared
        Notebook name → its parameters.
    given
        Name → text, from the command line.
    from_files
        Name → value, from `read_files`.

    Raises
    ------
    BadCallError
        No notebook of the run knows the name, or the value does not fit its type.
    """
    known: Sequence[str] = sorted({name for parameters in declared.values() for name in parameters})
    for name in (*given, *from_files):
        if name not in known:
            raise BadCallError.unknown("parameter", name, known)
    chosen: dict[str, dict[str, Any]] = {}
    for notebook, parameters in declared.items():
        files = {
            n: coerce(p, from_files[n], from_text=False) for n, p in parameters.items() if n in from_files
        }
        shell = {n: coerce(p, given[n], from_text=True) for n, p in parameters.items() if n in given}
        chosen[notebook] = files | shell
    return chosen
