"""S8.2 on worlds that are known: what `benchmarks/exposure.py` measures, in small."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.exposure_worlds import EXPOSURE, LENGTH, draw_rows
from eventlib.exposure import (
    agreement,
    conditional_fit,
    estimate_exposure,
    estimate_randomised,
    find_exposure,
    harvest_swaps,
)

WORLDS = range(20)


def off_and_error(curves) -> tuple[np.ndarray, np.ndarray]:
    frames = [curve.frame for curve in curves]
    off = np.array([np.log(frame["exposure"].to_numpy() / EXPOSURE)[1:] for frame in frames])
    return off, np.array([frame["log_se"].to_numpy()[1:] for frame in frames])


@pytest.mark.parametrize(
    "world",
    [
        {"person_sd": 1.0},
        {"prompts": 300},  # a content is shown five times at most: residuals of its own fit are far too small
        {"answers_per_person": 80.0, "person_sd": 1.0},  # seventeen people
    ],
)
def test_errors_are_as_large_as_what_they_speak_of(world):
    curves = [estimate_exposure(draw_rows(seed, 2_500, 1.0, **world), level=0.95) for seed in WORLDS]
    off, error = off_and_error(curves)
    assert 0.85 < np.sqrt((error**2).mean()) / off.std() < 1.2
    inside = [
        ((curve.frame["lower"] <= EXPOSURE) & (curve.frame["upper"] >= EXPOSURE)).to_numpy()[1:]
        for curve in curves
    ]
    assert 0.9 <= np.mean(inside) <= 0.99
    assert np.abs(off.mean(axis=0)).max() < 3.5 * off.std() / np.sqrt(len(WORLDS))


def test_the_information_matrix_alone_errs_on_the_large_side():
    # a show has one click at most, which the multinomial does not know
    rows = draw_rows(3, 20_000, 1.0, person_sd=0.0)
    _, information = conditional_fit(*harvest_swaps(rows).matrices())
    multinomial = np.sqrt(np.diag(np.linalg.inv(information)))
    assert (estimate_exposure(rows).frame["log_se"].to_numpy()[1:] / multinomial).mean() < 0.93


def test_rows_of_one_person_are_not_as_many_people():
    rows = draw_rows(4, 2_000, 1.0)
    twice = rows.loc[rows.index.repeat(4)].reset_index(drop=True)
    same, as_rows = estimate_exposure(twice), estimate_exposure(twice.drop(columns="person_id"))
    once = estimate_exposure(rows)
    np.testing.assert_allclose(same.frame["log_se"], once.frame["log_se"], rtol=0.1)
    assert (as_rows.frame["log_se"][1:] < 0.65 * once.frame["log_se"][1:]).all()


def test_the_promise_of_a_hundred_thousand_clicks():
    frame = estimate_exposure(draw_rows(5, 100_000, 1.0)).frame
    assert np.abs(frame["exposure"].to_numpy() / EXPOSURE - 1)[1:].mean() < 0.02
    assert frame["log_se"].max() < 0.03


def test_swaps_of_the_first_four_ranks_say_nothing_of_the_rest():
    curve = estimate_exposure(draw_rows(6, 5_000, 1.0, swapping=4))
    assert not curve.connected
    assert [rank for _, rank in curve.positions] == [1, 2, 3, 4]
    assert curve.reasons[0].endswith("6 of them from inline 5 to inline 10")
    assert not estimate_exposure(draw_rows(6, 5_000, 0.0)).positions.keys() - {("inline", 1)}


def test_edits_within_a_month_bend_the_curve_unless_the_version_is_in_the_key():
    rows = draw_rows(7, 150_000, 1.0, edited=0.5)
    known = estimate_exposure(rows).frame["exposure"].to_numpy()
    blind = estimate_exposure(rows, key=("prompt_id", "content_id", "month")).frame["exposure"].to_numpy()
    assert np.abs(known / EXPOSURE - 1)[1:].mean() < 0.015
    assert np.abs(blind / EXPOSURE - 1)[1:].mean() > 0.03
    assert blind[-1] < EXPOSURE[-1] * 0.97


def test_a_randomised_slice_covers_and_agrees_with_the_swaps():
    curves = [
        estimate_randomised(draw_rows(seed, 6_000, 0.3, random_share=0.5), level=0.95) for seed in WORLDS
    ]
    off, error = off_and_error(curves)
    assert 0.8 < np.sqrt((error**2).mean()) / off.std() < 1.25
    both = find_exposure(draw_rows(1, 40_000, 1.0, random_share=0.5))
    assert both.method == "randomised"
    assert both.beside is not None
    assert both.beside.method == "harvested"
    found = agreement(both, both.beside)
    assert found.df == LENGTH - 1
    assert found.p > 0.01
    assert found.power > 0.8


def test_true_disagreement_is_found():
    rows = draw_rows(2, 40_000, 1.0, random_share=0.5)
    # natural answers in which a click at rank 1 is likelier than exposure has it: clicks below are lost
    lost = rows["propensity"].isna() & rows["rank"].gt(1) & (np.arange(len(rows)) % 4 == 0)
    both = find_exposure(rows.assign(clicked=rows["clicked"] & ~lost))
    assert both.beside is not None
    assert agreement(both, both.beside).p < 1e-4
