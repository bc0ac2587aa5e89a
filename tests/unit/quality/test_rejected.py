from __future__ import annotations

from typing import Any

import pandas as pd

from eventlib.quality.rejected import along_the_log, by_file, defects, rejections

INPUTS: list[dict[str, Any]] = [
    {"file": "logs/a.ndjson", "rows": 600},
    {"file": "logs/b.ndjson", "rows": 400},
]


def refused(code: str, line: int, *, file: str = "logs/a.ndjson", **fields: Any) -> dict[str, Any]:
    made = {
        "source_file": file,
        "line": line,
        "event_name": None,
        "schema_version": None,
        "code": code,
        "json_path": "$",
        "message": f"at byte {line}",
    }
    return {**made, **fields}


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).astype({"line": "int64"})


def test_a_broken_release_lies_in_one_stretch_and_an_old_fault_throughout():
    old = [refused("broken_json", 50 + 60 * n) for n in range(9)] + [
        refused("broken_json", 50 + 100 * n, file="logs/b.ndjson") for n in range(4)
    ]
    new = [refused("schema_type", 200 + n, event_name="page_view", file="logs/b.ndjson") for n in range(20)]
    found = rejections(frame(*old, *new), INPUTS).set_index("code")
    assert list(found.loc["broken_json", ["rows", "spread", "trend"]]) == [13, "throughout", "steady"]
    assert found.loc["schema_type", "spread"] == "nine tenths between 80 % and 82 % of the log"
    assert found.loc["schema_type", "trend"] == "rising"
    assert list(found.loc["schema_type", ["first", "last"]]) == ["b.ndjson:200", "b.ndjson:219"]
    assert found["share"].sum() == 1


def test_of_few_rows_nothing_is_said_about_where_they_lie():
    found = rejections(frame(*[refused("broken_json", n) for n in range(1, 10)]), INPUTS)
    assert found[["spread", "trend"]].to_numpy().tolist() == [["", ""]]
    assert rejections(frame(*[refused("broken_json", n) for n in range(1, 20)]))["spread"].tolist() == [""]


def test_one_fault_of_several_events_is_one_defect_and_each_unknown_event_its_own():
    same = [
        refused("schema_enum", n, event_name=name, schema_version="1-0-0", message="not one of a, b")
        for n, name in enumerate(["page_view", "page_exit", "page_view"])
    ]
    unknown = [
        refused("unknown_event", n, event_name=name) for n, name in enumerate(["play", "play", "stop"])
    ]
    broken = [refused("broken_json", n) for n in (1, 2)]
    found = defects(frame(*same, *unknown, *broken), INPUTS)
    assert found[["code", "rows"]].to_numpy().tolist() == [
        ["schema_enum", 3],
        ["broken_json", 2],
        ["unknown_event", 2],
        ["unknown_event", 1],
    ]
    assert found["events"].tolist() == [["page_view", "page_exit"], [], ["play"], ["stop"]]
    assert found["versions"].tolist()[0] == ["1-0-0"]


def test_rejections_are_counted_by_file():
    rows = [refused("broken_json", n) for n in (1, 2, 3)] + [refused("not_finite", 9)]
    found = by_file(frame(*rows, refused("not_finite", 4, file="logs/b.ndjson")), INPUTS)
    assert found.to_numpy().tolist() == [
        ["a.ndjson", 600, 4, 4 / 600, "not JSON"],
        ["b.ndjson", 400, 1, 1 / 400, "NaN or infinity"],
    ]


def test_along_the_log_each_part_has_its_share_by_kind():
    rows = [refused("broken_json", line) for line in (1, 100, 101)] + [
        refused("too_late", 400, file="logs/b.ndjson")
    ]
    found = along_the_log(frame(*rows), INPUTS, parts=10)
    shares = found.pivot_table(index="part", columns="kind", values="share")
    assert shares["broken"].tolist() == [0.02, 0.01, *[0.0] * 8]
    assert shares["late"].tolist() == [*[0.0] * 9, 0.01]
    assert along_the_log(frame(*rows), [{"file": "logs/a.ndjson", "rows": 9}]).empty
