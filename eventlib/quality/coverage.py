"""Client against server: what only the server saw is what blockers, closed tabs and lost networks hide (S1.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import pandas as pd

from eventlib.cells import SMALL_CELL, clustered_share, hide_small_cells
from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["channel_coverage", "coverage_by", "hidden", "reported_actions", "tolerances"]

_ACTION_COLUMNS: Final = ["event_name", "key", "person", "client", "server", "browser", "engine", "week"]
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox|FxiOS", "Firefox"),
    ("Chrome|CriOS", "Chrome"),
    ("Safari", "Safari"),
)


def _keys(part: pd.DataFrame, event_name: str) -> list[Any]:
    """Return each row's id of its object: `conversion_id` of `conversion_complete`, `page_view_id` of `page_view`."""
    names = f"{event_name.split('_', maxsplit=1)[0]}_id", f"{event_name}_id"
    parsed = [orjson.loads(text) for text in part["properties"].fillna("{}")]
    return [next((row[name] for name in names if row.get(name)), None) for row in parsed]


def _browsers(agents: pd.Series[str]) -> pd.Series[str]:
    named = pd.Series("other", index=agents.index)
    for pattern, name in reversed(_BROWSERS):
        named = named.mask(agents.str.contains(pattern, regex=True).fillna(value=False).astype(bool), name)
    return named.mask(agents.isna(), None)


def _segments(events: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """Add browser and engine, which servers do not see, from what else the device and the session said."""
    device = events["anonymous_id"].fillna(events["user_id"])
    said = events["user_agent"].notna() & device.isin(actions["device"])
    agents = events.loc[said].assign(device=device)[["device", "user_agent"]].drop_duplicates("device")
    browser = _browsers(agents["user_agent"]).set_axis(agents["device"]).to_dict()
    led = events[events["ai_engine"].notna()].drop_duplicates("session_id")
    engine = dict(zip(led["session_id"], led["ai_engine"], strict=True))
    return actions.assign(
        browser=[browser.get(key, "not known") for key in actions["device"]],
        engine=[engine.get(key, "none or not known") for key in actions["session_id"]],
    )


def reported_actions(events: pd.DataFrame) -> pd.DataFrame:
    """Return the actions that both channels report, one row per action.

    An action is the same where both channels name the object's own id. Agents are left out, and so are
    events that only one channel ever sends.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `key`, `person` (else device), `client`, `server` (first time each reported it, else null),
        `browser` (by what else the device sent), `engine` (of its session), `week` (its Monday, UTC).
    """
    people = events[events["agent"].isna() & (events["anonymous_id"].notna() | events["user_id"].notna())]
    channels = people.groupby("event_name")["channel"].nunique()
    rows = people[people["event_name"].isin(channels.index[channels > 1])]
    if rows.empty:
        return pd.DataFrame(columns=_ACTION_COLUMNS)
    keys = pd.Series(index=rows.index, dtype="object")
    for name, part in rows.groupby("event_name"):
        keys[part.index] = _keys(part, str(name))
    device = rows["anonymous_id"].fillna(rows["user_id"])
    keyed = rows.assign(key=keys, device=device, person=rows["person_id"].fillna(device)).dropna(
        subset=["key"]
    )
    keyed = _segments(events, keyed)
    names = ["event_name", "key"]
    wide = keyed.groupby([*names, "channel"])["event_time"].min().unstack("channel")  # noqa: PD010 - a pivot of two keys
    wide = wide.reindex(columns=["client", "server"])
    first = keyed.drop_duplicates(names).set_index(names)[["person", "browser", "engine", "event_time"]]
    joined = wide.join(first).reset_index()
    both = joined.groupby("event_name")[["client", "server"]].transform("count").min(axis=1) > 0
    week = pd.DatetimeIndex(joined["event_time"]).tz_localize(None).to_period("W").start_time
    return joined.assign(week=week)[both][_ACTION_COLUMNS].reset_index(drop=True)


def _outcomes(actions: pd.DataFrame, tolerance: str) -> pd.DataFrame:
    try:
        within = pd.Timedelta(tolerance)
    except ValueError:
        raise BadCallError(f"tolerance: {tolerance!r} is no length of time, such as '10min'") from None
    apart = (actions["client"] - actions["server"]).abs()
    matched = (apart <= within).fillna(value=False).astype(bool)
    return actions.assign(
        matched=matched.astype(int),
        client_only=(actions["client"].notna() & ~matched).astype(int),
        server_only=(actions["server"].notna() & ~matched).astype(int),
    )


def _share(part: pd.DataFrame) -> tuple[int, float, float, float]:
    """Return people, hidden share and its bounds, people as clusters."""
    seen = part[part["server"].notna()]
    by_person = seen.groupby("person")["server_only"].agg(["sum", "size"]).to_numpy(dtype=np.float64)
    people, actions = len(by_person), float(by_person[:, 1].sum())
    if people < SMALL_CELL:
        return people, np.nan, np.nan, np.nan
    share = float(by_person[:, 0].sum() / actions)
    residual = by_person[:, 0] - share * by_person[:, 1]
    variance = people / (people - 1) * float((residual**2).sum()) / actions**2
    lower, upper = clustered_share(np.array([share]), np.array([variance]), people)
    return people, share, float(lower[0]), float(upper[0])


def _counted(part: pd.DataFrame) -> tuple[Any, ...]:
    counts = (int(part[name].sum()) for name in ("matched", "client_only", "server_only"))
    people, *shares = _share(part)
    return (people, *counts, *shares)


_COUNTED: Final = ["people", "matched", "client_only", "server_only", "hidden_share", "lower", "upper"]


def channel_coverage(actions: pd.DataFrame, tolerance: str = "10min") -> pd.DataFrame:
    """Compare what client and server report of the same action (S1.8).

    Parameters
    ----------
    actions
        From `reported_actions`.
    tolerance
        How far apart both may report one action.

    Returns
    -------
    pandas.DataFrame
        `event_name`, `people` (whose action the server saw), `matched`, `client_only`, `server_only`, `hidden_share`
        (server-only among all that the server saw) with `lower`, `upper` (90 %: Wilson's at the effective number of
        actions, people as clusters). No row under 10 people.

    Raises
    ------
    BadCallError
        If `tolerance` is no length of time.
    """
    judged = _outcomes(actions, tolerance)
    rows = [(name, *_counted(part)) for name, part in judged.groupby("event_name")]
    frame = pd.DataFrame(rows, columns=["event_name", *_COUNTED])
    return frame[frame["people"] >= SMALL_CELL].reset_index(drop=True)


def coverage_by(
    actions: pd.DataFrame,
    by: Sequence[str] = ("browser", "engine", "week"),
    tolerance: str = "10min",
    most: int = 8,
) -> pd.DataFrame:
    """Return the hidden share by segment, segments under 10 people and the next smallest left out (S7.10).

    Parameters
    ----------
    actions
        From `reported_actions`.
    by
        Its columns to segment by.
    tolerance
        As in `channel_coverage`.
    most
        At most so many segments of each kind, the largest; of weeks the latest.

    Returns
    -------
    pandas.DataFrame
        `by`, `segment`, and the columns of `channel_coverage`.
    """
    judged = _outcomes(actions, tolerance)
    frames = []
    for name in by:
        rows = [(name, _label(value), *_counted(part)) for value, part in judged.groupby(name)]
        frame = pd.DataFrame(rows, columns=["by", "segment", *_COUNTED])
        shown, _ = hide_small_cells(frame, "people")
        largest = shown if name == "week" else shown.sort_values("people", ascending=False, kind="stable")
        frames.append(largest.tail(most) if name == "week" else largest.head(most))
    return (
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["by", "segment", *_COUNTED])
    )


def _label(value: Any) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def tolerances(
    actions: pd.DataFrame, each: Iterable[str] = ("1s", "10s", "1min", "10min", "1h", "1D")
) -> pd.DataFrame:
    """Return how the comparison depends on the tolerance: `tolerance`, and the columns of `channel_coverage`."""
    frames = [channel_coverage(actions, step).assign(tolerance=step) for step in each]
    return pd.concat(frames, ignore_index=True)[["tolerance", "event_name", *_COUNTED]]


def hidden(coverage: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    """Return share and bounds of the action that the client hides most, from `channel_coverage`."""
    known = coverage.dropna(subset=["hidden_share"])
    if known.empty:
        return None, None, None
    row = known.sort_values("hidden_share").iloc[-1]
    return float(row["hidden_share"]), float(row["lower"]), float(row["upper"])
