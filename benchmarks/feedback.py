"""What feedback says beside what is true: the chosen version of each pair, the failing stage of each brief.

Run: python -m benchmarks.feedback [LOGS] [WORLDS] [EVENTS]. Pairs come from logs of `eventlib simulate`, prepared as
usual, with lifts as they are by default and a third of the edits null; briefs from the worlds of `geo_coverage`, where the
true score of every page and stage is known. No seed here was used to choose anything.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

import eventlib as el
from benchmarks.geo_coverage import mean_interval, score_world, settings, true_theta
from benchmarks.geo_worlds import simulate as simulate_world
from eventlib.geo import read_frames
from eventlib.geo.experiments import judge_observed
from eventlib.geo.observed import observed_stages
from eventlib.signals.briefs import failing_stages
from eventlib.signals.preferences import clear_verdicts
from eventlib.signals.training_evidence import TrainingEvidence, training_frames
from eventlib.simulate import simulate

FIRST_LOG: Final = 7_000
FIRST_WORLD: Final = 57_000
ENGINE: Final = "site_assistant"


def share(hits: int, of: int) -> str:
    """Return a share with its 90 % Wilson interval."""
    low, high = proportion_confint(hits, of, alpha=0.10, method="wilson")
    return f"{hits} of {of}, {hits / of:.3f} ({low:.3f} to {high:.3f})"


def pairs_of_log(seed: int, events: int) -> tuple[pd.DataFrame, Counter[str], int]:
    """Return each pair's verdict beside the edit's true effect, why others gave none, and the number of edits."""
    with tempfile.TemporaryDirectory() as folder:
        made = simulate(Path(folder) / "log", events=events, seed=seed)
        truth = pd.read_csv(made.truth / "edits.csv").set_index("edit_id")
        frames = read_frames(el.prepare([str(path) for path in made.files]).events)
    kept = training_frames(frames)
    owned = [one for one in observed_stages(kept) if one.observation == "owned"]
    judged, placebos, _ = judge_observed(kept, owned)
    evidence = TrainingEvidence(kept["content_edit"], judged, placebos, None)  # pairs need no score
    verdicts, left_out = clear_verdicts(evidence, ENGINE)
    rows = [
        {
            "outcome": row["outcome"],
            "better": row["state"] == "better",
            "null": bool(truth.loc[row["edit_id"], "is_null"]),
            "found": float(np.log(row["change"])),
            "true": float(truth.loc[row["edit_id"], f"lift_{row['outcome']}"]),
        }
        for row in verdicts
    ]
    return pd.DataFrame(rows, columns=["outcome", "better", "null", "found", "true"]), left_out, len(truth)


def pairs(logs: int, events: int) -> None:
    """Print how many pairs there are, and whether they choose the truly better version."""
    found, left_out, edits = [], Counter[str](), 0
    for seed in range(FIRST_LOG, FIRST_LOG + logs):
        one, without, of = pairs_of_log(seed, events)
        found.append(one)
        left_out += without
        edits += of
        print(f"seed {seed}, {of} edits, {len(one)} pairs\n{one.round(3).to_string(index=False)}", flush=True)
    whole = pd.concat(found, ignore_index=True)
    print(f"{logs} logs of {events:,} events, {edits} edits: {len(whole)} pairs; without: {dict(left_out)}")
    if not len(whole):
        return
    right = whole["better"] & ~whole["null"]
    print(f"chosen is truly better: {share(int(right.sum()), len(whole))}")
    print(f"edits that did nothing: {share(int(whole['null'].sum()), len(whole))}")
    kept = whole[right]
    print(f"margin over the true log ratio, where right: {mean_interval(kept['found'] - kept['true'])} more")


def briefs(worlds: int) -> None:
    """Print how often the named stage is truly below average, and truly the lowest."""
    rows = []
    for seed, setting in settings(worlds, FIRST_WORLD):
        made = simulate_world(np.random.default_rng([seed, 2]), setting)
        score = score_world(made, seed)
        if not len(score.frame):
            continue
        truth = true_theta(made, score).drop(columns="score")
        named = failing_stages(score)
        true = np.array(
            [truth.loc[page, stage] for page, stage in zip(named["content_id"], named["stage"], strict=True)]
        )
        lowest = truth.loc[named["content_id"]].idxmin(axis=1).to_numpy() == named["stage"].to_numpy()
        rows.append((len(score.frame), len(named), int((true < 1).sum()), int(lowest.sum())))
    pages, named_all, below, lowest_all = np.array(rows).sum(axis=0).tolist()
    print(f"{len(rows)} worlds, {pages:,} pages, {named_all:,} briefs")
    per_world = pd.DataFrame([row for row in rows if row[1]], columns=["pages", "named", "below", "lowest"])
    print(f"truly below average at the stage named: {mean_interval(per_world['below'] / per_world['named'])}")
    print(f"truly the lowest of the stages: {mean_interval(per_world['lowest'] / per_world['named'])}")
    print(f"over all briefs: {below / named_all:.3f} below, {lowest_all / named_all:.3f} lowest")


def main(logs: int = 20, worlds: int = 60, events: int = 400_000) -> None:
    """Print both tables."""
    if worlds:
        briefs(worlds)
    if logs:
        pairs(logs, events)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
