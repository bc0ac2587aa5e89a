"""One simulated world, read once: 40,000 lines at the default rates."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventlib.simulate import simulate

SEED = 2026
EVENTS = 40_000


@dataclass(frozen=True)
class Simulated:
    """The log's lines in order, each decoded where it can be, beside its row of the truth."""

    folder: Path
    lines: list[bytes]
    events: list[dict[str, Any]]
    truth: list[dict[str, str]]

    def whole(self) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """Events that nobody broke, each with its truth."""
        pairs = zip(self.events, self.truth, strict=True)
        return [
            (event, truth) for event, truth in pairs if not truth["fault"].startswith(("broken", "blank"))
        ]

    def named(self, name: str, source: str = "web") -> list[dict[str, Any]]:
        return [e for e, _ in self.whole() if e["event_name"] == name and e["source"] == source]

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.folder / "truth" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def read_lines(folder: Path) -> list[bytes]:
    lines: list[bytes] = []
    for path in sorted(folder.glob("events-*")):
        content = path.read_bytes()
        lines += (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()
    return lines


def decoded(line: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("world")
    simulate(folder, EVENTS, SEED)
    with gzip.open(folder / "truth" / "events.csv.gz", "rt", encoding="utf-8", newline="") as file:
        truth = list(csv.DictReader(file))
    lines = read_lines(folder)
    return Simulated(folder, lines, [decoded(line) for line in lines], truth)
