"""One plain sentence or two per edit: what was changed, what happened, how sure that is, and what else moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OUTCOMES", "edit_sentence"]

OUTCOMES: Final = {"cite": "citations", "click": "clicks", "satisfy": "satisfied visits"}
_APART: Final = 1.15  # of the first two weeks over the later ones, from which it is worth a word


def edit_sentence(row: Mapping[str, Any]) -> str:
    """Return the verdict on one edit and outcome for those who edit.

    Parameters
    ----------
    row
        A row of `judge_edits`' verdicts, as a dict or Series.

    Examples
    --------
    >>> row = {"content_id": "c-07", "change_type": "add_statistics", "outcome": "cite", "edited_us": 1_786_000_000_000_000}
    >>> found = {"state": "better", "change": 1.34, "lower": 1.1, "upper": 1.63, "p": 0.02, "q": 0.06, "placebos": 48}
    >>> edit_sentence(row | found).split("), ")[1].split(": ")[0]
    'citations rose by 34 % against comparable pages (90 % interval +10 % to +63 %)'
    >>> edit_sentence(row | found | {"model_change": True}).split(" But ")[1]
    "another model answered after the edit than before: some of it may be the model's."
    >>> little = {"state": "too little data", "reason": "12 expected since, 30 are needed", "expected_after": 12.0, "weeks_after": 4}
    >>> edit_sentence(row | little).split(": ")[1]
    '12 expected since, 30 are needed. At this rate that takes 6 weeks more.'
    """
    what = _what(row)
    outcome = OUTCOMES.get(str(row["outcome"]), str(row["outcome"]))
    if row["state"] in {"too little data", "not testable"}:
        text = f"Nothing can be said of {what} as to {outcome}: {row['reason']}."
        return text + _what_it_takes(row)
    moved = f"After {what}, {outcome} {_moved(row)}"
    if row["state"] == "judged jointly":
        return f"{moved}, but not by this edit alone: it {row['reason']}."
    if row["state"] in {"better", "worse"}:
        sure = f"more than chance explains (q = {row['q']:.2f}, {row['placebos']:.0f} unedited pages)."
        return f"{moved}: {sure}{_confounded(row)}"
    return f"{moved}: no more than unedited pages do by themselves (p = {row['p']:.2f}).{_could(row)}{_confounded(row)}"


def _what(row: Mapping[str, Any]) -> str:
    kind = _plain(row["change_type"])
    if (_known(row, "edits") or 1) > 1:
        pages = str(row["content_id"]).split(" + ")
        named = "" if kind == "several" else f' ("{kind}")'
        return f"the edits{named} of {', '.join(pages[:-1])} and {pages[-1]}, taken together (from {_day(row)} on)"
    return f'"{kind}" on {row["content_id"]} ({_day(row)})'


def _plain(name: object) -> str:
    return str(name).replace("_", " ")


def _day(row: Mapping[str, Any]) -> str:
    return pd.Timestamp(int(row["edited_us"]), unit="us").strftime("%d %b %Y")


def _known(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    return None if value is None or pd.isna(value) else float(value)


def _percent(ratio: float) -> str:
    return f"{100 * ratio - 100:+.0f} %"


def _moved(row: Mapping[str, Any]) -> str:
    change = _known(row, "change")
    if change is None:
        return "cannot be told"
    verb = "rose" if change >= 1 else "fell"
    bounds = f"{_percent(float(row['lower']))} to {_percent(float(row['upper']))}"
    return f"{verb} by {abs(100 * change - 100):.0f} % against comparable pages (90 % interval {bounds})"


def _could(row: Mapping[str, Any]) -> str:
    """Say what would have been found: no difference shown is not no difference."""
    least = _known(row, "detectable")
    if least is None:
        return ""
    if not np.isfinite(least):
        return " No change of any likely size would have been found."
    return f" Only changes from {_percent(least)} would be found in 80 of 100 cases."


def _what_it_takes(row: Mapping[str, Any]) -> str:
    """Say how many more weeks would bring the expected count that is needed, where that is what is wanting."""
    expected, weeks = _known(row, "expected_after"), _known(row, "weeks_after")
    if (
        row["state"] != "too little data"
        or not expected
        or not weeks
        or "expected since" not in row["reason"]
    ):
        return ""
    needed = float(str(row["reason"]).split("since, ")[1].split(" ")[0])
    more = int(np.ceil((needed - expected) * weeks / expected))
    return f" At this rate that takes {max(more, 1)} week{'s' if more > 1 else ''} more."


def _confounded(row: Mapping[str, Any]) -> str:
    """Say what else moved."""
    said = []
    if bool(_known(row, "model_change")):
        said.append(
            "another model answered after the edit than before: some of it may be the model's"
            if row["state"] in {"better", "worse"}
            else "another model answered after the edit than before, which adds to the noise"
        )
    early, late, change = (_known(row, name) for name in ("early", "late", "change"))
    if row["state"] == "better" and early and late and change and early > _APART * max(late, 1.0):
        said.append(
            f"it was {_percent(early)} in the first two weeks and {_percent(late)} since: some of it was novelty"
        )
    neighbours = _known(row, "neighbours")
    if row["state"] == "better" and neighbours is not None and neighbours < 0.95:
        said.append(
            f"unedited pages in the same answers lost {100 - 100 * neighbours:.0f} %: they paid for some of it"
        )
    shares = _known(row, "shares_with")
    if shares:
        said.append(
            f"{shares:.0f} other edited page{'s' if shares > 1 else ''} competed in some of its answers"
        )
    return f" But {'; '.join(said)}." if said else ""
