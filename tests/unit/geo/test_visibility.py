"""S7.1: word share and position-adjusted word share, by hand and from events; on real answers in tests/real."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.geo.visibility import (
    answer_shares,
    engine_visibility,
    page_visibility,
    spec_disagreement,
    word_shares,
)

START = pd.Timestamp("2026-09-01", tz="UTC")

# 4 words by [1]; 6 words shared by [1] and [2]; 2 words by [3], none of them over two characters but one
ANSWER = "Pumps save much energy [1]. They do cost more at first [1][2]. So try [3]."


def test_word_share_as_in_the_paper():
    assert word_shares(ANSWER, 3) == pytest.approx(np.array([4 + 3, 3, 2]) / 12)


def test_word_share_as_in_the_public_code():
    # over two characters: Pumps save much energy (4); They cost more first (4); try (1)
    assert word_shares(ANSWER, 3, "repo") == pytest.approx(np.array([4 + 2, 2, 1]) / 9)


def test_position_adjusted_as_in_the_paper():
    first, second, third = 4.0, 6 * math.exp(-1 / 3), 2 * math.exp(-2 / 3)
    expected = np.array([first + second / 2, second / 2, third])
    assert word_shares(ANSWER, 3, position_adjusted=True) == pytest.approx(expected / expected.sum())


def test_position_adjusted_as_in_the_public_code():
    first, second, third = 4.0, 4 * math.exp(-1 / 2), 1 * math.exp(-2 / 2)
    expected = np.array([first + second / 2, second / 2, third])
    assert word_shares(ANSWER, 3, "repo", position_adjusted=True) == pytest.approx(expected / expected.sum())


def test_an_uncited_answer():
    assert word_shares("Nothing cited here.", 4).tolist() == [0, 0, 0, 0]
    assert word_shares("Nothing cited here.", 4, "repo").tolist() == [0.25] * 4


def test_a_source_cited_twice_in_a_sentence_shares_once_in_the_paper_only():
    text = "Many words about pumps [1][1][2]."
    assert word_shares(text, 2) == pytest.approx([1 / 2, 1 / 2])
    assert word_shares(text, 2, "repo") == pytest.approx([2 / 3, 1 / 3])


def test_invented_sources_are_left_out():
    assert word_shares("All words here [7]. Some words there [1].", 2) == pytest.approx([1, 0])


def test_the_decay_alone_names_another_top_source():
    # 4 words by [1], then 7 by [2], all over two characters
    # paper: 4 < 7 e^(-1/2) = 4.2457; 4 / 8.2457 = .4851
    # repo:  4 > 7 e^(-1/1) = 2.5752; 4 / 6.5752 = .6084
    text = "Pines grow tall quickly [1]. Birches live shorter lives than most others [2]."
    assert word_shares(text, 2, position_adjusted=True) == pytest.approx([0.4851, 0.5149], abs=5e-5)
    assert word_shares(text, 2, "repo", position_adjusted=True) == pytest.approx([0.6084, 0.3916], abs=5e-5)
    # without a position both say 4 / 11 and 7 / 11
    assert word_shares(text, 2) == pytest.approx(word_shares(text, 2, "repo"))


def test_counting_the_first_sentence_as_0_or_as_1_is_the_same():
    # from 1: 4 e^(-1/2) and 7 e^(-2/2), both e^(-1/2) times what they are from 0; the sum to 1 takes it out
    text = "Pines grow tall quickly [1]. Birches live shorter lives than most others [2]."
    from_1 = np.array([4 * math.exp(-1 / 2), 7 * math.exp(-2 / 2)])
    assert word_shares(text, 2, position_adjusted=True) == pytest.approx(from_1 / from_1.sum())


def test_short_words_alone_name_another_top_source():
    # paper: 9 words and 3, so 9 / 12 and 3 / 12; over two characters: 1 ("now") and 3, so 1 / 4 and 3 / 4
    text = "It is up to us to do it now [1]. Foresters measure trunks [2]."
    assert word_shares(text, 2) == pytest.approx([3 / 4, 1 / 4])
    assert word_shares(text, 2, "repo") == pytest.approx([1 / 4, 3 / 4])


def test_cited_for_short_words_only():
    # paper: 3 of 3 words; repo: no token over two characters, a sum of 0, so 1 / 2 each as if uncited
    assert word_shares("It is so [1].", 2).tolist() == [1, 0]
    assert word_shares("It is so [1].", 2, "repo").tolist() == [0.5, 0.5]


def test_invented_sources_only():
    # nobody is named: a sum of 0 in both, which repo takes for an uncited answer
    assert word_shares("Foresters measure trunks [7].", 2).tolist() == [0, 0]
    assert word_shares("Foresters measure trunks [7].", 2, "repo").tolist() == [0.5, 0.5]


def test_an_invented_source_takes_its_part_of_a_sentence_along():
    # both: half of 4 words to [1], 3 words to [2], so 2 / 5 and 3 / 5
    text = "Foresters measure trunks here [1][7]. They count rings [2]."
    for spec in ("paper", "repo"):
        assert word_shares(text, 2, spec) == pytest.approx([2 / 5, 3 / 5])
    # invented twice: still half in the paper; a third in the public code, 4 / 3 beside 3, so 4 / 13 and 9 / 13
    twice = text.replace("[7]", "[7][7]")
    assert word_shares(twice, 2) == pytest.approx([2 / 5, 3 / 5])
    assert word_shares(twice, 2, "repo") == pytest.approx([4 / 13, 9 / 13])


def test_number_0_names_nothing():
    # the public code counts back from the end here and gives [0] to the last source: a slip we do not copy
    text = "Foresters measure trunks [0]. They count rings [1]."
    for spec in ("paper", "repo"):
        assert word_shares(text, 2, spec).tolist() == [1, 0]


def test_one_sentence_has_no_position():
    # n - 1 = 0: its decay is 1 in the public code, as e^(-0/1) = 1 is in the paper
    text = "Foresters measure trunks [1][2]."
    for spec in ("paper", "repo"):
        assert word_shares(text, 2, spec, position_adjusted=True).tolist() == [0.5, 0.5]


def test_an_unknown_spec_is_named():
    with pytest.raises(BadCallError, match="Did you mean 'paper'"):
        word_shares("x", 1, "papers")  # type: ignore[arg-type]  # the point of the test


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    answers = pd.DataFrame(
        {
            "answer_id": ["a1", "a2", "a3"],
            "prompt_id": ["q1", "q1", "q2"],
            "engine": "chatgpt",
            "observation": "probe",
            "sentence_count": [4, 4, 2],
            "event_time": [START, START, START + pd.Timedelta(days=1)],
            "candidates": [None, None, [{"content_id": "own"}, {"content_id": "rival"}]],
        }
    )
    shows = pd.DataFrame(
        {
            "citation_id": ["k1", "k2", "k3"],
            "answer_id": ["a1", "a1", "a2"],
            "content_id": ["own", "rival", "rival"],
            "words_attributed": [30.0, 10.0, 20.0],
            "sentence_index": [2, 0, 1],
            "engine": "chatgpt",
            "observation": "probe",
            "position": [1, 2, 1],
        }
    )
    return shows, answers


def test_shares_from_events_sum_to_one_per_answer():
    shares = answer_shares(*frames())
    assert shares.set_index(["answer_id", "content_id"])["word_share"].to_dict() == {
        ("a1", "own"): 0.75,
        ("a1", "rival"): 0.25,
        ("a2", "rival"): 1.0,
    }
    own = 30 * math.exp(-2 / 4)
    assert shares["position_adjusted"].iloc[0] == pytest.approx(own / (own + 10))


def test_the_public_code_gives_an_uncited_answer_to_all_its_candidates():
    shares = answer_shares(*frames(), spec="repo")
    assert shares[shares["answer_id"] == "a3"]["word_share"].tolist() == [0.5, 0.5]
    own = 30 * math.exp(-2 / 3)
    assert shares["position_adjusted"].iloc[0] == pytest.approx(own / (own + 10))


def test_the_decay_alone_names_another_top_source_from_events():
    # 2 sentences; rival 10 words in the first, own 20 in the second
    # paper: 20 e^(-1/2) = 12.13 > 10, own; repo: 20 e^(-1/1) = 7.36 < 10, rival
    shows, answers = frames()
    answers = answers.iloc[:1].assign(sentence_count=2)
    shows = shows.iloc[:2].assign(words_attributed=[20.0, 10.0], sentence_index=[1, 0])
    assert spec_disagreement(shows, answers).to_dict("records") == [
        {"engine": "chatgpt", "answers": 1, "another_top_source": 1.0}
    ]


def test_engine_visibility_by_hand():
    frame = engine_visibility(*frames(), own={"own"}).set_index("measure")
    assert frame.loc["citation_rate", "value"] == pytest.approx(1 / 3)
    assert frame.loc["citation_share", "value"] == pytest.approx(1 / 3)
    assert frame.loc["word_share", "value"] == pytest.approx(0.75 / 2)
    assert frame["answers"].tolist() == [3] * 4
    assert frame["prompt_days"].tolist() == [2] * 4
    assert ((frame["lower"] <= frame["value"]) & (frame["value"] <= frame["upper"])).all()


def test_page_visibility_counts_answers_that_do_not_cite_as_zero():
    frame = page_visibility(*frames()).set_index(["measure", "content_id"])
    assert frame.loc[("citation_rate", "own"), "value"] == pytest.approx(1 / 3)
    assert frame.loc[("word_share", "rival"), "value"] == pytest.approx(1.25 / 3)


def test_search_results_without_words_have_rates_only():
    shows, answers = frames()
    shows["words_attributed"] = None
    assert set(page_visibility(shows, answers)["measure"]) == {"citation_rate"}
    frame = engine_visibility(shows, answers, own={"own"}).set_index("measure")
    assert frame["value"].isna().tolist() == [False, False, True, True]


def test_nothing_is_a_result():
    shows, answers = frames()
    assert answer_shares(shows.iloc[:0], answers.iloc[:0]).empty
    assert engine_visibility(shows.iloc[:0], answers.iloc[:0], own=()).empty
    assert page_visibility(shows.iloc[:0], answers.iloc[:0]).empty


def test_intervals_clustered_by_prompt_and_day_cover():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(12):
        day = np.repeat(np.arange(40), 4)
        rate = rng.beta(3, 7, 40)[day]  # answers of one prompt-day are alike
        cites = rng.random(160) < rate
        answers = pd.DataFrame(
            {
                "answer_id": np.arange(160).astype(str),
                "prompt_id": day.astype(str),
                "engine": "e",
                "event_time": START,
            }
        ).assign(observation="probe", sentence_count=3)
        shows = answers[cites].assign(
            citation_id=lambda f: f["answer_id"], content_id="own", words_attributed=1.0
        )
        row = page_visibility(shows, answers).iloc[0]
        inside.append(row["lower"] <= 0.3 <= row["upper"])
    assert np.mean(inside) >= 0.7
