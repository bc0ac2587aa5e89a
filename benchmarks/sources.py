"""How fast logs of other trackers are read, as a share of native's rate: one site's events, logged by each.

Run: python -m benchmarks.sources [EVENTS]. Each log is read in this process, native before and after it, and the ratio is
that of native's mean to its own processor time; the median of five such. The limit is a third.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

import eventlib as el
from benchmarks.measure import machine
from benchmarks.wide_sources import access_combined, access_json, wide_ga4, wide_posthog, wide_snowplow
from eventlib import rows
from eventlib.schema import registry
from eventlib.simulate import simulate
from eventlib.sources import records_of
from eventlib.sources.files import chunks
from eventlib.sources.native import NativeAdapter
from tests.foreign import FORMATS

LOGS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    **FORMATS,
    "posthog of a browser": wide_posthog,
    "snowplow of a browser": wide_snowplow,
    "ga4 of a site": wide_ga4,
    "access log, combined": access_combined,
    "access log, JSON": access_json,
}
LIMIT: Final = 1 / 3
REPEATS: Final = 5


def valid_events(folder: Path, count: int) -> list[dict[str, Any]]:
    """Simulate a log, and return its valid events that are somebody's."""
    simulate(folder / "world", events=count, seed=1)
    kind = NativeAdapter()
    paths = sorted((folder / "world").glob("*.ndjson.gz"))
    lines = (line for path in paths for chunk in chunks(path, 0) for line in chunk.data.splitlines())
    found = records_of(kind, lines)
    return [one for one in found if registry().judge(one) is None and one.get("anonymous_id")]


def log_of(records: Iterable[Any]) -> bytes:
    """Return records as the lines of a log."""
    return b"".join((one if isinstance(one, bytes) else orjson.dumps(one)) + b"\n" for one in records)


def spent(path: Path) -> float:
    """Return the processor time of reading a log."""
    start = time.process_time()
    el.read(path)
    return time.process_time() - start


def main(count: int = 40_000) -> None:
    """Print the table."""
    setattr(rows, "_PARALLEL_FROM_BYTES", sys.maxsize)  # noqa: B010  # worker processes' time is not this one's
    print(machine("orjson", "jsonschema-rs", "pyarrow"))
    with tempfile.TemporaryDirectory(prefix="eventlib-bench-") as folder:
        events = valid_events(Path(folder), count)
        native = Path(folder) / "native.ndjson"
        native.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in events))
        spent(native)
        print(
            f"\n{len(events):,} events; limit {LIMIT:.2f}\n\n| format | bytes an event | µs an event | of native's rate | in bytes |"
        )
        print("|---|---:|---:|---:|---:|")
        of_native = native.stat().st_size / len(events)
        for name, written in LOGS.items():
            path = Path(folder) / f"{name.replace(' ', '-').replace(',', '')}.log"
            path.write_bytes(log_of(map(written, events)))
            taken, ratios = [], []
            for _ in range(REPEATS):
                before, own, after = spent(native), spent(path), spent(native)
                taken.append(own)
                ratios.append((before + after) / 2 / own)
            size, each = path.stat().st_size / len(events), statistics.median(taken) / len(events) * 1e6
            ratio = statistics.median(ratios)
            print(
                f"| {name} | {size:.0f} | {each:.0f} | {ratio:.2f} | {ratio * size / of_native:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
