"""What is planted is there, at the planted rate, and the truth says so."""

from collections import Counter, defaultdict

import numpy as np
import orjson
import pytest

from eventlib.simulate import WorldParameters, simulate
from eventlib.simulate.people import JUNK_USERS
from tests.unit.simulate.conftest import EVENTS, Simulated, decoded, read_lines

PARAMETERS = WorldParameters()


def rate(world: Simulated, *faults: str) -> float:
    return sum(row["fault"].startswith(faults) for row in world.truth) / len(world.truth)


def test_faults_stand_at_their_rates(world: Simulated):
    assert rate(world, "broken", "blank") == pytest.approx(PARAMETERS.broken_share, rel=0.2)
    assert rate(world, "unknown", "newer_addition") == pytest.approx(PARAMETERS.off_plan_share, rel=0.25)
    assert rate(world, "duplicate") == pytest.approx(PARAMETERS.duplicate_share, rel=0.4)
    assert rate(world, "bot") == pytest.approx(PARAMETERS.bot_view_share, rel=0.05)
    assert rate(world, "clock") == pytest.approx(PARAMETERS.skew_share + PARAMETERS.clock_jump_share, rel=0.5)
    assert {row["fault"] for row in world.truth} >= {
        "too_late",
        "future_time",
        "late",
        "offline",
        "broken_too_long",
    }


def test_owned_shows_are_about_a_quarter_of_the_log_less_what_else_is_in_it(world: Simulated):
    assert 0.17 < len(world.named("citation_show")) / EVENTS < 0.3
    assert 0.08 < sum(e.get("source") == "probe" for e in world.events) / EVENTS < 0.12


def test_duplicates_differ_in_nothing_but_when_they_were_sent(world: Simulated):
    first = {
        truth["event_id"]: event for event, truth in world.whole() if not truth["fault"].startswith("dup")
    }
    ago = {"sent_at": None, "received_at": None}
    repeated = [event for event, truth in world.whole() if truth["fault"] == "duplicate"]
    known = [
        event for event in repeated if event["event_id"] in first
    ]  # of some, the first copy is a broken line
    assert len(known) > 0.97 * len(repeated)
    assert all({**event, **ago} == {**first[event["event_id"]], **ago} for event in known)
    assert all(event["received_at"] > first[event["event_id"]]["received_at"] for event in known)


def test_true_time_is_occurred_at_but_for_wrong_clocks(world: Simulated):
    for event, truth in world.whole():
        if truth["fault"] in {"", "offline"}:
            assert event["occurred_at"] == truth["true_time"]
        if truth["fault"] in {"clock_skew", "future_time"}:
            assert event["occurred_at"] != truth["true_time"]


def test_examination_falls_with_rank_as_the_world_says(world: Simulated):
    shown = {e["properties"]["citation_id"]: e["properties"] for e in world.named("citation_show")}
    total = Counter((p["slot"], p["position"]) for p in shown.values())
    followed = {e["properties"]["citation_id"] for e in world.named("citation_click")} & set(shown)
    clicked = Counter((shown[c]["slot"], shown[c]["position"]) for c in followed)
    rates = [clicked["inline", k] / total["inline", k] for k in range(1, 6)]
    assert rates == sorted(rates, reverse=True)
    truth = orjson.loads((world.folder / "truth" / "world.json").read_bytes())["examination"][
        "site_assistant"
    ]
    assert truth["inline"][0] == 1
    assert truth["inline"] == pytest.approx(PARAMETERS.examination(5)[0], abs=1e-6)
    # better pages stand higher (kappa), so clicks fall faster than examination does; within pages they do not
    assert rates[4] / rates[0] < truth["inline"][4]


def test_better_pages_are_clicked_and_read_more(world: Simulated):
    quality = {row["content_id"]: float(row["quality"]) for row in world.table("pages.csv")}
    satisfied = {row["content_id"]: float(row["satisfied_30s"]) for row in world.table("pages.csv")}
    shows: Counter[str] = Counter(e["properties"]["content_id"] for e in world.named("citation_show"))
    clicks: Counter[str] = Counter(e["properties"].get("content_id") for e in world.named("citation_click"))
    often = [page for page, n in shows.items() if n >= 50]
    assert np.corrcoef([quality[c] for c in often], [clicks[c] / shows[c] for c in often])[0, 1] > 0.5
    reads: dict[str, list[bool]] = defaultdict(list)
    for event in world.named("page_exit"):
        reads[event["properties"]["content_id"]].append(event["properties"]["active_ms"] >= 30_000)
    enough = [page for page, seen in reads.items() if len(seen) >= 20]
    assert np.corrcoef([satisfied[c] for c in enough], [np.mean(reads[c]) for c in enough])[0, 1] > 0.6


def test_features_tell_of_quality(world: Simulated):
    rows = world.table("pages.csv")
    quality = [float(row["quality"]) for row in rows]
    for feature in ("statistic_count", "quotation_count", "source_count", "reading_ease"):
        assert np.corrcoef(quality, [float(row[feature]) for row in rows])[0, 1] > 0.3, feature


def test_edits_lift_by_what_the_truth_says_and_null_edits_do_not(world: Simulated):
    rows = world.table("edits.csv")
    null = [row for row in rows if row["is_null"] == "true"]
    assert 0.2 <= len(null) / len(rows) <= 0.5
    assert {row["true_lift"] for row in null} == {"0.0"}
    assert all(float(row["true_lift"]) > 0.1 for row in rows if row["is_null"] == "false")
    for row in rows:
        parts = [float(row[f"lift_{stage}"]) for stage in ("cite", "click", "satisfy")]
        assert float(row["true_lift"]) == pytest.approx(sum(parts), abs=1e-3)
        assert all(row["at"] < row[f"seen_{engine}"] for engine in ("chatgpt", "gemini"))
    told = {e["properties"]["edit_id"]: e["occurred_at"] for e in world.named("content_edit", "cms")}
    assert all(told.get(row["edit_id"], row["at"]) == row["at"] for row in rows)


def test_content_versions_change_at_the_edit(world: Simulated):
    at = {row["content_id"]: row["at"] for row in world.table("edits.csv")}
    true_time = {row["event_id"]: row["true_time"] for row in world.truth}
    near = 0
    shows = world.named("citation_show")
    for event in shows:
        page, version = event["properties"]["content_id"], event["properties"].get("content_version")
        expected = "2" if true_time[event["event_id"]] >= at.get(page, "9") else "1"
        near += version != expected  # a visit that spans the edit keeps the version it began with
    assert near <= 0.001 * len(shows)


def test_each_engine_fetches_an_edited_page_when_it_learns_of_it(world: Simulated):
    row = world.table("edits.csv")[0]
    fetches = [
        (e["occurred_at"], e["context"]["user_agent"])
        for e in world.named("agent_fetch", "edge")
        if e["properties"].get("content_id") == row["content_id"]
    ]
    assert any(time == row["seen_perplexity"] and "PerplexityBot" in agent for time, agent in fetches)


def test_identifiers_say_whose_they_are(world: Simulated):
    rows = {(row["namespace"], row["identifier"]): row for row in world.table("identifiers.csv")}
    users: dict[str, set[str]] = defaultdict(set)
    for event, truth in world.whole():
        device, user = event.get("anonymous_id"), event.get("user_id")
        if device and truth["true_person"]:
            row = rows["anonymous_id", device]
            assert row["is_shared"] == "true" or row["true_person"] == truth["true_person"]
            users[device].add(truth["true_person"])
        if user and user not in JUNK_USERS:
            assert rows["user_id", user]["true_person"] == truth["true_person"]
    assert max(map(len, users.values())) >= 10  # a public device (S4.4)
    assert {device for device, people in users.items() if len(people) > 1} <= {
        identifier for (_, identifier), row in rows.items() if row["is_shared"] == "true"
    }
    assert any(row["is_bot"] == "true" for row in rows.values())
    assert any(e.get("user_id") in JUNK_USERS for e in world.events)


def test_impersonal_events_carry_no_identifier_and_no_consent(world: Simulated):
    machines = [event for event, _ in world.whole() if event["source"] in {"probe", "cms", "edge"}]
    assert machines
    assert not [e for e in machines if {"anonymous_id", "user_id", "consent"} & set(e)]


def test_consent_statements_are_constant_between_changes(world: Simulated):
    said: dict[str, set[str]] = defaultdict(set)
    for event, _ in world.whole():
        if event.get("consent"):
            said[event["anonymous_id"]].add(orjson.dumps(event["consent"]).decode())
    changed = sum(len(texts) > 1 for texts in said.values()) / len(said)
    assert 0.003 < changed < 0.05
    updates = world.named("consent_update")
    assert {e["properties"]["method"] for e in updates if "method" in e["properties"]} >= {
        "banner",
        "settings",
    }


def test_missing_exits_can_be_made_informative(tmp_path):
    slope = WorldParameters(exit_missing_share=0.3, exit_missing_slope=1.0, broken_share=0, off_plan_share=0)
    simulate(tmp_path, 12_000, 2, slope)
    events = [decoded(line) for line in read_lines(tmp_path)]
    left = {e["properties"]["page_view_id"] for e in events if e["event_name"] == "page_exit"}
    beats: Counter[str] = Counter(
        e["properties"]["page_view_id"] for e in events if e["event_name"] == "page_engage"
    )
    views = [
        e["properties"]["page_view_id"] for e in events if e["event_name"] == "page_view" and e["consent"]
    ]
    missing = {
        many: np.mean([v not in left for v in views if (beats[v] >= 4) is many]) for many in (False, True)
    }
    assert missing[True] > missing[False] + 0.2


def test_kappa_moves_good_pages_up(tmp_path):
    correlation = {}
    for kappa in (0.0, 0.95):
        folder = tmp_path / str(kappa)
        simulate(folder, 12_000, 3, WorldParameters(kappa=kappa))
        rows = Simulated(folder, [], [], []).table("relevance.csv")
        pairs = [(float(row["attractiveness"]), float(row["usual_position"])) for row in rows]
        correlation[kappa] = np.corrcoef(np.array(pairs).T)[0, 1]
    assert abs(correlation[0.0]) < 0.25
    assert correlation[0.95] > 0.7
