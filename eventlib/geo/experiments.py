"""Did an edit work? Observed over expected, after against before, less controls, among placebos (S7.8, S7.9).

For each edit the log of observed over expected after the edit minus before, less the weighted mean of control
pages over the same dates, is divided by its modelled error: count noise and what pages drift by themselves.
The same statistic on at least 40 unedited pages at the same dates says how large it gets by chance; the
edit's place among them is its p-value. Benjamini-Hochberg holds the false discoveries of a report at 10 %.

Sources: Abadie, Diamond and Hainmueller (2010), placebo inference; Benjamini and Hochberg (1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from eventlib.geo.cells import SMALL_CELL
from eventlib.geo.edit_dates import WEEK, EditRules, edit_calendar, records
from eventlib.geo.observed import ELSEWHERE, observed_stages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.geo.stages import Stage

__all__ = ["EditRules", "benjamini_hochberg", "edit_calendar", "judge_all", "judge_edits"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_NEAR: Final = 0.3  # share of a page's expected count in the edited page's answers that makes it a neighbour
_POWER: Final = 0.84  # normal quantile of 80 %


def benjamini_hochberg(p: Floats) -> Floats:
    """Return q-values; NaN stays NaN and takes no part.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    q = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


@dataclass(slots=True)
class _Pages:
    """One outcome's rows, coded by page, and which pages compete for the same answers."""

    contents: pd.Index
    stage: Stage
    cell: Ints
    shared: Floats  # [i, j]: share of j's expected count in answers that i competed for

    def counts(self, start: int, end: int) -> tuple[Floats, Floats]:
        """Return observed and expected per page within [start, end)."""
        inside = (self.stage.time_us >= start) & (self.stage.time_us < end)
        cell, size = self.cell[inside], len(self.contents)
        observed = np.bincount(cell, self.stage.observed[inside], size).astype(np.float64)
        return observed, np.bincount(cell, self.stage.expected[inside], size).astype(np.float64)


def _pages(stage: Stage, rivals: Stage) -> _Pages:
    contents = pd.Index(sorted({*stage.content, *rivals.content}))
    answer, answers = pd.factorize(rivals.answer)
    column = contents.get_indexer(pd.Index(rivals.content))
    shape = (len(answers), len(contents))
    weight = csr_array((rivals.expected, (answer, column)), shape=shape)
    there = csr_array((np.ones(len(answer)), (answer, column)), shape=shape)
    together = (there.T @ weight).toarray()
    total = np.maximum(np.asarray(weight.sum(axis=0)).ravel(), 1e-12)
    return _Pages(
        contents, stage, contents.get_indexer(pd.Index(stage.content)).astype(np.int64), together / total
    )


def _change(
    pages: _Pages, before: tuple[int, int], after: tuple[int, int]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return per page: log O/E after minus before, its count variance, and the expected counts of both sides."""
    (o0, e0), (o1, e1) = pages.counts(*before), pages.counts(*after)
    base = pages.stage.base
    theta = (o0 + o1 + 2.0) / (e0 + e1 + 2.0)
    noise = np.maximum(1 - base * theta, 0.1)  # of a count that happens or not
    half = 0.5
    change = np.log((o1 + half) / (e1 + half)) - np.log((o0 + half) / (e0 + half))
    variance = noise / theta * (1 / (e0 + half) + 1 / (e1 + half))
    return change, variance, e0, e1


def _against_controls(
    change: Floats, variance: Floats, allowed: NDArray[np.bool_], drift: float
) -> tuple[Floats, Floats, Ints]:
    """Return each page's change less its controls' weighted mean, the variance of that, and how many there were."""
    weight = np.where(allowed, 1 / (variance + drift), 0.0)
    total = weight.sum(axis=1)
    known = total > 0
    mean = np.divide(weight @ change, total, out=np.full(len(change), np.nan), where=known)
    spread = variance + drift + np.divide(1.0, total, out=np.full(len(change), np.nan), where=known)
    return change - mean, spread, allowed.sum(axis=1)


def judge_edits(
    calendar: pd.DataFrame, stages: Sequence[Stage], engine: str, rules: EditRules | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge every edit on every outcome that the engine lets us see.

    Parameters
    ----------
    calendar
        As `edit_calendar` returns it.
    stages
        The engine's stages; the first one with answers tells which pages compete.

    Returns
    -------
    verdicts, placebos
        `edit_id, content_id, change_type, engine, outcome, state` (better | worse | no difference shown | too
        little data | not testable), `reason, change` (ratio of O/E, 1 = none), `lower, upper, detectable`
        (the ratio that would be found in 80 of 100), `p, q, early, late` (ratios of weeks 1-2 and of later
        ones), `neighbours` (the ratio of unedited pages in the same answers), `expected_before,
        expected_after, weeks_before, weeks_after, controls, placebos, shares_with`; and the placebos'
        statistics, one row per edit, outcome and page: `edit_id, outcome, statistic`.
    """
    rules = rules or EditRules()
    rivals = next((stage for stage in stages if len(set(stage.answer)) > 1), None)
    verdicts, placebos = [], []
    for stage in stages if rivals is not None else ():
        assert rivals is not None
        pages = _pages(stage, rivals)
        edited = pages.contents.isin(calendar["content_id"])
        for edit in records(calendar):
            verdict, statistics = _judge(pages, edited, edit, rules)
            verdicts.append(edit | {"engine": engine, "outcome": stage.name} | verdict)
            placebos += [(edit["edit_id"], stage.name, value) for value in statistics]
    frame = pd.DataFrame(verdicts, columns=list(_VERDICT))
    frame = _with_q(frame, rules)
    return frame, pd.DataFrame(placebos, columns=["edit_id", "outcome", "statistic"])


def judge_all(
    frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0, rules: EditRules | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Judge every edit on every owned engine that shows its candidates or citations.

    Returns
    -------
    verdicts, placebos, calendar
        As `judge_edits` and `edit_calendar` return them; q-values are over a report's edits, for each
        outcome.
    """
    rules = rules or EditRules()
    verdicts, placebos, calendars = [], [], []
    for seen in observed_stages(frames, tau_ms=tau_ms):
        engine, stages = seen.engine, seen.stages
        if (
            seen.observation != "owned"
            or seen.engine == ELSEWHERE
            or not any(len(set(stage.answer)) > 1 for stage in stages)
        ):
            continue
        times = np.concatenate([stage.time_us for stage in stages]) if stages else np.empty(0, dtype=np.int64)
        if not len(times) or not len(frames["content_edit"]):
            continue
        calendar = edit_calendar(frames, engine, int(times.max()) + 1, int(times.min()), rules)
        frame, placebo = judge_edits(calendar, stages, engine, rules)
        verdicts.append(frame)
        placebos.append(placebo.assign(engine=engine))
        calendars.append(calendar.assign(engine=engine))
    if not verdicts:
        empty = pd.DataFrame(columns=list(_VERDICT))
        return empty, pd.DataFrame(columns=["edit_id", "outcome", "statistic", "engine"]), pd.DataFrame()
    return _with_q(pd.concat(verdicts, ignore_index=True), rules), pd.concat(placebos), pd.concat(calendars)


def _with_q(frame: pd.DataFrame, rules: EditRules) -> pd.DataFrame:
    """Return the verdicts with q-values over the edits of each outcome, and the states that follow."""
    q = np.full(len(frame), np.nan)
    for _, family in frame.reset_index(drop=True).groupby(["engine", "outcome"]):
        q[family.index] = benjamini_hochberg(family["p"].to_numpy(dtype=np.float64))
    found = q <= rules.false_discoveries
    states = np.where(found, np.where(frame["change"] > 1, "better", "worse"), frame["state"])
    states = np.where(~found & ~np.isnan(q), "no difference shown", states)
    return frame.assign(q=q, state=states)


_VERDICT: Final = (
    "edit_id", "content_id", "change_type", "engine", "outcome", "state", "reason", "change", "lower", "upper",
    "detectable", "statistic", "error", "p", "q", "early", "late", "neighbours", "expected_before", "expected_after",
    "weeks_before", "weeks_after",
    "controls", "placebos", "shares_with", "model_change", "edited_us", "exposed_us", "exposed_by",
)  # fmt: skip


def _untestable(edit: Mapping[str, Any], rules: EditRules) -> str:
    before, after = edit["weeks_before"], edit["weeks_after"]
    if before < rules.fewest_weeks:
        return f"{before} whole weeks before the page was chosen, {rules.fewest_weeks} are needed"
    return f"{after} whole weeks since, {rules.fewest_weeks} are needed" if after < rules.fewest_weeks else ""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """All pages over one edit's dates; axis: pages."""

    before: tuple[int, int]
    after: tuple[int, int]
    effect: Floats
    error: Floats
    expected_before: Floats
    expected_after: Floats
    allowed: NDArray[np.bool_]  # [i, j]: j may serve i as a control
    controls: Ints
    placebo: Floats  # statistics of the unedited pages
    drift: float


def _compare(
    pages: _Pages, edited: NDArray[np.bool_], edit: Mapping[str, Any], rules: EditRules
) -> _Comparison:
    before, after = (edit["before_from"], edit["before_to"]), (edit["after_from"], edit["after_to"])
    change, variance, e0, e1 = _change(pages, before, after)
    # a control is unedited, seen enough to say something, and not in the same answers (lists are zero-sum)
    fit = ~edited & (e1 >= 1) & (e0 >= 1)
    allowed = (pages.shared <= rules.most_shared) & fit & ~np.eye(len(edited), dtype=bool)
    drift = _drift(change, variance, allowed, fit)
    effect, spread, controls = _against_controls(change, variance, allowed, drift)
    error = np.sqrt(spread)
    placebo = (effect / error)[fit & (controls >= rules.fewest_controls)]
    return _Comparison(before, after, effect, error, e0, e1, allowed, controls, placebo, drift)


def _people(pages: _Pages, page: int, window: tuple[int, int]) -> int:
    inside = (pages.stage.time_us >= window[0]) & (pages.stage.time_us < window[1]) & (pages.cell == page)
    return len(set(pages.stage.cluster[inside]))


def _refusal(found: _Comparison, page: int, rules: EditRules) -> tuple[str, str]:
    if found.controls[page] < rules.fewest_controls:
        return "not testable", "too few pages outside its answers to compare with"
    if len(found.placebo) < rules.fewest_placebos:
        why = f"{len(found.placebo)} unedited pages to compare with, {rules.fewest_placebos} are needed"
        return "not testable", why
    expected = found.expected_after[page]
    if expected < rules.fewest_expected:
        return "too little data", f"{expected:.0f} expected since, {rules.fewest_expected:.0f} are needed"
    return "", ""


def _judge(
    pages: _Pages, edited: NDArray[np.bool_], edit: Mapping[str, Any], rules: EditRules
) -> tuple[dict[str, object], Floats]:
    """Judge one edit on one outcome; also the placebos' statistics where there are enough of them."""
    page = int(pages.contents.get_indexer(pd.Index([edit["content_id"]]))[0])
    if why := _untestable(edit, rules):
        return {"state": "not testable", "reason": why}, np.empty(0)
    for side, words in (("after", "since"), ("before", "before")):
        if page < 0 or _people(pages, page, (edit[f"{side}_from"], edit[f"{side}_to"])) < SMALL_CELL:
            return {
                "state": "too little data",
                "reason": f"fewer than {SMALL_CELL} people {words}",
            }, np.empty(0)
    found = _compare(pages, edited, edit, rules)
    others = edited & (pages.shared[page] > rules.most_shared) & (np.arange(len(edited)) != page)
    told: dict[str, object] = {
        "expected_before": found.expected_before[page], "expected_after": found.expected_after[page],
        "controls": int(found.controls[page]), "placebos": len(found.placebo), "shares_with": int(others.sum()),
    }  # fmt: skip
    state, reason = _refusal(found, page, rules)
    if state == "not testable":
        return told | {"state": state, "reason": reason}, np.empty(0)
    effect, error = found.effect[page], found.error[page]
    critical, bound = np.quantile(np.abs(found.placebo), [0.95, rules.level])
    told["detectable"] = float(np.exp((critical + _POWER) * error))
    if not state:
        extreme = np.sum(np.abs(found.placebo) >= abs(effect / error))
        ratio, lower, upper = np.exp([effect, effect - bound * error, effect + bound * error])
        told |= {"change": ratio, "lower": lower, "upper": upper, "statistic": effect / error, "error": error}
        told["p"] = (1 + extreme) / (1 + len(found.placebo))
        told |= _novelty(pages, found, page) | _displacement(pages, found, page, edited)
    return told | {"state": state or "no difference shown", "reason": reason}, found.placebo


def _drift(change: Floats, variance: Floats, allowed: NDArray[np.bool_], fit: NDArray[np.bool_]) -> float:
    """Return the variance between pages beyond count noise, by moments over unedited pages."""
    effect, spread, _ = _against_controls(change, variance, allowed, 0.01)
    usable = fit & ~np.isnan(effect)
    if not usable.any():
        return 0.0
    # weighted by what each page tells of it: the logs of small counts are rough, and would drown the rest
    weight = 1 / spread[usable] ** 2
    return max(float(np.average(effect[usable] ** 2 - (spread[usable] - 0.01), weights=weight)), 0.0)


def _displacement(
    pages: _Pages, found: _Comparison, page: int, edited: NDArray[np.bool_]
) -> dict[str, object]:
    """Return what unedited pages that compete with the edited one did: lists are zero-sum (S7.9)."""
    near = ~edited & (pages.shared[page] >= _NEAR) & ~np.isnan(found.effect) & (found.expected_after >= 1)
    if near.sum() < 3:
        return {}
    return {"neighbours": float(np.exp(np.average(found.effect[near], weights=1 / found.error[near] ** 2)))}


def _novelty(pages: _Pages, found: _Comparison, page: int) -> dict[str, object]:
    """Return the change in weeks 1 and 2, and in those that follow: what wears off was novelty."""
    split = found.after[0] + 2 * WEEK
    apart: dict[str, object] = {}
    for name, window in (("early", (found.after[0], split)), ("late", (split, found.after[1]))):
        if window[1] - window[0] >= WEEK:
            change, variance, _, _ = _change(pages, found.before, window)
            weight = np.where(found.allowed[page], 1 / (variance + found.drift), 0.0)
            apart[name] = float(np.exp(change[page] - weight @ change / weight.sum()))
    return apart
