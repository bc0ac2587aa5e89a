"""Every page's change over one edit's dates, less its controls and less what was to be expected of it (S7.8, S7.9).

The change is the log of observed over expected after the edit minus before. Pages are edited when they do
badly, and lows partly pass and partly stay: how a page did in the weeks between its baseline and its edit
foretells some of its change. That part is predicted by the best linear predictor, whose three moments
(how much pages drift until the edit, until after it, and how the two go together) are taken from the unedited
pages over the same dates, and is taken off.

Sources: Abadie, Diamond and Hainmueller (2010), placebo inference; Goldberger (1962), best linear prediction;
Barnett, van der Pols and Dobson (2005), regression to the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from eventlib.cells import SMALL_CELL
from eventlib.geo.edit_dates import WEEK
from eventlib.geo.page_counts import PageCounts, Window, Windows, at_most_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventlib.geo.edit_dates import EditRules

__all__ = ["Comparison", "compare", "single_pages"]

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_HALF: Final = 0.5  # added to counts, times the page's own level: a log of nothing is finite, and unbiased
_LEAST_ROOM: Final = 0.1
_START: Final = 0.01  # between-page variance that the first weights assume


@dataclass(frozen=True, slots=True)
class Comparison:
    """Units over one edit's dates, or over those of several edits that compete; axis: units.

    A unit is a page, or a group of pages of which the k-th is taken over the k-th edit's dates.

    Attributes
    ----------
    members
        [unit, k]: its pages.
    effect, error
        Change less the controls' and less its prediction from the weeks between, and its modelled error.
    level, level_before
        Observed over expected on all dates together, and on those before the edit.
    expected_before, expected_after
        Counts, over a unit's pages.
    controls
        How many pages each could be compared with.
    placebo
        Effect over error of the units that nobody edited and that have controls enough; NaN of the others.
    drift
        Between-unit variance of the change beyond count noise.
    """

    dates: tuple[Windows, ...]
    members: Ints
    effect: Floats
    error: Floats
    level: Floats
    level_before: Floats
    expected_before: Floats
    expected_after: Floats
    controls: Ints
    placebo: Floats
    drift: float

    @property
    def placebos(self) -> Floats:
        """The statistics of the units that nobody edited."""
        known: Floats = self.placebo[~np.isnan(self.placebo)]
        return known


def single_pages(pages: PageCounts) -> Ints:
    """Return every page as a unit of its own."""
    return np.arange(len(pages.rivals.contents), dtype=np.int64)[:, None]


def compare(
    pages: PageCounts, edited: Bools, dates: Sequence[Windows], members: Ints, rules: EditRules
) -> Comparison:
    """Compare every unit with its controls over the dates of one edit, or of several.

    Parameters
    ----------
    edited
        Pages that any edit of the calendar changed: neither controls nor placebos.
    dates
        One per page of a unit.
    members
        [unit, k]: the page that is taken over the k-th dates.
    """
    sides = [_side(pages, edited, one, rules) for one in dates]
    blocked = at_most_one(csr_array(sum(pages.rivals.blocked[members[:, k], :] for k in range(len(sides)))))
    weight = np.stack([side.after[members[:, k]] for k, side in enumerate(sides)], axis=1)
    weight = (weight + 1e-9) / (weight + 1e-9).sum(axis=1, keepdims=True)
    usable = np.all([side.fit[members[:, k]] for k, side in enumerate(sides)], axis=0)
    fit = np.all([side.fit for side in sides], axis=0)
    controls = (fit.sum() - blocked @ fit.astype(np.float64)).round().astype(np.int64)
    units = _Units(sides, members, weight, blocked, usable)
    effect, error, drift = _adjusted(units)
    placebo = np.where(usable & (controls >= rules.fewest_controls), effect / error, np.nan)
    before, after = (
        np.sum([getattr(side, name)[members[:, k]] for k, side in enumerate(sides)], axis=0)
        for name in ("before", "after")
    )
    levels = units.mean("theta"), units.mean("past_theta")
    return Comparison(tuple(dates), members, effect, error, *levels, before, after, controls, placebo, drift)


@dataclass(frozen=True, slots=True)
class _Side:
    """All pages over one edit's dates: level, change, the change before it, their count variances, counts."""

    theta: Floats
    room: Floats  # how far log O/E moves with the log odds: drift of a page that is nearly always cited shows less
    change: Floats
    variance: Floats
    past: Floats | None
    past_variance: Floats
    baseline: Floats  # the count variance that both changes have in common
    past_theta: Floats  # theta before the edit
    before: Floats
    after: Floats
    fit: Bools


def _side(pages: PageCounts, edited: Bools, dates: Windows, rules: EditRules) -> _Side:
    counted = [pages.within(window) for window in (dates.before, dates.between, dates.after)]
    (_, e0), _, (_, e1) = counted
    theta, past_theta = _level(counted), _level(counted[:2])
    logs = [np.log((o + _HALF * theta) / (e + _HALF)) for o, e in counted]
    v0, vp, v1 = (_count_variance(pages.base, theta, e) for _, e in counted)
    told = dates.between.end - dates.between.start >= WEEK
    # a control is unedited, and seen enough to say something; that it is in other answers is seen to
    # elsewhere; what it shows is shown, so that it takes as many people as any figure
    span = Window(dates.before.start, dates.after.end)
    fit = ~edited & (np.minimum(e0, e1) >= rules.least_expected) & (pages.people(span) >= SMALL_CELL)
    past = logs[1] - logs[0] if told else None
    room = np.maximum(1 - pages.base * theta, _LEAST_ROOM)
    change = logs[2] - logs[0]
    return _Side(theta, room, change, v0 + v1, past, v0 + vp, v0, past_theta, e0, e1, fit)


def _level(counted: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Return observed over expected over several windows, drawn towards 1."""
    observed, expected = (np.sum(values, axis=0) for values in zip(*counted, strict=True))
    level: Floats = (observed + 2.0) / (expected + 2.0)
    return level


def _count_variance(base: float, theta: Floats, expected: Floats) -> Floats:
    """Return the variance of a log count, of events that happen or not with chance base * theta."""
    variance: Floats = np.maximum(1 - base * theta, _LEAST_ROOM) / theta / (expected + _HALF)
    return variance


@dataclass(frozen=True, slots=True)
class _Units:
    """Units made of pages, and what stands against them."""

    sides: Sequence[_Side]
    members: Ints
    weight: Floats
    blocked: csr_array
    usable: Bools

    def rest(self, drift: float, *, past: bool = False) -> tuple[Floats, Floats]:
        """Return each unit's change less its controls', and the variance of that without the unit's own drift."""
        size = len(self.members)
        rest, own, others = np.zeros(size), np.zeros(size), np.zeros(size)
        for k, side in enumerate(self.sides):
            change = side.past if past else side.change
            assert change is not None
            variance = side.past_variance if past else side.variance
            mean, spread = _less_controls(change, variance + drift * side.room**2, self.blocked, side.fit)
            page, weight = self.members[:, k], self.weight[:, k]
            rest += weight * (change[page] - mean)
            own += weight**2 * variance[page]
            others += weight * np.sqrt(spread)
        return rest, own + others**2

    def mean(self, name: str, power: int = 1) -> Floats:
        """Return a quantity of the pages as the unit has it, weights taken to a power."""
        parts = [
            self.weight[:, k] ** power * getattr(side, name)[self.members[:, k]]
            for k, side in enumerate(self.sides)
        ]
        total: Floats = np.sum(parts, axis=0)
        return total


def _less_controls(change: Floats, variance: Floats, blocked: csr_array, fit: Bools) -> tuple[Floats, Floats]:
    """Return each unit's mean over its controls, weighted by precision, and that mean's variance; NaN without any."""
    weight = np.where(fit, 1 / variance, 0.0)
    total = weight.sum() - blocked @ weight
    moved = (weight @ change) - blocked @ (weight * change)
    total = np.where(total > 1e-9, total, np.nan)
    return moved / total, 1 / total


def _adjusted(units: _Units) -> tuple[Floats, Floats, float]:
    """Return effect, error and drift: what the weeks before the edit foretell is taken off, and makes it surer."""
    room = units.mean("room") ** 2
    rest, known = units.rest(_START)
    drift = _moment(rest**2 - known, known, room, units.usable)
    rest, known = units.rest(drift)
    if any(side.past is None for side in units.sides):
        return rest, np.sqrt(known + drift * room), drift
    past, past_known = units.rest(_START, past=True)
    baseline = units.mean("baseline", 2)
    moved = _moment(past**2 - past_known, past_known, room, units.usable)
    both = _moment(rest * past - baseline, np.sqrt(known * past_known), room, units.usable)
    # what the two changes have in common: drift that lasts, and the baseline's own count noise
    common = min(both, np.sqrt(drift * moved)) * room + baseline
    foretold = common / (moved * room + past_known)
    spread = np.maximum(known + drift * room - foretold * common, 0.25 * known)
    return rest - foretold * past, np.sqrt(spread), drift


def _moment(excess: Floats, known: Floats, room: Floats, usable: Bools) -> float:
    """Return a moment between units beyond count noise, in log odds, over those that nobody edited; never below 0."""
    there = usable & ~np.isnan(excess)
    if not there.any():
        return 0.0
    # weighted by what each unit tells of it: the logs of small counts are rough, and would drown the rest
    weight = (room[there] / (known[there] + _START)) ** 2
    return max(float(np.average(excess[there] / room[there], weights=weight)), 0.0)
