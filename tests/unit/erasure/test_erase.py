"""S2.8: whoever is erased is nowhere, stays away, and takes nobody along."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventlib import publish
from eventlib.api import prepare, replay
from eventlib.erasure import Erasure, erase_from, run
from eventlib.erasure.refused import blank_refused
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.options import Options
from eventlib.prepared import Prepared, load
from eventlib.preparing import prepare_to
from eventlib.pseudonyms import Pseudonymiser, load_keys, rotate_key
from eventlib.simulate import WorldParameters, simulate
from eventlib.tombstones import Tombstones, tombstone_file
from tests.factory import KEY, consent, event, lenient_policy, line, link, login, write_log

TABLES = ("events", "people", "sessions", "quarantine", "refused_merges", "registry", "evidence")


class Runs:
    """Datasets of one key and policy."""

    def __init__(self, tmp_path: Path, **options: Any) -> None:
        self.tmp, self.number = tmp_path, 0
        self.key = tmp_path / "key"
        self.key.write_text(KEY)
        self.policy = lenient_policy(tmp_path)
        self.options = {"key": self.key, "policy": self.policy, "max_rejected": 1.0, **options}

    def log(self, records: Sequence[object]) -> Path:
        self.number += 1
        return write_log(self.tmp / f"log-{self.number}.ndjson", records)

    def prepare(self, logs: Sequence[Path], out: Path | None = None, **options: Any) -> Prepared:
        self.number += 1
        return prepare(logs, out=out or self.tmp / f"run-{self.number}", **{**self.options, **options})

    def erase(self, prepared: Prepared, *identifiers: str, **options: Any) -> Erasure:
        search = options.pop("search", [])
        return erase_from(
            prepared.folder.parents[1],
            identifiers,
            Options(key=self.key, policy=self.policy, **options),
            search,
        )

    def pseudonym(self, namespace: str, value: str) -> str:
        return Pseudonymiser(bytes.fromhex(KEY)).keyed(namespace, value)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def ids(frame: pd.DataFrame) -> list[str]:
    return sorted(frame["event_id"])


def assert_same(one: Prepared, other: Prepared) -> None:
    for name in TABLES:
        assert (one.folder / f"{name}.parquet").read_bytes() == (
            other.folder / f"{name}.parquet"
        ).read_bytes(), name
    assert one.ledger.to_list() == other.ledger.to_list()
    assert (one.run["row_digest"], one.run["withheld"]) == (other.run["row_digest"], other.run["withheld"])


def everything(folder: Path) -> str:
    """All that lies under a folder, as text: Parquet by its values, whatever else by its bytes."""
    parts = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            parts.append(file.read_bytes().decode("utf-8", "replace"))
            if file.suffix == ".parquet":
                parts.append(str(pq.read_table(file, partitioning=None).to_pylist()))
    return "\n".join(parts)


def named_in(raw: Sequence[bytes], namespace: str) -> list[str]:
    found = set()
    for text in raw:
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get(namespace), str):
            found.add(record[namespace])
    return sorted(found)


@pytest.mark.parametrize("seed", [5, 11])
def test_erasing_is_as_if_the_log_were_read_without_the_person(tmp_path: Path, seed: int) -> None:
    """In a world of shared devices and junk logins, byte for byte; everybody else keeps their ids and events."""
    runs = Runs(tmp_path)
    parameters = replace(WorldParameters(), days=42, shared_device_share=0.4, junk_login_share=0.05)
    simulate(tmp_path / "world", 3000, seed, parameters, plain=True)
    logs = sorted((tmp_path / "world").glob("*.ndjson"))
    before = runs.prepare(logs)
    raw = b"".join(log.read_bytes() for log in logs).splitlines()
    shared = set(before.people.query("rule == 'shared_device'")["person_id"])
    people = dict(zip(before.people["identifier"], before.people["person_id"], strict=True))
    users = [user for user in named_in(raw, "user_id") if runs.pseudonym("user_id", user) in people]
    chosen = min(users, key=lambda user: people[runs.pseudonym("user_id", user)] not in shared)
    person = people[runs.pseudonym("user_id", chosen)]
    was = before.events.set_index("event_id")

    done = runs.erase(before, f"user_id:{chosen}")
    now = done.prepared.events.set_index("event_id")
    gone = was.loc[was.index.difference(now.index)]
    assert done.verified
    assert done.events >= len(gone) > 0
    assert set(was.index[was["person_id"] == person]) <= set(gone.index)
    strangers = gone[gone["person_id"] != person]
    assert strangers["user_id"].isna().all(), (
        "of others, at most a device's anonymous events in the person's sessions"
    )
    for column in ("person_id", "anonymous_id", "user_id", "event_time", "consent_rule", "properties"):
        pd.testing.assert_series_equal(was.loc[now.index, column], now[column])
    assert_same(done.prepared, runs.prepare(logs))


def test_nothing_is_left_of_the_person(runs: Runs) -> None:
    mine = [
        login(5, anonymous_id="a-mine", user_id="mine@site.org"),
        event(9, anonymous_id="a-mine", event_id="e-secret-1"),
    ]
    theirs = [event(number, anonymous_id=f"a-{number}") for number in range(5)]
    late = [event(20, anonymous_id="a-mine", event_id="e-secret-2", delay=9 * 86400)]
    bad = [event(7, anonymous_id="a-mine", event_id="e-secret-3", surplus=1)]
    linked = [link([("user_id", "mine@site.org"), ("email", "Mine@Site.org")], 6, anonymous_id="a-mine")]
    first = runs.prepare([runs.log([*mine, *theirs, *late, *bad, *linked])], runs.tmp / "data", keep_raw=True)
    second = runs.prepare(
        [runs.log([event(90, anonymous_id="a-mine")])], runs.tmp / "data", keep_raw=True, onto=first.folder
    )
    held = everything(runs.tmp / "data")
    words = [
        runs.pseudonym("user_id", "mine@site.org"), runs.pseudonym("anonymous_id", "a-mine"),
        runs.pseudonym("email", "mine@site.org"), "e-secret-1", "e-secret-2", "e-secret-3", "a-mine",
    ]  # fmt: skip
    assert all(word in held for word in words)
    person = second.people.loc[second.people["identifier"] == words[1], "person_id"].iloc[0]

    done = runs.erase(second, "email:mine@site.org")
    left = everything(runs.tmp / "data") + everything(runs.key.parent / "key.tombstones.parquet")
    assert not [word for word in [*words, person, "mine@site.org"] if word in left]
    assert (done.events, done.refused, done.unseen, done.verified) == (5, 1, 0, True)
    assert done.prepared.ledger.removed("consent")["C01_erased"] == 5
    assert len(done.prepared.events) == 5
    assert [path.name for path in done.removed] == [first.run["run_id"], second.run["run_id"]]
    assert [file.name for file in (runs.tmp / "data" / "versions").iterdir()] == [done.prepared.run["run_id"]]
    assert sum(done.prepared.quarantine["event_id"].isna()) == 1
    stamped = done.prepared.run["erasures"]
    assert [entry["verified"] for entry in stamped] == [True]
    assert not {"events", "identifiers", "quarantined"} & stamped[0].keys(), "figures about one person"
    assert not (done.prepared.folder / "restatement.json").exists(), "what moved is what the person did"


def test_the_log_read_again_does_not_bring_them_back(runs: Runs) -> None:
    log = runs.log([login(anonymous_id="a-1", user_id="u-1"), event(3, anonymous_id="a-2")])
    runs.erase(runs.prepare([log]), "user_id:u-1")
    again = runs.prepare([log])
    assert len(again.events) == 1
    assert again.ledger.removed("consent") == {"C01_erased": 1}
    later = runs.prepare(
        [runs.log([event(50, anonymous_id="a-1"), event(51, anonymous_id="a-2")])], onto=again.folder
    )
    assert len(later.events) == 2
    assert later.ledger.removed("consent")["C01_erased"] == 2
    assert (
        replay(later, out=runs.tmp / "replayed", key=runs.key, policy=runs.policy).ledger.removed("consent")[
            "C01_erased"
        ]
        == 2
    )


def erased_first(runs: Runs) -> None:
    """Erase u-1, who had a-1."""
    log = runs.log([login(anonymous_id="a-1", user_id="u-1"), event(anonymous_id="a-9")])
    runs.erase(runs.prepare([log]), "user_id:u-1")


def test_a_new_device_of_an_erased_user_is_theirs_too(runs: Runs) -> None:
    erased_first(runs)
    log = runs.log(
        [
            event(1, anonymous_id="a-new"),
            login(2, anonymous_id="a-new", user_id="u-1"),
            event(3, anonymous_id="a-9", event_id="of somebody else"),
        ]
    )
    assert ids(runs.prepare([log]).events) == ["of somebody else"]


def test_who_takes_over_an_erased_device_is_not_erased(runs: Runs) -> None:
    """The device's own events stay away, since nobody can tell whose they are; the new owner's do not."""
    erased_first(runs)
    log = runs.log(
        [
            login(10, anonymous_id="a-1", user_id="u-2", event_id="on it"),
            login(20, anonymous_id="a-2", user_id="u-2", event_id="elsewhere"),
            event(30, anonymous_id="a-1", event_id="nobody's"),
        ]
    )
    assert ids(runs.prepare([log]).events) == ["elsewhere", "on it"]


def test_a_shared_device_stays_shared(runs: Runs) -> None:
    """Else the other user would be given what the erased one did without signing in."""
    day = 86400
    log = runs.log(
        [
            login(0, anonymous_id="a-1", user_id="u-1"), event(10, anonymous_id="a-1", event_id="in session of u-1"),
            login(day, anonymous_id="a-1", user_id="u-2"), event(day + 10, anonymous_id="a-1", event_id="in session of u-2"),
            event(2 * day, anonymous_id="a-1", event_id="of nobody"),
        ]
    )  # fmt: skip
    before = runs.prepare([log])
    was = dict(zip(before.events["event_id"], before.events["person_id"], strict=True))
    assert len(set(was.values())) == 3
    done = runs.erase(before, "user_id:u-1")
    now = dict(zip(done.prepared.events["event_id"], done.prepared.events["person_id"], strict=True))
    assert "in session of u-1" not in now
    assert now == {event_id: was[event_id] for event_id in now}
    assert len(now) == 3
    assert_same(done.prepared, runs.prepare([log]))
    rotate_key(runs.key)
    again = runs.prepare([log]).events
    assert again.groupby("person_id")["event_id"].nunique().tolist() == [2, 1], "under another key too"


def test_a_device_that_others_use_too(runs: Runs) -> None:
    """Asked for by its own id, it loses its anonymous events; those of people who were signed in are theirs."""
    people = [login(number, anonymous_id="kiosk", user_id=f"u-{number}") for number in range(3)]
    log = runs.log([*people, event(9 * 86400, anonymous_id="kiosk", event_id="anonymous")])
    done = runs.erase(runs.prepare([log], plain_identifiers=True), "anonymous_id:kiosk")
    assert (done.shared, done.events, done.verified) == (["anonymous_id:kiosk"], 1, True)
    assert set(done.prepared.events["anonymous_id"]) == {"kiosk"}
    assert "anonymous" not in ids(done.prepared.events)


def test_plain_identifiers_are_looked_for(runs: Runs) -> None:
    mine = login(anonymous_id="one two|3", user_id="u", event_id="mine")
    other = event(3, anonymous_id="a-2", context={"url": "https://site.org/?who=one%20two%7C3"})
    before = runs.prepare([runs.log([mine, other])], plain_identifiers=True)
    done = runs.erase(before, "user_id:u")
    assert not done.verified, "somebody else's address names them"
    assert done.held == [done.prepared.folder / "events.parquet"]


def test_an_address_of_two_users_goes_to_neither(runs: Runs) -> None:
    shared = [
        link(
            [("user_id", user), ("email", "family@site.org")], number, anonymous_id=f"a-{user}", user_id=user
        )
        for number, user in enumerate(["u-1", "u-2"])
    ]
    log = runs.log([*shared, event(9, anonymous_id="a-u-2", user_id="u-2")])
    before = runs.prepare([log])
    family = runs.pseudonym("email", "family@site.org")
    assert family not in set(before.people["identifier"])
    done = runs.erase(before, "user_id:u-1")
    assert family not in set(done.prepared.people["identifier"])
    assert len(done.prepared.events) == 2


def test_numbers_of_people_are_not_given_again(runs: Runs) -> None:
    log = runs.log([login(number, anonymous_id=f"a-{number}", user_id=f"u-{number}") for number in range(4)])
    before = runs.prepare([log])
    done = runs.erase(before, "user_id:u-3", "user_id:u-1")
    more = runs.log([event(50, anonymous_id="a-new")])
    assert sorted(done.prepared.events["person_id"]) == ["p-000001", "p-000003"]
    for later in (runs.prepare([more], onto=done.prepared.folder), runs.prepare([log, more])):
        assert sorted(later.events["person_id"]) == ["p-000001", "p-000003", "p-000005"]


def test_a_new_key_does_not_bring_them_back(runs: Runs) -> None:
    day = 86400
    log = runs.log(
        [
            login(0, anonymous_id="a-1", user_id="u-1"), event(10, anonymous_id="a-1", event_id="theirs"),
            login(day, anonymous_id="a-1", user_id="u-2", event_id="kept"), event(day, anonymous_id="a-2", event_id="kept too"),
        ]
    )  # fmt: skip
    before = runs.prepare([log])
    runs.erase(before, "user_id:u-1")
    rotate_key(runs.key)
    rotate_key(runs.key)
    assert ids(runs.prepare([log]).events) == ["kept", "kept too"]
    assert ids(runs.prepare([log], engine="duckdb").events) == ["kept", "kept too"]
    lines = runs.key.read_text().splitlines()
    runs.key.write_text(lines[0] + "\n")
    with pytest.raises(BadCallError, match=r"under a key that .* does not hold"):
        runs.prepare([log])


def test_an_erasure_after_a_rotation_forgets_none_before_it(runs: Runs) -> None:
    log = runs.log([login(anonymous_id=f"a-{n}", user_id=f"u-{n}", event_id=f"e-{n}") for n in range(3)])
    runs.erase(runs.prepare([log]), "user_id:u-0")
    rotate_key(runs.key)
    done = runs.erase(runs.prepare([log]), "user_id:u-1")
    assert ids(done.prepared.events) == ids(runs.prepare([log]).events) == ["e-2"]


def test_a_dataset_without_state_is_prepared_again(runs: Runs) -> None:
    log = runs.log([login(anonymous_id="a-1", user_id="u-1"), event(3, anonymous_id="a-2", event_id="other")])
    before = runs.prepare([log], runs.tmp / "data", partitioned=True)
    with pytest.raises(DataRefusedError, match="keeps no state"):
        runs.erase(before, "anonymous_id:a-1")
    assert before.folder.is_dir()
    after = runs.prepare([log], runs.tmp / "data", partitioned=True)
    assert ids(after.events) == ["other"]
    done = runs.erase(after, "anonymous_id:a-1")
    assert (done.removed, done.verified) == ([before.folder], True)
    assert runs.pseudonym("user_id", "u-1") not in everything(runs.tmp / "data")


def test_a_run_under_way_does_not_publish_who_was_erased(runs: Runs) -> None:
    log = runs.log([login(anonymous_id="a-1", user_id="u-1"), event(3, anonymous_id="a-2")])
    before = runs.prepare([log])

    def meanwhile(stage: str, *_: int) -> None:
        if stage == "identity":
            runs.erase(before, "user_id:u-1")

    options = Options(key=runs.key, policy=runs.policy)
    with pytest.raises(DataRefusedError, match="while this run was under way"):
        prepare_to([log], runs.tmp / "other", options, meanwhile)
    assert not (runs.tmp / "other" / "current").exists()
    assert len(prepare_to([log], runs.tmp / "other", options).events) == 1


def test_an_erasure_that_was_cut_off_is_taken_up(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between tombstones and publication: no run from then on has the person, and erasing again clears the rest."""
    log = runs.log([login(anonymous_id="a-1", user_id="u-1"), event(3, anonymous_id="a-2")])
    before = runs.prepare([log])

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eventlib.erasure.run.publish_version", stop)
    with pytest.raises(KeyboardInterrupt):
        runs.erase(before, "user_id:u-1")
    monkeypatch.undo()
    monkeypatch.setenv("EVENTLIB_KEY_FILE", str(runs.key))
    assert len(load(before.folder).events) == 2
    later = runs.prepare(
        [runs.log([event(50, anonymous_id="a-2")])], before.folder.parents[1], onto=before.folder
    )
    assert len(later.events) == 2
    done = runs.erase(later, "user_id:u-1")
    assert done.removed == [before.folder]
    assert runs.pseudonym("user_id", "u-1") not in everything(before.folder.parents[1])


def test_an_identifier_that_no_event_names(runs: Runs) -> None:
    before = runs.prepare([runs.log([event(anonymous_id="a-1")])])
    done = runs.erase(before, "user_id:u-9")
    assert (done.events, done.verified, len(done.prepared.events)) == (0, True, 1)
    assert any("No event names" in told for told in done.told())


def test_lines_that_came_twice_need_no_log_to_erase_somebody_beside_them(runs: Runs) -> None:
    other = [login(20 + n, anonymous_id="a-tablet", user_id="u-2", event_id=f"e-two-{n}") for n in range(8)]
    mine = [login(9, anonymous_id="a-tablet", user_id="u-1")]
    log = runs.log([*mine, *(each for one in other for each in (one, one))])
    before = runs.prepare([log])
    log.rename(log.with_name("archived"))
    done = runs.erase(before, "user_id:u-1")
    assert (done.events, done.verified, ids(done.prepared.events)) == (
        1,
        True,
        [f"e-two-{n}" for n in range(8)],
    )


def test_what_an_erasure_had_to_read_again_is_not_held(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runs.prepare(
        [runs.log([login(5, anonymous_id="a-1", user_id="u-1"), event(anonymous_id="a-2")])]
    )

    def leaving(
        version: Path, tombstones: Tombstones, sources: Mapping[str, str]
    ) -> tuple[int, int, frozenset[str]]:
        (version.parent / "reread.txt").write_text("u-1 " + runs.pseudonym("user_id", "u-1"))
        return blank_refused(version, tombstones, sources)

    monkeypatch.setattr("eventlib.erasure.run.blank_refused", leaving)
    done = runs.erase(before, "user_id:u-1")
    assert (done.held, done.verified) == ([], True)


def test_a_second_erasure_lists_what_was_made_before_the_first(runs: Runs) -> None:
    people = [login(5, anonymous_id=f"a-{n}", user_id=f"u-{n}") for n in range(3)]
    before = runs.prepare([runs.log(people)], runs.tmp / "data")
    bundle = runs.tmp / "signals" / "versions" / "b-1"
    bundle.mkdir(parents=True)
    record = runs.tmp / "signals" / "runs" / "b-1" / "run.json"
    record.parent.mkdir(parents=True)
    record.write_bytes(
        orjson.dumps({"bundle": "../../versions/b-1", "prepared": {"run_id": before.run["run_id"]}})
    )
    first = runs.erase(before, "user_id:u-1", search=[runs.tmp / "signals"])
    second = runs.erase(first.prepared, "user_id:u-2", search=[runs.tmp / "signals"])
    assert (first.stale, second.stale) == ([bundle], [bundle])
    assert second.prepared.run["erasures"][-1]["stale"] == ["signals/versions/b-1"]


def test_versions_under_a_key_of_before_are_cleared_too(runs: Runs) -> None:
    first = runs.prepare(
        [runs.log([login(5, anonymous_id="a-1", user_id="u-1", event_id="e-1")])], runs.tmp / "data"
    )
    old = runs.pseudonym("user_id", "u-1")
    rotate_key(runs.key)
    log = runs.log([login(900, anonymous_id="a-2", user_id="u-1", event_id="e-9"), event(anonymous_id="a-3")])
    second = runs.prepare([log], runs.tmp / "data")
    done = runs.erase(second, "user_id:u-1")
    assert first.folder in done.removed
    assert old not in everything(runs.tmp / "data")


def test_erasing_somebody_twice_says_that_nothing_came_back(runs: Runs) -> None:
    before = runs.prepare(
        [runs.log([login(5, anonymous_id="a-1", user_id="u-1"), event(anonymous_id="a-2")])]
    )
    first = runs.erase(before, "user_id:u-1")
    assert (first.events, first.again) == (1, False)
    second = runs.erase(first.prepared, "user_id:u-1", "anonymous_id:a-1")
    assert (second.events, second.again) == (0, True)
    assert any("nothing of theirs came back" in told for told in second.told())


@pytest.mark.parametrize(
    ("identifier", "said"),
    [
        ("u-1", "namespace:value"),
        ("user_id:", "namespace:value"),
        ("user_id:undefined", "placeholder"),
        ("email:test@example.com", "placeholder"),
        ("user_id:u\ud800", "UTF-8"),
    ],
)
def test_what_nobody_can_be_erased_by(runs: Runs, identifier: str, said: str) -> None:
    before = runs.prepare([runs.log([event()])])
    with pytest.raises(BadCallError, match=said):
        runs.erase(before, identifier)


def test_bad_calls(runs: Runs, tmp_path: Path) -> None:
    before = runs.prepare([runs.log([event()])])
    whole = before.folder.parents[1]
    with pytest.raises(BadCallError, match="no dataset with its versions"):
        erase_from(before.folder, ["user_id:u-1"], Options(key=runs.key, policy=runs.policy))
    with pytest.raises(BadCallError, match="--identifier"):
        erase_from(whole, [], Options(key=runs.key, policy=runs.policy))
    with pytest.raises(BadCallError, match="prepared by the policy"):
        erase_from(whole, ["user_id:u-1"], Options(key=runs.key))
    other = tmp_path / "other"
    other.write_text("cd" * 32)
    with pytest.raises(BadCallError, match="key of pseudonyms"):
        erase_from(whole, ["user_id:u-1"], Options(key=other, policy=runs.policy))
    with pytest.raises(BadCallError, match="to search"):
        runs.erase(before, "user_id:u-1", search=[tmp_path / "nowhere"])
    with pytest.raises(BadCallError, match="cannot be written"):
        runs.erase(before, "user_id:u-1", tombstones=tmp_path / "nowhere" / "file.parquet")
    with pytest.raises(BadCallError, match="no tombstones in"):
        runs.prepare([runs.log([event()])], tombstones=tmp_path / "none.parquet")
    assert not tombstone_file(load_keys(runs.key)).exists()


def report_run(folder: Path, text: str, run_id: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(text)
    (folder / "figures.json").write_text("[]")
    (folder / "run.json").write_text(
        orjson.dumps({"prepared": {"run_id": run_id}, "ended": "2026-10-01"}).decode()
    )
    return folder


def test_reports_bundles_and_other_files(runs: Runs, tmp_path: Path) -> None:
    before = runs.prepare(
        [runs.log([login(anonymous_id="a-1", user_id="u-1"), event(3, anonymous_id="a-2")])]
    )
    run_id = before.run["run_id"]
    reports, signals = tmp_path / "reports", tmp_path / "signals" / "versions" / "b-1"
    clean = report_run(reports / "01_quality" / "r-1", "<p>nothing</p>", run_id)
    dirty = report_run(reports / "01_quality" / "r-2", f"<p>{runs.pseudonym('user_id', 'u-1')}</p>", run_id)
    (reports / "01_quality" / "latest").symlink_to("r-2")
    signals.mkdir(parents=True)
    (signals / "manifest.json").write_text(orjson.dumps({"prepared": {"run_id": run_id}}).decode())
    done = runs.erase(before, "user_id:u-1", search=[reports, tmp_path / "signals"])
    assert done.verified
    assert done.removed == [before.folder, dirty]
    assert set(done.stale) == {clean, signals}
    assert (reports / "01_quality" / "latest").resolve() == clean.resolve()
    assert "r-2" not in (reports / "index.html").read_text()

    notes = tmp_path / "notes.csv"
    notes.write_text(f"{runs.pseudonym('anonymous_id', 'a-2')},called\n")
    held = runs.erase(done.prepared, "anonymous_id:a-2", search=[notes])
    assert (held.held, held.verified) == ([notes], False)
    assert any("STILL HELD" in told for told in held.told())


def test_a_quarantined_line_is_not_recovered(runs: Runs) -> None:
    """Not by replay, and not where its log has moved."""
    broken = line(event(anonymous_id="a-1", event_id="theirs"))[:-9] + b"\n"
    other = line(event(anonymous_id="a-2", event_id="other", surplus=1))
    log = runs.log([broken, other, event(4, anonymous_id="a-3")])
    before = runs.prepare([log])
    done = runs.erase(before, "anonymous_id:a-1")
    assert (done.refused, done.prepared.quarantine["event_id"].fillna("").tolist()) == (1, ["", "other"])
    again = replay(done.prepared, out=runs.tmp / "replayed", key=runs.key, policy=runs.policy)
    assert again.ledger.to_list() == done.prepared.ledger.to_list()
    log.rename(runs.tmp / "moved.ndjson")
    lost = replay(done.prepared, out=runs.tmp / "lost", key=runs.key, policy=runs.policy)
    assert lost.quarantine["digest"].isna().tolist() == [True, False]
    assert lost.ledger.rows_in == done.prepared.ledger.rows_in


def test_of_two_erasures_at_the_same_time_none_undoes_the_other(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = runs.prepare([runs.log([login(n, anonymous_id=f"a-{n}", user_id=f"u-{n}") for n in range(4)])])
    begun, other = threading.Event(), []

    def second() -> None:
        begun.wait()
        other.append(runs.erase(before, "user_id:u-1"))

    thread = threading.Thread(target=second)
    thread.start()
    published = run._publish

    def slowly(*arguments: Any) -> Erasure:
        begun.set()
        if threading.current_thread() is not thread:
            thread.join(3)  # long enough to be through, if nothing kept it from it
        return published(*arguments)

    monkeypatch.setattr(run, "_publish", slowly)
    runs.erase(before, "user_id:u-2")
    thread.join()
    assert other[0].verified
    users = set(load(before.folder.parents[1]).events["user_id"])
    assert users == {runs.pseudonym("user_id", f"u-{n}") for n in (0, 3)}


def test_a_day_that_was_added_meanwhile_is_not_lost(runs: Runs) -> None:
    """Whoever began first and publishes second is refused, and loses nobody's day."""
    before = runs.prepare([runs.log([login(n, anonymous_id=f"a-{n}", user_id=f"u-{n}") for n in range(3)])])
    root = before.folder.parents[1]
    added: list[Path] = []

    def meanwhile(stage: str, *_: int) -> None:
        if stage == "add" and not added:
            added.append(runs.log([login(9, anonymous_id="a-9", user_id="u-9")]))
            prepare_to(added, root, replace(options, onto=root))

    options = Options(key=runs.key, policy=runs.policy)
    later = runs.log([login(8, anonymous_id="a-8", user_id="u-8")])
    with pytest.raises(DataRefusedError, match="another run published"):
        prepare_to([later], root, replace(options, onto=root), meanwhile)
    assert len(load(root).events) == 4


def test_what_a_killed_removal_leaves_is_swept(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    log = runs.log(
        [login(anonymous_id="a-1", user_id="u-1", event_id="e-of-the-erased-1"), event(3, anonymous_id="a-2")]
    )
    before = runs.prepare([log])
    session = before.events.set_index("event_id")["session_id"]["e-of-the-erased-1"]
    remove = shutil.rmtree

    def half(path: Path, **options: Any) -> None:
        if before.run["run_id"] in path.name:
            (path / "people.parquet").unlink()
            remove(path / "state")
            raise KeyboardInterrupt
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", half)
    with pytest.raises(KeyboardInterrupt):
        runs.erase(before, "user_id:u-1")
    monkeypatch.undo()
    monkeypatch.setattr(publish, "_alive", lambda _: False)  # it was killed
    assert runs.erase(before, "user_id:u-1").verified
    assert session not in everything(before.folder.parents[1])


def test_an_earlier_version_with_no_more_than_a_quarantined_line_is_removed(runs: Runs) -> None:
    mine: dict[str, Any] = {"anonymous_id": "a-mine", "user_id": "u-mine"}
    bad = event(1, **mine, event_id="e-of-a-refused-line", surplus=1)
    first = runs.prepare([runs.log([bad, event(2, anonymous_id="a-2")])], runs.tmp / "data")
    second = runs.prepare([runs.log([event(90, **mine)])], runs.tmp / "data", onto=first.folder)
    done = runs.erase(second, "User_ID:u-mine")
    assert (done.events, done.refused) == (1, 1)
    assert "e-of-a-refused-line" not in everything(runs.tmp / "data")
    assert len(done.removed) == 2


def test_links_from_elsewhere_that_name_the_person_go_too(runs: Runs) -> None:
    log = runs.log([
        login(1, anonymous_id="a-mine", user_id="u-mine"), login(2, anonymous_id="a-2", user_id="u-2"),
        link([("user_id", "u-mine"), ("email", "fam@site.org")], 9, anonymous_id="a-2"),
        link([("user_id", "u-2"), ("email", "fam@site.org")], 10, anonymous_id="a-2", event_id="e-theirs"),
    ])  # fmt: skip
    done = runs.erase(runs.prepare([log]), "user_id:u-mine")
    assert done.verified, done.held
    assert len(done.prepared.events) == 2
    assert_same(done.prepared, runs.prepare([log]))


def shared_device(day: float = 86400) -> list[dict[str, Any]]:
    """U-1 and then u-2 on one device; in the session of u-1 somebody refuses training."""
    refusal = consent(updated=None, training=False)
    return [
        login(0, anonymous_id="a-1", user_id="u-1"),
        event(10, anonymous_id="a-1", event_id="e-that-refuses-0", consent=refusal),
        login(day, anonymous_id="a-1", user_id="u-2", delay=30),
        event(9 * day, anonymous_id="a-1", event_id="e-of-the-device0"),
    ]


def test_what_a_device_that_stays_has_said_still_holds(runs: Runs) -> None:
    """A refusal, and the times by which its clock is told, are the device's, and the log that is read again shows them."""
    log, more = runs.log(shared_device()), runs.log([event(10 * 86400, anonymous_id="a-1", delay=20)])
    done = runs.erase(runs.prepare([log]), "user_id:u-1")
    later = runs.prepare([more], onto=done.prepared.folder)
    whole = runs.prepare([log, more], registry=done.prepared.folder / "registry.parquet")
    assert_same(later, whole)
    assert not later.events.set_index("event_id")["allow_training"]["e-of-the-device0"]
    assert "e-that-refuses-0" not in everything(later.folder.parents[1])


def test_an_event_id_is_its_senders_choice(runs: Runs) -> None:
    """Who sends the id of an event that is erased does not lose theirs."""
    same = event(
        9,
        anonymous_id="a-9",
        event_id="e-that-refuses-0",
        properties={"observation": "owned", "page_view_id": "p", "content_id": "c-9"},
    )
    log = runs.log([*shared_device(), same])
    for again in (runs.erase(runs.prepare([log]), "user_id:u-1").prepared, runs.prepare([log])):
        assert runs.pseudonym("anonymous_id", "a-9") in set(again.events["anonymous_id"])
    rotate_key(runs.key)
    assert len(runs.prepare([log]).events) == 3


def test_an_erasure_renumbers_nobody_elsewhere(runs: Runs) -> None:
    here = runs.prepare([runs.log([login(anonymous_id="a-1", user_id="u-1"), event(2, anonymous_id="a-2")])])
    elsewhere = runs.log([event(number, anonymous_id=f"b-{number}") for number in range(3)])
    before = runs.prepare([elsewhere])
    runs.erase(here, "user_id:u-1")
    assert_same(before, runs.prepare([elsewhere]))


def test_what_only_identity_knew_to_be_theirs(runs: Runs) -> None:
    """A device that was shared, but for identity, which one of its users did not allow, was the other's alone."""
    log = runs.log(
        [
            login(0, anonymous_id="a-1", user_id="u-1"),
            login(5, anonymous_id="a-9", user_id="u-9", event_id="stranger"),
            event(7200, anonymous_id="a-1", event_id="theirs by identity"),
            login(
                9000,
                anonymous_id="a-1",
                user_id="u-2",
                consent=consent(identity=False),
                event_id="other user",
            ),
        ]
    )
    before = runs.prepare([log])
    was = dict(zip(before.events["event_id"], before.events["person_id"], strict=True))
    done = runs.erase(before, "user_id:u-1")
    now = dict(zip(done.prepared.events["event_id"], done.prepared.events["person_id"], strict=True))
    assert now == {name: was[name] for name in ("stranger", "other user")}
    assert_same(done.prepared, runs.prepare([log]))


@pytest.mark.parametrize("together", [True, False], ids=["one call", "two calls"])
def test_two_people_in_any_order(runs: Runs, together: bool) -> None:
    log = runs.log(
        [
            *shared_device(),
            event(86400 + 20, anonymous_id="a-1"),
            *(event(n, anonymous_id=f"a-{n}") for n in range(3, 6)),
        ]
    )
    before = runs.prepare([log])
    asked = ["user_id:u-2", "user_id:u-1"]
    done = runs.erase(before, *asked) if together else [runs.erase(before, each) for each in asked][-1]
    assert_same(done.prepared, runs.prepare([log]))
    assert set(done.prepared.events["event_id"]) >= {"e-of-the-device0"}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"event_id": "e-of-a-refused-line", "user_id": "u-1',
        b'{"event_id": "e-of-a-refused-line", "user_id": "\\u0075-1", oops}',
        b'{"event_id": "e-of-a-refused-line", "context": {"url": "https://site.org/?who=u-1&x=1"}}',
        b'{"event_id": "e-of-a-refused-line", "properties": {"identifiers": [{"namespace": "crm_id", "value": "17-b"}]}}',
    ],
    ids=["cut off", "escaped", "in an address", "another namespace"],
)
def test_refused_lines_of_any_form(runs: Runs, raw: bytes) -> None:
    linked = link([("user_id", "u-1"), ("crm_id", "17-b")], 1, anonymous_id="a-1", user_id="u-1")
    log = runs.log([linked, raw + b"\n", event(3, anonymous_id="a-2")])
    before = runs.prepare([log], keep_raw=True)
    done = runs.erase(before, "anonymous_id:a-1")
    assert (done.refused, done.verified) == (1, True)
    for each in (done.prepared, runs.prepare([log], keep_raw=True)):
        assert each.quarantine["raw"].isna().all()
        assert "e-of-a-refused-line" not in everything(each.folder)


def test_refused_lines_that_cannot_be_looked_at_tell_nothing_any_more(runs: Runs) -> None:
    log = runs.log(
        [event(anonymous_id="a-1", event_id="e-of-a-refused-line", surplus=1), event(anonymous_id="a-1")]
    )
    before = runs.prepare([log])
    log.rename(runs.tmp / "moved.ndjson")
    done = runs.erase(before, "anonymous_id:a-1")
    assert (done.unseen, done.events) == (1, 1)
    assert "e-of-a-refused-line" not in everything(done.prepared.folder)


@pytest.mark.parametrize(
    "damage", [b"", b"no table", None], ids=["empty", "text", "a person without a number"]
)
def test_damaged_tombstones_are_told(runs: Runs, damage: bytes | None) -> None:
    log = runs.log([login(anonymous_id="a-1", user_id="u-1"), event(2, anonymous_id="a-2")])
    runs.erase(runs.prepare([log]), "user_id:u-1")
    file = tombstone_file(load_keys(runs.key))
    if damage is None:
        table = pq.read_table(file)
        digests = [row["kind"] if row["kind"] == "person" else row["digest"] for row in table.to_pylist()]
        damage_table = table.set_column(table.schema.get_field_index("digest"), "digest", pa.array(digests))
        pq.write_table(damage_table, file)
    else:
        file.write_bytes(damage)
    with pytest.raises(BadCallError, match="tombstones"):
        runs.prepare([log])
