"""The last bundle as a policy: what a consumer of it could have known of a show."""

from __future__ import annotations

import pandas as pd

from eventlib.ranking import Options, train_ranking
from eventlib.ranking.judge import PREVIOUS
from eventlib.ranking.previous import previous_scores
from tests.unit.ranking.worlds import trained, world


def test_a_show_takes_the_nearest_signal_there_is():
    signals = pd.DataFrame(
        {
            "content_id": ["a", "a", "a", "b"],
            "prompt_cluster": ["heat", "sun", "prompt:p1", "heat"],
            "signal": [0.2, 0.4, 0.9, 0.5],
        }
    )
    shows = pd.DataFrame(
        {"content_id": ["a", "a", "a", "z"], "prompt_id": ["p1", "p2", "p2", "p1"], "prompt_cluster": ["heat", "sun", "x", ""]}
    )  # fmt: skip
    assert previous_scores(signals, shows).tolist() == [0.9, 0.4, 0.30000000000000004, 0.5]


def test_a_last_bundle_that_knew_more_refuses_the_export_and_one_that_knew_less_does_not():
    judged = trained().judged
    assert judged is not None
    shows = judged.held.frame
    # nobody can know as much as who has seen the clicks to come
    rates = shows.groupby(["content_id", "prompt_id"])["clicked"].mean().reset_index(name="signal")
    signals = rates.assign(engine="site_assistant", prompt_cluster="prompt:" + rates["prompt_id"])
    knew_more, knew_less = (
        train_ranking(world().tables, Options(seed=3), previous)
        for previous in (signals, signals.assign(signal=-signals["signal"]))
    )
    assert knew_more.judged is not None
    values = knew_more.judged.policies.set_index("policy")["value"]
    assert values[PREVIOUS] > 1.01 * values[knew_more.judged.champion]
    assert "the last bundle's order would earn" in knew_more.gates[0].reason
    assert not knew_more.exportable
    assert knew_less.gates[0] == trained().gates[0]
