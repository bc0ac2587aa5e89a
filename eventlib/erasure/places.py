"""Where else somebody who was erased may be found: earlier versions, reports, bundles, other files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from eventlib.arrow import read_parquet
from eventlib.erasure.search import Search, files_in
from eventlib.publish import workplace
from eventlib.tombstones import Tombstones

__all__ = ["earlier_versions", "holding", "keeps_state", "made_from", "remove_reports", "usual_places"]


def usual_places(folder: Path) -> list[Path]:
    """Return where bundles and reports of a dataset usually lie: beside it, and where `eventlib report` puts them."""
    beside = [folder.resolve().parent / name for name in ("signals", "reports")]
    return [path for path in dict.fromkeys([*beside, Path("reports").resolve()]) if path.is_dir()]


def keeps_state(folder: Path) -> bool:
    """Tell whether a dataset's current version can be decided anew without its logs."""
    current = (folder / "current").resolve()
    return (current / "state" / "state.json").is_file() and (current / "events.parquet").is_file()


def _names_erased(version: Path, tombstones: Tombstones) -> bool:
    """Tell whether a version's people include somebody who was erased, now or before, as they may where a run was cut off."""
    people = version / "people.parquet"
    if not people.is_file():
        return False
    named = read_parquet(people, ["namespace", "identifier"]).to_pylist()
    pairs = [(row["namespace"], row["identifier"]) for row in named]
    return any(tombstones.holds(*pair) or tombstones.names(*pair) for pair in pairs)


def earlier_versions(folder: Path, search: Search, tombstones: Tombstones) -> list[Path]:
    """Return the versions of a dataset that hold one of the needles, or name somebody who was erased before."""
    found = sorted(
        path for path in (folder / "versions").iterdir() if path.is_dir() and not path.is_symlink()
    )
    return [
        version
        for version in found
        if _names_erased(version, tombstones) or any(map(search.holds, files_in([version])))
    ]


def holding(places: Iterable[Path], search: Search, but: Sequence[Path] = ()) -> tuple[list[Path], int]:
    """Search files; return those that hold one of the needles, and how many were looked at."""
    passed = [path.resolve() for path in but]
    looked, found = 0, []
    for file in files_in(places):
        if not any(file.resolve().is_relative_to(path) for path in passed):
            looked += 1
            if search.holds(file):
                found.append(file)
    return found, looked


def _json(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None


def made_from(places: Iterable[Path], run_ids: Iterable[str]) -> list[Path]:
    """Return the folders of bundles and reports that say that they were made from one of some runs."""
    wanted = set(run_ids)
    found = []
    for file in files_in(places):
        content = _json(file) if file.name in ("manifest.json", "run.json") else None
        content = content if isinstance(content, dict) else {}
        prepared = content.get("prepared")
        if isinstance(prepared, dict) and prepared.get("run_id") in wanted:
            # a bundle's run stands beside it: the bundle's own bytes are the same whenever it is written
            found.append((file.parent / str(content.get("bundle", ""))).resolve())
    return found


def _report_of(file: Path) -> Path | None:
    """Return the folder of the report run that a file belongs to."""
    folder = file.parent
    whole = (folder / "report.html").is_file() or (folder / "figures.json").is_file()
    stamped = (folder / "run.json").is_file() or (folder / "failure.json").is_file()
    return folder if whole and stamped else None


def remove_reports(files: Iterable[Path]) -> list[Path]:
    """Remove the report runs that files belong to, and list those that stay anew; return those that went."""
    from eventlib.report.index import index_page  # noqa: PLC0415  # only where a report holds somebody
    from eventlib.report.publish import FAILED, LATEST, write_atomically  # noqa: PLC0415  # as above

    runs, roots = sorted({run for file in files if (run := _report_of(file))}), set()
    for run in runs:
        shutil.rmtree(run)
        notebook = run.parent
        latest = notebook / LATEST
        left = sorted(path for path in notebook.iterdir() if path.is_dir() and not path.is_symlink())
        if latest.is_symlink() and not latest.exists():
            latest.unlink()
            if left:
                latest.symlink_to(left[-1].name)
        if not left:
            shutil.rmtree(notebook)
        roots.add(notebook.parent.parent if notebook.parent.name == FAILED else notebook.parent)
    for root in roots:
        with workplace(root) as work:
            write_atomically(root / "index.html", index_page(root), work)
    return runs
