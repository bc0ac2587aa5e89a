"""Did an edit work? Observed over expected, after against before, less controls, among placebos (S7.8, S7.9).

For each edit the log of observed over expected after the edit minus before, less the weighted mean of control
pages over the same dates, is divided by its modelled error: count noise and what pages drift by themselves
(`comparison`). The same statistic on at least 40 unedited pages at the same dates says how large it gets by
chance; the edit's place among them is its p-value. Edited pages that compete in the same answers are judged
as one. Benjamini-Hochberg holds the false discoveries of a report at 10 %.

Sources: Abadie, Diamond and Hainmueller (2010), placebo inference; Benjamini and Hochberg (1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.cells import SMALL_CELL
from eventlib.errors import BadCallError
from eventlib.geo.comparison import Comparison, compare, single_pages
from eventlib.geo.edit_dates import WEEK, EditRules, edit_calendar, records
from eventlib.geo.edit_words import edit_sentence
from eventlib.geo.joint import Member, competing, joint_comparison
from eventlib.geo.noticed import Noticed
from eventlib.geo.observed import Observed, observed_stages
from eventlib.geo.page_counts import PageCounts, Window, Windows, page_counts, rivalry, windows
from eventlib.geo.pooling import benjamini_hochberg
from eventlib.geo.power import POWER_AT, detectable, error_of_change, placebo_p, predicted_power

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventlib.geo.stages import Stage

__all__ = ["EditRules", "benjamini_hochberg", "edit_calendar", "judge_all", "judge_edits", "judge_observed"]

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Verdict: TypeAlias = dict[str, object]

_COUNTED: Final = {"owned": "people", "probe": "prompt-days", "platform_report": "prompt-days"}
_DATES: Final = (
    "before_from", "before_to", "edited_us", "exposed_us", "after_from", "after_to", "weeks_before", "weeks_after",
)  # fmt: skip
_NEAR: Final = 0.3  # share of a page's expected count in the edited page's answers that makes it a neighbour
_PLACEBO: Final = ("edit_id", "content_id", "engine", "observation", "outcome", "statistic")


@dataclass(slots=True)
class _Outcome:
    """One stage of one engine with what its edits are judged by."""

    name: str
    pages: PageCounts
    edited: Bools
    rules: EditRules
    counted: str

    def compare(self, dates: Windows) -> Comparison:
        return compare(self.pages, self.edited, [dates], single_pages(self.pages), self.rules)


def judge_edits(
    calendar: pd.DataFrame,
    stages: Sequence[Stage],
    engine: str,
    rules: EditRules | None = None,
    observation: str = "owned",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge every edit on every outcome that the engine lets us see.

    Edited pages that compete in the same answers (`EditRules.joint_from`) are judged as one: their group has a
    row of its own, and their own rows carry no p-value and are not claimed alone.

    Parameters
    ----------
    calendar
        As `edit_calendar` returns it.
    stages
        The engine's stages; the first one with answers tells which pages compete.
    observation
        `owned`: rows are clustered by person; `probe` and `platform_report`: by prompt and day.

    Returns
    -------
    verdicts, placebos
        `edit_id, content_id, change_type, engine, observation, outcome, state` (better | worse | no
        difference shown | judged jointly | too little data | not testable), `reason, joint_id` (of a group and
        its members), `edits` (how many the row is about), `power_25, power_50, power_100` (chance that a true
        change by 25, 50, 100 % gets a p-value of at most .05), `detectable` (the ratio that would be found in
        80 of 100), `change` (ratio of O/E, 1 = none), `lower, upper, statistic, error, p, q, early, late`
        (ratios of weeks 1-2 and of later ones), `neighbours` (the ratio of unedited pages in the same
        answers), `expected_before, expected_after, weeks_before, weeks_after, controls, placebos,
        shares_with` (edited pages that compete a little), `model_change`, the edit's dates and `sentence` (the
        verdict in words); and the placebos' statistics, one row per edit, outcome and page: `edit_id,
        content_id, engine, observation, outcome, statistic`.

    Raises
    ------
    BadCallError
        If the calendar lacks a column, or the way of observing does not exist.

    See Also
    --------
    eventlib.geo.pooling.pool_by_type : effects pooled by kind of change.
    """
    if observation not in _COUNTED:
        raise BadCallError.unknown("observation", observation, _COUNTED)
    if missing := {*_DATES, "edit_id", "content_id", "change_type"} - set(calendar.columns):
        raise BadCallError.missing_columns("judge_edits", missing, calendar.columns)
    rules, named = rules or EditRules(), {"engine": engine, "observation": observation}
    rivals = rivalry(stages, rules.most_shared)
    edited = np.asarray(rivals.contents.isin(calendar["content_id"]), dtype=np.bool_)
    verdicts: list[Verdict] = []
    placebos: list[pd.DataFrame] = []
    edits = records(calendar)
    for stage in stages if len(edits) else ():
        pages = page_counts(stage, rivals, calendar)
        told, chance = _judge_outcome(
            _Outcome(stage.name, pages, edited, rules, _COUNTED[observation]), edits
        )
        verdicts += [verdict | named | {"outcome": stage.name} for verdict in told]
        placebos += chance
    frame = pd.DataFrame(verdicts, columns=list(_VERDICT))
    chances = (
        pd.concat(placebos, ignore_index=True).assign(**named)
        if placebos
        else pd.DataFrame(columns=list(_PLACEBO))
    )
    return _with_q(frame, rules), chances


def _judge_outcome(
    outcome: _Outcome, edits: Sequence[Mapping[str, Any]]
) -> tuple[list[Verdict], list[pd.DataFrame]]:
    """Judge all edits on one outcome: those that stand alone, and those that compete as groups."""
    verdicts: list[Verdict] = []
    placebos: list[pd.DataFrame] = []
    members: list[Member] = []
    for edit in edits:
        page = int(outcome.pages.rivals.contents.get_indexer(pd.Index([edit["content_id"]]))[0])
        dates = windows(edit)
        if refused := _untestable(outcome, edit, page, dates):
            verdicts.append({**edit, "edits": 1, **refused})
            continue
        found = outcome.compare(dates)
        verdict = _verdict(outcome, found, page) | _context(outcome, found, page)
        members.append(Member({**edit, "edits": 1, **verdict}, page, dates))
        if "detectable" in verdict:
            placebos.append(_chances(outcome, found, str(edit["edit_id"])))
    groups = competing(outcome.pages, members, outcome.rules.joint_from)
    for group in groups:
        found = joint_comparison(outcome.pages, outcome.edited, group, outcome.rules)
        joint = _joint_row(group, _verdict(outcome, found, len(found.members) - 1))
        verdicts += [joint, *(_judged_jointly(member, group, joint) for member in group)]
        placebos.append(_chances(outcome, found, str(joint["edit_id"])))
    grouped = {id(member) for group in groups for member in group}
    verdicts += [member.verdict for member in members if id(member) not in grouped]
    return verdicts, placebos


def _chances(outcome: _Outcome, found: Comparison, edit_id: str) -> pd.DataFrame:
    first = outcome.pages.rivals.contents.to_numpy(dtype=object)[found.members[:, 0]]
    known = ~np.isnan(found.placebo)
    columns = {"edit_id": edit_id, "content_id": first[known], "outcome": outcome.name}
    return pd.DataFrame(columns | {"statistic": found.placebos})


def _joint_row(group: Sequence[Member], verdict: Verdict) -> Verdict:
    """Return a group's row: what its edits have in common, and the joint verdict."""
    rows = [member.verdict for member in group]
    kinds = {str(row["change_type"]) for row in rows}
    name = "+".join(str(row["edit_id"]) for row in rows)
    return {
        "edit_id": name, "joint_id": name, "edits": len(group),
        "content_id": " + ".join(str(row["content_id"]) for row in rows),
        "change_type": kinds.pop() if len(kinds) == 1 else "several",
        "model_change": any(bool(row["model_change"]) for row in rows),
        "edited_us": min(int(str(row["edited_us"])) for row in rows),
        "exposed_us": max(int(str(row["exposed_us"])) for row in rows), "exposed_by": "several edits",
        "weeks_before": min(int(str(row["weeks_before"])) for row in rows),
        "weeks_after": min(int(str(row["weeks_after"])) for row in rows),
    } | verdict  # fmt: skip


def _judged_jointly(member: Member, group: Sequence[Member], joint: Verdict) -> Verdict:
    others = [str(other.verdict["content_id"]) for other in group if other is not member]
    reason = f"competes with {', '.join(others)}, edited too, in the same answers: judged jointly"
    own = {"state": "judged jointly", "reason": reason, "joint_id": joint["joint_id"], "p": np.nan}
    return member.verdict | own


def judge_all(
    frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0, rules: EditRules | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Judge every edit on every engine that shows its candidates, its citations or whom it sent.

    Owned logs are clustered by person; probes, whose candidates are listed, by prompt and day. An engine that
    only sends visits is judged on whether they satisfied.

    Returns
    -------
    verdicts, placebos, calendar
        As `judge_edits` and `edit_calendar` return them, with `engine` and `observation`; q-values are over a
        report's edits, for each engine, way of observing and outcome.
    """
    return judge_observed(frames, observed_stages(frames, tau_ms=tau_ms), rules)


def judge_observed(
    frames: Mapping[str, pd.DataFrame], observed: Sequence[Observed], rules: EditRules | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Judge every edit on what `observed_stages` returned for these frames; otherwise as `judge_all`."""
    rules = rules or EditRules()
    verdicts, placebos, calendars = [], [], []
    noticed = Noticed.read(frames)
    for seen in observed:
        engine, observation, stages = seen.engine, seen.observation, seen.stages
        times = np.concatenate([stage.time_us for stage in stages]) if stages else np.empty(0, dtype=np.int64)
        if not len(times) or not len(frames["content_edit"]):
            continue
        calendar = edit_calendar(frames, engine, int(times.max()) + 1, int(times.min()), rules, noticed)
        frame, placebo = judge_edits(calendar, stages, engine, rules, observation)
        verdicts.append(frame)
        placebos.append(placebo)
        calendars.append(calendar.assign(engine=engine, observation=observation))
    if not verdicts:
        return pd.DataFrame(columns=list(_VERDICT)), pd.DataFrame(columns=list(_PLACEBO)), pd.DataFrame()
    return pd.concat(verdicts, ignore_index=True), pd.concat(placebos), pd.concat(calendars)


def _with_q(frame: pd.DataFrame, rules: EditRules) -> pd.DataFrame:
    """Return the verdicts with q-values over the edits of each outcome, and the states that follow."""
    q = np.full(len(frame), np.nan)
    for _, family in frame.reset_index(drop=True).groupby("outcome"):
        q[family.index] = benjamini_hochberg(family["p"].to_numpy(dtype=np.float64))
    found = q <= rules.false_discoveries
    states = np.where(found, np.where(frame["change"] > 1, "better", "worse"), frame["state"])
    states = np.where(~found & ~np.isnan(q), "no difference shown", states)
    told = frame.assign(q=q, state=states)
    return told.assign(sentence=[edit_sentence(row) for row in records(told)])


_VERDICT: Final = (
    "edit_id", "content_id", "change_type", "engine", "observation", "outcome", "state", "reason", "joint_id", "edits",
    *(f"power_{100 * ratio - 100:.0f}" for ratio in POWER_AT), "detectable", "change", "lower", "upper", "statistic",
    "error", "p", "q", "early", "late", "neighbours", "expected_before", "expected_after", "weeks_before", "weeks_after",
    "controls", "placebos", "shares_with", "model_change", "edited_us", "exposed_us", "exposed_by", "sentence",
)  # fmt: skip


def _untestable(outcome: _Outcome, edit: Mapping[str, Any], page: int, dates: Windows) -> Verdict:
    """Say why an edit cannot be looked at at all; empty if it can."""
    rules, before, after = outcome.rules, edit["weeks_before"], edit["weeks_after"]
    if before < rules.fewest_weeks:
        why = f"{before} whole weeks before the page was chosen, {rules.fewest_weeks} are needed"
        return {"state": "not testable", "reason": why}
    if after < rules.fewest_weeks:
        why = f"{after} whole weeks since, {rules.fewest_weeks} are needed"
        return {"state": "not testable", "reason": why}
    for window, words in ((dates.after, "since"), (dates.before, "before")):
        if page < 0 or outcome.pages.people(window)[page] < SMALL_CELL:
            return {
                "state": "too little data",
                "reason": f"fewer than {SMALL_CELL} {outcome.counted} {words}",
            }
    return {}


def _refusal(found: Comparison, unit: int, rules: EditRules) -> tuple[str, str]:
    if found.controls[unit] < rules.fewest_controls:
        return "not testable", "too few pages outside its answers to compare with"
    if len(found.placebos) < rules.fewest_placebos:
        why = f"{len(found.placebos)} unedited pages to compare with, {rules.fewest_placebos} are needed"
        return "not testable", why
    expected = found.expected_after[unit]
    if expected < rules.fewest_expected:
        return "too little data", f"{expected:.0f} expected since, {rules.fewest_expected:.0f} are needed"
    return "", ""


def _verdict(outcome: _Outcome, found: Comparison, unit: int) -> Verdict:
    """Judge a page, or a group of them: what it could find first, then what it found."""
    told: Verdict = {
        "expected_before": found.expected_before[unit], "expected_after": found.expected_after[unit],
        "controls": int(found.controls[unit]), "placebos": len(found.placebos),
    }  # fmt: skip
    state, reason = _refusal(found, unit, outcome.rules)
    told |= {"state": state or "no difference shown", "reason": reason}
    if state == "not testable":
        return told
    base = outcome.pages.base
    for ratio in POWER_AT:
        told[f"power_{100 * ratio - 100:.0f}"] = predicted_power(found, unit, base, ratio)
    told["detectable"] = detectable(found, unit, base)
    if not state:
        effect, error = float(found.effect[unit]), float(found.error[unit])
        half = float(np.quantile(np.abs(found.placebos), outcome.rules.level, method="higher"))
        half *= error_of_change(found, unit, base)
        ratio, lower, upper = np.exp([effect, effect - half, effect + half])
        told |= {"change": ratio, "lower": lower, "upper": upper, "statistic": effect / error, "error": error}
        told["p"] = placebo_p(effect / error, found.placebos)
    return told


def _context(outcome: _Outcome, found: Comparison, page: int) -> Verdict:
    """Tell what else moved: other edited pages in the same answers, neighbours that paid, novelty that fades."""
    near = outcome.pages.near(page)
    near[page] = 0.0
    others = outcome.edited & (near > outcome.rules.most_shared)
    told: Verdict = {"shares_with": int(others.sum())}
    if _refusal(found, page, outcome.rules)[0]:
        return told
    seen = outcome.pages.people(found.dates[0].after) >= SMALL_CELL
    paying = ~outcome.edited & (near >= _NEAR) & ~np.isnan(found.effect) & seen
    if paying.sum() >= 3:
        weights = 1 / found.error[paying] ** 2
        told["neighbours"] = float(np.exp(np.average(found.effect[paying], weights=weights)))
    return told | _novelty(outcome, found, page)


def _novelty(outcome: _Outcome, found: Comparison, page: int) -> Verdict:
    """Return the change in weeks 1 and 2, and in those that follow: what wears off was novelty."""
    dates = found.dates[0]
    split = dates.after.start + 2 * WEEK
    apart: Verdict = {}
    for name, window in (
        ("early", Window(dates.after.start, split)),
        ("late", Window(split, dates.after.end)),
    ):
        if window.end - window.start >= WEEK and outcome.pages.people(window)[page] >= SMALL_CELL:
            part = outcome.compare(dates._replace(after=window))
            apart[name] = float(np.exp(part.effect[page]))
    return apart
