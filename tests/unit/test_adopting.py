"""What no stage can read in a caller's frame is refused by the stage's and the column's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import eventlib as el
from eventlib.errors import BadCallError
from tests.factory import event

COLUMNS = ("event_id", "event_name", "source", "occurred_at", "received_at", "anonymous_id")
STAGES = [el.order, el.sessionize, el.merge_identities]


@pytest.fixture
def frame() -> pd.DataFrame:
    made = pd.DataFrame([{name: event(second)[name] for name in COLUMNS} for second in range(2)])
    return made.assign(
        **{name: pd.to_datetime(made[name], utc=True) for name in ("occurred_at", "received_at")}
    )


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("odd", [[1, "a"], [{"a": 1}, {"a": "x"}], [object(), object()]])
def test_a_column_of_several_types_is_refused(
    frame: pd.DataFrame, stage: Callable[[Any], Any], odd: list[object]
):
    with pytest.raises(BadCallError, match=rf"^{stage.__name__}: a column of the frame .* column extra"):
        stage(frame.assign(extra=pd.Series(odd, dtype=object)))


@pytest.mark.parametrize("stage", STAGES)
def test_a_name_that_two_columns_have_is_refused(frame: pd.DataFrame, stage: Callable[[Any], Any]):
    with pytest.raises(BadCallError, match=rf"^{stage.__name__}: two columns .*(.|\n)*event_id"):
        stage(pd.concat([frame, frame[["event_id"]]], axis=1))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("text", ["zz", "1", '["a"]', '[["a"]]', '[["a", 1]]', '{"a": "b"}'])
def test_links_that_are_none_are_refused(frame: pd.DataFrame, stage: Callable[[Any], Any], text: str):
    with pytest.raises(BadCallError, match=rf"^{stage.__name__}: the column links takes texts such as"):
        stage(frame.assign(links=pd.Series([None, text], dtype=object)))


def test_links_as_they_are_read_are_taken(frame: pd.DataFrame):
    text = '[["anonymous_id", "a-1"], ["user_id", "u-1"]]'
    found = el.merge_identities(frame.assign(links=pd.Series([None, text], dtype=object)))
    assert len(set(found.events["person_id"])) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (el.filter_consent, "^filter_consent: two columns"),
        (el.validate, "^validate: two columns"),
    ],
)
def test_so_it_is_by_the_other_stages(frame: pd.DataFrame, call: Callable[[Any], Any], message: str):
    with pytest.raises(BadCallError, match=message):
        call(pd.concat([frame, frame], axis=1))
