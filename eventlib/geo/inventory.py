"""Citations against an inventory: where an engine does not say what else it retrieved (S7.5).

Who was eligible for an answer is then not known. What was published before the first answer was probed is, and
cannot depend on what was cited: every such page might have been. A page is set against the average page of the
inventory over the same answers. That is no match of pages and prompts: a page on a subject that few prompts ask
for has few citations, however good it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.columns import analysable, microseconds, prompt_days, texts
from eventlib.geo.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["INVENTORY_REASON", "inventory_stage"]

Floats: TypeAlias = NDArray[np.float64]

INVENTORY_REASON: Final = "cite: no candidates are listed; citations are set against the average page published before the first probe"


def inventory_stage(
    frames: Mapping[str, pd.DataFrame], engine: str, observation: str
) -> tuple[Stage | None, str]:
    """Return a cite stage of probed answers whose candidates are not listed, or None and why not.

    Parameters
    ----------
    frames
        `answer_generate, citation_show, content_publish` by event name.
    engine, observation
        Whose answers.

    Returns
    -------
    Stage, str
        One row per prompt, day and page: `observed` counts the answers that cite it. And why there is none.
    """
    answers = _answers(frames["answer_generate"], engine, observation)
    if not len(answers):
        return None, "no answer was probed"
    published = frames["content_publish"]
    early = microseconds(published) <= answers["time_us"].min() if len(published) else np.empty(0, dtype=bool)
    pages = sorted({*texts(published, "content_id")[early]} - {""})
    if len(pages) < 2:
        return None, "no candidates are listed, and no inventory is known from before the first probe"
    cited = _cited(frames["citation_show"], answers, pages)
    if not len(cited):
        return None, "no page of the inventory was cited"
    groups = answers.groupby("cluster").agg(
        n=("answer_id", "size"), time_us=("time_us", "min"), prompt=("prompt", "first")
    )
    grid = pd.MultiIndex.from_product([groups.index, pages], names=["cluster", "content_id"])
    counted = cited.groupby(["cluster", "content_id"]).size().reindex(grid, fill_value=0)
    observed: Floats = counted.to_numpy().astype(np.float64)
    size, width = groups["n"].to_numpy(dtype=np.float64), len(pages)
    base = float(observed.sum() / (size.sum() * width))
    return Stage(
        "cite", grid.get_level_values("content_id").to_numpy(dtype=object), grid.get_level_values("cluster").to_numpy(dtype=object),
        np.repeat(groups["time_us"].to_numpy(dtype=np.int64), width), np.full(len(grid), "", dtype=object),
        observed, np.repeat(size * base, width).astype(np.float64), base,
        prompt=np.repeat(groups["prompt"].to_numpy(dtype=object), width),
    ), ""  # fmt: skip


def _answers(answers: pd.DataFrame, engine: str, observation: str) -> pd.DataFrame:
    kept = analysable(answers, observation)
    kept = kept[texts(kept, "engine", "unknown") == engine].drop_duplicates("answer_id")
    rows = pd.DataFrame({"answer_id": texts(kept, "answer_id"), "prompt": texts(kept, "prompt_id")})
    rows["time_us"] = microseconds(kept)
    rows["cluster"] = prompt_days(kept)
    return rows


def _cited(shows: pd.DataFrame, answers: pd.DataFrame, pages: list[str]) -> pd.DataFrame:
    """Return one row per answer and page of the inventory that it cites."""
    seen = analysable(shows)
    rows = pd.DataFrame({"answer_id": texts(seen, "answer_id"), "content_id": texts(seen, "content_id")})
    rows = rows[rows["content_id"].isin(pages)].drop_duplicates()
    return rows.merge(answers[["answer_id", "cluster"]], on="answer_id")
