"""How good the merging is: what was merged, signs of too much and too little of it, and the truth where there is one (notebook 03)."""

from eventlib.people.assess import LIMITS, Assessment, assess
from eventlib.people.known import Known, Ratio, known_devices, next_sign_in, shared_sessions
from eventlib.people.merged import merged_by_rule, people_range
from eventlib.people.suspects import SIGNS, count_signs, examples, suspects
from eventlib.people.truth import against_truth, formats

__all__ = [
    "LIMITS",
    "SIGNS",
    "Assessment",
    "Known",
    "Ratio",
    "against_truth",
    "assess",
    "count_signs",
    "examples",
    "formats",
    "known_devices",
    "merged_by_rule",
    "next_sign_in",
    "people_range",
    "shared_sessions",
    "suspects",
]
