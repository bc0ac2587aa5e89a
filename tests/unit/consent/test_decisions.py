"""S2: the table, rule by rule, as examples on `el.prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventlib.errors import BadCallError, DataRefusedError
from eventlib.model import PURPOSES
from tests.factory import at, consent, event, lenient_policy, link, login, prepared

REFUSE_ALL: dict[str, Any] = dict.fromkeys(PURPOSES, False)
DAY = 86_400


def rules(tmp_path: Path, events: list[dict[str, Any]], **options: Any) -> dict[str, str]:
    """Rules by event id, of the events that were kept."""
    found = prepared(tmp_path, events, **options).events
    return dict(zip(found["event_id"], found["consent_rule"], strict=True))


def one(tmp_path: Path, said: object, **options: Any) -> str:
    """The rules of one event, or `withheld` and the analytics rule."""
    found = prepared(tmp_path, [event(consent=said)], **options)
    if len(found.events):
        return str(found.events["consent_rule"].iloc[0])
    return "withheld " + next(iter(found.ledger.removed("consent")))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (consent(), "C10 C10 C10 C10 C10"),
        (consent(training=False), "C10 C10 C06 C10 C10"),
        (consent(training=None), "C10 C10 C14 C10 C10"),
        (
            consent(identity=None, training=None, personalization=None, advertising=None),
            "C10 C14 C14 C14 C14",
        ),
        (consent(**REFUSE_ALL), "withheld C06_denied_then"),
        (None, "withheld C13_no_signal"),
        ({}, "withheld C13_no_signal"),
        ({"jurisdiction": "US-CA"}, "C13 C13 C13 C13 C13"),
        ({"jurisdiction": "US-CA", "notice_version": "1"}, "C12 C12 C12 C12 C12"),
        ({**consent(), "gpc": True}, "C10 C10 C10 C05 C05"),
        ({**consent("US-CA"), "gpc": True}, "C10 C10 C10 C10 C05"),
        ({**consent(), "tcf": "CPc"}, "withheld C04_invalid_signal"),
        ({**consent("US-CA"), "tcf": "CPc"}, "C13 C13 C04 C04 C04"),
        ({**consent(), "us_privacy": "1YNN"}, "C10 C10 C10 C10 C10"),
        ({**consent("US-CA"), "us_privacy": "1YYN"}, "C10 C10 C10 C05 C05"),
        ({"jurisdiction": "US-CA", "us_privacy": "1YYN"}, "C13 C13 C13 C05 C05"),
        ({"jurisdiction": "US-CA", "us_privacy": "1YNN"}, "C12 C12 C12 C12 C12"),
        ({"jurisdiction": "US-CA", "us_privacy": "1NNN"}, "C13 C13 C13 C13 C13"),
        ({"jurisdiction": "EEA", "us_privacy": "1YNN"}, "withheld C14_default"),
        ({**consent(), "known_child": "no_consent"}, "withheld C03_child"),
        ({**consent("US-CA"), "known_child": "no_consent"}, "C10 C03 C03 C03 C03"),
        ({**consent("US-CA", analytics=False), "known_child": "no_consent"}, "withheld C06_denied_then"),
        (
            {"jurisdiction": "US-CA", "notice_version": "1", "known_child": "no_consent"},
            "C12 C03 C03 C03 C03",
        ),
        ({**consent(), "known_child": "consent"}, "C10 C10 C10 C10 C10"),
        ({**consent("US-CA"), "known_child": "no_consent", "tcf": "CP"}, "C13 C03 C03 C03 C03"),
        ({**consent(), "categories": {"analytics": "maybe"}}, "withheld C04_invalid_signal"),
        (consent(updated=-400 * DAY), "withheld C08_stale"),
        (consent("US-CA", updated=-400 * DAY), "C10 C10 C10 C10 C10"),
        (consent(jurisdiction=None), "C10 C10 C10 C10 C10"),
    ],
)
def test_table(tmp_path: Path, said: object, wanted: str):
    assert one(tmp_path, said) == wanted


def test_no_signal_in_an_opt_out_state_allows_analytics_alone(tmp_path: Path):
    row = prepared(tmp_path, [event(consent={"jurisdiction": "US-CA"})]).events.iloc[0]
    assert [bool(row[f"allow_{purpose}"]) for purpose in PURPOSES] == [True, False, False, False, False]


def test_withdrawal_since_denies_what_was_granted_then(tmp_path: Path):
    events = [event(0), event(100, name="consent_update", consent=consent(updated=100, **REFUSE_ALL),
                              properties={"purposes": REFUSE_ALL, "method": "settings"})]  # fmt: skip
    found = prepared(tmp_path, events)
    assert found.ledger.removed("consent") == {"C06_denied_then": 1, "C07_withdrawn_since": 1}


def test_grant_again_holds_from_then_on(tmp_path: Path):
    events = [
        event(0, consent=consent(updated=-9)),
        event(50, consent=consent(updated=50, **REFUSE_ALL)),
        event(100, consent=consent(updated=100)),
    ]
    kept = rules(tmp_path, events)
    assert kept == {
        events[0]["event_id"]: "C10 C10 C10 C10 C10",
        events[2]["event_id"]: "C10 C10 C10 C10 C10",
    }


def test_as_of_before_the_withdrawal_still_shows_it(tmp_path: Path):
    from datetime import UTC, datetime

    events = [event(0), event(100, consent=consent(updated=100, **REFUSE_ALL))]
    found = prepared(tmp_path, events, as_of=datetime(2026, 10, 1, 12, 0, 50, tzinfo=UTC))
    assert found.events["event_id"].tolist() == [events[0]["event_id"]]


def test_statements_of_one_moment_that_disagree_deny(tmp_path: Path):
    events = [event(0, consent=consent(updated=-5)), event(1, consent=consent(updated=-5, analytics=False))]
    kept = rules(tmp_path, events)
    assert {rule.split()[0] for rule in kept.values()} == {"C09"}


def test_a_conflict_stays_one_where_the_person_has_other_identifiers(tmp_path: Path):
    said = [consent(updated=-5), consent(updated=-5, analytics=False)]
    events = [login(n, user_id="u-1", consent=each) for n, each in enumerate(said)]
    events += [
        event(9, anonymous_id="a-2", consent=None),
        link([("user_id", "u-1"), ("anonymous_id", "a-2")], 8),
    ]
    kept = rules(tmp_path, events)
    assert [kept[each["event_id"]].split()[0] for each in events[:2]] == ["C09", "C09"]
    assert events[2]["event_id"] not in kept, "what refuses in a conflict reaches the others"


def test_grant_never_reaches_back(tmp_path: Path):
    events = [event(0, consent=None), event(100, consent=consent(updated=90))]
    assert list(rules(tmp_path, events)) == [events[1]["event_id"]]


def test_grant_without_its_own_object_holds_once_it_was_given(tmp_path: Path):
    events = [event(0, consent=consent(updated=-1)), event(100, consent=None)]
    assert rules(tmp_path, events)[events[1]["event_id"]] == "C10 C10 C10 C10 C10"


def test_statement_without_a_time_holds_from_its_own_event(tmp_path: Path):
    assert one(tmp_path, consent(updated=None)) == "C10 C10 C10 C10 C10"


def test_grant_on_one_device_never_covers_another(tmp_path: Path):
    events = [login(0, user_id="u-1"), event(5, anonymous_id="a-2", user_id="u-1", consent=None)]
    assert list(rules(tmp_path, events)) == [events[0]["event_id"]]


def test_refusal_reaches_all_devices_of_a_person_and_nobody_else(tmp_path: Path):
    events = [
        login(0, user_id="u-1", consent=consent(updated=-10)),
        event(50, anonymous_id="a-2", user_id="u-1", consent=consent(updated=50, **REFUSE_ALL)),
        event(100, anonymous_id="a-1", consent=consent(updated=-10)),
        event(100, anonymous_id="a-9", consent=consent(updated=-10)),
    ]
    assert list(rules(tmp_path, events)) == [events[3]["event_id"]]


def test_refusal_does_not_spread_over_junk_ids_or_public_devices(tmp_path: Path):
    refusal = event(0, anonymous_id="a-0", user_id="undefined", consent=consent(updated=-10, **REFUSE_ALL))
    strangers = [
        event(5, anonymous_id=f"a-{n}", user_id="undefined", consent=consent(updated=-10))
        for n in range(1, 4)
    ]
    kiosk = [
        login(10 + n, anonymous_id="kiosk", user_id=f"u-{n}", consent=consent(updated=-10)) for n in range(12)
    ]
    away = event(60, anonymous_id="phone", user_id="u-3", consent=consent(updated=50, **REFUSE_ALL))
    kept = rules(tmp_path, [refusal, *strangers, *kiosk, away])
    # u-3 loses what was done as u-3 at the kiosk too, and nobody else loses anything
    assert set(kept) == {e["event_id"] for e in (*strangers, *kiosk)} - {kiosk[3]["event_id"]}


def test_refusal_spreads_even_where_identity_was_never_granted(tmp_path: Path):
    said = consent(updated=-10, identity=False)
    events = [
        login(0, user_id="u-1", consent=said),
        event(50, anonymous_id="a-2", user_id="u-1", consent=consent(updated=50, **REFUSE_ALL)),
        event(100, consent=said),
    ]
    assert rules(tmp_path, events) == {}


def test_refusal_spreads_over_an_explicit_link(tmp_path: Path):
    events = [
        event(0, consent=consent(updated=-10)),
        link(
            [("anonymous_id", "a-1"), ("anonymous_id", "a-2")],
            1,
            anonymous_id="a-2",
            consent=consent(updated=-10, **REFUSE_ALL),
        ),
    ]
    assert rules(tmp_path, events) == {}


def test_all_copies_take_the_most_restrictive_decision(tmp_path: Path):
    first = event(0, consent=consent(updated=None))
    copy = {**first, "received_at": at(9), "consent": consent(updated=None, training=False)}
    found = prepared(tmp_path, [first, copy]).events
    assert found["allow_training"].tolist() == [False]
    assert found["allow_analytics"].tolist() == [True]


def test_grant_beside_a_refusal_does_not_reopen_the_other_devices(tmp_path: Path):
    events = [
        login(0, anonymous_id="a-1", user_id="u-1", consent=consent(updated=0, **REFUSE_ALL)),
        login(5, anonymous_id="a-1", user_id="u-1", consent=consent(updated=0)),
        login(10, anonymous_id="a-2", user_id="u-1", consent=consent(updated=-99)),
    ]
    assert rules(tmp_path, events) == {}


@pytest.mark.parametrize(
    "said", [{"purposes": {}}, {"purposes": None}, {}, {"purposes": dict.fromkeys(PURPOSES)}]
)
def test_purposes_left_empty_deny_this_event_whatever_was_granted_before(
    tmp_path: Path, said: dict[str, Any]
):
    events = [event(0), event(9, consent={"jurisdiction": "EEA", **said})]
    assert list(rules(tmp_path, events)) == [events[0]["event_id"]]


def test_opt_out_signal_reaches_the_persons_other_events_and_devices(tmp_path: Path):
    events = [
        login(0, user_id="u-1", consent={**consent(updated=None), "gpc": True}),
        event(5, consent=consent(updated=-9)),
        login(6, anonymous_id="a-2", user_id="u-1", consent=consent(updated=-9)),
        login(7, anonymous_id="a-3", user_id="u-2", consent=consent(updated=-9)),
    ]
    found = prepared(tmp_path, events).events
    assert found["allow_advertising"].tolist() == [False, False, False, True]
    assert found["allow_analytics"].tolist() == [True] * 4


@pytest.mark.parametrize(
    "signal", [{"tcf": ""}, {"google": {"ad_storage": "yes"}}, {"us_privacy": "1ynn"}, {"gpp": "DBAB"}]
)
def test_a_damaged_signal_denies_whatever_else_is_granted(tmp_path: Path, signal: dict[str, Any]):
    assert one(tmp_path, {**consent(), **signal}) == "withheld C04_invalid_signal"


@pytest.mark.parametrize("analytics", [True, False])
def test_a_damaged_signal_voids_what_an_update_grants_in_its_properties(tmp_path: Path, analytics: bool):
    purposes = {**consent()["purposes"], "analytics": analytics}
    update = event(
        0, name="consent_update", properties={"purposes": purposes, "method": "banner"},
        consent={**consent(), "tcf": "CPX"},
    )  # fmt: skip
    found = prepared(tmp_path, [update, event(60, consent=None)])
    wanted = "C13_no_signal" if analytics else "C06_denied_then"
    assert found.ledger.removed("consent") == {"C04_invalid_signal": 1, wanted: 1}


@pytest.mark.parametrize("jurisdiction", ["EEA", "US-CA"])
def test_being_a_child_is_said_of_one_event_and_its_own_grant_opens_no_other(
    tmp_path: Path, jurisdiction: str
):
    child = {**consent(jurisdiction, updated=None), "known_child": "no_consent"}
    elsewhere = [
        event(50, consent=None),
        event(60, anonymous_id="a-2", consent=consent(jurisdiction, updated=-9)),
        login(70, anonymous_id="a-2", user_id="u-1", consent=consent(jurisdiction, updated=-9)),
    ]
    kept = rules(tmp_path, [login(0, user_id="u-1", consent=child), *elsewhere])
    assert [kept.get(e["event_id"]) for e in elsewhere[1:]] == ["C10 C10 C10 C10 C10"] * 2
    # without a jurisdiction of its own the event is judged as opt-in; analytics was granted where a child's grant of it counts
    assert kept.get(elsewhere[0]["event_id"]) == {"EEA": None, "US-CA": "C10 C13 C13 C13 C13"}[jurisdiction]


def test_impersonal_event_needs_no_consent_unless_it_carries_an_identifier(tmp_path: Path):
    properties = {"observation": "owned", "content_id": "c-1"}
    plain = event(name="agent_fetch", anonymous_id=None, consent=None, properties=properties)
    named = event(name="agent_fetch", anonymous_id="a-1", consent=None, properties=properties)
    assert rules(tmp_path, [plain, named]) == {plain["event_id"]: "C00 C14 C00 C14 C14"}


def test_event_without_identity_loses_its_user_and_gives_no_edge(tmp_path: Path):
    said = consent(identity=False)
    events = [
        login(0, user_id="u-1", consent=said),
        login(0, anonymous_id="a-2", user_id="u-1", consent=said),
    ]
    found = prepared(tmp_path, events).events
    assert found["user_id"].isna().all()
    assert found["person_id"].nunique() == 2


def test_source_with_a_basis_is_used_on_it_until_it_expires_and_never_for_advertising(tmp_path: Path):
    entry = {
        "jurisdiction": "EEA",
        "purposes": ["analytics", "training"],
        "basis": "contract",
        "owner": "me",
        "expires": "2027-01-01",
    }
    policy = lenient_policy(tmp_path, sources={"web": entry})
    assert one(tmp_path, None, policy=policy) == "C11 C13 C11 C13 C13"
    policy = lenient_policy(tmp_path, sources={"web": {**entry, "expires": "2026-09-30"}})
    assert one(tmp_path, None, policy=policy) == "withheld C13_no_signal"
    policy = lenient_policy(tmp_path, sources={"web": {**entry, "purposes": ["advertising"]}})
    with pytest.raises(BadCallError, match="is not valid at"):
        one(tmp_path, None, policy=policy)


def test_retention(tmp_path: Path):
    policy = lenient_policy(tmp_path, retention_days=30)
    events = [event(0), event(31 * DAY, consent=consent(updated=0))]
    assert list(rules(tmp_path, events, policy=policy)) == [events[1]["event_id"]]


def test_log_without_consent_is_refused_by_rule_and_not_taken_for_an_empty_one(tmp_path: Path):
    with pytest.raises(DataRefusedError, match=r"20 of 20 events .*C13_no_signal 20(.|\n)*sources:"):
        prepared(tmp_path, [event(consent=None) for _ in range(20)], policy="default")
