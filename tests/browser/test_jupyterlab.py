"""JupyterLab itself is started and a shipped notebook run in it: figures drawn, no error, nothing loaded from outside."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventlib.resources import notebooks_dir
from tests.browser.conftest import Watched
from tests.reporting import ROOT, sample

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "00_explore.ipynb"
FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
DRAWN = """() => [...document.querySelectorAll('.js-plotly-plot')]
  .filter((plot) => plot.querySelector('.main-svg .trace')).length === 2"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def copy_notebook(target: Path) -> None:
    """Copy the notebook as an analyst would set it up: with the dataset's folder as its first parameter."""
    content = json.loads((notebooks_dir() / NAME).read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", []))
    cell["source"] = "".join(cell["source"]).replace('"prepared"', json.dumps(str(sample())), 1)
    (target / NAME).write_text(json.dumps(content), encoding="utf-8")


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert process.poll() is None, "JupyterLab ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.25)
    pytest.fail("JupyterLab did not start within a minute")


@pytest.fixture
def lab(tmp_path) -> Iterator[str]:
    """JupyterLab on the loopback with settings of its own: its address."""
    if shutil.which("jupyter-lab", path=os.path.dirname(sys.executable)) is None:  # noqa: PTH120 - which takes text
        pytest.skip("no JupyterLab in this environment")
    copy_notebook(tmp_path)
    port, token = free_port(), secrets.token_hex(16)
    folders = {name: str(tmp_path / f".{name}") for name in FOLDERS}
    settings = tmp_path / ".JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # by default JupyterLab takes cells out of the page that are scrolled out of sight
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with (tmp_path / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env={**os.environ, **folders, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(port, process)
            yield f"http://127.0.0.1:{port}/lab/tree/{NAME}?token={token}&reset"
        finally:
            process.terminate()
            process.wait(30)


def test_a_notebook_runs_in_jupyterlab(lab, watched: Watched):
    page = watched.page
    page.set_viewport_size({"width": 1300, "height": 3000})
    page.goto(lab)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    page.locator("#jp-main-statusbar", has_text="Idle").wait_for(timeout=60_000)  # else it asks which kernel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator('[data-command="runmenu:run-all"]').first.click()
    page.locator("section.run-stamp").wait_for(timeout=90_000)
    page.wait_for_function(DRAWN, timeout=60_000)
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    home = lab.split("/lab/")[0]
    assert watched.outside(home) == []
