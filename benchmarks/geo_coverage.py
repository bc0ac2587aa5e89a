"""How often the 90 % intervals of satisfied citations hold the truth, on worlds whose truth is known (S7.11).

Run: python benchmarks/geo_coverage.py [worlds] [kappa]. Truth is conditional on the design, as the score is:
the true chance of what happened over the true chance of an average page in the same places.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from eventlib.geo.engagement import score_engine
from eventlib.geo.stages import cite_stage, click_stage, satisfy_stage

Floats = NDArray[np.float64]

CONTENTS, PROMPTS, POOL, CITED = 60, 40, 8, 5
TRUE = np.arange(1, CITED + 1) ** -0.7
STAGES = ("cite", "click", "satisfy")


@dataclass
class World:
    """The rows of one world, and the true theta of every content and stage."""

    candidates: pd.DataFrame
    shown: pd.DataFrame
    visits: pd.DataFrame
    truth: dict[str, pd.Series]


def simulate(rng: np.random.Generator, answers: int = 1_100, people: int = 350, kappa: float = 0.6) -> World:
    """Cite by a Plackett-Luce draw, place by quality and chance, click by position, read."""
    quality = rng.normal(size=CONTENTS)
    pool = np.argsort(rng.random((PROMPTS, CONTENTS)), axis=1)[:, :POOL]
    match = rng.normal(0, 0.5, (PROMPTS, POOL))
    prompt, person = rng.integers(0, PROMPTS, answers), rng.integers(0, people, answers)
    mood_click, mood_read = rng.normal(0, 0.4, people), rng.normal(0, 0.4, people)
    content = pool[prompt]
    strength = 0.5 * quality[content] + match[prompt]
    won = np.argsort(-(strength + rng.gumbel(size=strength.shape)), axis=1)[:, :CITED]
    cited = np.zeros(content.shape, dtype=bool)
    np.put_along_axis(cited, won, values=True, axis=1)
    shown = np.take_along_axis(content, won, 1)
    place = kappa * quality[shown] + np.sqrt(1 - kappa**2) * rng.normal(size=shown.shape)
    shown = np.take_along_axis(shown, np.argsort(-place, axis=1), 1)
    interest = expit(-0.6 + 0.7 * quality[shown] + mood_click[person][:, None])
    clicked = rng.random(shown.shape) < TRUE * interest
    pleased = expit(0.4 + 0.5 * quality[shown] + mood_read[person][:, None])
    asked, reader = np.repeat(prompt, CITED), np.repeat(person, CITED)
    rank, seen = np.tile(np.arange(1, CITED + 1), answers), np.tile(TRUE, answers)
    rows = pd.DataFrame(
        {
            "prompt_id": asked, "content_id": shown.ravel(), "content_version": "", "month": 0,
            "engine": "e", "slot": "inline", "rank": rank, "clicked": clicked.ravel(),
            "person_id": reader, "answer_id": np.repeat(np.arange(answers), CITED).astype(str), "time_us": 0,
        }
    )  # fmt: skip
    visits = rows[rows["clicked"]].assign(satisfied=rng.random(int(clicked.sum())) < pleased[clicked])
    candidates = pd.DataFrame(
        {
            "answer_id": np.repeat(np.arange(answers), POOL).astype(str), "content_id": content.ravel(),
            "cluster": np.repeat(person, POOL), "time_us": 0, "cited": cited.ravel(),
        }
    )  # fmt: skip
    truth = {
        "cite": _ratio(content.ravel(), *_chances(rng, strength)),
        "click": _ratio(shown.ravel(), (TRUE * interest).ravel(), seen),
        "satisfy": _ratio(shown[clicked], pleased[clicked], np.ones(int(clicked.sum()))),
    }
    return World(candidates, rows, visits, truth)


def _chances(rng: np.random.Generator, strength: Floats, draws: int = 60) -> tuple[Floats, Floats]:
    """Each candidate's true chance of being cited, and an average page's in its place, by simulation."""
    own, average = np.zeros(strength.shape), np.zeros(strength.shape)
    for _ in range(draws):
        noise = rng.gumbel(size=strength.shape)
        score = strength + noise
        ranked = -np.sort(-score, axis=1)
        own += score >= ranked[:, [CITED - 1]]
        # against the other candidates, an average page needs to beat the fifth best of them
        fifth = np.where(score >= ranked[:, [CITED - 1]], ranked[:, [CITED]], ranked[:, [CITED - 1]])
        average += noise > fifth
    return own.ravel() / draws, average.ravel() / draws


def _ratio(content: NDArray[np.int64], happens: Floats, average: Floats) -> pd.Series:
    sums = pd.DataFrame({"content": content, "o": happens, "e": average}).groupby("content").sum()
    return sums["o"] / sums["e"] * sums["e"].sum() / sums["o"].sum()


def main(worlds: int = 40, kappa: float = 0.6) -> None:
    """Print coverage per stage and of the product, by expected count and by decile of the truth."""
    rng, found, spent = np.random.default_rng(1), [], 0.0
    for world in range(worlds):
        made = simulate(rng, kappa=kappa)
        start = time.perf_counter()
        click, exposure = click_stage(made.shown)
        kept = [
            stage for stage in (cite_stage(made.candidates)[0], click, satisfy_stage(made.visits)[0]) if stage
        ]
        score = score_engine(
            "e", kept, exposure=exposure, replicates=100, draws=2_000, seed=world, small_cell=0
        )
        spent += time.perf_counter() - start
        frame = score.frame.set_index("content_id")
        truth = pd.DataFrame(made.truth).reindex(frame.index)
        found += [_judge(frame, name, truth[name], f"{name}_", name) for name in STAGES]
        found.append(_judge(frame, "score", truth.prod(axis=1, skipna=False), "", "satisfy"))
    table = pd.concat(found).dropna()
    print(f"{worlds} worlds, kappa {kappa}, {spent / worlds:.2f} s per score")
    print(table.groupby("stage")["inside"].agg(["mean", "size"]).round(3))
    table["band"] = pd.cut(table["expected"], [0, 2, 5, 10, 20, 50, 1e9])
    print(table.pivot_table(index="band", columns="stage", values="inside", observed=True).round(3))
    table["decile"] = table.groupby("stage")["truth"].transform(lambda x: pd.qcut(x, 10, labels=False))
    print(table.pivot_table(index="decile", columns="stage", values="inside").round(3))


def _judge(frame: pd.DataFrame, stage: str, truth: pd.Series, prefix: str, counted: str) -> pd.DataFrame:
    inside = (frame[f"{prefix}lower"] <= truth) & (truth <= frame[f"{prefix}upper"])
    expected = frame[f"expected_{counted}"]
    return pd.DataFrame(
        {"stage": stage, "truth": truth, "inside": inside.where(truth.notna()), "expected": expected}
    )


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, float), sys.argv[1:], strict=False)))
