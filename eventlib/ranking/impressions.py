"""What ranking learns from: citations shown by engines that the site owns, and whether they were clicked.

Only events that allow training, no bots, and only `observation = owned`: elsewhere shows and clicks are never seen
in one log (S7.4, S9). Any engine will do: the site's assistant, or `search:<application>` from search logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.columns import flags, texts
from eventlib.errors import BadCallError
from eventlib.exposure import People, shown_citations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "Impressions", "allows_training", "read_impressions"]

COLUMNS: Final = (
    "engine",
    "answer_id",
    "prompt_id",
    "citation_id",
    "content_id",
    "content_version",
    "month",
    "slot",
    "rank",
    "propensity",
    "time_us",
    "clicked",
    "person",
)
"""One row per citation shown.

`rank` from 1, `propensity` NaN where not random, `time_us` since 1970 UTC, `month` since 1970, `person` the cluster.
"""

_NEEDED: Final = (
    "observation",
    "allow_training",
    "agent",
    "citation_id",
    "engine",
    "person_id",
    "event_time",
)


@dataclass(frozen=True, slots=True)
class Impressions:
    """Shows with their clicks, and what was left out.

    Attributes
    ----------
    frame : DataFrame
        `COLUMNS`, index from 0.
    removed : dict
        Reason → shows left out; with the frame's rows they add up to the shows given.
    """

    frame: pd.DataFrame
    removed: Mapping[str, int]

    def of(self, engine: str) -> pd.DataFrame:
        """Return the shows of one engine, index from 0."""
        return self.frame[self.frame["engine"] == engine].reset_index(drop=True)

    def counts(self) -> pd.DataFrame:
        """Return `engine, answers, shows, clicks, people` per owned engine, most clicks first."""
        # in counts of people, all who have neither person nor device are one (decision 0055)
        frame = self.frame.assign(person=People.of(self.frame).counted)
        counted = frame.groupby("engine", sort=True).agg(
            answers=("answer_id", "nunique"),
            shows=("citation_id", "size"),
            clicks=("clicked", "sum"),
            people=("person", "nunique"),
        )
        by_clicks = counted.reset_index().sort_values(["clicks", "engine"], ascending=[False, True])
        return by_clicks.reset_index(drop=True)


def allows_training(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows may train; a null is no consent."""
    return flags(frame, "allow_training")


_RULES: Final[Mapping[str, Callable[[pd.DataFrame], NDArray[np.bool_]]]] = {
    "not_owned": lambda shows: texts(shows, "observation") == "owned",
    "no_training_consent": allows_training,
    "agent": lambda shows: shows["agent"].isna().to_numpy(dtype=bool),
    "no_engine": lambda shows: shows["engine"].notna().to_numpy(dtype=bool),
    "repeated": lambda shows: ~shows["citation_id"].duplicated().to_numpy(dtype=bool),
}
"""Why a show is left out, in this order."""


def read_impressions(
    shows: pd.DataFrame, clicks: pd.DataFrame, answers: pd.DataFrame | None = None
) -> Impressions:
    """Join shows with clicks (by `citation_id`) and answers (by `answer_id`).

    Parameters
    ----------
    shows, clicks, answers
        `el.properties(events, name)` for `citation_show`, `citation_click` and `answer_generate`. Clicks count
        only where they allow training. Without its answer a show's prompt is its own, `answer:<answer_id>`.

    Raises
    ------
    BadCallError
        A column is missing.
    """
    missing = set(_NEEDED) - set(shows.columns)
    if missing:
        raise BadCallError.missing_columns("read_impressions", missing, shows.columns)
    kept, removed = shows, {}
    for reason, keep in _RULES.items():
        rows = kept[keep(kept)]
        removed[reason], kept = len(kept) - len(rows), rows
    seen = shown_citations(kept, clicks[allows_training(clicks)], answers)
    removed["no_analytics_consent"] = len(kept) - len(seen)
    # an answer with neither person nor device stands for itself
    seen["person"] = seen["person_id"].where(seen["person_id"] != "", "answer:" + seen["answer_id"])
    frame = seen[list(COLUMNS)].sort_values(["time_us", "citation_id"], kind="stable", ignore_index=True)
    return Impressions(frame, removed)
