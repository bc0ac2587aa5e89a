"""Every test has a key of its own, so that none touches the user's configuration."""

from __future__ import annotations

import pytest

from tests.factory import KEY


@pytest.fixture(autouse=True)
def key_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a key file in the environment."""
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(KEY)
    monkeypatch.setenv("EVENTLIB_KEY_FILE", str(path))
