"""When an engine was seen to have a page's new version: by citing it, or by fetching the page again (S7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.columns import analysable, microseconds, texts
from eventlib.geo.traffic import agent_operators, classify_agent, engine_operator

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Noticed"]

Ints: TypeAlias = NDArray[np.int64]

_ANSWERING: Final = frozenset({"search_index", "user_fetch"})
"""Purposes of fetches that what an engine answers rests on; what feeds training shows only in a later model."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """What was seen of edited pages, read once for all engines and edits.

    Attributes
    ----------
    cited
        Times of citations, ascending, by engine, content and version.
    fetched
        Times of fetches, ascending, by operator, content and verification.
    """

    cited: Mapping[tuple[str, str, str], Ints]
    fetched: Mapping[tuple[str, str, str], Ints]

    @classmethod
    def read(cls, frames: Mapping[str, pd.DataFrame]) -> Noticed:
        """Read `citation_show` and `agent_fetch` of the pages that `content_edit` names."""
        edited = set(texts(frames["content_edit"], "content_id"))
        shows, fetches = _of(analysable(frames["citation_show"]), edited), _of(frames["agent_fetch"], edited)
        keys = [texts(shows, name) for name in ("engine", "content_id", "content_version")]
        operators, purposes = _whose(fetches)
        verification = texts(fetches, "verification", "claimed")
        told = np.array([purpose in _ANSWERING for purpose in purposes], dtype=bool)
        return cls(
            _times(keys, shows, np.ones(len(shows), dtype=bool)),
            _times([operators, texts(fetches, "content_id"), verification], fetches, told),
        )

    def first(
        self, engine: str, content: str, version: str, after_us: int, within_us: int
    ) -> tuple[int, str] | None:
        """Return when the engine was first seen to have the version, and by what; None if it was not in time.

        A citation is surest, then a fetch by an agent of the engine's operator whose address was verified, then by
        one that only claims to be it. What a spoofed agent fetches, no engine has.
        """
        operator = engine_operator(engine)
        for times, what in (
            (self.cited.get((engine, content, version)), "first citation of the new version"),
            (self.fetched.get((operator, content, "verified")), "first fetch by a verified agent"),
            (self.fetched.get((operator, content, "claimed")), "first fetch by a claimed agent"),
        ):
            at = int(np.searchsorted(times, after_us)) if times is not None else 0
            if times is not None and at < len(times) and times[at] - after_us <= within_us:
                return int(times[at]), what
        return None


def _of(frame: pd.DataFrame, edited: set[str]) -> pd.DataFrame:
    kept: pd.DataFrame = frame[[content in edited for content in texts(frame, "content_id")]]
    return kept


def _whose(fetches: pd.DataFrame) -> tuple[NDArray[np.object_], list[str]]:
    """Return the operator of the agent that each fetch claims to be by, "" where none is known, and its purpose."""
    operators = agent_operators()
    claims = [classify_agent(agent or None) for agent in texts(fetches, "user_agent")]
    kept = texts(fetches, "agent")
    names = [name or known for (name, _), known in zip(claims, kept, strict=True)]
    purposes: list[str] = [
        purpose or classify_agent(name or None)[1] or "other"
        for (_, purpose), name in zip(claims, names, strict=True)
    ]
    return np.array([operators.get(name, "") for name in names], dtype=object), purposes


def _times(
    keys: list[NDArray[np.object_]], frame: pd.DataFrame, kept: NDArray[np.bool_]
) -> dict[tuple[str, str, str], Ints]:
    if not len(frame) or not kept.any():
        return {}
    rows = pd.DataFrame(dict(enumerate(keys))).assign(time=microseconds(frame))[kept]
    return {
        (str(one), str(two), str(three)): np.sort(part["time"].to_numpy(dtype=np.int64))
        for (one, two, three), part in rows.groupby([0, 1, 2], sort=False)
    }
