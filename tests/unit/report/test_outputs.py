from __future__ import annotations

import json
from typing import Any

import nbformat

from eventlib.report.outputs import clean_notebook
from eventlib.report.page import render_page
from tests.poison import secrets_in

v4: Any = nbformat.v4  # nbformat is not annotated
SECRET = "<script>window.hit=1</script> ann@poison-mail.example +49 151 98765432"


def failed() -> Any:
    """What papermill leaves of a notebook whose cell printed, then quoted an event in its error."""
    outputs = [
        v4.new_output("stream", name="stderr", text=f"\x1b[31mwarned\x1b[0m of {SECRET}\nand went on"),
        v4.new_output("display_data", data={"text/plain": f"'{SECRET}'"}),
        v4.new_output(
            "error", ename="KeyError", evalue=SECRET, traceback=[f"\x1b[0;31mKeyError\x1b[0m: {SECRET}"]
        ),
    ]
    given = v4.new_code_cell(
        f'prepared = "/data/4915198765432"\nengine = "{SECRET}"', metadata={"tags": ["injected-parameters"]}
    )
    made = v4.new_notebook(
        cells=[v4.new_markdown_cell("# Try"), given, v4.new_code_cell("x", outputs=outputs)]
    )
    made.metadata["papermill"] = {"parameters": {"engine": SECRET}, "exception": True}
    return made


def test_a_failed_notebook_and_its_page_repeat_no_event():
    notebook = failed()
    clean_notebook(notebook, paths=("prepared",))
    page = render_page(notebook)
    assert secrets_in(page.replace("/data/4915198765432", "")) == []
    assert "&lt;script&gt;window.hit" in page, "the rest of the message is there, as text"
    assert "<script>window.hit" not in page
    said = json.dumps(notebook)
    assert "poison-mail" not in said
    assert "and went on" in said
    assert notebook.cells[1].source.startswith('prepared = "/data/4915198765432"'), "a copy finds its folder"
    assert "\\u001b" not in said
