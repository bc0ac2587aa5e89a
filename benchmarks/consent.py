"""What consent costs beside the order of the same events: the limit is 1.5 times.

    python -m benchmarks.consent [--events 1000000] [--runs 5] [--engines auto duckdb] [--log DIR]

One event in three carries a consent string, a TCF or a GPP one; each device has its own, and another after a month.
Consent is what its stage takes, and what reading takes longer than reading the same log without the strings, decoding
included; order is the clock and the order stage of the same run. Each run is a process of its own, with and without strings in
turn; processor time, workers included, stands beside the clock's.
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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measure import machine
from eventlib.simulate import WorldParameters, simulate
from tests.unit.consent.decoders.strings import Tc, field_of, gpp, number, text_of, us

STAGES = """
import resource, sys, time
from pathlib import Path
import orjson
import scipy.sparse.csgraph  # `prepare` imports it beside the workers
from joblib.externals.loky import get_reusable_executor
from eventlib.consent import load_policy
from eventlib.engine import chosen_engine, connect, engine
from eventlib.flow import Flow
from eventlib.narrow import encode
from eventlib.pseudonyms import Pseudonymiser
from eventlib.rows import read_rows

def now():
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in spent)

policy, key, marks = load_policy(), b"k" * 32, [("", now())]
def done(name):
    marks.append((name, now()))

work = Path(sys.argv[3])
log = read_rows(sys.argv[1], key=key, signals=policy.signals, work=work)
get_reusable_executor().shutdown(wait=True)  # only then is known what the workers took
done("read")
with connect(spill=work / "spill") as connection:
    pseudonym = Pseudonymiser(key, plain=False)
    where = engine(chosen_engine(sys.argv[2], log.entry.rows_out), connection)
    narrow = encode(connection, log.folder, pseudonym, policy.impersonal_names, where, work / "facts.parquet")
    flow = Flow(narrow, where, policy, pseudonym, log.entry)
    done("encode")
    timed = flow.clock()
    done("clock")
    consented = flow.consent(timed)
    done("consent")
    flow.order(consented)
    done("order")
print(orjson.dumps({
    name: [after - before for before, after in zip(one, other)] for (_, one), (name, other) in zip(marks, marks[1:])
}).decode())
"""
_CONSENT = re.compile(rb'"consent":\{')
_ARRIVED = re.compile(rb'"received_at":"([^"]+)"')


def tc_string(chance: random.Random) -> str:
    """Return a string as a consent manager writes it: all, some or nothing of about a thousand vendors, all disclosed."""
    most, share = chance.randrange(900, 1300), chance.choice([0.0, 0.6, 1.0, 1.0])
    chosen = {vendor for vendor in range(1, most + 1) if chance.random() < share}
    vendors = number(most, 16) + "0" + field_of(chosen, most)
    day = 17_600_000_000 + 864_000 * chance.randrange(60)
    purposes = [purpose for purpose in range(1, 12) if chance.random() < share]
    core = Tc(
        created=day, updated=day, consents=purposes, vendor_consents=vendors, vendor_interests=vendors, restrictions=()
    )  # fmt: skip
    return f"{core.text()}.{text_of('001' + number(most, 16) + '0' + field_of(range(1, most + 1), most))}"


def gpp_string(chance: random.Random) -> str:
    """Return a string with the European section and the national one of the US."""
    choices = [chance.choice([0, 1, 2, 2]) for _ in range(3)]
    national = us(
        1, [1, 1, 1, 1, 0, 0, *choices, *[chance.choice([0, 0, 2]) for _ in range(12)], 0, 0, 0, 1, 0, 0]
    )
    return gpp({2: tc_string(chance), 7: national + chance.choice(["", ".QA", ".YA"])})


class Strings:
    """A string for each device and month."""

    def __init__(self, seed: int) -> None:
        self.chance, self.made = random.Random(seed), dict[tuple[object, object], dict[str, str]]()

    def of(self, event: dict[str, Any]) -> dict[str, str]:
        """Return the field that an event carries."""
        whose = event.get("anonymous_id"), str(event.get("received_at"))[:7]
        if whose not in self.made:
            kind, make = self.chance.choice([("tcf", tc_string), ("gpp", gpp_string)])
            self.made[whose] = {kind: make(self.chance)}
        return self.made[whose]


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


def write_logs(folder: Path, events: int) -> tuple[dict[str, Path], int, int]:
    """Write a log without strings and with them; return how many strings and how many of them distinct."""
    logs = {name: folder / name for name in ("simulated", "without", "with")}
    made, carrying = Strings(11), 0
    simulate(logs["simulated"], events, 11, replace(WorldParameters(), broken_share=0.0), plain=True)
    for name in ("without", "with"):
        logs[name].mkdir()
        lines = by_arrival(sorted(logs["simulated"].glob("*.ndjson")))
        with (logs[name] / "log.ndjson").open("wb") as out:
            for raw in with_strings(lines, made) if name == "with" else lines:
                carrying += b'"tcf":"C' in raw or b'"gpp":"D' in raw
                out.write(raw)
    return logs, carrying, len(made.made)


def staged(log: Path, engine: str) -> dict[str, list[float]]:
    """Run the stages in a process; return wall and processor seconds of each."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-c", STAGES, str(log), engine, work]
        result: dict[str, list[float]] = orjson.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--engines", nargs="*", default=["auto"])
    parser.add_argument("--log", type=Path, help="where the logs are written, and kept")
    arguments = parser.parse_args()
    print(machine("duckdb", "polars", "pyarrow"))
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.log or Path(name)
        logs, carrying, distinct = write_logs(folder, arguments.events)
        print(f"{arguments.events:,} events, {carrying:,} with a string, {distinct:,} distinct strings")
        for engine in arguments.engines:
            runs = [
                (staged(logs["without"], engine), staged(logs["with"], engine)) for _ in range(arguments.runs)
            ]
            for clock, what in enumerate(("wall", "processor")):
                report(
                    engine,
                    what,
                    [tuple({k: v[clock] for k, v in run.items()} for run in pair) for pair in runs],
                )


def report(engine: str, what: str, pairs: list[tuple[dict[str, float], ...]]) -> None:
    """Print the medians and the ratio, pair by pair."""
    reading = [some["read"] - none["read"] for none, some in pairs]
    order = [some["clock"] + some["order"] for _, some in pairs]
    ratios = [
        (more + some["consent"]) / of for more, (_, some), of in zip(reading, pairs, order, strict=True)
    ]
    stage = statistics.median(some["consent"] for _, some in pairs)
    print(
        f"{engine}, {what:<10} strings {statistics.median(reading):6.2f} s  consent {stage:6.2f} s  clock and order "
        f"{statistics.median(order):6.2f} s  ratio {statistics.median(ratios):.2f} "
        f"({', '.join(f'{ratio:.2f}' for ratio in ratios)})",
        flush=True,
    )


if __name__ == "__main__":
    main()
