"""How many identifiers are one person, and which merges were refused."""

from __future__ import annotations

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL, merge_small_bands, small_cells

__all__ = ["group_sizes", "refusals"]


def group_sizes(people: pd.DataFrame) -> pd.DataFrame:
    """Return how many people have how many identifiers.

    Returns
    -------
    pandas.DataFrame
        `identifiers` (1, 2, 3, 4, 5 to 9, 10 or more; bands of under 10 people are merged), `people`, `share`.
    """
    sizes = people.groupby("person_id").size() if len(people) else pd.Series(dtype="int64")
    bands = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 9), (10, None)]
    band = np.searchsorted([low for low, _ in bands], sizes.to_numpy(), side="right").astype(np.int64) - 1
    merged = merge_small_bands(band, sizes.index.to_numpy(), bands)
    counts = [int(mine.sum()) for _, mine in merged]
    share = np.array(counts, dtype=np.float64) / max(len(sizes), 1)
    return pd.DataFrame({"identifiers": [name for name, _ in merged], "people": counts, "share": share})


def refusals(refused_merges: pd.DataFrame, people: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the merges that were refused, by the rule that refused them.

    Parameters
    ----------
    refused_merges
        `Prepared.refused_merges`.
    people
        `Prepared.people`, to count the people whom a rule concerns: ten placeholders from one device are one person's. Without
        it each identifier counts as somebody.

    Returns
    -------
    pandas.DataFrame
        `rule`, `pairs`, `events` (the evidence behind them), most pairs first; rules that concern under 10 people are one
        row with the next rarest, if that is enough.
    """
    columns = ["rule", "pairs", "events"]
    concerned = _concerned(refused_merges, people)
    concern = concerned.groupby("rule")["id"].nunique().reindex(refused_merges["rule"].unique(), fill_value=0)
    small = concern.index[small_cells(concern.to_numpy())]
    rule = refused_merges["rule"].astype("object")
    rule = rule.where(~rule.isin(list(small)), "rare rules together")
    pooled = refused_merges.assign(rule=rule)
    enough = _concerned(pooled, people).groupby("rule")["id"].nunique() >= SMALL_CELL
    counts = pooled.groupby("rule").agg(pairs=("rule", "size"), events=("events", "sum"))
    shown = counts[enough.reindex(counts.index, fill_value=False)].reset_index()
    return shown.sort_values("pairs", ascending=False, kind="stable", ignore_index=True)[columns]


def _concerned(refused_merges: pd.DataFrame, people: pd.DataFrame | None) -> pd.DataFrame:
    """Return `rule` and `id` of whom each rule concerns, both sides of each pair: people, or where they are not given identifiers."""
    sides = [refused_merges[["rule", f"{side}_identifier"]] for side in ("left", "right")]
    named = pd.concat([side.set_axis(["rule", "id"], axis=1) for side in sides], ignore_index=True)
    if people is None:
        return named
    person = people.drop_duplicates("identifier").set_index("identifier")["person_id"]
    return named.assign(id=named["id"].map(person)).dropna(subset=["id"])
