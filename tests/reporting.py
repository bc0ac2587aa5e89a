"""Reports for tests: the sample's, published once per test process, and small notebooks of a test's own."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from eventlib.api import prepare
from eventlib.errors import GateRefusedError
from eventlib.report import run_reports
from eventlib.resources import notebooks_dir
from tests.factory import KEY, event, prepared

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

v4: Any = nbformat.v4  # nbformat is not annotated

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.stem for path in notebooks_dir().glob("[0-9][0-9]_*.ipynb"))


@cache
def folder() -> Path:
    """A folder that lives as long as the test process, and its removal with it."""
    made = tempfile.TemporaryDirectory(prefix="eventlib-reports-")
    _kept.append(made)
    return Path(made.name)


_kept: list[Any] = []


@cache
def sample() -> Path:
    """The shipped sample log, prepared."""
    key = folder() / "key"
    key.write_text(KEY)
    return prepare(ROOT / "data" / "sample.ndjson.gz", key=key).save(folder() / "prepared")


@cache
def sample_reports() -> dict[str, Path]:
    """Return the published reports of all shipped notebooks on the sample: name → folder; not a refused export."""
    given = {"out": str(folder() / "signals")} if any(name.startswith("06") for name in NOTEBOOKS) else {}
    out = folder() / "reports"
    with suppress(GateRefusedError):
        run_reports(None, sample(), out, given, quiet=True)
    return {path.parent.name: path.resolve() for path in out.glob("*/latest")}


def notebook(path: Path, *cells: str, parameters: str = "", title: str = "Try") -> Path:
    """Write a notebook with the suite's skeleton around some code cells."""
    declared = f'prepared: str = "prepared"  # folder of the prepared dataset\n{parameters}'.strip()
    first = v4.new_code_cell(declared, metadata={"tags": ["parameters"]})
    setup = v4.new_code_cell("import eventlib as el\nimport pandas as pd\ndata = el.load(prepared)")
    stamp = v4.new_code_cell('el.run_stamp(data, parameters={"prepared": prepared})')
    made = v4.new_notebook(
        cells=[v4.new_markdown_cell(f"# {title}"), first, setup, *map(v4.new_code_cell, cells), stamp]
    )
    path.write_text(v4.writes(made), encoding="utf-8")
    return path


def one_event(tmp_path: Path, **options: Any) -> Prepared:
    """A dataset of a single page view."""

    return prepared(tmp_path, [event()], **options)
