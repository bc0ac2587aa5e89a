"""Sentences of answers: abbreviations, lists, citations on either side of a full stop."""

from __future__ import annotations

import pytest

from eventlib.geo.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("One. [1] Two [2].", ["One. [1]", "Two [2]."]),
        ("It rose 3.5 % in 2020. [1][2] Good!", ["It rose 3.5 % in 2020. [1][2]", "Good!"]),
        ("See e.g. Table 2. Done.", ["See e.g. Table 2.", "Done."]),
        ("J. Smith said no [1]. Why? Because.", ["J. Smith said no [1].", "Why?", "Because."]),
        ("Steps:\n- first one [1]\n- second one [2]", ["Steps:", "- first one [1]", "- second one [2]"]),
        ('He said "stop." [3] Then left.', ['He said "stop." [3]', "Then left."]),
        ("No end", ["No end"]),
        # the number of a list item is no sentence, with or without a citation on it
        ("1. Wash the lid [1]. 2. Dry it.", ["1. Wash the lid [1].", "2. Dry it."]),
        ("Do this: 1[1]. Wash the lid [2].", ["Do this: 1[1].", "Wash the lid [2]."]),
        ("Two steps:\n1[1]. Wash the lid [2].\n2.\n", ["Two steps:", "1[1]. Wash the lid [2]."]),
        ("- **a.** Wash it. Dry it.", ["- **a.** Wash it.", "Dry it."]),
        # ... but a number may be the end of one, or a cited answer
        ("How many? 42. [1]", ["How many?", "42. [1]"]),
        ("It was sold in 1990. Then it closed.", ["It was sold in 1990.", "Then it closed."]),
        # dotted initials, also with a citation before their last full stop
        ("By 12 U.S.C[2]. § 7 it ends. Good.", ["By 12 U.S.C[2]. § 7 it ends.", "Good."]),
        ("A U.S. Navy ship. Old.", ["A U.S. Navy ship.", "Old."]),
        ("Made in the U.S. [1] The rest is not.", ["Made in the U.S. [1]", "The rest is not."]),
        ("So says J. A. Moss [1]. Fine.", ["So says J. A. Moss [1].", "Fine."]),
        ("A B.A. Botany course. Long.", ["A B.A. Botany course.", "Long."]),
        ("Rich in vitamin C. It helps.", ["Rich in vitamin C.", "It helps."]),
        (
            "Ash et al. [1] say so. Oak et al. Then left.",
            ["Ash et al. [1] say so.", "Oak et al.", "Then left."],
        ),
        # numbered works; "no" and "etc." are ends before words
        ("Her Trio, Op. 9 [1], is short. Fine.", ["Her Trio, Op. 9 [1], is short.", "Fine."]),
        ("Safe? No. It burns [1].", ["Safe?", "No.", "It burns [1]."]),
        (
            "Oak, ash, etc. Birch burns fast, elm etc., too.",
            ["Oak, ash, etc.", "Birch burns fast, elm etc., too."],
        ),
        ("Ask the Dept. of Trees. Now.", ["Ask the Dept. of Trees.", "Now."]),
        # marks on both sides of citations, commas after them, citations on a line of their own
        ("Ask \u201cwhich oak?\u201d [4]. Then cut.", ["Ask \u201cwhich oak?\u201d [4].", "Then cut."]),
        ("Oak, ash, etc.[1] [3].. Birch too.", ["Oak, ash, etc.[1] [3]..", "Birch too."]),
        ("Oak, ash, etc. [1], Birch too.", ["Oak, ash, etc. [1], Birch too."]),
        ("Oak burns slowly.\n[1] [2]\nAsh does not.", ["Oak burns slowly. [1] [2]", "Ash does not."]),
        ("\u6a39\u3002[1][2]\u8349\u3002", ["\u6a39\u3002[1][2]", "\u8349\u3002"]),
        # several citations, one out of any range, none
        ("Oak [1][2], ash [3] and elm [9999]. Birch.", ["Oak [1][2], ash [3] and elm [9999].", "Birch."]),
        ("[1] [2]", []),
        ("", []),
    ],
)
def test_sentences(text, sentences):
    assert split_sentences(text) == sentences
