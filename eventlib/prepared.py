"""The prepared dataset: what `prepare` gives, saves and loads (DESIGN section 5)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from eventlib.arguments import as_path
from eventlib.arrow import read_parquet
from eventlib.errors import BadCallError, EventlibError
from eventlib.ledger import Entry, Ledger, LedgerError
from eventlib.publish import publish, workplace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prepared", "count_rows", "event_files", "load", "read_json", "read_through", "telling_damage"]

TABLES: Final = ("events", "quarantine", "people", "registry", "refused_merges", "evidence", "sessions")


def event_files(version: Path) -> list[Path]:
    """Return the files of a version's events in total order: `events.parquet`, or `events/part-*.parquet`; none if there are none."""
    whole = version / "events.parquet"
    return [whole] if whole.is_file() else sorted((version / "events").glob("part-*.parquet"))


def _damaged(file: Path, error: Exception) -> BadCallError:
    """Return the error that tells which part of a dataset cannot be read."""
    return BadCallError(f"{file} is damaged: {error}. Prepare the dataset anew from its logs.")


def read_json(file: Path) -> Any:
    """Return what a JSON file of a dataset holds.

    Raises
    ------
    BadCallError
        If it cannot be read.
    """
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise _damaged(file, error) from error


def _read_ledger(file: Path) -> Ledger:
    content = read_json(file)
    if not isinstance(content, list):
        raise _damaged(file, TypeError("it holds no list"))
    try:
        return Ledger(Entry(**entry) for entry in content)
    except (TypeError, AttributeError, LedgerError) as error:
        raise _damaged(file, error) from error


def _table_files(version: Path, name: str) -> list[Path]:
    return event_files(version) if name == "events" else [version / f"{name}.parquet"]


def _read_parquet(file: Path) -> pa.Table:
    try:
        return read_parquet(file)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def count_rows(file: Path) -> int:
    """Return how many rows a table says that it has.

    Raises
    ------
    BadCallError
        If it is not there, or was cut short or overwritten.
    """
    try:
        return int(pq.read_metadata(file).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _check_footers(version: Path) -> None:
    """Refuse a version with a table that was cut short or overwritten, before anybody builds on it."""
    for file in (file for name in TABLES for file in _table_files(version, name)):
        count_rows(file)


def read_through(version: Path) -> None:
    """Read all of a version's tables, its state's among them.

    Raises
    ------
    BadCallError
        If one of them is damaged.
    """
    for file in sorted(version.rglob("*.parquet")):
        try:
            for _ in pq.ParquetFile(file).iter_batches():
                pass
        except (pa.ArrowException, OSError) as error:
            raise _damaged(file, error) from error


@contextmanager
def telling_damage(*versions: Path) -> Iterator[None]:
    """Whatever fails within: say which table of the versions is damaged, if one is."""
    try:
        yield
    except EventlibError:
        raise
    except Exception:
        for version in versions:
            read_through(version)
        raise


@dataclass
class Prepared:
    """A prepared dataset on disk, its tables read when they are asked for.

    Attributes
    ----------
    folder : Path
        Where its files are.
    run : dict
        The run stamp (`run.json`).
    ledger : Ledger
        What came in, went out and was removed, stage by stage.
    events, sessions, people, quarantine, refused_merges, evidence, registry : pandas.DataFrame
        The tables of DESIGN section 5, with Arrow dtypes.
    """

    folder: Path
    run: dict[str, Any]
    ledger: Ledger

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415  # the command line need not wait for it

        table = pa.concat_tables(_read_parquet(file) for file in _table_files(self.folder, name))
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row per kept event, in total order; columns `eventlib.model.EVENT_COLUMNS`."""
        return self._table("events")

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """One row per session."""
        return self._table("sessions")

    @cached_property
    def people(self) -> pd.DataFrame:
        """One row per identifier and person."""
        return self._table("people")

    @cached_property
    def quarantine(self) -> pd.DataFrame:
        """One row per refused line: where it stands and why."""
        return self._table("quarantine")

    @cached_property
    def refused_merges(self) -> pd.DataFrame:
        """One row per piece of evidence that was not used, and the rule that refused it."""
        return self._table("refused_merges")

    @cached_property
    def evidence(self) -> pd.DataFrame:
        """One row per piece of evidence that two identifiers are one person, used or refused."""
        return self._table("evidence")

    @cached_property
    def registry(self) -> pd.DataFrame:
        """Person ids and their anchors, for the next run."""
        return self._table("registry")

    def save(self, out: str | os.PathLike[str]) -> Path:
        """Save a copy under `out/versions/<run_id>/` and point `out/current` at it, atomically.

        Returns
        -------
        Path
            The saved version's folder.
        """
        root = as_path("out", out)
        target = root / "versions" / str(self.run["run_id"])
        if target.resolve() == self.folder.resolve():
            return target
        if target.exists():
            raise BadCallError(f"{target} exists already; save to another folder")
        with workplace(root) as made:
            copy = made / "version"
            shutil.copytree(self.folder, copy)
            publish(copy, target, root / "current")
        return target

    def _repr_html_(self) -> str:
        from eventlib.report.tables import html_ledger  # noqa: PLC0415 - only where it is displayed

        return html_ledger(self.ledger, str(self.run["run_id"]))


def load(folder: str | os.PathLike[str]) -> Prepared:
    """Load a prepared dataset.

    Parameters
    ----------
    folder
        What `eventlib prepare --out` was given, or one of its `versions/<run_id>`.

    Raises
    ------
    BadCallError
        If there is no prepared dataset, or a damaged one.

    Examples
    --------
    >>> load("nowhere")
    Traceback (most recent call last):
    eventlib.errors.BadCallError: nowhere holds no prepared dataset; make one with: eventlib prepare LOG… --out nowhere
    """
    root = as_path("folder", folder)
    # resolved now: a run published meanwhile must not mix its tables with ours
    version = (root / "current").resolve() if (root / "current").exists() else root
    if not (version / "run.json").is_file():
        raise BadCallError(
            f"{root} holds no prepared dataset; make one with: eventlib prepare LOG… --out {root}"
        )
    missing = [
        name for name in TABLES if not all(f.is_file() for f in _table_files(version, name) or [version])
    ]
    if missing:
        raise BadCallError(f"{version} is not whole: {missing[0]}.parquet is missing")
    _check_footers(version)
    run = read_json(version / "run.json")
    if not isinstance(run, dict):
        raise _damaged(version / "run.json", TypeError("it holds no object"))
    return Prepared(version, run, _read_ledger(version / "ledger.json"))
