"""How people move: funnels, transitions, steps, time to convert; intervals count people, not clicks."""

from eventlib.journeys.compared import (
    compare_arrivals,
    compare_funnels,
    compare_steps,
    compare_transitions,
)
from eventlib.journeys.compared_times import compare_times, time_to_convert_by_unit
from eventlib.journeys.funnels import funnel, funnel_by_arrival, last_share
from eventlib.journeys.identifiers import group_sizes, refusals
from eventlib.journeys.moves import step_matrix, transitions
from eventlib.journeys.visits import arrivals, human_events, person_visits
from eventlib.journeys.waiting import time_to_convert

__all__ = [
    "arrivals",
    "compare_arrivals",
    "compare_funnels",
    "compare_steps",
    "compare_times",
    "compare_transitions",
    "funnel",
    "funnel_by_arrival",
    "group_sizes",
    "human_events",
    "last_share",
    "person_visits",
    "refusals",
    "step_matrix",
    "time_to_convert",
    "time_to_convert_by_unit",
    "transitions",
]
