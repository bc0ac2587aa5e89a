"""GEO figures of a prepared simulated log beside the truth that was written with it.

Run: python benchmarks/geo_truth.py PREPARED TRUTH. Prints what exposure, scores and verdicts say and what is
true.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

import eventlib as el
from eventlib.geo import read_frames, tables
from eventlib.geo.engagement import Score, score_engines
from eventlib.geo.experiments import judge_all

TAU_MS = 30_000  # pages.csv says how often a visit lasts so long


def exposure_beside_truth(score: Score, parameters: dict[str, float]) -> pd.DataFrame:
    """Return the curve with the simulated examination of each place."""
    curve = tables.exposure(score)
    rank = curve["rank"].to_numpy(dtype=np.float64)
    inline = rank ** -parameters["examination_inline"]
    panel = parameters["panel_seen"] * rank ** -parameters["examination_panel"]
    truth = np.where(curve["slot"] == "inline", inline, panel)
    inside = (curve["lower"] <= truth) & (truth <= curve["upper"])
    return curve.assign(truth=truth, inside=inside)[
        ["slot", "rank", "exposure", "lower", "upper", "truth", "inside"]
    ]


def main(prepared: str, truth: str) -> None:
    """Print the comparison."""
    parameters = json.loads((Path(truth) / "world.json").read_text())["parameters"]
    pages = pd.read_csv(Path(truth) / "pages.csv").set_index("content_id")
    edits = pd.read_csv(Path(truth) / "edits.csv").set_index("edit_id")
    events = el.load(prepared).events
    frames = read_frames(events)
    start = time.perf_counter()
    lead = tables.leading(score_engines(frames, tau_ms=TAU_MS))
    print(f"{len(events):,} events, {lead.clusters:,} people, scored in {time.perf_counter() - start:.1f} s")
    print(exposure_beside_truth(lead, parameters).round(3).to_string(index=False))
    joined = lead.frame.set_index("content_id").join(pages, how="inner")
    for name in lead.stages:
        print(
            f"log {name} against quality: r = {np.corrcoef(joined[f'log_{name}'], joined['quality'])[0, 1]:.2f}"
        )
    visits = frames["citation_click"]["content_id"].value_counts().reindex(joined.index).fillna(0)
    satisfied = joined["satisfied_30s"] / np.average(joined["satisfied_30s"], weights=visits)
    inside = (joined["satisfy_lower"] <= satisfied) & (satisfied <= joined["satisfy_upper"])
    print(f"satisfy intervals hold the truth of {inside.mean():.2f} of {len(inside)} pages")
    start = time.perf_counter()
    verdicts = judge_all(frames, tau_ms=TAU_MS)[0].dropna(subset=["p"])
    print(f"{len(verdicts)} verdicts in {time.perf_counter() - start:.1f} s")
    # groups that were judged jointly did nothing if none of their edits did
    verdicts["null"] = [bool(edits.loc[name.split("+"), "is_null"].all()) for name in verdicts["edit_id"]]
    print(pd.crosstab([verdicts["outcome"], verdicts["edits"], verdicts["null"]], verdicts["state"]))
    print(*verdicts["sentence"], sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
