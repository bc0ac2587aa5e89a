"""Consent that fails closed: the policy, who a refusal reaches, and the decision per event and purpose (S2)."""

from eventlib.consent.decisions import RULES, decide
from eventlib.consent.policy import Policy, default_policy, load_policy
from eventlib.consent.suppression import Subjects, subjects

__all__ = ["RULES", "Policy", "Subjects", "decide", "default_policy", "load_policy", "subjects"]
