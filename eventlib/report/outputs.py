"""What an executed notebook carries beside our own outputs: prints, tracebacks, parameters (S10).

Whoever reads a published report can read its notebook, and the page of a failure shows its traceback: an
exception may quote an event. Our own outputs are safe already (`display`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from eventlib.report import safe

if TYPE_CHECKING:
    from collections.abc import Collection

    from nbformat import NotebookNode

__all__ = ["clean_notebook"]

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]{0,40}[A-Za-z]")
_INJECTED: Final = "injected-parameters"


def _clean_lines(text: str) -> str:
    return "\n".join(safe.clean(line) for line in _COLOURS.sub("", text).split("\n"))


def _clean_output(output: Any) -> None:
    if output.output_type == "stream":
        output.text = _clean_lines(output.text)
    elif output.output_type == "error":
        output.evalue = safe.clean(output.evalue)
        output.traceback = [_clean_lines(text) for text in output.traceback]
    elif "text/plain" in output.data:
        output.data["text/plain"] = _clean_lines(output.data["text/plain"])


def _clean_parameters(source: str, paths: Collection[str]) -> str:
    """Clean the cell of parameters that papermill wrote, but for those that are paths: a copy must run again."""
    lines = source.split("\n")
    return "\n".join(line if line.split(" ")[0] in paths else safe.clean(line) for line in lines)


def clean_notebook(notebook: NotebookNode, paths: Collection[str] = ()) -> None:
    """Mask what prints, tracebacks and parameters of an executed notebook repeat, in place.

    Parameters
    ----------
    notebook
        As papermill left it.
    paths
        Names of parameters that hold folders.
    """
    stamp = notebook.metadata.get("papermill")
    if stamp is not None:
        kept = frozenset((*paths, "input_path", "output_path"))
        notebook.metadata["papermill"] = safe.clean_tree(stamp, kept)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            _clean_output(output)
        if _INJECTED in cell.metadata.get("tags", []):
            cell.source = _clean_parameters(cell.source, paths)
        if "papermill-error-cell-tag" in cell.metadata.get("tags", []):
            cell.source = _clean_lines(cell.source)
