"""Logs of other trackers through the reports that answer an analyst's first questions: 00, 01 and 04."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import nbformat
import orjson
import pandas as pd
import pytest
import yaml

import eventlib as el
from eventlib.report import run_reports
from eventlib.resources import notebooks_dir, schemas_dir
from tests.factory import KEY
from tests.foreign import FORMATS, foreign_log
from tests.unit.sources.test_parity import events, suffix

if TYPE_CHECKING:
    from pathlib import Path

    from eventlib.prepared import Prepared

pytestmark = pytest.mark.slow

NOTEBOOKS = ("00_explore", "01_event_quality", "04_geo_engagement")


def policy(folder: Path) -> Path:
    """The shipped policy, with a basis for each source."""
    content = yaml.safe_load((schemas_dir() / "policy" / "default.yaml").read_text(encoding="utf-8"))
    basis = {"jurisdiction": "EEA", "purposes": ["analytics", "identity"], "basis": "contract", "owner": "me", "expires": "2030-01-01"}
    content["sources"] = dict.fromkeys([*FORMATS, "ubi", "access_log"], basis)
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def requests() -> bytes:
    """An access log: what agents fetched, and page requests of people whom nobody can tell apart."""
    lines = []
    for nth, one in enumerate(record for record in events() if record["event_name"] in {"agent_fetch", "page_view"}):
        agent = (one.get("context") or {}).get("user_agent")
        when = pd.Timestamp(one["occurred_at"])
        lines.append(f'192.0.2.1 - - [{when:%d/%b/%Y:%H:%M:%S} +0000] "GET /{nth % 30} HTTP/1.1" 200 17 "https://chatgpt.com/" "{agent}"')
    return "\n".join(lines).encode()


def searches() -> bytes:
    """A UBI log: answers as queries, citations as impressions and clicks."""
    actions = {"citation_show": "impression", "citation_click": "click"}
    records: list[dict[str, Any]] = []
    for one in events():
        said, name = one["properties"], one["event_name"]
        shared = {"application": "shop", "client_id": one.get("anonymous_id"), "timestamp": one["occurred_at"], "query_id": said.get("answer_id")}
        if name == "answer_generate":
            records.append({**shared, "user_query": said.get("prompt_text") or said["prompt_id"], "query_response_hit_ids": []})
        elif name in actions:
            attributes = {"object": {"object_id": said.get("content_id")}, "position": {"ordinal": said.get("position")}}
            records.append({**shared, "action_name": actions[name], "event_attributes": attributes})
    return b"\n".join(map(orjson.dumps, records))


def log_of(folder: Path, source: str) -> tuple[Path, int]:
    """Write the log of a source; return it with the number of its records."""
    data = {"ubi": searches, "access_log": requests}.get(source, lambda: foreign_log(events(), source))()
    path = folder / (f"{source}.log" if source == "access_log" else f"{source}.{suffix(source)}")
    path.write_bytes(data)
    return path, len(data.splitlines())


def prepared(folder: Path, log: Path) -> Prepared:
    (folder / "key").write_text(KEY)
    return el.prepare(log, out=folder / "prepared", key=folder / "key", policy=policy(folder))


def run_cells(name: str, folder: Path) -> str:
    """Run a notebook's code as it stands, without a kernel; return what it printed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    notebook: Any = nbformat.read(notebooks_dir() / f"{name}.ipynb", 4)
    with contextlib.redirect_stdout(printed):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, name, "exec"), names)  # noqa: S102  # our own notebooks
                if "parameters" in cell.metadata.get("tags", []):
                    names["prepared"] = str(folder / "prepared")
    return printed.getvalue()


@pytest.mark.parametrize("source", [*FORMATS, "ubi", "access_log"])
def test_a_log_of_each_source_through_the_first_notebooks(tmp_path, source):
    log, records = log_of(tmp_path, source)
    made = prepared(tmp_path, log)
    first = made.ledger.to_list()[0]
    assert first["rows_in"] == records == first["rows_out"] + sum(first["removed"].values())
    assert {entry["source"] for entry in made.run["inputs"]} == {source}
    assert len(made.events) > 0
    for name in NOTEBOOKS:
        run_cells(name, tmp_path)


def test_a_folder_of_six_formats_is_reported(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    records = 0
    for source in ("segment", "posthog", "snowplow", "ga4", "cloudevents", "access_log"):
        records += log_of(folder, source)[1]
    made = prepared(tmp_path, folder)
    assert made.ledger.rows_in == records
    run_reports(list(NOTEBOOKS), tmp_path / "prepared", tmp_path / "reports", {}, quiet=True)
    quality = next((tmp_path / "reports" / "01_event_quality").glob("latest/report.html")).read_text(encoding="utf-8")
    assert "looks like posthog because" in quality
    assert "What was guessed, not kept, left and mended" in quality
    engagement = next((tmp_path / "reports" / "04_geo_engagement").glob("latest/report.html")).read_text(encoding="utf-8")
    assert "chatgpt" in engagement
