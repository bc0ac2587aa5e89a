"""The verdict on an edit in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eventlib.geo.edit_words import edit_sentence

ROW: dict[str, Any] = {
    "content_id": "c-07", "change_type": "add_statistics", "outcome": "cite", "edited_us": 1_786_000_000_000_000,
    "change": 1.34, "lower": 1.10, "upper": 1.63, "p": 0.02, "q": 0.06, "placebos": 48, "early": 1.3, "late": 1.36,
    "neighbours": 1.01, "shares_with": 0, "model_change": False, "detectable": 1.4, "state": "better", "reason": "",
}  # fmt: skip


def test_a_gain():
    assert edit_sentence(ROW) == (
        'After "add statistics" on c-07 (06 Aug 2026), citations rose by 34 % against comparable pages (90 % interval '
        "+10 % to +63 %): more than chance explains (q = 0.06, 48 unedited pages)."
    )


def test_a_loss():
    row = ROW | {"state": "worse", "change": 0.7, "lower": 0.5, "upper": 0.9, "outcome": "click"}
    assert "clicks fell by 30 % against comparable pages (90 % interval -50 % to -10 %)" in edit_sentence(row)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model_change": True}, "another model answered after the edit than before"),
        ({"neighbours": 0.88}, "unedited pages in the same answers lost 12 %"),
        (
            {"early": 1.6, "late": 1.1},
            "it was +60 % in the first two weeks and +10 % since: some of it was novelty",
        ),
        ({"shares_with": 2}, "2 other edited pages competed in some of its answers"),
    ],
)
def test_what_else_moved_is_said(more, said):
    assert f"But {said}" in edit_sentence(ROW | more)


def test_no_difference_says_what_would_have_been_found():
    row = ROW | {"state": "no difference shown", "p": 0.4, "change": 0.96, "lower": 0.7, "upper": 1.3}
    assert edit_sentence(row).endswith(
        "no more than unedited pages do by themselves (p = 0.40). Only changes from +40 % would be found in 80 of 100 cases."
    )
    assert "No change of any likely size" in edit_sentence(row | {"detectable": np.inf})


def test_nothing_can_be_said_and_why():
    row = ROW | {"state": "not testable", "reason": "1 whole weeks since, 2 are needed", "change": np.nan}
    assert edit_sentence(row) == (
        'Nothing can be said of "add statistics" on c-07 (06 Aug 2026) as to citations: 1 whole weeks since, 2 are needed.'
    )


def test_a_shared_verdict_is_not_claimed_alone():
    row = ROW | {
        "state": "judged jointly",
        "reason": "competes with c-08, edited too, in the same answers: judged jointly",
    }
    assert "but not by this edit alone: it competes with c-08, edited too" in edit_sentence(row)


def test_pages_judged_together_are_all_named():
    row = ROW | {"edits": 3, "content_id": "c-07 + c-08 + c-11", "change_type": "several"}
    assert edit_sentence(row).startswith(
        "After the edits of c-07, c-08 and c-11, taken together (from 06 Aug 2026 on), citations rose by 34 %"
    )
    assert 'the edits ("refresh") of c-07' in edit_sentence(row | {"change_type": "refresh"})
