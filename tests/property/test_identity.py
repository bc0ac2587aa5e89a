"""S4.6, S4.7: what order, a day at a time, and one person's absence do to everybody: nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import eventlib as el
from tests.factory import event, link, login, prepared

DAY = 86_400


def world(seed: int, people: int = 14, chains: float = 0.3) -> list[dict[str, Any]]:
    """Devices of one, of two and of many users; placeholders, links, e-mails of two, chains, ties in time."""
    chance = random.Random(seed)
    events: list[dict[str, Any]] = []
    for n in range(people):
        devices = [f"own-{n}-{d}" for d in range(chance.randint(1, 3))] + [f"shared-{n // 2}"] * (n % 3 > 0)
        for _ in range(chance.randint(2, 7)):
            device, when = chance.choice([*devices, "kiosk"]), float(chance.randrange(0, 9 * DAY, 600))
            user = chance.choice([f"u-{n}", f"u-{n}", None, "undefined"])
            events.append(
                login(when, anonymous_id=device, user_id=user) if user else event(when, anonymous_id=device)
            )
        if chance.random() < 0.5:
            mail = [("user_id", f"u-{n}"), ("email", f"mail-{n // chance.choice([1, 2])}@x.org")]
            events.append(link(mail, chance.randrange(9 * DAY), anonymous_id=devices[0], user_id=f"u-{n}"))
        if chance.random() < chains:
            chain = [("anonymous_id", devices[0]), ("anonymous_id", f"own-{(n + 1) % people}-0")]
            events.append(link(chain, chance.randrange(9 * DAY), anonymous_id=devices[0], user_id=f"u-{n}"))
    return events


def persons(found: pd.DataFrame) -> dict[str, str]:
    return dict(zip(found["event_id"], found["person_id"], strict=True))


def test_a_hundred_shuffles_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    monkeypatch.setenv("EVENTLIB_KEY_FILE", str(key))
    log = prepared(tmp_path, world(5)).events
    canonical = log[
        [
            "event_id",
            "event_name",
            "source",
            "occurred_at",
            "sent_at",
            "received_at",
            "anonymous_id",
            "user_id",
        ]
    ]
    frame = pl.from_pandas(canonical)
    first = persons(el.merge_identities(frame).events.to_pandas())
    assert len(set(first.values())) > 10
    for seed in range(100):
        shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
        assert persons(el.merge_identities(shuffled).events.to_pandas()) == first


@pytest.mark.parametrize("seed", [1, 2])
def test_without_one_person_nobody_else_has_another_id(tmp_path: Path, seed: int):
    events = world(seed, people=20, chains=0)
    whole = prepared(tmp_path, events)
    everyone = persons(whole.events)
    shared = set(whole.people.loc[whole.people["rule"] == "shared_device", "identifier"]) | {"kiosk"}
    # who is at a device of others, or links theirs, is part of what is known of them: erasing keeps that, leaving out cannot
    devices = whole.events.groupby("person_id")["anonymous_id"]
    alone = [person for person, mine in devices if not set(mine) & shared][:6]
    assert alone
    for person in alone:
        rest = [e for e in events if everyone.get(e["event_id"]) != person]
        found = prepared(tmp_path, rest, registry=whole.folder / "registry.parquet")
        assert persons(found.events) == {e: p for e, p in everyone.items() if p != person}


@pytest.mark.parametrize("seed", [3, 4])
def test_ids_stay_when_more_is_learned_day_by_day_and_all_at_once(tmp_path: Path, seed: int):
    events = sorted(world(seed), key=lambda e: str(e["received_at"]))
    half = len(events) // 2
    early = prepared(tmp_path, events[:half])
    registry = early.folder / "registry.parquet"
    later = prepared(tmp_path, events, registry=registry)
    again = prepared(tmp_path, random.Random(1).sample(events, len(events)), registry=registry)
    assert persons(later.events) == persons(again.events)
    held = dict(zip(early.registry["anchor"], early.registry["person_id"], strict=True))
    kept = dict(zip(later.registry["anchor"], later.registry["person_id"], strict=True))
    assert held.items() <= kept.items(), "an anchor never moves"
    fresh = later.registry[~later.registry["anchor"].isin(held)]
    assert fresh["person_id"].min() > max(held.values())
