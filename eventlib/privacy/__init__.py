"""What consent allows, what it removed, and the bias that it leaves, as frames (S2.7)."""

from eventlib.privacy.assess import LIMITS, Assessment, assess
from eventlib.privacy.bases import bases, erasure_in_words, erasures, used_bases
from eventlib.privacy.bias import allowed, allowed_by_jurisdiction, displaced, left_of
from eventlib.privacy.bounds import affected, bounds, unseen
from eventlib.privacy.funnel import (
    by_segment,
    decisions,
    funnel,
    rules_by_segment,
    withdrawn,
    withheld_by_rule,
)
from eventlib.privacy.statements import changes_by_week, changes_total, grants, notices, said_by

__all__ = [
    "LIMITS",
    "Assessment",
    "affected",
    "allowed",
    "allowed_by_jurisdiction",
    "assess",
    "bases",
    "bounds",
    "by_segment",
    "changes_by_week",
    "changes_total",
    "decisions",
    "displaced",
    "erasure_in_words",
    "erasures",
    "funnel",
    "grants",
    "left_of",
    "notices",
    "rules_by_segment",
    "said_by",
    "unseen",
    "used_bases",
    "withdrawn",
    "withheld_by_rule",
]
