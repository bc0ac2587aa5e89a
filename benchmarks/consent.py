"""What consent costs beside the order of the same events: the limit is 1.5 times.

    python -m benchmarks.consent [--events 1000000] [--runs 5] [--engines auto duckdb] [--log DIR] [--own 0.05]

One event in three carries a consent string, a TCF or a GPP one. Strings tell days, not moments, so that people who chose the same on
one day have the same string; a share of devices (`--own`) chose vendor by vendor and has one that nobody else has. Consent is
what its stage takes, and what reading takes longer than reading the same log without the strings, decoding included; order is
the clock, the order stage and the sort into the total order (S3.5) of the same run. Each run is a process of its own, with
and without strings in turn; processor time, workers included, stands beside the clock's.
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
import resource, sys, time
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
    ordered, _ = flow.order(consented)
    where.give(connection, ordered, "ordered")
    columns = ", ".join(f"{name} NULLS LAST" for name in ORDER)
    connection.execute(f"CREATE TABLE placed AS SELECT row, row_number() OVER (ORDER BY {columns}) AS place FROM ordered")
    done("order")
print(orjson.dumps({
    name: [after - before for before, after in zip(one, other)] for (_, one), (name, other) in zip(marks, marks[1:])
}).decode())
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
    parser.add_argument("--own", type=float, default=0.05, help="devices with a string that nobody else has")
    parser.add_argument("--log", type=Path, help="where the logs are written, and kept")
    arguments = parser.parse_args()
    print(machine("duckdb", "polars", "pyarrow"))
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.log or Path(name)
        logs, carrying, distinct = write_logs(folder, arguments.events, arguments.own)
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
