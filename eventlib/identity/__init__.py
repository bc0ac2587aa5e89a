"""People behind devices: evidence, guards, stable ids (S4)."""

from eventlib.identity.people import Identities, merge_people, number_of
from eventlib.identity.tables import EVIDENCE_KEY

__all__ = ["EVIDENCE_KEY", "Identities", "merge_people", "number_of"]
