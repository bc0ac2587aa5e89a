"""The runner: what it refuses, what it publishes, what a failure leaves (NOTEBOOKS 4 and its traps)."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import nbformat
import pytest

from eventlib.errors import BadCallError, GateRefusedError, KernelDiedError, NotebookFailedError
from eventlib.report import run_reports
from eventlib.report.index import load_figures
from eventlib.resources import notebooks_dir
from tests.reporting import ROOT, notebook, one_event


@pytest.fixture
def data(tmp_path):
    """A dataset of one event: its folder."""
    return one_event(tmp_path).save(tmp_path / "prepared")


@pytest.fixture
def run(tmp_path, data):
    """Run notebooks of this test on that dataset."""

    def go(*paths, **given):
        options = {"timeout": given.pop("timeout", 60), "parameter_files": given.pop("files", ())}
        return run_reports(
            [str(path) for path in paths], data, tmp_path / "reports", given, quiet=True, **options
        )

    return go


@pytest.mark.parametrize("given", [{"dyas": "3"}, {"days": "three"}, {"days": "nan"}])
def test_a_bad_parameter_is_refused_before_anything_runs(tmp_path, run, given):
    path = notebook(tmp_path / "try.ipynb", parameters="days: int = 28  # window")
    with pytest.raises(BadCallError, match="days"):
        run(path, **given)
    assert not (tmp_path / "reports").exists()


def test_an_unknown_notebook_is_refused_with_the_nearest(run):
    with pytest.raises(BadCallError, match=r"unknown notebook '00_explor'. Did you mean '00_explore'"):
        run("00_explor")


def test_a_missing_dataset_is_refused(tmp_path):
    with pytest.raises(BadCallError, match="holds no prepared dataset"):
        run_reports(["00"], tmp_path / "nowhere", tmp_path / "reports", quiet=True)


@pytest.mark.slow
def test_parameters_reach_the_notebook_as_annotated(tmp_path, run):
    path = notebook(
        tmp_path / "try.ipynb",
        'el.record("seen", f"{code} {days} {strict} {engines}")',
        parameters='code: str = ""  # kept as text\ndays: int = 1  # window\nstrict: bool = False  # x\n'
        'engines: list[str] = ["a"]  # x',
    )
    given = tmp_path / "given.yaml"
    given.write_text('code: "0010"\ndays: 7\nstrict: true\n')
    report = run(path, code="0020", engines="b, c", files=[given])["try"]
    assert load_figures(report)["seen"]["value"] == "0020 7 True ['b', 'c']"
    assert json.loads((report / "run.json").read_text())["status"] == "completed"
    assert (tmp_path / "reports" / "try" / "latest").resolve() == report
    assert sorted(path.name for path in report.iterdir()) == [
        "figures.json",
        "report.html",
        "run.json",
        "try.ipynb",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "error", "exit_code"),
    [
        ("1 / 0", NotebookFailedError, 4),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", KernelDiedError, 5),
        (
            'from eventlib.errors import GateRefusedError\nraise GateRefusedError("G3: 12 of 500")',
            GateRefusedError,
            6,
        ),
        (
            'from eventlib.errors import BadCallError\nraise BadCallError("days is -1")',
            BadCallError,
            2,
        ),
        (
            "import plotly.graph_objects as go\ngo.Figure().show(renderer='plotly_mimetype')",
            NotebookFailedError,
            4,
        ),
    ],
    ids=["a cell fails", "the kernel dies", "a gate refuses", "a parameter cannot be", "a figure would not be on the page"],
)
def test_a_failure_keeps_the_last_good_report_and_the_evidence(tmp_path, run, cell, error, exit_code):
    path = notebook(tmp_path / "try.ipynb", "good = 1")
    good = run(path)["try"]
    notebook(path, cell)
    with pytest.raises(error, match="try") as caught:
        run(path)
    assert caught.value.exit_code == exit_code
    reports = tmp_path / "reports"
    assert (reports / "try" / "latest").resolve() == good
    (evidence,) = (reports / "failed" / "try").iterdir()
    assert json.loads((evidence / "failure.json").read_text())["error"] == error.code
    assert (evidence / "try.ipynb").is_file()
    said = {
        KernelDiedError: "The kernel of the last run died",
        GateRefusedError: "A gate refused the last export",
    }
    assert said.get(error, "The last run failed") in (reports / "index.html").read_text()
    assert not list(reports.glob(".work*"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
@pytest.mark.parametrize(("depth", "transport"), [(0, "ipc"), (120, "tcp")], ids=["short path", "long path"])
def test_kernels_share_no_ports_and_leave_nothing(tmp_path, run, monkeypatch, depth, transport):
    temporary = Path(mkdtemp()) / ("x" * depth)
    temporary.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = notebook(
        tmp_path / "try.ipynb", "from ipykernel.kernelapp import IPKernelApp\nIPKernelApp.instance().transport"
    )
    executed = nbformat.read(run(path)["try"] / "try.ipynb", as_version=4)
    assert f"'{transport}'" in json.dumps(executed)
    gc.collect()
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_a_cell_that_runs_too_long_is_a_failure(tmp_path, run):
    path = notebook(tmp_path / "try.ipynb", "import time\ntime.sleep(30)")
    with pytest.raises(NotebookFailedError, match="a cell ran over 2 s"):
        run(path, timeout=2)


@pytest.mark.slow
def test_one_failure_does_not_keep_the_others_from_publication(tmp_path, run):
    bad = notebook(tmp_path / "bad.ipynb", "1 / 0")
    good = notebook(tmp_path / "good.ipynb", "1")
    with pytest.raises(NotebookFailedError, match="bad: ZeroDivisionError"):
        run(bad, good)
    assert (tmp_path / "reports" / "good" / "latest" / "report.html").is_file()


@pytest.mark.slow
def test_a_notebook_waits_for_the_one_it_needs(tmp_path, run):
    flag = tmp_path / "flag"
    first = notebook(
        tmp_path / "b.ipynb", f"import time, pathlib\ntime.sleep(1)\npathlib.Path({str(flag)!r}).touch()"
    )
    second = notebook(tmp_path / "a.ipynb", f"import pathlib\nassert pathlib.Path({str(flag)!r}).exists()")
    content = json.loads(second.read_text())
    content["metadata"]["eventlib"] = {"after": ["b"]}
    second.write_text(json.dumps(content))
    assert sorted(run(second, first)) == ["a", "b"]


@pytest.mark.slow
def test_a_shipped_notebook_runs_under_plain_papermill(tmp_path, data):
    source, target = notebooks_dir() / "00_explore.ipynb", tmp_path / "out.ipynb"
    command = [
        sys.executable,
        "-m",
        "papermill",
        source,
        target,
        "-p",
        "prepared",
        data,
        "-k",
        "python3",
        "--no-progress-bar",
    ]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    outputs = [
        output for cell in json.loads(target.read_text())["cells"] for output in cell.get("outputs", [])
    ]
    assert any("application/vnd.eventlib.run+json" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
def test_kill_9_in_the_middle_of_a_run_leaves_the_last_good_report(tmp_path, run, data):
    path = notebook(tmp_path / "try.ipynb", "good = 1")
    good = run(path)["try"]
    pid_file = tmp_path / "kernel.pid"
    notebook(
        path,
        f"import os, pathlib, time\npathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\ntime.sleep(60)",
    )
    script = "import sys; from pathlib import Path; from eventlib.report import run_reports; "
    script += "run_reports([sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3]), quiet=True)"
    reports = tmp_path / "reports"
    runner = subprocess.Popen(
        [sys.executable, "-c", script, path, data, reports], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    runner.kill()
    runner.wait()
    assert (reports / "try" / "latest").resolve() == good
    assert json.loads((good / "run.json").read_text())["status"] == "completed"
    kernel = Path("/proc") / pid_file.read_text()
    wait_until(lambda: not kernel.exists())
    notebook(path, "good = 2")
    run(path)
    assert not list(reports.glob(".work*"))


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
