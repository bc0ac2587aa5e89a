from __future__ import annotations

import pandas as pd
import pytest

from eventlib.model import EVENT_NAMES
from eventlib.schema.naming import lint_event_names, lint_property_names, naming_frame


@pytest.mark.parametrize(
    ("name", "rules", "suggestion"),
    [
        ("Page Viewed", {"snake_case", "object_action"}, "page_view"),
        ("pageView", {"snake_case"}, "page_view"),
        ("form_submitted", {"object_action"}, "form_submit"),
        ("link_copies", {"object_action"}, "link_copy"),
        ("click_button", {"object_action"}, "button_click"),
        ("button_click_1234", {"dynamic_name"}, "button_click"),
        ("scroll", {"object_action"}, ""),
        ("page_happy", {"object_action"}, ""),
    ],
)
def test_a_bad_name_breaks_its_rules_and_gets_a_better_one(name, rules, suggestion):
    findings = lint_event_names([name])
    assert {finding.rule for finding in findings} == rules
    assert {finding.suggestion for finding in findings} == {suggestion}


def test_our_own_events_break_none():
    assert lint_event_names(EVENT_NAMES) == []


def test_spellings_of_one_name_are_told():
    variants = [
        finding
        for finding in lint_event_names(["page_view", "pageView", "Page Viewed"])
        if finding.rule == "variant"
    ]
    assert {(finding.name, finding.suggestion) for finding in variants} == {
        ("pageView", "page_view"), ("Page Viewed", "page_view"),
    }  # fmt: skip


def test_properties_say_their_unit():
    assert [
        finding.name for finding in lint_property_names(["active_ms", "load_duration", "word_count"])
    ] == ["load_duration"]


def test_findings_carry_the_volume_behind_them():
    kept = pd.DataFrame({"event_name": ["page_view"] * 3})
    refused = pd.DataFrame({"event_name": ["pageView"] * 2 + [None]})
    frame = naming_frame(kept, refused, ["loadDuration"])
    assert frame[["kind", "name", "events"]].astype(object).where(frame["events"].notna(), None).iloc[0].tolist() == [
        "event", "pageView", 2,
    ]  # fmt: skip
    assert set(frame["kind"]) == {"event", "property"}
