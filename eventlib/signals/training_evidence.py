"""What edits did and where pages fail, as people who allow training made it known: what feedback is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eventlib.columns import texts
from eventlib.geo.engagement import score_observed
from eventlib.geo.experiments import judge_observed
from eventlib.geo.observed import observed_stages
from eventlib.ranking.impressions import allows_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from eventlib.geo.engagement import Score

__all__ = ["TrainingEvidence", "read_evidence", "training_frames"]

_ANSWERED: Final = ("answer_generate", "citation_show")
"""Events whose observation says whether an answer was the site's own or a probe's."""


@dataclass(frozen=True, slots=True)
class TrainingEvidence:
    """What feedback for editors and language models rests on.

    Attributes
    ----------
    edits : DataFrame
        `content_edit`, rows that allow training.
    verdicts, placebos : DataFrame
        As `experiments.judge_edits` returns them, of owned engines.
    score : Score or None
        Of the engine ranked for, by content; None where it shows no stage.
    """

    edits: pd.DataFrame
    verdicts: pd.DataFrame
    placebos: pd.DataFrame
    score: Score | None


def training_frames(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the rows that allow training, and of answers those that owned engines gave (S9).

    Who allows analytics alone is in the reports, and in nothing that trains.
    """
    kept = {name: frame[allows_training(frame)] for name, frame in frames.items()}
    owned = {name: kept[name][texts(kept[name], "observation", "owned") == "owned"] for name in _ANSWERED}
    return kept | owned


def read_evidence(frames: Mapping[str, pd.DataFrame], engine: str) -> TrainingEvidence:
    """Judge the edits on owned engines, and score the pages of the one that is ranked for.

    Parameters
    ----------
    frames
        As `eventlib.geo.read_frames` returns them.
    engine
        The engine ranked for.
    """
    kept = training_frames(frames)
    observed = [one for one in observed_stages(kept) if one.observation == "owned"]
    verdicts, placebos, _ = judge_observed(kept, observed)
    own = [one for one in observed if one.engine == engine and one.stages]
    score = score_observed(own)[0] if own else None
    return TrainingEvidence(kept["content_edit"], verdicts, placebos, score)
