"""How large an effect one comparison of an edit could find, told before what it found (S7.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

if TYPE_CHECKING:
    from eventlib.geo.comparison import Comparison

__all__ = ["POWER_AT", "critical", "detectable", "error_of_change", "passing", "placebo_p", "predicted_power"]

Floats: TypeAlias = NDArray[np.float64]

POWER_AT: Final = (1.25, 1.5, 2.0)
_SIZE: Final = 0.05  # of the test whose power is told
_AIM: Final = 0.80
_SMOOTH: Final = 0.4  # width of the kernel, in standard deviations
_LARGEST: Final = 20.0


def placebo_p(statistic: float, placebos: Floats) -> float:
    """Return the share of statistics at least as far from 0, the edit's own among them.

    >>> placebo_p(2.0, np.array([0.5, -2.5, 1.0]))
    0.5
    """
    return float((1 + np.sum(np.abs(placebos) >= abs(statistic))) / (1 + len(placebos)))


def critical(placebos: Floats, size: float = _SIZE) -> float:
    """Return what a statistic must exceed for a p-value of at most `size`; infinite with too few placebos.

    >>> critical(np.arange(1.0, 40.0)), critical(np.arange(1.0, 10.0))
    (38.0, inf)
    """
    allowed = int(size * (1 + len(placebos)) + 1e-9) - 1  # placebos that may be as extreme
    if allowed < 0:
        return float("inf")
    return float(np.sort(np.abs(placebos))[-1 - allowed])


def passing(shift: float, scale: float, placebos: Floats) -> float:
    """Return how often a statistic around `shift`, spread as the placebos are, gets a p-value of at most .05.

    The placebos set the limit and stand for chance at once, so that too few of them pass it; they are smoothed,
    at the variance that they have, for that not to matter.

    >>> passing(0.0, 1.0, np.random.default_rng(0).normal(size=999)).__round__(2)
    0.05
    >>> passing(0.0, 1.0, np.zeros(3))
    0.0
    """
    limit = critical(placebos)
    width = _SMOOTH * float(np.sqrt(np.mean(placebos**2))) if len(placebos) else 0.0
    if not np.isfinite(limit) or width == 0:
        return 0.0
    kept = np.sqrt(1 - _SMOOTH**2) * np.concatenate([placebos, -placebos])
    centre, spread = shift + scale * kept, scale * width
    return float(np.mean(ndtr((centre - limit) / spread) + ndtr((-centre - limit) / spread)))


def predicted_power(found: Comparison, unit: int, base: float, ratio: float) -> float:
    """Return how often a true change by this ratio would get a p-value of at most .05.

    The statistic is then the true change over its error plus what unedited pages show at the same dates. The
    error is reckoned from the page's baseline and the ratio: what happened since the edit does not enter.

    Parameters
    ----------
    base
        Of the stage: the overall chance that its expected counts are multiples of.
    """
    true, modelled = _errors(found, unit, base, ratio)
    return passing(np.log(ratio) / modelled, true / modelled, found.placebos)


def error_of_change(found: Comparison, unit: int, base: float) -> float:
    """Return the error of the change that was found, for its interval.

    The statistic's own error supposes one level on both sides, as it has to where nothing changed; around a
    change the side with fewer counts is less sure than that.
    """
    return _errors(found, unit, base, float(np.exp(found.effect[unit])))[0]


def _errors(found: Comparison, unit: int, base: float, ratio: float) -> tuple[float, float]:
    """Return the error under a true change, and the one that the statistic will be divided by."""
    before, after = found.expected_before[unit] + 0.5, found.expected_after[unit] + 0.5
    level = found.level_before[unit]
    mixed = level * (before + ratio * after) / (before + after)
    rest = max(found.error[unit] ** 2 - _noise(base, found.level[unit]) * (1 / before + 1 / after), 0.0)
    true = rest + _noise(base, level) / before + _noise(base, level * ratio) / after
    return float(np.sqrt(true)), float(np.sqrt(rest + _noise(base, mixed) * (1 / before + 1 / after)))


def _noise(base: float, theta: float) -> float:
    return max(1 - base * theta, 0.1) / theta


def detectable(found: Comparison, unit: int, base: float) -> float:
    """Return the smallest gain, as a ratio, that would be found in 80 of 100; infinite where none up to 20 would."""
    low, high = 1.0, _LARGEST
    if predicted_power(found, unit, base, high) < _AIM:
        return float("inf")
    while high - low > 0.005:
        middle = (low + high) / 2
        enough = predicted_power(found, unit, base, middle) >= _AIM
        low, high = (low, middle) if enough else (middle, high)
    return high
