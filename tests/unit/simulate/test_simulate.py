"""The log as a whole: reproducible, exactly as long as asked for, with its truth line by line."""

import gzip
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventlib.errors import BadCallError
from eventlib.schema import Registry
from eventlib.simulate import WorldParameters, simulate
from tests.unit.simulate.conftest import EVENTS, SEED, Simulated, read_lines

DATA = Path(__file__).resolve().parents[3] / "data"


def test_the_same_seed_gives_the_same_lines_and_another_seed_others(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(tmp_path / name, 2_000, seed)
    a, b, c = (read_lines(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
    assert [path.read_bytes() for path in sorted((tmp_path / "a").rglob("*.*"))] == [
        path.read_bytes() for path in sorted((tmp_path / "b").rglob("*.*"))
    ]


def test_lines_do_not_depend_on_how_they_are_split_or_packed(tmp_path):
    simulate(tmp_path / "whole", 3_000, 5)
    result = simulate(tmp_path / "split", 3_000, 5, plain=True, lines_per_file=700)
    assert [path.name for path in result.files] == [f"events-{i:04d}.ndjson" for i in range(5)]
    assert read_lines(tmp_path / "split") == read_lines(tmp_path / "whole")


def test_chunks_meet_in_exactly_the_number_of_lines_asked_for(tmp_path):
    done: list[int] = []
    result = simulate(tmp_path, 40_001, 5, progress=done.append)
    assert len(done) == 2
    assert sum(done) == sum(result.faults.values()) == len(read_lines(tmp_path)) == 40_001


@pytest.mark.parametrize("events", [0, 1, 2, 17, 300])
def test_small_logs_have_exactly_as_many_lines(tmp_path, events):
    assert sum(simulate(tmp_path, events, 1).faults.values()) == events
    assert len(read_lines(tmp_path)) == events


def test_an_earlier_log_in_the_folder_is_replaced_and_other_files_stay(tmp_path):
    simulate(tmp_path, 500, 1, plain=True, lines_per_file=100)
    (tmp_path / "notes.txt").write_text("mine")
    simulate(tmp_path, 200, 1)
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["events-0000.ndjson.gz", "notes.txt"]


def test_shares_and_sizes_out_of_range_are_bad_calls(tmp_path):
    with pytest.raises(BadCallError, match="duplicate_share=2 is not a share"):
        WorldParameters(duplicate_share=2)
    with pytest.raises(BadCallError, match="kappa"):
        WorldParameters(kappa=1.5)
    with pytest.raises(BadCallError, match="days"):
        WorldParameters(days=7)
    with pytest.raises(BadCallError, match="seed=-1"):
        simulate(tmp_path, 10, -1)


def test_the_shipped_sample_is_made_again_by_its_readmes_command(tmp_path):
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    command = re.search(r"eventlib simulate --out DIR ((?:.|\n)*?)\n\n", readme)
    assert command is not None
    words = command[1].replace("\\", "").split()
    options = dict(zip(words[0:4:2], words[1:4:2], strict=True))
    rates: dict[str, Any] = {
        name: float(value) for name, value in (word.split("=") for word in words[4:] if word != "-p")
    }
    simulate(tmp_path, int(options["--events"]), int(options["--seed"]), WorldParameters(**rates))
    shipped = gzip.decompress((DATA / "sample.ndjson.gz").read_bytes())
    assert shipped == b"".join(gzip.decompress(p.read_bytes()) for p in sorted(tmp_path.glob("events-*")))
    for path in sorted((tmp_path / "truth").iterdir()):
        ours, theirs = path.read_bytes(), (DATA / "truth" / path.name).read_bytes()
        if path.suffix == ".gz":  # zlib versions differ in how they pack, not in what
            ours, theirs = gzip.decompress(ours), gzip.decompress(theirs)
        assert ours == theirs, path.name


def test_the_sample_is_small_and_says_that_it_is_simulated():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 4_000_000
    assert "Simulated by us" in (DATA / "README.md").read_text(encoding="utf-8")


def test_truth_has_one_row_per_line_and_names_it(world: Simulated):
    assert len(world.truth) == len(world.lines) == EVENTS
    for event, truth in zip(world.events, world.truth, strict=True):
        if event.get("event_id") is not None:
            assert event["event_id"] == truth["event_id"]
    said = orjson.loads((world.folder / "truth" / "world.json").read_bytes())
    assert said["seed"] == SEED
    assert sum(said["lines_by_fault"].values()) == EVENTS


def test_every_whole_line_is_valid_and_every_broken_one_refused(world: Simulated):
    registry = Registry()
    refused = ("broken", "unknown", "blank")
    for line, event, truth in zip(world.lines, world.events, world.truth, strict=True):
        if not truth["fault"].startswith(refused):
            assert registry.judge(event) is None, (truth, line)
        elif (
            truth["fault"] != "broken_duplicate_key"
        ):  # refused while reading: its schema sees only the last one
            assert not event or len(line) > 1 << 20 or registry.judge(event) is not None, truth


def test_lines_stand_in_the_order_of_arrival(world: Simulated):
    received = [e["received_at"] for e in world.events if "received_at" in e and e.get("event_name")]
    assert received == sorted(received)
