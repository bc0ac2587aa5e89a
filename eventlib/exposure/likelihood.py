"""The conditional likelihood of clicks given each key's total, and errors that hold when its model does not.

A click needs a look and an interest: under the position-based model P(click) = e(slot, rank) * g(key), where
a key is one content version for one prompt in one month, so that g can be taken as constant. Given a key's
total, its clicks are multinomial with weights n(key, p) * e(p), where n counts shows: g drops out, whatever
it is, and a key informs e exactly if it was shown at two positions and clicked at one. That conditional
likelihood (a Poisson model with a free effect per key) is concave in log e.

Its information matrix gives errors that are too large where clicks are likely (a show has one click at most,
its variance is below its mean) and too small where people click alike. Those of `clustered_covariance` suppose
only that people are independent.

Sources: Joachims, Swaminathan and Schnabel (2017), the position-based model; Hausman, Hall and Griliches (1984),
the conditional Poisson likelihood; Bell and McCaffrey (2002), bias-reduced linearisation of clustered errors.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from eventlib.exposure.swaps import Floats, Ints, Swaps

__all__ = ["clustered_covariance", "conditional_fit", "meat"]


def conditional_fit(
    shows: Floats | csr_array,
    clicks: Floats | csr_array,
    start: Floats | None = None,
    ridge: float = 0.0,
    steps: int = 50,
) -> tuple[Floats, Floats]:
    """Maximise the conditional likelihood of clicks given each key's total, by Newton's method.

    Parameters
    ----------
    shows, clicks
        Keys by positions, float64, dense or sparse. Column 0 is the reference, whose log exposure is 0. All
        columns must be connected by swaps, else the maximum lies at infinity (`ridge` keeps it finite).
    start
        Log exposures to start from (positions); also what `ridge` draws towards.
    ridge
        Precision of a normal prior around `start`; 0 for maximum likelihood.

    Returns
    -------
    log_exposure, information
        Float64 of positions, and positions - 1 squared (without the reference).
    """
    totals = clicks.sum(axis=1)
    informs = (totals > 0) & ((shows > 0).sum(axis=1) > 1)
    shows, clicks, totals = shows[informs], clicks[informs], totals[informs]
    log_exposure = np.zeros(shows.shape[1]) if start is None else np.asarray(start, dtype=np.float64).copy()
    anchor, observed = log_exposure.copy(), clicks.sum(axis=0)
    information = np.eye(max(len(log_exposure) - 1, 0)) * ridge
    for _ in range(steps):
        weight = np.exp(log_exposure)
        mass, second = _moments(shows, totals, weight)
        gradient = (observed - mass - ridge * (log_exposure - anchor))[1:]
        information = (np.diag(mass) - second)[1:, 1:] + np.eye(len(gradient)) * ridge
        step = np.linalg.solve(information, gradient) if len(gradient) else gradient
        step = np.clip(step, -1.0, 1.0)  # far from the maximum the quadratic overshoots
        log_exposure[1:] += step
        if not len(step) or np.abs(step).max() < 1e-9:
            break
    return log_exposure, information


def _moments(shows: Floats | csr_array, totals: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return expected clicks per position, and their second moments summed over keys (positions squared)."""
    expected = shows @ weight
    mass: Floats = weight * (shows.T @ (totals / expected))
    crossed = shows.T @ (shows * (totals / expected**2)[:, None])
    dense: Floats = crossed if isinstance(crossed, np.ndarray) else crossed.toarray()
    return mass, np.outer(weight, weight) * dense


def meat(scores: Floats | csr_array) -> Floats:
    """Return the sum of the outer products of clusters' scores, with the factor of few clusters.

    Parameters
    ----------
    scores
        Clusters by parameters, float64.
    """
    count = scores.shape[0]
    product = scores.T @ scores
    dense: Floats = product if isinstance(product, np.ndarray) else product.toarray()
    dense *= count / max(count - 1, 1)
    return dense


def clustered_covariance(swaps: Swaps, cluster: Ints, log_exposure: Floats, information: Floats) -> Floats:
    """Return the covariance of log exposures, clustered, shape (positions, positions); the reference has none.

    The score of a show is its residual (click less expectation) times the difference of its position from its
    key's shares. Expectations are fitted per key, so that where a key has few shows residuals are too small; of
    each cluster's part of a key, the component that the key's own effect took is divided by sqrt(1 - h), h the
    cluster's share of the key's expected clicks, as in bias-reduced linearisation.

    Parameters
    ----------
    swaps
        Rows of informing keys at connected positions.
    cluster
        Of each row, int64: who is independent of the others.
    log_exposure, information
        From `conditional_fit` on them.
    """
    weight = np.exp(log_exposure)
    keys = int(swaps.key.max(initial=-1)) + 1
    totals: Floats = np.bincount(swaps.key, swaps.clicked, keys).astype(np.float64)
    row_weight = weight[swaps.position]
    scale = totals / np.bincount(swaps.key, row_weight, keys)
    residual = _adjusted(swaps, cluster, row_weight * scale[swaps.key], totals)
    covariance = np.zeros((len(weight), len(weight)))
    bread = np.linalg.inv(information)
    middle = meat(_scores(swaps, cluster, residual, weight))[1:, 1:]
    covariance[1:, 1:] = bread @ middle @ bread
    return covariance


def _adjusted(swaps: Swaps, cluster: Ints, expected: Floats, totals: Floats) -> Floats:
    """Return each row's residual, with what the fit of its key's effect took from it put back."""
    keys = max(len(totals), 1)
    part, of_key = pd.factorize(cluster * keys + swaps.key)
    hoped, came = np.bincount(part, expected), np.bincount(part, swaps.clicked)
    left = 1 - hoped / np.maximum(totals[of_key % keys], 1e-300)
    shared = left > 1e-9  # a cluster with a whole key has the key's residuals, which sum to nothing
    factor = np.zeros(len(of_key))
    factor[shared] = (1 / np.sqrt(left[shared]) - 1) * (came[shared] / np.maximum(hoped[shared], 1e-300) - 1)
    adjusted: Floats = swaps.clicked - expected + factor[part] * expected
    return adjusted


def _scores(swaps: Swaps, cluster: Ints, residual: Floats, weight: Floats) -> csr_array:
    """Return clusters' sums of residual times (own position less the key's shares), clusters by positions."""
    group = pd.factorize(cluster)[0]
    clusters = int(group.max(initial=-1)) + 1
    shows = swaps.cells()[0]
    expected = shows * weight[None, :]
    share = csr_array(expected * (1 / expected.sum(axis=1))[:, None])
    own = csr_array((residual, (group, swaps.position)), (clusters, len(weight)))
    keyed = csr_array((residual, (group, swaps.key)), (clusters, share.shape[0]))
    return own - keyed @ share
