"""S1.5: quarantined lines judged again, from where they stand, through the whole flow."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

import eventlib as el
from eventlib.errors import BadCallError, DataRefusedError
from eventlib.model import PURPOSES
from eventlib.prepared import Prepared
from eventlib.resources import schemas_dir
from tests.factory import consent, event, lenient_policy, line, write_log

PLAIN: dict[str, Any] = {"plain_identifiers": True, "max_rejected": 1.0}


@pytest.fixture
def mended(tmp_path: Path) -> Path:
    """Schemas that take a property which the shipped ones do not know."""
    folder = Path(shutil.copytree(schemas_dir(), tmp_path / "schemas"))
    schema = orjson.loads((folder / "events" / "page_view" / "1-0-0.json").read_bytes())
    schema["properties"]["colour"] = {"type": "string", "maxLength": 20}
    (folder / "events" / "page_view" / "1-0-1.json").write_bytes(
        orjson.dumps({**schema, "supersedes": ["1-0-0"]})
    )
    return folder


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return lenient_policy(tmp_path)


def coloured(seconds: float = 0, **fields: Any) -> dict[str, Any]:
    made = event(seconds, **fields)
    return {**made, "properties": {**made["properties"], "colour": "red"}}


def lines() -> list[bytes]:
    """Valid lines, lines that the mended schema takes, and lines that nothing takes."""
    nothing: dict[str, Any] = dict.fromkeys(PURPOSES, False)
    refused = consent(**nothing)
    twice = coloured(40, event_id="twice")
    return [
        b"\xef\xbb\xbf" + line(coloured(0)),
        *(line(event(number * 9, anonymous_id=f"a-{number % 3}")) for number in range(20)),
        b"\n",
        line(twice),
        line({**twice, "received_at": event(50)["received_at"]}),
        line(event(60, anonymous_id="a-2")).replace(b"\n", b"\r\n"),
        line(coloured(70, anonymous_id="a-9", consent=refused)),
        line(coloured(80, received_at="2026-10-09T12:00:00Z")),
        b"{broken\n",
        line(event(90, sequence=-1)),
        b'{"a": "' + b"x" * (3 << 20) + b'"}\n',
        line(coloured(100, anonymous_id="a-1", user_id="u-1")),
        line(coloured(-1000)).rstrip(b"\n"),
    ]


def logs(folder: Path, content: list[bytes]) -> list[Path]:
    folder.mkdir()
    third = len(content) // 3
    parts = [b"".join(content[:third]), b"".join(content[third : 2 * third]), b"".join(content[2 * third :])]
    names = ["a.ndjson", "b.ndjson.gz", "c.jsonl.zst"]
    packed = [parts[0], gzip.compress(parts[1]), zstandard.compress(parts[2])]
    for name, data in zip(names, packed, strict=True):
        (folder / name).write_bytes(data)
    return [folder / name for name in names]


FILES = ("events", "quarantine", "people", "sessions", "refused_merges", "registry", "evidence")


def content(found: Prepared) -> dict[str, bytes]:
    return {name: (found.folder / f"{name}.parquet").read_bytes() for name in FILES}


def codes(found: Prepared) -> dict[str, int]:
    return {str(code): int(count) for code, count in found.quarantine["code"].value_counts().items()}


def balanced(found: Prepared) -> bool:
    """All input lines are kept, quarantined, withheld, duplicates or blank."""
    removed = found.ledger.removed()
    refused = sum(codes(found).values())
    others = sum(count for code, count in removed.items() if code not in codes(found))
    lines_in = sum(int(entry["rows"]) for entry in found.run["inputs"])
    return found.ledger.rows_in == lines_in == found.ledger.rows_out + refused + others


def test_replay_gives_what_preparing_anew_gives_and_once_is_enough(
    tmp_path: Path, mended: Path, policy: Path
):
    files = logs(tmp_path / "logs", lines())
    first = el.prepare(files, policy=policy, **PLAIN)
    anew = el.prepare(files, policy=policy, schemas=mended, **PLAIN)
    replayed = el.replay(first, schemas=mended, policy=policy)
    assert content(replayed) == content(anew)
    assert replayed.ledger.to_list() == anew.ledger.to_list()
    assert codes(first) == {
        "schema_additionalProperties": 7,
        "broken_json": 1,
        "schema_minimum": 1,
        "line_too_long": 1,
    }
    assert codes(replayed) == {"too_late": 1, "broken_json": 1, "schema_minimum": 1, "line_too_long": 1}
    assert replayed.ledger.removed()["duplicate"] == 1
    assert len(replayed.events) == len(first.events) + 4
    assert replayed.run["replay_of"] == first.run["run_id"]
    assert [entry["rows"] for entry in replayed.run["judged_by"]] == [28]
    assert balanced(replayed)
    again = el.replay(replayed, policy=policy)
    assert content(again) == content(replayed)
    assert again.ledger.to_list() == replayed.ledger.to_list()


def test_nothing_mended_changes_nothing(tmp_path: Path, policy: Path):
    first = el.prepare(logs(tmp_path / "logs", lines()), policy=policy, **PLAIN)
    assert content(el.replay(first, policy=policy)) == content(first)


@pytest.mark.parametrize("what", ["removed", "changed", "emptied", "broken"])
def test_a_line_that_is_no_longer_there_stays_as_source_gone(
    tmp_path: Path, mended: Path, policy: Path, what: str
):
    kept = write_log(tmp_path / "a.ndjson", [event(n) for n in range(5)])
    bad = tmp_path / "b.ndjson.gz"
    bad.write_bytes(gzip.compress(line(coloured(1)) + b"\n" + line(coloured(2))))
    first = el.prepare([kept, bad], policy=policy, **PLAIN)
    if what == "removed":
        bad.unlink()
    else:
        other = {"changed": gzip.compress(b"#" + line(coloured(1)) * 3), "emptied": b"", "broken": b"\0" * 99}
        bad.write_bytes(other[what])
    replayed = el.replay(first, schemas=mended, policy=policy)
    assert codes(replayed) == {"source_gone": 2}
    assert content(replayed)["events"] == content(first)["events"]
    assert replayed.ledger.removed() == {"blank_line": 1, "source_gone": 2}
    assert balanced(replayed)
    assert content(el.replay(replayed, policy=policy)) == content(replayed)
    bad.write_bytes(gzip.compress(line(coloured(1)) + b"\n" + line(coloured(2))))
    assert codes(el.replay(replayed, policy=policy)) == {"source_gone": 2}  # other ids: other lines


def test_lines_that_still_stand_in_a_changed_file_are_recovered_alone(
    tmp_path: Path, mended: Path, policy: Path
):
    kept = write_log(tmp_path / "a.ndjson", [event(n) for n in range(5)])
    bad = write_log(tmp_path / "b.ndjson", [coloured(1), coloured(2)])
    first = el.prepare([kept, bad], policy=policy, **PLAIN)
    text = bad.read_bytes()
    bad.write_bytes(text + line(event(9)) + line(coloured(10)))  # more came: no part of this dataset
    replayed = el.replay(first, schemas=mended, policy=policy)
    assert (len(replayed.events), codes(replayed)) == (7, {})
    assert balanced(replayed)
    bad.write_bytes(text)
    anew = el.prepare([kept, bad], schemas=mended, policy=policy, **PLAIN)
    assert content(replayed)["events"] == content(anew)["events"]
    bad.unlink()
    assert content(el.replay(replayed, policy=policy)) == content(replayed)


def test_what_was_carried_over_can_be_added_to(tmp_path: Path, policy: Path):
    gone = write_log(tmp_path / "a.ndjson", [event(1), b"{broken\n"])
    first = el.prepare(gone, policy=policy, **PLAIN)
    gone.unlink()
    carried = el.replay(first, policy=policy)
    added = el.prepare(
        write_log(tmp_path / "b.ndjson", [event(9)]), onto=carried.folder, policy=policy, **PLAIN
    )
    assert [entry["removed"] for entry in added.run["inputs"]] == [{"source_gone": 1}, {}]
    assert codes(added) == {"source_gone": 1}
    assert balanced(added)


def test_events_that_cannot_be_read_again_are_never_lost(tmp_path: Path, mended: Path, policy: Path):
    kept = write_log(tmp_path / "a.ndjson", [*(event(n) for n in range(5)), b"{broken\n"])
    bad = write_log(tmp_path / "b.ndjson", [coloured(1)])
    first = el.prepare([kept, bad], out=tmp_path / "out", policy=policy, **PLAIN)
    kept.unlink()
    with pytest.raises(
        DataRefusedError, match=r"1 quarantined lines are valid now, but .*a\.ndjson \(5 events\)"
    ):
        el.replay(tmp_path / "out", out=tmp_path / "out", schemas=mended, policy=policy)
    assert el.load(tmp_path / "out").run["run_id"] == first.run["run_id"]
    carried = el.replay(tmp_path / "out", out=tmp_path / "out", policy=policy)
    assert codes(carried) == {"source_gone": 1, "schema_additionalProperties": 1}
    assert content(carried)["events"] == content(first)["events"]
    assert balanced(carried)
    assert content(el.replay(carried, policy=policy)) == content(carried)


def test_another_key_or_policy_is_told(tmp_path: Path, policy: Path):
    first = el.prepare(write_log(tmp_path / "a.ndjson", [event(), b"{\n"]), policy=policy, **PLAIN)
    other = tmp_path / "other"
    other.write_text("cd" * 32)
    with pytest.raises(BadCallError, match="pass the key"):
        el.replay(first, key=other, policy=policy)
    with pytest.raises(BadCallError, match=r"prepared by the policy policy-.*--policy"):
        el.replay(first)
