"""How much of an answer belongs to each source, and how often engines cite a page (S7.1).

Two published forms of the same idea disagree about the top source of an answer often enough that both are
kept:

- `paper`: a sentence's words are shared equally among its citations; position decays as exp(-pos /
  sentences).
- `repo`: as the paper's public code computes it: only tokens over two characters count, position decays as
  exp(-i / (sentences - 1)), a source cited twice in a sentence counts twice there, and an answer in which
  nothing counts for anybody gives every source 1 / n. Its sentences are split as ours are, and `[0]` names
  nothing, where the public code takes it for the last source.

Source: Aggarwal et al. (2024), "GEO: Generative Engine Optimization", and its public code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.cells import clustered_share
from eventlib.columns import analysable, numbers, prompt_days, texts
from eventlib.errors import BadCallError
from eventlib.geo.candidates import listed_contents
from eventlib.geo.sentences import CITATION, WORD, split_sentences

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = [
    "SPECS",
    "answer_shares",
    "engine_visibility",
    "page_visibility",
    "spec_disagreement",
    "word_shares",
]

Floats: TypeAlias = NDArray[np.float64]
Spec: TypeAlias = Literal["paper", "repo"]

SPECS: Final = ("paper", "repo")
_SUMS: Final = ["any_own", "own", "all", "word_share", "position_adjusted", "words", "one"]


def _check(spec: str) -> None:
    if spec not in SPECS:
        raise BadCallError.unknown("spec", spec, SPECS)


def word_shares(
    answer: str, sources: int, spec: Spec = "paper", *, position_adjusted: bool = False
) -> Floats:
    """Return each source's share of an answer's cited words; the shares sum to 1.

    Parameters
    ----------
    answer
        Text with citations `[n]`, n from 1; numbers over `sources` name nothing and are left out.
    sources
        How many sources the answer could cite.
    spec
        `paper` or `repo`; see the module.
    position_adjusted
        Weight earlier sentences more.

    Returns
    -------
    numpy.ndarray of float64, shape (sources,)
        All zero where nothing is cited under `paper`; 1 / sources under `repo`.

    Examples
    --------
    >>> word_shares("Heat pumps save energy [1]. They cost more at first [1][2].", 2)
    array([0.72222222, 0.27777778])
    """
    _check(spec)
    sentences = split_sentences(answer)
    scores = np.zeros(sources)
    for index, sentence in enumerate(sentences):
        cited = [int(number) for number in CITATION.findall(sentence)]
        named = cited if spec == "repo" else sorted(set(cited))
        words = WORD.findall(CITATION.sub("", sentence))
        size = sum(len(word) > 2 for word in words) if spec == "repo" else len(words)
        weight = (
            float(_decay(np.array([index]), np.array([len(sentences)]), spec)[0])
            if position_adjusted
            else 1.0
        )
        for source in named:
            if 1 <= source <= sources:
                scores[source - 1] += weight * size / len(named)
    if spec == "repo" and sources and not scores.any():
        scores += 1.0
    total = float(scores.sum())
    return np.divide(scores, total) if total else scores


def _decay(index: NDArray[np.int64], sentences: NDArray[np.int64], spec: str) -> Floats:
    last = sentences if spec == "paper" else sentences - 1
    decay: Floats = np.exp(-index / np.maximum(last, 1))
    return decay


def answer_shares(shows: pd.DataFrame, answers: pd.DataFrame, spec: Spec = "paper") -> pd.DataFrame:
    """Return each content's word share of each answer, from `citation_show` and `answer_generate` events.

    The tracker has shared the words of a sentence among its citations already (`words_attributed`) and names
    the first sentence only, so the position adjustment uses that one. Under `repo` an answer of known
    candidates but no citation gives each candidate 1 / n.

    Returns
    -------
    pandas.DataFrame
        `observation, engine, answer_id, prompt_day, content_id, word_share, position_adjusted`: one row per
        answer and content, each share summing to 1 over an answer that attributes words, null where it does
        not.
    """
    _check(spec)
    head = _answers(answers)
    cited = analysable(shows).drop_duplicates("citation_id")
    rows = pd.DataFrame({"answer_id": texts(cited, "answer_id"), "content_id": texts(cited, "content_id")})
    rows["words"] = numbers(cited, "words_attributed")
    rows["sentence"] = np.nan_to_num(numbers(cited, "sentence_index"))
    rows = rows.merge(head, on="answer_id", how="inner", validate="many_to_one")
    decay = _decay(
        rows["sentence"].to_numpy(dtype=np.int64), rows["sentences"].to_numpy(dtype=np.int64), spec
    )
    rows["adjusted"] = rows["words"] * decay
    keys = ["observation", "engine", "answer_id", "prompt_day", "content_id"]
    found = rows.groupby(keys, sort=False, as_index=False)[["words", "adjusted"]].sum(min_count=1)
    if spec == "repo":
        found = pd.concat([found, _uncited(answers, head, set(found["answer_id"]))], ignore_index=True)
    total = found.groupby("answer_id")[["words", "adjusted"]].transform("sum")
    shares = (found[["words", "adjusted"]] / total.where(total > 0)).to_numpy()
    return found[keys].assign(word_share=shares[:, 0], position_adjusted=shares[:, 1])


def spec_disagreement(shows: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Return how often the two forms name another top source, by position-adjusted word share (S7.1).

    Returns
    -------
    pandas.DataFrame
        `engine, answers, another_top_source` (share of the answers that attribute words).
    """
    tops = []
    for spec in SPECS:
        shares = answer_shares(shows, answers, spec).dropna(subset=["position_adjusted"])
        ordered = shares.sort_values(["position_adjusted", "content_id"], kind="stable")
        tops.append(ordered.groupby(["engine", "answer_id"])["content_id"].last())
    both = pd.concat(tops, axis=1, keys=list(SPECS), join="inner")
    differs = (both["paper"] != both["repo"]).rename("another_top_source")
    return (
        differs.groupby("engine")
        .agg(["size", "mean"])
        .reset_index()
        .set_axis(["engine", "answers", "another_top_source"], axis=1)
    )


def _answers(answers: pd.DataFrame) -> pd.DataFrame:
    kept = analysable(answers).drop_duplicates("answer_id")
    sentences = np.nan_to_num(numbers(kept, "sentence_count"), nan=1.0)
    return pd.DataFrame(
        {
            "answer_id": texts(kept, "answer_id"),
            "observation": texts(kept, "observation", "unknown"),
            "engine": texts(kept, "engine", "unknown"),
            "prompt_day": prompt_days(kept),
            "sentences": np.maximum(sentences, 1).astype(np.int64),
        }
    )


def _uncited(answers: pd.DataFrame, head: pd.DataFrame, cited: Collection[str]) -> pd.DataFrame:
    columns = ["observation", "engine", "answer_id", "prompt_day", "content_id", "words", "adjusted"]
    if "candidates" not in answers:
        return pd.DataFrame(columns=columns)
    silent = head[~head["answer_id"].isin(list(cited))]
    listed = dict(zip(texts(answers, "answer_id"), listed_contents(answers), strict=True))
    found = [
        {**row, "content_id": content, "words": 1.0, "adjusted": 1.0}
        for row in silent.to_dict("records")
        for content in listed[row["answer_id"]]
    ]
    return pd.DataFrame(found, columns=columns)


def _ratio(top: Floats, bottom: Floats, level: float) -> tuple[float, float, float]:
    """Return sum(top) / sum(bottom) over clusters with its interval, by linearisation."""
    clusters = len(top)
    if clusters == 0 or bottom.sum() == 0:
        return float("nan"), float("nan"), float("nan")
    share = top.sum() / bottom.sum()
    rest = top - share * bottom
    variance = (rest @ rest) * clusters / max(clusters - 1, 1) / bottom.sum() ** 2
    lower, upper = clustered_share(np.array([share]), np.array([variance]), clusters, level)
    return float(share), float(lower[0]), float(upper[0])


def engine_visibility(
    shows: pd.DataFrame,
    answers: pd.DataFrame,
    own: Collection[str],
    *,
    spec: Spec = "paper",
    level: float = 0.90,
) -> pd.DataFrame:
    """Return how visible the own content is on each engine, with intervals clustered by prompt and day.

    Parameters
    ----------
    shows, answers
        Rows of `citation_show` and `answer_generate`.
    own
        The content ids of this site; citations of others stand in the denominators.

    Returns
    -------
    pandas.DataFrame
        One row per observation, engine and measure: `observation, engine, measure, value, lower, upper,
        answers, prompt_days`. Measures: `citation_rate` (answers that cite the site at all), `citation_share`
        (its part of all citations), `word_share`, `position_adjusted` (its part of the cited words).
    """
    head = _answers(answers)
    cited = answer_shares(shows, answers, spec)
    cited["own"] = cited["content_id"].isin(list(own)).to_numpy(dtype=np.float64)
    cited["one"], cited["words"] = 1.0, cited["word_share"].notna().astype(float)
    for name in ("word_share", "position_adjusted"):
        cited[name] = (cited[name] * cited["own"]).fillna(0.0)
    per_answer = cited.groupby("answer_id").agg(
        any_own=("own", "max"), own=("own", "sum"), all=("one", "sum"),
        word_share=("word_share", "sum"), position_adjusted=("position_adjusted", "sum"),
        words=("words", "max"),
    )  # fmt: skip
    joined = (
        head.join(per_answer, on="answer_id").fillna(dict.fromkeys(per_answer.columns, 0.0)).assign(one=1.0)
    )
    pairs = {
        "citation_rate": ("any_own", "one"),
        "citation_share": ("own", "all"),
        "word_share": ("word_share", "words"),
        "position_adjusted": ("position_adjusted", "words"),
    }
    found = []
    for (observation, engine), part in joined.groupby(["observation", "engine"], sort=True):
        sums = part.groupby("prompt_day")[_SUMS].sum()
        for measure, (top, bottom) in pairs.items():
            value, lower, upper = _ratio(sums[top].to_numpy(), sums[bottom].to_numpy(), level)
            found.append((observation, engine, measure, value, lower, upper, len(part), len(sums)))
    names = ["observation", "engine", "measure", "value", "lower", "upper", "answers", "prompt_days"]
    return pd.DataFrame(found, columns=names)


def page_visibility(
    shows: pd.DataFrame,
    answers: pd.DataFrame,
    *,
    by: Sequence[str] = ("engine",),
    spec: Spec = "paper",
    level: float = 0.90,
) -> pd.DataFrame:
    """Return each content's citation rate and mean word shares over all answers, uncited ones counting 0.

    Returns
    -------
    pandas.DataFrame
        `observation, *by, content_id, measure, value, lower, upper, citations, answers, prompt_days`;
        intervals of `level`, clustered by prompt and day.
    """
    head = _answers(answers)
    cited = answer_shares(shows, answers, spec).assign(citation_rate=1.0)
    group = ["observation", *by]
    size = head.groupby([*group, "prompt_day"], sort=False).size().rename("n").reset_index()
    base = size.groupby(group).agg(
        answers=("n", "sum"), prompt_days=("n", "size"), squares=("n", lambda n: (n**2).sum())
    )
    found = []
    for measure in ("citation_rate", "word_share", "position_adjusted"):
        part = cited[cited[measure].notna()]
        cell = (
            part.groupby([*group, "content_id", "prompt_day"], sort=False)[measure]
            .sum()
            .rename("s")
            .reset_index()
        )
        cell = cell.merge(size, on=[*group, "prompt_day"])
        cell["ss"], cell["sn"] = cell["s"] ** 2, cell["s"] * cell["n"]
        page = cell.groupby([*group, "content_id"], sort=True)[["s", "ss", "sn"]].sum().reset_index()
        page = page.merge(base.reset_index(), on=group)
        found.append(_page_intervals(page, measure, level)[[*group, "content_id", *_PAGE]])
    counted = cited.groupby([*group, "content_id"]).size().rename("citations").reset_index()
    out = pd.concat(found, ignore_index=True).merge(counted, on=[*group, "content_id"])
    return out.sort_values(
        [*group, "measure", "value"], ascending=[*[True] * len(group), True, False], ignore_index=True
    )


_PAGE: Final = ["measure", "value", "lower", "upper", "answers", "prompt_days"]


def _page_intervals(page: pd.DataFrame, measure: str, level: float) -> pd.DataFrame:
    share = (page["s"] / page["answers"]).to_numpy(dtype=np.float64)
    rest = page["ss"] - 2 * share * page["sn"] + share**2 * page["squares"]
    clusters = page["prompt_days"].to_numpy(dtype=np.float64)
    variance = (rest / page["answers"] ** 2 * clusters / np.maximum(clusters - 1, 1)).to_numpy(
        dtype=np.float64
    )
    lower, upper = np.full(len(page), np.nan), np.full(len(page), np.nan)
    for count in np.unique(clusters):
        here = clusters == count
        lower[here], upper[here] = clustered_share(share[here], variance[here], int(count), level)
    return page.assign(measure=measure, value=share, lower=lower, upper=upper)
