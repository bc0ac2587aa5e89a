"""What notebook 02 says, against logs whose truth is known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from eventlib import privacy
from eventlib.api import prepare
from eventlib.errors import BadCallError
from eventlib.geo import findings, read_frames, satisfaction
from eventlib.model import PURPOSES
from eventlib.prepared import Prepared, load
from eventlib.report import plots_consent
from eventlib.simulate import simulate
from eventlib.small_cells import OTHER
from tests.factory import KEY, at, consent, event, lenient_policy, prepared

DAY = 86400.0
REFUSED: dict[str, Any] = dict.fromkeys(("training", "personalization", "advertising"), False)
NOTHING: dict[str, Any] = dict.fromkeys(PURPOSES, False)


def devices(letter: str, number: int, seconds: float = 0, **fields: Any) -> list[dict[str, Any]]:
    return [event(seconds + n, anonymous_id=f"{letter}-{n}", **fields) for n in range(number)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, list[dict[str, Any]]]:
    """A simulated log, prepared, and the events in it that are whole."""
    folder = tmp_path_factory.mktemp("world")
    simulate(folder / "log", 20_000, 3, plain=True)
    (folder / "key").write_text(KEY)
    logs = sorted((folder / "log").glob("*.ndjson"))
    data = prepare(logs, out=folder / "out", key=folder / "key", keep_raw=True, plain_identifiers=True)
    broken = data.quarantine[~data.quarantine["code"].isin(["too_late", "future_time"])]
    refused = set(zip(broken["source_file"], broken["line"], strict=True))
    events = []
    for file in logs:
        names = {name for name, _ in refused if str(name).endswith(file.name)}
        for number, raw in enumerate(file.read_bytes().splitlines(), 1):
            if raw.strip() and not any((name, number) in refused for name in names):
                events.append(orjson.loads(raw))
    return data, events


def test_segments_hold_what_the_log_holds(world):
    data, events = world
    known = [e for e in events if e.get("anonymous_id") or e.get("user_id")]
    truth = Counter((e.get("consent") or {}).get("jurisdiction") or "unknown" for e in known)
    sources = Counter(e["source"] for e in known)
    assert len(events) == data.ledger.to_list()[1]["rows_in"]
    for by, counts in (("jurisdiction", truth), ("source", sources)):
        frame = privacy.by_segment(data, by).set_index("segment")
        told = frame["asked"].to_dict()
        assert all(count == counts[name] for name, count in told.items() if name != OTHER)
        assert sum(told.values()) == len(known)
        assert frame["withheld"].sum() == sum(data.ledger.removed("consent").values())
    kept = privacy.by_segment(data, "source")
    assert (kept["analytics"] * kept["asked"]).sum() == pytest.approx(
        (data.events["allow_analytics"] & ~data.events["consent_rule"].str.startswith("C00")).sum()
    )


def test_rules_by_segment_add_up_and_steps_name_them(world):
    data, _ = world
    rules = privacy.withheld_by_rule(data.ledger).set_index("rule")["events"]
    wide = privacy.rules_by_segment(data.run, "source")
    assert wide["all_rules"].sum() == rules.sum()
    steps = privacy.assess(data).steps
    for rule in ("C13", "C14"):
        assert steps["figure"].str.startswith(f"{rule} withheld {rules[rule]:,} events").any()


def test_the_satisfied_share_is_the_one_of_notebook_04(world):
    data, _ = world
    frame = privacy.bounds(data).set_index("figure")
    visits = satisfaction.engine_visits(read_frames(data.events))
    assert frame.loc["visits from AI that satisfied", "kept"] == pytest.approx(findings.satisfied_share(visits)[0])  # fmt: skip


def test_figures_are_drawn_of_a_world(world):
    data, _ = world
    found = privacy.assess(data)
    figures = [
        plots_consent.funnel(privacy.funnel(data)), plots_consent.heard(found.left, "training", "all"),
        plots_consent.bounds(found.bounds), plots_consent.said(privacy.said_by(data.run, "source")),
    ]  # fmt: skip
    assert all(len(figure.data) for figure in figures)


def visit(device: str, seconds: float, *, converts: bool, **fields: Any) -> list[dict[str, Any]]:
    """A page view, and what follows from it."""
    view = event(seconds, anonymous_id=device, **fields)
    properties = {"observation": "owned", "conversion_id": f"c-{device}", "conversion_type": "purchase"}
    goal = event(seconds + 5, name="conversion_complete", anonymous_id=device, properties=properties, **fields)  # fmt: skip
    return [view, goal] if converts else [view]


@pytest.mark.parametrize("hidden_converts", [False, True])
def test_the_truth_lies_within_the_bounds_whatever_the_withheld_did(tmp_path, hidden_converts: bool):
    seen = [one for n in range(60) for one in visit(f"a-{n}", n, converts=n % 2 == 0)]
    hidden = [one for n in range(30) for one in visit(f"b-{n}", n, converts=hidden_converts, consent=consent(**NOTHING))]  # fmt: skip
    data = prepared(tmp_path, [*seen, *hidden])
    row = privacy.bounds(data).set_index("figure").loc["visits that convert"]
    assert row["kept"] == 0.5
    assert row["not_seen"] == pytest.approx(len(hidden) / (len(seen) + len(hidden)))
    truth = (30 + 30 * hidden_converts) / 90
    assert row["at_least"] <= truth <= row["at_most"]
    assert row["at_least"] <= row["lower"] <= row["kept"] <= row["upper"] <= row["at_most"]


def test_a_share_that_leans_is_to_be_weighted(tmp_path):
    # of the UK, where all convert, most are withheld
    eea = [one for n in range(200) for one in visit(f"a-{n}", n, converts=n % 10 == 0)]
    uk = [one for n in range(15) for one in visit(f"b-{n}", n, converts=True, consent=consent("UK"))]
    gone = [one for n in range(150) for one in visit(f"c-{n}", n, converts=True, consent=consent("UK", **NOTHING))]  # fmt: skip
    data = prepared(tmp_path, [*eea, *uk, *gone])
    found = privacy.assess(data, "analytics")
    row = found.bounds.set_index("figure").loc["visits that convert"]
    asked = {"EEA": len(eea), "UK": len(uk) + len(gone)}
    assert row["weighted"] == pytest.approx((0.1 * asked["EEA"] + asked["UK"]) / sum(asked.values()))
    assert row["verdict"] == "too low: weight it by jurisdiction"
    heard = found.left[found.left["by"] == "jurisdiction"].set_index("segment")
    assert heard["heard"].to_dict() == {"EEA": "too loud", "UK": "too quiet"}
    assert heard.loc["UK", "ratio"] == pytest.approx((len(uk) / asked["UK"]) / ((len(eea) + len(uk)) / sum(asked.values())))  # fmt: skip
    assert heard["weight"].to_numpy() == pytest.approx(1 / heard["ratio"].to_numpy())


def test_what_is_allowed_is_counted_by_device_and_small_cells_are_left_out(tmp_path):
    few = devices("f", 9, consent=consent("UK"))
    data = prepared(tmp_path, [*devices("g", 12), *devices("r", 12, consent=consent(**REFUSED)), *few])
    frame = privacy.allowed_by_jurisdiction(data.events)
    assert set(frame["jurisdiction"]) == {"EEA"}
    shares = frame.set_index("purpose")["share"]
    assert shares[["analytics", "training"]].tolist() == [1.0, 0.5]
    share, lower, upper = privacy.allowed(data.events, "training")
    assert share == pytest.approx(21 / 33)
    assert lower is not None
    assert upper is not None
    assert lower < 21 / 33 < upper
    assert privacy.left_of(data, "training", "jurisdiction")["segment"].tolist() == [OTHER]
    for refused in (privacy.allowed, lambda _, name: privacy.assess(data, name)):
        with pytest.raises(BadCallError, match=r"unknown purpose 'trainin'. Did you mean 'training'"):
            refused(data.events, "trainin")
    with pytest.raises(BadCallError, match=r"unknown area 'silent'. Did you mean 'silence'"):
        privacy.assess(data, "training", ["silent=0.1:0.2"])


def test_decisions_are_by_purpose_and_rule(tmp_path):
    data = prepared(tmp_path, [event(0), event(1, anonymous_id="a-2", consent=consent(**REFUSED))])
    frame = privacy.decisions(data.events).set_index(["purpose", "rule"])
    assert list(frame.loc[("training", "C06"), ["allowed", "events", "share"]]) == [False, 1, 0.5]
    assert frame.groupby("purpose")["share"].sum().tolist() == [1.0] * 5


def test_withdrawals_are_counted_where_they_withhold_and_where_they_narrow(tmp_path):
    wholly = [*devices("a", 12), *devices("a", 12, DAY, consent=consent(updated=DAY, **NOTHING))]
    partly = [*devices("b", 11), *devices("b", 11, DAY, consent=consent(updated=DAY, training=False))]
    data = prepared(tmp_path, [*wholly, *partly])
    assert privacy.withdrawn(data.events, data.ledger) == 12 + 11
    total = privacy.changes_total(data.run).set_index("purpose")["withdrawn"]
    assert total[["analytics", "training"]].tolist() == [12, 23]
    step = privacy.assess(data).steps.set_index("what").loc["review for erasure what was withdrawn"]
    assert step["figure"].startswith("C07: 23 events")


def test_bases_tell_who_answers_and_when_they_end(tmp_path):
    basis = {"jurisdiction": "EEA", "purposes": ["analytics"], "basis": "contract", "owner": "me@b.example"}
    policy = lenient_policy(tmp_path, sources={"web": {**basis, "expires": at(20 * DAY)[:10]}})
    data = prepared(tmp_path, devices("a", 12, consent=None), policy=policy)
    frame = privacy.bases(data.run)
    assert frame[["sources", "owner", "days_left", "state"]].values.tolist() == [["web", "me@b.example", 20, "in 30 days"]]  # fmt: skip
    assert privacy.used_bases(data.events).values.tolist() == [["web", "analytics", 12, 1.0]]
    found = privacy.assess(data)
    verdicts = found.verdicts.set_index("area")["verdict"]
    assert verdicts[["analytics", "training", "other bases", "bias"]].tolist() == ["good", "act", "act", "not measured"]  # fmt: skip
    assert found.steps["what"].str.startswith("assess anew the basis for web").any()


def test_erasures_are_told_if_there_were_any(tmp_path):
    data = prepared(tmp_path, devices("a", 12))
    assert privacy.erasure_in_words(data.run, data.ledger) == "No erasure so far."
    one = {
        "erased_at": "2026-11-01T10:00:00+00:00", "identifiers": 3, "events": 40, "stale": ["ranker"], "verified": True,
        "searched_files": 12,
    }  # fmt: skip
    later = {"erased_at": "2026-11-02T10:00:00+00:00", "stale": [], "verified": False}
    data.run["erasures"] = [one, {**one, **later}]
    frame = privacy.erasures(data.run)
    assert frame["erased_at"].tolist() == ["2026-11-02 10:00:00", "2026-11-01 10:00:00"]
    assert privacy.erasure_in_words(data.run, data.ledger) == (
        "2 erasures so far, 1 not verified; 1 left models or bundles stale: train and export them anew."
    )
    assert privacy.assess(data).verdicts.set_index("area").loc["erasure", "verdict"] == "act"


def test_a_dataset_that_was_stamped_before_and_an_empty_one_are_told_too(tmp_path):
    data = prepared(tmp_path, devices("a", 12, consent=consent(**REFUSED)))
    for name in ("consent", "policy_terms"):
        data.run.pop(name)
    data.run["withheld"] = [{"jurisdiction": "EEA", "rule": "C06_denied_then", "events": 12}]
    empty = prepared(tmp_path, [])
    for old in (data, empty):
        found = privacy.assess(old)
        assert len(found.verdicts) == 11
        assert privacy.by_segment(old, "week").empty
        assert privacy.grants(old.run).empty
        weeks = privacy.by_segment(old, "week")
        assert not plots_consent.weeks(weeks, ["withheld_share"], title="t", subtitle="", y="y").data
    nobody = privacy.displaced(privacy.assess(data).left)["displaced"]
    assert np.isnan(nobody).all()


def test_a_saved_dataset_tells_the_same(tmp_path: Path):
    data = prepared(tmp_path, [*devices("a", 20), *devices("b", 12, consent=consent(**NOTHING))])
    again = load(data.save(tmp_path / "saved"))
    assert privacy.assess(again).verdicts.equals(privacy.assess(data).verdicts)
