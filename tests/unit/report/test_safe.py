from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlib.report import safe


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://ann:secret@shop.example/a", "https://shop.example/a"),
        ("https://shop.example/a#token=1", "https://shop.example/a"),
        (
            "https://shop.example/a?q=1&utm_source=chatgpt.com&sid=2",
            "https://shop.example/a?utm_source=chatgpt.com",
        ),
        ("https://shop.example/a?utm_term=ann@mail.example", "https://shop.example/a?utm_term=[e-mail]"),
        ("https://shop.example/u/ann@mail.example", "https://shop.example/u/[e-mail]"),
        ("javascript:alert(1)", "javascript:[masked]"),
        ("data:text/html,<b>", "data:[masked]"),
        ("https://[broken", "[malformed URL]"),
        ("https://shop.example:8080/a", "https://shop.example:8080/a"),
    ],
)
def test_a_url_loses_what_may_tell_on_somebody(url, masked):
    assert safe.mask_url(url) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to ann.b+c@mail.example.org", "write to [e-mail]"),
        ("ann%40mail.example", "[e-mail]"),
        ("+49 151 23456789", "[phone]"),
        ("(415) 555-0132 99", "[phone]"),
        ("4111-1111-1111-1111", "[card]"),
        ("Bearer abcdefgh12345678", "[token]"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIx.SflKxwRJ", "[token]"),
        ("key sk-abcdefghijklmnop1234", "key [token]"),
        ("go to https://a.example/x?k=v#f, now", "go to https://a.example/x now"),
    ],
)
def test_free_text_is_masked(text, masked):
    assert safe.mask_text(text).replace(",", "") == masked


@pytest.mark.parametrize(
    "text",
    ["2026-10-03", "2026-10-03T08:15:30.123Z", "c-142", "p-000001", "1,234,567", "0.123456789", "40000 events",
     "0192f0c1-aaaa-7da0-82ee-ba094ac3e918", "citation_click", "C10 C10 C13"],
)  # fmt: skip
def test_plain_words_dates_ids_and_counts_pass(text):
    assert safe.clean(text) == text


def test_characters_that_hide_or_reorder_text_are_replaced():
    assert safe.clean("a\u202eb\x00c\u200bd") == "a\ufffdb\ufffdc\ufffdd"


@given(st.text())
def test_no_text_gives_markup_or_ends_an_attribute(text):
    escaped = safe.escape_html(text)
    assert not set("<>\"'") & set(escaped)
    assert not set("<>\"'") & set(safe.escape_plotly(text))
    assert "%{" not in safe.escape_plotly(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES)
def test_script_json_is_the_same_value_and_never_ends_its_script(value):
    text = safe.script_json(value)
    assert json.loads(text) == value
    assert "<" not in text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\0x"])
def test_a_csv_cell_is_no_formula(cell):
    assert safe.csv_cell(cell) == f"'{cell}"


def test_a_figure_keeps_its_numbers_and_titles_and_loses_markup_in_its_data():
    figure = {
        "data": [
            {
                "type": "bar",
                "x": [1, 2],
                "y": ["<b>x</b>", "ann@mail.example"],
                "name": "<a href='x'>",
                "marker": {"color": "#fff"},
            }
        ],
        "layout": {"title": {"text": "<b>ours</b>"}, "yaxis": {"categoryarray": ["<i>"]}},
    }
    guarded = safe.guard_figure(figure)
    trace = guarded["data"][0]
    assert trace["x"] == [1, 2]
    assert trace["y"] == ["&lt;b&gt;x&lt;/b&gt;", "[e-mail]"]
    assert trace["name"] == "&lt;a href=&#39;x&#39;&gt;"
    assert guarded["layout"] == {"title": {"text": "<b>ours</b>"}, "yaxis": {"categoryarray": ["&lt;i&gt;"]}}


def test_data_may_break_a_line_and_nothing_else():
    figure = {"data": [{"y": ["one<br>two<br><img src=x>"]}]}
    assert safe.guard_figure(figure)["data"][0]["y"] == ["one<br>two<br>&lt;img src=x&gt;"]
