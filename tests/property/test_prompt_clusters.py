"""S7.7 for any prompts: order of rows is nothing, a saved file assigns as the fit did, nobody's words are in it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from eventlib.geo.prompt_clusters import (
    OTHER_PROMPTS,
    UNKNOWN_PROMPTS,
    PromptClusters,
    fit_prompt_clusters,
    read_prompts,
)
from eventlib.geo.prompt_terms import split_words, used_by

WORDS = [
    "heat",
    "pumps",
    "pump",
    "of",
    "in",
    "winter",
    "ظهر",
    "热泵",
    "🔥",
    "a",
    "<b>",
    "x@y.example",
    "12",
    "ß",
    "\u202e",
]
TEXTS = st.one_of(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), st.text(max_size=12), st.none())
LOGS = st.lists(st.tuples(st.sampled_from("abcdefghij"), TEXTS, st.integers(0, 3)), max_size=40)
SLOW = settings(max_examples=40, deadline=None)


def frame(rows):
    answers = pd.DataFrame(rows, columns=["prompt_id", "prompt_text", "person_id"]).astype(object)
    return answers.assign(
        event_time=pd.Timestamp("2026-08-01", tz="UTC"), person_id=[f"p{row[2]}" for row in rows]
    )


def saved(clusters):
    with tempfile.TemporaryDirectory() as folder:
        path = clusters.save(Path(folder) / "clusters.json")
        return path.read_bytes(), PromptClusters.load(path)


@SLOW
@given(LOGS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_saving_change_nothing(rows, random, people):
    clusters = fit_prompt_clusters(frame(rows), small_cell=people)
    shuffled = random.sample(rows, len(rows))
    content, loaded = saved(clusters)
    assert saved(fit_prompt_clusters(frame(shuffled), small_cell=people))[0] == content
    prompts = read_prompts(frame(rows))
    found = clusters.assign(prompts)
    pd.testing.assert_frame_equal(loaded.assign(prompts), found)
    alone = [loaded.assign(prompts.iloc[[at]])["similarity"].item() for at in range(len(prompts))]
    np.testing.assert_array_equal(found["similarity"].to_numpy(dtype=float), np.array(alone, dtype=float))


@SLOW
@given(LOGS, st.integers(1, 4))
def test_every_prompt_has_one_named_cluster(rows, people):
    answers = frame(rows)
    clusters = fit_prompt_clusters(answers, small_cell=people)
    found = clusters.assign(read_prompts(answers))
    assert set(found["prompt_cluster"]) <= {*clusters.labels, OTHER_PROMPTS, UNKNOWN_PROMPTS}
    assert len({*clusters.labels, OTHER_PROMPTS, UNKNOWN_PROMPTS}) == len(clusters.labels) + 2
    assert found["similarity"].dropna().between(0, 1.0001).all()


@SLOW
@given(LOGS, st.integers(2, 4))
def test_every_word_in_the_file_was_used_by_enough_people(rows, people):
    content = json.loads(saved(fit_prompt_clusters(frame(rows), small_cell=people))[0])
    said: dict[str, set[str]] = {}
    for _, text, person in rows:
        for word in split_words(text or ""):
            said.setdefault(word, set()).add(person)
    assert all(len(said[word]) >= people for term in content["words"] for word in term.split(" "))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), unique=True),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_who_used_a_term_is_counted_as_by_hand(pairs, least, seed):
    matrix = sparse.random(5, 7, 0.4, format="csr", random_state=seed)
    matrix.data[:] = 1.0
    text, who = (np.array([pair[at] for pair in pairs], dtype=np.int64) for at in (0, 1))
    by_hand = [len({w for t, w in pairs if matrix[t, term]}) >= least for term in range(7)]
    assert used_by(matrix, text, who, least).tolist() == by_hand
