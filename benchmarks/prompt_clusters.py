"""Prompt clusters against what prompts are about: adjusted Rand index, refits on resamples, strangers, time (S7.7).

    python -m benchmarks.prompt_clusters [--real FOLDER]

The simulated log's prompts have a topic and an ask; ExpertQA's questions a field of expertise; UBI's queries nothing,
and people. Made-up prompts in words of their own show many prompts and other languages than English.
"""

# ruff: noqa: RUF001  # other languages have letters of their own

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from eventlib.geo.prompt_clusters import OTHER_PROMPTS, PromptClusters, fit_prompt_clusters, read_prompts

__all__ = ["Case", "asked_in", "expertqa", "made_up", "real_folder", "simulated", "stability", "ubi"]

_TRUTH = Path(__file__).parent.parent / "data" / "truth" / "prompts.csv"
_DAY = pd.Timestamp("2026-08-01", tz="UTC")
_LETTERS = "etaoinshrdlcumwfgypbvk"
_LANGUAGES = {  # subjects, asks; nothing was chosen by the last three
    "German": (
        "wärmepumpen;dachrinnen;fahrräder;kredite;kaffeemaschinen;katzenfutter;zugreisen;gartenhäuser",
        (
            "was kosten {};lohnen sich {};wer repariert {} in meiner nähe;"
            "wie lange halten {};welche {} sind die besten für ein altes haus;was ist bei {} zu beachten"
        ),
    ),
    "Spanish": (
        "paneles solares;bicicletas;hipotecas;comida para gatos;cafeteras;viajes en tren;casas de madera;seguros",
        (
            "cuánto cuestan {};valen la pena {};quién repara {} cerca de mí;"
            "cuánto duran {};cuáles son los mejores {} para una casa vieja;qué hay que saber de {}"
        ),
    ),
    "Japanese": (
        "太陽光発電;自転車;住宅ローン;猫の餌;珈琲メーカー;電車旅行;木造住宅;火災保険",
        (
            "{}はいくらですか;{}は買う価値がありますか;近くで{}を修理できる店はどこですか;"
            "{}は何年もちますか;古い家に一番良い{}はどれですか;{}で気をつけることは何ですか"
        ),
    ),
    "French": (
        (
            "pompes à chaleur;vélos électriques;prêts immobiliers;croquettes pour chats;cafetières;voyages en train;abris de jardin;"
            "assurances auto"
        ),
        (
            "combien coûtent les {};est-ce que les {} valent le coup;qui répare les {} près de chez moi;"
            "combien de temps durent les {};quels sont les meilleurs {} pour une vieille maison;que faut-il savoir sur les {}"
        ),
    ),
    "Turkish": (
        "ısı pompası;bisiklet;konut kredisi;kedi maması;kahve makinesi;tren yolculuğu;bahçe evi;kasko sigortası",
        (
            "{} ne kadar;{} almaya değer mi;yakınımda {} tamir eden var mı;"
            "{} kaç yıl dayanır;eski bir ev için en iyi {} hangisi;{} hakkında nelere dikkat etmeli"
        ),
    ),
    "Chinese": (
        "热泵;自行车;房贷;猫粮;咖啡机;火车旅行;木屋;汽车保险",
        "{}多少钱;{}值得买吗;附近哪里可以修{};{}能用多少年;老房子最适合哪种{};买{}要注意什么",
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """Answers as `fit_prompt_clusters` takes them, and what their prompts are about by text."""

    name: str
    answers: pd.DataFrame
    about: dict[str, dict[str, str]] = field(default_factory=dict)
    small_cell: int = 10

    def fit(self, answers: pd.DataFrame | None = None, seed: int = 0) -> PromptClusters:
        """Fit the case's answers, or others instead."""
        given = self.answers if answers is None else answers
        return fit_prompt_clusters(given, seed=seed, small_cell=self.small_cell)


def real_folder() -> Path:
    """Return where real logs are."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "real"
    return Path(os.environ.get("EVENTLIB_REAL") or beside)


def _answers(prompts: Sequence[str], people: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame({"prompt_id": prompts, "prompt_text": prompts, "person_id": people})
    return frame.assign(observation="owned", event_time=_DAY)


def simulated(people: int = 12) -> Case:
    """Return the sample log's prompts, each asked by people of its own."""
    with _TRUTH.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [row["prompt_text"] for row in rows]
    about = {
        "topic": {row["prompt_text"]: row["topic"] for row in rows},
        "ask": {
            row["prompt_text"]: row["prompt_text"].replace(row["topic"].replace("_", " "), "") for row in rows
        },
    }
    asked = [(text, f"p-{i}-{n}") for i, text in enumerate(texts) for n in range(people)]
    return Case("simulated log", _answers(*map(list, zip(*asked, strict=True))), about)


def asked_in(language: str, people: int = 12) -> Case:
    """Return eight subjects asked about in six ways."""
    subjects, asks = (line.split(";") for line in _LANGUAGES[language])
    texts = {ask.format(subject): (subject, ask) for subject in subjects for ask in asks}
    asked = [(text, f"p-{i}-{n}") for i, text in enumerate(texts) for n in range(people)]
    about = {
        name: {text: pair[at] for text, pair in texts.items()} for at, name in enumerate(("topic", "ask"))
    }
    return Case(language, _answers(*map(list, zip(*asked, strict=True))), about)


def expertqa(folder: Path, small_cell: int = 1) -> Case:
    """Return ExpertQA's questions; each was asked by one person, and all are public."""
    lines = (folder / "expertqa" / "rand_test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    about = {row["question"]: row["metadata"]["field"] for row in rows}
    answers = _answers([row["question"] for row in rows], [f"p-{i}" for i in range(len(rows))])
    return Case(f"ExpertQA, terms of {small_cell}", answers, {"field": about}, small_cell)


def ubi(folder: Path, small_cell: int = 1) -> Case:
    """Return UBI's queries with their clients."""
    path = folder / "ubi" / "ubi_queries_events.ndjson"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = [(row["user_query"], row["client_id"]) for row in rows if row.get("user_query")]
    name = f"UBI queries, terms of {small_cell}"
    return Case(name, _answers(*map(list, zip(*asked, strict=True))), {}, small_cell)


def made_up(prompts: int, topics: int, *, unspaced: bool = False, seed: int = 1) -> Case:
    """Return prompts of made-up words: short ones for how is asked, long ones for what, some that nobody shares."""
    rng = np.random.default_rng(seed)
    alphabet = [chr(0x4E00 + i) for i in range(2_000)] if unspaced else list(_LETTERS)
    shortest = 1 if unspaced else 2

    def words(count: int, low: int, high: int) -> list[str]:
        return ["".join(rng.choice(alphabet, rng.integers(low, high + 1))) for _ in range(count)]

    how, rare = words(60, shortest, shortest + 1), words(prompts, 2 * shortest, 9)
    what = [words(12, 2 * shortest, 2 if unspaced else 11) for _ in range(topics)]
    chance = np.arange(12, 0, -1) / 78
    about: dict[str, str] = {}
    while len(about) < prompts:
        topic = int(rng.integers(topics))
        said = [
            *rng.choice(how, rng.integers(3, 8)), *rng.choice(what[topic], rng.integers(1, 4), p=chance),
            *rng.choice(rare, rng.integers(0, 3)),
        ]  # fmt: skip
        about[("" if unspaced else " ").join(rng.permutation(said))] = str(topic)
    people = [f"p-{i % 7_000}" for i in range(prompts)]
    name = f"made up, {prompts:,} prompts, {topics} topics{', no spaces' if unspaced else ''}"
    return Case(name, _answers(list(about), people), {"topic": about})


def stability(case: Case, refits: int = 5) -> float:
    """Return the mean adjusted Rand index of fits on bootstrap resamples of prompts against the fit on all."""
    prompts = read_prompts(case.answers)
    whole = case.fit().assign(prompts)["prompt_cluster"]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(refits):
        drawn = rng.choice(prompts["prompt_id"], len(prompts))
        refit = case.fit(case.answers[case.answers["prompt_id"].isin(drawn)])
        found.append(adjusted_rand_score(whole, refit.assign(prompts)["prompt_cluster"]))
    return float(np.mean(found))


def _lines(cases: Sequence[Case]) -> Iterator[str]:
    yield "| prompts | number | clusters | silhouette | other | adjusted Rand index | of refits | fit, s | assign, s |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for case in cases:
        begun = time.process_time()
        clusters = case.fit()
        fitted = time.process_time()
        prompts = read_prompts(case.answers)
        between = time.process_time()
        found = clusters.assign(prompts)
        took = time.process_time() - between
        scores = [
            f"{name} {adjusted_rand_score(prompts['prompt_text'].map(about), found['prompt_cluster']):.2f}"
            for name, about in case.about.items()
        ]
        silhouette = clusters.fitted["silhouette"]
        yield (
            f"| {case.name} | {len(prompts):,} | {len(clusters.labels)} | "
            f"{'-' if silhouette is None else f'{silhouette:.2f}'} | {(found['prompt_cluster'] == OTHER_PROMPTS).mean():.2f} | "
            f"{', '.join(scores) or '-'} | {stability(case) if len(prompts) < 5_000 else float('nan'):.2f} | "
            f"{fitted - begun:.1f} | {took:.1f} |"
        )


def strangers(cases: Sequence[Case]) -> pd.DataFrame:
    """Return the share of each case's prompts (columns) that clusters of another (rows) call `other`."""
    prompts = {case.name: read_prompts(case.answers) for case in cases}
    shares = {}
    for case in cases:
        clusters = case.fit()
        shares[case.name] = {
            name: float((clusters.assign(each)["prompt_cluster"] == OTHER_PROMPTS).mean())
            for name, each in prompts.items()
        }
    return pd.DataFrame(shares).T


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, default=real_folder())
    folder = parser.parse_args().real
    real = [make(folder, least) for make in (expertqa, ubi) for least in (1, 10)] if folder.exists() else []
    large = [made_up(2_000, 20), made_up(2_000, 20, unspaced=True), made_up(20_000, 30)]
    for line in _lines([simulated(), *map(asked_in, _LANGUAGES), *real, *large]):
        print(line, flush=True)
    print("\nlabels")
    for case in (simulated(), *map(asked_in, _LANGUAGES), *real):
        print(f"  {case.name}: {'; '.join(case.fit().labels)}")
    print("\nshare called other, clusters of the row, prompts of the column")
    print(strangers([simulated(), asked_in("German"), *real[::2], large[0]]).round(2).to_string())


if __name__ == "__main__":
    main()
