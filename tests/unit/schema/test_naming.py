from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlib.model import EVENT_NAMES
from eventlib.schema import registry
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
        ("viewed_product_123", {"object_action", "dynamic_name"}, "product_view"),
        (
            "product_view_0192f0c1-7a3e-7c11-9d52-2f6a8e0b4c11",
            {"snake_case", "dynamic_name"},
            "product_view",
        ),
        ("cart_add_deadbeef", {"dynamic_name"}, "cart_add"),
        ("step2_complete", {"dynamic_name"}, "step_complete"),
        ("ann@site.org_view", {"snake_case", "dynamic_name"}, "ann_site_org_view"),
        ("messageSent", {"snake_case", "object_action"}, "message_send"),
        ("HTTPError", {"snake_case"}, "http_error"),
        ("Página vista", {"snake_case", "object_action"}, "pagina_vista"),
        ("plan_chosen", {"object_action"}, "plan_choose"),
        ("video_played", {"object_action"}, "video_play"),
        ("order_cancelled", {"object_action"}, "order_cancel"),
        ("file-downloading", {"snake_case", "object_action"}, "file_download"),
        ("", {"snake_case", "object_action"}, ""),
        ("12345", {"snake_case", "object_action", "dynamic_name"}, ""),
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


def test_our_own_properties_break_none():
    known = registry()
    names = {name for name in known.schemas for name in known.properties_schema(name)["properties"]}
    assert lint_property_names(names) == []


def test_names_that_differ_by_case_or_separator_are_one():
    for twins in (
        ["page_view", "Page-View", "pageview", "PAGE_VIEW"],
        ["page_view", "page.view", "page view", "pageView"],
    ):
        found = [finding for finding in lint_event_names(twins) if finding.rule == "variant"]
        assert {(finding.name, finding.suggestion) for finding in found} == {
            (name, "page_view") for name in twins[1:]
        }
    found = [
        finding
        for finding in lint_property_names(["content_id", "contentId", "contentid", "title"])
        if finding.rule == "variant"
    ]
    assert [(f.name, f.suggestion) for f in found] == [
        ("contentid", "content_id"),
        ("contentId", "content_id"),
    ]
    assert not [f for f in lint_event_names(["page_view", "page_close"]) if f.rule == "variant"]


def test_a_total_of_a_measure_says_its_unit_too():
    names = [
        "duration_total",
        "active_ms",
        "scroll_depth",
        "scroll_pct",
        "image_size_max",
        "image_bytes_max",
        "size_label",
    ]
    assert [f.name for f in lint_property_names(names) if f.rule == "unit"] == [
        "duration_total",
        "image_size_max",
        "scroll_depth",
    ]


@given(st.text(max_size=30))
def test_any_text_can_be_linted_and_a_suggestion_is_better(name: str):
    for finding in lint_event_names([name]):
        if finding.rule in {"snake_case", "dynamic_name"} and finding.suggestion:
            again = {other.rule for other in lint_event_names([finding.suggestion])}
            assert not again & {"snake_case", "dynamic_name"}
    lint_property_names([name])


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
