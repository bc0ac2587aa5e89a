"""When an edit was made, when an engine had it, and which weeks stand before and after (S7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from eventlib.columns import microseconds, texts
from eventlib.geo.noticed import Noticed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WEEK", "EditRules", "edit_calendar", "records"]

_DAY: Final = 86_400_000_000
WEEK: Final = 7 * _DAY


@dataclass(frozen=True, slots=True)
class EditRules:
    """The limits of S7.8 and S7.9.

    Attributes
    ----------
    skip_weeks
        Weeks before an edit left out of its baseline, where it is not said when the page was chosen: pages
        are edited when they do badly, and recover by themselves.
    lag_days
        From an edit to its exposure, where nothing shows when an engine took notice.
    fewest_weeks, fewest_expected, fewest_placebos, fewest_controls
        On each side; after the edit; and of the pages compared with.
    least_expected
        On each side, of a page that another is compared with.
    most_shared
        Largest share of a control's expected count in answers that the edited page competed for.
    joint_from
        Share from which two edited pages are judged jointly.
    false_discoveries
        Of Benjamini and Hochberg.
    """

    skip_weeks: int = 4
    lag_days: int = 7
    fewest_weeks: int = 2
    fewest_expected: float = 30.0
    fewest_placebos: int = 40
    fewest_controls: int = 5
    least_expected: float = 1.0
    most_shared: float = 0.05
    joint_from: float = 0.30
    false_discoveries: float = 0.10
    level: float = 0.90


def edit_calendar(
    frames: Mapping[str, pd.DataFrame],
    engine: str,
    end_us: int,
    start_us: int,
    rules: EditRules | None = None,
    noticed: Noticed | None = None,
) -> pd.DataFrame:
    """Return each edit's baseline and exposure window on one engine.

    The baseline ends where the page was chosen (`selected_from`), else `skip_weeks` before the edit; exposure
    starts when the engine was first seen to have the new version (`Noticed.first`), else after a stated lag.
    Both are cut to whole weeks, at other edits of the page and at the log's ends.

    Parameters
    ----------
    start_us, end_us
        What the log covers, microseconds since 1970.
    noticed
        As `Noticed.read` returns it for these frames; read anew where it is None.

    Returns
    -------
    pandas.DataFrame
        `edit_id, content_id, change_type, arm, edited_us, exposed_us, exposed_by, before_from, before_to,
        after_from, after_to` (microseconds), `weeks_before, weeks_after`, `model_change` (other models
        answered after than before).
    """
    rules, noticed = rules or EditRules(), noticed or Noticed.read(frames)
    edits = frames["content_edit"].drop_duplicates("edit_id")
    named = ("edit_id", "content_id", "to_version", "change_type", "arm")
    table = pd.DataFrame({name: texts(edits, name) for name in named})
    table["edited_us"] = microseconds(edits)
    chosen = _optional_times(edits, "selected_from")
    models = _models(frames["answer_generate"], engine)
    rows = []
    for row, selected in zip(records(table), chosen, strict=True):
        at = int(row["edited_us"])
        same = (table["content_id"] == row["content_id"]) & (table["edit_id"] != row["edit_id"])
        others = table.loc[same, "edited_us"]
        exposed, by = _exposed(noticed, engine, row, rules)
        lowest = max([start_us, *others[others < at].tolist()])
        highest = min([end_us, *others[others > at].tolist()])
        before_to = min(selected, at) if selected is not None else at - rules.skip_weeks * WEEK
        before = max((before_to - lowest) // WEEK, 0)
        after = max((highest - exposed) // WEEK, 0)
        rows.append(
            row | {
                "exposed_us": exposed, "exposed_by": by, "weeks_before": before, "weeks_after": after,
                "model_change": _model_change(models, (before_to - before * WEEK, before_to), (exposed, exposed + after * WEEK)),
                "before_from": before_to - before * WEEK, "before_to": before_to,
                "after_from": exposed, "after_to": exposed + after * WEEK,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(_CALENDAR))


_CALENDAR: Final = (
    "edit_id", "content_id", "change_type", "arm", "edited_us", "exposed_us", "exposed_by", "before_from", "before_to",
    "after_from", "after_to", "weeks_before", "weeks_after", "model_change",
)  # fmt: skip


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as dicts."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _optional_times(frame: pd.DataFrame, name: str) -> list[int | None]:
    if name not in frame or not len(frame):
        return [None] * len(frame)
    times = pd.to_datetime(frame[name].astype(object), utc=True, errors="coerce", format="ISO8601")
    return [None if pd.isna(time) else int(time.value // 1000) for time in times]


def _models(answers: pd.DataFrame, engine: str) -> pd.DataFrame:
    own = answers[texts(answers, "engine") == engine] if len(answers) else answers
    time_us = microseconds(own)
    return pd.DataFrame({"model": texts(own, "model"), "time_us": time_us})


def _model_change(models: pd.DataFrame, before: tuple[int, int], after: tuple[int, int]) -> bool:
    there = [set(models.loc[models["time_us"].between(*window), "model"]) for window in (before, after)]
    return all(there) and there[0] != there[1]


def _exposed(noticed: Noticed, engine: str, edit: Mapping[str, Any], rules: EditRules) -> tuple[int, str]:
    """Tell when an engine first had the new version: what is seen before what is assumed."""
    at, lag = int(edit["edited_us"]), rules.lag_days * _DAY
    seen = noticed.first(engine, edit["content_id"], edit["to_version"], at, 4 * lag)
    return seen or (at + lag, f"assumed {rules.lag_days} days")
