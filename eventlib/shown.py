"""Citations as they were shown to people: where each stood, and whether it was clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from eventlib.columns import analysable, microseconds, months, numbers, persons, texts
from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["shown_citations"]


def shown_citations(
    shows: pd.DataFrame, clicks: pd.DataFrame, answers: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return one row per citation shown to a person, with whether it was clicked.

    Parameters
    ----------
    shows, clicks, answers
        The rows of `citation_show`, `citation_click` and `answer_generate` as `el.properties` gives them.
        Without its answer, a show's prompt is unknown and it can take part in no swap.

    Returns
    -------
    pandas.DataFrame
        `citation_id, answer_id, engine, prompt_id, content_id, content_version, month, time_us, person_id,
        slot, rank, propensity, clicked`; observed `owned` only, bots and denied rows left out, repeated shows once.
        `propensity` is the probability of the place where places were randomised, NaN elsewhere.
    """
    needed = {"citation_id", "answer_id", "content_id", "position", "event_time"}
    if missing := needed - set(shows.columns):
        raise BadCallError.missing_columns("shown_citations", missing, shows.columns)
    seen = analysable(shows, "owned").drop_duplicates("citation_id")
    rows = pd.DataFrame({name: texts(seen, name) for name in ("citation_id", "answer_id", "content_id")})
    rows["engine"] = texts(seen, "engine", "unknown")
    rows["content_version"] = texts(seen, "content_version")
    rows["time_us"], rows["month"] = microseconds(seen), months(seen)
    rows["person_id"] = persons(seen)
    rows["slot"] = texts(seen, "slot", "inline")
    rows["rank"] = _ranks(seen)
    rows["propensity"] = numbers(seen, "propensity")
    rows["prompt_id"] = _prompt(rows["answer_id"], answers)
    clicked = set(texts(analysable(clicks), "citation_id"))
    rows["clicked"] = rows["citation_id"].isin(clicked).to_numpy(dtype=bool)
    return rows


def _ranks(seen: pd.DataFrame) -> NDArray[np.int64]:
    place = numbers(seen, "position")
    known = np.isfinite(place)
    if not known.all():
        raise BadCallError(
            f"position of citation_show is null in {int((~known).sum()):,} of {len(place):,} rows; every citation "
            "needs its place in the answer, 1 for the first: leave the others out before"
        )
    return place.astype(np.int64)


def _prompt(answer_id: pd.Series, answers: pd.DataFrame | None) -> NDArray[np.object_]:
    if answers is None or not len(answers) or "prompt_id" not in answers:
        return ("answer:" + answer_id).to_numpy(dtype=object)
    known = dict(zip(texts(answers, "answer_id"), texts(answers, "prompt_id"), strict=True))
    return np.array([known.get(answer) or f"answer:{answer}" for answer in answer_id], dtype=object)
