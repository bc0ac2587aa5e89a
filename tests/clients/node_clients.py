"""The trackers of JavaScript: where they are, and how one is made to tell a story."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from tests.clients.collector import Collector
from tests.clients.story import Call

HERE = Path(__file__).parent / "node"
MODULES = HERE / "node_modules"


def require_node() -> str:
    """Return where Node is; skip the test where it or the trackers are not installed, but never in CI."""
    node = shutil.which("node")
    missing = "no Node on this machine" if node is None else "`make clients` was not run"
    if node is None or not MODULES.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have the trackers of JavaScript: {missing}")
        pytest.skip(missing)
    return node


def tell(tracker: str, collector: Collector, told: Iterable[Call]) -> None:
    """Let a tracker for Node send a story; it ends when all is sent."""
    found = run_tracker(tracker, collector.url, told)
    assert found.returncode == 0, found.stderr.decode()


def run_tracker(tracker: str, url: str, told: Iterable[Call]) -> subprocess.CompletedProcess[bytes]:
    """Run a tracker for Node that sends to an address."""
    return subprocess.run(
        [require_node(), "--import", HERE / "loopback.mjs", HERE / "send.mjs", tracker, url],
        input=orjson.dumps(list(told)),
        capture_output=True,
        timeout=60,
        check=False,
    )
