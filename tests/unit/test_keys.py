"""S2.9: the key is made once, kept private, and may be replaced without forgetting."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eventlib.cli import app
from eventlib.errors import BadCallError
from eventlib.pseudonyms import KEY_VARIABLE, load_key, load_keys, rotate_key
from tests.factory import KEY


def test_a_key_is_created_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = load_keys()
    assert made.created
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert (len(made.current), made.file.is_relative_to(tmp_path)) == (32, True)
    again = load_keys()
    assert (again.current, again.created) == (made.current, False)


def test_rotation_keeps_every_key_of_before(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    first = rotate_key(file)
    second = rotate_key(file)
    assert first.retired == (bytes.fromhex(KEY),)
    assert second.retired == (first.current, bytes.fromhex(KEY))
    assert len({second.current, *second.retired}) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_key(file) == second.current
    assert [item.name for item in tmp_path.iterdir()] == ["key"]


def test_rotation_by_command(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    result = CliRunner().invoke(app, ["rotate-key", "--key", str(file)])
    assert (result.exit_code, load_keys(file).retired) == (0, (bytes.fromhex(KEY),))
    assert KEY not in result.output


@pytest.mark.parametrize(
    "content", ["", "zz" * 32, "ab" * 8, f"{KEY}\n{KEY}", f"{KEY}\nretired 2026-01-01 ab", f"retired {KEY}", f"{KEY} {KEY}", "é" * 64]
)  # fmt: skip
def test_what_is_no_key_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(BadCallError, match="key"):
        load_keys(file)
