"""Loop guards tell what they should in logs that were made so, and nothing of a few people."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eventlib.ranking import Ranking, train_ranking, views
from eventlib.ranking.drift import SCORE, drift, stability
from eventlib.ranking.guards import GUARD_COLUMNS, Guard, gini, loop_guards, reordered, spearman
from eventlib.ranking.impressions import Impressions, read_impressions
from eventlib.ranking.pipeline import Judged
from tests.unit.ranking.worlds import simulate, trained

ALONE = np.arange(2000)
KEY = ["prompt_id", "content_id", "content_version", "month"]


def judged() -> Judged:
    found = trained().judged
    assert found is not None
    return found


def guards(found: Ranking) -> dict[str, dict[Hashable, Any]]:
    return {row["guard"]: row for row in loop_guards(found).to_dict("records")}


def with_propensity(chance: np.ndarray) -> Ranking:
    """Return the shared ranking with a propensity in its impressions."""
    whole = trained().impressions
    return replace(trained(), impressions=Impressions(whole.frame.assign(propensity=chance), whole.removed))


def still_log() -> pd.DataFrame:
    """Return the shows before the cut with each content always in the place that was its highest for the prompt."""
    learned = judged().learned
    return learned.assign(rank=learned.groupby(KEY)["rank"].transform("min"))


@cache
def shows_of(noise: float) -> pd.DataFrame:
    tables = simulate(answers=3000, noise=noise, seed=9).tables
    return read_impressions(tables.shows, tables.clicks, tables.answers).frame


def test_a_healthy_log_is_fine():
    assert {row["state"] for row in guards(trained()).values()} == {"fine"}
    assert views.loop_guards is loop_guards


def test_gini_of_known_shares():
    assert gini(np.array([1.0, 3.0])) == pytest.approx(0.25)
    assert np.isnan(gini(np.zeros(3)))
    rng = np.random.default_rng(0)
    pareto = (1 - rng.random(400_000)) ** (-1 / 3)  # Pareto's law with exponent 3 has a Gini index of 1/5
    assert gini(pareto) == pytest.approx(0.2, abs=0.01)


def test_limits_of_concentration_are_80_to_20_and_90_to_10():
    limits = guards(trained())["Gini of exposure over contents"]["limits"]
    assert limits == "look over .76, alarm over .91"


def test_all_exposure_on_one_content_is_an_alarm():
    data = judged().train
    cells = data.cells.assign(content_id=np.where(np.arange(len(data.cells)) < 3, "rare", "favourite"))
    found = guards(replace(trained(), judged=replace(judged(), train=replace(data, cells=cells))))
    assert found["share of exposure on the top 1 % of contents"]["state"] == "alarm"
    assert found["rank correlation of signal with past exposure"]["state"] == "not asked"


def test_what_stands_high_because_it_was_shown_is_an_alarm_and_a_few_contents_are_not():
    data, name = judged().train, "rank correlation of history with past exposure"
    content = data.cells["content_id"].to_numpy()
    seen = pd.Series(judged().theta[data.place]).groupby(content[data.cell]).sum()
    earned = pd.DataFrame({"content_id": seen.index, "content_history": seen.to_numpy()})
    earned = earned.assign(prompt_cluster="", prompt_id="", cluster_history=0.3, prompt_history=0.3)
    shown = replace(judged().ranker, histories=earned)
    found = guards(replace(trained(), judged=replace(judged(), rankers={judged().champion: shown})))
    assert found[name]["value"] == pytest.approx(1.0)
    assert found[name]["state"] == "alarm"
    few = spearman(pd.Series(range(12)), pd.Series([0, 2, 1, 7, 3, 5, 4, 11, 6, 8, 10, 9]))
    assert few[0] > 0.8
    assert few[1] < 0.8
    assert np.isnan(spearman(pd.Series(range(12)), pd.Series([1.0] * 12))).all()


def test_contents_that_were_never_shown_are_counted():
    contents = judged().contents
    more = pd.concat(
        [contents.frame, *(contents.frame.assign(content_id=x + contents.frame["content_id"]) for x in "xyz")]
    )
    found = guards(replace(trained(), judged=replace(judged(), contents=replace(contents, frame=more))))
    row = found["known contents never shown"]
    shown = judged().train.cells["content_id"].nunique()
    assert row["value"] == pytest.approx(1 - shown / len(more))
    assert row["state"] == "alarm"


def test_a_log_in_which_nothing_moves_is_an_alarm():
    found = guards(replace(trained(), judged=replace(judged(), learned=still_log())))
    for name in ("swap rate", "clicks that inform exposure"):
        assert (found[name]["value"], found[name]["state"]) == (0.0, "alarm")


def test_swaps_that_a_few_people_saw_are_not_told():
    log = still_log()
    one = (log[KEY] == log[KEY].iloc[0]).all(axis=1)
    person = log["person"].mask(one, "p-1")
    moved = log.assign(person=person, rank=log["rank"].mask(one, 1 + np.arange(len(log)) % 2))
    row = guards(replace(trained(), judged=replace(judged(), learned=moved)))["swap rate"]
    assert np.isnan(row["value"])
    assert row["state"] == "not asked"
    assert row["reads"] == "fewer than ten people are behind it or left by it"


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 0.0, 0.0), (0.03, 0.02, 0.15), (0.8, 0.5, 1.0)])
def test_the_more_chance_in_the_order_the_more_answers_differ(noise, low, high):
    assert low <= reordered(shows_of(noise))["other"].mean() <= high


def test_an_answer_that_cites_others_does_not_differ_by_that():
    def answer(name, prompt, contents):
        return pd.DataFrame(
            {"answer_id": name, "prompt_id": prompt, "slot": "inline", "content_id": contents, "person": name}
        ).assign(rank=range(1, len(contents) + 1))

    shows = pd.concat(
        [
            answer("1", "p", ["a", "b", "c"]), answer("2", "p", ["a", "b", "d"]), answer("3", "p", ["b", "a", "d"]),
            answer("4", "q", ["b", "a"]), answer("5", "p", ["x", "y"]),
        ]
    )  # fmt: skip
    # 4 answers another prompt, and 5 has no neighbours that another answer had
    assert reordered(shows).to_dict("list") == {"person": ["1", "2", "3"], "other": [False, False, True]}
    assert reordered(shows.head(0)).empty


def test_a_logged_propensity_is_what_exploration_is_read_from():
    n = len(trained().impressions.frame)
    chance = np.where(np.arange(n) % 50 == 0, 0.25, np.nan)
    row = guards(with_propensity(chance))["exploration share"]
    assert row["value"] == pytest.approx(0.02, abs=0.001)
    assert row["state"] == "look"
    assert row["reads"].startswith("of shows have a logged propensity")
    # without exception in the same place is not by chance
    certain = guards(with_propensity(np.ones(n)))["exploration share"]
    assert (certain["value"], certain["state"]) == (0.0, "alarm")


def test_an_empty_propensity_is_none():
    absent = guards(trained())["exploration share"]
    assert absent["reads"].startswith("no propensity is logged")
    n = len(trained().impressions.frame)
    assert guards(with_propensity(np.full(n, np.nan)))["exploration share"] == absent


def test_what_a_few_people_explored_is_not_told():
    frame = trained().impressions.frame
    some = frame["person"].isin(sorted(set(frame["person"]))[:9])
    row = guards(with_propensity(np.where(some, 0.25, np.nan)))["exploration share"]
    assert np.isnan(row["value"])
    assert row["state"] == "not asked"


def test_limits_count_on_their_own_side():
    assert Guard("g", 0.3, (0.2, 0.5), "").state == "look"
    assert Guard("g", 0.3, (0.2, 0.5), "", judged_by=0.6).state == "alarm"
    low = [Guard("g", value, (0.5, 0.1), "", low=True).state for value in (0.5, 0.4, 0.05, float("nan"))]
    assert low == ["fine", "look", "alarm", "not asked"]
    assert Guard("g", 0.3, (0.5, 0.1), "", low=True).row[3] == "look under .50, alarm under .10"


def test_without_a_ranker_there_is_nothing_to_guard():
    untrained = train_ranking(simulate(answers=50).tables)
    assert loop_guards(untrained).columns.tolist() == list(GUARD_COLUMNS)
    assert loop_guards(untrained).empty
    assert drift(untrained).empty


def test_no_drift_where_nothing_changed():
    table = drift(trained())
    assert table.loc[table["feature"] == SCORE, "group"].tolist() == ["scores"]
    assert (table["state"] == "fine").all()
    assert table["psi"].is_monotonic_decreasing
    assert (table["chance"] >= table["expected"]).all()


def test_what_is_shown_less_from_the_cut_on_is_drift():
    held = judged().held
    ease = judged().contents.latest().set_index("content_id")["reading_ease"]
    easy = (held.frame["content_id"].map(ease) > ease.median()).to_numpy()
    rows = np.flatnonzero(easy | (np.arange(len(easy)) % 10 == 0))
    fewer = replace(
        held, frame=held.frame.iloc[rows].reset_index(drop=True), person=held.person[rows], place=held.place[rows],
        answer=held.answer[rows], clicked=held.clicked[rows],
    )  # fmt: skip
    found = replace(trained(), judged=replace(judged(), held=fewer))
    row = drift(found).set_index("feature").loc["reading_ease"]
    assert row["state"] == "alarm"
    assert row["after"] > row["before"]
    assert row["reads"].endswith("more than chance")
    told = guards(found)["largest drift of a feature (PSI)"]
    assert told["state"] == "alarm"
    assert "moved" in told["reads"]


def test_drift_of_a_few_people_is_not_told():
    few = replace(judged().held, person=judged().held.person % 9)
    found = replace(trained(), judged=replace(judged(), held=few))
    assert drift(found).empty
    assert guards(found)["drift of scores (PSI)"]["state"] == "not asked"


def test_few_rows_are_not_flagged_for_being_few():
    rng = np.random.default_rng(2)
    shift = stability(rng.normal(size=40), rng.normal(size=40), ALONE[:40], ALONE[:40])
    assert shift.psi > 0.1
    assert shift.state == "fine"


def test_chance_alone_exceeds_its_limit_once_in_a_hundred():
    # ten shows a person that resemble each other: taken for independent, hundreds of the 400 would be over
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(150), 10)

    def draw():
        return rng.normal(size=150)[person] + 0.3 * rng.normal(size=1500)

    found = [stability(draw(), draw(), person, person) for _ in range(400)]
    assert np.mean([shift.psi > shift.chance for shift in found]) < 0.03
    assert np.mean([shift.psi for shift in found]) == pytest.approx(
        np.mean([shift.expected for shift in found]), rel=0.15
    )
    independent = 9 * (1 / 1500 + 1 / 1500)
    assert np.mean([shift.psi for shift in found]) > 3 * independent


def test_independent_shows_have_the_chance_that_formulas_say():
    rng = np.random.default_rng(4)
    shift = stability(rng.normal(size=2000), rng.normal(size=2000), ALONE, ALONE)
    assert shift.expected == pytest.approx(9 * (1 / 2000 + 1 / 2000), rel=0.05)


@pytest.mark.parametrize(("before", "after"), [(0.0, 1.0), (1.0, 0.0), (3.0, 3.0001)])
def test_a_feature_that_never_varied_and_now_is_another_is_an_alarm(before, after):
    shift = stability(np.full(500, before), np.full(500, after), ALONE[:500], ALONE[:500])
    assert shift.state == "alarm"
    same = stability(np.full(500, before), np.full(300, before), ALONE[:500], ALONE[:300])
    assert (same.psi, same.state) == (0.0, "fine")


def test_a_rare_kind_that_becomes_common_is_an_alarm():
    rare, common = (np.arange(1000) % step == 0 for step in (20, 2))
    for before, after in ((rare, common), (common, rare), (~rare, ~common)):
        shift = stability(before.astype(float), after.astype(float), ALONE[:1000], ALONE[:1000])
        assert shift.state == "alarm"
