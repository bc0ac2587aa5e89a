"""What the GEO notebooks show: results cut to the columns and rows that a reader needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL, clustered_share, hide_small_cells, small_cells
from eventlib.columns import analysable
from eventlib.exposure import CURVE, shown_citations
from eventlib.geo import visibility
from eventlib.geo.engagement import NO_STAGE, Score
from eventlib.geo.visibility import page_visibility

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from eventlib.geo.visibility import Spec

__all__ = [
    "calendar",
    "click_rates",
    "detectable_change",
    "exposure",
    "leading",
    "overview",
    "power",
    "probed",
    "ranking",
    "refused",
    "site_visibility",
    "spec_disagreement",
    "stages",
    "top_pages",
    "verdict_sentences",
    "verdicts",
]


def probed(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the citations and answers that were observed by probing."""
    return {name: analysable(frames[name], "probe") for name in ("citation_show", "answer_generate")}


def top_pages(
    shows: pd.DataFrame, answers: pd.DataFrame, own: Collection[str], *, spec: Spec = "paper", most: int = 15
) -> pd.DataFrame:
    """Return the citation rate of the most cited own pages, pages by engines."""
    table = page_visibility(shows, answers, spec=spec)
    kept = table["content_id"].isin(list(own)) & table["measure"].eq("citation_rate")
    kept &= table["prompt_days"].ge(SMALL_CELL)
    wide = table[kept].pivot_table(index="content_id", columns="engine", values="value", fill_value=0.0)
    order = wide.mean(axis=1).sort_values(ascending=False, kind="stable").index[:most]
    return wide.loc[order]


def site_visibility(
    shows: pd.DataFrame, answers: pd.DataFrame, own: Collection[str], *, spec: Spec = "paper"
) -> pd.DataFrame:
    """Return `visibility.engine_visibility` of engines probed on 10 prompt-days or more (S7.10)."""
    table = visibility.engine_visibility(shows, answers, own, spec=spec)
    return hide_small_cells(table, "prompt_days", within=["measure"])[0]


def spec_disagreement(shows: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Return `visibility.spec_disagreement` of engines probed on 10 prompt-days or more."""
    shown = site_visibility(shows, answers, ())["engine"]
    found = visibility.spec_disagreement(shows, answers)
    return found[found["engine"].isin(list(shown))].reset_index(drop=True)


def leading(scores: Sequence[Score]) -> Score:
    """Return the score that shows most of the way from answer to reader, of those with pages.

    >>> leading([]).name
    'none'
    """
    nobody = Score("none", "owned", (), pd.DataFrame())
    return max(
        scores, key=lambda score: (len(score.frame) > 0, len(score.stages), score.clusters), default=nobody
    )


def exposure(score: Score) -> pd.DataFrame:
    """Return the exposure curve that a score rests on; empty where it has none.

    Left out are the places that under 10 people saw and the next smallest: the same as in `click_rates`, since
    what one table hides the other would tell.
    """
    if score.exposure is None:
        return pd.DataFrame(columns=list(CURVE))
    curve = score.exposure.frame.reset_index(drop=True)
    shown, _ = hide_small_cells(
        curve.sort_values(["slot", "rank"]).assign(at=lambda rows: rows.index), "people"
    )
    return curve.loc[sorted(shown["at"])].reset_index(drop=True) if len(shown) else curve.iloc[:0]


def click_rates(frames: Mapping[str, pd.DataFrame], most: int = 10) -> pd.DataFrame:
    """Return plain click rates by engine, slot and rank, with intervals clustered by person.

    They mix where a citation stands with how good it is; exposure is what takes them apart, where it can.
    Engines whose citations fewer than 10 people saw are left out (S7.10), and ranks over `most`.
    """
    rows = shown_citations(frames["citation_show"], frames["citation_click"], frames["answer_generate"])
    people = (
        rows.groupby("engine")["person_id"].transform("nunique") if len(rows) else pd.Series(dtype="int64")
    )
    rows = rows[people >= SMALL_CELL]
    found = []
    for (engine, slot, rank), part in rows.groupby(["engine", "slot", "rank"], sort=True):
        by_person = part.groupby("person_id")["clicked"].agg(["sum", "size"])
        rate, clusters = part["clicked"].mean(), len(by_person)
        rest = (by_person["sum"] - rate * by_person["size"]).to_numpy(dtype=np.float64)
        lower, upper = clustered_share(np.array([rate]), np.array([rest @ rest / len(part) ** 2]), clusters)
        found.append(
            (engine, slot, rank, len(part), int(part["clicked"].sum()), clusters, rate, lower[0], upper[0])
        )
    names = ["engine", "slot", "rank", "shows", "clicks", "people", "click_rate", "lower", "upper"]
    shown, _ = hide_small_cells(pd.DataFrame(found, columns=names), "people", within=["engine"])
    return shown[shown["rank"] <= most].reset_index(drop=True)  # not before: the others are part of the total


def ranking(score: Score) -> pd.DataFrame:
    """Return the score's table: rank with its interval, score with its interval, in words, and the counts.

    `needs` is about how many times the evidence it would take to rank a page that has too little; NaN for pages
    that have a rank, and where a stage has no evidence at all. What was observed at a stage is NaN where fewer
    than 10 people came that far, and on the page that has the next fewest (S7.10).
    """
    columns = [
        "rank",
        "rank_lower",
        "rank_upper",
        "content_id",
        "theta",
        "lower",
        "upper",
        "word",
        "needs",
        "people",
    ]
    renamed = {"theta": "score", "word": "in_words"}
    if not len(score.frame):
        return pd.DataFrame(columns=columns).rename(columns=renamed)
    if "page" in score.frame:
        columns[3] = "page"
    counts = [f"observed_{name}" for name in score.stages]
    order = score.frame.assign(late=~score.frame["enough"]).sort_values(
        ["late", "theta"], ascending=[True, False], kind="stable"
    )
    needs = order["needs"].where(~order["enough"])
    told = {f"observed_{name}": _told_counts(order, name) for name in score.stages}
    return (
        order.assign(needs=needs, **told)[[*columns, *counts]].rename(columns=renamed).reset_index(drop=True)
    )


def _told_counts(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    hidden = small_cells(frame[f"people_{name}"].to_numpy(), nobody=True)
    return frame[f"observed_{name}"].where(~hidden)


def unranked(score: Score) -> pd.DataFrame:
    """Return the pages that have too little evidence to be ranked, and how many times as much it would take.

    Columns: `page` (or `content_id`), `score, lower, upper, needs, people`, nearest to a rank first; those of which
    a stage was never seen come last, and what they need is not told.
    """
    table = ranking(score)
    label = "page" if "page" in table else "content_id"
    few = table[table["rank"].isna()].sort_values("needs", kind="stable")
    return few[[label, "score", "lower", "upper", "needs", "people"]].reset_index(drop=True)


def stages(score: Score) -> pd.DataFrame:
    """Return each page's stages as multiples of the average, with their intervals, and its placement.

    Pages of which fewer than 10 people came to a stage are left out: the bar would be about these alone (S7.10).
    """
    if not len(score.frame):
        return pd.DataFrame(columns=["content_id"])
    frame = score.frame[score.frame["stages_told"]]
    label = "page" if "page" in frame else "content_id"
    named: dict[str, object] = {label: frame[label]}
    for name in score.stages:
        named |= {name: np.exp(frame[f"log_{name}"]), f"{name}_lower": frame[f"{name}_lower"]}
        named |= {f"{name}_upper": frame[f"{name}_upper"]}
    return pd.DataFrame(named | {"placement": np.exp(frame["placement"])}).reset_index(drop=True)


def overview(scores: Sequence[Score]) -> pd.DataFrame:
    """Return what each engine lets us see: its stages, people, pages with enough evidence, and what is missing.

    Engines of fewer than 10 people are left out, and of engines elsewhere the next smallest with them (S7.10).
    """
    rows = [
        {
            "engine": score.engine,
            "observed_by": score.observation,
            "stages": "visibility" if score.observation != "owned" and not score.stages else score.name,
            "people": score.clusters if score.clusters >= SMALL_CELL else None,
            "pages": len(score.frame),
            "with_enough_evidence": int(score.frame["enough"].sum()) if len(score.frame) else 0,
            "not_shown": score.hidden,
            "what_is_missing": "; ".join(reason for reason in score.reasons if reason != NO_STAGE),
        }
        for score in _told_scores(scores)
    ]
    names = [
        "engine",
        "observed_by",
        "stages",
        "people",
        "pages",
        "with_enough_evidence",
        "not_shown",
        "what_is_missing",
    ]
    return pd.DataFrame(rows, columns=names)


def _told_scores(scores: Sequence[Score]) -> list[Score]:
    """Leave out engines of few people, and of engines elsewhere, whose landings have a total, the next smallest."""
    people = np.array([score.clusters for score in scores])
    elsewhere = np.array(
        [
            score.observation == "owned" and not score.engine.startswith(("site_assistant", "search:"))
            for score in scores
        ],
        dtype=bool,
    )
    hidden = (people > 0) & (people < SMALL_CELL)
    hidden[elsewhere] = small_cells(people[elsewhere], nobody=True)
    return [score for score, gone in zip(scores, hidden, strict=True) if not gone]


def power(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what each comparison of `judge_all` could find, before what it found."""
    shown = frame[frame["detectable"].notna()] if len(frame) else frame
    columns = [
        "content_id",
        "change_type",
        "engine",
        "outcome",
        "power_25",
        "power_50",
        "power_100",
        "detectable",
        "expected_before",
        "expected_after",
        "controls",
        "placebos",
    ]
    return shown.sort_values("detectable", kind="stable")[columns].reset_index(drop=True)


def detectable_change(frame: pd.DataFrame) -> float | None:
    """Return the change, as a multiple, that the middle one of the judged comparisons could find."""
    judged = frame.loc[frame["p"].notna(), "detectable"].to_numpy(dtype=np.float64)
    middle = float(np.median(judged)) if len(judged) else np.inf
    return middle if np.isfinite(middle) else None


def calendar(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each edit's dates, days in UTC: when it was made, its baseline, and since when engines had it."""
    columns = [
        "content_id",
        "change_type",
        "engine",
        "edited",
        "baseline",
        "exposed",
        "known_by",
        "model_change",
    ]
    if not len(frame):
        return pd.DataFrame(columns=columns)
    rows = frame.sort_values("edited_us", kind="stable")
    days = {
        name: pd.to_datetime(rows[f"{name}_us"], unit="us").dt.strftime("%d %b %Y")
        for name in ("edited", "exposed")
    }
    until = pd.to_datetime(rows["before_to"], unit="us").dt.strftime("%d %b")
    return rows.assign(
        edited=days["edited"],
        baseline=rows["weeks_before"].astype(str) + " weeks to " + until,
        exposed=rows["weeks_after"].astype(str) + " weeks from " + days["exposed"],
        known_by=rows["exposed_by"],
    )[columns].drop_duplicates(ignore_index=True)


def verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons that have a verdict."""
    columns = [
        "content_id", "change_type", "engine", "outcome", "state", "change", "lower", "upper", "early", "late", "neighbours", "p", "q",
        "detectable", "placebos", "shares_with",
    ]  # fmt: skip
    judged = frame[frame["p"].notna()] if len(frame) else frame
    return judged.sort_values("change", ascending=False)[columns].reset_index(drop=True)


def verdict_sentences(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each edit's verdicts in words, what was found first: `seen_by, content_id, outcome, state, sentence`.

    Pages that were judged jointly have the sentence of their group.
    """
    columns = ["seen_by", "content_id", "outcome", "state", "sentence"]
    told = frame[frame["state"].ne("judged jointly")] if len(frame) else frame
    if not len(told):
        return pd.DataFrame(columns=columns)
    first = told["state"].map({"better": 0, "worse": 0, "no difference shown": 1}).fillna(2)
    order = pd.DataFrame({"first": first, "q": told["q"].astype(float)}).sort_values(
        ["first", "q"], kind="stable"
    )
    seen = told["engine"] + told["observation"].map({"owned": "", "probe": " probes"}).fillna(" reports")
    return told.assign(seen_by=seen).loc[order.index, columns].reset_index(drop=True)


def kinds(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `pooling.pool_by_type`, what was found first, without the columns that say how it was reckoned."""
    order = frame.assign(late=frame["p"].isna()).sort_values(["late", "p"], kind="stable")
    columns = [
        "change_type", "engine", "observation", "outcome", "pages", "state", "reason", "power_25", "power_50",
        "power_100", "change", "lower", "upper", "p", "q", "method",
    ]  # fmt: skip
    return order[columns].reset_index(drop=True)


def refused(frame: pd.DataFrame) -> pd.DataFrame:
    """Return why the other comparisons have none: `outcome, state, reason, comparisons`."""
    columns = ["outcome", "state", "reason", "comparisons"]
    rest = frame[frame["p"].isna()] if len(frame) else frame
    if not len(rest):
        return pd.DataFrame(columns=columns)
    plain = rest["reason"].str.replace(r"^\d+ expected", "too few expected", regex=True)
    plain = plain.str.replace(r"^competes with .* edited too", "competes with others edited too", regex=True)
    counted = rest.assign(reason=plain).groupby(["outcome", "state", "reason"], sort=False).size()
    return (
        counted.rename("comparisons")
        .reset_index()
        .sort_values(["outcome", "comparisons"], ascending=[True, False])
    )
