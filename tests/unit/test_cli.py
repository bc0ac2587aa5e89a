"""The shell: exit codes and messages, as a caller sees them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eventlib.resources import schemas_dir
from tests.factory import event, write_log


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eventlib", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log") / "log.ndjson", [event(0), event(5), b"{\n"])


def test_validate_names_each_refused_line_and_exits_3(log: Path):
    found = run("validate", log)
    assert found.returncode == 3
    assert "3 lines, 2 valid events" in found.stdout
    assert f"{log}:3: broken_json at $" in found.stdout


def test_validate_notes_names_and_versions(tmp_path: Path):
    named = [event(schema_version="1-0-9"), event(event_name="viewed_product_123")]
    found = run("validate", write_log(tmp_path / "log.ndjson", named))
    assert found.returncode == 3
    assert "Note: 1 page_view 1-0-9 judged by 1-0-0" in found.stdout
    assert (
        "Note: the name 'viewed_product_123' holds a number or an id; send it as a property; better: product_view"
        in found.stdout
    )


def test_replay_takes_in_what_mended_schemas_take(tmp_path: Path):
    schemas = Path(shutil.copytree(schemas_dir(), tmp_path / "schemas"))
    named = [event(0), event(1), {**event(2), "event_name": "page_fold", "properties": {}}]
    write_log(tmp_path / "log.ndjson", named)
    assert run("prepare", tmp_path / "log.ndjson", "--out", tmp_path / "out").returncode == 0
    (schemas / "events" / "page_fold").mkdir()
    (schemas / "events" / "page_fold" / "1-0-0.json").write_text("{}")
    found = run("replay", tmp_path / "out", "--out", tmp_path / "out", "--schemas", schemas)
    assert (found.returncode, found.stderr) == (0, "")
    assert "1 quarantined lines judged again: 1 valid now, 0 still refused, 0 no longer" in found.stdout
    assert "3 lines in, 3 events kept" in found.stdout


def test_a_bad_file_of_ranges_is_named(log: Path, tmp_path: Path):
    (tmp_path / "gptbot.json").write_text('{"prefixes": [{"ipv4Prefix": "192.0.2.0/33"}]}')
    found = run("prepare", log, "--out", tmp_path / "out", "--agent-ranges", tmp_path / "gptbot.json")
    assert found.returncode == 2
    assert "gptbot.json, entry 0 of prefixes: ipv4Prefix takes a range" in found.stderr
    assert not (tmp_path / "out" / "current").exists()


def test_prepare_prints_the_ledger(log: Path, tmp_path: Path):
    found = run("prepare", log, "--out", tmp_path / "out")
    assert (found.returncode, found.stderr) == (0, "")
    assert "3 lines in, 2 events kept" in found.stdout
    assert "broken_json 1" in found.stdout
    explained = run("explain", tmp_path / "out", "a-1", "a-1")
    assert explained.stdout.startswith("One person: p-000001.")


@pytest.mark.parametrize(
    ("variables", "arrow"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "?"),
        ({"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}, "→"),
    ],
)
def test_a_terminal_without_arrows_is_shown_what_it_can_show(
    log: Path, tmp_path: Path, variables: dict[str, str], arrow: str
):
    found = run("prepare", log, "--out", tmp_path / "out", **variables)
    assert (found.returncode, found.stderr) == (0, "")
    assert f"3 {arrow}          2   broken_json 1" in found.stdout


def test_a_name_that_is_not_utf8_is_refused(log: Path, tmp_path: Path):
    for arguments in (
        ("validate", shutil.copy(log, tmp_path / "a\udcff.ndjson")),
        ("prepare", log, "--out", "\udcff"),
    ):
        found = run(*arguments)
        assert found.returncode == 2
        assert "is not UTF-8: rename it" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prepare", "nowhere.ndjson", "--out", "out"], 2, "no log file matches 'nowhere.ndjson'"),
        (["prepare", "{log}", "--out", "{tmp}/o", "--engine", "spork"], 2, "unknown engine 'spork'"),
        (["prepare", "{log}", "--out", "{tmp}/o", "--as-of", "tomorrow"], 2, "--as-of takes a time"),
        (
            ["prepare", "{log}", "--out", "{tmp}/o", "--max-rejected", "0.1"],
            3,
            "1 of 3 records were rejected",
        ),
        (["prepare", "{log}"], 2, "Missing option"),
        (["validate", "nowhere"], 2, "no log file matches 'nowhere'"),
        (["simulate", "--out", "{tmp}/s", "--events", "0"], 2, "--events"),
        (["report", "--prepared", "{tmp}/nowhere", "--out", "{tmp}/r"], 2, "holds no prepared dataset"),
        (["report", "-p", "broken", "--prepared", "{tmp}/nowhere"], 2, "-p takes name=value"),
        (["explain", "{tmp}/nowhere", "a", "b"], 2, "holds no prepared dataset"),
        (["check-signals", "{tmp}/nowhere"], 2, "nowhere"),
        (["replay", "{tmp}/nowhere", "--out", "{tmp}/o"], 2, "holds no prepared dataset"),
        (["validate", "{log}", "--schemas", "{tmp}/nowhere"], 2, "holds no schemas"),
        (["bogus"], 2, "No such command"),
    ],
)
def test_wrong_call_has_its_exit_code_and_one_message(
    log: Path, tmp_path: Path, arguments: list[str], code: int, message: str
):
    found = run(*(item.format(log=log, tmp=tmp_path) for item in arguments))
    assert found.returncode == code
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_help_lists_the_exit_codes():
    found = run("prepare", "--help")
    assert found.returncode == 0
    assert "6 a gate refused" in " ".join(found.stdout.split())
