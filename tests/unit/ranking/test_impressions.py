"""What may train: owned, consented, human; and where every show went."""

from __future__ import annotations

import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.ranking.impressions import read_impressions
from tests.unit.ranking.worlds import PLACES, simulate


def small():
    return simulate(answers=50, people=20, days=10).tables


def test_every_show_is_kept_or_counted():
    tables = small()
    shows = tables.shows.copy()
    shows.loc[0:3, "observation"] = "probe"
    shows.loc[4:6, "allow_training"] = False
    shows.loc[7, "agent"] = "GPTBot"
    shows.loc[8, "citation_id"] = shows.loc[9, "citation_id"]
    shows.loc[10:11, "allow_analytics"] = False
    found = read_impressions(shows, tables.clicks, tables.answers)
    assert found.removed == {
        "not_owned": 4, "no_training_consent": 3, "agent": 1, "no_engine": 0, "repeated": 1, "no_analytics_consent": 2,
    }  # fmt: skip
    assert len(found.frame) + sum(found.removed.values()) == 50 * PLACES


def test_clicks_without_training_consent_do_not_count():
    tables = small()
    clicks = tables.clicks.assign(allow_training=False)
    assert read_impressions(tables.shows, tables.clicks).frame["clicked"].sum() == len(tables.clicks)
    assert read_impressions(tables.shows, clicks).frame["clicked"].sum() == 0


def test_a_null_is_no_consent():
    tables = small()
    shows = tables.shows.assign(allow_training=tables.shows["allow_training"].astype("boolean"))
    shows["allow_training"] = None
    assert read_impressions(shows, tables.clicks).removed["no_training_consent"] == len(shows)


def test_prompts_come_from_answers_and_are_their_own_without():
    tables = small()
    assert set(read_impressions(tables.shows, tables.clicks, tables.answers).frame["prompt_id"].str[:3]) == {
        "pr-"
    }
    assert read_impressions(tables.shows, tables.clicks).frame["prompt_id"].str.startswith("answer:").all()


def test_engines_are_counted_apart():
    tables = small()
    shows = tables.shows.copy()
    shows.loc[:99, "engine"] = "search:shop"
    counts = read_impressions(shows, tables.clicks, tables.answers).counts()
    assert dict(zip(counts["engine"], counts["shows"], strict=True)) == {
        "search:shop": 100,
        "site_assistant": 100,
    }


def test_missing_columns_are_named():
    with pytest.raises(BadCallError, match="needs the columns observation"):
        read_impressions(small().shows.drop(columns="observation"), small().clicks)


def test_answers_with_neither_person_nor_device_count_as_one():
    tables = simulate(answers=50, people=20, days=10).tables
    nobody = {
        name: pd.array([None] * len(tables.shows), dtype="string") for name in ("person_id", "anonymous_id")
    }
    found = read_impressions(tables.shows.assign(**nobody), tables.clicks, tables.answers)
    assert found.counts()["people"].tolist() == [1]
    assert found.frame["person"].nunique() == 50
