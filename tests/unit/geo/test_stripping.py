"""S6: what stripped referrers could change is bounded, never guessed; the simulated world knows how many were stripped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import eventlib as el
from eventlib.errors import BadCallError
from eventlib.geo import EVENTS_READ, read_frames, stripping
from eventlib.geo.arrivals import landings
from eventlib.geo.satisfaction import engine_visits, satisfaction_bounds
from eventlib.simulate import WorldParameters, journeys, simulate
from tests.factory import lenient_policy

T0 = pd.Timestamp("2026-10-01", tz="UTC")
SITE = "https://www.example.org"


def page_views(rows: list[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Frames of page views: each a session and a person of its own where a row says nothing else."""
    usual = {
        "url": f"{SITE}/pumps/c-1", "referrer": None, "ai_engine": None, "evidence": None, "agent": None,
        "observation": "owned", "content_id": "c-1", "allow_analytics": True, "active_ms": 60_000, "second": 0,
    }  # fmt: skip
    made = [
        {"page_view_id": f"v{n}", "session_id": f"s{n}", "person_id": f"p{n}", **usual, **row}
        for n, row in enumerate(rows)
    ]
    frame = pd.DataFrame(made)
    frame["event_time"] = T0 + pd.to_timedelta(frame.pop("second"), unit="s")
    frame["engine"] = frame["ai_engine"]
    named = frame[frame["evidence"].notna()]
    empty = dict.fromkeys(EVENTS_READ, frame.iloc[:0])
    return {
        **empty, "page_view": frame.drop(columns=["evidence", "engine", "active_ms"]), "referral_land": named,
        "page_exit": frame,
    }  # fmt: skip


def landed(engine: str, visits: int, satisfied: int, **fields: Any) -> list[dict[str, Any]]:
    """Visits of an engine, or dark ones, so many of them satisfied."""
    told = {} if engine == "dark" else {"ai_engine": engine, "evidence": "referrer"}
    return [{**told, "active_ms": 60_000 if n < satisfied else 5_000, **fields} for n in range(visits)]


def kind_of(row: dict[str, Any], *others: dict[str, Any]) -> str | None:
    frames = page_views([row, *others, {"url": f"{SITE}/pumps/c-9", "ai_engine": "chatgpt"}])
    kinds = stripping._kinds(frames).set_index("page_view_id")["kind"]
    return kinds.get("v0")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({}, "dark"),
        ({"referrer": ""}, "dark"),
        ({"url": None}, "dark"),  # not known to be shallow: the bound must not be too low
        ({"url": f"{SITE}/pumps/c-1?ref=a#top"}, "dark"),
        ({"url": "https://[broken/"}, "dark"),
        ({"url": f"{SITE}/"}, "home or section"),
        ({"url": f"{SITE}/index.html"}, "home or section"),
        ({"url": "https://example.org"}, "home or section"),
        ({"url": f"{SITE}/pumps/"}, "home or section"),
        ({"url": f"{SITE}/pumps/c-1?UTM_Source=mail"}, "campaign or referrer"),
        ({"url": f"{SITE}/pumps/c-1?gclid=x"}, "campaign or referrer"),
        ({"referrer": "https://www.google.com/"}, "campaign or referrer"),
        ({"referrer": f"{SITE}/"}, "campaign or referrer"),  # a session that had timed out
        ({"ai_engine": "chatgpt"}, "named engine"),
        ({"agent": "GPTBot"}, None),
        ({"observation": "probe"}, None),
        ({"allow_analytics": False}, None),
    ],
)
def test_what_a_landing_is(row, kind):
    assert kind_of(row) == kind


def test_published_content_is_no_section_though_pages_stand_under_it():
    frames = page_views([{}, {"url": f"{SITE}/pumps/c-1/print", "content_id": "c-2"}, {"url": SITE}])
    published = {"content_publish": pd.DataFrame({"content_id": ["c-1"]})}
    assert stripping._kinds(frames)["kind"].tolist() == ["home or section", "dark", "home or section"]
    kinds = stripping._kinds({**frames, **published})["kind"].tolist()
    assert kinds == ["dark", "dark", "home or section"]


def test_only_what_opens_a_session_has_landed():
    earlier = {"session_id": "s0", "second": -60, "referrer": "https://chatgpt.com/", "ai_engine": "chatgpt"}
    assert kind_of({}, earlier) is None
    assert kind_of({}, {**earlier, "second": 60}) == "dark"
    assert kind_of({"session_id": None}, {**earlier, "session_id": None}) == "dark"


def test_who_asked_the_sites_assistant_before_has_not_landed():
    frames = page_views([{}, {}])
    asked = pd.DataFrame(
        {"session_id": ["s0", "s1"], "event_time": [T0 - pd.Timedelta("1s"), T0 + pd.Timedelta("1s")]}
    )
    kinds = stripping._kinds({**frames, "answer_generate": asked})
    assert kinds["page_view_id"].tolist() == ["v1"]  # fmt: skip


def world(dark: tuple[int, int] = (40, 24)) -> dict[str, pd.DataFrame]:
    """ChatGPT satisfies 30 of 60, Perplexity 16 of 40; one small engine."""
    rows = [*landed("chatgpt", 60, 30), *landed("perplexity", 40, 16), *landed("copilot", 30, 13)]
    return page_views([*rows, *landed("gemini", 4, 4), *landed("dark", *dark)])


def test_without_an_assumption_the_figures_are_those_of_the_report():
    frames = world()
    table = stripping.sensitivity(stripping.seen_visits(frames))
    same = ["engine", "visits", "satisfied", "lower", "upper"]
    bounds = satisfaction_bounds(engine_visits(frames))[same]
    now = table[table["dark_share"] == 0][same].reset_index(drop=True)
    pd.testing.assert_frame_equal(now, bounds, check_dtype=False)
    assert table["engine"].unique().tolist() == [
        "chatgpt",
        "perplexity",
    ]  # the smallest, and the next with it


def test_a_share_of_dark_visits_mixes_in():
    table = stripping.sensitivity(stripping.seen_visits(world()))
    own = table[table["engine"] == "chatgpt"]
    rows = dict(zip(own["dark_share"], own.to_dict("records"), strict=True))
    half = rows[0.5]
    assert (half["added"], half["visits"]) == (20, 80)
    assert half["satisfied"] == pytest.approx((30 + 12) / 80)
    assert half["least"] == pytest.approx((30 + 4) / 80)  # 16 of 40 did not satisfy; 20 were added
    assert half["most"] == pytest.approx((30 + 20) / 80)
    assert half["engine_share"] == pytest.approx(80 / 120)
    assert half["engine_share_least"] == pytest.approx(60 / 120)
    all_dark = rows[1.0]
    assert all_dark["least"] == all_dark["most"] == all_dark["satisfied"] == pytest.approx(54 / 100)
    assert (table["lower"] < table["satisfied"]).all()
    assert (table["satisfied"] < table["upper"]).all()


def test_few_dark_people_are_not_shown():
    frames = world(dark=(9, 5))
    assert stripping.sensitivity(stripping.seen_visits(frames))["dark_share"].tolist() == [0.0, 0.0]
    assert stripping.orders(stripping.seen_visits(frames)).empty
    assert "dark" not in set(stripping.landing_kinds(frames)["kind"])
    one_person = page_views([*landed("chatgpt", 30, 9), *landed("dark", 40, 20, person_id="p")])
    assert stripping.sensitivity(stripping.seen_visits(one_person))["dark_share"].tolist() == [0.0]


def test_no_event_at_all_gives_empty_tables():
    frames = {name: frame.iloc[:0] for name, frame in world().items()}
    seen = stripping.seen_visits(frames)
    tables = [stripping.sensitivity(seen), stripping.orders(seen)]
    tables += [stripping.landing_kinds(frames), stripping.evidence_shares(frames)]
    assert all(table.empty for table in tables)


def test_shares_are_checked():
    for shares in ([], [1.5], [float("nan")]):
        with pytest.raises(BadCallError, match="shares takes numbers from 0 to 1"):
            stripping.sensitivity(stripping.seen_visits(world()), shares)


def test_at_the_tipping_share_two_engines_are_even():
    (row,) = stripping.orders(stripping.seen_visits(world())).to_dict("records")
    assert (row["better"], row["worse"]) == ("chatgpt", "perplexity")
    added = row["tipping_share"] * 40
    assert (16 + 0.6 * added) / (40 + added) == pytest.approx(
        0.5
    )  # dark ones satisfy more often: they lift the worse
    assert not row["told_apart"]
    assert row["in_words"].startswith("no difference shown to begin with; ")
    assert row["in_words"].endswith("reverses if 100 % of the dark landings or more were perplexity's")
    low = page_views([*landed("a", 600, 300), *landed("b", 400, 160), *landed("dark", 800, 80)])
    (row,) = stripping.orders(stripping.seen_visits(low)).to_dict("records")
    added = row["tipping_share"] * 800
    assert (300 + 0.1 * added) / (600 + added) == pytest.approx(160 / 400)
    assert row["in_words"] == "reverses if 25 % of the dark landings or more were a's"


def test_an_order_may_hold_whoever_sent_the_dark_ones():
    frames = page_views([*landed("a", 300, 285), *landed("b", 300, 15), *landed("dark", 12, 6)])
    (row,) = stripping.orders(stripping.seen_visits(frames)).to_dict("records")
    assert np.isnan([row["tipping_share"], row["tipping_share_worst"]]).all()
    assert row["told_apart"]
    assert row["in_words"] == "holds, whoever sent the dark landings"


@pytest.mark.parametrize(
    ("better", "worse", "dark"), [((20, 12), (15, 7), (18, 10)), ((20, 20), (15, 13), (12, 7))]
)
def test_the_worst_tipping_share_is_that_of_trying_all(better, worse, dark):
    frames = page_views([*landed("a", *better), *landed("b", *worse), *landed("dark", *dark)])
    (row,) = stripping.orders(stripping.seen_visits(frames)).to_dict("records")
    grid = np.linspace(0, 1, 2001)
    # of a's: x unsatisfied ones; of b's: y satisfied ones
    x, y = np.meshgrid((dark[0] - dark[1]) * grid[::20], dark[1] * grid)
    even = better[1] / (better[0] + x) <= (worse[1] + y) / (worse[0] + y) + 1e-12
    if better[1] == better[0]:
        even &= x > 0
    tried = ((x + y)[even]).min() / dark[0] if even.any() else np.nan
    assert row["tipping_share_worst"] == pytest.approx(tried, abs=0.03, nan_ok=True)
    assert not row["tipping_share_worst"] > row["tipping_share"]


def test_ai_overviews_send_nobody_dark():
    rows = [*landed("google_ai_overview", 60, 30), *landed("b", 40, 16), *landed("dark", 80, 8)]
    frames = page_views(rows)
    shares = stripping.sensitivity(stripping.seen_visits(frames)).groupby("engine")["dark_share"].max()
    assert shares.to_dict() == {"google_ai_overview": 0.0, "b": 1.0}
    (row,) = stripping.orders(stripping.seen_visits(frames)).to_dict("records")
    assert np.isnan(row["tipping_share"])  # only unsatisfied visits of the better one could reverse it
    assert row["tipping_share_worst"] == pytest.approx(
        8 / 80
    )  # or all satisfied ones, of the other: (16 + 8) / 48


def test_evidence_is_told_by_engine_without_small_cells():
    rows = [*landed("chatgpt", 30, 9), *landed("chatgpt", 20, 9, evidence="utm_source")]
    rows += [
        *landed("chatgpt", 12, 3, evidence="declared"),
        *landed("chatgpt", 3, 3, evidence="text_fragment"),
    ]
    table = stripping.evidence_shares(page_views(rows))
    assert table["evidence"].tolist() == ["referrer", "utm_source"]
    assert table["share"].tolist() == [0.6, 0.4]


def test_small_home_pages_do_not_hide_the_dark_ones():
    frames = page_views([*landed("chatgpt", 30, 9), *landed("dark", 12, 3), *landed("dark", 3, 3, url=SITE),
                         *landed("dark", 40, 4, referrer="https://www.bing.com/")])  # fmt: skip
    table = stripping.landing_kinds(frames)
    assert table["kind"].tolist() == ["named engine", "campaign or referrer", "dark"]
    assert table["visits"].tolist() == [30, 43, 12]
    assert table["share"].sum() == pytest.approx(1)


def told_anyway(engine: int, told: float, browsed: int, /) -> journeys.Arrival:
    """Arrive as in the world, but with the evidence that was stripped."""
    return ORIGINAL(engine, 0.5 if engine >= 0 and told < 0.15 else told, browsed)


ORIGINAL = journeys._arrival


def test_the_bound_holds_every_visit_whose_referrer_was_stripped(tmp_path, monkeypatch):
    policy = lenient_policy(tmp_path)
    frames = []
    for name, arrival in (("stripped", ORIGINAL), ("told", told_anyway)):
        monkeypatch.setattr(journeys, "_arrival", arrival)
        simulate(tmp_path / name, 40_000, 7, replace(WorldParameters(), days=42), plain=True)
        log = next((tmp_path / name).glob("*.ndjson*"))
        frames.append(read_frames(el.prepare(log, policy=policy, plain_identifiers=True).events))
    stripped, told = frames
    known = landings(told)
    known = known[known["engine"] != "google_ai_overview"]  # like organic search: in no bound
    views = stripped["page_view"]
    silent = views.loc[views["ai_engine"].isna() & views["referrer"].isna(), "page_view_id"]
    hidden = set(known["page_view_id"]) & set(silent)
    opening = hidden & set(stripping._kinds(stripped)["page_view_id"])
    assert len(hidden) >= 15
    assert len(opening) >= 0.9 * len(hidden)  # the others came while a session was open
    assert opening <= set(stripping.dark_visits(stripped)["page_view_id"])
