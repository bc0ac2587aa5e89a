from __future__ import annotations

from typer.testing import CliRunner

from eventlib.cli import app
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
