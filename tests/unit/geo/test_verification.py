"""S6: a claimed agent is not a verified one; its address is looked at while a line is read, and never kept."""

from __future__ import annotations

import ipaddress
import itertools
import time
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventlib as el
from eventlib.border import fingerprint
from eventlib.errors import BadCallError
from eventlib.geo.traffic import agent_operators
from eventlib.geo.verification import NO_RANGES, Intervals, decided, read_ranges, verify_agent
from tests.factory import KEY, event, lenient_policy, prepared, write_log

_seconds = itertools.count()
INSIDE, OUTSIDE, GPTBOT = "192.0.2.7", "203.0.113.9", "GPTBot/1.2"


def ranges_file(folder: Path, *prefixes: str, name: str = "gptbot.json") -> Path:
    """A file as an operator publishes it."""
    folder.mkdir(exist_ok=True)
    kinds = ["ipv6Prefix" if ":" in prefix else "ipv4Prefix" for prefix in prefixes]
    content = {
        "creationTime": "2026-10-01T00:00:00",
        "prefixes": [{kind: prefix} for kind, prefix in zip(kinds, prefixes, strict=True)],
    }
    (folder / name).write_bytes(orjson.dumps(content))
    return folder / name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ranges_file(tmp_path / "ranges", "192.0.2.0/24", "2001:db8:1::/48")
    ranges_file(tmp_path / "ranges", "198.51.100.0/24", name="chatgpt-user.json")
    return tmp_path / "ranges"


def fetch(address: object = None, agent: str | None = GPTBOT, **properties: Any) -> dict[str, Any]:
    """A fetch of a page, by nobody that is known but its user agent."""
    told = {"ip_address": address} if address is not None else {}
    made = event(
        next(_seconds),
        name="agent_fetch",
        schema_version="1-0-1",
        source="edge",
        context={"user_agent": agent},
        properties={"observation": "owned", "content_id": "c-1", **told, **properties},
    )
    del made["anonymous_id"], made["consent"]
    return made


def found(dataset: el.Prepared) -> list[Any]:
    column = el.properties(dataset.events, "agent_fetch")["verification"].astype(object)
    return column.where(column.notna(), None).tolist()


@pytest.mark.parametrize(
    ("address", "verification"),
    [
        (INSIDE, "verified"),
        ("192.0.2.0", "verified"),
        ("192.0.2.255", "verified"),
        ("192.0.3.0", "spoofed"),
        ("198.51.100.4", "verified"),  # another file of the same operator
        (f"::ffff:{INSIDE}", "verified"),
        ("::FFFF:C000:0207", "verified"),
        (f"::ffff:{OUTSIDE}", "spoofed"),
        (f"{INSIDE}:51234", "verified"),
        (f"[::ffff:{INSIDE}]:443", "verified"),
        ("2001:db8:1::5", "verified"),
        ('"[2001:db8:1::5]:443"', "verified"),
        ("2001:db8:2::5", "spoofed"),
        (f"{INSIDE}, 10.0.0.3", "verified"),  # a proxy of the site's own
        (f"{INSIDE}, {OUTSIDE}", "claimed"),  # the first may have been written by whoever asked
        (f"{OUTSIDE},{INSIDE}", "claimed"),
        (f"{OUTSIDE}, 203.0.113.10", "spoofed"),
        ("10.0.0.3", "claimed"),  # the proxy alone was logged
        ("127.0.0.1, ::1", "claimed"),
        (f"unknown, {INSIDE}", "claimed"),
        ("192.0.2.07", "claimed"),
        ("3221225991", "claimed"),
        ("192.0.2.0/24", "claimed"),
        ("", "claimed"),
        (" , ", "claimed"),
        (None, "claimed"),
        (3221225991, "claimed"),
    ],
)
def test_what_an_address_tells(folder, address, verification):
    assert verify_agent("GPTBot", address, read_ranges(folder)) == verification


def test_an_agent_whose_own_file_is_missing_is_never_found_spoofed(folder):
    ranges = read_ranges(folder / "gptbot.json")
    assert verify_agent("ChatGPT-User", INSIDE, ranges) == "verified"
    assert verify_agent("ChatGPT-User", OUTSIDE, ranges) == "claimed"
    whole = read_ranges(ranges_file(folder.parent / "whole", "192.0.2.0/24", name="OpenAI.json"))
    assert verify_agent("ChatGPT-User", OUTSIDE, whole) == "spoofed"


def test_other_operators_and_unknown_agents_stay_claimed(folder):
    ranges = read_ranges(folder)
    assert [verify_agent(agent, INSIDE, ranges) for agent in ("PerplexityBot", "curl")] == ["claimed"] * 2
    assert verify_agent("GPTBot", INSIDE, NO_RANGES) == "claimed"


def test_a_file_without_ranges_says_nothing(tmp_path):
    ranges = read_ranges(ranges_file(tmp_path))
    assert verify_agent("GPTBot", OUTSIDE, ranges) == "claimed"
    stamp = ranges.stamp()
    assert stamp is not None
    assert [each["prefixes"] for each in stamp["files"]] == [0]


prefixes = st.builds(
    lambda base, length: ipaddress.ip_network((base >> (32 - length) << (32 - length), length)),
    st.integers(0, 2**32 - 1),
    st.integers(8, 32),
)


@given(st.lists(prefixes, max_size=12), st.integers(0, 2**32 - 1))
def test_intervals_hold_what_any_of_the_overlapping_prefixes_holds(networks, address):
    merged = Intervals.of((int(net.network_address), int(net.broadcast_address)) for net in networks)
    edges = [int(edge) + step for net in networks for edge in (net[0], net[-1]) for step in (-1, 0, 1)]
    for each in [address, *edges]:
        expected = any(int(net.network_address) <= each <= int(net.broadcast_address) for net in networks)
        assert merged.holds(each) == expected


def test_a_hundred_thousand_prefixes_are_fast(tmp_path):
    texts = [f"{45 + n // 65_536}.{n // 256 % 256}.{n % 256}.{n % 7 * 32}/27" for n in range(100_000)]
    file = ranges_file(tmp_path, *texts)
    began = time.process_time()
    ranges = read_ranges(file)
    assert time.process_time() - began < 10
    began = time.process_time()
    verified = sum(
        verify_agent("GPTBot", f"45.{n % 256}.9.{n % 256}", ranges) == "verified" for n in range(20_000)
    )
    assert time.process_time() - began < 4
    assert 0 < verified < 20_000


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gptbot.json", b"{", "gptbot.json is no JSON"),
        ("gptbot.json", b"[]", 'holds no list "prefixes"'),
        ("gptbot.json", b'{"prefixes": {}}', 'holds no list "prefixes"'),
        ("gptbot.json", b'{"prefixes": [7]}', "entry 0 of prefixes holds no range"),
        ("gptbot.json", b'{"prefixes": [{"ipv4Prefix": "a"}]}', "gptbot.json, entry 0 of prefixes: ipv4Prefix"),
        ("gptbot.json", b'{"prefixes": [{"ipv4Prefix": 5}]}', "takes a range such as 192.0.2.0/24, not '5'"),
        ("gptbot.json", b'{"prefixes": [{"ipv4Prefix": "192.0.2.1/24"}]}', "not '192.0.2.1/24'"),
        ("gptbot.json", b'{"prefixes": [{"ipv4Prefix": "2001:db8::/32"}]}', "ipv4Prefix holds a range of IPv6"),
        ("gptbot.json", b'{"prefixes": [{"ipv4Prefix": "0.0.0.0/0"}]}', "would verify anybody"),
        ("gptbot.json", b'{"prefixes": [{"ipv6Prefix": "::/0"}]}', "would verify anybody"),
        ("gptbot.json", b'{"prefixes": [{"ipv6Prefix": "::ffff:0:0/96"}]}', "would verify anybody"),
        ("gptbot.json", b'{"prefixes": [{"ipv6Prefix": "::/64"}]}', "would verify anybody"),
        ("gptbots.json", b'{"prefixes": []}', "Did you mean 'gptbot'?"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_with_its_entry(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadCallError) as caught:
        read_ranges(tmp_path)
    assert told in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path):
    for path, told in ((tmp_path / "gptbot.json", "cannot read"), (tmp_path, "holds no JSON files")):
        with pytest.raises(BadCallError, match=told):
            read_ranges(path)


def test_every_operator_is_about_known_agents():
    assert {"openai", "anthropic", "perplexity", "google", "microsoft"} <= set(agent_operators().values())


def test_the_dataset_holds_what_was_decided_and_no_address(tmp_path, folder):
    lines = [
        fetch(INSIDE),
        fetch(OUTSIDE),
        fetch("not an address"),
        fetch(),
        fetch(INSIDE, agent=None),
        fetch("10.9.8.7", verification="verified"),  # the producer looked it up by itself
        fetch(OUTSIDE, verification="verified"),
    ]
    dataset = prepared(tmp_path, lines, agent_ranges=folder, out=tmp_path / "out")
    assert found(dataset) == ["verified", "spoofed", "claimed", None, None, "verified", "spoofed"]
    stamp = dataset.run["agent_ranges"]
    assert [each["operator"] for each in stamp["files"]] == ["openai", "openai"]
    repairs = {row["repair"]: row["rows"] for row in dataset.run["repairs"]}
    assert repairs == {"left out once read": 5, "left out, cannot be read as an address": 1}
    assert not leaks(tmp_path / "out", [INSIDE, OUTSIDE, "10.9.8.7", "not an address"])


def leaks(folder: Path, texts: list[str]) -> list[str]:
    """Return which texts a dataset holds: its tables read as text, other files as they are."""
    held = []
    for file in folder.rglob("*"):
        if not file.is_file():
            continue
        raw = file.read_bytes()
        if file.suffix == ".parquet":
            raw += repr(pq.read_table(file).to_pylist()).encode()
        held += [f"{file}: {text}" for text in texts if text.encode() in raw]
    return held


def test_no_event_of_another_name_keeps_an_address(folder):
    sent = {"ip_address": INSIDE, "colour": "red"}  # foreign formats have events that no schema knows
    assert decided("page_fold", sent, GPTBOT, read_ranges(folder)) == {"colour": "red"}
    assert fingerprint({"properties": sent}) == fingerprint({"properties": {"colour": "red"}})


def test_no_address_is_kept_of_refused_lines_either(tmp_path):
    escaped = orjson.dumps(fetch(OUTSIDE, colour="red")).replace(b'"ip_address"', b'"ip\\u005faddress"')
    lines = [
        fetch(INSIDE, colour="red"),
        escaped + b"\n",
        b'{"properties": {"ip_address": "203.0.113.9"}, broken\n',
        fetch(["203.0.113.9"]),
        {**event(5), "properties": {"observation": "owned", "ip_address": OUTSIDE}},
        b'{"plain": "broken\n',
    ]
    dataset = prepared(tmp_path, lines, keep_raw=True, out=tmp_path / "out")
    quarantine = dataset.quarantine
    assert len(quarantine) == 6
    assert quarantine["raw"].notna().tolist() == [False] * 5 + [True]
    assert quarantine["digest"].notna().all()  # where they stand is told all the same
    assert not leaks(tmp_path / "out", [INSIDE, OUTSIDE])


def test_without_ranges_every_agent_stays_claimed(tmp_path):
    dataset = prepared(tmp_path, [fetch(INSIDE), fetch()])
    assert found(dataset) == ["claimed", None]
    assert dataset.run["agent_ranges"] is None


def test_a_copy_from_another_address_is_a_copy(tmp_path, folder):
    first = fetch(INSIDE)
    other = {**first, "properties": {**first["properties"], "ip_address": OUTSIDE}}
    dataset = prepared(tmp_path, [first, other], agent_ranges=folder)
    assert found(dataset) == ["verified"]


def test_what_was_read_with_other_ranges_is_refused(tmp_path, folder):
    log = write_log(tmp_path / "log.ndjson", [fetch(INSIDE)])
    policy = lenient_policy(tmp_path)
    read = el.read(log, policy=policy, agent_ranges=folder)
    assert found(el.prepare(read, policy=policy)) == ["verified"]
    with pytest.raises(BadCallError, match=r"pass the same agent_ranges to el\.read"):
        el.prepare(el.read(log, policy=policy), policy=policy, agent_ranges=folder)


def test_a_day_added_needs_ranges_and_a_replay_takes_those_that_there_were(tmp_path, folder):
    (tmp_path / "key").write_text(KEY)
    options: dict[str, Any] = {"policy": lenient_policy(tmp_path), "key": tmp_path / "key"}
    logs = [
        write_log(tmp_path / f"{name}.ndjson", [fetch(address)])
        for name, address in (("1", INSIDE), ("2", OUTSIDE))
    ]
    base = el.prepare(logs[0], out=tmp_path / "base", agent_ranges=folder, **options)
    with pytest.raises(BadCallError, match=r"verified by chatgpt-user\.json, gptbot\.json: pass these"):
        el.prepare(logs[1], out=tmp_path / "no", onto=base.folder, **options)
    added = el.prepare(logs[1], out=tmp_path / "new", onto=base.folder, agent_ranges=folder, **options)
    whole = el.prepare(logs, out=tmp_path / "whole", agent_ranges=folder, **options)
    assert sorted(found(added)) == sorted(found(whole)) == ["spoofed", "verified"]
    assert added.run["row_digest"] == whole.run["row_digest"]
    again = el.replay(whole, out=tmp_path / "again", **options)
    assert again.run["row_digest"] == whole.run["row_digest"]
    assert again.run["agent_ranges"] == whole.run["agent_ranges"]


def test_an_erasure_leaves_what_was_decided_though_the_files_are_gone(tmp_path, folder):
    lines = [fetch(INSIDE), event(9, anonymous_id="a-9")]
    dataset = prepared(tmp_path, lines, agent_ranges=folder, out=tmp_path / "out")
    (folder / "gptbot.json").unlink()
    (folder / "chatgpt-user.json").unlink()
    el.erase(tmp_path / "out", ["anonymous_id:a-9"], key=tmp_path / "key", policy=policy_of(tmp_path))
    after = el.load(tmp_path / "out")
    assert len(after.events) == 1
    assert found(after) == ["verified"]
    assert after.run["agent_ranges"] == dataset.run["agent_ranges"]


def policy_of(tmp_path: Path) -> Path:
    """Return the policy that `prepared` wrote."""
    return next(tmp_path.glob("policy-*.yaml"))
