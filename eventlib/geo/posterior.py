"""What is known of every page at every stage, all stages together (S7.6).

Each stage happens or does not: O of n = E / base trials, and theta = chance / base. Over pages the logits of
the chances are jointly Student-t: each stage has a mean, a slope by the log of its expected count (better
pages are seen more, and shrinking rarely seen pages to the mean of all would flatter them) and a spread, and
the stages are correlated (a page that is cited more is often read longer). All of these are drawn with the
pages, so that not knowing them is in the intervals. Counts are divided by a dispersion before.

The sampler is Gibbs': with Polya-Gamma variables the binomial likelihood is normal given them, and every
step is a draw from a known distribution.

Sources: Polson, Scott and Windle (2013), Bayesian inference for logistic models using Polya-Gamma latent
variables; Huang and Wand (2013), a covariance prior with half-t standard deviations; McCullagh and Nelder
(1989), quasi-likelihood. docs/decisions/0046 says why it is not a Gamma prior for each stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Counts", "joint_draws"]

Floats: TypeAlias = NDArray[np.float64]

_CHAINS: Final = 8
_WARM_UP: Final = 150
_TERMS: Final = 6  # of the Polya-Gamma series that are drawn; the rest is matched by its two moments
_MANY: Final = 30.0  # trials from which a Polya-Gamma variable is as good as normal
_HIGHEST_RATE: Final = 0.98
_SPREAD_SCALE: Final = 1.0  # of the half-t prior of a stage's standard deviation, logit
_INTERCEPT_SD: Final = 1.0
_SLOPE_SD: Final = 0.5
_FREEDOM: Final = 6.0  # of the Student-t over pages
_FARTHEST: Final = 3.0  # standard deviations of size


@dataclass(frozen=True, slots=True)
class Counts:
    """One stage's counts per cell.

    Attributes
    ----------
    observed, expected
        Float64 per cell; both 0 where the stage says nothing of the cell.
    spread
        Dispersion per cell: the variance of the counts over the binomial one.
    base
        The stage's overall rate.
    """

    observed: Floats
    expected: Floats
    spread: Floats
    base: float

    @property
    def rate(self) -> float:
        """The overall rate, away from 0 and 1."""
        return min(max(self.base, 1e-4), _HIGHEST_RATE)


def joint_draws(
    stages: Sequence[Counts],
    *,
    draws: int,
    rng: np.random.Generator,
    group: NDArray[np.int64] | None = None,
) -> list[Floats]:
    """Draw theta of every cell at every stage.

    Parameters
    ----------
    stages
        At least one, all of the same cells.
    draws
        How many; rounded up to a multiple of 8 chains.
    group
        Code of the group that each cell belongs to (a page's cells by prompt cluster, say), ascending from 0
        without gaps: cells are then drawn towards their group, and groups towards all.

    Returns
    -------
    list of numpy.ndarray of float64
        Per stage, draws by cells.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> counts = Counts(np.array([300.0, 1.0]), np.array([100.0, 1.0]), np.ones(2), 0.1)
    >>> theta = joint_draws([counts], draws=4000, rng=rng)[0]
    >>> bool(2.5 < theta[:, 0].mean() < 3.1)  # much evidence: near 3
    True
    """
    state = _State.start(stages, group, rng)
    kept = [state.step(rng) for _ in range(_WARM_UP + -(-draws // _CHAINS))][_WARM_UP:]
    logits = np.concatenate(kept)  # draws, cells, stages
    return [expit(logits[:, :, s]) / stage.rate for s, stage in enumerate(stages)]


def _trials(stage: Counts) -> tuple[Floats, Floats]:
    """Return successes and trials, each over the dispersion."""
    trials = np.maximum(stage.expected / stage.rate, stage.observed)
    return stage.observed / stage.spread, trials / stage.spread


def _size(expected: Floats) -> Floats:
    """Return the log of the expected count, with mean 0 and standard deviation 1; far out, no line is trusted."""
    size = np.log(expected + 0.5)
    size = size - size.mean()
    bounded: Floats = np.clip(size / max(float(size.std()), 1e-6), -_FARTHEST, _FARTHEST)
    return bounded


@dataclass(slots=True)
class _Spread:
    """How logits vary around their centre, and the auxiliaries of its half-t prior (2 degrees of freedom)."""

    precision: Floats  # (c, s, s)
    scale: Floats  # (c, s)

    @classmethod
    def start(cls, stages: int) -> _Spread:
        return cls(np.repeat(np.eye(stages)[None] * 4.0, _CHAINS, axis=0), np.ones((_CHAINS, stages)))

    def draw(self, scatter: Floats, size: int, rng: np.random.Generator) -> None:
        """Draw the precision from its Wishart given the residuals' squares, then the auxiliaries."""
        width = scatter.shape[-1]
        scatter = scatter + 4 * np.eye(width) / self.scale[:, :, None]
        self.precision = _wishart(1.0 + width + size, np.linalg.inv(scatter).astype(np.float64), rng)
        rate = 2 * np.diagonal(self.precision, axis1=1, axis2=2) + 1 / _SPREAD_SCALE**2
        self.scale = rate / rng.standard_gamma((2 + width) / 2, rate.shape)


@dataclass(slots=True)
class _State:
    """Chains of the sampler; axes: chains c, cells i, groups g, stages s."""

    trials: Floats  # (i, s)
    half: Floats  # (i, s): successes less half the trials
    design: Floats  # (i, s, 2): 1 and size
    prior_mean: Floats  # (s, 2)
    group: NDArray[np.int64] | None  # (i,)
    logits: Floats  # (c, i, s)
    effects: Floats  # (c, s, 2)
    groups: Floats  # (c, g, s): what a group's cells have in common
    mixing: Floats  # (c, i): what makes the normal a Student-t
    within: _Spread
    between: _Spread

    @classmethod
    def start(
        cls, stages: Sequence[Counts], group: NDArray[np.int64] | None, rng: np.random.Generator
    ) -> _State:
        successes, trials = (np.stack(part, axis=1) for part in zip(*map(_trials, stages), strict=True))
        rate = np.array([stage.rate for stage in stages])
        size = np.stack([_size(stage.expected) for stage in stages], axis=1)
        cells, width = trials.shape
        first = logit((successes + 2 * rate) / (trials + 2))
        mean = np.stack([logit(rate), np.zeros(width)], axis=1)
        return cls(
            trials,
            successes - trials / 2,
            np.stack([np.ones_like(size), size], axis=2),
            mean,
            group,
            first + 0.1 * rng.normal(size=(_CHAINS, cells, width)),
            np.repeat(mean[None], _CHAINS, axis=0),
            np.zeros((_CHAINS, 1 if group is None else int(group.max()) + 1, width)),
            np.ones((_CHAINS, cells)),
            _Spread.start(width),
            _Spread.start(width),
        )

    def step(self, rng: np.random.Generator) -> Floats:
        """Draw each group of unknowns given the others; return the logits."""
        self._draw_logits(rng)
        if self.group is not None:
            self._draw_groups(rng)
        self._draw_effects(rng)
        residual = self.logits - self._line() - self._common()
        scatter = np.einsum("ci,cis,cit->cst", self.mixing, residual, residual)
        self.within.draw(scatter, residual.shape[1], rng)
        distance = np.einsum("cis,cst,cit->ci", residual, self.within.precision, residual)
        shape = (_FREEDOM + residual.shape[2]) / 2
        self.mixing = rng.standard_gamma(shape, distance.shape) / ((_FREEDOM + distance) / 2)
        return self.logits

    def _line(self) -> Floats:
        line: Floats = np.einsum("isk,csk->cis", self.design, self.effects)
        return line

    def _common(self) -> Floats:
        return self.groups if self.group is None else self.groups[:, self.group]

    def _draw_logits(self, rng: np.random.Generator) -> None:
        weight = polya_gamma(self.trials, self.logits, rng)
        prior = self.mixing[:, :, None, None] * self.within.precision[:, None]
        total = prior + weight[..., None] * np.eye(weight.shape[-1])
        towards = self.half + np.einsum("cist,cit->cis", prior, self._line() + self._common())
        self.logits = _normal(total, towards, rng)

    def _draw_groups(self, rng: np.random.Generator) -> None:
        """Draw what each group's cells share, and how groups vary."""
        assert self.group is not None
        residual = self.mixing[:, :, None] * (self.logits - self._line())
        first = np.flatnonzero(np.diff(self.group, prepend=-1))
        sums, weight = (np.add.reduceat(part, first, axis=1) for part in (residual, self.mixing))
        total = weight[:, :, None, None] * self.within.precision[:, None] + self.between.precision[:, None]
        towards = np.einsum("cst,cgt->cgs", self.within.precision, sums)
        self.groups = _normal(total, towards, rng)
        scatter = np.einsum("cgs,cgt->cst", self.groups, self.groups)
        self.between.draw(scatter, self.groups.shape[1], rng)

    def _draw_effects(self, rng: np.random.Generator) -> None:
        """Regress the logits on 1 and size, the stages' errors correlated."""
        width, precision = self.design.shape[1], self.within.precision
        square = np.einsum("ci,isk,itl->csktl", self.mixing, self.design, self.design)
        prior = np.diag(np.tile([_INTERCEPT_SD**-2, _SLOPE_SD**-2], width))
        total = (square * precision[:, :, None, :, None]).reshape(_CHAINS, 2 * width, 2 * width) + prior
        pulled = np.einsum("ci,cst,cit->cis", self.mixing, precision, self.logits - self._common())
        towards = np.einsum("isk,cis->csk", self.design, pulled).reshape(_CHAINS, 2 * width)
        towards = towards + prior @ self.prior_mean.ravel()
        self.effects = _normal(total, towards, rng).reshape(_CHAINS, width, 2)


def polya_gamma(trials: Floats, tilt: Floats, rng: np.random.Generator) -> Floats:
    """Draw Polya-Gamma variables: of few trials by their series of gammas, of many by their normal limit.

    Parameters
    ----------
    trials
        Float64 of any shape, at least 0; where it is 0, so is what is drawn.
    tilt
        Float64, broadcast over a first axis of chains.

    Examples
    --------
    >>> drawn = polya_gamma(np.array([2.5]), np.full((100_000, 1), 1.0), np.random.default_rng(0))
    >>> bool(abs(drawn.mean() - 2.5 / 2 * np.tanh(0.5)) < 0.005)
    True
    """
    mean, variance = _moments(np.maximum(np.abs(tilt), 1e-3))
    drawn = np.maximum(trials * mean + np.sqrt(trials * variance) * rng.normal(size=tilt.shape), 0.0)
    few = trials < _MANY
    if few.any():
        drawn[:, few] = _series(trials[few], tilt[:, few], (trials * mean)[:, few], rng)
    return drawn


def _moments(tilt: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance per trial."""
    half = np.tanh(tilt / 2)
    # (sinh c - c) / cosh(c / 2)^2, without the overflow
    rest = 2 * half - tilt * (1 - half**2)
    return half / (2 * tilt), rest / (4 * tilt**3)


def _series(trials: Floats, tilt: Floats, mean: Floats, rng: np.random.Generator) -> Floats:
    """Sum the first terms, each a gamma; of the others, which hardly vary, their mean."""
    order = (np.arange(_TERMS) + 0.5) ** 2
    scale = 1 / (2 * np.pi**2 * (order + tilt[..., None] ** 2 / (4 * np.pi**2)))
    gammas = rng.standard_gamma(np.broadcast_to(trials[:, None], scale.shape))
    drawn: Floats = (gammas * scale).sum(axis=-1) + np.maximum(mean - trials * scale.sum(axis=-1), 0.0)
    return drawn


def _normal(precision: Floats, towards: Floats, rng: np.random.Generator) -> Floats:
    """Draw normal vectors of which the precision matrix, and that times the mean, are given."""
    lower = np.linalg.cholesky(precision)
    mean = np.linalg.solve(precision, towards[..., None])[..., 0]
    noise = rng.normal(size=towards.shape)
    drawn: Floats = mean + np.linalg.solve(np.swapaxes(lower, -1, -2), noise[..., None])[..., 0]
    return drawn


def _wishart(freedom: float, scale: Floats, rng: np.random.Generator) -> Floats:
    """Draw Wishart matrices, one per chain, by Bartlett's decomposition."""
    chains, width = scale.shape[:2]
    factor = np.tril(rng.normal(size=scale.shape), -1)
    degrees = freedom - np.arange(width)
    factor[:, np.arange(width), np.arange(width)] = np.sqrt(
        2 * rng.standard_gamma(degrees / 2, (chains, width))
    )
    root = np.linalg.cholesky(scale) @ factor
    return root @ np.swapaxes(root, 1, 2)
