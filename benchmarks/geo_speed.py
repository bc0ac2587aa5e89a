"""What scoring a million events costs: every figure of notebook 04, against limits of 30 s and 3 GB.

Run: python -m benchmarks.geo_speed [EVENTS] [PREPARED]. Without a prepared dataset one is simulated (seed 4) and
prepared first, which is not timed. Each row is what that step added; the last is a whole process, imports and the
reading of the dataset included.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import eventlib as el
from benchmarks.measure import machine, run
from eventlib import geo
from eventlib.geo import changes, engagement, findings, levels, pages, satisfaction, stripping, tables
from eventlib.geo.experiments import judge_all
from eventlib.geo.observed import observed_stages
from eventlib.geo.prompt_clusters import cluster_prompts, keep_prompt_clusters
from eventlib.geo.visibility import SPECS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from eventlib.geo.visibility import Spec

SECONDS: Final = 30.0
GIBIBYTES: Final = 3e9 / 2**30
REPLICATES: Final = 200


def made(events: int, folder: Path) -> Path:
    """Simulate and prepare a log; return the dataset's folder."""
    run(
        [
            sys.executable,
            "-m",
            "eventlib",
            "simulate",
            "--out",
            str(folder / "log"),
            "--events",
            str(events),
            "--seed",
            "4",
        ]
    )
    logs = sorted(str(path) for path in (folder / "log").glob("*.ndjson*"))
    run(
        [
            sys.executable,
            "-m",
            "eventlib",
            "prepare",
            *logs,
            "--out",
            str(folder / "prepared"),
            "--key",
            str(folder / "key"),
        ]
    )
    return folder / "prepared"


class _Steps:
    """Time each step and print it."""

    def __init__(self) -> None:
        self.scored = 0.0

    def __call__(self, name: str, step: Callable[[], Any], *, counts: bool = True) -> Any:
        start = time.perf_counter()
        result = step()
        spent = time.perf_counter() - start
        self.scored += spent if counts else 0.0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name:<52} {spent:6.1f} s   peak so far {peak:.2f} GiB")
        return result


def score(prepared: str) -> None:
    """Do all that notebook 04 does but draw; then what notebook 05 does."""
    step = _Steps()
    data = el.load(prepared)
    events = step("reading the events", lambda: data.events, counts=False)
    frames = step("frames by event name", lambda: geo.read_frames(events), counts=False)
    seen = step("stages of every engine", lambda: observed_stages(frames))
    scores = step(
        f"scores, {REPLICATES} replicates that refit exposure",
        lambda: engagement.score_observed(seen, replicates=REPLICATES),
    )
    lead = tables.leading(scores)
    step("visibility, both forms", lambda: [_visible(frames, spec) for spec in SPECS])
    step(
        "satisfaction and its bounds",
        lambda: satisfaction.satisfaction_bounds(satisfaction.engine_visits(frames)),
    )
    step(
        "what changed in 28 days",
        lambda: changes.score_changes(lead.source, 28, replicates=REPLICATES, draws=2_000),
    )
    step(
        "levels, arrivals, stripped referrers",
        lambda: (
            levels.evidence_levels(frames, seen),
            stripping.sensitivity(came := stripping.seen_visits(frames)),
            stripping.orders(came),
        ),
    )
    step("prompt clusters, scores by them and by version", lambda: _finer(frames, lead))
    print(f"{'all of notebook 04 but drawing':<52} {step.scored:6.1f} s   limit {SECONDS:.0f} s")
    step("edits (notebook 05)", lambda: judge_all(frames), counts=False)


def _visible(frames: Mapping[str, pd.DataFrame], spec: Spec) -> object:
    probed = tables.probed(frames)
    own = findings.own_contents(frames)
    shows, answers = probed["citation_show"], probed["answer_generate"]
    return tables.site_visibility(shows, answers, own, spec=spec), tables.top_pages(
        shows, answers, own, spec=spec
    )


def _finer(frames: Mapping[str, pd.DataFrame], lead: engagement.Score) -> object:
    answers = frames["answer_generate"]
    clusters, _ = keep_prompt_clusters(answers)
    assigned = cluster_prompts(answers, clusters)
    prompts = dict(zip(assigned["prompt_id"], assigned["prompt_cluster"], strict=True))
    return pages.finer_scores(lead, prompts, replicates=REPLICATES, draws=1_000)


def main(events: int = 1_000_000, prepared: str = "") -> None:
    """Print the table."""
    print(machine("numpy", "pandas", "scipy"))
    with tempfile.TemporaryDirectory(prefix="eventlib-bench-") as folder:
        dataset = prepared or str(made(events, Path(folder)))
        code = f"from benchmarks.geo_speed import score; score({dataset!r})"
        print(f"{events:,} events")
        seconds, peak = run([sys.executable, "-c", code], quiet=False)
    print(f"{'the whole process':<52} {seconds:6.1f} s   peak {peak:.2f} GiB, limit {GIBIBYTES:.2f} GiB")


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, str), sys.argv[1:], strict=False)))
