"""People behind devices: evidence, guards, stable ids (S4)."""

from eventlib.identity.people import Identities, merge_people, number_of

__all__ = ["Identities", "merge_people", "number_of"]
