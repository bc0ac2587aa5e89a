"""Run notebooks through papermill, check their pages, publish them, index them (NOTEBOOKS 4)."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventlib.errors import (
    BadCallError,
    EventlibError,
    GateRefusedError,
    KernelDiedError,
    NotebookFailedError,
)
from eventlib.prepared import load
from eventlib.publish import workplace
from eventlib.report import publish as reports
from eventlib.report.display import FIGURE_MIME, RUN_ID_VARIABLE, RUN_MIME
from eventlib.report.index import index_page
from eventlib.report.outputs import clean_notebook
from eventlib.report.page import check_page, render_page, title_of
from eventlib.report.parameters import choose, read_files, read_parameters
from eventlib.report.safe import clean
from eventlib.resources import notebooks_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbformat import NotebookNode

__all__ = ["run_reports"]

PATH_PARAMETERS: Final = ("prepared", "out")

_NAMED: Final = {kind.__name__: kind for kind in (GateRefusedError, BadCallError)}
"""Errors of a notebook that stay what they are: a refusal, and a parameter that cannot be."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One notebook to run: `after` names those of this run that must have ended first."""

    name: str
    notebook: NotebookNode
    parameters: dict[str, Any]
    after: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class _Run:
    """Where all notebooks of a run work and publish, and how long a cell may take."""

    work: Path
    out: Path
    run_id: str
    timeout: int


def _new_run_id(now: dt.datetime) -> str:
    """Sortable by time, unique among runs of the same second."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _find(notebooks: Sequence[str] | None) -> dict[str, Path]:
    """Return the notebooks asked for, by name, number (`04`) or path; all that are shipped without a wish."""
    shipped = {path.stem: path for path in sorted(notebooks_dir().glob("[0-9][0-9]_*.ipynb"))}
    if not notebooks:
        return shipped
    found: dict[str, Path] = {}
    for wanted in notebooks:
        path = Path(wanted)
        named = [name for name in shipped if wanted in (name, name[:2], f"{name}.ipynb")]
        if path.suffix == ".ipynb" and path.is_file():
            found[path.stem] = path
        elif named:
            found[named[0]] = shipped[named[0]]
        else:
            raise BadCallError.unknown("notebook", wanted, shipped)
    return found


def _read(path: Path) -> NotebookNode:
    import nbformat  # noqa: PLC0415 - only where notebooks run

    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # not annotated
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise BadCallError(f"{path} is not a notebook: {error}") from None
    return notebook


def _tasks(
    notebooks: Sequence[str] | None, prepared: Path, given: Mapping[str, str], parameter_files: Sequence[Path]
) -> list[_Task]:
    """Check everything that can be checked before a kernel starts."""
    # one version for all: a dataset published meanwhile must not split the reports
    version = load(prepared).folder
    read = {name: _read(path) for name, path in _find(notebooks).items()}
    declared = {name: read_parameters(notebook) for name, notebook in read.items()}
    chosen = choose(declared, {"prepared": str(version.resolve()), **given}, read_files(parameter_files))
    tasks = []
    for name, notebook in read.items():
        after = notebook.metadata.get("eventlib", {}).get("after", [])
        tasks.append(_Task(name, notebook, chosen[name], frozenset(after) & read.keys()))
    return tasks


def _save(notebook: NotebookNode, path: Path) -> None:
    """Save an executed notebook as it may be published."""
    import nbformat  # noqa: PLC0415 - only where notebooks run

    clean_notebook(notebook, PATH_PARAMETERS)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # not annotated


def _outputs(notebook: NotebookNode, mime: str) -> list[dict[str, Any]]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [dict(output.data[mime]) for output in outputs if mime in output.get("data", {})]


def _execute(task: _Task, run: _Run, target: Path, on_cell: Callable[..., None]) -> NotebookNode:
    """Run a notebook in a kernel of its own; papermill's exit is trusted, its metadata is not."""
    import papermill  # noqa: PLC0415 - a second that only a run needs
    from jupyter_core.utils import ensure_event_loop  # noqa: PLC0415
    from nbclient.exceptions import CellTimeoutError, DeadKernelError  # noqa: PLC0415
    from traitlets.config import Config  # noqa: PLC0415

    from eventlib.report.kernels import OwnKernelManager  # noqa: PLC0415

    config = Config(
        KernelManager={"transport_encryption": "auto"},  # ipykernel warns about plain TCP otherwise
        OwnKernelManager={"environment": {RUN_ID_VARIABLE: run.run_id}},
    )
    try:
        executed: NotebookNode = papermill.execute_notebook(
            task.notebook,
            target,
            parameters=task.parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            execution_timeout=run.timeout,
            kernel_manager_class=OwnKernelManager,
            config=config,
            on_cell_executed=on_cell,
        )
    except papermill.PapermillExecutionError as error:
        kind = _NAMED.get(str(error.ename), NotebookFailedError)
        said = clean(str(error.evalue))  # it may quote an event
        raise kind(f"{task.name}: {error.ename} in cell {error.exec_count}: {said}") from error
    except CellTimeoutError:
        raise NotebookFailedError(f"{task.name}: a cell ran over {run.timeout} s") from None
    except (DeadKernelError, RuntimeError) as error:
        raise KernelDiedError(f"{task.name}: {error}") from error
    finally:
        ensure_event_loop().close()  # the one that was opened for this thread
    return executed


def _check(task: _Task, notebook: NotebookNode, page: str) -> None:
    """Refuse a page that would not show what the notebook found."""
    problems = check_page(page, notebook)
    if not _outputs(notebook, RUN_MIME):
        problems.append("there is no run stamp; the last section calls run_stamp")
    if problems:
        raise NotebookFailedError(f"{task.name}: the report may not go out: {'; '.join(problems)}")


def _write_report(task: _Task, run: _Run, notebook: NotebookNode, folder: Path, started: dt.datetime) -> None:
    """Write the page and the results as data."""
    page = render_page(notebook)
    reports.write_text(folder / "report.html", page)
    _check(task, notebook, page)
    stamp = _outputs(notebook, RUN_MIME)[-1] | {
        "notebook": task.name,
        "title": title_of(notebook),
        "run_id": run.run_id,
        "started": started.isoformat(timespec="seconds"),
        "ended": _now().isoformat(timespec="seconds"),
        "status": "completed",
    }
    reports.write_json(folder / "run.json", stamp)
    reports.write_json(folder / "figures.json", _outputs(notebook, FIGURE_MIME))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _page_of_failure(folder: Path, name: str) -> None:
    """Render what a failed notebook got to, for those who look into it."""
    executed = folder / f"{name}.ipynb"
    if executed.is_file() and not (folder / "report.html").is_file():
        with contextlib.suppress(EventlibError, OSError, ValueError):
            notebook = _read(executed)
            _save(notebook, executed)
            reports.write_text(folder / "report.html", render_page(notebook))


def _run_one(task: _Task, run: _Run, on_cell: Callable[..., None]) -> Path:
    """Run, check and publish one notebook, or keep the evidence and raise."""
    folder = run.work / task.name
    folder.mkdir()
    started = _now()
    try:
        target = folder / f"{task.name}.ipynb"
        notebook = _execute(task, run, target, on_cell)
        _save(notebook, target)
        _write_report(task, run, notebook, folder, started)
    except EventlibError as error:
        _page_of_failure(folder, task.name)
        reason = {
            "title": title_of(task.notebook),
            "error": error.code,
            "message": str(error),
            "ended": _now().isoformat(timespec="seconds"),
        }
        reports.keep_evidence(folder, run.out, task.name, run.run_id, reason)
        raise
    return reports.publish_report(folder, run.out, task.name, run.run_id)


def _code_cells(task: _Task) -> int:
    return sum(cell.cell_type == "code" for cell in task.notebook.cells)


@contextlib.contextmanager
def _progress(tasks: Sequence[_Task], *, quiet: bool) -> Iterator[Callable[[str], Callable[..., None]]]:
    """Show one bar per notebook, a step per cell."""
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        bars = {
            task.name: progress.add_task(task.name, total=_code_cells(task), start=False) for task in tasks
        }

        def start(name: str) -> Callable[..., None]:
            progress.start_task(bars[name])
            return lambda **_: progress.advance(bars[name])

        yield start


def _run_all(tasks: Sequence[_Task], jobs: int, run: Callable[[_Task], Path]) -> list[EventlibError]:
    """Run up to `jobs` notebooks at a time, each after those it needs; return what failed."""
    from eventlib.report.kernels import OwnKernelManager  # noqa: PLC0415

    waiting, done, errors = list(tasks), set[str](), list[EventlibError]()
    under_way: dict[Future[Path], str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or under_way:
                # two that wait for each other must not wait for ever
                free = [task for task in waiting if task.after <= done] or waiting[: not under_way]
                for task in free[: jobs - len(under_way)]:
                    waiting.remove(task)
                    under_way[pool.submit(run, task)] = task.name
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    done.add(under_way.pop(future))
                    errors += _failure_of(future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            OwnKernelManager.kill_all()
            raise
    return errors


def _failure_of(future: Future[Path]) -> list[EventlibError]:
    """Return an expected failure; any other is a defect and goes up."""
    try:
        future.result()
    except EventlibError as error:
        return [error]
    return []


def _raise_worst(errors: Sequence[EventlibError]) -> None:
    """Raise one error that names all: a dead kernel, a failed notebook, a parameter that cannot be, a refusal."""
    order = (KernelDiedError, NotebookFailedError, BadCallError, GateRefusedError)
    worst = min(errors, key=lambda error: order.index(type(error)))
    raise type(worst)("\n".join([str(worst), *(str(error) for error in errors if error is not worst)]))


def run_reports(
    notebooks: Sequence[str] | None,
    prepared: Path,
    out: Path,
    parameters: Mapping[str, str] | None = None,
    parameter_files: Sequence[Path] = (),
    *,
    timeout: int = 600,
    jobs: int = 2,
    quiet: bool = False,
) -> dict[str, Path]:
    """Run notebooks on a prepared dataset and publish their reports.

    Parameters
    ----------
    notebooks
        Names, numbers (`04`) or paths; None or empty runs all that eventlib ships.
    prepared
        Folder of the prepared dataset.
    out
        Folder of the reports; see `eventlib.report.publish` for what lies in it.
    parameters
        Name → text, as given on the command line; each goes to the notebooks that declare it.
    parameter_files
        YAML files of parameters, a later one over an earlier one, `parameters` over both.
    timeout
        Seconds that one cell may run.
    jobs
        Notebooks at a time.
    quiet
        Show no progress.

    Returns
    -------
    dict
        Notebook name → folder of its report, under `out/<notebook>/<run_id>`.

    Raises
    ------
    BadCallError
        An unknown notebook or parameter, a wrong type, a missing dataset; nothing has run.
    NotebookFailedError, KernelDiedError, GateRefusedError
        After all had their turn; reports that succeeded are published, `latest` of the others stays.
    """
    tasks = _tasks(notebooks, Path(prepared), parameters or {}, parameter_files)
    out = Path(out).resolve()
    run_id = _new_run_id(_now())
    published: dict[str, Path] = {}
    with workplace(out) as work, _progress(tasks, quiet=quiet) as start:
        run = _Run(work, out, run_id, timeout)

        def run_and_note(task: _Task) -> Path:
            published[task.name] = _run_one(task, run, start(task.name))
            return published[task.name]

        try:
            errors = _run_all(tasks, jobs, run_and_note)
        finally:
            reports.write_atomically(out / "index.html", index_page(out), work)
    if errors:
        _raise_worst(errors)
    return published
