"""How well people are told apart, beside what one would use instead, on worlds whose people are known (S4.11).

    python -m benchmarks.identity [--people 20000] [--seeds 1 2 3 4 5] [--worlds NAME …] [--simulate 40000]

For each world and method, the mean over seeds with a 90 % interval (Student's t) of the measures of
`eventlib.identity.measures`, on events, on those of people who share no device, and on identifiers that are one person's; then
where a peer's pairwise precision is above ours, and where our recall is over .02 below junk-filtered union-find's. The rule says
so of devices that are not shared; of all events it is told too. `--simulate` adds worlds of so many lines of
`eventlib.simulate`.
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
from benchmarks.identity_peers import PEERS, alone, by_identifier, own_identifiers
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
    """Yield each method's measures: on events, on those of people who share no device, and on identifiers."""
    methods = {OURS: merged, **PEERS}
    own, unshared, true = own_identifiers(events), alone(events), events["true_person"]
    for method, label in methods.items():
        labels = label(events)
        for items, found, behind in (
            ("events", labels, true),
            ("events, no device shared", labels[unshared], true[unshared]),
            ("identifiers", *by_identifier(own, labels)),
        ):
            table = score_clusters(found, behind)["value"].reset_index()
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


def _short(mean: pd.Series, items: str) -> pd.Series:
    """Return by how much our recall is below junk-filtered union-find's, by world."""
    recall = mean.xs((items, "pairwise_recall"), level=("items", "measure"))
    return recall.xs("junk-filtered union-find", level="method") - recall.xs(OURS, level="method")


def checked(mean: pd.Series) -> pd.DataFrame:
    """Return, by world, the best peers in pairwise precision on events, and by how much recall falls short (S4.11)."""
    found = mean.xs(("events", "pairwise_precision"), level=("items", "measure")).reset_index()
    precision = found.pivot_table("mean", "world", "method", sort=False)
    merging = [peer for peer in PEERS if peer != "user else device"]
    table = pd.DataFrame({"ours": precision[OURS], "user else device": precision["user else device"]})
    table["best other"], table["which"] = precision[merging].max(axis=1), precision[merging].idxmax(axis=1)
    table["above all"] = table["ours"] >= precision[list(PEERS)].max(axis=1)
    for name, items in (("recall short", "events"), ("no device shared", "events, no device shared")):
        table[name] = _short(mean, items)
    return table.assign(holds=table["no device shared"] <= FALLS_SHORT)


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
