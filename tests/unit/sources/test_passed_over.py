from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

import eventlib as el
from eventlib.cli import app
from eventlib.errors import DataRefusedError
from tests.factory import event, prepared


def test_what_a_folder_holds_beside_logs_is_named(tmp_path):
    prepared(tmp_path, [event()])  # leaves its log in the folder
    folder = tmp_path / "logs"
    folder.mkdir()
    next(tmp_path.rglob("*.ndjson")).rename(folder / "a.ndjson")
    (folder / "b.txt").write_text("not a log")
    (folder / "_SUCCESS").write_text("")
    (folder / "older").mkdir()
    found = CliRunner().invoke(app, ["prepare", str(folder), "--out", str(tmp_path / "out")])
    assert found.exit_code == 0
    said = found.output.replace("\n", "")
    assert "b.txt" in said
    assert "older" in said
    assert "_SUCCESS" not in said


def test_a_log_that_nobody_recognises_is_named(tmp_path: Path):
    (tmp_path / "odd.log").write_text("a line of nobody's\n")
    with pytest.raises(
        DataRefusedError, match=r"No known format was recognised in \S*odd\.log, and .*`eventlib sources`"
    ):
        el.prepare(tmp_path / "odd.log")
    (tmp_path / "ours.ndjson").write_bytes(orjson.dumps(event()) + b"\n{\n{\n")
    with pytest.raises(DataRefusedError) as told:
        el.prepare(tmp_path / "ours.ndjson")
    assert "recognised" not in str(told.value)
