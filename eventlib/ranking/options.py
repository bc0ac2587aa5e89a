"""How a ranker is trained and judged: the settings of a run, refused where they make no sense (S8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Final

from eventlib.errors import BadCallError
from eventlib.ranking.learners import check_learner

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Options"]

MOST_HOURS: Final = 1_000_000
"""A century of embargo: longer than any log, and far from where microseconds overflow."""
MOST_SEED: Final = 2_000_000_000
"""Every generator in use takes it, and the few numbers after it that shuffles and refits add."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a ranker is trained and judged.

    Attributes
    ----------
    engine
        The engine to rank for; "" takes the owned engine with the most clicks.
    evaluation_share
        Last share of the shows, by time, that is held out; between 0 and 1.
    embargo_hours
        Left out between the two: session timeout and the window in which a click may still come (S8.4). From 0: with less,
        the ranker would be judged on what it learned from.
    replicates
        Bootstrap replicates over people; at least 2.
    seed
        Of trees, replicates and shuffles; from 0.
    learner
        "hist" (scikit-learn's trees) or "lightgbm" (`pip install 'eventlib[lightgbm]'`).
    exposure
        CSV file of a curve from elsewhere, `slot, rank, exposure` and, if known, `log_se`; "" estimates it from the log.
    prompt_clusters
        File of saved prompt clusters, fitted for training on prompts before the cut, written if it is not there; ""
        fits them on this log alone.

    Raises
    ------
    BadCallError
        A figure that is out of its range; another learner, or one that is not installed.

    Examples
    --------
    >>> Options(embargo_hours=-24.0)
    Traceback (most recent call last):
    eventlib.errors.BadCallError: embargo_hours must be a number from 0 to 1,000,000; it is -24.0
    """

    engine: str = ""
    evaluation_share: float = 0.35
    embargo_hours: float = 24.5
    replicates: int = 200
    seed: int = 0
    learner: str = "hist"
    exposure: str = ""
    prompt_clusters: str = ""

    def __post_init__(self) -> None:
        for name, value, fits, what in self._figures():
            if not fits:
                raise BadCallError(f"{name} must be {what}; it is {value!r}")
        check_learner(self.learner)

    def _figures(self) -> Iterator[tuple[str, object, bool, str]]:
        """Yield each figure: its name, its value, whether it is in its range, and the range in words."""
        share, hours = self.evaluation_share, self.embargo_hours
        yield "evaluation_share", share, _is(share, Real) and 0 < share < 1, "a number between 0 and 1"
        fits = _is(hours, Real) and 0 <= hours <= MOST_HOURS
        yield "embargo_hours", hours, fits, f"a number from 0 to {MOST_HOURS:,}"
        fits = _is(self.replicates, Integral) and self.replicates > 1
        yield "replicates", self.replicates, fits, "a whole number from 2"
        fits = _is(self.seed, Integral) and 0 <= self.seed <= MOST_SEED
        yield "seed", self.seed, fits, f"a whole number from 0 to {MOST_SEED:,}"


def _is(value: object, kind: type) -> bool:
    """Tell whether a value is a number of a kind; true and false are none."""
    return isinstance(value, kind) and not isinstance(value, bool)
