"""Arguments at the public edge: paths as texts work, everything else is refused by its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import eventlib as el
from eventlib.errors import BadCallError
from eventlib.options import microseconds
from eventlib.prepared import Prepared
from eventlib.resources import schemas_dir
from tests.factory import KEY, event, lenient_policy, prepared, write_log


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepared(tmp_path_factory.mktemp("made"), [event(0), event(5)])


def test_a_text_names_a_file_as_a_path_does(tmp_path: Path, made: Prepared):
    (tmp_path / "key").write_text(KEY)
    log = str(write_log(tmp_path / "log.ndjson", [event(0), event(5)]))
    named: dict[str, Any] = {"key": str(tmp_path / "key"), "schemas": str(schemas_dir())}
    policy = str(lenient_policy(tmp_path))
    registry = str(made.folder / "registry.parquet")
    found = el.prepare([log], policy=policy, registry=registry, out=str(tmp_path / "out"), **named)
    assert found.ledger.rows_out == 2
    assert el.read(log, **named).ledger.rows_out == 2
    assert el.replay(str(tmp_path / "out"), policy=policy, **named).ledger.rows_out == 2
    assert el.explain(found, "a-1", "a-1", key=named["key"])["same"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"as_of": "2026-10-01"}, "as_of takes a datetime"),
        ({"key": 5}, "key takes a path"),
        ({"schemas": b"schemas"}, "schemas takes a path"),
        ({"registry": 5}, "registry takes a path"),
        ({"onto": 5}, "onto takes a path"),
        ({"out": 5}, "out takes a path"),
        ({"out": "o\udcff"}, r"the file name 'o\\udcff' is not UTF-8"),
        ({"policy": 5}, "policy takes a path"),
        ({"max_rejected": "x"}, "max_rejected takes a number"),
        ({"source": 5}, "source takes a text"),
        ({"engine": 5}, "engine takes a text"),
        ({"clock": 5}, "clock takes a text"),
        ({"late": 5}, "late takes a duration"),
        ({"logs": None}, "logs takes paths"),
        ({"logs": 5}, "logs takes paths"),
        ({"logs": b"log.ndjson"}, "logs takes paths"),
        ({"logs": [5]}, "logs takes a path"),
        ({"logs": "a\0b"}, "no file can have the name"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused_by_its_name(
    tmp_path: Path, options: dict[str, Any], message: str
):
    log = write_log(tmp_path / "log.ndjson", [event(0)])
    with pytest.raises(BadCallError, match=message):
        el.prepare(**{"logs": log, "policy": lenient_policy(tmp_path), **options})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: el.read("log.ndjson", source=5), "source takes a text"),  # type: ignore[arg-type]
        (lambda: el.read("log.ndjson", key=5), "key takes a path"),  # type: ignore[arg-type]
        (lambda: el.read(None), "logs takes paths"),  # type: ignore[arg-type]
        (lambda: el.load(5), "folder takes a path"),  # type: ignore[arg-type]
        (lambda: el.replay(5), "prepared takes a path"),  # type: ignore[arg-type]
    ],
)
def test_so_it_is_by_the_other_calls(call: Callable[[], Any], message: str):
    with pytest.raises(BadCallError, match=message):
        call()


def test_a_log_whose_name_is_not_utf8_is_refused_and_another_file_of_such_a_name_is_passed_over(
    tmp_path: Path,
):
    folder = tmp_path / "logs"
    folder.mkdir()
    write_log(folder / "log.ndjson", [event(0)])
    (folder / "notes-\udcff.txt").touch()
    found = el.prepare(folder, policy=lenient_policy(tmp_path))
    assert found.run["passed_over"] == [f"{folder}/notes-�.txt"]
    write_log(folder / "a\udcff.ndjson", [event(1)])
    with pytest.raises(BadCallError, match=r"a\\udcff\.ndjson' is not UTF-8: rename it"):
        el.read(folder)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_a_moment_without_a_zone_is_utc_on_any_machine(tmp_path: Path):
    noon = datetime(2026, 10, 1, 12)  # noqa: DTZ001  # what is tested
    found = prepared(tmp_path, [event(0)], as_of=noon)
    assert found.run["parameters"]["as_of"] == "2026-10-01T12:00:00+00:00"
    assert microseconds(noon) == microseconds(noon.replace(tzinfo=UTC))
    frame = el.read(write_log(tmp_path / "log.ndjson", [event(0)])).events
    kept = [
        len(el.filter_consent(frame, as_of=moment).events)
        for moment in (datetime(2028, 1, 1), datetime(2028, 1, 1, tzinfo=UTC))  # noqa: DTZ001  # as above
    ]
    assert kept[0] == kept[1]


def test_a_moment_is_read_to_the_microsecond():
    assert microseconds(datetime.max.replace(tzinfo=UTC)) == 253_402_300_799_999_999
    assert microseconds(datetime(2026, 10, 1, 12, 0, 0, 1, tzinfo=UTC)) == 1_790_856_000_000_001
