"""Does a ranker earn more by prompt clusters of texts than by topics: the same logs, the same held-out answers.

Run: python -m benchmarks.ranking_clusters [SEEDS] [EVENTS]. Logs of seeds from 5,000 on are simulated; nothing was
chosen by them. Each is ranked with its texts and without any, which leaves topics; as logged, with topics
joined to two, missing, and dealt anew among the contents, and with texts dealt anew among the prompts; with all
prompts, and with every third one known only after the cut.
Figures are means over logs with 90 % intervals by Student's t.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

import eventlib as el
from benchmarks.measure import run
from eventlib.columns import microseconds
from eventlib.ranking import Options, Ranking, Tables, read_tables, train_ranking
from eventlib.ranking.evaluation import HeldOut, compare_policies, new_places
from eventlib.ranking.features import CELL
from eventlib.ranking.pipeline import Judged

FIRST: Final = 5_000
RULES: Final = ("text", "topic")
EXAMINATION: Final = {"inline": (1.0, 0.7), "panel": (0.8, 0.45)}
"""How the simulated place of rank k is seen: a * k ** -b."""
REPLICATES: Final = 50
"""Behind the standard deviation of each difference, which is then known to a tenth."""

Floats = NDArray[np.float64]


def _as_logged(tables: Tables, seed: int) -> Tables:
    del seed
    return tables


def _missing(tables: Tables, seed: int) -> Tables:
    del seed
    return replace(
        tables, publishes=tables.publishes.assign(topic=None), edits=tables.edits.assign(topic=None)
    )


def _wrong(tables: Tables, seed: int) -> Tables:
    """Deal the topics anew among the contents; edits keep what their content has."""
    dealt = np.random.default_rng(seed).permutation(tables.publishes["topic"].to_numpy(object))
    return replace(
        tables, publishes=tables.publishes.assign(topic=dealt), edits=tables.edits.assign(topic=None)
    )


def _coarse(tables: Tables, seed: int) -> Tables:
    """Join the topics to two; edits keep what their content has."""
    del seed
    names = sorted(tables.publishes["topic"].dropna().unique())
    two = {name: f"half_{number % 2}" for number, name in enumerate(names)}
    topic = tables.publishes["topic"].astype(object).map(two)
    return replace(
        tables, publishes=tables.publishes.assign(topic=topic), edits=tables.edits.assign(topic=None)
    )


def _dealt_texts(tables: Tables, seed: int) -> Tables:
    """Deal the texts anew among the prompts: what they say is not what they ask."""
    answers = tables.answers
    said = answers.dropna(subset=["prompt_id", "prompt_text"]).drop_duplicates("prompt_id")
    prompts = said["prompt_id"].sort_values().to_numpy(object)
    dealt = np.random.default_rng(seed).permutation(
        said.sort_values("prompt_id")["prompt_text"].to_numpy(object)
    )
    text = answers["prompt_id"].astype(object).map(dict(zip(prompts, dealt, strict=True)))
    return replace(tables, answers=answers.assign(prompt_text=text))


TOPICS: Final[Mapping[str, Callable[[Tables, int], Tables]]] = {
    "as logged": _as_logged, "two of eight": _coarse, "missing": _missing, "dealt anew": _wrong,
    "as logged, texts dealt anew": _dealt_texts,
}  # fmt: skip


def simulated(folder: Path, seed: int, events: int) -> tuple[Tables, pd.DataFrame]:
    """Simulate and prepare a log; return what training reads, and the true relevance."""
    log, prepared = folder / f"log-{seed}", folder / f"prepared-{seed}"
    command = [sys.executable, "-m", "eventlib"]
    run([*command, "simulate", "--out", str(log), "--events", str(events), "--seed", str(seed)])
    run([*command, "prepare", *map(str, sorted(log.glob("*.ndjson.gz"))), "--out", str(prepared)])
    return read_tables(el.load(prepared).events), pd.read_csv(log / "truth" / "relevance.csv")


def with_new_prompts(tables: Tables, cut: int) -> tuple[Tables, float]:
    """Take every third prompt out of what came before the cut; return the share of shows that is then held out."""
    prompt = tables.answers["prompt_id"]
    new = set(np.sort(prompt.dropna().unique())[::3])
    answers = tables.answers[~((microseconds(tables.answers) < cut) & prompt.isin(new).to_numpy(dtype=bool))]
    late = microseconds(tables.shows) >= cut
    of_new = set(tables.answers["answer_id"]) - set(answers["answer_id"])
    shows = tables.shows[late | ~tables.shows["answer_id"].isin(of_new).to_numpy(dtype=bool)]
    owned = (shows["observation"] == "owned").to_numpy(dtype=bool)
    share = float((microseconds(shows) >= cut)[owned].mean())
    return replace(tables, answers=answers, shows=shows), share


def ranked(tables: Tables, rule: str, options: Options) -> Judged | None:
    """Rank by texts, or by topics, which is what is left of a log without texts."""
    silent = replace(tables, answers=tables.answers.assign(prompt_text=None))
    found: Ranking = train_ranking(tables if rule == "text" else silent, options)
    if found.judged is not None and found.clusters_by != rule:
        raise SystemExit(f"the log was to be ranked by {rule}: {found.judged.clusters.told}")
    return found.judged


def scores(judged: Judged) -> Floats:
    """Score each held-out show by the debiased ranker."""
    cells = judged.held.frame[list(CELL)]
    ranker = judged.rankers["debiased"]
    return ranker.predict(ranker.design(cells, judged.contents))


def true_value(held: HeldOut, score: Floats, truth: Mapping[tuple[str, str], float]) -> float:
    """Return the clicks per answer of an order, by the simulated places and relevance."""
    seen = {}
    for name in held.places:
        slot, rank = name.split(" ")
        scale, power = EXAMINATION[slot]
        seen[name] = scale * int(rank) ** -power
    theta = np.array([seen[name] for name in held.places])
    pairs = zip(held.frame["prompt_id"], held.frame["content_id"], strict=True)
    relevance = np.array(
        [truth.get(pair, 0.0) for pair in pairs]
    )  # answers that are not in the log count as none
    return float((theta[new_places(held, score)] * relevance).sum() / (held.answer.max() + 1))


def compare(
    tables: Tables, truth: Mapping[tuple[str, str], float], options: Options
) -> dict[str, float] | None:
    """Rank by both rules and compare them over the same held-out answers."""
    both = {rule: ranked(tables, rule, options) for rule in RULES}
    text, topic = both["text"], both["topic"]
    if text is None or topic is None:
        return None
    score = {rule: scores(judged) for rule, judged in (("text", text), ("topic", topic))}
    _, differences = compare_policies(topic.held, score, topic.draws)
    rows = {(row["policy"], row["over"]): row for row in differences.to_dict("records")}
    apart = rows["text", "topic"]
    true = {rule: true_value(topic.held, score[rule], truth) for rule in RULES}
    found = {
        "difference": 100 * float(apart["share"]),
        "sure": float(abs(apart["difference"]) > 1.645 * apart["sd"]),
        "true": 100 * (true["text"] / true["topic"] - 1),
        "g5": 1000 * text.evidence.perplexity.gain,
    }
    for rule, judged in (("text", text), ("topic", topic)):
        found |= {
            f"gain {rule}": 100 * float(rows[rule, "logging"]["share"]),
            f"slope {rule}": judged.evidence.calibration.slope,
            f"total {rule}": 100 * abs(judged.evidence.calibration.total),
            f"clusters {rule}": float(judged.held.frame["prompt_cluster"].nunique()),
        }
    return found


def cases(folder: Path, seed: int, events: int) -> Iterator[tuple[str, str, dict[str, float] | None]]:
    """Yield the comparison of each case of one log."""
    tables, relevance = simulated(folder, seed, events)
    keys = zip(relevance["prompt_id"], relevance["content_id"], strict=True)
    truth = dict(zip(keys, relevance["attractiveness"], strict=True))
    cut = train_ranking(tables, Options(replicates=2)).cut
    fewer, share = with_new_prompts(tables, cut)
    again = Options(evaluation_share=share, replicates=REPLICATES)
    for topics, change in TOPICS.items():
        yield topics, "known", compare(change(tables, seed), truth, Options(replicates=REPLICATES))
        yield topics, "a third new", compare(change(fewer, seed), truth, again)


def _told(values: pd.Series[float], digits: int = 2) -> str:
    half = student.ppf(0.95, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.{digits}f} ± {half:.{digits}f}"


def main(seeds: int = 10, events: int = 200_000) -> None:
    """Simulate, rank, compare, and print a table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(FIRST, FIRST + seeds):
            rows += list(cases(Path(folder), seed, events))
            print(f"log {seed} ranked", file=sys.stderr)
    judged = pd.DataFrame([{"topics": t, "prompts": p, **f} for t, p, f in rows if f is not None])
    print(f"{seeds} logs of {events:,} events; {len(judged)} of {len(rows)} cases could be judged (G4)\n")
    if len(judged) == 0:
        return
    print(
        "| topics | prompts | logs | clusters | text over topics, % | sure + / - | truly, % | over the log, % | G6 slope | G6 total, % |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (topics, prompts), part in judged.groupby(["topics", "prompts"], sort=False):
        sure = part["sure"] * np.sign(part["difference"])
        pairs = {
            name: " / ".join(f"{part[f'{name} {rule}'].mean():.{digits}f}" for rule in RULES)
            for name, digits in (("clusters", 0), ("gain", 1), ("slope", 2), ("total", 1))
        }
        print(
            f"| {topics} | {prompts} | {len(part)} | {pairs['clusters']} | {_told(part['difference'])} | "
            f"{(sure > 0).sum()} / {(sure < 0).sum()} | {_told(part['true'])} | {pairs['gain']} | {pairs['slope']} | "
            f"{pairs['total']} |"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
