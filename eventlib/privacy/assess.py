"""All that notebook 02 concludes: a verdict per area and what to do next, each with its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from eventlib.privacy.bases import bases, erasure_in_words, erasures
from eventlib.privacy.bias import biases, check_purpose, displaced
from eventlib.privacy.bounds import affected, bounds, unseen
from eventlib.privacy.funnel import asked, withdrawn
from eventlib.privacy.stamped import asked_total, counted
from eventlib.privacy.statements import running_out
from eventlib.privacy.steps import next_steps
from eventlib.quality.verdict import ACT, Finding, Limit, percent
from eventlib.quality.verdict import limits as read_limits
from eventlib.quality.verdict import verdicts as judged

if TYPE_CHECKING:
    from eventlib.prepared import Prepared

__all__ = ["LIMITS", "Assessment", "assess"]

LIMITS: Final[Mapping[str, Limit]] = {
    "analytics": Limit(0.05, 0.25),
    "identity": Limit(0.20, 0.60),
    "training": Limit(0.20, 0.60),
    "silence": Limit(0.02, 0.10),
    "damaged strings": Limit(0.001, 0.01),
    "stale grants": Limit(0.005, 0.05),
    "running out": Limit(0.05, 0.20),
    "other bases": Limit(0.01, 0.50),
    "withdrawals": Limit(0.00001, 0.05),
    "bias": Limit(0.05, 0.15),
    "erasure": Limit(0.01, 0.50),
}
"""Shares by area; the defaults are habits of ours, not laws, and each run may set its own."""


_MAIN: Final = ("analytics", "identity", "training")


@dataclass(frozen=True)
class Assessment:
    """What was found of consent in one prepared dataset.

    Attributes
    ----------
    verdicts
        One row per area, from `eventlib.quality.verdict.verdicts`.
    steps
        From `steps.next_steps`.
    left
        From `bias.biases`, for the purpose that was asked for.
    bounds, affected
        From `bounds`.
    """

    verdicts: pd.DataFrame
    steps: pd.DataFrame
    left: pd.DataFrame
    bounds: pd.DataFrame
    affected: pd.DataFrame


def _usable(data: Prepared, purpose: str) -> Finding:
    share = unseen(data, purpose)
    if share is None:
        return Finding(purpose, None, "no event about people")
    return Finding(purpose, share, f"{percent(1 - share)} of the events about people may be used for {purpose}")  # fmt: skip


def _withheld(data: Prepared, area: str, rules: Sequence[str], words: str) -> Finding:
    removed, every = data.ledger.removed("consent"), asked(data.ledger)
    events = sum(count for code, count in removed.items() if code.startswith(tuple(rules)))
    if not every:
        return Finding(area, None, "no event came so far")
    return Finding(area, events / every, f"{events:,} events withheld, {percent(events / every)}: {words}")


def _damaged(data: Prepared) -> Finding:
    said, every = counted(data.run, "said"), asked_total(data.run)
    if not every:
        return Finding("damaged strings", None, "the run stamp counts no event about people")
    by_source = said[said["by"] == "source"]
    events = int(by_source.loc[by_source["said"] == "damaged signal", "events"].sum())
    words = f"{events:,} events, {percent(events / every)}, carry a consent string that cannot be read"
    if not events:
        words = "no damaged string, or of under 10 people in every source"
    return Finding("damaged strings", events / every, words)


def _ends(data: Prepared) -> Finding:
    found = running_out(data.run, "analytics", ("run out", "runs out in 30 days"))
    if found is None:
        return Finding("running out", None, "no grant for analytics of 10 people or more")
    return Finding("running out", found[0], f"{found[1]} have run out or do so within 30 days")


def _bases(data: Prepared) -> Finding:
    found = bases(data.run)
    if found.empty:
        return Finding("other bases", 0.0, "none in the policy: all rests on consent, notice or law")
    soon = found["state"].isin(["expired", "in 30 days"])
    days = found["days_left"].dropna()
    first = f", the first to expire in {int(days.min()):,} days" if len(days) and days.min() >= 0 else ""
    words = f"{len(found):,} in the policy, {int(soon.sum()):,} expired or within 30 days of it{first}"
    share = float(soon.mean()) if soon.any() else (0.02 if found["state"].eq("in 90 days").any() else 0.0)
    return Finding("other bases", share, words)


def _withdrawals(data: Prepared) -> Finding:
    events, every = withdrawn(data.events, data.ledger), asked(data.ledger)
    if not every:
        return Finding("withdrawals", None, "no event came so far")
    words = f"{events:,} events, {percent(events / every)}, lost a purpose or all to a withdrawal: review them for erasure"  # fmt: skip
    return Finding("withdrawals", events / every, words if events else "no event lost a purpose to one")


def _bias(left: pd.DataFrame, purpose: str) -> Finding:
    moved = displaced(left)
    known = moved.dropna(subset=["displaced", "ratio"])
    if known.empty:
        return Finding("bias", None, f"no event about people is left for {purpose}, or of under 10 devices")
    row = known.sort_values("displaced", kind="stable").iloc[-1]
    words = (
        f"by {row['by']}, {percent(float(row['displaced']))} of what is left for {purpose} would have to be others' "
        f"to mirror the log; quietest: {row['quietest']}, at {float(row['ratio']):.2f} of its share"
    )
    return Finding("bias", float(row["displaced"]), words)


def _erasure(data: Prepared) -> Finding:
    done = erasures(data.run)
    wrong = (done["verified"] != True) | (done["stale"] != "none")  # noqa: E712  # absent is not verified
    return Finding("erasure", float(wrong.mean()) if len(done) else 0.0, erasure_in_words(data.run, data.ledger))  # fmt: skip


def assess(data: Prepared, purpose: str = "training", changed_limits: Sequence[str] = ()) -> Assessment:
    """Find out what may be used, what bias is left, and what to do about it.

    Parameters
    ----------
    data
        What `eventlib.load` gives.
    purpose
        Whose bias is examined.
    changed_limits
        Texts `area=look:act`, shares from 0 to 1.

    Raises
    ------
    BadCallError
        If there is no such purpose, or one of the limits cannot be read.
    """
    check_purpose(purpose)
    held_against = read_limits(changed_limits, LIMITS)
    left, bound = biases(data, purpose), bounds(data)
    found = [
        *(_usable(data, name) for name in _MAIN),
        _withheld(data, "silence", ("C13", "C14"), "no answer, or none for the purpose"),
        _damaged(data),
        _withheld(data, "stale grants", ("C08",), "the grant ran out or its notice was superseded"),
        _ends(data),
        _bases(data),
        _withdrawals(data),
        _bias(left, purpose),
        _erasure(data),
    ]
    unused = [name for name in _MAIN if held_against[name].judge(unseen(data, name)) == ACT]
    steps = next_steps(data, left, bound, purpose, unused)
    return Assessment(judged(found, held_against), steps, left, bound, affected(data))
