"""One page closely: what it is called, where it is shown, and for which prompts and in which versions it does well."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eventlib.cells import SMALL_CELL
from eventlib.columns import analysable, microseconds, persons, texts
from eventlib.geo.engagement import Score, score_engine
from eventlib.masking import clean, clean_id
from eventlib.quality.verdict import percent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "PAGE_CELLS",
    "choose_page",
    "cluster_map",
    "page_cells",
    "page_facts",
    "page_titles",
    "with_titles",
]

_LONGEST: Final = 44
_DAY_FORMAT: Final = "%d %b %Y"
PAGE_CELLS: Final = ("of", "cell", "theta", "lower", "upper", "word", "people")
"""First columns of `page_cells`; those of the stages follow."""


def page_titles(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the newest title of each content: as published or edited, else as 10 people or more saw it."""
    titles: dict[str, str] = {}
    seen = analysable(frames["page_view"])
    views = pd.DataFrame(
        {"id": texts(seen, "content_id"), "title": texts(seen, "title"), "person": persons(seen)}
    )
    people = views.groupby(["id", "title"])["person"].nunique()
    common = people[people >= SMALL_CELL].reset_index().sort_values(["person", "title"], kind="stable")
    titles |= dict(zip(common["id"], common["title"], strict=True))
    told = pd.concat([_told(frames[name]) for name in ("content_publish", "content_edit")])
    told = told.sort_values("time_us", kind="stable")
    titles |= dict(zip(told["id"], told["title"], strict=True))
    return {page: title for page, title in titles.items() if page and title}


def _told(frame: pd.DataFrame) -> pd.DataFrame:
    time_us = microseconds(frame)
    rows = pd.DataFrame(
        {"id": texts(frame, "content_id"), "title": texts(frame, "title"), "time_us": time_us}
    )
    return rows[rows["title"] != ""]


def with_titles(frame: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Return the frame with a column `page` before the others: the content's id and its title, cut if long.

    >>> with_titles(pd.DataFrame({"content_id": ["c-1", "c-2"]}), {"c-1": "Heat pumps"})["page"].tolist()
    ['c-1 Heat pumps', 'c-2']
    """
    pages = frame["content_id"].drop_duplicates()
    # masked whole: what is cut off may be what tells a token or an address by
    masked = {page: clean_id(str(page)) for page in pages}
    labels = _apart(
        {page: _label(masked[page], clean(titles.get(page, ""))) for page in pages},
        lambda page: _middle(masked[page]),
    )
    labels = _apart(labels, lambda page: f"{_middle(masked[page])} ({pages.tolist().index(page) + 1})")
    named = frame.drop(columns="page", errors="ignore")
    return named.assign(page=[labels[page] for page in frame["content_id"]])[
        ["page", *frame.columns.drop("page", errors="ignore")]
    ]


def _label(page: str, title: str) -> str:
    text = f"{page} {title}".strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _middle(page: str) -> str:
    """Cut a long id in its middle: what tells addresses apart often stands last."""
    half = _LONGEST // 2 - 1
    return page if len(page) <= _LONGEST else f"{page[:half]}…{page[-half:]}"


def _apart(labels: Mapping[str, str], otherwise: Callable[[str], str]) -> dict[str, str]:
    """Return the labels, another one for pages that share theirs: a figure would take them for one page."""
    shared = Counter(labels.values())
    return {page: otherwise(page) if shared[label] > 1 else label for page, label in labels.items()}


def named(score: Score, titles: Mapping[str, str]) -> Score:
    """Return the score with the pages' titles in its frame, as `with_titles` gives them."""
    return replace(score, frame=with_titles(score.frame, titles)) if len(score.frame) else score


def finer_scores(score: Score, prompt_clusters: Mapping[str, str], **options: Any) -> list[Score]:
    """Return the score by content and prompt cluster, and by content and version; none where nothing was scored.

    Parameters
    ----------
    score
        By content, as `score_observed` returns it.
    prompt_clusters
        The cluster of each prompt.
    **options
        As `score_engine` takes them.
    """
    seen = score.source
    if seen is None or not len(score.frame):
        return []
    finer = [
        score_engine(
            seen.engine, seen.stages, observation=seen.observation, by=("content_id", key),
            prompt_clusters=prompt_clusters, half_life_days=score.half_life_days, **options,
        )
        for key in ("prompt_cluster", "content_version")
    ]  # fmt: skip
    return [_only(one, score.frame["content_id"]) for one in finer]


def _only(score: Score, pages: pd.Series[Any]) -> Score:
    """Return the score without the pages that are hidden as a whole: their parts would tell of them."""
    if not len(score.frame):
        return score
    shown = score.frame["content_id"].isin(pages)
    return replace(
        score, frame=score.frame[shown].reset_index(drop=True), hidden=score.hidden + int((~shown).sum())
    )


def choose_page(score: Score, wanted: str = "") -> str:
    """Return the page to look at closely: the one asked for, else the worst of those called worse, else the first.

    "" where no page is shown, or the one asked for is not.
    """
    if not len(score.frame):
        return ""
    if wanted:
        return wanted if (score.frame["content_id"] == wanted).any() else ""
    worse = score.frame[score.frame["word"] == "worse"]
    return str(worse["content_id"].iloc[-1] if len(worse) else score.frame["content_id"].iloc[0])


def page_cells(page: str, whole: Score, finer: Sequence[Score]) -> pd.DataFrame:
    """Return a page's score as a whole, and by prompt cluster and by version where they are shown.

    Parameters
    ----------
    whole
        The score by content.
    finer
        Scores of the same engine by content and one other key each.

    Returns
    -------
    pandas.DataFrame
        `of` (all | prompt_cluster | content_version), `cell` (which), `theta, lower, upper, word, people`, then
        per stage its multiple of the average, NaN where too few people came to a stage; one row where nothing finer
        is shown.
    """
    parts = []
    for score in (whole, *finer):
        if not len(score.frame):
            continue
        mine = score.frame[score.frame["content_id"] == page]
        key = next((name for name in ("prompt_cluster", "content_version") if name in mine), None)
        stages = {name: np.exp(mine[f"log_{name}"]).where(mine["stages_told"]) for name in score.stages}
        cell = mine[key].where(mine[key] != "", "not told") if key else pd.Series("all", mine.index)
        part = mine.assign(of=key or "all", cell=cell, **stages)
        part = part.sort_values(
            "cell" if key == "content_version" else "theta", ascending=key == "content_version"
        )
        parts.append(part[[*PAGE_CELLS, *stages]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(PAGE_CELLS))


def cluster_map(finer: Sequence[Score], titles: Mapping[str, str], most: int = 20) -> pd.DataFrame:
    """Return theta by page (rows) and prompt cluster (columns), where there is evidence enough to say.

    Of all pages, the `most` with most such cells; best on top.
    """
    score = next((one for one in finer if "prompt_cluster" in one.frame), None)
    if score is None:
        return pd.DataFrame()
    frame = with_titles(
        score.frame[score.frame["enough"] & score.frame["prompt_cluster"].ne("unknown")], titles
    )
    wide = frame.pivot_table(index="page", columns="prompt_cluster", values="theta", sort=True)
    order = wide.notna().sum(axis=1).sort_values(ascending=False, kind="stable").index[:most]
    kept = wide.loc[order]
    return kept.loc[kept.mean(axis=1).sort_values(ascending=False, kind="stable").index].dropna(
        axis=1, how="all"
    )


def page_facts(page: str, frames: Mapping[str, pd.DataFrame], engine: str) -> pd.DataFrame:
    """Return what else the log says of a page: where one engine shows it, who fetches it, when it was edited.

    Returns
    -------
    pandas.DataFrame
        `fact, value`, texts; what fewer than 10 people saw is left out.
    """
    facts: list[tuple[str, str]] = []
    shows = analysable(frames["citation_show"], "owned")
    all_of = shows[texts(shows, "engine", "unknown") == engine]
    mine = all_of[texts(all_of, "content_id") == page]
    if len(set(persons(mine))) >= SMALL_CELL:
        rank, usual = (part["position"].to_numpy(dtype=np.float64) for part in (mine, all_of))
        facts.append(("usual position", f"{rank.mean():.1f}, all pages {usual.mean():.1f}"))
        facts.append(
            (
                "shown first",
                f"{percent(np.mean(rank == 1))} of its citations, all pages {percent(np.mean(usual == 1))}",
            )
        )
    fetches = frames["agent_fetch"]
    fetched = fetches[texts(fetches, "content_id") == page]
    if len(fetched):
        last = pd.to_datetime(fetched["event_time"]).max().strftime(_DAY_FORMAT)
        facts.append(("fetched by agents", f"{len(fetched):,} times, last on {last}"))
    edits = frames["content_edit"]
    for row in edits[texts(edits, "content_id") == page].sort_values("event_time").to_dict("records"):
        day = pd.Timestamp(row["event_time"]).strftime(_DAY_FORMAT)
        facts.append(("edited", f"{day}: {str(row.get('change_type') or 'not said').replace('_', ' ')}"))
    return pd.DataFrame(facts, columns=["fact", "value"])
