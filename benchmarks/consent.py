"""What consent costs beside the order of the same events: the limit is 1.5 times.

    python -m benchmarks.consent [--events 1000000] [--runs 5] [--engines auto duckdb] [--log DIR] [--own 0.05]

One event in three carries a consent string, a TCF or a GPP one. Strings tell days, not moments, so that people who chose the same on
one day have the same string; a share of devices (`--own`) chose vendor by vendor and has one that nobody else has. Consent is
what its stage takes, and what reading takes longer than reading the same log without the strings, decoding and the longer JSON
included; order is the clock, the order stage and the sort into the total order (S3.5) of the same run. Processor seconds: reading
is what two workers do, each a process that reads every other part of both logs in turn, since two whole readings differ by
more than the strings.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measure import machine
from eventlib.simulate import WorldParameters, simulate
from tests.unit.consent.decoders.strings import Tc, field_of, gpp, number, text_of, us

STAGES = """
import sys, time
from pathlib import Path
import orjson
import scipy.sparse.csgraph  # `prepare` imports it beside the workers
from joblib.externals.loky import get_reusable_executor
from eventlib.consent import load_policy
from eventlib.engine import chosen_engine, connect, engine
from eventlib.flow import Flow
from eventlib.narrow import encode
from eventlib.ordering import ORDER
from eventlib.pseudonyms import Pseudonymiser
from eventlib.rows import read_rows

policy, key, marks = load_policy(), b"k" * 32, []
def done(name):
    marks.append((name, time.process_time()))

work = Path(sys.argv[3])
log = read_rows(sys.argv[1], key=key, signals=policy.signals, work=work)
get_reusable_executor().shutdown(wait=True)  # what it holds is in nobody's way then
with connect(spill=work / "spill") as connection:
    pseudonym = Pseudonymiser(key, plain=False)
    where = engine(chosen_engine(sys.argv[2], log.entry.rows_out), connection)
    narrow = encode(connection, log.folder, pseudonym, policy.impersonal_names, where, work / "facts.parquet")
    flow = Flow(narrow, where, policy, pseudonym, log.entry)
    done("")
    timed = flow.clock()
    done("clock")
    consented = flow.consent(timed)
    done("consent")
    ordered, _ = flow.order(consented)
    where.give(connection, ordered, "ordered")
    columns = ", ".join(f"{name} NULLS LAST" for name in ORDER)
    connection.execute(f"CREATE TABLE placed AS SELECT row, row_number() OVER (ORDER BY {columns}) AS place FROM ordered")
    done("order")
    numbered = flow.sessions(ordered)
    done("sessions")
    where.checkpoint(flow.identify(numbered).of_row)
    done("identity")
print(orjson.dumps({
    name: after - before for (_, before), (name, after) in zip(marks, marks[1:])
}).decode())
"""
READING = """
import sys, time
from pathlib import Path
import orjson
from eventlib.consent import load_policy
from eventlib.judging import judge_chunk
from eventlib.rows import plan_rows

work, worker, took, parts = Path(sys.argv[3]), int(sys.argv[4]), [0.0, 0.0], []
for log in (0, 1):
    (work / str(log)).mkdir()
    plan = plan_rows(sys.argv[1 + log], key=b"k" * 32, signals=load_policy().signals, work=work / str(log))
    tasks = [task for task in plan.tasks() if task[1] % 2 == worker]
    parts += [(place / len(tasks), log, task) for place, task in enumerate(tasks)]
judge_chunk(*parts[0][2])  # what a first call loads
for _, log, task in sorted(parts, key=lambda part: part[:2]):
    before = time.process_time()
    judge_chunk(*task)
    took[log] += time.process_time() - before
print(orjson.dumps(took).decode())
"""
_CONSENT = re.compile(rb'"consent":\{')
_ARRIVED = re.compile(rb'"received_at":"([^"]+)"')


_DAYS = 60
_CHOICES = [range(1, 12)] * 6 + [(), ()] + [(1, 8, 10), (1, 2, 7), (1, 5, 6, 8)]
"""Purposes that people choose: mostly all, sometimes none, seldom some."""


def tc_string(day: int, purposes: Sequence[int], vendors: set[int]) -> str:
    """Return a string as a consent manager writes it: a thousand vendors, all disclosed, of which some are chosen."""
    most = 1100
    chosen = number(most, 16) + "0" + field_of(vendors, most)
    moment = 17_600_000_000 + 864_000 * day
    core = Tc(
        created=moment, updated=moment, consents=purposes, vendor_consents=chosen, vendor_interests=chosen, restrictions=()
    )  # fmt: skip
    return f"{core.text()}.{text_of('001' + number(most, 16) + '0' + field_of(range(1, most + 1), most))}"


def gpp_string(chance: random.Random, tc: str) -> str:
    """Return a string with the European section and the national one of the US."""
    choices = [chance.choice([0, 1, 2, 2]) for _ in range(3)]
    national = us(1, [1, 1, 1, 1, 0, 0, *choices, *[0] * 12, 0, 0, 0, 1, 0, 0])
    return gpp({2: tc, 7: national + chance.choice(["", ".QA", ".YA"])})


class Strings:
    """A string for each choice and day, and for devices that chose for themselves one of their own."""

    def __init__(self, seed: int, own: float) -> None:
        self.own, self.chance = own, random.Random(seed)
        self.of_device = dict[object, dict[str, str]]()
        self.of_choice = dict[tuple[int, int, str], dict[str, str]]()

    def of(self, event: dict[str, Any]) -> dict[str, str]:
        """Return the field that an event carries."""
        return self.of_device.setdefault(event.get("anonymous_id"), {}) or self._choose(event)

    def _choose(self, event: dict[str, Any]) -> dict[str, str]:
        day, kind = self.chance.randrange(_DAYS), self.chance.choice(["tcf", "gpp"])
        choice = self.chance.randrange(len(_CHOICES))
        if self.chance.random() < self.own:
            made = self._make(
                kind, day, choice, {vendor for vendor in range(1, 1101) if self.chance.random() < 0.6}
            )
        else:
            # choices that are alike make strings that are
            key = (day, _CHOICES.index(_CHOICES[choice]), kind)
            vendors = set(range(1, 1101)) if _CHOICES[choice] else set[int]()
            made = self.of_choice.get(key) or self.of_choice.setdefault(
                key, self._make(kind, day, choice, vendors)
            )
        self.of_device[event.get("anonymous_id")] = made
        return made

    def _make(self, kind: str, day: int, choice: int, vendors: set[int]) -> dict[str, str]:
        tc = tc_string(day, list(_CHOICES[choice]), vendors)
        return {kind: tc if kind == "tcf" else gpp_string(self.chance, tc)}

    def distinct(self) -> int:
        """Return how many strings there are."""
        return len({text for made in self.of_device.values() for text in made.values()})


def with_strings(lines: Iterator[bytes], strings: Strings) -> Iterator[bytes]:
    """Add a string to every third event, where it has a consent object, and the later of those that have none."""
    owed = 0
    for count, raw in enumerate(lines):
        owed += count % 3 == 0
        found = _CONSENT.search(raw) if owed else None
        if found is None:
            yield raw
            continue
        owed -= 1
        added = orjson.dumps(strings.of(orjson.loads(raw)))[1:-1]
        yield raw[: found.end()] + added + b"," + raw[found.end() :]


def by_arrival(files: list[Path]) -> Iterator[bytes]:
    """Merge files, each in the order of arrival: the simulation writes some people after the others, a site has all at once."""
    last = ""

    def arrived(raw: bytes) -> str:
        nonlocal last
        if found := _ARRIVED.search(raw):
            last = found[1].decode()
        return last

    with contextlib.ExitStack() as opened:
        yield from heapq.merge(*(opened.enter_context(file.open("rb")) for file in files), key=arrived)


def write_logs(folder: Path, events: int, own: float) -> tuple[dict[str, Path], int, int]:
    """Write a log without strings and with them; return how many strings and how many of them distinct."""
    logs = {name: folder / name for name in ("simulated", "without", "with")}
    made, carrying = Strings(11, own), 0
    simulate(logs["simulated"], events, 11, replace(WorldParameters(), broken_share=0.0), plain=True)
    for name in ("without", "with"):
        logs[name].mkdir()
        lines = by_arrival(sorted(logs["simulated"].glob("*.ndjson")))
        with (logs[name] / "log.ndjson").open("wb") as out:
            for raw in with_strings(lines, made) if name == "with" else lines:
                carrying += b'"tcf":"C' in raw or b'"gpp":"D' in raw
                out.write(raw)
    return logs, carrying, made.distinct()


def ran(script: str, *arguments: object) -> Any:
    """Run a script in a process of its own, with a folder to work in; return what it prints."""
    with tempfile.TemporaryDirectory() as work:
        places = [*map(str, arguments[:2]), work, *map(str, arguments[2:])]
        command = [sys.executable, "-c", script, *places]
        return orjson.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def strings_cost(logs: dict[str, Path]) -> float:
    """Return how many seconds longer two workers take to read the log with strings."""
    each = [ran(READING, logs["without"], logs["with"], worker) for worker in (0, 1)]
    return float(sum(some - none for none, some in each))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--engines", nargs="*", default=["auto"])
    parser.add_argument("--own", type=float, default=0.05, help="devices with a string that nobody else has")
    parser.add_argument("--log", type=Path, help="where the logs are written, and kept")
    arguments = parser.parse_args()
    print(machine("duckdb", "polars", "pyarrow"))
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.log or Path(name)
        logs, carrying, distinct = write_logs(folder, arguments.events, arguments.own)
        print(f"{arguments.events:,} events, {carrying:,} with a string, {distinct:,} distinct strings")
        for engine in arguments.engines:
            runs = [(strings_cost(logs), ran(STAGES, logs["with"], engine)) for _ in range(arguments.runs)]
            report(engine, runs)


def report(engine: str, runs: list[tuple[float, dict[str, float]]]) -> None:
    """Print the medians, and the ratios run by run."""
    order = [took["clock"] + took["order"] for _, took in runs]
    stage = [took["consent"] / of for (_, took), of in zip(runs, order, strict=True)]
    whole = [(strings + took["consent"]) / of for (strings, took), of in zip(runs, order, strict=True)]
    for what, seconds in {
        "strings": [strings for strings, _ in runs],
        "consent stage": [took["consent"] for _, took in runs],
        "clock and order": order,
    }.items():
        print(f"{engine}  {what:<16} {statistics.median(seconds):6.2f} s")
    for what, ratios in {"consent stage / order": stage, "with strings": whole}.items():
        told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{engine}  {what:<22} {statistics.median(ratios):.2f} ({told})", flush=True)


if __name__ == "__main__":
    main()
