"""How large an effect one comparison of an edit could find, told before what it found (S7.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eventlib.geo.comparison import Comparison

__all__ = ["POWER_AT", "critical", "detectable", "error_of_change", "placebo_p", "predicted_power"]

Floats: TypeAlias = NDArray[np.float64]

POWER_AT: Final = (1.25, 1.5, 2.0)
_SIZE: Final = 0.05  # of the test whose power is told
_AIM: Final = 0.80
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
    both = np.concatenate([found.placebos, -found.placebos])
    statistics = (np.log(ratio) + true * both) / modelled
    return float(np.mean(np.abs(statistics) > critical(found.placebos)))


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
