"""How far figures by engine could move if AI apps strip the referrer (S6: never guessed).

Many AI apps send no referrer; what they send then looks like a direct visit. Which of the direct visits they are cannot
be known. What can be told is how many there are at most, and which statements about engines hold whatever share of these
was an engine's.

A landing is *dark* if it opens a session on a deep page (neither the home page nor a section) without referrer, campaign
or anything else that names an engine. Bookmarks, mail and chat apps send such visits too, so dark landings are an upper
bound of the visits that opened a session. Two things are in no bound: who comes from an app while a session is open, and AI
Overview clicks, which carry the search engine's referrer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd
from scipy.special import ndtri

from eventlib.cells import SMALL_CELL, clustered_share, hide_small_cells
from eventlib.columns import analysable, microseconds, persons, texts
from eventlib.errors import BadCallError
from eventlib.geo.arrivals import landings
from eventlib.geo.satisfaction import engine_visits, heartbeat_ms, satisfaction_bounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventlib.cells import Floats

__all__ = [
    "ASSUMPTION",
    "SHARES",
    "SeenVisits",
    "dark_visits",
    "evidence_shares",
    "landing_kinds",
    "orders",
    "seen_visits",
    "sensitivity",
]

SHARES: Final = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Shares of the dark landings that are supposed to be one engine's; the last is all of them."""

ASSUMPTION: Final = (
    "If this share of the dark landings (deep page, new session, no referrer, no campaign) was this engine's, and the other "
    "engines sent none of them. The figure supposes that those visits satisfied as often as dark ones do on average; "
    "the range supposes that they were the least, or the most, satisfied of them."
)

_OWN: Final = "site_assistant"
_NEVER_DARK: Final = frozenset({"google_ai_overview"})  # its clicks carry the search engine's referrer
_DARK: Final = "dark"
_CAMPAIGN_KEYS: Final = frozenset({"gclid", "dclid", "wbraid", "gbraid", "fbclid", "msclkid", "mc_cid"})
_NAMED, _OTHERWISE, _SHALLOW = "named engine", "campaign or referrer", "home or section"
_KINDS: Final = (_NAMED, _OTHERWISE, _SHALLOW, _DARK)
_HOMES: Final = frozenset({"index.html", "index.htm", "index.php"})


class _Page(NamedTuple):
    """What of a page's address matters here."""

    host: str
    path: tuple[str, ...]
    campaign: bool


def _page(url: str) -> _Page:
    """Take an address apart; a broken one has neither host nor path."""
    try:
        parts = urlsplit(url.strip()[:2_048])
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return _Page("", (), campaign=False)
    path = tuple(part for part in parts.path.split("/") if part and part not in _HOMES)
    keys = {key.casefold() for key, _ in parse_qsl(parts.query[:2_048], keep_blank_values=True)}
    campaign = any(key.startswith("utm_") for key in keys) or not keys.isdisjoint(_CAMPAIGN_KEYS)
    return _Page(host, path, campaign)


def _sections(pages: Iterable[_Page]) -> set[tuple[str, tuple[str, ...]]]:
    """Return home pages, and every page under which others stand."""
    return {(page.host, page.path[:depth]) for page in pages for depth in range(max(len(page.path), 1))}


def _first_views(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the page views that open a session; a view of no session opens one of its own."""
    views = analysable(frames["page_view"], "owned")
    if not len(views):
        return views
    views = views.drop_duplicates("page_view_id")
    session, identifier = texts(views, "session_id"), texts(views, "page_view_id")
    key = pd.Series(np.where(session == "", identifier, session), index=views.index)
    time = pd.Series(microseconds(views), index=views.index)
    first = views[~key.loc[time.sort_values(kind="stable").index].duplicated().reindex(views.index)]
    begun = key.loc[first.index].map(_asked(frames)).to_numpy(dtype=np.float64)
    return first[~(begun < time.loc[first.index].to_numpy())]


def _asked(frames: Mapping[str, pd.DataFrame]) -> Mapping[str, float]:
    """Return when each session first asked or followed the site's own assistant."""
    first: dict[str, float] = {}
    for name in ("answer_generate", "citation_click"):
        frame = frames[name]
        times = microseconds(frame).tolist() if len(frame) else []
        for session, time in zip(texts(frame, "session_id"), times, strict=True):
            first[session] = min(time, first.get(session, float("inf")))
    return first


def _kinds(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the page views that open a session and what sent each: `page_view_id, kind, person`, and the views' index."""
    views = _first_views(frames)
    every = {url: _page(url) for url in set(texts(frames["page_view"], "url"))}
    sections = _sections(page for url, page in every.items() if url)
    pages = [every[url] for url in texts(views, "url")]
    # a page whose address is not known counts as deep, and so does content with pages under it: the bound must not be too low
    published_ids = set(texts(frames["content_publish"], "content_id"))
    content = [page in published_ids for page in texts(views, "content_id")]
    shallow = [
        bool(page.host) and (page.host, page.path) in sections and not (page.path and published)
        for page, published in zip(pages, content, strict=True)
    ]
    identifier = texts(views, "page_view_id")
    landed = set(landings(frames)["page_view_id"])
    named = (texts(views, "ai_engine") != "") | np.array([view in landed for view in identifier], dtype=bool)
    campaign = np.array([page.campaign for page in pages], dtype=bool)
    otherwise = campaign | (texts(views, "referrer") != "")
    kind = np.select([named, otherwise, np.array(shallow, dtype=bool)], list(_KINDS[:-1]), _DARK)
    return pd.DataFrame(
        {"page_view_id": identifier, "kind": kind.astype(object), "person": persons(views)}, index=views.index
    )


def landing_kinds(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what opened sessions on pages, by what is known of it.

    Kinds, the first that fits: `named engine`, `campaign or referrer` (utm, an advertisement's click id, or any referrer),
    `home or section` (a page under which others stand; with the kind before it where it is a small cell), `dark`.

    Returns
    -------
    pandas.DataFrame
        `kind, visits, people, share` (of the visits shown); cells under 10 people are left out (S7.10).
    """
    kinds = _kinds(frames)
    shallow = kinds["kind"] == _SHALLOW
    if kinds.loc[shallow, "person"].nunique() < SMALL_CELL:  # else the next smallest would be hidden with it
        kinds = kinds.assign(kind=kinds["kind"].mask(shallow, _OTHERWISE))
    table = kinds.groupby("kind", as_index=False).agg(visits=("person", "size"), people=("person", "nunique"))
    shown, _ = hide_small_cells(table, "people")
    order = shown["kind"].map(_KINDS.index)
    shown = shown.loc[order.sort_values().index] if len(shown) else shown
    return shown.assign(share=shown["visits"] / shown["visits"].sum()).reset_index(drop=True)


def evidence_shares(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return by which evidence each engine's landings are named.

    Returns
    -------
    pandas.DataFrame
        `engine, evidence, visits, people, share` (of the engine's visits that are shown); cells under 10 people are left
        out, and the next smallest of the engine with them (S7.10).
    """
    grouped = landings(frames).groupby(["engine", "evidence"], as_index=False)
    table = grouped.agg(visits=("person", "size"), people=("person", "nunique"))
    shown, _ = hide_small_cells(table, "people", within=["engine"])
    share = shown["visits"] / shown.groupby("engine")["visits"].transform("sum")
    order = ["engine", "visits", "evidence"]
    return shown.assign(share=share).sort_values(order, ascending=[True, False, True], ignore_index=True)


def dark_visits(frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0) -> pd.DataFrame:
    """Return the dark landings and whether each satisfied, by the rules of `satisfaction.engine_visits`.

    Parameters
    ----------
    frames
        As `geo.read_frames` gives them.
    tau_ms
        As in `engine_visits`.

    Returns
    -------
    pandas.DataFrame
        As `engine_visits`, the engine being `dark`.
    """
    kinds = _kinds(frames)
    index = kinds.index[kinds["kind"] == _DARK]
    landed = frames["page_view"].loc[index].assign(engine=_DARK)
    own = {"referral_land": landed, "citation_click": frames["citation_click"].iloc[:0]}
    beat = heartbeat_ms(analysable(frames["page_engage"]))
    return engine_visits({**frames, **own}, tau_ms=tau_ms, beat_ms=beat)


class _Visits(NamedTuple):
    """Some visits: `visits` in all, `satisfied` of them, and per person both."""

    visits: int
    satisfied: int
    by_person: pd.DataFrame

    @classmethod
    def of(cls, frame: pd.DataFrame) -> _Visits:
        counts = frame.groupby("person_id")["satisfied"].agg(["size", "sum"]).astype(np.float64)
        return cls(len(frame), int(frame["satisfied"].sum()), counts)

    @property
    def share(self) -> float:
        return self.satisfied / self.visits if self.visits else float("nan")

    def errors(self, share: float, weight: float = 1.0) -> pd.Series:
        """Return what each person's visits have over their expected count."""
        return weight * (self.by_person["sum"] - share * self.by_person["size"])


class SeenVisits(NamedTuple):
    """The visits of each engine elsewhere that may be shown, and the dark ones; those where 10 people or more came."""

    named: dict[str, _Visits]
    dark: _Visits


def seen_visits(frames: Mapping[str, pd.DataFrame], *, tau_ms: float = 0.0) -> SeenVisits:
    """Return what `sensitivity` and `orders` need of a log.

    Parameters
    ----------
    frames
        As `geo.read_frames` gives them.
    tau_ms
        As in `engine_visits`.
    """
    visits = engine_visits(frames, tau_ms=tau_ms)
    engines = [name for name in satisfaction_bounds(visits)["engine"] if name != _OWN]
    named = {name: _Visits.of(visits[visits["engine"] == name]) for name in engines}
    dark = _Visits.of(dark_visits(frames, tau_ms=tau_ms))
    return SeenVisits(
        named, dark if len(dark.by_person) >= SMALL_CELL else _Visits(0, 0, dark.by_person.iloc[:0])
    )


def _mixed(engine: _Visits, dark: _Visits, share: float, level: float) -> dict[str, float]:
    """Return an engine's figures if a share of the dark visits was its own."""
    added = share * dark.visits
    visits = engine.visits + added
    satisfied = (engine.satisfied + share * dark.satisfied) / visits
    # at the worst the visits added are the unsatisfied first, at the best the satisfied first
    least = (engine.satisfied + max(added - (dark.visits - dark.satisfied), 0.0)) / visits
    most = (engine.satisfied + min(added, dark.satisfied)) / visits
    errors = engine.errors(satisfied).add(dark.errors(satisfied, share), fill_value=0.0)
    people = len(errors) if share else len(engine.by_person)
    squares = float((errors.to_numpy() ** 2).sum()) / visits**2
    variance = np.array([squares * people / max(people - 1, 1)])
    lower, upper = clustered_share(np.array([satisfied]), variance, people, level)
    return {
        "added": added, "visits": visits, "satisfied": satisfied, "lower": lower[0], "upper": upper[0],
        "least": least, "most": most,
    }  # fmt: skip


_COLUMNS: Final = (
    "engine", "dark_share", "added", "visits", "satisfied", "lower", "upper", "least", "most", "engine_share", "engine_share_least",
)  # fmt: skip


def sensitivity(seen: SeenVisits, shares: Sequence[float] = SHARES, level: float = 0.90) -> pd.DataFrame:
    """Return how an engine's figures would move if a share of the dark landings were its own; see `ASSUMPTION`.

    Parameters
    ----------
    seen
        As `seen_visits` returns it.
    shares
        Shares of the dark landings, from 0 to 1.
    level
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        `engine, dark_share, added` (visits), `visits` (with these), `satisfied` (share), `lower, upper` (interval,
        clustered by person), `least, most` (if those added were the least or the most satisfied of the dark ones),
        `engine_share` (of all visits from the engines shown, if the added ones were this engine's) and
        `engine_share_least` (if they were another's). Engines of fewer than 10 people are left out; where fewer than
        10 people landed dark, only the share 0 is shown (S7.10), as always for AI Overviews, whose clicks are never dark.

    Raises
    ------
    BadCallError
        If a share is not from 0 to 1.
    """
    _check_shares(shares)
    named, dark = seen
    total = sum(each.visits for each in named.values())
    rows = []
    for name, engine in named.items():
        for share in shares if dark.visits and name not in _NEVER_DARK else (0.0,):
            mixed = _mixed(engine, dark, share, level)
            whole = total + mixed["added"]
            shown = {"engine_share": mixed["visits"] / whole, "engine_share_least": engine.visits / whole}
            rows.append({"engine": name, "dark_share": float(share), **mixed, **shown})
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _check_shares(shares: Sequence[float]) -> None:
    bad = [share for share in shares if not 0 <= share <= 1]
    if bad or not len(shares):
        raise BadCallError(f"shares takes numbers from 0 to 1, at least one, not {bad or list(shares)}")


def _tipping_on_average(better: _Visits, worse: _Visits, dark: _Visits) -> tuple[float, str]:
    """Return the share of dark visits that evens two engines out, supposed to satisfy as dark ones do, and whose it was.

    Only visits that satisfy less often than the worse engine's pull the better one below it; only those that satisfy more
    often than the better one's lift the worse one above. The dark ones are at most one of both.
    """
    gap = better.share - worse.share
    if dark.share < worse.share:
        return better.visits * gap / (worse.share - dark.share) / dark.visits, "better"
    if dark.share > better.share:
        return worse.visits * gap / (dark.share - better.share) / dark.visits, "worse"
    return float("inf"), ""


def _tipping_at_worst(
    better: _Visits, worse: _Visits, dark: _Visits, *, pulls: bool = True, lifts: bool = True
) -> float:
    """Return the smallest share of dark visits that can even two engines out, whichever of them were whose.

    It is best reached with unsatisfied visits for the better engine (`pulled`) and satisfied ones for the worse (`lifted`),
    where they may have any.
    """
    pulled: Floats = np.arange(dark.visits - dark.satisfied + 1 if pulls else 1, dtype=np.float64)
    share = better.satisfied / (better.visits + pulled)
    with np.errstate(divide="ignore", invalid="ignore"):
        lifted = np.where(
            share > worse.share, worse.visits * (share - worse.share) / np.maximum(1 - share, 0), 0.0
        )
    possible = lifted <= (dark.satisfied if lifts else 0)
    return float((pulled + lifted)[possible].min()) / dark.visits if possible.any() else float("inf")


def _told_apart(better: _Visits, worse: _Visits, level: float) -> bool:
    """Tell whether two engines' shares differ by more than chance, clustered by person."""
    errors = better.errors(better.share, 1 / better.visits).sub(
        worse.errors(worse.share, 1 / worse.visits), fill_value=0.0
    )
    error = float(np.sqrt((errors.to_numpy() ** 2).sum()))
    return better.share - worse.share > float(ndtri(0.5 + level / 2)) * error


def _in_words(tipping: float, at_worst: float, name: str, *, told_apart: bool) -> str:
    said = _survival(tipping, at_worst, name)
    return said if told_apart else f"no difference shown to begin with; the order of the figures {said}"


def _survival(tipping: float, at_worst: float, name: str) -> str:
    if np.isfinite(tipping):
        return f"reverses if {100 * tipping:.0f} % of the dark landings or more were {name}'s"
    if np.isfinite(at_worst):
        return f"holds if dark landings satisfied alike; could reverse from {100 * at_worst:.0f} % of them on, if not"
    return "holds, whoever sent the dark landings"


def orders(seen: SeenVisits, level: float = 0.90) -> pd.DataFrame:
    """Return whether "visits from A satisfy more often than those from B" survives, for each pair of engines.

    Parameters
    ----------
    seen
        As `seen_visits` returns it.
    level
        Of the interval that tells two engines apart.

    Returns
    -------
    pandas.DataFrame
        `better, worse, satisfied_better, satisfied_worse, told_apart` (by more than chance, before anything is supposed),
        `tipping_share` (of the dark landings, from which on the order reverses if they satisfied as they do on average; NaN
        where it never does), `tipping_share_worst` (if they were those that reverse it soonest), `in_words`. Empty
        where fewer than 10 people landed dark.
    """
    named, dark = seen
    ranked = sorted(named, key=lambda name: (-named[name].share, name))
    pairs = [(one, other) for place, one in enumerate(ranked) for other in ranked[place + 1 :]]
    rows = []
    for one, other in pairs if dark.visits else []:
        better, worse = named[one], named[other]
        tipping, whose = _tipping_on_average(better, worse, dark)
        name = one if whose == "better" else other
        tipping = tipping if tipping <= 1 and name not in _NEVER_DARK else float("inf")
        at_worst = _tipping_at_worst(
            better, worse, dark, pulls=one not in _NEVER_DARK, lifts=other not in _NEVER_DARK
        )
        apart = _told_apart(better, worse, level)
        words = _in_words(tipping, at_worst, name, told_apart=apart)
        shares = better.share, worse.share
        rows.append((one, other, *shares, apart, _or_none(tipping), _or_none(at_worst), words))
    names = ["better", "worse", "satisfied_better", "satisfied_worse", "told_apart", "tipping_share"]
    return pd.DataFrame(rows, columns=[*names, "tipping_share_worst", "in_words"])


def _or_none(share: float) -> float:
    return share if share <= 1 else float("nan")
