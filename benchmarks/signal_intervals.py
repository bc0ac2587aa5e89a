"""Do the intervals of signals hold the truth? Worlds whose relevance is known, trained and scored as a log would be (S9).

`python -m benchmarks.signal_intervals [worlds] [pairs]`: worlds over all settings, then pairs of bundles between which pages
change. A row `prompt:...` should hold the relevance of its content for that prompt, a row of a cluster that for a
prompt which was not seen before; both for people as they are, so that their moods are averaged over.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.ranking_worlds import World, draw_world
from eventlib.ranking import Options, Ranking, Tables, train_ranking
from eventlib.ranking.evaluation import Z90
from eventlib.ranking.judge import DEBIASED, NAIVE
from eventlib.signals.changes import FELL, ROSE, Previous, changes
from eventlib.signals.table import SignalTable, build_signals

__all__ = ["coverage", "jumps", "rows_of_world", "settings"]

Floats = NDArray[np.float64]

FIRST_SEED: Final = 80_000
"""No seed from here on was looked at while the intervals were made."""

NEW_PROMPTS: Final = 50
"""Fresh prompts that each row of a cluster is tried on."""

NEW_AFTER: Final = 0.7
"""Share of the log after which the prompts that are new begin: the cut is at .65."""

CREATED: Final = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def settings() -> list[dict[str, Any]]:
    """Return the settings that worlds are drawn by in turn."""
    sizes = ((36, 12), (120, 24))
    return [
        {"noise": noise, "kappa": kappa, "contents": contents, "prompts": prompts, "late": late, "mood": 0.4}
        for late, (contents, prompts), kappa, noise in product((False, True), sizes, (0.3, 0.9), (1.0, 0.3))
    ]


def _average(log_odds: Floats, mood: float) -> Floats:
    """Return the mean over people of the chance of a click."""
    nodes, weights = hermegauss(15)
    found: Floats = expit(log_odds[..., None] + mood * nodes) @ (weights / weights.sum())
    return found


def late_prompts(tables: Tables, first: float = NEW_AFTER) -> Tables:
    """Take every fourth prompt out of the first part of a log: it is new after the cut."""
    asked = tables.answers
    early = asked["event_time"] < asked["event_time"].quantile(first)
    gone = set(asked.loc[early & (asked["prompt_id"].str[3:].astype(int) % 4 == 3), "answer_id"])
    shows, clicks, answers = (
        frame[~frame["answer_id"].isin(gone)] for frame in (tables.shows, tables.clicks, tables.answers)
    )
    return replace(tables, shows=shows, clicks=clicks, answers=answers)


def train(tables: Tables, seed: int) -> Ranking:
    """Train; who is champion does not matter here, so few replicates will do."""
    return train_ranking(tables, Options(seed=seed, replicates=20))


def as_champion(found: Ranking, champion: str) -> Ranking:
    """Take a ranker for the champion."""
    assert found.judged is not None
    return replace(found, judged=replace(found.judged, champion=champion))


def true_relevance(world: World, table: SignalTable, seed: int, *, late: bool) -> Floats:
    """Return what each row's interval should hold, shape (rows, NEW_PROMPTS); NaN where there is no such prompt."""
    rng = np.random.default_rng(seed)
    cells = table.cells
    content = cells["content_id"].str[2:].to_numpy(np.int64)
    found = world.typical[content][:, None] + world.between * rng.normal(size=(len(cells), NEW_PROMPTS))
    if late:  # the prompts that were new after the cut
        found[:] = np.nan
        for number, prompt in enumerate(range(3, len(world.pool), 4)):
            found[:, number] = _log_odds(world)[prompt, content]
    single = (cells["prompt_id"] != "").to_numpy()
    prompts = cells.loc[single, "prompt_id"].str[3:].to_numpy(np.int64)
    found[single] = _log_odds(world)[prompts, content[single]][:, None]
    return _average(found, world.mood)


def _log_odds(world: World) -> Floats:
    whole = np.full((len(world.pool), world.contents), np.nan)
    np.put_along_axis(whole, world.pool, world.logit, axis=1)
    return whole


def rows_of_world(seed: int, *, late: bool = False, **parameters: Any) -> pd.DataFrame:
    """Return the rows of both champions' signal tables: how often intervals hold the truth, now and before."""
    world = draw_world(seed, **parameters)
    found = train(late_prompts(world.tables) if late else world.tables, seed)
    if found.judged is None:
        return pd.DataFrame()
    rows = []
    for champion in (DEBIASED, NAIVE):
        table = build_signals(as_champion(found, champion), world.tables, CREATED, CREATED)
        rows.append(
            _judge_rows(table, true_relevance(world, table, seed, late=late)).assign(champion=champion)
        )
    return pd.concat(rows, ignore_index=True).assign(world=seed, late=late, **parameters)


def _judge_rows(table: SignalTable, true: Floats) -> pd.DataFrame:
    frame = table.frame
    signal, half = frame["signal"].to_numpy(), Z90 * table.sampling
    lower, upper = frame["lower"].to_numpy(), frame["upper"].to_numpy()
    judged = pd.DataFrame(
        {
            "rows": np.where(table.cells["prompt_id"] == "", "cluster", "prompt"),
            "signal": signal,
            "n_effective": frame["n_effective"].to_numpy(),
            "held": _share_inside(true, lower, upper),
            "below": _share_inside(true, np.full_like(lower, -np.inf), lower),
            "held_before": _share_inside(true, signal - half, signal + half),
            "width": upper - lower,
            "width_before": np.minimum(signal + half, 1) - np.maximum(signal - half, 0),
        }
    )
    return judged.loc[np.flatnonzero(np.isfinite(true).any(axis=1))]


def _share_inside(true: Floats, lower: Floats, upper: Floats) -> Floats:
    inside = (lower[:, None] <= true) & (true <= upper[:, None])
    return np.asarray(inside.sum(axis=1) / np.maximum(np.isfinite(true).sum(axis=1), 1))


def coverage(rows: pd.DataFrame, by: list[str], column: str = "held") -> pd.DataFrame:
    """Return the mean of a column per group as `share`, with its 90 % half-width `half`, worlds taken as clusters."""
    sums = rows.groupby([*by, "world"])[column].agg(["sum", "size"]).reset_index()
    whole = sums.groupby(by)[["sum", "size"]].transform("sum")
    sums["rest"] = ((sums["sum"] - sums["size"] * whole["sum"] / whole["size"]) / whole["size"]) ** 2
    found = sums.groupby(by)[["sum", "size", "rest"]].sum()
    return pd.DataFrame({"share": found["sum"] / found["size"], "half": Z90 * np.sqrt(found["rest"])})


def all_rows(worlds: int) -> pd.DataFrame:
    """Return the rows of worlds drawn by all settings in turn."""
    drawn = settings()
    made = [rows_of_world(FIRST_SEED + i, **drawn[i % len(drawn)]) for i in range(worlds)]
    return pd.concat(made, ignore_index=True)


def coverage_tables(rows: pd.DataFrame) -> Iterator[str]:
    """Give coverage by champion and kind of row: of all, by setting, by tenth of signal, by evidence."""
    rows = rows.assign(
        kind=np.where(rows["late"] & (rows["rows"] == "cluster"), "cluster, late prompts", rows["rows"])
    )
    of_kind = rows.groupby(["champion", "kind"])
    yield from ("| champion | rows | hold the truth | truth below | before | width | width before |",)
    yield "|---|---|---|---:|---|---:|---:|"
    now, before = (coverage(rows, ["champion", "kind"], name) for name in ("held", "held_before"))
    rest = of_kind[["below", "width", "width_before"]].mean()
    for key in now.index:
        below, width, was = rest.loc[key]
        yield (
            f"| {' | '.join(key)} | {_told(now.loc[key])} | {below:.3f} | {_told(before.loc[key])} "
            f"| {width:.3f} | {was:.3f} |"
        )
    tenth = of_kind["signal"].transform(lambda values: pd.qcut(values, 10, labels=False) + 1)
    third = of_kind["n_effective"].transform(lambda values: pd.qcut(values, 3, labels=False) + 1).fillna(0)
    size = rows["contents"].astype(str) + " pages"
    for name, values in {
        "tenth of signal": tenth, "third of evidence (0: under ten people)": third.astype(int), "pages": size,
        "kappa": rows["kappa"], "noise": rows["noise"],
    }.items():  # fmt: skip
        yield from ("", *_by(rows.assign(group=values), name))


def _by(rows: pd.DataFrame, name: str) -> Iterator[str]:
    shares = coverage(rows, ["champion", "kind", "group"]).reset_index()
    kinds = shares.pivot_table("share", ["champion", "kind"], "group")
    yield f"| {name} | {' | '.join(map(str, kinds.columns))} |"
    yield "|---|" + "---:|" * len(kinds.columns)
    for (champion, kind), values in zip(kinds.index, kinds.to_numpy(np.float64), strict=True):
        cells = " | ".join("" if np.isnan(value) else f"{value:.3f}" for value in values)
        yield f"| {champion}, {kind} | {cells} |"


def _told(row: Mapping[Any, Any]) -> str:
    return f"{row['share']:.3f} ± {row['half']:.3f}"


def jumps(seed: int, jump: float) -> pd.DataFrame:
    """Return which rows are told to have moved between two logs of other people, every tenth page having jumped."""
    tables = []
    for number, by in enumerate((0.0, jump)):
        world = draw_world(seed, mood=0.4, noise=1.0, jump=by, log=seed + 500_000 * (1 + number))
        found = train(world.tables, seed)
        if found.judged is None:
            return pd.DataFrame()
        tables.append(build_signals(as_champion(found, DEBIASED), world.tables, CREATED, CREATED))
    before, after = tables[0].frame, tables[1]
    both = after.frame.merge(before, on=["content_id", "prompt_cluster"], suffixes=("", "_before"))
    known = both[both["n_effective"].notna() & both["n_effective_before"].notna()]
    stamp = {"bundle": "b", "manifest_sha256": "0", "created_at": ""}
    events = changes(Previous(stamp, before, ""), after.frame, after.sampling, "e", CREATED)
    told = {
        (e["data"]["content_id"], e["data"]["prompt_cluster"]) for e in events if e["type"] in (ROSE, FELL)
    }
    sd = [_wider(known, end) / Z90 for end in ("", "_before")]
    moved = np.abs(known["signal"] - known["signal_before"]) > 1.96 * np.hypot(*sd)
    return pd.DataFrame(
        {
            "world": seed,
            "rows": np.where(known["prompt_cluster"].str.startswith("prompt:"), "prompt", "cluster"),
            "jumped": (known["content_id"].str[2:].astype(int) % 10 == 0) & (jump != 0),
            "sampling": [
                key in told for key in zip(known["content_id"], known["prompt_cluster"], strict=True)
            ],
            "intervals": moved,
        }
    )


def _wider(rows: pd.DataFrame, end: str) -> Floats:
    signal, lower, upper = rows[[f"{name}{end}" for name in ("signal", "lower", "upper")]].to_numpy().T
    return np.asarray(np.maximum(upper - signal, signal - lower))


def jumps_table(worlds: int) -> Iterator[str]:
    """Give how often rows are told as moved, by sampling alone and by whole intervals."""
    yield "| jump, log odds | rows | of | told by sampling | told by intervals |"
    yield "|---:|---|---|---|---|"
    for number, jump in enumerate((0.0, 0.5, 1.0)):
        made = [jumps(FIRST_SEED + 10_000 + 1_000 * number + i, jump) for i in range(worlds)]
        rows = pd.concat(made, ignore_index=True)
        by = ["rows", "jumped"]
        one, other = (coverage(rows, by, name) for name in ("sampling", "intervals"))
        for key in one.index:
            which = "pages that jumped" if key[1] else "other pages"
            yield f"| {jump} | {key[0]} | {which} | {_told(one.loc[key])} | {_told(other.loc[key])} |"


def main(worlds: int = 64, pairs: int = 12) -> None:
    """Print the tables."""
    print(f"## {worlds} worlds\n", flush=True)
    for line in coverage_tables(all_rows(worlds)):
        print(line, flush=True)
    if pairs:
        print(f"\n## {pairs} pairs of bundles a row\n", flush=True)
        for line in jumps_table(pairs):
            print(line, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
