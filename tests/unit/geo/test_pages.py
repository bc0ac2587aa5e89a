"""One page closely."""

from __future__ import annotations

import pandas as pd
import pytest

from eventlib.geo.engagement import score_observed
from eventlib.geo.observed import observed_stages
from eventlib.geo.pages import choose_page, cluster_map, page_cells, page_facts, page_titles, with_titles
from tests.unit.geo.small_world import small_world

CLUSTERS = {f"q{i}": "even" if i % 2 == 0 else "odd" for i in range(40)}


@pytest.fixture(scope="module")
def frames():
    return small_world(seed=3, answers=1_500, people=400, edited=6).frames


@pytest.fixture(scope="module")
def scores(frames):
    observed = observed_stages(frames)
    keys = [("content_id",), ("content_id", "prompt_cluster"), ("content_id", "content_version")]
    return [
        score_observed(observed, by=by, prompt_clusters=CLUSTERS, replicates=20, draws=200)[0] for by in keys
    ]


def test_a_page_has_its_whole_score_then_its_parts(scores):
    cells = page_cells("c-00", scores[0], scores[1:])
    assert cells["of"].tolist()[0] == "all"
    assert set(cells["of"]) == {"all", "prompt_cluster", "content_version"}
    assert cells.loc[cells["of"] == "content_version", "cell"].tolist() == ["1", "2"]
    whole = scores[0].frame.set_index("content_id").loc["c-00"]
    assert cells["theta"].iloc[0] == whole["theta"]
    stages = cells.iloc[0][["cite", "click", "satisfy"]].astype(float)
    assert stages.prod() == pytest.approx(whole["theta"])


def test_a_page_that_is_not_shown_has_no_cells(scores):
    assert page_cells("nobody", scores[0], scores[1:]).empty
    assert choose_page(scores[0], "nobody") == ""


def test_the_page_looked_at_is_the_worst_of_those_called_worse(scores):
    frame = scores[0].frame
    worse = frame[frame["word"] == "worse"]
    assert len(worse) > 1
    assert choose_page(scores[0]) == worse.sort_values("theta")["content_id"].iloc[0]
    assert choose_page(scores[0], "c-05") == "c-05"


def test_the_map_shows_only_what_there_is_evidence_for(scores):
    shown = cluster_map(scores[1:], {"c-00": "First"})
    enough = scores[1].frame[scores[1].frame["enough"]]
    assert set(shown.columns) <= {"even", "odd"}
    assert int(shown.notna().sum().sum()) <= len(enough)
    assert shown.index.str.startswith("c-").all()


def test_titles_are_the_newest_that_were_published(frames):
    at = pd.Timestamp("2026-06-01", tz="UTC")
    publish = pd.DataFrame({"content_id": ["a", "b"], "title": ["Old", "Kept"], "event_time": at})
    edit = pd.DataFrame({"content_id": ["a"], "title": ["New"], "event_time": at + pd.Timedelta(days=1)})
    told = frames | {"content_publish": publish, "content_edit": edit}
    assert page_titles(told) == {"a": "New", "b": "Kept"}


def test_a_title_that_few_saw_is_no_title(frames):
    views = frames["page_view"].assign(title="Everybody sees this")
    views.loc[views.index[:3], ["title", "content_id"]] = ["Basket of Jane Doe", "basket"]
    titles = page_titles(frames | {"page_view": views})
    assert "basket" not in titles
    assert set(titles.values()) == {"Everybody sees this"}


def test_long_titles_are_cut():
    named = with_titles(pd.DataFrame({"content_id": ["c-1"], "n": [1]}), {"c-1": "x" * 200})
    assert named.columns.tolist() == ["page", "content_id", "n"]
    assert len(named["page"].iloc[0]) == 44


def test_facts_are_about_ten_people_or_more(frames):
    told = page_facts("c-00", frames, "site_assistant")
    assert {"usual position", "shown first", "edited"} <= set(told["fact"])
    assert "fetched by agents" not in set(told["fact"])
    few = frames | {"citation_show": frames["citation_show"].head(20)}
    assert set(page_facts("c-00", few, "site_assistant")["fact"]) == {"edited"}


def test_long_addresses_that_begin_alike_stay_apart():
    root = "https://www.example.org/guides/heating-and-cooling/"
    ids = [f"{root}{kind}" for kind in ("heat-pumps", "boilers")] + [
        f"{root}{i}/a-long-way-down-to-the-page" for i in (1, 2)
    ]
    frame = pd.DataFrame({"content_id": [*ids, ids[0]]})
    labels = with_titles(frame, {})["page"].tolist()
    assert labels[0] == labels[4] == "https://www.example.o…nd-cooling/heat-pumps"
    assert len(set(labels)) == 4
    assert all(len(label) <= 48 for label in labels)


def test_a_title_is_masked_before_it_is_cut():
    secret = "https://shop.example/a/long/way/to/it?session=" + "s" * 40
    named = with_titles(pd.DataFrame({"content_id": ["c-1", secret]}), {"c-1": f"Basket {secret}"})
    assert not named["page"].str.contains("session").any()
