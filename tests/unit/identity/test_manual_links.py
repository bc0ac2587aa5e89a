"""S4.8: what people state by hand, and how a merge is undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import eventlib as el
from eventlib.errors import BadCallError
from eventlib.manual_links import KINDS, read_statements
from eventlib.prepared import Prepared
from tests.factory import KEY, event, lenient_policy, link, login, prepared, write_log
from tests.unit.identity.test_people import persons

HEADER = "kind,left,right,reason,expires"
APART = "cannot_link,user_id:u-1,user_id:u-2,two sisters,2030-01-01"


def statements(folder: Path, *lines: str, name: str = "links.csv") -> Path:
    file = folder / name
    file.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return file


def partition(found: Prepared) -> set[frozenset[str]]:
    """Identifiers that are one person."""
    groups: dict[str, set[str]] = {}
    for name, person in zip(found.people["identifier"], found.people["person_id"], strict=True):
        groups.setdefault(person, set()).add(name)
    return set(map(frozenset, groups.values()))


def two_people() -> list[dict[str, Any]]:
    return [login(0, user_id="u-1"), login(5, anonymous_id="a-2", user_id="u-2"), event(9)]


def test_a_cannot_link_restores_the_earlier_partition_and_its_ids(tmp_path: Path):
    before = prepared(tmp_path, two_people())
    registry = before.folder / "registry.parquet"
    merged = [*two_people(), link([("user_id", "u-1"), ("user_id", "u-2")], 20)]
    after = prepared(tmp_path, merged, registry=registry)
    assert partition(after) == {frozenset({"a-1", "u-1", "a-2", "u-2"})}
    assert set(after.people["person_id"]) == {"p-000001"}
    undone = prepared(
        tmp_path, merged, registry=after.folder / "registry.parquet", manual_links=statements(tmp_path, APART)
    )
    assert partition(undone) == partition(before)
    assert sorted(undone.people["person_id"]) == sorted(before.people["person_id"])
    assert undone.refused_merges["rule"].tolist() == ["cannot_link"]


def test_a_cannot_link_holds_along_every_path(tmp_path: Path):
    events = [
        link([("anonymous_id", "a-1"), ("device", "d")], 0),
        link([("device", "d"), ("anonymous_id", "a-2")], 1),
        link([("anonymous_id", "a-2"), ("anonymous_id", "a-3")], 2),
    ]
    parted = statements(tmp_path, "cannot_link,anonymous_id:a-1,anonymous_id:a-3,known,2030-01-01")
    found = partition(prepared(tmp_path, events, manual_links=parted))
    assert not any({"a-1", "a-3"} <= group for group in found)
    assert len(found) == 2


def test_a_must_link_joins_even_two_users_and_cannot_wins(tmp_path: Path):
    must = "must_link,user_id:u-1,user_id:u-2,one person with two accounts,2030-01-01"
    joined = prepared(tmp_path, two_people(), manual_links=statements(tmp_path, must))
    assert partition(joined) == {frozenset({"a-1", "u-1", "a-2", "u-2"})}
    assert set(joined.people["rule"]) == {"must_link", "co_occurrence"}
    both = prepared(tmp_path, two_people(), manual_links=statements(tmp_path, must, APART))
    assert len(partition(both)) == 2


def test_a_must_link_makes_nobody_up(tmp_path: Path):
    unknown = statements(tmp_path, "must_link,user_id:u-1,user_id:u-77,guess,2030-01-01")
    assert partition(prepared(tmp_path, two_people(), manual_links=unknown)) == partition(
        prepared(tmp_path, two_people())
    )


def test_what_has_expired_holds_no_longer(tmp_path: Path):
    file = statements(tmp_path, "must_link,user_id:u-1,user_id:u-2,trial,2026-09-30")
    found = prepared(tmp_path, two_people(), manual_links=file)
    assert len(partition(found)) == 2
    assert found.run["manual_links"]["expired"] == {**dict.fromkeys(KINDS, 0), "must_link": 1}
    on_its_day = statements(tmp_path, "must_link,user_id:u-1,user_id:u-2,trial,2026-10-01")
    assert len(partition(prepared(tmp_path, two_people(), manual_links=on_its_day))) == 1


def test_a_sites_own_junk_is_no_edge_and_makes_no_device_shared(tmp_path: Path):
    events = [
        *(login(n, anonymous_id=f"a-{n}", user_id="demo-user") for n in range(3)),
        login(9, anonymous_id="a-0", user_id="u-1"),
        event(20_000, anonymous_id="a-0"),
    ]
    assert len(partition(prepared(tmp_path, events))) == 3
    junk = statements(tmp_path, "junk,user_id:demo-user,,the shop's demo account,2030-01-01")
    found = prepared(tmp_path, events, manual_links=junk)
    assert partition(found) == {frozenset({"a-0", "u-1"}), frozenset({"a-1"}), frozenset({"a-2"})}
    assert set(found.refused_merges["rule"]) == {"junk_identifier"}
    assert len(set(persons(found).values())) == 3


def test_pseudonyms_may_be_named(tmp_path: Path):
    found = prepared(tmp_path, two_people(), plain_identifiers=False)
    users = found.people.loc[found.people["namespace"] == "user_id", "identifier"].tolist()
    file = statements(
        tmp_path, f"must_link,user_id:{users[0]},user_id:{users[1]},seen in the report,2030-01-01"
    )
    assert len(partition(prepared(tmp_path, two_people(), plain_identifiers=False, manual_links=file))) == 1


@pytest.mark.parametrize("day", [[], [APART], ["junk,user_id:u-2,,a demo account,2030-01-01"]])
def test_a_day_added_takes_over_what_was_stated_or_what_is_stated_now(tmp_path: Path, day: list[str]):
    policy, key = lenient_policy(tmp_path), tmp_path / "key"
    key.write_text(KEY)
    options: dict[str, Any] = {"policy": policy, "key": key, "plain_identifiers": True, "max_rejected": 1.0}
    must = statements(tmp_path, "must_link,user_id:u-1,user_id:u-2,one person,2030-01-01", name="one.csv")
    logs = [
        write_log(tmp_path / "1.ndjson", two_people()),
        write_log(tmp_path / "2.ndjson", [event(90, anonymous_id="a-9")]),
    ]
    el.prepare(logs[0], out=tmp_path / "base", manual_links=must, **options)
    file = statements(tmp_path, *day) if day else None
    added = el.prepare(logs[1], out=tmp_path / "added", onto=tmp_path / "base", manual_links=file, **options)
    whole = el.prepare(logs, out=tmp_path / "whole", manual_links=file or must, **options)
    for table in ("events", "people", "registry", "refused_merges", "evidence", "sessions"):
        one, other = (each.folder / f"{table}.parquet" for each in (added, whole))
        if table == "registry" or not day:
            continue
        assert one.read_bytes() == other.read_bytes(), table
    assert partition(added) == partition(whole)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "might_link,user_id:a,user_id:b,x,2030-01-01",
            "unknown kind 'might_link'. Did you mean 'must_link'?",
        ),
        ("must_link,user_id:a,user_id:b,,2030-01-01", "needs a reason"),
        ("must_link,user_id:a,user_id:b,x,tomorrow", "expires takes a day"),
        ("must_link,user_id:a,user_id:a,x,2030-01-01", "are the same identifier"),
        ("must_link,a,user_id:b,x,2030-01-01", "left: an identifier is written namespace:value"),
        ("must_link,user_id:a,user_id:null,x,2030-01-01", "right: 'user_id:null' is a placeholder"),
        ("junk,user_id:a,user_id:b,x,2030-01-01", "leave right empty"),
        ("must_link,user_id:a,user_id:b,x,y,2030-01-01", "6 cells, and the header has 5"),
    ],
)
def test_what_cannot_be_read_is_told_by_line(tmp_path: Path, line: str, told: str):
    file = statements(tmp_path, "", line)
    with pytest.raises(BadCallError) as error:
        read_statements(file, bytes.fromhex(KEY))
    assert f"{file}, line 3: " in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"kind,left\n", b"\xff\xfe\x00", b'kind,left,right,reason,expires\n"', b"\0"]
)
def test_what_is_no_table_of_statements_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "links.csv"
    file.write_bytes(content)
    with pytest.raises(BadCallError, match=r"links\.csv"):
        read_statements(file, bytes.fromhex(KEY))
    with pytest.raises(BadCallError, match="No such file"):
        read_statements(tmp_path / "nowhere.csv", bytes.fromhex(KEY))
