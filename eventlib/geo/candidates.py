"""The contents that an answer could have cited, as its event lists them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from eventlib.errors import BadCallError

__all__ = ["listed_contents"]


def listed_contents(answers: pd.DataFrame) -> list[list[str]]:
    """Return the content ids that each answer lists as candidates; none where it lists nothing.

    Parameters
    ----------
    answers
        The rows of `answer_generate` as `el.properties` gives them; `candidates` may be missing.

    Raises
    ------
    BadCallError
        If an answer's candidates are anything but a list of mappings with a text `content_id`.

    Examples
    --------
    >>> listed_contents(pd.DataFrame({"candidates": [[{"content_id": "c-1"}, {"content_id": "c-2"}], [], None]}))
    [['c-1', 'c-2'], [], []]
    >>> listed_contents(pd.DataFrame({"candidates": [["c-1"]]}))
    Traceback (most recent call last):
    eventlib.errors.BadCallError: candidates of answer 0 hold 'c-1'; each has to be a mapping with a text content_id
    """
    if "candidates" not in answers:
        return [[] for _ in range(len(answers))]
    return [_contents(row, item) for row, item in enumerate(answers["candidates"])]


def _contents(row: int, listed: object) -> list[str]:
    if isinstance(listed, list | tuple | np.ndarray):
        return [_content(row, one) for one in listed]
    if listed is None or listed is pd.NA or (isinstance(listed, float) and np.isnan(listed)):
        return []
    raise BadCallError(f"candidates of answer {row} are {listed!r:.60}; give a list, or null for none")


def _content(row: int, one: object) -> str:
    content = one.get("content_id") if isinstance(one, Mapping) else None
    if isinstance(content, str):
        return content
    raise BadCallError(
        f"candidates of answer {row} hold {one!r:.60}; each has to be a mapping with a text content_id"
    )
