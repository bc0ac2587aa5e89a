"""Whole logs through the command line: what must not be exported ends with 6, what may is the same bytes twice."""

from __future__ import annotations

import copy
import gzip
import json
import random
import tempfile
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from eventlib.api import prepare
from eventlib.ranking import read_tables
from eventlib.ranking.impressions import read_impressions
from eventlib.simulate import WorldParameters, simulate
from tests.factory import KEY
from tests.unit.test_cli import run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Events = list[dict[str, Any]]

pytestmark = pytest.mark.slow


def _read(folder: Path) -> Events:
    found = []
    for path in sorted(folder.glob("*.ndjson.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            try:
                found.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                continue
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("properties"), dict)]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Return logs of a world by its swap noise, read once."""

    @cache
    def of(noise: float) -> Events:
        folder = tmp_path_factory.mktemp("log")
        simulate(folder, events=80_000, seed=11, parameters=WorldParameters(swap_noise=noise, edited_share=0.0))
        return _read(folder)

    return of


def _shuffled(events: Events) -> Events:
    """Who clicked at a place is drawn again among all who saw it: rates by place stay, interest is gone."""
    made, rng = copy.deepcopy(events), random.Random(1)
    shows: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for one in made:
        if one.get("event_name") == "citation_show":
            p = one["properties"]
            shows[p.get("engine"), p.get("slot"), p["position"]].append(p["citation_id"])
    other: dict[str, str] = {}
    for ids in shows.values():
        other |= dict(zip(ids, rng.sample(ids, len(ids)), strict=True))
    for one in made:
        if one.get("event_name") == "citation_click":
            p = one["properties"]
            p["citation_id"] = other.get(p["citation_id"], p["citation_id"])
    return made


def _unswapped(events: Events) -> Events:
    """Each page has one place for a prompt, whoever asks: other shows of it, and the clicks on them, never were."""
    prompts = {
        one["properties"]["answer_id"]: one["properties"].get("prompt_id")
        for one in events
        if one.get("event_name") == "answer_generate"
    }
    place: dict[tuple[object, ...], tuple[object, ...]] = {}
    kept: set[str] = set()
    for one in events:
        if one.get("event_name") == "citation_show":
            p = one["properties"]
            where = (p.get("slot"), p["position"])
            if place.setdefault((p.get("engine"), prompts.get(p["answer_id"]), p["content_id"]), where) == where:
                kept.add(p["citation_id"])
    seen = {"citation_show", "citation_click"}
    return [one for one in events if one.get("event_name") not in seen or one["properties"]["citation_id"] in kept]


def _planted(events: Events) -> Events:
    """A content system counts later clicks and writes their rate back into what it says of each page."""
    with tempfile.TemporaryDirectory() as folder:
        log, key = Path(folder, "log.ndjson"), Path(folder, "key")
        log.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in events))
        key.write_text(KEY)
        tables = read_tables(prepare(log, key=key).events)
    shows = read_impressions(tables.shows, tables.clicks, tables.answers).frame
    late = shows[shows["time_us"] > shows["time_us"].quantile(0.65)]
    rate = late.groupby("content_id")["clicked"].mean().to_dict()
    made = copy.deepcopy(events)
    for one in made:
        if one.get("event_name") == "content_publish":
            one["properties"]["source_count"] = round(1000 * rate.get(one["properties"]["content_id"], 0.0))
    return made


def _whole(events: Events) -> Events:
    return events


CASES: dict[str, tuple[float, Callable[[Events], Events], float, str]] = {
    "no swaps": (0.8, _unswapped, 0.35, "G4"),
    "shuffled labels": (0.8, _shuffled, 0.35, "G1"),
    "a tiny effective sample": (0.8, _whole, 0.1, "G3"),
    "a feature made of later clicks": (0.8, _planted, 0.35, "G1"),
}
"""Swap noise of the world, what becomes of its log, the share held out, the gate that refuses."""


def _report(events: Events, tmp_path: Path, parameter: str, **variables: str) -> subprocess.CompletedProcess[str]:
    log, key = tmp_path / "log.ndjson", tmp_path / "key"
    log.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in events))
    key.write_text(KEY)
    prepare(log, key=key).save(tmp_path / "prepared")
    at = ["--prepared", str(tmp_path / "prepared"), "--out", str(tmp_path / "reports")]
    return run("report", "07_export_signals", *at, "-p", f"out={tmp_path / 'signals'}", "-p", parameter, **variables)


@pytest.mark.parametrize("case", CASES)
def test_a_log_that_must_not_be_exported_ends_with_6_and_leaves_the_reason_only(case, logs, tmp_path):
    noise, change, share, gate = CASES[case]
    result = _report(change(logs(noise)), tmp_path, f"evaluation_share={share}")
    assert result.returncode == 6, result.stderr
    assert [path.name for path in (tmp_path / "signals").iterdir()] == ["refused.json"]
    told = json.loads((tmp_path / "signals" / "refused.json").read_text())
    assert gate in [g["gate"] for g in told["gates"] if g["state"] == "failed"]
    assert gate in told["reason"]
    assert ("source_count knows what came after" in told["reason"]) == (case == "a feature made of later clicks")
    assert not list((tmp_path / "reports").glob("*/latest"))


def test_two_clean_runs_write_the_same_bytes(logs, tmp_path):
    written = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        result = _report(logs(0.8), folder, "seed=3", PYTHONHASHSEED=seed)
        assert result.returncode == 0, result.stderr
        bundle = (folder / "signals" / "current").resolve()
        files = sorted(path for path in bundle.rglob("*") if path.is_file())
        written.append({path.relative_to(bundle).as_posix(): path.read_bytes() for path in files} | {"": bundle.name})
    assert len(written[0]) > 12
    assert written[0] == written[1]


def test_a_damaged_bundle_ends_the_check_with_6(logs, tmp_path):
    result = _report(logs(0.8), tmp_path, "seed=3")
    assert result.returncode == 0, result.stderr
    bundle = (tmp_path / "signals" / "current").resolve()
    assert run("check-signals", tmp_path / "signals").returncode == 0
    with (bundle / "signals.jsonl").open("ab") as file:
        file.write(b"{}")
    found = run("check-signals", tmp_path / "signals")
    assert found.returncode == 6
    assert "signals.jsonl: was changed" in found.stdout
