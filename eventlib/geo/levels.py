"""How much of the way from answer to reader a log shows, and what each part of it can and cannot tell (S7.4).

Most sites see landings alone; some put prompts to engines, some get a platform's reports, few run an assistant
of their own and see all. Each is a level of evidence with its own questions; they are never pooled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.cells import SMALL_CELL, clustered_share, hide_small_cells, small_cells
from eventlib.columns import analysable, days, persons, prompt_days, texts
from eventlib.geo.arrivals import landings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.geo.observed import Observed

__all__ = ["LEVELS", "evidence_levels", "reported_citations"]

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
_WITH_TOTALS: Final = ("landings", "probes")
"""Levels of which a total over all engines is shown elsewhere: by evidence, and the number of probed answers."""


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
        One row per level: `level, events` (citations shown, landings, probed answers, citations reported),
        `engines, stages` (those that can be scored), `tells, cannot_tell`. Engines behind which fewer than 10
        people stand (prompt-days of probes, days of reports) are neither named nor in the events, nor are, of
        landings and probes, the next smallest, so that no difference to other tables tells of them; NaN where
        there are only such, 0 where a level is not in the log.
    """
    told = {level: _told(rows, with_total=level in _WITH_TOTALS) for level, rows in _rows(frames).items()}
    rows = [
        (level, events, ", ".join(engines), _stages(level, engines, observed), *LEVELS[level])
        for level, (events, engines) in told.items()
    ]
    return pd.DataFrame(rows, columns=["level", "events", "engines", "stages", "tells", "cannot_tell"])


def _rows(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return, per level, the engine of each event and who or what counts as one behind it."""
    owned = analysable(frames["citation_show"], "owned")
    probed = analysable(frames["answer_generate"], "probe")
    reported = analysable(frames["citation_show"], "platform_report")
    landed = landings(frames)
    return {
        "own answers": _engine_of(owned, persons(owned), "citation_id"),
        "landings": pd.DataFrame({"engine": landed["engine"], "who": landed["person"]}),
        "probes": _engine_of(probed, prompt_days(probed), "answer_id"),
        "platform reports": _engine_of(reported, days(reported), "citation_id"),
    }


def _engine_of(seen: pd.DataFrame, who: NDArray[Any], key: str) -> pd.DataFrame:
    """Return engine and who of each event, repeated ones once."""
    rows = pd.DataFrame({"engine": texts(seen, "engine", "unknown"), "who": who, "key": texts(seen, key)})
    return rows.drop_duplicates("key")


def _told(rows: pd.DataFrame, *, with_total: bool) -> tuple[float, list[str]]:
    """Return how many events there are of engines that may be told, NaN if there are only others, and these engines."""
    if rows.empty:
        return 0.0, []
    behind = rows.groupby("engine")["who"].nunique()
    people = behind.to_numpy()
    hidden = small_cells(people) if with_total else people < SMALL_CELL
    engines = sorted(str(name) for name in behind.index[~hidden])
    return (float(rows["engine"].isin(engines).sum()) if engines else float("nan")), engines


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
    rows["day"] = days(seen)
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
