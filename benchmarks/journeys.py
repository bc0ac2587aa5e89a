"""How `eventlib.journeys` counts beside Retentioneering, on the same streams: funnels, step matrices, transition counts.

    python -m benchmarks.journeys --retentioneering PYTHON [--streams 80] [--seed 11]

The streams are those of people, of devices and of sessions in the sample log, and some small random ones with repeats and
equal times. Every cell that either knows is compared, those of few people too: this reads what lies under the tables, and
prints no cell. Retentioneering runs with an interpreter of its own, since its dependencies are not ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

import eventlib as el
from eventlib import journeys
from eventlib.journeys.funnels import reach
from eventlib.journeys.moves import edges_of, journey_steps, occupied

SAMPLE: Final = Path(__file__).parents[1] / "data" / "sample.ndjson.gz"
STEPS: Final = ("answer_view", "citation_click", "page_view", "conversion_complete")
MATRIX: Final = 8
NAMES: Final = {"path_start": "(start)", "path_end": "(end)"}

THEIRS = """
import json, os, sys
os.environ["RETENTIONEERING_NO_TRACK"] = "1"
import pandas as pd
from retentioneering.eventstream import Eventstream
events, steps = pd.read_parquet(sys.argv[1]), json.loads(sys.argv[2])
found = []
for (name, unit), rows in events.groupby(["name", "unit"], sort=False):
    schema = {"path_cols": ["path"], "event_col": "event", "timestamp_col": "timestamp"}
    stream = Eventstream(rows[["path", "event", "timestamp"]].reset_index(drop=True), schema)
    tell = lambda what, row, column, value: found.append((name, unit, what, row, str(column), float(value)))
    known = set(rows["event"])
    if unit != "sessions" and set(steps[name]) <= known:
        for place, step in enumerate(stream.funnel_data(steps[name])["steps"]):
            tell("funnel, closed", step["step"], place, step["unique_paths"])
            tell("funnel, closed: share of all", step["step"], place, step["conversion_rate"])
        asked = [{"metric": "has_event", "metric_args": {"event": step}} for step in steps[name]]
        for place, (step, has) in enumerate(zip(steps[name], stream.get_metrics(asked).to_numpy().T)):
            tell("funnel, open", step, place, has.sum())
    for how, chosen in (("repeats kept", stream), ("repeats collapsed", stream.collapse_events(loops=True))):
        counts = chosen.transition_graph_data("count").stack()
        for (source, target), value in counts[counts > 0].items():
            tell(f"transition counts, {how}", source, target, value)
        matrix = chosen.step_matrix_data(max_steps=int(sys.argv[3])).stack()
        for (event, step), value in matrix[matrix > 0].items():
            if step:
                tell(f"step matrix, {how}", event, step, value)
pd.DataFrame(found, columns=["name", "unit", "what", "row", "column", "value"]).to_parquet(sys.argv[4])
"""


@dataclass
class Table:
    """Rows of figures as both sides write them."""

    rows: list[tuple[str, str, str, str, str, float]] = field(default_factory=list)

    def tell(self, key: tuple[str, str], what: str, row: Any, column: Any, value: float) -> None:
        """Add a figure."""
        self.rows.append((*key, what, str(row), str(column), float(value)))

    def series(self) -> pd.Series[float]:
        """Return the figures by where they stand."""
        columns = ["name", "unit", "what", "row", "column", "value"]
        return pd.DataFrame(self.rows, columns=columns).set_index(columns[:-1])["value"]


def random_stream(rng: np.random.Generator, *, ties: bool) -> pd.DataFrame:
    """Return a small stream: people with one to three devices, repeats and, if asked for, events at one time."""
    rows = int(rng.integers(5, 400))
    frame = pd.DataFrame(
        {
            "person_id": rng.integers(0, rng.integers(1, 30), rows).astype(str),
            "event_name": rng.choice(list("abcdef")[: rng.integers(2, 7)], rows),
            "minutes": np.sort(rng.choice(rng.integers(rows if not ties else 2, 3000), rows, replace=ties)),
        }
    )
    frame["anonymous_id"] = frame["person_id"] + "-" + rng.integers(0, 3, rows).astype(str)
    frame["event_time"] = pd.Timestamp("2026-10-01", tz="UTC") + pd.to_timedelta(frame["minutes"], unit="min")
    began = frame.groupby("anonymous_id")["minutes"].diff().gt(30).astype(int)
    number = began.groupby(frame["anonymous_id"]).cumsum().astype(str)
    return frame.assign(session_id=frame["anonymous_id"] + "/" + number)


PATHS: Final = {
    "people": ("person_id", "stream"),
    "devices": ("anonymous_id", "stream"),
    "sessions": ("session_id", "session"),
}


def ours(name: str, events: pd.DataFrame, steps: list[str], table: Table) -> None:
    """Count every cell with what the tables of `eventlib.journeys` are made from."""
    for unit, (column, paths) in PATHS.items():
        by, key = (column if unit != "sessions" else "person_id"), (name, unit)
        if unit != "sessions" and set(steps) <= set(events["event_name"]):
            for kind in ("closed", "open"):
                counts = reach(events, steps, by, kind).counts()
                for place, (step, count) in enumerate(zip(steps, counts, strict=True)):
                    table.tell(key, f"funnel, {kind}", step, place, count)
                    if kind == "closed":
                        share = count / events[column].nunique()
                        table.tell(key, "funnel, closed: share of all", step, place, share)
        for how, collapse in (("repeats kept", False), ("repeats collapsed", True)):
            pairs = journey_steps(events, by, paths=paths, collapse_repeats=collapse, start=True)
            for source, target, moves in edges_of(pairs)[["source", "target", "moves"]].itertuples(
                index=False
            ):
                table.tell(key, f"transition counts, {how}", source, target, moves)
            pairs = journey_steps(events, by, paths=paths, collapse_repeats=collapse)
            placed = occupied(pairs, MATRIX).groupby(["source", "step"]).size() / pairs["path"].nunique()
            for (event, step), share in zip(placed.index, placed, strict=True):
                table.tell(key, f"step matrix, {how}", event, step, share)


def theirs(python: str, streams: dict[str, pd.DataFrame], steps: dict[str, list[str]]) -> pd.Series[float]:
    """Let Retentioneering count the same streams in its own interpreter."""
    parts = []
    for name, events in streams.items():
        for unit, (column, _) in PATHS.items():
            part = {"path": events[column].astype(str), "event": events["event_name"].astype(str)}
            time = pd.DatetimeIndex(events["event_time"]).tz_localize(None)
            parts.append(pd.DataFrame(part).assign(timestamp=time, name=name, unit=unit))
    with tempfile.TemporaryDirectory() as folder:
        pd.concat(parts).to_parquet(f"{folder}/events.parquet")
        arguments = [f"{folder}/events.parquet", json.dumps(steps), str(MATRIX), f"{folder}/found.parquet"]
        subprocess.run([python, "-c", THEIRS, *arguments], check=True)
        found = pd.read_parquet(f"{folder}/found.parquet")
    found[["row", "column"]] = found[["row", "column"]].replace(NAMES)
    return found.set_index(["name", "unit", "what", "row", "column"])["value"]


def compare(mine: pd.Series[float], other: pd.Series[float]) -> pd.DataFrame:
    """Return by measure, over people, devices and sessions: cells that either knows, cells equal, largest difference."""
    both = pd.concat([mine.rename("ours"), other.rename("theirs")], axis=1).fillna(0.0).reset_index()
    both["stream"] = both["name"].str.replace(r" \d+$", "", regex=True)
    both["apart"] = (both["ours"] - both["theirs"]).abs()
    both["equal"] = both["apart"] < 1e-12
    grouped = both.groupby(["what", "stream"])
    return grouped.agg(
        cells=("equal", "size"), equal=("equal", "sum"), largest=("apart", "max")
    ).reset_index()


def by_default(events: pd.DataFrame, other: pd.Series[float]) -> tuple[int, int]:
    """Return cells of the transition counts of people, each as it is counted by default; and cells equal."""
    shown = journeys.transitions(events, draws=1)[["source", "target", "moves"]]
    told = other.rename("theirs").reset_index()
    told = told[(told["name"] == "sample log") & (told["unit"] == "people")]
    told = told[told["what"] == "transition counts, repeats kept"]
    told = told.rename(columns={"row": "source", "column": "target"})[["source", "target", "theirs"]]
    both = shown.merge(told, how="outer").fillna({"moves": 0, "theirs": 0})
    return len(both), int((both["moves"] == both["theirs"]).sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--retentioneering", required=True, help="Python that has retentioneering and pyarrow."
    )
    parser.add_argument("--streams", type=int, default=80, help="Random streams.")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    events = journeys.human_events(el.prepare(SAMPLE).events)
    rng = np.random.default_rng(arguments.seed)
    streams, steps = {"sample log": events}, {"sample log": list(STEPS)}
    for number in range(arguments.streams):
        name = f"random, {'equal times' if number % 2 else 'times apart'} {number}"
        streams[name] = random_stream(rng, ties=bool(number % 2))
        steps[name] = list("aba" if number % 4 < 2 else "abc")  # a step that comes again, or none
    table = Table()
    for name, stream in streams.items():
        ours(name, stream, steps[name], table)
    found = theirs(arguments.retentioneering, streams, steps)
    print(compare(table.series(), found).to_string(index=False))
    print(
        "transition counts of the sample log, each by default: {} cells, {} equal".format(
            *by_default(events, found)
        )
    )


if __name__ == "__main__":
    main()
