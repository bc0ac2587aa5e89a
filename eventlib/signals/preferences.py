"""Preference pairs for language models: two versions of a page, from edits whose effect was found (S7.8, S9).

Versions of a page are never live at once, so that two scores alone would encode season and engine. A pair is
written only where an edit has a verdict after the false discovery rate, on the engine that is ranked for, and
the chosen version is better with probability .9 or more. With a flat prior the edit's statistic is its true
effect over its error plus what unedited pages show at the same dates; the probability that the effect is on
this side is then the share of placebo statistics that lie below it,

    P = #{placebos < statistic} / (1 + placebos),

signs turned where the page got worse. An edit whose other outcomes, on any owned engine, say the opposite with
the same probability gives no pair, nor does one that was judged jointly with others.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.columns import texts
from eventlib.geo.edit_dates import records
from eventlib.geo.stages import STAGES
from eventlib.masking import clean
from eventlib.signals.encoding import as_lines, finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.signals.page_texts import PageTexts
    from eventlib.signals.training_evidence import TrainingEvidence

__all__ = ["LEAST_SURE", "Pairs", "clear_verdicts", "preference_pairs", "probability_better", "usual_prompts"]

LEAST_SURE: Final = 0.9
_FOUND: Final = ("better", "worse")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of `preferences.jsonl`, `unpaired.jsonl` and `edits.jsonl`, and why other edits with a verdict gave none.

    `edits` has one row per pair, in the same order: what the pair rests on.
    """

    preferences: list[dict[str, Any]]
    unpaired: list[dict[str, Any]]
    edits: list[dict[str, Any]]
    left_out: Mapping[str, int]


def probability_better(statistic: float, placebos: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Return the probability that an edit made its page better; see this module for the formula.

    >>> probability_better(2.0, np.array([-1.0, 0.5, 3.0]))
    0.5
    """
    return float(np.sum(placebos < statistic) / (1 + len(placebos)))


def _with_probability(verdicts: pd.DataFrame, placebos: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of single edits that have a statistic, with `p_better` and `p_worse`."""
    looked = verdicts[verdicts["edits"].eq(1) & verdicts["statistic"].notna()]
    keys = ["edit_id", "engine", "outcome"]
    chance = {key: part.to_numpy(np.float64) for key, part in placebos.groupby(keys)["statistic"]}
    rows = [
        (float(row["statistic"]), chance.get(tuple(row[key] for key in keys), np.empty(0)))
        for row in records(looked)
    ]
    better = [probability_better(statistic, around) for statistic, around in rows]
    worse = [probability_better(-statistic, -around) for statistic, around in rows]
    return looked.assign(p_better=np.array(better, dtype=float), p_worse=np.array(worse, dtype=float))


def clear_verdicts(evidence: TrainingEvidence, engine: str) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the verdicts that may give a pair, one per edit, and why other edits with a verdict may not.

    Returns
    -------
    list of dict
        The deciding verdict (smallest q, then in the order of the stages) of each edit, by `edit_id`, with
        `p_chosen_better` and `outcomes`: all that was looked at on owned engines.
    Counter
        `judged_jointly`, `not_sure`, `contradicted`: edits.
    """
    looked = _with_probability(evidence.verdicts, evidence.placebos)
    own = looked[looked["engine"].eq(engine)]
    found = own[own["state"].isin(_FOUND)]
    kept, left_out = [], Counter[str]()
    for edit_id, rows in found.groupby("edit_id", sort=True):
        order = rows.assign(stage=rows["outcome"].map(STAGES.index)).sort_values(["q", "stage"])
        deciding = records(order.head(1))[0]
        side, other = ("p_better", "p_worse") if deciding["state"] == "better" else ("p_worse", "p_better")
        all_of_it = looked[looked["edit_id"].eq(edit_id)]
        if own.loc[own["edit_id"].eq(edit_id), "state"].eq("judged jointly").any():
            left_out["judged_jointly"] += 1
        elif deciding[side] < LEAST_SURE:
            left_out["not_sure"] += 1
        elif (all_of_it[other] >= LEAST_SURE).any():
            left_out["contradicted"] += 1
        else:
            outcomes = [_outcome(row) for row in records(all_of_it)]
            kept.append(deciding | {"p_chosen_better": deciding[side], "outcomes": outcomes})
    return kept, left_out


def _outcome(row: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: str(row[name]) for name in ("engine", "outcome", "state")}
    return named | {name: _rounded(row[name]) for name in ("change", "p_better")}


def _rounded(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 6)


def usual_prompts(shows: pd.DataFrame, clusters: pd.Series[Any], wordings: pd.DataFrame) -> pd.DataFrame:
    """Return the prompt of each content: the most asked of those that cited it in the cluster where it is cited most.

    Parameters
    ----------
    shows
        Impressions of the engine.
    clusters
        Prompt cluster of each show.
    wordings
        As `feedback.wordings` returns them: asked by ten people or more.

    Returns
    -------
    DataFrame
        `prompt_id, prompt_text, prompt_cluster`, index `content_id`; contents that fewer than ten people saw cited
        for every such prompt are not in it.
    """
    cited = pd.DataFrame(
        {name: texts(shows, name) for name in ("content_id", "prompt_id", "person", "answer_id")}
    ).assign(prompt_cluster=clusters.to_numpy(dtype=object))
    answers = (
        cited.groupby(["content_id", "prompt_cluster"])["answer_id"].nunique().rename("answers").reset_index()
    )
    usual = answers.sort_values(["answers", "prompt_cluster"], ascending=[False, True]).drop_duplicates(
        "content_id"
    )
    inside = cited.merge(usual[["content_id", "prompt_cluster"]], on=["content_id", "prompt_cluster"])
    people = inside.groupby(["content_id", "prompt_cluster", "prompt_id"])["person"].nunique()
    seen = people[people >= SMALL_CELL].rename("saw_it").reset_index().merge(wordings, on="prompt_id")
    first = seen.sort_values(["people", "prompt_id"], ascending=[False, True]).drop_duplicates("content_id")
    return first.set_index("content_id")[["prompt_id", "prompt_text", "prompt_cluster"]]


def preference_pairs(
    evidence: TrainingEvidence, engine: str, prompts: pd.DataFrame, page_texts: PageTexts
) -> Pairs:
    """Return the pairs that the edits of an engine allow, one per edit, and the same versions unpaired.

    Without the text of both versions a pair holds references, `content_id@content_version`, on both sides.

    Parameters
    ----------
    evidence
        As `read_evidence` returns it.
    engine
        The engine ranked for.
    prompts
        As `usual_prompts` returns them.
    page_texts
        As `read_page_texts` returns them.
    """
    verdicts, left_out = clear_verdicts(evidence, engine)
    edits = evidence.edits.drop_duplicates("edit_id")
    versions = dict(
        zip(
            texts(edits, "edit_id"),
            zip(texts(edits, "from_version"), texts(edits, "to_version"), strict=True),
            strict=True,
        )
    )
    pairs, told = [], []
    for verdict in verdicts:
        before, after = versions[verdict["edit_id"]]
        if not before or not after or before == after:
            left_out["versions_unknown"] += 1
        elif verdict["content_id"] not in prompts.index:
            left_out["no_prompt"] += 1
        else:
            sides = (after, before) if verdict["state"] == "better" else (before, after)
            prompt = prompts.loc[verdict["content_id"]]
            pair, completions = _pair(verdict, sides, str(prompt["prompt_text"]), page_texts)
            pairs.append(pair)
            told.append(_told(len(pairs), pair, verdict, sides, prompt, completions))
    return Pairs(pairs, _unpaired(pairs), told, dict(sorted(left_out.items())))


def _pair(
    verdict: Mapping[str, Any], sides: tuple[str, str], prompt: str, page_texts: PageTexts
) -> tuple[dict[str, Any], str]:
    content = str(verdict["content_id"])
    found = [page_texts.of(content, version) for version in sides]
    known = all(text is not None for text in found)
    chosen, rejected = found if known else [f"{content}@{version}" for version in sides]
    margin = round(abs(float(np.log(verdict["change"]))), 6)
    pair = {"prompt": prompt, "chosen": chosen, "rejected": rejected, "margin": margin}
    return pair, "texts" if known else "references"


def _unpaired(pairs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the versions one by one, where a tuning method takes no pairs."""
    sides = (("chosen", True), ("rejected", False))
    return [
        {"prompt": pair["prompt"], "completion": pair[side], "label": label}
        for pair in pairs
        for side, label in sides
    ]


def _told(
    line: int,
    pair: Mapping[str, Any],
    verdict: Mapping[str, Any],
    sides: tuple[str, str],
    prompt: pd.Series[Any],
    completions: str,
) -> dict[str, Any]:
    """Return what a pair rests on; `line` and `pair_sha256` say which pair of `preferences.jsonl` it is."""
    named = ("edit_id", "content_id", "change_type", "engine", "outcome", "state")
    figures = ("change", "lower", "upper", "p", "q", "p_chosen_better")
    return {
        "line": line,
        "pair_sha256": hashlib.sha256(as_lines([pair])).hexdigest(),
        **{name: str(verdict[name]) for name in named},
        "chosen_version": sides[0],
        "rejected_version": sides[1],
        "prompt_id": str(prompt["prompt_id"]),
        "prompt_cluster": str(prompt["prompt_cluster"]),
        "completions": completions,
        **{name: finite(_rounded(verdict[name])) for name in figures},
        "placebos": int(verdict["placebos"]),
        "model_change": bool(verdict["model_change"]),
        "outcomes": verdict["outcomes"],
        "sentence": clean(str(verdict["sentence"])),
    }
