"""How much of the way from answer to reader a log shows, and what each part of it can and cannot tell (S7.4).

Most sites see landings alone; some put prompts to engines, some get a platform's reports, few run an assistant
of their own and see all. Each is a level of evidence with its own questions; they are never pooled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.columns import analysable, microseconds, persons, texts
from eventlib.geo.arrivals import landings
from eventlib.geo.cells import SMALL_CELL, clustered_share, hide_small_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.geo.observed import Observed

__all__ = ["LEVELS", "evidence_levels", "reported_citations"]

_DAY_US: Final = 86_400_000_000
LEVELS: Final[Mapping[str, tuple[str, str]]] = {
    "own answers": (
        "which candidates are cited, clicked where they stand, and read: the whole score",
        "answers of engines elsewhere; people who ask there are others",
    ),
    "landings": (
        "who comes from which engine, and whether the page satisfies them",
        "how often a page was cited or seen without a click; visits whose referrer was stripped",
    ),
    "probes": (
        "how often, where and with how many words an engine cites the site for the prompts that were put",
        "what people ask, see, click or read; prompts that nobody put",
    ),
    "platform reports": (
        "which pages a platform says it cites, against each other and over time",
        "in how many answers they were not cited; how the platform counts; what is left out below its threshold",
    ),
}
"""What each level of evidence can tell, and what it cannot."""


def evidence_levels(frames: Mapping[str, pd.DataFrame], observed: Sequence[Observed]) -> pd.DataFrame:
    """Return what this log shows of each level.

    Parameters
    ----------
    frames
        `el.properties` frames by event name.
    observed
        As `observed_stages` returns it.

    Returns
    -------
    pandas.DataFrame
        One row per level: `level, events` (citations shown, landings, probed answers, citations reported; NaN
        where fewer than 10 people are behind them), `engines, stages` (those that can be scored), `tells,
        cannot_tell`. A level that is not in the log has 0 events.
    """
    landed = landings(frames)
    counted = {
        "own answers": _of_people(persons(_seen(frames["citation_show"], "owned"))),
        "landings": _of_people(landed["person"].to_numpy(dtype=object)),
        "probes": float(len(_seen(frames["answer_generate"], "probe"))),
        "platform reports": float(len(_seen(frames["citation_show"], "platform_report"))),
    }
    engines = {
        "own answers": _engines(frames["citation_show"], "owned"),
        "landings": sorted(set(landed["engine"])),
        "probes": _engines(frames["answer_generate"], "probe"),
        "platform reports": _engines(frames["citation_show"], "platform_report"),
    }
    rows = [
        (level, counted[level], ", ".join(engines[level]), _stages(level, engines[level], observed), *told)
        for level, told in LEVELS.items()
    ]
    return pd.DataFrame(rows, columns=["level", "events", "engines", "stages", "tells", "cannot_tell"])


def _seen(frame: pd.DataFrame, observation: str) -> pd.DataFrame:
    seen: pd.DataFrame = frame[texts(frame, "observation") == observation]
    return seen


def _of_people(people: NDArray[np.object_]) -> float:
    """Return how many events there are, NaN where fewer than 10 people are behind them (S7.10)."""
    return float("nan") if 0 < len(set(people)) < SMALL_CELL else float(len(people))


def _engines(frame: pd.DataFrame, observation: str) -> list[str]:
    return sorted(set(texts(_seen(frame, observation), "engine", "unknown")))


def _stages(level: str, engines: Sequence[str], observed: Sequence[Observed]) -> str:
    if level == "platform reports":
        return "share of citations only"
    wanted = "probe" if level == "probes" else "owned"
    scored = [
        {stage.name for stage in one.stages}
        for one in observed
        if one.observation == wanted and one.engine in engines
    ]
    if level == "landings":
        return "satisfy" if any("satisfy" in names for names in scored) else "none yet"
    order = ("cite", "click", "satisfy")
    names = [name for name in order if any(name in stages for stages in scored)]
    return " x ".join(names) or ("visibility only" if level == "probes" and engines else "none yet")


def reported_citations(frames: Mapping[str, pd.DataFrame], level: float = 0.90) -> pd.DataFrame:
    """Return each page's share of the citations that platforms report, with intervals over days.

    Without the answers behind them these are shares of what was cited, not rates: a page that is hardly ever
    eligible looks like one that is hardly ever chosen.

    Returns
    -------
    pandas.DataFrame
        `engine, content_id, citations, share, lower, upper, days`, most cited first; engines reported on fewer
        than 10 days, and pages with fewer than 10 citations, are left out.
    """
    seen = analysable(frames["citation_show"], "platform_report")
    columns = ["engine", "content_id", "citations", "share", "lower", "upper", "days"]
    if not len(seen):
        return pd.DataFrame(columns=columns)
    rows = pd.DataFrame({"engine": texts(seen, "engine", "unknown"), "content_id": texts(seen, "content_id")})
    rows["day"] = microseconds(seen) // _DAY_US
    found = [_shares(str(engine), part, level) for engine, part in rows.groupby("engine", sort=True)]
    table = pd.concat(found, ignore_index=True)
    table = table[table["days"] >= SMALL_CELL]
    shown, _ = hide_small_cells(table.reset_index(drop=True), "citations", within=["engine"])
    order = ["engine", "citations", "content_id"]
    return shown.sort_values(order, ascending=[True, False, True], ignore_index=True)[columns]


def _shares(engine: str, rows: pd.DataFrame, level: float) -> pd.DataFrame:
    counts = pd.crosstab(rows["content_id"], rows["day"])
    total = counts.sum(axis=0).to_numpy(dtype=np.float64)
    by_day = counts.to_numpy(dtype=np.float64)
    share = by_day.sum(axis=1) / total.sum()
    rest = by_day - share[:, None] * total
    days = len(total)
    variance = (rest**2).sum(axis=1) * days / max(days - 1, 1) / total.sum() ** 2
    lower, upper = clustered_share(share, variance, days, level)
    return pd.DataFrame(
        {
            "engine": engine, "content_id": counts.index, "citations": by_day.sum(axis=1).astype(int), "share": share,
            "lower": lower, "upper": upper, "days": days,
        }
    )  # fmt: skip
