"""AllPairs, the published estimator from swaps, for comparison with the conditional likelihood."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit, log_expit

from eventlib.exposure.swaps import Floats

__all__ = ["all_pairs"]

_MAX_PAIRED: Final = 30  # AllPairs has a parameter per pair of positions


def all_pairs(shows: Floats | csr_array, clicks: Floats | csr_array) -> Floats:
    """Estimate relative exposures by AllPairs (Agarwal et al. 2019), for comparison; NaN where it cannot.

    For each pair of positions, keys shown at both give click and no-click mass at either, weighted by one
    over the shows; these are fitted by p(position) * r(pair), r shared by both positions of a pair.
    """
    width = shows.shape[1]
    if not 2 <= width <= _MAX_PAIRED:
        return np.full(width, np.nan)
    clicked, passed = _masses(csr_array(shows), csr_array(clicks))
    upper = np.triu_indices(width, 1)
    pair = np.zeros((width, width), dtype=np.int64)
    pair[upper] = np.arange(len(upper[0]))
    pair = pair + pair.T

    def loss(theta: Floats) -> tuple[float, Floats]:
        exposed, interest = theta[:width, None], theta[width:][pair]
        log_p = np.minimum(log_expit(exposed) + log_expit(interest), -1e-12)
        odds = np.exp(log_p) / -np.expm1(log_p)
        slope = clicked - passed * odds  # derivative by log p
        gradient = np.zeros_like(theta)
        gradient[:width] = (slope * expit(-exposed)).sum(axis=1)
        gradient[width:] = np.bincount(pair.ravel(), (slope * expit(-interest)).ravel(), len(upper[0]))
        value = (clicked * log_p + passed * np.log(-np.expm1(log_p))).sum()
        # a light pull to the middle: without it pairs that were never clicked drift off without end
        return float(-value + 1e-4 * (theta @ theta)), -gradient + 2e-4 * theta

    fitted = minimize(loss, np.zeros(width + len(upper[0])), jac=True, method="L-BFGS-B")
    exposed = np.exp(log_expit(fitted.x[:width]))
    relative: Floats = exposed / exposed[0]
    return np.where(clicked.sum(axis=1) > 0, relative, np.nan)


def _masses(shows: csr_array, clicks: csr_array) -> tuple[Floats, Floats]:
    """Return click and no-click mass at p over the keys also shown at q, shape (p, q), 0 where p is q."""
    inverse, both = shows.copy(), shows.copy()
    inverse.data, both.data = 1 / shows.data, np.ones(len(shows.data))
    rate = clicks.multiply(inverse)
    clicked: Floats = (rate.T @ both).toarray()
    passed: Floats = (both.T @ both).toarray() - clicked
    np.fill_diagonal(clicked, 0.0)
    np.fill_diagonal(passed, 0.0)
    return clicked, passed
