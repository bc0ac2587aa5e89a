"""S3.6: a log added to a prepared dataset gives what preparing everything at once gives, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from eventlib.api import prepare
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.incremental.merging import WrittenEvents, merged_events
from eventlib.model import EVENT_COLUMNS, PURPOSES
from eventlib.prepared import Prepared
from eventlib.simulate import WorldParameters, simulate
from tests.factory import KEY, at, consent, event, lenient_policy, line, link, login, write_log

TABLES = ("events", "people", "sessions", "quarantine", "refused_merges", "registry", "evidence")


class Runs:
    """One way of preparing: the same key, policy and options for each run."""

    def __init__(self, tmp_path: Path, **options: Any) -> None:
        tmp_path.mkdir(exist_ok=True)
        self.tmp, self.runs = tmp_path, 0
        (tmp_path / "key").write_text(KEY)
        self.options = {
            "key": tmp_path / "key",
            "policy": lenient_policy(tmp_path),
            "max_rejected": 1.0,
            **options,
        }

    def log(self, events: Sequence[object]) -> Path:
        self.runs += 1
        return write_log(self.tmp / f"log-{self.runs}.ndjson", events)

    def prepare(self, logs: Sequence[Path], **options: Any) -> Prepared:
        self.runs += 1
        return prepare(logs, out=self.tmp / f"run-{self.runs}", **{**self.options, **options})

    def both(self, parts: Sequence[Sequence[object]], **last: Any) -> tuple[Prepared, Prepared]:
        """Prepare parts one onto the other, and all of them at once, on another engine."""
        logs = [self.log(part) for part in parts]
        base = found = self.prepare(logs[:1])
        for log in logs[1:]:
            base, found = found, self.prepare([log], onto=found.folder, **last)
        return found, self.prepare(
            logs, registry=base.folder / "registry.parquet", **{"engine": "duckdb", **last}
        )


def assert_same(added: Prepared, whole: Prepared) -> None:
    for name in TABLES:
        one, other = (found.folder / f"{name}.parquet" for found in (added, whole))
        assert one.read_bytes() == other.read_bytes(), f"{name}: {pq.read_table(one)} {pq.read_table(other)}"
    assert added.ledger.to_list() == whole.ledger.to_list()
    for name in ("row_digest", "withheld", "consent", "duplicates", "inputs"):
        assert added.run[name] == whole.run[name]


def arrived(raw: bytes) -> str:
    try:
        return str(orjson.loads(raw)["received_at"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def world(folder: Path, seed: int, events: int = 2000) -> list[bytes]:
    """A simulated log, by arrival."""
    simulate(folder, events, seed, replace(WorldParameters(), days=42), plain=True)
    lines = [
        raw for file in sorted(folder.glob("*.ndjson")) for raw in file.read_bytes().splitlines(keepends=True)
    ]
    return sorted(lines, key=arrived)


def split(lines: Sequence[bytes], parts: int) -> list[Sequence[bytes]]:
    cuts = [round(number * len(lines) / parts) for number in range(parts + 1)]
    return [lines[start:end] for start, end in pairwise(cuts)]


@pytest.mark.parametrize(
    ("seed", "parts", "options"),
    [
        (3, 2, {}),
        (4, 3, {"plain_identifiers": True}),
        (5, 5, {"engine": "polars"}),
    ],
)
def test_a_world_in_parts_is_the_world_at_once(
    tmp_path: Path, seed: int, parts: int, options: dict[str, Any]
):
    lines = world(tmp_path / "world", seed)
    added, whole = Runs(tmp_path, **options).both(split(lines, parts))
    assert_same(added, whole)
    assert 0 < added.run["onto"]["recomputed"] < len(lines) * (parts - 1) / parts


def by(device: str, seconds: float, user: str | None = None, **fields: Any) -> dict[str, Any]:
    return event(seconds, anonymous_id=device, user_id=user, **fields)


def refusal(device: str, seconds: float, *, allowed: bool = False) -> dict[str, Any]:
    """A consent_update of every purpose."""
    said = dict.fromkeys(PURPOSES, allowed)
    return event(
        seconds,
        name="consent_update",
        anonymous_id=device,
        consent=consent(updated=seconds, **dict.fromkeys(PURPOSES)),
        properties={"purposes": said, "method": "settings"},
    )


HOUR = 3600.0
SENT_TWICE = by("a-1", 50, event_id="twice")
CASES: dict[str, list[list[dict[str, Any]]]] = {
    "late events split and join sessions": [
        [by("a-1", 0), by("a-1", 2 * HOUR), by("a-2", 5)],
        [by("a-1", HOUR / 2 - 1, delay=5 * HOUR, sent_at=at(5 * HOUR)), by("a-1", 3 * HOUR)],
        [by("a-1", HOUR, delay=9 * HOUR), by("a-1", 1.4 * HOUR, delay=9 * HOUR, sent_at=at(9 * HOUR))],
    ],
    "a session over the border": [[by("a-1", 0), by("a-1", 60)], [by("a-1", 120)], [by("a-1", 180)]],
    "a withdrawal reaches back": [
        [by("a-1", 0), by("a-1", 60), by("a-2", 0)],
        [refusal("a-1", 100), by("a-1", 200)],
    ],
    "a withdrawal reaches the user's other device": [
        [login(0, anonymous_id="a-1", user_id="u"), login(9, anonymous_id="a-2", user_id="u"), by("a-3", 5)],
        [refusal("a-2", 100)],
    ],
    "what was withheld may be used again": [
        [by("a-1", 0, "u"), refusal("a-1", 100), by("a-2", 0)],
        [refusal("a-1", 200, allowed=True)],
    ],
    "identity was refused, and is granted": [
        [
            by("a-1", 0, "u"),
            link([("user_id", "u"), ("email", "u@site.org")], 5),
            event(
                50,
                name="consent_update",
                consent=consent(updated=50, **dict.fromkeys(PURPOSES)),
                properties={"purposes": {"identity": False}, "method": "settings"},
            ),
        ],
        [refusal("a-1", 200, allowed=True)],
    ],
    "a login merges two devices": [
        [by("a-1", 0), by("a-2", 0), login(10, anonymous_id="a-1", user_id="u")],
        [login(99, anonymous_id="a-2", user_id="u")],
    ],
    "a device becomes shared, then public": [
        [login(0, anonymous_id="kiosk", user_id="u-0"), by("kiosk", 5), login(7, anonymous_id="a-1", user_id="u-0")],
        [login(HOUR, anonymous_id="kiosk", user_id="u-1"), by("kiosk", HOUR + 5)],
        [login((n + 2) * HOUR, anonymous_id="kiosk", user_id=f"u-{n}") for n in range(2, 12)],
    ],
    "links, shared and not": [
        [link([("user_id", "u"), ("email", "x@site.org")], 0, anonymous_id="a-1"), by("a-1", 9, "u")],
        [link([("user_id", "v"), ("email", "x@site.org")], 50, anonymous_id="a-2")],
    ],
    "junk is no edge, but a stream": [
        [login(0, anonymous_id="a-1", user_id="null"), by("undefined", 10), by("undefined", 20, "u")],
        [login(50, anonymous_id="a-2", user_id="null"), by("undefined", 2 * HOUR), by("a-3", 9, "u")],
    ],
    "ids that differ in spaces only": [[by("a-1 ", 0, "u")], [by("a-1", 50, "u "), by(" a-1", 70)]],
    "a retry after the border": [[SENT_TWICE, by("a-2", 7)], [{**SENT_TWICE, "received_at": "2026-10-01T12:10:00Z"}]],
    "a retry that was received first": [
        [{**SENT_TWICE, "received_at": "2026-10-01T12:10:00Z"}, by("a-2", 7)],
        [SENT_TWICE],
    ],
    "clashing ids": [
        [by("a-1", 50, event_id="same"), by("a-1", 60)],
        [by("a-2", 40, event_id="same"), by("a-3", 70, event_id="same")],
    ],
    "the same moment everywhere": [
        [by(f"a-{n}", 0, event_id=f"e-{n}") for n in (3, 1, 5)],
        [by(f"a-{n}", 0, event_id=f"f-{n}") for n in (4, 1, 2, 6)],
    ],
    "events about nobody": [
        [event(n, name="agent_fetch", anonymous_id=None, consent=None, event_id=f"f-{n}",
               properties={"observation": "owned", "content_id": "c-1", "purpose": "training"}) for n in (1, 2)],
        [event(n, name="agent_fetch", anonymous_id=None, consent=None, event_id=f"f-{n}",
               properties={"observation": "owned", "content_id": "c-1", "purpose": "training"}) for n in (1, 3)],
    ],
    "too late and too early": [
        [by("a-1", 0), by("a-1", 10, delay=100 * HOUR), by("a-1", 30 * HOUR, delay=-25 * HOUR)],
        [by("a-1", 20, delay=101 * HOUR), by("a-1", 40)],
    ],
    "a clock that was wrong": [[by("a-1", 0, skew=900), by("a-1", 60, skew=900)], [by("a-1", 90, skew=900, delay=0.1)]],
    "nothing new": [[by("a-1", 0)], []],
}  # fmt: skip


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_added_is_as_if_prepared_at_once(tmp_path: Path, case: str, plain: bool):
    assert_same(*Runs(tmp_path, plain_identifiers=plain).both(CASES[case]))


def test_an_earlier_moment_takes_back_what_was_decided(tmp_path: Path):
    runs = Runs(tmp_path)
    parts = [[by("a-1", 0), refusal("a-1", HOUR), by("a-2", 0)], [by("a-2", 2 * HOUR)]]
    before, after = (datetime(2026, 10, 1, hour, tzinfo=UTC) for hour in (12, 18))
    logs = [runs.log(part) for part in parts]
    base = runs.prepare(logs[:1], as_of=before.replace(minute=30))
    added = runs.prepare(logs[1:], onto=base.folder, as_of=after)
    whole = runs.prepare(logs, registry=base.folder / "registry.parquet", as_of=after)
    assert_same(added, whole)
    first, *_ = (part["event_id"] for part in parts[0])
    assert first in set(base.events["event_id"])
    assert first not in set(added.events["event_id"])  # withdrawn before the later moment


@pytest.fixture
def base(tmp_path: Path) -> tuple[Runs, Path, Path]:
    runs = Runs(tmp_path)
    log = runs.log([by("a-1", 0, "u"), by("a-2", 5), refusal("a-1", 100)])
    return runs, runs.prepare([log]).folder, log


def test_a_log_is_added_once(base: tuple[Runs, Path, Path]):
    runs, folder, log = base
    copy = log.with_name("copy.ndjson")
    copy.write_bytes(log.read_bytes())
    with pytest.raises(BadCallError, match=r"copy\.ndjson is in .* already, as .*log-1\.ndjson"):
        runs.prepare([copy], onto=folder)
    log.write_bytes(line(by("a-9", 0)))
    with pytest.raises(BadCallError, match=r"holds another log by the name .*log-1\.ndjson"):
        runs.prepare([log], onto=folder)


def test_a_log_is_known_by_any_spelling_of_its_path(
    base: tuple[Runs, Path, Path], monkeypatch: pytest.MonkeyPatch
):
    runs, folder, log = base
    log.write_bytes(log.read_bytes() + line(by("a-9", 200)))
    monkeypatch.chdir(log.parent)
    with pytest.raises(BadCallError, match=r"holds another log by the name log-1\.ndjson"):
        runs.prepare([Path(log.name)], onto=folder)


def test_days_without_events_are_added_like_others(tmp_path: Path):
    assert_same(*Runs(tmp_path).both([[by("a-1", 0)], [], [], [by("a-1", 90)]]))


def test_what_is_read_again_is_held_to_the_runs_own_limits(tmp_path: Path):
    late = by("a-1", 100, event_id="late", consent=consent(updated=50), delay=8000, sent_at=at(100))
    first = [late, refusal("a-1", 1000)]
    assert_same(*Runs(tmp_path, too_late="1h").both([first, [refusal("a-1", 20_000, allowed=True)]]))


def test_other_settings_are_refused_by_name(base: tuple[Runs, Path, Path], tmp_path: Path):
    runs, folder, _ = base
    new = runs.log([by("a-2", 50)])
    other = tmp_path / "other-key"
    other.write_text("cd" * 32)
    for options, what in (
        ({"key": other}, "the key of pseudonyms"),
        ({"policy": lenient_policy(tmp_path, grant_max_age_days=7)}, "the content of the consent policy"),
        ({"plain_identifiers": True}, r"--plain-identifiers \(False there, True here\)"),
        ({"registry": folder / "registry.parquet"}, "--registry cannot be given"),
    ):
        with pytest.raises(BadCallError, match=what):
            runs.prepare([new], onto=folder, **options)


def test_a_mapping_that_says_something_else_by_now_is_refused(tmp_path: Path):
    mapping, key, policy = tmp_path / "shop.yaml", tmp_path / "key", lenient_policy(tmp_path)
    key.write_text(KEY)
    text = "source: shop\nevent_name: what\nfields: {event_id: id, occurred_at: at, anonymous_id: visitor, consent.purposes: may}\n"
    mapping.write_text(text)
    logs = [tmp_path / "a.ndjson", tmp_path / "b.ndjson", tmp_path / "c.ndjson"]
    for number, log in enumerate(logs):
        event = {
            "id": f"e-{number}",
            "what": "read",
            "at": "2026-10-03T08:15:30Z",
            "visitor": "v",
            "may": {"analytics": True},
        }
        log.write_bytes(orjson.dumps(event) + b"\n")
    told: dict[str, Any] = {"source": str(mapping), "key": key, "policy": policy, "out": tmp_path / "out"}
    prepare(logs[0], **told)
    assert len(prepare(logs[1], onto=tmp_path / "out", **told).events) == 2
    mapping.write_text(text.replace("anonymous_id: visitor", "user_id: visitor"))
    with pytest.raises(BadCallError, match=r"shop\.yaml has changed since .*a\.ndjson was read by it"):
        prepare(logs[2], onto=tmp_path / "out", **told)


def test_a_base_without_state_is_refused(base: tuple[Runs, Path, Path]):
    runs, folder, _ = base
    new = runs.log([by("a-2", 50)])
    stamp = folder / "state" / "state.json"
    stamp.write_bytes(orjson.dumps({**orjson.loads(stamp.read_bytes()), "format": 0}))
    with pytest.raises(BadCallError, match="a state of format 0, this eventlib reads"):
        runs.prepare([new], onto=folder)
    stamp.unlink()
    with pytest.raises(BadCallError, match="holds no state to build on: prepare all its logs anew"):
        runs.prepare([new], onto=folder)


def test_what_must_be_read_again_and_is_gone_is_told(base: tuple[Runs, Path, Path]):
    runs, folder, log = base
    new = runs.log([refusal("a-1", 200, allowed=True)])
    text = log.read_bytes()
    log.write_bytes(text.replace(b'"v-', b'"w-'))
    with pytest.raises(DataRefusedError, match=r"1 events of .*log-1\.ndjson .* but the file has changed"):
        runs.prepare([new], onto=folder)
    log.unlink()
    with pytest.raises(DataRefusedError, match=r"events of .*log-1\.ndjson .* but the file has moved"):
        runs.prepare([new], onto=folder)
    log.write_bytes(text)
    assert len(runs.prepare([new], onto=folder).events) > 1


def test_state_holds_no_raw_text(tmp_path: Path):
    secrets = [
        "device-of-ann",
        "user-ann",
        "ann@site.org",
        "https://site.org/ann",
        "page-of-ann",
        "event-of-ann",
    ]
    events = [
        by(secrets[0], 0, secrets[1], event_id=secrets[5], context={"url": secrets[3], "referrer": None, "user_agent": None},
           properties={"observation": "owned", "page_view_id": secrets[4], "content_id": "c-1"}),
        link([("user_id", secrets[1]), ("email", secrets[2])], 5, anonymous_id=secrets[0]),
        by("null", 9, secrets[1], event_id=secrets[5]),
    ]  # fmt: skip
    found = Runs(tmp_path).both([events, [by("a-2", 50, secrets[1])]])[0]
    files = [file for file in (found.folder / "state").rglob("*") if file.is_file()]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    for file in files:
        decoded = str(pq.read_table(file).to_pylist()) if file.suffix == ".parquet" else file.read_text()
        for secret in secrets:
            assert secret not in decoded, (file.name, secret)
            assert secret.encode() not in file.read_bytes()


def test_a_base_of_many_row_groups_is_read_by_one_thread_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("eventlib.arrow.ROW_GROUP", 10)
    monkeypatch.setattr("eventlib.incremental.merging._AHEAD", 90)
    events = [event(number, anonymous_id=f"a-{number // 10}") for number in range(1000)]
    runs = Runs(tmp_path)
    # the last device's rows lie behind what is read ahead, which is under way when they are asked for
    assert_same(*runs.both([events, [event(1000, anonymous_id="a-99")]]))


def test_what_is_read_ahead_is_given_up_when_the_run_fails(tmp_path: Path):
    runs = Runs(tmp_path)
    path = runs.prepare([runs.log([event(number) for number in range(20)])]).folder / "events.parquet"
    gone = np.zeros(20, bool)
    with (
        ThreadPoolExecutor(1) as beside,
        pytest.raises(DataRefusedError),
        WrittenEvents(path, beside) as held,
    ):
        raise DataRefusedError("as if")
    with pytest.raises(CancelledError):
        next(merged_events(held, gone, EVENT_COLUMNS.empty_table(), np.zeros(0, np.int64)))
