"""S8.4: nothing from after the cut, no rank, no gap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eventlib.ranking.features import (
    CONTENT_FEATURES,
    FEATURES,
    assign_clusters,
    describe_features,
    history,
    learn_clusters,
    read_contents,
)
from tests.unit.ranking.worlds import HOUR, START, edits, simulate

NAMES = [feature.name for feature in CONTENT_FEATURES]
EDITED = START + 5 * HOUR
EDIT = {
    "content_id": "c-000",
    "from_version": "1",
    "to_version": "2",
    "time": EDITED,
    "statistic_count": 40,
}


def contents(cut=START, rows=()):
    return read_contents(simulate(answers=5).tables.publishes, edits(list(rows)), cut)


def value(found, content, version, feature, cluster=""):
    cells = pd.DataFrame({"content_id": [content], "content_version": [version], "prompt_cluster": [cluster]})
    return found.matrix(cells)[0, NAMES.index(feature)]


def test_an_edit_states_what_changed_and_the_rest_is_carried_over():
    found = contents(START + 6 * HOUR, [EDIT])
    assert value(found, "c-000", "2", "statistic_count") == 40
    assert value(found, "c-000", "2", "word_count") == value(found, "c-000", "1", "word_count") == 800
    assert value(found, "c-000", "2", "statistics_per_1000_words") == pytest.approx(50)


def test_what_happens_at_the_cut_or_later_is_not_known():
    before, after = contents(EDITED, [EDIT]), contents(EDITED + 1, [EDIT])
    assert value(before, "c-000", "2", "statistic_count") == value(before, "c-000", "1", "statistic_count")
    assert value(after, "c-000", "2", "statistic_count") == 40


def test_unknown_versions_take_the_newest_and_unknown_contents_the_defaults():
    found = contents(START + 6 * HOUR, [EDIT])
    assert value(found, "c-000", "", "statistic_count") == 40
    assert value(found, "nobody", "1", "word_count") == found.defaults["word_count"]
    assert value(found, "nobody", "1", "is_article") == 0


def test_rows_without_training_consent_are_not_read():
    publishes = simulate(answers=5).tables.publishes.assign(allow_training=False)
    assert read_contents(publishes, edits(), START).frame.empty


def test_there_is_never_a_gap():
    found = contents()
    cells = pd.DataFrame(
        {"content_id": ["c-000", "x"], "content_version": ["9", ""], "prompt_cluster": ["heat_pumps", "y"]}
    )
    assert np.isfinite(found.matrix(cells)).all()
    empty = read_contents(simulate(answers=5).tables.publishes.head(0), edits(), START)
    assert np.isfinite(empty.matrix(cells)).all()


def test_topics_match_the_cluster_only_where_known():
    found = contents()
    assert value(found, "c-000", "1", "topic_match", "heat_pumps") == 1
    assert value(found, "c-000", "1", "topic_match", "solar_panels") == 0
    assert value(found, "nobody", "1", "topic_match", "") == 0


def test_new_prompts_are_assigned_by_their_own_answer():
    shows = pd.DataFrame(
        {
            "answer_id": ["a", "a", "a", "b"],
            "prompt_id": ["known", "known", "known", "new"],
            "content_id": ["x", "x", "y", "y"],
        }
    )
    topics = {"x": "one", "y": "two"}
    known = learn_clusters(shows.head(3), topics)
    assert known == {"known": "one"}
    assert list(assign_clusters(shows, topics, known)) == ["one", "one", "one", "two"]


def test_histories_are_shrunk_level_by_level():
    clicks, examined = np.array([[8.0], [0.0], [2.0]]), np.array([[10.0], [10.0], [20.0]])
    levels = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 2]])  # the first two cells are one content, two prompts
    wide, _, near = history(clicks, examined, levels)[:, 0].T
    mean = 10 / 40
    assert wide[0] == wide[1] == pytest.approx((8 + 10 * mean) / 30)
    assert near[0] > wide[0] > near[1]
    assert near[2] < wide[2] < mean


def test_the_feature_table_has_no_rank_and_says_where_each_comes_from():
    table = describe_features({feature.name: 0.0 for feature in FEATURES})
    assert all(row["source"] and row["unit"] and row["description"] for row in table)
    assert not any("rank" in row["name"] or "position" in row["name"] for row in table)
