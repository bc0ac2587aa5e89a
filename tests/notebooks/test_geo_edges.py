"""Notebooks 04 and 05 where a log shows only a part of the way from answer to reader: they say what they cannot."""

from __future__ import annotations

import gzip
import io
import json
import warnings
from collections import Counter
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
import pytest

import eventlib as el
from tests.factory import lenient_policy, prepared
from tests.real.test_ubi import LOG as UBI
from tests.reporting import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Events = list[dict[str, Any]]

NOTEBOOKS = ("04_geo_engagement", "05_content_experiments")
ANSWERS = {"answer_generate", "citation_show", "citation_click"}
PAGE = "c-000"
READING = {"referral_land", "page_view", "page_engage", "page_exit"}


@cache
def sample_events() -> Events:
    lines = gzip.decompress((ROOT / "data" / "sample.ndjson.gz").read_bytes()).splitlines()
    found = []
    for line in lines:
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("properties"), dict)]


def _named(names: set[str]) -> Callable[[dict[str, Any]], bool]:
    return lambda one: one.get("event_name") in names


def _probed(one: dict[str, Any]) -> bool:
    return bool(one["properties"].get("observation") == "probe")


def _of_one_person(events: Events) -> Events:
    devices = Counter(one.get("anonymous_id") for one in events if one.get("event_name") == "citation_click")
    busiest = max((device for device in devices if device), key=lambda device: devices[device])
    return [one for one in events if one.get("anonymous_id") == busiest]


def _of_one_page(events: Events) -> Events:
    made = []
    for one in events:
        properties = dict(one["properties"])
        if properties.get("content_id") not in (None, PAGE):
            continue
        if listed := properties.get("candidates"):
            properties["candidates"] = [item for item in listed if item.get("content_id") == PAGE]
        made.append({**one, "properties": properties})
    return made


def _with_candidates(events: Events) -> Events:
    """Probes by engines that also say what else they retrieved."""
    cited: dict[str, set[str]] = {}
    for one in filter(_named({"citation_show"}), events):
        cited.setdefault(one["properties"]["answer_id"], set()).add(one["properties"]["content_id"])
    made = []
    for one in filter(_probed, events):
        properties = dict(one["properties"])
        if one["event_name"] == "answer_generate":
            listed = sorted(cited.get(properties["answer_id"], set()) | {f"c-{i:03d}" for i in range(0, 60, 7)})
            properties["candidates"] = [{"content_id": page, "retrieval_rank": i + 1} for i, page in enumerate(listed)]
        made.append({**one, "properties": properties})
    return made


def _reported(events: Events) -> Events:
    return [
        {**one, "properties": {**one["properties"], "observation": "platform_report"}}
        for one in filter(_probed, events)
        if one["event_name"] == "citation_show"
    ]


EDGES: dict[str, Callable[[Events], Events]] = {
    "no citations": lambda events: [one for one in events if one.get("event_name") not in ANSWERS],
    "landings only": lambda events: list(filter(_named(READING), events)),
    "probes only": lambda events: list(filter(_probed, events)),
    "probes and what was published": lambda events: [
        one for one in events if _probed(one) or one.get("event_name") == "content_publish"
    ],
    "probes with candidates": _with_candidates,
    "platform reports only": _reported,
    "one page": _of_one_page,
    "no exits": lambda events: [one for one in events if one.get("event_name") != "page_exit"],
    "one person": _of_one_person,
}


def run_cells(name: str, folder: Path) -> dict[str, Any]:
    """Run a notebook's code in this process, and return its variables."""
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    scope: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            with redirect_stdout(io.StringIO()):
                exec("".join(cell["source"]), scope)
            if "parameters" in cell["metadata"].get("tags", []):
                scope |= {"prepared": str(folder), "replicates": 20}
    return scope


@cache
def ran(edge: str, base: Path) -> dict[str, dict[str, Any]]:
    base.mkdir()
    folder = prepared(base, EDGES[edge](sample_events())).save(base / "prepared")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return {name: run_cells(name, folder) for name in NOTEBOOKS}


@pytest.fixture
def scopes(edge: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return ran(edge, tmp_path_factory.getbasetemp() / edge.replace(" ", "-"))


def levels(scopes: dict[str, dict[str, Any]]) -> Any:
    scope = scopes["04_geo_engagement"]
    return scope["levels"].evidence_levels(scope["frames"], scope["seen"]).set_index("level")


@pytest.mark.parametrize("edge", ["no citations", "landings only"])
def test_without_answers_only_visits_are_judged(scopes):
    scope = scopes["04_geo_engagement"]
    assert scope["caveats"][0].endswith("how often pages are cited and clicked cannot be told.")
    assert scope["lead"].stages in ((), ("satisfy",))
    assert {one.observation for one in scope["seen"]} == {"owned"}
    assert levels(scopes)["stages"].to_dict()["landings"] == "satisfy"
    assert {stage.name for one in scope["seen"] for stage in one.stages} == {"satisfy"}


@pytest.mark.parametrize("edge", ["landings only", "probes only", "platform reports only", "one person"])
def test_without_edits_or_answers_nothing_is_judged(scopes):
    verdicts = scopes["05_content_experiments"]["verdicts"]
    assert not verdicts["state"].isin(["better", "worse", "no difference shown"]).any()


@pytest.mark.parametrize("edge", ["probes only"])
def test_probes_alone_show_how_visible_pages_are(scopes):
    scope = scopes["04_geo_engagement"]
    assert len(scope["visible"])
    assert levels(scopes)["stages"].to_dict()["probes"] == "visibility only"
    assert scope["lead"].name == "none"
    assert scope["bounds"].empty


@pytest.mark.parametrize("edge", ["probes and what was published"])
def test_probes_of_a_known_inventory_are_scored_by_what_they_cite(scopes):
    scope = scopes["04_geo_engagement"]
    assert levels(scopes)["stages"].to_dict()["probes"] == "cite"
    assert len(scope["lead"].frame) > 50
    assert "published before the first probe" in scope["lead"].reasons[0]


@pytest.mark.parametrize("edge", ["probes with candidates"])
def test_probes_with_candidates_are_scored_by_what_they_cite(scopes):
    scope = scopes["04_geo_engagement"]
    assert levels(scopes)["stages"].to_dict()["probes"] == "cite"
    assert scope["lead"].stages == ("cite",)
    assert scope["lead"].observation == "probe"
    assert len(scope["lead"].frame)


@pytest.mark.parametrize("edge", ["platform reports only"])
def test_platform_reports_are_shares_of_what_was_cited(scopes):
    scope = scopes["04_geo_engagement"]
    reported = scope["levels"].reported_citations(scope["frames"])
    assert (reported.groupby("engine")["share"].sum() <= 1 + 1e-9).all()
    assert len(reported)
    assert scope["visible"].empty


@pytest.mark.parametrize("edge", ["one page"])
def test_one_page_has_nothing_to_be_compared_with(scopes):
    frame = scopes["04_geo_engagement"]["lead"].frame
    assert len(frame) <= 1


@pytest.mark.parametrize("edge", ["no exits"])
def test_lost_exits_are_counted_and_beats_judge(scopes):
    scope = scopes["04_geo_engagement"]
    assert (scope["bounds"]["missing_exits"] == 1).all()
    assert scope["lead"].stages == ("cite", "click", "satisfy")


@pytest.mark.parametrize("edge", ["one person"])
def test_of_one_person_nothing_is_shown(scopes):
    scope = scopes["04_geo_engagement"]
    assert scope["lead"].frame.empty
    assert scope["bounds"].empty
    assert scope["landed"].empty
    assert scope["cells"].empty
    assert not scope["answers"]


def test_real_search_logs_say_what_they_cannot(tmp_path):
    if not UBI.exists():
        pytest.skip("real data is not here; name its folder in EVENTLIB_REAL")
    basis = {
        "jurisdiction": "OTHER", "purposes": ["analytics", "identity"], "basis": "test", "owner": "test",
        "expires": "2027-12-31",
    }  # fmt: skip
    data = el.prepare(UBI, policy=lenient_policy(tmp_path, sources={"ubi": basis}))
    folder = data.save(tmp_path / "prepared")
    scope = run_cells("04_geo_engagement", folder)
    assert len(scope["frames"]["citation_show"]) > 100
    scored = {one.engine: [stage.name for stage in one.stages] for one in scope["seen"]}
    assert scored == {"search:Chorus": ["cite"], "search:esci_ubi_sample": []}  # a search list has a cut too
    reasons = {reason for one in scope["seen"] for reason in one.reasons}
    assert {"cite: no candidates are listed", "satisfy: no visit was tracked"} <= reasons
    assert run_cells("05_content_experiments", folder)["judged"] == 0
