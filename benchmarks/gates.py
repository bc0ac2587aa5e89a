"""Do the gates keep what they promise? Worlds whose truth is known, trained and judged as a site's log would be (S8.5).

`python -m benchmarks.gates [worlds] [table ...]`: `worlds` per row of a table; tables `statistic`, `exports`,
`canaries`. Every world runs the whole of `train_ranking`; what its orders would truly earn is computed on fresh answers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.ranking_worlds import POOL, World, draw_world
from eventlib.ranking import Options, Ranking, train_ranking
from eventlib.ranking.gates import Gate
from eventlib.ranking.impressions import read_impressions
from eventlib.ranking.judge import DEBIASED, NAIVE

__all__ = ["Outcome", "judge_world", "plant_popularity", "truth"]

FIRST_SEED: Final = 40_000
"""No seed from here on was looked at while the gates were made."""

PAIRS: Final = ((DEBIASED, "logging"), (NAIVE, "logging"), (DEBIASED, NAIVE))

NOISES: Final[Mapping[str, Mapping[str, Any]]] = {
    "noise 1": {"noise": 1.0},
    "noise .3": {"noise": 0.3},
    "noise .1": {"noise": 0.1, "answers": 14_000, "people": 1_400},
}

WORLDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "position-based": {},
    "position-based, order nearly right": {"kappa": 0.97},
    "trust .1": {"kind": "trust", "trust": 0.1},
    "trust .3": {"kind": "trust", "trust": 0.3},
    "trust .3, order nearly right": {"kind": "trust", "trust": 0.3, "kappa": 0.97},
    "trust .3, a tenth randomised": {"kind": "trust", "trust": 0.3, "randomised": 0.1},
    "browsing": {"kind": "browsing"},
    "browsing, order nearly right": {"kind": "browsing", "kappa": 0.97},
    "browsing, a tenth randomised": {"kind": "browsing", "randomised": 0.1},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training said of a world, and the truth.

    Attributes
    ----------
    pairs
        (policy, over) → estimated difference, its sd, the true difference; empty where nothing was judged.
    """

    champion: str
    gates: tuple[Gate, ...]
    pairs: Mapping[tuple[str, str], tuple[float, float, float]]

    def exported(self, without: str = "") -> bool:
        """Tell whether no gate failed, one of them left out."""
        return bool(self.pairs) and all(g.state != "failed" or g.gate == without for g in self.gates)

    @property
    def gain(self) -> tuple[float, float, float]:
        """The champion's over the logging policy."""
        return self.pairs[self.champion, "logging"]

    def state(self, gate: str) -> str:
        """State of a gate."""
        return next(g.state for g in self.gates if g.gate == gate)


def truth(world: World, found: Ranking, seed: int) -> dict[str, float]:
    """Return what each ranker's order would truly earn an answer, at the places in use."""
    judged = found.judged
    assert judged is not None
    prompt = [f"pr-{p:02d}" for p in np.repeat(np.arange(len(world.pool)), POOL)]
    asked = pd.DataFrame(
        {"content_id": [f"c-{c:03d}" for c in world.pool.ravel()], "prompt_id": prompt, "answer_id": prompt}
    )
    cells = asked.assign(
        content_version="1", prompt_cluster=judged.clusters.assign(asked, judged.contents.topics())
    )
    scores = {
        name: judged.rankers[name]
        .predict(judged.rankers[name].design(cells, judged.contents))
        .reshape(world.pool.shape)
        for name in (DEBIASED, NAIVE)
    }
    ranks = np.array([int(place.split()[1]) for place in judged.places])
    return world.values(scores, ranks, seed)


def judge_world(seed: int, **parameters: Any) -> Outcome:
    """Draw a world, train and judge on its log, and look up the truth."""
    world = draw_world(seed, mood=0.4, **parameters)
    found = train_ranking(world.tables, Options(seed=seed))
    if found.judged is None:
        return Outcome("", found.gates, {})
    rows = found.judged.differences
    names = zip(rows["policy"], rows["over"], strict=True)
    known = dict(zip(names, rows[["difference", "sd"]].to_numpy(np.float64).tolist(), strict=True))
    true = truth(world, found, seed + 1_000_000)
    pairs = {(a, b): (known[a, b][0], known[a, b][1], true[a] - true[b]) for a, b in PAIRS}
    return Outcome(found.judged.champion, found.gates, pairs)


def _errors(outcomes: list[Outcome], pair: tuple[str, str] | None) -> NDArray[np.float64]:
    """Return estimate, sd and truth of each world that was judged; of the champion's gain if no pair is named."""
    return np.array([o.gain if pair is None else o.pairs[pair] for o in outcomes if o.pairs])


def statistic_table(worlds: int) -> Iterator[str]:
    """Give coverage of estimate ± 1.96 sd, and how often the lower bound lies above the truth."""
    yield from (
        "| swaps | difference | worlds | true gain | bias | sd | 95 % intervals cover | lower bound above truth |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    )
    pooled = []
    for number, (name, parameters) in enumerate(NOISES.items()):
        outcomes = [judge_world(FIRST_SEED + 10_000 * number + i, **parameters) for i in range(worlds)]
        for pair in (*PAIRS, None):
            errors = _errors(outcomes, pair)
            pooled += [errors] if pair is None else []
            yield _statistic_row(name, pair, errors)
    yield _statistic_row("all", None, np.concatenate(pooled))


def _statistic_row(name: str, pair: tuple[str, str] | None, errors: NDArray[np.float64]) -> str:
    difference, sd, true = errors.T
    z = (difference - true) / sd
    named = "champion over logging" if pair is None else " over ".join(pair)
    return (
        f"| {name} | {named} | {len(z):,} | {true.mean():+.4f} | {(difference - true).mean():+.4f} | {sd.mean():.4f} "
        f"| {_share(abs(z) <= 1.96)} | {_share(z > 1.96)} |"
    )


def _share(hits: NDArray[np.bool_]) -> str:
    """Write a share with its 95 % half-width."""
    rate = float(hits.mean())
    return f"{rate:.3f} ± {1.96 * np.sqrt(max(rate * (1 - rate), 1e-9) / len(hits)):.3f}"


def exports_table(worlds: int) -> Iterator[str]:
    """Give how often bundles go out that should not, with and without G2."""
    yield from (
        "| world | true gain | exported | w/o G2 | and gain ≤ 0 | w/o G2 | or bound above truth | w/o G2 | G2 failed | not asked |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    )
    for number, (name, parameters) in enumerate(WORLDS.items()):
        outcomes = [
            judge_world(FIRST_SEED + 100_000 + 10_000 * number + i, **parameters) for i in range(worlds)
        ]
        yield _exports_row(name, outcomes)


def _exports_row(name: str, outcomes: list[Outcome]) -> str:
    judged = [o for o in outcomes if o.pairs]
    gains = _errors(judged, None)
    useless, promised = gains[:, 2] <= 0, gains[:, 0] - 1.96 * gains[:, 1] > gains[:, 2]
    cells = [f"{gains[:, 2].mean():+.4f}"]
    for wrong in (np.ones(len(judged), dtype=np.bool_), useless, promised):
        for without in ("", "G2"):
            out = np.array([o.exported(without) for o in judged])
            cells.append(f"{float((out & wrong).mean()):.3f}")
    states = [o.state("G2") for o in judged]
    cells += [f"{states.count(state) / len(states):.3f}" for state in ("failed", "not_applicable")]
    return f"| {name} | {' | '.join(cells)} |"


def plant_popularity(world: World) -> World:
    """Write what will be clicked after the cut back into the metadata, as a content system might."""
    shows = read_impressions(world.tables.shows, world.tables.clicks, world.tables.answers).frame
    late = shows[shows["time_us"] > shows["time_us"].quantile(0.65)]
    popularity = (
        world.tables.publishes["content_id"].map(late.groupby("content_id")["clicked"].mean()).fillna(0.0)
    )
    planted = world.tables.publishes.assign(source_count=(1000 * popularity).astype(int))
    return replace(world, tables=replace(world.tables, publishes=planted))


def canaries_table(worlds: int) -> Iterator[str]:
    """Give how often a planted feature that knows the future is caught, and how often canaries sing for nothing."""
    yield from (
        "| pages | planted feature caught | honest log called leaking | shuffled labels show a lift |",
        "|---:|---:|---:|---:|",
    )
    for contents, prompts in ((36, 12), (120, 24), (300, 60)):
        caught, called, lifted = [], [], []
        for i in range(worlds):
            seed = FIRST_SEED + 500_000 + 10_000 * contents + i
            honest = draw_world(seed, mood=0.4, contents=contents, prompts=prompts)
            options = Options(seed=seed, replicates=50)
            (planted, *_), (clean, *_) = (
                train_ranking(world.tables, options).gates for world in (plant_popularity(honest), honest)
            )
            caught.append(
                "source_count knows" in planted.reason or "sources_per_1000_words knows" in planted.reason
            )
            called.append("knows what came after" in clean.reason)
            lifted.append("shuffled labels" in clean.reason)
        shares = " | ".join(_share(np.array(hits)) for hits in (caught, called, lifted))
        yield f"| {contents} | {shares} |"


TABLES: Final = {"statistic": statistic_table, "exports": exports_table, "canaries": canaries_table}


def main(arguments: list[str]) -> None:
    """Print the tables asked for, or all."""
    worlds = int(arguments[0]) if arguments else 20
    for name in arguments[1:] or TABLES:
        print(f"## {name}, {worlds} worlds a row\n", flush=True)
        for line in TABLES[name](worlds):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
