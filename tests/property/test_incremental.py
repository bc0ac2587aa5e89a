"""For any log and any way to cut it in two: added is as if prepared at once (S3.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_flow import _SLOW, _events
from tests.unit.test_incremental import Runs, assert_same


@settings(_SLOW, max_examples=6)
@given(events=_events, cut=st.integers(0, 10), plain=st.booleans())
def test_added_is_as_if_prepared_at_once(
    tmp_path_factory: Any, events: list[dict[str, Any]], cut: int, plain: bool
):
    parts = [events[:cut], events[cut:]]
    if orjson.dumps(parts[0]) == orjson.dumps(parts[1]):
        return  # the same log twice is refused
    folder: Path = tmp_path_factory.mktemp("runs")
    assert_same(*Runs(folder, plain_identifiers=plain).both(parts))
