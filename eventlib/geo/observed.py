"""What each engine lets us see: its stages, by how they were observed, and why others are absent (S7.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eventlib.columns import texts
from eventlib.exposure import Exposure, shown_citations
from eventlib.geo.decay import evidence_end
from eventlib.geo.inventory import INVENTORY_REASON, inventory_stage
from eventlib.geo.satisfaction import engine_visits
from eventlib.geo.stages import Stage, candidate_rows, cite_stage, click_stage, satisfy_stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["ELSEWHERE", "Observed", "observed_stages"]

ELSEWHERE: Final = "all engines elsewhere"
"""What landings from several engines are called where they are taken together."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The stages of one engine, seen in one way; observations are never pooled.

    Attributes
    ----------
    stages
        Those that were observed, in the order of `STAGES`.
    reasons
        Why others are absent.
    exposure
        Of owned answers, the curve that the click stage rests on.
    """

    engine: str
    observation: str
    stages: tuple[Stage, ...]
    reasons: tuple[str, ...] = ()
    exposure: Exposure | None = None

    @property
    def end_us(self) -> int:
        """When the evidence ends (`eventlib.geo.decay.evidence_end`), microseconds since 1970; 0 without any."""
        return evidence_end(self.stages)

    @property
    def last_us(self) -> int:
        """The time of the last row, microseconds since 1970; 0 without any."""
        return max((int(stage.time_us.max()) for stage in self.stages if len(stage.time_us)), default=0)

    @property
    def start_us(self) -> int:
        """The time of the first row, microseconds since 1970; 0 without any."""
        return min((int(stage.time_us.min()) for stage in self.stages if len(stage.time_us)), default=0)


def observed_stages(frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0) -> list[Observed]:
    """Return what each engine lets us see, by engine and way of observing.

    Where several engines show nothing but visits, these come once more, together, as `ELSEWHERE`.

    Parameters
    ----------
    frames
        `el.properties` frames by event name, as `eventlib.geo.read_frames` returns them.
    tau_ms
        As in `engine_visits`.
    """
    shown = shown_citations(frames["citation_show"], frames["citation_click"], frames["answer_generate"])
    visits = engine_visits(frames, tau_ms=tau_ms)
    visits = _with_citation(visits, shown)
    candidates = candidate_rows(frames["answer_generate"], frames["citation_show"])
    seen = {(name, "owned") for name in {*shown["engine"], *visits["engine"]}}
    probes = frames["answer_generate"]
    seen |= {
        pair
        for pair in zip(
            texts(probes, "engine", "unknown"), texts(probes, "observation", "owned"), strict=True
        )
        if pair[1] != "owned"
    }
    found = [_observed(*pair, shown, visits, candidates) for pair in sorted(seen)]
    found = [_with_inventory(one, frames) for one in found]
    return [*found, *_together(found)]


def _with_inventory(one: Observed, frames: Mapping[str, pd.DataFrame]) -> Observed:
    """Return probes that list no candidates with citations set against what had been published before."""
    if one.observation == "owned" or one.stages:
        return one
    stage, reason = inventory_stage(frames, one.engine, one.observation)
    if stage is None:
        return replace(one, reasons=(f"cite: {reason}",))
    return replace(one, stages=(stage,), reasons=(INVENTORY_REASON,))


def _together(found: list[Observed]) -> list[Observed]:
    """Return the landings from all engines that show nothing else as one, each against its own engine's average.

    A page seldom has people enough from one engine; who comes by which is taken out by the expectation.
    """
    alone = [
        one.stages[0]
        for one in found
        if one.observation == "owned" and not one.engine.startswith("search:")
        and [stage.name for stage in one.stages] == ["satisfy"]
    ]  # fmt: skip
    if len(alone) < 2:
        return []
    rows: dict[str, Any] = {name: np.concatenate([getattr(stage, name) for stage in alone]) for name in _ROWS}
    base = float(rows["observed"].mean())
    stage = Stage("satisfy", **rows, base=base)
    return [Observed(ELSEWHERE, "owned", (stage,), ("cite and click: no engine elsewhere shows them",))]


_ROWS: Final = ("content", "cluster", "time_us", "answer", "observed", "expected", "version", "prompt")


def _with_citation(visits: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """Add what the clicked citation tells of each visit: the prompt, and the version where the visit tells none."""
    citation = texts(visits, "citation_id")
    prompts = dict(zip(shown["citation_id"], shown["prompt_id"], strict=True))
    versions = dict(zip(shown["citation_id"], shown["content_version"], strict=True))
    own = texts(visits, "content_version")
    return visits.assign(
        prompt_id=np.array([prompts.get(one, "") for one in citation], dtype=object),
        content_version=np.array(
            [mine or versions.get(one, "") for mine, one in zip(own, citation, strict=True)], dtype=object
        ),
    )


def _observed(
    engine: str, observation: str, shown: pd.DataFrame, visits: pd.DataFrame, candidates: pd.DataFrame
) -> Observed:
    own = (candidates["engine"] == engine) & (candidates["observation"] == observation)
    cite, why_cite = cite_stage(candidates[own])
    found, reasons, exposure = [cite], [f"cite: {why_cite}"] if why_cite else [], None
    if observation == "owned":
        click = None
        if (shown["engine"] == engine).any():
            click, exposure = click_stage(shown[shown["engine"] == engine])
            reasons += [f"click: {reason}" for reason in exposure.reasons]
        else:
            reasons.append("click: not shown in this log")
        satisfy, why_satisfy = satisfy_stage(visits[visits["engine"] == engine])
        reasons += [f"satisfy: {why_satisfy}"] if why_satisfy else []
        found += [click, satisfy]
    stages = tuple(stage for stage in found if stage is not None)
    return Observed(engine, observation, stages, tuple(reasons), exposure)
