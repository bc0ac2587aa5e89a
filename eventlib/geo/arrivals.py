"""Who comes from AI: people that answers sent, and agents that fetch pages (S6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from eventlib.cells import hide_small_cells
from eventlib.columns import analysable, numbers, persons, texts
from eventlib.geo.traffic import classify_agent, classify_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["agent_fetches", "arrivals", "landings", "with_landings"]


def with_landings(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the frames with the landings that page views alone tell of.

    Most trackers send no event for a landing: a page view whose referrer or `utm_source` names an AI engine is one (S6). A
    source that does send `referral_land` has told all of its own.
    """
    views, told = frames["page_view"], frames["referral_land"]
    silent = views[~views["source"].isin(told["source"].unique()) & views["ai_engine"].notna()]
    if silent.empty:
        return dict(frames)
    evidence: list[str | None] = [
        classify_engine(referrer or None, url or None, None)[1]
        for referrer, url in zip(texts(silent, "referrer"), texts(silent, "url"), strict=True)
    ]
    named = pd.Series(evidence, index=silent.index, dtype=object)
    made = silent.assign(event_name="referral_land", engine=silent["ai_engine"], evidence=named)
    made = made.reindex(columns=told.columns).astype(told.dtypes)
    return {**frames, "referral_land": pd.concat([told, made], ignore_index=True)}


def landings(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return landings from AI engines elsewhere, one row each: `page_view_id, engine, evidence, person`."""
    seen = analysable(frames["referral_land"], "owned").drop_duplicates("page_view_id")
    engine = texts(seen, "engine")
    rows = pd.DataFrame(
        {
            "page_view_id": texts(seen, "page_view_id"),
            "engine": np.where(engine == "", texts(seen, "ai_engine"), engine),
            "evidence": texts(seen, "evidence", "not said"),
            "person": persons(seen),
        }
    )
    return rows[(rows["engine"] != "") & (rows["engine"] != "site_assistant")]


def arrivals(frames: Mapping[str, pd.DataFrame], by: str = "engine") -> pd.DataFrame:
    """Return landings from AI engines elsewhere, by engine or by the evidence that names it.

    Parameters
    ----------
    frames
        `el.properties` frames by event name.
    by
        `engine` or `evidence`.

    Returns
    -------
    pandas.DataFrame
        `by, visits, people`, most visits first; cells under 10 people are left out (S7.10).
    """
    grouped = landings(frames).groupby(by, as_index=False)
    table = grouped.agg(visits=("person", "size"), people=("person", "nunique"))
    shown, _ = hide_small_cells(table, "people")
    return shown.sort_values(["visits", by], ascending=[False, True], ignore_index=True)


def agent_fetches(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return fetches by the agent that the user agent claims to be, whether it is the one, and what it fetches for.

    `verification` is `verified` or `spoofed` where addresses told (`eventlib.geo.verification`), else `claimed`.

    Returns
    -------
    pandas.DataFrame
        `agent, verification, purpose, fetches, pages` (distinct contents), `failed` (share answered 400 or more),
        most first.
    """
    fetches = frames["agent_fetch"]
    rows = pd.DataFrame(
        {"content_id": texts(fetches, "content_id"), "status": numbers(fetches, "status_code")}
    )
    claimed = [classify_agent(agent or None) for agent in texts(fetches, "user_agent")]
    known = texts(fetches, "agent")
    names = [name or kept or "unknown" for (name, _), kept in zip(claimed, known, strict=True)]
    rows["agent"] = np.array(names, dtype=object)
    rows["purpose"] = np.array([purpose or "other" for _, purpose in claimed], dtype=object)
    rows["verification"] = texts(fetches, "verification", "claimed")
    rows["failed"] = (rows["status"] >= 400).astype(float).where(rows["status"].notna())
    rows["content_id"] = rows["content_id"].replace("", None)
    table = rows.groupby(["agent", "verification", "purpose"], as_index=False).agg(
        fetches=("purpose", "size"), pages=("content_id", "nunique"), failed=("failed", "mean")
    )
    order = ["fetches", "agent", "verification"]
    return table.sort_values(order, ascending=[False, True, True], ignore_index=True)
