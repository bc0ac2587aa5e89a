"""Word share and position-adjusted word share on real answers: sums, and how often the two forms differ (S7.1).

    python -m benchmarks.visibility [--answers FILE]

Also prints what the sentence splitter did, and its oddest splits for a human to read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eventlib.cells import clustered_share
from eventlib.geo.sentences import CITATION, split_sentences
from eventlib.geo.visibility import SPECS, word_shares

__all__ = ["MEASURES", "Answer", "another_top", "default_file", "disagreement", "read_answers", "shares"]

MEASURES = {"word share": False, "position-adjusted": True}
_TIE = 1e-9  # shares nearer than this are one share: the sums behind them were taken in another order


@dataclass(frozen=True, slots=True)
class Answer:
    """One system's answer to one question, and how many sources it lists."""

    question: str
    system: str
    text: str
    sources: int

    @property
    def cited(self) -> list[int]:
        """The numbers it cites, in order."""
        return [int(number) for number in CITATION.findall(self.text)]

    @property
    def cites_a_listed_source(self) -> bool:
        """Whether any of them names a source."""
        return any(1 <= number <= self.sources for number in self.cited)


def default_file() -> Path:
    """Return where the real answers are looked for."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "real"
    return Path(os.environ.get("EVENTLIB_REAL") or beside) / "expertqa" / "rand_test.jsonl"


def read_answers(path: Path) -> list[Answer]:
    """Return all answers of all systems that hold a citation."""
    with path.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    answers = [
        Answer(record["question"], system, answer["answer_string"], len(answer["attribution"]))
        for record in records
        for system, answer in record["answers"].items()
    ]
    return [answer for answer in answers if answer.cited]


def shares(answer: Answer, measure: str) -> list[npt.NDArray[np.float64]]:
    """Return the sources' shares in both forms, in the order of `SPECS`."""
    adjusted = MEASURES[measure]
    return [
        word_shares(answer.text, answer.sources, spec, position_adjusted=adjusted)
        for spec in ("paper", "repo")
    ]


def another_top(answer: Answer, measure: str) -> bool:
    """Tell whether no source is first in both forms; a tie is not a difference."""
    first = [set(np.flatnonzero(share >= share.max() - _TIE).tolist()) for share in shares(answer, measure)]
    return first[0].isdisjoint(first[1])


def disagreement(answers: Sequence[Answer], measure: str) -> tuple[int, int, float, float]:
    """Return answers with another top source, clusters, and the 90 % Wilson interval clustered by question."""
    differs = np.array([another_top(answer, measure) for answer in answers], dtype=np.float64)
    _, question = np.unique([answer.question for answer in answers], return_inverse=True)
    clusters = int(question.max()) + 1
    share = differs.mean()
    rest = np.bincount(question, differs - share)
    variance = rest @ rest * clusters / max(clusters - 1, 1) / len(differs) ** 2
    lower, upper = clustered_share(np.array([share]), np.array([variance]), clusters)
    return int(differs.sum()), clusters, float(lower[0]), float(upper[0])


def _oddness(sentence: str, line: str) -> int:
    words = re.findall(r"\w+", CITATION.sub("", sentence))
    bare = CITATION.sub("", sentence).strip()
    ends_short = re.search(r"(?:^|[\s.(])(?:[A-Za-z]{1,2}|[A-Z][a-z]{2,3})\s*\.$", bare) is not None
    return (
        4 * (len(words) <= 1)
        + 2 * (len(words) in {2, 3})
        + 3 * ends_short
        + 3 * bare[:1].islower()
        + 2 * (bare.count("(") != bare.count(")"))
        + 1 * (sentence.strip() != line.strip() and bare[-1:] not in set(".!?:;)\"'\u201d*"))
    )


def oddest(answers: Sequence[Answer], count: int = 20) -> list[tuple[int, str, str, str]]:
    """Return the splits most likely to be wrong: oddness, system, the sentence, and what follows it."""
    found = []
    for answer in answers:
        for line in answer.text.splitlines():
            sentences = split_sentences(line)
            following = [*sentences[1:], ""][: len(sentences)]
            found += [
                (_oddness(sentence, line), answer.system, sentence, after)
                for sentence, after in zip(sentences, following, strict=True)
            ]
    return sorted(found, key=lambda row: -row[0])[:count]


def print_sums(answers: Sequence[Answer]) -> None:
    print("\nlargest |1 - sum of shares|, answers that cite a listed source")
    for measure in MEASURES:
        gaps = np.array([[abs(1 - share.sum()) for share in shares(answer, measure)] for answer in answers])
        print(
            f"  {measure:<18}",
            *(f"{spec} {gap:.1e}" for spec, gap in zip(SPECS, gaps.max(axis=0), strict=True)),
        )


def print_disagreement(answers: Sequence[Answer]) -> None:
    systems = sorted({answer.system for answer in answers})
    print("\n| system | answers | another top source, word share | another top source, position-adjusted |")
    print("|---|---|---|---|")
    for name in (*systems, "all"):
        part = [answer for answer in answers if name in {answer.system, "all"}]
        cells = []
        for measure in MEASURES:
            differ, _, lower, upper = disagreement(part, measure)
            cells.append(f"{differ / len(part):.3f} ({lower:.3f} to {upper:.3f})")
        print(f"| {name} | {len(part)} |", " | ".join(cells), "|")
    _, clusters, *_ = disagreement(answers, "word share")
    print(f"90 % intervals (Wilson), clustered by question: {clusters} questions")


def print_splits(answers: Sequence[Answer]) -> None:
    split = [split_sentences(answer.text) for answer in answers]
    sizes = np.array([len(sentences) for sentences in split])
    bare = sum(not CITATION.search(sentence) for sentences in split for sentence in sentences)
    several = sum(len(CITATION.findall(sentence)) > 1 for sentences in split for sentence in sentences)
    quantiles = np.quantile(sizes, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
    print(
        "\nsentences per answer: min, 10 %, 25 %, median, 75 %, 90 %, max:", *(f"{q:.0f}" for q in quantiles)
    )
    print(f"sentences without citation {bare / sizes.sum():.3f}, with several {several / sizes.sum():.3f}")
    print("\noddest splits (sentence || what follows in its line)")
    for score, system, sentence, after in oddest(answers):
        print(f"  {score} {system:<20} {sentence[-70:]} || {after[:40]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=Path, default=default_file())
    path = parser.parse_args().answers
    if not path.exists():
        parser.error(
            f"no answers at {path}; name a file, or the folder that holds expertqa/ in EVENTLIB_REAL"
        )
    answers = read_answers(path)
    cited = [number for answer in answers for number in answer.cited]
    sentences = sum(len(split_sentences(answer.text)) for answer in answers)
    outside = Counter(
        answer.system for answer in answers for n in answer.cited if not 1 <= n <= answer.sources
    )
    print(
        f"{len(answers)} answers with citations, {len(cited)} citations, {sentences} sentences, "
        f"{outside.total()} citations out of range {dict(outside)}"
    )
    usable = [answer for answer in answers if answer.cites_a_listed_source]
    print(f"{len(usable)} of them cite a listed source")
    print_sums(usable)
    print_disagreement(usable)
    print_splits(answers)


if __name__ == "__main__":
    main()
