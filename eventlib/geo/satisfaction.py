"""Did the visit satisfy? Active time against a threshold, and what missing exits can change (S7.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventlib.cells import clustered_share, hide_small_cells
from eventlib.columns import analysable, microseconds, numbers, persons, texts
from eventlib.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["engine_visits", "heartbeat_ms", "kaplan_meier_at", "satisfaction_bounds", "threshold_ms"]

Floats: TypeAlias = NDArray[np.float64]

FALLBACK_MS: Final = 30_000
_HEARTBEAT_MS: Final = 15_000
_WORDS_PER_MINUTE: Final = 238  # silent reading of English non-fiction (Brysbaert 2019)
_READ_SHARE: Final = 0.12  # of the page: about 30 s for 1,000 words
_TYPE_FACTOR: Final = {
    "reference": 0.5,
    "product": 0.7,
    "news": 0.8,
}  # looked up or scanned, not read through
_SHORTEST_MS: Final = 10_000
_LONGEST_MS: Final = 120_000


def heartbeat_ms(engages: pd.DataFrame) -> int:
    """Return the tracker's heartbeat: the median active time per beat, 15 s where no beat tells."""
    active, beat = numbers(engages, "active_ms"), numbers(engages, "beat")
    known = (beat >= 1) & (active > 0)
    return round(float(np.median(active[known] / beat[known]))) if known.any() else _HEARTBEAT_MS


def threshold_ms(words: Floats, content_type: NDArray[np.object_], beat_ms: int = _HEARTBEAT_MS) -> Floats:
    """Return the active time from which a visit counts as satisfied, by page length and type.

    The time to read 12 % of the page, less for pages that are looked up or scanned, between 10 s and 2 min,
    and 30 s where the length is unknown. It is rounded to whole heartbeats, since only they are seen when an
    exit is lost.

    Examples
    --------
    >>> kinds = np.array(["article", "guide", ""], dtype=object)
    >>> threshold_ms(np.array([1000.0, 3000.0, np.nan]), kinds).tolist()
    [30000.0, 90000.0, 30000.0]
    """
    factor = np.array([_TYPE_FACTOR.get(kind, 1.0) for kind in content_type])
    raw = _READ_SHARE * words / _WORDS_PER_MINUTE * 60_000 * factor
    bounded = np.where(np.isnan(raw), FALLBACK_MS, np.clip(raw, _SHORTEST_MS, _LONGEST_MS))
    return np.maximum(np.rint(bounded / beat_ms), 1.0) * beat_ms


def kaplan_meier_at(time: Floats, ended: NDArray[np.bool_], at: float) -> float:
    """Return the Kaplan-Meier estimate of P(duration >= at).

    Parameters
    ----------
    time
        Durations, float64; where `ended` is False the visit was only seen up to then.

    Examples
    --------
    >>> kaplan_meier_at(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, True]), 4.0)
    0.375
    """
    if not len(time):
        return float("nan")
    order = np.argsort(time, kind="stable")
    time, ended = time[order], ended[order]
    steps, first = np.unique(time, return_index=True)
    at_risk = len(time) - first
    ends = np.add.reduceat(ended.astype(np.float64), first)
    return float(np.prod((1 - ends / at_risk)[steps < at]))


def _largest(frame: pd.DataFrame) -> Mapping[str, float]:
    kept = pd.DataFrame({"id": texts(frame, "page_view_id"), "ms": numbers(frame, "active_ms")}).dropna()
    largest: dict[str, float] = dict(kept.groupby("id")["ms"].max().items())  # type: ignore[arg-type]  # ids
    return largest


def _features(contents: pd.DataFrame | None) -> pd.DataFrame:
    if contents is None or not len(contents):
        return pd.DataFrame({"words": [], "kind": []})
    rows = pd.DataFrame(
        {
            "id": texts(contents, "content_id"),
            "words": numbers(contents, "word_count"),
            "kind": texts(contents, "content_type"),
        }
    )
    return rows.drop_duplicates("id", keep="last").set_index("id")


def _entries(landings: pd.DataFrame, clicks: pd.DataFrame) -> pd.DataFrame:
    """One row per page view that an engine sent: landings, and clicks that name the page view they opened."""
    parts = []
    for frame in (clicks, landings):
        seen = analysable(frame, "owned")
        engine = texts(seen, "engine")
        part = pd.DataFrame(
            {name: texts(seen, name) for name in ("page_view_id", "content_id", "citation_id")}
        )
        part["engine"] = np.where(engine == "", texts(seen, "ai_engine"), engine)
        part["content_version"] = texts(seen, "content_version")
        part["person_id"] = persons(seen)
        part["time_us"] = microseconds(seen)
        parts.append(part)
    both = pd.concat(parts, ignore_index=True)
    known = both["page_view_id"].ne("") & both["engine"].ne("")
    return both[known].drop_duplicates("page_view_id").reset_index(drop=True)


def engine_visits(
    frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0, beat_ms: int | None = None
) -> pd.DataFrame:
    """Return the visits that AI engines and search lists sent, and whether each satisfied.

    A visit is satisfied if a beat or an exit reports `active_ms` of at least the threshold. A missing exit
    means that the visit ended within one heartbeat of its last beat. Visits of which no page event at all was
    seen were not observed and are left out.

    Parameters
    ----------
    frames
        `el.properties` frames by event name: `referral_land, citation_click, page_view, page_engage,
        page_exit` and, for page types, `content_publish`.
    tau_ms
        One threshold for all pages; 0 for `threshold_ms`.
    beat_ms
        The tracker's heartbeat; by default as the beats tell.

    Returns
    -------
    pandas.DataFrame
        `page_view_id, engine, content_id, content_version, person_id, citation_id, time_us, tau_ms,
        last_beat_ms, exit_ms` (NaN where missing), `satisfied`, `beat_ms`.

    Raises
    ------
    BadCallError
        If `tau_ms` is negative or no number.
    """
    if not 0 <= tau_ms < float("inf"):
        raise BadCallError(
            f"tau_ms is {tau_ms}; give the active milliseconds from which a visit satisfies, or 0 for a threshold by page"
        )
    visits = _entries(frames["referral_land"], frames["citation_click"])
    engages, views = analysable(frames["page_engage"]), analysable(frames["page_view"])
    beat = heartbeat_ms(engages) if beat_ms is None else beat_ms
    identifier = visits["page_view_id"]
    viewed = pd.Series(texts(views, "content_version"), index=texts(views, "page_view_id"))
    told = identifier.map(viewed[~viewed.index.duplicated()]).astype(object).fillna("")
    visits["content_version"] = visits["content_version"].where(visits["content_version"] != "", told)
    visits["last_beat_ms"] = identifier.map(_largest(engages)).astype(np.float64)
    visits["exit_ms"] = identifier.map(_largest(analysable(frames["page_exit"]))).astype(np.float64)
    opened = identifier.isin(set(texts(views, "page_view_id")))
    visits = visits[opened | visits["last_beat_ms"].notna() | visits["exit_ms"].notna()].reset_index(
        drop=True
    )
    visits["last_beat_ms"] = visits["last_beat_ms"].fillna(0.0)
    visits["tau_ms"] = tau_ms or _thresholds(visits, views, frames.get("content_publish"), beat)
    reached = visits[["last_beat_ms", "exit_ms"]].max(axis=1)
    visits["satisfied"] = reached.ge(visits["tau_ms"]).to_numpy(dtype=bool)
    visits["beat_ms"] = beat
    return visits


def _thresholds(
    visits: pd.DataFrame, views: pd.DataFrame, contents: pd.DataFrame | None, beat: int
) -> Floats:
    features = _features(contents)
    counted = pd.Series(numbers(views, "word_count"), index=texts(views, "page_view_id"))
    own = visits["page_view_id"].map(counted[~counted.index.duplicated()]).to_numpy(dtype=np.float64)
    usual = visits["content_id"].map(features["words"]).to_numpy(dtype=np.float64)
    kinds: dict[object, object] = dict(features["kind"].items())
    kind = np.array([kinds.get(content, "") for content in visits["content_id"]], dtype=object)
    return threshold_ms(np.where(np.isnan(own), usual, own), kind, beat)


def satisfaction_bounds(visits: pd.DataFrame, level: float = 0.90) -> pd.DataFrame:
    """Return the share of satisfied visits by engine: what was seen, and what missing exits could hide.

    The low end takes a missing exit as an end within one heartbeat (the beat rule, our estimate, with an
    interval clustered by person); the high end censors every missing exit half a heartbeat after the last
    beat (Kaplan-Meier), as if tracking had stopped each time.

    Returns
    -------
    pandas.DataFrame
        `engine, visits, people, missing_exits` (share), `satisfied, lower, upper, kaplan_meier`; engines of
        fewer than 10 people are left out, and the next smallest with them, of AI answers and of search lists apart,
        since AI answers have a total of their own (S7.10).
    """
    found = []
    for engine, part in visits.groupby("engine", sort=True):
        by_person = part.groupby("person_id")["satisfied"].agg(["sum", "size"])
        share = part["satisfied"].mean()
        rest = (by_person["sum"] - share * by_person["size"]).to_numpy(dtype=np.float64)
        people = len(by_person)
        variance = np.array([rest @ rest / len(part) ** 2 * people / max(people - 1, 1)])
        lower, upper = clustered_share(np.array([share]), variance, people, level)
        missing = part["exit_ms"].isna().to_numpy()
        found.append(
            (
                engine,
                len(part),
                people,
                missing.mean(),
                share,
                lower[0],
                upper[0],
                _upper_bound(part, missing),
            )
        )
    names = ["engine", "visits", "people", "missing_exits", "satisfied", "lower", "upper", "kaplan_meier"]
    table = pd.DataFrame(found, columns=names)
    table["search"] = [str(name).startswith("search:") for name in table["engine"]]
    return hide_small_cells(table, "people", within=["search"])[0][names]


def _upper_bound(part: pd.DataFrame, missing: NDArray[np.bool_]) -> float:
    """Censor every missing exit; durations are taken in thresholds, so that pages of all lengths pool."""
    tau, last = part["tau_ms"].to_numpy(dtype=np.float64), part["last_beat_ms"].to_numpy(dtype=np.float64)
    censored = last + part["beat_ms"].to_numpy(dtype=np.float64) / 2
    # half a heartbeat must not carry a visit over a threshold that no beat confirmed
    censored = np.where(last < tau, np.minimum(censored, np.nextafter(tau, 0)), np.maximum(censored, tau))
    seen = np.fmax(part["exit_ms"].to_numpy(dtype=np.float64), last)
    return kaplan_meier_at(np.where(missing, censored, seen) / tau, ~missing, 1.0)
