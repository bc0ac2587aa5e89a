from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest

from eventlib.errors import BadCallError
from eventlib.ledger import Entry, Ledger
from eventlib.prepared import Prepared
from eventlib.report import display, plots
from eventlib.report.tables import format_value, html_table


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, in order."""
    bundles: list[dict[str, Any]] = []
    monkeypatch.setattr(display, "_publish", bundles.append)
    return bundles


@pytest.fixture
def data(tmp_path):
    ledger = Ledger(
        [
            Entry("read", 100, 90, {"broken_json": 10}),
            Entry("consent", 90, 60, {"C13_no_signal": 30}),
            Entry("duplicates", 60, 59, {"duplicate": 1}),
        ]
    )
    run = {
        "run_id": "r-1",
        "inputs": [{"file": "/logs/a.ndjson", "rows": 100, "sha256": "00ff", "source": "native"}],
        "parameters": {"as_of": "2026-10-31"},
        "schema_versions": {"page_view": "1-0-0"},
    }
    return Prepared(tmp_path, run, ledger)


def test_a_recorded_figure_is_data(shown):
    headline = display.record("kept_share", 0.93, 0.9, 0.95, unit="share")
    assert shown[0][display.FIGURE_MIME] == {
        "name": "kept_share", "value": 0.93, "lower": 0.9, "upper": 0.95, "unit": "share", "label": "",
    }  # fmt: skip
    assert headline.text == "93.0 %"
    assert headline.interval == "90 % interval 90.0 % to 95.0 %"


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, float("inf")])
def test_no_value_says_so(shown, value):
    assert display.record("score", value).text == "not enough evidence"
    assert shown[0][display.FIGURE_MIME]["value"] is None


@pytest.mark.parametrize(("name", "bounds"), [("Kept Share", {}), ("kept_share", {"lower": 0.1})])
def test_a_bad_record_is_refused(shown, name, bounds):
    with pytest.raises(BadCallError, match="record"):
        display.record(name, 1, **bounds)
    assert not shown


def test_a_figure_is_html_and_plotly_and_text(shown):
    frame = pd.DataFrame({"name": ["<img src=x onerror=alert(1)>"], "n": [1200]})
    display.show(plots.bars(frame, "name", "n", title="T", x="events"), alt='One "bar"', data=frame)
    html = shown[0]["text/html"]
    assert '<figure role="img" aria-label="One &quot;bar&quot;">' in html
    assert "<img" not in html
    assert "1,200" in html
    assert "</figure><script" in html, "the table stays outside of the image, where it can be reached"
    figure = shown[0]["application/vnd.plotly.v1+json"]
    assert figure["config"]["showSendToCloud"] is False
    assert figure["data"][0]["y"] == ["&lt;img src=x onerror=alert(1)&gt;"]


def test_a_figure_needs_words():
    with pytest.raises(BadCallError, match="alt is empty"):
        display.show(plots.empty("t", "none"), alt=" ")


def test_the_summary_accounts_for_every_line(shown, data):
    display.show_summary(
        data,
        "What?",
        [display.Headline("people", 12)],
        ["mind <the> gap", ""],
        {"days": 3, "steps": ["a", "b"]},
    )
    html = shown[0]["text/html"]
    counts = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", html)
    assert dict(counts) | {"people": "12 "} == {
        "people": "12 ", "rows in": "100", "rejected": "10", "withheld": "30", "late or duplicate": "1", "kept": "59",
        "days": "3", "steps": "a, b",
    }  # fmt: skip
    assert "mind &lt;the&gt; gap" in html
    assert html.count("<li>") == 1


def test_the_run_stamp_names_what_the_report_was_made_from(shown, data, monkeypatch):
    monkeypatch.setenv(display.RUN_ID_VARIABLE, "run-7")
    display.run_stamp(data, {"days": 3})
    stamp = shown[0][display.RUN_MIME]
    assert stamp["run_id"] == "run-7"
    assert stamp["parameters"] == {"days": 3}
    assert stamp["prepared"]["run_id"] == "r-1"
    html = shown[0]["text/html"]
    assert "a.ndjson" in html
    assert "/logs/" not in html, "a path says more about a machine than a reader needs"


def test_a_table_shows_twenty_rows_and_counts_the_rest():
    html = html_table(pd.DataFrame({"n": range(1000, 1025)}), caption="Counts")
    assert html.count("<tr>") == 21
    assert "5 more" in html
    assert '<td class="num">1,019</td>' in html


def test_a_table_masks_text_but_not_our_own_ids():
    token = "a-" + "0f" * 16
    frame = pd.DataFrame({"device": [token], "said": ["ann@mail.example <b>"]})
    assert "[token]" in html_table(frame)
    html = html_table(frame, ids=["device"])
    assert token in html
    assert "[e-mail] &lt;b&gt;" in html


def test_a_table_without_rows_says_none():
    assert "none" in html_table(pd.DataFrame({"n": []}))


def test_an_unknown_column_is_refused():
    with pytest.raises(BadCallError, match=r"unknown column 'shar'\. Did you mean 'share'"):
        html_table(pd.DataFrame({"share": [1]}), formats={"shar": "percent"})


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (1234567, None, "1,234,567"),
        (0.0731, "percent", "7.3 %"),
        (2_500_000, "bytes", "2.5 MB"),
        (True, None, "yes"),
        (None, None, "—"),
        (pd.NaT, None, "—"),
        (0.00001, None, "1.00e-05"),
        (12345.6, None, "12,346"),
        (pd.Timestamp("2026-10-03 08:15", tz="UTC"), None, "2026-10-03 08:15 UTC"),
        (pd.Timestamp("2026-10-03"), None, "2026-10-03"),
        (1.5, lambda value: f"{value} x", "1.5 x"),
    ],
)
def test_values_are_written_for_readers(value, spec, text):
    assert format_value(value, spec) == text


def test_an_articles_number_is_an_id_in_the_figure_and_in_its_table(shown):
    frame = pd.DataFrame({"content_id": ["8715946355320"], "phone": ["8715946355320"], "clicks": [3]})
    display.show(plots.bars(frame, "content_id", "clicks", title="t", x="clicks"), alt="a", data=frame)
    html = shown[0]["text/html"]
    assert html.count("8715946355320") >= 2  # the axis and the column of ids
    assert html.count("[phone]") == 1
