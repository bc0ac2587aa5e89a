"""Every test has a key of its own, so that none touches the user's configuration; those that open pages share a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests.factory import KEY

if TYPE_CHECKING:
    from playwright.sync_api import Browser

QUIET: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(autouse=True)
def key_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a key file in the environment."""
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(KEY)
    monkeypatch.setenv("EVENTLIB_KEY_FILE", str(path))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, the system's own, without anything that calls home; tests are skipped where there is none."""
    from playwright.sync_api import sync_playwright  # most tests need none

    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield started
        started.close()
