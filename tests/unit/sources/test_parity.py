"""One day of a site as each tracker would have logged it: the same events, and every record accounted for, whole or damaged."""

from __future__ import annotations

import gzip
import random
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

import eventlib as el
from eventlib.api import ReadLog
from eventlib.errors import BadCallError
from eventlib.masking import mask_emails
from eventlib.schema import registry
from eventlib.sources import detect
from tests.factory import KEY, lenient_policy
from tests.foreign import FORMATS, foreign_log

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "sample.ndjson.gz"
SAME = (
    "event_name", "anonymous_id", "user_id", "occurred_at", "received_at", "referrer", "user_agent", "ai_engine",
    "observation", "links",
)  # fmt: skip
NOT_SAID = {
    "posthog": {"anonymous_id"},  # an event without a device has the id `server` there
    "ga4": {"received_at", "user_agent"},
}


@cache
def events() -> list[dict[str, Any]]:
    """Every twentieth valid event of the sample, and some of each kind."""
    lines = gzip.decompress(SAMPLE.read_bytes()).splitlines()
    valid: list[dict[str, Any]] = []
    for line in lines:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict) and registry().judge(record) is None:
            valid.append(record)
    kinds: dict[str, int] = {}
    kept, known = [], set()
    for nth, record in enumerate(valid):
        kinds[record["event_name"]] = kinds.get(record["event_name"], 0) + 1
        if (nth % 20 == 0 or kinds[record["event_name"]] <= 10) and record["event_id"] not in known:
            known.add(record["event_id"])
            kept.append(record)
    return kept


def suffix(source: str) -> str:
    return "tsv" if source == "snowplow" else "json"


def read(tmp_path: Path, name: str, data: bytes, **options: Any) -> ReadLog:
    path = tmp_path / f"{name}.{suffix(name)}"
    path.write_bytes(data)
    return el.read(path, **options)


def by_id(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    ids = frame["event_id"].str.partition(":")[2] if source == "cloudevents" else frame["event_id"]
    return frame.assign(event_id=ids).set_index("event_id")


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    path = tmp_path_factory.mktemp("native") / "log.ndjson"
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in events()))
    return el.read(path).events.set_index("event_id")


def accounted(log: ReadLog) -> tuple[int, int]:
    """Return records and events; that nothing is lost between them."""
    (entry,) = log.ledger.to_list()
    assert entry["rows_in"] == entry["rows_out"] + sum(entry["removed"].values())
    assert entry["rows_out"] == len(log.events)
    return entry["rows_in"], entry["rows_out"]


@pytest.mark.parametrize("source", [name for name in FORMATS if name != "ga4"])
def test_the_same_day_is_the_same_events(tmp_path, native, source):
    log = read(tmp_path, source, foreign_log(events(), source))
    assert accounted(log) == (len(events()), len(events()))
    assert {entry["source"] for entry in log.log.inputs} == {source}
    found = by_id(log.events, source).loc[native.index]
    for column in set(SAME) - NOT_SAID.get(source, set()):
        assert found[column].fillna("").tolist() == native[column].fillna("").tolist(), column
    for mine, theirs in zip(native["properties"], found["properties"], strict=True):
        said = mine if '"identifiers"' in mine else mask_emails(mine)  # identifiers become pseudonyms
        assert orjson.loads(said).items() <= orjson.loads(theirs).items()


def test_ga4_tells_the_same_but_for_what_it_cannot_hold(tmp_path, native):
    log = read(tmp_path, "ga4", foreign_log(events(), "ga4"))
    records, kept = accounted(log)
    assert records == len(events())
    nobody = native["anonymous_id"].isna() & native["user_id"].isna()
    assert log.ledger.removed("read") == {"no_visitor": int(nobody.sum())}
    theirs = native[~nobody]
    key = ["event_name", "anonymous_id", "occurred_at"]
    assert log.events[key].value_counts().to_dict() == theirs[key].value_counts().to_dict()
    assert kept == len(theirs)


def test_access_logs_tell_what_agents_fetch(tmp_path):
    fetched = [one for one in events() if one["event_name"] == "agent_fetch"]
    lines = [
        f'192.0.2.1 - - [{pd.Timestamp(one["occurred_at"]):%d/%b/%Y:%H:%M:%S} +0000] "GET /{nth} HTTP/1.1" 200 17 "-" '
        f'"{(one.get("context") or {}).get("user_agent")}"'
        for nth, one in enumerate(fetched)
    ]
    path = tmp_path / "access.log"
    path.write_text("\n".join(lines))
    log = el.read(path)
    assert accounted(log) == (len(fetched), len(fetched))
    assert set(log.events["event_name"]) == {"agent_fetch"}
    assert sorted(log.events["agent"].fillna("")) == sorted(
        el.read(write(tmp_path / "native.ndjson", fetched)).events["agent"].fillna("")
    )


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records))
    return path


def test_five_formats_in_one_folder_are_prepared_in_one_run(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    parts = [events()[start::5] for start in range(5)]
    for part, source in zip(parts, ["segment", "posthog", "snowplow", "cloudevents", "native"], strict=True):
        if source == "native":
            write(folder / "native.ndjson", part)
        else:
            (folder / f"{source}.{suffix(source)}").write_bytes(foreign_log(part, source))
    (tmp_path / "key").write_text(KEY)
    done = el.prepare(folder, key=tmp_path / "key", policy=lenient_policy(tmp_path))
    assert {entry["source"] for entry in done.run["inputs"]} == {
        "segment",
        "posthog",
        "snowplow",
        "cloudevents",
        "native",
    }
    assert all(f"looks like {entry['source']} because" in entry["reason"] for entry in done.run["inputs"])
    assert done.ledger.rows_in == len(events())
    before = done.ledger.to_list()[0]["rows_out"]
    assert before == done.ledger.rows_out + sum(done.ledger.removed().values()) - sum(
        done.ledger.removed("read").values()
    )


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("seed", range(3))
def test_half_corrupt_logs_are_counted_line_by_line(tmp_path, source, seed):
    rng = random.Random(seed)
    lines = foreign_log(events()[:200], source).splitlines()
    for nth in rng.sample(range(len(lines)), len(lines) // 2):
        line = bytearray(lines[nth])
        for _ in range(rng.choice([1, 1, 5, 50])):
            line[rng.randrange(len(line))] = rng.choice(b'\x00\xff"{}[],:\\\t09aZ')
        lines[nth] = bytes(line[: rng.choice([len(line), len(line) // 2])])
    log = read(tmp_path, source, b"\n".join(lines) + b"\n", source=source)
    records, kept = accounted(log)
    assert records == len(lines)
    assert kept >= len(lines) // 2 - 120 * (source == "ga4")
    refused = log.quarantine
    assert refused["message"].notna().all()
    assert set(refused["line"]) <= set(range(1, len(lines) + 1))


@pytest.mark.parametrize("source", FORMATS)
def test_a_log_that_breaks_off_keeps_all_before_it(tmp_path, source):
    data = foreign_log(events()[:100], source)
    whole = accounted(read(tmp_path, source, data))[1]
    last = data[:-1].rindex(b"\n") + 1
    records, kept = accounted(read(tmp_path, source, data[: (last + len(data)) // 2]))
    assert records == 100
    assert kept in {whole, whole - 1}


@pytest.mark.parametrize("source", FORMATS)
def test_a_log_read_as_another_format_loses_nothing(tmp_path, source):
    data = foreign_log(events()[:60], source)
    for other in {*FORMATS, "native", "ubi", "access_log"} - {source}:
        assert accounted(read(tmp_path, source, data, source=other))[0] == 60


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("other", ["native", "segment", "posthog"])
def test_two_formats_in_one_file_ask_which_it_is(tmp_path, source, other):
    if source == other:
        return
    some = [one for one in events() if one.get("anonymous_id")][:20]
    first = foreign_log(some, source).splitlines()
    second = (
        [orjson.dumps(one) for one in some] if other == "native" else foreign_log(some, other).splitlines()
    )
    lines = [line for pair in zip(first, second, strict=True) for line in pair]
    with pytest.raises(
        BadCallError, match=f"looks like .*{source if source in {'segment', 'posthog'} else other}"
    ):
        detect(lines)
    log = read(tmp_path, source, b"\n".join(lines), source=source)
    records, kept = accounted(log)
    assert records == 40
    if (source, other) != ("rudderstack", "segment"):  # whose records are of the same form
        assert kept == 20
        assert len(log.quarantine) == 20


@pytest.mark.parametrize("source", FORMATS)
def test_each_is_told_from_every_other(source):
    name, reason = detect(foreign_log(events()[:50], source).splitlines())
    assert (name, reason[: 11 + len(source)]) == (source, f"looks like {source}")


def test_unplanned_names_may_be_refused(tmp_path):
    track = {
        "type": "track",
        "event": "Menu opened",
        "messageId": "m",
        "anonymousId": "a",
        "timestamp": "2026-10-03T08:15:30Z",
    }
    log = read(tmp_path, "segment", orjson.dumps(track), unplanned="quarantine")
    assert log.ledger.removed() == {"unknown_event": 1}
    assert accounted(read(tmp_path, "segment", orjson.dumps(track)))[1] == 1
    own = next(one for one in events() if one["event_name"] == "page_view") | {"event_name": "menu_open"}
    assert read(tmp_path, "native", orjson.dumps(own)).ledger.removed() == {"unknown_event": 1}
    assert accounted(read(tmp_path, "native", orjson.dumps(own), unplanned="allow"))[1] == 1
    with pytest.raises(BadCallError, match="unplanned"):
        read(tmp_path, "native", orjson.dumps(own), unplanned="maybe")
