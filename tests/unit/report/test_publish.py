"""A process killed at any moment leaves the last good report, and never half of one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from eventlib.publish import workplace
from eventlib.report.publish import keep_evidence, publish_report, write_atomically, write_json

PUBLISH_FOR_EVER = """
import sys
from pathlib import Path
from eventlib.publish import workplace
from eventlib.report.publish import publish_report, write_atomically, write_json

out = Path(sys.argv[1])
number = int(sys.argv[2])
while True:
    number += 1
    with workplace(out) as work:
        folder = work / "00_try"
        folder.mkdir()
        for name in ("report.html", "run.json", "figures.json"):
            write_json(folder / name, {"run": number, "filler": "x" * 100_000})
        publish_report(folder, out, "00_try", f"run-{number:06d}")
        write_atomically(out / "index.html", f"{number:06d}" + "y" * 100_000, work)
    if number % 10_000 == 1:
        print("ready", flush=True)  # a first report is out, however busy the machine
"""


def published(out: Path) -> dict[str, Path]:
    return {
        p.name: p
        for p in (out / "00_try").iterdir()
        if p.is_dir() and not p.is_symlink() and p.name[0] != "."
    }


def test_kill_9_at_any_moment_leaves_a_whole_report(tmp_path):
    for attempt in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISH_FOR_EVER, str(tmp_path), str(attempt * 10_000)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.037 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        latest = tmp_path / "00_try" / "latest"
        for folder in (*published(tmp_path).values(), latest):
            runs = {
                json.loads((folder / name).read_text())["run"]
                for name in ("report.html", "run.json", "figures.json")
            }
            assert len(runs) == 1
        assert len((tmp_path / "index.html").read_text()) == 100_006
    with workplace(tmp_path) as work:
        left = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert left == [work], "the next run removes what killed ones left"


def test_a_run_under_way_is_left_alone(tmp_path):
    with workplace(tmp_path) as first, workplace(tmp_path) as second:
        assert first.is_dir()
        assert second.is_dir()


def test_latest_moves_on_and_earlier_runs_stay(tmp_path):
    for run_id in ("a", "b"):
        with workplace(tmp_path) as work:
            (work / "n").mkdir()
            write_json(work / "n" / "run.json", {"run_id": run_id})
            publish_report(work / "n", tmp_path, "n", run_id)
    assert (tmp_path / "n" / "latest").resolve().name == "b"
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == ["a", "b", "latest"]


def test_evidence_of_a_failure_is_kept_beside_its_reason(tmp_path):
    with workplace(tmp_path) as work:
        (work / "n").mkdir()
        kept = keep_evidence(work / "n", tmp_path, "n", "a", {"error": "notebook_failed"})
        write_atomically(tmp_path / "index.html", "x", work)
    assert json.loads((kept / "failure.json").read_text()) == {"error": "notebook_failed"}
    assert not (tmp_path / "n").exists()
