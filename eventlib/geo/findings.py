"""The headline figures of the GEO notebooks, and what a reader must know before using them, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

from eventlib.cells import SMALL_CELL, clustered_share
from eventlib.columns import analysable, texts
from eventlib.geo.edit_words import OUTCOMES, edit_sentence
from eventlib.geo.pooling import FEWEST_POOLED, pooled_effect
from eventlib.geo.tables import verdict_sentences
from eventlib.geo.visibility import engine_visibility
from eventlib.quality.verdict import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from eventlib.geo.engagement import Score

__all__ = [
    "best_page",
    "edit_answers",
    "edit_caveats",
    "edit_sentence",
    "engagement_answers",
    "engagement_caveats",
    "found_changes",
    "own_contents",
    "pooled_change",
    "satisfied_share",
    "verdict_in_words",
    "word_share_of_site",
]

Figure = tuple[float | None, float | None, float | None]
_POOLED = 20
_OVERVIEWS = "Clicks from AI overviews look like organic search unless declared; they are undercounted."
NONE: Figure = (None, None, None)
_SHARE = ("value", "lower", "upper", "prompt_days")


def own_contents(frames: Mapping[str, pd.DataFrame]) -> set[str]:
    """Return the ids of this site's contents: what it published, else what was viewed here."""
    published = {
        *texts(frames["content_publish"], "content_id"),
        *texts(frames["content_edit"], "content_id"),
    }
    return (published or set(texts(frames["page_view"], "content_id"))) - {""}


def word_share_of_site(frames: Mapping[str, pd.DataFrame]) -> Figure:
    """Return the site's share of the words that probed AI answers attribute to sources, with its interval."""
    probed = {name: analysable(frames[name], "probe") for name in ("citation_show", "answer_generate")}
    if not len(probed["answer_generate"]):
        return NONE
    answers = probed["answer_generate"].assign(engine="all")
    table = engine_visibility(probed["citation_show"], answers, own_contents(frames)).set_index("measure")
    share, lower, upper, days = np.asarray(table.loc["word_share", list(_SHARE)], dtype=np.float64)
    return NONE if np.isnan(share) or days < SMALL_CELL else (float(share), float(lower), float(upper))


def satisfied_share(visits: pd.DataFrame) -> Figure:
    """Return the share of visits from AI answers that satisfied (beat rule), clustered by person."""
    visits = visits[~visits["engine"].str.startswith("search:")]
    by_person = visits.groupby("person_id")["satisfied"].agg(["sum", "size"])
    if len(by_person) < SMALL_CELL:
        return NONE
    share = float(visits["satisfied"].mean())
    rest = (by_person["sum"] - share * by_person["size"]).to_numpy(dtype=np.float64)
    variance = np.array([rest @ rest / len(visits) ** 2])
    lower, upper = clustered_share(np.array([share]), variance, len(by_person))
    return share, float(lower[0]), float(upper[0])


def best_page(score: Score | None) -> Figure:
    """Return the highest score among pages with enough evidence, with its interval."""
    if score is None or not len(score.frame) or not score.frame["enough"].any():
        return NONE
    first = score.frame[score.frame["enough"]].iloc[0]
    return float(first["theta"]), float(first["lower"]), float(first["upper"])


def _english(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def engagement_caveats(frames: Mapping[str, pd.DataFrame], scores: Sequence[Score]) -> list[str]:
    """Return what a reader must know before using notebook 04, in words.

    Examples
    --------
    >>> import pandas as pd
    >>> from eventlib.geo import EVENTS_READ
    >>> engagement_caveats({name: pd.DataFrame() for name in EVENTS_READ}, [])[0]
    'No answer and no citation is in this log: there is nothing to score.'
    """
    if not len(frames["answer_generate"]) and not len(frames["citation_show"]):
        if not len(frames["referral_land"]):
            return ["No answer and no citation is in this log: there is nothing to score."]
        return [
            "No answer and no citation is in this log: how often pages are cited and clicked cannot be told.",
            "Pages are scored by the visits that AI answers sent, and by nothing else.",
            _OVERVIEWS,
        ]
    said = []
    if not (texts(frames["answer_generate"], "observation") == "probe").any():
        said.append("No prompts were probed: visibility on engines other than one's own is not known.")
    silent = [
        score.engine
        for score in scores
        if score.stages and not len(score.frame) and score.clusters >= SMALL_CELL
    ]
    if silent:
        said.append(f"Too few people for any score of {_english(silent)}.")
    hidden = sum(score.hidden for score in scores)
    if hidden:
        said.append(
            f"{hidden} scores are not shown: fewer than {SMALL_CELL} people stand behind them, or the others would "
            "tell of such a one."
        )
    said += [
        f"{score.engine}: {reason.removeprefix('click: ')}; the score's interval contains that error."
        for score in scores
        for reason in score.reasons
        if "error of log exposure" in reason
    ]
    said += [
        f"{score.engine} has no click stage: {reason.removeprefix('click: ')}."
        for score in scores
        for reason in score.reasons
        if reason.startswith("click: no clicked swaps")
    ]
    if len(frames["referral_land"]):
        said.append(_OVERVIEWS)
    return said


def engagement_answers(
    score: Score, changes: pd.DataFrame, days: int, visible: pd.DataFrame, bounds: pd.DataFrame
) -> list[str]:
    """Return what notebook 04 found, in sentences for somebody who reads nothing else.

    Parameters
    ----------
    score
        The leading one, its pages named (`pages.named`) or not.
    changes, days
        As `changes.score_changes` takes and returns them.
    visible, bounds
        As `tables.site_visibility` and `satisfaction.satisfaction_bounds` return them.
    """
    return [
        *_pages_said(score),
        *_changes_said(changes, days),
        *_visible_said(visible),
        *_satisfied_said(bounds),
    ]


def _pages_said(score: Score) -> list[str]:
    frame = score.frame
    ranked = frame[frame["enough"]] if len(frame) else frame
    if not len(ranked):
        return []
    words = ranked["word"].value_counts()
    better, worse, rest = int(words.get("better", 0)), int(words.get("worse", 0)), len(frame) - len(ranked)
    silent = f"; too little evidence to say for {rest}" if rest else ""
    said = [f"{score.engine}, of {len(frame)} pages: {better} better than average, {worse} worse{silent}."]
    names = ("Highest", "Lowest of those with a rank" if rest else "Lowest")
    for word, name, row in (("better", names[0], ranked.iloc[0]), ("worse", names[1], ranked.iloc[-1])):
        if row["word"] == word:
            said.append(f"{name}: {_page_said(row, score.stages)}.")
    return said


def _page_said(row: pd.Series[Any], stages: Sequence[str]) -> str:
    """Say what a page scores, and which stage makes the largest part of it."""
    page = row.get("page", row["content_id"])
    score = f"{page}, {row['theta']:.2f} times the average ({row['lower']:.2f} to {row['upper']:.2f})"
    if len(stages) < 2 or not row["stages_told"]:
        return score
    parts = {name: float(row[f"log_{name}"]) for name in stages}
    most = max(parts, key=lambda name: parts[name] * np.sign(np.log(row["theta"])))
    how = {"cite": "being cited", "click": "being clicked", "satisfy": "what its readers do"}[most]
    gained = "gained" if row["theta"] > 1 else "lost"
    part = "most" if parts[most] / np.log(row["theta"]) > 0.5 else "the largest part"
    return f"{score}, {part} of it {gained} by {how} ({np.exp(parts[most]):.2f} times)"


def _changes_said(changes: pd.DataFrame, days: int) -> list[str]:
    if not len(changes):
        return []
    rose, fell = (int((changes["word"] == word).sum()) for word in ("rose", "fell"))
    if not rose + fell:
        return [
            f"In the last {days} days no page moved beyond chance, of {len(changes)} that can be compared."
        ]
    return [
        f"In the last {days} days, of {len(changes)} pages compared: beyond chance {rose} rose, {fell} fell."
    ]


def _visible_said(visible: pd.DataFrame) -> list[str]:
    cited = visible[visible["measure"] == "citation_rate"].dropna(subset=["value"]).sort_values("value")
    if not len(cited):
        return []
    most, least = cited.iloc[-1], cited.iloc[0]
    said = f"{most['engine']} cites us in {percent(most['value'])} of the probed answers"
    return [f"{said}, {least['engine']} in {percent(least['value'])}." if len(cited) > 1 else f"{said}."]


def _satisfied_said(bounds: pd.DataFrame) -> list[str]:
    if not len(bounds):
        return []
    ordered = bounds.sort_values("satisfied", kind="stable")
    ends = [ordered.iloc[at] for at in ([-1, 0] if len(ordered) > 1 else [0])]
    told = [
        f"{percent(row['satisfied'])} ({percent(row['lower'])} to {percent(row['upper'])}) of visits from {row['engine']} satisfy"
        for row in ends
    ]
    chance = "; the intervals overlap" if len(ends) > 1 and ends[0]["lower"] <= ends[1]["upper"] else ""
    return [f"{', '.join(told)}{chance}."]


def edit_caveats(verdicts: pd.DataFrame) -> list[str]:
    """Return what a reader must know before using notebook 05, in words.

    Examples
    --------
    >>> import pandas as pd
    >>> edit_caveats(pd.DataFrame(columns=["edit_id", "state", "placebos", "p"]))
    ['No edit is in this log, or no engine shows what became of one: there is nothing to judge.']
    """
    if verdicts.empty:
        return ["No edit is in this log, or no engine shows what became of one: there is nothing to judge."]
    said = []
    judged = verdicts[verdicts["p"].notna()]
    if judged.empty:
        said.append("No edit could be judged; the table says why, and what it would have taken.")
    else:
        finest = 1 / (1 + judged["placebos"].max())
        said.append(f"With so many placebos no p-value can be below {finest:.3f}; few edits alone can pass.")
    if (verdicts["shares_with"] > 0).any():
        said.append(
            "Edited pages that compete in many of the same answers are judged jointly; those that compete in few "
            "stand alone, and their table says with how many."
        )
    if verdicts["model_change"].eq(other=True).any():
        said.append(
            "An engine answered with another model after some edits than before them; they are marked."
        )
    return said


def edit_answers(verdicts: pd.DataFrame, kinds: pd.DataFrame, most: int = 5) -> list[str]:
    """Return what notebook 05 found, in sentences for somebody who reads nothing else: what moved first, then kinds.

    Parameters
    ----------
    verdicts, kinds
        As `experiments.judge_all` and `pooling.pool_by_type` return them.
    most
        So many findings are told one by one; the others are counted.
    """
    said = [verdict_in_words(verdicts)]
    found = verdict_sentences(verdicts)
    found = found[found["state"].isin(["better", "worse"])]
    several = len(set(found["seen_by"])) > 1
    first = found.head(most)
    said += [
        f"{seen_by}: {sentence}" if several else sentence
        for seen_by, sentence in zip(first["seen_by"], first["sentence"], strict=True)
    ]
    if len(found) > most:
        said.append(f"{len(found) - most} more are in the table of sentences.")
    sure = kinds[kinds["state"].isin(["better", "worse"])].sort_values("q", kind="stable").head(most)
    said += [
        f'"{row["change_type"].replace("_", " ")}" edits ({row["pages"]}), {row["engine"]}: '
        f"{OUTCOMES.get(row['outcome'], row['outcome'])} {row['change']:.2f} times as before "
        f"({row['lower']:.2f} to {row['upper']:.2f})."
        for _, row in sure.iterrows()
    ]
    return [text for text in said if text]


def found_changes(verdicts: pd.DataFrame) -> tuple[int, int]:
    """Return how many verdicts found a change, and how many could be given at all."""
    return int(verdicts["state"].isin(["better", "worse"]).sum()), int(verdicts["p"].notna().sum())


def pooled_change(verdicts: pd.DataFrame, outcome: str = "cite") -> Figure:
    """Return the mean change over edited pages as a multiple, with its interval.

    A random-effects mean of the log changes on the engine with most of them, with an error from how pages differ
    and from the controls that they share (`pooling.pooled_effect`). Pages are the clusters, and those judged
    jointly are one. Under 20 there is none (S7.8); `pooling.pool_by_type` does with fewer.
    """
    judged = verdicts[verdicts["p"].notna() & verdicts["outcome"].eq(outcome)] if len(verdicts) else verdicts
    if not len(judged):
        return NONE
    _, judged = max(judged.groupby(["engine", "observation"]), key=lambda part: len(part[1]))
    judged = judged.drop_duplicates("content_id")  # a page that was edited twice counts once
    if len(judged) < FEWEST_POOLED:
        return NONE
    error = judged["error"].to_numpy(dtype=np.float64)
    common = float(np.mean(error**2 / judged["placebos"].to_numpy(dtype=np.float64)))
    mean, spread = pooled_effect(np.log(judged["change"].to_numpy(dtype=np.float64)), error, common)
    half = float(student.ppf(0.95, len(judged) - 1)) * spread
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))


def verdict_in_words(verdicts: pd.DataFrame) -> str:
    """Return the answer to "did our edits work?" in a sentence.

    >>> import pandas as pd
    >>> verdict_in_words(pd.DataFrame(columns=["state", "p"]))
    ''
    """
    found, judged = found_changes(verdicts)
    if not judged:
        return ""
    if not found:
        return (
            f"None of {judged} comparisons shows a change beyond chance; that is not the same as no change."
        )
    better = int((verdicts["state"] == "better").sum())
    return f"Of {judged} comparisons {better} show a gain and {found - better} a loss beyond chance."
