"""S7.6: old evidence weighs less, if that foretells better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eventlib.geo.decay import HALF_LIVES, choose_half_life
from eventlib.geo.stages import Stage

DAY = 86_400_000_000


def _stage(moves: bool, seed: int = 0, rows: int = 40_000, days: int = 120) -> Stage:
    """Forty pages whose chances are the same all along, or new ones every thirty days."""
    rng = np.random.default_rng(seed)
    time_us = np.sort(rng.integers(0, days * DAY, rows))
    page, person = rng.integers(0, 40, rows), rng.integers(0, 2_000, rows)
    chances = rng.uniform(0.1, 0.5, (days // 30, 40))
    chance = chances[time_us // (30 * DAY) if moves else 0, page]
    happened = (rng.random(rows) < chance).astype(float)
    base = float(happened.mean())
    return Stage(
        "satisfy", page.astype(object), person.astype(object), time_us, np.full(rows, "", dtype=object), happened,
        np.full(rows, base), base,
    )  # fmt: skip


def test_pages_that_stay_as_they_are_do_not_fade():
    assert [choose_half_life([_stage(moves=False, seed=seed)]) for seed in range(5)] == [float("inf")] * 5


def test_pages_that_change_fade():
    assert choose_half_life([_stage(moves=True)]) <= 28


def test_too_little_to_tell_does_not_fade():
    assert choose_half_life([_stage(moves=True, rows=30)]) == float("inf")
    assert choose_half_life([]) == float("inf")


def test_the_half_life_does_not_depend_on_the_order_of_rows():
    stage = _stage(moves=True)
    shuffle = np.random.default_rng(1).permutation(len(stage.time_us))
    mixed = replace(
        stage, content=stage.content[shuffle], cluster=stage.cluster[shuffle], time_us=stage.time_us[shuffle],
        observed=stage.observed[shuffle], expected=stage.expected[shuffle],
    )  # fmt: skip
    assert choose_half_life([mixed]) == choose_half_life([stage])


def test_faded_rows_are_worth_half_after_a_half_life():
    stage = _stage(moves=False)
    end = int(stage.time_us[-1])
    faded = stage.faded(end, 30.0)
    assert faded.weight is not None
    assert faded.weight == pytest.approx(0.5 ** ((end - stage.time_us) / (30 * DAY)))
    assert faded.observed.sum() == pytest.approx(faded.expected.sum())
    assert stage.faded(end, HALF_LIVES[-1]) is stage


def test_a_part_of_the_time_keeps_its_rows_whole():
    stage = _stage(moves=False)
    early = stage.within(0, 60 * DAY)
    assert len(early.content) == len(early.observed) == int((stage.time_us < 60 * DAY).sum())
    assert early.version is None
