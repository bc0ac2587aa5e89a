"""How likely a position is examined: harvested from natural rank swaps, randomised, or given (S7.2, S8.2).

`find_exposure` is the door: given where given, else randomised where that is precise enough, else harvested.
"""

from eventlib.exposure.choice import Agreement, agreement, find_exposure
from eventlib.exposure.curve import CURVE, MAX_LOG_SE, Exposure
from eventlib.exposure.given import given_exposure
from eventlib.exposure.graph import rank_graph
from eventlib.exposure.harvested import estimate_exposure
from eventlib.exposure.likelihood import conditional_fit
from eventlib.exposure.pairs import all_pairs
from eventlib.exposure.randomised import estimate_randomised, placed_at_random
from eventlib.exposure.swaps import KEY, People, Swaps, harvest_swaps
from eventlib.shown import shown_citations

__all__ = [
    "CURVE",
    "KEY",
    "MAX_LOG_SE",
    "Agreement",
    "Exposure",
    "People",
    "Swaps",
    "agreement",
    "all_pairs",
    "conditional_fit",
    "estimate_exposure",
    "estimate_randomised",
    "find_exposure",
    "given_exposure",
    "harvest_swaps",
    "placed_at_random",
    "rank_graph",
    "shown_citations",
]
