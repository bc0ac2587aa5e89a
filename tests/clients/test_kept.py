"""The proof itself can fail: a value taken out, changed or moved away from its name is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.kept import lost

SENT: dict[str, Any] = {
    "messageId": "m-1",
    "timestamp": "2026-10-01T14:00:00.250+02:00",
    "properties": {"title": "Größe", "tree": {"leaf": [1, {"deep": "x"}]}, "empty": "", "none": None},
}
ROW: dict[str, Any] = {
    "event_id": "m-1",
    "event_name": "Tree Seen",
    "occurred_at": "2026-10-01T12:00:00.250Z",
    "properties": json.dumps({"title": "Größe", "tree": {"leaf": [1, {"deep": "x"}]}}),
}


def test_what_is_there_is_not_lost():
    assert lost(SENT, ROW) == []


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"tree": {"leaf": [1, {"deep": "x"}]}}, [("title", "Größe")]),
        ({"title": "Gr??e", "tree": {"leaf": [1, {"deep": "x"}]}}, [("title", "Größe")]),
        ({"title": "Größe", "tree": {"leaf": [1, {"other": "x"}]}}, [("deep", "x")]),
        ({"title": "Größe", "tree": {"leaf": [2, {"deep": "x"}]}}, [("leaf", 1.0)]),
    ],
)
def test_what_is_gone_is_told(properties, told):
    assert lost(SENT, {**ROW, "properties": json.dumps(properties)}) == told


def test_a_moment_that_moved_is_told():
    assert [name for name, _ in lost(SENT, {**ROW, "occurred_at": "2026-10-01T14:00:00.250Z"})] == [
        "timestamp"
    ]


def test_what_trackers_pack_is_looked_into():
    packed = "eyJkYXRhIjogeyJyb3ciOiA3fX0="  # {"data": {"row": 7}}
    row = {**ROW, "properties": json.dumps({"data": {"row": 7}})}
    assert lost({"ue_px": packed}, row) == []
    assert lost({"ue_px": packed}, {**ROW, "properties": "{}"}) == [("row", 7.0)]
