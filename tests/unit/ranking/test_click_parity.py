"""S8.1: PBM and UBM against the papers' EM, written with dictionaries, one show at a time, and nothing of ours."""

from __future__ import annotations

import math
import random

import numpy as np
import pandas as pd
import pytest

from eventlib.ranking import PositionBasedModel, SimplifiedDBN, UserBrowsingModel

STEPS = 30


def random_log(seed):
    """Lists of one to six items; some items are shown once, one rank is never clicked, many shows are alike."""
    rng = random.Random(seed)
    liking = {item: rng.random() for item in range(8)}
    rows = []
    for session in range(rng.choice([15, 60, 200])):
        shown = rng.sample(range(8), rng.randint(1, 6))
        if session % 20 == 0:
            shown[0] = 100 + session
        for rank, item in enumerate(shown, start=1):
            clicked = rank != 4 and rng.random() < liking.get(item, 0.5) / rank**0.5
            rows.append({"session": session, "item": item, "rank": rank, "clicked": clicked})
    return rows


def with_places(rows, model):
    """Add where each show stands: its rank, or its rank and that of the last click above it."""
    last, current = 0, None
    for row in rows:
        if row["session"] != current:
            current, last = row["session"], 0
        yield row["item"], (row["rank"] if model == "PBM" else (row["rank"], last)), row["clicked"]
        if row["clicked"]:
            last = row["rank"]


def paper_em(shows, steps):
    """Return alpha per item, gamma per place and the log likelihood before each step."""
    alpha = {item: 0.5 for item, _, _ in shows}
    gamma = {place: 0.5 for _, place, _ in shows}
    path = []
    for _ in range(steps):
        likelihood = 0.0
        attracted = dict.fromkeys(alpha, 0.0)
        examined = dict.fromkeys(gamma, 0.0)
        of_item, of_place = dict.fromkeys(alpha, 0), dict.fromkeys(gamma, 0)
        for item, place, clicked in shows:
            a, g = alpha[item], gamma[place]
            if clicked:
                was_attracted = was_examined = 1.0
                likelihood += math.log(a * g)
            else:
                was_attracted = a * (1 - g) / (1 - a * g)
                was_examined = g * (1 - a) / (1 - a * g)
                likelihood += math.log(1 - a * g)
            attracted[item] += was_attracted
            examined[place] += was_examined
            of_item[item] += 1
            of_place[place] += 1
        path.append(likelihood / len(shows))
        alpha = {item: attracted[item] / of_item[item] for item in alpha}
        gamma = {place: examined[place] / of_place[place] for place in gamma}
    return alpha, gamma, path


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["PBM", "UBM"])
def test_em_agrees_with_the_papers_step_by_step(name, seed):
    rows = random_log(seed)
    alpha, gamma, path = paper_em(list(with_places(rows, name)), STEPS)
    made = {"PBM": PositionBasedModel, "UBM": UserBrowsingModel}[name]
    model = made(max_iter=STEPS, tol=-np.inf).fit(pd.DataFrame(rows))
    assert model.n_iter_ == STEPS
    assert model.log_likelihood_path_ == pytest.approx(path, abs=1e-6)
    # only products are identified
    for item, place, _ in with_places(rows, name):
        key = place if name == "PBM" else (place[0], place[0] - place[1])
        found = model.relevance_[item] * model.exposure_[key]
        assert found == pytest.approx(alpha[item] * gamma[place], abs=1e-6)


def marginal_by_enumeration(conditional, length):
    """Return the chance that each rank is clicked, over all ways to click those above it."""
    chances = [0.0] * length
    for pattern in range(2**length):
        clicks = [bool(pattern >> k & 1) for k in range(length)]
        p = conditional(clicks)
        weight = math.prod(q if clicked else 1 - q for q, clicked in zip(p, clicks, strict=True))
        chances = [c + weight * clicked for c, clicked in zip(chances, clicks, strict=True)]
    return chances


@pytest.mark.parametrize("made", [PositionBasedModel, UserBrowsingModel, SimplifiedDBN])
def test_marginal_probabilities_are_those_of_all_ways_to_click(made):
    model = made(prior_shows=1.0).fit(pd.DataFrame(random_log(5)))
    one = pd.DataFrame({"session": 1, "item": [3, 1, 4, 999, 5], "rank": [1, 2, 3, 5, 6]})

    def conditional(clicks):
        return model.predict_conditional(one.assign(clicked=clicks))

    assert model.predict_proba(one) == pytest.approx(marginal_by_enumeration(conditional, 5), abs=1e-9)


def reading(rows, attraction, satisfaction):
    """Return the likelihood of one list in an SDBN, by where the reader may have stopped."""
    clicks = [row["clicked"] for row in rows]
    total = 0.0
    stops = [*(k for k, clicked in enumerate(clicks) if clicked), None]
    for stop in stops:
        p = 1.0
        for k, row in enumerate(rows):
            a, s = attraction[row["item"]], satisfaction[row["item"]]
            if stop is not None and k > stop:
                p *= not clicks[k]
            elif clicks[k]:
                p *= a * (s if k == stop else 1 - s)
            else:
                p *= 1 - a
        total += p
    return total


@pytest.mark.parametrize("seed", range(4))
def test_sdbn_scores_lists_as_by_where_readers_may_stop(seed):
    rows = random_log(seed)
    model = SimplifiedDBN(max_iter=5, tol=-np.inf, prior_shows=1.0).fit(pd.DataFrame(rows))
    lists: dict[int, list[dict[str, int]]] = {}
    for row in rows:
        lists.setdefault(row["session"], []).append(row)
    by_hand = sum(math.log(reading(shown, model.relevance_, model.satisfaction_)) for shown in lists.values())
    assert model.score(pd.DataFrame(rows)) == pytest.approx(by_hand / len(rows), abs=1e-9)


def test_sdbn_counts_are_those_of_the_paper():
    rows = random_log(1)
    read, clicks, last = (dict.fromkeys((row["item"] for row in rows), 0) for _ in range(3))
    lists: dict[int, list[dict[str, int]]] = {}
    for row in rows:
        lists.setdefault(row["session"], []).append(row)
    for shown in lists.values():
        ends = max((row["rank"] for row in shown if row["clicked"]), default=len(shown))
        for row in shown[:ends]:
            read[row["item"]] += 1
            clicks[row["item"]] += bool(row["clicked"])
            last[row["item"]] += bool(row["clicked"] and row["rank"] == ends)
    model = SimplifiedDBN(max_iter=0).fit(pd.DataFrame(rows))
    for item, shows in ((item, shows) for item, shows in read.items() if shows):
        assert model.relevance_[item] == pytest.approx(clicks[item] / shows, abs=1e-9)
        if clicks[item]:
            assert model.satisfaction_[item] == pytest.approx(last[item] / clicks[item], abs=1e-9)
