"""From tables to a judged ranker; and in words why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eventlib.columns import microseconds
from eventlib.errors import BadCallError
from eventlib.ranking import Options, rivals, train_ranking, views
from tests.unit.ranking.worlds import EXPOSURE, HOUR, simulate, trained, world


def test_a_world_that_holds_what_the_model_assumes_is_ranked_and_may_go_out():
    found = trained()
    assert found.exportable, found.gate_table
    assert found.judged is not None
    assert found.exposure is not None
    assert found.judged.places == ["inline 1", "inline 2", "inline 3", "inline 4"]
    assert found.judged.theta == pytest.approx(EXPOSURE, rel=0.2)
    curve = found.exposure.frame
    assert (np.abs(np.log(curve["exposure"] / EXPOSURE)) <= 3 * curve["log_se"] + 1e-9).all()


def test_the_champion_beats_what_was_shown_and_the_canary_does_not():
    found = trained()
    share, lower, upper = views.lift(found)
    assert share is not None
    assert lower is not None
    assert upper is not None
    assert 0 < lower < share < upper
    gains = views.policies(found).set_index("policy")["gain"]
    assert gains["shuffled labels (canary)"] < 0


def test_nothing_of_the_held_out_part_is_learned():
    tables = world().tables
    options = Options(seed=3, replicates=20)
    found = trained()
    late = (
        microseconds(tables.clicks) >= found.cut + HOUR
    )  # clicks on what was shown before the cut are learned
    half = tables.clicks[late].sample(frac=0.5, random_state=0)
    assert 100 < len(half) < late.sum()
    other = train_ranking(replace(tables, clicks=pd.concat([tables.clicks[~late], half])), options)
    assert other.cut == found.cut
    assert other.judged is not None
    assert found.judged is not None
    assert (other.judged.held.clicked.sum() < found.judged.held.clicked.sum()).all()
    for name in ("debiased", "naive"):
        learned, again = (judged.rankers[name] for judged in (found.judged, other.judged))
        assert again.histories.equals(learned.histories)
        assert (again.intercept, again.slope) == (learned.intercept, learned.slope)


def test_the_embargo_separates_the_parts():
    found = trained()
    times = found.impressions.frame["time_us"].to_numpy()
    assert found.rows["train"] == (times < found.cut).sum()
    assert found.rows["held_out"] == (times >= found.cut + 24.5 * 3_600_000_000).sum()
    assert sum(found.rows.values()) == len(times)
    assert found.held_times.min() > found.times.max()


@pytest.mark.parametrize("answers", [0, 1, 60])
def test_too_little_is_said_and_is_no_error(answers):
    tables = simulate(answers=300, people=50).tables
    few = replace(tables, shows=tables.shows.head(4 * answers))
    found = train_ranking(few)
    assert found.reason
    assert not found.exportable
    assert views.verdict(found) == "nothing to ask"
    assert views.lift(found) == (None, None, None)
    assert views.policies(found).empty
    assert views.importance(found).empty
    assert views.calibration_table(found).empty
    assert views.exposure_table(found).empty
    assert views.loop_guards(found).empty
    assert views.removed(found)["shows"].sum() == len(few.shows)


def test_without_training_consent_there_is_nothing_to_learn_from():
    tables = simulate(answers=100).tables
    found = train_ranking(replace(tables, shows=tables.shows.assign(allow_training=False)))
    assert found.reason == "no citation of an owned engine was shown to people who allow training"


def test_places_known_too_poorly_refuse_the_export_by_g4():
    found = train_ranking(simulate(answers=900, people=150).tables)
    assert found.judged is None
    states = {gate.gate: gate.state for gate in found.gates}
    assert states.pop("G4") == "failed"
    assert states == dict.fromkeys(["G1", "G2", "G3", "G5", "G6"], "not_applicable")
    assert views.verdict(found) == "refused by G4"


def test_an_unknown_engine_is_named():
    with pytest.raises(BadCallError, match=r"unknown engine 'site_asistant'\. Did you mean 'site_assistant'"):
        train_ranking(simulate(answers=50).tables, Options(engine="site_asistant"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("evaluation_share", 0.0), ("evaluation_share", 1.0), ("evaluation_share", -1.0), ("evaluation_share", float("nan")),
        ("evaluation_share", "much"), ("embargo_hours", -24.0), ("embargo_hours", float("nan")), ("embargo_hours", float("inf")),
        ("replicates", 1), ("replicates", True), ("seed", -1), ("seed", 1.5), ("seed", 2**40),
    ],
)  # fmt: skip
def test_figures_out_of_their_range_are_refused_by_name(name, value):
    with pytest.raises(BadCallError, match=f"{name} must be a .*number"):
        Options(**{name: value})


def test_an_embargo_longer_than_the_log_leaves_nothing_to_ask():
    found = train_ranking(simulate(answers=900).tables, Options(embargo_hours=1_000_000))
    assert "0 after it" in found.reason


@pytest.mark.parametrize("person", ["p-{i}", None])
def test_of_fewer_than_ten_people_nothing_is_told(person):
    tables = simulate(answers=900).tables
    of_answer = {
        answer: person and person.format(i=i % 9) for i, answer in enumerate(tables.answers["answer_id"])
    }

    def few(frame):
        who = pd.array([of_answer[answer] for answer in frame["answer_id"]], dtype="string")
        return frame.assign(person_id=who, anonymous_id=who)

    found = train_ranking(
        replace(tables, shows=few(tables.shows), clicks=few(tables.clicks), answers=few(tables.answers))
    )
    assert found.reason == (
        "citations of site_assistant were shown to fewer than 10 people who allow training"
    )
    assert found.clicks is None
    assert views.counts(found).empty


def test_clicks_that_came_in_the_held_out_part_train_nothing():
    tables = simulate(answers=3000).tables
    on_time = train_ranking(tables, Options(replicates=20))
    assert on_time.judged is not None
    shows = tables.shows.set_index("citation_id")["event_time"]
    end = pd.Timestamp(on_time.cut, unit="us", tz="UTC") + pd.Timedelta(hours=on_time.options.embargo_hours)
    late = tables.clicks["citation_id"].str.endswith("-0")
    times = tables.clicks["event_time"].mask(late, end + pd.Timedelta(hours=1))
    found = train_ranking(
        replace(tables, clicks=tables.clicks.assign(event_time=times)), Options(replicates=20)
    )
    before = tables.clicks["citation_id"].map(shows) < pd.Timestamp(on_time.cut, unit="us", tz="UTC")
    assert found.judged is None or found.judged.train.clicked.sum() == (before & ~late).sum()
    assert found.exposure is not None
    clicks = found.exposure.frame.set_index("rank")["clicks"]
    assert clicks[1] == 0
    assert clicks.sum() == (before & ~late).sum()


def test_a_tracker_that_repeats_ranks_is_trained_and_its_click_models_are_compared():
    tables = simulate(answers=5000).tables
    doubled = tables.shows["position"].where(tables.shows["position"] != 2, 1)
    found = train_ranking(
        replace(tables, shows=tables.shows.assign(position=doubled)), Options(replicates=20)
    )
    assert found.judged is not None
    assert np.isfinite(found.judged.evidence.checks.distance.estimate)
    models = rivals.click_models(found)
    assert len(models) == 4
    assert np.isfinite(models["perplexity"]).all()


def test_search_logs_are_ranked_like_answers():
    tables = simulate(answers=900, people=150).tables
    found = train_ranking(replace(tables, shows=tables.shows.assign(engine="search:shop")))
    assert found.engine == "search:shop"
    assert found.gates


def test_views_of_a_trained_ranking_are_whole():
    found = trained()
    leaned = views.importance(found)
    assert leaned["feature"].iloc[0] == "prompt_history"
    assert leaned["loss"].iloc[0] > 0
    assert views.calibration_table(found)["shows"].sum() == found.rows["held_out"]
    guards = views.loop_guards(found).set_index("guard")["value"]
    assert 0 <= guards["Gini of exposure over contents"] < 1
    assert views.removed(found)["shows"].sum() == len(world().tables.shows)
    poor = replace(found, gates=tuple(replace(g, state="not_applicable") for g in found.gates[1:2]))
    assert views.caveats(poor)[0].startswith("G2")
