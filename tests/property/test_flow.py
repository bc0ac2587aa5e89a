"""For any log: order does not matter, a denial never adds an allow, and the accounting adds up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from eventlib.model import PURPOSES
from eventlib.prepared import Prepared
from tests.factory import consent, event, prepared

_SLOW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # an example takes half a second: shrinking would take minutes
)

_SIGNALS: list[dict[str, Any]] = [
    {},
    {},
    {"us_privacy": "1YNN"},
    {"us_privacy": "1YYN"},
    {"us_privacy": "1yyn"},
    {"gpc": True},
    {"known_child": "no_consent"},
    {"categories": {"analytics": True, "*": False}},
    {"gpp": "DBABLA~BVVqAAAAAqA.YA"},
]
_said = st.none() | st.builds(
    lambda jurisdiction, updated, said, signal: {**consent(jurisdiction, updated, **said), **signal},
    st.sampled_from(["EEA", "US-CA", None]),
    st.sampled_from([-5.0, 50.0, None]),
    st.dictionaries(st.sampled_from(PURPOSES), st.sampled_from([True, False, None])),
    st.sampled_from(_SIGNALS),
)
_events = st.lists(
    st.builds(
        lambda number, seconds, device, user, said, skew: event(
            seconds,
            event_id=f"id-{number}",
            anonymous_id=device,
            user_id=user,
            consent=said,
            skew=skew,
            properties={"observation": "owned", "page_view_id": f"v-{number}", "content_id": "c"},
        ),
        st.integers(0, 6),
        st.integers(0, 9000),
        st.sampled_from(["a-1", "a-2", "undefined"]),
        st.sampled_from([None, "u-1", "u-2"]),
        _said,
        st.sampled_from([0, 0, 500]),
    ),
    max_size=10,
)


def _bytes(found: Prepared) -> bytes:
    return (found.folder / "events.parquet").read_bytes()


@_SLOW
@given(events=_events, seed=st.randoms(use_true_random=False))
def test_order_of_lines_does_not_matter(tmp_path: Path, events: list[dict[str, Any]], seed: Any):
    shuffled = events.copy()
    seed.shuffle(shuffled)
    assert _bytes(prepared(tmp_path, events)) == _bytes(prepared(tmp_path, shuffled))


@_SLOW
@given(events=_events, refused=st.sets(st.sampled_from(PURPOSES), min_size=1), seconds=st.integers(-10, 9000))
def test_a_denial_never_adds_an_allow(
    tmp_path: Path, events: list[dict[str, Any]], refused: set[str], seconds: int
):
    purposes = dict.fromkeys(refused, False)
    denial = event(
        seconds,
        event_id="denial",
        name="consent_update",
        consent=consent(updated=seconds, **dict.fromkeys(PURPOSES)),
        properties={"purposes": purposes, "method": "settings"},
    )

    def allowed(found: Prepared) -> set[tuple[str, str, str]]:
        rows = found.events[found.events["event_id"] != "denial"]
        named = rows["original_event_id"].fillna(
            rows["event_id"]
        )  # who of a clash is renamed depends on who is left
        return {
            (name, str(row["received_at"]), purpose)
            for name, (_, row) in zip(named, rows.iterrows(), strict=True)
            for purpose in PURPOSES
            if row[f"allow_{purpose}"]
        }

    # where each event tells its own time: by `device` the denial also says something of the clock, and moves others
    denied, before = (prepared(tmp_path, log, clock="snowplow") for log in ([*events, denial], events))
    assert allowed(denied) <= allowed(before)


@_SLOW
@given(lines=st.lists(st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"") + b"\n"), max_size=20))
def test_any_bytes_are_accounted_for(tmp_path: Path, lines: list[bytes]):
    found = prepared(tmp_path, [*lines, event()])
    assert found.ledger.rows_in == len(lines) + 1
    assert len(found.quarantine) + found.ledger.removed().get("blank_line", 0) == len(lines)
