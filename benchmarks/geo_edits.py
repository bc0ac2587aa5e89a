"""How often edits that did nothing are found to have done something, and edits that did something are found.

Run: python -m benchmarks.geo_edits [worlds] [first seed] [part ...]; parts: null, effects, shocks, wrong,
pooled, joint.
Worlds come from `benchmarks.geo_edit_worlds`. Rules and constants were chosen on seeds of 1,000 to 6,000; what is
published is from seeds of 500,000 on, and benchmarks/README.md says what those chose after all.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.geo_edit_tables import RATIOS, found_table, null_table, show, show_power
from benchmarks.geo_edit_worlds import (
    T0,
    TOPIC,
    WEEK,
    Edit,
    Spec,
    World,
    draw_spec,
    draw_world,
    feasible,
    joint_ratio,
    names,
    stages,
)
from eventlib.geo import EVENTS_READ
from eventlib.geo.edit_dates import edit_calendar
from eventlib.geo.experiments import judge_edits
from eventlib.geo.pooling import pool_by_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventlib.geo.stages import Stage

SEED = 500_000
OUTCOMES = ("cite", "click", "satisfy")


def frames_of(edits: Sequence[Edit]) -> dict[str, pd.DataFrame]:
    """Return the edits as the log would have them."""
    nothing = pd.DataFrame(
        columns=["event_time", "content_id", "content_version", "engine", "model", "agent", "allow_analytics", "observation"]
    )  # fmt: skip
    told = pd.DataFrame(
        {
            "edit_id": [f"e{i:03d}" for i in range(len(edits))],
            "content_id": names(np.array([edit.page for edit in edits], dtype=np.int64)),
            "to_version": "2", "change_type": [edit.kind for edit in edits], "arm": None,
            "event_time": [moment(edit.week) for edit in edits],
            "selected_from": [None if edit.selected is None else moment(edit.selected).isoformat() for edit in edits],
        }
    )  # fmt: skip
    return dict.fromkeys(EVENTS_READ, nothing) | {"content_edit": told}


def moment(week: float) -> pd.Timestamp:
    """Return a moment in weeks since the start as a time."""
    return pd.Timestamp((T0 + int(week * WEEK)) * 1_000, unit="ns", tz="UTC")


def verdicts_of(
    spec: Spec, edits: Sequence[Edit], seen: Sequence[Stage]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return verdicts and placebos."""
    calendar = edit_calendar(frames_of(edits), "e", T0 + spec.weeks * WEEK, T0)
    return judge_edits(calendar, seen, "e")


def judge(spec: Spec, edits: Sequence[Edit], seen: Sequence[Stage]) -> pd.DataFrame:
    """Return the verdicts, with each edit's true ratio; 1 for groups."""
    verdicts, _ = verdicts_of(spec, edits, seen)
    truth = {f"e{i:03d}": edit for i, edit in enumerate(edits)}
    alone = verdicts[verdicts["edits"] == 1]
    pairs = zip(alone["edit_id"], alone["outcome"], strict=True)
    ratio = [truth[key].ratio if truth[key].outcome == outcome else 1.0 for key, outcome in pairs]
    return verdicts.assign(truth=pd.Series(ratio, index=alone.index).reindex(verdicts.index).fillna(1.0))


def random_edits(rng: np.random.Generator, spec: Spec) -> list[Edit]:
    """Choose one page of each topic, each at a moment of its own."""
    topics = max(spec.pages // TOPIC, 1)
    pages = np.arange(topics) + topics * rng.integers(0, spec.pages // topics, topics)
    return [Edit(int(page), float(rng.uniform(6, spec.weeks - 3.1))) for page in pages]


def low_edits(
    rng: np.random.Generator, spec: Spec, seen: Sequence[Stage], outcome: int, *, told: bool
) -> list[Edit]:
    """Choose the page of each topic that did worst in two weeks, against its own earlier ones or against all."""
    stage, own = seen[outcome], rng.random() < 0.5
    cell = pd.Series(stage.content).str[1:].astype(int).to_numpy()
    week = (stage.time_us - T0) / WEEK
    chosen = []
    for random in random_edits(rng, spec):
        counts = []
        for start, end in ((0.0, random.week - 2), (random.week - 2, random.week)):
            inside = (week >= start) & (week < end)
            counts.append(
                [np.bincount(cell[inside], v[inside], spec.pages) for v in (stage.observed, stage.expected)]
            )
        (o0, e0), (o1, e1) = counts
        low = np.log((o1 + 0.5) / (e1 + 0.5)) - own * np.log((o0 + 0.5) / (e0 + 0.5))
        topics = max(spec.pages // TOPIC, 1)
        low[(np.arange(spec.pages) % topics != random.page % topics) | (e1 < 3)] = np.inf
        if np.isfinite(low.min()):
            chosen.append(Edit(int(low.argmin()), random.week, selected=random.week - 2 if told else None))
    return chosen


def null_world(seed: int, change: Callable[[Spec], Spec] = lambda spec: spec) -> pd.DataFrame:
    """Judge edits that did nothing, chosen in four ways."""
    rng = np.random.default_rng(seed)
    spec = change(draw_spec(rng))
    world = draw_world(rng, spec)
    seen = stages(world)
    found = [judge(spec, random_edits(rng, spec), seen).assign(chosen="at random") for _ in range(2)]
    for repeat, outcome in enumerate((0, 0, 0, 1)):
        for told in (False, True):
            edits = low_edits(np.random.default_rng(seed + 1 + repeat), spec, seen, outcome, told=told)
            verdicts = judge(spec, edits, seen if outcome else seen[:1])
            mine = verdicts["outcome"] == OUTCOMES[outcome]
            found.append(verdicts[mine].assign(chosen="low, dates told" if told else "low, dates not told"))
    return pd.concat(found).assign(seed=seed, pages=spec.pages, drift=spec.drift)


def effect_world(seed: int, change: Callable[[Spec], Spec] = lambda spec: spec) -> pd.DataFrame:
    """Judge edits of which two thirds did something to one outcome, half of them chosen because they were low."""
    rng = np.random.default_rng(seed)
    spec = change(draw_spec(rng))
    world = draw_world(rng, spec)
    unlifted, found = stages(world), []
    for repeat in range(4):
        if repeat % 2:
            edits = random_edits(rng, spec)
        else:
            edits = low_edits(rng, spec, unlifted, int(rng.integers(0, 3)), told=bool(rng.integers(0, 2)))
        edits = [with_effect(rng, world, edit) for edit in edits]
        found.append(judge(spec, edits, stages(world, edits)).assign(chosen=("low", "at random")[repeat % 2]))
    return pd.concat(found).assign(seed=seed, pages=spec.pages, drift=spec.drift)


def with_effect(rng: np.random.Generator, world: World, edit: Edit) -> Edit:
    """Give an edit a true effect, two times in three, that its page has room for."""
    if rng.random() < 1 / 3:
        return edit
    lifted = replace(edit, outcome=str(rng.choice(OUTCOMES)), ratio=float(rng.choice(RATIOS)))
    return lifted if feasible(world, lifted) else edit


def pooled_world(seed: int) -> pd.DataFrame:
    """Pool edits of kinds that did nothing, and of kinds that did as much to every page or something else to each."""
    rng = np.random.default_rng(seed)
    spec = replace(draw_spec(rng), pages=int(rng.integers(150, 301)), per_week=float(rng.uniform(8, 20)))
    world, edits, found = draw_world(rng, spec), random_edits(rng, spec), []
    verdicts, placebos = verdicts_of(spec, edits, stages(world)[:1])
    for _ in range(4):  # the same null edits, said to be of other kinds
        kinds = dict(zip(sorted(verdicts["edit_id"]), kinds_of(rng, len(verdicts)), strict=True))
        told = verdicts.assign(change_type=verdicts["edit_id"].map(kinds))
        found.append(pool_by_type(told, placebos).assign(truth=1.0))
    spread, lifted = float(rng.choice([0.0, 0.15])), []
    for edit, kind in zip(edits, kinds_of(rng, len(edits)), strict=True):
        real = replace(edit, ratio=max(1.25 * float(np.exp(rng.normal(0, spread))), 1.0), kind=kind)
        lifted.append(real if feasible(world, real) else replace(real, ratio=1.0))
    mean = {
        kind: np.exp(np.mean([np.log(e.ratio) for e in lifted if e.kind == kind]))
        for kind in {e.kind for e in lifted}
    }
    pooled = pool_by_type(*verdicts_of(spec, lifted, stages(world, lifted)[:1]))
    found.append(pooled.assign(truth=pooled["change_type"].map(mean)))
    return pd.concat(found).assign(seed=seed)


def kinds_of(rng: np.random.Generator, edits: int) -> list[str]:
    """Deal edits into kinds of 3, 5, 8 and the rest, or into one."""
    sizes = [3, 5, 8, edits] if rng.random() < 0.6 else [edits]
    dealt = [f"k{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return [str(kind) for kind in rng.permutation(dealt[:edits])]


def joint_world(seed: int, ratio: float) -> pd.DataFrame:
    """Judge two or three pages of a topic, edited at about one time."""
    rng = np.random.default_rng(seed)
    spec = replace(draw_spec(rng), pages=int(rng.integers(80, 301)))
    world, topics = draw_world(rng, spec), max(spec.pages // TOPIC, 1)
    edits, truth = [], {}
    for first in random_edits(rng, spec)[: topics // 2]:
        group = [
            replace(first, page=(first.page + k * topics) % (topics * TOPIC), ratio=ratio)
            for k in range(2 + seed % 3 // 2)
        ]
        group = [replace(edit, week=edit.week + rng.uniform(-0.5, 0.5)) for edit in group]
        truth[names(np.array([group[0].page]))[0]] = joint_ratio(world, group)
        edits += group
    found, _ = verdicts_of(spec, edits, stages(world, edits)[:1])
    groups = found[found["edits"] > 1]
    return groups.assign(truth=groups["content_id"].str.split(" ").str[0].map(truth), seed=seed)


def part_null(seeds: range) -> None:
    frame = pd.concat([null_world(seed) for seed in seeds])
    show("Edits that did nothing", null_table(frame.assign(outcome_all="all"), ["chosen", "outcome_all"]))
    show("by outcome", null_table(frame, ["chosen", "outcome"]))
    show("by drift", null_table(frame, ["chosen", "drift"]))
    bands = pd.cut(frame["placebos"].astype(float), [39, 60, 100, 300])
    show("by placebos", null_table(frame.assign(band=bands), ["chosen", "band"]))
    bands = pd.cut(frame["expected_after"].astype(float), [29, 45, 70, 120, 1e9])
    show("by expected count", null_table(frame.assign(band=bands), ["chosen", "band"]))


def part_effects(seeds: range) -> None:
    frame = pd.concat([effect_world(seed) for seed in seeds])
    show(
        "Null edits beside others that did something",
        null_table(frame.assign(chosen="all"), ["chosen", "outcome"]),
    )
    show_power("Edits that did something", frame)


def part_shocks(seeds: range) -> None:
    for shock, words in (
        ("pages", "a model that favours some pages"),
        ("all", "a model that cites more, with fewer clicks"),
    ):
        change = partial(replace, shock=shock)
        nulls = pd.concat([null_world(seed, change) for seed in seeds])
        show(f"Null edits, {words}", null_table(nulls.assign(outcome_all="all"), ["chosen", "outcome_all"]))
        show_power(
            f"True effects, {words}", pd.concat([effect_world(seed, change) for seed in seeds]), ("all",)
        )


def part_wrong(seeds: range) -> None:
    for wrong in ("heavy", "topic", "neighbours"):
        change = partial(replace, wrong=wrong)
        nulls = pd.concat([null_world(seed, change) for seed in seeds])
        show(
            f"Null edits, wrong world: {wrong}",
            null_table(nulls.assign(outcome_all="all"), ["chosen", "outcome_all"]),
        )
        show_power(
            f"True effects, wrong world: {wrong}",
            pd.concat([effect_world(seed, change) for seed in seeds]),
            ("all",),
        )


def part_pooled(seeds: range) -> None:
    frame = pd.concat([pooled_world(seed) for seed in seeds])
    frame["size"] = pd.cut(frame["pages"], [1, 3, 5, 8, 19, 40])
    show("Kinds of edits that did nothing", null_table(frame, ["method", "size"]))
    show(
        "Kinds of edits that did something",
        found_table(frame.assign(predicted=frame["power_25"]), ["method", "size"]),
    )


def part_joint(seeds: range) -> None:
    nulls = pd.concat([joint_world(seed, 1.0) for seed in seeds])
    show("Groups that compete, edited to no effect", null_table(nulls.assign(all="all"), ["all", "edits"]))
    real = pd.concat([joint_world(seed, 1.5) for seed in seeds])
    show(
        "Groups that compete, each page +50 % alone",
        found_table(real.assign(predicted=np.nan, all="all"), ["all", "edits"]),
    )


def main(worlds: int, first: int, *parts: str) -> None:
    """Print the tables."""
    start = time.perf_counter()
    seeds = range(first, first + 10 * worlds, 10)
    known = {
        "null": part_null, "effects": part_effects, "shocks": part_shocks, "wrong": part_wrong, "pooled": part_pooled,
        "joint": part_joint,
    }  # fmt: skip
    for part in parts or known:
        known[part](seeds)
    print(f"\n{worlds} worlds, seeds from {first}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    worlds, first = (*map(int, sys.argv[1:3]), *(200, SEED)[max(len(sys.argv) - 1, 0) :])[:2]
    main(worlds, first, *sys.argv[3:])
