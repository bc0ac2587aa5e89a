"""How often edits that did nothing are found to have done something, and edits that did something are found.

Run: python -m benchmarks.geo_edits [worlds] [first seed] [part ...]; parts: null, effects, shocks, wrong, pooled.
Worlds come from `benchmarks.geo_edit_worlds`. Rules and constants were chosen on seeds from 1,000 on; what is
published was run once on seeds from 500,000 on.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

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
    names,
    stages,
)
from eventlib.geo import EVENTS_READ
from eventlib.geo.edit_dates import edit_calendar
from eventlib.geo.experiments import judge_edits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventlib.geo.stages import Stage

SEED = 500_000
OUTCOMES = ("cite", "click", "satisfy")
RATIOS = (1.25, 1.5, 2.0)


def frames_of(edits: Sequence[Edit]) -> dict[str, pd.DataFrame]:
    """Return the edits as the log would have them."""
    nothing = pd.DataFrame(
        columns=["event_time", "content_id", "content_version", "engine", "model", "agent", "allow_analytics", "observation"]
    )  # fmt: skip
    told = pd.DataFrame(
        {
            "edit_id": [f"e{i:03d}" for i in range(len(edits))],
            "content_id": names(np.array([edit.page for edit in edits], dtype=np.int64)),
            "to_version": "2", "change_type": "refresh", "arm": None,
            "event_time": [moment(edit.week) for edit in edits],
            "selected_from": [None if edit.selected is None else moment(edit.selected).isoformat() for edit in edits],
        }
    )  # fmt: skip
    return dict.fromkeys(EVENTS_READ, nothing) | {"content_edit": told}


def moment(week: float) -> pd.Timestamp:
    """Return a moment in weeks since the start as a time."""
    return pd.Timestamp((T0 + int(week * WEEK)) * 1_000, unit="ns", tz="UTC")


def judge(spec: Spec, edits: Sequence[Edit], seen: Sequence[Stage]) -> pd.DataFrame:
    """Return the verdicts, with each edit's true ratio."""
    calendar = edit_calendar(frames_of(edits), "e", T0 + spec.weeks * WEEK, T0)
    verdicts, _ = judge_edits(calendar, seen, "e")
    truth = {f"e{i:03d}": edit for i, edit in enumerate(edits)}
    alone = verdicts[verdicts["edits"] == 1]
    pairs = zip(alone["edit_id"], alone["outcome"], strict=True)
    ratio = [truth[key].ratio if truth[key].outcome == outcome else 1.0 for key, outcome in pairs]
    return verdicts.assign(truth=pd.Series(ratio, index=alone.index))


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
    for repeat, outcome in enumerate((0, 0, 0, 0, 1, 2)):
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


def share(frame: pd.DataFrame, hit: pd.Series) -> str:
    """Return a share with its 90 % interval, worlds as clusters."""
    if not len(frame):
        return "-"
    by_world = hit.groupby(frame["seed"]).agg(["sum", "size"])
    value = float(hit.mean())
    rest = by_world["sum"] - value * by_world["size"]
    error = float(np.sqrt((rest**2).sum() * len(by_world) / max(len(by_world) - 1, 1)) / len(hit))
    return f"{value:.3f} ± {1.645 * error:.3f}"


def null_table(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return how often null edits seem to have done something."""
    rows = []
    judged = frame[frame["p"].notna() & (frame["truth"] == 1)]
    for key, part in judged.groupby(by, observed=True):
        rows.append(
            dict(zip(by, key, strict=True)) | {
                "edits": len(part), "p <= .05": share(part, part["p"] <= 0.05), "p <= .10": share(part, part["p"] <= 0.10),
                "flagged": share(part, part["state"].isin(["better", "worse"])),
                "worse at p <= .05": share(part, (part["p"] <= 0.05) & (part["change"] < 1)),
                "interval holds 1": share(part, (part["lower"] <= 1) & (part["upper"] >= 1)),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def power_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the judged edits that did something, with predicted power and whether they were found."""
    real = frame[frame["p"].notna() & (frame["truth"] > 1)].copy()
    real["predicted"] = np.select(
        [real["truth"] == r for r in RATIOS], [real[f"power_{100 * r - 100:.0f}"] for r in RATIOS]
    )
    real["found"] = (real["p"] <= 0.05).astype(float)
    real["short"] = real["found"] - real["predicted"]
    real["inside"] = ((real["lower"] <= real["truth"]) & (real["truth"] <= real["upper"])).astype(float)
    return real


def power_table(real: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return predicted power beside the share found."""
    rows = []
    for key, part in real.groupby(by, observed=True):
        rows.append(
            {
                by: key, "edits": len(part), "predicted": f"{part['predicted'].mean():.3f}", "found": share(part, part["found"]),
                "found less predicted": share(part, part["short"]), "interval holds the truth": share(part, part["inside"]),
                "flagged": share(part, part["state"].isin(["better", "worse"])),
                "mean log change less truth": f"{np.mean(np.log(part['change'].astype(float) / part['truth'])):+.3f}",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}")
    for row in table.itertuples(index=False):
        print(f"| {' | '.join(str(value) for value in row)} |")


def show_power(title: str, frame: pd.DataFrame) -> None:
    """Print how what was found compares with what was predicted, in all and by bands."""
    real = power_columns(frame)
    real["band"] = pd.cut(real["predicted"], [0, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0], include_lowest=True)
    for by in ("all", "band", "truth", "outcome"):
        show(f"{title}, by {by}", power_table(real.assign(all="all"), by))


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


def main(worlds: int, first: int, *parts: str) -> None:
    """Print the tables."""
    start = time.perf_counter()
    seeds = range(first, first + 10 * worlds, 10)
    known = {"null": part_null, "effects": part_effects}
    for part in parts or known:
        known[part](seeds)
    print(f"\n{worlds} worlds, seeds from {first}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    worlds, first = (*map(int, sys.argv[1:3]), *(200, SEED)[max(len(sys.argv) - 1, 0) :])[:2]
    main(worlds, first, *sys.argv[3:])
