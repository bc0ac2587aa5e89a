"""S2.1, C07: what a withdrawal and a grant after it mean for each event, by the moment from which one looks back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eventlib.model import PURPOSES
from eventlib.prepared import Prepared
from eventlib.restatement import restate
from tests.factory import START, consent, event, login
from tests.unit.test_incremental import Runs

NOTHING: dict[str, Any] = dict.fromkeys(PURPOSES, False)


def _said(seconds: float, name: str, **purposes: Any) -> dict[str, Any]:
    said = consent(updated=seconds, **purposes)
    properties = {"purposes": said["purposes"], "method": "settings"}
    return event(seconds, name="consent_update", event_id=name, consent=said, properties=properties)


LOG = [
    login(0, event_id="granted", user_id="u-1", consent=consent(updated=-10)),
    login(50, event_id="other device", anonymous_id="a-2", user_id="u-1", consent=consent(updated=-10)),
    event(60, event_id="stranger", anonymous_id="a-9", consent=consent(updated=-10)),
    event(100, event_id="without an object", consent=None),
    _said(200, "withdrawal", **NOTHING),
    event(300, event_id="between", consent=None),
    _said(400, "grant again"),
    event(500, event_id="after", consent=None),
]
"""By 200 s one device takes everything back, at 400 s it grants again; the other device of the same person says nothing more."""

BEFORE = {"granted": "C10", "other device": "C10", "stranger": "C10", "without an object": "C10",
          "withdrawal": "C06", "between": "C06", "grant again": "C10", "after": "C10"}  # fmt: skip
SINCE = BEFORE | dict.fromkeys(
    ("granted", "other device", "without an object", "grant again", "after"), "C07"
)
AGAIN = BEFORE | {"other device": "C07"}
"""A grant is the device's own; that it was withdrawn reaches the other."""


def looking_back(runs: Runs, seconds: float, **options: Any) -> Prepared:
    return runs.prepare(
        [runs.log(LOG)], as_of=START + timedelta(seconds=seconds), plain_identifiers=True, **options
    )


def kept(found: Prepared) -> set[str]:
    return set(found.events["event_id"])


@pytest.mark.parametrize(("seconds", "wanted"), [(150, BEFORE), (250, SINCE), (450, AGAIN)])
@pytest.mark.parametrize("engine", ["duckdb", "polars", "pandas"])
def test_each_event_by_the_moment_from_which_one_looks_back(
    tmp_path: Path, seconds: float, wanted: dict[str, str], engine: str
):
    found = looking_back(Runs(tmp_path), seconds, engine=engine)
    assert kept(found) == {name for name, rule in wanted.items() if rule == "C10"}
    withheld = [rule for rule in wanted.values() if rule != "C10"]
    assert found.ledger.removed("consent") == {
        rule: withheld.count(rule[:3])
        for rule in ("C06_denied_then", "C07_withdrawn_since")
        if rule[:3] in withheld
    }


def test_a_restatement_calls_it_consent_and_counts_each_event(tmp_path: Path):
    runs = Runs(tmp_path)
    before = looking_back(runs, 150)
    registry = before.folder / "registry.parquet"
    since, again = (looking_back(runs, seconds, registry=registry) for seconds in (250, 450))

    def moved(old: Prepared, new: Prepared) -> dict[str, tuple[int, dict[str, int]]]:
        rows = restate(old.folder, new.folder)
        return {
            row["event_name"] or "all": (row["difference"], row["reasons"])
            for row in rows
            if row["number"] == "events" and row["day"] is None
        }

    took, gave = moved(before, since), moved(since, again)
    assert took["all"] == (-5, {"consent": -5})
    assert took["user_login"] == (-2, {"consent": -2})
    assert took["consent_update"] == (-1, {"consent": -1})
    assert gave["all"] == (4, {"consent": 4})
    assert gave["user_login"] == (1, {"consent": 1}), "the other device stays withheld"


def test_a_withdrawal_that_is_added_is_told_the_same_way(tmp_path: Path):
    runs = Runs(tmp_path)
    base = runs.prepare([runs.log(LOG[:4])])
    added = runs.prepare([runs.log([_said(200, "withdrawal", **NOTHING)])], onto=base.folder)
    assert kept(added) == {"stranger"}
    numbers = {
        (row["number"], row["event_name"], row["day"]): row for row in restate(base.folder, added.folder)
    }
    assert numbers["events", None, None]["reasons"] == {"consent": -3}
    assert numbers["people", None, None]["reasons"] == {"consent": -1}
