"""Who comes from AI: people that answers sent, and agents that fetch pages (S6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from eventlib.cells import hide_small_cells
from eventlib.columns import analysable, numbers, persons, texts
from eventlib.geo.traffic import classify_agent

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["agent_fetches", "arrivals", "landings"]


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
