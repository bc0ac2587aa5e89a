"""How well people are told apart, beside what one would use instead, on worlds whose people are known (S4.11).

    python -m benchmarks.identity [--people 20000] [--seeds 1 2 3 4 5] [--worlds NAME …] [--simulate 40000]

For each world and method, the mean over seeds with a 90 % interval (Student's t) of the measures of
`eventlib.identity.measures`, on events and on identifiers that are one person's; then where a peer's pairwise precision is
above ours, and where our recall is over .02 below junk-filtered union-find's. `--simulate` adds worlds of that many lines
of `eventlib.simulate`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy.stats import t as student

import eventlib as el
from benchmarks.identity_peers import PEERS, by_identifier
from benchmarks.identity_worlds import WORLDS, make_world
from benchmarks.measure import machine
from eventlib.identity.measures import score_clusters
from eventlib.simulate import WorldParameters, simulate

OURS: Final = "eventlib"
CANONICAL: Final = (
    "event_id", "event_name", "source", "occurred_at", "sent_at", "received_at", "sequence", "anonymous_id", "user_id", "links",
)  # fmt: skip
FALLS_SHORT: Final = 0.02
"""What recall may cost against junk-filtered union-find (S4.11)."""


def merged(events: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the person of each event by `el.merge_identities`."""
    known = [name for name in CANONICAL if name in events.columns]
    frame = pl.DataFrame(pa.Table.from_pandas(events[known], preserve_index=False))
    found = el.merge_identities(frame).events["person_id"].to_numpy()
    return np.asarray(pd.factorize(found)[0], dtype=np.int64)


def simulated(lines: int, seed: int) -> pd.DataFrame:
    """Return events of `eventlib.simulate` that are one person's, with that person."""
    with tempfile.TemporaryDirectory() as name:
        made = simulate(name, lines, seed, replace(WorldParameters(), broken_share=0.0))
        truth = pd.read_csv(Path(made.truth) / "events.csv.gz").drop_duplicates("event_id")
        table = el.read(name).events
    known = truth[truth["true_person"].notna()][["event_id", "true_person"]]
    people = known.merge(table, on="event_id").drop_duplicates("event_id")
    return people[people["anonymous_id"].notna() | people["user_id"].notna()].reset_index(drop=True)


def scored(events: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield each method's measures, on events and on identifiers."""
    methods = {OURS: merged, **PEERS}
    for method, label in methods.items():
        labels = label(events)
        own = by_identifier(events, labels)
        for items, found, true in (
            ("events", labels, events["true_person"]),
            ("identifiers", own["label"], own["true_person"]),
        ):
            table = score_clusters(found, true)["value"].reset_index()
            yield table.assign(method=method, items=items)


def measured(world: str, seeds: Sequence[int], people: int, lines: int) -> pd.DataFrame:
    """Return all measures of one world, of every method and seed."""
    parts = []
    for seed in seeds:
        events = (
            make_world(replace(WORLDS[world], people=people), seed)
            if world in WORLDS
            else simulated(lines, seed)
        )
        parts += [part.assign(seed=seed) for part in scored(events)]
    return pd.concat(parts, ignore_index=True).assign(world=world)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over seeds of each measure and half the width of its 90 % interval."""
    groups = table.groupby(["world", "items", "method", "measure"], sort=False)["value"]
    found = groups.agg(["mean", "std", "size"])
    half = student.ppf(0.95, found["size"] - 1) * found["std"] / np.sqrt(found["size"])
    return found[["mean"]].assign(half=half)


def checked(mean: pd.Series) -> pd.DataFrame:
    """Return, by world, the best peer in pairwise precision on events, and both limits of S4.11."""
    events = mean.xs("events", level="items").reset_index()
    events = events.pivot_table("mean", ["world", "method"], "measure", sort=False)
    rows = []
    for world in events.index.unique("world"):
        at = events.loc[world]
        peers = at.loc[list(PEERS), "pairwise_precision"]
        short = at.loc["junk-filtered union-find", "pairwise_recall"] - at.loc[OURS, "pairwise_recall"]
        rows.append(
            {
                "world": world,
                "ours": at.loc[OURS, "pairwise_precision"],
                "best peer": peers.max(),
                "which": peers.idxmax(),
                "precision holds": at.loc[OURS, "pairwise_precision"] >= peers.max(),
                "recall short by": short,
                "recall holds": short <= FALLS_SHORT,
            }
        )
    return pd.DataFrame(rows).set_index("world")


def printed(table: pd.DataFrame, items: str) -> str:
    """Return a table of worlds and methods, each cell the mean and half the interval's width, in thousandths."""
    at = table.xs(items, level="items").reset_index()
    at["cell"] = at["mean"].map("{:.3f}".format) + " ±" + (1000 * at["half"]).map("{:.0f}".format)
    return at.pivot_table(
        "cell", ["world", "method"], "measure", aggfunc="first", sort=False, observed=True
    ).to_string()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--simulate", type=int, default=0, metavar="LINES")
    parser.add_argument("--out", type=Path, help="where all figures are written, as CSV")
    arguments = parser.parse_args()
    print(machine("numpy", "pandas", "polars"))
    worlds = [*arguments.worlds, *(["eventlib.simulate"] if arguments.simulate else [])]
    parts = []
    for world in worlds:
        parts.append(measured(world, arguments.seeds, arguments.people, arguments.simulate))
        print(printed(summary(parts[-1]), "events"), flush=True)
    table = pd.concat(parts, ignore_index=True)
    if arguments.out:
        table.to_csv(arguments.out, index=False)
    found = summary(table)
    print(f"\nidentifiers\n{printed(found, 'identifiers')}")
    print(f"\nlimits, on events\n{checked(found['mean']).round(3).to_string()}")


if __name__ == "__main__":
    main()
