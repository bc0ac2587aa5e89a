"""What a tester broke once: each with the smallest log that showed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import eventlib as el
from eventlib import journeys, people
from eventlib.errors import BadCallError
from eventlib.graph import GUARDS, Edges, cluster
from eventlib.identity.measures import score_clusters
from eventlib.manual_links import read_statements
from eventlib.prepared import Prepared
from tests.factory import KEY, START, at, consent, event, lenient_policy, link, login, prepared, write_log
from tests.unit.identity.test_manual_links import partition, statements
from tests.unit.identity.test_people import persons


def onto(tmp_path: Path, days: list[list[dict[str, Any]]], *files: Path | None) -> tuple[Prepared, Prepared]:
    """A log added to another, and both at once with the registry of the first; plain identifiers."""
    key = tmp_path / "key"
    key.write_text(KEY)
    options: dict[str, Any] = {
        "policy": lenient_policy(tmp_path), "key": key, "plain_identifiers": True, "max_rejected": 1.0,
    }  # fmt: skip
    logs = [write_log(tmp_path / f"{n}.ndjson", day) for n, day in enumerate(days)]
    first, second = files or (None, None)
    base = el.prepare(logs[0], out=tmp_path / "base", manual_links=first, **options)
    added = el.prepare(
        logs[1], out=tmp_path / "added", onto=tmp_path / "base", manual_links=second, **options
    )
    registry = base.folder / "registry.parquet"
    whole = el.prepare(logs, out=tmp_path / "whole", registry=registry, manual_links=second, **options)
    return added, whole


def same_tables(one: Prepared, other: Prepared) -> None:
    for table in ("events", "people", "registry", "refused_merges", "evidence", "sessions"):
        assert (one.folder / f"{table}.parquet").read_bytes() == (
            other.folder / f"{table}.parquet"
        ).read_bytes(), table


def conflict() -> list[dict[str, Any]]:
    """A component that breaks a rule, and devices whose events do not allow identity."""
    denied = [event(n, anonymous_id=f"z-{n}", consent=consent(identity=False)) for n in range(12)]
    linked = link([("user_id", "u-1"), ("anonymous_id", "a-2")], 5, anonymous_id="a-2")
    return [linked, login(9, anonymous_id="a-2", user_id="u-2"), *denied]


def test_where_identity_is_not_allowed_nobody_is_given_a_stranger(tmp_path: Path):
    found = prepared(tmp_path, conflict())
    lone = found.people[found.people["rule"] == "device_only"]
    assert lone["person_id"].nunique() == len(lone) == 12
    assert not set(lone["person_id"]) & set(
        found.people.loc[found.people["rule"] != "device_only", "person_id"]
    )
    same_tables(*onto(tmp_path, [conflict(), [event(900, anonymous_id="a-2")]]))


def test_what_refused_an_edge_depends_on_its_own_component_alone():
    rows = [(0, 2, 0, 1, 5, 5), (1, 2, 0, 1, 6, 6), (2, 3, 0, 1, 7, 7), (0, 1, 1, 9, 8, 8)]
    users, apart = np.array([True, False, False, True]), np.array([[0, 1]])
    alone = cluster(users, Edges.of(rows), apart=apart)
    chain = [(n, n + 1, 1, 1, n, n) for n in range(4, 800)]
    both = cluster(np.append(users, np.zeros(800, bool)), Edges.of([*rows, *chain]), apart=apart)
    assert both.refused_by[: len(rows)].tolist() == alone.refused_by.tolist()
    assert {GUARDS[rule] for rule in alone.refused_by} == {None, "cannot_link", "user_id_unique"}


@pytest.mark.parametrize("namespace", ["email", "device_only", "device_user"])
def test_names_that_only_events_hold_are_known_on_the_next_day(tmp_path: Path, namespace: str):
    first = [login(0, user_id="u-1"), link([("user_id", "u-1"), (namespace, "x")], 5)]
    first += [link([("user_id", "u-2"), (namespace, "x")], 6, anonymous_id="a-2")]
    junk = statements(tmp_path, f"junk,{namespace}:x,,ours,2030-01-01", name="junk.csv")
    none = statements(tmp_path, name="none.csv")
    added, whole = onto(tmp_path, [first, [login(900, user_id="u-1")]], junk, none)
    assert partition(added) == partition(whole)
    assert set(added.refused_merges["rule"]) == {"secondary_id_shared"}
    told = el.explain(added, "u-1", "u-2")
    assert told["apart_by"] == ["secondary_id_shared"]


def test_the_past_knows_placeholders_by_name_too(tmp_path: Path):
    events = [login(0, user_id="guest"), link([("user_id", "u-1"), ("email", "E@x.org")], 5),
              link([("user_id", "u-2"), ("email", "e@x.org")], 6)]  # fmt: skip
    found = prepared(tmp_path, events)
    last = el.people_as_of(found, START + timedelta(days=9), key=tmp_path / "key")
    assert last.people.equals(found.people)


def test_a_shared_device_without_events_of_its_own_cannot_be_linked(tmp_path: Path):
    events = [login(0, user_id="u-1"), login(9000, user_id="u-2"), event(0, anonymous_id="a-9")]
    told = el.explain(prepared(tmp_path, events), "a-1", "a-9", propose="must_link")
    assert told["proposal"]["changes"] is False
    assert "each event on anonymous_id:a-1 is one of its users'" in told.text()


@pytest.mark.parametrize("plain", [True, False])
def test_ids_in_another_form_are_found_in_events(tmp_path: Path, plain: bool):  # a parameter
    events = [login(n, anonymous_id="e\u0301", user_id=" u-1 ") for n in range(3)]
    found = prepared(tmp_path, events, plain_identifiers=plain)
    told = el.explain(found, "\u00e9", "u-1", key=tmp_path / "key", propose="cannot_link")
    assert told["path"][0]["event_ids"] == [e["event_id"] for e in events]
    assert sum(group["events"] for group in told["proposal"]["after"]) == 3
    assert people.Known(found).events["user"].notna().all()


def test_examples_of_a_link_are_those_that_name_it(tmp_path: Path):
    events = [
        link([("user_id", "u-12"), ("email", "ab@x.org")], 1, event_id="other"),
        link([("user_id", "u-1"), ("email", "b@x.org")], 2, anonymous_id="a-2", event_id="this"),
    ]
    told = el.explain(prepared(tmp_path, events), "u-1", "email:b@x.org")
    assert told["path"][0]["event_ids"] == ["this"]


def test_a_statement_holds_until_its_day_is_over(tmp_path: Path):
    file = statements(tmp_path, "must_link,user_id:u-1,user_id:u-2,known,2026-10-05")
    events = [login(0, user_id="u-1"), login(1, anonymous_id="a-2", user_id="u-2")]
    for microsecond, people_there in ((999_999, 1), (0, 1)):
        moment = datetime(2026, 10, 5, 23, 59, 59, microsecond, UTC)
        assert len(partition(prepared(tmp_path, events, manual_links=file, as_of=moment))) == people_there
    over = datetime(2026, 10, 6, tzinfo=UTC)
    assert len(partition(prepared(tmp_path, events, manual_links=file, as_of=over))) == 2


def test_files_of_statements_say_what_they_look_like_they_say(tmp_path: Path):
    twice = tmp_path / "twice.csv"
    twice.write_text("kind,left,right,reason,expires,kind\nmust_link,user_id:a,user_id:b,x,2030-01-01,junk\n")
    with pytest.raises(BadCallError, match="a column twice"):
        read_statements(twice, bytes.fromhex(KEY))
    other = statements(tmp_path, f"junk,anonymous_id:u-{'a' * 32},,looks like another pseudonym,2030-01-01",
                       "junk,user_id:a,,a reason\u2028in two lines,2030-01-01")  # fmt: skip
    found = read_statements(other, bytes.fromhex(KEY)).every
    assert found[0].left.value.startswith("a-")
    assert len(found) == 2


def test_scores_refuse_what_they_cannot_mean():
    with pytest.raises(BadCallError, match="draws is 0 or more"):
        score_clusters([1], [1], draws=-1)
    with pytest.raises(BadCallError, match="one label per item"):
        score_clusters(np.zeros((2, 2)), [1, 1])


def test_few_devices_are_not_told_of_by_many_placeholders(tmp_path: Path):
    junk = ["null", "none", "nil", "nan", "undefined", "anonymous", "guest", "unknown", "true", "false"]
    events = [login(n, user_id=name) for n, name in enumerate(junk)]
    events += [login(n, anonymous_id=f"a-{n}", user_id=f"u-{n}") for n in range(2, 32)]
    data = prepared(tmp_path, events)
    told = people.assess(data).verdicts.set_index("area")
    assert told.loc[["placeholders", "refused evidence"], "verdict"].tolist() == ["not measured"] * 2
    assert journeys.refusals(data.refused_merges, data.people).empty


def test_few_shared_devices_are_not_called_good(tmp_path: Path):
    events = [
        login(n * 7200, anonymous_id=f"d-{d}", user_id=f"u-{d}-{n}") for d in range(9) for n in range(2)
    ]
    events += [event(90_000 + n, anonymous_id=f"d-{d}") for d in range(9) for n in range(20)]
    told = people.assess(prepared(tmp_path, events)).verdicts.set_index("area")
    assert told.loc["shared devices", "verdict"] == "not measured"


def test_device_ids_are_not_told_where_few_people_have_several(tmp_path: Path):
    events = [
        login(n, anonymous_id=f"a-{n}-{d}", user_id=f"u-{n}") for n in range(20) for d in range(1 + (n < 3))
    ]
    known = people.Known(prepared(tmp_path, events))
    found = people.people_range(known, people.known_devices(known))
    assert pd.isna(found["people"].to_numpy()[0])
    assert found["people"].to_numpy()[1] == 20


def test_an_erased_persons_number_is_nobodys_in_the_past_either(tmp_path: Path):
    key = tmp_path / "key"
    key.write_text(KEY)
    events = [
        event(0, anonymous_id="a-1", event_id="one"),
        login(1, anonymous_id="z", user_id="u-z"),
        event(2, anonymous_id="a-2", event_id="two"),
        *(login(9000 + n, anonymous_id=f"a-{n}", user_id="u-1") for n in (1, 2)),
    ]
    out, policy = tmp_path / "out", lenient_policy(tmp_path)
    log = write_log(tmp_path / "log.ndjson", events)
    before = el.prepare(log, out=out, key=key, policy=policy, plain_identifiers=True)
    gone = persons(before)[events[1]["event_id"]]
    el.erase(out, ["user_id:u-z"], key=key, policy=policy, search=[])
    past = el.people_as_of(el.load(out), datetime.fromisoformat(at(100)), key=key)
    assert gone not in set(past.events["person_id"])


def test_a_placeholder_that_a_link_names_is_nobody_who_must_be_decided_anew(tmp_path: Path):
    first = [login(0, anonymous_id="null", user_id="0"), login(5, user_id="u-1")]
    second = [link([("anonymous_id", "null"), ("user_id", "u-1")], 900)]
    added, whole = onto(tmp_path, [first, second])
    assert added.refused_merges["rule"].tolist() == ["junk_identifier"]
    same_tables(added, whole)
