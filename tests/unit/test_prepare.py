"""The whole flow: bytes, accounting, refusals, and what a killed run leaves behind."""

from __future__ import annotations

import errno
import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import zstandard

import eventlib as el
from eventlib import preparing, writing
from eventlib.engine import ENGINES, chosen_engine
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.model import EVENT_COLUMNS, QUARANTINE_COLUMNS
from eventlib.prepared import Prepared
from eventlib.resources import schemas_dir
from eventlib.rows import read_rows
from tests.factory import consent, event, lenient_policy, line, link, login, prepared, write_log
from tests.hostile import hostile_lines
from tests.unit.sources.test_decode import HOSTILE


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """A few hundred lines with something of everything."""
    chance = random.Random(7)
    made: list[dict[str, object]] = []
    for number in range(300):
        device, seconds = chance.randrange(20), chance.uniform(0, 200_000)
        user = f"u-{device // 2}" if chance.random() < 0.2 else None
        said = consent(
            chance.choice(["EEA", "US-CA", None]),
            updated=chance.choice([-50, None, 90_000]),
            training=chance.choice([True, False, None]),
        )
        if number % 8 == 0:  # devices of their own, or they would follow what they said elsewhere
            device, said = 100 + number, {"jurisdiction": "US-CA", "us_privacy": "1YNN"}
        if number % 12 == 0:
            said = {**said, "known_child": "no_consent", "categories": {"analytics": True, "*": False}}
        made.append(
            event(
                seconds,
                anonymous_id=f"a-{device}",
                user_id=user,
                skew=device * 100,
                sequence=chance.choice([None, number]),
                consent=said,
            )
        )
        if chance.random() < 0.1:
            made.append({**made[-1], "received_at": made[-1]["sent_at"]})
        if chance.random() < 0.05:
            made.append({**made[-1], "channel": "server"})
        if chance.random() < 0.05:
            made.append(
                event(
                    seconds,
                    name="agent_fetch",
                    anonymous_id=None,
                    consent=None,
                    properties={"observation": "owned", "content_id": "c"},
                )
            )
    made += [
        login(9, anonymous_id="a-1", user_id="u-0"),
        link([("user_id", "u-0"), ("email", "a@b.org")], 10),
    ]
    made.append(event(0, sent_at=None, occurred_at="2026-10-01T12:00:00.123456789+02:00"))
    made.append(event(0, received_at="2026-10-09T12:00:00Z"))
    return [line(record) for record in made] + [b"\n", b"{broken\n", b'{"a":1,"a":1}\n']


def digest(found: Prepared) -> bytes:
    return (found.folder / "events.parquet").read_bytes()


def test_any_order_any_split_any_archive_gives_the_same_bytes(tmp_path: Path, lines: list[bytes]):
    whole = prepared(tmp_path, lines)
    shuffled = lines.copy()
    random.Random(1).shuffle(shuffled)
    folder = tmp_path / "seven"
    folder.mkdir()
    for part in range(7):
        content = b"".join(shuffled[part::7])
        name, packed = [
            ("ndjson", content),
            ("ndjson.gz", gzip.compress(content)),
            ("jsonl.zst", zstandard.compress(content)),
        ][part % 3]
        (folder / f"part-{part}.{name}").write_bytes(packed)
    split = el.prepare(folder, policy=lenient_policy(tmp_path), plain_identifiers=True, max_rejected=1.0)
    assert digest(split) == digest(whole)
    assert [entry.to_dict() for entry in split.ledger] == [entry.to_dict() for entry in whole.ledger]
    assert split.run["row_digest"] == whole.run["row_digest"]


def test_the_engine_suits_how_many_events_there_are(tmp_path: Path):
    assert chosen_engine("auto", 1 << 20) == "polars"
    assert chosen_engine("auto", (1 << 20) + 1) == "duckdb"
    assert chosen_engine("pandas", 1) == "pandas"
    found = prepared(tmp_path, [event()])
    assert (found.run["engine"], found.run["parameters"]["engine"]) == ("polars", "auto")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_logged_twice_moves_nobody(tmp_path: Path, engine: str):
    """Copies that agree to the last byte tie in every order; a window that takes them in turn must not matter."""
    events: list[dict[str, Any]] = []
    for device in (f"a-{n}" for n in range(100)):
        start = len(events)
        events += [
            event(start, anonymous_id=device, skew=300_000),
            *[event(start + 600, anonymous_id=device, delay=0)] * 2,
            event(start + 900, anonymous_id=device, sequence=0),
        ]
    counts = {
        (found.run["row_digest"], found.ledger.rows_out)
        for found in (prepared(tmp_path, events, engine=name) for name in (engine, engine, "polars"))
    }
    assert [rows for _, rows in counts] == [300]


@pytest.mark.parametrize("engine", sorted(set(ENGINES) - {"duckdb"}))
def test_engines_give_the_same_bytes(tmp_path: Path, lines: list[bytes], engine: str):
    for table in ("events", "people", "sessions", "quarantine", "refused_merges", "evidence"):
        if table == "events":
            one, other = (prepared(tmp_path, lines, engine=name) for name in ("duckdb", engine))
        left, right = (pq.read_table(found.folder / f"{table}.parquet") for found in (one, other))
        columns = [name for name in left.column_names if name != "source_file"]
        assert left.select(columns).equals(right.select(columns))
    assert digest(one) == digest(other)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_withdrawals_and_clashing_ids_are_the_same_on_every_engine_in_any_order(tmp_path: Path, engine: str):
    refused: dict[str, Any] = dict.fromkeys(
        ("analytics", "identity", "training", "personalization", "advertising"), False
    )
    events = [
        event(
            n, anonymous_id=f"a-{n % 3}", consent=consent(updated=-9 + n % 5, **(refused if n == 7 else {}))
        )
        for n in range(15)
    ]
    events += [
        {**events[0], "sequence": n, "sent_at": events[n]["sent_at"], "occurred_at": events[4]["occurred_at"]}
        for n in range(6)
    ]
    shuffled = events.copy()
    random.Random(5).shuffle(shuffled)
    assert digest(prepared(tmp_path, shuffled, engine=engine)) == digest(prepared(tmp_path, events))


def test_every_line_is_accounted_for(tmp_path: Path, lines: list[bytes]):
    found = prepared(tmp_path, lines)
    entries = list(found.ledger)
    assert entries[0].rows_in == len(lines)
    assert all(entry.rows_in == entry.rows_out + sum(entry.removed.values()) for entry in entries)
    assert entries[-1].rows_out == len(found.events)
    refused = sum(count for code, count in found.ledger.removed("read").items() if code != "blank_line")
    assert len(found.quarantine) == refused + sum(found.ledger.removed("lateness").values())


def test_files_have_the_contracts_columns(tmp_path: Path, lines: list[bytes]):
    found = prepared(tmp_path, lines)  # a temporary dataset lives as long as its object
    folder = found.folder
    assert pq.read_schema(folder / "events.parquet").equals(EVENT_COLUMNS)
    assert pq.read_schema(folder / "quarantine.parquet").equals(QUARANTINE_COLUMNS)


def test_hostile_lines_are_refused_with_their_code_and_place_and_nothing_else_is_lost(tmp_path: Path):
    records = [item for raw in HOSTILE for item in (line(event()), raw + b"\n")]
    found = prepared(tmp_path, records)
    assert len(found.events) == len(HOSTILE)
    assert found.quarantine["code"].tolist() == list(HOSTILE.values())
    log = b"".join(records)
    for (raw, _), (_, row) in zip(HOSTILE.items(), found.quarantine.iterrows(), strict=True):
        offset, length = int(row["byte_offset"]), int(row["byte_length"])
        assert log[offset : offset + length] == raw


def test_refused_text_is_kept_only_where_asked_for(tmp_path: Path):
    records = [line(event()), b'{"secret": \n']
    assert "raw" not in prepared(tmp_path, records).quarantine
    assert prepared(tmp_path, records, keep_raw=True).quarantine["raw"].tolist() == ['{"secret": ']


def test_empty_log_is_an_empty_dataset(tmp_path: Path):
    found = prepared(tmp_path, [])
    assert (len(found.events), len(found.people), len(found.sessions), found.ledger.rows_in) == (0, 0, 0, 0)


def test_parquet_in(tmp_path: Path):
    import pyarrow as pa

    events = [event(0), event(5, user_id="u-1")]
    table = pa.Table.from_pylist(
        [{**e, "user_id": e.get("user_id"), "properties": line(e["properties"]).decode()} for e in events]
    )
    pq.write_table(table, tmp_path / "log.parquet")
    found = el.prepare(tmp_path / "log.parquet", policy=lenient_policy(tmp_path), plain_identifiers=True)
    assert digest(found) == digest(prepared(tmp_path, events))


def test_partitioned_parquet_in(tmp_path: Path):
    import pyarrow as pa

    events = [event(0), login(5, user_id="u-1"), event(9)]
    lines = [line(each).decode() for each in events]
    texts = tmp_path / "texts" / "day=2026-10-01"
    texts.mkdir(parents=True)
    pq.write_table(pa.table({"value": lines}), texts / "part-0.parquet")
    (tmp_path / "texts" / "_SUCCESS").touch()
    folders = tmp_path / "folders"
    for each in events:
        part = folders / "day=2026-10-01" / f"event_name={each['event_name']}"
        part.mkdir(parents=True, exist_ok=True)
        row = {**each, "properties": line(each["properties"]).decode()}
        row.pop("event_name")
        pq.write_table(pa.Table.from_pylist([row]), part / f"{each['event_id']}.parquet")
    expected = digest(prepared(tmp_path, events))
    for folder in (tmp_path / "texts", folders):
        found = el.prepare(folder, policy=lenient_policy(tmp_path), plain_identifiers=True)
        assert digest(found) == expected
        assert found.run["passed_over"] == []


def test_partitioned_parquet_out(tmp_path: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "_BATCH", 32)
    whole = prepared(tmp_path, lines)
    parts = prepared(tmp_path, lines, partitioned=True)
    assert not (parts.folder / "events.parquet").exists()
    assert len(list((parts.folder / "events").iterdir())) > 1
    assert parts.events.equals(whole.events)
    assert parts.sessions.equals(whole.sessions)
    assert parts.run["row_digest"] == whole.run["row_digest"]
    kept = el.load(parts.save(tmp_path / "kept"))
    assert kept.events.equals(whole.events)


def test_too_much_rejected_is_refused_and_the_last_dataset_stays(tmp_path: Path):
    out = tmp_path / "out"
    good = el.prepare(write_log(tmp_path / "good.ndjson", [event()]), out=out)
    bad = write_log(tmp_path / "bad.ndjson", [event(), b"{\n", b"{\n"])
    with pytest.raises(
        DataRefusedError, match=r"2 of 3 records were rejected, over the share of 50%.*broken_json 2"
    ):
        el.prepare(bad, out=out)
    assert el.load(out).folder == good.folder
    assert sorted(path.name for path in out.iterdir()) == ["current", "versions"]


def test_truncated_archive_is_counted_not_fatal(tmp_path: Path):
    packed = gzip.compress(b"".join(line(event(n)) for n in range(200)))
    (tmp_path / "log.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    found = el.prepare(tmp_path / "log.ndjson.gz", max_rejected=1.0)
    assert found.quarantine["code"].tolist() == ["truncated_archive"]
    assert found.ledger.rows_in == len(found.events) + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"master": "local[1]"}, r"goes with the engine spark"),
        ({"engine": "duckbd"}, r"unknown engine 'duckbd'\. Did you mean 'duckdb'\?"),
        ({"source": "segmnt"}, r"unknown source 'segmnt'"),
        ({"policy": "nowhere.yaml"}, r"cannot read the policy nowhere\.yaml"),
        ({"max_rejected": 2.0}, r"max_rejected is a share from 0 to 1"),
        ({"schemas": Path("nowhere")}, r"nowhere holds no schemas"),
        ({"registry": Path("nowhere.parquet")}, r"nowhere\.parquet is no registry\.parquet"),
        ({"key": Path("nowhere.key")}, r"cannot read the key file nowhere\.key"),
    ],
)
def test_bad_call_names_the_argument(tmp_path: Path, options: dict[str, object], message: str):
    with pytest.raises(BadCallError, match=message):
        el.prepare(write_log(tmp_path / "log.ndjson", [event()]), **options)  # type: ignore[arg-type]  # wrong on purpose


def test_save_and_load(tmp_path: Path):
    found = el.prepare(write_log(tmp_path / "log.ndjson", [event()]))
    found.save(tmp_path / "kept")
    again = el.load(tmp_path / "kept")
    assert again.events.equals(found.events)
    assert again.run == found.run
    with pytest.raises(BadCallError, match=r"exists already"):
        found.save(tmp_path / "kept")


def test_read_then_prepare_is_prepare(tmp_path: Path):
    log = write_log(tmp_path / "log.ndjson", [event(), b"{\n", event(3)])
    read = el.read(log)
    assert (len(read.events), len(read.quarantine), read.ledger.removed()) == (2, 1, {"broken_json": 1})
    assert digest(el.prepare(read)) == digest(el.prepare(log))


_KILLED = """
import sys
from pathlib import Path
from typing import Any
import eventlib as el
el.prepare(sys.argv[1], out=sys.argv[2], onto=sys.argv[3] if len(sys.argv) > 3 else None)
"""


@pytest.mark.parametrize("folder", ["source=zzz", "received_at=2026-01-01", "row=7", "event_id=1"])
def test_a_folder_named_like_a_partition_is_no_part_of_the_data(tmp_path: Path, folder: str):
    events = [event(n * 60, anonymous_id=f"a-{n % 3}") for n in range(12)]
    log = write_log(tmp_path / "log.ndjson", events)
    plain, odd = (el.prepare(log, out=tmp_path / name / "out") for name in ("plain", folder))
    for name in ("events", "sessions", "people"):
        assert (odd.folder / f"{name}.parquet").read_bytes() == (
            plain.folder / f"{name}.parquet"
        ).read_bytes()
    assert odd.run["row_digest"] == plain.run["row_digest"]
    assert odd.events["source"].tolist() == plain.events["source"].tolist()


def test_a_folder_in_the_pointers_place_is_refused(tmp_path: Path):
    log = write_log(tmp_path / "log.ndjson", [event()])
    (tmp_path / "out" / "current").mkdir(parents=True)
    with pytest.raises(BadCallError, match="current is no link"):
        el.prepare(log, out=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["current"]


def test_no_log_at_all_is_refused_and_leaves_the_last_dataset(tmp_path: Path):
    good = el.prepare(write_log(tmp_path / "log.ndjson", [event()]), out=tmp_path / "out")
    with pytest.raises(BadCallError, match="the list of logs is empty"):
        el.prepare([], out=tmp_path / "out")
    assert el.load(tmp_path / "out").folder == good.folder


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(path.read_bytes() + line(event(9))),
        lambda path: Path(shutil.copy(path, path.with_suffix(".new"))).replace(path),
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 10),
    ],
    ids=["appended", "rotated", "removed", "cut"],
)
def test_a_log_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: Callable[[Path], None]):
    path = write_log(tmp_path / "log.ndjson", [event(n) for n in range(5)])

    waiting = [change]

    def meanwhile(*_: int) -> None:
        if waiting:
            waiting.pop()(path)

    with pytest.raises(BadCallError, match=r"log\.ndjson changed while it was read"):
        read_rows(path, progress=meanwhile)


@pytest.mark.slow
@pytest.mark.parametrize("added", [False, True], ids=["anew", "onto"])
def test_killed_at_any_moment_leaves_the_last_good_dataset(tmp_path: Path, *, added: bool):
    out = tmp_path / "out"
    whole = 20_001 if added else 20_000
    good = el.prepare(write_log(tmp_path / "good.ndjson", [event()]), out=out)
    log = write_log(
        tmp_path / "big.ndjson", (event(n * 0.5, anonymous_id=f"a-{n % 50}") for n in range(20_000))
    )
    chance = random.Random(3)
    for moment in (0.6, 1.5, *(chance.uniform(1, 6) for _ in range(2 if added else 4))):
        onto = [str(good.folder)] if added else []
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(log), str(out), *onto], start_new_session=True
        )
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        found = el.load(out)
        assert len(found.events) in (1, whole)
        assert found.folder == good.folder or len(found.events) == whole
    last = el.prepare(tmp_path / "good.ndjson", out=out)
    assert el.load(out).folder == last.folder
    assert not list(out.glob(".work-*")), "a later run removes what killed ones left"


@pytest.mark.parametrize("moment", [0.2, 1.0])
def test_an_interrupted_run_says_so(tmp_path: Path, moment: float):
    log = write_log(
        tmp_path / "log.ndjson", (event(n * 0.5, anonymous_id=f"a-{n % 50}") for n in range(60_000))
    )
    command = [sys.executable, "-m", "eventlib", "prepare", str(log), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not list(tmp_path.glob("out/.work-*")):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate()[1].decode()
    # Python itself may end by the signal, if that comes while it is ending
    assert process.returncode in (130, -signal.SIGINT)
    assert told.splitlines()[-1] == "eventlib: interrupted; nothing was published"
    assert "Traceback" not in told
    assert not (tmp_path / "out/current").exists()


def test_events_know_what_they_are_allowed(tmp_path: Path):
    found = prepared(tmp_path, [event(consent=consent(training=False)), event(anonymous_id="a-2")])
    result = el.filter_consent(found.events, purposes=["analytics", "training"])
    assert result.entry.to_dict()["removed"] == {"not_allowed": 1}
    assert result.events["allow_training"].tolist() == [True]
    with pytest.raises(BadCallError, match=r"unknown purpose 'anlytics'\. Did you mean 'analytics'"):
        el.filter_consent(found.events, purposes=["anlytics"])


def test_properties_are_typed_by_the_schema(tmp_path: Path):
    shown = {
        "observation": "owned",
        "citation_id": "ci",
        "answer_id": "an",
        "content_id": "c",
        "position": 2,
        "words_attributed": 3,
    }
    answer = {
        "observation": "owned",
        "answer_id": "an",
        "prompt_id": "p",
        "engine": "site_assistant",
        "candidates": [{"content_id": "c", "retrieval_rank": 1}],
    }
    found = prepared(
        tmp_path,
        [event(name="citation_show", properties=shown), event(1, name="answer_generate", properties=answer)],
    ).events
    shows = el.properties(found, "citation_show")
    assert (
        shows["position"].tolist(),
        shows["words_attributed"].tolist(),
        shows["slot"].isna().tolist(),
    ) == ([2], [3.0], [True])
    assert "property_url" in shows
    answers = el.properties(found, "answer_generate")
    assert answers["candidates"].tolist()[0][0]["content_id"] == "c"
    assert len(el.properties(found, "page_view")) == 0
    with pytest.raises(BadCallError, match=r"unknown event name 'page_veiw'\. Did you mean 'page_view'"):
        el.properties(found, "page_veiw")


def test_events_that_another_version_judged_are_noted(tmp_path: Path):
    found = prepared(tmp_path, [event(schema_version="1-0-7"), event(schema_version="1-0-7"), event()])
    assert found.run["judged_by"] == [
        {"event_name": "page_view", "schema_version": "1-0-7", "judged_by": "1-0-0", "rows": 2}
    ]
    assert found.run["superseded"] == {}
    assert sorted(found.events["schema_version"]) == ["1-0-0", "1-0-7", "1-0-7"]


def test_a_disk_that_will_not_do_is_told_before_anything_is_read(tmp_path, monkeypatch):
    log = write_log(tmp_path / "a.ndjson", [event()])
    free = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: free)
    with pytest.raises(BadCallError, match=r"at least .* GB of disk"):
        el.prepare(log, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_leaves_the_last_version(tmp_path, monkeypatch):
    log = write_log(tmp_path / "a.ndjson", [event()])
    before = el.prepare(log, out=tmp_path / "out").folder

    def full(*_arguments: object, **_named: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(preparing, "write_events", full)
    with pytest.raises(BadCallError, match="the disk is full; nothing was published"):
        el.prepare(log, out=tmp_path / "out")
    assert (tmp_path / "out" / "current").resolve() == before.resolve()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".work")] == []


def test_identifiers_are_found_by_the_version_that_judges_the_event(tmp_path: Path):
    schemas = Path(shutil.copytree(schemas_dir(), tmp_path / "schemas"))
    for version, marks in (("1-0-0", {"x-identifier": True}), ("2-0-0", {})):
        path = schemas / "events" / "seat_book" / f"{version}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(orjson.dumps({"properties": {"member": {"type": "string", **marks}}}))
    events = [
        event(n, name="seat_book", schema_version=version, properties={"member": "m-1"})
        for n, version in enumerate(("1-0-0", "1-0-5", "2-0-0"))
    ]
    found = prepared(tmp_path, events, schemas=schemas, plain_identifiers=False)
    assert ["m-1" in text for text in found.events["properties"]] == [False, False, True]


def test_order_and_split_of_hostile_lines_do_not_matter(tmp_path: Path):
    corpus = [item.raw + b"\n" for item in hostile_lines(1_000, seed=5)]
    whole = prepared(tmp_path, corpus)
    random.Random(2).shuffle(corpus)
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(3):
        (folder / f"{part}.ndjson").write_bytes(b"".join(corpus[part::3]))
    split = el.prepare(folder, policy=lenient_policy(tmp_path), plain_identifiers=True, max_rejected=1.0)
    assert digest(split) == digest(whole)
    assert split.ledger.to_list() == whole.ledger.to_list()
