"""A dataset of which a file was cut or overwritten is told by that file's name, whoever reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

import eventlib as el
from eventlib.errors import BadCallError
from eventlib.prepared import Prepared
from eventlib.restatement import restate
from tests.factory import event, lenient_policy, prepared, write_log

READERS: Final[dict[str, Callable[[Path], Any]]] = {
    "load": el.load,
    "replay": el.replay,
    "restate": lambda version: restate(version, version),
    "onto": lambda version: el.prepare(
        write_log(version.parent / "more.ndjson", [event(90)]),
        onto=version,
        policy=lenient_policy(version.parent),
        plain_identifiers=True,
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepared(tmp_path_factory.mktemp("made"), [event(number) for number in range(200)])


@pytest.fixture
def version(tmp_path: Path, made: Prepared) -> Path:
    return Path(shutil.copytree(made.folder, tmp_path / "version"))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["run.json", "ledger.json", "events.parquet", "quarantine.parquet"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_file_that_was_cut_is_told(version: Path, reader: str, name: str, share: float):
    content = (version / name).read_bytes()
    (version / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadCallError, match=rf"version/{name} is damaged"):
        READERS[reader](version)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", b"[]"),
        ("ledger.json", b"{}"),
        ("ledger.json", b"[1]"),
        ("ledger.json", b'[{"stage": "read", "rows_in": 2, "rows_out": 1}]'),
    ],
)
def test_a_file_that_holds_something_else_is_told(version: Path, name: str, content: bytes):
    (version / name).write_bytes(content)
    with pytest.raises(BadCallError, match=rf"version/{name} is damaged"):
        el.load(version)


@pytest.mark.parametrize("reader", ["restate", "onto"])
def test_a_state_that_was_cut_is_told(version: Path, reader: str):
    (version / "state" / "state.json").write_bytes(b'{"format"')
    with pytest.raises(BadCallError, match=r"state\.json is damaged"):
        READERS[reader](version)


def test_a_damaged_page_is_told(version: Path):
    content = bytearray((version / "events.parquet").read_bytes())
    content[4:2000] = bytes(byte ^ 0x5A for byte in content[4:2000])
    (version / "events.parquet").write_bytes(content)
    with pytest.raises(BadCallError, match=r"version/events\.parquet is damaged"):
        _ = el.load(version).events
    for reader in ("restate", "onto"):
        with pytest.raises(BadCallError, match=r"version/events\.parquet is damaged"):
            READERS[reader](version)


@pytest.mark.parametrize("reader", ["restate", "onto"])
@pytest.mark.parametrize("content", [b"", b"PAR1" + b"\0" * 100])
def test_a_table_of_the_state_that_was_cut_is_told(version: Path, reader: str, content: bytes):
    (version / "state" / "outcome.parquet").write_bytes(content)
    with pytest.raises(BadCallError, match=r"state/outcome\.parquet is damaged"):
        READERS[reader](version)


@pytest.mark.parametrize("name", ["identifiers", "links", "copies", "minted"])
def test_a_small_table_of_the_state_that_was_cut_is_told(version: Path, name: str):
    (version / "state" / f"{name}.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadCallError, match=rf"state/{name}\.parquet is damaged"):
        READERS["onto"](version)


@pytest.mark.parametrize("name", ["events.parquet", "state/outcome.parquet", "state/facts/0000.parquet"])
def test_tables_that_do_not_go_together_are_told(version: Path, name: str):
    table = pq.read_table(version / name, partitioning=None)
    pq.write_table(table.slice(0, len(table) // 2), version / name)
    with pytest.raises(BadCallError, match=r"holds 100 rows, and its ledger says 200: prepare all logs anew"):
        READERS["onto"](version)
